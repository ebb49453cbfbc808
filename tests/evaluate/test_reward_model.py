"""A reward model against rankings that are made of its own scores, and the copies that the probes spoil."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny

from assent import records
from assent.commands.evaluate import Evaluate
from assent.engine.models import ScalarModel


def test_a_reward_model_is_held_against_rankings(
    tmp_path: Path, blank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model whose score we know: every pair agrees with the ranks made of its scores, none with their opposites."""
    model = ScalarModel.fresh(blank, tiny.MACHINE, seed=0)
    model.calibrate(0.0)
    model.save(tmp_path / "reward")
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
        flags = {"reward_model": str(tmp_path / "reward"), "rankings": (tmp_path / f"{name}.jsonl",)}
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
