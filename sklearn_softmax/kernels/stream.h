// The stream rule: one implicit step per row, in coordinates that follow the stream. Reads the pass and writes what kernels.h calls
// INOUT, OUT and TEMP in Stream.
//
//     A = eta0 weight / (D/10 + sqrt(H)),   D = mean of 1 + |row|^2,   H = sum of weight * mean over the classes of p (1 - p)
//     theta_j <- theta_j - A step_scale_j x_j g,   intercept <- intercept - A g,    g: the implicit residual, see implicit.h
//
// then the average, with the weight `weight * (weight seen)^3`, and the prox of the L2 penalty with the step `length step_scale_j`, where
//
//     length = A (g_y / (p_y - 1))       (p: the probabilities before the step)
//
// is how far the loss lets the step go: an implicit step along a long row is much shorter than A, and the penalty's must not be longer
// than the loss's. Both wait: in dense rows until a block ends, in sparse rows until a feature is touched. There the penalty comes
// first, with the coordinates before that row, so that what is predicted with is what the rows before have made.
//
// L1 is dual averaging (Xiao 2010), the cumulative penalty of Tsuruoka, Tsujii and Ananiadou (2009): theta is a sum of steps without
// a penalty, and the model is
//
//     soft_threshold(theta_j, alpha l1_ratio (sum of lengths) step_scale_j penalty_scale_j)
//
// A threshold after each step makes no zeros: it is much less than the step's noise. The sum of the thresholds is not. The average is
// one of theta and of the sum of lengths, with a threshold when it is read. Then a block of dense rows has one row, because
// thresholds do not go together with matrix products.
//
// Coordinates of dense rows are refreshed with a row that begins a block, if the rows have grown by a sixteenth since. All that is a
// matter of the stream, not of how it is cut into calls.
#pragma once

#include "moments.h"
#include "visits.h"

namespace {

constexpr double share_of_norm = 0.1;
// A row so many times the mean norm far out begins a block of its own: coordinates that know of it make it less of an outlier.
constexpr double most_norms = 4;

// A block takes a sixteenth of what came before it, at most sixteen.
inline ptrdiff_t block_length(double n_rows_before) {
    const ptrdiff_t length = ptrdiff_t(n_rows_before) / 16;
    return length < 1 ? 1 : length > usual_rows ? usual_rows : length;
}

template <class T>
class StreamRule {
    using V = Vec<T>;
    softmax::Stream<T>& s;
    const softmax::Visits<T>& visits;
    softmax::StreamScalars& clock;
    const Penalty<T> penalty;
    const softmax::Coordinates<T>& coordinates;
    double weight_of_row = 0;
    double penalty_gap = 0, average_share = 0;  // of the block that has ended
    T* const shrinkage;  // what the L2 penalty does to each feature of dense rows with that gap
    T* const theta;  // the iterate, before the L1 threshold

    DenseMoments<T> moments;
    const T* added_rows[usual_rows];  // that visits have still to add to the moments
    double added_weights[usual_rows];
    int n_added = 0;

   public:
    static constexpr bool has_gains = true, has_coordinates = true, averages_all_visits = false;
    static constexpr T threshold() { return 0; }
    static constexpr T predicting_threshold() { return 0; }
    const T* predicting() const {
        if (s.thresholded) return s.thresholded + visits.rows.n_features * visits.n_padded;
        return predictor() == Predictor::average ? s.average : theta;
    }
    Predictor predictor() const {
        if (!s.progressive_loss) return Predictor::none;
        return s.averages && clock.average_weight > 0 ? Predictor::average : Predictor::iterate;
    }
    static constexpr double scale = 1;

    // `weights`: the iterate. Those of the visits are what rows are scored with.
    StreamRule(softmax::Stream<T>& stream, T* weights)
        : s(stream),
          visits(stream.visits),
          clock(*stream.scalars),
          penalty{stream.visits.l2_ratio, stream.visits.l1_ratio},  // per unit of clock.penalty_step, which has the alphas
          coordinates(stream.visits.coordinates),
          shrinkage(memory_for_features(stream.visits)),
          theta(weights),
          moments(stream.features, stream.visits.rows.n_features,
                  stream.adaptive && !stream.visits.rows.is_sparse() ? stream.moments : nullptr) {
        if (s.thresholded && !visits.rows.is_sparse()) threshold_all();
    }

    // ------------------------------------------------------------------------------------------------------------- dense

    ptrdiff_t rows_ahead() {
        return clock.n_rows < clock.block_end ? ptrdiff_t(clock.block_end - clock.n_rows) : length_of_block(clock.n_rows);
    }

