// The explicit rule: plain stochastic gradient steps of given sizes, on the features as
// they are.
//
//     g = softmax(W^T x + b + offset) - e_y,    step = eta_t * sample_weight
//     W_j <- W_j - step x_j g,    b <- b - step g
//
// and then the prox of the penalty. The prox of L2 divides by 1 + step alpha_t
// l2_ratio, which cannot overshoot. It scales all features by one number, so that W =
// scale * U, where U are the weights in memory. L1 is the cumulative penalty of
// Tsuruoka, Tsujii and Ananiadou (2009): W is a sum of steps without a threshold, and
// the model is
//
//     soft_threshold(W, u),     u <- (u + step alpha_t l1_ratio) / (1 + step alpha_t l2_ratio)
//
// A threshold after each step makes no zeros, because it is much smaller than the noise
// of the step. The sum u of the thresholds is large enough. u is divided by the same
// number as W, which makes the division one of the model: soft_threshold(W / c, u / c)
// = soft_threshold(W, u) / c. If alpha_t is 1 / (weight seen), u is multiplied by
// alpha_t / alpha_{t-1} before each visit, so that it stays in proportion to alpha_t.
//
// The averages of W and of u are exact: those of all visits. The threshold is taken of
// the averages. While U_j does not change, the sum of weight * W_j grows by
//
//     coverage U_j,    coverage = sum of weight * scale
//
// Dense rows are visited in blocks if that gives the same result up to rounding. Else
// they are visited as sparse rows, without their zeros. Reads the Visits and the IN
// fields of Explicit in kernels.h, and writes its INOUT, OUT and TEMP fields.
#pragma once

#include "moments.h"
#include "visits.h"

namespace {

// The scale below which U becomes W and the scale 1 again. U grows as 1 / scale and
// must not overflow. With averages the limit is higher, because differences of coverage
// lose digits in proportion to 1 / scale.
template <class T>
double smallest_scale(bool averages) {
    return averages ? 1e-3 : sizeof(T) == 8 ? 1e-100 : 1e-10;
}

// leaves no weight, and is finite, so that 0 times it is 0
constexpr double largest_threshold = 1e300;

template <class V>
class ExplicitRule {
    using T = typename V::Number;
    using Waiting = softmax::WaitingFeature;
    softmax::Explicit<T>& s;
    const softmax::Visits<T>& visits;
    const bool averages;
    ptrdiff_t t = 0;  // visits so far
    double threshold_in_u;  // u / scale
    double coverage = 0;  // since the scale was set to 1
    // Dense: scale and coverage of the block that has ended, and averaged_weight where
    // the block began.
    double block_scale = 1, block_coverage = 0, block_weight;
    double coverage_before[most_rows];  // dense: the coverage before each visit of the open block

   public:
    static constexpr bool has_step_scales = false, has_coordinates = false, averages_all_visits = true;
    double scale = 1;
    T threshold() const { return T(threshold_in_u); }
    const T* predicting() const { return s.average; }
    static constexpr const T* iterate() { return nullptr; }
    T predicting_threshold() const { return T(s.average_threshold); }

    explicit ExplicitRule(softmax::Explicit<T>& sweep)
        : s(sweep),
          visits(sweep.visits),
          averages(sweep.average != nullptr),
          threshold_in_u(sweep.threshold),
          block_weight(sweep.averaged_weight),
          inverse_weight(inverse_or_zero(sweep.averaged_weight)) {
        if (averages)
            for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j) s.waiting[j] = {0, s.averaged_weight};
    }

    Predictor predictor() const { return s.progressive_loss && averages ? Predictor::average : Predictor::none; }

    // Whether dense rows can be visited in blocks.
    bool is_for_blocks() const {
        if (visits.rows.is_sparse() || visits.l1_ratio > 0 || s.threshold > 0 || s.may_overflow) return false;
        for (ptrdiff_t visit = 0; visit < visits.n_visits; ++visit) {
            const double step = s.eta.data[visit * s.eta.stride] * weight_of(visits.order[visit]);
            if (!(s.alpha.data[visit * s.alpha.stride] * step * visits.l2_ratio < 1))
                return false;  // the scale stays near 1
        }
        return true;
    }

    // ---------------------------------------------------------------------- dense only

    ptrdiff_t rows_ahead() const { return rows_per_block<T>(visits.rows.n_features, visits.n_padded); }

    bool load(Block<V>& block, ptrdiff_t i) const {
        block.load(visits.rows.values + i * visits.rows.n_features);
        return true;
    }

