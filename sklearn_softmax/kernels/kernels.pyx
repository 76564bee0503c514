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

    struct Record:
        pass

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
        Record* record
        T* scores
        T* correction
        double* stamps
        double* history
        T* block

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

    struct Feature:
        pass

    cppclass Coordinates[T]:
        T* offset
        T* inverse_scale
        T* gain
        T* penalty_ratio

    cppclass Visits[T, I]:
        Rows[T, I] rows
        const int32_t* y
        Numbers sample_weight
        const Py_ssize_t* order
        Py_ssize_t n_visits
        double l2_ratio
        double l1_ratio
        bint fit_intercept
        Py_ssize_t n_classes
        Py_ssize_t n_padded
        Py_ssize_t longest_row
        Coordinates[T] coordinates
        T* weights
        double* intercept
        T* table
        T* scratch

    struct Clock:
        double weight
        double norm
        double curvature
        double penalty_step
        double length
        double average_length
        double average_weight
        double loss
        Py_ssize_t n_rows
        Py_ssize_t refresh_at
        Py_ssize_t block_end
        double block_limit
        double block_penalty_step
        double block_average_weight

    cppclass Stream[T, I]:
        Visits[T, I] visits
        double eta0
        double alpha
        bint follows
        bint centre
        bint standardize
        double average_from
        bint averages
        bint settle
        Feature* features
        T* average
        double* intercept_average
        Clock clock
        Record* record
        double* moments
        T* thresholded
        double* norms

    cppclass PointSaga[T, I]:
        Visits[T, I] visits
        double step
        double alpha
        Numbers repeats
        Py_ssize_t average_every
        T* gradient
        double* intercept_gradient
        double* waiting
        T* average
        double* intercept_average
        double loss
        double curvature

    cppclass HessianProduct[T, I]:
        Rows[T, I] rows
        Py_ssize_t n_samples
        Py_ssize_t n_classes
        Py_ssize_t n_padded
        const double* inverse_scale
        const double* shares
        const double* proba
        const double* step
        double* out
        double* scratch

    cppclass TransposedProduct[T, I]:
        Rows[T, I] rows
        Py_ssize_t n_samples
        Py_ssize_t n_classes
        const double* residual
        double* out

    struct InstructionSet:
        const char* name
        Py_ssize_t vector_bytes
        bint (*is_supported)()

    const InstructionSet* instruction_set(int rank)
    void use(const InstructionSet* set)
    const InstructionSet* active()
    struct Spread:
        double mean
        double active_deviation
        double root_mean_square
        double share

    struct Softmax:
        Py_ssize_t n_rows
        Py_ssize_t n_classes
        const int32_t* y
        double* scores
        double* losses
        double* scratch

    void run_softmax "softmax::softmax_rows"(const Softmax& task)
    SweepResult run_sweep "softmax::sweep"[T, I](const Sweep[T, I]& task)
    void run_decision "softmax::decision"[T, I](const Decision[T, I]& task)
    void run_accumulate "softmax::accumulate"[T, I](
        const Rows[T, I]& rows, Py_ssize_t n_samples, Numbers sample_weight, Feature* features, double* scratch
    )
    Spread spread_of "softmax::spread"(const Feature& feature, double total_weight)
    void set_feature "softmax::set_coordinates"[T](
        const Coordinates[T]& coordinates, Py_ssize_t feature, const Spread& spread, bint centre, bint standardize
    )
    size_t scratch_size "softmax::scratch_size"[T, I](const Visits[T, I]& visits)
    void run_stream "softmax::stream"[T, I](Stream[T, I]& task)
    void run_point_saga "softmax::point_saga"[T, I](PointSaga[T, I]& task)
    void run_hessian_product "softmax::hessian_product"[T, I](const HessianProduct[T, I]& task)
    void run_transposed_product "softmax::transposed_product"[T, I](const TransposedProduct[T, I]& task)


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
    double[::1] record,
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
        Scratch scores = Scratch(3 * n_padded * sizeof(floating))
        Scratch correction = Scratch(n_bytes_of_weights if is_averaging else 0)
        Scratch stamps = Scratch(n_features * sizeof(double) if is_sparse and l1_ratio > 0 else 0)
        Scratch history = Scratch(
            3 * (n_visits + 1) * sizeof(double) if is_sparse and l1_ratio > 0 and is_averaging else 0
        )
        Sweep[floating, index] task
        SweepResult result
        Visits[floating, index] size
        Scratch block

    if n_visits == 0:
        return 0.0, 0
    set_rows[floating, index](&task.rows, values, columns, starts, n_features)
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
    task.record = <Record*> &record[0] if record is not None else NULL
    task.scores = <floating*> scores.start
    task.correction = <floating*> correction.start
    task.stamps = <double*> stamps.start
    task.history = <double*> history.start
    size.rows = task.rows
    size.n_padded = n_padded
    size.n_visits = 0 if is_sparse else n_visits
    size.longest_row = 0
    block = Scratch(scratch_size(size) * sizeof(floating))
    task.block = <floating*> block.start
    with nogil:
        result = run_sweep(task)
    model.averaged_weight = result.averaged_weight
    return result.loss, result.n_visited


