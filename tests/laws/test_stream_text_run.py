"""Contract 5 and the borders: streams, text, records, run directories."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests import tiny

from assent import records
from assent.engine import encode
from assent.engine.stream import MixedStream, Stream
from assent.engine.text import Limits, Text
from assent.records import Message, RecordError
from assent.run import Run, RunError
from assent.train.ppo import PPOConfig
from assent.train.sft import SFTConfig

# -- streams -------------------------------------------------------------------------------------------------------


def test_every_pass_sees_every_item_once_in_another_order() -> None:
    stream = Stream(range(10), 5, seed=1)
    passes = [stream[2 * n] + stream[2 * n + 1] for n in range(3)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert passes[0] != passes[1] != passes[2]
    assert Stream(range(10), 5, seed=1)[4] == stream[4]
    with pytest.raises(ValueError, match=r"rejected\.jsonl"):
        Stream([], 5, seed=1)


def test_the_papers_numbers_of_steps() -> None:
    assert Stream(range(12_725), 32, 0).steps(16) == 6363
    assert (PPOConfig().iterations, PPOConfig().updates) == (500, 8)
    assert [PPOConfig().warmup(update) for update in (0, 7, 8, 80)] == pytest.approx([0.1, 0.1, 0.19, 1])


def test_a_mixed_stream_mixes_and_counts() -> None:
    mixed = MixedStream(Stream([("a", n) for n in range(100)], 8, 0), Stream([("b", 0)], 8, 1), 0.1, 3)
    rows = [row for step in range(mixed.total) for row in mixed[step]]
    firsts = [n for name, n in rows if name == "a"]
    assert 300 <= len(firsts) < 308
    assert sorted(firsts[:100]) == list(range(100))
    assert 0.05 < 1 - len(firsts) / len(rows) < 0.16
    end = mixed.end_of_pass(1)
    before = [row for step in range(end + 1) for row in mixed[step] if row[0] == "a"]
    assert 100 <= len(before) < 108
    plain = MixedStream(Stream(range(10), 4, 0), Stream(range(10), 4, 1), 0.0, 2)
    assert (plain.total, plain.end_of_pass(2)) == (5, 4)


# -- text ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def text(blank: Path) -> Text:
    return Text.load(blank)


def test_written_text_never_becomes_a_control_token(text: Text) -> None:
    evil = f"a {text.tokenizer.eos_token} b"
    for ids in (text.prompt([Message("user", evil)]), text.response(evil)[:-1], text.chunks([evil], 99)[0][:-1]):
        assert text.end not in ids
    assert text.decode(text.response(evil)) == evil
    earlier = [Message("user", evil), Message("assistant", evil), Message("user", "c")]
    assert text.prompt(earlier).tolist().count(text.end) == 1  # the template's own, after the assistant's turn


def test_responses_end_and_come_back(text: Text) -> None:
    ids = text.response("red  blue\n é 漢")
    assert ids[-1] == text.end
    assert text.decode(ids) == "red  blue\n é 漢"
    assert torch.equal(text.responses(["red  blue\n é 漢"])[0], ids)
    assert torch.equal(text.response("red", ended=False), text.response("red")[:-1])
    assert text.prompt([Message("user", "")]).tolist()


def test_a_prompt_with_and_without_control_text_is_rendered_alike(text: Text) -> None:
    """The careful path gives the template's own ids where nothing is dangerous."""
    turns = [Message("system", "be kind"), Message("user", "say"), Message("assistant", "red"), Message("user", "more")]
    usual = text.prompt(turns)
    text.controls = (*text.controls, "say")
    careful = text.prompt(turns)
    text.controls = text.controls[:-1]
    assert text.tokenizer.decode(careful) == text.tokenizer.decode(usual)


@pytest.mark.parametrize("pad", [None, "eos"])
def test_padding_of_the_tokenizer_does_not_matter(blank: Path, pad: str | None, tmp_path: Path) -> None:
    text = Text.load(blank)
    if pad:
        text.tokenizer.pad_token = text.tokenizer.eos_token
    assert text.response("red")[-1] == text.end
    assert text.padding() != text.end


def test_the_end_of_turn_is_what_the_template_writes(blank: Path) -> None:
    tokenizer = Text.load(blank).tokenizer
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}:{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    text = Text(tokenizer)
    assert text.end == tokenizer.convert_tokens_to_ids("<|im_end|>") != text.separator


def test_the_raw_template_is_the_prompt_as_typed(blank: Path) -> None:
    text = Text.load(blank, "raw")
    assert text.tokenizer.decode(text.prompt([Message("user", "say red")])) == "say red\n"


def test_a_tokenizer_without_an_end_is_refused(blank: Path) -> None:
    tokenizer = Text.load(blank).tokenizer
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="no end-of-sequence token"):
        Text(tokenizer)


