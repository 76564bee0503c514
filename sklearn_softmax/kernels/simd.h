// Vectors of fixed width: loads, stores, arithmetic, and the selections that kernels
// need. Touches its arguments only. meson.build sets SOFTMAX_VECTOR_BYTES for each
// instruction set, because a vector that is wider than the registers would be spilled
// to memory.
//
// Everything below has internal linkage: the same templates are compiled once per
// instruction set, and the linker must never hand the code of one set to another. For
// the same reason no std:: header is used.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace {

// A number that is known at compile time, as an argument.
template <int N>
struct Number {
    static constexpr int value = N;
};

template <class T>
struct Bits;
template <>
struct Bits<float> {
    using type = uint32_t;  // unsigned, because overflow has to be defined: it wraps around
    static constexpr int mantissa = 23;
};
template <>
struct Bits<double> {
    using type = uint64_t;
    static constexpr int mantissa = 52;
};

#if defined(__GNUC__) && !defined(SOFTMAX_PLAIN_ARRAYS)
#define SOFTMAX_INLINE inline __attribute__((always_inline))
#define SOFTMAX_SHARED __attribute__((noinline))  // one copy for all the sweeps that call it

template <class T>
struct Vec {
    using Number = T;
    static constexpr int lanes = SOFTMAX_VECTOR_BYTES / sizeof(T);
    typedef T Lanes __attribute__((vector_size(SOFTMAX_VECTOR_BYTES)));
    typedef typename Bits<T>::type BitLanes __attribute__((vector_size(SOFTMAX_VECTOR_BYTES)));
    Lanes v;

    static SOFTMAX_INLINE Vec load(const T* p) {
        Vec r;
        __builtin_memcpy(&r.v, p, sizeof r.v);
        return r;
    }
    SOFTMAX_INLINE void store(T* p) const { __builtin_memcpy(p, &v, sizeof v); }
    static SOFTMAX_INLINE Vec broadcast(T x) { return {x - Lanes{}}; }
    SOFTMAX_INLINE T operator[](int lane) const { return v[lane]; }

    friend SOFTMAX_INLINE Vec operator+(Vec a, Vec b) { return {a.v + b.v}; }
    friend SOFTMAX_INLINE Vec operator-(Vec a, Vec b) { return {a.v - b.v}; }
    friend SOFTMAX_INLINE Vec operator*(Vec a, Vec b) { return {a.v * b.v}; }
    friend SOFTMAX_INLINE Vec operator/(Vec a, Vec b) { return {a.v / b.v}; }
    friend SOFTMAX_INLINE Vec max(Vec a, Vec b) { return {a.v > b.v ? a.v : b.v}; }
    friend SOFTMAX_INLINE Vec min(Vec a, Vec b) { return {a.v < b.v ? a.v : b.v}; }
    // a where x < y, else b
    friend SOFTMAX_INLINE Vec where_less(Vec x, Vec y, Vec a, Vec b) { return {x.v < y.v ? a.v : b.v}; }
    // a where x == y, else b
    friend SOFTMAX_INLINE Vec where_equal(Vec x, Vec y, Vec a, Vec b) { return {x.v == y.v ? a.v : b.v}; }
    // value * 2^n, where the low bits of `shifted` hold the integer n
    friend SOFTMAX_INLINE Vec times_power_of_two(Vec value, Vec shifted) {
        return {(Lanes)((BitLanes)value.v + ((BitLanes)shifted.v << Bits<T>::mantissa))};
    }
};

template <class Lanes>
SOFTMAX_INLINE auto as_double(const Lanes& v) {
    typedef double Doubles __attribute__((vector_size(sizeof v / sizeof v[0] * sizeof(double))));
    return __builtin_convertvector(v, Doubles);
}

