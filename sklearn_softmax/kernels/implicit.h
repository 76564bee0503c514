// The implicit residual of a row: the residual at the scores to which a step along it leads.
//
//     g = softmax(scores - q (g - start)) - e_y,       q = step * |row|^2
//
// `scores` are those at g = start. It is the one minimum of q/2 |g|^2 + loss(scores - q (g - start)), and Newton's method solves
// it with the Hessian I + q (diag(p) - p p^T), whose inverse is a closed form. On rows that the model knows one step is as
// good as all; where a step moves the scores much, more follow, and none may raise the merit. (Toulis and Airoldi 2017.)
#pragma once

#include "softmax.h"

namespace {

constexpr int most_newton_steps = 5;
constexpr double small_move = 0.3;  // of a score, in nats: below, the quadratic model is exact enough
constexpr int most_halvings = 10;

// Vectors of one row: on the stack where their number is known at compile time, else in memory that the caller has.
template <int NV, class T>
struct RowVectors {
    static constexpr int count = 6;
    Vec<T> memory[NV ? count * NV : 1];
    Vec<T>* const at;
    const int n_vectors;
    RowVectors(T* scratch, int vectors)
        : at(NV ? memory : reinterpret_cast<Vec<T>*>(scratch)), n_vectors(NV ? NV : vectors) {}
    RowVectors(const RowVectors&) = delete;
    Vec<T>* operator[](int i) { return at + i * (NV ? NV : n_vectors); }
};

// One step of Newton's method from g, where the residual is r; returns the largest move of a score.
template <int NV, class T>
SOFTMAX_INLINE double newton_step(const Vec<T>* r, const Vec<T>* g, T q, int vectors, int32_t y, Vec<T>* step,
                                  Vec<T>* shares) {
    using V = Vec<T>;
    const int n_vectors = NV ? NV : vectors;
    const V zero = V::broadcast(0), one = V::broadcast(1), label = V::broadcast(T(y)), next = V::broadcast(T(V::lanes));
    const V factor = V::broadcast(q);
    V number = class_numbers<T>();
    V spent = zero, room = zero;
    for (int k = 0; k < n_vectors; ++k) {
        const V p = r[k] + where_equal(number, label, one, zero);
        const V inverse = one / (one + factor * p);
        step[k] = (r[k] - g[k]) * inverse;
        shares[k] = p * inverse;
        spent = spent + p * step[k];
        room = room + shares[k];
        number = number + next;
    }
    const V common = V::broadcast(T(q * total(spent) / total(room)));
    V top = zero;
    for (int k = 0; k < n_vectors; ++k) {
        step[k] = step[k] + shares[k] * common;
        top = max(top, max(step[k], zero - step[k]));
    }
    return double(q) * largest(top);
}

template <int NV, class T>
SOFTMAX_INLINE double square(const Vec<T>* g, int vectors) {
    Vec<T> sum = g[0] * g[0];
    for (int k = 1; k < (NV ? NV : vectors); ++k) sum = sum + g[k] * g[k];
    return total(sum);
}

// The sum over the classes of p (1 - p), from the residual of a row of class y.
template <int NV, class T>
SOFTMAX_INLINE double curvature(const Vec<T>* r, int vectors, int32_t y) {
    return -2 * double(r[y / Vec<T>::lanes][int(y % Vec<T>::lanes)]) - square<NV>(r, vectors);
}

// In: v[0] the scores at g, v[1] the residual there, v[2] g, and `loss` the log loss there. Out: v[2]. The rest is scratch.
template <int NV, class T>
SOFTMAX_SHARED void solve_implicit(RowVectors<NV, T>& v, int32_t y, T q, double loss) {
    using V = Vec<T>;
    const int n_vectors = v.n_vectors;
    V *const scores = v[0], *const r = v[1], *const g = v[2], *const step = v[3], *const trial = v[4], *const r_there = v[5];
    for (int n_steps = 1;; ++n_steps) {
        const double move = newton_step<NV>(r, g, q, n_vectors, y, step, trial);
        if (!(move > small_move) || n_steps > most_newton_steps) {
            if (n_steps <= most_newton_steps)
                for (int k = 0; k < n_vectors; ++k) g[k] = g[k] + step[k];
            return;
        }
        const double merit = 0.5 * q * square<NV>(g, n_vectors) + loss;
        T share = 1;
        for (int halvings = 0;; ++halvings, share *= T(0.5)) {
            if (halvings == most_halvings) return;
            const V factor = V::broadcast(share), back = V::broadcast(share * q);
            for (int k = 0; k < n_vectors; ++k) {
                trial[k] = g[k] + factor * step[k];
                r_there[k] = scores[k] - back * step[k];
            }
            const double loss_there = residual<NV>(r_there, n_vectors, y);
            if (!(0.5 * q * square<NV>(trial, n_vectors) + loss_there > merit)) {
                loss = loss_there;
                break;
            }
        }
        const V back = V::broadcast(share * q);
        for (int k = 0; k < n_vectors; ++k) {
            scores[k] = scores[k] - back * step[k];
            g[k] = trial[k];
            r[k] = r_there[k];
        }
    }
}

}  // namespace
