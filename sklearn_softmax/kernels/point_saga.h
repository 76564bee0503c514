// Point-SAGA (Defazio 2016): an epoch of implicit steps, each compared with the last
// step of the same row. Reads the Visits and the IN fields of PointSaga in kernels.h,
// and writes its INOUT, OUT and TEMP fields.
//
//     V <- prox(V - drift),            drift = step * (the mean gradient of the table)
//     z = V x_i + b + step_i |x_i|^2 g_i,    step_i = step * weight_i
//     g = implicit residual from z
//     V <- V - step_i (g - g_i) x_i,    g_i <- g
//     mean gradient <- mean gradient + weight_i (g - g_i) x_i / n
//
// The fixed point is the optimum. Drift and prox are lazy: one prox with the sum of the
// steps has the same fixed point as a prox per step. Dense rows wait for the end of a
// block. A feature of sparse rows waits until `visits_between_drifts` rows have had the
// feature, or for the end of the epoch. The average of the iterates, where the iterate
// after t visits has the weight t, is much nearer to the optimum than the last iterate.
// In sparse rows the average of a feature takes the iterate after each drift.
//
// A visit of sparse rows need not touch the mean gradient G, because it does not change
//
//     S = G + V / (step n)
//
// In memory S takes the place of G while a feature waits. Most features of texts are so
// rare that the time of an epoch is that of fetching them from memory.
#pragma once

#include "visits.h"

namespace {

// Sparse only: visits of a feature from one drift to the next, as many as those of a
// block of dense rows.
constexpr int visits_between_drifts = usual_rows;

// Sparse only: what a visit reads of a feature, in one place in memory.
template <class T>
struct Waiting {
    double updated_at;  // number of visits whose drift the weights include
    int64_t n_visits;  // of rows with this feature
    T inverse_scale, penalty_scale;
};

template <class V>
class PointSagaRule {
    using T = typename V::Number;
    softmax::PointSaga<T>& s;
    const softmax::Visits<T>& visits;
    const softmax::Coordinates<T>& coordinates;
    const Penalty<T> penalty;
    const double to_gradient;  // change of the mean gradient / change of the weights
    double drift = 0;  // dense: step * visits of the next block
    double average_share = 0, n_averaged = 0;
    double n_begun = 0;  // sparse: visits so far
    Waiting<T>* const waiting;  // sparse
    T* const shrinkage;  // dense: the factor of the L2 prox of each feature for `drift`

   public:
    static constexpr bool has_step_scales = false, has_coordinates = true, averages_all_visits = false;
    static constexpr T threshold() { return 0; }
    static constexpr T predicting_threshold() { return 0; }
    static constexpr Predictor predictor() { return Predictor::none; }
    static constexpr const T* predicting() { return nullptr; }
    static constexpr const T* iterate() { return nullptr; }
    static constexpr const T* before() { return nullptr; }
    static constexpr double scale = 1;

    explicit PointSagaRule(softmax::PointSaga<T>& saga)
        : s(saga),
          visits(saga.visits),
          coordinates(saga.visits.coordinates),
          penalty{saga.alpha * saga.visits.l2_ratio, saga.alpha * saga.visits.l1_ratio},
          to_gradient(1 / (saga.step * double(saga.visits.n_visits))),
          waiting(reinterpret_cast<Waiting<T>*>(saga.waiting)),
          shrinkage(memory_for_features(saga.visits)) {
        if (visits.rows.is_sparse())
            for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j) {
                waiting[j] = {0, 0, coordinates.inverse_scale[j], coordinates.penalty_scale[j]};
                for (ptrdiff_t at = j * visits.n_padded; at < (j + 1) * visits.n_padded; at += V::lanes)
                    unchanged_sum(V::load(s.gradient + at), V::load(visits.weights + at)).store(s.gradient + at);
            }
    }

    // ---------------------------------------------------------------------- dense only

