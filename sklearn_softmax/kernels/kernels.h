// The interface of the compiled part: the arguments and results of each kernel.
//
// Fields marked IN are read, OUT are written, INOUT are both. TEMP is memory to work
// with. A kernel touches nothing else. It allocates nothing and throws nothing.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace softmax {

// The rows of X. Dense: row i begins at values[i * n_features]. CSR: `columns` and
// `starts` are the indices and the indptr, each of int32 or int64.
template <class T>
struct Rows {
    // IN
    const T* values;
    const void *columns, *starts;  // CSR only, else null; int64_t if wide, else int32_t
    bool wide_columns, wide_starts;
    ptrdiff_t n_features;
    ptrdiff_t longest_row;  // CSR: the most values in a row; dense: n_features
    // TEMP
    int32_t* narrowed;  // (2, longest_row), if wide_columns; see SparseRows in rows.h
    T* gathered;  // (2, n_features), as `narrowed` then is: if dense rows are visited as sparse

    bool is_sparse() const { return starts != nullptr; }
    int64_t start(ptrdiff_t i) const {
        return wide_starts ? static_cast<const int64_t*>(starts)[i] : static_cast<const int32_t*>(starts)[i];
    }
};

// Number i is data[i * stride]. With a stride of 0 all numbers are the same.
struct Numbers {
    const double* data;
    ptrdiff_t stride;
};

// Sums of the log loss of a stream. Each row is predicted just before the stream learns
// from it.
struct ProgressiveLoss {
    double loss, weight;  // sum of weight * log loss, and of the weights
    double recent_loss, recent_weight;  // the same sums with exponential forgetting, see visits.h
};

// What a stream remembers of a feature, in one cache line. Moments are those of the
// values x != 0:
//
//     z = unit x,    weight = sum of w
//     sum = sum of w (z - pivot),    square = sum of w (z - pivot)^2
struct Feature {
    double unit, weight, pivot, sum, square;  // the unit is a power of two
    // Sparse rows: StreamScalars::penalty_step and average_weight when the feature was
    // up to date.
    double penalty_updated_at, average_updated_at;
    double rounding;  // the eps of the dtype of X
};

// What follows from the moments of a feature x with the weights w, see moments.h.
struct Spread {
    double mean;  // sum of w x / sum of w, over all rows
    double active_deviation;  // sqrt(sum of w (x - mean)^2 / sum of w where x != 0)
    double root_mean_square;  // sqrt(sum of w x^2 / sum of w), over the rows where x != 0
    double share;  // sum of w where x != 0 / sum of w
};

// How the solver sees a feature: (x - offset) * inverse_scale. A step along the feature
// is step_scale times as long. The penalty acts on penalty_scale * weight.
template <class T>
struct Coordinates {
    T *offset, *inverse_scale, *step_scale, *penalty_scale;  // (n_features) each
};

// One pass over the rows in `order`, and the model that the pass changes, in the
// coordinates above. A visit is one step for one row.
template <class T>
struct Visits {
    // IN
    Rows<T> rows;
    const int32_t* y;
    Numbers sample_weight;  // by row
    // (n_samples, n_padded) each, with 0 in the lanes of no class. Rows whose label is a
    // distribution q instead of the class y: e_y - q, see softmax.h; null: none are. And
    // what is added to the scores of each row; null: nothing.
    const T *label_shift, *score_offset;
    const ptrdiff_t* order;
    ptrdiff_t n_visits;
    double l2_ratio, l1_ratio;
    bool fit_intercept;
    ptrdiff_t n_classes, n_padded;
    // INOUT
    Coordinates<T> coordinates;  // Stream: INOUT; PointSaga: IN; Explicit: unused
    T* weights;  // (n_features, n_padded)
    double* intercept;  // (n_padded); -inf in the lanes that belong to no class
    T* table;  // (n_samples, n_padded): the last residual of each row; null: not kept
    // TEMP
    T* scratch;  // zero on entry

    // Whether two classes are one column: that of the second class, see margin.h.
    bool is_margin() const { return n_padded == 1; }
    // The columns that are not padding.
    ptrdiff_t n_columns() const { return is_margin() ? 1 : n_classes; }
    // The label shift of row i, or null if its label is a class.
    const T* shift_of(ptrdiff_t i) const {
        if (!label_shift) return nullptr;
        const T* const shift = label_shift + i * n_padded;
        return shift[is_margin() ? 0 : y[i]] != 0 ? shift : nullptr;
    }
};

