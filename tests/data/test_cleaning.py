"""Prompts as the paper prepares them, and what counts as personal data."""

from collections import Counter

import pytest
from tests.tiny import prompt

from assent.data import pii, pretraining, prompts
from assent.data.prompts import Rules, clean, entity, leave_one_out, split_of
from assent.records import Document

YES = {
    "an e-mail address": ["write to ann.lee+x@mail.example.org.", "ann@firma.de"],
    "a payment card number": ["4111 1111 1111 1111", "card 5500-0000-0000-0004", "378282246310005"],
    "a bank account number (IBAN)": ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"],
    "a social security number": ["my ssn is 219-09-9999"],
    "a telephone number": ["+44 20 7946 0958", "call (415) 555-2671", "1-212-555-0123", "+4915112345678"],
    "an internet address": ["ping 8.8.8.8 now", "2001:4860:4860::8888"],
}
NO = {
    "an e-mail address": ["user@localhost", "a @ b.com", "x..y@", "@home.de"],
    "a payment card number": ["4111 1111 1111 1112", "1234567890123456", "0000 0000 0000 0000", "3.14159265358979323"],
    "a bank account number (IBAN)": ["GB82 WEST 1234 5698 7654 33", "AB12 CDEF GHIJ"],
    "a social security number": ["000-12-3456", "666-12-3456", "912-12-3456", "219-00-1234", "12-09-9999"],
    "a telephone number": ["1984-2024", "+1 is one", "123-456-7890", "2020-10-1234 5678"],
    "an internet address": ["192.168.0.1", "127.0.0.1", "version 1.2.3", "999.1.1.1", "10::", "std::vector"],
}


@pytest.mark.parametrize("name", YES)
def test_recognisers_check_what_they_find(name: str) -> None:
    finds = next(one.finds for one in pii.RECOGNISERS if one.name == name)
    assert [text for text in YES[name] if not finds(text)] == []
    assert [text for text in NO[name] if finds(text)] == []


def test_check_digits() -> None:
    assert pii.luhn("79927398713")
    assert not pii.luhn("79927398710")
    assert pii.iban_valid("GB82WEST12345698765432")


WORDS = " ".join(f"w{n}" for n in range(64))
ROWS = [prompt(f"ask {n}", user=f"u{n % 40}") for n in range(400)]


def test_duplicates_share_a_long_prefix() -> None:
    rows = [
        prompt(WORDS + " end"),
        prompt(WORDS.replace(" ", "  \n").upper() + " other"),
        prompt(WORDS[:-3]),
        prompt("w0"),
    ]
    found = clean(rows, Rules(test=0, validation=0))
    assert [row.id for row in found.train] == [rows[0].id, rows[2].id, rows[3].id]
    assert "begins like an earlier prompt" in found.rejected[0].reason


def test_users_are_capped_after_duplicates_and_never_split() -> None:
    found = clean([ROWS[0], ROWS[0], *ROWS], Rules(cap=7, test=0.2, validation=0.2))
    kept = Counter(entity(row) for rows in found.splits.values() for row in rows)
    assert set(kept.values()) == {7}
    users = [{row.user for row in rows} for rows in found.splits.values()]
    assert all(users)
    assert sum(map(len, users)) == 40
    assert len(found.rejected) == 402 - 7 * 40
    assert found.reasons == Counter({"user: has 7 prompts already": 120, "messages: begins like an earlier prompt": 2})


def test_cleaning_again_changes_nothing_and_new_data_move_nobody() -> None:
    once = clean(ROWS, Rules())
    again = clean([row for rows in once.splits.values() for row in rows], Rules())
    assert again.splits == once.splits
    assert not again.rejected
    assert {row.id for row in clean(ROWS[:100], Rules()).test} <= {row.id for row in once.test}
    assert clean(ROWS, Rules(salt="x")).splits != once.splits


def test_personal_data_leave_the_training_split_only_and_recognisers_are_replaceable() -> None:
    rows = [prompt(f"mail {n} to ann@firma.de", user=f"u{n}") for n in range(200)]
    found = clean(rows, Rules())
    assert not found.train
    assert found.validation
    assert all(split_of(row, Rules()) == "train" for row in rows if row.id in {one.id for one in found.rejected})
    mine = pii.Recogniser("the number 7", lambda text: "7" in text)
    assert {"7" in row.id for row in clean(rows, Rules(), [mine]).train} == {False}
    with pytest.raises(ValueError, match="shares"):
        Rules(test=0.6, validation=0.6)


def test_few_shot_prompts_never_hold_their_own_answer() -> None:
    pairs = [("q1", "ANSWER1"), ("q2", "ANSWER2"), ("q3", "ANSWER3")]
    made = leave_one_out(prompt("translate"), pairs, labeler="ann")
    assert [one.response for one in made] == ["ANSWER1", "ANSWER2", "ANSWER3"]
    for one in made:
        shown = one.prompt.messages[-1].content
        assert one.response not in shown
        assert sum(answer in shown for _, answer in pairs) == 2


def test_documents_are_learned_once() -> None:
    rows = [Document(id=str(n), text=text) for n, text in enumerate(["a b", "a b \n", "c"])]
    kept, repeated = pretraining.unique(rows)
    assert [row.id for row in kept] == ["0", "2"]
    assert repeated == (prompts.Dropped("1", "text", "the same as the document 0"),)
