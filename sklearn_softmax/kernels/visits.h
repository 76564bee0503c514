// The two ways through the rows that all sweeps share: visit_dense, in blocks, and
// visit_sparse, row by row. Changes nothing but the scratch memory. Weights are changed
// by a rule (stream.h, point_saga.h, explicit.h), which is a class with these members.
//
// Both ways call:
//     rule.scale                  scores are scale * (row times weights) + intercept + offset
//     rule.predictor()            which model v.prediction() is for, if any
//     rule.predicting()           the weights of that model
//     rule.visit(v, i, ...)       makes v.change(), the change of the weights per unit of x, from
//                                 v.scores() of row i; sparse: returns false to end the sweep
// Dense only (visit_dense):
//     rule.has_step_scales        whether steps are scaled by feature
//     rule.rows_ahead()           how many rows the next block may have
//     rule.load(block, i)         adds row i to the block, or returns false to end the block
//     rule.close(n, n_next)       called after n visits and before n_next: whether to call `update`
//     rule.update(j, k, D)        subtracts the vector D of X^T C from the weights of feature j,
//                                 classes k, k + 1, ..., or of features j, j + 1, ... of one column
//     rule.averages_all_visits    whether the rule has `predict` and `average_block`
//     rule.predict(block, r, v)   v.prediction() for the average before row r, not before the block
//     rule.average_block(block)   adds the iterates of all visits of the block to the average
//     rule.end_block()            called after the last row: whether to call `update`
// Sparse only (visit_sparse):
//     rule.threshold()            the L1 threshold of the weights when a row is scored, or 0
//     rule.predicting_threshold()   the same for the weights of the predictor
//     rule.iterate()              the weights that v.iterate() is for, or null
//     rule.has_coordinates        whether the rule has `see` and `before`
//     rule.see(row, seen, stepped)  the row in coordinates, and the same times the step scales
//     rule.before()               the values for the predictor and v.iterate(), in the coordinates
//                                 before the row
//     rule.fetch(row)             prefetches the features of the next visit
//     rule.begin_visit(i)
//     rule.bring_up_to_date(row)  applies the lazy penalty and average to the features of the row
//     rule.change(j, x, c)        subtracts x c from the weights of feature j
//     rule.end_visit(is_last)     applies what all features need at the end of a visit
#pragma once

#include "block.h"
#include "implicit.h"
#include "prox.h"

