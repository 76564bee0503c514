"""The definition of what is minimised, and the certified bound of how far a model is above the minimum."""

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import log_softmax
from test_kernels import every_dtype, every_instruction_set, instruction_set  # noqa: F401

from sklearn_softmax import _certificate
from sklearn_softmax._certificate import optimality_gap
from sklearn_softmax._matrix import DesignMatrix, raw_prediction, rows_in
from sklearn_softmax._model import Model
from sklearn_softmax._objective import Objective, Penalty, proba_and_losses
from sklearn_softmax._validation import Problem

every_kind = pytest.mark.parametrize("kind", ["classes", "distributions and offsets"])
every_number_of_classes = pytest.mark.parametrize("n_classes", [2, 3])


def objective(n_classes, *, alpha=0.05, l1_ratio=0.0, fit_intercept=True, kind="classes"):
    rng = np.random.default_rng(n_classes)
    X = rng.normal(size=(40, 3))
    y = (X @ rng.normal(size=(3, n_classes)) + rng.gumbel(size=(40, n_classes))).argmax(axis=1)
    weight, of_rows = rng.uniform(0.2, 3, size=40), {}
    if kind == "distributions and offsets":
        counts = rng.dirichlet(np.full(n_classes, 0.5), size=40) + np.eye(n_classes)[y]
        problem = Problem(X, y, weight, weight).with_targets(np.where(counts < 0.2, 0, counts))
        y, of_rows = problem.y, dict(label_shift=problem.label_shift, score_offset=rng.normal(size=(40, n_classes)))
    return Objective(X, y, weight, Penalty(alpha, l1_ratio, n_classes), fit_intercept, **of_rows)


def model_of(theta, n_classes):
    """The model whose public coefficients, then intercepts, are the numbers `theta`."""
    n_rows = 1 if n_classes == 2 else n_classes
    return Model.from_public(theta[: 3 * n_rows].reshape(n_rows, 3), theta[3 * n_rows :])


def point_of(theta, n_classes):
    return model_of(theta, n_classes).point()


def random_theta(n_classes, rng, scale=1.0):
    return scale * rng.normal(size=4 * (1 if n_classes == 2 else n_classes))


def public_gradient(F, theta, n_classes):
    gradient = F.evaluate(point_of(theta, n_classes)).gradient
    if n_classes == 2:  # of w, where the rows are -w/2 and w/2
        gradient = (gradient[:, 1:] - gradient[:, :1]) / 2
    return np.concatenate([gradient[:-1].T.ravel(), gradient[-1]])


@every_kind
@every_number_of_classes
def test_gradient_is_that_of_finite_differences(n_classes, kind):
    F, theta = objective(n_classes, kind=kind), random_theta(n_classes, np.random.default_rng(1))
    steps = 1e-5 * np.eye(len(theta))
    expected = [(F.value(point_of(theta + h, n_classes)) - F.value(point_of(theta - h, n_classes))) / 2e-5 for h in steps]
    np.testing.assert_allclose(public_gradient(F, theta, n_classes), expected, atol=1e-9)


@every_instruction_set
@pytest.mark.parametrize("size", [1, 1e3, 1e300])
@pytest.mark.parametrize("n_classes", [2, 3, 4, 7, 8, 9, 16, 17, 33])
def test_losses_are_those_of_log_softmax(n_classes, size):
    scores, y = size * np.random.default_rng(0).normal(size=(20, n_classes)), np.arange(20) % n_classes
    log_proba = log_softmax(scores, axis=1)
    for n_rows in (1, 2, 20):  # the last rows are read otherwise
        proba, losses = proba_and_losses(scores[:n_rows], y[:n_rows])
        np.testing.assert_allclose(losses, -log_proba[np.arange(n_rows), y[:n_rows]], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(proba, np.exp(log_proba[:n_rows]), rtol=1e-12, atol=1e-300)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_transposed_products_of_blocks_of_sparse_rows(index, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 6)).astype(dtype) * (rng.random((30, 6)) < 0.4)
    sparse, residual = csr_array(X), rng.normal(size=(30, 5))
    sparse.indices, sparse.indptr = sparse.indices.astype(index), sparse.indptr.astype(index)
    for block in [slice(0, 12), slice(12, 12), slice(12, 24), slice(24, 36)]:
        rows = rows_in(sparse, block)
        np.testing.assert_array_equal(rows.toarray(), X[block])
        assert not rows.nnz or np.shares_memory(rows.data, sparse.data)
    design = DesignMatrix(sparse, 5)
    design.blocks = [slice(0, 12), slice(12, 24), slice(24, 36)]
    total = design.transposed_product(lambda block: residual[block])
    np.testing.assert_allclose(total[:-1], X.T.astype(np.float64) @ residual, rtol=0, atol=1e-14)
    np.testing.assert_allclose(total[-1], residual.sum(axis=0), rtol=0, atol=1e-14)


