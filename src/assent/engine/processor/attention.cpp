// Attention on a processor, for rows of many sequences without padding and for decoding against a cache.
//
// One task is one tree (a prompt and the branches that see it) and one key head with the query heads that share it, so
// that nothing is ever added up by two threads and a result depends on its own sequence alone. Keys and values of a task
// are widened to fp32 once; all products run through one register-blocked kernel. The softmax is exact, in two passes
// over blocks of queries. Python's side, with shapes and types, is attention.py.

#include "cached.h"

namespace {

constexpr int64_t QUERIES = 32;  // rows of a block of queries

// -- C (+)= A B: A by single numbers with any strides, B and C by vectors; widths are multiples of LANES ---------------

struct Strided {
  const float* data;
  int64_t row, column;
};

template <int M, int N>
void tile(int64_t depth, Strided a, const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  Vector sum[M][N];
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) sum[i][j] = add ? load(c + i * ldc + j * LANES) : Vector{};
  for (int64_t k = 0; k < depth; k++) {
    Vector right[N];
    for (int j = 0; j < N; j++) right[j] = load(b + k * ldb + j * LANES);
    for (int i = 0; i < M; i++) {
      Vector left = splat(a.data[i * a.row + k * a.column]);
      for (int j = 0; j < N; j++) sum[i][j] += left * right[j];
    }
  }
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++) store(c + i * ldc + j * LANES, sum[i][j]);
}

template <int N>
void band(int64_t rows, int64_t depth, Strided a, const float* b, int64_t ldb, float* c, int64_t ldc, bool add) {
  int64_t i = 0;
  for (; i + 8 <= rows; i += 8) tile<8, N>(depth, {a.data + i * a.row, a.row, a.column}, b, ldb, c + i * ldc, ldc, add);
  Strided rest = {a.data + i * a.row, a.row, a.column};
  float* out = c + i * ldc;
  switch (rows - i) {
    case 7: tile<7, N>(depth, rest, b, ldb, out, ldc, add); break;
    case 6: tile<6, N>(depth, rest, b, ldb, out, ldc, add); break;
    case 5: tile<5, N>(depth, rest, b, ldb, out, ldc, add); break;
    case 4: tile<4, N>(depth, rest, b, ldb, out, ldc, add); break;
    case 3: tile<3, N>(depth, rest, b, ldb, out, ldc, add); break;
    case 2: tile<2, N>(depth, rest, b, ldb, out, ldc, add); break;
    case 1: tile<1, N>(depth, rest, b, ldb, out, ldc, add); break;
  }
}

void multiply(int64_t rows, int64_t width, int64_t depth, Strided a, const float* b, int64_t ldb, float* c, int64_t ldc,
              bool add) {
  int64_t j = 0;
  for (; j + 2 * LANES <= width; j += 2 * LANES) band<2>(rows, depth, a, b + j, ldb, c + j, ldc, add);
  if (j < width) band<1>(rows, depth, a, b + j, ldb, c + j, ldc, add);
}

// -- rows of tensors ---------------------------------------------------------------------------------------------------

// [n, width] from the tensor, padded with zeros to `wide` columns, and its transpose padded to `tall` columns.
void gather(const Tensor& t, int64_t head, int64_t first, int64_t n, int64_t width, int64_t wide, float* out) {
  for (int64_t i = 0; i < n; i++) {
    t.read(first + i, head, width, out + i * wide);
    std::fill(out + i * wide + width, out + (i + 1) * wide, 0.0f);
  }
}

void transpose(const float* in, int64_t n, int64_t width, int64_t wide, float* out, int64_t tall) {
  for (int64_t j = 0; j < width; j++) std::fill(out + j * tall + n, out + (j + 1) * tall, 0.0f);
  for (int64_t i0 = 0; i0 < n; i0 += LANES)
    for (int64_t j = 0; j < width; j++)
      for (int64_t i = i0; i < std::min(n, i0 + LANES); i++) out[j * tall + i] = in[i * wide + j];
}

// Keys and values that a sequence sees: a prompt, or its own tokens.
struct Segment {
  Buffer keys, keys_across, values, values_across, key_grads, value_grads;
  int64_t first = 0, length = 0, wide = 0, tall = 0, width = 0;

  void fill(const Tensor& key, const Tensor& value, int64_t head, int64_t start, int64_t n, int64_t d, bool backward) {
    first = start, length = n, width = d, wide = padded(d), tall = padded(n);
    gather(key, head, first, n, d, wide, keys.of(n * wide));
    gather(value, head, first, n, d, wide, values.of(n * wide));
    transpose(keys.of(0), n, d, wide, keys_across.of(d * tall), tall);
    if (!backward) return;
    transpose(values.of(0), n, d, wide, values_across.of(d * tall), tall);
    std::fill_n(key_grads.of(n * wide), n * wide, 0.0f);
    std::fill_n(value_grads.of(n * wide), n * wide, 0.0f);
  }
};

