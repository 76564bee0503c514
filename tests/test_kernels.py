"""The compiled sweep against its slow twin in reference.py, and each line of the derivation against finite differences."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import reference
from scipy.sparse import csr_array

from sklearn_softmax import kernels
from sklearn_softmax._matrix import kernel_rows
from sklearn_softmax._model import Model, numbers_of_rows
from sklearn_softmax._validation import Problem

BEST, *_ = ALL = kernels.available_instruction_sets()
TOLERANCE = {np.float64: 1e-11, np.float32: 2e-5}
CONTAINERS = ("dense", np.int32, np.int64)
PENALTIES = {"none": (0.0, 0.0), "L2": (0.03, 0.0), "L1": (0.03, 1.0), "elastic net": (0.03, 0.4)}  # alpha, l1_ratio


@pytest.fixture(params=ALL)
def instruction_set(request):
    kernels.use_instruction_set(request.param)
    yield request.param
    kernels.use_instruction_set(BEST)


every_instruction_set = pytest.mark.usefixtures("instruction_set")
every_dtype = pytest.mark.parametrize("dtype", TOLERANCE)
every_container = pytest.mark.parametrize("container", CONTAINERS)
every_penalty = pytest.mark.parametrize("penalty", PENALTIES)
every_averaging = pytest.mark.parametrize("averaging", ["none", "from start", "from middle"])


def contained(X, container):
    """X, dense or in CSR with indices of the given type and one explicit zero."""
    if container == "dense":
        return X
    marked = X.copy()
    row, column = np.argwhere(X == 0)[0] if (X == 0).any() else (0, 0)
    marked[row, column] = 1
    sparse = csr_array(marked)
    at = sparse.indptr[row] + np.searchsorted(sparse.indices[sparse.indptr[row] : sparse.indptr[row + 1]], column)
    sparse.data[at] = X[row, column]
    sparse.indices, sparse.indptr = sparse.indices.astype(container), sparse.indptr.astype(container)
    return sparse


class Task:
    """One sweep, for the kernel and for the twin. Changes to attributes make another task."""

    def __init__(
        self,
        n_classes,
        dtype,
        *,
        penalty="none",
        averaging="none",
        intercept=True,
        weights="uniform",
        n_visits=60,
        n_features=9,
        seed=0,
    ):
        rng = np.random.default_rng(seed)
        n_samples = 25
        self.n_classes, self.dtype, self.fit_intercept = n_classes, dtype, intercept
        self.X = (rng.normal(size=(n_samples, n_features)) * (rng.random((n_samples, n_features)) < 0.6)).astype(dtype)
        self.X[4] = 0
        self.y = rng.integers(n_classes, size=n_samples).astype(np.int32)
        self.sample_weight = np.ones(n_samples) if weights == "uniform" else 10 ** rng.uniform(-4, 0.5, size=n_samples)
        self.order = rng.integers(n_samples, size=n_visits)  # with repeats
        self.eta = rng.uniform(0.02, 0.2, size=n_visits)
        strength, self.l1_ratio = PENALTIES[penalty]
        self.alpha = strength * rng.uniform(0.5, 1.5, size=n_visits)
        self.average_from = {"none": n_visits, "from start": 0, "from middle": n_visits // 2}[averaging]
        self.averages = averaging != "none"
        n_rows = 1 if n_classes == 2 else n_classes
        self.coef = 0.3 * rng.normal(size=(n_rows, n_features)).astype(dtype)
        self.intercept = 0.3 * rng.normal(size=n_rows)
        self.coef_average = 0.3 * rng.normal(size=(n_rows, n_features)).astype(dtype)
        self.intercept_average = 0.3 * rng.normal(size=n_rows)
        self.averaged_weight = 2.5
        self.labels, self.offset = self.y, None  # what the twin takes

    def with_soft_labels_and_offset(self):
        rng, shape = np.random.default_rng(1), (len(self.X), self.n_classes)
        self.labels = rng.multinomial(64, np.ones(self.n_classes) / self.n_classes, size=len(self.X)) / 64
        self.labels[::3] = np.eye(self.n_classes)[self.y[::3]]
        self.offset = rng.integers(-8, 8, size=shape) / 4
        self.offset -= self.offset.mean(axis=1, keepdims=True) if self.n_classes == 2 else 0
        return self

    def of_rows(self):
        """y and so on, as the kernels take them."""
        if self.offset is None:
            return dict(y=self.y)
        problem = Problem(self.X, self.y, self.sample_weight, self.sample_weight, offset=self.offset).with_targets(self.labels)
        return dict(y=problem.y, **numbers_of_rows(problem, self.model()))

    @property
    def l2_ratio(self):
        return 1 - self.l1_ratio

    def penalty(self):
        return SimpleNamespace(l2_ratio=self.l2_ratio, l1_ratio=self.l1_ratio)

    def model(self):
        model = Model.from_public(self.coef, self.intercept)
        if self.averages:
            average = Model.from_public(self.coef_average, self.intercept_average)
            model.average, model.intercept_average = average.weights, average.intercept
            model.averaged_weight = self.averaged_weight
        return model

    def sweep(self, container="dense", model=None, may_overflow=False):
        """The kernel's model, loss and number of visits."""
        model = self.model() if model is None else model
        loss, n_visited = kernels.explicit(
            *kernel_rows(contained(self.X, container)),
            **self.of_rows(),
            sample_weight=self.sample_weight,
            order=self.order,
            eta=self.eta,
            alpha=self.alpha,
            threshold_factor=np.ones(len(self.order)),
            penalty=self.penalty(),
            fit_intercept=self.fit_intercept,
            may_overflow=may_overflow,
            average_from=self.average_from,
            progressive_loss=None,
            model=model,
        )
        return model, loss, n_visited

    def part(self, model, first, last, container, progressive_loss=None):
        """The model after some of the visits."""
        model = model.trainable(average=self.averages)
        visits = slice(first, last)
        kernels.explicit(
            *kernel_rows(contained(self.X, container)),
            **self.of_rows(),
            sample_weight=self.sample_weight,
            order=self.order[visits],
            eta=self.eta[visits],
            alpha=self.alpha[visits],
            threshold_factor=np.ones(len(self.order[visits])),
            penalty=self.penalty(),
            fit_intercept=self.fit_intercept,
            may_overflow=False,
            average_from=max(0, self.average_from - first),
            progressive_loss=progressive_loss,
            model=model,
        )
        return model

    def twin(self):
        """W, b, (average of W, of b, total weight) or None, loss, (threshold of W, of the average)."""
        start = self.model()
        average = None
        if self.averages:
            average = (*Model(self.n_classes, start.average, start.intercept_average).softmax_coef(), self.averaged_weight)
        return reference.sweep(
            self.X,
            self.labels,
            self.sample_weight,
            self.order,
            self.eta,
            self.alpha,
            *start.softmax_coef(),
            l2_ratio=self.l2_ratio,
            l1_ratio=self.l1_ratio,
            fit_intercept=self.fit_intercept,
            average_from=self.average_from,
            average=average,
            offset=self.offset,
        )

    def check(self, containers=CONTAINERS):
        expected = self.twin()
        for container in containers:
            self.check_against(expected, *self.sweep(container))

    def check_against(self, expected, model, loss, n_visited):
        W, b, average, expected_loss, thresholds = expected
        tolerance = TOLERANCE[self.dtype]
        assert n_visited == len(self.order)
        assert_near(loss, expected_loss, tolerance)
        assert_near(model.softmax_coef()[0], W, tolerance)
        assert_near(model.softmax_coef()[1], b, tolerance)
        assert model.threshold == pytest.approx(thresholds[0], rel=1e-11)
        assert model.average_threshold == pytest.approx(thresholds[1], rel=1e-11)
        assert not model.weights[:, model.n_columns :].any()
        assert np.isneginf(model.intercept[model.n_columns :]).all()
        if average is None:
            assert model.average is None
        else:
            averaged = Model(self.n_classes, model.average, model.intercept_average)
            assert_near(averaged.softmax_coef()[0], average[0], tolerance)
            assert_near(averaged.softmax_coef()[1], average[1], tolerance)
            assert model.averaged_weight == pytest.approx(average[2], rel=1e-13)


