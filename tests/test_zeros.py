"""L1 makes coefficients zero whatever the way to the model, and what waits for a feature is in `coef_`."""

from functools import cache

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss

from sklearn_softmax import SoftmaxSGDClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
every_container = pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "CSR"])


@cache
def rows(n_classes):
    """Train and test rows; 5 or 8 of 50 features matter."""
    X, y = make_classification(
        8000, 50, n_informative=5 if n_classes == 2 else 8, n_redundant=0, n_classes=n_classes, random_state=0
    )
    return X[:4000], y[:4000], X[4000:], y[4000:]


@cache
def optimum(n_classes, alpha):
    """Share of zeros and log loss on the test rows of the optimum."""
    X, y, X_test, y_test = rows(n_classes)
    return zeros_and_loss(SoftmaxSGDClassifier(alpha=alpha, l1_ratio=1, random_state=0).fit(X, y), X_test, y_test)


def zeros_and_loss(model, X, y):
    return np.mean(model.coef_ == 0), log_loss(y, model.predict_proba(X))


def stream(X, y, **params):
    return SoftmaxSGDClassifier(l1_ratio=1, **params).partial_fit(X, y, np.unique(y))


def fitted(X, y, **params):
    return SoftmaxSGDClassifier(l1_ratio=1, random_state=0, **params).fit(X, y)