struct Problem {
  Tensor query, key, value, out;
  float* normalisers;               // [heads, row]: log of the sum of exponentials
  const Tensor *d_out, *d_query, *d_key, *d_value;
  int64_t row, heads, key_heads, width;
  float scale;
  int64_t window;                   // 0: none
};

struct Workspace {
  Segment prompt, own;
  Buffer query, scores, output, d_out, d_scores, d_query;
};

// One block of queries of one sequence; `context` may be empty.
struct Block {
  const Problem& p;
  Workspace& w;
  Segment& context;
  Segment& own;
  int64_t head, first, rows, offset;  // first: place in the row; offset: its index in the sequence
  int64_t wide, reach, left, columns;  // reach: own keys seen; left: columns of the context; columns: in all

  Block(const Problem& problem, Workspace& work, Segment& prompt, Segment& self, int64_t h, int64_t start)
      : p(problem), w(work), context(prompt), own(self), head(h), first(self.first + start),
        rows(std::min(QUERIES, self.length - start)), offset(start), wide(padded(problem.width)),
        reach(padded(std::min(self.length, start + rows))), left(prompt.tall), columns(left + reach) {
    gather(p.query, head, first, rows, p.width, wide, w.query.of(QUERIES * wide));
  }

  void scores() {
    float* s = w.scores.of(QUERIES * columns);
    Strided q = {w.query.of(0), wide, 1};
    if (context.length) multiply(rows, left, p.width, q, context.keys_across.of(0), context.tall, s, columns, false);
    multiply(rows, reach, p.width, q, own.keys_across.of(0), own.tall, s + left, columns, false);
  }

  // Hide from row i what it does not see: later tokens, keys older than the window, and the padding.
  void hide(int64_t i) {
    float* s = w.scores.of(0) + i * columns;
    int64_t seen = offset + i + 1, oldest = 0, youngest = 0;
    if (p.window) {
      int64_t first_seen = context.length + seen - p.window;
      oldest = std::clamp<int64_t>(first_seen, 0, context.length);
      youngest = std::clamp<int64_t>(first_seen - context.length, 0, seen);
    }
    std::fill(s, s + oldest, -INFINITY);
    std::fill(s + context.length, s + left + youngest, -INFINITY);
    std::fill(s + left + seen, s + columns, -INFINITY);
  }

  // scores -> exp(scale * score - shift); the sum of them.
  float exponentials(int64_t i, float shift) {
    float* s = w.scores.of(0) + i * columns;
    Vector sum = {};
    for (int64_t j = 0; j < columns; j += LANES) {
      Vector e = exponential(load(s + j) * splat(p.scale) - splat(shift));
      store(s + j, e);
      sum += e;
    }
    return total(sum);
  }

  void forward() {
    scores();
    float sums[QUERIES];
    for (int64_t i = 0; i < rows; i++) {
      hide(i);
      float shift = largest(w.scores.of(0) + i * columns, columns) * p.scale;
      sums[i] = exponentials(i, shift);
      p.normalisers[head * p.row + first + i] = shift + std::log(sums[i]);
    }
    float* o = w.output.of(QUERIES * wide);
    float* s = w.scores.of(0);
    bool add = context.length > 0;
    if (add) multiply(rows, wide, context.length, {s, columns, 1}, context.values.of(0), wide, o, wide, false);
    int64_t seen = std::min(own.length, offset + rows);
    multiply(rows, wide, seen, {s + left, columns, 1}, own.values.of(0), wide, o, wide, add);
    for (int64_t i = 0; i < rows; i++) p.out.write(first + i, head, p.width, o + i * wide, 1 / sums[i]);
  }

  void backward() {
    scores();
    float* o = w.output.of(QUERIES * wide);
    float* g = w.d_out.of(QUERIES * wide);
    gather(p.out, head, first, rows, p.width, wide, o);
    gather(*p.d_out, head, first, rows, p.width, wide, g);
    float* s = w.scores.of(0);
    float* ds = w.d_scores.of(QUERIES * columns);
    Strided grad = {g, wide, 1};
    if (context.length) multiply(rows, left, p.width, grad, context.values_across.of(0), context.tall, ds, columns, false);
    multiply(rows, reach, p.width, grad, own.values_across.of(0), own.tall, ds + left, columns, false);
    for (int64_t i = 0; i < rows; i++) {
      hide(i);
      exponentials(i, p.normalisers[head * p.row + first + i]);
      Vector products = {};
      for (int64_t j = 0; j < wide; j += LANES) products += load(o + i * wide + j) * load(g + i * wide + j);
      float delta = total(products);
      float *si = s + i * columns, *di = ds + i * columns;
      for (int64_t j = 0; j < columns; j += LANES)
        store(di + j, load(si + j) * (load(di + j) - splat(delta)) * splat(p.scale));
    }
    float* dq = w.d_query.of(QUERIES * wide);
    int64_t seen = std::min(own.length, offset + rows);
    bool add = context.length > 0;
    if (add) {
      multiply(rows, wide, context.length, {ds, columns, 1}, context.keys.of(0), wide, dq, wide, false);
      multiply(context.length, wide, rows, {s, 1, columns}, g, wide, context.value_grads.of(0), wide, true);
      multiply(context.length, wide, rows, {ds, 1, columns}, w.query.of(0), wide, context.key_grads.of(0), wide, true);
    }
    multiply(rows, wide, seen, {ds + left, columns, 1}, own.keys.of(0), wide, dq, wide, add);
    multiply(seen, wide, rows, {s + left, 1, columns}, g, wide, own.value_grads.of(0), wide, true);
    multiply(seen, wide, rows, {ds + left, 1, columns}, w.query.of(0), wide, own.key_grads.of(0), wide, true);
    for (int64_t i = 0; i < rows; i++) p.d_query->write(first + i, head, p.width, dq + i * wide, 1.0f);
  }
};

