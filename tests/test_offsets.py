"""Offsets: numbers that are added to the scores of each row, in training and in predictions."""

import pickle

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_softmax import SoftmaxSGDClassifier, fit_batches

CONTAINERS = {"dense": np.asarray, "sparse": sp.csr_array}
each_container = pytest.mark.parametrize("container", CONTAINERS)
each_number_of_classes = pytest.mark.parametrize("n_classes", [2, 3, 7])


def problem(n_classes, n_samples=300, n_features=5, seed=0):
    """X, y, coefficients of an older model of shape (n_features, n_classes), and the offsets X W0."""
    rng = np.random.default_rng([seed, n_classes])
    X = rng.normal(size=(n_samples, n_features)) * (rng.random((n_samples, n_features)) < 0.7)
    W0 = rng.normal(size=(n_features, n_classes))
    y = (2 * X @ W0 + 3 * rng.gumbel(size=(n_samples, n_classes))).argmax(axis=1)
    W0 += rng.normal(size=W0.shape)
    return X, y, W0, X @ W0


def public(W):
    """Coefficients of shape (n_features, n_classes) as `coef_` has them."""
    return (W[:, 1:] - W[:, :1]).T if W.shape[1] == 2 else (W - W.mean(axis=1, keepdims=True)).T


def precise(**params):
    return SoftmaxSGDClassifier(**{"tol": 1e-9, "max_iter": 3000, "random_state": 0} | params)


# What offsets do -------------------------------------------------------------------------


@each_container
@each_number_of_classes
@pytest.mark.parametrize("n_samples, n_features", [(300, 5), (3000, 25)])
def test_without_a_penalty_the_offset_of_an_older_model_is_taken_off_the_coefficients(
    n_classes, container, n_samples, n_features
):
    X, y, W0, offset = problem(n_classes, n_samples, n_features)
    X = CONTAINERS[container](X)
    plain, model = precise(alpha=0).fit(X, y), precise(alpha=0).fit(X, y, offset=offset)
    difference = model.coef_ - (plain.coef_ - public(W0))
    if n_classes > 2:  # a shift of all classes alike changes nothing
        difference -= difference.mean(axis=0)
    np.testing.assert_allclose(difference, 0, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, plain.intercept_, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X, offset=offset), plain.predict_proba(X), atol=1e-6)


@each_container
@each_number_of_classes
@pytest.mark.parametrize("n_samples, n_features", [(300, 5), (3000, 25), (40, 120)])
def test_with_l2_the_coefficients_shrink_towards_those_of_the_older_model(n_classes, container, n_samples, n_features):
    X, y, W0, offset = problem(n_classes, n_samples, n_features)
    rows = CONTAINERS[container](X)
    older, distances = public(W0), []
    for alpha in (1e3, 1.0, 1e-2):
        model = precise(alpha=alpha, standardize=False).fit(rows, y, offset=offset)
        total = model.coef_ + older  # the model of the scores X W0 + X W + b
        scores = X @ total.T + model.intercept_
        proba = expit(np.hstack([-scores, scores])) if n_classes == 2 else softmax(scores, axis=1)
        residual = (proba - np.eye(n_classes)[y])[:, 1:] if n_classes == 2 else proba - np.eye(n_classes)[y]
        np.testing.assert_allclose(residual.T @ X / len(X) + alpha * (total - older), 0, atol=1e-8)
        np.testing.assert_allclose(residual.mean(axis=0), 0, atol=1e-8)
        distances.append(np.linalg.norm(total - older))
    assert distances[0] < 1e-2 * distances[-1] and sorted(distances) == distances


@each_container
def test_a_constant_offset_moves_the_intercepts(container):
    X, y, _, _ = problem(3)
    X, constant = CONTAINERS[container](X), np.array([1.0, -2.0, 0.5])
    plain, model = precise(alpha=0.1).fit(X, y), precise(alpha=0.1).fit(X, y, offset=np.tile(constant, (300, 1)))
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, plain.intercept_ - (constant - constant.mean()), atol=1e-6)
    common = precise(alpha=0.1).fit(X, y, offset=np.full((300, 3), 7.0))  # of all classes
    np.testing.assert_array_equal(common.coef_, plain.coef_)