// As many numbers as a vector of double has lanes, in double.
template <class T>
SOFTMAX_INLINE Vec<double> widened(const T* p) {
    typedef T Part __attribute__((vector_size(Vec<double>::lanes * sizeof(T))));
    Part part;
    __builtin_memcpy(&part, p, sizeof part);
    return {as_double(part)};
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SOFTMAX_HAS_SHUFFLES
#endif
#endif

// The lanes of one half of a vector. Shuffles stay in registers. A copy through memory
// would be slower.
template <class Half, class Lanes>
SOFTMAX_INLINE Half half(const Lanes& v, int begin) {
    Half part;
#if defined(SOFTMAX_HAS_SHUFFLES)
    constexpr int n = sizeof part / sizeof part[0];
    if constexpr (n == 8)
        part = begin ? __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)
                     : __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
    else if constexpr (n == 4)
        part = begin ? __builtin_shufflevector(v, v, 4, 5, 6, 7) : __builtin_shufflevector(v, v, 0, 1, 2, 3);
    else
        part = begin ? __builtin_shufflevector(v, v, 2, 3) : __builtin_shufflevector(v, v, 0, 1);
#else
    __builtin_memcpy(&part, reinterpret_cast<const char*>(&v) + begin * sizeof v[0], sizeof part);
#endif
    return part;
}

// Reduces all lanes by f. Halves are combined, so the chain of dependent operations has
// length log2(lanes).
template <class Lanes, class F>
SOFTMAX_INLINE auto folded(const Lanes& v, const F& f) {
    constexpr int n = sizeof v / sizeof v[0];
    if constexpr (n == 2) {
        return f(v[0], v[1]);
    } else {
        typedef decltype(+v[0]) Lane;
        typedef Lane Half __attribute__((vector_size(sizeof v / 2)));
        return folded(f(half<Half>(v, 0), half<Half>(v, n / 2)), f);
    }
}

#else  // compilers without vector types: arrays of fixed size, which the compiler may vectorise
#define SOFTMAX_INLINE inline
#define SOFTMAX_SHARED

template <class T>
struct Vec {
    using Number = T;
    static constexpr int lanes = SOFTMAX_VECTOR_BYTES / sizeof(T);
    T v[lanes];

    template <class F>
    static SOFTMAX_INLINE Vec each(F f) {
        Vec r;
        for (int i = 0; i < lanes; ++i) r.v[i] = f(i);
        return r;
    }
    static SOFTMAX_INLINE Vec load(const T* p) {
        return each([=](int i) { return p[i]; });
    }
    SOFTMAX_INLINE void store(T* p) const {
        for (int i = 0; i < lanes; ++i) p[i] = v[i];
    }
    static SOFTMAX_INLINE Vec broadcast(T x) {
        return each([=](int) { return x; });
    }
    SOFTMAX_INLINE T operator[](int lane) const { return v[lane]; }