    ptrdiff_t rows_ahead() const { return rows_per_block<T>(visits.rows.n_features, visits.n_padded); }

    bool load(Block<V>& block, ptrdiff_t i) {
        block.load(visits.rows.values + i * visits.rows.n_features, coordinates);
        return true;
    }

    bool close(int n_visited, int n_next) {
        average_share = n_visited ? share_of_average(n_averaged + n_visited) : 0;
        average_the_intercept();
        const double next_drift = s.step * n_next;
        if (next_drift != drift)
            for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j)
                shrinkage[j] = penalty.shrinkage(next_drift, coordinates.penalty_scale[j]);
        drift = next_drift;
        drift_the_intercept(drift);
        return true;
    }

    bool end_block() const { return false; }

    template <class W>
    SOFTMAX_INLINE void update(ptrdiff_t j, ptrdiff_t k, W product) {
        const ptrdiff_t at = j * visits.n_padded + k;
        const W gradient = W::load(s.gradient + at) + W::broadcast(T(to_gradient)) * product;
        gradient.store(s.gradient + at);
        const W w = W::load(visits.weights + at) - product, penalty_scale = of_features<V, W>(coordinates.penalty_scale, j);
        if (average_share > 0) add_to_average(s.average + at, w, average_share);
        drifted(w, gradient, penalty_scale, drift, of_features<V, W>(shrinkage, j)).store(visits.weights + at);
    }

    // --------------------------------------------------------------------- sparse only

    template <class Row>
    SOFTMAX_INLINE void fetch(const Row& row) const {
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            prefetch_for_write(waiting + row.column(n));
            prefetch_feature(visits.weights + row.column(n) * visits.n_padded, visits.n_padded);
        }
    }

    void begin_visit(ptrdiff_t) {
        n_begun += 1;
        drift_the_intercept(s.step);
    }

    template <class Row>
    SOFTMAX_INLINE void see(const Row& row, T* seen, T* stepped) const {
        for (ptrdiff_t n = 0; n < row.size; ++n) seen[n] = stepped[n] = row.values[n] * waiting[row.column(n)].inverse_scale;
    }

    template <int>
    SOFTMAX_INLINE void bring_up_to_date(const CsrRow<T>& row, int) const {
        for (ptrdiff_t n = 0; n < row.size; ++n)
            if (++waiting[row.columns[n]].n_visits % visits_between_drifts == 0) catch_up<false>(row.columns[n]);
    }

    template <int NV>
    SOFTMAX_INLINE void change(ptrdiff_t j, T x, const V* changes, int vectors) const {
        subtract_product<NV>(visits.weights + j * visits.n_padded, x, changes, vectors);
    }

    void end_visit(bool is_last) {
        average_share = share_of_average(n_begun);
        average_the_intercept();
        if (!is_last) return;
        for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j)
            if (waiting[j].inverse_scale > 0) catch_up<true>(j);  // else left out: weights are 0
    }

    // ---------------------------------------------------------------------------- both

    template <int NV>
    bool visit(RowVectors<NV, V>& v, ptrdiff_t i, double norm, double) {
        const int n_vectors = v.n_vectors();
        const double weight = visits.sample_weight.data[i * visits.sample_weight.stride], step = s.step * weight;
        const int32_t y = visits.y[i];
        const T* const shift = visits.shift_of(i);
        const T part = T(1 / s.repeats.data[i * s.repeats.stride]);
        T* const last = visits.table + i * visits.n_padded;
        V* const g = v.residual();
        for (int k = 0; k < n_vectors; ++k) g[k] = V::load(last + k * V::lanes);
        const RowSums sums = exponentials<NV>(v.scores(), n_vectors, y, v.exponentials());
        s.loss += weight * sums.loss;
        if (shift) {
            s.loss += weight * loss_of_shift(shift, v.scores(), n_vectors, y);
            subtract_numbers(g, shift, n_vectors);
        }
        s.curvature += weight * curvature<NV>(v.exponentials(), sums, n_vectors, y);
        solve_implicit<NV>(v, sums, y, T(step * (visits.fit_intercept + norm)));
        if (shift) add_numbers(g, shift, n_vectors);
        for (int k = 0; k < n_vectors; ++k) {
            const V before = V::load(last + k * V::lanes);
            const V difference = g[k] - before;
            (before + V::broadcast(part) * difference).store(last + k * V::lanes);
            v.change()[k] = V::broadcast(T(step)) * difference;
            if (visits.fit_intercept) {
                subtract(visits.intercept + k * V::lanes, v.change()[k]);
                subtract(s.intercept_gradient + k * V::lanes, V::broadcast(T(-to_gradient)) * v.change()[k]);
            }
        }
        return true;
    }

   private:
    // The share of an iterate in the average, if the average has had the iterates of
    // n_before visits, and this one stands for the others of n_visits.
    static double share_of_visits_after(double n_before, double n_visits) {
        const double before = n_before / n_visits;
        return 1 - before * before;
    }

    double share_of_average(double n_visits) {
        const double share = share_of_visits_after(n_averaged, n_visits);
        n_averaged = n_visits;
        return share;
    }

    void average_the_intercept() const {
        add_to_average(s.intercept_average, visits.intercept, visits.n_columns(), average_share);
    }

    template <class W>
    SOFTMAX_INLINE W drifted(W w, W gradient, W penalty_scale, double step, W shrinkage_of_feature) const {
        return penalty.prox(w - W::broadcast(T(step)) * gradient, step, penalty_scale, shrinkage_of_feature);
    }

    // Sparse: what is in memory for a feature that waits, S above.
    SOFTMAX_INLINE V unchanged_sum(V gradient, V w) const { return gradient + V::broadcast(T(to_gradient)) * w; }

    // Sparse: the average and the drift of the visits since feature j was up to date.
    template <bool is_last>
    SOFTMAX_INLINE void catch_up(ptrdiff_t j) const {
        Waiting<T>& f = waiting[j];
        const double step = s.step * (n_begun - f.updated_at);
        const double share = share_of_visits_after(f.updated_at, n_begun);
        const V penalty_scale = V::broadcast(f.penalty_scale),
                shrunk = V::broadcast(penalty.shrinkage(step, f.penalty_scale));
        double square = 0;
        f.updated_at = n_begun;
        for (ptrdiff_t at = j * visits.n_padded; at < (j + 1) * visits.n_padded; at += V::lanes) {
            const V w = V::load(visits.weights + at);
            const V gradient = V::load(s.gradient + at) - V::broadcast(T(to_gradient)) * w;
            const V after = drifted(w, gradient, penalty_scale, step, shrunk);
            add_to_average(s.average + at, after, share);
            if (is_last && penalty.l2 > 0) {
                const V scaled = penalty_scale * V::load(s.average + at);
                square += inner_product<1>(&scaled, &scaled, 1);
            }
            after.store(visits.weights + at);
            (is_last ? gradient : unchanged_sum(gradient, after)).store(s.gradient + at);
        }
        if (is_last && penalty.l2 > 0) s.penalty += 0.5 * penalty.l2 * square;
    }

    void drift_the_intercept(double step) const {
        if (visits.fit_intercept)
            for (ptrdiff_t k = 0; k < visits.n_columns(); ++k) visits.intercept[k] -= step * s.intercept_gradient[k];
    }
};

template <class V>
void point_saga_of(softmax::PointSaga<typename V::Number>& s) {
    PointSagaRule<V> rule(s);
    visit_all<V>(rule, s.visits);
}

template <class T>
void point_saga(softmax::PointSaga<T>& s) {
    s.visits.is_margin() ? point_saga_of<One<T>>(s) : point_saga_of<Vec<T>>(s);
}

}  // namespace
