// The sweep of the classic schedules and the raw predictions, compiled once per instruction set: see meson.build.
#include "sweep.h"

namespace {

// Raw predictions of sparse rows.
template <class T, class I>
void decision(const softmax::Decision<T, I>& d) {
    const CsrRows<T, I> rows{d.rows};
    using V = Vec<T>;
    V* const scores = reinterpret_cast<V*>(d.scores);
    for (ptrdiff_t i = 0; i < d.n_samples; ++i) {
        forward<0>(rows[i], d.weights, d.n_padded, scores, int(d.n_padded / V::lanes));
        for (ptrdiff_t k = 0; k < d.n_classes; ++k)
            d.out[i * d.n_classes + k] = T(d.unit * scores[k / V::lanes][int(k % V::lanes)] + d.intercept[k]);
    }
}

template <class T, class I>
constexpr softmax::ClassicKernels<T, I> kernels_of() {
    return {::sweep<T, I>, ::decision<T, I>};
}

}  // namespace

namespace softmax {
namespace SOFTMAX_INSTRUCTION_SET {
void softmax(const Softmax& task);
void softmax(const Softmax& task) { softmax_rows(task); }
extern const PerType<ClassicKernels> classic;
const PerType<ClassicKernels> classic = {kernels_of<float, int32_t>(), kernels_of<float, int64_t>(),
                                         kernels_of<double, int32_t>(), kernels_of<double, int64_t>()};
}  // namespace SOFTMAX_INSTRUCTION_SET
}  // namespace softmax
