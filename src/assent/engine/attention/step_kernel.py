"""The kernel of step.py, in Triton.

A program is one sequence and one key head with all query heads that share it, so that keys and values are read once.
The softmax runs over blocks of keys and starts with the newest, which no other program has to have written. Programs of
one sequence follow each other: they read what lies side by side, and the longest sequences, in the first slots, begin.
"""

# pyright: basic, reportMissingImports=false, reportUntypedFunctionDecorator=false

import triton
import triton.language as tl


@triton.jit
def attend(
    query, key, value, keys, values, positions, out,
    query_slot, key_slot, value_slot, query_head, key_head, value_head,
    keys_slot, keys_place, keys_head, values_slot, values_place, values_head,
    out_slot, out_head, scale, window, width, group, cosines, sines,
    ROWS: tl.constexpr, WIDTH: tl.constexpr, KEYS: tl.constexpr, TURNS: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """One program of the grid (key heads, slots); arguments are what `step.decode` passes."""
    head = tl.program_id(0)
    slot = tl.program_id(1).to(tl.int64)
    position = tl.load(positions + slot).to(tl.int32)
    lanes = tl.arange(0, WIDTH)
    rows = tl.arange(0, ROWS)
    real = lanes < width
    kept = (rows < group)[:, None] & real[None, :]
    heads = head * group + rows
    kind = keys.dtype.element_ty
    query_base = query + slot * query_slot + heads[:, None] * query_head
    key_own = key + slot * key_slot + head * key_head
    asked = tl.load(query_base + lanes[None, :], mask=kept, other=0.0)
    own_key = tl.load(key_own + lanes, mask=real, other=0.0)
    if TURNS:  # each number with its partner in the other half of its head
        half = width // 2
        partners = tl.where(lanes < half, lanes + half, lanes - half)
        cosine = tl.load(cosines + slot * width + lanes, mask=real, other=0.0)
        sine = tl.load(sines + slot * width + lanes, mask=real, other=0.0)
        sine = tl.where(lanes < half, -sine, sine)
        partner = tl.load(query_base + partners[None, :], mask=kept, other=0.0).to(tl.float32)
        asked = asked.to(tl.float32) * cosine[None, :] + partner * sine[None, :]
        partner = tl.load(key_own + partners, mask=real, other=0.0).to(tl.float32)
        own_key = own_key.to(tl.float32) * cosine + partner * sine
    asked = asked.to(kind)
    own_key = own_key.to(kind)
    own_value = tl.load(value + slot * value_slot + head * value_head + lanes, mask=real, other=0.0).to(kind)
    key_base = keys + slot * keys_slot + head * keys_head
    value_base = values + slot * values_slot + head * values_head
    tl.store(key_base + position * keys_place + lanes, own_key, mask=real)
    tl.store(value_base + position * values_place + lanes, own_value, mask=real)
    largest = tl.sum(asked.to(tl.float32) * own_key.to(tl.float32)[None, :], 1) * scale
    total = tl.full([ROWS], 1.0, tl.float32)
    found = tl.zeros([ROWS, WIDTH], tl.float32) + own_value.to(tl.float32)[None, :]
    first = position * 0
    if window > 0:
        first = tl.maximum(first, position + 1 - window)
    for start in range(first, position, KEYS):
        places = start + tl.arange(0, KEYS)
        seen = places < position
        inside = seen[:, None] & real[None, :]
        block = tl.load(key_base + places[:, None] * keys_place + lanes[None, :], mask=inside, other=0.0)
        scores = tl.dot(asked, tl.trans(block), input_precision="ieee") * scale
        scores = tl.where(seen[None, :], scores, float("-inf"))
        higher = tl.maximum(largest, tl.max(scores, 1))
        shrink = tl.exp(largest - higher)
        shares = tl.exp(scores - higher[:, None])
        total = total * shrink + tl.sum(shares, 1)
        block = tl.load(value_base + places[:, None] * values_place + lanes[None, :], mask=inside, other=0.0)
        found = found * shrink[:, None] + tl.dot(shares.to(kind), block, input_precision="ieee")
        largest = higher
    found = found / total[:, None]
    tl.store(out + slot * out_slot + heads[:, None] * out_head + lanes[None, :], found.to(kind), mask=kept)