@every_dtype
@pytest.mark.parametrize("distance", [0, 50, 1e6])
def test_products_with_centred_columns_have_their_digits_wherever_the_columns_lie(distance, dtype):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(30, 4)) + distance).astype(dtype)
    values = X.astype(np.float64)
    offset, inverse_scale = values.mean(axis=0), 1 / values.std(axis=0)
    columns = np.column_stack([(values - offset) * inverse_scale, np.ones(30)])
    design = DesignMatrix(X, 3, False, offset, inverse_scale)
    design.blocks = [slice(0, 12), slice(12, 24), slice(24, 30)]
    point, residual = rng.normal(size=(5, 3)), rng.normal(size=(30, 3))
    shares, proba = rng.random(30), rng.dirichlet(np.ones(3), size=30)
    change = columns @ point
    curved = shares[:, None] * proba * (change - (proba * change).sum(axis=1, keepdims=True))
    for found, expected in [
        (design.product(point), change),
        (design.transposed_product(lambda block: residual[block]), columns.T @ residual),
        (design.squared_transposed_product(lambda block: residual[block]), np.square(columns).T @ residual),
        (design.hessian_product(shares, proba, point), columns.T @ curved),
        (design.gram_matrices(lambda block: proba[block], True), np.tril(np.einsum("ia,ij,ik->ajk", proba, columns, columns))),
    ]:
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-13)


@every_instruction_set
@every_dtype
@pytest.mark.parametrize("n_features", [1, 5, 63, 64, 67, 203, 5000])  # from 64 on, features are in the lanes of vectors
def test_passes_are_those_of_their_definition(n_features, dtype):
    rng = np.random.default_rng(n_features)
    for n_samples, n_classes in [(1, 3), (7, 4), (8, 5), (33, 3), (33, 7), (40, 2), (41, 12)]:
        X = rng.normal(size=(n_samples, n_features)).astype(dtype)
        offset, inverse_scale = rng.normal(size=n_features), rng.random(n_features)
        columns = np.column_stack([(X - offset) * inverse_scale, np.ones(n_samples)])
        point = rng.normal(size=(n_features + 1, n_classes)) / np.sqrt(n_features)
        y, weight = rng.integers(n_classes, size=n_samples), rng.random(n_samples)
        objective = Objective(X, y, weight, Penalty(0.0, 0.0, n_classes), offset=offset, inverse_scale=inverse_scale)
        at = objective.evaluate(point)
        log_proba, shares = log_softmax(columns @ point, axis=1), weight / weight.sum()
        proba = np.exp(log_proba)
        assert at.loss == pytest.approx(-shares @ log_proba[np.arange(n_samples), y], rel=1e-12)
        gradient = columns.T @ (shares[:, None] * (proba - np.eye(n_classes)[y]))
        np.testing.assert_allclose(at.gradient, gradient, rtol=0, atol=1e-13)
        step = rng.normal(size=point.shape) / n_features
        change = proba * (columns @ step)
        curved = shares[:, None] * (change - proba * change.sum(axis=1, keepdims=True))
        np.testing.assert_allclose(objective.curvature(at.scores).product(step), columns.T @ curved, rtol=0, atol=2e-13)


def test_a_constant_added_to_all_intercepts_changes_nothing():
    F, theta = objective(3), random_theta(3, np.random.default_rng(1))
    shifted = theta + np.r_[np.zeros(9), np.full(3, 5.0)]
    assert F.value(point_of(shifted, 3)) == pytest.approx(F.value(point_of(theta, 3)), rel=1e-14)
    np.testing.assert_allclose(public_gradient(F, shifted, 3), public_gradient(F, theta, 3), atol=1e-14)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
def test_two_classes_are_binary_logistic_regression_in_the_one_row(l1_ratio):
    F, theta = objective(2, l1_ratio=l1_ratio), random_theta(2, np.random.default_rng(1))
    w, b = theta[:3], theta[3]
    penalty = 0.05 * ((1 - l1_ratio) / 2 * w @ w + l1_ratio * np.abs(w).sum())
    assert F.penalty(point_of(theta, 2)[:-1]) == pytest.approx(penalty, rel=1e-14)
    margins = (2 * F.y - 1) * (F.design.X @ w + b)
    loss = np.average(np.log1p(np.exp(-margins)), weights=F.shares)
    assert F.value(point_of(theta, 2)) == pytest.approx(loss + penalty, rel=1e-14)


