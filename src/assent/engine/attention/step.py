"""One new token of every sequence on a GPU, as one kernel: its key and value enter the cache, its queries see them.

The kernel itself is step_kernel.py, which needs Triton to be imported.
"""

import functools
import importlib.util
from typing import Any

import torch
from torch import Tensor

from assent.engine.attention.turn import Turn

KEYS = 32  # of a block
ROWS = 16  # the fewest rows that tensor cores multiply; query heads that share keys are padded to it


@functools.cache
def available() -> bool:
    """Whether Triton is installed, which comes with torch for NVIDIA GPUs."""
    return importlib.util.find_spec("triton") is not None


def decode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    stores: tuple[Tensor, Tensor],
    positions: Tensor,
    scale: float,
    window: int | None,
    turn: Turn | None = None,
) -> Tensor:
    """Attention of one token a slot, [slots, heads, width] in the cache's precision; see `plans.DecodePlan`."""
    from assent.engine.attention import step_kernel

    kernel: Any = step_kernel.attend
    keys, values = stores
    query, key, value = (tensor if tensor.stride(-1) == 1 else tensor.contiguous() for tensor in (query, key, value))
    slots, heads, width = query.shape
    group = heads // key.shape[1]
    tables = (positions, positions) if turn is None else [table.float().contiguous() for table in turn]  # read if TURNS
    out = torch.empty(slots, heads, width, dtype=keys.dtype, device=query.device)
    strides = [tensor.stride(number) for number in (0, 1) for tensor in (query, key, value)]
    kernel[(key.shape[1], slots)](
        query, key, value, keys, values, positions, out, *strides, *keys.stride()[:3], *values.stride()[:3],
        out.stride(0), out.stride(1), scale, window or 0, width, group, *tables,
        ROWS=max(ROWS, _power(group)), WIDTH=max(16, _power(width)), KEYS=KEYS, TURNS=turn is not None,
        num_warps=2, num_stages=3,
    )  # fmt: skip
    return out


def _power(number: int) -> int:
    return 1 << (number - 1).bit_length()
