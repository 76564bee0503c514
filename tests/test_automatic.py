"""The compiled stream rule, Point-SAGA and statistics against their slow twins in reference.py, and against SciPy."""

from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property

import numpy as np
import pytest
import reference
from scipy.optimize import root
from scipy.sparse import csr_array
from test_kernels import (
    TOLERANCE,
    assert_near,
    contained,
    every_container,
    every_dtype,
    every_instruction_set,
    instruction_set,  # noqa: F401
)

from sklearn_softmax import kernels
from sklearn_softmax._coordinates import Coordinates, Moments
from sklearn_softmax._matrix import kernel_rows
from sklearn_softmax._model import Model, aligned_zeros, by_class, columns_of, numbers_of_rows
from sklearn_softmax._newton import Tolerance, newton
from sklearn_softmax._objective import Objective, Penalty
from sklearn_softmax._stream import Iterates, StreamScalars
from sklearn_softmax._validation import Problem

CONTAINERS = ("dense", np.int32, np.int64)
N_CLASSES = [2, 3, 10, 26, 33, 130]
PENALTIES = {"none": (0.0, 0.0), "L2": (0.05, 0.0), "L1": (0.02, 1.0), "elastic net": (0.03, 0.4), "1/weight": (np.nan, 0.3)}

every_penalty = pytest.mark.parametrize("penalty", PENALTIES)
without_nan = pytest.mark.parametrize("penalty", [name for name, (alpha, _) in PENALTIES.items() if alpha == alpha])
both = [True, False]


def short(numbers):
    """Numbers that both dtypes have."""
    return np.asarray(numbers, dtype=np.float32).astype(np.float64)


def stored_in(X, container):
    """What the container has of X, the one explicit zero included."""
    rows = contained(X, container)
    return csr_array((np.ones(rows.nnz), rows.indices, rows.indptr), shape=X.shape).toarray() > 0


def balanced(array):
    """Random numbers per class; those of two classes are each other's negative, as all that kernels see of two classes."""
    return (array - array[..., ::-1]) / 2 if array.shape[-1] == 2 else array


def padded(array, dtype):
    """An array of shape (n, n_classes) as kernels take it."""
    wide = Model.zeros(*array.shape, dtype).weights
    wide[:, : array.shape[1]] = columns_of(array)
    return wide


def padded_intercept(intercept, n_padded, filling):
    intercept = columns_of(intercept)
    return np.concatenate([intercept, np.full(n_padded - len(intercept), filling)])