    bool load(Block<T>& block, ptrdiff_t i) {
        const T* const row = visits.rows.values + i * visits.rows.n_features;
        const double n_rows = clock.n_rows + block.n_rows;
        const bool begins = n_rows >= clock.block_end;
        const double weight = weight_of(i);
        if (begins) {
            clock.block_end = n_rows + length_of_block(n_rows);
            clock.block_limit = most_norms * ratio_or_zero(clock.norm, clock.weight);
            if (s.adaptive && n_rows >= clock.refresh_at) {
                if (s.progressive_loss) {  // the prediction does not know of the row
                    block.load(row, coordinates);
                    block.predict(predicting());
                    block.drop_last();
                    was_predicted = true;
                }
                refresh(row, weight);
                if (s.thresholded) threshold_all();
            }
        }
        block.load(row, coordinates);
        if (!s.adaptive || n_rows < n_refreshed) return true;
        if (n_rows > 0 && 1 + block.norm[block.n_rows - 1] > clock.block_limit) {
            block.drop_last();
            clock.block_end = clock.refresh_at = n_rows;
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
        if (clock.n_rows < clock.block_end) return n_visited > 0;
        penalty_gap = clock.penalty_step - clock.block_penalty_step;
        average_share = ratio_or_zero(clock.average_weight - clock.block_average_weight, clock.average_weight);
        clock.block_penalty_step = clock.penalty_step;
        clock.block_average_weight = clock.average_weight;
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
        clock.block_end = clock.n_rows;
        return close(0, 0);
    }

    SOFTMAX_INLINE void update(ptrdiff_t j, ptrdiff_t k, V product) {
        const ptrdiff_t at = j * visits.n_padded + k;
        V w = V::load(theta + at) - product;
        if (average_share > 0) add_to_average(s.average + at, w, average_share);
        if (penalty_gap > 0) w = penalised(w, bound_of(j), shrinkage[j]);
        w.store(theta + at);
        if (s.thresholded) threshold(at, bound_of(j), bound_of_predicting(j));
    }

    // ------------------------------------------------------------------------------------------------------------ sparse

    template <class Row>
    SOFTMAX_INLINE void fetch(const Row& row) const {
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            prefetch_for_write(s.features + row.column(n));
            prefetch_feature(theta + row.column(n) * visits.n_padded, visits.n_padded);
            prefetch_feature(s.average + row.column(n) * visits.n_padded, visits.n_padded);
        }
    }

    void begin_visit(ptrdiff_t i) { weight_of_row = weight_of(i); }

    double* gains() const { return s.moments + 8 * visits.rows.longest_row; }
    double* ratios() const { return s.moments + 9 * visits.rows.longest_row; }
    T* before() const { return reinterpret_cast<T*>(s.moments + 10 * visits.rows.longest_row); }
    double* gains_before() const { return s.moments + 11 * visits.rows.longest_row; }
    double* ratios_before() const { return s.moments + 12 * visits.rows.longest_row; }

    template <class Row>
    SOFTMAX_INLINE void see(const Row& row, T* seen, T* stepped) {
        if (s.adaptive) return follow_and_see(row, seen, stepped);
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
            const double gain = s.adaptive ? gains_before()[n] : coordinates.step_scale[j];
            const double ratio = s.adaptive ? ratios_before()[n] : coordinates.penalty_scale[j];
            catch_up(j, gain, ratio);
            if (!s.thresholded) continue;
            const double now = s.adaptive ? gains()[n] * ratios()[n] : gain * ratio;
            for (ptrdiff_t k = 0; k < visits.n_padded; k += V::lanes)
                threshold(j * visits.n_padded + k, bound * now, bound_predicting * gain * ratio);
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
            if (s.adaptive) set_coordinates(coordinates, j, spread(s.features[j], clock.weight), false, s.standardize);
            catch_up(j, coordinates.step_scale[j], coordinates.penalty_scale[j]);
        }
    }

    // -------------------------------------------------------------------------------------------------------------- both

