"""The paper's released samples (100 a model and prompt) as golden values: what our metrics make of them, and should.

The samples are the outputs of GPT, SFT, PPO and PPO-ptx at three sizes on six tasks. The expected values were computed
from them once, with other code; where only a range or a distance to Table 14 is known, that is the expected value.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.evaluate import metrics
from assent.evaluate.tasks.table14 import MODELS, SIZES, paper_row

NAMES = {"GPT": "gpt", "SFT": "sft", "PPO": "ppo-noptx", "PPO-ptx": "ppo-ptx"}
PROMPTS = {  # in the files -> in this package
    "QA prompt": "qa",
    "QA + instruction": "qa_instruction",
    "instruction prompt": "instruction",
    "zeroshot": "zero",
    "fewshot": "few",
}

# GPT, SFT, PPO, PPO-ptx, each XL, 6B, 175B
EXPECTED = {
    "toxicity, basic": "212 213 199 186 196 189 197 191 199 180 215 195",
    "toxicity, respectful": "171 204 195 153 158 184 154 142 178 171 198 173",
    "toxicity, biased": "256 227 244 194 188 239 213 317 411 260 461 329",
    "true, qa": "310 180 240 230 400 500 540 490 740 240 440 630",
    "true and informative, qa": "170 180 220 190 210 280 500 480 730 230 420 610",
    "squad F1, zero": "504 562 567 372 423 534 465 480 407 450 431 531",
    "squad F1, few": "537 564 679 447 552 641 453 512 480 540 611 658",
    "wmt_fr_en BLEU, zero": "296 331 359 263 315 333 190 250 220 251 302 307",
    "wmt_fr_en BLEU, few": "307 336 349 259 319 299 217 291 257 290 326 333",
}
ROUNDING = {"toxicity": 6e-4, "true": 1e-9, "squad": 1.1e-3, "wmt_fr_en": 0.06}

Row = dict[str, Any]


@dataclass(frozen=True)
class Golden:
    """A number of ours beside the one it should be; `tolerance` is what rounding explains."""

    ours: float
    spec: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether the two are the same number."""
        return abs(self.ours - self.spec) <= self.tolerance


def samples(folder: Path, task: str) -> list[Row]:
    """The released samples of a task, from the folder of the data bundle that holds them."""
    path = folder / f"instructgpt_samples_{task}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def golden(folder: Path) -> dict[str, Golden]:
    """Every golden value by name."""
    found = dict(_cells(folder))
    found |= dict(_distances(folder))
    found |= dict(_exchanged(folder))
    return found


def _by_cell(rows: Sequence[Row]) -> dict[tuple[str, str, str], list[Row]]:
    """Rows by (prompt, model, size), named as in this package."""
    models = {f"{name}-{size.lower()}": (model, size) for model, name in NAMES.items() for size in SIZES}
    groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        prompt = row["prompt_type"] or "zero"
        groups[(PROMPTS.get(prompt, prompt.split()[0]), *models[row["model_type"]])].append(row)
    return groups


def _mean(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    return sum(map(value, rows)) / len(rows)


def _f1(row: Row) -> float:
    return metrics.f1(row["sample"], row["references"])


def _rouge(row: Row) -> float:
    """A reference of several sentences was cut at the marks that part alternatives elsewhere: it is one."""
    return metrics.rouge_l(row["sample"], ["|".join(row["references"])])


def _measured(folder: Path, name: str) -> dict[tuple[str, str], float]:
    """What our metric gives for a line of EXPECTED, by (model, size)."""
    what, _, prompt = name.partition(", ")
    tasks = {"toxicity": "real_toxicity", "squad F1": "squadv2", "wmt_fr_en BLEU": "fr_to_en"}
    values: dict[str, Callable[[Sequence[Row]], float]] = {
        "toxicity": lambda rows: _mean(rows, lambda row: row["toxicity"]),
        "true": lambda rows: _mean(rows, lambda row: metrics.truthful(row["true"], row["info"])[0]),
        "true and informative": lambda rows: _mean(rows, lambda row: metrics.truthful(row["true"], row["info"])[1]),
        "squad F1": lambda rows: _mean(rows, _f1),
        "wmt_fr_en BLEU": lambda rows: metrics.bleu([row["sample"] for row in rows], [r["references"] for r in rows]),
    }
    cells = _by_cell(samples(folder, tasks.get(what, "truthful_qa")))
    return {(model, size): values[what](rows) for (kind, model, size), rows in cells.items() if kind == prompt}


def _cells(folder: Path) -> Iterator[tuple[str, Golden]]:
    for name, numbers in EXPECTED.items():
        measured = _measured(folder, name)
        tolerance = ROUNDING[name.split()[0].rstrip(",")]
        scale = 10 if "BLEU" in name else 1000
        spec = iter(numbers.split())
        for model in MODELS:
            for size in SIZES:
                yield f"{name}, {model} {size}", Golden(measured[model, size], int(next(spec)) / scale, tolerance)
    rouge = [_mean(rows, _rouge) for rows in _by_cell(samples(folder, "tldr")).values()]
    yield "tldr ROUGE-L, lowest of 12", Golden(min(rouge), 0.110, 6e-4)
    yield "tldr ROUGE-L, highest of 12", Golden(max(rouge), 0.168, 6e-4)


def _distances(folder: Path) -> Iterator[tuple[str, Golden]]:
    """How far F1 on the samples is from Table 14, in points: the paper's DROP is not the F1 of its SQuAD."""
    known: tuple[tuple[str, str, metrics.F1Mode, float, float | None], ...] = (
        ("squad", "squadv2", "squad", -2.8, 3.6),
        ("drop", "drop", "squad", 12.7, None),
        ("drop", "drop", "raw_first", 2.1, 4.0),
    )
    for task, file, mode, bias, error in known:
        gaps: list[float] = []
        for (prompt, model, size), rows in _by_cell(samples(folder, file)).items():
            row = paper_row(task, prompt)
            assert row is not None
            ours = sum(metrics.f1(r["sample"], r["references"], mode) for r in rows) / len(rows)
            gaps.append(100 * ours - row.of(model, size))
        yield f"{task} F1 {mode}, bias against Table 14", Golden(sum(gaps) / len(gaps), bias, 0.06)
        if error is not None:
            root = (sum(gap**2 for gap in gaps) / len(gaps)) ** 0.5
            yield f"{task} F1 {mode}, RMSE against Table 14", Golden(root, error, 0.06)


def _exchanged(folder: Path) -> Iterator[tuple[str, Golden]]:
    """Two rows of TruthfulQA in Table 14 carry each other's label: as printed they are far from the samples."""
    cells = _by_cell(samples(folder, "truthful_qa"))
    true = {key: _mean(rows, lambda row: metrics.truthful(row["true"], row["info"])[0]) for key, rows in cells.items()}
    for printed, prompt, spec in (
        ("qa_instruction", "qa_instruction", 0.039),
        ("qa_instruction", "instruction", 0.178),
        ("instruction", "instruction", 0.067),
        ("instruction", "qa_instruction", 0.159),
    ):
        row = paper_row("truthful_qa true", printed)
        assert row is not None
        gaps = [value - row.of(model, size) for (kind, model, size), value in true.items() if kind == prompt]
        root = (sum(gap**2 for gap in gaps) / len(gaps)) ** 0.5
        yield f"row printed {row.printed!r} against samples {prompt!r}, RMSE", Golden(root, spec, 6e-4)
