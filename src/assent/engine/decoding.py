"""Steps of the decode loop on the device: tokens in, tokens out, and nothing for the host to wait for in between.

A step feeds each slot its newest token, draws the next one and moves on. Several steps follow each other before the
host looks (`LOOK`): on a processor one, on a GPU many, as one CUDA graph that is replayed. A row that has finished in
the meantime goes on for nothing, and what it drew is dropped; no other row sees it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from assent.engine.attention.plans import Cache
from assent.engine.forward import RowForward
from assent.engine.machine import sent
from assent.engine.processor.compiled import runs_on
from assent.engine.processor.drawing import draw

LOOK = {"cpu": 1, "cuda": 16}  # steps before the host looks
BLOCK = 128  # tokens of the vocabulary whose probabilities are added up first
SIZES = 8  # a graph is made for a number of slots rounded up to this part of all of them


Pick = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
Step = Callable[[Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]


class Drawn(NamedTuple):
    """What some steps drew, on the host."""

    tokens: Int[Tensor, "steps slots"]
    logprobs: Float[Tensor, "steps slots"]


class Steps:
    """Runs steps for the first slots of a cache."""

    def __init__(self, forward: RowForward, cache: Cache, temperature: float) -> None:
        self.forward, self.cache, self.temperature = forward, cache, temperature
        self.device = forward.machine.torch_device
        self._graphs: dict[int, _Graph] = {}
        compiled = forward.machine.compiles and self.device.type == "cuda"
        self._pick: Pick = torch.compile(pick_by_torch, dynamic=True) if compiled else pick

    def run(
        self, tokens: Int[Tensor, " slots"], places: Int[Tensor, " slots"], uniform: Float[Tensor, "steps slots"]
    ) -> Drawn:
        """Feed the slots' newest tokens, which stand at `places`, and draw as many more as `uniform` has rows."""
        if self.device.type == "cuda":
            return self._recorded(tokens, places).run(uniform)
        drawn: list[tuple[Tensor, Tensor]] = []
        bound = int(places.max()) + 1
        for step, row in enumerate(uniform):
            tokens, logprobs = self._step(tokens, places, row, min(bound + step, self.cache.length))
            drawn.append((tokens, logprobs))
            places = self._next(places)
        return Drawn(*(torch.stack(column) for column in zip(*drawn, strict=True)))

    def _recorded(self, tokens: Tensor, places: Tensor) -> "_Graph":
        """The graph for so many slots, with these tokens in them."""
        part = max(1, self.cache.slots // SIZES)
        size = min(self.cache.slots, -(-len(tokens) // part) * part)
        if size not in self._graphs:
            self._graphs[size] = _Graph(size, self.device)
        graph = self._graphs[size]
        graph.load(tokens, places)
        if graph.recorded is None:
            graph.record(self._step, self._next, self.cache.length)
        return graph

    def _step(self, tokens: Tensor, places: Tensor, uniform: Tensor, length: int) -> tuple[Tensor, Tensor]:
        return self._pick(self.forward.decode(tokens, self.cache, places, length), uniform, self.temperature)

    def _next(self, places: Tensor) -> Tensor:
        """One further; a row that is done stays in its slot."""
        return (places + 1).clamp(max=self.cache.length - 1)


class _Graph:
    """One step for a fixed number of slots, recorded once and replayed."""

    def __init__(self, size: int, device: torch.device) -> None:
        look = LOOK["cuda"]
        self.tokens, self.places, self.number = (
            torch.zeros(count, dtype=torch.int64, device=device) for count in (size, size, 1)
        )
        self.uniform = torch.zeros(look, size, dtype=torch.float64, device=device)
        self.drawn = torch.zeros(look, size, dtype=torch.int64, device=device)
        self.logprobs = torch.zeros(look, size, device=device)
        self.recorded: Any = None

    def load(self, tokens: Tensor, places: Tensor) -> None:
        """Where the slots stand; slots beyond those given are free, and what happens to them does not matter."""
        count = len(tokens)
        self.number.zero_()
        for buffer, given in ((self.tokens, tokens), (self.places, places)):
            buffer[count:] = 0
            buffer[:count] = sent(given, buffer.device)

    def record(self, step: Step, following: Callable[[Tensor], Tensor], length: int) -> None:
        """Record one step. It is first done for real, so that libraries choose their kernels; doing it again changes
        nothing, as a slot's newest key and value are written where they were."""
        step(self.tokens, self.places, self.uniform[0], length)
        self.recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.recorded):
            self._once(step, following, length)

    def _once(self, step: Step, following: Callable[[Tensor], Tensor], length: int) -> None:
        row = self.uniform.index_select(0, self.number)[0]
        tokens, logprobs = step(self.tokens, self.places, row, length)
        self.drawn.index_copy_(0, self.number, tokens[None])
        self.logprobs.index_copy_(0, self.number, logprobs[None])
        self.tokens.copy_(tokens)
        self.places.copy_(following(self.places))
        self.number.add_(1)

    def run(self, uniform: Tensor) -> Drawn:
        """As many steps as `uniform` has rows, each drawing for the first slots."""
        steps, count = uniform.shape
        self.uniform[:steps, :count] = sent(uniform, self.uniform.device)
        for _ in range(steps):
            self.recorded.replay()
        return Drawn(self.drawn[:steps, :count].cpu(), self.logprobs[:steps, :count].cpu())


def pick(
    logits: Float[Tensor, "n v"], uniform: Float[Tensor, " n"], temperature: float
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
    """The tokens at the given quantiles of softmax(logits / temperature), and their log-probabilities.

    The cumulative distribution is summed in fp64, first over blocks of the vocabulary, then inside the block that holds
    the quantile. Temperature 0: the likeliest tokens, with their log-probabilities at temperature 1.
    """
    if runs_on(logits) and logits.dtype == torch.float32:
        return draw(logits, uniform, temperature)
    return pick_by_torch(logits, uniform, temperature)


def pick_by_torch(
    logits: Float[Tensor, "n v"], uniform: Float[Tensor, " n"], temperature: float
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
    """`pick` on any device, in any precision."""
    scaled = logits if temperature in (0, 1) else logits / temperature
    largest = scaled.amax(-1, keepdim=True)
    weights = torch.exp(scaled - largest)
    missing = -weights.shape[1] % BLOCK
    blocks = (pad(weights, (0, missing)) if missing else weights).unflatten(1, (-1, BLOCK))
    sums = blocks.sum(-1, dtype=torch.float64)
    cumulative = sums.cumsum(-1)
    total = cumulative[:, -1:]
    if temperature == 0:
        tokens = scaled.argmax(-1, keepdim=True)
    else:
        quantile = uniform[:, None] * total
        block = torch.searchsorted(cumulative, quantile, right=True).clamp(max=sums.shape[1] - 1)
        inside = blocks.gather(1, block[:, :, None].expand(-1, -1, BLOCK))[:, 0].double().cumsum(-1)
        rest = quantile - (cumulative - sums).gather(1, block)
        place = torch.searchsorted(inside, rest, right=True).clamp(max=BLOCK - 1)
        tokens = (block * BLOCK + place).clamp(max=logits.shape[1] - 1)
    logprobs = scaled.gather(1, tokens) - largest - total.log().to(scaled.dtype)
    return tokens[:, 0], logprobs[:, 0]
