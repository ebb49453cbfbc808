"""What a run costs, as a function of its sizes: the model that docs/benchmarks.md states, and its fit.

Every term is a count of things that are done, times a coefficient that is fitted once a job and machine:

- `tokens x weights`: each token through the matrices of the body, after the last attention only those that are read;
  the products.
- `tokens x width x layers`: each token through everything that is not a matrix: norms, rotations, residuals, copies.
- `learned x head`: response tokens through the vocabulary.
- `parameters`: the optimiser, once an update.
- `steps`: a step of the decode loop costs something however few rows it has, once a layer.
- `read keys`: every decoded token looks back at all tokens before it, in every layer.

Tokens are counted as they are processed: a ranking's prompt once, a response's prompt once. Memory is what the process
holds without a model, the tensors of a parameter, the activations of the tokens that are held at once (or their keys
and values), and the logits of learned tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from bench.work import VOCABULARY, Size

HELD = 16_384  # tokens of a micro-batch at most, `Machine.tokens`
JOBS = {"sft": "SFT update", "reward": "reward update", "decode": "decoding", "ppo": "PPO iteration"}


@dataclass(frozen=True)
class Point:
    """What is measured. batch: sequences, rankings or episodes; prompt, response: mean tokens; k: of a ranking."""

    job: str
    model: str
    size: Size
    batch: int
    prompt: int
    response: int
    k: int

    @property
    def parameters(self) -> int:
        """Weights of the model."""
        return self.size.body + self.size.head

    @property
    def responses(self) -> int:
        """Response tokens in all."""
        return self.batch * self.response * (self.k if self.job == "reward" else 1)

    @property
    def tokens(self) -> int:
        """Tokens in all, each prompt once."""
        return self.batch * self.prompt + self.responses

    @property
    def products(self) -> int:
        """Tokens times the weights that they go through: those that are not read end at the last attention."""
        after = self.size.hidden**2 + 3 * self.size.hidden * self.size.inter
        read = self.batch * self.k if self.job == "reward" else self.responses
        return self.tokens * (self.size.body - after) + read * after

    @property
    def words(self) -> str:
        """The point in a line."""
        k = f", K {self.k}" if self.job == "reward" else ""
        return f"{JOBS[self.job]}: {self.model}, batch {self.batch}, prompt {self.prompt}, response {self.response}{k}"

    def along(self, direction: str) -> float:
        """Where the point lies in one of the directions that are varied."""
        return float(getattr(self, direction))

    def moved(self, base: "Point") -> str | None:
        """In which direction it differs from another point."""
        directions = ("prompt", "response", "batch", "parameters", "k")
        return next((name for name in directions if self.along(name) != base.along(name)), None)


@dataclass(frozen=True)
class Measured:
    """A point with its seconds and its peak memory in MiB."""

    point: Point
    seconds: float
    peak_mb: float

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Measured":
        """From a row of costs.json."""
        point = {**row["point"], "size": Size(**row["point"]["size"])}
        return cls(Point(**point), row["seconds"], row["peak_mb"])


Terms = dict[str, float]


def time_terms(point: Point) -> Terms:
    """What is counted for the time of a job."""
    size, tokens = point.size, point.tokens
    trained = {
        "tokens x weights": float(point.products),
        "tokens x width x layers": float(tokens * size.hidden * size.layers),
        "parameters": float(point.parameters),
    }
    learned = {"learned x head": float(point.responses * size.head)}
    context = point.prompt + point.response / 2
    decoded = {
        "steps": float(point.response * size.layers),
        "read keys": point.responses * context * size.hidden * size.layers,
    }
    if point.job == "sft":
        return trained | learned
    if point.job == "reward":
        return trained
    if point.job == "decode":  # nothing is done once for every parameter
        return {name: value for name, value in trained.items() if name != "parameters"} | learned | decoded
    return trained | learned | decoded


def memory_terms(point: Point) -> Terms:
    """What is counted for the peak of memory: in training what backward needs, in decoding keys and values."""
    size = point.size
    inside = size.layers * (6 * size.hidden + 3 * size.inter)  # numbers that a token has inside the layers
    terms = {
        "process": 1.0,
        "parameters": float(point.parameters),
        "tokens x numbers inside": float(min(point.tokens, HELD) * inside),
    }
    logits = {"learned x vocabulary": float(min(point.responses, HELD) * VOCABULARY)}
    return terms | logits if point.job in ("sft", "ppo") else terms


@dataclass(frozen=True)
class Fit:
    """Coefficients of one job: seconds, or MiB, for one of what each term counts."""

    terms: dict[str, Terms]

    def seconds(self, point: Point) -> float:
        """Modelled time."""
        return sum(self.terms["seconds"][name] * value for name, value in time_terms(point).items())

    def peak_mb(self, point: Point) -> float:
        """Modelled peak."""
        return sum(self.terms["peak_mb"][name] * value for name, value in memory_terms(point).items())

    def both(self, point: Point) -> dict[str, float]:
        """Modelled time and peak."""
        return {"seconds": self.seconds(point), "peak_mb": self.peak_mb(point)}


def coefficients(rows: Sequence[Terms], measured: Sequence[float]) -> Terms:
    """No term costs less than nothing; relative errors count, so that small points weigh as much as large ones."""
    names = list(rows[0])
    counted = np.array([[row[name] for name in names] for row in rows])
    scale = counted.max(axis=0)
    found, _ = nnls(counted / scale / np.array(measured)[:, None], np.ones(len(rows)))
    return dict(zip(names, (found / scale).tolist(), strict=True))


def fit(measured: Sequence[Measured]) -> Fit:
    """The coefficients that serve the points of one job best."""
    points = [one.point for one in measured]
    return Fit(
        {
            "seconds": coefficients([time_terms(point) for point in points], [one.seconds for one in measured]),
            "peak_mb": coefficients([memory_terms(point) for point in points], [one.peak_mb for one in measured]),
        }
    )


def error(modelled: float, measured: float) -> float:
    """In percent of what was measured."""
    return 100 * (modelled / measured - 1)


def report(measured: Sequence[Measured], fits: Mapping[str, Fit]) -> str:
    """Measured against modelled, point by point, the largest errors, and the coefficients."""
    lines: list[str] = []
    for job, fitted in fits.items():
        mine = [one for one in measured if one.point.job == job]
        worst = {"seconds": 0.0, "MiB": 0.0}
        for one in mine:
            cells: list[str] = []
            for unit, model, value in (
                ("seconds", fitted.seconds(one.point), one.seconds),
                ("MiB", fitted.peak_mb(one.point), one.peak_mb),
            ):
                off = error(model, value)
                worst[unit] = max(worst[unit], abs(off))
                cells.append(f"{value:9.4g} {unit}, modelled {model:9.4g} ({off:+5.1f} %)")
            lines.append(f"{one.point.words:72s}{'   '.join(cells)}")
        lines.append(f"{JOBS[job]}: at most {worst['seconds']:.1f} % off in time, {worst['MiB']:.1f} % in memory")
        for what, terms in fitted.terms.items():
            lines.append(f"  {what} = " + " + ".join(f"{value:.3g} x {name}" for name, value in terms.items() if value))
    return "\n".join(lines)
