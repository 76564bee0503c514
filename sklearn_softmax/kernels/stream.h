// The stream rule: one implicit step per row, in coordinates that follow the rows.
// Reads the Visits and the IN fields of Stream in kernels.h, and writes its INOUT, OUT
// and TEMP fields.
//
//     A = eta0 weight / (D/10 + sqrt(H))
//     D = mean of 1 + |row|^2,    H = sum of weight * mean over the classes of p (1 - p)
//     theta_j <- theta_j - A step_scale_j x_j g,    intercept <- intercept - A g
//     g: the implicit residual, see implicit.h
//
// The average takes the iterate with the weight `weight * (weight seen)^3`. Then comes
// the prox of the L2 penalty, with the step `length step_scale_j`:
//
//     length = A (g_y / (p_y - 1)),    p: the probabilities before the step
//
// An implicit step along a long row is much shorter than A. The factor g_y / (p_y - 1)
// makes the step of the penalty shorter by as much. If the label of the row is a
// distribution q, the factor is g (p - q) / |p - q|^2.
//
// Average and penalty are lazy. In dense rows they wait until a block ends. In sparse
// rows they wait until a row has the feature. Then the penalty is applied before the
// row is seen, in the coordinates of the rows before, so that predictions depend on
// those rows only.
//
// L1 is dual averaging (Xiao 2010), the cumulative penalty of Tsuruoka, Tsujii and
// Ananiadou (2009). theta is the sum of the steps without L1, and the model is
//
//     soft_threshold(theta_j, alpha l1_ratio (sum of lengths) step_scale_j penalty_scale_j)
//
// A threshold after each step makes no zeros, because it is much smaller than the noise
// of the step. The sum of the thresholds is large enough. The averages are those of
// theta and of the sum of lengths, and the threshold is taken of the averages. With L1
// a block of dense rows has one row, because a threshold of the weights cannot be a
// part of the block's matrix products.
//
// Forgetting. Before a row is learnt from, its losses under the average and under the
// iterate, each clipped to 2 nats, update two log odds: R, that the iterate predicts
// better than the average, and E, that a point beyond the iterate does:
//
//     R <- clip(R + weight clip(loss(average) - loss(iterate)), log(1 + memory))
//     E <- clip(E - weight clip(slope of the loss at the iterate, along iterate - average),
//               log(1 + memory of the steps))
//
// What R and E would have above their bounds is paid with memory, continuously, so that
// rounding cannot flip a decision:
//
//     growth *= 2^excess,    growth_of_steps *= 4^excess,    excess = (R - bound) / bound <= 1
//
// The average forgets only if it remembers more than 64 rows.
// A row counts growth * weight in the sums of the average, and growth_of_steps * weight
// in H. A larger weight of all rows to come is a smaller weight of all rows before, so
// that no feature has to be touched. The sums over the growth are the memories. Then
//
//     A = eta0 weight / (D/10 + sqrt(H / growth_of_steps))
//     weight of an iterate in the average: growth * weight * (sum of growth * weight)^3
//     prediction: average + (iterate - average) / (1 + exp(-R))
//
// If rows stay alike, exp(R) is nearly a martingale. Evidence c then comes by chance once
// in about 2 exp(c) rows, and with c = log(memory) false alarms do not accumulate.
// Without `forgets`, R is computed only, and the growths stay as they are.
//
// Dense rows: the first row of a block refreshes the coordinates, if the number of rows
// has grown by 1/16 since the last refresh. Blocks and refreshes depend on the number
// of rows seen, not on how the stream is cut into calls.
#pragma once

#include "moments.h"
#include "visits.h"

