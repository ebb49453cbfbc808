"""Sampling: a decode loop over a static cache in which finished rows leave and waiting ones enter.

A token is drawn by inverting the cumulative distribution at a uniform number that is a hash of (seed, step, sequence,
position). So a sample does not depend on what else is in the batch, on the number of processes, or on a restart. The
temperature is the only transformation of the logits there is.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from assent.engine import distributed
from assent.engine.attention.plans import Cache
from assent.engine.batches import Sampled, Tokens, micro_batches
from assent.engine.decoding import LOOK, Drawn, Steps, pick
from assent.engine.forward import Forward, PlainForward, RowForward
from assent.engine.machine import sent

SLOTS = 16_384  # at most: a step holds the logits of all of them, and a GPU's grid ends at 65,535
REFILL = 4  # waiting prompts enter when a quarter of the slots is free: one prefill for many


class Key(NamedTuple):
    """What makes the random numbers of one call: the run's seed, the step, and the number of the first sequence."""

    seed: int
    step: int
    first: int = 0


class Draw(NamedTuple):
    """One sampled response."""

    ids: list[int]
    logprobs: list[float]


def generate(
    forward: Forward, prompts: Sequence[Tokens], limit: int, temperature: float, key: Key, end: int
) -> Sampled:
    """One response to each prompt, stopped by the token `end` or by `limit` tokens."""
    parts = _parts(prompts, distributed.world())

    def draw(part: list[int]) -> list[Draw]:
        if isinstance(forward, RowForward):
            with forward.ready_to_sample():
                return _Slots(forward, prompts, part, limit, temperature, key, end).run()
        assert isinstance(forward, PlainForward)
        return [_draw_plain(forward, prompts[index], index, limit, temperature, key, end) for index in part]

    draws: dict[int, Draw] = {}
    for part, drawn in zip(parts, distributed.share(parts, draw), strict=True):
        draws.update(zip(part, drawn, strict=True))
    ordered = [draws[index] for index in range(len(prompts))]
    return Sampled(
        prompts=tuple(prompts),
        responses=tuple(torch.tensor(one.ids) for one in ordered),
        ended=tuple(one.ids[-1] == end for one in ordered),
        logprobs=torch.tensor([value for one in ordered for value in one.logprobs]),
    )


