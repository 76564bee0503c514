// Newton's method with the whole Hessian, for problems so small that what Python takes
// between two passes is longer than the passes. Reads and writes the fields of
// SmallNewton in kernels.h.
//
// Points, and gradients, have (n_features + 1) rows of n_classes numbers, the Hessian
// has the same numbers class by class. As in newton.h, two classes have one score.
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
    softmax::SmallNewton<T>& s;
    softmax::Pass<T>& pass;
    const ptrdiff_t n_columns, n_classes, size;  // columns: features and the one of ones
    const size_t pass_scratch_bytes;
    double *const hessian, *const step, *const trial, *const trial_gradient, *const row, *const proba;

   public:
    static size_t scratch_size(const softmax::Pass<T>& p) {
        const size_t n = (p.rows.n_features + 1) * p.n_classes;
        return pass_scratch(p) + n * n + 3 * n + p.rows.n_features + 1 + p.n_classes;
    }

    explicit SmallNewtonMethod(softmax::SmallNewton<T>& task)
        : s(task),
          pass(task.loss.pass),
          n_columns(pass.rows.n_features + 1),
          n_classes(pass.n_classes),
          size(n_columns * n_classes),
          pass_scratch_bytes(pass_scratch(pass) * sizeof(double)),
          hessian(pass.scratch + pass_scratch(pass)),
          step(hessian + size * size),
          trial(step + size),
          trial_gradient(trial + size),
          row(trial_gradient + size),
          proba(row + n_columns) {}

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

    // share (diag(p) - p p^T) of a row, for the classes k and l.
    double curvature(double share, ptrdiff_t k, ptrdiff_t l) const {
        if (n_classes == 1) return share * proba[0];
        return share * proba[k] * ((k == l) - proba[l]);
    }

    void set_proba(ptrdiff_t i) {
        const double* const scores = s.loss.scores + i * n_classes;
        if (n_classes == 1) {
            const double e = exp(-fabs(scores[0]));
            proba[0] = e / ((1 + e) * (1 + e));
            return;
        }
        double top = scores[0], sum = 0;
        for (ptrdiff_t k = 1; k < n_classes; ++k) top = fmax(top, scores[k]);
        for (ptrdiff_t k = 0; k < n_classes; ++k) sum += proba[k] = exp(scores[k] - top);
        for (ptrdiff_t k = 0; k < n_classes; ++k) proba[k] /= sum;
    }

    // The lower triangle, where the gradient was evaluated last.
    void make_hessian() {
        memset(hessian, 0, size * size * sizeof(double));
        const ptrdiff_t n_features = n_columns - 1;
        row[n_features] = 1;
        for (ptrdiff_t i = 0; i < pass.n_samples; ++i) {
            const T* const values = pass.rows.values + i * n_features;
            for (ptrdiff_t j = 0; j < n_features; ++j) row[j] = (double(values[j]) - pass.offset[j]) * pass.inverse_scale[j];
            set_proba(i);
            for (ptrdiff_t k = 0; k < n_classes; ++k)
                for (ptrdiff_t l = 0; l <= k; ++l) {
                    const double c = curvature(s.loss.shares[i], k, l);
                    for (ptrdiff_t a = 0; a < n_columns; ++a) {
                        double* const __restrict out = hessian + (k * n_columns + a) * size + l * n_columns;
                        const double factor = c * row[a];
                        const ptrdiff_t end = k == l ? a + 1 : n_columns;
                        for (ptrdiff_t b = 0; b < end; ++b) out[b] += factor * row[b];
                    }
                }
        }
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

    // Cholesky's factor in the place of the lower triangle; false if there is none.
    bool factor() {
        for (ptrdiff_t m = 0; m < size; ++m) {
            double* const row_m = hessian + m * size;
            for (ptrdiff_t n = 0; n <= m; ++n) {
                const double* const row_n = hessian + n * size;
                double sum = row_m[n];
                for (ptrdiff_t c = 0; c < n; ++c) sum -= row_m[c] * row_n[c];
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