    bool close(int n_visited, int) {
        n_in_block = 0;
        block_scale = scale;
        block_coverage = coverage;
        scale = 1;
        coverage = 0;
        return n_visited > 0;
    }

    template <class W>
    SOFTMAX_INLINE void update(ptrdiff_t j, ptrdiff_t k, W product) const {
        T* const w = visits.weights + j * visits.n_padded + k;
        (W::broadcast(T(block_scale)) * (W::load(w) - product)).store(w);
    }

    // In: v.prediction(), the products of row r with the average when the block began.
    // Out: the products with the average of all visits before row r.
    template <int NV>
    SOFTMAX_INLINE void predict(Block<V>& block, int r, RowVectors<NV, V>& v) const {
        const V of_average = V::broadcast(T(block_weight * inverse_weight)),
                of_start = V::broadcast(T(coverage * inverse_weight));
        V* const products = v.prediction();
        for (int k = 0; k < v.n_vectors(); ++k)
            products[k] = of_average * products[k] + of_start * V::load(block.scores_of(r) + k * V::lanes);
        for (int q = 0; q < r; ++q) {
            const double since = (coverage - coverage_before[q]) * inverse_weight;
            const V factor = V::broadcast(T(since * block.products[r][q]));
            for (int k = 0; k < v.n_vectors(); ++k)
                products[k] = products[k] - factor * V::load(block.change_of(q) + k * V::lanes);
        }
    }

    // After `update`, with the changes c_q of the block. The weighted sum of the
    // block's iterates is
    //
    //     coverage U + sum over q of (coverage before visit q) x_q c_q
    void average_block(Block<V>& block) {
        if (!(s.averaged_weight > block_weight)) return;
        for (int q = 0; q < block.n_rows; ++q) coverage_before[q] *= inverse_weight;
        block.scale_changes(coverage_before);
        const T of_mean = T(block_weight * inverse_weight), of_weights = T(block_coverage * inverse_weight / block_scale);
        block.transposed_product([&](ptrdiff_t j, ptrdiff_t k, auto product) {
            using W = decltype(product);
            const ptrdiff_t at = j * visits.n_padded + k;
            const W mean = W::load(s.average + at), weights = W::load(visits.weights + at);
            (W::broadcast(of_mean) * mean + W::broadcast(of_weights) * weights + product).store(s.average + at);
        });
        block_weight = s.averaged_weight;
    }

    bool end_block() const { return false; }

    // --------------------------------------------------------------------- sparse only

