// The stream rule: one implicit step per row, in coordinates that follow the stream. Reads the pass and writes what kernels.h calls
// INOUT, OUT and TEMP in Stream.
//
//     A = eta0 weight / (D/10 + sqrt(H)),   D = mean of 1 + |row|^2,   H = sum of weight * mean over the classes of p (1 - p)
//     theta_j <- theta_j - A step_scale_j x_j g,   intercept <- intercept - A g,    g: the implicit residual, see implicit.h
//
// then the average, with the weight `weight * (weight seen)^3`, and the penalty's prox with the step A step_scale_j. Both wait: in sparse
// rows until a feature is touched, in dense rows until a block ends. Coordinates of dense rows are refreshed with a row that begins a
// block, if the rows have grown by a sixteenth since. All that is a matter of the stream, not of how it is cut into calls.
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

    DenseMoments<T> moments;
    const T* added_rows[usual_rows];  // that visits have still to add to the moments
    double added_weights[usual_rows];
    int n_added = 0;

   public:
    static constexpr bool has_gains = true, has_coordinates = true, averages_all_visits = false;
    const T* average() const { return s.average; }
    Predictor predictor() const {
        if (!s.progressive_loss) return Predictor::none;
        return s.averages && clock.average_weight > 0 ? Predictor::average : Predictor::iterate;
    }
    static constexpr double scale = 1;

    explicit StreamRule(softmax::Stream<T>& stream)
        : s(stream),
          visits(stream.visits),
          clock(*stream.scalars),
          penalty{stream.visits.l2_ratio, stream.visits.l1_ratio},  // per unit of clock.penalty_step, which has the alphas
          coordinates(stream.visits.coordinates),
          shrinkage(memory_for_features(stream.visits)),
          moments(stream.features, stream.visits.rows.n_features,
                  stream.adaptive && !stream.visits.rows.is_sparse() ? stream.moments : nullptr) {}

    // ------------------------------------------------------------------------------------------------------------- dense

    ptrdiff_t rows_ahead() {
        return clock.n_rows < clock.block_end ? ptrdiff_t(clock.block_end - clock.n_rows) : block_length(clock.n_rows);
    }

    bool load(Block<T>& block, ptrdiff_t i) {
        const T* const row = visits.rows.values + i * visits.rows.n_features;
        const double n_rows = clock.n_rows + block.n_rows;
        const bool begins = n_rows >= clock.block_end;
        const double weight = weight_of(i);
        if (begins) {
            clock.block_end = n_rows + block_length(n_rows);
            clock.block_limit = most_norms * ratio_or_zero(clock.norm, clock.weight);
            if (s.adaptive && n_rows >= clock.refresh_at) {
                if (s.progressive_loss) {  // the prediction does not know of the row
                    block.load(row, coordinates);
                    block.predict(predictor() == Predictor::average ? s.average : visits.weights);
                    block.drop_last();
                    was_predicted = true;
                }
                refresh(row, weight);
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
        V w = V::load(visits.weights + at) - product;
        if (average_share > 0) add_to_average(s.average + at, w, average_share);
        if (penalty_gap > 0)
            w = penalty.prox(w, penalty_gap * coordinates.step_scale[j], coordinates.penalty_scale[j], shrinkage[j]);
        w.store(visits.weights + at);
    }

    // ------------------------------------------------------------------------------------------------------------ sparse

    template <class Row>
    SOFTMAX_INLINE void fetch(const Row& row) const {
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            prefetch_for_write(s.features + row.column(n));
            prefetch_feature(visits.weights + row.column(n) * visits.n_padded, visits.n_padded);
            prefetch_feature(s.average + row.column(n) * visits.n_padded, visits.n_padded);
        }
    }

    void begin_visit(ptrdiff_t i) { weight_of_row = weight_of(i); }

    double* gains() const { return s.moments + 8 * visits.rows.longest_row; }
    double* ratios() const { return s.moments + 9 * visits.rows.longest_row; }
    T* before() const { return reinterpret_cast<T*>(s.moments + 10 * visits.rows.longest_row); }

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
    SOFTMAX_INLINE void bring_up_to_date(const CsrRow<T>& row, int) const {
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            const ptrdiff_t j = row.column(n);
            if (s.adaptive)
                catch_up(j, gains()[n], ratios()[n]);
            else
                catch_up(j, coordinates.step_scale[j], coordinates.penalty_scale[j]);
        }
    }

    template <int NV>
    SOFTMAX_INLINE void change(ptrdiff_t j, T x, const V* changes, int vectors) const {
        subtract_product<NV>(visits.weights + j * visits.n_padded, x, changes, vectors);
    }

    void end_visit(bool is_last) {
        if (!is_last || !s.flush) return;
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
        if (visits.table)
            for (int k = 0; k < n_vectors; ++k) g[k].store(visits.table + i * visits.n_padded + k * V::lanes);
        for (int k = 0; k < n_vectors; ++k) {
            change[k] = V::broadcast(T(step)) * g[k];
            if (visits.fit_intercept) subtract(visits.intercept + k * V::lanes, change[k]);
        }
        clock.penalty_step += s.alpha == s.alpha ? step * s.alpha : step / clock.weight;
        const double averaged = clock.weight > s.average_from ? clock.weight - s.average_from : 0;
        const double average_weight = weight * averaged * averaged * averaged;
        clock.average_weight += average_weight;
        if (visits.rows.is_sparse()) average_the_intercept(ratio_or_zero(average_weight, clock.average_weight));
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
        if (s.progressive_loss)
            for (ptrdiff_t n = 0; n < size; ++n) {
                const Place there = place<T>(old.spread(n, total_before > 0 ? total_before : 1), false, standardize);
                seen_before[n] = row.values[n] * T(there.inverse_scale);
            }
    }

    double weight_of(ptrdiff_t i) const { return visits.sample_weight.data[i * visits.sample_weight.stride]; }

    // The average and the penalty of the visits since feature j was last touched.
    SOFTMAX_INLINE void catch_up(ptrdiff_t j, double gain, double ratio) const {
        Feature& f = s.features[j];
        const double gap = clock.penalty_step - f.penalty_updated_at;
        const double share = ratio_or_zero(clock.average_weight - f.average_updated_at, clock.average_weight);
        if (gap == 0 && share == 0) return;
        f.average_updated_at = clock.average_weight;
        f.penalty_updated_at = clock.penalty_step;
        T *const w = visits.weights + j * visits.n_padded, *const mean = s.average + j * visits.n_padded;
        const ptrdiff_t n_padded = visits.n_padded;
        const T shrunk = penalty.shrinkage(gap * gain, ratio);
        for (ptrdiff_t k = 0; k < n_padded; k += V::lanes) {
            const V before = V::load(w + k);
            add_to_average(mean + k, before, share);
            penalty.prox(before, gap * gain, ratio, shrunk).store(w + k);
        }
    }

    void average_the_intercept(double share) const {
        add_to_average(s.intercept_average, visits.intercept, visits.n_classes, share);
    }
};

template <class T>
void stream(softmax::Stream<T>& s) {
    StreamRule<T> rule(s);
    visit_all(rule, s.visits);
}

}  // namespace
