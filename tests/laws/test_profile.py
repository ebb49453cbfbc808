"""`--profile`: a trace that opens and costs that add up, whatever the number of steps."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tests import tiny

from assent.engine.learner import Learner, Optimiser
from assent.engine.profile import COSTS, Profile
from assent.run import Run
from assent.train.sft import next_token


@dataclass(frozen=True)
class Nothing:
    pass


@pytest.mark.parametrize(("total", "asked"), [(4, 2), (3, 9)])
def test_steps_after_the_first_are_watched(blank: Path, tmp_path: Path, total: int, asked: int) -> None:
    learner = Learner(tiny.model(blank), Optimiser(learning_rate=1e-3), lambda update: 1.0)
    with Run.open(tmp_path / "run", "sft", Nothing(), {}, quiet=True) as run:
        run.watch = Profile(tmp_path / "profile", asked)
        for _ in run.steps(total, learner):
            learner.backward(next_token, tiny.texts(6))
            learner.step()
    head, *rows = (tmp_path / "profile" / "costs.txt").read_text().splitlines()
    assert head.split()[:2] == ["ms", "a"]
    assert len(rows) == COSTS
    shares = [float(row.split()[1].removesuffix("%")) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 100.1
    trace = json.loads((tmp_path / "profile" / "trace.json").read_text())
    updates = [one for one in trace["traceEvents"] if one.get("name") == "aten::_fused_adamw_"]
    assert len(updates) == min(asked, total - 1)


def test_what_another_thread_does_is_watched_too(tmp_path: Path) -> None:
    """Policy and value learn side by side: the costs of both are costs."""
    numbers, watch = torch.ones(500), Profile(tmp_path, 1)
    with ThreadPoolExecutor(1) as other:
        for last in (False, True):
            other.submit(numbers.cosh).result()
            watch(last)
    names = {one.get("name") for one in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]}
    assert "aten::cosh" in names


def test_a_run_of_one_step_has_nothing_to_watch(tmp_path: Path) -> None:
    watch = Profile(tmp_path / "profile", 3)
    watch(True)
    assert not (tmp_path / "profile").exists()
