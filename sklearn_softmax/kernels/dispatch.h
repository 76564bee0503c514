// Chooses the instruction set whose kernels run: the sets of this build, best first,
// and the active one, which is the only state of the compiled part. Touches nothing
// else.
#pragma once

#include "kernels.h"

namespace softmax {

#define SOFTMAX_DECLARE(set)         \
    namespace set {                  \
    extern const AllKernels kernels; \
    void softmax(const Softmax&);    \
    }

SOFTMAX_DECLARE(baseline)
inline bool always() { return true; }
#if defined(SOFTMAX_HAS_AVX2)
SOFTMAX_DECLARE(avx2)
inline bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

#if defined(SOFTMAX_HAS_AVX512)
SOFTMAX_DECLARE(avx512)
inline bool has_avx512() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

inline const InstructionSet* instruction_set(int rank) {  // null after the last
    static const InstructionSet all[] = {
#if defined(SOFTMAX_HAS_AVX512)
        {"avx512", 64, has_avx512, avx512::kernels, avx512::softmax},
#endif
#if defined(SOFTMAX_HAS_AVX2)
        {"avx2", 32, has_avx2, avx2::kernels, avx2::softmax},
#endif
        {"baseline", 16, always, baseline::kernels, baseline::softmax},
    };
    return rank < int(sizeof all / sizeof all[0]) ? &all[rank] : nullptr;
}

inline const InstructionSet*& active() {
    static const InstructionSet* set = nullptr;
    return set;
}

inline void use(const InstructionSet* set) { active() = set; }

// The active set, or the best one below it for which n_padded is a whole number of
// vectors.
template <class T>
const InstructionSet& suiting(ptrdiff_t n_padded) {
    const InstructionSet* set = active();
    if (n_padded == 1) return *set;  // no vector of classes
    while (n_padded * ptrdiff_t(sizeof(T)) % set->vector_bytes) ++set;
    return *set;
}

inline const Kernels<float>& select(const AllKernels& all, float) { return all.of_float; }
inline const Kernels<double>& select(const AllKernels& all, double) { return all.of_double; }

inline void softmax_rows(const Softmax& task) { active()->softmax(task); }

template <class T>
void explicit_sweep(Explicit<T>& task) {
    select(suiting<T>(task.visits.n_padded).kernels, T()).explicit_sweep(task);
}

template <class T>
void decision(const Decision<T>& task) {
    select(suiting<T>(task.n_padded).kernels, T()).decision(task);
}

template <class T>
bool are_moderate(const T* values, ptrdiff_t size, double smallest, double largest) {
    return select(active()->kernels, T()).are_moderate(values, size, smallest, largest);
}

template <class T>
void accumulate(const Rows<T>& rows, ptrdiff_t n_samples, Numbers sample_weight, Feature* features, double* scratch) {
    select(active()->kernels, T()).accumulate(rows, n_samples, sample_weight, features, scratch);
}

inline Spread spread(const Feature& feature, double total_weight) {
    return active()->kernels.of_double.spread(feature, total_weight);
}

template <class T>
void set_coordinates(const Coordinates<T>& c, ptrdiff_t feature, const Spread& spread, bool with_mean, bool standardize) {
    select(active()->kernels, T()).set_coordinates(c, feature, spread, with_mean, standardize);
}

template <class T>
size_t scratch_size(const Visits<T>& visits) {
    return select(suiting<T>(visits.n_padded).kernels, T()).scratch_size(visits);
}

template <class T>
void stream(Stream<T>& task) {
    select(suiting<T>(task.visits.n_padded).kernels, T()).stream(task);
}

template <class T>
void point_saga(PointSaga<T>& task) {
    select(suiting<T>(task.visits.n_padded).kernels, T()).point_saga(task);
}

template <class T>
const Kernels<T>& for_pass(const Pass<T>& pass) {
    const bool is_padded = pass.rows.is_sparse() && pass.n_classes > 1;
    return select((is_padded ? suiting<double>(pass.n_padded) : *active()).kernels, T());
}

template <class T>
size_t pass_scratch(const Pass<T>& pass) {
    return for_pass(pass).pass_scratch(pass);
}

template <class T>
void loss_gradient(LossGradient<T>& task) {
    for_pass(task.pass).loss_gradient(task);
}

template <class T>
void hessian_product(const HessianProduct<T>& task) {
    for_pass(task.pass).hessian_product(task);
}

template <class T>
size_t small_newton_scratch(const Pass<T>& pass) {
    return for_pass(pass).small_newton_scratch(pass);
}

template <class T>
void small_newton(SmallNewton<T>& task) {
    for_pass(task.loss.pass).small_newton(task);
}

template <class T>
void transposed_product(const TransposedProduct<T>& task) {
    select(active()->kernels, T()).transposed_product(task);
}

}  // namespace softmax
