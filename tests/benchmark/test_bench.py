"""The benchmark's own arithmetic and data: ratios, merging, turns, and that both sides are given the same tokens."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from bench import assets, costmodel, limits, results, turns, work
from bench.peer.options import SHIPPED, TUNED, grid, shipped
from bench.sides import Answer

from assent.engine.text import Text

TEXT = "\n".join(
    f"Returning the number {n} is what the function called {word} does whenever it was asked and nothing failed"
    for n in range(60)
    for word in ("first", "sorting", "mapped", "joining")
)
COUNTS = {"demonstrations": 6, "rankings": 4, "prompts": 3}
SMALL = work.Size(hidden=8, inter=16, layers=1, heads=2)


def answer(seconds: float, items: float = 12, peak: float = 100.0, **more: Any) -> Answer:
    return Answer(seconds=seconds, cpu=seconds, peak_mb=peak, steps=2, items=items, tokens=24, **more)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Text:
    path = tmp_path_factory.mktemp("assets")
    assets.create_tokenizer(TEXT, path, vocabulary=400)
    return Text.load(path)


# -- data ----------------------------------------------------------------------------------------------------------


def test_data_are_a_function_of_the_seed(text: Text) -> None:
    first, again, other = (assets.create_data(TEXT, text.tokenizer, COUNTS, seed) for seed in (3, 3, 4))
    assert first == again
    assert all(first[kind] != other[kind] for kind in COUNTS)
    assert {kind: len(rows) for kind, rows in first.items()} == COUNTS


def test_models_and_tokenizers_are_the_same_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assets.create_tokenizer(TEXT, tmp_path / name, vocabulary=400)
        assets.create_model(SMALL, tmp_path / name, vocabulary=400)
    for file in ("tokenizer.json", "model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_rankings_are_whole_orders_that_words_decide(text: Text) -> None:
    rows = assets.create_data(TEXT, text.tokenizer, {**COUNTS, "rankings": 40})["rankings"]
    assert all(sorted(row.ranks) == list(range(1, work.K + 1)) for row in rows)

    def share(row: Any, rank: int) -> float:
        words = row.responses[row.ranks.index(rank)].text.split()
        return sum(word.endswith(("ing", "ed")) for word in words) / len(words)

    assert sum(share(row, 1) > share(row, work.K) for row in rows) > 35


def test_the_peer_gets_the_tokens_of_our_stream_in_its_order(text: Text) -> None:
    counts = {"demonstrations": 3 * work.BATCH, "rankings": 3 * work.RANKINGS, "prompts": 3}
    items = assets.encoded(text, assets.create_data(TEXT, text.tokenizer, counts))
    ids = json.loads(json.dumps(assets.as_ids(items)))
    for kind, batch in (("demonstrations", work.BATCH), ("rankings", work.RANKINGS)):
        stream = assets.Stream(items[kind], batch, assets.SEED)
        delivered = [item for step in range(3) for item in stream[step]]
        assert [item.prompt.tolist() for item in delivered] == [row[0] for row in ids[kind]]
    demonstrations = [[item.prompt.tolist(), item.response.tolist()] for item in items["demonstrations"]]
    assert sorted(demonstrations) == sorted(ids["demonstrations"])
    assert all(response[-1] == text.end for _, response in ids["demonstrations"])
    assert len(set(map(str, ids["demonstrations"]))) == counts["demonstrations"], "no example stands in it twice"


def test_rows_that_do_not_fit_are_not_left_out_silently(text: Text) -> None:
    data = assets.create_data(TEXT, text.tokenizer, COUNTS)
    long = data["prompts"][0].messages[0]
    prompt = assets.records.Prompt(id="long", messages=(assets.records.Message("user", long.content * 40),))
    with pytest.raises(ValueError, match="the limit is 128"):
        assets.encoded(text, {**data, "prompts": [prompt]})


# -- turns ---------------------------------------------------------------------------------------------------------


class Script(turns.Turns):
    """Turns without a driver."""

    def __init__(self, asked: Sequence[int]) -> None:
        self.asked, self.answers, self.began = list(asked), list[dict[str, Any]](), 0.0

    def start(self) -> int:
        return self.asked.pop(0)

    def end(self, **done: Any) -> None:
        self.answers.append(done)


def test_steps_report_each_turn_by_itself() -> None:
    script = Script([2, 1])
    steps = turns.Steps(script)
    for loss in (3.0, 2.0, 1.0):
        steps.before()
        steps.count(items=4, tokens=10, loss=loss)
        steps.phase("update", 0.5)
        steps.after()
    assert script.answers == [
        {"steps": 2, "items": 8.0, "tokens": 20, "loss": 3.0, "phases": {"update": 1.0}},
        {"steps": 1, "items": 4.0, "tokens": 10, "loss": 1.0, "phases": {"update": 0.5}},
    ]


# -- ratios and results --------------------------------------------------------------------------------------------


def test_a_ratio_is_the_median_of_rounds_not_of_sides() -> None:
    # the machine was slow in the second round, for both: the ratio is 2 all the same
    ours, theirs = [answer(1.0), answer(10.0), answer(1.0)], [answer(2.0), answer(20.0), answer(3.0)]
    assert results.ratios(ours, theirs) == (2.0, 2.0, 3.0)


def test_rates_and_not_seconds_are_compared() -> None:
    assert results.ratios([answer(1.0, items=30)], [answer(1.0, items=10)]) == (3.0, 3.0, 3.0)


def test_a_row_holds_what_was_asked_for() -> None:
    rounds = {
        "peer": [answer(4.0, peak=200.0), answer(4.0, peak=400.0)],
        "peer_tuned": [answer(2.0), answer(2.0)],
        "ours": [answer(1.0, peak=80.0, phases={"update": 0.8}), answer(1.0, phases={"update": 0.6})],
    }
    row = results.compared(rounds, limit=24.0)
    assert (row["peer"], row["peer_tuned"], row["ours"]) == (3.0, 6.0, 12.0)
    assert (row["ratio"], row["ratio_tuned"], row["limit_fraction"]) == (4.0, 2.0, 0.5)
    assert (row["memory_ratio"], row["memory_ratio_tuned"]) == (0.25, 1.0)
    assert row["phases_seconds"] == {"ours": {"update": pytest.approx(0.35)}}  # of a step; the answers have two


def test_a_missing_peer_leaves_its_columns_empty() -> None:
    row = results.compared({"ours": [answer(1.0)]}, limit=12.0)
    assert row["ratio"] is row["ratio_tuned"] is row["memory_ratio"] is row["peer"] is None
    shown = results.table([{"job": "sft", "model": "3m", "unit": "tokens/s", **row}])
    assert "100%" in shown


def test_a_partial_run_replaces_its_rows_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results.save(path, [{"job": "sft", "model": "3m", "ours": 1}, {"job": "ppo", "model": "3m", "ours": 2}])
    rows = results.save(path, [{"job": "sft", "model": "3m", "ours": 3}, {"job": "sft", "model": "25m", "ours": 4}])
    assert rows == json.loads(path.read_text())
    assert [(row["job"], row["model"]) for row in rows] == [("sft", "3m"), ("sft", "25m"), ("ppo", "3m")]
    assert {(row["job"], row["model"]): row["ours"] for row in rows} == {
        ("sft", "3m"): 3,
        ("ppo", "3m"): 2,
        ("sft", "25m"): 4,
    }


# -- the peer's options and the limits -----------------------------------------------------------------------------


def test_every_job_has_tuned_options_that_were_tried() -> None:
    for job in work.JOBS:
        for model in work.SIZES:
            assert TUNED[job, model] in [shipped(job), *grid(job)]
    assert shipped("ppo") == shipped("sft") == SHIPPED


def test_ceilings_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"rankings": [([1] * 4, [[1] * 2] * 6, [1, 2, 3, 4, 5, 6])], "prompts": [[1] * 10] * work.PROMPTS}
    monkeypatch.setattr(limits, "tokens", known.__getitem__)
    size = work.Size(hidden=2, inter=4, layers=1, heads=1)  # 40 weights in the body, 8192 in the head
    machine = limits.Limits(fp32=1.0, onednn=2.0, bf16=100.0, dram=1e12, cache=1e12)
    assert (size.body, size.head) == (40, 8192)
    assert limits.ceiling("sft", size, machine, 5.0) == pytest.approx(100 / (6 * 8232))
    assert limits.ceiling("reward", size, machine, 5.0) == pytest.approx(100 / (6 * 40 * 16))  # the prompt once
    seconds = (2 * 40 * 10 + 2 * 8232 * 5) * work.PROMPTS / 100
    assert limits.ceiling("decode", size, machine, 5.0) == pytest.approx(5 * work.PROMPTS / seconds)
    slow = limits.Limits(fp32=1.0, onednn=2.0, bf16=100.0, dram=1.0, cache=1.0)
    reading = 2 * 40 * 10 * work.PROMPTS / 100 + work.RESPONSE * 2 * 8232
    assert limits.ceiling("decode", size, slow, 5.0) == pytest.approx(5 * work.PROMPTS / reading)
    body, head = 2 * 40 * 15, 2 * 8192 * 5
    assert limits.ceiling("ppo", size, machine, 5.0) == pytest.approx(100 / (10 * body + 5 * head))


# -- the model of cost ---------------------------------------------------------------------------------------------


def point(job: str, **changed: Any) -> costmodel.Point:
    base = costmodel.Point(job, "3m", work.SIZES["3m"], batch=16, prompt=64, response=32, k=4)
    return dataclasses.replace(base, **changed)


def test_a_ranking_counts_its_prompt_once_and_each_response() -> None:
    assert point("reward").tokens == 16 * (64 + 4 * 32)
    assert point("sft").tokens == 16 * (64 + 32)
    assert "learned x head" not in costmodel.time_terms(point("reward"))


def test_held_tokens_stop_growing_at_the_budget_of_a_micro_batch() -> None:
    big, bigger = (costmodel.memory_terms(point("sft", batch=batch)) for batch in (1000, 2000))
    assert big == bigger


@pytest.mark.parametrize("job", costmodel.JOBS)
def test_a_fit_finds_the_coefficients_that_made_the_numbers(job: str) -> None:
    sizes = [work.SIZES["3m"], work.SIZES["25m"], work.Size(128, 512, 4, 4), work.Size(320, 1024, 6, 5)]
    points = [point(job, size=size) for size in sizes]
    points += [point(job, batch=4), point(job, prompt=200), point(job, response=200), point(job, response=90, batch=64)]
    costs = {name: 0.1 * (n + 1) / value for n, (name, value) in enumerate(costmodel.time_terms(points[0]).items())}
    made = [
        costmodel.Measured(one, sum(costs[name] * value for name, value in costmodel.time_terms(one).items()), 500.0)
        for one in points
    ]
    fitted = costmodel.fit(made)
    assert [fitted.seconds(one.point) for one in made] == pytest.approx([one.seconds for one in made], rel=1e-6)
    assert [fitted.peak_mb(one) for one in points] == pytest.approx([500.0] * len(points), rel=1e-6)
    shown = costmodel.report(made, {job: fitted})
    assert "at most 0.0 % off in time, 0.0 % in memory" in shown


def test_the_report_names_the_largest_error() -> None:
    good = costmodel.Measured(point("sft"), 1.0, 100.0)
    fitted = costmodel.Fit(
        {
            "seconds": dict.fromkeys(costmodel.time_terms(good.point), 0.0)
            | {"parameters": 1.2 / good.point.parameters},
            "peak_mb": dict.fromkeys(costmodel.memory_terms(good.point), 0.0) | {"process": 90.0},
        }
    )
    shown = costmodel.report([good], {"sft": fitted})
    assert "at most 20.0 % off in time, 10.0 % in memory" in shown