cdef void set_rows(
    Rows[floating, index]* rows,
    const floating[::1] values,
    const index[::1] columns,
    const index[::1] starts,
    Py_ssize_t n_features,
):
    """Dense if there are no starts. (An array without elements has no address to take, whatever it is good for.)"""
    rows.values = &values[0] if values.shape[0] else NULL
    rows.starts = &starts[0] if starts.shape[0] else NULL
    rows.columns = &columns[0] if columns.shape[0] else rows.starts
    rows.n_features = n_features


cdef void set_coordinates(Coordinates[floating]* task, coordinates, const floating[:, ::1] weights):
    cdef:
        floating[::1] offset = coordinates.offset
        floating[::1] inverse_scale = coordinates.inverse_scale
        floating[::1] gain = coordinates.gain
        floating[::1] penalty_ratio = coordinates.penalty_ratio

    task.offset = &offset[0]
    task.inverse_scale = &inverse_scale[0]
    task.gain = &gain[0]
    task.penalty_ratio = &penalty_ratio[0]


def flaw_of_csr(
    const floating[::1] values, const index[::1] columns, const index[::1] starts, *, Py_ssize_t n_features
):
    cdef:
        Py_ssize_t i, n
        bint is_sorted = True, has_zeros = False

    for i in range(starts.shape[0] - 1):
        if starts[i] > starts[i + 1]:
            return "starts"
        for n in range(starts[i], starts[i + 1]):
            if columns[n] < 0 or columns[n] >= n_features:
                return "columns"
            is_sorted &= n == starts[i] or columns[n - 1] < columns[n]
            has_zeros |= values[n] == 0
    return "entries" if has_zeros or not is_sorted else None


def accumulate(
    const floating[::1] values,
    const index[::1] columns,
    const index[::1] starts,
    *,
    const double[:] sample_weight,
    double[:, ::1] features,
):
    cdef:
        Rows[floating, index] rows
        Numbers weights = numbers(sample_weight)
        Py_ssize_t n_samples = sample_weight.shape[0]
        Feature* first = <Feature*> &features[0, 0]
        Scratch scratch = Scratch(n_moments(starts.shape[0] > 0, features.shape[0], 0) * sizeof(double))
        double* moments = <double*> scratch.start

    set_rows[floating, index](&rows, values, columns, starts, features.shape[0])
    with nogil:
        run_accumulate(rows, n_samples, weights, first, moments)


def spreads(const double[:, ::1] features, double total_weight, double[:, ::1] out):
    cdef:
        Py_ssize_t j
        Spread one

    for j in range(features.shape[0]):
        one = spread_of((<const Feature*> &features[j, 0])[0], total_weight)
        out[0, j], out[1, j], out[2, j], out[3, j] = one.mean, one.active_deviation, one.root_mean_square, one.share


def set_stream_coordinates(
    const double[:, ::1] features,
    double total_weight,
    *,
    bint centre,
    bint standardize,
    coordinates,
    const floating[:, ::1] weights,
):
    cdef:
        Coordinates[floating] target
        Py_ssize_t j
        Spread one

    set_coordinates[floating](&target, coordinates, weights)
    for j in range(features.shape[0]):
        one = spread_of((<const Feature*> &features[j, 0])[0], total_weight)
        set_feature(target, j, one, centre, standardize)


cdef Py_ssize_t n_moments(bint is_sparse, Py_ssize_t n_features, Py_ssize_t longest) noexcept:
    """Numbers of double that the moments of a stream need for a moment; see Stream in kernels.h."""
    return 13 * longest if is_sparse else 5 * (n_features + 8)


cdef Py_ssize_t longest_row(const index[::1] starts) noexcept:
    cdef Py_ssize_t longest = 0, i
    for i in range(starts.shape[0] - 1):
        longest = max(longest, <Py_ssize_t> (starts[i + 1] - starts[i]))
    return longest


