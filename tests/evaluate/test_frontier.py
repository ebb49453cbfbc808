"""Reward against KL from run directories: gold of what was said, the start sampled once, best of n without bias."""

import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import tiny
from tests.evaluate.kit import MACHINE, results

from assent import records
from assent.commands.evaluate import Evaluate
from assent.engine import encode
from assent.engine.models import ScalarModel
from assent.engine.text import Limits
from assent.evaluate import frontier
from assent.evaluate.frontier_grids import grids
from assent.records import Response, Samples
from assent.run import Run, RunError

TEXTS = ("red", "blue blue", "pink then gold", "good fine bad", "grey", "teal and teal", "say", "fine")


@dataclass(frozen=True)
class Config:
    """What a frontier reads of a PPO run's configuration."""

    episodes: int = 80
    batch: int = 10
    temperature: float = 1.0
    seed: int = 3
    limits: dict[str, int] = field(default_factory=lambda: {"response": 6})


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory, blank: Path) -> dict[str, Path]:
    """Two reward models that disagree."""
    folder = tmp_path_factory.mktemp("judges")
    for seed, name in enumerate(("proxy", "gold")):
        model = ScalarModel.fresh(blank, MACHINE, seed=seed)
        model.calibrate(0.0)
        model.save(folder / name)
    return {name: folder / name for name in ("proxy", "gold")}


def said(number: int, *texts: str) -> Samples:
    prompt = tiny.prompt(f"say {tiny.WORDS[number]}")
    return Samples(id=f"{number}", prompt=prompt, responses=tuple(Response(text=text, finish="eos") for text in texts))


def ppo(folder: Path, model: Path, *, validation: bool = True) -> Path:
    """A PPO run of eight steps whose KL grows, with validation at every other one."""
    with Run.open(folder, "ppo", Config(), {"model": model}, quiet=True) as run:
        for step in range(8):
            row = {"kl": 0.2 * step, "reward": 0.1 * step}
            if validation and step % 2:
                row |= {"validation/kl": 0.5 * step, "validation/reward": math.sqrt(step)}
                run.log_samples(step, "ppo", [said(n, TEXTS[(n + step) % len(TEXTS)]) for n in range(6)])
            run.log(step, row)
        run.finish()
    return folder


@torch.no_grad()
def score(judge: Path, words: str, text: str) -> float:
    """The score of one answer, by the way that reward models are evaluated."""
    model = ScalarModel.load(judge, MACHINE)
    two = (Response(text=text, finish="eos"), Response(text=f"{text} x", finish="eos"))
    row = records.Ranking(id="r", prompt=tiny.prompt(words), responses=two, ranks=(1, 2))
    return float(model.score(encode.ranking_batch(encode.rankings(model.text, [row], Limits(64, 64, 64)).items))[0])


