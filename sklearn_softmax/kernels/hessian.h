// The Hessian of the mean loss on sparse rows times a step: what conjugate gradients ask for, in one pass over the rows.
//
//     (1/S) sum_i s_i (d_i * p_i - (p_i . d_i) p_i) kron (x_i, 1),     d_i = step^T (x_i, 1),   * by class
//
// for the columns x_ij * inverse_scale_j, in double whatever the type of the values.
#pragma once

#include "visits.h"

namespace {

template <class T>
void hessian_product(const softmax::HessianProduct<T>& h) {
    using D = Vec<double>;
    const CsrRows<T> rows{h.rows};
    const int n_vectors = int(h.n_padded / D::lanes);
    double *const proba = h.scratch, *const values = proba + 2 * h.n_padded;  // proba is zero beyond the classes
    D* const change = reinterpret_cast<D*>(proba + h.n_padded);
    const double* const of_intercept = h.step + h.rows.n_features * h.n_padded;
    double* const out_of_intercept = h.out + h.rows.n_features * h.n_padded;

    CsrRow<T> next = rows.at(0, 0);
    for (ptrdiff_t i = 0; i < h.n_samples; ++i) {
        const CsrRow<T> row = next;
        next = rows.at(i + 1 < h.n_samples ? i + 1 : i, (i + 1) % 2);
        for (ptrdiff_t n = 0; n < next.size; ++n) {
            fetch_features(h.step, next.columns[n] * h.n_padded, h.n_padded);
            fetch_features(h.out, next.columns[n] * h.n_padded, h.n_padded);
        }
        for (ptrdiff_t n = 0; n < row.size; ++n) values[n] = row.values[n] * h.inverse_scale[row.columns[n]];
        for (ptrdiff_t k = 0; k < h.n_classes; ++k) proba[k] = h.proba[i * h.n_classes + k];

        const CsrRow<double> scaled{values, row.size, row.columns};
        forward<0>(scaled, h.step, h.n_padded, change, n_vectors);
        D mean = D::broadcast(0);
        for (int k = 0; k < n_vectors; ++k) {
            change[k] = change[k] + D::load(of_intercept + k * D::lanes);
            mean = mean + D::load(proba + k * D::lanes) * change[k];
        }
        const D centre = D::broadcast(total(mean)), share = D::broadcast(h.shares[i]);
        for (int k = 0; k < n_vectors; ++k) {
            change[k] = share * D::load(proba + k * D::lanes) * (change[k] - centre);
            (D::load(out_of_intercept + k * D::lanes) + change[k]).store(out_of_intercept + k * D::lanes);
        }
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            double* const out = h.out + row.columns[n] * h.n_padded;
            const D x = D::broadcast(values[n]);
            for (int k = 0; k < n_vectors; ++k) (D::load(out + k * D::lanes) + x * change[k]).store(out + k * D::lanes);
        }
    }
}

}  // namespace
