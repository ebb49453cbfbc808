// One new token of a sequence against its keys and values in the cache. Included by attention.cpp and decoder.cpp.

#pragma once

#include <utility>

#include "vector.h"

namespace {

// [row, heads, width], or a store [row, places, heads, width], in fp32 or bf16; the last dimension dense.
struct Tensor {
  void* data;
  int64_t row, head, place;  // strides, in elements
  int64_t half;              // 1: bf16

  int64_t offset(int64_t at, int64_t which, int64_t where = 0) const { return at * row + which * head + where * place; }

  void read(int64_t at, int64_t which, int64_t width, float* out, int64_t where = 0) const {
    read_row(data, half, offset(at, which, where), width, out);
  }

  void write(int64_t at, int64_t which, int64_t width, const float* in, float factor, int64_t where = 0) const {
    write_row(data, half, offset(at, which, where), width, in, factor);
  }
};

constexpr int64_t AHEAD = 4 * LANES;  // places

struct Decoding {
  Tensor query, key, value, out;  // [slots, heads, width]
  Tensor keys, values;            // [slots, length, key heads, width]
  int64_t heads, key_heads, width;
  float scale;
  int64_t window;
};

// Rows of one head that follow each other in a store: pieces of LANES numbers, widened.
template <typename Number>
struct Places {
  const Number* data;
  int64_t step, width;

  Places(const Tensor& t, int64_t slot, int64_t head, int64_t first, int64_t columns)
      : data(static_cast<const Number*>(t.data) + t.offset(slot, head, first)), step(t.place), width(columns) {}

  Vector whole(int64_t place, int64_t j) const { return widen(data + place * step + j); }

  Vector piece(int64_t place, int64_t j) const {
    if (width - j >= LANES) return whole(place, j);
    float x[LANES] = {};
    for (int64_t i = j; i < width; i++) x[i - j] = widen(data[place * step + i]);
    return load(x);
  }

  // Lane i: the product of a query with row first + i.
  Vector products(const float* query, int64_t first, int64_t count) const {
    Vector sums[LANES] = {};
    int64_t j = 0;
    if (count == LANES)
      for (; j + LANES <= width; j += LANES)
        for (int64_t i = 0; i < LANES; i++) sums[i] += load(query + j) * whole(first + i, j);
    for (; j < width; j += LANES)
      for (int64_t i = 0; i < count; i++) sums[i] += load(query + j) * piece(first + i, j);
    return totals(sums);
  }

  // The same where queries are bf16 too, and whole vectors of pairs.
  Vector products_of_pairs(const uint16_t* query, int64_t first) const {
    Vector sums[LANES] = {};
    for (int64_t j = 0; j < width; j += 2 * LANES)
      for (int64_t i = 0; i < LANES; i++)
        sums[i] = add_pairs(sums[i], *reinterpret_cast<const Bits*>(query + j),
                            *reinterpret_cast<const Bits*>(data + (first + i) * step + j));
    return totals(sums);
  }

  // out += the rows, each times its share, N pieces from column j on.
  template <int64_t N>
  void blend(const float* shares, int64_t first, int64_t count, int64_t j, float* out) const {
    Vector sums[N];
    for (int64_t i = 0; i < N; i++) sums[i] = load(out + j + i * LANES);
    for (int64_t t = 0; t < count; t++)
      for (int64_t i = 0; i < N; i++)
        sums[i] += splat(shares[t]) * (N > 1 ? whole(first + t, j + i * LANES) : piece(first + t, j));
    for (int64_t i = 0; i < N; i++) store(out + j + i * LANES, sums[i]);
  }

