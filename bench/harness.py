"""Our likelihoods against lm-eval's own Hugging Face runner: same model, same items, same machine, one run.

    python bench/harness.py MODEL FOLDER_OF_EVALS [--items 64] [--batch 1] [--tasks hellaswag/0 lambada/0]

lm-eval must be importable. Prints, for HellaSwag without and with 10 examples and for LAMBADA, both accuracies, the
largest difference of two log-probabilities, and the seconds of both with their ratio. Both compute in fp32, unless
`--precision bf16` asks ours for less.
"""

import argparse
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.engine.machine import Machine
from assent.engine.models import LanguageModel
from assent.evaluate import tasks
from assent.evaluate.harness import loglikelihood
from assent.evaluate.measure import Settings, Sheet, sheets
from assent.evaluate.tasks.read import find, load


def sheet(name: str, shots: int, folder: Path, items: int) -> Sheet:
    task = tasks.TASKS[name]
    path = find(task.files, [folder])
    if path is None:
        raise SystemExit(f"{folder} has none of {', '.join(task.files)}")
    settings = Settings(limit=items, shots=shots)
    return list(sheets(task, load(task, path).items, [], settings))[-1 if shots else 0]


def accuracy(asked: Sheet, values: Sequence[tuple[float, bool]], lengths: Sequence[int]) -> float:
    """By the likeliest token for LAMBADA, by the mean over characters of a completion for HellaSwag."""
    rows, sizes = iter(values), iter(lengths)
    right = 0
    for item in asked.items:
        mine = [(next(rows), next(sizes)) for _ in item.choices]
        if asked.task.form == "last_word":
            right += mine[0][0][1]
        else:
            means = [value / size for (value, _), size in mine]
            right += means.index(max(means)) in item.right
    return right / len(asked.items)


@dataclass(frozen=True)
class Timed:
    """What a runner said, and what it took: seconds of processor time (on a GPU, of waiting) and of waiting."""

    values: list[tuple[float, bool]]
    cost: float
    waited: float


def timed(run: Callable[[], list[tuple[float, bool]]], *, on_gpu: bool) -> Timed:
    """Others may use the processor as well, so that its own time counts; a GPU's work is waited for."""
    processor, start = time.process_time(), time.perf_counter()
    values = run()
    waited = time.perf_counter() - start
    return Timed(values, waited if on_gpu else time.process_time() - processor, waited)


def line(asked: Sheet, shots: int, ours: Timed, theirs: Timed, sizes: Sequence[int]) -> str:
    """A line of the table: both accuracies, the largest difference, the same greedy words, seconds and their ratio."""
    pairs = list(zip(ours.values, theirs.values, strict=True))
    gap = max(abs(one[0] - other[0]) for one, other in pairs)
    same = sum(bool(one[1]) == bool(other[1]) for one, other in pairs)
    right = " and ".join(f"{accuracy(asked, one.values, sizes):.4f}" for one in (ours, theirs))
    return (
        f"{asked.task.name} {shots}-shot, {len(asked.items)} items: accuracy {right}, largest difference {gap:.2g}, "
        f"greedy alike {same}/{len(pairs)}, seconds {ours.cost:.2f} and {theirs.cost:.2f}, "
        f"{theirs.cost / ours.cost:.1f} times as fast (waiting: {theirs.waited / ours.waited:.1f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--batch", default="1", help="of lm-eval, whose own default is 1")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="of ours; lm-eval's stays fp32")
    parser.add_argument("--tasks", nargs="*", default=["hellaswag/0", "hellaswag/10", "lambada/0"])
    flags = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    on_gpu = flags.device != "cpu"
    torch.set_num_threads(torch.get_num_threads() if on_gpu else 1)
    options: dict[str, Any] = {"device": flags.device, "dtype": "float32", "batch_size": flags.batch}
    theirs = HFLM(pretrained=str(flags.model), **options)
    ours = LanguageModel.load(flags.model, Machine(device=flags.device, precision=flags.precision))
    size = sum(p.numel() for p in ours.module.parameters()) / 1e6
    print(f"{size:.1f}M parameters, {len(ours.text)} tokens, {flags.precision}, batches of {flags.batch}", flush=True)
    for name, shots in ((one.partition("/")[0], int(one.partition("/")[2])) for one in flags.tasks):
        asked = sheet(name, shots, flags.data, max(4, flags.items // (4 if shots else 1)))
        pairs = [(ask.prompt, choice) for ask in asked.asks("plain") for choice in ask.choices]
        requests = [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(pairs)]
        loglikelihood(ours, pairs[:4])  # the first call of either loads what later ones have
        theirs.loglikelihood(requests[:4], disable_tqdm=True)
        found = [
            timed(lambda pairs=pairs: loglikelihood(ours, pairs), on_gpu=on_gpu),
            timed(lambda requests=requests: theirs.loglikelihood(requests, disable_tqdm=True), on_gpu=on_gpu),
        ]
        print(line(asked, shots, found[0], found[1], [len(choice) for _, choice in pairs]), flush=True)


if __name__ == "__main__":
    main()
