// Products that Newton's method needs, of sparse rows, each in one pass. Reads the
// rows, and adds to `out`.
#pragma once

#include "visits.h"

namespace {

// out += the Hessian of the mean loss times a step, in double for all types of values:
//
//     sum_i shares_i (d_i * p_i - (p_i . d_i) p_i) kron (x_i, 1),    d_i = step^T (x_i, 1)
//
// where * is by class, and x_ij stands for x_ij * inverse_scale_j.
template <class T>
void hessian_product(const softmax::HessianProduct<T>& h) {
    using D = Vec<double>;
    const SparseRows<T> rows{h.rows};
    const int n_vectors = int(h.n_padded / D::lanes);
    // proba is zero in the lanes of no class
    double *const proba = h.scratch, *const values = proba + 2 * h.n_padded;
    D* const change = reinterpret_cast<D*>(proba + h.n_padded);
    const double* const of_intercept = h.step + h.rows.n_features * h.n_padded;
    double* const out_of_intercept = h.out + h.rows.n_features * h.n_padded;

    CsrRow<T> next = rows.at(0, 0);
    for (ptrdiff_t i = 0; i < h.n_samples; ++i) {
        const CsrRow<T> row = next;
        next = rows.at(i + 1 < h.n_samples ? i + 1 : i, (i + 1) % 2);
        for (ptrdiff_t n = 0; n < next.size; ++n) {
            prefetch_feature(h.step + next.columns[n] * h.n_padded, h.n_padded);
            prefetch_feature(h.out + next.columns[n] * h.n_padded, h.n_padded);
        }
        for (ptrdiff_t n = 0; n < row.size; ++n) values[n] = row.values[n] * h.inverse_scale[row.columns[n]];
        for (ptrdiff_t k = 0; k < h.n_classes; ++k) proba[k] = h.proba[i * h.n_classes + k];

        const CsrRow<double> scaled{values, row.size, row.columns};
        forward<0>(scaled, h.step, h.n_padded, change, n_vectors);
        D products = D::broadcast(0);
        for (int k = 0; k < n_vectors; ++k) {
            change[k] = change[k] + D::load(of_intercept + k * D::lanes);
            products = products + D::load(proba + k * D::lanes) * change[k];
        }
        const D mean_change = D::broadcast(total(products)), share = D::broadcast(h.shares[i]);
        for (int k = 0; k < n_vectors; ++k) {
            change[k] = share * D::load(proba + k * D::lanes) * (change[k] - mean_change);
            (D::load(out_of_intercept + k * D::lanes) + change[k]).store(out_of_intercept + k * D::lanes);
        }
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            double* const out = h.out + row.columns[n] * h.n_padded;
            const D x = D::broadcast(values[n]);
            for (int k = 0; k < n_vectors; ++k) (D::load(out + k * D::lanes) + x * change[k]).store(out + k * D::lanes);
        }
    }
}

// out += X^T residual.
template <class T>
void transposed_product(const softmax::TransposedProduct<T>& p) {
    const SparseRows<T> rows{p.rows};
    const ptrdiff_t n_classes = p.n_classes;
    CsrRow<T> next = rows.at(0, 0);
    for (ptrdiff_t i = 0; i < p.n_samples; ++i) {
        const CsrRow<T> row = next;
        next = rows.at(i + 1 < p.n_samples ? i + 1 : i, (i + 1) % 2);
        for (ptrdiff_t n = 0; n < next.size; ++n) prefetch_feature(p.out + next.columns[n] * n_classes, n_classes);
        const double* const __restrict residual = p.residual + i * n_classes;
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            const double x = row.values[n];
            double* const __restrict out = p.out + row.columns[n] * n_classes;
            for (ptrdiff_t k = 0; k < n_classes; ++k) out[k] += x * residual[k];
        }
    }
}

}  // namespace