namespace {

constexpr double share_of_norm = 0.1;  // the factor of D in A
// A row with 1 + |row|^2 > most_norms * D begins a block. So the coordinates are
// refreshed with that row before its step, which makes the row less of an outlier.
constexpr double most_norms = 4;

constexpr double most_nats = 2;  // of evidence from a row of weight 1
constexpr double least_memory = 64;  // an average of no more rows does not forget
constexpr double most_growth = 0x1p100;

// The length of a block: 1/16 of the number of rows before the block, at least 1 and at
// most 16.
inline ptrdiff_t block_length(double n_rows_before) {
    const ptrdiff_t length = ptrdiff_t(n_rows_before) / 16;
    return length < 1 ? 1 : length > usual_rows ? usual_rows : length;
}

template <class V>
class StreamRule {
    using T = typename V::Number;
    softmax::Stream<T>& s;
    const softmax::Visits<T>& visits;
    softmax::StreamScalars& scalars;
    const Penalty<T> penalty;
    const softmax::Coordinates<T>& coordinates;
    double weight_of_row = 0;
    // Dense: growth of penalty_step in the block that has ended, and that block's share
    // of average_weight.
    double penalty_gap = 0, average_share = 0;
    T* const shrinkage;  // dense: the factor of the L2 prox of each feature for penalty_gap
    T* const theta;  // the iterate, before the L1 threshold

    DenseMoments<T> moments;
    const T* added_rows[usual_rows];  // dense: rows of the open block, which the moments still lack
    double added_weights[usual_rows];
    int n_added = 0;

   public:
    static constexpr bool has_step_scales = true, has_coordinates = true, averages_all_visits = false;
    static constexpr T threshold() { return 0; }
    static constexpr T predicting_threshold() { return 0; }
    const T* predicting() const { return s.thresholded ? s.thresholded + n_weights() : s.average; }
    const T* iterate() const {
        if (!s.progressive_loss) return nullptr;
        return s.thresholded ? s.thresholded + 2 * n_weights() : theta;
    }
    Predictor predictor() const {
        return s.progressive_loss && s.averages && scalars.average_weight > 0 ? Predictor::average : Predictor::none;
    }
    static constexpr double scale = 1;

    // `weights` is the iterate theta. `visits.weights` is what rows are scored with:
    // theta, or theta after the L1 threshold.
    StreamRule(softmax::Stream<T>& stream, T* weights)
        : s(stream),
          visits(stream.visits),
          scalars(*stream.scalars),
          penalty{stream.visits.l2_ratio, stream.visits.l1_ratio},  // penalty_step contains alpha
          coordinates(stream.visits.coordinates),
          shrinkage(memory_for_features(stream.visits)),
          theta(weights),
          moments(stream.features, stream.visits.rows.n_features,
                  stream.adaptive && !stream.visits.rows.is_sparse() ? stream.moments : nullptr) {
        if (s.thresholded && !visits.rows.is_sparse()) threshold_all();
    }

    // ---------------------------------------------------------------------- dense only

    ptrdiff_t rows_ahead() {
        return scalars.n_rows < scalars.block_end ? ptrdiff_t(scalars.block_end - scalars.n_rows)
                                                  : length_of_block(scalars.n_rows);
    }

    bool load(Block<V>& block, ptrdiff_t i) {
        const T* const row = visits.rows.values + i * visits.rows.n_features;
        const double n_rows = scalars.n_rows + block.n_rows;
        const bool begins = n_rows >= scalars.block_end;
        const double weight = weight_of(i);
        if (begins) {
            scalars.block_end = n_rows + length_of_block(n_rows);
            scalars.block_limit = most_norms * ratio_or_zero(scalars.norm, scalars.weight);
            if (s.adaptive && n_rows >= scalars.refresh_at) {
                if (s.progressive_loss) {  // predict the row in the coordinates before the refresh
                    block.load(row, coordinates);
                    if (predictor() != Predictor::none) block.predict(predicting());
                    scores_before = block.score_first(visits.weights);
                    block.drop_last();
                }
                refresh(row, weight);
                if (s.thresholded) threshold_all();
            }
        }
        block.load(row, coordinates);
        if (!s.adaptive || n_rows < n_refreshed) return true;
        if (n_rows > 0 && 1 + block.norm[block.n_rows - 1] > scalars.block_limit) {
            block.drop_last();
            scalars.block_end = scalars.refresh_at = n_rows;
            return false;
        }
        added_rows[n_added] = row;
        added_weights[n_added++] = weight;
        return true;
    }

