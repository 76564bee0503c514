// X^T R of sparse rows: what gradients ask for, in one pass over the rows.
#pragma once

#include "visits.h"

namespace {

template <class T>
void transposed_product(const softmax::TransposedProduct<T>& p) {
    const CsrRows<T> rows{p.rows};
    const ptrdiff_t n_classes = p.n_classes;
    CsrRow<T> next = rows.at(0, 0);
    for (ptrdiff_t i = 0; i < p.n_samples; ++i) {
        const CsrRow<T> row = next;
        next = rows.at(i + 1 < p.n_samples ? i + 1 : i, (i + 1) % 2);
        for (ptrdiff_t n = 0; n < next.size; ++n) fetch_features(p.out, next.columns[n] * n_classes, n_classes);
        const double* const __restrict residual = p.residual + i * n_classes;
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            const double x = row.values[n];
            double* const __restrict out = p.out + row.columns[n] * n_classes;
            for (ptrdiff_t k = 0; k < n_classes; ++k) out[k] += x * residual[k];
        }
    }
}

}  // namespace
