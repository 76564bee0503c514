// Dense only: a block of rows, visited one by one at the cost of matrix products. Reads
// rows and weights. Writes to its scratch memory only.
//
// With the scores Z = X V of all rows and their inner products M = X X^T, visits need
// no weights. After the changes c_0 ... c_{t-1} of the visits before, the scores of row
// t are
//
//     Z_t - sum_{s<t} M_ts c_s
//
// The weights are read once for Z, and read and written once for V <- V - X^T C,
// whatever the number of rows. Vectors run over classes, or, if two classes are one
// column (margin.h), over features.
#pragma once

#include "rows.h"

namespace {

constexpr bool many_registers = SOFTMAX_VECTOR_BYTES == 64;  // 32 of them
constexpr int usual_rows = 16, most_rows = 32;

// Long blocks cost more inner products of rows. Short blocks read the weights more
// often, which costs more if they do not fit into the L2 cache.
template <class T>
int rows_per_block(ptrdiff_t n_features, ptrdiff_t n_padded) {
    return size_t(n_features * n_padded) * sizeof(T) > (1 << 20) ? most_rows : usual_rows;
}

// A number of feature j, for the vector W of weights that begins with this feature: W
// has classes of the feature if V has, else the features from j on.
template <class V, class W>
SOFTMAX_INLINE W of_features(const typename V::Number* numbers, ptrdiff_t j) {
    if constexpr (V::lanes == 1)
        return W::load(numbers + j);
    else
        return W::broadcast(numbers[j]);
}

// Row is the vector of a row of weights: Vec, or One if two classes are one column.
template <class Row>
class Block {
    using T = typename Row::Number;
    using V = Vec<T>;
    static constexpr bool is_margin = Row::lanes == 1;
    const ptrdiff_t n_features, stride, n_padded, capacity;
    T *const seen, *const stepped;  // (capacity, stride): rows; times step scales
    T *const scores, *const changes, *const predictions;  // (capacity, n_padded)
    T* const column;  // (stride): the weights, if they are one column; then 0
    T* const first_scores;  // (n_padded)
    int n_predicted = 0;

   public:
    int n_rows = 0;
    T products[most_rows][most_rows];  // M, below the diagonal
    // By row: |x|^2, and sum of step_scale_j x_j^2, for x in coordinates.
    double norm[most_rows], stepped_norm[most_rows];

    // At most as many rows as visits, which saves memory when a call has one row.
    static ptrdiff_t rows_of(ptrdiff_t n_features, ptrdiff_t n_padded, ptrdiff_t n_visits) {
        const ptrdiff_t rows = rows_per_block<T>(n_features, n_padded);
        return n_visits < rows ? n_visits : rows;
    }
    static size_t scratch_size(ptrdiff_t n_features, ptrdiff_t n_padded, ptrdiff_t n_visits) {
        return rows_of(n_features, n_padded, n_visits) * (2 * padded(n_features) + 3 * n_padded) + padded(n_features) +
               n_padded;
    }
    static ptrdiff_t padded(ptrdiff_t n_features) { return (n_features + V::lanes - 1) / V::lanes * V::lanes; }

    // Without step scales, the rows that steps go along are the rows in coordinates.
    Block(ptrdiff_t features, ptrdiff_t classes_padded, ptrdiff_t n_visits, bool has_step_scales, T* scratch)
        : n_features(features),
          stride(padded(features)),
          n_padded(classes_padded),
          capacity(rows_of(features, classes_padded, n_visits)),
          seen(scratch),
          stepped(has_step_scales ? seen + capacity * stride : seen),
          scores(seen + 2 * capacity * stride),
          changes(scores + capacity * n_padded),
          predictions(changes + capacity * n_padded),
          column(predictions + capacity * n_padded),
          first_scores(column + stride) {}

    // Adds a row, in coordinates. A value whose square would overflow is cut off.
    void load(const T* row, const softmax::Coordinates<T>& c) {
        constexpr T limit = sizeof(T) == 8 ? T(1e100) : T(1e15);
        T *const x = seen + n_rows * stride, *const u = stepped + n_rows * stride;
        for (ptrdiff_t j = 0; j < n_features; ++j) {
            T value = (row[j] - c.offset[j]) * c.inverse_scale[j];
            value = value > limit ? limit : value < -limit ? -limit : value;
            x[j] = value;
        }
        if (u != x)
            for (ptrdiff_t j = 0; j < n_features; ++j) u[j] = x[j] * c.step_scale[j];
        norm[n_rows++] = dot(x, x);
    }

    // Adds a row as it is.
    void load(const T* row) {
        T* const x = seen + n_rows * stride;
        for (ptrdiff_t j = 0; j < n_features; ++j) x[j] = row[j];
        norm[n_rows++] = 0;  // not read by explicit steps
    }

