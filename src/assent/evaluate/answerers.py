"""Whatever answers the items of a task: a model directory, an endpoint, or outputs that were recorded before."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from assent import records
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel
from assent.evaluate import generation
from assent.evaluate.endpoint import Endpoint
from assent.evaluate.likelihood import encoded, weigh
from assent.evaluate.tasks.task import Form, Outcome
from assent.run import digest

Prompting = Literal["auto", "plain", "chat"]
"""auto: requests of a person through the chat template, texts as they are. plain, chat: everything so."""

WEIGHED_CHAT = "a completion of a text is weighed as the text stands; only what is written can go through a template"


class UnanswerableError(ValueError):
    """A task that a model cannot do at all; says why. The other tasks are still done."""


@dataclass(frozen=True)
class Ask:
    """One item as it is asked: its name in records, the prompt, the completions, and how a text is to be written."""

    id: str
    prompt: str
    choices: tuple[str, ...]
    form: Form
    limit: int
    stop: str
    chat: bool


def precision(machine: Machine) -> str:
    """What a number depends on beside the model: answers of another precision are other answers."""
    return "bf16" if machine.bf16 else "fp32"


class Answerer(Protocol):
    """A model by whatever name; `key` is what its answers depend on. at_once: items between two writes to the cache."""

    name: str
    key: str
    path: str
    at_once: int

    def answer(self, asks: Sequence[Ask]) -> list[Outcome | None]:
        """The outcome of each, None where none came; all of one form. Raises UnanswerableError."""
        ...

    def failures(self) -> list[str]:
        """What went wrong so far, as sentences."""
        ...


class Local:
    """A model directory; loaded when the first item is really asked."""

    def __init__(self, name: str, directory: Path, machine: Machine) -> None:
        self.name, self.directory, self.machine = name, directory, machine
        self.key, self.path, self.at_once = f"{digest(directory)}:{precision(machine)}", str(directory), 512
        self._model: LanguageModel | None = None

    @property
    def model(self) -> LanguageModel:
        """The model."""
        self._model = self._model or LanguageModel.load(self.directory, self.machine).freeze()
        return self._model

    def answer(self, asks: Sequence[Ask]) -> list[Outcome | None]:
        """See `Answerer`."""
        return self._written(asks) if asks[0].form == "write" else self._weighed(asks)

    def _weighed(self, asks: Sequence[Ask]) -> list[Outcome | None]:
        found = encoded(self.model.text, [(one.prompt, one.choices) for one in asks], self.model.positions)
        weighed = weigh(self.model, [question for question, _ in found])
        return [
            Outcome(sums=one.sums, lengths=one.lengths, greedy=one.greedy[0], cut=cut)
            for one, (_, cut) in zip(weighed, found, strict=True)
        ]

    def _written(self, asks: Sequence[Ask]) -> list[Outcome | None]:
        positions = self.model.positions or 2**20
        limit = min(asks[0].limit, positions // 2)
        prompts = [
            (generation.chat_prompt if one.chat else generation.plain_prompt)(
                self.model.text, one.prompt, positions - limit
            )
            for one in asks
        ]
        written = generation.complete(self.model, [ids for ids, _ in prompts], limit, asks[0].stop)
        return [
            Outcome(text=one.text, finish=one.finish, cut=cut) for one, (_, cut) in zip(written, prompts, strict=True)
        ]

    def failures(self) -> list[str]:
        """See `Answerer`."""
        return []


class Remote:
    """A model behind an endpoint: it writes, and cannot say how likely a given text is."""

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        self.name, self.endpoint = name, endpoint
        self.key, self.path, self.at_once = f"endpoint:{endpoint.name}", endpoint.name, 32

    def answer(self, asks: Sequence[Ask]) -> list[Outcome | None]:
        """See `Answerer`."""
        if asks[0].form != "write":
            raise UnanswerableError("an endpoint gives no log-probabilities of given texts; evaluate a model directory")
        first = asks[0]
        written = self.endpoint.write([one.prompt for one in asks], first.limit, first.stop, chat=first.chat)
        return [None if one is None else Outcome(text=one[0], finish=one[1]) for one in written]

    def failures(self) -> list[str]:
        """See `Answerer`."""
        return list(self.endpoint.failures)


class Recorded:
    """Outputs in a file of samples, such as an evaluation writes, by the id of their prompt."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.key, self.path, self.at_once = name, f"recorded:{digest(path)}", str(path), 4096
        self.texts = {row.prompt.id: row.responses[0] for row in records.read(path, records.Samples)}

    def answer(self, asks: Sequence[Ask]) -> list[Outcome | None]:
        """See `Answerer`."""
        if asks[0].form != "write":
            raise UnanswerableError("recorded outputs are texts without log-probabilities; evaluate a model directory")
        if not any(one.id in self.texts for one in asks):
            kind = asks[0].id.rpartition("/")[0]
            raise UnanswerableError(f"{self.path} has no output of {kind}; its prompts are called TASK/PROMPT/ITEM")
        found = [self.texts.get(one.id) for one in asks]
        return [None if one is None else Outcome(text=one.text, finish=one.finish) for one in found]

    def failures(self) -> list[str]:
        """See `Answerer`."""
        return []


def named(given: str) -> tuple[str, str]:
    """What a flag names apart from the name that it gives it, "" where it gives none."""
    name, separator, rest = given.partition("=")
    return (name, rest) if separator and "/" not in name and not name.startswith("http") else ("", given)


def model_directory(path: Path) -> Path:
    """The model directory: of a run directory, that of its model."""
    return path / "model" if (path / "run.json").exists() else path


def answerer(given: str, machine: Machine, seconds: float) -> Answerer:
    """What a flag names: [NAME=] and a model directory, a run directory, a file of samples, or URL#MODEL.

    Raises ValueError for anything else.
    """
    name, rest = named(given)
    if rest.startswith(("http://", "https://")):
        endpoint = Endpoint.parse(rest, seconds)
        return Remote(name or endpoint.model, endpoint)
    path = Path(rest)
    if path.is_file():
        return Recorded(name or path.stem, path)
    inner = model_directory(path)
    if not (inner / "config.json").exists():
        raise ValueError(
            f"--models: {given!r} is no model; name a model or run directory, a file of samples, or URL#MODEL"
        )
    return Local(name or path.name, inner, machine)
