// Running moments of the values of each feature that are not zero, and what the stream's coordinates make of them.
#pragma once

#include <math.h>

#include "kernels.h"
#include "simd.h"

namespace {

using softmax::Moments;
using softmax::Spread;

constexpr double largest_value = 1e100;  // whose square is far from overflow, however many of them are added

// The power of two that makes x about 1 becomes the unit, so that no square leaves the range of double.
inline void set_unit(const Moments& m, ptrdiff_t j, double x) {
    int exponent;
    frexp(x, &exponent);
    const double unit = ldexp(1.0, exponent < -1000 ? 1000 : -exponent), change = m.unit[j] > 0 ? unit / m.unit[j] : 0;
    m.unit[j] = unit;
    m.centre[j] *= change;
    m.sum[j] *= change;
    m.square[j] = m.square[j] * change * change;
}

// `sum` and `square` are taken about `centre`, so that a mean far from zero costs no digits: a value that occurred, moved to
// the mean when it is known (Chan, Golub and LeVeque 1983).
SOFTMAX_INLINE void add(const Moments& m, ptrdiff_t j, double x, double weight) {
    if (x == 0) return;
    if (m.weight[j] == 0) {
        set_unit(m, j, x);
        m.centre[j] = x * m.unit[j];
    }
    if (!(fabs(x * m.unit[j]) < largest_value)) set_unit(m, j, x);
    const double change = x * m.unit[j] - m.centre[j];
    m.weight[j] += weight;
    m.sum[j] += weight * change;
    m.square[j] += weight * change * change;
}

// (Moves the centre to the mean.)
inline Spread spread(const Moments& m, ptrdiff_t j, double total) {
    const double weight = m.weight[j];
    if (weight == 0) return {0, 0, 0, 0};
    const double shift = m.sum[j] / weight;
    m.centre[j] += shift;
    m.square[j] -= m.sum[j] * shift;
    if (m.square[j] < 0) m.square[j] = 0;
    m.sum[j] = 0;
    const double unit = m.unit[j], centre = m.centre[j], share = weight / total, variance = m.square[j] / weight;
    const double absent = 1 - share > 1e-12 ? 1 - share : 0;  // below, it is the rounding of two sums
    return {share * centre / unit, sqrt(variance + centre * centre * absent) / unit, sqrt(variance + centre * centre) / unit,
            share};
}

SOFTMAX_INLINE double inverse_or_zero(double x) { return x > 1e-300 ? 1 / x : 0; }

// Where a feature is seen from in a stream: (x - offset) * inverse_scale, its step longer by `gain`, and the penalty's scale in
// these units. Values so large that squares overflow are cut off by the rows' loader.
template <class T>
void set_coordinates(const softmax::Coordinates<T>& c, ptrdiff_t j, const Spread& s, bool centre, bool standardize) {
    const double scale = centre ? s.active_deviation : s.root_mean_square;
    const double penalty_scale = standardize ? s.active_deviation : 1;
    const double inverse_scale = penalty_scale > 0 ? inverse_or_zero(scale) : 0;
    c.offset[j] = T(centre ? s.mean : 0);
    c.inverse_scale[j] = T(inverse_scale);
    c.gain[j] = T(s.share > 0 ? sqrt(1 / s.share) : 1);
    c.penalty_ratio[j] = T(penalty_scale * inverse_scale);
}

template <class T, class I>
void accumulate(const softmax::Rows<T, I>& rows, ptrdiff_t n_samples, softmax::Numbers sample_weight, const Moments& m) {
    for (ptrdiff_t i = 0; i < n_samples; ++i) {
        const double weight = sample_weight.data[i * sample_weight.stride];
        if (rows.columns) {
            for (I at = rows.starts[i]; at < rows.starts[i + 1]; ++at) add(m, rows.columns[at], rows.values[at], weight);
        } else {
            const T* const row = rows.values + i * rows.n_features;
            for (ptrdiff_t j = 0; j < rows.n_features; ++j) add(m, j, row[j], weight);
        }
    }
}

}  // namespace
