// One step of decoding: a new token of each sequence through all layers of a decoder, in one call.
//
// At few rows the time goes into calls, into products that read all weights for them, and into threads that wait for
// each other. So weights are packed once, as the kernel reads them, and all threads stay in one region from the first
// layer to the last, dealt out panels of columns, heads, or rows. A number is added up by one thread in one order that
// does not depend on the other rows. Where the model computes in bf16, numbers are rounded where autocast rounds them.
// Python's side, with shapes and types, is decoder.py.

#include <type_traits>

#include "cached.h"
#include "parts.h"

namespace {

constexpr int64_t PANEL = 2 * LANES;  // columns of a product that are computed together
constexpr int ROWS = 12;              // and rows: 24 sums, 2 vectors of weights and one of inputs fill the registers

// A weight [columns, depth], panel by panel: for each step in depth, a lane a column. A lane is one fp32 number, or two
// bf16 numbers that follow each other in depth.
struct Product {
  const void* panels;
  const float* bias;  // padded to whole panels; null: none
  int64_t columns, steps;

  int64_t count() const { return columns / PANEL; }
  const Bits* panel(int64_t p) const { return static_cast<const Bits*>(panels) + p * 2 * steps; }
};

template <typename Number>
Vector add_product(Vector sum, Bits a, Bits b) {
  if constexpr (std::is_same_v<Number, float>) return sum + (Vector)a * (Vector)b;
  return add_pairs(sum, a, b);
}

template <typename Number, int M>
void tile(const Product& w, int64_t panel, const uint32_t* in, int64_t stride, Vector (*out)[2]) {
  const Bits* b = w.panel(panel);
  Vector sums[M][2];
  for (int i = 0; i < M; i++)
    for (int j = 0; j < 2; j++) sums[i][j] = w.bias ? load(w.bias + panel * PANEL + j * LANES) : Vector{};
  for (int64_t k = 0; k < w.steps; k++) {
    Bits left = b[2 * k], right = b[2 * k + 1];
    for (int i = 0; i < M; i++) {
      Bits a = Bits{} + in[i * stride + k];
      sums[i][0] = add_product<Number>(sums[i][0], a, left);
      sums[i][1] = add_product<Number>(sums[i][1], a, right);
    }
  }
  for (int i = 0; i < M; i++)
    for (int j = 0; j < 2; j++) out[i][j] = sums[i][j];
}

template <typename Number>
void tile(int64_t rows, const Product& w, int64_t panel, const uint32_t* in, int64_t stride, Vector (*out)[2]) {
  switch (rows) {
    case 1: return tile<Number, 1>(w, panel, in, stride, out);
    case 2: return tile<Number, 2>(w, panel, in, stride, out);
    case 3: return tile<Number, 3>(w, panel, in, stride, out);
    case 4: return tile<Number, 4>(w, panel, in, stride, out);
    case 5: return tile<Number, 5>(w, panel, in, stride, out);
    case 6: return tile<Number, 6>(w, panel, in, stride, out);
    case 7: return tile<Number, 7>(w, panel, in, stride, out);
    case 8: return tile<Number, 8>(w, panel, in, stride, out);
    case 9: return tile<Number, 9>(w, panel, in, stride, out);
    case 10: return tile<Number, 10>(w, panel, in, stride, out);
    case 11: return tile<Number, 11>(w, panel, in, stride, out);
    case 12: return tile<Number, 12>(w, panel, in, stride, out);
  }
}

// [rows, stride] of what the model computes in, between two products.
template <typename Number>
struct Matrix {
  Number* data;
  int64_t stride;

  Number* row(int64_t i) const { return data + i * stride; }
};

// Of a thread team: finish(row, panel, left, right) for each row and panel of in * w'.
template <typename Number, typename Finish>
void multiply(int64_t rows, Matrix<Number> in, const Product& w, Finish finish) {
  const int64_t tiles = (rows + ROWS - 1) / ROWS;
#pragma omp for collapse(2) schedule(static)
  for (int64_t p = 0; p < w.count(); p++)
    for (int64_t t = 0; t < tiles; t++) {
      int64_t first = rows * t / tiles, next = rows * (t + 1) / tiles;
      Vector sums[ROWS][2];
      const uint32_t* lanes = reinterpret_cast<const uint32_t*>(in.row(first));
      tile<Number>(next - first, w, p, lanes, in.stride * sizeof(Number) / 4, sums);
      for (int64_t i = first; i < next; i++) finish(i, p, sums[i - first][0], sums[i - first][1]);
    }
}

template <typename Number>
Vector rounded(Vector x) {
  if constexpr (std::is_same_v<Number, float>) return x;
  return (Vector)(__builtin_convertvector(narrow(x), Bits) << 16);
}

}  // namespace

extern "C" {

struct Layer {
  const float *norm_before_attention, *norm_before_gates;
  float epsilon_before_attention, epsilon_before_gates, scale;
  Product in, out, gates, down;  // in: queries, keys, values; gates: 16 gates, then their 16 ups, a panel
  int64_t window;
  const float *of_queries, *of_keys;  // norms of heads before they are turned; null: none
  float epsilon_of_queries, epsilon_of_keys;
};

struct Decoder {
  const Layer* layers;
  int64_t number, width, heads, key_heads, head_width, gated;  // gated: columns after gates and ups are multiplied
  const float* norm;                                          // after the last layer
  float epsilon;
  int64_t half;  // 1: bf16
};

}

namespace {

// What passes between the parts of a layer, for all rows.
template <typename Number>
struct Between {
  std::vector<float> states;
  std::vector<Number> normed, heads, attended, gated;