// `coverage` and `averaged_weight` of explicit.h when the average of a feature was up
// to date.
struct WaitingFeature {
    double coverage, weight;
};

// Explicit steps of the size eta * sample_weight; see explicit.h.
template <class T>
struct Explicit {
    // IN
    Visits<T> visits;
    Numbers eta, alpha;  // by visit
    // By visit: alpha of the visit / alpha of the visit before, if alpha is 1 / (weight
    // seen); else 1.
    Numbers threshold_factor;
    bool may_overflow;  // stop before a visit whose scores are not finite
    ptrdiff_t average_from;  // the first visit whose model enters the average
    // INOUT
    T* average;  // as weights; null: no averaging
    double* intercept_average;
    double averaged_weight;  // of the iterates in the average
    double threshold, average_threshold;  // the L1 thresholds of the weights and of their average
    ProgressiveLoss* progressive_loss;  // null: not wanted
    // TEMP
    WaitingFeature* waiting;  // (n_features); averages only
    // OUT, zero on entry
    double loss;  // sum of weight * log loss, each row scored before its update
    ptrdiff_t n_visited;  // < n_visits if the scores of the next row are not finite
};

// What a stream remembers beside arrays: running sums over its rows. `length` is that
// of stream.h.
struct StreamScalars {
    double weight;  // of the rows seen
    double norm;  // sum of weight * (1 + |row|^2)
    double curvature;  // sum of growth_of_steps * weight * mean over the classes of p (1 - p)
    double penalty_step;  // sum of length * alpha
    double length, average_length;  // sum of the lengths; its average, weighted as the model's
    double average_weight;  // sum of growth * weight * (average_total since averaging began)^3
    double loss;  // sum of weight * log loss, each row scored before its step
    double n_rows;
    // Dense rows: the number of the row that refreshes the coordinates next.
    double refresh_at;
    // The open block of dense rows: the number of the row after its last one, the
    // largest 1 + |row|^2 that may join the block, and penalty_step and average_weight
    // at its first row.
    double block_end, block_limit, block_penalty_step, block_average_weight;
    // What a row of weight 1 counts in the average and in the curvature, and the sums of
    // growth * weight. A sum over the growth is the weight of the rows remembered.
    double growth, average_total, growth_of_steps, steps_total;
    double drift_log_odds, step_log_odds;  // R and E of stream.h
};

// Implicit steps in coordinates that follow the rows; see stream.h.
template <class T>
struct Stream {
    // IN
    Visits<T> visits;
    double eta0;
    double alpha;  // NaN: 1 / (weight seen)
    bool adaptive;  // whether each row updates the moments, and these the coordinates
    bool with_mean;  // whether dense rows are centred
    bool standardize;  // whether the penalty is on coefficients of standardised features
    double average_from;  // the weight seen before averaging begins
    bool averages;  // whether predictions are those of the average
    bool forgets;  // whether the average and the steps forget if the rows change
    bool flush;  // at the end, bring the penalty and the average of all features up to date
    // INOUT
    Feature* features;
    T* average;  // as weights
    double* intercept_average;
    StreamScalars* scalars;
    ProgressiveLoss* progressive_loss;  // null: not wanted
    // TEMP
    double* moments;  // if adaptive; dense: (5, n_features padded); sparse: (13, longest_row)
    // (3, n_features, n_padded), after the L1 threshold: the iterate, the average, and,
    // of sparse rows, the iterate in the coordinates before the row; null without L1.
    T* thresholded;
    // OUT
    double* norms;  // (n_samples): 1 + |row|^2 of each row; null: not wanted
};

// An epoch of variance-reduced implicit steps; see point_saga.h.
template <class T>
struct PointSaga {
    // IN
    Visits<T> visits;
    double step;
    double alpha;
    Numbers repeats;  // how often `order` has a row
    // INOUT
    T* gradient;  // as weights: the mean over the rows of weight * residual in the table * row
    double* intercept_gradient;  // (n_padded)
    double* waiting;  // TEMP (4, n_features); sparse only
    // OUT
    T* average;  // as weights: of the epoch's iterates; the iterate after t visits has the weight t
    double* intercept_average;
    double loss;  // sum of weight * log loss
    double curvature;  // sum of weight * sum over the classes of p (1 - p)
    double penalty;  // sparse only: the L2 part of the penalty of the average
};

// Raw predictions of CSR rows: out = X weights + intercept.
template <class T>
struct Decision {
    Rows<T> rows;  // IN
    ptrdiff_t n_samples, n_classes, n_padded;
    const T* weights;  // IN (n_features, n_padded)
    const double* intercept;  // IN (n_padded)
    T* scores;  // TEMP (n_padded)
    T* out;  // OUT (n_samples, n_classes)
};