def assert_near(actual, expected, tolerance):
    """Equal up to `tolerance` times the size of the whole array."""
    size = np.max(np.abs(expected))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * size)


# Kernel and twin ------------------------------------------------------------------------------------------------------------


# All options with one instruction set, and all lengths of rows of weights with each.


@every_dtype
@every_penalty
@every_averaging
@pytest.mark.parametrize("intercept, weights", [(True, "varied"), (False, "uniform")])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_a_sweep_equals_its_twin(n_classes, intercept, weights, averaging, penalty, dtype):
    Task(n_classes, dtype, penalty=penalty, averaging=averaging, intercept=intercept, weights=weights).check()


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("n_classes", [*range(2, 70, 4), 130])
def test_a_sweep_equals_its_twin_for_any_length_of_vectors(n_classes, dtype):
    Task(n_classes, dtype, penalty="elastic net", averaging="from middle", weights="varied", n_visits=20).check()
    Task(n_classes, dtype, penalty="L2", averaging="from middle", weights="varied", n_visits=20).check()


@every_instruction_set
@every_dtype
@every_averaging
@pytest.mark.parametrize("penalty", ["L2", "elastic net"])
@pytest.mark.parametrize("n_classes", [2, 3, 10, 33])
def test_a_sweep_equals_its_twin_with_soft_labels_and_offsets(n_classes, penalty, averaging, dtype):
    task = Task(n_classes, dtype, penalty=penalty, averaging=averaging, weights="varied").with_soft_labels_and_offset()
    task.check()
    model, numbers, expected = task.model(), np.zeros(4), 0.0
    for t, i in enumerate(task.order):
        W, b = (array.astype(np.float64) for array in model.predictor().softmax_coef())
        expected += task.sample_weight[i] * reference.log_loss(W @ task.X[i] + b + task.offset[i], task.labels[i])
        model = task.part(model, t, t + 1, "dense")
    for container in ("dense", np.int32):
        numbers = np.zeros(4)
        task.part(task.model(), 0, 60, container, numbers)
        assert numbers[0] == pytest.approx(expected, rel=10 * TOLERANCE[dtype])


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("averaging", ["none", "from middle"])
@pytest.mark.parametrize("n_classes, n_features", [(2, 9000), (10, 5000), (33, 1200), (130, 300)])
def test_a_sweep_equals_its_twin_for_large_weights(n_classes, n_features, averaging, dtype):
    task = Task(n_classes, dtype, penalty="L2", averaging=averaging, weights="varied", n_visits=40, n_features=n_features)
    task.eta /= n_features / 9
    task.check(["dense"])


