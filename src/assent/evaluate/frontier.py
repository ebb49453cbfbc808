"""Reward against KL (figures of appendix E.7; Gao 2022): checkpoints of PPO runs, and best of n, by proxy and gold.

The proxy is the reward model that training saw, the gold one is another, better one that it did not. Where there is
gold, d (a - b ln d) is fitted to checkpoints and d (a - b d) to best of n, with d the square root of the KL to the
policy where PPO started; both peak at a KL that is then recommended as the budget.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from assent import records
from assent.data import files
from assent.engine.batches import TextBatch
from assent.engine.generate import Key
from assent.engine.machine import Machine
from assent.engine.models import LanguageModel, ScalarModel
from assent.evaluate.cache import key_of
from assent.evaluate.part import Part
from assent.evaluate.rows import Row, rounded
from assent.records import Samples
from assent.run import Run, RunError, atomically
from assent.statistics import Interval, bootstrap_interval, overoptimisation

FEWEST = 3  # points above a KL of 0 for a fit that says more than its points


def model_of(path: Path) -> Path:
    """The model directory of a run directory, of its run.json, or of a model directory itself."""
    place = path.parent if path.name == "run.json" else path
    return place / "model" if (place / "run.json").exists() else place


@dataclass(frozen=True)
class Scorers:
    """The reward models of a frontier; without gold only what was promised is known."""

    proxy: ScalarModel | None
    gold: ScalarModel | None

    @classmethod
    def load(cls, proxy: str, gold: str, machine: Machine) -> "Scorers":
        """From run or model directories; empty is none."""
        loaded = [ScalarModel.load(model_of(Path(one)), machine).freeze() if one else None for one in (proxy, gold)]
        return cls(loaded[0], loaded[1])


@torch.no_grad()
def scores(model: ScalarModel, rows: Sequence[Samples]) -> list[list[float]]:
    """The score of every response, NaN where it is empty and unfinished, or does not fit the model."""
    room = model.positions or 2**20
    places, prompts, responses = list[tuple[int, int]](), list[torch.Tensor](), list[torch.Tensor]()
    for number, row in enumerate(rows):
        prompt = model.text.prompt(row.prompt.messages)
        for place, response in enumerate(row.responses):
            ids = model.text.response(response.text, ended=response.finish != "length")
            if len(ids) and len(prompt) + len(ids) <= room:
                places.append((number, place))
                prompts.append(prompt)
                responses.append(ids)
    found = [[math.nan] * len(row.responses) for row in rows]
    if places:
        flat = model.score(TextBatch(tuple(prompts), tuple(responses))).cpu().double().tolist()
        for (number, place), value in zip(places, flat, strict=True):
            found[number][place] = value
    return found


def samples(path: Path) -> list[tuple[int, Samples]]:
    """The samples of a run directory or a file, with the step that each was written at (0 where a file says none)."""
    if not path.exists():
        raise RunError(f"--best-of: {path} does not exist; name a run that wrote samples, or a file of them")
    rows = Part.read(path).samples if path.is_dir() else [_value(path, row) for row in files.rows(path)]
    found: list[tuple[int, Samples]] = []
    for number, row in enumerate(rows, start=1):
        fields = {name: value for name, value in row.items() if name not in ("step", "policy")}
        try:
            record = records.from_json(fields)
        except ValueError as error:
            raise RunError(f"{path}, sample {number}: {error}; correct it, or leave it out") from None
        if isinstance(record, Samples):
            found.append((row.get("step", 0), record))
    return found


def _value(path: Path, row: files.Row | files.Broken) -> Mapping[str, Any]:
    if isinstance(row, files.Broken):
        raise RunError(f"{path}, line {row.line}: {row.reason}")
    return row.value


# -- checkpoints ---------------------------------------------------------------------------------------------------


def path(directory: Path, scorers: Scorers, run: Run, machine: Machine) -> Row:
    """A PPO run: KL and reward at every validation (at every step where there was none), gold of what was said there.

    With gold, the policy where PPO started answers the same prompts, so that the gain is counted from KL 0.
    """
    part = Part.read(directory)
    info, logged = part.info, part.metrics
    held_out = any("validation/kl" in row for row in logged)
    names = ("validation/kl", "validation/reward") if held_out else ("kl", "reward")
    points: list[Row] = [
        {"step": row["step"], "kl": row[names[0]], "proxy": row[names[1]]} for row in logged if row.keys() >= {*names}
    ]
    if held_out and "validation/kl" in (last := part.results) and points[-1]["step"] + 1 < _iterations(info):
        points.append({"step": _iterations(info), "kl": last[names[0]], "proxy": last[names[1]]})
    found: Row = {"run": str(directory), "prompts": "validation" if held_out else "training", "points": points}
    gaps: list[str] = []
    if not points:
        raise RunError(f"--frontier: {directory} logged no KL; name the run directory of `assent ppo`")
    if scorers.gold is None or not held_out:
        reason = "no --gold" if scorers.gold is None else "no validation prompts, so no answers to score"
        return found | {"gaps": [f"{directory}: {reason}: what the answers are worth is not known"]}
    said = samples(directory)
    worth: dict[int, Interval] = {}
    for step in dict.fromkeys(step for step, _ in said):
        worth[step] = _mean(scores(scorers.gold, [row for at, row in said if at == step]))
    points = [_with_gold(point, worth.get(point["step"])) for point in points]
    start = _start(info, directory, said, run, machine)
    if start is None:
        gaps.append(f"{directory}: where PPO started is not there any more, so that no gain can be fitted")
    else:
        first = {"step": 0, "kl": 0.0, "proxy": _proxy(scorers, start)}
        points.insert(0, _with_gold(first, _mean(scores(scorers.gold, start))))
        gaps += _fit(found, points, "rl")
    return found | {"points": points, "gaps": gaps}


def _iterations(info: Mapping[str, Any]) -> int:
    return info["config"]["episodes"] // info["config"]["batch"]


def _start(
    info: Mapping[str, Any], directory: Path, said: Sequence[tuple[int, Samples]], run: Run, machine: Machine
) -> list[Samples] | None:
    """What the policy where PPO started answers to the validation prompts, written once into the evaluation's run."""
    parent = info["parents"].get("model") or info["parents"].get("init")
    origin = model_of(Path(parent["path"])) if parent else Path("nowhere")
    prompts, config = {row.prompt.id: row.prompt for _, row in said}, info["config"]
    limit, temperature = config["limits"]["response"], config["temperature"]
    key = key_of(parent, list(prompts), limit, temperature, config["seed"])[:12]
    kept = run.directory / "frontier" / f"{directory.name}-{key}.jsonl"
    if kept.exists():
        return list(records.read(kept, Samples))
    if not (origin / "config.json").exists():
        return None
    model = LanguageModel.load(origin, machine).freeze()
    asked = [model.text.prompt(prompt.messages) for prompt in prompts.values()]
    drawn = model.sample(asked, limit, temperature, Key(config["seed"], 0))
    rows: list[Samples] = []
    for prompt, ids, ended in zip(prompts.values(), drawn.responses, drawn.ended, strict=True):
        text, finish = model.text.decode(ids), "eos" if ended else "length"
        response = records.Response(text=text, policy="start", temperature=temperature, finish=finish)
        rows.append(Samples(id=f"start/{prompt.id}", prompt=prompt, responses=(response,)))
    if run.writes:
        with atomically(kept) as temporary:
            records.write(temporary, rows)
    return rows