    void clear() { n_rows = n_predicted = 0; }
    void drop_last() { --n_rows; }
    const T* scores_of(int t) const { return scores + t * n_padded; }
    T* change_of(int t) { return changes + t * n_padded; }
    const T* prediction_of(int t) const { return predictions + t * n_padded; }

    // Makes Z, M and stepped_norm.
    SOFTMAX_SHARED void multiply(const T* weights) {
        score_all(0, weights, scores);
        T* const M = products[0];
        int t = 0;
        for (; t < n_rows; ++t) {
            stepped_norm[t] = stepped == seen ? norm[t] : dot(seen + t * stride, stepped + t * stride);
        }
        t = 0;
        if constexpr (many_registers)  // products on and beside the diagonal are not read
            for (; t + 4 <= n_rows; t += 4)
                for (int s = 0; s <= t; s += 4) dots<4, 4>(t, stepped + s * stride, M + s, most_rows);
        // two rows at a time: half the loads
        for (; t + 2 <= n_rows; t += 2) {
            int s = 0;
            for (; s + 4 <= t; s += 4) dots<2, 4>(t, stepped + s * stride, M + s, most_rows);
            for (; s < t + 1; ++s)
                dots<2, 1>(t, stepped + s * stride, M + s, most_rows);  // one product too many, on the diagonal
        }
        if (t < n_rows)
            for (int s = 0; s < t; ++s) dots<1, 1>(t, stepped + s * stride, M + s, most_rows);
    }

    // The scores under another model, of the rows added since the last call.
    SOFTMAX_SHARED void predict(const T* weights) {
        score_all(n_predicted, weights, predictions);
        n_predicted = n_rows;
    }

    // The scores of the only row so far under a third model.
    SOFTMAX_SHARED const T* score_first(const T* weights) {
        score_all(0, weights, first_scores);
        return first_scores;
    }

    // each(j, k, D): D = (X^T C)_j, for the vector of classes that starts at k. Every
    // pair of j and k comes once. Of one column, D has vectors of features, and then one
    // feature at a time.
    template <class Each>
    SOFTMAX_SHARED void transposed_product(const Each& each) const {
        ptrdiff_t k = 0;
        if constexpr (is_margin) return transposed_column(each);
        for (; k + 3 * V::lanes <= n_padded; k += 3 * V::lanes) transposed_columns<3>(k, each);
        for (; k + 2 * V::lanes <= n_padded; k += 2 * V::lanes) transposed_columns<2>(k, each);
        for (; k < n_padded; k += V::lanes) transposed_columns<1>(k, each);
    }

    // Multiplies the changes of each row r by numbers[r].
    void scale_changes(const double* numbers) {
        for (int r = 0; r < n_rows; ++r)
            for (ptrdiff_t k = 0; k < n_padded; ++k) change_of(r)[k] *= T(numbers[r]);
    }

   private:
    void score_all(int t, const T* weights, T* out) const {
        if constexpr (is_margin)
            for (ptrdiff_t j = 0; j < n_features; ++j) column[j] = weights[j];
        if constexpr (many_registers)
            for (; t + 8 <= n_rows; t += 8) score_rows<8>(t, weights, out);
        for (; t + 4 <= n_rows; t += 4) score_rows<4>(t, weights, out);
        for (; t + 2 <= n_rows; t += 2) score_rows<2>(t, weights, out);
        for (; t < n_rows; ++t) score_rows<1>(t, weights, out);
    }

    template <int R>
    void score_rows(int t, const T* weights, T* out) const {
        if constexpr (is_margin) return dots<R, 1>(t, column, out, 1);
        ptrdiff_t k = 0;
        for (; k + 3 * V::lanes <= n_padded; k += 3 * V::lanes) score_tile<R, 3>(t, k, weights, out);
        for (; k + 2 * V::lanes <= n_padded; k += 2 * V::lanes) score_tile<R, 2>(t, k, weights, out);
        for (; k < n_padded; k += V::lanes) score_tile<R, 1>(t, k, weights, out);
    }

    template <int R, int N>
    void score_tile(int t, ptrdiff_t k, const T* weights, T* out) const {
        // independent sums hide the latency of an fma
        constexpr int chains = R * N >= 8 ? 1 : 8 / (R * N);
        V sums[chains][R][N];
        for (auto& chain : sums)
            for (auto& row : chain)
                for (V& sum : row) sum = V::broadcast(0);
        const T* const x = seen + t * stride;
        const T* w = weights + k;
        ptrdiff_t j = 0;
        for (; j + chains <= n_features; j += chains)
            for (int c = 0; c < chains; ++c, w += n_padded) multiply_add<R, N>(x + j + c, w, sums[c]);
        for (; j < n_features; ++j, w += n_padded) multiply_add<R, N>(x + j, w, sums[0]);
        for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n) {
                for (int c = 1; c < chains; ++c) sums[0][r][n] = sums[0][r][n] + sums[c][r][n];
                sums[0][r][n].store(out + (t + r) * n_padded + k + n * V::lanes);
            }
    }

