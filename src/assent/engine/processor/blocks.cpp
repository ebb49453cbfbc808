// What stands between the products of a decoder's blocks: norms, rotations of queries and keys, gates. Each is one pass
// over its rows in fp32, whatever the rows are held in, forward and backward. Python's side is blocks.py.

#include "parts.h"

namespace {

constexpr int64_t SMALL = 8192;   // numbers below which other threads cost more than they help
constexpr int64_t PORTION = 128;  // rows whose part of a weight's gradient is added up first, by any thread

struct Rows {  // [n, width] in fp32 or bf16, the last dimension dense
  void* data;
  int64_t stride, half;

  void read(int64_t row, int64_t width, float* out) const { read_row(data, half, row * stride, width, out); }
  void write(int64_t row, int64_t width, const float* in) const { write_row(data, half, row * stride, width, in); }
};

struct Lines {  // a thread's rows, padded with zeros to whole vectors
  Buffer memory;
  float* of(int64_t number, int64_t width) {
    int64_t wide = padded(width);
    float* start = memory.of(number * wide);
    std::fill(start, start + number * wide, 0.0f);
    return start;
  }
};

}  // namespace

extern "C" {

// out = x / rms(x) * weight; scales[n] = 1 / rms.
void norm(int64_t n, int64_t width, float epsilon, int64_t threads, Rows x, const float* weight, Rows out,
          float* scales) {
  int64_t wide = padded(width);
#pragma omp parallel num_threads(threads) if (n * width > SMALL)
  {
    static thread_local Lines work;
    float* line = work.of(2, width);
    float* factors = line + wide;
    std::copy(weight, weight + width, factors);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; i++) {
      x.read(i, width, line);
      float scale = 1 / std::sqrt(dot(line, line, wide) / width + epsilon);
      if (scales) scales[i] = scale;
      for (int64_t j = 0; j < wide; j += LANES) store(line + j, load(line + j) * splat(scale) * load(factors + j));
      out.write(i, width, line);
      std::fill(line + width, line + wide, 0.0f);
    }
  }
}

// portions: [ceil(n / PORTION), width], each portion's part of the weight's gradient.
void norm_backward(int64_t n, int64_t width, int64_t threads, Rows x, const float* weight, const float* scales,
                   Rows d_out, Rows d_x, float* portions) {
  int64_t wide = padded(width);
#pragma omp parallel num_threads(threads) if (n * width > SMALL)
  {
    static thread_local Lines work;
    float* line = work.of(4, width);
    float *given = line + wide, *factors = given + wide, *sums = factors + wide;
    std::copy(weight, weight + width, factors);
#pragma omp for schedule(static)
    for (int64_t first = 0; first < n; first += PORTION) {
      std::fill(sums, sums + wide, 0.0f);
      for (int64_t i = first; i < std::min(n, first + PORTION); i++) {
        x.read(i, width, line);
        d_out.read(i, width, given);
        Vector scale = splat(scales[i]), products = {};
        for (int64_t j = 0; j < wide; j += LANES) {
          Vector unit = load(line + j) * scale, grad = load(given + j);
          store(sums + j, load(sums + j) + grad * unit);
          grad *= load(factors + j);
          products += grad * unit;
          store(given + j, grad);
        }
        Vector mean = splat(total(products) / width);
        for (int64_t j = 0; j < wide; j += LANES)
          store(given + j, (load(given + j) - load(line + j) * scale * mean) * scale);
        d_x.write(i, width, given);
        std::fill(given + width, given + wide, 0.0f);
      }
      std::copy(sums, sums + width, portions + first / PORTION * width);
    }
  }
}

// out = silu(gate) * up
void gate(int64_t n, int64_t width, int64_t threads, Rows gates, Rows ups, Rows out) {
  int64_t wide = padded(width);
#pragma omp parallel num_threads(threads) if (n * width > SMALL)
  {
    static thread_local Lines work;
    float* g = work.of(2, width);
    float* u = g + wide;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; i++) {
      gates.read(i, width, g);
      ups.read(i, width, u);
      for (int64_t j = 0; j < wide; j += LANES) store(g + j, load(g + j) * sigmoid(load(g + j)) * load(u + j));
      out.write(i, width, g);
    }
  }
}

void gate_backward(int64_t n, int64_t width, int64_t threads, Rows gates, Rows ups, Rows d_out, Rows d_gates,
                   Rows d_ups) {
  int64_t wide = padded(width);
#pragma omp parallel num_threads(threads) if (n * width > SMALL)
  {
    static thread_local Lines work;
    float* g = work.of(3, width);
    float *u = g + wide, *d = u + wide;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; i++) {
      gates.read(i, width, g);
      ups.read(i, width, u);
      d_out.read(i, width, d);
      for (int64_t j = 0; j < wide; j += LANES) {
        Vector x = load(g + j), open = sigmoid(x), grad = load(d + j);
        store(g + j, grad * load(u + j) * open * (splat(1.0f) + x * (splat(1.0f) - open)));
        store(u + j, grad * x * open);
      }
      d_gates.write(i, width, g);
      d_ups.write(i, width, u);
    }
  }
}

// Rotary positions of [n, heads x width]; cosines and sines: [n, width].
void rotate(int64_t n, int64_t heads, int64_t width, int64_t back, int64_t threads, Rows x, const float* cosines,
            const float* sines, Rows out) {
#pragma omp parallel num_threads(threads) if (n * heads * width > SMALL)
  {
    static thread_local Lines work;
    float* line = work.of(2, heads * width);
    float* turned = line + padded(heads * width);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; i++) {
      x.read(i, heads * width, line);
      for (int64_t h = 0; h < heads; h++)
        rotate_head(line + h * width, cosines + i * width, sines + i * width, width, back, turned + h * width);
      out.write(i, heads * width, turned);
    }
  }
}
}
