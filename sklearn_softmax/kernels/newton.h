// Passes over the rows for Newton's method: the gradient of the mean loss, and products
// with its Hessian, in double for all types of values. Read the rows and the IN fields
// of Pass, LossGradient and HessianProduct in kernels.h, and write their other fields.
//
// Both are one pass:
//
//     scores_i = point^T (x_i, 1),    out += sum_i residual_i (x_i, 1)
//
// where x_ij stands for (x_ij - offset_j) * inverse_scale_j, and the residual follows
// from the scores of the row. A row stays in the cache between its two products.
//
// Two classes have one score, the margin m = score of class 1 - score of class 0. Of
// dense rows with more classes, a vector has as many rows as lanes. So no lane is
// without a class, and a softmax needs no sum over lanes.
#pragma once

#include "visits.h"
#include "wide.h"

namespace {

constexpr int rows_of_margins = 16;  // a multiple of the lanes of a vector
// Dense rows in a tile: so many vectors. Tiles of more than most_in_tile numbers have
// fewer.
constexpr int vectors_of_tile = 8;
constexpr ptrdiff_t most_in_tile = 1 << 16;
// Rows of so many features have features in the lanes.
constexpr ptrdiff_t many_features = 64;

// The residual of the gradient: share (p - e_y + shift).
template <class T>
struct LossResidual {
    softmax::LossGradient<T>& task;

    void operator()(ptrdiff_t i, Vec<double>* scores, int n_vectors) const {
        double* const of_classes = reinterpret_cast<double*>(scores);
        const ptrdiff_t n_classes = task.pass.n_classes;
        if (task.score_offset)
            for (ptrdiff_t k = 0; k < n_classes; ++k) of_classes[k] += task.score_offset[i * n_classes + k];
        for (ptrdiff_t k = 0; k < n_classes; ++k) task.scores[i * n_classes + k] = of_classes[k];
        for (ptrdiff_t k = n_classes; k < task.pass.n_padded; ++k) of_classes[k] = -HUGE_VAL;
        task.loss += task.shares[i] * residual<0>(scores, n_vectors, task.y[i]);
        if (task.label_shift) {
            for (ptrdiff_t k = 0; k < n_classes; ++k) of_classes[k] += task.label_shift[i * n_classes + k];
            add_loss_of_shift(i);
        }
        const Vec<double> share = Vec<double>::broadcast(task.shares[i]);
        for (int k = 0; k < n_vectors; ++k) scores[k] = share * scores[k];
    }

    // With t = m for class 0, and -m for class 1: the loss is log(1 + exp(t)), and the
    // residual is 1 / (1 + exp(-t)), with the opposite sign for class 1.
    void margins(ptrdiff_t first, int n_rows, double* margins) const {
        using V = Vec<double>;
        double sign[rows_of_margins], small[rows_of_margins], losses[rows_of_margins];
        for (int r = n_rows; r < rows_of_margins; ++r) margins[r] = 0;
        if (task.score_offset)
            for (int r = 0; r < n_rows; ++r) margins[r] += task.score_offset[first + r];
        for (int r = 0; r < n_rows; ++r) task.scores[first + r] = margins[r];
        for (int r = 0; r < rows_of_margins; ++r) sign[r] = r < n_rows && task.y[first + r] ? -1 : 1;
        const V zero = V::broadcast(0), one = V::broadcast(1);
        for (int r = 0; r < rows_of_margins; r += V::lanes) {
            const V m = V::load(margins + r), t = m * V::load(sign + r);
            const V e = exp_of_nonpositive(min(m, zero - m)), p = one / (one + e);  // of the more probable class
            e.store(small + r);
            (V::load(sign + r) * where_less(t, zero, e * p, p)).store(margins + r);
            max(t, zero).store(losses + r);
        }
        for (int r = 0; r < rows_of_margins; ++r) losses[r] += log_of_one_and(small[r]);
        if (task.label_shift)
            for (int r = 0; r < n_rows; ++r) {
                margins[r] += task.label_shift[first + r];
                losses[r] += task.label_shift[first + r] * task.scores[first + r];
            }
        for (int r = 0; r < n_rows; ++r) {
            task.loss += task.shares[first + r] * losses[r];
            margins[r] *= task.shares[first + r];
        }
    }

