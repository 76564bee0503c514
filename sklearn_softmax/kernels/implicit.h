// The implicit residual g of a row: the residual at the scores after the step. Writes
// to the vectors of one row only.
//
//     g = softmax(scores - q (g - start)) - e_y,       q = step * |row|^2
//
// `scores` are those at g = start. The solution g is the only minimum of
//
//     merit(g) = q/2 |g|^2 + loss(scores - q (g - start))
//
// Newton's method finds the minimum with the Hessian I + q (diag(p) - p p^T), whose
// inverse has a closed form. If a Newton step moves all scores by small_move at most,
// that step is enough. Else more steps follow, each halved until the merit does not
// rise. (Toulis and Airoldi 2017.)
//
// If the label is a distribution, with a shift as in softmax.h, g - shift is the solution
// of the same equation with start - shift.
#pragma once

#include "margin.h"

namespace {

constexpr int most_newton_steps = 5;
constexpr double small_move = 0.3;  // nats; a step that moves no score further is the last
constexpr int most_halvings = 10;

// The vectors of one row: on the stack if their number is known at compile time, else
// in memory of the caller.
template <int NV, class V>
struct RowVectors {
    static constexpr int count = 7;
    V memory[NV ? count * NV : 1];
    V* const at;
    const int n_in_memory;
    RowVectors(typename V::Number* scratch, int vectors)
        : at(NV ? memory : reinterpret_cast<V*>(scratch)), n_in_memory(vectors) {}
    RowVectors(const RowVectors&) = delete;
    int n_vectors() const { return NV ? NV : n_in_memory; }
    V* scores() { return at; }
    V* exponentials() { return at + n_vectors(); }  // of the scores less the largest
    V* residual() { return at + 2 * n_vectors(); }
    V* step() { return at + 3 * n_vectors(); }  // of Newton's method
    V* trial() { return at + 4 * n_vectors(); }  // residual
    V* trial_exponentials() { return at + 5 * n_vectors(); }
    V* explicit_residual() { return at + 6 * n_vectors(); }  // that before the step, of rows with a label shift
    // Results of a visit, in memory that it does not need at the same time.
    V* change() { return residual(); }
    V* prediction() { return step(); }
    V* iterate() { return trial(); }
    V* iterate_exponentials() { return trial_exponentials(); }
};

// One step of Newton's method from g, at scores with the exponentials e. Returns the
// largest move of a score. All numbers are multiplied by the sum of e, so that the
// residual p - e_y and the Hessian need one division, where p = e / sum.
template <int NV, class T>
SOFTMAX_INLINE double newton_step(const Vec<T>* e, const RowSums& sums, const Vec<T>* g, T q, int vectors, int32_t y,
                                  Vec<T>* step, Vec<T>* p_scaled) {
    using V = Vec<T>;
    const int n_vectors = NV ? NV : vectors;
    const V zero = V::broadcast(0), one = V::broadcast(1), label = V::broadcast(T(y)), next = V::broadcast(T(V::lanes));
    const V factor = V::broadcast(q), sum = V::broadcast(T(sums.sum)), own = V::broadcast(T(-sums.others));
    V number = class_numbers<T>();
    V numerator = zero, denominator = zero;
    for (int k = 0; k < n_vectors; ++k) {
        const V inverse = one / (sum + factor * e[k]);
        step[k] = (where_equal(number, label, own, e[k]) - sum * g[k]) * inverse;
        p_scaled[k] = e[k] * inverse;
        numerator = numerator + e[k] * step[k];
        denominator = denominator + p_scaled[k];
        number = number + next;
    }
    const V common = V::broadcast(T(q * total(numerator) / (sums.sum * total(denominator))));
    V top = zero;
    for (int k = 0; k < n_vectors; ++k) {
        step[k] = step[k] + p_scaled[k] * common;
        top = max(top, max(step[k], zero - step[k]));
    }
    return double(q) * largest(top);
}

template <int NV, class T>
SOFTMAX_INLINE double inner_product(const Vec<T>* a, const Vec<T>* b, int vectors) {
    Vec<T> sum = a[0] * b[0];
    for (int k = 1; k < (NV ? NV : vectors); ++k) sum = sum + a[k] * b[k];
    return total(sum);
}

// The sum over the classes of p (1 - p). The formula 1 - sum of p^2 would lose all
// digits where p_y is almost 1.
template <int NV, class T>
SOFTMAX_INLINE double curvature(const Vec<T>* e, const RowSums& sums, int vectors, int32_t y) {
    using V = Vec<T>;
    const V zero = V::broadcast(0), label = V::broadcast(T(y)), next = V::broadcast(T(V::lanes));
    V number = class_numbers<T>(), squares = zero;
    for (int k = 0; k < (NV ? NV : vectors); ++k) {
        const V other = where_equal(number, label, zero, e[k]);
        squares = squares + other * other;
        number = number + next;
    }
    const double rest = sums.others * (2 * sums.sum - sums.others) - total(squares);
    return (rest > 0 ? rest : 0) / (sums.sum * sums.sum);
}

// Newton's method where the first step, v.step(), moves a score by more than
// small_move.
template <int NV, class V>
SOFTMAX_SHARED void take_long_steps(RowVectors<NV, V>& v, int32_t y, typename V::Number q, double loss) {
    using T = typename V::Number;
    const int n_vectors = v.n_vectors();
    V *const scores = v.scores(), *const e = v.exponentials(), *const g = v.residual(), *const step = v.step();
    V *const trial = v.trial(), *const trial_e = v.trial_exponentials();
    for (int n_steps = 1;; ++n_steps) {
        const double merit = 0.5 * q * inner_product<NV>(g, g, n_vectors) + loss;
        RowSums sums;
        T share = 1;
        for (int halvings = 0;; ++halvings, share *= T(0.5)) {
            if (halvings == most_halvings) return;
            const V factor = V::broadcast(share), back = V::broadcast(share * q);
            for (int k = 0; k < n_vectors; ++k) {
                trial[k] = g[k] + factor * step[k];
                trial_e[k] = scores[k] - back * step[k];
            }
            sums = exponentials<NV>(trial_e, n_vectors, y, trial_e);
            if (!(0.5 * q * inner_product<NV>(trial, trial, n_vectors) + sums.loss > merit)) break;
        }
        loss = sums.loss;
        const V back = V::broadcast(share * q);
        for (int k = 0; k < n_vectors; ++k) {
            scores[k] = scores[k] - back * step[k];
            g[k] = trial[k];
            e[k] = trial_e[k];
        }
        if (n_steps == most_newton_steps) return;
        if (!(newton_step<NV>(e, sums, g, q, n_vectors, y, step, trial) > small_move)) break;
    }
    for (int k = 0; k < n_vectors; ++k) g[k] = g[k] + step[k];
}

// In: v.scores() at v.residual(), and their exponentials with these sums. Out:
// v.residual(). The rest is scratch.
template <int NV, class V>
SOFTMAX_INLINE void solve_implicit(RowVectors<NV, V>& v, const RowSums& sums, int32_t y, typename V::Number q) {
    V *const g = v.residual(), *const step = v.step();
    if (newton_step<NV>(v.exponentials(), sums, g, q, v.n_vectors(), y, step, v.trial()) > small_move)
        take_long_steps(v, y, q, sums.loss);
    else
        for (int k = 0; k < v.n_vectors(); ++k) g[k] = g[k] + step[k];
}

}  // namespace