cdef void set_visits(
    Visits[floating, index]* task,
    const floating[::1] values,
    const index[::1] columns,
    const index[::1] starts,
    const int32_t[::1] y,
    const double[:] sample_weight,
    const Py_ssize_t[::1] order,
    penalty,
    bint fit_intercept,
    coordinates,
    Py_ssize_t n_classes,
    floating[:, ::1] weights,
    double[::1] intercept,
):
    """All of `task` but the table and the scratch memory."""
    set_rows[floating, index](&task.rows, values, columns, starts, weights.shape[0])
    set_coordinates[floating](&task.coordinates, coordinates, weights)
    task.y = &y[0]
    task.sample_weight = numbers(sample_weight)
    task.order = &order[0]
    task.n_visits = order.shape[0]
    task.l2_ratio = penalty.l2_ratio
    task.l1_ratio = penalty.l1_ratio
    task.fit_intercept = fit_intercept
    task.n_classes = n_classes
    task.n_padded = weights.shape[1]
    task.longest_row = longest_row(starts)
    task.weights = &weights[0, 0]
    task.intercept = &intercept[0]
    task.table = NULL


def stream(
    const floating[::1] values,
    const index[::1] columns,
    const index[::1] starts,
    *,
    const int32_t[::1] y,
    const double[:] sample_weight,
    const Py_ssize_t[::1] order,
    double eta0,
    penalty,
    bint fit_intercept,
    bint centre,
    bint standardize,
    double average_from,
    bint averages,
    bint settle,
    bint follows,
    table,
    double[::1] norms,
    double[::1] record,
    state,
):
    cdef:
        floating[:, ::1] weights = state.model.weights
        double[::1] intercept = state.model.intercept
        floating[:, ::1] average = state.model.average
        double[::1] intercept_average = state.model.intercept_average
        double[:, ::1] features = state.features.numbers
        floating[:, ::1] residuals
        Stream[floating, index] task
        Scratch scratch, moments, thresholded

    set_visits[floating, index](
        &task.visits, values, columns, starts, y, sample_weight, order, penalty, fit_intercept, state.coordinates,
        state.model.n_classes, weights, intercept,
    )
    task.eta0 = eta0
    task.alpha = penalty.alpha
    task.centre = centre
    task.standardize = standardize
    task.average_from = average_from
    task.averages = averages
    task.settle = settle
    task.norms = &norms[0] if norms is not None else NULL
    task.record = <Record*> &record[0] if record is not None else NULL
    task.follows = follows
    task.features = <Feature*> &features[0, 0]
    moments = Scratch(
        n_moments(starts.shape[0] > 0, features.shape[0], task.visits.longest_row) * sizeof(double) if follows else 0
    )
    task.moments = <double*> moments.start
    # its pages are there when they are touched first
    thresholded = Scratch(2 * weights.shape[0] * weights.shape[1] * sizeof(floating) if penalty.l1_ratio > 0 else 0)
    task.thresholded = <floating*> thresholded.start if penalty.l1_ratio > 0 else NULL
    if table is not None:
        residuals = table
        task.visits.table = &residuals[0, 0]
    task.average = &average[0, 0]
    task.intercept_average = &intercept_average[0]
    clock = state.clock
    task.clock.weight = clock.weight
    task.clock.norm = clock.norm
    task.clock.curvature = clock.curvature
    task.clock.penalty_step = clock.penalty_step
    task.clock.length = clock.length
    task.clock.average_length = clock.average_length
    task.clock.average_weight = clock.average_weight
    task.clock.loss = clock.loss
    task.clock.n_rows = clock.n_rows
    task.clock.refresh_at = clock.refresh_at
    task.clock.block_end = clock.block_end
    task.clock.block_limit = clock.block_limit
    task.clock.block_penalty_step = clock.block_penalty_step
    task.clock.block_average_weight = clock.block_average_weight
    scratch = Scratch(scratch_size(task.visits) * sizeof(floating))
    task.visits.scratch = <floating*> scratch.start
    with nogil:
        run_stream(task)
    clock.weight = task.clock.weight
    clock.norm = task.clock.norm
    clock.curvature = task.clock.curvature
    clock.penalty_step = task.clock.penalty_step
    clock.length = task.clock.length
    clock.average_length = task.clock.average_length
    clock.average_weight = task.clock.average_weight
    clock.loss = task.clock.loss
    clock.n_rows = task.clock.n_rows
    clock.refresh_at = task.clock.refresh_at
    clock.block_end = task.clock.block_end
    clock.block_limit = task.clock.block_limit
    clock.block_penalty_step = task.clock.block_penalty_step
    clock.block_average_weight = task.clock.block_average_weight


