"""Fits without epochs: which fits these are, and that they end where the others do."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from test_kernels import every_dtype, every_instruction_set, instruction_set  # noqa: F401

from sklearn_softmax import SoftmaxSGDClassifier, _minimise, _point_saga, _starts
from sklearn_softmax._newton import Tolerance, newton
from sklearn_softmax._objective import Objective, Penalty
from sklearn_softmax._quasi_newton import quasi_newton
from sklearn_softmax._starts import EPOCHS, ROWS, SAMPLE
from sklearn_softmax._validation import Problem


def rows_of(n_samples, n_features, n_classes, dtype=np.float64, seed=0):
    """Raw columns, each with an offset and a scale of its own."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    scores = X @ rng.normal(size=(n_features, n_classes)) / np.sqrt(n_features) + rng.gumbel(size=(n_samples, n_classes))
    X = X * np.logspace(-2, 2, n_features) + 3
    return X.astype(dtype), scores.argmax(axis=1)


def problem_of(X, y):
    ones = np.ones(len(y))
    return Problem(X, y.astype(np.int32), ones, ones)


def way(X, y, **settings):
    """How a fit with these settings starts."""
    ways = []
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")

        def told(*args):
            ways.append(_starts.way_of(*args))
            return ways[-1]

        patch.setattr(_point_saga, "way_of", told)
        SoftmaxSGDClassifier(**{"max_iter": 10} | settings).fit(X, y)
    return ways[0] if ways else EPOCHS


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((150, 4, 3), SAMPLE),
        ((20_000, 10, 3), SAMPLE),
        ((3000, 200, 2), SAMPLE),
        ((3000, 50, 10), EPOCHS),
        ((40, 400, 3), ROWS),
        ((40, 100, 3), SAMPLE),
    ],
)
def test_the_shape_decides(shape, expected):
    assert way(*rows_of(*shape)) == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"tol": None},
        {"max_iter": 5},
        {"eta0": 1.0},
        {"l1_ratio": 0.5},
        {"variance_reduction": False},
        {"early_stopping": True},
        {"learning_rate": "constant"},
    ],
)
def test_settings_of_epochs_have_epochs(settings):
    assert way(*rows_of(150, 4, 3), **settings) == EPOCHS


def test_a_sample_has_rows_of_all_classes():
    X, y = rows_of(40_000, 5, 3)
    assert way(X, y) == SAMPLE
    problem, weight = problem_of(X, y), np.bincount(y).astype(float)
    assert _starts.sample_size(problem, weight) == _starts.LEAST_ROWS
    rare = np.array([30_000.0, 9990.0, 10.0])
    assert _starts.sample_size(problem, rare) == len(y)  # 20 rows of the rarest are more than there are


@every_dtype
@pytest.mark.filterwarnings("ignore:.*line search")  # of newton-cg, whose last digits are rounding
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    "shape", [(150, 4, 2), (150, 4, 3), (700, 90, 2), (12_000, 12, 2), (12_000, 12, 3), (40, 100, 4), (40, 400, 2), (40, 400, 4)]
)
def test_all_ways_end_at_the_optimum_of_logistic_regression(shape, fit_intercept, dtype):
    X, y = rows_of(*shape, dtype)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=len(y))
    settings = {"alpha": 0.01, "tol": 1e-7, "fit_intercept": fit_intercept, "random_state": 0}
    clf = SoftmaxSGDClassifier(**settings).fit(X, y, sample_weight=weight)
    scale = clf.scale_
    expected = LogisticRegression(
        C=100 / weight.sum(), tol=1e-10, max_iter=10_000, solver="newton-cg", fit_intercept=fit_intercept
    )
    expected.fit(X / scale.astype(np.float64), y, sample_weight=weight)

    def value(coef, proba):
        penalty = 0.005 * np.square(coef).sum()
        return log_loss(y, proba, sample_weight=weight) + penalty

    ours = value(clf.coef_ * scale, clf.predict_proba(X.astype(np.float64)))
    theirs = value(expected.coef_, expected.predict_proba(X / scale.astype(np.float64)))
    assert ours == pytest.approx(theirs, abs=1e-9 if dtype == np.float64 else 1e-6)
    assert clf.optimality_gap_ < (1e-9 if dtype == np.float64 else 1e-4)
    assert len(clf.loss_curve_) == clf.n_iter_


