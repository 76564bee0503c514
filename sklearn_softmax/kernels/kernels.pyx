# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, freethreading_compatible=True
"""The border of the compiled part: memoryviews become the structs of kernels.h.

What kernels compute is said in kernels.h, and what arguments mean in kernels.pyi. Nothing is
checked here, because ``_validation`` has done it. Functions change their OUT and INOUT
arguments only, and free the TEMP memory that they make.
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
    cppclass Rows[T]:
        const T* values
        const void* columns
        const void* starts
        bint wide_columns
        bint wide_starts
        Py_ssize_t n_features
        Py_ssize_t longest_row
        int32_t* narrowed
        T* gathered

    struct Numbers:
        const double* data
        Py_ssize_t stride

    struct ProgressiveLoss:
        pass

    cppclass Decision[T]:
        Rows[T] rows
        Py_ssize_t n_samples
        Py_ssize_t n_classes
        Py_ssize_t n_padded
        const T* weights
        const double* intercept
        T* scores
        T* out

    struct Feature:
        pass

    cppclass Coordinates[T]:
        T* offset
        T* inverse_scale
        T* step_scale
        T* penalty_scale

    cppclass Visits[T]:
        Rows[T] rows
        const int32_t* y
        Numbers sample_weight
        const T* label_shift
        const T* score_offset
        const Py_ssize_t* order
        Py_ssize_t n_visits
        double l2_ratio
        double l1_ratio
        bint fit_intercept
        Py_ssize_t n_classes
        Py_ssize_t n_padded
        Coordinates[T] coordinates
        T* weights
        double* intercept
        T* table
        T* scratch

    struct StreamScalars:
        pass

    struct WaitingFeature:
        pass

    cppclass Explicit[T]:
        Visits[T] visits
        Numbers eta
        Numbers alpha
        Numbers threshold_factor
        bint may_overflow
        Py_ssize_t average_from
        T* average
        double* intercept_average
        double averaged_weight
        double threshold
        double average_threshold
        ProgressiveLoss* progressive_loss
        WaitingFeature* waiting
        double loss
        Py_ssize_t n_visited

    cppclass Stream[T]:
        Visits[T] visits
        double eta0
        double alpha
        bint adaptive
        bint with_mean
        bint standardize
        double average_from
        bint averages
        bint forgets
        bint flush
        Feature* features
        T* average
        double* intercept_average
        StreamScalars* scalars
        ProgressiveLoss* progressive_loss
        double* moments
        T* thresholded
        double* norms

    cppclass PointSaga[T]:
        Visits[T] visits
        double step
        double alpha
        Numbers repeats
        T* gradient
        double* intercept_gradient
        double* waiting
        T* average
        double* intercept_average
        double loss
        double curvature
        double penalty

    cppclass Pass[T]:
        Rows[T] rows
        Py_ssize_t n_samples
        Py_ssize_t n_classes
        Py_ssize_t n_padded
        const double* offset
        const double* inverse_scale
        const double* point
        double* out
        double* scratch

    cppclass LossGradient[T]:
        Pass[T] pass_ "pass"
        const int32_t* y
        const double* shares
        const double* label_shift
        const double* score_offset
        double* scores
        double loss

    cppclass HessianProduct[T]:
        Pass[T] pass_ "pass"
        const double* shares
        const double* proba

    cppclass SmallNewton[T]:
        LossGradient[T] loss
        const double* l2
        const double* per_unit
        bint fit_intercept
        double tol
        Py_ssize_t most_steps
        Py_ssize_t most_passes
        double* point
        double* gradient
        double value
        double size
        Py_ssize_t n_steps
        Py_ssize_t n_passes
        double* values
        Py_ssize_t* passes

    cppclass TransposedProduct[T]:
        Rows[T] rows
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
    void run_explicit "softmax::explicit_sweep"[T](Explicit[T]& task)
    void run_decision "softmax::decision"[T](const Decision[T]& task)
    bint values_are_moderate "softmax::are_moderate"[T](
        const T* values, Py_ssize_t size, double smallest, double largest
    )
    void run_accumulate "softmax::accumulate"[T](
        const Rows[T]& rows, Py_ssize_t n_samples, Numbers sample_weight, Feature* features, double* scratch
    )
    Spread spread_of "softmax::spread"(const Feature& feature, double total_weight)
    void set_feature "softmax::set_coordinates"[T](
        const Coordinates[T]& coordinates, Py_ssize_t feature, const Spread& spread, bint with_mean, bint standardize
    )
    size_t scratch_size "softmax::scratch_size"[T](const Visits[T]& visits)
    void run_stream "softmax::stream"[T](Stream[T]& task)
    void run_point_saga "softmax::point_saga"[T](PointSaga[T]& task)
    size_t pass_scratch "softmax::pass_scratch"[T](const Pass[T]& task)
    void run_loss_gradient "softmax::loss_gradient"[T](LossGradient[T]& task)
    void run_hessian_product "softmax::hessian_product"[T](const HessianProduct[T]& task)
    size_t small_newton_scratch "softmax::small_newton_scratch"[T](const Pass[T]& task)
    void run_small_newton "softmax::small_newton"[T](SmallNewton[T]& task)
    void run_transposed_product "softmax::transposed_product"[T](const TransposedProduct[T]& task)


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


cdef class Indices:
    """Columns and starts of CSR rows, each int32 or int64; both are empty for dense rows."""

    cdef:
        const int32_t[::1] columns, starts
        const int64_t[::1] wide_columns, wide_starts
        const void* first_column
        const void* first_start
        bint is_sparse, has_wide_columns, has_wide_starts
        Py_ssize_t longest_row
        Scratch narrowed

    def __cinit__(self, columns, starts):
        self.first_column = self.first_start = NULL
        self.longest_row = 0
        self.has_wide_columns, self.has_wide_starts = columns.itemsize == 8, starts.itemsize == 8
        if self.has_wide_starts:
            self.wide_starts = starts
            self._set_starts(self.wide_starts)
        else:
            self.starts = starts
            self._set_starts(self.starts)
        self.is_sparse = self.first_start != NULL
        self.first_column = self.first_start  # an array without elements has no address to take
        if self.has_wide_columns:
            self.wide_columns = columns
            if self.wide_columns.shape[0]:
                self.first_column = &self.wide_columns[0]
        else:
            self.columns = columns
            if self.columns.shape[0]:
                self.first_column = &self.columns[0]
        self.narrowed = Scratch(2 * self.longest_row * sizeof(int32_t) if self.has_wide_columns else 0)

    cdef void _set_starts(self, const index[::1] starts) noexcept:
        cdef Py_ssize_t longest = 0, i
        if starts.shape[0]:
            self.first_start = &starts[0]
        for i in range(starts.shape[0] - 1):
            longest = max(longest, <Py_ssize_t> (starts[i + 1] - starts[i]))
        self.longest_row = longest


cdef void set_rows(Rows[floating]* rows, const floating[::1] values, Indices indices, Py_ssize_t n_features):
    rows.values = &values[0] if values.shape[0] else NULL
    rows.columns = indices.first_column
    rows.starts = indices.first_start
    rows.wide_columns = indices.has_wide_columns
    rows.wide_starts = indices.has_wide_starts
    rows.n_features = n_features
    rows.longest_row = indices.longest_row
    rows.narrowed = <int32_t*> indices.narrowed.start


def explicit(
    const floating[::1] values,
    columns,
    starts,
    *,
    const int32_t[::1] y,
    const double[:] sample_weight,
    const Py_ssize_t[::1] order,
    const double[:] eta,
    const double[:] alpha,
    const double[:] threshold_factor,
    penalty,
    bint fit_intercept,
    bint may_overflow,
    Py_ssize_t average_from,
    double[::1] progressive_loss,
    model,
    const floating[:, ::1] label_shift=None,
    const floating[:, ::1] score_offset=None,
):
    cdef:
        floating[:, ::1] weights = model.weights
        double[::1] intercept = model.intercept
        floating[:, ::1] average
        double[::1] intercept_average
        Indices indices = Indices(columns, starts)
        Py_ssize_t n_features = weights.shape[0]
        Explicit[floating] task
        Scratch scratch, waiting, narrowed, gathered

    if order.shape[0] == 0:
        return 0.0, 0
    set_visits[floating](
        &task.visits, values, indices, y, sample_weight, label_shift, score_offset, order, penalty, fit_intercept,
        model.n_classes, weights, intercept,
    )
    task.eta = numbers(eta)
    task.alpha = numbers(alpha)
    task.threshold_factor = numbers(threshold_factor)
    task.may_overflow = may_overflow
    task.average_from = average_from
    task.average = NULL
    task.intercept_average = NULL
    task.averaged_weight = model.averaged_weight
    if model.average is not None:
        average = model.average
        intercept_average = model.intercept_average
        task.average = &average[0, 0]
        task.intercept_average = &intercept_average[0]
    task.threshold = model.threshold
    task.average_threshold = model.average_threshold
    task.progressive_loss = <ProgressiveLoss*> &progressive_loss[0] if progressive_loss is not None else NULL
    waiting = Scratch(n_features * sizeof(WaitingFeature) if model.average is not None else 0)
    task.waiting = <WaitingFeature*> waiting.start
    task.loss = 0
    task.n_visited = 0
    if not indices.is_sparse:  # rows that are not visited in blocks are visited as sparse ones
        narrowed = Scratch(2 * n_features * sizeof(int32_t))
        gathered = Scratch(2 * n_features * sizeof(floating))
        task.visits.rows.narrowed = <int32_t*> narrowed.start
        task.visits.rows.gathered = <floating*> gathered.start
        task.visits.rows.longest_row = n_features
    scratch = Scratch(scratch_size(task.visits) * sizeof(floating))
    task.visits.scratch = <floating*> scratch.start
    with nogil:
        run_explicit(task)
    model.averaged_weight = task.averaged_weight
    model.threshold, model.average_threshold = task.threshold, task.average_threshold
    return task.loss, task.n_visited


cdef void set_coordinates(Coordinates[floating]* task, coordinates, const floating[:, ::1] weights):
    cdef:
        floating[::1] offset = coordinates.offset
        floating[::1] inverse_scale = coordinates.inverse_scale
        floating[::1] step_scale = coordinates.step_scale
        floating[::1] penalty_scale = coordinates.penalty_scale

    task.offset = &offset[0]
    task.inverse_scale = &inverse_scale[0]
    task.step_scale = &step_scale[0]
    task.penalty_scale = &penalty_scale[0]


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


def are_moderate(const floating[::1] values, const double[:] sample_weight, *, double largest_value, double largest_weight):
    cdef:
        Py_ssize_t i
        bint weights_are = True
        double smallest_weight = 1 / largest_weight

    for i in range(sample_weight.shape[0]):
        weights_are &= smallest_weight < sample_weight[i] < largest_weight
    return weights_are and (
        values.shape[0] == 0 or values_are_moderate(&values[0], values.shape[0], 1 / largest_value, largest_value)
    )


def accumulate(
    const floating[::1] values,
    columns,
    starts,
    *,
    const double[:] sample_weight,
    double[:, ::1] features,
):
    cdef:
        Indices indices = Indices(columns, starts)
        Rows[floating] rows
        Numbers weights = numbers(sample_weight)
        Py_ssize_t n_samples = sample_weight.shape[0]
        Feature* first = <Feature*> &features[0, 0]
        Scratch scratch = Scratch(n_moments(indices.is_sparse, features.shape[0], 0) * sizeof(double))
        double* moments = <double*> scratch.start

    set_rows[floating](&rows, values, indices, features.shape[0])
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
    """The size of the TEMP memory `moments`, in doubles; see Stream in kernels.h."""
    return 13 * longest if is_sparse else 5 * (n_features + 8)


cdef void set_visits(
    Visits[floating]* task,
    const floating[::1] values,
    Indices indices,
    const int32_t[::1] y,
    const double[:] sample_weight,
    const floating[:, ::1] label_shift,
    const floating[:, ::1] score_offset,
    const Py_ssize_t[::1] order,
    penalty,
    bint fit_intercept,
    Py_ssize_t n_classes,
    floating[:, ::1] weights,
    double[::1] intercept,
):
    """Fill `task`, except for the coordinates, the table and the scratch memory."""
    set_rows[floating](&task.rows, values, indices, weights.shape[0])
    task.y = &y[0]
    task.sample_weight = numbers(sample_weight)
    task.label_shift = &label_shift[0, 0] if label_shift is not None else NULL
    task.score_offset = &score_offset[0, 0] if score_offset is not None else NULL
    task.order = &order[0]
    task.n_visits = order.shape[0]
    task.l2_ratio = penalty.l2_ratio
    task.l1_ratio = penalty.l1_ratio
    task.fit_intercept = fit_intercept
    task.n_classes = n_classes
    task.n_padded = weights.shape[1]
    task.weights = &weights[0, 0]
    task.intercept = &intercept[0]
    task.table = NULL


def stream(
    const floating[::1] values,
    columns,
    starts,
    *,
    const int32_t[::1] y,
    const double[:] sample_weight,
    const Py_ssize_t[::1] order,
    double eta0,
    penalty,
    bint fit_intercept,
    bint with_mean,
    bint standardize,
    double average_from,
    bint averages,
    bint forgets,
    bint flush,
    bint adaptive,
    table,
    double[::1] norms,
    double[::1] progressive_loss,
    double[::1] scalars,
    state,
    const floating[:, ::1] label_shift=None,
    const floating[:, ::1] score_offset=None,
):
    cdef:
        floating[:, ::1] weights = state.model.weights
        double[::1] intercept = state.model.intercept
        floating[:, ::1] average = state.model.average
        double[::1] intercept_average = state.model.intercept_average
        double[:, ::1] features = state.features.numbers
        floating[:, ::1] residuals
        Indices indices = Indices(columns, starts)
        Stream[floating] task
        Scratch scratch, moments, thresholded

    set_visits[floating](
        &task.visits, values, indices, y, sample_weight, label_shift, score_offset, order, penalty, fit_intercept,
        state.model.n_classes, weights, intercept,
    )
    set_coordinates[floating](&task.visits.coordinates, state.coordinates, weights)
    task.eta0 = eta0
    task.alpha = penalty.alpha
    task.with_mean = with_mean
    task.standardize = standardize
    task.average_from = average_from
    task.averages = averages
    task.forgets = forgets
    task.flush = flush
    task.norms = &norms[0] if norms is not None else NULL
    task.progressive_loss = <ProgressiveLoss*> &progressive_loss[0] if progressive_loss is not None else NULL
    task.adaptive = adaptive
    task.scalars = <StreamScalars*> &scalars[0]
    task.features = <Feature*> &features[0, 0]
    moments = Scratch(
        n_moments(indices.is_sparse, features.shape[0], indices.longest_row) * sizeof(double) if adaptive else 0
    )
    task.moments = <double*> moments.start
    # memory of calloc costs nothing until it is written
    thresholded = Scratch(3 * weights.shape[0] * weights.shape[1] * sizeof(floating) if penalty.l1_ratio > 0 else 0)
    task.thresholded = <floating*> thresholded.start if penalty.l1_ratio > 0 else NULL
    if table is not None:
        residuals = table
        task.visits.table = &residuals[0, 0]
    task.average = &average[0, 0]
    task.intercept_average = &intercept_average[0]
    scratch = Scratch(scratch_size(task.visits) * sizeof(floating))
    task.visits.scratch = <floating*> scratch.start
    with nogil:
        run_stream(task)


def point_saga(
    const floating[::1] values,
    columns,
    starts,
    *,
    const int32_t[::1] y,
    const double[:] sample_weight,
    const Py_ssize_t[::1] order,
    const double[:] repeats,
    double step,
    penalty,
    bint fit_intercept,
    coordinates,
    model,
    floating[:, ::1] table,
    floating[:, ::1] gradient,
    double[::1] intercept_gradient,
    const floating[:, ::1] label_shift=None,
    const floating[:, ::1] score_offset=None,
):
    cdef:
        floating[:, ::1] weights = model.weights
        double[::1] intercept = model.intercept
        floating[:, ::1] average = model.average
        double[::1] intercept_average = model.intercept_average
        Indices indices = Indices(columns, starts)
        PointSaga[floating] task
        Scratch waiting = Scratch(4 * weights.shape[0] * sizeof(double) if indices.is_sparse else 0)
        Scratch scratch

    set_visits[floating](
        &task.visits, values, indices, y, sample_weight, label_shift, score_offset, order, penalty, fit_intercept,
        model.n_classes, weights, intercept,
    )
    set_coordinates[floating](&task.visits.coordinates, coordinates, weights)
    task.visits.table = &table[0, 0]
    task.step = step
    task.repeats = numbers(repeats)
    task.average = &average[0, 0]
    task.intercept_average = &intercept_average[0]
    task.alpha = penalty.alpha
    task.gradient = &gradient[0, 0]
    task.intercept_gradient = &intercept_gradient[0]
    task.waiting = <double*> waiting.start
    task.loss = 0
    task.curvature = 0
    task.penalty = 0
    scratch = Scratch(scratch_size(task.visits) * sizeof(floating))
    task.visits.scratch = <floating*> scratch.start
    with nogil:
        run_point_saga(task)
    return task.loss, task.curvature, task.penalty


def decision(
    const floating[::1] values,
    columns,
    starts,
    *,
    const floating[:, ::1] weights,
    const double[::1] intercept,
    floating[:, ::1] out,
):
    cdef:
        Indices indices = Indices(columns, starts)
        Scratch scores = Scratch(weights.shape[1] * sizeof(floating))
        Decision[floating] task

    if out.shape[0] == 0:
        return
    set_rows[floating](&task.rows, values, indices, weights.shape[0])
    task.n_samples = out.shape[0]
    task.n_classes = out.shape[1]
    task.n_padded = weights.shape[1]
    task.weights = &weights[0, 0]
    task.intercept = &intercept[0]
    task.scores = <floating*> scores.start
    task.out = &out[0, 0]
    with nogil:
        run_decision(task)


cdef void set_pass(
    Pass[floating]* task,
    const floating[::1] values,
    Indices indices,
    Py_ssize_t n_samples,
    Py_ssize_t n_classes,
    const double[::1] offset,
    const double[::1] inverse_scale,
    const double[:, ::1] point,
    double[:, ::1] out,
):
    set_rows[floating](&task.rows, values, indices, inverse_scale.shape[0])
    task.n_samples, task.n_classes, task.n_padded = n_samples, n_classes, point.shape[1]
    task.offset = &offset[0]
    task.inverse_scale = &inverse_scale[0]
    task.point = &point[0, 0]
    task.out = &out[0, 0]


cdef void set_loss(
    LossGradient[floating]* task,
    const int32_t[::1] y,
    const double[::1] shares,
    const double[:, ::1] label_shift,
    const double[:, ::1] score_offset,
    double[:, ::1] scores,
):
    task.y = &y[0]
    task.shares = &shares[0]
    task.label_shift = &label_shift[0, 0] if label_shift is not None else NULL
    task.score_offset = &score_offset[0, 0] if score_offset is not None else NULL
    task.scores = &scores[0, 0]
    task.loss = 0


def loss_gradient(
    const floating[::1] values,
    columns,
    starts,
    *,
    const int32_t[::1] y,
    const double[::1] shares,
    const double[::1] offset,
    const double[::1] inverse_scale,
    const double[:, ::1] point,
    double[:, ::1] scores,
    double[:, ::1] out,
    const double[:, ::1] label_shift=None,
    const double[:, ::1] score_offset=None,
):
    cdef:
        Indices indices = Indices(columns, starts)
        LossGradient[floating] task
        Scratch scratch

    set_pass[floating](&task.pass_, values, indices, shares.shape[0], scores.shape[1], offset, inverse_scale, point, out)
    scratch = Scratch(pass_scratch(task.pass_) * sizeof(double))
    task.pass_.scratch = <double*> scratch.start
    set_loss[floating](&task, y, shares, label_shift, score_offset, scores)
    with nogil:
        run_loss_gradient(task)
    return task.loss


def hessian_product(
    const floating[::1] values,
    columns,
    starts,
    *,
    const double[::1] shares,
    const double[:, ::1] proba,
    const double[::1] offset,
    const double[::1] inverse_scale,
    const double[:, ::1] point,
    double[:, ::1] out,
):
    cdef:
        Indices indices = Indices(columns, starts)
        HessianProduct[floating] task
        Scratch scratch

    set_pass[floating](&task.pass_, values, indices, shares.shape[0], proba.shape[1], offset, inverse_scale, point, out)
    scratch = Scratch(pass_scratch(task.pass_) * sizeof(double))
    task.pass_.scratch = <double*> scratch.start
    task.shares = &shares[0]
    task.proba = &proba[0, 0]
    with nogil:
        run_hessian_product(task)


def small_newton(
    const floating[::1] values,
    columns,
    starts,
    *,
    const int32_t[::1] y,
    const double[::1] shares,
    const double[::1] offset,
    const double[::1] inverse_scale,
    const double[::1] l2,
    const double[:, ::1] per_unit,
    bint fit_intercept,
    double tol,
    Py_ssize_t most_passes,
    double[:, ::1] point,
    double[:, ::1] gradient,
    double[:, ::1] scores,
    double[::1] step_values,
    Py_ssize_t[::1] step_passes,
    const double[:, ::1] label_shift=None,
    const double[:, ::1] score_offset=None,
):
    cdef:
        Indices indices = Indices(columns, starts)
        SmallNewton[floating] task
        Scratch scratch

    set_pass[floating](
        &task.loss.pass_, values, indices, shares.shape[0], scores.shape[1], offset, inverse_scale, point, gradient
    )
    scratch = Scratch(small_newton_scratch(task.loss.pass_) * sizeof(double))
    task.loss.pass_.scratch = <double*> scratch.start
    set_loss[floating](&task.loss, y, shares, label_shift, score_offset, scores)
    task.l2 = &l2[0]
    task.per_unit = &per_unit[0, 0]
    task.fit_intercept = fit_intercept
    task.tol, task.most_steps, task.most_passes = tol, step_values.shape[0], most_passes
    task.point = &point[0, 0]
    task.gradient = &gradient[0, 0]
    task.value = task.size = 0
    task.n_steps = task.n_passes = 0
    task.values = &step_values[0]
    task.passes = &step_passes[0]
    with nogil:
        run_small_newton(task)
    return task.n_steps, task.n_passes, task.value, task.size


def add_transposed_product(
    const floating[::1] values,
    columns,
    starts,
    *,
    const double[:, ::1] residual,
    double[:, ::1] out,
):
    cdef:
        Indices indices = Indices(columns, starts)
        TransposedProduct[floating] task

    if residual.shape[0] == 0:
        return
    set_rows[floating](&task.rows, values, indices, out.shape[0])
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
