// What is compiled once per instruction set, with the flags of meson.build: fills the
// table of kernels.
#include "explicit.h"
#include "moderate.h"
#include "point_saga.h"
#include "small.h"
#include "stream.h"

namespace {

template <class T>
constexpr softmax::Kernels<T> kernels_of() {
    return {::explicit_sweep<T>,
            ::decision<T>,
            ::are_moderate<T>,
            ::accumulate<T>,
            ::spread,
            ::set_coordinates<T>,
            ::scratch_size<T>,
            ::stream<T>,
            ::point_saga<T>,
            ::pass_scratch<T>,
            ::loss_gradient<T>,
            ::hessian_product<T>,
            SmallNewtonMethod<T>::scratch_size,
            ::small_newton<T>,
            ::transposed_product<T>};
}

}  // namespace

namespace softmax {
namespace SOFTMAX_INSTRUCTION_SET {
void softmax(const Softmax& task);
void softmax(const Softmax& task) { softmax_rows(task); }
extern const AllKernels kernels;
const AllKernels kernels = {kernels_of<float>(), kernels_of<double>()};
}  // namespace SOFTMAX_INSTRUCTION_SET
}  // namespace softmax
