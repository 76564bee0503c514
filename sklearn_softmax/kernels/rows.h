// Sparse rows: reading the values and columns of a row, and its product with a matrix
// of weights. Reads the rows and the weights. Writes to the TEMP memory of the rows and
// to its results.
#pragma once

#include "kernels.h"
#include "margin.h"
#include "prox.h"

namespace {

// Fetches the beginning of a row from memory. The processor fetches the rest of a long
// row by itself.
template <class T>
SOFTMAX_INLINE void prefetch_beginning(const T* numbers, ptrdiff_t size) {
    constexpr ptrdiff_t per_line = 64 / sizeof(T), most_lines = 64;
    for (ptrdiff_t j = 0; j < size && j < most_lines * per_line; j += per_line) prefetch_for_read(numbers + j);
}

template <class T>
struct CsrRow {
    const T* values;
    ptrdiff_t size;
    const int32_t* columns;
    SOFTMAX_INLINE ptrdiff_t column(ptrdiff_t j) const { return columns[j]; }
};

// Dense or CSR rows, read as sparse ones: the values that are not zero, and their
// columns.
template <class T>
struct SparseRows {
    softmax::Rows<T> rows;

    // Row i. If its columns are narrowed or its values gathered, they stay in half
    // `half` (0 or 1) of the TEMP memory until the next call with that half.
    SOFTMAX_INLINE CsrRow<T> at(ptrdiff_t i, int half) const {
        if (!rows.is_sparse()) return values_that_are_not_zero(i, half);
        const int64_t start = rows.start(i);
        const ptrdiff_t size = rows.start(i + 1) - start;
        if (!rows.wide_columns) return {rows.values + start, size, static_cast<const int32_t*>(rows.columns) + start};
        const int64_t* const wide = static_cast<const int64_t*>(rows.columns) + start;
        int32_t* const columns = rows.narrowed + half * rows.longest_row;
        for (ptrdiff_t j = 0; j < size; ++j) columns[j] = int32_t(wide[j]);
        return {rows.values + start, size, columns};
    }

    // Fetches the beginning of row i, and the start of row `later`, from memory.
    SOFTMAX_INLINE void prefetch(ptrdiff_t i, ptrdiff_t later) const {
        if (!rows.is_sparse()) return prefetch_beginning(rows.values + i * rows.n_features, rows.n_features);
        const int64_t start = rows.start(i);
        const ptrdiff_t size = rows.start(i + 1) - start;
        prefetch_beginning(rows.values + start, size);
        if (rows.wide_columns)
            prefetch_beginning(static_cast<const int64_t*>(rows.columns) + start, size);
        else
            prefetch_beginning(static_cast<const int32_t*>(rows.columns) + start, size);
        prefetch_for_read(static_cast<const char*>(rows.starts) + later * ptrdiff_t(rows.wide_starts ? 8 : 4));
    }

   private:
    SOFTMAX_SHARED CsrRow<T> values_that_are_not_zero(ptrdiff_t i, int half) const {
        const T* const all = rows.values + i * rows.n_features;
        T* const values = rows.gathered + half * rows.longest_row;
        int32_t* const columns = rows.narrowed + half * rows.longest_row;
        ptrdiff_t size = 0;
        for (ptrdiff_t j = 0; j < rows.n_features; ++j) {
            values[size] = all[j];
            columns[size] = int32_t(j);
            size += all[j] != 0;
        }
        return {values, size, columns};
    }
};

// How weights are read: as they are, or after the L1 threshold.
template <class V>
struct AsTheyAre {
    SOFTMAX_INLINE V operator()(V w) const { return w; }
};

template <class V>
struct AfterThreshold {
    V amount;
    SOFTMAX_INLINE V operator()(V w) const { return soft_threshold(w, amount); }
};

// N vectors of classes: scores[0..N) = sum_j x_j read(weights[j]), with sums that stay
// in registers.
template <int N, class V, class Row, class Read>
SOFTMAX_SHARED void forward_tile(const Row row, const typename V::Number* weights, ptrdiff_t stride, V* scores,
                                 const Read read) {
    using T = typename V::Number;
    // independent sums hide the latency of an fma
    constexpr int chains = N == 1 ? 8 : N <= 4 ? 8 / N : 1;
    V sums[chains][N];
    for (int c = 0; c < chains; ++c)
        for (int k = 0; k < N; ++k) sums[c][k] = V::broadcast(0);
    ptrdiff_t j = 0;
    for (; j + chains <= row.size; j += chains)
        for (int c = 0; c < chains; ++c) {
            const V x = V::broadcast(row.values[j + c]);
            const T* w = weights + row.column(j + c) * stride;
            for (int k = 0; k < N; ++k) sums[c][k] = sums[c][k] + x * read(V::load(w + k * V::lanes));
        }
    for (; j < row.size; ++j) {
        const V x = V::broadcast(row.values[j]);
        const T* w = weights + row.column(j) * stride;
        for (int k = 0; k < N; ++k) sums[0][k] = sums[0][k] + x * read(V::load(w + k * V::lanes));
    }
    for (int k = 0; k < N; ++k) {
        for (int c = 1; c < chains; ++c) sums[0][k] = sums[0][k] + sums[c][k];
        scores[k] = sums[0][k];
    }
}

// The same for any number of vectors: N if the number is known at compile time, else
// n_vectors in tiles.
template <int N, class V, class Row, class Read = AsTheyAre<V>>
SOFTMAX_INLINE void forward(const Row& row, const typename V::Number* weights, ptrdiff_t stride, V* scores, int n_vectors,
                            const Read& read = {}) {
    if constexpr (N > 0) {
        forward_tile<N>(row, weights, stride, scores, read);
    } else {
        int k = 0;
        for (; k + 8 <= n_vectors; k += 8) forward_tile<8>(row, weights + k * V::lanes, stride, scores + k, read);
        for (; k + 4 <= n_vectors; k += 4) forward_tile<4>(row, weights + k * V::lanes, stride, scores + k, read);
        for (; k < n_vectors; ++k) forward_tile<1>(row, weights + k * V::lanes, stride, scores + k, read);
    }
}

// scores + intercept, in T
template <class V>
SOFTMAX_INLINE V plus_intercept(V scores, const double* intercept) {
    return scores + narrowed<V>(intercept);
}

// Raw predictions of sparse rows.
template <class V>
void decision_of(const softmax::Decision<typename V::Number>& d) {
    using T = typename V::Number;
    const SparseRows<T> rows{d.rows};
    V* const scores = reinterpret_cast<V*>(d.scores);
    const int n_vectors = int(d.n_padded / V::lanes);
    for (ptrdiff_t i = 0; i < d.n_samples; ++i) {
        forward<V::lanes == 1>(rows.at(i, 0), d.weights, d.n_padded, scores, n_vectors);
        for (int k = 0; k < n_vectors; ++k) scores[k] = plus_intercept(scores[k], d.intercept + k * V::lanes);
        for (ptrdiff_t k = 0; k < d.n_classes; ++k) d.out[i * d.n_classes + k] = of_class(scores, k);
    }
}

template <class T>
void decision(const softmax::Decision<T>& d) {
    d.n_padded == 1 ? decision_of<One<T>>(d) : decision_of<Vec<T>>(d);
}

}  // namespace
