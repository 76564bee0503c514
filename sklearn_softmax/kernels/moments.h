// Running moments of the values of each feature that are not zero, and the coordinates
// of a stream that follow from them. Reads rows. Writes moments and coordinates.
#pragma once

#include <math.h>

#include "rows.h"

namespace {

using softmax::Feature;
using softmax::Spread;

// Between these, squares neither overflow nor vanish.
constexpr double smallest_value = 1e-100, largest_value = 1e100;

SOFTMAX_INLINE bool is_extreme(double z) { return !(fabs(z) < largest_value) || fabs(z) < smallest_value; }

// Sets the unit to the power of two for which unit * |x| is between 1/2 and 1.
inline void set_unit(Feature& f, double x) {
    int exponent;
    frexp(x, &exponent);
    const double unit = ldexp(1.0, exponent < -1000 ? 1000 : -exponent), change = unit / f.unit;
    f.unit = unit;
    f.pivot *= change;
    f.sum *= change;
    f.square = f.square * change * change;
}

// Adds a value to the moments. Sums about a pivot near the mean lose no digits if the
// mean is far from zero (Chan, Golub and LeVeque 1983). The pivot is the first value,
// and later the mean.
SOFTMAX_INLINE void add(Feature& f, double x, double weight) {
    if (x == 0) return;
    if (f.weight == 0) {
        if (is_extreme(x)) set_unit(f, x);
        f.pivot = x * f.unit;
    }
    if (!(fabs(x * f.unit) < largest_value)) set_unit(f, x);
    const double change = x * f.unit - f.pivot;
    f.weight += weight;
    f.sum += weight * change;
    f.square += weight * change * change;
}

// x / sum, or 0 if the sum is 0. The sum may be so small that 1 / sum would be
// infinite.
SOFTMAX_INLINE double ratio_or_zero(double x, double sum) { return sum > 0 ? x / sum : 0; }

SOFTMAX_INLINE void move_pivot_to_mean(Feature& f) {
    const double shift = ratio_or_zero(f.sum, f.weight), square = f.square - f.sum * shift;
    f.pivot += shift;
    f.square = square > 0 ? square : 0;
    f.sum = 0;
}

SOFTMAX_INLINE double inverse_or_zero(double x) { return x > 2.3e-308 ? 1 / x : 0; }

// A feature is constant if deviation <= most_roundings * rounding * |mean|: values that
// were computed in a few steps differ by a few roundings. The limit does not grow with
// the number of rows, because sums about a pivot add hardly any rounding.
constexpr double most_roundings = 64;

// The spread of a feature whose pivot is the mean. Without branches, so that loops over
// features are vectorised.
SOFTMAX_INLINE Spread spread_about(double unit, double weight, double pivot, double square, double total, double rounding) {
    const double share = weight / total, variance = ratio_or_zero(square, weight), mean_square = pivot * pivot;
    const double absent = 1 - share > 1e-12 ? 1 - share : 0;  // less is the rounding of two sums
    const double active = variance + mean_square * absent, limit = most_roundings * rounding;
    const double deviation = active > limit * limit * mean_square ? sqrt(active) : 0;
    return {share * pivot / unit, deviation / unit, sqrt(variance + mean_square) / unit, share};
}

inline Spread spread(const Feature& feature, double total) {
    Feature f = feature;
    move_pivot_to_mean(f);
    return spread_about(f.unit, f.weight, f.pivot, f.square, total, f.rounding);
}

// The coordinates of one feature in a stream; see Coordinates in kernels.h.
struct Coordinate {
    double offset, inverse_scale, step_scale, penalty_scale;
};

constexpr double smallest_share = 1e-60;  // whose step_scale is finite in float, too

// The step of a feature that occurs in a share of the rows is longer by 1 /
// sqrt(share). The inverse scale is cut off where T would overflow.
template <class T>
SOFTMAX_INLINE Coordinate coordinate_of(const Spread& s, bool with_mean, bool standardize) {
    constexpr double largest = sizeof(T) == 4 ? 3e38 : 1e308;
    const double scale = with_mean ? s.active_deviation : s.root_mean_square;
    const double penalty_scale = standardize ? s.active_deviation : 1;
    const double inverse = inverse_or_zero(scale),
                 inverse_scale = penalty_scale > 0 ? inverse < largest ? inverse : largest : 0;
    const double share = s.share > smallest_share ? s.share : smallest_share;
    return {with_mean ? s.mean : 0, inverse_scale, s.share > 0 ? sqrt(1 / share) : 1, penalty_scale * inverse_scale};
}

template <class T>
SOFTMAX_INLINE void set_coordinates(const softmax::Coordinates<T>& c, ptrdiff_t j, const Spread& s, bool with_mean,
                                    bool standardize) {
    const Coordinate here = coordinate_of<T>(s, with_mean, standardize);
    c.offset[j] = T(here.offset);
    c.inverse_scale[j] = T(here.inverse_scale);
    c.step_scale[j] = T(here.step_scale);
    c.penalty_scale[j] = T(here.penalty_scale);
}

// Dense only: the moments of all features while rows are added, an array of each
// moment, so that vectors run over features.
template <class T>
class DenseMoments {
    using V = Vec<double>;
    Feature* const features;
    const ptrdiff_t n_features;
    double *const unit, *const weight, *const pivot, *const sum, *const square;