def test_checkpoints_have_the_gold_of_what_they_said(
    tmp_path: Path, blank: Path, judges: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = ppo(tmp_path / "ppo", blank)
    flags: dict[str, Any] = {"frontier": (run,), "proxy": str(judges["proxy"]), "gold": str(judges["gold"])}
    Evaluate(run=tmp_path / "run", machine=MACHINE, quiet=True, **flags).start()
    found = results(tmp_path / "run")["reach"]["runs"][0]
    assert [point["step"] for point in found["points"]] == [0, 1, 3, 5, 7]
    assert [point["kl"] for point in found["points"]] == [0, 0.5, 1.5, 2.5, 3.5]
    third = found["points"][2]
    worth = [score(judges["gold"], f"say {tiny.WORDS[n]}", TEXTS[(n + 3) % len(TEXTS)]) for n in range(6)]
    assert third["gold"] == pytest.approx(np.mean(worth), abs=1e-4)
    assert third["low"] < third["gold"] < third["high"]
    assert found["fit"]["kind"] == "rl"
    assert found["fit"]["start"] == found["points"][0]["gold"]
    (kept,) = (tmp_path / "run" / "frontier").glob("ppo-*.jsonl")
    assert len(list(records.read(kept, Samples))) == 6
    before = kept.read_bytes()
    Evaluate(run=tmp_path / "run", machine=MACHINE, quiet=True, **flags).start()
    assert kept.read_bytes() == before
    assert "Over-optimisation, fitted to gold" in capsys.readouterr().out


def test_without_gold_or_validation_that_is_said(tmp_path: Path, blank: Path, judges: dict[str, Path]) -> None:
    plain = ppo(tmp_path / "plain", blank, validation=False)
    flags: dict[str, Any] = {"frontier": (plain,), "gold": str(judges["gold"]), "proxy": str(judges["proxy"])}
    Evaluate(run=tmp_path / "run", machine=MACHINE, quiet=True, **flags).start()
    found = results(tmp_path / "run")["reach"]
    assert (found["runs"][0]["prompts"], len(found["runs"][0]["points"])) == ("training", 8)
    assert "no validation prompts" in found["gaps"][0]
    with pytest.raises(RunError, match="is not a run directory"):
        Evaluate(run=tmp_path / "none", machine=MACHINE, quiet=True, frontier=(tmp_path / "nowhere",)).start()
    with (plain / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "k')  # killed in the middle of a line
    Evaluate(run=tmp_path / "run", machine=MACHINE, quiet=True, **flags).start()
    assert results(tmp_path / "run")["reach"]["runs"] == found["runs"]
    with pytest.raises(RunError, match="logged no KL"):
        Evaluate(run=tmp_path / "no", machine=MACHINE, quiet=True, frontier=(_sft(tmp_path / "sft"),)).start()


def _sft(folder: Path) -> Path:
    with Run.open(folder, "sft", Config(), {}, quiet=True) as run:
        run.log(0, {"loss": 1.0})
    return folder


def test_the_best_of_n_by_hand(judges: dict[str, Path]) -> None:
    """Of three responses the best of two is the highest by proxy in two of three pairs, the middle one in the third."""
    rows = [said(n, *TEXTS[n : n + 3]) for n in range(4)]
    scorers = frontier.Scorers.load(str(judges["proxy"]), str(judges["gold"]), MACHINE)
    found = frontier.best_of(rows, scorers)
    assert scorers.proxy is not None
    assert scorers.gold is not None
    proxy, gold = (np.array(frontier.scores(model, rows)) for model in (scorers.proxy, scorers.gold))
    assert [point["n"] for point in found["points"]] == [1, 2, 3]
    one, two, three = found["points"]
    assert (one["kl"], one["gold"]) == (0, pytest.approx(gold.mean(), abs=1e-5))
    assert two["kl"] == pytest.approx(math.log(2) - 1 / 2, abs=1e-6)
    ordered = np.take_along_axis(gold, proxy.argsort(axis=1), axis=1)
    assert two["gold"] == pytest.approx((ordered @ [0, 1 / 3, 2 / 3]).mean(), abs=1e-5)
    assert three["proxy"] == pytest.approx(proxy.max(axis=1).mean(), abs=1e-5)
    assert found["gaps"] == ["no fit: 2 points with gold above a KL of 0, 3 are needed"]


def test_best_of_n_reads_a_run_of_samples_and_fits(tmp_path: Path, judges: dict[str, Path]) -> None:
    with Run.open(tmp_path / "samples", "sample", Config(), {}, quiet=True) as run:
        run.log_samples(0, "init", [said(n, *TEXTS) for n in range(6)])
        run.finish()
    flags: dict[str, Any] = {
        "best_of": tmp_path / "samples",
        "proxy": str(judges["proxy"]),
        "gold": str(judges["gold"]),
    }
    Evaluate(run=tmp_path / "run", machine=MACHINE, quiet=True, **flags).start()
    found = results(tmp_path / "run")["reach"]["best_of"]
    assert [point["n"] for point in found["points"]] == [1, 2, 4, 8]
    assert found["fit"]["kind"] == "bon"
    with pytest.raises(ValueError, match="--proxy: the best of n is chosen by a reward model"):
        Evaluate(run=tmp_path / "no", machine=MACHINE, quiet=True, best_of=tmp_path / "samples").start()


def test_responses_without_a_score_are_left_out(judges: dict[str, Path]) -> None:
    scorers = frontier.Scorers.load(str(judges["proxy"]), "", MACHINE)
    assert scorers.proxy is not None
    empty = said(0, "red", "blue")
    unfinished = replace(
        empty, responses=(*empty.responses, Response(text="", finish="length"), Response(text="x " * 200))
    )
    assert [math.isnan(one) for one in frontier.scores(scorers.proxy, [unfinished])[0]] == [False, False, True, True]
    lonely = said(1, "red")
    found = frontier.best_of([empty, lonely], scorers)
    assert (found["prompts"], found["responses"]) == (1, 2)
    assert "gold" not in found["points"][0]
    assert found["gaps"] == ["best of n: 1 of 2 prompts have too few scored responses"]
    assert grids({"runs": [], "best_of": found})[0].columns == ("n", "KL, nats", "proxy: promised")


def test_files_that_hold_no_samples_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps({"kind": "samples"}) + "\n")
    with pytest.raises(RunError, match=r"samples\.jsonl, sample 1: schema"):
        frontier.samples(path)
    path.write_text('{"kind": "sam')
    with pytest.raises(RunError, match=r"samples\.jsonl, line 1: "):
        frontier.samples(path)
    with pytest.raises(RunError, match="does not exist"):
        frontier.samples(tmp_path / "nowhere")