@dataclass(frozen=True)
class Task:
    """Rows, a model and a penalty, for the kernels and for their twins, in coordinates that are given or follow the moments."""

    n_classes: int
    penalty: str = "elastic net"
    intercept: bool = True
    weights: str = "varied"
    moves: bool = True  # whether coordinates follow the moments
    centre: bool = True  # of dense rows
    standardize: bool = True
    average_from: float = 0.0
    eta0: float = 1.0
    size: float = 1.0  # of the features
    has_empty_rows: bool = True
    wakes_up: bool = False  # feature 3, which varies by roundings before
    changes: bool = False  # labels say something of the rows, and another thing in the second half
    forgets: bool = False
    is_soft: bool = False  # whether labels are distributions; every third is a class all the same
    has_offset: bool = False
    n_samples: int = 30
    n_visits: int = 60
    n_features: int = 7
    seed: int = 0

    def rng(self, of):
        return np.random.default_rng([self.seed, *of.encode()])

    @cached_property
    def X(self):
        """Features of several sizes: 3 is a constant, 4 is zero and 5 is far from zero, except in the empty rows."""
        rng, shape = self.rng("X"), (self.n_samples, self.n_features)
        X = rng.normal(0.5, 1, size=shape) * np.geomspace(0.3, 3, self.n_features) * (rng.random(shape) < 0.6)
        X[:, 3], X[:, 4], X[:, 5] = 0.7, 0, X[:, 5] + 2
        if self.wakes_up:
            asleep, later = np.split(np.arange(self.n_samples), [self.n_samples // 2])
            X[asleep, 3] *= 1 + 4 * np.finfo(np.float32).eps * rng.uniform(-1, 1, size=len(asleep))
            X[later, 3] += rng.normal(size=len(later))
        if self.has_empty_rows:
            X[4:6] = 0
        return short(self.size * X)

    @cached_property
    def y(self):
        rng = self.rng("y")
        if not self.changes:
            return rng.integers(self.n_classes, size=self.n_samples).astype(np.int32)
        y = np.argmax(self.X @ rng.normal(size=(self.n_features, self.n_classes)), axis=1)
        y[self.n_samples // 2 :] = (y[self.n_samples // 2 :] + 1) % self.n_classes
        return y.astype(np.int32)

    @cached_property
    def labels(self):
        """What the twins take as y."""
        if not self.is_soft:
            return self.y
        shares = self.rng("labels").multinomial(64, np.ones(self.n_classes) / self.n_classes, size=self.n_samples) / 64
        shares[::3] = np.eye(self.n_classes)[self.y[::3]]
        return shares

    @cached_property
    def offset(self):
        if not self.has_offset:
            return None
        return short(balanced(self.rng("offset").normal(size=(self.n_samples, self.n_classes))))

    def of_rows(self, dtype):
        """y and so on, as the kernels take them."""
        if not self.is_soft:
            return dict(y=self.y, score_offset=None if self.offset is None else padded(self.offset, dtype))
        problem = Problem(self.X, self.y, self.sample_weight, self.sample_weight, offset=self.offset).with_targets(self.labels)
        return dict(y=problem.y, **numbers_of_rows(problem, Model.zeros(self.n_features, self.n_classes, dtype)))

    @cached_property
    def sample_weight(self):
        n = self.n_samples
        return {"uniform": np.ones(n), "varied": 10 ** self.rng("weights").uniform(-4, np.log10(3), size=n)}[self.weights]

    @cached_property
    def order(self):
        if self.wakes_up or self.changes:
            return np.arange(self.n_visits)
        return self.rng("order").integers(self.n_samples, size=self.n_visits)  # with repeats

    @cached_property
    def theta(self):
        return short(balanced(0.3 * self.rng("theta").normal(size=(self.n_features, self.n_classes))))

    @cached_property
    def beta(self):
        return balanced(0.3 * self.rng("beta").normal(size=self.n_classes))

    def coordinates(self, is_sparse, dtype=np.float64, step_scale=True):
        """Some, if they do not follow the moments; one of them leaves its feature out."""
        if self.moves:
            return Coordinates.empty(self.n_features, dtype)
        rng, size = self.rng("coordinates"), self.n_features
        inverse_scale = rng.uniform(0.5, 1.5, size=size)
        inverse_scale[2] = 0
        gains = rng.uniform(1, 3, size=size) if step_scale else np.ones(size)
        arrays = (0 if is_sparse else self.size) * rng.normal(size=size), inverse_scale, gains, rng.uniform(0.5, 2, size=size)
        return Coordinates(*(short(array).astype(dtype) for array in arrays))

    def penalty_object(self):
        return Penalty(*PENALTIES[self.penalty], self.n_classes)

    def penalty_numbers(self):
        penalty = self.penalty_object()
        return dict(alpha=penalty.alpha, l2_ratio=penalty.l2_ratio, l1_ratio=penalty.l1_ratio)

    # The stream

    def stream(self, dtype, container, *, calls=None, settle=True, writes=True):
        """The kernel's iterates, moments, table and norms; `calls` is the number of rows of each call."""
        is_sparse = container != "dense"
        weights = padded(self.theta, dtype)
        intercept = padded_intercept(self.beta, weights.shape[1], -np.inf)
        coordinates, centre = self.coordinates(is_sparse, dtype), self.centre and not is_sparse
        moments = Moments.zeros(self.n_features, np.float32)  # of which the numbers are, in each dtype
        state = Iterates.starting(weights, intercept, self.n_classes, coordinates, is_sparse, centre, moments, StreamScalars())
        progressive_loss = np.zeros(4) if self.moves else None
        table, norms = aligned_zeros(self.n_samples, weights.shape[1], dtype), np.zeros(self.n_samples)
        calls = self.n_visits if calls is None else calls
        for start in range(0, self.n_visits, calls):
            kernels.stream(
                *kernel_rows(contained(self.X.astype(dtype), container)),
                **self.of_rows(dtype),
                sample_weight=self.sample_weight,
                order=self.order[start : start + calls],
                eta0=self.eta0,
                penalty=self.penalty_object(),
                fit_intercept=self.intercept,
                with_mean=centre,
                standardize=self.standardize,
                average_from=self.average_from,
                averages=True,
                forgets=self.forgets,
                flush=settle and start + calls >= self.n_visits,
                adaptive=self.moves,
                table=table if writes else None,
                norms=norms if writes else None,
                progressive_loss=progressive_loss,
                scalars=state.scalars.numbers,
                state=state,
            )
        return state, moments if self.moves else None, table, norms, progressive_loss

    def stream_twin(self, is_sparse, settle=True):
        return stream_twin(self, is_sparse, settle)

    def check_stream(self, dtype, containers=CONTAINERS, *, tolerance=1, **how):
        for container in containers:
            twin = self.stream_twin(container != "dense", how.get("settle", True))
            check_stream(twin, *self.stream(dtype, container, **how), tolerance * TOLERANCE[dtype])

    # Point-SAGA

    @cached_property
    def repeats(self):
        """How often each row is visited: the first rows more often."""
        return np.where(np.arange(self.n_samples) < 5, 3.0, 1.0)

    @cached_property
    def visits(self):
        return self.rng("visits").permutation(np.repeat(np.arange(self.n_samples), self.repeats.astype(int)))

    def saga_start(self, is_sparse):
        """theta, beta, table of residuals somewhere else, and the mean of its gradients."""
        seen = self.seen(is_sparse)
        scores = seen @ self.theta + self.beta + self.rng("table").normal(size=(self.n_samples, self.n_classes))
        table = short([reference.residual(z, y) for z, y in zip(scores, self.labels)])
        theta = np.where(self.coordinates(is_sparse, step_scale=False).inverse_scale[:, None] > 0, self.theta, 0)
        return theta, self.beta, table, short(self.mean_gradient(seen, table)), self.mean_gradient_of_intercept(table)

    def seen(self, is_sparse):
        """X in the coordinates."""
        coordinates = self.coordinates(is_sparse, step_scale=False)
        return (self.X - coordinates.offset) * coordinates.inverse_scale

    def mean_gradient(self, seen, table):
        return seen.T @ (table * (self.sample_weight * self.repeats)[:, None]) / len(self.visits)

    def mean_gradient_of_intercept(self, table):
        return (self.sample_weight * self.repeats) @ table / len(self.visits) if self.intercept else np.zeros(self.n_classes)

    def point_saga(self, dtype, container, start=None, *, step=0.1, n_epochs=1, coordinates=None, penalty=None):
        """What the kernel makes of (theta, beta, table, gradient, intercept_gradient), the average of theta and beta, and what it
        returns of the last epoch.
        """
        is_sparse = container != "dense"
        theta, beta, table, gradient, intercept_gradient = self.saga_start(is_sparse) if start is None else start
        theta, table, gradient = (padded(array, dtype) for array in (theta, table, gradient))
        beta = padded_intercept(beta, theta.shape[1], -np.inf)
        model = Model(self.n_classes, theta, beta, theta.copy(), beta.copy())
        intercept_gradient = padded_intercept(intercept_gradient, theta.shape[1], 0)
        for _ in range(n_epochs):
            loss, curvature, of_penalty = kernels.point_saga(
                *kernel_rows(contained(self.X.astype(dtype), container)),
                **self.of_rows(dtype),
                sample_weight=self.sample_weight,
                order=self.visits,
                repeats=self.repeats,
                step=step,
                penalty=self.penalty_object() if penalty is None else penalty,
                fit_intercept=self.intercept,
                coordinates=self.coordinates(is_sparse, dtype, step_scale=False) if coordinates is None else coordinates,
                model=model,
                table=table,
                gradient=gradient,
                intercept_gradient=intercept_gradient,
            )
        after = theta, model.intercept, table, gradient, intercept_gradient
        return after, (model.average, model.intercept_average), loss, curvature, of_penalty

    def check_point_saga(self, dtype, containers=CONTAINERS, *, tolerance=1, **how):
        for container in containers:
            twin = point_saga_twin(self, container != "dense", **how)
            after, average, loss, curvature, of_penalty = self.point_saga(dtype, container, **how)
            check_arrays(twin, after, ("theta", "beta", "table", "gradient", "intercept_gradient"), tolerance * TOLERANCE[dtype])
            check_arrays(twin, average, ("theta_average", "beta_average"), tolerance * TOLERANCE[dtype])
            assert loss == pytest.approx(twin.loss, rel=tolerance * TOLERANCE[dtype])
            assert curvature == pytest.approx(twin.curvature, rel=tolerance * TOLERANCE[dtype])
            if container == "dense":
                assert of_penalty == 0
                continue
            penalty = replace(self.penalty_object(), scale=self.coordinates(True, step_scale=False).penalty_scale)
            expected = 0.5 * np.sum(penalty.l2 * np.square(twin.theta_average))
            assert of_penalty == pytest.approx(expected, rel=10 * tolerance * TOLERANCE[dtype])


@cache
def stream_twin(task, is_sparse, settle):
    centre, coordinates = task.centre and not is_sparse, asdict(task.coordinates(is_sparse)).values()
    nothing = tuple(np.zeros(task.n_features) for _ in range(3))
    twin = reference.Stream(
        task.theta, task.beta, coordinates, nothing if task.moves else None, eta0=task.eta0, fit_intercept=task.intercept,
        centre=centre, standardize=task.standardize, average_from=task.average_from, eps=np.finfo(np.float32).eps,
        forgets=task.forgets, **task.penalty_numbers(),
    )  # fmt: skip
    twin.offset = task.offset
    if is_sparse:
        twin.sparse(task.X, stored_in(task.X, np.int32), task.labels, task.sample_weight, task.order, settle)
    else:
        twin.dense(task.X, task.labels, task.sample_weight, task.order, settle)
    return twin


@cache
def point_saga_twin(task, is_sparse, *, step=0.1, n_epochs=1):
    twin = reference.PointSaga(
        *task.saga_start(is_sparse), asdict(task.coordinates(is_sparse, step_scale=False)).values(), step=step,
        fit_intercept=task.intercept, offset=task.offset, **task.penalty_numbers(),
    )  # fmt: skip
    rest = task.labels, task.sample_weight, task.visits, task.repeats
    for _ in range(n_epochs):
        if is_sparse:
            twin.sparse(task.X, stored_in(task.X, np.int32), *rest)
        else:
            twin.dense(task.X, *rest)
    return twin


def check_arrays(twin, actual, names, tolerance):
    """Arrays of the kernel have the values of those of the twin, and padding that nobody has touched."""
    for array, name in zip(actual, names, strict=True):
        expected = columns_of(getattr(twin, name))
        n_columns = expected.shape[-1]
        assert np.isfinite(array[..., :n_columns]).all(), name
        assert_near(array[..., :n_columns], expected, tolerance)
        padding = array[..., n_columns:]
        assert np.isneginf(padding).all() if name.startswith("beta") else not padding.any(), name


def check_stream(twin, state, moments, table, norms, progressive_loss, tolerance):
    model, clock, coordinates = state.model, state.scalars, state.coordinates
    model_arrays = model.weights, model.average, model.intercept, model.intercept_average
    check_arrays(twin, model_arrays, ("theta", "theta_average", "beta", "beta_average"), tolerance)
    for name in ("loss", "weight", "norm", "curvature", "penalty_step", "length", "average_length", "average_weight"):
        assert getattr(clock, name) == pytest.approx(getattr(twin, name), rel=tolerance), name
    if progressive_loss is not None:
        for name in ("growth", "average_total", "growth_of_steps", "steps_total"):
            assert getattr(clock, name) == pytest.approx(getattr(twin, name), rel=tolerance), name
        assert clock.drift_log_odds == pytest.approx(twin.drift_log_odds, rel=tolerance, abs=10 * tolerance)
        assert clock.step_log_odds == pytest.approx(twin.step_log_odds, rel=tolerance, abs=10 * tolerance)
        assert progressive_loss[0] == pytest.approx(twin.progressive_loss, rel=tolerance)
    assert clock.n_rows == twin.n_rows
    # the coordinates that sparse rows have when they are visited are not kept
    are_kept = moments is None or not state.is_sparse or (twin.penalty_stamps == twin.penalty_step).all()
    for name, expected in zip(("offset", "inverse_scale", "step_scale", "penalty_scale"), twin.coordinates if are_kept else []):
        assert_near(getattr(coordinates, name), expected, max(tolerance, 1e-7 if table.dtype == np.float32 else 0))
    if moments is not None:
        assert_near_moments(moments, twin.moments, tolerance)
    expected = np.zeros((len(table), model.n_classes))  # of rows that have not been visited
    expected[list(twin.table)] = list(twin.table.values())
    assert_near(by_class(table, model.n_classes), expected, tolerance)
    assert not table[:, model.n_columns :].any()
    np.testing.assert_allclose(norms, [twin.norms.get(i, 0) for i in range(len(norms))], rtol=tolerance)
    if state.is_sparse:
        assert_near(state.features.penalty_updated_at, twin.penalty_stamps, tolerance)
        assert_near(state.features.average_updated_at, twin.average_stamps, tolerance)
    else:
        assert clock.block_end == twin.block_end


def assert_near_moments(moments, expected, tolerance):
    """Moments are those of (weight, mean, sum of squares about the mean), whatever they are centred on."""
    nz, mean, square = expected
    share = np.divide(moments.sum, moments.weight, out=np.zeros_like(nz), where=moments.weight > 0)
    np.testing.assert_allclose(moments.weight, nz, rtol=tolerance)
    np.testing.assert_allclose((moments.pivot + share) / moments.unit, mean, rtol=tolerance)
    about_mean = (moments.square - moments.sum * share) / moments.unit**2
    np.testing.assert_allclose(about_mean, square, rtol=tolerance, atol=tolerance * 1e-3)


# The stream and its twin ----------------------------------------------------------------------------------------------------


@every_instruction_set
@every_dtype
@every_penalty
@pytest.mark.parametrize("moves", both)
@pytest.mark.parametrize("n_classes", N_CLASSES)
def test_stream_equals_its_twin(n_classes, moves, penalty, dtype):
    Task(n_classes, penalty, moves=moves).check_stream(dtype)


@every_instruction_set
@every_dtype
@without_nan
@pytest.mark.parametrize("n_features", [16, 32, 75])
def test_rules_equal_their_twins_where_the_features_of_one_column_fill_vectors(n_features, penalty, dtype):
    Task(2, penalty, n_features=n_features).check_stream(dtype, tolerance=10)
    Task(2, penalty, n_features=n_features).check_stream(dtype, tolerance=10)
    # (the gradient of the intercept is one number, which may be next to 0)
    Task(2, penalty, moves=False, n_features=n_features).check_point_saga(dtype, tolerance=30)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("average_from", [0.0, 12.5, 1e9])
@pytest.mark.parametrize("standardize", both)
@pytest.mark.parametrize("centre", both)
@pytest.mark.parametrize("weights", ["uniform", "varied"])
@pytest.mark.parametrize("intercept", both)
def test_stream_equals_its_twin_with_every_option(intercept, weights, centre, standardize, average_from, dtype):
    task = Task(3, intercept=intercept, weights=weights, centre=centre, standardize=standardize, average_from=average_from)
    task.check_stream(dtype)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("standardize", both)
@pytest.mark.parametrize("centre", both)
def test_stream_equals_its_twin_where_features_have_no_zeros(centre, standardize, dtype):
    task = Task(3, centre=centre, standardize=standardize, has_empty_rows=False)
    twin = task.stream_twin(False)
    assert (twin.coordinates[1] == 0).nonzero()[0].tolist() == ([3, 4] if centre or standardize else [4])  # the constant
    task.check_stream(dtype)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("standardize", both)
@pytest.mark.parametrize("centre", both)
def test_stream_equals_its_twin_where_a_column_varies_by_roundings_and_wakes_up(centre, standardize, dtype):
    task = Task(3, centre=centre, standardize=standardize, has_empty_rows=False, wakes_up=True, n_samples=120, n_visits=120)
    asleep = replace(task, n_visits=60).stream_twin(False)
    assert (asleep.coordinates[1] == 0).nonzero()[0].tolist() == ([3, 4] if centre or standardize else [4])
    assert task.stream_twin(False).coordinates[1][3] > 0
    task.check_stream(dtype, tolerance=10)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("penalty", ["none", "1/weight", "L1"])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_stream_equals_its_twin_where_a_row_needs_many_newton_steps(n_classes, penalty, dtype):
    task = Task(n_classes, penalty, moves=False, size=100.0)
    task.check_stream(dtype, tolerance=1 if dtype == np.float64 else 50)  # scores have several hundreds


@pytest.mark.parametrize("twin", [stream_twin, point_saga_twin])
@pytest.mark.parametrize("is_sparse", both)
def test_long_rows_need_many_newton_steps(is_sparse, twin, monkeypatch):
    n_steps, n_halvings = [], []
    implicit_residual, newton_step, halved = reference.implicit_residual, reference.newton_step, reference.halved

    def counting(*arguments):
        n_steps.append(0)
        return implicit_residual(*arguments)

    def counted(*arguments):
        n_steps[-1] += 1
        return newton_step(*arguments)

    def compared(step, *arguments):
        result = halved(step, *arguments)
        n_halvings.append(np.log2(np.max(np.abs(step)) / np.max(np.abs(result))))
        return result

    monkeypatch.setattr(reference, "implicit_residual", counting)
    monkeypatch.setattr(reference, "newton_step", counted)
    monkeypatch.setattr(reference, "halved", compared)
    for n_classes in (2, 3, 10):
        task = Task(n_classes, moves=False, size=100.0)
        twin.__wrapped__(task, is_sparse, **(dict(settle=True) if twin is stream_twin else dict(step=0.001)))
    assert np.mean(np.array(n_steps) > 1) > 0.1
    assert max(n_steps) == 5
    assert 2 <= round(max(n_halvings)) < 9


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("average_from", [0.0, 50.0])
@pytest.mark.parametrize("moves", both)
def test_stream_equals_its_twin_in_long_blocks(moves, average_from, dtype):
    task = Task(3, "L2", moves=moves, average_from=average_from, n_samples=200, n_visits=650)
    twin = task.stream_twin(False, settle=False)
    assert twin.n_rows > 16 * 16 + 2 * 16  # from there on a block has 16 rows
    assert twin.block_end > twin.n_rows  # the last one is not over
    for settle in (True, False):
        task.check_stream(dtype, tolerance=10 if dtype == np.float64 else 5, settle=settle)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("penalty", ["L2", "elastic net", "1/weight"])
@pytest.mark.parametrize("average_from", [0.0, 50.0])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_stream_equals_its_twin_where_the_rows_change(n_classes, average_from, penalty, dtype):
    task = Task(n_classes, penalty, weights="uniform", average_from=average_from, changes=True, n_samples=600, n_visits=600)
    forgetful = replace(task, forgets=True)
    for is_sparse in both:
        remembering, twin = task.stream_twin(is_sparse, settle=False), forgetful.stream_twin(is_sparse, settle=False)
        assert remembering.growth == 1 and twin.growth > 2
        assert remembering.growth_of_steps == 1 and twin.growth_of_steps > 1.05
        assert twin.progressive_loss < 0.95 * remembering.progressive_loss
    for each in (task, forgetful):
        each.check_stream(dtype, tolerance=10, settle=False)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("is_soft, has_offset", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("n_classes", [2, 3, 10, 33])
def test_rules_equal_their_twins_with_soft_labels_and_offsets(n_classes, is_soft, has_offset, dtype):
    how = dict(is_soft=is_soft, has_offset=has_offset)
    for moves, penalty in [(True, "elastic net"), (True, "none"), (False, "L2")]:
        Task(n_classes, penalty, moves=moves, **how).check_stream(dtype, tolerance=10)
    Task(n_classes, "L2", size=30.0, n_visits=30, **how).check_stream(dtype, tolerance=100)  # many Newton steps
    if n_classes <= 3:
        task = Task(n_classes, "L2", changes=True, forgets=True, n_samples=300, n_visits=300, **how)
        task.check_stream(dtype, ("dense", np.int32), tolerance=100)
    Task(n_classes, "elastic net", moves=False, **how).check_point_saga(dtype, tolerance=10, n_epochs=2)


@every_instruction_set
@every_container
@pytest.mark.parametrize("moves", both)
@pytest.mark.parametrize("size", [1, 23])
@pytest.mark.parametrize("penalty", ["L2", "1/weight"])
def test_calls_may_cut_a_stream_anywhere(penalty, size, moves, container):
    task = Task(3, penalty, moves=moves, forgets=moves, average_from=20.0, n_samples=200, n_visits=650)
    whole, whole_moments, whole_table, whole_norms, whole_loss = task.stream(np.float64, container)
    cut, moments, table, norms, loss = task.stream(np.float64, container, calls=size)
    check_stream(task.stream_twin(container != "dense"), cut, moments, table, norms, loss, 1e-10)
    if moves:
        np.testing.assert_allclose(loss, whole_loss, rtol=1e-10)
    np.testing.assert_allclose(cut.scalars.numbers, whole.scalars.numbers, rtol=1e-10)
    np.testing.assert_allclose(cut.model.weights, whole.model.weights, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(cut.model.average, whole.model.average, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(cut.model.intercept_average, whole.model.intercept_average, rtol=1e-10)
    np.testing.assert_allclose(table, whole_table, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(norms, whole_norms, rtol=1e-10)
    if moves:
        np.testing.assert_allclose(
            moments.copy().spreads(cut.scalars.weight), whole_moments.spreads(cut.scalars.weight), rtol=1e-10
        )


@every_instruction_set
@pytest.mark.parametrize("container", [np.int32, np.int64])
@pytest.mark.parametrize("moves", both)
def test_features_wait_until_they_are_settled(moves, container):
    task = Task(3, moves=moves)
    task.check_stream(np.float64, [container], settle=False)
    waiting, settled = (task.stream(np.float64, container, settle=settle)[0] for settle in (False, True))
    assert (waiting.features.penalty_updated_at < waiting.scalars.penalty_step).any()
    assert (settled.features.penalty_updated_at == settled.scalars.penalty_step).all()
    assert (settled.features.average_updated_at == settled.scalars.average_weight).all()
    assert (waiting.model.weights != settled.model.weights).any()


@every_container
@every_dtype
def test_without_a_step_the_table_has_the_residuals(dtype, container):
    task = Task(10, "none", moves=False, eta0=0.0)
    state, _, table, *_ = task.stream(dtype, container)
    coordinates = task.coordinates(container != "dense")
    for i in np.unique(task.order):
        seen = (task.X[i] - coordinates.offset) * coordinates.inverse_scale
        assert_near(table[i, :10], reference.residual(seen @ task.theta + task.beta, task.y[i]), TOLERANCE[dtype])
    np.testing.assert_array_equal(state.model.weights, padded(task.theta, dtype))
    np.testing.assert_array_equal(state.model.average, padded(task.theta, dtype))


@every_container
def test_table_and_norms_may_be_left_out(container):
    task = Task(3)
    expected, (actual, *_) = task.stream(np.float64, container)[0], task.stream(np.float64, container, writes=False)
    np.testing.assert_array_equal(actual.model.weights, expected.model.weights)
    np.testing.assert_array_equal(actual.model.average, expected.model.average)
    np.testing.assert_array_equal(actual.scalars.numbers, expected.scalars.numbers)


# Implicit residuals ---------------------------------------------------------------------------------------------------------


def residual_by_stream(scores, y, eta0):
    """The implicit residual of one row with these scores, by a stream of that row alone, and its q."""
    n_classes = len(scores)
    weights = padded(scores[None], np.float64)
    intercept = padded_intercept(np.zeros(n_classes), weights.shape[1], -np.inf)
    coordinates = Coordinates(np.zeros(1), *np.ones((3, 1)))
    state = Iterates.starting(weights, intercept, n_classes, coordinates, False, False, Moments.zeros(1), StreamScalars())
    table = aligned_zeros(1, weights.shape[1], np.float64)
    kernels.stream(
        *kernel_rows(np.ones((1, 1))), y=np.array([y], dtype=np.int32), sample_weight=np.ones(1), order=np.zeros(1, int),
        eta0=eta0, penalty=Penalty(0.0, 0.0, n_classes), fit_intercept=True, with_mean=False, standardize=False, average_from=0.0,
        averages=True, forgets=False, flush=True, adaptive=False, table=table, norms=None, progressive_loss=None,
        scalars=state.scalars.numbers, state=state,
    )  # fmt: skip
    p = reference.softmax(scores)
    return by_class(table[0], n_classes), 2 * eta0 / (0.1 * 2 + np.sqrt(np.mean(p * (1 - p))))


def residual_by_point_saga(z0, g0, y, q):
    """The implicit residual of one row without nonzeros, by an epoch of Point-SAGA over that row alone."""
    n_classes = len(z0)
    weights, gradient, table = (padded(array[None], np.float64) for array in (0 * z0, 0 * z0, g0))
    beta = padded_intercept(z0, weights.shape[1], -np.inf)
    model = Model(n_classes, weights, beta, weights.copy(), beta.copy())
    kernels.point_saga(
        *kernel_rows(np.zeros((1, 1))), y=np.array([y], dtype=np.int32), sample_weight=np.ones(1), order=np.zeros(1, int),
        repeats=np.ones(1), step=q, penalty=Penalty(0.0, 0.0, n_classes), fit_intercept=True,
        coordinates=Coordinates(np.zeros(1), *np.ones((3, 1))), model=model, table=table, gradient=gradient,
        intercept_gradient=np.zeros(weights.shape[1]),
    )  # fmt: skip
    return by_class(table[0], n_classes)


@every_instruction_set
@pytest.mark.parametrize("eta0", [0.01, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize("n_classes", [2, 3, 10, 33])
def test_implicit_residual_of_a_stream(n_classes, eta0):
    rng = np.random.default_rng(n_classes)
    for _ in range(10):
        scores, y, nothing = balanced(rng.normal(size=n_classes)), rng.integers(n_classes), np.zeros(n_classes)
        g, q = residual_by_stream(scores, y, eta0)
        np.testing.assert_allclose(g, reference.implicit_residual(scores, nothing, y, q), rtol=0, atol=1e-12)
        exact = root(lambda g: g - reference.residual(scores - q * g, y), g, tol=1e-12)  # noqa: B023
        assert np.max(np.abs(exact.fun)) < 1e-10
        np.testing.assert_allclose(exact.x, reference.exact_implicit_residual(scores, nothing, y, q), rtol=0, atol=1e-9)
        assert q * np.max(np.abs(g - exact.x)) < (0.3 if eta0 <= 10 else 1)  # of scores


@every_instruction_set
@pytest.mark.parametrize("q", [0.1, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("size", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_implicit_residual_of_point_saga(n_classes, size, q):
    rng = np.random.default_rng(n_classes)
    for _ in range(10):
        z0, y = size * balanced(rng.normal(size=n_classes)), rng.integers(n_classes)
        g0 = reference.residual(z0 + rng.normal(size=n_classes), y)
        g, twin = residual_by_point_saga(z0, g0, y, q), reference.implicit_residual(z0, g0, y, q)
        np.testing.assert_allclose(g, twin, rtol=0, atol=1e-12)
        if size == 1 and q <= 30:
            assert q * np.max(np.abs(g - reference.exact_implicit_residual(z0, g0, y, q))) < 0.3  # of scores


def test_a_step_that_nine_halvings_do_not_mend_is_not_taken():
    z0, g0, y, q = np.array([2.0, -2.0, 2.0]), np.array([-1.0, 0.0, 0.0]), 0, 1e5
    np.testing.assert_allclose(residual_by_point_saga(z0, g0, y, q), reference.implicit_residual(z0, g0, y, q), atol=1e-9)


@pytest.mark.parametrize("q", [0.0, 0.1, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_the_exact_implicit_residual_is_the_minimum_of_its_merit(n_classes, q):
    rng = np.random.default_rng(n_classes)
    for _ in range(5):
        z0, y = rng.normal(size=n_classes) * 3, rng.integers(n_classes)
        g0 = reference.residual(z0 + rng.normal(size=n_classes), y)
        g = reference.exact_implicit_residual(z0, g0, y, q)
        np.testing.assert_allclose(g, reference.residual(z0 - q * (g - g0), y), atol=1e-12)
        lowest = reference.merit(g, z0, g0, y, q)
        for _ in range(10):
            assert reference.merit(g + 0.01 * rng.normal(size=n_classes), z0, g0, y, q) >= lowest - 1e-13


# Point-SAGA and its twin ----------------------------------------------------------------------------------------------------


@every_instruction_set
@every_dtype
@without_nan
@pytest.mark.parametrize("n_classes", N_CLASSES)
def test_point_saga_equals_its_twin(n_classes, penalty, dtype):
    Task(n_classes, penalty, moves=False).check_point_saga(dtype)


@every_instruction_set
@every_dtype
@without_nan
@pytest.mark.parametrize("n_epochs", [1, 2])
@pytest.mark.parametrize("weights", ["uniform", "varied"])
@pytest.mark.parametrize("intercept", both)
def test_point_saga_equals_its_twin_with_every_option(intercept, weights, n_epochs, penalty, dtype):
    Task(3, penalty, moves=False, intercept=intercept, weights=weights).check_point_saga(dtype, n_epochs=n_epochs)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_point_saga_equals_its_twin_where_a_row_needs_many_newton_steps(n_classes, dtype):
    task = Task(n_classes, moves=False, size=100.0)
    task.check_point_saga(dtype, step=0.001, tolerance=1 if dtype == np.float64 else 50)


@every_instruction_set
@every_container
@pytest.mark.parametrize("intercept", both)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_gradient_of_point_saga_is_that_of_its_table(n_classes, intercept, container):
    task = Task(n_classes, moves=False, intercept=intercept)
    seen = task.seen(container != "dense")
    theta, beta, table, _, of_intercept = task.saga_start(container != "dense")
    start = theta, beta, table, task.mean_gradient(seen, table), of_intercept
    after = task.point_saga(np.float64, container, start, n_epochs=2)[0]
    table_after = by_class(after[2], n_classes)
    assert np.abs(table_after - table).max() > 0.1
    assert_near(by_class(after[3], n_classes), task.mean_gradient(seen, table_after), 1e-13)
    if intercept:
        assert_near(by_class(after[4], n_classes), task.mean_gradient_of_intercept(table_after), 1e-13)


@every_instruction_set
@every_container
@pytest.mark.parametrize("intercept", both)
@pytest.mark.parametrize("weights", ["uniform", "varied"])
@pytest.mark.parametrize("penalty", ["L2", "L1", "elastic net"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_optimum_is_a_fixed_point_of_point_saga(n_classes, penalty, weights, intercept, container):
    task = Task(n_classes, penalty, moves=False, weights=weights, intercept=intercept)
    start, coordinates, is_zero = optimum(task, intercept and container == "dense")
    after, average, loss, *_ = task.point_saga(np.float64, container, start, n_epochs=2, coordinates=coordinates)
    for array, expected in zip((*after, *average), (*start, *start[:2]), strict=True):
        np.testing.assert_allclose(by_class(array, n_classes), expected, rtol=0, atol=1e-9)
    assert penalty == "L2" or np.delete(is_zero, 4, axis=0).any()  # not only where the feature is zero
    scores = (task.X - coordinates.offset) * coordinates.inverse_scale @ start[0] + start[1]
    of_rows = np.array([reference.log_loss(z, y) for z, y in zip(scores, task.y)])
    assert loss == pytest.approx((task.sample_weight * task.repeats) @ of_rows, rel=1e-9)


@cache
def optimum(task, centre):
    """Where F with the weights of all visits is least, in coordinates: what point_saga starts from, and these."""
    total = task.sample_weight * task.repeats
    coordinates = replace(task.coordinates(True, step_scale=False))
    coordinates.inverse_scale[2] = 1.0
    coordinates.penalty_scale[:] = coordinates.inverse_scale
    coordinates.offset[:] = 0.3 if centre else 0
    penalty = task.penalty_object()
    share = total.sum() / len(task.visits)  # the mean of the losses of the kernel is over visits, that of Newton over weights
    here = Penalty(penalty.alpha / share, penalty.l1_ratio, task.n_classes)
    objective = Objective(task.X, task.y, total, here, task.intercept)
    solution = newton(objective, np.zeros((task.n_features + 1, task.n_classes)), Tolerance(1e-14, np.ones(1)), max_passes=1000)
    assert solution.gradient < 1e-12
    rows, intercept = solution.point[:-1].T, solution.point[-1]
    theta = (rows / coordinates.inverse_scale).T
    beta = intercept - intercept.mean() * task.intercept + rows @ coordinates.offset
    seen = (task.X - coordinates.offset) * coordinates.inverse_scale
    table = np.array([reference.residual(z, y) for z, y in zip(seen @ theta + beta, task.y)])
    start = theta, beta, table, task.mean_gradient(seen, table), task.mean_gradient_of_intercept(table)
    return start, coordinates, theta == 0


# Statistics -----------------------------------------------------------------------------------------------------------------


def columns(dtype, offset=0.0):
    """A column without zeros, one with a few, one with many, a constant, one that is 0 or another number, and one of zeros."""
    rng = np.random.default_rng(1)
    X = offset + 0.7 + rng.normal(size=(300, 6)) * [1, 1e-3, 30, 0, 0, 0]
    X *= rng.random((300, 6)) < [2, 0.9, 0.1, 2, 0.3, -1]
    return X.astype(dtype)


def added_up(sample_weight):
    """The sum from first to last, as a clock counts."""
    return np.cumsum(sample_weight)[-1]


def twin_moments(X, sample_weight):
    moments = tuple(np.zeros(X.shape[1]) for _ in range(3))
    for x, w in zip(X.astype(np.float64), sample_weight):
        moments = reference.add_row(moments, x, w)
    return moments


def weights_of(kind):
    return np.ones(300) if kind == "uniform" else 10 ** np.random.default_rng(2).uniform(-4, 0.5, size=300)


def expected_spreads(X, sample_weight):
    """Mean, active deviation, root mean square, share; from the definitions, in extended precision."""
    X, w = X.astype(np.longdouble), sample_weight.astype(np.longdouble)
    expected = []
    for j in range(X.shape[1]):
        x, is_nz = X[:, j], X[:, j] != 0
        nz, mean = w[is_nz].sum(), w @ x / w.sum()
        if nz == 0:
            expected.append((0, 0, 0, 0))
        else:
            variance = w @ (x - mean) ** 2 / w.sum() if (x != x[0]).any() else 0
            expected.append((mean, np.sqrt(variance / (nz / w.sum())), np.sqrt(w @ x**2 / nz), nz / w.sum()))
    return np.array(expected, dtype=np.float64).T


def moments_by(X, container, sample_weight, cuts=(0, 300)):
    moments = Moments.zeros(X.shape[1], X.dtype)
    for start, stop in zip(cuts, cuts[1:]):
        rows = contained(X[start:stop], container)
        kernels.accumulate(*kernel_rows(rows), sample_weight=sample_weight[start:stop], features=moments.numbers)
    return moments


@every_instruction_set
@every_dtype
@every_container
@pytest.mark.parametrize("weights", ["uniform", "varied"])
@pytest.mark.parametrize("cuts", [(0, 300), (0, 1, 2, 130, 300)])
def test_spreads(cuts, weights, container, dtype):
    X, sample_weight = columns(dtype), weights_of(weights)
    moments, total = moments_by(X, container, sample_weight, cuts), added_up(sample_weight)
    expected = expected_spreads(X, sample_weight)
    before = reference.spreads(twin_moments(X, sample_weight), total)
    np.testing.assert_allclose(before, expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(moments.copy().spreads(total), expected, rtol=1e-12, atol=1e-15)


@every_instruction_set
@every_container
@pytest.mark.parametrize("weights", ["uniform", "varied"])
@pytest.mark.parametrize("offset", [1e4, -1e8])
def test_spreads_far_from_zero(offset, weights, container):
    X, sample_weight = columns(np.float64, offset), weights_of(weights)
    for cuts in ((0, 300), (0, 1, 2, 130, 300)):
        spreads = moments_by(X, container, sample_weight, cuts).spreads(added_up(sample_weight))
        np.testing.assert_allclose(spreads, expected_spreads(X, sample_weight), rtol=1e-12, atol=1e-15)
        assert spreads[1, 3] == 0  # a constant does not vary


@every_container
@pytest.mark.parametrize("offset", [0.0, 1e4, -1e8])
def test_a_constant_does_not_vary_in_whatever_order_weights_are_added_up(offset, container):
    X = columns(np.float64, offset)
    for seed in range(20):
        sample_weight = np.random.default_rng(seed).uniform(0.1, 3, size=300)
        total = sample_weight.sum()  # not from first to last
        spreads = moments_by(X, container, sample_weight).spreads(total)
        np.testing.assert_allclose(spreads[1, 0], expected_spreads(X, sample_weight)[1, 0], rtol=1e-12)
        assert spreads[1, 3] == 0


def almost_constant(dtype, roundings):
    """Columns that vary by about so many roundings of the dtype: one without zeros, one of tiny values, one with zeros."""
    rng = np.random.default_rng(3)
    X = 0.3 * (1 + roundings * np.finfo(dtype).eps * rng.uniform(-1, 1, size=(300, 3))) * [1, 1e-30, 1]
    X[::5, 2] = 0
    return X.astype(dtype)


@every_instruction_set
@every_dtype
@every_container
@pytest.mark.parametrize("cuts", [(0, 300), (0, 1, 2, 130, 300)])
@pytest.mark.parametrize("roundings, varies", [(1, False), (20, False), (400, True)])
def test_what_varies_by_some_roundings_of_its_dtype_is_constant(roundings, varies, cuts, container, dtype):
    X, sample_weight = almost_constant(dtype, roundings), weights_of("varied")
    moments, total, eps = moments_by(X, container, sample_weight, cuts), added_up(sample_weight), np.finfo(dtype).eps
    expected = reference.spreads(twin_moments(X, sample_weight), total, eps)
    assert list(expected[1] > 0) == [varies, varies, True]
    np.testing.assert_allclose(moments.copy().spreads(total), expected, rtol=1e-3 if varies else 1e-12)
    combined = Moments.combined([moments, moments_by(X, container, sample_weight)], [2.0, 0.5])
    assert list(combined.spreads(2.5 * total)[1] > 0) == [varies, varies, True]


@every_instruction_set
@pytest.mark.parametrize("container", [np.int32, np.int64])
def test_dense_and_sparse_rows_have_the_same_moments(container):
    X, sample_weight = columns(np.float64), weights_of("varied")
    dense, actual = moments_by(X, "dense", sample_weight), moments_by(X, container, sample_weight)
    for name, expected in asdict(dense).items():
        np.testing.assert_allclose(getattr(actual, name), expected, rtol=1e-13, atol=1e-13)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("centre", both)
@pytest.mark.parametrize("standardize", both)
def test_coordinates_of_a_stream(standardize, centre, dtype):
    X, sample_weight = columns(dtype), weights_of("varied")
    moments, total = moments_by(X, "dense", sample_weight), added_up(sample_weight)
    coordinates, weights = Coordinates.empty(6, dtype), Model.zeros(6, 3, dtype).weights
    kernels.set_stream_coordinates(
        moments.numbers, total, centre=centre, standardize=standardize, coordinates=coordinates, weights=weights
    )
    expected = reference.stream_coordinates(twin_moments(X, sample_weight), total, centre, standardize)
    for name, array in zip(("offset", "inverse_scale", "step_scale", "penalty_scale"), expected):
        np.testing.assert_allclose(getattr(coordinates, name), array, rtol=1e-12 if dtype == np.float64 else 1e-6)
    left_out = [3, 5] if centre or standardize else [5]
    assert list(np.flatnonzero(coordinates.inverse_scale == 0)) == left_out
