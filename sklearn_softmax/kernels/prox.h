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
template <class T>
SOFTMAX_INLINE Vec<T> soft_threshold(Vec<T> w, Vec<T> amount) {
    const Vec<T> zero = Vec<T>::broadcast(0);
    return max(w - amount, zero) + min(w + amount, zero);
}

template <class T>
struct Penalty {
    double l2, l1;

    // The factor of the L2 part, which is the same for all weights of a feature.
    SOFTMAX_INLINE T shrinkage(double step, double scale) const { return T(1 / (1 + step * l2 * scale * scale)); }

    SOFTMAX_INLINE Vec<T> prox(Vec<T> w, double step, double scale, T shrinkage_of_feature) const {
        if (l1 > 0) w = soft_threshold(w, Vec<T>::broadcast(T(step * l1 * scale)));
        return w * Vec<T>::broadcast(shrinkage_of_feature);
    }
};

// average <- (1 - share) average + share w
template <class T>
SOFTMAX_INLINE void add_to_average(T* average, Vec<T> w, double share) {
    const Vec<T> mean = Vec<T>::load(average);
    (mean + Vec<T>::broadcast(T(share)) * (w - mean)).store(average);
}

inline void add_to_average(double* average, const double* intercept, ptrdiff_t n_classes, double share) {
    for (ptrdiff_t k = 0; k < n_classes; ++k) average[k] += share * (intercept[k] - average[k]);
}

}  // namespace
