// Vectors of floats, bfloat16, and rows that are one or the other. Included by every kernel of this folder.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace {

constexpr int64_t LANES = 16;  // floats of one vector
typedef float Vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t Halves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

int64_t padded(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

Vector load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
void store(float* p, Vector v) { *reinterpret_cast<Vector*>(p) = v; }
Vector splat(float x) { return Vector{} + x; }

float total(Vector v) {  // in a tree
  float x[LANES];
  store(x, v);
  for (int64_t half = LANES / 2; half; half /= 2)
    for (int64_t i = 0; i < half; i++) x[i] += x[i + half];
  return x[0];
}

float largest(const float* x, int64_t wide) {  // of whole vectors
  Vector best = load(x);
  for (int64_t j = LANES; j < wide; j += LANES) {
    Vector next = load(x + j);
    best = next > best ? next : best;
  }
  float one = best[0];
  for (int64_t j = 1; j < LANES; j++) one = std::max(one, best[j]);
  return one;
}

// Lane i: every second number of a, then of b, beginning with `first`; two of these added halve what is left to add.
template <int FIRST>
Vector halves(Vector a, Vector b) {
  return __builtin_shuffle(a, b, Integers{FIRST, FIRST + 2, FIRST + 4, FIRST + 6, FIRST + 8, FIRST + 10, FIRST + 12,
                                          FIRST + 14, FIRST + 16, FIRST + 18, FIRST + 20, FIRST + 22, FIRST + 24,
                                          FIRST + 26, FIRST + 28, FIRST + 30});
}

// Lane i: the sum of v[i]; v is used up.
Vector totals(Vector* v) {
  for (int64_t number = LANES / 2; number; number /= 2)
    for (int64_t i = 0; i < number; i++) v[i] = halves<0>(v[2 * i], v[2 * i + 1]) + halves<1>(v[2 * i], v[2 * i + 1]);
  return v[0];
}

// -- bfloat16 ---------------------------------------------------------------------------------------------------------

float widen(uint16_t x) {
  uint32_t bits = uint32_t(x) << 16;
  float y;
  std::memcpy(&y, &bits, 4);
  return y;
}

Vector widen(const uint16_t* p) {
  Halves narrow = *reinterpret_cast<const Halves*>(p);
  return (Vector)(__builtin_convertvector(narrow, Integers) << 16);
}

float widen(float x) { return x; }
Vector widen(const float* p) { return load(p); }

uint16_t narrow(float x) {  // to nearest, ties to even
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

Halves narrow(Vector x) {
  Bits bits = (Bits)x;
  Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return __builtin_convertvector(x == x ? rounded : Bits{} + 0x7fc0, Halves);
}

// sum + the products of two lanes' pairs of bf16 numbers.
Vector add_pairs(Vector sum, Bits a, Bits b) {
#ifdef __AVX512BF16__
  return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
  sum += (Vector)(a << 16) * (Vector)(b << 16);
  return sum + (Vector)(a & 0xffff0000) * (Vector)(b & 0xffff0000);
#endif
}

void put(float* p, Vector x) { store(p, x); }
void put(uint16_t* p, Vector x) { *reinterpret_cast<Halves*>(p) = narrow(x); }

// -- exp: 2^(x log2 e) with a polynomial on [-1/2, 1/2]; relative error below 2e-7, 0 below -87 ------------------------

Vector exponential(Vector x) {
  x = x > splat(88.0f) ? splat(88.0f) : x;
  Vector zero = {};
  Integers alive = x > splat(-87.0f);
  Vector y = x * splat(1.44269504f);
  Vector magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  Vector n = (y + magic) - magic;
  Vector r = x - n * splat(0.693145752f);
  r = r - n * splat(1.42860677e-6f);
  Vector p = splat(1.38888889e-3f);
  p = p * r + splat(8.33333333e-3f);
  p = p * r + splat(4.16666667e-2f);
  p = p * r + splat(1.66666667e-1f);
  p = p * r + splat(0.5f);
  p = p * r + splat(1.0f);
  p = p * r + splat(1.0f);
  Integers exponent = (__builtin_convertvector(n, Integers) + 127) << 23;
  Vector scaled = p * (Vector)exponent;
  return alive ? scaled : zero;
}

// -- rows in fp32 or bf16 ---------------------------------------------------------------------------------------------

void read_row(const void* data, int64_t half, int64_t offset, int64_t width, float* out) {
  if (half) {
    const uint16_t* p = static_cast<const uint16_t*>(data) + offset;
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) store(out + i, widen(p + i));
    for (; i < width; i++) out[i] = widen(p[i]);
  } else {
    std::memcpy(out, static_cast<const float*>(data) + offset, 4 * width);
  }
}

void write_row(void* data, int64_t half, int64_t offset, int64_t width, const float* in, float factor = 1.0f) {
  if (half) {
    uint16_t* p = static_cast<uint16_t*>(data) + offset;
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) put(p + i, load(in + i) * splat(factor));
    for (; i < width; i++) p[i] = narrow(in[i] * factor);
  } else {
    float* p = static_cast<float*>(data) + offset;
    for (int64_t i = 0; i < width; i++) p[i] = in[i] * factor;
  }
}

struct Buffer {  // floats that grow and are not cleared
  std::vector<float> memory;
  float* of(int64_t size) {
    if (int64_t(memory.size()) < size) memory.resize(size);
    return memory.data();
  }
};

}  // namespace
