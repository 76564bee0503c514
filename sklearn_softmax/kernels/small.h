// Newton's method with the whole Hessian, for problems so small that what Python takes
// between two passes is longer than the passes. Reads and writes the fields of
// SmallNewton in kernels.h.
//
// Points, and gradients, have (n_features + 1) rows of n_classes numbers, the Hessian
// has the same numbers class by class. As in newton.h, two classes have one score. Sparse
// rows are those of two classes.
#pragma once

#include <math.h>
#include <string.h>

#include "newton.h"

namespace {

constexpr double sufficient = 1e-4;  // of Armijo's rule
constexpr double value_rounding = 1e-13;  // relative changes of F of this size may be rounding
constexpr int halvings_of_step = 40;
constexpr double relative_jitter = 1e-10;  // of the diagonal: rounding must not make the Hessian indefinite

template <class T>
class SmallNewtonMethod {
    using V = Vec<double>;
    softmax::SmallNewton<T>& s;
    softmax::Pass<T>& pass;
    const ptrdiff_t n_columns, n_classes, size;  // columns: features and the one of ones
    const ptrdiff_t width, n_pairs;  // of a row in whole vectors, in numbers; of classes, the lower triangle
    const size_t pass_scratch_bytes;
    // rows: as many as a vector has lanes, which are the lanes of `proba`;
    // products: of each pair of classes, the weighted products of all columns with all
    V* const proba;
    double *const rows, *const products, *const hessian, *const step, *const trial, *const trial_gradient;

    static ptrdiff_t in_whole_vectors(ptrdiff_t n) { return (n + V::lanes - 1) / V::lanes * V::lanes; }

   public:
    static size_t scratch_size(const softmax::Pass<T>& p) {
        const size_t n_columns = p.rows.n_features + 1, n_classes = p.n_classes, n = n_columns * n_classes;
        const size_t width = in_whole_vectors(n_columns), n_pairs = n_classes * (n_classes + 1) / 2;
        return in_whole_vectors(pass_scratch(p)) + V::lanes * (n_classes + width) + n_pairs * n_columns * width + n * n +
               3 * n;
    }

    explicit SmallNewtonMethod(softmax::SmallNewton<T>& task)
        : s(task),
          pass(task.loss.pass),
          n_columns(pass.rows.n_features + 1),
          n_classes(pass.n_classes),
          size(n_columns * n_classes),
          width(in_whole_vectors(n_columns)),
          n_pairs(n_classes * (n_classes + 1) / 2),
          pass_scratch_bytes(pass_scratch(pass) * sizeof(double)),
          proba(reinterpret_cast<V*>(pass.scratch + in_whole_vectors(pass_scratch(pass)))),
          rows(reinterpret_cast<double*>(proba + n_classes)),
          products(rows + V::lanes * width),
          hessian(products + n_pairs * n_columns * width),
          step(hessian + size * size),
          trial(step + size),
          trial_gradient(trial + size) {}

    void run() {
        s.value = evaluate(s.point, s.gradient);
        s.n_passes += 1;
        while (largest_of(s.gradient) > s.tol && s.n_steps < s.most_steps && s.n_passes + 2 <= s.most_passes) {
            make_hessian();
            s.n_passes += 1;
            if (!factor()) break;
            solve();
            if (!descend()) break;
            s.values[s.n_steps] = s.value;
            s.passes[s.n_steps++] = s.n_passes;
        }
    }

    double largest_of(const double* gradient) const {
        double top = 0;
        for (ptrdiff_t n = 0; n < size; ++n) top = fmax(top, fabs(gradient[n]) * s.per_unit[n]);
        return top;
    }

   private:
    bool is_free(ptrdiff_t j) const { return j + 1 < n_columns ? pass.inverse_scale[j] != 0 : s.fit_intercept; }

    // F, and its gradient.
    double evaluate(const double* point, double* gradient) {
        memset(pass.scratch, 0, pass_scratch_bytes);
        memset(gradient, 0, size * sizeof(double));
        pass.point = point;
        pass.out = gradient;
        s.loss.loss = 0;
        loss_gradient(s.loss);
        double penalty = 0;
        for (ptrdiff_t j = 0; j < n_columns; ++j)
            for (ptrdiff_t k = 0; k < n_classes; ++k) {
                double& g = gradient[j * n_classes + k];
                const double w = point[j * n_classes + k];
                if (j + 1 < n_columns) g += s.l2[j] * w, penalty += 0.5 * s.l2[j] * w * w;
                if (!is_free(j)) g = 0;
            }
        return s.loss.loss + penalty;
    }