def test_statsmodels_agrees_for_two_classes():
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is in the extra `test`")
    X, y, _, offset = problem(2)
    weight, offset = np.random.default_rng(0).uniform(0.5, 2, size=len(y)), 2 * offset[:, 1]
    model = precise(alpha=0).fit(X, y, weight, offset=offset)
    binomial = statsmodels.GLM(
        y, statsmodels.add_constant(X), statsmodels.families.Binomial(), offset=offset, freq_weights=weight
    )
    expected = binomial.fit(tol=1e-12).params
    np.testing.assert_allclose(np.append(model.intercept_, model.coef_), expected, atol=1e-6)


@each_number_of_classes
def test_offsets_and_soft_labels_are_those_of_copies(n_classes):
    X, y, _, offset = problem(n_classes)
    Y = np.random.default_rng(0).dirichlet(np.ones(n_classes), size=len(y))
    copies = np.repeat(np.arange(len(y)), n_classes)
    one = precise(alpha=0.05).fit(X, Y, offset=offset)
    other = precise(alpha=0.05).fit(X[copies], np.tile(np.arange(n_classes), len(y)), Y.ravel(), offset=offset[copies])
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-6)
    assert one.optimality_gap_ < 1e-10


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_the_certified_gap_is_a_bound(l1_ratio):
    X, y, _, offset = problem(3)
    params = dict(alpha=0.01, l1_ratio=l1_ratio)
    best = precise(**params).fit(X, y, offset=offset)
    assert best.optimality_gap_ < 1e-10
    for max_iter in (1, 2, 4):
        model = SoftmaxSGDClassifier(max_iter=max_iter, tol=None, random_state=0, **params).fit(X, y, offset=offset)
        loss = -np.mean(model.predict_log_proba(X, offset=offset)[np.arange(300), y])
        scaled = model.coef_ * model.scale_
        objective = loss + 0.01 * ((1 - l1_ratio) / 2 * np.sum(scaled**2) + l1_ratio * np.abs(scaled).sum())
        assert objective - best.loss_curve_[-1] <= model.optimality_gap_ + 1e-12


# Predictions -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_container
@each_number_of_classes
def test_predictions_add_the_offset(n_classes, container, dtype):
    X, y, _, offset = problem(n_classes)
    rows = CONTAINERS[container](X.astype(dtype))
    model = SoftmaxSGDClassifier(random_state=0).fit(rows, y)
    of_model = model.decision_function(rows).astype(float)
    scores = of_model + (offset[:, 1] - offset[:, 0] if n_classes == 2 else offset - offset.mean(axis=1, keepdims=True))
    of_classes = np.column_stack([-scores / 2, scores / 2]) if n_classes == 2 else scores
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(model.decision_function(rows, offset=offset), scores, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(model.predict_proba(rows, offset=offset), softmax(of_classes, axis=1), atol=tolerance)
    log_proba = model.predict_log_proba(rows, offset=offset)
    np.testing.assert_allclose(np.exp(log_proba), softmax(of_classes, axis=1), atol=tolerance)
    np.testing.assert_array_equal(model.predict(rows, offset=offset), of_classes.argmax(axis=1))
    assert model.predict_proba(rows, offset=offset).dtype == dtype


def test_two_classes_take_log_odds():
    X, y, _, offset = problem(2)
    log_odds = offset[:, 1] - offset[:, 0]
    one, other = precise().fit(X, y, offset=offset), precise().fit(X, y, offset=log_odds)
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-12)
    np.testing.assert_allclose(one.predict_proba(X, offset=offset), other.predict_proba(X, offset=log_odds), rtol=1e-12)


# Streams ---------------------------------------------------------------------------------


