"""How much personal data the recognisers find, on a corpus labelled by hand, hard cases among it."""

import json
from pathlib import Path

import pytest

from assent.data import pii

CORPUS = [json.loads(line) for line in (Path(__file__).parent / "personal.jsonl").read_text().splitlines()]
RECALL, PRECISION = 0.9, 0.97


def found(text: str) -> set[str]:
    return {one.name for one in pii.RECOGNISERS if one.finds(text)}


def test_most_is_found_and_little_else() -> None:
    """Both floors over the whole corpus; what is known to be missed stands in it as well."""
    holding = [one for one in CORPUS if one["holds"]]
    assert len(holding) >= 50
    assert len(CORPUS) - len(holding) >= 60
    right = [one for one in holding if one["holds"] in found(one["text"])]
    told = sum(len(found(one["text"])) for one in CORPUS)
    assert len(right) / len(holding) >= RECALL
    assert len(right) / told >= PRECISION


@pytest.mark.parametrize("name", [one.name for one in pii.RECOGNISERS])
def test_every_recogniser_has_its_floor(name: str) -> None:
    mine = [name in found(one["text"]) for one in CORPUS if one["holds"] == name]
    assert len(mine) >= 5
    assert sum(mine) / len(mine) >= 0.75
