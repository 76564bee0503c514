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
    // TEMP, zero on entry
    T* scores;  // (n_padded)
    T* correction;  // as weights, if averaging
    double* stamps;  // (n_features), if CSR and l1_ratio > 0
    double* history;  // (3, n_visits + 1), if stamps and averaging
};

struct SweepResult {
    double loss;  // sum of weight * log loss, each row scored before its update
    ptrdiff_t n_visited;  // less than n_visits if a row's scores were not finite
    double averaged_weight;
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

template <class T, class I>
struct Kernels {
    SweepResult (*sweep)(const Sweep<T, I>&);
    void (*decision)(const Decision<T, I>&);
};

// Everything that is compiled once per instruction set.
struct InstructionSet {
    const char* name;
    bool (*is_supported)();
    Kernels<float, int32_t> f32_i32;
    Kernels<float, int64_t> f32_i64;
    Kernels<double, int32_t> f64_i32;
    Kernels<double, int64_t> f64_i64;
};

}  // namespace softmax
