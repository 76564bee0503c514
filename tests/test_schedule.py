"""The classic learning rates against scikit-learn's documented formulas and its own iterates."""

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier

from sklearn_softmax import SoftmaxSGDClassifier
from sklearn_softmax._schedule import SCHEDULES, default_eta0, step_sizes

T = np.arange(1.0, 101)


def steps(learning_rate, t=T):
    return step_sizes(learning_rate, t, eta0=0.3, power_t=0.7, alpha=0.02)


def test_each_schedule_is_its_documented_formula():
    t0 = 1 / (0.02 * np.sqrt(1 / np.sqrt(0.02)))
    np.testing.assert_allclose(steps("constant"), np.full(100, 0.3), rtol=1e-15)
    np.testing.assert_allclose(steps("adaptive"), np.full(100, 0.3), rtol=1e-15)
    np.testing.assert_allclose(steps("invscaling"), 0.3 / T**0.7, rtol=1e-15)
    np.testing.assert_allclose(steps("optimal"), 1 / (0.02 * (t0 + T - 1)), rtol=1e-15)


@pytest.mark.parametrize("learning_rate", SCHEDULES)
def test_steps_are_positive_and_never_grow(learning_rate):
    eta = steps(learning_rate)
    assert eta.shape == T.shape
    assert (eta > 0).all()
    assert (np.diff(eta) <= 0).all()
    assert (np.diff(eta) < 0).all() == (learning_rate in ("invscaling", "optimal"))


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("c", [1e-3, 7.0, 1e6])
def test_default_steps_undo_the_unit_of_x(c, learning_rate):
    norms = np.array([1.0, 30.0])
    np.testing.assert_allclose(default_eta0(learning_rate, c**2 * norms), default_eta0(learning_rate, norms) / c**2, rtol=1e-15)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling"])
def test_iterates_are_those_of_sgd_classifier_with_twice_the_step(learning_rate, fit_intercept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)
    same = {
        "shuffle": False,
        "tol": None,
        "max_iter": 4,
        "learning_rate": learning_rate,
        "power_t": 0.6,
        "fit_intercept": fit_intercept,
    }
    ours = SoftmaxSGDClassifier(alpha=0, eta0=0.1, **same).fit(X, y)
    theirs = SGDClassifier(loss="log_loss", penalty=None, eta0=0.2, **same).fit(X, y)  # +-w/2 moves w twice as fast
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-10)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-10)


def test_the_time_of_a_row_is_one_and_the_weight_before_it():
    params = dict(learning_rate="invscaling", eta0=0.1, power_t=1.0, alpha=0)
    model = SoftmaxSGDClassifier(**params).partial_fit([[0.0]], [0], [0, 1, 2], sample_weight=[5.0])
    first = -0.1 * 5 * (np.full(3, 1 / 3) - [1, 0, 0])  # t = 1
    np.testing.assert_allclose(model.intercept_, first)
    proba = np.exp(first) / np.exp(first).sum()
    model.partial_fit([[0.0]], [1], sample_weight=[2.0])
    np.testing.assert_allclose(model.intercept_, first - 0.1 / 6 * 2 * (proba - [0, 1, 0]))  # t = 1 + 5


@pytest.mark.parametrize("alpha", [1e-200, 1e-30, 1e30, 1e200])
def test_optimal_with_a_penalty_of_any_strength(alpha):
    eta = step_sizes("optimal", np.arange(1.0, 4), eta0=np.nan, power_t=np.nan, alpha=alpha)
    assert np.isfinite(eta).all() and (eta > 0).all()
    assert eta[0] == pytest.approx(alpha**-0.25, rel=1e-9)