def test_what_is_too_long_tied_or_empty_is_left_out_with_a_reason(text: Text) -> None:
    long = tiny.prompt("say " * 40)
    assert "the limit is 24" in encode.prompts(text, [long, tiny.PROMPTS[0]], tiny.LIMITS).rejected[0]["reason"]
    shown = [*tiny.DEMONSTRATIONS, records.Demonstration(id="x", prompt=tiny.PROMPTS[0], response="red " * 99)]
    found = encode.demonstrations(text, shown, tiny.LIMITS)
    assert (len(found.items), found.rejected[0]["id"]) == (6, "x")

    def ranking(ranks: tuple[int, ...], *texts: str) -> records.Ranking:
        responses = tuple(records.Response(text=one, finish="" if one else "length") for one in texts)
        return records.Ranking(id="r", prompt=tiny.PROMPTS[0], responses=responses, ranks=ranks)

    rows = [ranking((1, 1), "a", "b"), ranking((1, 2), "a", ""), ranking((2, 1, 2), "a", "b " * 99, "c")]
    reasons = [row["reason"] for row in encode.rankings(text, rows, tiny.LIMITS).rejected]
    assert sum("tied" in reason for reason in reasons) == 2
    assert any("empty and unfinished" in reason for reason in reasons)
    assert any("limit is 8" in reason for reason in reasons)
    with pytest.raises(ValueError, match="lower limits"):
        encode.fitting(Limits(), 64)


# -- records -------------------------------------------------------------------------------------------------------

RATING = records.Rating(
    id="r", prompt=tiny.PROMPTS[0], response=records.Response(text="a"), overall=7, flags={"hallucination": None}
)
SAMPLES = records.Samples(id="s", prompt=tiny.PROMPTS[0], responses=(records.Response(text="", finish="length"),))
EACH = [tiny.PROMPTS[0], tiny.DEMONSTRATIONS[0], SAMPLES, tiny.RANKINGS[0], RATING, tiny.DOCUMENTS[0]]


@pytest.mark.parametrize("record", EACH, ids=lambda record: type(record).__name__)
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_records_come_back_as_they_were(record: Any, name: str, tmp_path: Path) -> None:
    assert records.write(tmp_path / name, [record]) == 1
    records.write(tmp_path / name, [record])
    assert list(records.read(tmp_path / name, type(record))) == [record, record]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 2}, "schema"),
        ({"ranks": [1]}, "ranks: 1 ranks for"),
        ({"ranks": [0, 1, 2]}, "below 1"),
        ({"ranks": [True, 1, 2]}, r"ranks\[0\]: int was expected"),
        ({"prompt": {"id": "p", "messages": [{"role": "robot", "content": ""}]}}, r"prompt.messages\[0\].*robot"),
        ({"surprise": 1}, "surprise: unknown field"),
        ({"kind": "prompt"}, "unknown field|missing"),
    ],
)
def test_a_bad_line_is_named_with_file_line_field_and_remedy(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    row = records.to_json(tiny.RANKINGS[0])
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(row) + "\n\n" + json.dumps(row | change) + "\n")
    with pytest.raises(RecordError, match=says) as caught:
        list(records.read(path, records.Ranking))
    assert f"{path}, line 3" in str(caught.value)
    assert "assent import" in str(caught.value)


# -- runs ----------------------------------------------------------------------------------------------------------


class Count:
    """The smallest state: one number."""

    value = 0

    def save(self, directory: Path) -> None:
        (directory / "value").write_text(str(self.value))

    def load(self, directory: Path) -> None:
        self.value = int((directory / "value").read_text())


def go(path: Path, stop: int | None = None) -> Count:
    state = Count()
    with Run.open(path, "sft", SFTConfig(), {"data": Path(__file__)}, save_every=3, quiet=True) as run:
        for step in run.steps(8, state):
            state.value += step
            run.log(step, {"value": state.value})
            if step == stop:
                raise KeyboardInterrupt
        run.finish()
    return state


@pytest.mark.parametrize("stop", [0, 2, 3, 5, 7])
def test_a_run_goes_on_where_it_was_killed(stop: int, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "run", stop)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "val')  # half a line
    (tmp_path / "run" / "checkpoints" / ".step-00000099.tmp").mkdir(parents=True)  # half a checkpoint
    assert go(tmp_path / "run").value == sum(range(8))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(8))
    assert [line["value"] for line in lines] == [sum(range(n + 1)) for n in range(8)]


def test_a_run_refuses_what_is_not_its_own(tmp_path: Path) -> None:
    parents = {"data": Path(__file__)}
    with Run.open(tmp_path / "a", "sft", SFTConfig(), parents), pytest.raises(RunError, match="in use"):
        Run.open(tmp_path / "a", "sft", SFTConfig(), parents)
    with pytest.raises(RunError, match=r"started with batch = 32, this command says 8"):
        Run.open(tmp_path / "a", "sft", SFTConfig(batch=8), parents)
    with pytest.raises(RunError, match="data"):
        Run.open(tmp_path / "a", "sft", SFTConfig(), {"data": Path(records.__file__)})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("")
    with pytest.raises(RunError, match=r"thesis\.txt"):
        Run.open(tmp_path / "b", "sft", SFTConfig(), parents)