@each_container
@each_number_of_classes
@pytest.mark.parametrize("params", [{}, {"forgetting": "auto"}, {"learning_rate": "invscaling", "average": True}], ids=str)
def test_a_stream_may_be_cut_anywhere_and_pickled(n_classes, container, params):
    X, y, _, offset = problem(n_classes)
    X = CONTAINERS[container](X)
    whole = SoftmaxSGDClassifier(**params).partial_fit(X, y, np.arange(n_classes), offset=offset)
    parts, losses = SoftmaxSGDClassifier(**params), []
    for begin, end in [(0, 1), (1, 2), (2, 40), (40, 41), (41, 300)]:
        if begin and end == begin + 1:
            log_proba = parts.predict_log_proba(X[begin:end], offset=offset[begin:end])
            losses.append(-log_proba[0, y[begin]])
            total = parts.progressive_loss_ * begin
        parts.partial_fit(X[begin:end], y[begin:end], np.arange(n_classes), offset=offset[begin:end])
        if begin and end == begin + 1:
            assert parts.progressive_loss_ * end == pytest.approx(total + losses[-1], rel=1e-9)
        parts = pickle.loads(pickle.dumps(parts))
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-7, atol=1e-10)
    assert parts.progressive_loss_ == pytest.approx(whole.progressive_loss_, rel=1e-9)


def test_a_stream_equals_its_slow_twin():
    X, y, _, offset = problem(3)
    stream = SoftmaxSGDClassifier(alpha=0.02).partial_fit(X, y, range(3), offset=offset)
    twin = reference.Stream.empty(5, 3, alpha=0.02)
    twin.offset = offset
    twin.dense(X, y, np.ones(len(y)), np.arange(len(y)), settle=False)
    coef, _ = twin.up_to_date(is_sparse=False).model(averaged=True)
    np.testing.assert_allclose(stream.coef_, coef, atol=1e-10)
    np.testing.assert_allclose(stream.progressive_loss_, twin.progressive_loss / 300)


@pytest.mark.parametrize("n_classes", [3, 7])
def test_classes_may_arrive_with_offsets(n_classes):
    X, y, _, offset = problem(n_classes)
    whole = SoftmaxSGDClassifier(new_classes="add").partial_fit(X, y, offset=offset)
    rows = SoftmaxSGDClassifier(new_classes="add")
    for i in range(len(y)):
        known = np.unique(y[: i + 1])
        rows.partial_fit(X[i : i + 1], y[i : i + 1], offset=offset[i : i + 1, known])
    np.testing.assert_allclose(rows.coef_, whole.coef_, rtol=1e-7, atol=1e-9)


def test_rows_of_weight_0_are_absent():
    X, y, _, offset = problem(3)
    weight = (np.arange(300) % 3 > 0).astype(float)
    kept = weight > 0
    for method, more in (("fit", {}), ("partial_fit", {"classes": range(3)})):
        one = getattr(SoftmaxSGDClassifier(random_state=0), method)(X, y, sample_weight=weight, offset=offset, **more)
        other = getattr(SoftmaxSGDClassifier(random_state=0), method)(X[kept], y[kept], offset=offset[kept], **more)
        np.testing.assert_array_equal(one.coef_, other.coef_)


def test_no_offset_is_an_offset_of_0():
    X, y, _, offset = problem(3)
    for params in ({"max_iter": 5, "tol": None}, {"early_stopping": True}, {"learning_rate": "optimal", "alpha": 0.1}):
        one = SoftmaxSGDClassifier(random_state=0, **params).fit(X, y)
        other = SoftmaxSGDClassifier(random_state=0, **params).fit(X, y, offset=0 * offset)
        np.testing.assert_array_equal(one.coef_, other.coef_)


def test_early_stopping_scores_with_offsets():
    X, y, _, offset = problem(3)
    model = SoftmaxSGDClassifier(early_stopping=True, max_iter=4, tol=None, random_state=0)
    model.fit(X[:200], y[:200], offset=offset[:200], X_val=X[200:], y_val=y[200:], offset_val=offset[200:])
    loss = -np.mean(model.predict_log_proba(X[200:], offset=offset[200:])[np.arange(100), y[200:]])
    assert model.best_validation_score_ == pytest.approx(-loss, rel=1e-12)
    model.fit(X, y, offset=offset)  # which splits the offsets, too
    assert len(model.validation_scores_) == 4