@every_dtype
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_samples, n_features", [(9, 3), (203, 30), (2000, 150)])
def test_few_sparse_rows_of_two_classes_have_the_optimum_of_dense_ones(n_samples, n_features, fit_intercept, index, dtype):
    rng = np.random.default_rng(0)
    X = np.where(rng.random((n_samples, n_features)) < 0.1, rng.normal(2, 1, (n_samples, n_features)), 0).astype(dtype)
    X[:2, 0], X[:, -1] = 1, 0  # one feature occurs in both classes, and one never
    offset, y = rng.normal(size=n_samples), np.arange(n_samples) % 2
    settings = {"tol": 1e-8, "max_iter": 1000, "fit_intercept": fit_intercept, "random_state": 0}
    sparse = csr_array(X)
    sparse.indices, sparse.indptr = sparse.indices.astype(index), sparse.indptr.astype(index)
    weight = rng.uniform(0.5, 2, n_samples)
    ours, dense = (SoftmaxSGDClassifier(**settings).fit(rows, y, weight, offset=offset) for rows in (sparse, X))
    assert way(sparse, y) == SAMPLE and ours.n_iter_ < 20
    np.testing.assert_allclose(ours.coef_ * ours.scale_, dense.coef_ * dense.scale_, atol=1e-7 if dtype == np.float64 else 1e-4)
    assert ours.optimality_gap_ < (1e-12 if dtype == np.float64 else 1e-8)


@pytest.mark.parametrize("form, shape", [(np.asarray, (150, 4, 3)), (np.asarray, (40, 400, 2)), (csr_array, (12_000, 12, 2))])
def test_a_warm_start_at_the_optimum_takes_a_pass(form, shape):
    X, y = rows_of(*shape)
    clf = SoftmaxSGDClassifier(alpha=0.01, tol=1e-5, warm_start=True, random_state=0).fit(form(X), y)
    before = clf.coef_.copy()
    assert clf.set_params(tol=1e-4).fit(form(X), y).n_iter_ == 1
    np.testing.assert_allclose(clf.coef_, before, rtol=1e-2, atol=1e-3 * np.abs(before).max())


