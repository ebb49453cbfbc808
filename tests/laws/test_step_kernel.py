"""The decode kernel of a GPU, interpreted on a processor: the law that `bench/gpu.py` holds it to on the device itself.

Runs wherever Triton is installed, which comes with torch for NVIDIA GPUs.
"""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

CHECK = """
import torch
from assent.engine.attention import step
from assent.engine.attention.turn import Turn

torch.manual_seed(0)
for heads, key_heads, width, window in ((4, 2, 16, None), (6, 6, 32, 5), (8, 2, 64, None), (3, 1, 24, 40)):
    slots = 3
    query, key, value = (torch.randn(slots, count, width) for count in (heads, key_heads, key_heads))
    positions = torch.tensor([77, 40, 3])
    angles = torch.randn(slots, width // 2).repeat(1, 2)
    turn = Turn(angles.cos(), angles.sin())
    filled = tuple(torch.randn(slots, 90, key_heads, width) for _ in range(2))
    stores, expected_stores = (tuple(one.clone() for one in filled) for _ in range(2))
    found = step.decode(query, key, value, stores, positions, 0.3, window, turn)
    turned, newest = turn.of(query), turn.of(key)
    for store, row in zip(expected_stores, (newest, value)):
        store[torch.arange(slots), positions] = row
    for one, other in zip(stores, expected_stores):
        torch.testing.assert_close(one, other)
    for slot, place in enumerate(positions.tolist()):
        first = 0 if window is None else max(0, place + 1 - window)
        for head in range(heads):
            seen, said = (store[slot, first : place + 1, head * key_heads // heads] for store in expected_stores)
            shares = (seen @ turned[slot, head] * 0.3).softmax(0)
            torch.testing.assert_close(found[slot, head], shares @ said, rtol=1e-5, atol=1e-5)
print("held")
"""


def test_the_decode_kernel_is_attention_over_the_cache_with_the_newest_token_in_it() -> None:
    """Grouped heads, windows, widths that are no power of two; a process of its own, which interprets its kernels."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK], env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "held" in done.stdout
