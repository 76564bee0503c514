// Whether numbers are far from the end of their range. Reads them, and writes nothing.
#pragma once

#include "simd.h"

namespace {

// Whether each is 0, or less than `largest` and no less than `smallest` in size. Without branches: signs are random.
template <class T>
bool are_moderate(const T* values, ptrdiff_t size, double smallest, double largest) {
    using V = Vec<T>;
    const V zero = V::broadcast(0), one = V::broadcast(1), low = V::broadcast(T(smallest)), high = V::broadcast(T(largest));
    V others = zero;
    const auto look = [&](V x) {
        const V length = where_equal(x, zero, one, max(x, zero - x));
        others = max(others, where_less(length, high, where_less(length, low, one, zero), one));
    };
    ptrdiff_t n = 0;
    for (; n + V::lanes <= size; n += V::lanes) look(V::load(values + n));
    T rest[V::lanes] = {};
    for (int lane = 0; n < size; ++lane, ++n) rest[lane] = values[n];
    look(V::load(rest));
    return total(others) == 0;
}

}  // namespace