    // p of the rows from `first` on, in lanes; of a margin, p (1 - p).
    void set_proba(ptrdiff_t first, int n_rows) {
        const V one = V::broadcast(1);
        double of_class[V::lanes] = {};
        for (ptrdiff_t k = 0; k < n_classes; ++k) {
            for (int r = 0; r < n_rows; ++r) of_class[r] = s.loss.scores[(first + r) * n_classes + k];
            proba[k] = V::load(of_class);
        }
        if (n_classes == 1) {
            const V e = exp_of_nonpositive(min(proba[0], V::broadcast(0) - proba[0]));
            proba[0] = e / ((one + e) * (one + e));
            return;
        }
        V top = proba[0], sum = V::broadcast(0);
        for (ptrdiff_t k = 1; k < n_classes; ++k) top = max(top, proba[k]);
        for (ptrdiff_t k = 0; k < n_classes; ++k) {
            proba[k] = exp_of_nonpositive(proba[k] - top);
            sum = sum + proba[k];
        }
        for (ptrdiff_t k = 0; k < n_classes; ++k) proba[k] = proba[k] / sum;
    }

    void set_rows(ptrdiff_t first, int n_rows) {
        const ptrdiff_t n_features = n_columns - 1;
        for (int r = 0; r < n_rows; ++r) {
            const T* const values = pass.rows.values + (first + r) * n_features;
            double* const row = rows + r * width;
            for (ptrdiff_t j = 0; j < n_features; ++j) row[j] = (double(values[j]) - pass.offset[j]) * pass.inverse_scale[j];
            row[n_features] = 1;
        }
    }

    // Adds to the products of a pair of classes those of the rows, times `factors`.
    SOFTMAX_SHARED void add_products(double* of_pair, const double* factors, bool is_lower) {
        for (ptrdiff_t a = 0; a < n_columns; ++a) {
            V own[V::lanes];
            for (int r = 0; r < V::lanes; ++r) own[r] = V::broadcast(factors[r] * rows[r * width + a]);
            double* const out = of_pair + a * width;
            const ptrdiff_t end = is_lower ? a + 1 : n_columns;
            for (ptrdiff_t b = 0; b < end; b += V::lanes) {
                V even = V::load(out + b), odd = V::broadcast(0);  // two chains of sums
                for (int r = 0; r < V::lanes; r += 2) {
                    even = even + own[r] * V::load(rows + r * width + b);
                    odd = odd + own[r + 1] * V::load(rows + (r + 1) * width + b);
                }
                (even + odd).store(out + b);
            }
        }
    }

    // The same for one sparse row of two classes, whose columns rise; the column of ones is the last.
    void add_sparse_products(const CsrRow<T>& row, double factor) {
        for (ptrdiff_t a = 0; a < row.size; ++a) rows[a] = row.values[a] * pass.inverse_scale[row.columns[a]];
        double* const of_ones = products + (n_columns - 1) * width;
        for (ptrdiff_t a = 0; a < row.size; ++a) {
            const double own = factor * rows[a];
            double* const out = products + row.columns[a] * width;
            for (ptrdiff_t b = 0; b <= a; ++b) out[row.columns[b]] += own * rows[b];
            of_ones[row.columns[a]] += own;
        }
        of_ones[n_columns - 1] += factor;
    }

    void make_products() {
        memset(products, 0, n_pairs * n_columns * width * sizeof(double));
        double shares[V::lanes] = {}, factors[V::lanes];
        const SparseRows<T> sparse{pass.rows};
        for (ptrdiff_t i = 0; i < pass.n_samples; i += V::lanes) {
            const int n_rows = int(pass.n_samples - i < V::lanes ? pass.n_samples - i : V::lanes);
            for (int r = 0; r < V::lanes; ++r) shares[r] = r < n_rows ? s.loss.shares[i + r] : 0;
            set_proba(i, n_rows);
            if (pass.rows.is_sparse()) {
                (V::load(shares) * proba[0]).store(factors);
                for (int r = 0; r < n_rows; ++r) add_sparse_products(sparse.at(i + r, 0), factors[r]);
                continue;
            }
            set_rows(i, n_rows);  // rows that are missing in the end stay as they are: their shares are 0
            double* of_pair = products;
            for (ptrdiff_t k = 0; k < n_classes; ++k)
                for (ptrdiff_t l = 0; l <= k; ++l, of_pair += n_columns * width) {
                    // share (diag(p) - p p^T)
                    const V share = V::load(shares), of_both = share * proba[k];
                    (n_classes == 1 ? of_both : of_both * (V::broadcast(k == l) - proba[l])).store(factors);
                    add_products(of_pair, factors, k == l);
                }
        }
    }

