// The prox of the penalty, and running averages: arithmetic that all rules share.
// Touches its arguments only. With the step size `step` the prox is
//
//     prox(w) = soft_threshold(w, step l1 scale) / (1 + step l2 scale^2)
//
// where `scale` is the penalty_scale of the feature, see Coordinates in kernels.h.
#pragma once

#include "simd.h"

namespace {

// max(|w| - amount, 0) with the sign of w
template <class V>
SOFTMAX_INLINE V soft_threshold(V w, V amount) {
    const V zero = V::broadcast(0);
    return max(w - amount, zero) + min(w + amount, zero);
}

template <class T>
struct Penalty {
    double l2, l1;

    // The factor of the L2 part, which is the same for all weights of a feature.
    SOFTMAX_INLINE T shrinkage(double step, double scale) const { return T(1 / (1 + step * l2 * scale * scale)); }

    template <class V>
    SOFTMAX_INLINE V prox(V w, double step, V scale, V shrinkage_of_feature) const {
        if (l1 > 0) w = soft_threshold(w, V::broadcast(T(step * l1)) * scale);
        return w * shrinkage_of_feature;
    }
};

// average <- (1 - share) average + share w
template <class V>
SOFTMAX_INLINE void add_to_average(typename V::Number* average, V w, double share) {
    const V mean = V::load(average);
    (mean + V::broadcast(typename V::Number(share)) * (w - mean)).store(average);
}

inline void add_to_average(double* average, const double* intercept, ptrdiff_t n_columns, double share) {
    for (ptrdiff_t k = 0; k < n_columns; ++k) average[k] += share * (intercept[k] - average[k]);
}

}  // namespace
