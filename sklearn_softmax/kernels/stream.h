// The stream rule: one implicit step per row, in coordinates that follow the stream.
//
//     A = eta0 weight / (D/10 + sqrt(H)),   D = mean of 1 + |row|^2,   H = sum of weight * mean over the classes of p (1 - p)
//     theta_j <- theta_j - A gain_j x_j g,   intercept <- intercept - A g,    g: the implicit residual, see implicit.h
//
// then the penalty's prox with the step A gain_j, and the average with the weight `weight * (weight seen)^3`. Both wait: in sparse
// rows until a feature is touched, in dense rows until a block ends, at which the coordinates are refreshed, too. Where blocks end is
// a matter of the stream alone, not of how it is cut into calls.
#pragma once

#include "moments.h"
#include "visits.h"

namespace {

constexpr double share_of_norm = 0.1;
// A row so many times the mean norm far out begins a block of its own: coordinates that know of it make it less of an outlier.
constexpr double most_norms = 4;

// A block takes a sixteenth of what came before it, so that coordinates are never older than that.
inline ptrdiff_t block_length(ptrdiff_t n_rows_before) {
    const ptrdiff_t length = n_rows_before / 16;
    return length < 1 ? 1 : length > most_rows ? most_rows : length;
}

template <class T, class I>
class StreamRule {
    using V = Vec<T>;
    softmax::Stream<T, I>& s;
    const softmax::Visits<T, I>& visits;
    softmax::Clock& clock;
    const softmax::Coordinates<T>& coordinates;
    const bool is_running;
    double weight_of_row = 0;
    double penalty_gap = 0, average_share = 0;  // of the block that has ended

   public:
    explicit StreamRule(softmax::Stream<T, I>& stream)
        : s(stream),
          visits(stream.visits),
          clock(stream.clock),
          coordinates(stream.visits.coordinates),
          is_running(stream.moments.weight) {}

    // ------------------------------------------------------------------------------------------------------------- dense

    ptrdiff_t rows_ahead() {
        return clock.n_rows < clock.block_end ? clock.block_end - clock.n_rows : block_length(clock.n_rows);
    }

    bool load(Block<T>& block, ptrdiff_t i) {
        const T* const row = visits.rows.values + i * visits.rows.n_features;
        const ptrdiff_t n_rows = clock.n_rows + block.n_rows;
        const bool begins = n_rows >= clock.block_end;
        const double weight = weight_of(i);
        if (begins) {
            clock.block_end = n_rows + block_length(n_rows);
            clock.block_limit = most_norms * clock.norm * inverse_or_zero(clock.weight);
            if (is_running) refresh(row, weight);
        }
        block.load(row, coordinates);
        if (begins || !is_running) return true;
        if (1 + block.norm[block.n_rows - 1] > clock.block_limit) {
            block.drop_last();
            clock.block_end = n_rows;
            return false;
        }
        add_to_moments(row, weight);
        return true;
    }

    bool close(int n_visited, int) {
        penalty_gap = average_share = 0;
        if (clock.n_rows < clock.block_end) return n_visited > 0;
        penalty_gap = clock.penalty_step - clock.block_penalty_step;
        average_share = inverse_or_zero(clock.average_weight) * (clock.average_weight - clock.block_average_weight);
        clock.block_penalty_step = clock.penalty_step;
        clock.block_average_weight = clock.average_weight;
        average_the_intercept(average_share);
        return n_visited > 0 || penalty_gap > 0 || average_share > 0;
    }

    bool end_block() {
        if (!s.settle) return false;
        clock.block_end = clock.n_rows;
        return close(0, 0);
    }

    SOFTMAX_INLINE void update(ptrdiff_t j, ptrdiff_t k, V product) {
        const ptrdiff_t at = j * visits.n_padded + k;
        V w = V::load(visits.weights + at) - product;
        if (penalty_gap > 0) w = penalised(j, w, penalty_gap);
        if (average_share > 0) averaged(w, average_share, at);
        w.store(visits.weights + at);
    }

    // ------------------------------------------------------------------------------------------------------------ sparse

    template <class Row>
    SOFTMAX_INLINE void fetch(const Row& row) const {
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            fetch_features(visits.weights, row.column(n) * visits.n_padded, visits.n_padded);
            fetch_features(s.average, row.column(n) * visits.n_padded, visits.n_padded);
        }
    }

    void begin_visit(ptrdiff_t i) { weight_of_row = weight_of(i); }

    SOFTMAX_INLINE Seen<T> touch(ptrdiff_t j, T x) {
        if (is_running) {
            add(s.moments, j, x, weight_of_row);
            set_coordinates(coordinates, j, spread(s.moments, j, clock.weight + weight_of_row), false, s.standardize);
        }
        bring_up_to_date(j);
        const T value = x * coordinates.inverse_scale[j];
        return {value, value * coordinates.gain[j]};
    }

