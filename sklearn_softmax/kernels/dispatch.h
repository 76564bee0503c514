// The instruction sets of this build, best first, and the one in use.
#pragma once

#include "kernels.h"

namespace softmax {

#define SOFTMAX_DECLARE(set)                          \
    namespace set {                                   \
    extern const PerType<ClassicKernels> classic;     \
    extern const PerType<AutomaticKernels> automatic; \
    void softmax(const Softmax&);                     \
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
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

inline const InstructionSet* instruction_set(int rank) {  // null after the last
    static const InstructionSet all[] = {
#if defined(SOFTMAX_HAS_AVX512)
        {"avx512", 64, has_avx512, avx512::classic, avx512::automatic, avx512::softmax},
#endif
#if defined(SOFTMAX_HAS_AVX2)
        {"avx2", 32, has_avx2, avx2::classic, avx2::automatic, avx2::softmax},
#endif
        {"baseline", 16, always, baseline::classic, baseline::automatic, baseline::softmax},
    };
    return rank < int(sizeof all / sizeof all[0]) ? &all[rank] : nullptr;
}

inline const InstructionSet*& active() {
    static const InstructionSet* set = nullptr;
    return set;
}

inline void use(const InstructionSet* set) { active() = set; }

// The active set, or the best below it whose vectors make up rows of weights of this length.
template <class T>
const InstructionSet& suiting(ptrdiff_t n_padded) {
    const InstructionSet* set = active();
    while (n_padded * ptrdiff_t(sizeof(T)) % set->vector_bytes) ++set;
    return *set;
}

template <template <class, class> class Kernels>
const Kernels<float, int32_t>& select(const PerType<Kernels>& all, float, int32_t) {
    return all.f32_i32;
}
template <template <class, class> class Kernels>
const Kernels<float, int64_t>& select(const PerType<Kernels>& all, float, int64_t) {
    return all.f32_i64;
}
template <template <class, class> class Kernels>
const Kernels<double, int32_t>& select(const PerType<Kernels>& all, double, int32_t) {
    return all.f64_i32;
}
template <template <class, class> class Kernels>
const Kernels<double, int64_t>& select(const PerType<Kernels>& all, double, int64_t) {
    return all.f64_i64;
}

inline void softmax_rows(const Softmax& task) { active()->softmax(task); }

template <class T, class I>
SweepResult sweep(const Sweep<T, I>& task) {
    return select(suiting<T>(task.n_padded).classic, T(), I()).sweep(task);
}

template <class T, class I>
void decision(const Decision<T, I>& task) {
    select(suiting<T>(task.n_padded).classic, T(), I()).decision(task);
}

template <class T, class I>
void accumulate(const Rows<T, I>& rows, ptrdiff_t n_samples, Numbers sample_weight, Feature* features, double* scratch) {
    select(active()->automatic, T(), I()).accumulate(rows, n_samples, sample_weight, features, scratch);
}

inline Spread spread(const Feature& feature, double total_weight) {
    return active()->automatic.f64_i32.spread(feature, total_weight);
}

template <class T>
void set_coordinates(const Coordinates<T>& c, ptrdiff_t feature, const Spread& spread, bool centre, bool standardize) {
    select(active()->automatic, T(), int32_t()).set_coordinates(c, feature, spread, centre, standardize);
}

template <class T, class I>
size_t scratch_size(const Visits<T, I>& visits) {
    return select(suiting<T>(visits.n_padded).automatic, T(), I()).scratch_size(visits);
}

template <class T, class I>
void stream(Stream<T, I>& task) {
    select(suiting<T>(task.visits.n_padded).automatic, T(), I()).stream(task);
}

template <class T, class I>
void point_saga(PointSaga<T, I>& task) {
    select(suiting<T>(task.visits.n_padded).automatic, T(), I()).point_saga(task);
}

template <class T, class I>
void hessian_product(const HessianProduct<T, I>& task) {
    select(suiting<double>(task.n_padded).automatic, T(), I()).hessian_product(task);
}

template <class T, class I>
void transposed_product(const TransposedProduct<T, I>& task) {
    select(active()->automatic, T(), I()).transposed_product(task);
}

}  // namespace softmax
