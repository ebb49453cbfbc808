"""The alignment tax of recorded models whose answers are known: gains, losses, and what cannot be compared."""

from pathlib import Path
from typing import Any

import pytest
from tests.data.kit import write
from tests.evaluate.kit import MACHINE, results

from assent import records
from assent.commands.evaluate import Evaluate
from assent.evaluate import tax
from assent.evaluate.measure import Settings
from assent.records import Message, Prompt, Response, Samples
from assent.run import RunError

ITEMS = 30
WORDS = ["the", "small", "cat", "sees", "a", "red", "house", "near", "the", "old", "river"]
ONCE = Settings(shots=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evals")
    write(
        folder / "drop.jsonl",
        [{"id": f"d{n}", "passage": f"p{n}", "question": "q", "answers": ["yes"]} for n in range(ITEMS)],
    )
    sentences = [{"id": f"w{n}", "fr": f"phrase {n}", "en": " ".join(WORDS[n % 3 : 6 + n % 4])} for n in range(ITEMS)]
    write(folder / "wmt_fr_en.jsonl", sentences)
    write(folder / "real_toxicity_prompts.jsonl", [{"id": f"t{n}", "prompt": f"he said {n}"} for n in range(ITEMS)])
    (folder / "bad_words_en.txt").write_text("bad\n")
    return folder


def recorded(path: Path, answers: dict[str, Any]) -> str:
    """A file of outputs: task/prompt -> a function from the number of an item to the text."""
    prefixes = {"drop": "d", "wmt_fr_en": "w", "real_toxicity": "t"}
    rows: list[Samples] = []
    for kind, said in answers.items():
        for n in range(ITEMS):
            name = f"{kind}/{prefixes[kind.partition('/')[0]]}{n}"
            prompt = Prompt(id=name, messages=(Message("user", "x"),))
            rows.append(Samples(id=name, prompt=prompt, responses=(Response(text=said(n)),)))
    records.write(path, rows)
    return str(path)


def evaluated(folder: Path, data: Path, name: str, answers: dict[str, Any], **flags: Any) -> Path:
    file = recorded(folder / f"{name}.jsonl", answers)
    options: dict[str, Any] = {"tasks": ("drop", "wmt_fr_en", "real_toxicity"), "settings": ONCE, **flags}
    Evaluate(
        run=folder / name, models=(f"{name}={file}",), data=(str(data),), machine=MACHINE, quiet=True, **options
    ).start()
    return folder / name


def sentence(n: int) -> str:
    return " ".join(WORDS[n % 3 : 6 + n % 4])


def test_what_was_gained_and_lost(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = {
        "drop/zero": lambda n: "yes" if n % 3 == 0 else "no",
        "wmt_fr_en/zero": sentence,
        "real_toxicity/basic": lambda n: "bad" if n % 2 else "fine",
        "real_toxicity/biased": lambda n: "bad" if n == 3 else "fine",
    }
    new = {
        "drop/zero": lambda n: "yes" if n % 6 else "no",
        "wmt_fr_en/zero": lambda n: sentence(n).replace("cat", "dog").replace("red", "blue"),
        "real_toxicity/basic": lambda n: "fine",
        "real_toxicity/biased": lambda n: "bad" if n == 4 else "fine",
    }
    before, after = evaluated(tmp_path, data, "before", old), evaluated(tmp_path, data, "after", new)
    Evaluate(run=tmp_path / "tax", tax=(str(before), str(after)), quiet=True).start()
    found = results(tmp_path / "tax")
    rows = {(row["task"], row["prompt"]): row for row in found["tax"]["rows"]}
    assert {place: row["verdict"] for place, row in rows.items()} == {
        ("drop", "zero"): "gained",
        ("wmt_fr_en", "zero"): "lost",
        ("real_toxicity", "basic"): "gained",  # less toxicity is better
        ("real_toxicity", "biased"): "",  # another item, as often
    }
    drop = rows["drop", "zero"]
    assert (drop["before"], drop["after"], drop["n"]) == (pytest.approx(100 / 3), pytest.approx(500 / 6), ITEMS)
    assert drop["value"] == pytest.approx(50)
    assert 0 < drop["low"] < 50 < drop["high"]
    scored = {(row["model"], row["metric"]): row["value"] for row in results(after)["evaluation"]}
    assert rows["wmt_fr_en", "zero"]["after"] == pytest.approx(scored["after", "bleu"], abs=1e-4)
    assert rows["real_toxicity", "basic"]["p_holm"] == pytest.approx(3 * rows["real_toxicity", "basic"]["p"], abs=1e-5)
    assert drop["p_holm"] == pytest.approx(2 * drop["p"], abs=1e-5)  # the third smallest of four
    assert rows["real_toxicity", "biased"]["p_holm"] == 1
    assert "Gained 2, lost 1, no change shown 1" in capsys.readouterr().out
    assert [one["path"] for one in found["made"]["tax"]["files"]] == [
        str(one / "results.json") for one in (before, after)
    ]


def test_a_model_against_itself_gains_nothing(tmp_path: Path, data: Path) -> None:
    run = evaluated(tmp_path, data, "one", {"drop/zero": lambda n: "yes" if n % 2 else "no"})
    side = tax.Side.parse(f"{run}#one")
    (row,) = tax.tax(side, side)["rows"]
    assert (row["value"], row["verdict"]) == (0, "")
    assert (row["low"], row["high"]) == (None, None)  # no spread was seen, so that none is known


def test_what_cannot_be_compared_is_a_gap(tmp_path: Path, data: Path) -> None:
    said = {"drop/zero": lambda n: "yes", "real_toxicity/basic": lambda n: "fine"}
    before = evaluated(tmp_path, data, "before", said)
    words = tmp_path / "words.txt"
    words.write_text("fine\n")
    after = evaluated(tmp_path, data, "after", said | {"wmt_fr_en/zero": sentence}, toxicity=str(words))
    found = tax.tax(tax.Side.parse(str(before)), tax.Side.parse(str(after)))
    assert {row["task"] for row in found["rows"]} == {"drop"}
    gaps = " ".join(found["gaps"])
    assert "real_toxicity, basic: asked with other examples, or scored by another" in gaps
    assert "wmt_fr_en: before has no scores of items" in gaps


def test_what_is_no_evaluation_is_refused(tmp_path: Path, data: Path) -> None:
    run = evaluated(tmp_path, data, "one", {"drop/zero": lambda n: "yes"})
    with pytest.raises(RunError, match="is no run directory"):
        tax.Side.parse(str(tmp_path))
    with pytest.raises(RunError, match=r"names no model; there are .*one#one"):
        tax.Side.parse(f"{run}#two")
    with pytest.raises(RunError, match="1 evaluations given; name two"):
        Evaluate(run=tmp_path / "tax", tax=(str(run),), quiet=True).start()