    bool close(int n_visited, int) {
        if (n_added > 0) moments.add_rows(added_rows, added_weights, n_added);
        n_added = 0;
        penalty_gap = average_share = 0;
        if (scalars.n_rows < scalars.block_end) return n_visited > 0;
        penalty_gap = scalars.penalty_step - scalars.block_penalty_step;
        average_share = ratio_or_zero(scalars.average_weight - scalars.block_average_weight, scalars.average_weight);
        scalars.block_penalty_step = scalars.penalty_step;
        scalars.block_average_weight = scalars.average_weight;
        if (penalty_gap > 0)
            for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j)
                shrinkage[j] = penalty.shrinkage(penalty_gap * coordinates.step_scale[j], coordinates.penalty_scale[j]);
        average_the_intercept(average_share);
        set_bounds();
        return n_visited > 0 || penalty_gap > 0 || average_share > 0;
    }

    bool end_block() {
        if (s.adaptive) moments.store();
        if (!s.flush) return false;
        scalars.block_end = scalars.n_rows;
        return close(0, 0);
    }

    template <class W>
    SOFTMAX_INLINE void update(ptrdiff_t j, ptrdiff_t k, W product) {
        const ptrdiff_t at = j * visits.n_padded + k;
        W w = W::load(theta + at) - product;
        if (average_share > 0) add_to_average(s.average + at, w, average_share);
        if (penalty_gap > 0) w = penalised(w, at_feature<W>(bound, j), of_features<V, W>(shrinkage, j));
        w.store(theta + at);
        if (s.thresholded) threshold(at, at_feature<W>(bound, j), at_feature<W>(bound_predicting, j));
    }

    // --------------------------------------------------------------------- sparse only