  static Matrix<Number> of(std::vector<Number>& memory, int64_t rows, int64_t width) {
    int64_t stride = (width + PANEL - 1) / PANEL * PANEL;
    if (int64_t(memory.size()) < rows * stride) memory.resize(rows * stride);
    return {memory.data(), stride};
  }
};

template <typename Number>
struct Step {
  const Decoder& d;
  const Tensor *keys, *values;  // a layer: [slots, length, key heads, width]
  const int64_t* positions;
  const float *cosines, *sines;  // [rows, head width]
  int64_t rows, threads;
  Matrix<float> states;
  Matrix<Number> normed, heads, attended, gated;

  template <typename Out>
  void norm(const float* weight, float epsilon, Matrix<Out> out) const {
    const int64_t wide = padded(d.width);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < rows; i++) {
      const float* x = states.row(i);
      Vector scale = splat(1 / std::sqrt(dot(x, x, wide) / d.width + epsilon));
      for (int64_t j = 0; j < wide; j += LANES) put(out.row(i) + j, load(x + j) * scale * load(weight + j));
    }
  }

  // Of one head: norm, if there is one, and rotation.
  void turn(Number* head, int64_t row, const float* weight, float epsilon) const {
    float given[256 + LANES], turned[256];
    const int64_t width = d.head_width, wide = padded(width);
    std::fill(given + width, given + wide, 0.0f);
    read_row(head, d.half, 0, width, given);
    if (weight) {
      Vector scale = splat(1 / std::sqrt(dot(given, given, wide) / width + epsilon));
      for (int64_t j = 0; j < wide; j += LANES) store(given + j, load(given + j) * scale * load(weight + j));
    }
    rotate_head(given, cosines + row * width, sines + row * width, width, false, turned);
    write_row(head, d.half, 0, width, turned);
  }

  Tensor view(Number* data, int64_t stride) const { return {data, stride, d.head_width, 0, d.half}; }

  void attend(int64_t layer, Scratch& work) const {
    const Layer& w = d.layers[layer];
    const int64_t all = d.heads + d.key_heads;
    Number* start = heads.data;
    const Decoding problem = {view(start, heads.stride),
                              view(start + d.heads * d.head_width, heads.stride),
                              view(start + all * d.head_width, heads.stride),
                              view(attended.data, attended.stride),
                              keys[layer], values[layer], d.heads, d.key_heads, d.head_width, w.scale, w.window};
#pragma omp for collapse(2) schedule(static)
    for (int64_t i = 0; i < rows; i++)
      for (int64_t h = 0; h < d.heads + d.key_heads; h++) {
        Number* head = heads.row(i) + h * d.head_width;
        if (h < d.heads) turn(head, i, w.of_queries, w.epsilon_of_queries);
        else turn(head, i, w.of_keys, w.epsilon_of_keys);
      }
    decode_slots(problem, work, rows, positions, threads);
  }

  void add_to_states(Matrix<Number> in, const Product& product) const {
    multiply(rows, in, product, [&](int64_t i, int64_t panel, Vector left, Vector right) {
      float* x = states.row(i) + panel * PANEL;
      store(x, load(x) + rounded<Number>(left));
      store(x + LANES, load(x + LANES) + rounded<Number>(right));
    });
  }

  void layer(int64_t number, Scratch& work) const {
    const Layer& w = d.layers[number];
    norm(w.norm_before_attention, w.epsilon_before_attention, normed);
    multiply(rows, normed, w.in, [&](int64_t i, int64_t panel, Vector left, Vector right) {
      Number* x = heads.row(i) + panel * PANEL;
      put(x, left);
      put(x + LANES, right);
    });
    attend(number, work);
    add_to_states(attended, w.out);
    norm(w.norm_before_gates, w.epsilon_before_gates, normed);
    multiply(rows, normed, w.gates, [&](int64_t i, int64_t panel, Vector gate, Vector up) {
      gate = rounded<Number>(gate), up = rounded<Number>(up);
      put(gated.row(i) + panel * LANES, gate * sigmoid(gate) * up);
    });
    add_to_states(gated, w.down);
  }
};

template <typename Number>
void run(const Decoder& d, int64_t rows, const Tensor* keys, const Tensor* values, const int64_t* positions,
         const float* cosines, const float* sines, float* embedded, int64_t threads) {
  static thread_local Between<Number> memory;
  static thread_local Between<float> states;
  typedef Between<Number> B;
  const int64_t heads = d.heads * d.head_width, key_heads = d.key_heads * d.head_width;
  Step<Number> step = {d, keys, values, positions, cosines, sines, rows, threads,
                       Between<float>::of(states.states, rows, d.width),
                       B::of(memory.normed, rows, d.width),
                       B::of(memory.heads, rows, heads + 2 * key_heads),
                       B::of(memory.attended, rows, heads),
                       B::of(memory.gated, rows, d.gated)};
  const Matrix<float> out = {embedded, d.width};
#pragma omp parallel num_threads(threads)
  {
    static thread_local Scratch work;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < rows; i++) {
      float* row = step.states.row(i);
      std::copy(out.row(i), out.row(i) + d.width, row);
      std::fill(row + d.width, row + step.states.stride, 0.0f);
    }
    for (int64_t number = 0; number < d.number; number++) step.layer(number, work);
    step.norm(d.norm, d.epsilon, step.states);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < rows; i++) std::copy(step.states.row(i), step.states.row(i) + d.width, out.row(i));
  }
}

}  // namespace

extern "C" {

// embedded: [rows, width], the tokens' embeddings; in their place come the states after the last norm.
void decode_step(const Decoder* d, int64_t rows, const Tensor* keys, const Tensor* values, const int64_t* positions,
                 const float* cosines, const float* sines, float* embedded, int64_t threads) {
  (d->half ? run<uint16_t> : run<float>)(*d, rows, keys, values, positions, cosines, sines, embedded, threads);
}
}
