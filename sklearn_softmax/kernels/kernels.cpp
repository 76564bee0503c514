// Everything that is compiled once per instruction set: see meson.build.
#include "hessian.h"
#include "point_saga.h"
#include "stream.h"
#include "sweep.h"
#include "transposed.h"

namespace {

// Raw predictions of sparse rows.
template <class T>
void decision(const softmax::Decision<T>& d) {
    const CsrRows<T> rows{d.rows};
    using V = Vec<T>;
    V* const scores = reinterpret_cast<V*>(d.scores);
    for (ptrdiff_t i = 0; i < d.n_samples; ++i) {
        forward<0>(rows.at(i, 0), d.weights, d.n_padded, scores, int(d.n_padded / V::lanes));
        for (ptrdiff_t k = 0; k < d.n_classes; ++k)
            d.out[i * d.n_classes + k] = T(d.unit * scores[k / V::lanes][int(k % V::lanes)] + d.intercept[k]);
    }
}

template <class T>
constexpr softmax::Kernels<T> kernels_of() {
    return {::sweep<T>,  ::decision<T>,   ::accumulate<T>, ::spread, ::set_coordinates<T>, ::scratch_size<T>,
            ::stream<T>, ::point_saga<T>, ::hessian_product<T>, ::transposed_product<T>};
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