   public:
    static ptrdiff_t stride(ptrdiff_t n_features) { return (n_features + 7) / 8 * 8; }

    DenseMoments(Feature* all, ptrdiff_t size, double* memory)
        : features(all),
          n_features(size),
          unit(memory),
          weight(unit + stride(size)),
          pivot(weight + stride(size)),
          sum(pivot + stride(size)),
          square(sum + stride(size)) {
        if (memory)
            for (ptrdiff_t j = 0; j < n_features; ++j) load(j);
    }

    void add_rows(const T* const* rows, const double* weights, int n_rows) {
        ptrdiff_t j = 0;
        for (; j + V::lanes <= n_features; j += V::lanes) {
            const V zero = V::broadcast(0), pivots = V::load(pivot + j), units = V::load(unit + j);
            V new_weight = zero, new_sum = zero, new_square = zero, top = zero;
            for (int r = 0; r < n_rows; ++r) {
                const V x = widened(rows[r] + j), z = x * units, change = z - pivots;
                const V present = where_equal(x, zero, zero, V::broadcast(weights[r])), moved = present * change;
                top = max(top, max(z, zero - z));
                new_weight = new_weight + present;
                new_sum = new_sum + moved;
                new_square = new_square + moved * change;
            }
            const V old_weight = V::load(weight + j);
            // new features, which have no pivot, and extreme values: one by one
            const V is_new = where_equal(old_weight, zero, top, zero);
            if (largest(is_new) > 0 || !(largest(top) < largest_value)) {
                for (ptrdiff_t k = j; k < j + V::lanes; ++k) add_values(k, rows, weights, n_rows);
                continue;
            }
            (old_weight + new_weight).store(weight + j);
            (V::load(sum + j) + new_sum).store(sum + j);
            (V::load(square + j) + new_square).store(square + j);
        }
        for (; j < n_features; ++j) add_values(j, rows, weights, n_rows);
    }

    void set_all_coordinates(const softmax::Coordinates<T>& c, double total, bool with_mean, bool standardize) {
        for (ptrdiff_t j = 0; j < n_features; ++j) {
            const double shift = ratio_or_zero(sum[j], weight[j]);
            const double rest = square[j] - sum[j] * shift;
            pivot[j] += shift;
            square[j] = rest > 0 ? rest : 0;
            sum[j] = 0;
            const Spread s = spread_about(unit[j], weight[j], pivot[j], square[j], total, features[0].rounding);
            set_coordinates(c, j, s, with_mean, standardize);
        }
    }

    void store() const {
        for (ptrdiff_t j = 0; j < n_features; ++j) {
            Feature& f = features[j];
            f.unit = unit[j], f.weight = weight[j], f.pivot = pivot[j], f.sum = sum[j], f.square = square[j];
        }
    }

   private:
    void load(ptrdiff_t j) const {
        const Feature& f = features[j];
        unit[j] = f.unit, weight[j] = f.weight, pivot[j] = f.pivot, sum[j] = f.sum, square[j] = f.square;
    }

    void add_values(ptrdiff_t j, const T* const* rows, const double* weights, int n_rows) {
        Feature& f = features[j];
        f.unit = unit[j], f.weight = weight[j], f.pivot = pivot[j], f.sum = sum[j], f.square = square[j];
        for (int r = 0; r < n_rows; ++r) add(f, rows[r][j], weights[r]);
        load(j);
    }
};

template <class T>
void accumulate(const softmax::Rows<T>& rows, ptrdiff_t n_samples, softmax::Numbers sample_weight, Feature* features,
                double* scratch) {
    if (rows.is_sparse()) {
        const SparseRows<T> sparse{rows};
        for (ptrdiff_t i = 0; i < n_samples; ++i) {
            const double weight = sample_weight.data[i * sample_weight.stride];
            const CsrRow<T> row = sparse.at(i, 0);
            for (ptrdiff_t n = 0; n < row.size; ++n) add(features[row.columns[n]], row.values[n], weight);
        }
        return;
    }
    constexpr int most = 16;
    DenseMoments<T> moments(features, rows.n_features, scratch);
    const T* block[most];
    double weights[most];
    for (ptrdiff_t i = 0; i < n_samples; i += most) {
        const int n_rows = int(n_samples - i < most ? n_samples - i : most);
        for (int r = 0; r < n_rows; ++r) {
            block[r] = rows.values + (i + r) * rows.n_features;
            weights[r] = sample_weight.data[(i + r) * sample_weight.stride];
        }
        moments.add_rows(block, weights, n_rows);
    }
    moments.store();
}

}  // namespace