def point_saga(
    const floating[::1] values,
    const index[::1] columns,
    const index[::1] starts,
    *,
    const int32_t[::1] y,
    const double[:] sample_weight,
    const Py_ssize_t[::1] order,
    const double[:] repeats,
    Py_ssize_t average_every,
    double step,
    penalty,
    bint fit_intercept,
    coordinates,
    model,
    floating[:, ::1] table,
    floating[:, ::1] gradient,
    double[::1] intercept_gradient,
):
    cdef:
        floating[:, ::1] weights = model.weights
        double[::1] intercept = model.intercept
        floating[:, ::1] average = model.average
        double[::1] intercept_average = model.intercept_average
        PointSaga[floating, index] task
        Scratch waiting = Scratch(3 * weights.shape[0] * sizeof(double) if starts.shape[0] else 0)
        Scratch scratch

    set_visits[floating, index](
        &task.visits, values, columns, starts, y, sample_weight, order, penalty, fit_intercept, coordinates,
        model.n_classes, weights, intercept,
    )
    task.visits.table = &table[0, 0]
    task.step = step
    task.repeats = numbers(repeats)
    task.average_every = average_every
    task.average = &average[0, 0]
    task.intercept_average = &intercept_average[0]
    task.alpha = penalty.alpha
    task.gradient = &gradient[0, 0]
    task.intercept_gradient = &intercept_gradient[0]
    task.waiting = <double*> waiting.start
    task.loss = 0
    task.curvature = 0
    scratch = Scratch(scratch_size(task.visits) * sizeof(floating))
    task.visits.scratch = <floating*> scratch.start
    with nogil:
        run_point_saga(task)
    return task.loss, task.curvature


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
    set_rows[floating, index](&task.rows, values, columns, starts, weights.shape[0])
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


def hessian_product(
    const floating[::1] values,
    const index[::1] columns,
    const index[::1] starts,
    *,
    const double[::1] inverse_scale,
    const double[::1] shares,
    const double[:, ::1] proba,
    const double[:, ::1] step,
    double[:, ::1] out,
):
    cdef:
        HessianProduct[floating, index] task
        Scratch scratch = Scratch((2 * step.shape[1] + longest_row(starts)) * sizeof(double))

    set_rows[floating, index](&task.rows, values, columns, starts, inverse_scale.shape[0])
    task.n_samples = shares.shape[0]
    task.n_classes = proba.shape[1]
    task.n_padded = step.shape[1]
    task.inverse_scale = &inverse_scale[0]
    task.shares = &shares[0]
    task.proba = &proba[0, 0]
    task.step = &step[0, 0]
    task.out = &out[0, 0]
    task.scratch = <double*> scratch.start
    with nogil:
        run_hessian_product(task)


def add_transposed_product(
    const floating[::1] values,
    const index[::1] columns,
    const index[::1] starts,
    *,
    const double[:, ::1] residual,
    double[:, ::1] out,
):
    cdef TransposedProduct[floating, index] task

    if residual.shape[0] == 0:
        return
    set_rows[floating, index](&task.rows, values, columns, starts, out.shape[0])
    task.n_samples = residual.shape[0]
    task.n_classes = residual.shape[1]
    task.residual = &residual[0, 0]
    task.out = &out[0, 0]
    with nogil:
        run_transposed_product(task)


def softmax(double[:, ::1] scores, const int32_t[::1] y, double[::1] losses):
    cdef:
        Softmax task
        Scratch scratch = Scratch(active().vector_bytes)

    task.n_rows = scores.shape[0]
    task.n_classes = scores.shape[1]
    if task.n_rows == 0:
        return
    task.y = &y[0]
    task.scores = &scores[0, 0]
    task.losses = &losses[0]
    task.scratch = <double*> scratch.start
    with nogil:
        run_softmax(task)


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


def instruction_set_in_use():
    return active().name.decode()


def vector_bytes():
    return active().vector_bytes


def available_instruction_sets():
    return list(_instruction_sets())


def use_instruction_set(name):
    ranks = _instruction_sets()
    if name not in ranks:
        raise ValueError(f"instruction set {name!r} is not one that this machine and build have: {list(ranks)}")
    use(instruction_set(ranks[name]))


use_instruction_set(available_instruction_sets()[0])
