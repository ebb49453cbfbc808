"""What the store says of how an item was chosen reaches evaluation: by the ids of an export's rankings."""

from dataclasses import replace
from pathlib import Path

import pytest

from assent import records
from assent.evaluate.weighing import beside, propensities, weighted
from assent.label.store import answers, exporting, slots
from assent.label.store.database import Database
from assent.label.store.slots import Worker
from assent.records import Ranking
from tests.label import kit
from tests.label.web import SECRET


def test_every_ranking_of_an_export_finds_its_chance(light: Database, folder: Path) -> None:
    kit.batch(
        light,
        [replace(one, chosen="uncertain", propensity=0.5 + number / 8) for number, one in enumerate(kit.items(3, 2))],
    )
    for one in kit.people(light, 2):
        worker = Worker(one, "train", 60)
        for _ in range(3):
            identity, _ = slots.claim(light, worker)
            assert identity is not None
            with light.read() as connection:
                keys = [key for key, _ in slots.owned(connection, worker, identity).shown]
            answers.submit(light, worker, identity, f"key-{identity}", kit.ranking(keys))
    with light.read() as connection:
        exporting.export(connection, "first", SECRET).write(folder / "out")
    rankings = list(records.read(folder / "out" / "rankings.jsonl", Ranking))
    found = propensities(beside([folder / "out" / "rankings.jsonl"]))
    assert len(rankings) == len(found) == 6
    by_record = {row.prompt.id: found[row.id] for row in rankings}
    assert by_record == {f"prompt-{number}": 0.5 + number / 8 for number in range(3)}
    rows, gaps = weighted(rankings, "secret-model-0", (), found)
    assert gaps == []
    assert {row["n"] for row in rows} == {6}
    assert rows[0]["effective"] == pytest.approx(6 * (2 + 1.6 + 4 / 3) ** 2 / 3 / (4 + 2.56 + 16 / 9), abs=0.1)
