// One sweep of per-example stochastic gradient steps.
//
// A visit scores the row, takes the residual g = softmax(scores) - e_y, and sets
//
//     W_j <- prox(W_j - step x_j g),      intercept <- intercept - step g,      step = eta * sample_weight
//
// where prox is that of step * alpha (l2_ratio/2 ||W||^2 + l1_ratio ||W||_1): a soft threshold by step * alpha * l1_ratio,
// then a division by 1 + step * alpha * l2_ratio. Unlike a gradient step on the penalty it can't overshoot.
// Only the features of the row are touched; lazy.h keeps account of the rest.
#pragma once

#include "explicit.h"
#include "lazy.h"
#include "record.h"
#include "rows.h"
#include "softmax.h"

namespace {

// NV: vectors per row of weights where that is known at compile time, else 0.
template <class T, class RowsOf, int NV, bool Threshold, bool Average>
class Sweeper {
    using V = Vec<T>;
    static constexpr bool lazy_threshold = Threshold && !RowsOf::touch_every_feature;
    // While every weight passes by for its update, the next row is scored: the weights are read once per visit, not twice.
    static constexpr bool scores_ahead = NV > 0 && RowsOf::touch_every_feature;
    static constexpr int chains = NV == 1 ? 4 : NV == 2 ? 2 : 1;  // independent sums, to hide an fma's latency

    const softmax::Sweep<T>& s;
    const RowsOf rows;
    const ptrdiff_t stride;
    const int n_vectors;
    LazyModel<T, lazy_threshold, Average> lazy;

   public:
    explicit Sweeper(const softmax::Sweep<T>& sweep)
        : s(sweep),
          rows{sweep.rows},
          stride(sweep.n_padded),
          n_vectors(NV ? NV : int(sweep.n_padded / V::lanes)),
          lazy(sweep) {}

    softmax::SweepResult run() {
        V registers[NV ? NV : 1];
        V predictions_in_registers[NV ? NV : 1], products_in_registers[NV ? NV : 1];
        V* const scores = NV ? registers : reinterpret_cast<V*>(s.scores);
        V* const predictions = NV ? predictions_in_registers : reinterpret_cast<V*>(s.scores + stride);
        V* const products = NV ? products_in_registers : reinterpret_cast<V*>(s.scores + 2 * stride);
        double loss = 0;
        ptrdiff_t t = 0;
        if constexpr (scores_ahead) forward<NV>(rows.at(s.order[0], 0), s.weights, stride, scores, n_vectors);
        for (; t < s.n_visits; ++t) {
            const ptrdiff_t i = s.order[t];
            const auto row = rows.at(i, t % 2);
            const auto next = rows.at(s.order[t + 1 < s.n_visits ? t + 1 : t], (t + 1) % 2);
            if constexpr (!RowsOf::touch_every_feature) fetch(next);
            if constexpr (lazy_threshold)
                for (ptrdiff_t j = 0; j < row.size; ++j) lazy.catch_up(row.column(j));

            if constexpr (!scores_ahead) forward<NV>(row, s.weights, stride, scores, n_vectors);
            add_intercept(scores);
            if (s.may_overflow && !is_finite(scores)) break;
            const double weight = s.sample_weight.data[i * s.sample_weight.stride];
            const double loss_of_row = residual<NV>(scores, n_vectors, s.y[i]);
            loss += weight * loss_of_row;
            if (s.record) {
                bool predicts = false;
                if constexpr (Average) predicts = lazy.total_averaged_weight() > 0;
                add_loss(*s.record, weight, predicts ? loss_of_average(row, s.y[i], predictions, products) : loss_of_row);
            }

            const double step = s.eta.data[t * s.eta.stride] * weight;
            const double penalty_step = s.alpha.data[t * s.alpha.stride] * step;
            update(row, next, scores, step, penalty_step);
            const bool settled = lazy.advance(penalty_step, t >= s.average_from ? weight : 0);
            if constexpr (scores_ahead)  // the scores are in the units of the weights, which settling changes
                if (settled) forward<NV>(next, s.weights, stride, scores, n_vectors);
        }
        lazy.settle();
        return {loss, t, lazy.total_averaged_weight()};
    }

   private:
    template <class Row>
    SOFTMAX_INLINE void fetch(const Row& row) const {
        constexpr ptrdiff_t per_line = 64 / sizeof(T);
        for (ptrdiff_t j = 0; j < row.size; ++j) {
            const T* w = s.weights + row.column(j) * stride;
            for (ptrdiff_t k = 0; k < stride; k += per_line) prefetch_for_write(w + k);
        }
    }

    SOFTMAX_INLINE void add_intercept(V* scores) const {
        for (int k = 0; k < n_vectors; ++k)
            scores[k] = V::broadcast(T(lazy.scale)) * scores[k] + narrowed<T>(s.intercept + k * V::lanes);
    }

