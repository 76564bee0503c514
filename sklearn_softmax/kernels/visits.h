// The two ways through the rows that all sweeps share: dense rows in blocks, sparse rows one by one.
//
// Changes nothing but the scratch memory; weights are changed by a rule, which says what a visit is.
//
// Of both ways:
//     rule.scale                    what the weights are multiplied with for scores
//     rule.predictor()              the model whose products with the row a visit wants in v.prediction(), if any
//     rule.predicting()             its weights
//     rule.visit(v, i, ...)         from v.scores() of row i to v.change(), that of the weights per unit of x; false, before
//                                   anything has changed, if the sweep ends here (sparse only)
// Dense:
//     rule.has_gains                whether a step along a feature may be longer than how the feature is seen
//     rule.rows_ahead()             how many rows the open block may take
//     rule.load(block, i)           put row i into the block, or say that it has to wait for the next one
//     rule.close(n, n_next)         n rows have been visited and n_next will be next: whether and what `update` has to do
//     rule.update(j, k, D)          apply the visits' product D to a vector of weights
//     rule.averages_all_visits      whether there are
//     rule.predict(block, r, v)     v.prediction() by the average as it is just before row r, not as the block began
//     rule.average_block(block)     which takes the iterates of all its visits into the average
//     rule.end_block()              no rows will come: whether `update` has something left to do
// Sparse:
//     rule.threshold()              what an L1 threshold takes from the weights when rows are scored, if the rule leaves that to
//                                   the visit, and
//     rule.predicting_threshold()   from those to predict with
//     rule.has_coordinates          whether there is
//     rule.see(row, seen, stepped)  what a visit sees of a row, and how steps scale it; else both are the row
//     rule.before()                 how it was seen before, for the predictor
//     rule.fetch(row)               prefetch what the next visit needs of its features
//     rule.begin_visit(i)
//     rule.bring_up_to_date(row)    what is due to its features
//     rule.change(j, x, c)          apply one visit's product x c to the weights of a feature
//     rule.end_visit(is_last)       what is due to all features
#pragma once

#include "block.h"
#include "implicit.h"
#include "prox.h"

