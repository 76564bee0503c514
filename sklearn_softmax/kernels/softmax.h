// The softmax p of one row of scores, its log loss -log p_y in nats, and the residual p
// - e_y. Writes to that row only.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels.h"
#include "simd.h"

namespace {

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<double> {
    static constexpr double smallest = -700.0;  // below: 0, never a denormal
    static constexpr double shift = 6755399441055744.0;  // 1.5 * 2^52: rounds x + shift to an integer
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

// exp(x) for x <= 0: x = n ln 2 + r with |r| <= ln(2)/2 (Cody and Waite's two-part ln
// 2), the Taylor polynomial of exp in r by Estrin's scheme, then n added to the
// exponent. About 1 ulp.
template <class V>
SOFTMAX_INLINE V exp_of_nonpositive(V x) {
    using T = typename V::Number;
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

// log(1 + x) for x >= 0, to about 1 ulp, also for small x:
//
//     1 + x = 2^n (1 + f),    sqrt(1/2) <= 1 + f <= sqrt(2)
//     log(1 + f) = 2 artanh(f / (2 + f))
//
// The C library's function would spill all vector registers. A branch would be
// mispredicted.
SOFTMAX_INLINE double log_of_one_and(double x) {
    constexpr uint64_t one = uint64_t(1023) << 52, from_sqrt_2 = (uint64_t(1) << 52) - 0x6a09e667f3bcd;
    const auto c = [](int odd) { return 1.0 / odd; };
    const double u = 1 + x, rounding = x - (u - 1);
    uint64_t bits;
    memcpy(&bits, &u, sizeof bits);
    const int64_t n = int64_t((bits - one + from_sqrt_2) >> 52);
    bits = one - (uint64_t(n) << 52);
    double power;  // 2^-n
    memcpy(&power, &bits, sizeof bits);
    const double f = (u * power - 1) + rounding * power, r = f / (2 + f), s = r * r, s2 = s * s, s4 = s2 * s2;
    const double low = (c(3) + c(5) * s) + s2 * (c(7) + c(9) * s), high = (c(11) + c(13) * s) + s2 * (c(15) + c(17) * s);
    return double(n) * 6.93147180559945309417e-01 + 2 * (r + r * s * (low + s4 * (high + s4 * (c(19) + c(21) * s))));
}

// A bound of log(x) from below, for x >= 1: that of the power of two below x.
SOFTMAX_INLINE double least_log(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return double(int64_t(bits >> 52) - 1023) * 6.931471805599453e-01;
}

// Sums of e = exp(scores - the largest score), for a row of class y.
struct RowSums {
    double sum, others;  // of all classes; of all classes but y
    double loss;  // -log p_y
};

// The label of a row may be a distribution q over the classes. With shift = e_y - q, which
// adds up to 0, and any class y
//
//     loss = -sum of q log p = -log p_y + sum of shift scores
//     residual = p - q       = p - e_y + shift
//
// So the functions for a class y serve distributions, too, and the ones that follow add
// what is missing. The most probable class of q is y, so that nothing is lost in rounding.

// row + numbers, in the place of row.
template <class V>
SOFTMAX_SHARED void add_numbers(V* row, const typename V::Number* numbers, int vectors) {
    for (int k = 0; k < vectors; ++k) row[k] = row[k] + V::load(numbers + k * V::lanes);
}

template <class V>
SOFTMAX_SHARED void subtract_numbers(V* row, const typename V::Number* numbers, int vectors) {
    for (int k = 0; k < vectors; ++k) row[k] = row[k] - V::load(numbers + k * V::lanes);
}

// The number of class y in a row of vectors.
template <class T>
SOFTMAX_INLINE T of_class(const Vec<T>* row, ptrdiff_t y) {
    return row[y / Vec<T>::lanes][int(y % Vec<T>::lanes)];
}

// In: scores[n_vectors], with -inf in the lanes of no class. Out: e = exp(scores - the
// largest score). `e` may be the array of the scores. The probabilities are e / sum.
//
// `others` is a sum of its own, so that p_y - 1 = -others / sum keeps its relative
// accuracy where p_y is almost 1. With two classes the two residuals then add up to 0
// exactly.
//
// NV is the number of vectors if that is known at compile time, else 0.
template <int NV, class T>
SOFTMAX_INLINE RowSums exponentials(const Vec<T>* scores, int vectors, int32_t y, Vec<T>* e) {
    using V = Vec<T>;
    const int n_vectors = NV ? NV : vectors;
    const V zero = V::broadcast(0), label = V::broadcast(T(y)), next = V::broadcast(T(V::lanes));
    V top = scores[0];
    for (int k = 1; k < n_vectors; ++k) top = max(top, scores[k]);
    const T largest_score = largest(top);

    const double own_relative = of_class(scores, y) - largest_score;
    const V offset = V::broadcast(largest_score);
    V number = class_numbers<T>();
    V others = zero;
    double sum_of_others = 0;
    for (int k = 0; k < n_vectors; ++k) {
        e[k] = exp_of_nonpositive(scores[k] - offset);
        others = others + where_equal(number, label, zero, e[k]);
        number = number + next;
        if (k % 8 == 7) {  // a lane adds up only a few numbers before the sum goes on in double
            sum_of_others += total(others);
            others = zero;
        }
    }
    sum_of_others += total(others);
    const double own = of_class(e, y);
    return {sum_of_others + own, sum_of_others, log_of_one_and(sum_of_others + (own - 1)) - own_relative};
}

// The slope of the log loss at the scores `to` with the exponentials e, along to - from.
template <int NV, class T>
SOFTMAX_INLINE double slope_along(const Vec<T>* e, const RowSums& sums, const Vec<T>* from, const Vec<T>* to, int vectors,
                                  int32_t y) {
    using V = Vec<T>;
    const V zero = V::broadcast(0);
    V mean = zero;
    for (int k = 0; k < (NV ? NV : vectors); ++k)  // lanes of no class have e = 0
        mean = mean + where_less(zero, e[k], e[k] * (to[k] - from[k]), zero);
    return total(mean) / sums.sum - (double(of_class(to, y)) - of_class(from, y));
}

// The sum of shift scores, where a lane of no class has the shift 0.
template <class T>
SOFTMAX_SHARED double loss_of_shift(const T* shift, const Vec<T>* scores, int vectors, int32_t y) {
    using V = Vec<T>;
    const V zero = V::broadcast(0), own = V::broadcast(of_class(scores, y));
    V sum = zero;
    for (int k = 0; k < vectors; ++k) {
        const V s = V::load(shift + k * V::lanes);
        sum = sum + where_equal(s, zero, zero, s * (scores[k] - own));
    }
    return total(sum);
}

// In: the exponentials e. Out: the residual p - e_y, with 0 in the lanes of no class;
// `g` may be the array of the exponentials.
template <int NV, class T>
SOFTMAX_INLINE void residual_of(const Vec<T>* e, const RowSums& sums, int vectors, int32_t y, Vec<T>* g) {
    using V = Vec<T>;
    const int n_vectors = NV ? NV : vectors;
    const T inverse_sum = T(1 / sums.sum);
    const V inverse = V::broadcast(inverse_sum), own_residual = V::broadcast(-T(sums.others) * inverse_sum);
    const V label = V::broadcast(T(y)), next = V::broadcast(T(V::lanes));
    V number = class_numbers<T>();
    for (int k = 0; k < n_vectors; ++k) {
        g[k] = where_equal(number, label, own_residual, e[k] * inverse);
        number = number + next;
    }
}

// In: scores, as above. Out: the residual in the place of the scores. Returns the log loss.
template <int NV, class T>
SOFTMAX_SHARED double residual(Vec<T>* scores, int vectors, int32_t y) {
    const RowSums sums = exponentials<NV>(scores, vectors, y, scores);
    residual_of<NV>(scores, sums, vectors, y, scores);
    return sums.loss;
}

// exp(scores - largest) / sum in place, and log(sum) - (score of y - largest).
inline void softmax_rows(const softmax::Softmax& task) {
    using V = Vec<double>;
    const ptrdiff_t n_classes = task.n_classes, n_whole = n_classes / V::lanes * V::lanes;
    const double* const end = task.scores + task.n_rows * n_classes;
    const V number = class_numbers<double>(), n_rest = V::broadcast(double(n_classes - n_whole));
    double* const rest = task.scratch;  // of a row, as a vector
    for (ptrdiff_t i = 0; i < task.n_rows; ++i) {
        double* const scores = task.scores + i * n_classes;
        const double* last_scores = scores + n_whole;  // may reach into the next row
        if (last_scores + V::lanes > end) {
            for (ptrdiff_t k = n_whole; k < n_classes; ++k) rest[k - n_whole] = scores[k];
            last_scores = rest;
        }
        const V last = where_less(number, n_rest, V::load(last_scores), V::broadcast(-HUGE_VAL));
        V top = last, sum = V::broadcast(0);
        for (ptrdiff_t k = 0; k < n_whole; k += V::lanes) top = max(top, V::load(scores + k));
        const double largest_score = largest(top), own = scores[task.y[i]] - largest_score;
        const V offset = V::broadcast(largest_score);
        for (ptrdiff_t k = 0; k < n_whole; k += V::lanes) {
            const V e = exp_of_nonpositive(V::load(scores + k) - offset);
            e.store(scores + k);
            sum = sum + e;
        }
        const V e_of_last = exp_of_nonpositive(last - offset);
        const double total_sum = total(sum + e_of_last);
        const V inverse = V::broadcast(1 / total_sum);
        for (ptrdiff_t k = 0; k < n_whole; k += V::lanes) (V::load(scores + k) * inverse).store(scores + k);
        (e_of_last * inverse).store(rest);
        for (ptrdiff_t k = n_whole; k < n_classes; ++k) scores[k] = rest[k - n_whole];
        task.losses[i] = log_of_one_and(total_sum - 1) - own;
    }
}

}  // namespace
