// The interface of the compiled part: what a sweep is given and gives back, for every instruction set.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace softmax {

// The rows of X, dense (columns and starts are null; row i is values[i * n_features ...]) or CSR.
template <class T, class I>
struct Rows {
    const T* values;
    const I* columns;
    const I* starts;
    ptrdiff_t n_features;
};

// numbers[i * stride]; a stride of 0 is one number for all.
struct Numbers {
    const double* data;
    ptrdiff_t stride;
};

// What a stream has cost so far: the log loss of each row under the model to predict with, just before it was learnt from.
struct Record {
    double loss, weight;  // sum of weight * log loss, and of the weights
    double recent_loss, recent_weight;  // the same, where older rows count less; see record.h
};

// One pass over `order`. Visit t takes the row i = order[t] with the step eta[t] * sample_weight[i].
template <class T, class I>
struct Sweep {
    // IN
    Rows<T, I> rows;
    const int32_t* y;  // class numbers
    Numbers sample_weight;  // by row
    const ptrdiff_t* order;
    ptrdiff_t n_visits;
    Numbers eta;  // by visit
    Numbers alpha;  // by visit
    double l2_ratio, l1_ratio;  // penalty: alpha (l2_ratio/2 ||W||^2 + l1_ratio ||W||_1)
    bool fit_intercept;
    bool may_overflow;  // look for scores that are not finite, and stop there
    ptrdiff_t average_from;  // the first visit whose model enters the average
    double unit;  // the softmax uses unit * weights (1/2 for two classes, else 1)
    ptrdiff_t n_classes, n_padded;
    // INOUT
    T* weights;  // (n_features, n_padded)
    double* intercept;  // (n_padded); -inf in the lanes that belong to no class
    T* average;  // as weights; null: no averaging
    double* intercept_average;  // as intercept
    double averaged_weight;  // the weight that the average has seen so far
    Record* record;  // null: not wanted
    // TEMP, zero on entry
    T* scores;  // (3, n_padded)
    T* correction;  // as weights, if averaging
    double* stamps;  // (n_features), if CSR and l1_ratio > 0
    double* history;  // (3, n_visits + 1), if stamps and averaging
    T* block;  // as the scratch of Visits, if dense
};

struct SweepResult {
    double loss;  // sum of weight * log loss, each row scored before its update
    ptrdiff_t n_visited;  // less than n_visits if a row's scores were not finite
    double averaged_weight;
};

// What a stream remembers of a feature, in one cache line: of the values that are not zero, times a power of two, their weight, and
// their weighted sum and sum of squares about a centre; and how far the stream was when a feature of sparse rows was up to date.
struct Feature {
    double unit, weight, centre, sum, square;
    double penalty_stamp, average_stamp;
    double unused;
};

// What follows from the moments; see moments.h.
struct Spread {
    double mean;  // over all rows
    double active_deviation;  // the penalty's scale; squared: about that mean, per weight of the rows where it is not zero
    double root_mean_square;  // of the values that are not zero
    double share;  // of the weight that is in the rows where it is not zero
};

// How the solver sees a feature: (x - offset) * inverse_scale. A step along it is `gain` times as long, and the penalty acts on
// penalty_ratio * weight.
template <class T>
struct Coordinates {
    T *offset, *inverse_scale, *gain, *penalty_ratio;  // (n_features) each
};

// The rows that a sweep of the automatic step visits, and the model in the coordinates above, that it changes.
template <class T, class I>
struct Visits {
    // IN
    Rows<T, I> rows;
    const int32_t* y;
    Numbers sample_weight;  // by row
    const ptrdiff_t* order;
    ptrdiff_t n_visits;
    double l2_ratio, l1_ratio;
    bool fit_intercept;
    ptrdiff_t n_classes, n_padded;
    ptrdiff_t longest_row;  // of CSR
    // INOUT
    Coordinates<T> coordinates;  // the stream changes them
    T* weights;  // (n_features, n_padded)
    double* intercept;  // (n_padded); -inf in the lanes that belong to no class
    T* table;  // (n_samples, n_padded): the last residual of each row; null: the stream keeps none
    // TEMP
    T* scratch;  // zero on entry
};

