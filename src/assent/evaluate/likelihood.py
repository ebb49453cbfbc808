"""What a language model thinks of texts: its loss on them, and which of several endings it finds likeliest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from assent.engine import distributed
from assent.engine.attention.plans import UnsupportedError
from assent.engine.batches import TextBatch, Tokens, in_order, micro_batches
from assent.engine.encode import TextItem, text_batch
from assent.engine.forward import RowForward
from assent.engine.logits import PIECE
from assent.engine.models import LanguageModel
from assent.engine.text import Text
from assent.evaluate.sharing import SHORTEST, Beginning, Question, budget, common_beginning, states_before
from assent.objectives import sequence_sums
from assent.statistics import Interval, bootstrap_interval


@torch.no_grad()
def corpus_loss(model: LanguageModel, documents: Sequence[TextItem]) -> Interval:
    """Mean loss per token, in nats; the interval draws whole pieces of text."""
    batch = text_batch(documents)
    lengths = batch.lengths
    losses = -sequence_sums(model.logprobs(batch), lengths) / lengths
    return bootstrap_interval(
        torch.repeat_interleave(losses, lengths).numpy(), torch.repeat_interleave(torch.arange(len(batch)), lengths)
    )


@torch.no_grad()
def chosen(model: LanguageModel, questions: Sequence[tuple[Tokens, Sequence[Tokens]]]) -> list[int]:
    """For each text and its possible endings the number of the ending with the highest log-probability."""
    flat = [(text, ending) for text, endings in questions for ending in endings]
    batch = TextBatch(tuple(text for text, _ in flat), tuple(ending for _, ending in flat))
    sums = sequence_sums(model.logprobs(batch), batch.lengths)
    return [int(part.argmax()) for part in sums.split([len(endings) for _, endings in questions])]


# -- public tasks --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weighed:
    """The completions of a context: log-probabilities in nats, tokens, and which are the likeliest token by token."""

    sums: tuple[float, ...]
    lengths: tuple[int, ...]
    greedy: tuple[bool, ...]


def beginning_of_text(text: Text) -> list[int]:
    """What a tokenizer puts before a text: its beginning-of-sequence token, or nothing."""
    first = text.tokenizer("")["input_ids"]
    return first if first == [text.tokenizer.bos_token_id] else []


def encoded(
    text: Text, pairs: Sequence[tuple[str, Sequence[str]]], positions: int | None
) -> list[tuple[Question, bool]]:
    """Contexts and completions as tokens, and whether a context lost its beginning for want of positions.

    Context and completion are encoded together and cut where the context alone would end, so that a word is not
    parted otherwise than in running text; spaces at the end of a context belong to the completion. That is what
    lm-eval does. An empty context is the token that begins a text.
    """
    bare = [context.rstrip() for context, _ in pairs]
    whole = [context + ending for context, endings in pairs for ending in endings]
    ids = [one[:-1] for one in text.responses([*bare, *whole])]
    contexts, completions = ids[: len(bare)], iter(ids[len(bare) :])
    first = beginning_of_text(text)
    found: list[tuple[Question, bool]] = []
    for context, (_, endings) in zip(contexts, pairs, strict=True):
        after = tuple(next(completions)[len(context) :] for _ in endings)
        assert all(map(len, after)), "a completion begins with a space or a line, and so has a token of its own"
        before = torch.cat([torch.tensor(first, dtype=torch.int64), context])
        if not len(before):
            before = torch.tensor([text.tokenizer.bos_token_id or text.separator])
        room = (positions or 2**40) + 1 - max(map(len, after))
        found.append((Question(before[-max(room, 1) :], after), len(before) > room))
    return found


@torch.no_grad()
def weigh(model: LanguageModel, questions: Sequence[Question], *, share: bool = True) -> list[Weighed]:
    """Log-probabilities of all completions; what contexts have in common is computed once unless `share` is off."""
    forward = model.forward
    if not isinstance(forward, RowForward):
        return [_weighed_alone(model, one) for one in questions]
    found: dict[int, Weighed] = {}
    for numbers in _alike(questions) if share else [list(range(len(questions)))]:
        part = [questions[number] for number in numbers]
        common = common_beginning([one.context for one in part]) if share else 0
        try:
            weighed = _weighed(model, forward, part, common)
        except UnsupportedError:
            weighed = _weighed(model, forward, part, 0)
        found.update(zip(numbers, weighed, strict=True))
    return [found[number] for number in range(len(questions))]


def _alike(questions: Sequence[Question]) -> list[list[int]]:
    """The questions that begin as most do, and the others, such as those that lost their beginning."""
    starts = [tuple(one.context[:SHORTEST].tolist()) for one in questions]
    usual = Counter(starts).most_common(1)[0][0] if starts else ()
    same = [number for number, start in enumerate(starts) if start == usual]
    others = [number for number, start in enumerate(starts) if start != usual]
    return [part for part in (same, others) if part]


def _weighed(model: LanguageModel, forward: RowForward, questions: Sequence[Question], common: int) -> list[Weighed]:
    beginning = Beginning(forward, questions[0].context[:common]) if common else None
    rest = [Question(one.context[common:], one.endings) for one in questions]
    sizes = [len(one.context) + sum(len(ending) - 1 for ending in one.endings) for one in rest]
    groups = micro_batches(sizes, budget(model.machine, common, model.module.config.num_attention_heads))

    def compute(group: list[int]) -> Tensor:
        part = [rest[index] for index in group]
        targets = torch.cat([ending for one in part for ending in one.endings])
        return _scores(forward, states_before(forward, part, beginning), targets).cpu()

    parts = distributed.share(groups, compute)
    return _collected(questions, in_order(groups, parts, [2 * sum(map(len, one.endings)) for one in rest]))


def _scores(forward: RowForward, states: Tensor, targets: Tensor) -> Tensor:
    """For every token its log-probability, and 1 where no other is likelier; flat, two numbers a token."""
    targets = targets.to(states.device)
    rows = max(1, PIECE[forward.machine.torch_device.type] // forward.head()[0].shape[0])
    parts = zip(states.split(rows), targets.split(rows), strict=True)
    return torch.cat([_against(forward.logits(some), wanted) for some, wanted in parts])


def _against(logits: Tensor, targets: Tensor) -> Tensor:
    """Of logits that nobody needs afterwards."""
    found = logits.gather(1, targets[:, None])[:, 0]
    best, place = logits.max(-1)
    logprobs = found - best - logits.sub_(best[:, None]).exp_().sum(-1).log()
    return torch.stack([logprobs, (place == targets).float()], dim=1).flatten()


def _collected(questions: Sequence[Question], flat: Tensor) -> list[Weighed]:
    lengths = [len(ending) for one in questions for ending in one.endings]
    rows = iter(flat.unflatten(0, (-1, 2)).split(lengths))
    found: list[Weighed] = []
    for one in questions:
        mine = [next(rows) for _ in one.endings]
        sums = tuple(float(part[:, 0].double().sum()) for part in mine)
        greedy = tuple(bool(part[:, 1].all()) for part in mine)
        found.append(Weighed(sums, tuple(map(len, one.endings)), greedy))
    return found


def _weighed_alone(model: LanguageModel, one: Question) -> Weighed:
    """For families that cannot be packed into rows: one completion after the other, by the model's own forward."""
    parts: list[Tensor] = []
    for ending in one.endings:
        ids = torch.cat([one.context, ending[:-1]])[None].to(model.machine.torch_device)
        with model.machine.autocast():
            logits = model.module(ids, use_cache=False).logits[0, len(one.context) - 1 :].float().cpu()
        parts.append(_against(logits, ending))
    return _collected([one], torch.cat(parts))[0]
