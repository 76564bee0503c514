// The kernels for AVX2 with fused multiply-add; compiled with the flags for them, see meson.build.
#define SOFTMAX_VECTOR_BYTES 32
#include "sweep.h"

static bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

SOFTMAX_INSTRUCTION_SET(avx2, "avx2", has_avx2)