@every_dtype
@every_penalty
@pytest.mark.parametrize("factor", [1e-300, 1e-42, 1e30])
def test_rows_of_any_weight_are_averaged(factor, penalty, dtype):
    task = Task(3, dtype, penalty=penalty, averaging="from start", weights="varied")
    task.sample_weight, task.eta, task.averaged_weight = task.sample_weight * factor, task.eta / factor, 0.0
    task.check()


@every_dtype
@every_penalty
@every_averaging
@pytest.mark.parametrize("n_classes", [2, 10])
def test_any_cutting_of_a_sweep_gives_the_same_model(n_classes, averaging, penalty, dtype):
    task = Task(n_classes, dtype, penalty=penalty, averaging=averaging, weights="varied")
    whole = task.part(task.model(), 0, 60, "dense")
    for container in CONTAINERS:
        cut = task.model()
        for first, last in [(0, 1), (1, 23), (23, 24), (24, 60)]:
            cut = task.part(cut, first, last, container)
        for name in ("weights", "average", "threshold", "average_threshold"):
            if getattr(whole, name) is not None:
                assert_near(getattr(cut, name), getattr(whole, name), TOLERANCE[dtype])
    assert (whole.threshold > 0) == (task.l1_ratio > 0)


@every_dtype
@every_container
@pytest.mark.parametrize("averaging", ["none", "from middle"])
@pytest.mark.parametrize("penalty", ["L2", "elastic net"])
def test_the_progressive_loss_is_that_of_predicting_before_learning(penalty, averaging, container, dtype):
    task = Task(3, dtype, penalty=penalty, averaging=averaging, weights="varied", n_visits=20)
    model, numbers, expected = task.model(), np.zeros(4), 0.0
    for t, i in enumerate(task.order):
        W, b = (array.astype(np.float64) for array in model.predictor().softmax_coef())
        expected += task.sample_weight[i] * reference.log_loss(W @ task.X[i] + b, task.y[i])
        model = task.part(model, t, t + 1, container)
    task.part(task.model(), 0, 20, container, numbers)
    assert numbers[0] == pytest.approx(expected, rel=TOLERANCE[dtype])
    assert numbers[1] == pytest.approx(task.sample_weight[task.order].sum())