    template <int NV>
    bool visit(RowVectors<NV, T>& v, ptrdiff_t i, double norm, double stepped_norm) {
        const int n_vectors = v.n_vectors();
        const double weight = weight_of(i);
        const int32_t y = visits.y[i];
        V *const g = v.residual(), *const change = v.change();
        for (int k = 0; k < n_vectors; ++k) g[k] = V::broadcast(0);
        const RowSums sums = exponentials<NV>(v.scores(), n_vectors, y, v.exponentials());
        if (s.progressive_loss) {
            finish_prediction<NV>(v);
            add_loss(*s.progressive_loss, weight, residual<NV>(v.prediction(), n_vectors, y));
        }
        clock.n_rows += 1;
        clock.loss += weight * sums.loss;
        if (s.norms) s.norms[i] = 1 + norm;
        clock.weight += weight;
        clock.norm += weight * (1 + norm);
        clock.curvature += weight * curvature<NV>(v.exponentials(), sums, n_vectors, y) / double(visits.n_classes);
        const double step = s.eta0 * weight / (share_of_norm * (clock.norm / clock.weight) + sqrt(clock.curvature));
        solve_implicit<NV>(v, sums, y, T(step * (visits.fit_intercept + stepped_norm)));
        const double length = step * share_of_residual(g[y / V::lanes][int(y % V::lanes)], sums);
        if (visits.table)
            for (int k = 0; k < n_vectors; ++k) g[k].store(visits.table + i * visits.n_padded + k * V::lanes);
        for (int k = 0; k < n_vectors; ++k) {
            change[k] = V::broadcast(T(step)) * g[k];
            if (visits.fit_intercept) subtract(visits.intercept + k * V::lanes, change[k]);
        }
        clock.penalty_step += times_alpha(length);
        clock.length += length;
        const double averaged = clock.weight > s.average_from ? clock.weight - s.average_from : 0;
        const double average_weight = weight * averaged * averaged * averaged;
        clock.average_weight += average_weight;
        const double share = ratio_or_zero(average_weight, clock.average_weight);
        clock.average_length += share * (clock.length - clock.average_length);
        if (visits.rows.is_sparse()) average_the_intercept(share);
        return true;
    }

   private:
    bool was_predicted = false;  // whether the row that comes next has been, before coordinates were refreshed

    // In: v.prediction(), the products of the row and the predictor as it stands. Out: the scores of the predictor. The average is what it
    // would be if the open block ended here. (The averages of sparse features do not wait for a block.)
    template <int NV>
    void finish_prediction(RowVectors<NV, T>& v) {
        const bool is_average = predictor() == Predictor::average;
        const double* const intercept = is_average ? s.intercept_average : visits.intercept;
        const double waiting = visits.rows.is_sparse() ? 0 : clock.average_weight - clock.block_average_weight;
        const T share =
            T(is_average ? ratio_or_zero(waiting, clock.average_weight) : !(visits.rows.is_sparse() || was_predicted));
        const V lowest = V::broadcast(sizeof(T) == 8 ? T(-1e300) : T(-1e37));  // below: a lane of no class
        for (int k = 0; k < v.n_vectors(); ++k) {
            const V then = plus_intercept(v.prediction()[k], intercept + k * V::lanes), now = v.scores()[k];
            const V mixed = share == 1 ? now : then + V::broadcast(share) * (now - then);
            v.prediction()[k] = where_less(now, lowest, now, share == 0 ? then : mixed);
        }
        was_predicted = false;
    }

    double n_refreshed = 0;  // rows that the last refresh in this call knew

    // The coordinates that follow from the rows so far and this one.
    void refresh(const T* row, double weight) {
        moments.add_rows(&row, &weight, 1);
        moments.set_all_coordinates(coordinates, clock.weight + weight, s.with_mean, s.standardize);
        n_refreshed = clock.n_rows + 1;
        clock.refresh_at = clock.n_rows + (clock.n_rows < 16 ? 1 : double(ptrdiff_t(clock.n_rows) / 16));
    }

    // The moments of a row's features, an array of each.
    struct Scratch {
        double *unit, *weight, *centre, *square, rounding;
        SOFTMAX_INLINE void set(ptrdiff_t n, const Feature& f) const {
            unit[n] = f.unit, weight[n] = f.weight, centre[n] = f.centre, square[n] = f.square;
        }
        SOFTMAX_INLINE Spread spread(ptrdiff_t n, double total) const {
            return spread_about(unit[n], weight[n], centre[n], square[n], total, rounding);
        }
    };
    Scratch scratch(ptrdiff_t first) const {
        double* const at = s.moments + first * visits.rows.longest_row;
        const ptrdiff_t size = visits.rows.longest_row;
        return {at, at + size, at + 2 * size, at + 3 * size, s.features[0].rounding};
    }