    SOFTMAX_INLINE void change(ptrdiff_t j, ptrdiff_t k, V product) {
        T* const w = visits.weights + j * visits.n_padded + k;
        (V::load(w) - product).store(w);
    }

    void end() {
        if (s.settle)
            for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j) bring_up_to_date(j);
    }

    // -------------------------------------------------------------------------------------------------------------- both

    template <int NV>
    void visit(RowVectors<NV, T>& v, ptrdiff_t i, double norm, double stepped_norm) {
        const int n_vectors = v.n_vectors;
        const double weight = weight_of(i);
        const int32_t y = visits.y[i];
        for (int k = 0; k < n_vectors; ++k) {
            v[1][k] = v[0][k];
            v[2][k] = V::broadcast(0);
        }
        const double loss = residual<NV>(v[1], n_vectors, y);
        ++clock.n_rows;
        clock.loss += weight * loss;
        if (s.norms) s.norms[i] = 1 + norm;
        clock.weight += weight;
        clock.norm += weight * (1 + norm);
        clock.curvature += weight * curvature<NV>(v[1], n_vectors, y) / double(visits.n_classes);
        const double step = s.eta0 * weight / (share_of_norm * clock.norm / clock.weight + sqrt(clock.curvature));
        const double alpha = s.alpha == s.alpha ? s.alpha : 1 / clock.weight;
        solve_implicit<NV>(v, y, T(step * (visits.fit_intercept + stepped_norm)), loss);
        if (visits.table)
            for (int k = 0; k < n_vectors; ++k) v[2][k].store(visits.table + i * visits.n_padded + k * V::lanes);
        for (int k = 0; k < n_vectors; ++k) {
            v[2][k] = V::broadcast(T(step)) * v[2][k];
            if (visits.fit_intercept) subtract(visits.intercept + k * V::lanes, v[2][k]);
        }
        clock.penalty_step += step * alpha;
        const double averaged = clock.weight > s.average_from ? clock.weight - s.average_from : 0;
        const double average_weight = weight * averaged * averaged * averaged;
        clock.average_weight += average_weight;
        if (visits.rows.columns) average_the_intercept(inverse_or_zero(clock.average_weight) * average_weight);
    }

   private:
    void add_to_moments(const T* row, double weight) const {
        for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j) add(s.moments, j, row[j], weight);
    }

    // The coordinates that follow from the rows so far and this one.
    void refresh(const T* row, double weight) const {
        add_to_moments(row, weight);
        for (ptrdiff_t j = 0; j < visits.rows.n_features; ++j)
            set_coordinates(coordinates, j, spread(s.moments, j, clock.weight + weight), s.centre, s.standardize);
    }

    double weight_of(ptrdiff_t i) const { return visits.sample_weight.data[i * visits.sample_weight.stride]; }

    SOFTMAX_INLINE V penalised(ptrdiff_t j, V w, double penalty_step) const {
        const double ratio = coordinates.penalty_ratio[j], step = penalty_step * coordinates.gain[j];
        if (visits.l1_ratio > 0) w = soft_threshold(w, V::broadcast(T(step * visits.l1_ratio * ratio)));
        return w * V::broadcast(T(1 / (1 + step * visits.l2_ratio * ratio * ratio)));
    }

    SOFTMAX_INLINE void averaged(V w, double share, ptrdiff_t at) const {
        const V mean = V::load(s.average + at);
        (mean + V::broadcast(T(share)) * (w - mean)).store(s.average + at);
    }

    // The average and the penalty of the visits since feature j was last touched.
    SOFTMAX_INLINE void bring_up_to_date(ptrdiff_t j) {
        const double gap = clock.penalty_step - s.penalty_stamps[j];
        const double share = inverse_or_zero(clock.average_weight) * (clock.average_weight - s.average_stamps[j]);
        if (gap == 0 && share == 0) return;
        s.average_stamps[j] = clock.average_weight;
        s.penalty_stamps[j] = clock.penalty_step;
        for (ptrdiff_t at = j * visits.n_padded; at < (j + 1) * visits.n_padded; at += V::lanes) {
            const V w = V::load(visits.weights + at);
            averaged(w, share, at);
            penalised(j, w, gap).store(visits.weights + at);
        }
    }

    void average_the_intercept(double share) const {
        for (ptrdiff_t k = 0; k < visits.n_classes; ++k)
            s.intercept_average[k] += share * (visits.intercept[k] - s.intercept_average[k]);
    }
};

template <class T, class I>
void stream(softmax::Stream<T, I>& s) {
    StreamRule<T, I> rule(s);
    visit_all(rule, s.visits);
}

}  // namespace
