// What a visit does to the features that it does not touch, kept in a few numbers:
//
//     W = scale * weights                  the penalty's division, for all features at once
//     threshold                            the sum of all soft thresholds so far, in units of `weights`; a feature
//                                          remembers in its stamp how much of it has been applied (thresholds compose)
//     sum of averaging weight * W          = coverage * weights - correction, where coverage = sum of averaging weight * scale,
//                                          and a change of `weights` at coverage c adds c * change to the correction
//                                          (Xu 2011, "Towards optimal one pass large scale learning with averaged SGD")
//
// `settle` brings every array back to plain values; it ends each sweep, so none of this is seen outside.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace {

// The first index in [low, high) whose value is at least x, or high.
inline ptrdiff_t first_at_least(const double* values, ptrdiff_t low, ptrdiff_t high, double x) {
    while (low < high) {
        const ptrdiff_t middle = low + (high - low) / 2;
        if (values[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// LazyThreshold: the soft thresholds wait until a feature is touched. (A sweep over dense rows touches every feature at
// every visit and applies them itself.)
template <class T, bool LazyThreshold, bool Average>
class LazyModel {
    using V = Vec<T>;
    static constexpr bool keeps_history = LazyThreshold && Average;
    // `weights` grows as 1 / scale: settle well before it leaves the range of T. With an average much earlier, because
    // coverage * weights - correction is a difference of numbers that are larger than the result by 1 / scale.
    static constexpr double smallest_scale = Average ? (sizeof(T) == 8 ? 1e-3 : 1e-1) : (sizeof(T) == 8 ? 1e-100 : 1e-10);

    const ptrdiff_t n_features, n_classes, n_padded;
    const double unit, l2_ratio, l1_ratio;
    T *const weights, *const average, *const correction;
    const double* const intercept;
    double *const intercept_average, *const stamps;

    double threshold = 0;
    double averaged_weight;  // of the average as it stands
    double pending_weight = 0;  // in coverage and correction, not yet in the average
    // after each visit since the last settling: threshold, coverage, and the sum of coverage * change of threshold
    double *const thresholds, *const coverages, *const moments;
    ptrdiff_t age = 0;

   public:
    double scale;
    double coverage = 0;

        explicit LazyModel(const softmax::Sweep<T>& s)
        : n_features(s.rows.n_features),
          n_classes(s.n_classes),
          n_padded(s.n_padded),
          unit(s.unit),
          l2_ratio(s.l2_ratio),
          l1_ratio(s.l1_ratio),
          weights(s.weights),
          average(s.average),
          correction(s.correction),
          intercept(s.intercept),
          intercept_average(s.intercept_average),
          stamps(s.stamps),
          averaged_weight(s.averaged_weight),
          thresholds(s.history),
          coverages(keeps_history ? thresholds + s.n_visits + 1 : nullptr),
          moments(keeps_history ? coverages + s.n_visits + 1 : nullptr),
          scale(s.unit) {}

    double total_averaged_weight() const { return averaged_weight + pending_weight; }

    // The scores of the average, without its intercept, are the products of a row with these arrays, times these numbers.
    struct Shares {
        double of_average, of_weights, of_correction;
    };
    Shares shares() const {
        const double total = total_averaged_weight();
        return {unit * averaged_weight / total, coverage / total, pending_weight > 0 ? -1 / total : 0};
    }

    // The penalty's part of a visit, and the average's. Returns whether that took a settling.
    bool advance(double penalty_step, double average_weight) {
        if constexpr (LazyThreshold) threshold += penalty_step * l1_ratio / scale;
        scale /= 1 + penalty_step * l2_ratio;
        if constexpr (keeps_history) {
            moments[age + 1] = moments[age] + coverage * (threshold - thresholds[age]);
            thresholds[++age] = threshold;
        }
        if constexpr (Average) {
            coverage += average_weight * scale;
            pending_weight += average_weight;
            if (average_weight > 0) average_the_intercept(average_weight);
        }
        if constexpr (keeps_history) coverages[age] = coverage;
        if (scale >= smallest_scale * unit) return false;
        settle();
        return true;
    }

    // Apply to one feature the thresholds of the visits since it was last touched.
    SOFTMAX_INLINE void catch_up(ptrdiff_t feature) {
        const double stamp = stamps[feature], amount = threshold - stamp;
        if (amount == 0) return;
        stamps[feature] = threshold;
        T* const w = weights + feature * n_padded;
        if constexpr (keeps_history) {
            correct_for_thresholds(w, correction + feature * n_padded, stamp, amount);
        } else {
            for (ptrdiff_t k = 0; k < n_padded; k += V::lanes)
                soft_threshold(V::load(w + k), V::broadcast(T(amount))).store(w + k);
        }
    }

    void settle() {
        if constexpr (LazyThreshold)
            for (ptrdiff_t feature = 0; feature < n_features; ++feature) {
                catch_up(feature);
                stamps[feature] = 0;
            }
        const ptrdiff_t size = n_features * n_padded;
        if (Average && pending_weight > 0) {
            const double before = averaged_weight / total_averaged_weight();
            const double now = 1 / (unit * total_averaged_weight());
            for (ptrdiff_t at = 0; at < size; ++at)
                average[at] = T(before * average[at] + now * (coverage * weights[at] - correction[at]));
        }
        if (Average)
            for (ptrdiff_t at = 0; at < size; ++at) correction[at] = 0;
        if (scale != unit)
            for (ptrdiff_t at = 0; at < size; ++at) weights[at] = T(scale / unit * weights[at]);
        averaged_weight = total_averaged_weight();
        scale = unit;
        threshold = coverage = pending_weight = 0;
        age = 0;
    }

   private:
    void average_the_intercept(double weight) const {
        const double share = weight / total_averaged_weight();
        for (ptrdiff_t k = 0; k < n_classes; ++k) intercept_average[k] += share * (intercept[k] - intercept_average[k]);
    }

    // As in catch_up, with the correction: each weight shrank by a little at every visit, until it was zero.
    void correct_for_thresholds(T* w, T* c, double stamp, double amount) {
        const ptrdiff_t from = first_at_least(thresholds, 0, age, stamp);
        for (ptrdiff_t k = 0; k < n_classes; ++k) {
            if (w[k] == 0) continue;
            const double size = w[k] < 0 ? -w[k] : w[k];
            double moment, left = 0;
            if (size > amount) {
                left = size - amount;
                moment = moments[age] - moments[from];
            } else {
                const ptrdiff_t last = first_at_least(thresholds, from + 1, age, stamp + size) - 1;
                moment = moments[last] - moments[from] + coverages[last] * (size - (thresholds[last] - stamp));
            }
            c[k] -= T(w[k] < 0 ? -moment : moment);
            w[k] = T(w[k] < 0 ? -left : left);
        }
    }
};

}  // namespace