    // Of sparse rows, each row refreshes the coordinates of its features: in loops of which all but the first have no memory but
    // arrays, for vectors.
    template <class Row>
    SOFTMAX_INLINE void follow_and_see(const Row& row, T* seen, T* stepped) {
        const ptrdiff_t size = row.size;
        const Scratch old = scratch(0), now = scratch(4);
        double *const gain = gains(), *const ratio = ratios();
        T* const seen_before = before();
        const double total = clock.weight + weight_of_row, total_before = clock.weight;
        for (ptrdiff_t n = 0; n < size; ++n) {
            Feature& f = s.features[row.column(n)];
            move_centre_to_mean(f);
            old.set(n, f);
            add(f, row.values[n], weight_of_row);
            move_centre_to_mean(f);
            now.set(n, f);
        }
        const bool standardize = s.standardize;
        for (ptrdiff_t n = 0; n < size; ++n) {
            const Place there = place<T>(now.spread(n, total), false, standardize);
            seen[n] = row.values[n] * T(there.inverse_scale);
            stepped[n] = seen[n] * T(there.gain);
            gain[n] = there.gain;
            ratio[n] = there.penalty_ratio;
        }
        double *const gain_before = gains_before(), *const ratio_before = ratios_before();
        for (ptrdiff_t n = 0; n < size; ++n) {
            const Place there = place<T>(old.spread(n, total_before > 0 ? total_before : 1), false, standardize);
            seen_before[n] = row.values[n] * T(there.inverse_scale);
            gain_before[n] = there.gain;
            ratio_before[n] = there.penalty_ratio;
        }
    }

    double weight_of(ptrdiff_t i) const { return visits.sample_weight.data[i * visits.sample_weight.stride]; }

    double times_alpha(double length) const {
        return s.alpha == s.alpha ? s.alpha * length : ratio_or_zero(length, clock.weight);
    }

    ptrdiff_t length_of_block(double n_rows_before) const { return s.thresholded ? 1 : block_length(n_rows_before); }

    // g_y over the residual p_y - 1 before the step.
    static double share_of_residual(double g, const RowSums& sums) {
        const double share = sums.others > 0 ? -g * sums.sum / sums.others : 1;
        return share > 1 ? 1 : share < 0 ? 0 : share;
    }

    double bound = 0, bound_predicting = 0;  // L1 thresholds of a feature whose scales of steps and penalty are 1

    void set_bounds() {
        bound = times_alpha(clock.length) * visits.l1_ratio;
        bound_predicting = predicts_average() ? times_alpha(clock.average_length) * visits.l1_ratio : bound;
    }
    double bound_of(ptrdiff_t j) const { return bound * coordinates.step_scale[j] * coordinates.penalty_scale[j]; }
    double bound_of_predicting(ptrdiff_t j) const {
        return bound_predicting * coordinates.step_scale[j] * coordinates.penalty_scale[j];
    }
    bool predicts_average() const { return s.averages && clock.average_weight > 0; }

    SOFTMAX_INLINE void threshold(ptrdiff_t at, double bound_here, double bound_predicting_here) const {
        const T* const predictor = predicts_average() ? s.average : theta;
        soft_threshold(V::load(theta + at), V::broadcast(T(bound_here))).store(visits.weights + at);
        soft_threshold(V::load(predictor + at), V::broadcast(T(bound_predicting_here)))
            .store(visits.weights + visits.rows.n_features * visits.n_padded + at);
    }

    void threshold_all() {
        set_bounds();
        for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j)
            for (ptrdiff_t k = 0; k < visits.n_padded; k += V::lanes)
                threshold(j * visits.n_padded + k, bound_of(j), bound_of_predicting(j));
    }

    // What the L2 penalty leaves: it acts on the model, which is what the L1 threshold leaves of w.
    SOFTMAX_INLINE V penalised(V w, double bound_here, T shrinkage_of_feature) const {
        if (!s.thresholded) return w * V::broadcast(shrinkage_of_feature);
        return w - V::broadcast(1 - shrinkage_of_feature) * soft_threshold(w, V::broadcast(T(bound_here)));
    }

    // The penalty and the average of the visits since feature j was last touched.
    SOFTMAX_INLINE void catch_up(ptrdiff_t j, double gain, double ratio) const {
        Feature& f = s.features[j];
        const double gap = clock.penalty_step - f.penalty_updated_at;
        const double share = ratio_or_zero(clock.average_weight - f.average_updated_at, clock.average_weight);
        if (gap == 0 && share == 0) return;
        f.average_updated_at = clock.average_weight;
        f.penalty_updated_at = clock.penalty_step;
        T *const w = theta + j * visits.n_padded, *const mean = s.average + j * visits.n_padded;
        const ptrdiff_t n_padded = visits.n_padded;
        const T shrunk = penalty.shrinkage(gap * gain, ratio);
        for (ptrdiff_t k = 0; k < n_padded; k += V::lanes) {
            const V now = penalised(V::load(w + k), bound * gain * ratio, shrunk);
            add_to_average(mean + k, now, share);
            now.store(w + k);
        }
    }

    void average_the_intercept(double share) const {
        add_to_average(s.intercept_average, visits.intercept, visits.n_classes, share);
    }
};

template <class T>
void stream(softmax::Stream<T>& s) {
    T* const weights = s.visits.weights;
    if (s.thresholded) s.visits.weights = s.thresholded;
    StreamRule<T> rule(s, weights);
    visit_all(rule, s.visits);
}

}  // namespace