    // Of class k, the scores of the rows from `first` on are scores[k * stride], in lanes.
    void lanes(ptrdiff_t first, int n_rows, Vec<double>* scores, int stride) const {
        using V = Vec<double>;
        const ptrdiff_t n_classes = task.pass.n_classes;
        double own[V::lanes], shares[V::lanes] = {}, of_others[V::lanes], of_own[V::lanes];
        for (int r = 0; r < V::lanes; ++r) own[r] = r < n_rows ? task.y[first + r] : 0;
        for (int r = 0; r < n_rows; ++r) shares[r] = task.shares[first + r];
        if (task.score_offset)
            for (ptrdiff_t k = 0; k < n_classes; ++k)
                scores[k * stride] = scores[k * stride] + in_lanes(task.score_offset + first * n_classes + k, n_rows);
        double* const stored = task.scores + first * n_classes;
        for (ptrdiff_t k = 0; k < n_classes; ++k)
            for (int r = 0; r < n_rows; ++r) stored[r * n_classes + k] = scores[k * stride][r];
        V top = scores[0], others = V::broadcast(0), own_relative = others, own_e = others;
        const V zero = others, label = V::load(own), share = V::load(shares);
        for (ptrdiff_t k = 1; k < n_classes; ++k) top = max(top, scores[k * stride]);
        for (ptrdiff_t k = 0; k < n_classes; ++k) {
            const V relative = scores[k * stride] - top, number = V::broadcast(double(k));
            const V e = exp_of_nonpositive(relative);
            own_relative = own_relative + where_equal(number, label, relative, zero);
            own_e = own_e + where_equal(number, label, e, zero);
            others = others + where_equal(number, label, zero, e);
            scores[k * stride] = e;
        }
        const V inverse = share / (own_e + others);
        for (ptrdiff_t k = 0; k < n_classes; ++k)
            scores[k * stride] = inverse * where_equal(V::broadcast(double(k)), label, zero - others, scores[k * stride]);
        (others + (own_e - V::broadcast(1))).store(of_others);
        own_relative.store(of_own);
        for (int r = 0; r < V::lanes; ++r) of_others[r] = log_of_one_and(of_others[r]) - of_own[r];
        for (int r = 0; r < n_rows; ++r) task.loss += shares[r] * of_others[r];
        if (!task.label_shift) return;
        for (ptrdiff_t k = 0; k < n_classes; ++k)
            scores[k * stride] = scores[k * stride] + share * in_lanes(task.label_shift + first * n_classes + k, n_rows);
        for (int r = 0; r < n_rows; ++r) add_loss_of_shift(first + r);
    }

   private:
    // The number of one class for each of the rows, from an array with the classes side by side.
    Vec<double> in_lanes(const double* numbers, int n_rows) const {
        double of_rows[Vec<double>::lanes] = {};
        for (int r = 0; r < n_rows; ++r) of_rows[r] = numbers[r * task.pass.n_classes];
        return Vec<double>::load(of_rows);
    }

    // The sum of shift scores of a row whose scores are stored.
    void add_loss_of_shift(ptrdiff_t i) const {
        const ptrdiff_t n_classes = task.pass.n_classes;
        const double *const shift = task.label_shift + i * n_classes, *const scores = task.scores + i * n_classes;
        double sum = 0;
        for (ptrdiff_t k = 0; k < n_classes; ++k) sum += shift[k] * (scores[k] - scores[task.y[i]]);
        task.loss += task.shares[i] * sum;
    }
};

// The residual of a product with the Hessian, for the change d of the scores:
// share (d * p - (p . d) p), where * is by class.
template <class T>
struct CurvedChange {
    const softmax::HessianProduct<T>& task;
    double* const proba;  // sparse rows: (n_padded), zero in the lanes of no class

    void operator()(ptrdiff_t i, Vec<double>* change, int n_vectors) const {
        using V = Vec<double>;
        const ptrdiff_t n_classes = task.pass.n_classes;
        for (ptrdiff_t k = 0; k < n_classes; ++k) proba[k] = task.proba[i * n_classes + k];
        V products = V::broadcast(0);
        for (int k = 0; k < n_vectors; ++k) products = products + V::load(proba + k * V::lanes) * change[k];
        const V mean_change = V::broadcast(total(products)), share = V::broadcast(task.shares[i]);
        for (int k = 0; k < n_vectors; ++k) change[k] = share * V::load(proba + k * V::lanes) * (change[k] - mean_change);
    }

