"""What every stage logs in its first steps is what it has always logged."""

import json
from pathlib import Path

import pytest

from tests.golden import stages


def test_the_first_steps_of_every_stage_give_the_pinned_numbers(tmp_path: Path) -> None:
    pinned = json.loads(stages.PINNED.read_text())
    found = stages.measure(tmp_path)
    assert found.keys() == pinned.keys()
    for stage, series in pinned.items():
        assert found[stage].keys() == series.keys()
        for name, values in series.items():
            assert found[stage][name] == pytest.approx(values, rel=5e-3, abs=2e-4), f"{stage}: {name}"