def test_a_class_without_rows_and_its_offset():
    X, y, _, offset = problem(4)
    weight = (y != 1).astype(float)
    kept = weight > 0
    one = precise(alpha=0.1).fit(X, y, weight, offset=offset)
    other = precise(alpha=0.1).fit(X[kept], y[kept], offset=np.delete(offset[kept], 1, axis=1))
    np.testing.assert_allclose(one.coef_[[0, 2, 3]], other.coef_, atol=1e-6)


# The border ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "n_classes, wrong, message",
    [
        (3, lambda offset: offset[:, 0], "offset.shape == \\(300,\\), expected \\(300, 3\\): one number"),
        (3, lambda offset: offset[:-1], "expected \\(300, 3\\)"),
        (2, lambda offset: offset[:-1, 0], "expected \\(300, 2\\), or \\(300,\\), on the log odds"),
        (3, lambda offset: np.where(offset == offset.max(), np.nan, offset), "offset has the value nan"),
        (3, lambda offset: np.where(offset == offset.max(), np.inf, offset), "offset has the value inf"),
        (3, lambda offset: 1e12 * offset, "at most 1e\\+10"),
        (3, lambda offset: offset.astype(str).astype(object) + "x", "no number of float64"),
    ],
)
def test_a_wrong_offset_is_an_error_and_changes_nothing(n_classes, wrong, message):
    X, y, _, offset = problem(n_classes)
    model = SoftmaxSGDClassifier(random_state=0).fit(X, y)
    before = pickle.dumps(model)
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(X, y, offset=wrong(offset))
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(X, offset=wrong(offset))
    assert pickle.dumps(model) == before
    with pytest.raises(ValueError, match="offset_val are not used with early_stopping=False"):
        model.fit(X, y, offset_val=offset)


@each_container
def test_batches(container):
    X, y, _, offset = problem(3)
    X = CONTAINERS[container](X)
    whole = SoftmaxSGDClassifier().partial_fit(X, y, range(3), offset=offset)
    batches = [(X[:100], y[:100], None, offset[:100]), (X[100:], y[100:], np.ones(200), offset[100:])]
    parts = fit_batches(SoftmaxSGDClassifier(), batches, classes=range(3))
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-7, atol=1e-10)
    batches = [(X[:100], y[:100]), (X[100:], y[100:], None, offset[100:])]
    mixed = fit_batches(SoftmaxSGDClassifier(), batches, classes=range(3), shuffle_buffer=300, random_state=0)
    random_state = np.random.RandomState(0)
    order = random_state.permutation(300)
    order = np.append(order[150:], order[:150][random_state.permutation(150)])
    offset[:100] = 0
    expected = SoftmaxSGDClassifier().partial_fit(X[order], y[order], range(3), offset=offset[order])
    np.testing.assert_allclose(mixed.coef_, expected.coef_, rtol=1e-7, atol=1e-10)


def test_offsets_are_routed():
    X, y, _, offset = problem(3)
    with config_context(enable_metadata_routing=True):
        model = SoftmaxSGDClassifier(alpha=0.1, tol=1e-9, max_iter=1000, random_state=0).set_fit_request(offset=True)
        pipeline = make_pipeline(StandardScaler(), model.set_predict_request(offset=True)).fit(X, y, offset=offset)
        Z = StandardScaler().fit_transform(X)
        expected = precise(alpha=0.1).fit(Z, y, offset=offset)
        np.testing.assert_allclose(pipeline[-1].coef_, expected.coef_, atol=1e-6)
        np.testing.assert_array_equal(pipeline.predict(X, offset=offset), expected.predict(Z, offset=offset))
        train, test = np.arange(200), np.arange(200, 300)
        folds = dict(cv=[(train, test)], params={"offset": offset}, return_estimator=True, error_score="raise")
        model = cross_validate(model, X, y, **folds)["estimator"][0]
    np.testing.assert_allclose(model.coef_, precise(alpha=0.1).fit(X[train], y[train], offset=offset[train]).coef_, atol=1e-6)
