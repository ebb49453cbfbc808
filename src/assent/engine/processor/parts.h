// What stands between the products of a decoder's blocks, for one row in fp32. Included by blocks.cpp and decoder.cpp.

#pragma once

#include "vector.h"

namespace {

float dot(const float* a, const float* b, int64_t wide) {
  Vector sum = {};
  for (int64_t j = 0; j < wide; j += LANES) sum += load(a + j) * load(b + j);
  return total(sum);
}

Vector sigmoid(Vector x) { return splat(1.0f) / (splat(1.0f) + exponential(-x)); }

// The first half of a head against its second half, by the angles of the token's place; `back`: the other way round.
void rotate_head(float* x, const float* cosines, const float* sines, int64_t width, bool back, float* out) {
  int64_t half = width / 2;
  for (int64_t j = 0; j < half; j++) {
    float low = x[j], high = x[j + half];
    out[j] = low * cosines[j] + (back ? high * sines[j + half] : -high * sines[j]);
    out[j + half] = high * cosines[j + half] + (back ? -low * sines[j] : low * sines[j + half]);
  }
}

}  // namespace