@every_dtype
@every_averaging
@pytest.mark.parametrize("l1_ratio", [0.0, 0.001])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_lazy_scale_may_leave_the_range_of_the_dtype_many_times(n_classes, l1_ratio, averaging, dtype):
    task = Task(n_classes, dtype, averaging=averaging, n_visits=400)
    task.alpha, task.l1_ratio = 10 / task.eta, l1_ratio
    assert np.log10(1 + 10 * task.l2_ratio) * len(task.order) > 300  # digits that the scale loses
    task.check()


@every_dtype
@every_averaging
@pytest.mark.parametrize("n_classes", [2, 5])
def test_weights_that_l1_makes_zero_come_back(n_classes, averaging, dtype):
    task = Task(n_classes, dtype, penalty="L1", averaging=averaging, n_visits=150)
    task.alpha = task.alpha * 10
    task.check()
    was_zero = np.zeros((n_classes, 9), dtype=bool)
    came_back = np.zeros_like(was_zero)
    W, b = task.model().softmax_coef()
    thresholds = 0.0, 0.0
    for t in range(len(task.order)):
        visit = slice(t, t + 1)
        W, b, *_, thresholds = reference.sweep(
            task.X, task.y, task.sample_weight, task.order[visit], task.eta[visit], task.alpha[visit], W, b,
            l2_ratio=0, l1_ratio=1, fit_intercept=True, thresholds=thresholds,
        )  # fmt: skip
        is_zero = np.abs(W) <= thresholds[0]
        came_back |= was_zero & ~is_zero
        was_zero |= is_zero
    assert came_back.any()
    exact = task.sweep("dense")[0].predictor().weights == 0
    assert exact[:, :n_classes].any()
    for index in (np.int32, np.int64):
        np.testing.assert_array_equal(task.sweep(index)[0].predictor().weights == 0, exact)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("penalty", ["none", "elastic net"])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_large_scores(n_classes, penalty, dtype):
    task = Task(n_classes, dtype, penalty=penalty, averaging="from start")
    task.X *= 1e3
    task.check()


@every_dtype
def test_a_class_may_not_occur(dtype):
    task = Task(5, dtype, averaging="from start")
    task.y = task.labels = np.minimum(task.y, 3)
    task.check()


@every_dtype
@every_container
def test_only_rows_without_nonzeros(container, dtype):
    task = Task(3, dtype, penalty="elastic net", averaging="from middle")
    task.order = np.full_like(task.order, 4)
    task.check([container])


@every_dtype
def test_csr_without_any_nonzero(dtype):
    task = Task(3, dtype, penalty="elastic net", averaging="from start")
    task.X[:] = 0
    expected, model = task.twin(), task.model()
    X = csr_array(task.X)
    loss, n_visited = kernels.explicit(
        X.data, X.indices, X.indptr, y=task.y, sample_weight=task.sample_weight, order=task.order, eta=task.eta, alpha=task.alpha,
        threshold_factor=np.ones(len(task.order)),
        penalty=task.penalty(), fit_intercept=True, may_overflow=False, average_from=0, progressive_loss=None,
        model=model,
    )  # fmt: skip
    task.check_against(expected, model, loss, n_visited)


# The border -----------------------------------------------------------------------------------------------------------------


