// Drawing the next tokens from logits: one pass for the largest, one for the exponentials and their sums, a search.
// Python's side, and the same in torch, is decoding.py.

#include "vector.h"

namespace {

constexpr int64_t BLOCK = 128;  // tokens whose probabilities are added up first

}  // namespace

extern "C" {

// tokens[i]: at the quantile uniform[i] of softmax(logits[i] / temperature), or the likeliest at temperature 0.
void draw(int64_t n, int64_t vocabulary, float temperature, int64_t threads, const float* logits, int64_t stride,
          const double* uniform, int64_t* tokens, float* logprobs) {
  float divisor = temperature == 0 ? 1.0f : temperature;
  int64_t wide = (vocabulary + BLOCK - 1) / BLOCK * BLOCK;
#pragma omp parallel num_threads(threads)
  {
    static thread_local Buffer memory;
    static thread_local std::vector<double> sums;
    float* line = memory.of(wide);
    sums.resize(wide / BLOCK);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; i++) {
      const float* given = logits + i * stride;
      for (int64_t j = 0; j < vocabulary; j++) line[j] = given[j] / divisor;
      std::fill(line + vocabulary, line + wide, -INFINITY);
      float best = largest(line, wide);
      double whole = 0;
      for (int64_t b = 0; b < wide; b += BLOCK) {
        Vector sum = {};
        for (int64_t j = b; j < b + BLOCK; j += LANES) {
          Vector e = exponential(load(line + j) - splat(best));
          store(line + j, e);
          sum += e;
        }
        double exact = 0;
        for (int64_t j = 0; j < LANES; j++) exact += sum[j];
        whole += sums[b / BLOCK] = exact;
      }
      int64_t token = 0;
      if (temperature == 0) {
        while (token + 1 < vocabulary && given[token] / divisor != best) token++;
      } else {
        double left = uniform[i] * whole;
        int64_t block = 0, last = wide / BLOCK - 1;
        while (block < last && left >= sums[block]) left -= sums[block++];
        token = block * BLOCK;
        int64_t end = std::min(vocabulary, token + BLOCK) - 1;
        while (token < end && left >= line[token]) left -= line[token++];
      }
      tokens[i] = token;
      logprobs[i] = float(given[token] / divisor - best - std::log(whole));
    }
  }
}
}
