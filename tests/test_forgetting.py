"""forgetting="auto": what it is for, and what it does at the ends of its range. Its laws are among those of all streams."""

from copy import deepcopy

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss

from sklearn_softmax import SoftmaxSGDClassifier, kernels, merge

both_containers = pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "CSR"])
CLASSES = np.arange(3)


def changing_rows(n_samples=4000, jumps=(2000,), n_features=6, seed=0):
    """Rows whose labels follow from one linear rule after the other."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) * (rng.random((n_samples, n_features)) < 0.7)
    rules = rng.normal(size=(len(jumps) + 1, n_features, 3))
    rule = np.searchsorted(jumps, np.arange(n_samples), side="right")
    scores = 3 * np.einsum("ij,ijk->ik", X, rules[rule])
    return X, np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)


def stream(X, y, container=np.asarray, **params):
    return SoftmaxSGDClassifier(**params).partial_fit(container(X), y, classes=CLASSES)


@both_containers
def test_after_a_jump_the_memory_is_the_time_since_the_jump(container):
    X, y = changing_rows(6000, [4000])
    never, auto = (stream(X, y, container, forgetting=forgetting) for forgetting in ("never", "auto"))
    assert never.effective_n_samples_ == 6000 and 1500 < auto.effective_n_samples_ < 2500
    assert auto.recent_progressive_loss_ < 0.5 * never.recent_progressive_loss_  # measured: 0.33, 0.35
    # the average of all rows has been wrong for 2000 rows, and that of the remembered ones is right
    assert never.drift_log_odds_ == pytest.approx(np.log1p(6000), abs=2) and auto.drift_log_odds_ < 0


@both_containers
def test_where_rows_stay_alike_nothing_is_forgotten(container):
    X, y = changing_rows(6000, [])
    never, auto = (stream(X, y, container, forgetting=forgetting) for forgetting in ("never", "auto"))
    assert auto.effective_n_samples_ == 6000 and auto.drift_log_odds_ < -3  # measured: -4.9
    assert auto.progressive_loss_ < 1.003 * never.progressive_loss_
    np.testing.assert_allclose(auto.predict_proba(X), never.predict_proba(X), atol=0.02)


def test_rows_grouped_by_class_look_like_rows_that_change():
    X, y = load_digits(return_X_y=True)
    test = np.arange(len(y)) % 4 == 0
    order = np.argsort(y[~test], kind="stable")
    models = {
        forgetting: SoftmaxSGDClassifier(forgetting=forgetting).partial_fit(X[~test][order], y[~test][order], classes=range(10))
        for forgetting in ("never", "auto")
    }
    losses = {forgetting: log_loss(y[test], model.predict_proba(X[test])) for forgetting, model in models.items()}
    assert models["never"].drift_log_odds_ > 5  # both say so
    assert models["auto"].effective_n_samples_ < 500
    assert losses["never"] < losses["auto"]


@both_containers
@pytest.mark.parametrize("average", [True, 100])
def test_growth_may_rise_without_end(container, average):
    """The sums are divided by powers of two, which rounds nothing."""
    X, y = changing_rows(400, [200])
    one = stream(X[:300], y[:300], container, forgetting="auto", average=average)
    other = deepcopy(one)
    scalars, factor = other._stream.scalars, 2.0**99
    assert 1.5 < scalars.growth < 2**50 and scalars.growth_of_steps < 2**50
    unaveraged = average - 1 if average == 100 else 0
    scalars.growth *= factor
    scalars.average_total = unaveraged + (scalars.average_total - unaveraged) * factor
    scalars.average_weight *= factor**4
    scalars.block_average_weight *= factor**4
    other._stream.moments.average_updated_at[:] *= factor**4
    for name in ("growth_of_steps", "curvature", "steps_total"):
        setattr(scalars, name, getattr(scalars, name) * factor)
    assert scalars.growth > 2**99
    for model in (one, other):
        for row in range(300, 400):
            model.partial_fit(container(X[row : row + 1]), y[row : row + 1])
    assert other._stream.scalars.growth < 2**50  # it was divided on the way
    np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-12 if average == 100 else 0, atol=0)
    assert other.effective_n_samples_ == pytest.approx(one.effective_n_samples_, rel=1e-13)
    assert other.drift_log_odds_ == pytest.approx(one.drift_log_odds_, rel=1e-9)


def test_a_call_that_fails_undoes_a_division_of_all_stamps(fitted, monkeypatch):
    X, y = changing_rows(600, [300])
    model = SoftmaxSGDClassifier(forgetting="auto", new_classes="add").partial_fit(sp.csr_array(X[:300]), y[:300])
    scalars, factor = model._stream.scalars, 2.0**99.5
    scalars.growth, scalars.average_total = factor, 300 * factor
    scalars.average_weight *= factor**4
    model._stream.moments.average_updated_at[:] *= factor**4
    before = fitted(model)
    few = np.where(np.arange(6) < 2, X[300:], 0)  # the other features are not touched
    labels = np.append(y[300:598], [7, 8])
    twin = deepcopy(model).partial_fit(sp.csr_array(few), labels)
    assert twin._stream.scalars.growth < 2**20  # all stamps have been divided
    sweep, n_passes = kernels.stream, iter(range(9))

    def failing(*args, **kwargs):
        if next(n_passes) == 1:  # before the first row of class 7
            raise MemoryError
        sweep(*args, **kwargs)

    monkeypatch.setattr(kernels, "stream", failing)
    with pytest.raises(MemoryError):
        model.partial_fit(sp.csr_array(few), labels)
    model._stream.original = None  # computed from what was restored
    assert fitted(model) == before


@both_containers
def test_merged_models_have_forgotten_what_their_parts_have(container):
    X, y = changing_rows(4000, [2000])
    parts = [stream(X[i::2], y[i::2], container, forgetting="auto") for i in range(2)]
    merged = merge(parts)
    assert merged.effective_n_samples_ == pytest.approx(sum(part.effective_n_samples_ for part in parts))
    assert merged.effective_n_samples_ < 3000 and merged.drift_log_odds_ == 0 and merged.t_ == 4001
    remembering = merge([stream(X[i::2], y[i::2], container) for i in range(2)])
    assert merged._stream.scalars.curvature < remembering._stream.scalars.curvature
    # where the parts have forgotten what the base knew, the merged model knows as much as the least of them
    base = stream(X[:2000], y[:2000], container, forgetting="auto")
    parts = [deepcopy(base).partial_fit(container(X[i::2]), y[i::2]) for i in (2000, 2001)]
    least = min(part.effective_n_samples_ for part in parts)
    assert base.effective_n_samples_ == 2000 and least < 1200
    merged = merge(parts, base=base)
    assert merged.effective_n_samples_ >= least and merged._stream.scalars.curvature > 0
    assert np.isfinite(merged.partial_fit(container(X), y).progressive_loss_)


def test_after_fit_and_a_conversion_all_rows_are_remembered():
    X, y = changing_rows(500, [])
    model = SoftmaxSGDClassifier(forgetting="auto").fit(X, y)
    assert model.effective_n_samples_ == 500 and model.drift_log_odds_ == 0
    converted = SoftmaxSGDClassifier.from_logistic_regression(model.to_logistic_regression(), X, forgetting="auto")
    for each in (model, converted):
        assert each.effective_n_samples_ == 500
        before = each.predict_proba(X)
        weightless = deepcopy(each).partial_fit(X[:1], y[:1], sample_weight=[1e-9])
        np.testing.assert_allclose(weightless.predict_proba(X), before, rtol=1e-6)
        each.partial_fit(*changing_rows(2000, [], seed=1))
        assert 1000 < each.effective_n_samples_ < 2400


def test_without_an_average_there_is_nothing_to_compare(fitted):
    X, y = changing_rows(500, [])
    for params in ({"average": False}, {"learning_rate": "invscaling"}, {"learning_rate": "invscaling", "average": True}):
        model = stream(X, y, forgetting="auto", **params)
        with pytest.raises(AttributeError, match="does not average"):
            _ = model.drift_log_odds_
        with pytest.raises(AttributeError, match="does not average"):
            _ = model.effective_n_samples_
        assert fitted(model) == fitted(stream(X, y, **params))
    with pytest.raises(AttributeError, match="before it is fitted"):
        _ = SoftmaxSGDClassifier().drift_log_odds_


def test_the_option_may_change_in_mid_stream():
    X, y = changing_rows(3000, [1000])
    model = stream(X[:1500], y[:1500], forgetting="auto")
    forgotten = 1500 - model.effective_n_samples_
    coef = model.coef_
    assert forgotten > 500 and np.array_equal(model.set_params(forgetting="never").coef_, coef)
    model.partial_fit(X[1500:], y[1500:])
    assert model.effective_n_samples_ == pytest.approx(3000 - forgotten)