    template <class Row>
    SOFTMAX_INLINE void fetch(const Row& row) const {
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            prefetch_for_write(s.features + row.column(n));
            prefetch_feature(theta + row.column(n) * visits.n_padded, visits.n_padded);
            prefetch_feature(s.average + row.column(n) * visits.n_padded, visits.n_padded);
        }
    }

    void begin_visit(ptrdiff_t i) { weight_of_row = weight_of(i); }

    double* step_scales() const { return s.moments + 8 * visits.rows.longest_row; }
    double* penalty_scales() const { return s.moments + 9 * visits.rows.longest_row; }
    T* before() const { return reinterpret_cast<T*>(s.moments + 10 * visits.rows.longest_row); }
    double* step_scales_before() const { return s.moments + 11 * visits.rows.longest_row; }
    double* penalty_scales_before() const { return s.moments + 12 * visits.rows.longest_row; }

    template <class Row>
    SOFTMAX_INLINE void see(const Row& row, T* seen, T* stepped) {
        if (s.adaptive) return adapt_and_see(row, seen, stepped);
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            const ptrdiff_t j = row.column(n);
            seen[n] = row.values[n] * coordinates.inverse_scale[j];
            stepped[n] = seen[n] * coordinates.step_scale[j];
        }
    }

    template <int>
    SOFTMAX_INLINE void bring_up_to_date(const CsrRow<T>& row, int) {
        set_bounds();
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            const ptrdiff_t j = row.column(n);
            const double step_scale = s.adaptive ? step_scales_before()[n] : coordinates.step_scale[j];
            const double penalty_scale = s.adaptive ? penalty_scales_before()[n] : coordinates.penalty_scale[j];
            catch_up(j, step_scale, penalty_scale);
            if (!s.thresholded) continue;
            const double now = s.adaptive ? step_scales()[n] * penalty_scales()[n] : step_scale * penalty_scale;
            const V here = V::broadcast(T(bound * now)), before_here = V::broadcast(T(bound * step_scale * penalty_scale)),
                    predicting_here = V::broadcast(T(bound_predicting * step_scale * penalty_scale));
            for (ptrdiff_t k = 0; k < visits.n_padded; k += V::lanes) {
                const ptrdiff_t at = j * visits.n_padded + k;
                threshold(at, here, predicting_here);
                soft_threshold(V::load(theta + at), before_here).store(visits.weights + 2 * n_weights() + at);
            }
        }
    }

    template <int NV>
    SOFTMAX_INLINE void change(ptrdiff_t j, T x, const V* changes, int vectors) const {
        subtract_product<NV>(theta + j * visits.n_padded, x, changes, vectors);
    }

    void end_visit(bool is_last) {
        if (!is_last || !s.flush) return;
        set_bounds();
        for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j) {
            if (s.adaptive) set_coordinates(coordinates, j, spread(s.features[j], scalars.weight), false, s.standardize);
            catch_up(j, coordinates.step_scale[j], coordinates.penalty_scale[j]);
        }
    }

    // ---------------------------------------------------------------------------- both

    template <int NV>
    bool visit(RowVectors<NV, V>& v, ptrdiff_t i, double norm, double stepped_norm) {
        const int n_vectors = v.n_vectors();
        const double weight = weight_of(i);
        const int32_t y = visits.y[i];
        const T* const shift = visits.shift_of(i);
        V *const g = v.residual(), *const change = v.change();
        const RowSums sums = exponentials<NV>(v.scores(), n_vectors, y, v.exponentials());
        if (scalars.growth > most_growth || scalars.growth_of_steps > most_growth) rescale();
        if (s.progressive_loss) add_loss(*s.progressive_loss, weight, predict<NV>(v, i, weight, y, sums));
        for (int k = 0; k < n_vectors; ++k) g[k] = V::broadcast(0);
        if (shift) begin_with_shift<NV>(v, shift, weight, y, sums);
        scalars.n_rows += 1;
        scalars.loss += weight * sums.loss;
        if (s.norms) s.norms[i] = 1 + norm;
        scalars.weight += weight;
        scalars.norm += weight * (1 + norm);
        const double grown = scalars.growth_of_steps * weight;
        scalars.curvature += grown * curvature<NV>(v.exponentials(), sums, n_vectors, y) / double(visits.n_classes);
        scalars.steps_total += grown;
        const double mean_norm = scalars.norm / scalars.weight, remembered = scalars.curvature / scalars.growth_of_steps;
        const double step = s.eta0 * weight / (share_of_norm * mean_norm + sqrt(remembered));
        solve_implicit<NV>(v, sums, y, T(step * (visits.fit_intercept + stepped_norm)));
        if (shift) add_numbers(g, shift, n_vectors);
        const double length =
            step * (shift ? share_along(g, v.explicit_residual(), n_vectors) : share_of_residual(of_class(g, y), sums));
        if (visits.table)
            for (int k = 0; k < n_vectors; ++k) g[k].store(visits.table + i * visits.n_padded + k * V::lanes);
        for (int k = 0; k < n_vectors; ++k) {
            change[k] = V::broadcast(T(step)) * g[k];
            if (visits.fit_intercept) subtract(visits.intercept + k * V::lanes, change[k]);
        }
        scalars.penalty_step += times_alpha(length);
        scalars.length += length;
        scalars.average_total += scalars.growth * weight;
        const double averaged = averaged_total(), average_weight = scalars.growth * weight * averaged * averaged * averaged;
        scalars.average_weight += average_weight;
        const double share = ratio_or_zero(average_weight, scalars.average_weight);
        scalars.average_length += share * (scalars.length - scalars.average_length);
        if (visits.rows.is_sparse()) average_the_intercept(share);
        return true;
    }

   private:
    // Dense: the products of the next row with the iterate before a refresh, if there
    // was one.
    const T* scores_before = nullptr;

    ptrdiff_t n_weights() const { return visits.rows.n_features * visits.n_padded; }

    // In: v.residual() = 0. Out: that of a row with a label shift, and what it adds to the
    // loss; see implicit.h.
    template <int NV>
    SOFTMAX_SHARED void begin_with_shift(RowVectors<NV, V>& v, const T* shift, double weight, int32_t y,
                                         const RowSums& sums) {
        const int n_vectors = v.n_vectors();
        V* const r = v.explicit_residual();
        scalars.loss += weight * loss_of_shift(shift, v.scores(), n_vectors, y);
        residual_of<NV>(v.exponentials(), sums, n_vectors, y, r);
        add_numbers(r, shift, n_vectors);
        subtract_numbers(v.residual(), shift, n_vectors);
    }

    // In: v.prediction() and v.iterate(), the products of the row with the average and,
    // of sparse rows, with the iterate, in the coordinates before the row. Returns the
    // log loss of the row under the model that predicts, and updates R, E and the
    // growths.
    template <int NV>
    double predict(RowVectors<NV, V>& v, ptrdiff_t i, double weight, int32_t y, RowSums sums) {
        const int n_vectors = v.n_vectors();
        const V *iterate = v.scores(), *e = v.exponentials();
        if (visits.rows.is_sparse() || scores_before) {
            sums = score_iterate_before<NV>(v, i, y);
            iterate = v.iterate(), e = v.iterate_exponentials();
        }
        const T* const shift = visits.shift_of(i);
        const auto of_shift = [&](const V* scores) { return shift ? loss_of_shift(shift, scores, n_vectors, y) : 0; };
        const double loss_of_iterate = sums.loss + of_shift(iterate);
        if (predictor() == Predictor::none) return loss_of_iterate;

        // Iterates of the open block are missing from the average of dense rows.
        const double waiting = visits.rows.is_sparse() ? 0 : scalars.average_weight - scalars.block_average_weight;
        const T share = T(ratio_or_zero(waiting, scalars.average_weight));
        V* const average = v.prediction();
        add_offset(visits, i, average, n_vectors);
        for (int k = 0; k < n_vectors; ++k) {
            const V then = plus_intercept(average[k], s.intercept_average + k * V::lanes);
            average[k] = share == 1 ? iterate[k] : share == 0 ? then : between(then, iterate[k], share);
        }
        const double loss_of_average = loss_of<NV>(average, n_vectors, y, v.residual()) + of_shift(average);
        const double odds_before = scalars.drift_log_odds, memory = averaged_total() / scalars.growth,
                     excess =
                         add_evidence(scalars.drift_log_odds, weight * clipped(loss_of_average - loss_of_iterate), memory);
        if (!s.forgets) return loss_of_average;

        if (excess > 0 && memory > least_memory) scalars.growth *= exp2(excess);
        const double slope =
            slope_along<NV>(e, sums, average, iterate, n_vectors, y) + (of_shift(iterate) - of_shift(average));
        const double excess_of_steps =
            add_evidence(scalars.step_log_odds, weight * clipped(-slope), scalars.steps_total / scalars.growth_of_steps);
        if (excess_of_steps > 0) scalars.growth_of_steps *= exp2(2 * excess_of_steps);
        const T share_of_iterate = logistic(T(odds_before));
        for (int k = 0; k < n_vectors; ++k) average[k] = between(average[k], iterate[k], share_of_iterate);
        return loss_of<NV>(average, n_vectors, y, v.residual()) + of_shift(average);
    }

    // The iterate in the coordinates before the row, where they differ from those of the
    // step.
    template <int NV>
    SOFTMAX_SHARED RowSums score_iterate_before(RowVectors<NV, V>& v, ptrdiff_t i, int32_t y) {
        V* const iterate = v.iterate();
        for (int k = 0; k < v.n_vectors(); ++k) {
            const V products = scores_before ? V::load(scores_before + k * V::lanes) : iterate[k];
            iterate[k] = plus_intercept(products, visits.intercept + k * V::lanes);
        }
        scores_before = nullptr;
        add_offset(visits, i, iterate, v.n_vectors());
        return exponentials<NV>(iterate, v.n_vectors(), y, v.iterate_exponentials());
    }

    template <int NV>
    static SOFTMAX_SHARED double loss_of(const V* scores, int vectors, int32_t y, V* e) {
        return exponentials<NV>(scores, vectors, y, e).loss;
    }

    // (1 - share) a + share b. A lane of no class stays at -inf.
    static SOFTMAX_INLINE V between(V a, V b, T share) {
        const V lowest = V::broadcast(sizeof(T) == 8 ? T(-1e300) : T(-1e37));
        return where_less(b, lowest, b, a + V::broadcast(share) * (b - a));
    }

    static double clipped(double nats) { return nats > most_nats ? most_nats : nats < -most_nats ? -most_nats : nats; }

    // Adds evidence to log odds, which stay within +-log(1 + memory). Returns by how much
    // they would be above, in units of this bound, at most 1.
    static double add_evidence(double& odds, double evidence, double memory) {
        odds += evidence;
        if (fabs(odds) <= least_log(1 + memory)) return 0;
        const double bound = log_of_one_and(memory), above = odds - bound;
        if (odds < -bound) odds = -bound;
        if (above <= 0) return 0;
        odds = bound;
        return above < bound ? above / bound : bound > 0;
    }

    // 1 / (1 + exp(-x))
    static T logistic(T x) {
        const T e = exp_of_nonpositive(One<T>{x < 0 ? x : -x}).v;
        return (x < 0 ? e : 1) / (1 + e);
    }

    // The part of average_total of the rows in the average.
    double averaged_total() const {
        return scalars.average_total > s.average_from ? scalars.average_total - s.average_from : 0;
    }

    // Divides growths, and the sums in their units, by a power of two, so that nothing
    // is rounded.
    void rescale() {
        constexpr double down = 1 / most_growth, down_4 = down * down * down * down;
        if (scalars.growth > most_growth) {
            scalars.growth *= down;
            scalars.average_total = s.average_from + (scalars.average_total - s.average_from) * down;
            scalars.average_weight *= down_4;
            scalars.block_average_weight *= down_4;
            if (visits.rows.is_sparse())
                for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j) s.features[j].average_updated_at *= down_4;
        }
        if (scalars.growth_of_steps > most_growth) {
            scalars.growth_of_steps *= down;
            scalars.curvature *= down;
            scalars.steps_total *= down;
        }
    }

    double n_refreshed = 0;  // dense: rows in the moments at the last refresh of this call

    // Dense: the coordinates that follow from the rows so far and this one.
    void refresh(const T* row, double weight) {
        moments.add_rows(&row, &weight, 1);
        moments.set_all_coordinates(coordinates, scalars.weight + weight, s.with_mean, s.standardize);
        n_refreshed = scalars.n_rows + 1;
        scalars.refresh_at = scalars.n_rows + (scalars.n_rows < 16 ? 1 : double(ptrdiff_t(scalars.n_rows) / 16));
    }

    // Sparse: the moments of the features of one row, an array of each moment.
    struct Scratch {
        double *unit, *weight, *pivot, *square, rounding;
        SOFTMAX_INLINE void set(ptrdiff_t n, const Feature& f) const {
            unit[n] = f.unit, weight[n] = f.weight, pivot[n] = f.pivot, square[n] = f.square;
        }
        SOFTMAX_INLINE Spread spread(ptrdiff_t n, double total) const {
            return spread_about(unit[n], weight[n], pivot[n], square[n], total, rounding);
        }
    };
    Scratch scratch(ptrdiff_t first) const {
        double* const at = s.moments + first * visits.rows.longest_row;
        const ptrdiff_t size = visits.rows.longest_row;
        return {at, at + size, at + 2 * size, at + 3 * size, s.features[0].rounding};
    }

    // Sparse: a row updates the moments and the coordinates of its features. Only the
    // first loop reads scattered memory. The others read arrays, so that the compiler
    // vectorises them.
    template <class Row>
    SOFTMAX_INLINE void adapt_and_see(const Row& row, T* seen, T* stepped) {
        const ptrdiff_t size = row.size;
        const Scratch old = scratch(0), now = scratch(4);
        double *const step_scale = step_scales(), *const penalty_scale = penalty_scales();
        T* const seen_before = before();
        const double total = scalars.weight + weight_of_row, total_before = scalars.weight;
        for (ptrdiff_t n = 0; n < size; ++n) {
            Feature& f = s.features[row.column(n)];
            move_pivot_to_mean(f);
            old.set(n, f);
            add(f, row.values[n], weight_of_row);
            move_pivot_to_mean(f);
            now.set(n, f);
        }
        const bool standardize = s.standardize;
        for (ptrdiff_t n = 0; n < size; ++n) {
            const Coordinate c = coordinate_of<T>(now.spread(n, total), false, standardize);
            seen[n] = row.values[n] * T(c.inverse_scale);
            stepped[n] = seen[n] * T(c.step_scale);
            step_scale[n] = c.step_scale;
            penalty_scale[n] = c.penalty_scale;
        }
        double *const step_scale_before = step_scales_before(), *const penalty_scale_before = penalty_scales_before();
        for (ptrdiff_t n = 0; n < size; ++n) {
            const Coordinate c = coordinate_of<T>(old.spread(n, total_before > 0 ? total_before : 1), false, standardize);
            seen_before[n] = row.values[n] * T(c.inverse_scale);
            step_scale_before[n] = c.step_scale;
            penalty_scale_before[n] = c.penalty_scale;
        }
    }

    double weight_of(ptrdiff_t i) const { return visits.sample_weight.data[i * visits.sample_weight.stride]; }

    double times_alpha(double length) const {
        return s.alpha == s.alpha ? s.alpha * length : ratio_or_zero(length, scalars.weight);
    }

    ptrdiff_t length_of_block(double n_rows_before) const { return s.thresholded ? 1 : block_length(n_rows_before); }

    // g_y / (p_y - 1), between 0 and 1.
    static double share_of_residual(double g, const RowSums& sums) {
        const double share = sums.others > 0 ? -g * sums.sum / sums.others : 1;
        return share > 1 ? 1 : share < 0 ? 0 : share;
    }

    // g r / |r|^2, between 0 and 1.
    static SOFTMAX_SHARED double share_along(const V* g, const V* r, int vectors) {
        const double whole = inner_product<0>(r, r, vectors),
                     share = whole > 0 ? inner_product<0>(g, r, vectors) / whole : 1;
        return share > 1 ? 1 : share < 0 ? 0 : share;
    }

    // L1 thresholds of the iterate and of the average, for step_scale = penalty_scale
    // = 1.
    double bound = 0, bound_predicting = 0;

    void set_bounds() {
        bound = times_alpha(scalars.length) * visits.l1_ratio;
        bound_predicting = times_alpha(scalars.average_length) * visits.l1_ratio;
    }
    template <class W>
    SOFTMAX_INLINE W at_feature(double bound_here, ptrdiff_t j) const {
        const W step_scale = of_features<V, W>(coordinates.step_scale, j);
        return W::broadcast(T(bound_here)) * step_scale * of_features<V, W>(coordinates.penalty_scale, j);
    }

    template <class W>
    SOFTMAX_INLINE void threshold(ptrdiff_t at, W bound_here, W bound_predicting_here) const {
        soft_threshold(W::load(theta + at), bound_here).store(visits.weights + at);
        soft_threshold(W::load(s.average + at), bound_predicting_here).store(visits.weights + n_weights() + at);
    }

    void threshold_all() {
        set_bounds();
        for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j)
            for (ptrdiff_t k = 0; k < visits.n_padded; k += V::lanes)
                threshold(j * visits.n_padded + k, at_feature<V>(bound, j), at_feature<V>(bound_predicting, j));
    }

    // w after the prox of L2, whose shrinkage acts on the model soft_threshold(w,
    // bound).
    template <class W>
    SOFTMAX_INLINE W penalised(W w, W bound_here, W shrinkage_here) const {
        if (!s.thresholded) return w * shrinkage_here;
        return w - (W::broadcast(1) - shrinkage_here) * soft_threshold(w, bound_here);
    }

    // Sparse: the penalty and the average of the visits since feature j was up to date.
    SOFTMAX_INLINE void catch_up(ptrdiff_t j, double step_scale, double penalty_scale) const {
        Feature& f = s.features[j];
        const double gap = scalars.penalty_step - f.penalty_updated_at;
        const double share = ratio_or_zero(scalars.average_weight - f.average_updated_at, scalars.average_weight);
        if (gap == 0 && share == 0) return;
        f.average_updated_at = scalars.average_weight;
        f.penalty_updated_at = scalars.penalty_step;
        T *const w = theta + j * visits.n_padded, *const mean = s.average + j * visits.n_padded;
        const ptrdiff_t n_padded = visits.n_padded;
        const V bound_here = V::broadcast(T(bound * step_scale * penalty_scale)),
                shrunk = V::broadcast(penalty.shrinkage(gap * step_scale, penalty_scale));
        for (ptrdiff_t k = 0; k < n_padded; k += V::lanes) {
            const V now = penalised(V::load(w + k), bound_here, shrunk);
            add_to_average(mean + k, now, share);
            now.store(w + k);
        }
    }

    void average_the_intercept(double share) const {
        add_to_average(s.intercept_average, visits.intercept, visits.n_columns(), share);
    }
};

template <class V>
void stream_of(softmax::Stream<typename V::Number>& s) {
    typename V::Number* const weights = s.visits.weights;
    if (s.thresholded) s.visits.weights = s.thresholded;
    StreamRule<V> rule(s, weights);
    visit_all<V>(rule, s.visits);
}

template <class T>
void stream(softmax::Stream<T>& s) {
    s.visits.is_margin() ? stream_of<One<T>>(s) : stream_of<Vec<T>>(s);
}

}  // namespace
