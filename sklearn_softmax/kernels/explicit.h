// The explicit step of sweep.h by blocks of dense rows: the same iterates, up to rounding, at the cost of matrix products.
//
// With L2 the weights are W = scale * U. A visit changes U by -(step / scale) x g and then divides the scale by
// 1 + step alpha l2_ratio; at the end of the block the scale goes back into the weights.
#pragma once

#include "record.h"
#include "visits.h"

namespace {

template <class T, class I>
class ExplicitRule {
    using V = Vec<T>;
    const softmax::Sweep<T, I>& s;
    ptrdiff_t t = 0;
    T factor = 1;  // of the weights of the block that has ended

   public:
    static constexpr bool has_gains = false;
    static constexpr Predictor predictor() { return Predictor::none; }
    static constexpr const T* predicting() { return nullptr; }
    double scale, loss = 0;

    explicit ExplicitRule(const softmax::Sweep<T, I>& sweep) : s(sweep), scale(sweep.unit) {}

    ptrdiff_t rows_ahead() const { return rows_per_block<T>(s.rows.n_features, s.n_padded); }

    bool load(Block<T>& block, ptrdiff_t i) const {
        block.load(s.rows.values + i * s.rows.n_features);
        return true;
    }

    bool close(int n_visited, int) {
        factor = T(scale / s.unit);
        scale = s.unit;
        return n_visited > 0;
    }

    bool end_block() const { return false; }

    SOFTMAX_INLINE void update(ptrdiff_t j, ptrdiff_t k, V product) const {
        T* const w = s.weights + j * s.n_padded + k;
        (V::broadcast(factor) * (V::load(w) - product)).store(w);
    }

    template <int NV>
    SOFTMAX_INLINE void visit(RowVectors<NV, T>& v, ptrdiff_t i, double, double) {
        const double weight = s.sample_weight.data[i * s.sample_weight.stride];
        const double step = s.eta.data[t * s.eta.stride] * weight;
        const double loss_of_row = residual<NV>(v[0], v.n_vectors(), s.y[i]);
        loss += weight * loss_of_row;
        if (s.record) add_loss(*s.record, weight, loss_of_row);
        const V length = V::broadcast(T(step / scale));
        for (int k = 0; k < v.n_vectors(); ++k) {
            v[2][k] = length * v[0][k];
            if (s.fit_intercept)
                for (int lane = 0; lane < V::lanes; ++lane) s.intercept[k * V::lanes + lane] -= step * v[0][k][lane];
        }
        scale /= 1 + s.alpha.data[t * s.alpha.stride] * step * s.l2_ratio;
        ++t;
    }
};

// Bytes: below, one pass for the update and the next row's scores is faster. (Wide vectors gain more from blocks.)
constexpr size_t small_weights = SOFTMAX_VECTOR_BYTES < 64 ? 1 << 17 : 1 << 15;

// Whether a sweep can go by blocks, and should.
template <class T, class I>
bool is_for_blocks(const softmax::Sweep<T, I>& s) {
    if (s.rows.columns || s.l1_ratio > 0 || s.average || s.may_overflow) return false;
    if (size_t(s.rows.n_features * s.n_padded) * sizeof(T) < small_weights) return false;
    for (ptrdiff_t t = 0; t < s.n_visits; ++t) {
        const double weight = s.sample_weight.data[s.order[t] * s.sample_weight.stride];
        if (!(s.alpha.data[t * s.alpha.stride] * s.eta.data[t * s.eta.stride] * weight * s.l2_ratio < 1)) return false;
    }
    return true;
}

template <class T, class I>
softmax::SweepResult sweep_by_blocks(const softmax::Sweep<T, I>& s) {
    softmax::Visits<T, I> visits = {};
    visits.rows = s.rows;
    visits.order = s.order;
    visits.n_visits = s.n_visits;
    visits.n_classes = s.n_classes;
    visits.n_padded = s.n_padded;
    visits.weights = s.weights;
    visits.intercept = s.intercept;
    visits.scratch = s.block;
    ExplicitRule<T, I> rule(s);
    with_vectors<T>(s.n_padded, [&](auto number) { visit_dense<decltype(number)::value>(rule, visits); });
    return {rule.loss, s.n_visits, s.averaged_weight};
}

}  // namespace
