// The softmax of one row of scores: exp, the log loss in nats, and the residual p - e_y.
#pragma once

#include <math.h>

#include "kernels.h"
#include "simd.h"

namespace {

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<double> {
    static constexpr double smallest = -700.0;  // below: 0, never a denormal
    static constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
    static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    static constexpr int degree = 13;
};
template <>
struct ExpConstants<float> {
    static constexpr float smallest = -80.0f;
    static constexpr float shift = 12582912.0f;  // 1.5 * 2^23
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr int degree = 7;
};

// exp(x) for x <= 0: x = n ln 2 + r with |r| <= ln(2)/2 (Cody and Waite's two-part ln 2), the Taylor
// polynomial of exp in r by Estrin's scheme, then n added to the exponent. About 1 ulp.
template <class T>
SOFTMAX_INLINE Vec<T> exp_of_nonpositive(Vec<T> x) {
    using V = Vec<T>;
    using C = ExpConstants<T>;
    const V shift = V::broadcast(C::shift);
    const V shifted = x * V::broadcast(T(1.44269504088896340736)) + shift;
    const V n = shifted - shift;
    const V r = (x - n * V::broadcast(C::ln2_high)) - n * V::broadcast(C::ln2_low);
    const V r2 = r * r, r4 = r2 * r2;
    const auto c = [](double factorial) { return V::broadcast(T(1.0 / factorial)); };
    V q;  // exp(r) = 1 + r + r^2 q(r)
    if constexpr (C::degree == 7) {
        const V low = (c(2) + c(6) * r) + r2 * (c(24) + c(120) * r);
        q = low + r4 * (c(720) + c(5040) * r);
    } else {
        const V low = (c(2) + c(6) * r) + r2 * (c(24) + c(120) * r);
        const V middle = (c(720) + c(5040) * r) + r2 * (c(40320) + c(362880) * r);
        const V high = (c(3628800) + c(39916800) * r) + r2 * (c(479001600) + c(6227020800.0) * r);
        q = low + r4 * (middle + r4 * high);
    }
    const V value = times_power_of_two(V::broadcast(1) + (r + r2 * q), shifted);
    return where_less(x, V::broadcast(C::smallest), V::broadcast(0), value);
}

// The lanes' class numbers, as T: 0, 1, 2, ... for the first vector.
template <class T>
SOFTMAX_INLINE Vec<T> class_numbers() {
    T numbers[Vec<T>::lanes];
    for (int i = 0; i < Vec<T>::lanes; ++i) numbers[i] = T(i);
    return Vec<T>::load(numbers);
}

// log(1 + x), which keeps what a small x has to say; in half the time of log1p.
SOFTMAX_INLINE double log_of_one_and(double x) {
    return x < 1e-4 ? x * (1 - x * (0.5 - x * (1.0 / 3 - x * 0.25))) : log(1 + x);
}

// In: scores[n_vectors], -inf in the lanes that belong to no class. Out: the residual p - e_y in their
// place, 0 in those lanes. Returns the log loss -log p_y.
//
// p_y - 1 is taken as -(sum of the other p's): it keeps its relative accuracy when p_y is almost 1,
// and with two classes the two residuals are each other's negative to the last bit.
// NV is the number of vectors where it is known at compile time, else 0.
template <int NV, class T>
SOFTMAX_SHARED double residual(Vec<T>* scores, int vectors, int32_t y) {
    using V = Vec<T>;
    const int n_vectors = NV ? NV : vectors;
    const V zero = V::broadcast(0), label = V::broadcast(T(y)), next = V::broadcast(T(V::lanes));
    V top = scores[0];
    for (int k = 1; k < n_vectors; ++k) top = max(top, scores[k]);
    const T largest_score = largest(top);

    const int own_vector = int(y / V::lanes), own_lane = int(y % V::lanes);
    const double own_relative = scores[own_vector][own_lane] - largest_score;
    const V offset = V::broadcast(largest_score);
    V number = class_numbers<T>();
    V others = zero;
    double sum_of_others = 0;
    for (int k = 0; k < n_vectors; ++k) {
        const V e = exp_of_nonpositive(scores[k] - offset);
        others = others + where_equal(number, label, zero, e);
        scores[k] = e;
        number = number + next;
        if (k % 8 == 7) {  // a lane adds up only a few numbers before the sum goes on in double
            sum_of_others += total(others);
            others = zero;
        }
    }
    sum_of_others += total(others);
    const double sum = sum_of_others + scores[own_vector][own_lane];
    const T inverse_sum = T(1 / sum);
    const V inverse = V::broadcast(inverse_sum), own_residual = V::broadcast(-T(sum_of_others) * inverse_sum);
    number = class_numbers<T>();
    for (int k = 0; k < n_vectors; ++k) {
        scores[k] = where_equal(number, label, own_residual, scores[k] * inverse);
        number = number + next;
    }
    return own_relative == 0 ? log_of_one_and(sum_of_others) : log(sum) - own_relative;
}

// exp(scores - largest) / sum in place, and log(sum) - (score of y - largest).
inline void softmax_rows(const softmax::Softmax& task) {
    using V = Vec<double>;
    const ptrdiff_t n_classes = task.n_classes, n_vectors = (n_classes + V::lanes - 1) / V::lanes;
    double* const padded = task.scratch;
    for (ptrdiff_t i = 0; i < task.n_rows; ++i) {
        double* const scores = task.scores + i * n_classes;
        for (ptrdiff_t k = 0; k < n_vectors * V::lanes; ++k) padded[k] = k < n_classes ? scores[k] : -HUGE_VAL;
        V top = V::load(padded);
        for (ptrdiff_t k = 1; k < n_vectors; ++k) top = max(top, V::load(padded + k * V::lanes));
        const double largest_score = largest(top), own = padded[task.y[i]] - largest_score;
        const V offset = V::broadcast(largest_score);
        double sum = 0;
        for (ptrdiff_t k = 0; k < n_vectors; ++k) {
            const V e = exp_of_nonpositive(V::load(padded + k * V::lanes) - offset);
            e.store(padded + k * V::lanes);
            sum += total(e);
        }
        const double inverse = 1 / sum;
        for (ptrdiff_t k = 0; k < n_classes; ++k) scores[k] = padded[k] * inverse;
        task.losses[i] = log(sum) - own;
    }
}

}  // namespace