@every_container
def test_input_may_be_read_only(container):
    task = Task(3, np.float64, penalty="elastic net", averaging="from start")
    expected = task.twin()
    X = contained(task.X, container)
    arrays = [*kernel_rows(X), task.y, task.sample_weight, task.order, task.eta, task.alpha, np.ones(len(task.order))]
    for array in arrays:
        array.flags.writeable = False
    values, columns, starts, y, sample_weight, order, eta, alpha, one = arrays
    model = task.model()
    loss, n_visited = kernels.explicit(
        values, columns, starts, y=y, sample_weight=sample_weight, order=order, eta=eta, alpha=alpha, threshold_factor=one,
        penalty=task.penalty(), fit_intercept=True, may_overflow=False, average_from=0, progressive_loss=None,
        model=model,
    )  # fmt: skip
    task.check_against(expected, model, loss, n_visited)


@every_dtype
@every_container
def test_one_number_may_stand_for_all(container, dtype):
    task = Task(3, dtype, penalty="elastic net", averaging="from start")
    task.sample_weight = np.broadcast_to(1.5, task.sample_weight.shape)
    task.eta = np.broadcast_to(0.1, task.eta.shape)
    task.alpha = np.broadcast_to(0.02, task.alpha.shape)
    task.check([container])


@pytest.mark.parametrize("stride", [2, -1])
def test_weights_and_steps_may_have_any_stride(stride):
    task = Task(3, np.float64, penalty="L2", weights="varied")
    expected = task.twin()
    for name in ("sample_weight", "eta", "alpha"):
        spread = np.zeros(len(getattr(task, name)) * abs(stride))[::stride]
        spread[:] = getattr(task, name)
        setattr(task, name, spread)
    task.check_against(expected, *task.sweep())


@every_container
def test_an_empty_order_changes_nothing(container):
    task = Task(3, np.float64, penalty="elastic net", averaging="from start", n_visits=0)
    before, model = task.model(), task.model()
    _, loss, n_visited = task.sweep(container, model)
    assert (loss, n_visited) == (0, 0)
    np.testing.assert_array_equal(model.weights, before.weights)
    np.testing.assert_array_equal(model.average, before.average)
    assert model.averaged_weight == before.averaged_weight


@every_dtype
@every_container
@pytest.mark.parametrize(
    "n_classes, averaging, penalty", [(2, "from start", "elastic net"), (10, "none", "L2"), (3, "none", "none")]
)
def test_a_sweep_stops_before_scores_that_overflow(n_classes, averaging, penalty, container, dtype):
    task = Task(n_classes, dtype, penalty=penalty, averaging=averaging, n_visits=20)
    task.order[:] = np.arange(20)
    task.X[13, 0], task.coef[0, 0] = np.finfo(dtype).max, 4  # a score of about 2 or 4 times the largest number
    model, loss, n_visited = task.sweep(container, may_overflow=True)
    assert n_visited == 13
    assert model.is_finite()
    task.order, task.eta, task.alpha = task.order[:13], task.eta[:13], task.alpha[:13]
    task.check_against(task.twin(), model, loss, n_visited)


@every_container
def test_looking_for_overflow_changes_nothing_if_there_is_none(container):
    task = Task(3, np.float64, penalty="elastic net", averaging="from start")
    looked, loss, n_visited = task.sweep(container, may_overflow=True)
    not_looked = task.sweep(container)
    assert (loss, n_visited) == not_looked[1:]
    np.testing.assert_array_equal(looked.weights, not_looked[0].weights)


@every_container
def test_threads_do_not_disturb_each_other(container):
    tasks = [Task(3 + seed % 4, np.float64, penalty="elastic net", averaging="from start", seed=seed) for seed in range(12)]
    in_sequence = [task.sweep(container) for task in tasks]
    with ThreadPoolExecutor(4) as pool:
        in_threads = list(pool.map(lambda task: task.sweep(container), tasks))
    for (model, *numbers), (expected, *expected_numbers) in zip(in_threads, in_sequence):
        assert numbers == expected_numbers
        np.testing.assert_array_equal(model.weights, expected.weights)
        np.testing.assert_array_equal(model.average, expected.average)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("n_classes", [2, 10, 33, 130])
