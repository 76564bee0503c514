// Two classes as one column: the score z of the second class, where the first class has
// the score -z. Writes to the vectors of one row only.
//
//     p_1 = 1 / (1 + exp(-2 z)),    the residual of the second class: p_1 - y
//
// All that is antisymmetric (weights, scores, residuals, steps) has one number here
// where softmax.h and implicit.h have a lane for each class. The functions are those of
// these headers, with the same arguments and results up to rounding. The exponentials e
// are one number, too: exp(-2 |z|), that of the less probable class. The other one is 1.
#pragma once

#include "softmax.h"

namespace {

template <class T>
SOFTMAX_INLINE T of_class(const One<T>* row, ptrdiff_t y) {
    return y ? row->v : -row->v;
}

template <int, class T>
SOFTMAX_INLINE RowSums exponentials(const One<T>* scores, int, int32_t y, One<T>* e) {
    const T margin = 2 * of_class(scores, y);  // of the class of the row
    *e = exp_of_nonpositive(One<T>{margin > 0 ? -margin : margin});
    const double less = e->v;
    return {1 + less, margin > 0 ? less : 1, log_of_one_and(less) - (margin > 0 ? 0 : margin)};
}

template <int, class T>
SOFTMAX_INLINE double curvature(const One<T>* e, const RowSums& sums, int, int32_t) {
    return 2 * e->v / (sums.sum * sums.sum);
}

template <int, class T>
SOFTMAX_INLINE double square(const One<T>* g, int) {
    return 2 * double(g->v) * g->v;
}

template <int, class T>
SOFTMAX_INLINE double slope_along(const One<T>*, const RowSums& sums, const One<T>* from, const One<T>* to, int, int32_t y) {
    return -2 * (sums.others / sums.sum) * (double(of_class(to, y)) - of_class(from, y));
}

template <int NV, class T>
SOFTMAX_INLINE double residual(One<T>* scores, int vectors, int32_t y) {
    const RowSums sums = exponentials<NV>(scores, vectors, y, scores);
    const T others = T(sums.others / sums.sum);
    *scores = {y ? -others : others};
    return sums.loss;
}

template <int, class T>
SOFTMAX_INLINE double newton_step(const One<T>* e, const RowSums& sums, const One<T>* g, T q, int, int32_t y, One<T>* step,
                                  One<T>*) {
    const double square = sums.sum * sums.sum, others = sums.others * sums.sum;
    *step = {T(((y ? -others : others) - square * g->v) / (square + 2 * double(q) * e->v))};
    return double(q) * fabs(double(step->v));
}

}  // namespace