    void margins(ptrdiff_t first, int n_rows, double* change) const {
        for (int r = 0; r < n_rows; ++r) change[r] *= task.shares[first + r] * task.proba[first + r];
    }

    void lanes(ptrdiff_t first, int n_rows, Vec<double>* change, int stride) const {
        using V = Vec<double>;
        const ptrdiff_t n_classes = task.pass.n_classes;
        double shares[V::lanes] = {}, of_class[V::lanes] = {};
        for (int r = 0; r < n_rows; ++r) shares[r] = task.shares[first + r];
        V mean_change = V::broadcast(0);
        const V share = V::load(shares);
        const auto proba_of = [&](ptrdiff_t k) {
            for (int r = 0; r < n_rows; ++r) of_class[r] = task.proba[(first + r) * n_classes + k];
            return V::load(of_class);
        };
        for (ptrdiff_t k = 0; k < n_classes; ++k) mean_change = mean_change + proba_of(k) * change[k * stride];
        for (ptrdiff_t k = 0; k < n_classes; ++k)
            change[k * stride] = share * proba_of(k) * (change[k * stride] - mean_change);
    }
};

// N rows of a block of dense rows, as margins need them.
template <class T>
class DenseMargins {
    using V = Vec<double>;
    const softmax::Pass<T>& pass;
    const ptrdiff_t n_features;

   public:
    explicit DenseMargins(const softmax::Pass<T>& p) : pass(p), n_features(p.rows.n_features) {}

    void score(ptrdiff_t first, int n_rows, const double* weights, double* margins) const {
        int r = 0;
        for (; r + 8 <= n_rows; r += 8) score_rows<8>(first + r, weights, margins + r);
        for (; r < n_rows; ++r) score_rows<1>(first + r, weights, margins + r);
    }

    void add(ptrdiff_t first, int n_rows, const double* residual, double* sums) const {
        int r = 0;
        for (; r + 8 <= n_rows; r += 8) add_rows<8>(first + r, residual + r, sums);
        for (; r < n_rows; ++r) add_rows<1>(first + r, residual + r, sums);
    }

   private:
    template <int N>
    SOFTMAX_INLINE void score_rows(ptrdiff_t first, const double* weights, double* margins) const {
        const T* const rows = pass.rows.values + first * n_features;
        V sums[N];
        for (V& sum : sums) sum = V::broadcast(0);
        ptrdiff_t j = 0;
        for (; j + V::lanes <= n_features; j += V::lanes) {
            const V offset = V::load(pass.offset + j), w = V::load(weights + j);
            for (int r = 0; r < N; ++r) sums[r] = sums[r] + (widened(rows + r * n_features + j) - offset) * w;
        }
        for (int r = 0; r < N; ++r) margins[r] = total(sums[r]);
        for (; j < n_features; ++j)
            for (int r = 0; r < N; ++r) margins[r] += (double(rows[r * n_features + j]) - pass.offset[j]) * weights[j];
    }

    template <int N>
    SOFTMAX_INLINE void add_rows(ptrdiff_t first, const double* residual, double* sums) const {
        const T* const rows = pass.rows.values + first * n_features;
        ptrdiff_t j = 0;
        for (; j + V::lanes <= n_features; j += V::lanes) {
            const V offset = V::load(pass.offset + j);
            V sum = V::load(sums + j);
            for (int r = 0; r < N; ++r)
                sum = sum + V::broadcast(residual[r]) * (widened(rows + r * n_features + j) - offset);
            sum.store(sums + j);
        }
        for (; j < n_features; ++j)
            for (int r = 0; r < N; ++r) sums[j] += residual[r] * (double(rows[r * n_features + j]) - pass.offset[j]);
    }
};

template <class T>
class SparseMargins {
    const SparseRows<T> rows;

   public:
    explicit SparseMargins(const softmax::Pass<T>& p) : rows{p.rows} {}

    void score(ptrdiff_t first, int n_rows, const double* weights, double* margins) const {
        for (int r = 0; r < n_rows; ++r) {
            const CsrRow<T> row = rows.at(first + r, 0);
            double sums[4] = {0, 0, 0, 0};
            ptrdiff_t n = 0;
            for (; n + 4 <= row.size; n += 4)
                for (int c = 0; c < 4; ++c) sums[c] += row.values[n + c] * weights[row.columns[n + c]];
            for (; n < row.size; ++n) sums[0] += row.values[n] * weights[row.columns[n]];
            margins[r] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        }
    }

