# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, freethreading_compatible=True
"""The border of the compiled part: typed memoryviews in, in-place results out.

What the kernels compute is said in sweep.h and kernels.h. Nothing is checked here: ``_validation``
has done it.
"""

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport calloc, free

ctypedef fused floating:
    float
    double

ctypedef fused index:
    int32_t
    int64_t


cdef extern from "dispatch.h" namespace "softmax" nogil:
    cppclass Rows[T, I]:
        const T* values
        const I* columns
        const I* starts
        Py_ssize_t n_features

    struct Numbers:
        const double* data
        Py_ssize_t stride

    cppclass Sweep[T, I]:
        Rows[T, I] rows
        const int32_t* y
        Numbers sample_weight
        const Py_ssize_t* order
        Py_ssize_t n_visits
        Numbers eta
        Numbers alpha
        double l2_ratio
        double l1_ratio
        bint fit_intercept
        bint may_overflow
        Py_ssize_t average_from
        double unit
        Py_ssize_t n_classes
        Py_ssize_t n_padded
        T* weights
        double* intercept
        T* average
        double* intercept_average
        double averaged_weight
        T* scores
        T* correction
        double* stamps
        double* history

    struct SweepResult:
        double loss
        Py_ssize_t n_visited
        double averaged_weight

    cppclass Decision[T, I]:
        Rows[T, I] rows
        Py_ssize_t n_samples
        Py_ssize_t n_classes
        Py_ssize_t n_padded
        const T* weights
        double unit
        const double* intercept
        T* scores
        T* out

    struct InstructionSet:
        const char* name
        bint (*is_supported)()

    const InstructionSet* instruction_set(int rank)
    void use(const InstructionSet* set)
    SweepResult run_sweep "softmax::sweep"[T, I](const Sweep[T, I]& task)
    void run_decision "softmax::decision"[T, I](const Decision[T, I]& task)


cdef Numbers numbers(const double[:] values) noexcept:
    cdef Numbers result
    result.data = &values[0]
    result.stride = values.strides[0] // <Py_ssize_t> sizeof(double)
    return result


cdef class Scratch:
    """Zeroed memory on a 64-byte boundary, freed with the object."""

    cdef void* memory
    cdef void* start

    def __cinit__(self, size_t n_bytes):
        self.memory = calloc(n_bytes + 64, 1)
        if self.memory == NULL:
            raise MemoryError(f"no room for {n_bytes} bytes of scratch memory")
        self.start = <void*> ((<uintptr_t> self.memory + 63) & ~(<uintptr_t> 63))

    def __dealloc__(self):
        free(self.memory)


def sweep(
    const floating[::1] values,
    const index[::1] columns,
    const index[::1] starts,
    *,
    const int32_t[::1] y,
    const double[:] sample_weight,
    const Py_ssize_t[::1] order,
    const double[:] eta,
    const double[:] alpha,
    double l2_ratio,
    double l1_ratio,
    bint fit_intercept,
    bint may_overflow,
    Py_ssize_t average_from,
    model,
):
    cdef:
        floating[:, ::1] weights = model.weights
        double[::1] intercept = model.intercept
        floating[:, ::1] average
        double[::1] intercept_average
        bint is_sparse = starts.shape[0] > 0
        bint is_averaging = model.average is not None
        Py_ssize_t n_features = weights.shape[0]
        Py_ssize_t n_padded = weights.shape[1]
        Py_ssize_t n_visits = order.shape[0]
        size_t n_bytes_of_weights = n_features * n_padded * sizeof(floating)
        Scratch scores = Scratch(n_padded * sizeof(floating))
        Scratch correction = Scratch(n_bytes_of_weights if is_averaging else 0)
        Scratch stamps = Scratch(n_features * sizeof(double) if is_sparse and l1_ratio > 0 else 0)
        Scratch history = Scratch(
            3 * (n_visits + 1) * sizeof(double) if is_sparse and l1_ratio > 0 and is_averaging else 0
        )
        Sweep[floating, index] task
        SweepResult result

    if n_visits == 0:
        return 0.0, 0
    task.rows.values = &values[0] if values.shape[0] else NULL
    task.rows.columns = (&columns[0] if columns.shape[0] else <const index*> &starts[0]) if is_sparse else NULL
    task.rows.starts = &starts[0] if is_sparse else NULL
    task.rows.n_features = n_features
    task.y = &y[0]
    task.sample_weight = numbers(sample_weight)
    task.order = &order[0]
    task.n_visits = n_visits
    task.eta = numbers(eta)
    task.alpha = numbers(alpha)
    task.l2_ratio = l2_ratio
    task.l1_ratio = l1_ratio
    task.fit_intercept = fit_intercept
    task.may_overflow = may_overflow
    task.average_from = average_from
    task.unit = model.unit
    task.n_classes = model.n_classes
    task.n_padded = n_padded
    task.weights = &weights[0, 0]
    task.intercept = &intercept[0]
    task.average = NULL
    task.intercept_average = NULL
    task.averaged_weight = 0
    if is_averaging:
        average = model.average
        intercept_average = model.intercept_average
        task.average = &average[0, 0]
        task.intercept_average = &intercept_average[0]
        task.averaged_weight = model.averaged_weight
    task.scores = <floating*> scores.start
    task.correction = <floating*> correction.start
    task.stamps = <double*> stamps.start
    task.history = <double*> history.start
    with nogil:
        result = run_sweep(task)
    model.averaged_weight = result.averaged_weight
    return result.loss, result.n_visited


def decision(
    const floating[::1] values,
    const index[::1] columns,
    const index[::1] starts,
    *,
    const floating[:, ::1] weights,
    const double[::1] intercept,
    double unit,
    floating[:, ::1] out,
):
    cdef:
        Scratch scores = Scratch(weights.shape[1] * sizeof(floating))
        Decision[floating, index] task

    if out.shape[0] == 0:
        return
    task.rows.values = &values[0] if values.shape[0] else NULL
    task.rows.columns = &columns[0] if columns.shape[0] else &starts[0]
    task.rows.starts = &starts[0]
    task.rows.n_features = weights.shape[0]
    task.n_samples = out.shape[0]
    task.n_classes = out.shape[1]
    task.n_padded = weights.shape[1]
    task.weights = &weights[0, 0]
    task.unit = unit
    task.intercept = &intercept[0]
    task.scores = <floating*> scores.start
    task.out = &out[0, 0]
    with nogil:
        run_decision(task)


cdef dict _instruction_sets():
    """The rank of each instruction set that this machine has, best first."""
    cdef const InstructionSet* candidate
    found = {}
    rank = 0
    while True:
        candidate = instruction_set(rank)
        if candidate == NULL:
            return found
        if candidate.is_supported():
            found[candidate.name.decode()] = rank
        rank += 1


def available_instruction_sets():
    return list(_instruction_sets())


def use_instruction_set(name):
    ranks = _instruction_sets()
    if name not in ranks:
        raise ValueError(f"instruction set {name!r} is not one that this machine and build have: {list(ranks)}")
    use(instruction_set(ranks[name]))


use_instruction_set(available_instruction_sets()[0])
