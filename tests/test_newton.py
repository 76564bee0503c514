"""The second-order finish: where it ends up (against LogisticRegression), whether what it says of it is true, and its edges."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import sklearn
from scipy.sparse import csr_array
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version
from test_kernels import every_dtype, every_instruction_set, instruction_set  # noqa: F401

from sklearn_softmax import _matrix
from sklearn_softmax._matrix import DesignMatrix
from sklearn_softmax._newton import PRODUCT_OF_CLASSES, Tolerance, newton
from sklearn_softmax._objective import Objective, Penalty

LOADERS = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer}


def data(name):
    X, y = LOADERS[name](return_X_y=True)
    return StandardScaler().fit_transform(X), y


class Solution(NamedTuple):
    """A `NewtonSolution`, with coefficients and intercepts in the units of X."""

    rows: np.ndarray
    intercept: np.ndarray
    n_passes: int
    gradient: float
    objective: float
    evaluation: Any


def penalty_of(l2, l1, n_classes, scale):
    """sum_j (l2/2 ||W_j||_2^2 + l1 ||W_j||_1) with weights that are `scale` times W."""
    l2 = l2 / 2 if n_classes == 2 else l2  # the kernels' convention: the penalty of the one row that users see
    if np.ndim(l2):  # one for each feature
        return Penalty(1.0, 0.0, n_classes, np.sqrt(l2) * scale)
    total = l2 + l1
    return Penalty(total, l1 / total if total else 0.0, n_classes, scale)


def problem_of(X, y, sample_weight, n_classes, *, l2, l1, offset, scale, fit_intercept=True):
    """The objective in the coordinates (x - offset) / scale."""
    inverse_scale = np.divide(1, scale, out=np.zeros(len(scale)), where=scale > 0)
    penalty = penalty_of(l2, l1, n_classes, inverse_scale)
    return Objective(X, y, sample_weight, penalty, fit_intercept, offset=offset, inverse_scale=inverse_scale)


def solve(X, y, *, l2=0.0, l1=0.0, sample_weight=None, rows=None, intercept=None, fit_intercept=True, n_classes=None, **kwargs):
    """`newton` with strengths for W, and the offset, scale and unit that the estimator would choose, about."""
    n_features = X.shape[1]
    n_classes = y.max() + 1 if n_classes is None else n_classes
    sample_weight = np.ones(len(y)) if sample_weight is None else sample_weight
    is_centred = fit_intercept and isinstance(X, np.ndarray)
    dense = X if isinstance(X, np.ndarray) else X.toarray()
    mean = np.average(dense, axis=0, weights=sample_weight)
    deviation = np.sqrt(np.average((dense - mean) ** 2, axis=0, weights=sample_weight))
    offset = mean if is_centred else np.zeros(n_features)
    scale, unit = kwargs.pop("scale", deviation), kwargs.pop("unit", deviation)
    problem = problem_of(X, y, sample_weight, n_classes, l2=l2, l1=l1, offset=offset, scale=scale, fit_intercept=fit_intercept)
    inverse_unit = np.divide(1, unit, out=np.zeros(n_features), where=unit > 0)
    rows = np.zeros((n_classes, n_features)) if rows is None else np.where(scale > 0, rows, 0.0)
    intercept = np.zeros(n_classes) if intercept is None else intercept
    inverse_scale = problem.design.inverse_scale

    def original(found):
        rows = (found.point[:-1] * inverse_scale[:, None]).T
        intercept = found.point[-1] - rows @ offset
        return Solution(rows, intercept - intercept.mean() * fit_intercept, *found[1:])

    on_step = kwargs.pop("on_step", None)
    start = np.vstack([(rows * scale).T, intercept + rows @ offset])
    tolerance = Tolerance(kwargs.pop("tol", 1e-9), np.append(scale * inverse_unit, 1.0)[:, None])
    told = None if on_step is None else lambda found: on_step(original(found))
    return original(newton(problem, start, tolerance, **{"max_passes": 2000, "on_step": told} | kwargs))


def penalised(X, y, alpha, l1_ratio, **kwargs):
    """alpha ((1 - l1_ratio)/2 ||w||_2^2 + l1_ratio ||w||_1) of the row that users see: with two classes -w/2 and w/2."""
    return solve(X, y, l2=alpha * (1 - l1_ratio) * (2 if y.max() == 1 else 1), l1=alpha * l1_ratio, **kwargs)


def public(solution):
    rows, intercept = solution.rows, solution.intercept
    return (rows, intercept) if len(rows) > 2 else (rows[1:] - rows[:1], intercept[1:] - intercept[:1])


def logistic_regression(X, y, alpha, l1_ratio, **kwargs):
    C = 1 / (alpha * len(y))
    if l1_ratio == 0:
        return LogisticRegression(C=C, tol=1e-12, max_iter=10000, solver="newton-cg", **kwargs).fit(X, y)
    penalty = {} if parse_version(sklearn.__version__) >= parse_version("1.8") else {"penalty": "elasticnet"}
    saga = LogisticRegression(C=C, l1_ratio=l1_ratio, tol=1e-10, max_iter=50000, solver="saga", random_state=0, **penalty)
    return saga.fit(X, y)


def objective(X, y, rows, intercept, l2=0.0, l1=0.0, sample_weight=None):
    losses = -log_softmax(X @ rows.T + intercept, axis=1)[np.arange(len(y)), y]
    return np.average(losses, weights=sample_weight) + np.sum(0.5 * l2 * rows**2 + l1 * np.abs(rows))


def largest_subgradient(X, y, solution, l2, l1, sample_weight=None):
    """The largest entry of the subgradient of least norm, in standard deviations of the columns; in plain NumPy."""
    s = np.ones(len(y)) if sample_weight is None else sample_weight
    s = s / s.sum()
    residual = softmax(X @ solution.rows.T + solution.intercept, axis=1) - np.eye(len(solution.rows))[y]
    mean = s @ X
    deviation = np.sqrt(s @ (X - mean) ** 2)
    gradient = (residual * s[:, None]).T @ (X - mean) + l2 * solution.rows
    at_zero = np.maximum(np.abs(gradient) - l1, 0)
    subgradient = np.where(solution.rows != 0, np.abs(gradient + l1 * np.sign(solution.rows)), at_zero)
    return max((subgradient / deviation).max(), np.abs(s @ residual).max())


# The optimum ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("name", LOADERS)
def test_l2_optimum_is_that_of_logistic_regression(name, fit_intercept):
    X, y = data(name)
    X = X if fit_intercept else X + 0.5
    theirs = logistic_regression(X, y, 0.01, 0, fit_intercept=fit_intercept)
    ours = penalised(X, y, 0.01, 0.0, fit_intercept=fit_intercept, tol=1e-11)
    coef, intercept = public(ours)
    np.testing.assert_allclose(coef, theirs.coef_, rtol=0, atol=1e-6 * np.abs(theirs.coef_).max())
    np.testing.assert_allclose(intercept, theirs.intercept_, rtol=0, atol=1e-6 * np.abs(theirs.coef_).max())
    assert ours.gradient <= 1e-11


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
@pytest.mark.parametrize("name", LOADERS)
def test_l1_optimum_is_that_of_logistic_regression(name, l1_ratio):
    X, y = data(name)
    theirs = logistic_regression(X, y, 0.02, l1_ratio)
    ours = penalised(X, y, 0.02, l1_ratio)
    coef, _ = public(ours)
    np.testing.assert_allclose(coef, theirs.coef_, rtol=0, atol=1e-6 * np.abs(theirs.coef_).max())
    probabilities = softmax(X @ ours.rows.T + ours.intercept, axis=1)
    np.testing.assert_allclose(probabilities, theirs.predict_proba(X), rtol=0, atol=1e-6)
    assert 0 < (coef == 0).sum() < coef.size
    np.testing.assert_array_equal(coef == 0, theirs.coef_ == 0)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_weights_are_repetitions(make_data, l1_ratio):
    X, y = make_data()
    weight = np.random.default_rng(0).integers(0, 4, size=len(y))
    weighted = penalised(X, y, 0.01, l1_ratio, sample_weight=weight.astype(float))
    repeated = penalised(np.repeat(X, weight, axis=0), np.repeat(y, weight), 0.01, l1_ratio)
    np.testing.assert_allclose(weighted.rows, repeated.rows, rtol=0, atol=1e-7)
    np.testing.assert_allclose(weighted.objective, repeated.objective, rtol=1e-12)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_sparse_is_dense(make_data, monkeypatch, dtype, index, l1_ratio):
    monkeypatch.setattr(_matrix, "BLOCK", 100)  # several blocks
    X, y = make_data()
    X = X.astype(dtype)
    sparse = csr_array(X)
    sparse.indices, sparse.indptr = sparse.indices.astype(index), sparse.indptr.astype(index)
    a, b = (penalised(form, y, 0.01, l1_ratio) for form in (X, sparse))
    assert max(a.gradient, b.gradient) <= 1e-9
    np.testing.assert_allclose(a.rows, b.rows, rtol=0, atol=1e-7)
    np.testing.assert_allclose(a.intercept, b.intercept, rtol=0, atol=1e-7)


def test_collinear_columns_of_very_different_scale():
    X, y = data("wine")
    X = np.column_stack([X * 10.0 ** np.linspace(-6, 6, X.shape[1]) + 3, X[:, 0] + 1e-6 * X[:, 1]])
    l2 = 0.01 * X.var(axis=0)
    found = solve(X, y, l2=l2, tol=1e-10)
    assert found.gradient <= 1e-10
    assert largest_subgradient(X, y, found, l2, 0) <= 1e-9
    assert found.n_passes < 200


# What it says of it ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("max_passes", [1, 3, 12, 60])
def test_gradient_and_objective_are_those_of_the_result(make_data, monkeypatch, max_passes, l1_ratio):
    monkeypatch.setattr(_matrix, "BLOCK", 100)
    X, y = make_data()
    X = X * [1, 10, 0.1, 1, 3] + 2
    weight = np.random.default_rng(1).uniform(0.1, 2, size=len(y))
    rows = np.random.default_rng(2).normal(size=(3, 5))
    rows -= rows.mean(axis=0)
    found = penalised(X, y, 0.02, l1_ratio, sample_weight=weight, rows=rows, tol=1e-12, max_passes=max_passes)
    l2, l1 = 0.02 * (1 - l1_ratio), 0.02 * l1_ratio
    assert found.gradient == pytest.approx(largest_subgradient(X, y, found, l2, l1, weight), rel=1e-6, abs=1e-13)
    F = objective(X, y, found.rows, found.intercept, l2, l1, weight)
    assert found.objective == pytest.approx(F, rel=1e-13)


def test_gradient_is_that_of_finite_differences(make_data):
    X, y = make_data()
    found = solve(X, y, l2=0.02, max_passes=3)
    F, h, differences = lambda rows, b: objective(X, y, rows, b, 0.02), 1e-6, []
    for k in range(3):
        for j in range(5):
            # along a weight of the centred columns: the intercept gives way
            shift = np.zeros((3, 5))
            shift[k, j] = h / X[:, j].std()
            b = found.intercept
            up, down = (F(found.rows + sign * shift, b - sign * shift @ X.mean(axis=0)) for sign in (1, -1))
            differences.append((up - down) / (2 * h))
        shift = h * np.eye(3)[k]
        differences.append((F(found.rows, b + shift) - F(found.rows, b - shift)) / (2 * h))
    # the unit of a weight's gradient is the standard deviation: so is that of these differences
    assert found.gradient == pytest.approx(np.abs(differences).max(), rel=1e-5)
    assert found.gradient > 1e-5


@pytest.mark.parametrize("alpha", [0.01, 0.1])
def test_conditions_of_l1(make_data, alpha):
    X, y = make_data(n_classes=4)
    X = StandardScaler().fit_transform(X)
    found = solve(X, y, l1=alpha)
    residual = softmax(X @ found.rows.T + found.intercept, axis=1) - np.eye(4)[y]
    gradient = residual.T @ X / len(y)
    is_zero = found.rows == 0
    assert is_zero.any() and not is_zero.all()
    assert (np.abs(gradient[is_zero]) <= alpha + 1e-9).all()
    np.testing.assert_allclose(gradient[~is_zero], -alpha * np.sign(found.rows[~is_zero]), rtol=0, atol=1e-9)


def test_so_much_l1_that_all_is_zero(make_data):
    X, y = make_data()
    found = solve(X, y, l1=10.0, rows=np.ones((3, 5)) * [[1], [2], [-3]])
    assert not found.rows.any()
    np.testing.assert_allclose(softmax(found.intercept), np.bincount(y) / len(y), atol=1e-9)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_objective_falls_and_passes_are_bounded(l1_ratio):
    X, y = data("wine")
    rows = np.random.default_rng(0).normal(size=(3, X.shape[1]), scale=3)
    rows -= rows.mean(axis=0)
    start = objective(X, y, rows, np.zeros(3), 0.01 * (1 - l1_ratio), 0.01 * l1_ratio)
    for max_passes in [*range(1, 30), 100]:
        steps = []
        found = penalised(X, y, 0.01, l1_ratio, rows=rows, max_passes=max_passes, on_step=steps.append)
        assert found.n_passes <= max_passes
        values, passes = [start, *(step.objective for step in steps)], [1, *(step.n_passes for step in steps)]
        assert (np.diff(values) <= 1e-15).all() and (np.diff(passes) >= 2).all()
        assert (found.objective, found.n_passes) == pytest.approx((values[-1], passes[-1]), rel=1e-14)
    assert len(steps) > 3


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_a_step_is_the_last_if_on_step_says_so_and_what_it_is_told_is_the_solution(l1_ratio):
    X, y = data("wine")
    steps = []

    def stop_at_third(solution):
        steps.append(solution)
        return len(steps) == 3

    found = penalised(X, y, 0.01, l1_ratio, on_step=stop_at_third)
    assert len(steps) == 3 and found.gradient > 1e-12
    np.testing.assert_array_equal(found.rows, steps[-1].rows)
    np.testing.assert_array_equal(found.intercept, steps[-1].intercept)
    for step in steps:
        expected = objective(X, y, step.rows, step.intercept, 0.01 * (1 - l1_ratio), 0.01 * l1_ratio)
        assert step.objective == pytest.approx(expected, rel=1e-12)


def test_passes_are_counted(make_data, monkeypatch):
    X, y = make_data(n_features=12)
    counts = dict.fromkeys(("product", "loss_gradient", "hessian_product", "gram_matrices", "squared_transposed_product"), 0)

    def counted(name, original):
        def method(*args, **kwargs):
            counts[name] += 1
            return original(*args, **kwargs)

        return method

    for name in counts:
        monkeypatch.setattr(DesignMatrix, name, counted(name, getattr(DesignMatrix, name)))
    for form, l1_ratio in [(X, 0.0), (X, 1.0), (csr_array(X), 0.0), (csr_array(X), 1.0)]:
        counts.update(dict.fromkeys(counts, 0))
        found = penalised(form, y, 0.001, l1_ratio)
        made = (
            counts["hessian_product"]
            + (1 + 13 / PRODUCT_OF_CLASSES) * counts["gram_matrices"]
            + counts["squared_transposed_product"]
        )
        assert found.n_passes == counts["loss_gradient"] + made
        assert counts["product"] == 0
        is_dense = isinstance(form, np.ndarray)
        assert (counts["gram_matrices"] > 0) == (is_dense and l1_ratio == 0)
        assert (counts["squared_transposed_product"] > 0) == (not is_dense and l1_ratio == 0)


@pytest.fixture
def problem_and_points(make_data):
    X, y = make_data()
    weight = np.random.default_rng(1).uniform(0.1, 2, size=len(y))
    offset, scale = X.mean(axis=0), np.array([1, 2, 0.5, 0.1, 3])
    problem = problem_of(X, y, weight, 3, l2=0.01, l1=0.0, offset=offset, scale=scale)
    return problem, *np.random.default_rng(2).normal(size=(2, 6, 3))


def test_hessian_is_the_derivative_of_the_gradient(problem_and_points):
    problem, point, step = problem_and_points
    h = 1e-5
    up, down = (problem.evaluate(x).gradient for x in (point + h * step, point - h * step))
    curvature = problem.curvature(problem.evaluate(point).scores)
    np.testing.assert_allclose(curvature.product(step), (up - down) / (2 * h), rtol=0, atol=1e-7)
    for k, triangle in enumerate(curvature.blocks()):
        hessian = np.tril(triangle) + np.tril(triangle, -1).T
        of_class = np.zeros((6, 3))
        of_class[:, k] = step[:, k]
        np.testing.assert_allclose(hessian @ step[:, k], curvature.product(of_class)[:, k], rtol=1e-7)


@every_instruction_set
@pytest.mark.parametrize("n_classes", [2, 3, 8, 9, 70])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@every_dtype
def test_sparse_hessian_is_the_dense_one(make_data, n_classes, index, dtype):
    X, y = make_data(n_classes=n_classes, n_samples=300)
    X = np.where(np.abs(X) > 0.5, X, 0).astype(dtype)
    X[3] = 0  # a row without entries
    sparse = csr_array(X)
    sparse.indices, sparse.indptr = sparse.indices.astype(index), sparse.indptr.astype(index)
    rng = np.random.default_rng(3)
    weight, step = rng.uniform(0.1, 2, size=len(y)), rng.normal(size=(X.shape[1] + 1, n_classes))
    scale = rng.uniform(0.5, 2, size=X.shape[1])
    scale[1] = 0
    gradients, products, diagonals = [], [], []
    for form in (X, sparse):
        problem = problem_of(form, y, weight, n_classes, l2=0.01, l1=0.0, offset=np.zeros(X.shape[1]), scale=scale)
        at = problem.evaluate(step)
        gradients.append(at.gradient)
        curvature = problem.curvature(at.scores)
        products.append(curvature.product(step))
        diagonals.append(curvature.diagonal())
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(products[1], products[0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(diagonals[1], diagonals[0], rtol=1e-12, atol=1e-14)


def test_change_of_a_tiny_step_is_not_lost_in_rounding(problem_and_points):
    problem, point, step = problem_and_points
    at, tiny = problem.evaluate(point), 1e-10 * step
    change = problem.change(at.scores, point, tiny, problem.scores(tiny))
    assert change == pytest.approx(np.vdot(at.gradient, tiny), rel=1e-8, abs=0)
    # both formulas agree where both are good
    for size in (0.01, 10.0):
        exact = problem.value(point + size * step) - problem.value(point)
        assert problem.change(at.scores, point, size * step, problem.scores(size * step)) == pytest.approx(exact, rel=1e-10)


# Edges ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_start_at_the_optimum_takes_one_pass(l1_ratio):
    X, y = data("iris")
    found = penalised(X, y, 0.01, l1_ratio, tol=1e-10)
    again = penalised(X, y, 0.01, l1_ratio, rows=found.rows, intercept=found.intercept, tol=1e-8)
    assert again.n_passes == 1
    np.testing.assert_allclose(again.rows, found.rows, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_columns_without_scale_are_left_out(make_data, l1_ratio):
    X, y = make_data()
    scale = X.std(axis=0)
    scale[2] = 0
    rows = np.ones((3, 5)) * [[1], [-1], [0]]
    found = penalised(X, y, 0.01, l1_ratio, rows=rows, scale=scale, unit=scale)
    without = penalised(np.ascontiguousarray(np.delete(X, 2, axis=1)), y, 0.01, l1_ratio)
    assert not found.rows[:, 2].any()
    np.testing.assert_allclose(np.delete(found.rows, 2, axis=1), without.rows, rtol=0, atol=1e-7)


def test_columns_without_unit_do_not_count(make_data):
    X, y = make_data()
    unit = X.std(axis=0)
    unit[0] = 0
    optimum = solve(X, y, l2=0.01)
    rows = optimum.rows.copy()
    rows[:, 0] += [1e-8, -1e-8, 0]
    rows[:, 1:] += 1e-13
    found = solve(X, y, l2=0.01, rows=rows, intercept=optimum.intercept, unit=unit, tol=1e-7)
    assert found.n_passes == 1
    assert found.gradient < solve(X, y, l2=0.01, rows=rows, intercept=optimum.intercept, tol=1e-7).gradient


def test_intercept_that_is_not_fitted_stays(make_data):
    X, y = make_data()
    intercept = np.array([0.5, -1.0, 2.0])
    found = solve(X, y, l2=0.01, fit_intercept=False, intercept=intercept)
    np.testing.assert_array_equal(found.intercept, intercept)
    assert found.gradient <= 1e-9 and found.rows.any()


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("sparse", [False, True])
def test_separated_data_without_penalty_stay_finite(n_classes, sparse):
    X = np.repeat(np.eye(n_classes) * 3, 5, axis=0) + np.random.default_rng(0).normal(size=(5 * n_classes, n_classes)) * 0.1
    y = np.repeat(np.arange(n_classes), 5)
    found = solve(csr_array(X) if sparse else X, y, tol=0.0, max_passes=300)
    assert found.n_passes <= 300
    assert np.isfinite(found.rows).all() and np.isfinite(found.intercept).all()
    assert 0 <= found.objective < 1e-8 and found.gradient < 1e-8


def test_class_that_never_occurs(make_data):
    X, y = make_data()
    found = solve(X, y, l2=0.01, n_classes=4, tol=1e-6)
    assert found.gradient <= 1e-6
    assert softmax(X @ found.rows.T + found.intercept, axis=1)[:, 3].max() < 1e-4


@pytest.mark.parametrize("l1", [0.0, 0.01])
def test_start_far_away(make_data, l1):
    X, y = make_data()
    rows = np.random.default_rng(0).normal(size=(3, 5), scale=1e3)
    found = solve(X, y, l2=0.01, l1=l1, rows=rows)
    assert found.gradient <= 1e-9
    np.testing.assert_allclose(found.rows, solve(X, y, l2=0.01, l1=l1).rows, rtol=0, atol=1e-7)


def test_rounding_ends_it(make_data):
    found = solve(*make_data(), l2=0.01, tol=0.0)
    assert found.gradient < 1e-14 and found.n_passes < 2000


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_interrupt_leaves_the_arrays_of_the_caller(make_data, l1_ratio):
    X, y = make_data()
    rows, intercept, weight = np.ones((3, 5)), np.arange(3.0), np.ones(len(y))
    arrays = X, y, rows, intercept, weight
    before = [array.copy() for array in arrays]

    def interrupt(solution):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        penalised(X, y, 0.01, l1_ratio, rows=rows, intercept=intercept, sample_weight=weight, on_step=interrupt)
    penalised(X, y, 0.01, l1_ratio, rows=rows, intercept=intercept, sample_weight=weight)
    for array, copy in zip(arrays, before):
        np.testing.assert_array_equal(array, copy)