    void add(ptrdiff_t first, int n_rows, const double* residual, double* sums) const {
        for (int r = 0; r < n_rows; ++r) {
            const CsrRow<T> row = rows.at(first + r, 0);
            for (ptrdiff_t n = 0; n < row.size; ++n) sums[row.columns[n]] += residual[r] * row.values[n];
        }
    }
};

// Two classes. In the units of X, so that a value needs no scaling.
template <class T, class Margins, class Residual>
void pass_of_margins(const softmax::Pass<T>& p, const Margins& of_rows, const Residual& residual_of) {
    const ptrdiff_t n_features = p.rows.n_features;
    double *const weights = p.scratch, *const sums = weights + n_features, margins[rows_of_margins];
    for (ptrdiff_t j = 0; j < n_features; ++j) weights[j] = p.point[j] * p.inverse_scale[j];
    double of_intercept = 0;
    for (ptrdiff_t i = 0; i < p.n_samples; i += rows_of_margins) {
        const int n_rows = int(p.n_samples - i < rows_of_margins ? p.n_samples - i : rows_of_margins);
        of_rows.score(i, n_rows, weights, margins);
        for (int r = 0; r < n_rows; ++r) margins[r] += p.point[n_features];
        residual_of.margins(i, n_rows, margins);
        of_rows.add(i, n_rows, margins, sums);
        for (int r = 0; r < n_rows; ++r) of_intercept += margins[r];
    }
    for (ptrdiff_t j = 0; j < n_features; ++j) p.out[j] += sums[j] * p.inverse_scale[j];
    p.out[n_features] += of_intercept;
}

// Dense rows of few features with more than two classes: rows in the lanes of vectors. A
// tile has the columns of its rows: n_features times `n_vectors` vectors.
template <class T>
class DenseTiles {
    using V = Vec<double>;
    const softmax::Pass<T>& pass;
    const ptrdiff_t n_features, n_classes;
    V *const tile, *const sums;

   public:
    static constexpr int most_classes = 8;
    const int n_vectors, n_rows;
    V* const scores;  // of each class, the rows in lanes

    static int vectors(ptrdiff_t n_features) {
        const ptrdiff_t most = most_in_tile / (n_features * V::lanes);
        return most < 1 ? 1 : most < vectors_of_tile ? int(most) : vectors_of_tile;
    }
    static size_t scratch_size(ptrdiff_t n_features, ptrdiff_t n_classes) {
        return V::lanes * (vectors(n_features) * (n_features + n_classes) + n_features * n_classes);
    }

    explicit DenseTiles(const softmax::Pass<T>& p)
        : pass(p),
          n_features(p.rows.n_features),
          n_classes(p.n_classes),
          tile(reinterpret_cast<V*>(p.scratch)),
          sums(tile + n_features * vectors(n_features)),
          n_vectors(vectors(n_features)),
          n_rows(n_vectors * V::lanes),
          scores(sums + n_features * n_classes) {}

    // Rows that are missing in the last tile stay as they are: their residuals are 0.
    void load(ptrdiff_t first, int n_used) {
        double* const columns = reinterpret_cast<double*>(tile);
        constexpr ptrdiff_t together = 8;
        for (ptrdiff_t begin = 0; begin < n_features; begin += together) {
            const ptrdiff_t end = begin + together < n_features ? begin + together : n_features;
            for (int r = 0; r < n_used; ++r) {
                const T* const row = pass.rows.values + (first + r) * n_features;
                for (ptrdiff_t j = begin; j < end; ++j)
                    columns[j * n_rows + r] = (double(row[j]) - pass.offset[j]) * pass.inverse_scale[j];
            }
        }
    }

    // The scores of N classes from k on.
    template <int N>
    SOFTMAX_SHARED void score(ptrdiff_t k, int) {
        constexpr int most = n_registers / N < 4 ? n_registers / N : 4;
        int v = 0;
        for (; v + most <= n_vectors; v += most) score_vectors<N, most>(k, v);
        for (; v < n_vectors; ++v) score_vectors<N, 1>(k, v);
    }

