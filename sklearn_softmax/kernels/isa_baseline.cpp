// The kernels for what every machine of the architecture has: SSE2 on x86-64, NEON on aarch64.
#define SOFTMAX_VECTOR_BYTES 16
#include "sweep.h"

static bool always() { return true; }

SOFTMAX_INSTRUCTION_SET(baseline, "baseline", always)
