"""Sharing never changes a number: against a slow loop over the model itself, and against single sequences."""

from pathlib import Path

import pytest
import torch
from tests import tiny

from assent.engine.models import LanguageModel
from assent.engine.processor import attention as processor
from assent.evaluate.likelihood import Weighed, encoded, weigh
from assent.evaluate.sharing import SHORTEST, Question, common_beginning


def questions(common: int, count: int = 7) -> list[Question]:
    """Contexts with a beginning of `common` tokens, some of one token after it, and 1 to 4 endings of 1 to 6 tokens."""
    g = torch.Generator().manual_seed(common)
    first = tiny.ids(common, g)
    found: list[Question] = []
    for number in range(count):
        rest = tiny.ids(1 + number % 5, g)
        endings = tuple(tiny.ids(1 + (number + k) % 6, g) for k in range(1 + number % 4))
        found.append(Question(torch.cat([first, rest]), endings))
    return found


def slow(model: LanguageModel, one: Question) -> Weighed:
    """Every completion in a pass of its own, through nothing of the engine but its logits."""
    sums: list[float] = []
    greedy: list[bool] = []
    for ending in one.endings:
        logprobs = model.forward.states_before([one.context], [ending]) @ model.module.lm_head.weight.t()
        logprobs = logprobs.log_softmax(-1)
        sums.append(float(logprobs[torch.arange(len(ending)), ending].sum()))
        greedy.append(bool((logprobs.argmax(-1) == ending).all()))
    return Weighed(tuple(sums), tuple(map(len, one.endings)), tuple(greedy))


def same(found: list[Weighed], expected: list[Weighed]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.sums == pytest.approx(other.sums, abs=1e-4)
        assert (one.lengths, one.greedy) == (other.lengths, other.greedy)


@pytest.mark.parametrize("common", [0, SHORTEST, 33])
@torch.no_grad()
def test_sharing_gives_the_numbers_of_single_sequences(blank: Path, common: int) -> None:
    model = tiny.model(blank)
    asked = questions(common)
    assert common_beginning([one.context for one in asked]) == common
    expected = [slow(model, one) for one in asked]
    same(weigh(model, asked), expected)
    same(weigh(model, asked, share=False), expected)
    same(weigh(tiny.model(blank, tokens=40), asked), expected)  # many small batches


@torch.no_grad()
def test_kernels_change_no_number(blank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a beginning, attention joins two softmaxes where there are kernels, and is one where there are none."""
    model, asked = tiny.model(blank), questions(SHORTEST)
    with_kernels = weigh(model, asked)
    monkeypatch.setattr(processor, "takes", lambda *_: False)
    same(with_kernels, weigh(model, asked))


@torch.no_grad()
def test_likeliest_words_are_found(blank: Path) -> None:
    """A completion that the model itself decodes is greedy, and stops being so when a token is changed."""
    model = tiny.model(blank)
    context = tiny.ids(9, torch.Generator().manual_seed(3))
    ids = context
    for _ in range(3):
        ids = torch.cat([ids, slow_next(model, ids)])
    best = ids[len(context) :]
    other = best.clone()
    other[1] = (other[1] + 1) % 300
    found = weigh(model, [Question(context, (best, other))])[0]
    assert found.greedy == (True, False)
    assert found.sums[0] > found.sums[1]


def slow_next(model: LanguageModel, ids: torch.Tensor) -> torch.Tensor:
    states = model.forward.states_before([ids], [ids[:1]])
    return (states @ model.module.lm_head.weight.t()).argmax(-1)


def test_contexts_with_nothing_in_common_share_nothing() -> None:
    g = torch.Generator().manual_seed(0)
    apart = [tiny.ids(40, g) for _ in range(3)]
    assert common_beginning(apart) == 0
    assert common_beginning(apart[:1]) == 0  # alone: nothing to share with
    assert common_beginning([apart[0], apart[0]]) == 39  # a token is left of each
    short = [torch.cat([apart[0][: SHORTEST - 1], one]) for one in apart]
    assert common_beginning(short) == 0


@torch.no_grad()
def test_questions_that_lost_their_beginning_stand_apart(blank: Path) -> None:
    model = tiny.model(blank)
    odd = questions(0, 2)
    asked = [*questions(SHORTEST)[:3], *odd, *questions(SHORTEST)[3:]]
    same(weigh(model, asked), [slow(model, one) for one in asked])


def test_text_and_completion_are_encoded_as_running_text(blank: Path) -> None:
    """The space belongs to the completion; an empty context is a token; too long a context loses its beginning."""
    text = tiny.model(blank).text
    (plain, cut), (spaced, _), (empty, _) = encoded(
        text, [("say red then", (" blue", " red")), ("say red then ", ("blue", "red")), ("", ("say red",))], 64
    )
    assert not cut
    assert [part.tolist() for part in plain.endings] == [part.tolist() for part in spaced.endings]
    assert plain.context.tolist() == spaced.context.tolist() == text.plain("say red then").tolist()
    assert torch.cat([plain.context, plain.endings[0]]).tolist() == text.plain("say red then blue").tolist()
    assert empty.context.tolist() in ([text.tokenizer.bos_token_id], [text.separator])
    assert empty.endings[0].tolist() == text.plain("say red").tolist()
    ((short, cut),) = encoded(text, [("say red then blue and " * 9, ("pink",))], 12)
    assert cut
    assert len(short.context) + max(map(len, short.endings)) == 13  # the last token is predicted and never fed