def test_decision_is_the_product_with_the_weights(n_classes, dtype):
    task = Task(n_classes, dtype)
    model = task.model()
    W, b = model.softmax_coef()
    for of_columns, of_starts in [(np.int32, np.int32), (np.int64, np.int64), (np.int32, np.int64), (np.int64, np.int32)]:
        values, columns, starts = kernel_rows(contained(task.X, np.int32))
        out = np.full((len(task.X), n_classes), np.nan, dtype=dtype)
        kernels.decision(
            values,
            columns.astype(of_columns),
            starts.astype(of_starts),
            weights=model.weights,
            intercept=model.intercept,
            out=out,
        )
        assert_near(out, task.X.astype(np.float64) @ W.astype(np.float64).T + b, 1e-14 if dtype == np.float64 else 1e-6)


def test_an_unknown_instruction_set_is_refused():
    with pytest.raises(ValueError, match="sse9"):
        kernels.use_instruction_set("sse9")


# The derivation, line by line -----------------------------------------------------------------------------------------------


def visit(W, b, x, y):
    """One visit with a step of 1 and no penalty: gradients by the kernel of W and of b, and the loss."""
    model = Model.zeros(W.shape[1], len(W), W.dtype)
    model.set_softmax_coef(W, b)
    before = [array.copy() for array in model.softmax_coef()]
    one, row = np.ones(1), np.zeros(1, dtype=np.intp)
    loss, _ = kernels.explicit(
        *kernel_rows(x[None].astype(W.dtype)), y=np.array([y], dtype=np.int32), sample_weight=one, order=row, eta=one,
        alpha=one, threshold_factor=one, penalty=SimpleNamespace(l2_ratio=0.0, l1_ratio=0.0), fit_intercept=True,
        may_overflow=False, average_from=1, progressive_loss=None, model=model,
    )  # fmt: skip
    after = model.softmax_coef()
    return before[0] - after[0], before[1] - after[1], loss


def finite_difference(function, at):
    """The gradient of `function` by central differences."""
    gradient = np.empty_like(at)
    for i in np.ndindex(at.shape):
        h = np.zeros_like(at)
        h[i] = 1e-5
        gradient[i] = (function(at + h) - function(at - h)) / 2e-5
    return gradient


@pytest.fixture(params=[(2, 0), (2, 1), (3, 1), (10, 7)], ids=lambda param: f"{param[0]} classes, label {param[1]}")
def example(request):
    """W, b, x, y of one example."""
    n_classes, y = request.param
    rng = np.random.default_rng(n_classes)
    return rng.normal(size=(n_classes, 4)), rng.normal(size=n_classes), rng.normal(size=4), y


def gradient_of_weights(example):
    """By the kernel, by finite differences and by the twin."""
    W, b, x, y = example
    return (
        visit(*example)[0],
        finite_difference(lambda V: reference.log_loss(V @ x + b, y), W),
        np.outer(reference.residual(W @ x + b, y), x),
    )


def gradient_of_intercept(example):
    """By the kernel, by finite differences and by the twin."""
    W, b, x, y = example
    return (
        visit(*example)[1],
        finite_difference(lambda c: reference.log_loss(W @ x + c, y), b),
        reference.residual(W @ x + b, y),
    )


@every_instruction_set
def test_softmax_probability(example):
    W, b, x, y = example
    scores = W @ x + b
    is_label = np.arange(len(b)) == y
    proba = visit(*example)[1] + is_label
    np.testing.assert_allclose(proba, np.exp(scores) / np.exp(scores).sum(), rtol=1e-13)
    np.testing.assert_allclose(proba, reference.softmax(scores), rtol=1e-13)
    # the probabilities are the gradient of log sum exp
    np.testing.assert_allclose(proba, finite_difference(lambda s: np.log(np.exp(s).sum()), scores), atol=1e-9)


@every_instruction_set
def test_loss(example):
    W, b, x, y = example
    scores = W @ x + b
    assert visit(*example)[2] == pytest.approx(-np.log(np.exp(scores[y]) / np.exp(scores).sum()), rel=1e-13)
    assert visit(*example)[2] == pytest.approx(reference.log_loss(scores, y), rel=1e-13)


