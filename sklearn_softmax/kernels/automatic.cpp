// The sweeps of the automatic step and of its end, compiled once per instruction set: see meson.build.
#include "hessian.h"
#include "point_saga.h"
#include "stream.h"
#include "transposed.h"

namespace {

template <class T, class I>
constexpr softmax::AutomaticKernels<T, I> kernels_of() {
    return {::accumulate<T, I>, ::spread,           ::set_coordinates<T>,    ::scratch_size<T, I>,
            ::stream<T, I>,     ::point_saga<T, I>, ::hessian_product<T, I>, ::transposed_product<T, I>};
}

}  // namespace

namespace softmax {
namespace SOFTMAX_INSTRUCTION_SET {
extern const PerType<AutomaticKernels> automatic;
const PerType<AutomaticKernels> automatic = {kernels_of<float, int32_t>(), kernels_of<float, int64_t>(),
                                             kernels_of<double, int32_t>(), kernels_of<double, int64_t>()};
}  // namespace SOFTMAX_INSTRUCTION_SET
}  // namespace softmax
