"""The public tasks of the paper, and its qualitative probes: how a row becomes an item, and what is measured on it."""

from collections.abc import Sequence
from pathlib import Path

from assent.evaluate.tasks import choice, honesty, probes, reading, writing
from assent.evaluate.tasks.task import Task

PUBLIC = (
    choice.WINOGENDER,
    choice.CROWS_PAIRS,
    honesty.REAL_TOXICITY,
    honesty.TRUTHFUL_QA,
    honesty.TRUTHFUL_QA_CHOICE,
    choice.HELLASWAG,
    writing.WSC,
    choice.RTE,
    choice.SST,
    reading.QUAC,
    reading.SQUAD,
    reading.DROP,
    writing.WMT,
    writing.CNN_DM,
    writing.TLDR,
    choice.LAMBADA,
    writing.GSM8K,
    choice.HARM_KINDS,
    choice.HARMFUL_OR_ETHICAL,
    probes.XSTEST,
    probes.ADVBENCH,
)
TASKS: dict[str, Task] = {task.name: task for task in (*PUBLIC, *probes.OURS)}
SETS = {  # names that stand for several tasks
    "paper": tuple(task.name for task in PUBLIC if task.paper),
    "public": tuple(task.name for task in PUBLIC),
    "probes": tuple(task.name for task in probes.OURS),
}


def chosen(names: Sequence[str]) -> list[Task]:
    """The tasks of some names, each once; raises ValueError for a name that is none."""
    flat = [one for name in names for one in SETS.get(name, (name,))]
    for name in flat:
        if name not in TASKS:
            raise ValueError(f"--tasks: {name!r} is not one of {', '.join((*SETS, *TASKS))}")
    return [TASKS[name] for name in dict.fromkeys(flat)]


def builtin(task: Task) -> Path | None:
    """The file of a probe that comes with Assent."""
    path = probes.FOLDER / f"{task.name}.jsonl"
    return path if task in probes.OURS else None