    friend SOFTMAX_INLINE Vec operator+(Vec a, Vec b) {
        return each([&](int i) { return a.v[i] + b.v[i]; });
    }
    friend SOFTMAX_INLINE Vec operator-(Vec a, Vec b) {
        return each([&](int i) { return a.v[i] - b.v[i]; });
    }
    friend SOFTMAX_INLINE Vec operator*(Vec a, Vec b) {
        return each([&](int i) { return a.v[i] * b.v[i]; });
    }
    friend SOFTMAX_INLINE Vec operator/(Vec a, Vec b) {
        return each([&](int i) { return a.v[i] / b.v[i]; });
    }
    friend SOFTMAX_INLINE Vec max(Vec a, Vec b) {
        return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
    }
    friend SOFTMAX_INLINE Vec min(Vec a, Vec b) {
        return each([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
    }
    friend SOFTMAX_INLINE Vec where_less(Vec x, Vec y, Vec a, Vec b) {
        return each([&](int i) { return x.v[i] < y.v[i] ? a.v[i] : b.v[i]; });
    }
    friend SOFTMAX_INLINE Vec where_equal(Vec x, Vec y, Vec a, Vec b) {
        return each([&](int i) { return x.v[i] == y.v[i] ? a.v[i] : b.v[i]; });
    }
    friend SOFTMAX_INLINE Vec times_power_of_two(Vec value, Vec shifted) {
        using B = typename Bits<T>::type;
        return each([&](int i) {
            B bits, n;
            memcpy(&bits, &value.v[i], sizeof bits);
            memcpy(&n, &shifted.v[i], sizeof n);
            bits += n << Bits<T>::mantissa;
            T r;
            memcpy(&r, &bits, sizeof r);
            return r;
        });
    }
};

template <class T>
SOFTMAX_INLINE Vec<double> widened(const T* p) {
    return Vec<double>::each([=](int i) { return p[i]; });
}

template <class T, int N, class F>
SOFTMAX_INLINE auto folded(const T (&v)[N], const F& f) {
    if constexpr (N == 2) {
        return f(v[0], v[1]);
    } else {
        decltype(f(v[0], v[0])) half[N / 2];
        for (int i = 0; i < N / 2; ++i) half[i] = f(v[i], v[N / 2 + i]);
        return folded(half, f);
    }
}
#endif

// A vector of one lane: the one column of weights of two classes, see margin.h.
template <class T>
struct One {
    using Number = T;
    static constexpr int lanes = 1;
    T v;

    static SOFTMAX_INLINE One load(const T* p) { return {*p}; }
    SOFTMAX_INLINE void store(T* p) const { *p = v; }
    static SOFTMAX_INLINE One broadcast(T x) { return {x}; }

    friend SOFTMAX_INLINE One operator+(One a, One b) { return {a.v + b.v}; }
    friend SOFTMAX_INLINE One operator-(One a, One b) { return {a.v - b.v}; }
    friend SOFTMAX_INLINE One operator*(One a, One b) { return {a.v * b.v}; }
    friend SOFTMAX_INLINE One max(One a, One b) { return {a.v > b.v ? a.v : b.v}; }
    friend SOFTMAX_INLINE One min(One a, One b) { return {a.v < b.v ? a.v : b.v}; }
    friend SOFTMAX_INLINE One where_less(One x, One y, One a, One b) { return {x.v < y.v ? a.v : b.v}; }
    friend SOFTMAX_INLINE One times_power_of_two(One value, One shifted) {
        typename Bits<T>::type bits, n;
        memcpy(&bits, &value.v, sizeof bits);
        memcpy(&n, &shifted.v, sizeof n);
        bits += n << Bits<T>::mantissa;
        memcpy(&value.v, &bits, sizeof bits);
        return value;
    }
};

SOFTMAX_INLINE double as_double(double x) { return x; }
SOFTMAX_INLINE double as_double(float x) { return x; }

// As many numbers of double as a vector has lanes, as that vector.
template <class V>
SOFTMAX_INLINE V narrowed(const double* p) {
    using T = typename V::Number;
    T numbers[V::lanes];
    for (int i = 0; i < V::lanes; ++i) numbers[i] = T(p[i]);
    return V::load(numbers);
}

template <class T>
SOFTMAX_INLINE T largest(Vec<T> a) {
    return folded(a.v, [](auto x, auto y) { return x > y ? x : y; });
}

// Sums leave the vector in double, whatever T is.
template <class T>
SOFTMAX_INLINE double total(Vec<T> a) {
    return folded(a.v, [](auto x, auto y) { return as_double(x) + as_double(y); });
}

SOFTMAX_INLINE void prefetch_for_read(const void* p) {
#if defined(__GNUC__)
    __builtin_prefetch(p, 0);
#else
    (void)p;
#endif
}

SOFTMAX_INLINE void prefetch_for_write(const void* p) {
#if defined(__GNUC__)
    __builtin_prefetch(p, 1);
#else
    (void)p;
#endif
}

}  // namespace