    template <int R, int N>
    SOFTMAX_INLINE void multiply_add(const T* x, const T* w, V (&sums)[R][N]) const {
        V weights[N];
        for (int n = 0; n < N; ++n) weights[n] = V::load(w + n * V::lanes);
        for (int r = 0; r < R; ++r) {
            const V value = V::broadcast(x[r * stride]);
            for (int n = 0; n < N; ++n) sums[r][n] = sums[r][n] + value * weights[n];
        }
    }

    double dot(const T* a, const T* b) const {
        V sums[4] = {V::broadcast(0), V::broadcast(0), V::broadcast(0), V::broadcast(0)};
        ptrdiff_t j = 0;
        for (; j + 4 * V::lanes <= stride; j += 4 * V::lanes)
            for (int c = 0; c < 4; ++c) sums[c] = sums[c] + V::load(a + j + c * V::lanes) * V::load(b + j + c * V::lanes);
        for (; j < stride; j += V::lanes) sums[0] = sums[0] + V::load(a + j) * V::load(b + j);
        return total((sums[0] + sums[1]) + (sums[2] + sums[3]));
    }

    // The products of rows t, t + 1, ... with N vectors u: out[t][n] = x_t u_n.
    template <int R, int N>
    void dots(int t, const T* u, T* out, ptrdiff_t out_stride) const {
        V sums[R][N];
        for (auto& row : sums)
            for (V& sum : row) sum = V::broadcast(0);
        const T* const x = seen + t * stride;
        for (ptrdiff_t j = 0; j < stride; j += V::lanes) {
            V values[R];
            for (int r = 0; r < R; ++r) values[r] = V::load(x + r * stride + j);
            for (int n = 0; n < N; ++n) {
                const V other = V::load(u + n * stride + j);
                for (int r = 0; r < R; ++r) sums[r][n] = sums[r][n] + values[r] * other;
            }
        }
        for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n) out[(t + r) * out_stride + n] = T(total(sums[r][n]));
    }

    template <class Each>
    SOFTMAX_INLINE void transposed_column(const Each& each) const {
        ptrdiff_t j = 0;
        for (; j + 4 * V::lanes <= n_features; j += 4 * V::lanes) transposed_features<4>(j, each);
        for (; j + V::lanes <= n_features; j += V::lanes) transposed_features<1>(j, each);
        if (j == n_features) return;
        T rest[V::lanes];
        transposed_features<1>(j, [&](ptrdiff_t, ptrdiff_t, V product) { product.store(rest); });
        for (const T* product = rest; j < n_features; ++j, ++product) each(j, 0, Row::load(product));
    }

    // N vectors of features
    template <int N, class Each>
    SOFTMAX_INLINE void transposed_features(ptrdiff_t j, const Each& each) const {
        V sums[N];
        for (V& sum : sums) sum = V::broadcast(0);
        for (int t = 0; t < n_rows; ++t) {
            const V change = V::broadcast(changes[t]);
            const T* const x = stepped + t * stride + j;
            for (int n = 0; n < N; ++n) sums[n] = sums[n] + V::load(x + n * V::lanes) * change;
        }
        for (int n = 0; n < N; ++n) each(j + n * V::lanes, 0, sums[n]);
    }

    template <int N, class Each>
    void transposed_columns(ptrdiff_t k, const Each& each) const {
        ptrdiff_t j = 0;
        for (; j + 4 <= n_features; j += 4) transposed_tile<4, N>(j, k, each);
        for (; j < n_features; ++j) transposed_tile<1, N>(j, k, each);
    }

    template <int R, int N, class Each>
    SOFTMAX_INLINE void transposed_tile(ptrdiff_t j, ptrdiff_t k, const Each& each) const {
        V sums[R][N];
        for (auto& row : sums)
            for (V& sum : row) sum = V::broadcast(0);
        for (int t = 0; t < n_rows; ++t) {
            V change[N];
            for (int n = 0; n < N; ++n) change[n] = V::load(changes + t * n_padded + k + n * V::lanes);
            for (int r = 0; r < R; ++r) {
                const V value = V::broadcast(stepped[t * stride + j + r]);
                for (int n = 0; n < N; ++n) sums[r][n] = sums[r][n] + value * change[n];
            }
        }
        for (int r = 0; r < R; ++r)
            for (int n = 0; n < N; ++n) each(j + r, k + n * V::lanes, sums[r][n]);
    }
};

}  // namespace
