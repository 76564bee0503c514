// The instruction sets of this build, best first, and the one in use.
#pragma once

#include "kernels.h"

namespace softmax {

#if defined(SOFTMAX_HAS_AVX2)
extern const InstructionSet avx2;
#endif
extern const InstructionSet baseline;

inline const InstructionSet* instruction_set(int rank) {  // null after the last
    static const InstructionSet* const all[] = {
#if defined(SOFTMAX_HAS_AVX2)
        &avx2,
#endif
        &baseline, nullptr};
    return all[rank];
}

inline const InstructionSet*& active() {
    static const InstructionSet* set = nullptr;
    return set;
}

inline void use(const InstructionSet* set) { active() = set; }

template <class T, class I>
const Kernels<T, I>& kernels();
template <>
inline const Kernels<float, int32_t>& kernels() {
    return active()->f32_i32;
}
template <>
inline const Kernels<float, int64_t>& kernels() {
    return active()->f32_i64;
}
template <>
inline const Kernels<double, int32_t>& kernels() {
    return active()->f64_i32;
}
template <>
inline const Kernels<double, int64_t>& kernels() {
    return active()->f64_i64;
}

template <class T, class I>
SweepResult sweep(const Sweep<T, I>& task) {
    return kernels<T, I>().sweep(task);
}

template <class T, class I>
void decision(const Decision<T, I>& task) {
    kernels<T, I>().decision(task);
}

}  // namespace softmax
