// The interface of the compiled part: what a sweep is given and gives back, for every instruction set. IN is read, OUT
// written, INOUT both; TEMP is memory to work with. No function touches anything else, allocates or throws.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace softmax {

// The rows of X, dense (row i is values[i * n_features ...]) or CSR, whose columns and starts may be of either integer type.
template <class T>
struct Rows {
    // IN
    const T* values;
    const void *columns, *starts;  // int64_t if wide, else int32_t; null if dense
    bool wide_columns, wide_starts;
    ptrdiff_t n_features;
    ptrdiff_t longest_row;  // of CSR; else n_features
    // TEMP
    int32_t* narrowed;  // (2, longest_row), if wide_columns; see SparseRows in rows.h
    T* gathered;  // (2, n_features), and narrowed, too, if dense rows are visited as sparse ones

    bool is_sparse() const { return starts != nullptr; }
    int64_t start(ptrdiff_t i) const {
        return wide_starts ? static_cast<const int64_t*>(starts)[i] : static_cast<const int32_t*>(starts)[i];
    }
};

// numbers[i * stride]; a stride of 0 is one number for all.
struct Numbers {
    const double* data;
    ptrdiff_t stride;
};

// The log loss of each row of a stream under the model to predict with, just before it was learnt from.
struct ProgressiveLoss {
    double loss, weight;  // sum of weight * log loss, and of the weights
    double recent_loss, recent_weight;  // the same, where older rows count less; see visits.h
};

// What a stream remembers of a feature, in one cache line: of the values that are not zero, times a power of two, their weight, and
// their weighted sum and sum of squares about a centre; and how far the stream was when a feature of sparse rows was up to date.
struct Feature {
    double unit, weight, centre, sum, square;
    double penalty_updated_at, average_updated_at;
    double rounding;  // the eps of the dtype that the values came in
};

// What follows from the moments; see moments.h.
struct Spread {
    double mean;  // over all rows
    double active_deviation;  // the penalty's scale; squared: about that mean, per weight of the rows where it is not zero
    double root_mean_square;  // of the values that are not zero
    double share;  // of the weight that is in the rows where it is not zero
};

// How the solver sees a feature: (x - offset) * inverse_scale. A step along it is step_scale times as long, and the
// penalty acts on penalty_scale * weight.
template <class T>
struct Coordinates {
    T *offset, *inverse_scale, *step_scale, *penalty_scale;  // (n_features) each
};

// One pass over `order`: the rows that a sweep visits, and the model in the coordinates above, that it changes.
template <class T>
struct Visits {
    // IN
    Rows<T> rows;
    const int32_t* y;
    Numbers sample_weight;  // by row
    const ptrdiff_t* order;
    ptrdiff_t n_visits;
    double l2_ratio, l1_ratio;
    bool fit_intercept;
    ptrdiff_t n_classes, n_padded;
    // INOUT
    Coordinates<T> coordinates;  // the stream changes them; explicit steps have none
    T* weights;  // (n_features, n_padded)
    double* intercept;  // (n_padded); -inf in the lanes that belong to no class
    T* table;  // (n_samples, n_padded): the last residual of each row; null: the stream keeps none
    // TEMP
    T* scratch;  // zero on entry
};

// What explicit.h had counted when the average of a feature was up to date.
struct WaitingFeature {
    double coverage, weight;
};

// Explicit steps of the size eta * sample_weight; see explicit.h.
template <class T>
struct Explicit {
    // IN
    Visits<T> visits;
    Numbers eta, alpha;  // by visit
    Numbers threshold_factor;  // by visit: what alpha is in terms of the one before, where it follows the weight seen; else 1
    bool may_overflow;  // look for scores that are not finite, and stop there
    ptrdiff_t average_from;  // the first visit whose model enters the average
    // INOUT
    T* average;  // as weights; null: no averaging
    double* intercept_average;
    double averaged_weight;  // of the iterates in the average
    double threshold, average_threshold;  // what L1 takes from the weights, and from their average, to make the models
    ProgressiveLoss* progressive_loss;  // null: not wanted
    // TEMP
    WaitingFeature* waiting;  // (n_features), if there are averages
    // OUT, zero on entry
    double loss;  // sum of weight * log loss, each row scored before its update
    ptrdiff_t n_visited;  // less than n_visits if a row's scores were not finite
};