void finish(const Problem& p, Segment& s, int64_t head) {
  for (int64_t i = 0; i < s.length; i++) {
    p.d_key->write(s.first + i, head, p.width, s.key_grads.of(0) + i * s.wide, 1.0f);
    p.d_value->write(s.first + i, head, p.width, s.value_grads.of(0) + i * s.wide, 1.0f);
  }
}

void sequence(const Problem& p, Workspace& w, Segment& context, Segment& own, int64_t key_head, bool backward) {
  int64_t group = p.heads / p.key_heads;
  for (int64_t h = key_head * group; h < (key_head + 1) * group; h++)
    for (int64_t start = 0; start < own.length; start += QUERIES) {
      Block block(p, w, context, own, h, start);
      backward ? block.backward() : block.forward();
    }
}

// A tree: its prompt, then its branches. `spans`: start and length of each, the prompt first.
void tree(const Problem& p, Workspace& w, const int64_t* spans, int64_t count, int64_t key_head, bool backward) {
  static thread_local Segment nothing;
  w.prompt.fill(p.key, p.value, key_head, spans[0], spans[1], p.width, backward);
  sequence(p, w, nothing, w.prompt, key_head, backward);
  for (int64_t i = 1; i < count; i++) {
    w.own.fill(p.key, p.value, key_head, spans[2 * i], spans[2 * i + 1], p.width, backward);
    sequence(p, w, w.prompt, w.own, key_head, backward);
    if (backward) finish(p, w.own, key_head);
  }
  if (backward) finish(p, w.prompt, key_head);
}

void trees(const Problem& p, const int64_t* spans, const int64_t* begins, int64_t count, bool backward, int threads) {
#pragma omp parallel num_threads(threads)
  {
    static thread_local Workspace work;
#pragma omp for collapse(2) schedule(dynamic, 1)
    for (int64_t t = 0; t < count; t++)
      for (int64_t h = 0; h < p.key_heads; h++)
        tree(p, work, spans + 2 * begins[t], begins[t + 1] - begins[t], h, backward);
  }
}

}  // namespace

extern "C" {

struct Shape {
  int64_t row, heads, key_heads, width, window, trees, threads;
  float scale;
};

void attend(const Shape* s, const Tensor* query, const Tensor* key, const Tensor* value, const Tensor* out,
            float* normalisers, const int64_t* spans, const int64_t* begins) {
  Problem p = {*query, *key, *value, *out, normalisers, nullptr, nullptr, nullptr, nullptr,
               s->row, s->heads, s->key_heads, s->width, s->scale, s->window};
  trees(p, spans, begins, s->trees, false, s->threads);
}

void attend_backward(const Shape* s, const Tensor* query, const Tensor* key, const Tensor* value, const Tensor* out,
                     float* normalisers, const Tensor* d_out, const Tensor* d_query, const Tensor* d_key,
                     const Tensor* d_value, const int64_t* spans, const int64_t* begins) {
  Problem p = {*query, *key, *value, *out, normalisers, d_out, d_query, d_key, d_value,
               s->row, s->heads, s->key_heads, s->width, s->scale, s->window};
  trees(p, spans, begins, s->trees, true, s->threads);
}

// One token a slot: its key and value enter the cache at `positions`, and its query sees what is there up to it.
void decode(const Shape* s, const Tensor* query, const Tensor* key, const Tensor* value, const Tensor* out,
            const Tensor* keys, const Tensor* values, const int64_t* positions) {
  Decoding p = {*query, *key, *value, *out, *keys, *values, s->heads, s->key_heads, s->width, s->scale, s->window};
#pragma omp parallel num_threads(s->threads)
  {
    static thread_local Scratch work;
    decode_slots(p, work, s->row, positions, s->threads);
  }
}
}