WAYS = {
    "stream": stream,
    "stream, not averaged": lambda X, y, **params: stream(X, y, average=False, **params),
    "one epoch": lambda X, y, **params: fitted(X, y, max_iter=1, **params),
    "two epochs": lambda X, y, **params: fitted(X, y, max_iter=2, **params),
    "three epochs": lambda X, y, **params: fitted(X, y, max_iter=3, **params),
    "no variance reduction": lambda X, y, **params: fitted(X, y, variance_reduction=False, max_iter=5, **params),
    "fit, then a stream": lambda X, y, **params: fitted(X, y, **params).partial_fit(X[:100], y[:100]),
    "fit, then one not averaged": lambda X, y, **params: fitted(X, y, average=False, **params).partial_fit(X[:100], y[:100]),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@every_container
@every_way
@pytest.mark.parametrize("n_classes", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_about_as_many_zeros_as_at_the_optimum(n_classes, way, container):
    X, y, X_test, y_test = rows(n_classes)
    zeros, loss = zeros_and_loss(way(container(X), y, alpha=0.01), X_test, y_test)
    best_zeros, best_loss = optimum(n_classes, 0.01)
    assert abs(zeros - best_zeros) <= 0.06
    assert loss < 1.1 * best_loss


@every_container
@every_way
def test_no_coefficient_where_the_optimum_has_none(way, container):
    X, y, _, _ = rows(2)
    assert not way(container(X[:2000]), y[:2000], alpha=1.0).coef_.any()


@every_container
def test_elastic_net_and_single_precision(container):
    X, y, _, _ = rows(2)
    for l1_ratio in (0.7, 1.0):
        model = SoftmaxSGDClassifier(alpha=0.01, l1_ratio=l1_ratio)
        model.partial_fit(container(X.astype(np.float32)), y, [0, 1])
        assert np.mean(model.coef_ == 0) >= 0.8


@every_container
@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "optimal", pytest.param("adaptive", marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", [stream, fitted])
def test_classic_schedules_make_zeros(way, learning_rate, average, container):
    X, y, X_test, y_test = rows(2)
    params = dict(alpha=0.01, learning_rate=learning_rate, average=average)
    params |= {"max_iter": 5} if way is fitted else {}
    zeros, loss = zeros_and_loss(way(container(X), y, **params), X_test, y_test)
    assert zeros >= (0.7 if average else 0.8)  # the optimum has 0.9
    if learning_rate != "optimal":  # the first steps of which are too long with any penalty
        assert loss < 1.2 * optimum(2, 0.01)[1]


@every_container
@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("l1_ratio", [0.4, 1.0])
@pytest.mark.parametrize("alpha", ["1/n_samples", 0.02])
def test_classic_stream_equals_its_twin(alpha, l1_ratio, average, container):
    X, y, _, _ = rows(5)
    X, y, one = X[:300] * (np.abs(X[:300]) > 0.5), y[:300], np.ones(300)
    model = SoftmaxSGDClassifier(learning_rate="constant", eta0=0.02, alpha=alpha, l1_ratio=l1_ratio, average=average)
    model.partial_fit(container(X[:100]), y[:100], range(5)).partial_fit(container(X[100:]), y[100:])
    start = np.zeros((5, 50)), np.zeros(5)
    W, b, mean, _, (threshold, mean_threshold) = reference.sweep(
        X, y, one, range(300), 0.02 * one, alpha * one if alpha == 0.02 else 1 / np.cumsum(one), *start,
        l2_ratio=1 - l1_ratio, l1_ratio=l1_ratio, fit_intercept=True, average_from=0, average=(*start, 0.0) if average else None,
        follows_weight=alpha == "1/n_samples",
    )  # fmt: skip
    if average:
        W, b, threshold = *mean[:2], mean_threshold
    coef = reference.soft_threshold(W, threshold)
    assert (coef == 0).any()
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.intercept_, b, rtol=1e-9, atol=1e-12)


@every_container
@pytest.mark.parametrize("average", [True, False])
def test_a_classic_stream_goes_on_from_any_model(average, container):
    """From the zeros of a model that comes from elsewhere, too; and without L1, from what L1 has left."""
    X, y, _, _ = rows(2)
    model = fitted(X, y, alpha=0.01, average=average).set_params(learning_rate="constant", eta0=1e-4)
    zeros, before = np.mean(model.coef_ == 0), model.coef_.copy()
    for params in ({}, {"alpha": 0.02}, {"l1_ratio": 0.5}):
        model.set_params(**params).partial_fit(container(X[:100]), y[:100])
        assert np.mean(model.coef_ == 0) >= zeros - 0.02
        assert np.abs(model.coef_ - before).max() < 0.05 * np.abs(before).max()
    model.set_params(l1_ratio=0.0).partial_fit(container(X[:100]), y[:100])
    assert model.coef_.all() and np.abs(model.coef_ - before).max() < 0.1 * np.abs(before).max()


def test_no_zeros_without_l1():
    X, y, _, _ = rows(2)
    assert SoftmaxSGDClassifier(alpha=0.1).partial_fit(X, y, [0, 1]).coef_.all()


def test_a_change_of_alpha_or_container_goes_on_from_the_same_model():
    X, y, _, _ = rows(5)
    model = stream(X[:2000], y[:2000], alpha=0.01)
    before = model.coef_.copy()
    for params, container in [(dict(alpha=0.02), np.asarray), ({}, sp.csr_array), (dict(l1_ratio=0.0), np.asarray)]:
        model.set_params(**params).partial_fit(container(X[:1]), y[:1])
        assert np.abs(model.coef_ - before).max() < 0.05 * np.abs(before).max()
        before = model.coef_.copy()


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("alpha", ["1/n_samples", 0.02])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_coef_of_sparse_rows_has_the_penalty_that_waits(n_classes, alpha, l1_ratio, average):
    X = sp.csr_array(sp.random(200, 30, density=0.08, random_state=0))
    y = np.random.default_rng(1).integers(n_classes, size=200)
    model = SoftmaxSGDClassifier(alpha=alpha, l1_ratio=l1_ratio, average=average).partial_fit(X, y, range(n_classes))
    assert (model._stream.iterates.features.penalty_updated_at < model._stream.scalars.penalty_step).any()
    zeros = [np.zeros(30)] * 3
    twin = reference.Stream(
        np.zeros((30, n_classes)), np.zeros(n_classes), [np.zeros(30)] * 4, tuple(zeros), eta0=1.0,
        alpha=np.nan if alpha == "1/n_samples" else alpha, l2_ratio=(1 - l1_ratio) * (2 if n_classes == 2 else 1),
        l1_ratio=l1_ratio, fit_intercept=True, centre=False, standardize=True, average_from=0.0,
    )  # fmt: skip
    twin.sparse(X.toarray(), X.toarray() != 0, y, np.ones(200), range(200), settle=True)
    coef, intercept = twin.model(average)
    if n_classes == 2:
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.intercept_, intercept, rtol=1e-9, atol=1e-12)
