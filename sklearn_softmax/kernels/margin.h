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
SOFTMAX_INLINE double inner_product(const One<T>* a, const One<T>* b, int) {
    return 2 * double(a->v) * b->v;
}

template <class T>
SOFTMAX_INLINE double loss_of_shift(const T* shift, const One<T>* scores, int, int32_t) {
    return 2 * double(*shift) * scores->v;
}

template <int, class T>
SOFTMAX_INLINE double slope_along(const One<T>*, const RowSums& sums, const One<T>* from, const One<T>* to, int, int32_t y) {
    return -2 * (sums.others / sums.sum) * (double(of_class(to, y)) - of_class(from, y));
}

template <int, class T>
SOFTMAX_INLINE void residual_of(const One<T>*, const RowSums& sums, int, int32_t y, One<T>* g) {
    const T others = T(sums.others / sums.sum);
    *g = {y ? -others : others};
}

template <int NV, class T>
SOFTMAX_INLINE double residual(One<T>* scores, int vectors, int32_t y) {
    const RowSums sums = exponentials<NV>(scores, vectors, y, scores);
    residual_of<NV>(scores, sums, vectors, y, scores);
    return sums.loss;
}

// The same with the label shift of the row, or null.
template <int NV, class V>
SOFTMAX_INLINE double residual(V* scores, int vectors, int32_t y, const typename V::Number* shift) {
    if (!shift) return residual<NV>(scores, vectors, y);
    const double of_shift = loss_of_shift(shift, scores, vectors, y);
    const double loss = residual<NV>(scores, vectors, y) + of_shift;
    add_numbers(scores, shift, vectors);
    return loss;
}

template <int, class T>
SOFTMAX_INLINE double newton_step(const One<T>* e, const RowSums& sums, const One<T>* g, T q, int, int32_t y, One<T>* step,
                                  One<T>*) {
    const double square = sums.sum * sums.sum, others = sums.others * sums.sum;
    *step = {T(((y ? -others : others) - square * g->v) / (square + 2 * double(q) * e->v))};
    return double(q) * fabs(double(step->v));
}

}  // namespace
