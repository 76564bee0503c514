"""The progressive loss of a stream: that of an explicit loop which predicts each row, and then learns from it."""

from copy import deepcopy

import numpy as np
import pytest
import scipy.sparse as sp
from test_kernels import every_instruction_set, instruction_set  # noqa: F401

from sklearn_softmax import SoftmaxSGDClassifier, merge

WINDOW = 1000
SETTINGS = {
    "auto": {},
    "auto, not averaged": {"average": False},
    "auto, averaged later": {"average": 40},
    "auto, not standardised": {"standardize": False, "alpha": 0.01},
    "auto, L1": {"l1_ratio": 1.0, "alpha": 0.01},
    "auto, no intercept": {"fit_intercept": False},
    "auto, forgets": {"forgetting": "auto"},
    "auto, forgets, averaged later": {"forgetting": "auto", "average": 40, "l1_ratio": 0.3, "alpha": 0.01},
    "constant": {"learning_rate": "constant", "eta0": 0.1},
    "constant, averaged": {"learning_rate": "constant", "eta0": 0.1, "average": True},
    "constant, averaged later": {"learning_rate": "constant", "eta0": 0.1, "average": 40},
    "constant, L1, averaged": {"learning_rate": "constant", "eta0": 0.1, "average": True, "l1_ratio": 0.5, "alpha": 0.01},
    "constant, strong L2, averaged": {"learning_rate": "constant", "eta0": 0.5, "average": True, "alpha": 1.0},
    "optimal": {"learning_rate": "optimal", "alpha": 0.01},
}


def predict_then_learn(X, y, n_classes, weight, model):
    """(progressive loss, recent progressive loss), from predictions row by row."""
    loss = recent_loss = recent_weight = 0.0
    for i in range(len(y)):
        proba = model.predict_proba(X[i : i + 1])[0] if hasattr(model, "classes_") else np.full(n_classes, 1 / n_classes)
        of_row = -weight[i] * np.log(proba[y[i]])
        loss += of_row
        remaining = WINDOW / (WINDOW + weight[i])
        recent_loss, recent_weight = remaining * recent_loss + of_row, remaining * recent_weight + weight[i]
        model.partial_fit(X[i : i + 1], y[i : i + 1], classes=np.arange(n_classes), sample_weight=weight[i : i + 1])
    return loss / weight.sum(), recent_loss / recent_weight


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("n_classes", [2, 11])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_it_is_that_of_predicting_and_then_learning(make_data, settings, n_classes, container):
    n_samples = 120 if settings else 300  # of 256 rows on, blocks are as long as they get
    X, y = make_data(n_classes=n_classes, n_samples=n_samples)
    y[200:] = (y[200:] + 1) % n_classes  # they change
    if settings.get("average", True) and "forgetting" not in settings:
        X[n_samples - 20] *= 100  # far out: it begins a block of its own
    else:  # the iterate predicts such a row when the penalty of the block before it has been applied
        X = np.clip(X, -1, 1)
    X, weight = container(X), np.random.default_rng(0).uniform(0.5, 2, size=n_samples)
    expected = predict_then_learn(X, y, n_classes, weight, SoftmaxSGDClassifier(**settings))
    for chunk in (1, 7, n_samples):
        model = SoftmaxSGDClassifier(**settings)
        for start in range(0, n_samples, chunk):
            part = slice(start, start + chunk)
            model.partial_fit(X[part], y[part], classes=np.arange(n_classes), sample_weight=weight[part])
        found = model.progressive_loss_, model.recent_progressive_loss_
        np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("memory", [{}, {"average": False}, {"forgetting": "auto"}], ids=str)
@pytest.mark.parametrize("alpha", ["1/n_samples", 0.05])
def test_rows_are_predicted_with_the_penalty_that_waits(alpha, memory, l1_ratio):
    X = sp.csr_array(sp.random(300, 40, density=0.08, random_state=1))
    y = np.random.default_rng(2).integers(3, size=300)
    settings = dict(alpha=alpha, l1_ratio=l1_ratio, **memory)
    model = SoftmaxSGDClassifier(**settings).partial_fit(X, y, classes=range(3))
    expected = predict_then_learn(X, y, 3, np.ones(300), SoftmaxSGDClassifier(**settings))
    np.testing.assert_allclose((model.progressive_loss_, model.recent_progressive_loss_), expected, rtol=1e-11)


@every_instruction_set
@pytest.mark.parametrize("settings", [SETTINGS[name] for name in ("auto", "auto, forgets", "constant, averaged")], ids=str)
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "CSR"])
@pytest.mark.parametrize("shape", [(60, 20, 5), (60, 1200, 20), (60, 4, 70)])
def test_whatever_the_number_of_vectors_and_the_type(make_data, container, settings, shape):
    n_samples, n_features, n_classes = shape
    X, y = make_data(n_classes=n_classes, n_samples=max(n_samples, 3 * n_classes), n_features=n_features)
    weight = np.ones(len(y))
    settings = settings | ({"eta0": 0.001} if "eta0" in settings else {})
    for dtype, tolerance in [(np.float64, 1e-11), (np.float32, 1e-4)]:
        rows = container(X.astype(dtype))
        model = SoftmaxSGDClassifier(**settings).partial_fit(rows, y, classes=np.arange(n_classes))
        expected = predict_then_learn(rows, y, n_classes, weight, SoftmaxSGDClassifier(**settings))
        np.testing.assert_allclose((model.progressive_loss_, model.recent_progressive_loss_), expected, rtol=tolerance)


def test_it_is_there_after_partial_fit_only(make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier().fit(X, y)
    with pytest.raises(AttributeError, match="no progressive_loss_ before partial_fit"):
        _ = model.progressive_loss_
    with pytest.raises(AttributeError, match="before it is fitted"):
        _ = SoftmaxSGDClassifier().recent_progressive_loss_
    expected = predict_then_learn(X, y, 3, np.ones(len(y)), deepcopy(model))  # it goes on from what `fit` has learnt
    model.partial_fit(X, y)
    np.testing.assert_allclose((model.progressive_loss_, model.recent_progressive_loss_), expected, rtol=1e-11)
    assert not hasattr(model.fit(X, y), "progressive_loss_")


def test_it_goes_on_with_other_settings(make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier().partial_fit(X, y, classes=[0, 1, 2])
    before, own = model.progressive_loss_, -np.log(model.predict_proba(X[:1])[0, y[0]])
    model.set_params(learning_rate="constant", eta0=1e-6).partial_fit(X[:1], y[:1])
    assert model.progressive_loss_ == pytest.approx((before * len(y) + own) / (len(y) + 1), rel=1e-9)


def test_rows_that_overflow_are_counted_once(make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier(learning_rate="constant", eta0=1e200).partial_fit(X[:1], y[:1], classes=[0, 1, 2])
    with pytest.warns(match="overflowed"):
        model.partial_fit(1e120 * X, y)
    assert model._stream.progressive_loss[1] == 1 + len(y)


def test_merged_models_have_that_of_all_their_rows(make_data):
    X, y = make_data()
    base = SoftmaxSGDClassifier().partial_fit(X[:40], y[:40], classes=[0, 1, 2])
    parts = [deepcopy(base).partial_fit(X[rows], y[rows]) for rows in (slice(40, 80), slice(80, None))]
    merged = merge(parts, base=base)
    own = sum(part.progressive_loss_ * (part.t_ - 1) for part in parts) - base.progressive_loss_ * (base.t_ - 1)
    assert merged.progressive_loss_ == pytest.approx(own / len(y), rel=1e-12)