namespace {

enum class Predictor { none, average };

// The weight of a row in the recent loss falls to about 1/e when rows of this total
// weight have followed.
constexpr double recent_weight = 1000;

inline void add_loss(softmax::ProgressiveLoss& all, double weight, double loss) {
    all.weight += weight;
    all.loss += weight * loss;
    const double remaining = recent_weight / (recent_weight + weight);
    all.recent_weight = remaining * all.recent_weight + weight;
    all.recent_loss = remaining * all.recent_loss + weight * loss;
}

template <class T>
SOFTMAX_INLINE void subtract(double* intercept, Vec<T> change) {
    using D = Vec<double>;
    T lanes[Vec<T>::lanes];
    change.store(lanes);
    for (int lane = 0; lane < Vec<T>::lanes; lane += D::lanes)
        (D::load(intercept + lane) - widened(lanes + lane)).store(intercept + lane);
}

template <class T>
SOFTMAX_INLINE void subtract(double* intercept, One<T> change) {
    *intercept -= change.v;
}

template <class T>
SOFTMAX_INLINE void prefetch_feature(const T* weights, ptrdiff_t n_padded) {
    constexpr ptrdiff_t per_line = 64 / sizeof(T);
    for (ptrdiff_t k = 0; k < n_padded; k += per_line) prefetch_for_write(weights + k);
}

// w - x changes
template <int NV, class V>
SOFTMAX_INLINE void subtract_product(typename V::Number* w, typename V::Number x, const V* changes, int vectors) {
    const V value = V::broadcast(x);
    const int n_vectors = NV ? NV : vectors;
    for (int k = 0; k < n_vectors; ++k) (V::load(w + k * V::lanes) - value * changes[k]).store(w + k * V::lanes);
}

// A type that does not depend on NV, so that X^T C is compiled once per rule.
template <class Rule>
struct Update {
    Rule& rule;
    template <class W>
    SOFTMAX_INLINE void operator()(ptrdiff_t j, ptrdiff_t k, W product) const {
        rule.update(j, k, product);
    }
};

// Prefetches what a visit of row i reads beside the row.
template <class T>
SOFTMAX_INLINE void fetch_visit(const softmax::Visits<T>& s, ptrdiff_t i) {
    constexpr ptrdiff_t per_line = 64 / sizeof(T);
    prefetch_for_read(s.y + i);
    prefetch_for_read(s.sample_weight.data + i * s.sample_weight.stride);
    if (s.table)
        for (ptrdiff_t k = 0; k < s.n_padded; k += per_line) prefetch_for_write(s.table + i * s.n_padded + k);
    const T* const of_rows[] = {s.label_shift, s.score_offset};
    for (const T* rows : of_rows)
        if (rows)
            for (ptrdiff_t k = 0; k < s.n_padded; k += per_line) prefetch_for_read(rows + i * s.n_padded + k);
}

// Adds what row i has beside its scores, if anything.
template <class V>
SOFTMAX_INLINE void add_offset(const softmax::Visits<typename V::Number>& s, ptrdiff_t i, V* scores, int n_vectors) {
    if (s.score_offset) add_numbers(scores, s.score_offset + i * s.n_padded, n_vectors);
}

// The scores of row r of the block, after the visits of the rows before it.
template <int NV, class V>
SOFTMAX_INLINE void score(Block<V>& block, int r, double scale, const double* intercept, V* scores, int vectors) {
    using T = typename V::Number;
    constexpr int tile = NV ? NV : 4;  // vectors that stay in registers
    const int n_vectors = NV ? NV : vectors;
    const T* const before = block.scores_of(r);
    for (int start = 0; start < n_vectors; start += tile) {
        const int n = NV ? NV : n_vectors - start < tile ? n_vectors - start : tile;
        V sums[tile];
        for (int k = 0; k < n; ++k) sums[k] = V::load(before + (start + k) * V::lanes);
        for (int earlier = 0; earlier < r; ++earlier) {
            const V product = V::broadcast(block.products[r][earlier]);
            const T* const change = block.change_of(earlier) + start * V::lanes;
            for (int k = 0; k < n; ++k) sums[k] = sums[k] - product * V::load(change + k * V::lanes);
        }
        for (int k = 0; k < n; ++k)
            scores[start + k] = plus_intercept(V::broadcast(T(scale)) * sums[k], intercept + (start + k) * V::lanes);
    }
}

// Dense only: the first n_features numbers of the scratch memory, which belong to the
// rule.
template <class T>
T* memory_for_features(const softmax::Visits<T>& s) {
    return s.scratch;
}

template <int NV, class V, class Rule>
void visit_dense(Rule& rule, const softmax::Visits<typename V::Number>& s) {
    using T = typename V::Number;
    T* const scratch = memory_for_features(s) + Block<V>::padded(s.rows.n_features);
    Block<V> block(s.rows.n_features, s.n_padded, s.n_visits, Rule::has_step_scales, scratch);
    RowVectors<NV, V> v(scratch + Block<V>::scratch_size(s.rows.n_features, s.n_padded, s.n_visits),
                        int(s.n_padded / V::lanes));
    const Update<Rule> update{rule};
    const auto next_rows = [&](ptrdiff_t t) {
        const ptrdiff_t left = s.n_visits - t, ahead = left > 0 ? rule.rows_ahead() : 0;
        return int(left < ahead ? left : ahead);
    };
    if (rule.close(0, next_rows(0))) block.transposed_product(update);
    for (ptrdiff_t t = 0; t < s.n_visits;) {
        block.clear();
        const int most = next_rows(t);
        while (block.n_rows < most && rule.load(block, s.order[t + block.n_rows])) {
        }
        block.multiply(s.weights);
        if (rule.predictor() != Predictor::none) block.predict(rule.predicting());
        for (int r = 0; r < block.n_rows; ++r) {
            const ptrdiff_t ahead = t + r + usual_rows;
            if (ahead < s.n_visits) {
                prefetch_beginning(s.rows.values + s.order[ahead] * s.rows.n_features, s.rows.n_features);
                fetch_visit(s, s.order[ahead]);
            }
            score<NV>(block, r, rule.scale, s.intercept, v.scores(), v.n_vectors());
            add_offset(s, s.order[t + r], v.scores(), v.n_vectors());
            if (rule.predictor() != Predictor::none)
                for (int k = 0; k < v.n_vectors(); ++k) v.prediction()[k] = V::load(block.prediction_of(r) + k * V::lanes);
            if constexpr (Rule::averages_all_visits)
                if (rule.predictor() != Predictor::none) rule.template predict<NV>(block, r, v);
            rule.visit(v, s.order[t + r], block.norm[r], block.stepped_norm[r]);
            for (int k = 0; k < v.n_vectors(); ++k) v.change()[k].store(block.change_of(r) + k * V::lanes);
        }
        t += block.n_rows;
        if (rule.close(block.n_rows, next_rows(t))) block.transposed_product(update);
        if constexpr (Rule::averages_all_visits) rule.average_block(block);
    }
    block.clear();
    if (rule.end_block()) block.transposed_product(update);
}

template <int NV, class V, class Rule>
void visit_sparse(Rule& rule, const softmax::Visits<typename V::Number>& s) {
    using T = typename V::Number;
    if (s.n_visits == 0) return;
    const SparseRows<T> rows{s.rows};
    const ptrdiff_t used = Block<V>::padded(2 * s.rows.longest_row);
    RowVectors<NV, V> v(s.scratch + used, int(s.n_padded / V::lanes));
    CsrRow<T> next = rows.at(s.order[0], 0);
    for (ptrdiff_t t = 0; t < s.n_visits; ++t) {
        const ptrdiff_t i = s.order[t];
        const CsrRow<T> row = next;
        // Prefetch in three stages: the start of the row 4 visits ahead, the values of
        // the row 2 visits ahead, and the features of the next row.
        const auto visit_ahead = [&](ptrdiff_t n) { return s.order[t + n < s.n_visits ? t + n : t]; };
        next = rows.at(visit_ahead(1), (t + 1) % 2);
        if (s.rows.is_sparse()) rule.fetch(next);
        fetch_visit(s, visit_ahead(2));
        rows.prefetch(visit_ahead(2), visit_ahead(4));
        rule.begin_visit(i);
        const T *seen = row.values, *stepped = row.values, *before = row.values;
        if constexpr (Rule::has_coordinates) {
            rule.see(row, s.scratch, s.scratch + s.rows.longest_row);
            seen = s.scratch, stepped = seen + s.rows.longest_row, before = rule.before();
        }
        const auto multiply = [&](const T* x, const T* weights, T threshold, V* products) {
            const CsrRow<T> numbers{x, row.size, row.columns};
            if (threshold > 0)
                forward<NV>(numbers, weights, s.n_padded, products, v.n_vectors(),
                            AfterThreshold<V>{V::broadcast(threshold)});
            else
                forward<NV>(numbers, weights, s.n_padded, products, v.n_vectors());
        };
        rule.template bring_up_to_date<NV>(row, v.n_vectors());
        if (rule.predictor() != Predictor::none)
            multiply(before, rule.predicting(), rule.predicting_threshold(), v.prediction());
        if (const T* const iterate = rule.iterate()) multiply(before, iterate, T(0), v.iterate());
        double norm = 0, stepped_norm = 0;
        if constexpr (Rule::has_coordinates)
            for (ptrdiff_t n = 0; n < row.size; ++n) {
                norm += double(seen[n]) * seen[n];
                stepped_norm += double(seen[n]) * stepped[n];
            }
        multiply(seen, s.weights, rule.threshold(), v.scores());
        const V scale = V::broadcast(T(rule.scale));
        for (int k = 0; k < v.n_vectors(); ++k)
            v.scores()[k] = plus_intercept(scale * v.scores()[k], s.intercept + k * V::lanes);
        add_offset(s, i, v.scores(), v.n_vectors());
        if (!rule.visit(v, i, norm, stepped_norm)) return;
        for (ptrdiff_t n = 0; n < row.size; ++n)
            rule.template change<NV>(row.columns[n], stepped[n], v.change(), v.n_vectors());
        rule.end_visit(t + 1 == s.n_visits);
    }
}

// The size of the scratch memory of a sweep, in numbers of T.
template <class T>
size_t scratch_size(const softmax::Visits<T>& s) {
    using B = Block<Vec<T>>;
    const size_t of_rows = s.rows.is_sparse()
                               ? B::padded(2 * s.rows.longest_row)
                               : B::padded(s.rows.n_features) + B::scratch_size(s.rows.n_features, s.n_padded, s.n_visits);
    return of_rows + RowVectors<0, Vec<T>>::count * s.n_padded;
}

// Calls f(Number<NV>) with NV the number of vectors in a row of weights if it is at
// most 8, else 0.
template <class V, class F>
SOFTMAX_INLINE void with_vectors([[maybe_unused]] ptrdiff_t n_padded, const F& f) {
    if constexpr (V::lanes == 1) {
        f(Number<1>{});
        return;
    }
#if !defined(SOFTMAX_ONE_LENGTH)
    switch (n_padded / V::lanes) {
        case 1:
            return f(Number<1>{});
        case 2:
            return f(Number<2>{});
        case 3:
            return f(Number<3>{});
        case 4:
            return f(Number<4>{});
        case 5:
            return f(Number<5>{});
        case 6:
            return f(Number<6>{});
        case 7:
            return f(Number<7>{});
        case 8:
            return f(Number<8>{});
        default:
            break;
    }
#endif
    f(Number<0>{});
}

template <class V, class Rule>
void visit_all(Rule& rule, const softmax::Visits<typename V::Number>& s) {
    with_vectors<V>(s.n_padded, [&](auto number) {
        constexpr int NV = decltype(number)::value;
        s.rows.is_sparse() ? visit_sparse<NV, V>(rule, s) : visit_dense<NV, V>(rule, s);
    });
}

}  // namespace
