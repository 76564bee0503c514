// A row is "values and columns". Dense and CSR rows differ in how a column is found, and in nothing else.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace {

// The beginning of a row; the rest of a long one comes by itself.
template <class T>
SOFTMAX_INLINE void prefetch_beginning(const T* numbers, ptrdiff_t size) {
    constexpr ptrdiff_t per_line = 64 / sizeof(T), most_lines = 64;
    for (ptrdiff_t j = 0; j < size && j < most_lines * per_line; j += per_line) prefetch_for_read(numbers + j);
}

template <class T>
struct DenseRows {
    static constexpr bool touch_every_feature = true;
    struct Row {
        const T* values;
        ptrdiff_t size;
        SOFTMAX_INLINE ptrdiff_t column(ptrdiff_t j) const { return j; }
    };
    softmax::Rows<T> rows;
    SOFTMAX_INLINE Row at(ptrdiff_t i, int) const { return {rows.values + i * rows.n_features, rows.n_features}; }
};

template <class T>
struct CsrRow {
    const T* values;
    ptrdiff_t size;
    const int32_t* columns;
    SOFTMAX_INLINE ptrdiff_t column(ptrdiff_t j) const { return columns[j]; }
};

template <class T>
struct CsrRows {
    static constexpr bool touch_every_feature = false;
    softmax::Rows<T> rows;

    // Row i. Wide columns are narrowed into one of two places, 0 or 1, and stay there until it is used again.
    SOFTMAX_INLINE CsrRow<T> at(ptrdiff_t i, int place) const {
        const int64_t start = rows.start(i);
        const ptrdiff_t size = rows.start(i + 1) - start;
        if (!rows.wide_columns) return {rows.values + start, size, static_cast<const int32_t*>(rows.columns) + start};
        const int64_t* const wide = static_cast<const int64_t*>(rows.columns) + start;
        int32_t* const columns = rows.narrowed + place * rows.longest_row;
        for (ptrdiff_t j = 0; j < size; ++j) columns[j] = int32_t(wide[j]);
        return {rows.values + start, size, columns};
    }

    // The beginning of row i, and where a later row begins, are fetched from memory.
    SOFTMAX_INLINE void prefetch(ptrdiff_t i, ptrdiff_t later) const {
        const int64_t start = rows.start(i);
        const ptrdiff_t size = rows.start(i + 1) - start;
        prefetch_beginning(rows.values + start, size);
        if (rows.wide_columns)
            prefetch_beginning(static_cast<const int64_t*>(rows.columns) + start, size);
        else
            prefetch_beginning(static_cast<const int32_t*>(rows.columns) + start, size);
        prefetch_for_read(static_cast<const char*>(rows.starts) + later * ptrdiff_t(rows.wide_starts ? 8 : 4));
    }
};

// N vectors of classes: scores[0..N) = sum_j x_j weights[j], with sums that stay in registers.
template <int N, class T, class Row>
SOFTMAX_SHARED void forward_tile(const Row row, const T* weights, ptrdiff_t stride, Vec<T>* scores) {
    using V = Vec<T>;
    constexpr int chains = N == 1 ? 8 : N <= 4 ? 8 / N : 1;  // enough independent sums to hide an fma's latency
    V sums[chains][N];
    for (int c = 0; c < chains; ++c)
        for (int k = 0; k < N; ++k) sums[c][k] = V::broadcast(0);
    ptrdiff_t j = 0;
    for (; j + chains <= row.size; j += chains)
        for (int c = 0; c < chains; ++c) {
            const V x = V::broadcast(row.values[j + c]);
            const T* w = weights + row.column(j + c) * stride;
            for (int k = 0; k < N; ++k) sums[c][k] = sums[c][k] + x * V::load(w + k * V::lanes);
        }
    for (; j < row.size; ++j) {
        const V x = V::broadcast(row.values[j]);
        const T* w = weights + row.column(j) * stride;
        for (int k = 0; k < N; ++k) sums[0][k] = sums[0][k] + x * V::load(w + k * V::lanes);
    }
    for (int k = 0; k < N; ++k) {
        for (int c = 1; c < chains; ++c) sums[0][k] = sums[0][k] + sums[c][k];
        scores[k] = sums[0][k];
    }
}

// The same for any number of vectors: N of them if it is known when this is compiled, else in tiles.
template <int N, class T, class Row>
SOFTMAX_INLINE void forward(const Row& row, const T* weights, ptrdiff_t stride, Vec<T>* scores, int n_vectors) {
    if constexpr (N > 0) {
        forward_tile<N>(row, weights, stride, scores);
    } else {
        int k = 0;
        for (; k + 8 <= n_vectors; k += 8) forward_tile<8>(row, weights + k * Vec<T>::lanes, stride, scores + k);
        for (; k + 4 <= n_vectors; k += 4) forward_tile<4>(row, weights + k * Vec<T>::lanes, stride, scores + k);
        for (; k < n_vectors; ++k) forward_tile<1>(row, weights + k * Vec<T>::lanes, stride, scores + k);
    }
}

}  // namespace