    // The lower triangle, where the gradient was evaluated last.
    void make_hessian() {
        make_products();
        const ptrdiff_t n_features = n_columns - 1;
        const double* of_pair = products;
        for (ptrdiff_t k = 0; k < n_classes; ++k)
            for (ptrdiff_t l = 0; l <= k; ++l, of_pair += n_columns * width)
                for (ptrdiff_t a = 0; a < n_columns; ++a)
                    memcpy(hessian + (k * n_columns + a) * size + l * n_columns, of_pair + a * width,
                           (k == l ? a + 1 : n_columns) * sizeof(double));
        for (ptrdiff_t k = 0; k < n_classes; ++k)
            for (ptrdiff_t j = 0; j < n_columns; ++j) {
                double& diagonal = hessian[(k * n_columns + j) * (size + 1)];
                if (j < n_features) diagonal += s.l2[j];
                diagonal = is_free(j) ? diagonal * (1 + relative_jitter) + 1e-100 : 1;
            }
        if (!s.fit_intercept)  // which is apart from all
            for (ptrdiff_t k = 0; k < n_classes; ++k)
                for (ptrdiff_t n = 0; n < size; ++n) {
                    const ptrdiff_t at = k * n_columns + n_features;
                    if (n < at) hessian[at * size + n] = 0;
                    if (n > at) hessian[n * size + at] = 0;
                }
    }

    static double dot(const double* a, const double* b, ptrdiff_t n) {
        V sums = V::broadcast(0);
        ptrdiff_t c = 0;
        for (; c + V::lanes <= n; c += V::lanes) sums = sums + V::load(a + c) * V::load(b + c);
        double sum = total(sums);
        for (; c < n; ++c) sum += a[c] * b[c];
        return sum;
    }

    // Cholesky's factor in the place of the lower triangle; false if there is none.
    bool factor() {
        for (ptrdiff_t m = 0; m < size; ++m) {
            double* const row_m = hessian + m * size;
            for (ptrdiff_t n = 0; n <= m; ++n) {
                const double* const row_n = hessian + n * size;
                const double sum = row_m[n] - dot(row_m, row_n, n);
                if (n < m) {
                    row_m[n] = sum / row_n[n];
                } else {
                    if (!(sum > 0)) return false;
                    row_m[m] = sqrt(sum);
                }
            }
        }
        return true;
    }

    double& of(double* array, ptrdiff_t n) const { return array[n % n_columns * n_classes + n / n_columns]; }

    // step = -(Hessian)^-1 gradient
    void solve() {
        for (ptrdiff_t n = 0; n < size; ++n) {
            double sum = -of(s.gradient, n);
            for (ptrdiff_t c = 0; c < n; ++c) sum -= hessian[n * size + c] * of(step, c);
            of(step, n) = sum / hessian[n * (size + 1)];
        }
        for (ptrdiff_t n = size - 1; n >= 0; --n) {
            double sum = of(step, n);
            for (ptrdiff_t m = n + 1; m < size; ++m) sum -= hessian[m * size + n] * of(step, m);
            of(step, n) = sum / hessian[n * (size + 1)];
        }
    }

    double along_step(const double* gradient) const {
        double sum = 0;
        for (ptrdiff_t n = 0; n < size; ++n) sum += gradient[n] * step[n];
        return sum;
    }

    // The first share 1, 1/2, ... of the step that decreases F sufficiently. Where the
    // decrease is lost in rounding, the slope at the end tells: F is convex. False if no
    // share does; then the scores are those of a trial.
    bool descend() {
        const double slope = along_step(s.gradient);
        double share = 1;
        for (int halvings = 0; halvings < halvings_of_step && s.n_passes < s.most_passes; ++halvings, share *= 0.5) {
            for (ptrdiff_t n = 0; n < size; ++n) trial[n] = s.point[n] + share * step[n];
            const double value = evaluate(trial, trial_gradient);
            s.n_passes += 1;
            const double change = value - s.value;
            const bool is_lost = fabs(change) <= value_rounding * fabs(s.value);
            if (!(change <= sufficient * share * slope && slope < 0) &&
                !(is_lost && along_step(trial_gradient) <= (2 * sufficient - 1) * slope))
                continue;
            memcpy(s.point, trial, size * sizeof(double));
            memcpy(s.gradient, trial_gradient, size * sizeof(double));
            s.value = value;
            return true;
        }
        return false;
    }
};

template <class T>
void small_newton(softmax::SmallNewton<T>& task) {
    SmallNewtonMethod<T> method(task);
    method.run();
    task.size = method.largest_of(task.gradient);
}

}  // namespace