def minimum(F, n_classes):
    """A near minimiser: L-BFGS-B in W = positive part - negative part, which makes L1 smooth."""
    n_rows = 1 if n_classes == 2 else n_classes
    n, l1 = 3 * n_rows, F.penalty.alpha * F.penalty.l1_ratio

    def theta_of(z):
        return np.concatenate([z[:n] - z[n : 2 * n], z[2 * n :]])

    def value_and_gradient(z):
        theta = theta_of(z)
        point, gradient = point_of(theta, n_classes), public_gradient(F, theta, n_classes)
        value = F.value(point) + l1 * (z[: 2 * n].sum() - np.abs(theta[:n]).sum())
        return value, np.concatenate([gradient[:n] + l1, l1 - gradient[:n], gradient[n:]])

    free = (None, None) if F.fit_intercept else (0, 0)
    bounds = [(0, None)] * (2 * n) + [free] * n_rows
    options = {"ftol": 0, "gtol": 1e-10, "maxiter": 5000, "maxfun": 20000, "maxcor": 30}
    found = minimize(value_and_gradient, np.zeros(2 * n + n_rows), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return theta_of(found.x)


@every_kind
@every_number_of_classes
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.05, 0.0), (0.05, 0.4), (0.05, 1.0), (1e-4, 0.0), (0.0, 0.0)])
def test_optimality_gap_is_a_certified_bound(alpha, l1_ratio, fit_intercept, n_classes, kind):
    F = objective(n_classes, alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, kind=kind)
    best, rng = minimum(F, n_classes), np.random.default_rng(0)
    least = F.value(point_of(best, n_classes))
    mask = 1.0 if fit_intercept else np.arange(len(best)) < 3 * len(best) // 4
    for scale in 10.0 ** np.arange(-9, 4):
        for centre in (best, 0 * best):
            point = point_of(centre + mask * random_theta(n_classes, rng, scale), n_classes)
            gap = optimality_gap(F, point)
            assert gap >= 0
            assert F.value(point) - least <= gap * (1 + 1e-12) + 1e-14
    at_zero = point_of(0 * best, n_classes)
    bound = F.value(at_zero) * (1 + 1e-15) if alpha > 0 else np.inf  # no loss is negative
    assert optimality_gap(F, at_zero) <= bound
    assert (optimality_gap(F, at_zero) == np.inf) == (alpha == 0)


@every_kind
@every_number_of_classes
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
def test_optimality_gap_vanishes_at_the_minimum(l1_ratio, fit_intercept, n_classes, kind):
    F = objective(n_classes, l1_ratio=l1_ratio, fit_intercept=fit_intercept, kind=kind)
    assert optimality_gap(F, point_of(minimum(F, n_classes), n_classes)) < 1e-8