    // Adds the products of the columns with the residuals of N classes, in lanes.
    template <int N>
    SOFTMAX_SHARED void add(ptrdiff_t k, int n_used) {
        constexpr int most = n_registers / N < 4 ? n_registers / N : 4;
        ptrdiff_t j = 0;
        const int n_used_vectors = (n_used + V::lanes - 1) / V::lanes;
        for (; j + most <= n_features; j += most) add_columns<N, most>(j, k, n_used_vectors);
        for (; j < n_features; ++j) add_columns<N, 1>(j, k, n_used_vectors);
    }

    void finish() const {
        for (ptrdiff_t n = 0; n < n_features * n_classes; ++n) pass.out[n] += total(sums[n]);
    }

   private:
    template <int N, int NV>
    SOFTMAX_INLINE void score_vectors(ptrdiff_t k, int v) {
        V sum[N][NV];
        const double* w = pass.point + n_features * n_classes + k;
        for (int c = 0; c < N; ++c)
            for (V& one : sum[c]) one = V::broadcast(w[c]);
        w = pass.point + k;
        const V* x = tile + v;
        for (ptrdiff_t j = 0; j < n_features; ++j, w += n_classes, x += n_vectors)
            for (int c = 0; c < N; ++c) {
                const V weight = V::broadcast(w[c]);
                for (int n = 0; n < NV; ++n) sum[c][n] = sum[c][n] + weight * x[n];
            }
        for (int c = 0; c < N; ++c)
            for (int n = 0; n < NV; ++n) scores[(k + c) * n_vectors + v + n] = sum[c][n];
    }

    template <int N, int NJ>
    SOFTMAX_INLINE void add_columns(ptrdiff_t j, ptrdiff_t k, int n_used) {
        V sum[NJ][N];
        for (int m = 0; m < NJ; ++m)
            for (int c = 0; c < N; ++c) sum[m][c] = sums[(j + m) * n_classes + k + c];
        for (int v = 0; v < n_used; ++v) {
            V residual[N];
            for (int c = 0; c < N; ++c) residual[c] = scores[(k + c) * n_vectors + v];
            for (int m = 0; m < NJ; ++m) {
                const V x = tile[(j + m) * n_vectors + v];
                for (int c = 0; c < N; ++c) sum[m][c] = sum[m][c] + x * residual[c];
            }
        }
        for (int m = 0; m < NJ; ++m)
            for (int c = 0; c < N; ++c) sums[(j + m) * n_classes + k + c] = sum[m][c];
    }
};

// Dense rows with more than two classes, tile by tile.
template <class T, class Tiles, class Residual>
void pass_of_tiles(const softmax::Pass<T>& p, Tiles tiles, const Residual& residual_of) {
    using V = Vec<double>;
    const auto in_classes = [&](const auto& f) {
        ptrdiff_t k = 0;
        for (; k + Tiles::most_classes <= p.n_classes; k += Tiles::most_classes) f(Number<Tiles::most_classes>{}, k);
        if constexpr (Tiles::most_classes > 4)
            for (; k + 4 <= p.n_classes; k += 4) f(Number<4>{}, k);
        for (; k + 2 <= p.n_classes; k += 2) f(Number<2>{}, k);
        if (k < p.n_classes) f(Number<1>{}, k);
    };
    double* const of_intercept = p.out + p.rows.n_features * p.n_classes;
    for (ptrdiff_t i = 0; i < p.n_samples; i += tiles.n_rows) {
        const int n_used = int(p.n_samples - i < tiles.n_rows ? p.n_samples - i : tiles.n_rows);
        tiles.load(i, n_used);
        in_classes([&](auto n, ptrdiff_t k) { tiles.template score<decltype(n)::value>(k, n_used); });
        for (int v = 0; v * V::lanes < n_used; ++v) {
            const int left = n_used - v * V::lanes;
            residual_of.lanes(i + v * V::lanes, left < V::lanes ? left : V::lanes, tiles.scores + v, tiles.n_vectors);
        }
        in_classes([&](auto n, ptrdiff_t k) { tiles.template add<decltype(n)::value>(k, n_used); });
        for (ptrdiff_t k = 0; k < p.n_classes; ++k)
            for (int v = 0; v * V::lanes < n_used; ++v) of_intercept[k] += total(tiles.scores[k * tiles.n_vectors + v]);
    }
    tiles.finish();
}

template <class T, class Residual>
void pass_of_sparse(const softmax::Pass<T>& p, double* scratch, const Residual& residual_of) {
    using V = Vec<double>;
    const SparseRows<T> rows{p.rows};
    const ptrdiff_t n_padded = p.n_padded;
    const int n_vectors = int(n_padded / V::lanes);
    V* const scores = reinterpret_cast<V*>(scratch);
    double* const values = scratch + n_padded;
    const double* const intercept = p.point + p.rows.n_features * n_padded;
    double* const of_intercept = p.out + p.rows.n_features * n_padded;
    CsrRow<T> next = rows.at(0, 0);
    for (ptrdiff_t i = 0; i < p.n_samples; ++i) {
        const CsrRow<T> row = next;
        next = rows.at(i + 1 < p.n_samples ? i + 1 : i, (i + 1) % 2);
        for (ptrdiff_t n = 0; n < next.size; ++n) {
            prefetch_feature(p.point + next.columns[n] * n_padded, n_padded);
            prefetch_feature(p.out + next.columns[n] * n_padded, n_padded);
        }
        for (ptrdiff_t n = 0; n < row.size; ++n) values[n] = row.values[n] * p.inverse_scale[row.columns[n]];
        forward<0>(CsrRow<double>{values, row.size, row.columns}, p.point, n_padded, scores, n_vectors);
        for (int k = 0; k < n_vectors; ++k) scores[k] = scores[k] + V::load(intercept + k * V::lanes);
        residual_of(i, scores, n_vectors);
        for (int k = 0; k < n_vectors; ++k)
            (V::load(of_intercept + k * V::lanes) + scores[k]).store(of_intercept + k * V::lanes);
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            double* const out = p.out + row.columns[n] * n_padded;
            const V x = V::broadcast(values[n]);
            for (int k = 0; k < n_vectors; ++k) (V::load(out + k * V::lanes) + x * scores[k]).store(out + k * V::lanes);
        }
    }
}

