"""The rounds of Newton's method over parts, without any engine: what parts add up to, and where the rounds end."""

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_softmax import SoftmaxSGDClassifier, _distributed
from sklearn_softmax._coordinates import Coordinates, Moments
from sklearn_softmax._distributed import Part, Setting, rounds
from sklearn_softmax._newton import Tolerance, newton
from sklearn_softmax._objective import Objective, Penalty
from sklearn_softmax._validation import Problem


def setting(make_data, n_parts, container=np.asarray, n_classes=3, fit_intercept=True):
    """(all rows, parts, common, ``sum_over_parts``)."""
    X, y = make_data(n_classes=n_classes, n_samples=300)
    X, y = container(X), y.astype(np.int32)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=len(y))
    problem = Problem(X, y, weight, weight)
    spreads = Moments.of(problem).spreads(weight.sum())
    is_centred = fit_intercept and not sp.issparse(X)
    offset = spreads[0] if is_centred else np.zeros(X.shape[1])
    coordinates = Coordinates(offset, 1 / spreads[2], np.ones(X.shape[1]), spreads[1] / spreads[2])
    common = Setting(
        penalty=Penalty(1e-2, 0.0, n_classes, coordinates.penalty_scale),
        total_weight=weight.sum(),
        held_out_weight=0.0,
        coordinates=coordinates,
        per_unit=np.append(spreads[2] / spreads[1], 1.0)[:, None],
        fit_intercept=fit_intercept,
    )
    parts = [Part(problem.take(np.arange(number, len(y), n_parts))) for number in range(n_parts)]

    def sum_over_parts(function, *arrays):
        terms = [function(part, common, *arrays) for part in parts]
        return tuple(map(sum, zip(*terms))) if isinstance(terms[0], tuple) else sum(terms)

    return problem, common, sum_over_parts


def some_point(common):
    point = np.random.default_rng(2).normal(size=(len(common.coordinates.offset) + 1, common.penalty.n_classes))
    point -= point.mean(axis=1, keepdims=True)
    point[-1] *= common.fit_intercept
    return point


def objective_of(problem, common):
    """F in the units of X."""
    scale = common.penalty.scale / common.coordinates.inverse_scale
    penalty = Penalty(common.penalty.alpha, 0.0, common.penalty.n_classes, scale)
    return Objective(problem.X, problem.y, problem.sample_weight, penalty, common.fit_intercept)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_sums_are_those_of_all_rows(make_data, container, fit_intercept, n_classes):
    problem, common, sum_over_parts = setting(make_data, 4, container, n_classes, fit_intercept)
    point = some_point(common)
    original = common.model_of(point, np.float64).point()
    expected = objective_of(problem, common)
    objective, held_out_loss, gradient, diagonal = sum_over_parts(_distributed.evaluation, point)
    assert objective == pytest.approx(expected.value(original), rel=1e-12)
    assert held_out_loss == 0
    of_original = expected.evaluate(original).gradient
    # by the chain rule, from coefficients of columns of (x - offset) / scale to those of x
    np.testing.assert_allclose(gradient[-1], of_original[-1], atol=1e-14)
    coordinates = common.coordinates
    here = (of_original[:-1] - np.outer(coordinates.offset, of_original[-1])) * coordinates.inverse_scale[:, None]
    np.testing.assert_allclose(gradient[:-1], here, atol=1e-13)
    # of the Hessian along single coefficients
    for at in [(0, 0), (2, 1)]:
        axis = np.zeros_like(point)
        axis[at] = 1
        assert diagonal[at] == pytest.approx(sum_over_parts(_distributed.curvature, point, axis)[0, 0], rel=1e-10)


def test_curvature_is_the_second_derivative_of_the_objective(make_data):
    _, common, sum_over_parts = setting(make_data, 3)
    point, direction = some_point(common), some_point(common)[:, ::-1] * 0.5
    step = 1e-4

    def value(length):
        return sum_over_parts(_distributed.evaluation, point + length * direction)[0]

    expected = (value(step) - 2 * value(0.0) + value(-step)) / step**2
    curvature = sum_over_parts(_distributed.curvature, point, direction, point)
    assert curvature.shape == (2, 2)
    np.testing.assert_allclose(curvature, curvature.T, rtol=1e-12)
    assert curvature[0, 0] == pytest.approx(expected, rel=1e-5)


def test_steps_lead_downhill(make_data):
    _, common, sum_over_parts = setting(make_data, 5)
    point = some_point(common)
    _, _, gradient, diagonal = sum_over_parts(_distributed.evaluation, point)
    assert np.vdot(gradient, sum_over_parts(_distributed.local_step, point, gradient, diagonal)) < 0


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("n_parts", [1, 3, 10])
def test_rounds_end_at_the_optimum_of_all_rows(make_data, n_parts, container):
    problem, common, sum_over_parts = setting(make_data, n_parts, container)
    curve = []
    point, size, is_done = rounds(
        sum_over_parts, common, np.zeros_like(some_point(common)), n_rounds=100, tol=1e-9, on_round=lambda f, _: curve.append(f)
    )
    assert is_done and size <= 1e-9
    assert (np.diff(curve) <= 1e-15).all()
    best = newton(common.objective(problem), np.zeros_like(point), Tolerance(1e-10, common.per_unit), max_passes=10000)
    np.testing.assert_allclose(point - point.mean(axis=1, keepdims=True), best.point, atol=1e-6)


def test_point_and_model_are_inverse(make_data):
    X, y = make_data()
    _, common, _ = setting(make_data, 1)
    clf = SoftmaxSGDClassifier().fit(X, y)
    model = common.model_of(common.point_of(clf._stream.predictor()), np.float64)
    scores = X @ model.softmax_coef()[0].T + model.softmax_coef()[1] - clf.decision_function(X)
    np.testing.assert_allclose(scores - scores.mean(axis=1, keepdims=True), 0, atol=1e-12)