// One pass of Newton's method over the rows, in the columns
// (x - offset) * inverse_scale and, last, one of ones; see newton.h. Arrays of columns
// have the intercepts last.
template <class T>
struct Pass {
    // IN
    Rows<T> rows;
    ptrdiff_t n_samples;
    ptrdiff_t n_classes;  // with two classes 1, for the margin
    ptrdiff_t n_padded;  // sparse rows with more than two classes: padded; else n_classes
    const double *offset, *inverse_scale;  // (n_features); sparse rows have no offset
    const double* point;  // (n_features + 1, n_padded)
    // INOUT
    double* out;  // as point
    // TEMP, zero on entry
    double* scratch;
};

// out += the gradient of the mean loss.
template <class T>
struct LossGradient {
    Pass<T> pass;
    const int32_t* y;  // IN
    const double* shares;  // IN (n_samples): weights that sum to 1
    const double *label_shift, *score_offset;  // IN, as scores; null: see Visits
    // OUT
    double* scores;  // (n_samples, n_classes); two classes: (n_samples), the margins
    double loss;  // the mean loss; zero on entry
};

// out += the Hessian of the mean loss, at the model with these probabilities, times the
// point.
template <class T>
struct HessianProduct {
    Pass<T> pass;
    const double* shares;  // IN (n_samples): weights that sum to 1
    const double* proba;  // IN (n_samples, n_classes); two classes: (n_samples), p (1 - p)
};

// Newton's method for a small problem without an L1 norm, of dense rows or of two classes; see small.h.
template <class T>
struct SmallNewton {
    LossGradient<T> loss;  // whose point and out are not used
    // IN
    const double* l2;  // (n_features): l2_j/2 w_j^2 is part of F for each weight w_j
    const double* per_unit;  // as point: the inverse of the unit of each entry of the gradient
    bool fit_intercept;
    double tol;
    ptrdiff_t most_steps, most_passes;
    // INOUT
    double* point;  // (n_features + 1, n_classes)
    // OUT, numbers are zero on entry
    double* gradient;  // as point
    double value, size;  // F, and the largest entry of its gradient in its unit
    ptrdiff_t n_steps, n_passes;
    double* values;  // (most_steps): F after each step
    ptrdiff_t* passes;  // (most_steps): n_passes after each step
};

// out += X^T residual, of CSR rows.
template <class T>
struct TransposedProduct {
    Rows<T> rows;  // IN
    ptrdiff_t n_samples, n_classes;
    const double* residual;  // IN (n_samples, n_classes)
    double* out;  // INOUT (n_features, n_classes)
};

// Replaces rows of scores by probabilities, and gives the log loss of each row.
struct Softmax {
    ptrdiff_t n_rows, n_classes;
    const int32_t* y;  // IN
    double* scores;  // INOUT (n_rows, n_classes)
    double* losses;  // OUT (n_rows)
    double* scratch;  // TEMP (a vector)
};

template <class T>
struct Kernels {
    void (*explicit_sweep)(Explicit<T>&);
    void (*decision)(const Decision<T>&);
    bool (*are_moderate)(const T* values, ptrdiff_t size, double smallest, double largest);
    void (*accumulate)(const Rows<T>&, ptrdiff_t n_samples, Numbers sample_weight, Feature*, double* scratch);
    Spread (*spread)(const Feature&, double total_weight);
    void (*set_coordinates)(const Coordinates<T>&, ptrdiff_t feature, const Spread&, bool with_mean, bool standardize);
    size_t (*scratch_size)(const Visits<T>&);  // in numbers of T
    void (*stream)(Stream<T>&);
    void (*point_saga)(PointSaga<T>&);
    size_t (*pass_scratch)(const Pass<T>&);  // in numbers
    void (*loss_gradient)(LossGradient<T>&);
    void (*hessian_product)(const HessianProduct<T>&);
    size_t (*small_newton_scratch)(const Pass<T>&);  // in numbers
    void (*small_newton)(SmallNewton<T>&);
    void (*transposed_product)(const TransposedProduct<T>&);
};

struct AllKernels {
    Kernels<float> of_float;
    Kernels<double> of_double;
};

// Everything that is compiled once per instruction set.
struct InstructionSet {
    const char* name;
    ptrdiff_t vector_bytes;
    bool (*is_supported)();
    const AllKernels& kernels;
    void (&softmax)(const Softmax&);
};

}  // namespace softmax