@every_instruction_set
def test_gradient_of_weights_true_class(example):
    W, b, x, y = example
    kernel, difference, twin = (gradient[y] for gradient in gradient_of_weights(example))
    np.testing.assert_allclose(kernel, x * (reference.softmax(W @ x + b)[y] - 1), atol=1e-14)
    np.testing.assert_allclose(kernel, difference, atol=1e-9)
    np.testing.assert_allclose(kernel, twin, atol=1e-14)


@every_instruction_set
def test_gradient_of_weights_other_classes(example):
    W, b, x, y = example
    kernel, difference, twin = (np.delete(gradient, y, axis=0) for gradient in gradient_of_weights(example))
    np.testing.assert_allclose(kernel, np.outer(np.delete(reference.softmax(W @ x + b), y), x), atol=1e-14)
    np.testing.assert_allclose(kernel, difference, atol=1e-9)
    np.testing.assert_allclose(kernel, twin, atol=1e-14)


@every_instruction_set
def test_gradient_of_intercept_true_class(example):
    W, b, x, y = example
    kernel, difference, twin = (gradient[y] for gradient in gradient_of_intercept(example))
    assert kernel == pytest.approx(reference.softmax(W @ x + b)[y] - 1, abs=1e-14)
    assert kernel == pytest.approx(difference, abs=1e-9)
    assert kernel == pytest.approx(twin, abs=1e-14)


@every_instruction_set
def test_gradient_of_intercept_other_classes(example):
    W, b, x, y = example
    kernel, difference, twin = (np.delete(gradient, y) for gradient in gradient_of_intercept(example))
    np.testing.assert_allclose(kernel, np.delete(reference.softmax(W @ x + b), y), atol=1e-14)
    np.testing.assert_allclose(kernel, difference, atol=1e-9)
    np.testing.assert_allclose(kernel, twin, atol=1e-14)


@every_instruction_set
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 1e-5)])
@pytest.mark.parametrize("n_classes", [2, 10, 130])
@pytest.mark.parametrize("distance", [0, 1e-3, 1, 20, 60])
def test_loss_and_residual_keep_their_relative_accuracy_when_the_label_is_almost_certain(distance, n_classes, dtype, tolerance):
    scores = -distance * np.linspace(1, 1.3, n_classes)
    scores[1] = distance
    scores = scores.astype(dtype).astype(np.float64)
    scores = scores - scores.mean() if n_classes == 2 else scores
    _, minus_b, loss = visit(scores.astype(dtype)[:, None], np.zeros(n_classes), np.ones(1), 1)
    cut_off = scores - scores[1] < (-700 if dtype == np.float64 else -80)  # exp is 0 there, by design
    scores[cut_off] = -np.inf
    np.testing.assert_allclose(loss, reference.log_loss(scores, 1), rtol=tolerance)
    np.testing.assert_allclose(minus_b, reference.residual(scores, 1), rtol=tolerance)


@every_instruction_set
@pytest.mark.parametrize("label", [0, 1, 2])
def test_loss_of_known_scores(label):
    scores = np.array([-3.0, 700.0, 42.5])
    loss = visit(scores[:, None], np.zeros(3), np.ones(1), label)[2]
    assert loss == pytest.approx([703.0, np.exp(-657.5), 657.5][label], rel=1e-13)


@every_instruction_set
@every_dtype
def test_numbers_are_moderate_where_none_is_near_the_end_of_the_range(dtype):
    largest, weights = {np.float32: 1e7, np.float64: 1e50}[dtype], np.ones(3)

    def are_moderate(values, sample_weight=weights):
        return kernels.are_moderate(values, sample_weight, largest_value=largest, largest_weight=1e6)

    rng = np.random.RandomState(0)
    for size in range(34):  # all lengths of what does not fill a vector
        values = (rng.standard_normal(size) * (rng.random_sample(size) < 0.7)).astype(dtype)
        assert are_moderate(values)
        for other in (2 * largest, 0.5 / largest, np.inf, np.nan):
            for at in {0, size // 2, size - 1} if size else ():
                for sign in (-1, 1):
                    with_other = values.copy()
                    with_other[at] = sign * other
                    assert not are_moderate(with_other), (size, at, sign * other)
    for other in (2e6, 0.5e-6, 0, -1, np.inf, np.nan):
        assert not are_moderate(values, np.append(weights, other))