    // The log loss of a row under the average.
    template <class Row>
    double loss_of_average(const Row& row, int32_t y, V* scores, V* products) const {
        for (int k = 0; k < n_vectors; ++k) scores[k] = narrowed<T>(s.intercept_average + k * V::lanes);
        const auto add_products = [&](const T* weights, double share) {
            if (share == 0) return;
            forward<NV>(row, weights, stride, products, n_vectors);
            for (int k = 0; k < n_vectors; ++k) scores[k] = scores[k] + V::broadcast(T(share)) * products[k];
        };
        const auto shares = lazy.shares();
        add_products(s.average, shares.of_average);
        add_products(s.weights, shares.of_weights);
        add_products(s.correction, shares.of_correction);
        return residual<NV>(scores, n_vectors, y);
    }

    // so that differences of two scores are finite too
    bool is_finite(const V* scores) const {
        constexpr T limit = sizeof(T) == 8 ? T(1e307) : T(1e37);
        for (ptrdiff_t k = 0; k < s.n_classes; ++k) {
            const T score = scores[k / V::lanes][int(k % V::lanes)];
            if (!(score > -limit && score < limit)) return false;
        }
        return true;
    }

    // The loss's part of a visit, and the threshold where it does not wait. In `scores`: the residual; out, if they are
    // taken ahead, the scores of `next`.
    template <class Row>
    SOFTMAX_INLINE void update(const Row& row, const Row& next, V* scores, double step, double penalty_step) {
        const T size = T(-step / lazy.scale);
        const V amount = V::broadcast(T(penalty_step * s.l1_ratio / lazy.scale));
        const V coverage = V::broadcast(T(lazy.coverage));
        if (s.fit_intercept) update_intercept(scores, step);
        V sums[chains][NV ? NV : 1];
        for (auto& chain : sums)
            for (V& sum : chain) sum = V::broadcast(0);

        const auto visit_feature = [&](ptrdiff_t j, V* chain) {
            const V x = V::broadcast(size * row.values[j]);
            const ptrdiff_t at = row.column(j) * stride;
            for (int k = 0; k < n_vectors; ++k) {
                T* const w = s.weights + at + k * V::lanes;
                const V old = V::load(w);
                V updated = old + x * scores[k];
                if constexpr (Threshold && !lazy_threshold) updated = soft_threshold(updated, amount);
                updated.store(w);
                if constexpr (Average) {
                    T* const c = s.correction + at + k * V::lanes;
                    (V::load(c) + coverage * (updated - old)).store(c);
                }
                if constexpr (scores_ahead) chain[k] = chain[k] + V::broadcast(next.values[j]) * updated;
            }
        };
        ptrdiff_t j = 0;
        for (; j + chains <= row.size; j += chains)
            for (int c = 0; c < chains; ++c) visit_feature(j + c, sums[c]);
        for (; j < row.size; ++j) visit_feature(j, sums[0]);

        if constexpr (scores_ahead)
            for (int k = 0; k < NV; ++k) {
                for (int c = 1; c < chains; ++c) sums[0][k] = sums[0][k] + sums[c][k];
                scores[k] = sums[0][k];
            }
    }

    SOFTMAX_INLINE void update_intercept(const V* residuals, double step) {
        for (int k = 0; k < n_vectors; ++k)
            for (int lane = 0; lane < V::lanes; ++lane) s.intercept[k * V::lanes + lane] -= step * residuals[k][lane];
    }
};

template <class T, class RowsOf, int NV>
softmax::SweepResult sweep_with(const softmax::Sweep<T>& s) {
    const bool threshold = s.l1_ratio > 0, average = s.average != nullptr;
    if (threshold && average) return Sweeper<T, RowsOf, 0, true, true>(s).run();
    if (threshold) return Sweeper<T, RowsOf, 0, true, false>(s).run();
    if (average) return Sweeper<T, RowsOf, 0, false, true>(s).run();
    return Sweeper<T, RowsOf, NV, false, false>(s).run();
}

template <class T, class RowsOf>
softmax::SweepResult sweep_rows(const softmax::Sweep<T>& s) {
    softmax::SweepResult result;
    with_vectors<T>(s.n_padded, [&](auto number) { result = sweep_with<T, RowsOf, decltype(number)::value>(s); });
    return result;
}

template <class T>
softmax::SweepResult sweep(const softmax::Sweep<T>& s) {
    if (s.rows.is_sparse()) return sweep_rows<T, CsrRows<T>>(s);
    return is_for_blocks(s) ? sweep_by_blocks(s) : sweep_rows<T, DenseRows<T>>(s);
}

}  // namespace