@every_number_of_classes
def test_optimality_gap_is_the_distance_where_only_intercepts_are_off(n_classes):
    F, rng = objective(n_classes), np.random.default_rng(0)
    best = minimum(F, n_classes)
    for size in (1e-3, 1e-2, 0.1, 0.3, 3.0):
        theta = best + np.where(np.arange(len(best)) < 3 * len(best) // 4, 0, random_theta(n_classes, rng, size))
        point = point_of(theta, n_classes)
        distance, gap = F.value(point) - F.value(point_of(best, n_classes)), optimality_gap(F, point)
        assert distance <= gap + 1e-14
        assert gap <= (1 + 2 * min(size, 1)) * distance + 1e-13


def exact_step(shares, proba, frequency):
    marginal = shares @ proba
    hessian, step = np.diag(marginal) - (proba * shares[:, None]).T @ proba, np.zeros(len(frequency))
    step[:-1] = np.linalg.solve(hessian[:-1, :-1], (frequency - marginal)[:-1])
    return step, proba @ step, float(step @ hessian @ step)


# Measured: at most 8.2e-5 above the gap with the exact step.
@pytest.mark.parametrize("most_products", [0, 1, 2, 50])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
def test_optimality_gap_is_a_bound_however_inexact_the_step_is(l1_ratio, most_products, monkeypatch):
    n_classes, rng = 12, np.random.default_rng(0)
    F = objective(n_classes, alpha=0.01, l1_ratio=l1_ratio)
    F.y[:n_classes] = np.arange(n_classes)
    best = minimum(F, n_classes)
    least = F.value(point_of(best, n_classes))
    monkeypatch.setattr(_certificate, "MOST_PRODUCTS", most_products)
    monkeypatch.setattr(_certificate, "FEW_CLASSES", 11)
    for scale in 10.0 ** np.arange(-6, 2):
        point = point_of(best + random_theta(n_classes, rng, scale), n_classes)
        gap = optimality_gap(F, point)
        assert F.value(point) - least <= gap * (1 + 1e-12) + 1e-14
        if most_products == 50:
            with monkeypatch.context() as patch:
                patch.setattr(_certificate, "_intercept_step", exact_step)
                exact = optimality_gap(F, point)
            assert gap <= (1 + 2.4e-4) * exact + 1e-14


# Near the optimum no dual point is made: the bound is that of the dual point of the same step,
# where the loss of probability is bounded by a number that is a little larger.
@every_kind
@every_number_of_classes
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_gap_near_the_optimum_is_that_of_the_dual_point(fit_intercept, n_classes, kind, monkeypatch):
    F, rng = objective(n_classes, fit_intercept=fit_intercept, kind=kind), np.random.default_rng(0)
    best = minimum(F, n_classes)
    mask = 1.0 if fit_intercept else np.arange(len(best)) < 3 * len(best) // 4
    for scale in 10.0 ** np.arange(-6, -1):
        point = point_of(best + mask * random_theta(n_classes, rng, scale), n_classes)
        gap = optimality_gap(F, point)
        with monkeypatch.context() as patch:
            patch.setattr(_certificate, "FEW_CLASSES", 0)
            of_dual_point = optimality_gap(F, point)
        np.testing.assert_allclose(gap, of_dual_point, rtol=3 * scale, atol=1e-14)


def test_optimality_gap_takes_the_memory_of_two_arrays_of_scores():
    rng, n_classes, n_samples = np.random.default_rng(0), 1500, 1600
    X, y = rng.normal(size=(n_samples, 4)), rng.integers(0, n_classes, n_samples)
    F = Objective(X, y, np.ones(n_samples), Penalty(0.05, 0.0, n_classes))
    point = rng.normal(size=(5, n_classes))
    tracemalloc.start()
    try:
        optimality_gap(F, point)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.5 * 8 * n_classes * n_samples  # measured: 2.1; a Hessian of the classes would be one more


def test_a_class_may_not_occur():
    F = objective(2)
    F = Objective(F.design.X, F.y, F.shares, Penalty(0.05, 0.0, 3))
    theta = minimum(F, 3)
    gap = optimality_gap(F, point_of(theta, 3))
    assert 0 <= gap < 1e-3  # the minimum is at an intercept of -inf
    far = point_of(random_theta(3, np.random.default_rng(0)), 3)
    assert F.value(far) - F.value(point_of(theta, 3)) <= optimality_gap(F, far) < np.inf


@every_number_of_classes
@pytest.mark.parametrize("form", ["array", "csr"])
def test_raw_prediction_is_finite_and_else_the_product(form, n_classes):
    as_form = np.asarray if form == "array" else csr_array
    theta = random_theta(n_classes, np.random.default_rng(1), 30)
    model, X = model_of(theta, n_classes), objective(n_classes).design.X
    rows, intercept = model.softmax_coef()
    np.testing.assert_allclose(raw_prediction(as_form(X), model), X @ rows.T + intercept, rtol=1e-12, atol=1e-12)
    huge = raw_prediction(as_form(X * 1e307), model)
    assert np.isfinite(huge).all()
    np.testing.assert_array_equal(np.sign(huge), np.sign(X @ rows.T))
    huge = raw_prediction(as_form(X * 1e300), model)
    np.testing.assert_allclose(huge, 1e300 * (X @ rows.T), rtol=1e-12)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("of_intercept", [False, True])
def test_a_model_that_is_not_finite_has_no_bound(make_data, wrong, of_intercept):
    X, y = make_data()
    objective = Objective(X, y.astype(np.int32), np.ones(len(y)), Penalty(0.1, 0.0, 3))
    model = Model.zeros(X.shape[1], 3, np.float64)
    assert 0 < optimality_gap(objective, model.point()) < np.log(3)
    (model.intercept if of_intercept else model.weights[0])[1] = wrong
    assert optimality_gap(objective, model.point()) == np.inf
