"""Which forward a model gets: whatever is faster than the plain one must first show the plain one's numbers.

When a model is loaded it reads a few tokens, in fp32, one sequence at a time, as its authors wrote it. Then the same in
a row, with known parts exchanged, and with whole steps of decoding in one call; what differs is not taken.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from assent.engine import blocks, layers
from assent.engine.attention.plans import NAME, Cache, UnsupportedError, Windows, watching_windows
from assent.engine.batches import Tokens
from assent.engine.forward import Forward, PlainForward, RowForward
from assent.engine.machine import Machine
from assent.engine.processor.compiled import kernels

FEW = 2  # layers in which steps of decoding are compared
PARITY = 2e-3  # rounding in fp32 stays far below, a wrong mask or position far above


@torch.no_grad()
def choose(module: Any, machine: Machine, warn: Callable[[str], None]) -> Forward:
    """`RowForward` when the model gives the same numbers in a row as one sequence at a time, else `PlainForward`.

    module: a causal language model, or a trunk with a scalar head; in either case left ready for the choice.
    """
    exact = dataclasses.replace(machine, precision="fp32")
    usual = module.config._attn_implementation
    expected = _probe(module, PlainForward(module, exact))
    try:
        module.set_attn_implementation(NAME)
        with watching_windows() as windows:
            found = _probe(module, RowForward(module, exact))
        _refuse_hidden_windows(module.config, windows)
        error = _error(expected, found)
        if not error < PARITY:
            raise UnsupportedError(f"rows differ from single sequences by {error:.2g}")
        if machine.torch_device.type == "cuda":
            _fuse(module, exact, expected, windows, blocks.ON_A_GPU)
        elif kernels() is not None and not machine.compiles:
            _fuse(module, exact, expected, windows, blocks.KINDS)
        forward = RowForward(module, machine)
        forward.in_one_call = _steps_agree(module, exact, windows)
        return forward
    except Exception as reason:  # whatever a foreign model makes of a row, the plain path is right
        module.set_attn_implementation(usual)
        warn(
            f"{type(module).__name__} cannot be packed into rows ({reason}); "
            "its sequences are computed one at a time, which is slower and gives the same numbers"
        )
        return PlainForward(module, machine)


def _fuse(
    module: Any, machine: Machine, expected: list[Tensor], windows: Windows, wanted: Sequence[type[torch.nn.Module]]
) -> None:
    """Exchange the known parts of blocks: those of all wanted kinds, or of the kinds that change no number.

    Every layer must ask for the window that it asked for before: on few tokens a forgotten one would look right.
    """

    def agrees(kinds: Sequence[type[torch.nn.Module]]) -> bool:
        blocks.fuse(module, kinds)
        with contextlib.suppress(Exception):  # a part that only looked like a known one
            with watching_windows() as asked:
                found = _probe(module, RowForward(module, machine))
            if _error(expected, found) < PARITY and asked == windows:
                return True
        blocks.unfuse(module, kinds)
        return False

    if not agrees(wanted):
        for kind in wanted:
            agrees((kind,))


def _steps_agree(module: Any, machine: Machine, windows: Windows) -> bool:
    """Whether steps of decoding can be one call, and change no number: layers may only look like known ones.

    Two layers are compared, since packing all of a large model in fp32 would take as much memory again. Every part of
    every layer was compared before, and layers of one class are put together alike.
    """
    if module.get_output_embeddings() is None or len({type(layer) for layer in layers.repeated(module)[:-1]}) > 1:
        return False
    forward, ids = RowForward(module, machine), _probe_ids(module)
    asked = {one for one in windows if one[0] < FEW}
    with contextlib.suppress(Exception), _first_layers(module):
        with forward.ready_to_sample():
            expected = _decoded(forward, ids[0], ids[3])
        forward.in_one_call = True
        with watching_windows() as found_windows, forward.ready_to_sample():
            found = _decoded(forward, ids[0], ids[3])
            return forward.packed and _error([expected], [found]) < PARITY and found_windows == asked
    return False


@contextlib.contextmanager
def _first_layers(module: Any) -> Generator[None, None, None]:
    trunk = module.base_model
    whole = trunk.layers
    trunk.layers = whole[:FEW]
    try:
        yield
    finally:
        trunk.layers = whole


def _error(expected: list[Tensor], found: list[Tensor]) -> float:
    """The largest difference, beside the largest number where that is more than 1 (states of large models)."""
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1)) for a, b in zip(expected, found, strict=True))


def _probe(module: Any, forward: Forward) -> list[Tensor]:
    """Numbers that show every way a layout can be wrong: lengths that differ, a shared prompt, a filled cache."""
    ids = _probe_ids(module)
    states = forward.states_before(ids[:3], ids[3:])
    seen = [states, forward.states_at_end(ids[:2], [ids[2:5], ids[3:]])]
    if module.get_output_embeddings() is not None:
        seen.append(forward.logprobs(ids[:3], ids[3:], 0.7))
        if isinstance(forward, RowForward):
            seen.append(_decoded(forward, ids[0], ids[3]))
        else:
            seen.append(forward.logprobs(ids[:1], ids[3:4], 1.0))
    return seen


def _probe_ids(module: Any) -> list[Tokens]:
    vocabulary = module.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, vocabulary, (length,), generator=generator) for length in (7, 3, 5, 9, 2, 6)]


def _decoded(forward: RowForward, prompt: Tokens, response: Tokens) -> Float[Tensor, " tokens"]:
    """Log-probabilities of a response fed token by token through the cache."""
    length = len(prompt) + len(response)
    cache = Cache(2, length, forward.machine)
    device = forward.machine.torch_device
    logits = [forward.prefill([prompt], cache, [torch.tensor([0, 1], device=device)])[0]]
    for place, token in enumerate(response[:-1].tolist(), start=len(prompt)):
        ids, positions = (torch.tensor([n, n], device=device) for n in (token, place))
        logits.append(forward.decode(ids, cache, positions, place + 1)[1])
    return torch.stack(logits).log_softmax(-1).gather(1, response.to(device)[:, None])[:, 0]


def _refuse_hidden_windows(config: Any, seen: Windows) -> None:
    """A family may build its window into a mask we never see; on few tokens that would look right."""
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or [])
    windowed = window is not None and getattr(config, "use_sliding_window", True) and kinds != {"full_attention"}
    if (windowed and window not in {size for _, size in seen}) or kinds - {"full_attention", "sliding_attention"}:
        raise UnsupportedError("attention with a window or pattern of its own")
