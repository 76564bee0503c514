// Passes over dense rows of many features, for more than two classes: features in the
// lanes of vectors. A tile of rows, in the coordinates of the pass, stays in the cache
// between its two products. Unlike the tiles of newton.h it keeps the order of the
// numbers of a row, because to transpose many features takes longer than the sums over
// lanes that this saves.
#pragma once

#include "simd.h"

namespace {

// A tile has at most this many rows, and numbers.
constexpr ptrdiff_t rows_of_wide_tile = 32, most_in_wide_tile = 1 << 17;
constexpr int rows_together = 8;  // a multiple of the lanes, and of the rows whose scores are summed at once

constexpr int n_registers = SOFTMAX_VECTOR_BYTES == 64 ? 16 : 8;  // for sums, of twice as many

template <class T>
class WideTiles {
    using V = Vec<double>;
    const softmax::Pass<T>& pass;
    const ptrdiff_t n_features, n_classes, width;  // of a row of the tile, in vectors
    V *const tile, *const weights, *const sums;  // rows of `width` vectors: of each row, class, class

   public:
    static constexpr int most_classes = 4;
    const int n_rows, n_vectors;
    V* const scores;  // of each class, the rows in lanes

    static ptrdiff_t vectors_of(ptrdiff_t n_features) { return (n_features + V::lanes - 1) / V::lanes; }
    static int rows(ptrdiff_t n_features) {
        const ptrdiff_t most = most_in_wide_tile / n_features / rows_together * rows_together;
        return int(most < rows_together ? rows_together : most < rows_of_wide_tile ? most : rows_of_wide_tile);
    }
    static size_t scratch_size(ptrdiff_t n_features, ptrdiff_t n_classes) {
        const int n = rows(n_features);
        return V::lanes * vectors_of(n_features) * (n + 2 * n_classes) + n * n_classes;
    }

    explicit WideTiles(const softmax::Pass<T>& p)
        : pass(p),
          n_features(p.rows.n_features),
          n_classes(p.n_classes),
          width(vectors_of(n_features)),
          tile(reinterpret_cast<V*>(p.scratch)),
          weights(tile + rows(n_features) * width),
          sums(weights + n_classes * width),
          n_rows(rows(n_features)),
          n_vectors(n_rows / V::lanes),
          scores(sums + n_classes * width) {
        for (ptrdiff_t j = 0; j < n_features; ++j)
            for (ptrdiff_t k = 0; k < n_classes; ++k)
                reinterpret_cast<double*>(weights + k * width)[j] = p.point[j * n_classes + k];
    }

    // Rows that are missing in the last tile stay as they are: nobody reads their scores.
    void load(ptrdiff_t first, int n_used) {
        for (int r = 0; r < n_used; ++r) {
            const T* const row = pass.rows.values + (first + r) * n_features;
            double* const to = reinterpret_cast<double*>(tile + r * width);
            ptrdiff_t j = 0;
            for (; j + V::lanes <= n_features; j += V::lanes)
                ((widened(row + j) - V::load(pass.offset + j)) * V::load(pass.inverse_scale + j)).store(to + j);
            for (; j < n_features; ++j) to[j] = (double(row[j]) - pass.offset[j]) * pass.inverse_scale[j];
        }
    }

    // The scores of N classes from k on.
    template <int N>
    SOFTMAX_SHARED void score(ptrdiff_t k, int n_used) {
        constexpr int most = n_registers / N < rows_together ? n_registers / N : rows_together;
        for (int r = 0; r < n_used; r += most) score_rows<N, most>(k, r);
    }

    // Adds the products of the rows with the residuals of N classes from k on.
    template <int N>
    SOFTMAX_SHARED void add(ptrdiff_t k, int n_used) {
        constexpr int most = n_registers / N < 8 ? n_registers / N : 8;
        ptrdiff_t j = 0;
        for (; j + most <= width; j += most) add_columns<N, most>(j, k, n_used);
        for (; j < width; ++j) add_columns<N, 1>(j, k, n_used);
    }

    void finish() const {
        for (ptrdiff_t j = 0; j < n_features; ++j)
            for (ptrdiff_t k = 0; k < n_classes; ++k)
                pass.out[j * n_classes + k] += reinterpret_cast<const double*>(sums + k * width)[j];
    }

   private:
    template <int N, int NR>
    SOFTMAX_INLINE void score_rows(ptrdiff_t k, int r) {
        V sum[NR][N];
        for (int m = 0; m < NR; ++m)
            for (V& one : sum[m]) one = V::broadcast(0);
        const V *const x = tile + r * width, *const w = weights + k * width;
        for (ptrdiff_t j = 0; j < width; ++j) {
            V weight[N];
            for (int c = 0; c < N; ++c) weight[c] = w[c * width + j];
            for (int m = 0; m < NR; ++m) {
                const V value = x[m * width + j];
                for (int c = 0; c < N; ++c) sum[m][c] = sum[m][c] + value * weight[c];
            }
        }
        for (int c = 0; c < N; ++c) {
            double* const of_class = reinterpret_cast<double*>(scores + (k + c) * n_vectors);
            const double intercept = pass.point[n_features * n_classes + k + c];
            for (int m = 0; m < NR; ++m) of_class[r + m] = total(sum[m][c]) + intercept;
        }
    }

    template <int N, int NJ>
    SOFTMAX_INLINE void add_columns(ptrdiff_t j, ptrdiff_t k, int n_used) {
        V sum[N][NJ];
        for (int c = 0; c < N; ++c)
            for (int m = 0; m < NJ; ++m) sum[c][m] = sums[(k + c) * width + j + m];
        const double* const residuals = reinterpret_cast<const double*>(scores + k * n_vectors);
        for (int r = 0; r < n_used; ++r) {
            V x[NJ];
            for (int m = 0; m < NJ; ++m) x[m] = tile[r * width + j + m];
            for (int c = 0; c < N; ++c) {
                const V residual = V::broadcast(residuals[c * n_rows + r]);
                for (int m = 0; m < NJ; ++m) sum[c][m] = sum[c][m] + residual * x[m];
            }
        }
        for (int c = 0; c < N; ++c)
            for (int m = 0; m < NJ; ++m) sums[(k + c) * width + j + m] = sum[c][m];
    }
};

}  // namespace
