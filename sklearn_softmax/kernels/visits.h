// The two ways through the rows that all sweeps of the automatic step share: dense rows in blocks, sparse rows one by one.
//
// A rule says what a visit is:
//     rule.has_gains                whether a step along a feature may be longer than how the feature is seen
//     rule.scale                    what the weights are multiplied with for scores
//     rule.rows_ahead()             how many rows the open block may take (dense)
//     rule.load(block, i)           put row i into the block, or say that it has to wait for the next one
//     rule.close(n, n_next)         n rows have been visited and n_next will be next: whether and what `update` has to do
//     rule.update(j, k, D)          apply the visits' product D to a vector of weights
//     rule.end_block()              no rows will come: whether `update` has something left to do (dense)
//     rule.see(row, seen, stepped)  what a visit sees of a row, and how steps scale it (sparse)
//     rule.before()                 how it was seen before, for the predictor (sparse)
//     rule.bring_up_to_date(row)    what is due to its features (sparse)
//     rule.change(j, x, c)          apply one visit's product x c to the weights of a feature (sparse)
//     rule.end_visit(is_last)       what is due to all features (sparse)
//     rule.predictor()              the model whose products with the row a visit wants in v[3], if any
//     rule.predicting()             its weights
//     rule.visit(v, i, ...)         from the scores v[0] of row i to the change of the scores' weights, in v[2]
#pragma once

#include "block.h"
#include "implicit.h"

namespace {

enum class Predictor { none, iterate, average };

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

// Of a type that does not depend on NV, so that the products are compiled once.
template <class Rule, class T>
struct Update {
    Rule& rule;
    SOFTMAX_INLINE void operator()(ptrdiff_t j, ptrdiff_t k, Vec<T> product) const { rule.update(j, k, product); }
};

// A visit's numbers beside the row.
template <class T, class I>
SOFTMAX_INLINE void fetch_visit(const softmax::Visits<T, I>& s, ptrdiff_t i) {
    constexpr ptrdiff_t per_line = 64 / sizeof(T);
    prefetch_for_read(s.y + i);
    prefetch_for_read(s.sample_weight.data + i * s.sample_weight.stride);
    if (s.table)
        for (ptrdiff_t k = 0; k < s.n_padded; k += per_line) prefetch_for_write(s.table + i * s.n_padded + k);
}

// The beginning of a row; the rest of a long one comes by itself.
template <class T>
SOFTMAX_INLINE void fetch_beginning(const T* numbers, ptrdiff_t size) {
    constexpr ptrdiff_t per_line = 64 / sizeof(T), most_lines = 64;
    for (ptrdiff_t j = 0; j < size && j < most_lines * per_line; j += per_line) prefetch_for_read(numbers + j);
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
template <class T, class I>
T* memory_for_features(const softmax::Visits<T, I>& s) {
    return s.scratch;
}

template <int NV, class T, class I, class Rule>
void visit_dense(Rule& rule, const softmax::Visits<T, I>& s) {
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
                fetch_beginning(s.rows.values + s.order[ahead] * s.rows.n_features, s.rows.n_features);
                fetch_visit(s, s.order[ahead]);
            }
            score<NV>(block, r, rule.scale, s.intercept, v[0], v.n_vectors());
            if (rule.predictor() != Predictor::none)
                for (int k = 0; k < v.n_vectors(); ++k) v[3][k] = V::load(block.prediction_of(r) + k * V::lanes);
            rule.visit(v, s.order[t + r], block.norm[r], block.stepped_norm[r]);
            for (int k = 0; k < v.n_vectors(); ++k) v[2][k].store(block.change_of(r) + k * V::lanes);
        }
        t += block.n_rows;
        if (rule.close(block.n_rows, next_rows(t))) block.transposed_product(update);
    }
    block.clear();
    if (rule.end_block()) block.transposed_product(update);
}

template <int NV, class T, class I, class Rule>
void visit_sparse(Rule& rule, const softmax::Visits<T, I>& s) {
    using V = Vec<T>;
    const CsrRows<T, I> rows{s.rows};
    T *const seen = s.scratch, *const stepped = seen + s.longest_row;
    const ptrdiff_t used = Block<T>::padded(2 * s.longest_row);
    RowVectors<NV, T> v(s.scratch + used, int(s.n_padded / V::lanes));
    for (ptrdiff_t t = 0; t < s.n_visits; ++t) {
        const ptrdiff_t i = s.order[t];
        const auto row = rows[i];
        // features of the next row, which has come by now; the row after that; and where that of a later visit begins
        const auto visit_ahead = [&](ptrdiff_t n) { return s.order[t + n < s.n_visits ? t + n : t]; };
        rule.fetch(rows[visit_ahead(1)]);
        fetch_visit(s, visit_ahead(2));
        const auto later = rows[visit_ahead(2)];
        fetch_beginning(later.columns, later.size);
        fetch_beginning(later.values, later.size);
        prefetch_for_read(s.rows.starts + visit_ahead(4));
        rule.begin_visit(i);
        double norm = 0, stepped_norm = 0;
        rule.see(row, seen, stepped);
        const auto predict = [&](const T* weights) {
            const typename CsrRows<T, I>::Row before{rule.before(), row.size, row.columns};
            forward<NV>(before, weights, s.n_padded, v[3], v.n_vectors());
        };
        rule.bring_up_to_date(row);
        if (rule.predictor() != Predictor::none) predict(rule.predicting());
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            norm += double(seen[n]) * seen[n];
            stepped_norm += double(seen[n]) * stepped[n];
        }
        const typename CsrRows<T, I>::Row scaled{seen, row.size, row.columns};
        forward<NV>(scaled, s.weights, s.n_padded, v[0], v.n_vectors());
        for (int k = 0; k < v.n_vectors(); ++k) v[0][k] = plus_intercept(v[0][k], s.intercept + k * V::lanes);
        rule.visit(v, i, norm, stepped_norm);
        for (ptrdiff_t n = 0; n < row.size; ++n) rule.template change<NV>(row.column(n), stepped[n], v[2], v.n_vectors());
        rule.end_visit(t + 1 == s.n_visits);
    }
}

template <class T>
SOFTMAX_INLINE void fetch_features(const T* weights, ptrdiff_t at, ptrdiff_t n_padded) {
    constexpr ptrdiff_t per_line = 64 / sizeof(T);
    for (ptrdiff_t k = 0; k < n_padded; k += per_line) prefetch_for_write(weights + at + k);
}

// Of the memory that one sweep needs, in numbers of T.
template <class T, class I>
size_t scratch_size(const softmax::Visits<T, I>& s) {
    const size_t of_rows = s.rows.columns ? Block<T>::padded(2 * s.longest_row)
                                          : Block<T>::padded(s.rows.n_features) +
                                                Block<T>::scratch_size(s.rows.n_features, s.n_padded, s.n_visits);
    return of_rows + RowVectors<0, T>::count * s.n_padded;
}

// f(Number<NV>): with the number of vectors of a row of weights, if it is small, else 0.
template <class T, class F>
SOFTMAX_INLINE void with_vectors(ptrdiff_t n_padded, const F& f) {
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
            return f(Number<0>{});
    }
}

template <class T, class I, class Rule>
void visit_all(Rule& rule, const softmax::Visits<T, I>& s) {
    with_vectors<T>(s.n_padded, [&](auto number) {
        constexpr int NV = decltype(number)::value;
        if constexpr (sizeof(I) == sizeof(int32_t))  // dense rows have no columns: one index type is enough for them
            if (!s.rows.columns) return visit_dense<NV>(rule, s);
        visit_sparse<NV>(rule, s);
    });
}

}  // namespace