// What a stream remembers beside arrays.
struct StreamScalars {
    double weight;  // of the rows seen
    double norm;  // sum of weight * (1 + |row|^2)
    double curvature;  // sum of weight * mean over the classes of p (1 - p)
    double penalty_step;  // sum of length * alpha, where a step is as long as the loss lets it be; see stream.h
    double length, average_length;  // sum of the lengths; that of the average
    double average_weight;  // sum of weight * (weight seen since averaging began)^3
    double loss;  // sum of weight * log loss, each row scored before its step
    double n_rows;
    double refresh_at;  // the number of the dense row with which coordinates are refreshed
    // the open block of dense rows: where it ends, the largest norm that it takes, and penalty_step and average_weight where it
    // began
    double block_end, block_limit, block_penalty_step, block_average_weight;
};

template <class T>
struct Stream {
    Visits<T> visits;
    double eta0;
    double alpha;  // NaN: 1 / (weight seen)
    bool adaptive;  // whether coordinates follow from the moments of the rows; else both stay as they are
    bool with_mean, standardize;  // how they follow
    double average_from;  // the weight seen before averaging begins
    bool averages;  // whether the model to predict with is the average
    bool flush;  // at the end, bring the penalty and the average of all features up to date
    // INOUT
    Feature* features;
    T* average;  // as weights
    double* intercept_average;
    StreamScalars* scalars;
    ProgressiveLoss* progressive_loss;  // null: not wanted
    // TEMP
    double* moments;  // (5, n_features padded) of dense rows that coordinates follow; (13, longest_row) of sparse ones
    T* thresholded;  // (2, n_features, n_padded): the weights, and those to predict with, after the L1 threshold; null: there is none
    // OUT
    double* norms;  // (n_samples): 1 + |row|^2 of each row; null: not wanted
};

template <class T>
struct PointSaga {
    Visits<T> visits;
    double step;
    double alpha;
    Numbers repeats;  // how often `order` has a row
    // visits of sparse rows from one iterate that enters the average to the next; of dense rows it is a block
    ptrdiff_t average_every;
    // INOUT
    T* gradient;  // as weights: the mean over the rows of weight * residual in the table * row
    double* intercept_gradient;  // (n_padded)
    double* waiting;  // TEMP (3, n_features); CSR
    // OUT
    T* average;  // as weights: of the epoch's iterates, where that after t visits weighs t
    double* intercept_average;
    double loss, curvature;  // sums of weight * log loss, and of weight * sum over the classes of p (1 - p)
};

// raw predictions of CSR rows: out = X weights + intercept
template <class T>
struct Decision {
    Rows<T> rows;  // IN
    ptrdiff_t n_samples, n_classes, n_padded;
    const T* weights;  // IN (n_features, n_padded)
    const double* intercept;  // IN (n_padded)
    T* scores;  // TEMP (n_padded)
    T* out;  // OUT (n_samples, n_classes)
};

// The Hessian of the mean loss, at a point with these probabilities, times a step; see newton.h.
template <class T>
struct HessianProduct {
    // IN
    Rows<T> rows;  // CSR
    ptrdiff_t n_samples, n_classes, n_padded;
    const double *inverse_scale, *shares;  // (n_features), (n_samples)
    const double* proba;  // (n_samples, n_classes)
    const double* step;  // (n_features + 1, n_padded); the intercepts come last
    // INOUT
    double* out;  // as step
    // TEMP, zero on entry
    double* scratch;  // (2 n_padded + longest row)
};

// out += X^T residual, of CSR rows.
template <class T>
struct TransposedProduct {
    Rows<T> rows;  // IN
    ptrdiff_t n_samples, n_classes;
    const double* residual;  // IN (n_samples, n_classes)
    double* out;  // INOUT (n_features, n_classes)
};

// Rows of scores become rows of probabilities, and the log loss of each for its label.
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
    void (*set_coordinates)(const Coordinates<T>&, ptrdiff_t feature, const Spread&, bool centre, bool standardize);
    size_t (*scratch_size)(const Visits<T>&);  // in numbers of T
    void (*stream)(Stream<T>&);
    void (*point_saga)(PointSaga<T>&);
    void (*hessian_product)(const HessianProduct<T>&);
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