def test_the_same_seed_is_the_same_model():
    X, y = rows_of(12_000, 12, 3)
    first, again, other = (SoftmaxSGDClassifier(random_state=seed).fit(X, y).coef_ for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()  # another sample


@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_wide_rows_without_variation_have_the_class_prior(constant):
    clf = SoftmaxSGDClassifier(random_state=0).fit(np.full((6, 20), constant), [0, 0, 0, 1, 1, 2])
    assert not clf.coef_.any()
    np.testing.assert_allclose(clf.predict_proba(np.full((1, 20), constant)), [[1 / 2, 1 / 3, 1 / 6]], atol=1e-4)


# The methods -----------------------------------------------------------------------------------------------------------------


def objective_of(X, y, n_classes, *, fit_intercept=True, alpha=0.01, left_out=()):
    rng = np.random.default_rng(2)
    inverse_scale = 1 / X.astype(np.float64).std(axis=0)
    inverse_scale[list(left_out)] = 0
    offset = X.mean(axis=0, dtype=np.float64) if fit_intercept else np.zeros(X.shape[1])
    penalty = Penalty(alpha, 0.0, n_classes, rng.uniform(0.5, 2, size=X.shape[1]))
    weight = rng.uniform(0.1, 2, size=len(y))
    return Objective(X, y, weight, penalty, fit_intercept, offset=offset, inverse_scale=inverse_scale)


METHODS = [quasi_newton, _minimise._small_newton]


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3, 9])
def test_methods_find_the_same_optimum(n_classes, fit_intercept, method, dtype):
    X, y = rows_of(220, 5, n_classes, dtype)
    F = objective_of(X, y, n_classes, fit_intercept=fit_intercept, left_out=[1])
    start = np.random.default_rng(3).normal(size=(6, n_classes)) * F.is_free
    tolerance = Tolerance(1e-9, np.ones((6, n_classes)))
    expected = newton(F, start, tolerance, max_passes=1000)
    told = []
    found = method(F, start, tolerance, max_passes=1000, on_step=told.append)
    assert found.gradient <= 1e-9
    np.testing.assert_allclose(found.point - found.point.mean(axis=1, keepdims=True) * F.is_free, expected.point, atol=1e-6)
    # what is told is so
    again = F.evaluate(found.point)
    assert found.objective == pytest.approx(again.value, rel=1e-13)
    assert found.evaluation.loss == pytest.approx(again.loss, rel=1e-12)
    np.testing.assert_allclose(found.evaluation.gradient, again.gradient, atol=1e-13)
    np.testing.assert_allclose(found.evaluation.scores, again.scores, atol=1e-12)
    assert (np.diff([step.n_passes for step in told]) >= 1).all() and told[-1].n_passes == found.n_passes
    values = [F.value(start), *(step.objective for step in told)]
    assert (np.diff(values) <= 1e-12).all() and values[-1] == pytest.approx(expected.objective, rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_passes_are_bounded_and_a_step_may_be_the_last(method):
    X, y = rows_of(220, 5, 3)
    F, zeros, tolerance = objective_of(X, y, 3), np.zeros((6, 3)), Tolerance(1e-9, np.ones((6, 3)))
    for max_passes in range(3, 12):
        assert method(F, zeros, tolerance, max_passes=max_passes).n_passes <= max_passes
    steps = []
    more = {"tells_steps": True} if method is _minimise._small_newton else {}
    found = method(F, zeros, tolerance, max_passes=100, on_step=lambda step: steps.append(step) or len(steps) == 2, **more)
    assert len(steps) == 2
    np.testing.assert_array_equal(found.point, steps[-1].point)


def test_steps_that_are_told_are_the_steps_that_are_not():
    X, y = rows_of(220, 5, 3)
    F, zeros, tolerance = objective_of(X, y, 3), np.zeros((6, 3)), Tolerance(1e-9, np.ones((6, 3)))
    at_once, one_by_one = [], []
    found = _minimise._small_newton(F, zeros, tolerance, max_passes=100, on_step=at_once.append)
    again = _minimise._small_newton(F, zeros, tolerance, max_passes=100, on_step=one_by_one.append, tells_steps=True)
    np.testing.assert_array_equal(found.point, again.point)
    assert [(step.n_passes, step.objective) for step in at_once] == [(step.n_passes, step.objective) for step in one_by_one]
    assert len({step.objective for step in one_by_one}) == len(one_by_one) > 3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_separated_rows_stay_finite_without_a_penalty(n_classes, method):
    y = np.arange(40) % n_classes
    X = np.eye(n_classes)[y] + 0.01 * np.random.default_rng(0).normal(size=(40, n_classes))
    F = objective_of(X, y, n_classes, alpha=0.0)
    size = n_classes + 1
    found = method(F, np.zeros((size, n_classes)), Tolerance(1e-9, np.ones((size, n_classes))), max_passes=300)
    assert np.isfinite(found.point).all() and found.objective < 1e-6


@pytest.mark.parametrize("n_samples", [220, 3000])  # the method for small problems, and another
def test_without_a_penalty_the_coefficients_of_the_classes_add_up_to_zero(n_samples):
    X, y = rows_of(n_samples, 5, 3)
    clf = SoftmaxSGDClassifier(alpha=0, random_state=0).fit(X, y)
    np.testing.assert_allclose(clf.coef_.sum(axis=0), 0, atol=1e-12)
    assert abs(clf.intercept_.sum()) < 1e-12