def _proxy(scorers: Scorers, rows: Sequence[Samples]) -> float | None:
    return rounded(_mean(scores(scorers.proxy, rows)).estimate) if scorers.proxy else None


def _mean(found: Sequence[Sequence[float]]) -> Interval:
    """The mean over prompts of the mean score of their responses; prompts without one are left out."""
    means = [float(np.nanmean(row)) for row in found if not np.isnan(row).all()]
    return bootstrap_interval(means, range(len(means))) if means else Interval(*[math.nan] * 3)


def _with_gold(point: Row, worth: Interval | None) -> Row:
    found = worth or Interval(*[math.nan] * 3)
    return point | {"gold": rounded(found.estimate), "low": rounded(found.low), "high": rounded(found.high)}


# -- best of n -----------------------------------------------------------------------------------------------------


def best_of(rows: Sequence[Samples], scorers: Scorers) -> Row:
    """The best of 1, 2, 4, ... by proxy, of N responses to each prompt: exact KL, what is promised, what it is worth.

    Unbiased over all subsets. Raises ValueError when there is no proxy, or no prompt has two scored responses.
    """
    if scorers.proxy is None:
        raise ValueError("--proxy: the best of n is chosen by a reward model; name one")
    pairs = list(zip(scores(scorers.proxy, rows), scores(scorers.gold or scorers.proxy, rows), strict=True))
    kept = [np.array([one for one in zip(*pair, strict=True) if not np.isnan(one).any()]) for pair in pairs]
    most = min((len(pair) for pair in kept if len(pair) > 1), default=0)
    kept = [pair for pair in kept if len(pair) >= most > 1]
    if not kept:
        raise ValueError("--best-of: no prompt has two responses that can be scored; sample several with --responses")
    points: list[Row] = []
    for n in dict.fromkeys([*(2**power for power in range(most.bit_length())), most]):
        promised = [overoptimisation.best_of_n(pair[:, 0], pair[:, 0], n) for pair in kept]
        point = {"n": n, "kl": rounded(overoptimisation.best_of_n_kl(n)), "proxy": rounded(float(np.mean(promised)))}
        if scorers.gold:
            worth = [overoptimisation.best_of_n(pair[:, 0], pair[:, 1], n) for pair in kept]
            point = _with_gold(point, bootstrap_interval(worth, range(len(worth))))
        points.append(point)
    found: Row = {"prompts": len(kept), "responses": most, "points": points}
    gaps = [f"best of n: {len(rows) - len(kept)} of {len(rows)} prompts have too few scored responses"]
    gaps = gaps if len(kept) < len(rows) else []
    gaps += _fit(found, points, "bon") if scorers.gold else []
    return found | {"gaps": gaps}


def _fit(found: Row, points: Sequence[Row], kind: overoptimisation.Kind) -> list[str]:
    """Fit the gold gained over the first point, and put the fit beside the points; why not, where it cannot be."""
    start = points[0]["gold"]
    moved = [point for point in points if point["kl"] > 0 and point["gold"] is not None]
    if start is None or len(moved) < FEWEST:
        return [f"no fit: {len(moved)} points with gold above a KL of 0, {FEWEST} are needed"]
    fitted = overoptimisation.fit([p["kl"] for p in moved], [p["gold"] - start for p in moved], kind)
    values = {name: _plain(value) for name, value in asdict(fitted).items()}
    found["fit"] = values | {"start": start, "extrapolated": fitted.extrapolated}
    return []


def _plain(value: Any) -> Any:
    """A value of a fit as JSON has it; infinite ends of intervals are null."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return rounded(value) if isinstance(value, float) else value