// The size of Pass::scratch. Sparse rows begin with room for the probabilities of a row.
template <class T>
size_t pass_scratch(const softmax::Pass<T>& p) {
    if (p.n_classes == 1) return 2 * p.rows.n_features;
    if (p.rows.is_sparse()) return 2 * p.n_padded + p.rows.longest_row;
    return p.rows.n_features < many_features ? DenseTiles<T>::scratch_size(p.rows.n_features, p.n_classes)
                                             : WideTiles<T>::scratch_size(p.rows.n_features, p.n_classes);
}

template <class T, class Residual>
void pass_over_rows(const softmax::Pass<T>& p, const Residual& residual_of) {
    if (p.n_samples == 0) return;
    const bool is_sparse = p.rows.is_sparse();
    if (p.n_classes == 1)
        is_sparse ? pass_of_margins(p, SparseMargins<T>(p), residual_of)
                  : pass_of_margins(p, DenseMargins<T>(p), residual_of);
    else if (is_sparse)
        pass_of_sparse(p, p.scratch + p.n_padded, residual_of);
    else
        p.rows.n_features < many_features ? pass_of_tiles(p, DenseTiles<T>(p), residual_of)
                                          : pass_of_tiles(p, WideTiles<T>(p), residual_of);
}

template <class T>
void loss_gradient(softmax::LossGradient<T>& task) {
    pass_over_rows(task.pass, LossResidual<T>{task});
}

template <class T>
void hessian_product(const softmax::HessianProduct<T>& task) {
    pass_over_rows(task.pass, CurvedChange<T>{task, task.pass.scratch});
}

// out += X^T residual.
template <class T>
void transposed_product(const softmax::TransposedProduct<T>& p) {
    const SparseRows<T> rows{p.rows};
    const ptrdiff_t n_classes = p.n_classes;
    CsrRow<T> next = rows.at(0, 0);
    for (ptrdiff_t i = 0; i < p.n_samples; ++i) {
        const CsrRow<T> row = next;
        next = rows.at(i + 1 < p.n_samples ? i + 1 : i, (i + 1) % 2);
        for (ptrdiff_t n = 0; n < next.size; ++n) prefetch_feature(p.out + next.columns[n] * n_classes, n_classes);
        const double* const __restrict residual = p.residual + i * n_classes;
        for (ptrdiff_t n = 0; n < row.size; ++n) {
            const double x = row.values[n];
            double* const __restrict out = p.out + row.columns[n] * n_classes;
            for (ptrdiff_t k = 0; k < n_classes; ++k) out[k] += x * residual[k];
        }
    }
}

}  // namespace