namespace {

enum class Predictor { none, iterate, average };

// A row counts about 1/e as much in the recent loss when rows of this total weight have come after it.
constexpr double recent_weight = 1000;

inline void add_loss(softmax::ProgressiveLoss& all, double weight, double loss) {
    all.weight += weight;
    all.loss += weight * loss;
    const double remaining = recent_weight / (recent_weight + weight);
    all.recent_weight = remaining * all.recent_weight + weight;
    all.recent_loss = remaining * all.recent_loss + weight * loss;
}

// scores + intercept, in T
template <class T>
SOFTMAX_INLINE Vec<T> plus_intercept(Vec<T> scores, const double* intercept) {
    return scores + narrowed<T>(intercept);
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
SOFTMAX_INLINE void prefetch_feature(const T* weights, ptrdiff_t n_padded) {
    constexpr ptrdiff_t per_line = 64 / sizeof(T);
    for (ptrdiff_t k = 0; k < n_padded; k += per_line) prefetch_for_write(weights + k);
}

// w - x changes
template <int NV, class T>
SOFTMAX_INLINE void subtract_product(T* w, T x, const Vec<T>* changes, int vectors) {
    using V = Vec<T>;
    const V value = V::broadcast(x);
    const int n_vectors = NV ? NV : vectors;
    for (int k = 0; k < n_vectors; ++k) (V::load(w + k * V::lanes) - value * changes[k]).store(w + k * V::lanes);
}

// Of a type that does not depend on NV, so that the products are compiled once.
template <class Rule, class T>
struct Update {
    Rule& rule;
    SOFTMAX_INLINE void operator()(ptrdiff_t j, ptrdiff_t k, Vec<T> product) const { rule.update(j, k, product); }
};

// A visit's numbers beside the row.
template <class T>
SOFTMAX_INLINE void fetch_visit(const softmax::Visits<T>& s, ptrdiff_t i) {
    constexpr ptrdiff_t per_line = 64 / sizeof(T);
    prefetch_for_read(s.y + i);
    prefetch_for_read(s.sample_weight.data + i * s.sample_weight.stride);
    if (s.table)
        for (ptrdiff_t k = 0; k < s.n_padded; k += per_line) prefetch_for_write(s.table + i * s.n_padded + k);
}

// The scores of row r of the block, after the visits of the rows before it.
template <int NV, class T>
SOFTMAX_INLINE void score(Block<T>& block, int r, double scale, const double* intercept, Vec<T>* scores, int vectors) {
    using V = Vec<T>;
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

// A number for each feature of dense rows, for the rule; the rest of the scratch memory comes behind it.
template <class T>
T* memory_for_features(const softmax::Visits<T>& s) {
    return s.scratch;
}

template <int NV, class T, class Rule>
void visit_dense(Rule& rule, const softmax::Visits<T>& s) {
    using V = Vec<T>;
    T* const scratch = memory_for_features(s) + Block<T>::padded(s.rows.n_features);
    Block<T> block(s.rows.n_features, s.n_padded, s.n_visits, Rule::has_gains, scratch);
    RowVectors<NV, T> v(scratch + Block<T>::scratch_size(s.rows.n_features, s.n_padded, s.n_visits),
                        int(s.n_padded / V::lanes));
    const Update<Rule, T> update{rule};
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
        if (rule.predictor() == Predictor::average) block.predict(rule.predicting());
        for (int r = 0; r < block.n_rows; ++r) {
            const ptrdiff_t ahead = t + r + usual_rows;
            if (ahead < s.n_visits) {
                prefetch_beginning(s.rows.values + s.order[ahead] * s.rows.n_features, s.rows.n_features);
                fetch_visit(s, s.order[ahead]);
            }
            score<NV>(block, r, rule.scale, s.intercept, v.scores(), v.n_vectors());
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

template <int NV, class T, class Rule>
void visit_sparse(Rule& rule, const softmax::Visits<T>& s) {
    using V = Vec<T>;
    if (s.n_visits == 0) return;
    const SparseRows<T> rows{s.rows};
    const ptrdiff_t used = Block<T>::padded(2 * s.rows.longest_row);
    RowVectors<NV, T> v(s.scratch + used, int(s.n_padded / V::lanes));
    CsrRow<T> next = rows.at(s.order[0], 0);
    for (ptrdiff_t t = 0; t < s.n_visits; ++t) {
        const ptrdiff_t i = s.order[t];
        const CsrRow<T> row = next;
        // features of the next row, which has come by now; the row after that; and where that of a later visit begins
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
                forward<NV>(numbers, weights, s.n_padded, products, v.n_vectors(), AfterThreshold<T>{V::broadcast(threshold)});
            else
                forward<NV>(numbers, weights, s.n_padded, products, v.n_vectors());
        };
        rule.template bring_up_to_date<NV>(row, v.n_vectors());
        if (rule.predictor() != Predictor::none) multiply(before, rule.predicting(), rule.predicting_threshold(), v.prediction());
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
        if (!rule.visit(v, i, norm, stepped_norm)) return;
        for (ptrdiff_t n = 0; n < row.size; ++n)
            rule.template change<NV>(row.columns[n], stepped[n], v.change(), v.n_vectors());
        rule.end_visit(t + 1 == s.n_visits);
    }
}

// Of the memory that one sweep needs, in numbers of T.
template <class T>
size_t scratch_size(const softmax::Visits<T>& s) {
    const size_t of_rows = s.rows.is_sparse() ? Block<T>::padded(2 * s.rows.longest_row)
                                              : Block<T>::padded(s.rows.n_features) +
                                                    Block<T>::scratch_size(s.rows.n_features, s.n_padded, s.n_visits);
    return of_rows + RowVectors<0, T>::count * s.n_padded;
}

// f(Number<NV>): with the number of vectors of a row of weights, if it is small, else 0.
template <class T, class F>
SOFTMAX_INLINE void with_vectors([[maybe_unused]] ptrdiff_t n_padded, const F& f) {
#if !defined(SOFTMAX_ONE_LENGTH)
    switch (n_padded / Vec<T>::lanes) {
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

template <class T, class Rule>
void visit_all(Rule& rule, const softmax::Visits<T>& s) {
    with_vectors<T>(s.n_padded, [&](auto number) {
        constexpr int NV = decltype(number)::value;
        s.rows.is_sparse() ? visit_sparse<NV>(rule, s) : visit_dense<NV>(rule, s);
    });
}

}  // namespace
