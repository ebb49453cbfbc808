"""A reward model against rankings that are made of its own scores, and the copies that the probes spoil."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import tiny

from assent import records
from assent.commands.evaluate import Evaluate
from assent.engine.encode import RankingItem
from assent.engine.models import ScalarModel
from assent.evaluate.reward_model import agreement


def test_a_reward_model_is_held_against_rankings(
    tmp_path: Path, blank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model whose score we know: every pair agrees with the ranks made of its scores, none with their opposites."""
    model = ScalarModel.fresh(blank, tiny.MACHINE, seed=0)
    model.calibrate(0.0)
    model.save(tmp_path / "reward" / "model")  # of a run directory
    (tmp_path / "reward" / "run.json").write_text("{}")
    texts = ("red. It is good.", "blue blue", "I like pink 3 times. You do not.", "gold then grey")

    def ranking(number: int, ranks: Sequence[int]) -> records.Ranking:
        prompt = tiny.prompt(f"say {tiny.WORDS[number]}", use_case="chat" if number % 2 else "rewrite")
        responses = tuple(records.Response(text=text) for text in texts)
        return records.Ranking(id=str(number), prompt=prompt, responses=responses, ranks=tuple(ranks), labeler="ann")

    from assent.engine import encode

    blank_rows = [ranking(n, (1, 2, 3, 4)) for n in range(6)]
    items = encode.rankings(model.text, blank_rows, tiny.LIMITS.__class__(64, 64, 64)).items
    with torch.no_grad():
        scores = model.score(encode.ranking_batch(items)).unflatten(0, (6, 4))
    agreeing = [ranking(n, [int((scores[n] > score).sum()) + 1 for score in scores[n]]) for n in range(6)]
    opposed = [ranking(n, [int((scores[n] < score).sum()) + 1 for score in scores[n]]) for n in range(6)]
    found: dict[str, dict[str, Any]] = {}
    for name, rows in (("agreeing", agreeing), ("opposed", opposed)):
        records.write(tmp_path / f"{name}.jsonl", rows)
        flags: dict[str, Any] = {"reward_model": str(tmp_path / "reward"), "rankings": (tmp_path / f"{name}.jsonl",)}
        Evaluate(run=tmp_path / name, machine=tiny.MACHINE, quiet=True, **flags).start()
        found[name] = json.loads((tmp_path / name / "results.json").read_text())["reward_model"]
    assert (found["agreeing"]["accuracy"][1], found["opposed"]["accuracy"][1]) == (1, 0)
    assert (found["agreeing"]["kendall tau"][1], found["opposed"]["kendall tau"][1]) == (1, -1)
    assert (found["agreeing"]["best response found"][1], found["opposed"]["best response found"][1]) == (1, 0)
    assert found["agreeing"]["length correlation"] == found["opposed"]["length correlation"]
    assert found["agreeing"]["loss"] < found["opposed"]["loss"]
    groups = {(row["by"], row["group"]): row["rankings"] for row in found["agreeing"]["by"]}
    assert groups == {("use case", "chat"): 3, ("use case", "rewrite"): 3}  # one labeler, one source: nothing to part
    probes = {row["probe"]: row["responses"] for row in found["agreeing"]["probes"]}
    assert probes["words shuffled"] > 0
    assert "use case chat" in capsys.readouterr().out


def test_labelers_held_out_stand_apart_beside_what_people_reach() -> None:
    """The model agrees with everything that Ann says and with nothing of Bea, who are opposed but for one pair in
    three; Bea is held out."""
    prompts = [tiny.prompt(f"say {word}") for word in tiny.WORDS[:4]]
    responses = tuple(records.Response(text=text) for text in ("a", "b", "c"))
    items, scores = list[RankingItem](), list[np.ndarray]()
    for number, prompt in enumerate(prompts):
        for labeler, ranks in (("ann", (1, 2, 3)), ("bea", (3, 2, 1) if number else (1, 3, 2))):
            name = f"{number}-{labeler}"
            row = records.Ranking(id=name, prompt=prompt, responses=responses, ranks=ranks, labeler=labeler)
            ids = (torch.tensor([1]),) * 3
            items.append(RankingItem(record=row, prompt=ids[0], responses=ids, ranks=torch.tensor(ranks)))
            scores.append(np.array([3.0, 2.0, 1.0]))
    found = agreement(items, scores, {"bea"})
    groups = {row["group"]: row["accuracy"][1] for row in found["by"] if row["by"] == "labelers"}
    assert groups == {"training": 1, "held out": round(2 / 12, 4)}  # two of the three pairs of the first prompt
    assert found["labelers among themselves"][1] == round(2 / 12, 4)
    assert not [row for row in agreement(items, scores)["by"] if row["by"] == "labelers"]
    alone = [number for number, item in enumerate(items) if item.record.labeler == "ann"]
    assert agreement([items[n] for n in alone], [scores[n] for n in alone])["labelers among themselves"] is None


def test_spoilt_copies_are_what_they_say() -> None:
    from assent.evaluate.reward_model import PROBES

    text = "He is 9 and met her. I saw You."
    assert {name: spoil(text) for name, spoil in PROBES.items() if name != "words shuffled"} == {
        "last sentence repeated": "He is 9 and met her. I saw You. I saw You.",
        "last sentence dropped": "He is 9 and met her.",
        "roles swapped": "She is 9 and met him. You saw I.",
        "first statement denied": "He is not 9 and met her. I saw You.",
        "numbers raised by one": "He is 10 and met her. I saw You.",
    }
    shuffled = PROBES["words shuffled"](text)
    assert shuffled != text
    assert sorted(shuffled.split()) == sorted(text.split())