  void blend(const float* shares, int64_t first, int64_t count, float* out) const {
    int64_t j = 0;
    for (; j + 4 * LANES <= width; j += 4 * LANES) blend<4>(shares, first, count, j, out);
    for (; j + 2 * LANES <= width; j += 2 * LANES) blend<2>(shares, first, count, j, out);
    for (; j < width; j += LANES) blend<1>(shares, first, count, j, out);
  }
};

struct Scratch {  // of a thread
  Buffer query, scores, sums, out;
};

// Scores of one head become exponentials; their sum.
float exponentials(float* scores, int64_t visible) {
  std::fill(scores + visible, scores + padded(visible), -INFINITY);
  float best = largest(scores, padded(visible));
  Vector sum = {};
  for (int64_t t = 0; t < visible; t += LANES) {
    Vector e = exponential(load(scores + t) - splat(best));
    store(scores + t, e);
    sum += e;
  }
  return total(sum);
}

// Ask for what is read a while later: a head's rows at LANES places. Into the second cache: asked for into the first,
// they come one after the other, as they would unasked. To ask beyond the last slot does no harm.
template <typename Number>
void fetch(const Tensor& t, int64_t slot, int64_t head, int64_t place, int64_t width) {
  constexpr int64_t LINE = 64 / sizeof(Number);
  for (int64_t i = place; i < place + LANES; i++) {
    const Number* row = static_cast<const Number*>(t.data) + t.offset(slot, head, i);
    for (int64_t j = 0; j < width; j += LINE) __builtin_prefetch(row + j, 0, 2);
  }
}

// Some key heads of one slot, with the query heads that share them. Places go by in the order in which they lie in
// memory, LANES at a time, for all of these heads: what is read is read once, and is next to what was read before.
template <typename Number>
void decode_heads(const Decoding& p, Scratch& w, int64_t slot, int64_t first_head, int64_t number, int64_t position) {
  const int64_t group = p.heads / p.key_heads, wide = padded(p.width), seen = position + 1;
  const int64_t oldest = p.window ? std::max<int64_t>(0, seen - p.window) : 0, visible = seen - oldest;
  const int64_t queries = number * group, tall = padded(visible);
  const bool pairs = p.query.half && p.keys.half && p.width % (2 * LANES) == 0;
  float* query = w.query.of(queries * wide);
  float* out = w.out.of(queries * wide);
  float* scores = w.scores.of(queries * tall);
  for (auto [from, to] : {std::pair{&p.key, &p.keys}, std::pair{&p.value, &p.values}})
    for (int64_t h = first_head; h < first_head + number; h++) {
      from->read(slot, h, p.width, out);
      to->write(slot, h, p.width, out, 1.0f, position);
    }
  std::fill(query, query + queries * wide, 0.0f);
  std::fill(out, out + queries * wide, 0.0f);
  for (int64_t q = 0; q < queries; q++) p.query.read(slot, first_head * group + q, p.width, query + q * wide);
  for (int64_t t = 0, later = AHEAD; t < visible; t += LANES, later += LANES) {
    for (int64_t q = 0; q < queries; q++) {
      if (later < visible) fetch<Number>(p.keys, slot, first_head + q / group, oldest + later, p.width);
      else fetch<Number>(p.values, slot, first_head + q / group, oldest + later - visible, p.width);
      Places<Number> keys(p.keys, slot, first_head + q / group, oldest, p.width);
      const uint16_t* narrow = static_cast<const uint16_t*>(p.query.data) + p.query.offset(slot, first_head * group + q);
      Vector found = pairs && visible - t >= LANES ? keys.products_of_pairs(narrow, t)
                                                   : keys.products(query + q * wide, t, std::min(LANES, visible - t));
      store(scores + q * tall + t, found * splat(p.scale));
    }
  }
  for (int64_t q = 0; q < queries; q++) w.sums.of(queries)[q] = exponentials(scores + q * tall, visible);
  for (int64_t t = 0, later = AHEAD; t < visible; t += LANES, later += LANES) {
    for (int64_t q = 0; q < queries; q++) {
      if (later < visible) fetch<Number>(p.values, slot, first_head + q / group, oldest + later, p.width);
      else fetch<Number>(p.keys, slot + 1, first_head + q / group, oldest + later - visible, p.width);
      Places<Number> values(p.values, slot, first_head + q / group, oldest, p.width);
      values.blend(scores + q * tall + t, t, std::min(LANES, visible - t), out + q * wide);
    }
  }
  for (int64_t q = 0; q < queries; q++)
    p.out.write(slot, first_head * group + q, p.width, out + q * wide, 1 / w.sums.of(queries)[q]);
}

// Of a thread team: one new token for each slot. Heads of a slot are parted only where there are few slots.
void decode_slots(const Decoding& p, Scratch& work, int64_t slots, const int64_t* positions, int64_t threads) {
  const int64_t number = slots >= 4 * threads ? p.key_heads : 1, parts = p.key_heads / number;
#pragma omp for collapse(2) schedule(dynamic, 1)
  for (int64_t slot = 0; slot < slots; slot++)
    for (int64_t part = 0; part < parts; part++)
      (p.keys.half ? decode_heads<uint16_t> : decode_heads<float>)(p, work, slot, part * number, number,
                                                                   positions[slot]);
}

}  // namespace