    SOFTMAX_INLINE void fetch(const CsrRow<T>& row) const {
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            const ptrdiff_t at = row.columns[n] * visits.n_padded;
            prefetch_feature(visits.weights + at, visits.n_padded);
            if (!averages) continue;
            prefetch_for_write(s.waiting + row.columns[n]);
            prefetch_feature(s.average + at, visits.n_padded);
        }
    }

    void begin_visit(ptrdiff_t) const {}

    template <int NV>
    SOFTMAX_INLINE void bring_up_to_date(const CsrRow<T>& row, int vectors) const {
        if (averages)
            for (ptrdiff_t n = 0; n < row.size; ++n) catch_up(row.columns[n], NV ? NV : vectors);
    }

    template <int NV>
    SOFTMAX_INLINE void change(ptrdiff_t j, T x, const V* changes, int vectors) const {
        subtract_product<NV>(visits.weights + j * visits.n_padded, x, changes, vectors);
    }

    void end_visit(bool) {
        if (scale < smallest_scale<T>(averages)) flush();
    }

    // U becomes W with the scale 1, and the average that of all visits.
    void flush() {
        s.threshold = threshold_in_u * scale;
        if (!averages && scale == 1) return;
        for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j) {
            if (averages) {
                catch_up(j, int(visits.n_padded / V::lanes));
                s.waiting[j] = {0, s.averaged_weight};
            }
            if (scale != 1)
                for (ptrdiff_t at = j * visits.n_padded; at < (j + 1) * visits.n_padded; at += V::lanes)
                    (V::broadcast(T(scale)) * V::load(visits.weights + at)).store(visits.weights + at);
        }
        scale = 1;
        threshold_in_u = s.threshold;
        coverage = 0;
    }

    // ---------------------------------------------------------------------------- both

    template <int NV>
    SOFTMAX_INLINE bool visit(RowVectors<NV, V>& v, ptrdiff_t i, double, double) {
        const int n_vectors = v.n_vectors();
        V *const scores = v.scores(), *const change = v.change();
        if (s.may_overflow && !is_finite(scores)) return false;
        const double weight = weight_of(i), step = s.eta.data[t * s.eta.stride] * weight;
        const double penalty_step = s.alpha.data[t * s.alpha.stride] * step;
        const double loss = residual<NV>(scores, n_vectors, visits.y[i], visits.shift_of(i));
        s.loss += weight * loss;
        if (s.progressive_loss) add_loss(*s.progressive_loss, weight, averages ? loss_of_average(v, i, loss) : loss);
        const V length = V::broadcast(T(step)), length_in_u = V::broadcast(T(step / scale));
        for (int k = 0; k < n_vectors; ++k) {
            change[k] = length_in_u * scores[k];
            if (visits.fit_intercept) subtract(visits.intercept + k * V::lanes, length * scores[k]);
        }
        threshold_in_u *= s.threshold_factor.data[t * s.threshold_factor.stride];
        threshold_in_u += penalty_step * visits.l1_ratio / scale;
        if (!(threshold_in_u < largest_threshold)) threshold_in_u = largest_threshold;
        scale /= 1 + penalty_step * visits.l2_ratio;
        if (averages) {
            if (n_in_block < most_rows) coverage_before[n_in_block++] = coverage;
            if (t >= s.average_from) {
                s.averaged_weight += weight;
                inverse_weight = inverse_or_zero(s.averaged_weight);
                coverage += weight * scale;
                s.average_threshold += weight * inverse_weight * (threshold_in_u * scale - s.average_threshold);
                add_to_average(s.intercept_average, visits.intercept, visits.n_columns(), weight * inverse_weight);
            }
        }
        s.n_visited = ++t;
        return true;
    }

   private:
    int n_in_block = 0;  // dense: visits of the open block
    double inverse_weight;  // 1 / averaged_weight, or 0

    double weight_of(ptrdiff_t i) const { return visits.sample_weight.data[i * visits.sample_weight.stride]; }

    // Whether scores and the differences of two scores are finite.
    bool is_finite(const V* scores) const {
        constexpr T limit = sizeof(T) == 8 ? T(1e307) : T(1e37);
        for (ptrdiff_t k = 0; k < visits.n_classes; ++k) {
            const T score = of_class(scores, k);
            if (!(score > -limit && score < limit)) return false;
        }
        return true;
    }

    // The log loss of a row under the average. In: v.prediction(), the products of the
    // row with the average.
    template <int NV>
    double loss_of_average(RowVectors<NV, V>& v, ptrdiff_t i, double loss) const {
        if (!(s.averaged_weight > 0)) return loss;
        V* const scores = v.prediction();
        for (int k = 0; k < v.n_vectors(); ++k) scores[k] = plus_intercept(scores[k], s.intercept_average + k * V::lanes);
        add_offset(visits, i, scores, v.n_vectors());
        return residual<NV>(scores, v.n_vectors(), visits.y[i], visits.shift_of(i));
    }

    // Sparse: adds the visits since feature j was up to date to the average.
    SOFTMAX_INLINE void catch_up(ptrdiff_t j, int n_vectors) const {
        Waiting& f = s.waiting[j];
        if (!(s.averaged_weight > f.weight)) return;
        const T* const w = visits.weights + j * visits.n_padded;
        T* const mean = s.average + j * visits.n_padded;
        const V of_mean = V::broadcast(T(f.weight * inverse_weight));
        const V of_weights = V::broadcast(T((coverage - f.coverage) * inverse_weight));
        for (int k = 0; k < n_vectors; ++k) {
            const ptrdiff_t at = k * V::lanes;
            (of_mean * V::load(mean + at) + of_weights * V::load(w + at)).store(mean + at);
        }
        f.coverage = coverage;
        f.weight = s.averaged_weight;
    }
};

template <class V>
void explicit_sweep_of(softmax::Explicit<typename V::Number>& s) {
    ExplicitRule<V> rule(s);
    const bool by_blocks = rule.is_for_blocks();
    with_vectors<V>(s.visits.n_padded, [&](auto number) {
        constexpr int NV = decltype(number)::value;
        by_blocks ? visit_dense<NV, V>(rule, s.visits) : visit_sparse<NV, V>(rule, s.visits);
    });
    if (!by_blocks) rule.flush();
}

template <class T>
void explicit_sweep(softmax::Explicit<T>& s) {
    s.visits.is_margin() ? explicit_sweep_of<One<T>>(s) : explicit_sweep_of<Vec<T>>(s);
}

}  // namespace
