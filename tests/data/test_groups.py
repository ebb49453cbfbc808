"""One response a row: the rows of a prompt are one ranking, and no row is lost when they are not."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.kit import load, load_rows, texts, why, write

from assent.records import RecordError


def scored(prompt: str, answer: str, **rest: Any) -> dict[str, Any]:
    return {"prompt": prompt, "response": answer, **rest}


def test_one_response_a_row_makes_groups_across_files(tmp_path: Path) -> None:
    one = [scored("a", "1", score=0.1, id="answer 1"), scored("b", "1", rank=2), scored("a", "2", score=0.1, model="m")]
    two = [scored("b", "2", rank=1), scored("a", "3", score=7), scored("a", "4", score=1, labeler="ann")]
    two += [scored("a", "5", score=2, labeler="ann"), scored("c", "1", score=1)]
    paths = [write(tmp_path / "1.jsonl", one), write(tmp_path / "2.jsonl", two)]
    loaded = load(paths, "ranking")
    assert [(texts(found), found.ranks, found.labeler) for found in loaded.records] == [
        (["1", "2", "3"], (2, 2, 1), ""),
        (["1", "2"], (2, 1), ""),
        (["4", "5"], (2, 1), "ann"),
    ]
    assert loaded.records[0].responses[1].policy == "m"
    assert loaded.records[0].id != "answer 1"  # that is the response's
    assert (loaded.rows, loaded.expanded, loaded.merged, len(loaded.rejected)) == (8, 0, 4, 1)
    assert why(loaded) == ["responses: 1 given; a ranking compares at least 2"]
    assert loaded.rejected[0].row == two[-1]
    assert len(load(paths, "prompt").records) == 8


def test_a_group_that_fails_is_rejected_row_by_row(tmp_path: Path) -> None:
    rows = [scored("a", "same", rank=n, group=5) for n in (1, 2, 3)] + [scored("b", "1", rank=1, group=6)]
    rows += [scored("b", "2", score=1, group=6), scored("x", "3", rank=2, group=6), scored("b", "4", rank=2, group=6)]
    loaded = load_rows(tmp_path, rows, "ranking")
    assert [(found.line, found.field, found.row) for found in loaded.rejected] == [
        *((n + 1, "responses[1]", rows[n]) for n in range(3)),
        (5, "score", rows[4]),
        (6, "prompt", rows[5]),
    ]
    assert [texts(found) for found in loaded.records] == [["1", "4"]]
    with pytest.raises(RecordError, match=r"none of its 3 rows makes a ranking\. Line 1: responses"):
        load_rows(tmp_path, rows[:3], "ranking")


def test_graded_answers_are_no_demonstrations_unless_one_says_so(tmp_path: Path) -> None:
    rows = [scored("a", "good", score=1), {"prompt": "b", "completion": "liked", "label": True}]
    rows += [{"prompt": "c", "completion": "disliked", "label": False}]
    loaded = load_rows(tmp_path, rows, "demonstration")
    assert [found.response for found in loaded.records] == ["liked"]
    assert why(loaded)[0].endswith("name the layout 'answered'")
    assert why(loaded)[1].startswith("label: false")
    forced = load_rows(tmp_path, rows, "demonstration", layout="answered")
    assert [found.response for found in forced.records] == ["good", "liked"]
    assert len(load_rows(tmp_path, rows, "prompt").records) == 3


@given(
    rows=st.lists(
        st.builds(
            scored,
            st.sampled_from("ab "),
            st.sampled_from(["1", "2", "3", "", 4]),
            score=st.none() | st.integers(0, 3) | st.just(float("nan")),
            labeler=st.sampled_from(["", "ann"]),
            group=st.sampled_from([None, 1]),
        ),
        min_size=1,
    )
)
@settings(max_examples=60, deadline=None)
def test_every_row_of_a_group_is_in_a_ranking_or_in_the_rejections(tmp_path_factory: Any, rows: list[Any]) -> None:
    anchor = [scored("anchor", answer, score=n) for n, answer in enumerate("xy")]  # so that not every row is refused
    loaded = load_rows(tmp_path_factory.mktemp("groups"), rows := anchor + rows, "ranking")
    lines = [fault.line for fault in loaded.rejected]
    assert len(set(lines)) == len(lines)
    assert all(str(fault.row) == str(rows[fault.line - 1]) for fault in loaded.rejected)
    kept = [row for number, row in enumerate(rows, start=1) if number not in lines]
    assert sorted(text for found in loaded.records for text in texts(found)) == sorted(row["response"] for row in kept)
    assert loaded.merged == len(kept) - len(loaded.records)