// What a stream remembers beside arrays.
struct Clock {
    double weight;  // of the rows seen
    double norm;  // sum of weight * (1 + |row|^2)
    double curvature;  // sum of weight * mean over the classes of p (1 - p)
    double penalty_step;  // sum of length * alpha, where a step is as long as the loss lets it be; see stream.h
    double length, average_length;  // sum of the lengths; that of the average
    double average_weight;  // sum of weight * (weight seen since averaging began)^3
    double loss;  // sum of weight * log loss, each row scored before its step
    ptrdiff_t n_rows;
    ptrdiff_t refresh_at;  // the number of the dense row with which coordinates are refreshed
    // the open block of dense rows: where it ends, the largest norm that it takes, and penalty_step and average_weight where it
    // began
    ptrdiff_t block_end;
    double block_limit, block_penalty_step, block_average_weight;
};

template <class T, class I>
struct Stream {
    Visits<T, I> visits;
    double eta0;
    double alpha;  // NaN: 1 / (weight seen)
    bool follows;  // whether coordinates follow from the moments of the rows; else both stay as they are
    bool centre, standardize;  // how they follow
    double average_from;  // the weight seen before averaging begins
    bool averages;  // whether the model to predict with is the average
    bool settle;  // at the end, bring the penalty and the average of all features up to date
    // INOUT
    Feature* features;
    T* average;  // as weights
    double* intercept_average;
    Clock clock;
    Record* record;  // null: not wanted
    // TEMP
    double* moments;  // (5, n_features padded) of dense rows that coordinates follow; (13, longest_row) of sparse ones
    T* thresholded;  // (2, n_features, n_padded): the weights, and those to predict with, after the L1 threshold; null: there is none
    // OUT
    double* norms;  // (n_samples): 1 + |row|^2 of each row; null: not wanted
};

template <class T, class I>
struct PointSaga {
    Visits<T, I> visits;
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

// raw predictions of CSR rows: out = X (unit * weights) + intercept
template <class T, class I>
struct Decision {
    Rows<T, I> rows;  // IN
    ptrdiff_t n_samples, n_classes, n_padded;
    const T* weights;  // IN (n_features, n_padded)
    double unit;
    const double* intercept;  // IN (n_padded)
    T* scores;  // TEMP (n_padded)
    T* out;  // OUT (n_samples, n_classes)
};

// The Hessian of the mean loss, at a point with these probabilities, times a step; see hessian.h.
template <class T, class I>
struct HessianProduct {
    // IN
    Rows<T, I> rows;  // CSR
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
template <class T, class I>
struct TransposedProduct {
    Rows<T, I> rows;  // IN
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

template <class T, class I>
struct ClassicKernels {
    SweepResult (*sweep)(const Sweep<T, I>&);
    void (*decision)(const Decision<T, I>&);
};

template <class T, class I>
struct AutomaticKernels {
    void (*accumulate)(const Rows<T, I>&, ptrdiff_t n_samples, Numbers sample_weight, Feature*, double* scratch);
    Spread (*spread)(const Feature&, double total_weight);
    void (*set_coordinates)(const Coordinates<T>&, ptrdiff_t feature, const Spread&, bool centre, bool standardize);
    size_t (*scratch_size)(const Visits<T, I>&);  // in numbers of T
    void (*stream)(Stream<T, I>&);
    void (*point_saga)(PointSaga<T, I>&);
    void (*hessian_product)(const HessianProduct<T, I>&);
    void (*transposed_product)(const TransposedProduct<T, I>&);
};

template <template <class, class> class Kernels>
struct PerType {
    Kernels<float, int32_t> f32_i32;
    Kernels<float, int64_t> f32_i64;
    Kernels<double, int32_t> f64_i32;
    Kernels<double, int64_t> f64_i64;
};

// Everything that is compiled once per instruction set.
struct InstructionSet {
    const char* name;
    ptrdiff_t vector_bytes;
    bool (*is_supported)();
    const PerType<ClassicKernels>& classic;
    const PerType<AutomaticKernels>& automatic;
    void (&softmax)(const Softmax&);
};

}  // namespace softmax