def _parts(prompts: Sequence[Tokens], count: int) -> list[list[int]]:
    """Deal the sequences out, long prompts first, equal prompts together."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(tuple(prompt.tolist()), []).append(index)
    ordered = sorted(groups.values(), key=lambda group: -len(prompts[group[0]]))
    parts = [[index for group in ordered[rank::count] for index in group] for rank in range(count)]
    return [part for part in parts if part]


class _Slots:
    """The rows being decoded. The first `count` slots are in use; what each holds is in the arrays beside it."""

    def __init__(
        self,
        forward: RowForward,
        prompts: Sequence[Tokens],
        waiting: list[int],
        limit: int,
        temperature: float,
        key: Key,
        end: int,
    ) -> None:
        self.forward, self.prompts, self.limit, self.temperature = forward, prompts, limit, temperature
        self.key, self.end = key, end
        self.sequences = np.array(waiting)  # by row; rows are what the loop counts in
        self.waiting = list(reversed(range(len(waiting))))
        length = len(prompts[waiting[0]]) + limit
        slots = max(1, min(len(waiting), SLOTS, forward.machine.cache_tokens // length))
        self.cache = Cache(slots, length, forward.machine)
        self.steps = Steps(forward, self.cache, temperature)
        self.count = 0
        self.row = np.zeros(slots, dtype=np.int64)  # which row of those waiting the slot decodes
        self.place = np.zeros(slots, dtype=np.int64)  # position of its newest token
        self.token = np.zeros(slots, dtype=np.int64)  # its newest token
        shape = (len(waiting), limit + max(LOOK.values()))  # a row that is done goes on until the host looks
        self.ids, self.logprobs = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.float32)
        self.lengths = np.zeros(len(waiting), dtype=np.int64)

    def run(self) -> list[Draw]:
        """Decode everything that waits; the draws in the order given."""
        slots = len(self.row)
        while self.waiting or self.count:
            if self.waiting and (slots - self.count) * REFILL >= slots:
                self._enter(min(slots - self.count, len(self.waiting)))
            elif self.count:
                self._advance()
        columns = zip(self.ids, self.logprobs, self.lengths, strict=True)
        return [Draw(ids[:length].tolist(), logprobs[:length].tolist()) for ids, logprobs, length in columns]

    def _enter(self, number: int) -> None:
        """Prefill waiting prompts, each distinct one once, and draw the first token of each sequence."""
        entering = [self.waiting.pop() for _ in range(number)]
        slots_of: dict[tuple[int, ...], list[int]] = {}
        for slot, row in enumerate(entering, start=self.count):
            ids = tuple(self.prompts[self.sequences[row]].tolist())
            slots_of.setdefault(ids, []).append(slot)
            self.row[slot], self.place[slot] = row, len(ids) - 1
        prompts = [torch.tensor(ids) for ids in slots_of]
        slots = [torch.tensor(group) for group in slots_of.values()]
        first, self.count = self.count, self.count + number
        found: list[Tensor] = []
        prompt_of = np.zeros(number, dtype=np.int64)  # of each entering slot, in the order in which prompts are read
        read = 0
        for part in micro_batches([len(prompt) for prompt in prompts], tokens_of_a_pass(self.forward)):
            found.append(self.forward.prefill([prompts[i] for i in part], self.cache, [slots[i] for i in part]))
            for i in part:
                prompt_of[slots[i] - first] = read
                read += 1
        device = found[0].device
        logits = torch.cat(found)[sent(torch.from_numpy(prompt_of), device)]
        uniform = sent(torch.from_numpy(self._uniforms(slice(first, self.count), 1)[0]), device)
        tokens, logprobs = pick(logits, uniform, self.temperature)
        self._take(first, Drawn(tokens[None].cpu(), logprobs[None].cpu()))

    def _advance(self) -> None:
        """Some tokens for every slot in use."""
        used = slice(0, self.count)
        number = LOOK[self.forward.machine.torch_device.type]
        tokens, places = (torch.from_numpy(array[used].copy()) for array in (self.token, self.place))
        self._take(0, self.steps.run(tokens, places, torch.from_numpy(self._uniforms(used, number))))

    def _uniforms(self, slots: slice, number: int) -> "np.ndarray":
        """[number, slots]: what draws the next tokens of the slots."""
        ahead = np.arange(1, number + 1)[:, None]
        places = (self.place[slots] + ahead).ravel()
        return uniforms(self.key, np.tile(self.sequences[self.row[slots]], number), places).reshape(number, -1)

    def _take(self, first: int, drawn: Drawn) -> None:
        """Note the tokens drawn for the slots from `first` on, and let finished rows leave."""
        tokens, logprobs = drawn.tokens.t().numpy(), drawn.logprobs.t().numpy()
        count, steps = tokens.shape
        slots = slice(first, first + count)
        rows = self.row[slots]
        start = self.lengths[rows]
        columns = start[:, None] + np.arange(steps)
        self.ids[rows[:, None], columns], self.logprobs[rows[:, None], columns] = tokens, logprobs
        ends = tokens == self.end
        until_end = np.where(ends.any(1), ends.argmax(1) + 1, steps + 1)
        left = np.minimum(until_end, self.limit - start)
        self.lengths[rows] = start + np.minimum(left, steps)
        self.token[slots] = tokens[:, -1]
        self.place[slots] += steps
        for slot in reversed((first + np.nonzero(left <= steps)[0]).tolist()):
            self._leave(slot)

    def _leave(self, slot: int) -> None:
        """Free a slot; the last one in use moves there, so that the slots in use stay the first ones."""
        self.count -= 1
        if slot != self.count:
            self.cache.move(self.count, slot, int(self.place[self.count]))
            for array in (self.row, self.place, self.token):
                array[slot] = array[self.count]


def tokens_of_a_pass(forward: RowForward) -> int:
    """Tokens of prompts that are read at once: on a processor few are as fast as many, unless the model is narrow."""
    most, width = forward.machine.tokens, forward.module.get_input_embeddings().weight.shape[1]
    return min(most, max(1024, 2**19 // width)) if forward.machine.torch_device.type == "cpu" else most


def uniforms(key: Key, sequences: "np.ndarray", positions: "np.ndarray") -> "np.ndarray":
    """Uniform numbers in [0, 1), one a (sequence, position): a counter-based generator, nothing is remembered."""
    state = np.full(len(sequences), key.seed, dtype=np.uint64)
    for part in (np.uint64(key.step), (sequences + key.first).astype(np.uint64), positions.astype(np.uint64)):
        state = _mix(state ^ _mix(part + np.zeros_like(state)))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: "np.ndarray") -> "np.ndarray":
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every input bit changes every output bit."""
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def _draw_plain(
    forward: PlainForward, prompt: Tokens, index: int, limit: int, temperature: float, key: Key, end: int
) -> Draw:
    """One response through transformers' own generation, told at every token which one to take."""
    from transformers import GenerationConfig

    draw = Draw([], [])

    def take(ids: Tensor, scores: Tensor) -> Tensor:
        place = np.array([len(prompt) + len(draw.ids)])
        uniform = torch.from_numpy(uniforms(key, np.array([index]), place)).to(scores.device)
        token, logprob = pick(scores.float(), uniform, temperature)
        draw.ids.append(int(token))
        draw.logprobs.append(float(logprob))
        return torch.full_like(scores, float("-inf")).index_fill(1, token, 0.0)

    options: dict[str, Any] = {"max_new_tokens": limit, "eos_token_id": end, "pad_token_id": end, "do_sample": False}
    ids = prompt[None].to(forward.machine.torch_device)
    forward.module.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        generation_config=GenerationConfig(**options),
        logits_processor=[take],
    )
    return draw
