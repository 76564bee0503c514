"""Labels that are distributions or counts: one row stands for weighted copies of it, one for each class."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import reference
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import LogisticRegression

from sklearn_softmax import SoftmaxSGDClassifier, fit_batches, merge
from sklearn_softmax._validation import Problem

CONTAINERS = {"dense": np.asarray, "sparse": sp.csr_array}
each_container = pytest.mark.parametrize("container", CONTAINERS)
each_number_of_classes = pytest.mark.parametrize("n_classes", [2, 3, 7])


def problem(n_classes, n_samples=200, n_features=5, *, seed=0, counts=False):
    """X with zeros, and Y with some zeros and some rows of one class."""
    rng = np.random.default_rng([seed, n_classes])
    X = rng.normal(size=(n_samples, n_features)) * (rng.random((n_samples, n_features)) < 0.7)
    scores = X @ rng.normal(size=(n_features, n_classes)) + rng.normal(size=(n_samples, n_classes))
    Y = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    Y[Y < 0.1] = 0
    Y[::5] = np.eye(n_classes)[Y[::5].argmax(axis=1)]
    Y /= Y.sum(axis=1, keepdims=True)
    return X, rng.poisson(3 * Y).astype(float) if counts else Y


def copies(X, Y, weight=None):
    """The rows with each class, and their weights."""
    n_classes = Y.shape[1]
    weight = np.ones(len(Y)) if weight is None else weight
    return np.repeat(X, n_classes, axis=0), np.tile(np.arange(n_classes), len(Y)), (weight[:, None] * Y).ravel()


def precise(**params):
    return SoftmaxSGDClassifier(**{"alpha": 0.01, "tol": 1e-9, "max_iter": 3000, "random_state": 0} | params)


def assert_same(one, other, atol=1e-6):
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=0, atol=atol)
    np.testing.assert_allclose(one.intercept_, other.intercept_, rtol=0, atol=atol)


def state(model):
    return pickle.dumps(model)


# The optimum -----------------------------------------------------------------------------


@each_container
@each_number_of_classes
def test_the_optimum_is_that_of_logistic_regression_on_copies(n_classes, container):
    X, Y = problem(n_classes)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=len(Y))
    model = precise(standardize=False).fit(CONTAINERS[container](X), Y, weight)
    rows, labels, weights = copies(X, Y, weight)
    expected = LogisticRegression(C=1 / (0.01 * weights.sum()), tol=1e-10, max_iter=10_000)
    expected.fit(rows, labels, weights)
    assert_same(model, expected)
    assert model.optimality_gap_ < 1e-12
    assert model.t_ == pytest.approx(1 + weight.sum(), rel=1e-12)


@pytest.mark.parametrize("n_samples, n_features", [(40, 5), (3000, 25), (40, 120)])  # compiled Newton, epochs, space of rows
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"class_weight": "balanced"},
        {"class_weight": {0: 3.0, 1: 0.5}},
        {"class_weight": {1: 0.0}},
        {"l1_ratio": 0.5},
        {"fit_intercept": False},
        {"standardize": False},
    ],
    ids=str,
)
@each_container
def test_each_way_of_fit_ends_at_the_optimum_of_copies(params, n_samples, n_features, container):
    X, Y = problem(3, n_samples, n_features, counts=True)
    weight = np.random.default_rng(1).uniform(0.5, 2, size=len(Y))
    rows, labels, weights = copies(X, Y, weight)
    one, other = precise(**params).fit(CONTAINERS[container](X), Y, weight), precise(**params).fit(rows, labels, weights)
    assert_same(one, other)
    np.testing.assert_allclose(one.scale_, other.scale_, rtol=1e-9)
    assert one.loss_curve_[-1] == pytest.approx(other.loss_curve_[-1], rel=1e-9)


def test_counts_are_repeated_rows():
    X, Y = problem(3, counts=True)
    rows, labels, weights = copies(X, Y)
    repeated = np.repeat(np.arange(len(labels)), weights.astype(int))
    one, other = precise().fit(X, Y), precise().fit(rows[repeated], labels[repeated])
    assert_same(one, other)
    assert one.t_ == other.t_ == 1 + Y.sum()


@pytest.mark.parametrize("schedule", ["invscaling", "optimal"])
def test_schedules_approach_the_same_optimum(schedule):
    X, Y = problem(3, 500)
    params = dict(learning_rate=schedule, alpha=0.1, average=True, max_iter=200, tol=None, standardize=False)
    model = SoftmaxSGDClassifier(random_state=0, **params).fit(X, Y)
    assert model.optimality_gap_ < 1e-4  # measured: 2e-6 and 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_certified_bound_of_the_training_loss(dtype):
    X, Y = problem(4, 300)
    best = precise(alpha=1e-3).fit(X, Y)
    for max_iter in (1, 3):
        model = SoftmaxSGDClassifier(alpha=1e-3, tol=None, max_iter=max_iter, random_state=0).fit(X.astype(dtype), Y)
        proba = model.predict_log_proba(X.astype(dtype)).astype(float)
        scale = np.where(model.scale_ > 0, model.scale_, 0)
        loss = -np.mean(np.sum(Y * proba, axis=1)) + 0.5e-3 * np.sum((model.coef_ * scale) ** 2)
        assert 0 <= loss - best.loss_curve_[-1] <= model.optimality_gap_ + 1e-6


# Forms of Y ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_matrix, sp.coo_array, np.asfortranarray, np.ndarray.tolist], ids=str)
def test_forms_of_y(form):
    X, Y = problem(3)
    for method in ("fit", "partial_fit"):
        expected = getattr(SoftmaxSGDClassifier(random_state=0), method)(X, Y)
        actual = getattr(SoftmaxSGDClassifier(random_state=0), method)(X, form(Y))
        np.testing.assert_array_equal(actual.coef_, expected.coef_)
        assert actual.classes_.tolist() == [0, 1, 2]


def test_columns_are_named_by_classes_or_by_a_frame():
    X, Y = problem(3)
    expected = precise().fit(X, Y)
    order = [2, 0, 1]
    names = ["c", "a", "b"]  # of the columns 2, 0, 1
    for model in (
        precise().fit(X, Y[:, order], classes=names),
        precise().fit(X, pd.DataFrame(Y[:, order], columns=names)),
        precise().fit(X, pd.DataFrame(Y[:, order], columns=[7, 8, 9]), classes=names),
    ):
        assert model.classes_.tolist() == ["a", "b", "c"]
        np.testing.assert_array_equal(model.coef_, expected.coef_)
    streams = [
        SoftmaxSGDClassifier().partial_fit(X, Y[:, order], names),
        SoftmaxSGDClassifier().partial_fit(X, pd.DataFrame(Y[:, order], columns=names)),
        SoftmaxSGDClassifier().partial_fit(X[:50], Y[:50, order], names).partial_fit(X[50:], Y[50:]),  # in the order of classes_
    ]
    for stream in streams:
        np.testing.assert_allclose(stream.coef_, streams[0].coef_, rtol=1e-9, atol=1e-12)


def test_classes_of_labels_may_not_occur_in_fit():
    X, Y = problem(3)
    y = Y.argmax(axis=1)
    model = precise().fit(X, y, classes=[3, 2, 1, 0])
    assert model.classes_.tolist() == [0, 1, 2, 3]
    assert model.predict_proba(X)[:, 3].max() <= 1e-9
    with pytest.raises(ValueError, match="y contains labels not seen before: \\[2\\]"):
        precise().fit(X, y, classes=[0, 1])


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda Y: Y > 0.5, "y should be a 1d array.*y.astype\\(float\\)"),
        (lambda Y: (10 * Y).astype(int), "y should be a 1d array.*y.astype\\(float\\)"),
        (lambda Y: np.where(Y.max() == Y, np.nan, Y), "y contains NaN or infinity: nan"),
        (lambda Y: np.where(Y.max() == Y, np.inf, Y), "y contains NaN or infinity: inf"),
        (lambda Y: Y - 0.5, "y has negative shares or counts of classes: -0.5"),
        (lambda Y: 0 * Y, "at least one non-zero number, in a row of y that is not all 0"),
        (lambda Y: 1e40 * Y, "y has a row whose sum is "),
        (lambda Y: Y[:-1], "inconsistent numbers of samples"),
    ],
)
def test_wrong_y_is_an_error_and_changes_nothing(wrong, message):
    X, Y = problem(3)
    for model in (SoftmaxSGDClassifier(random_state=0).fit(X, Y), SoftmaxSGDClassifier().partial_fit(X, Y)):
        before = state(model)
        methods = [model.fit] if "at least" in message else [model.fit, model.partial_fit]
        for method in methods:
            with pytest.raises(ValueError, match=message):
                method(X, wrong(Y))
        assert state(model) == before


def test_wrong_classes_of_columns():
    X, Y = problem(3)
    for classes, message in (
        (["a", "b"], "y has 3 columns, but the classes that name them are \\['a', 'b'\\]"),
        (["a", "b", "b"], "one different label for each column"),
        ({"a", "b", "c"}, "is a set"),
    ):
        for method in ("fit", "partial_fit"):
            with pytest.raises(ValueError, match=message):
                getattr(SoftmaxSGDClassifier(), method)(X, Y, classes=classes)
    model = SoftmaxSGDClassifier().partial_fit(X, Y)
    with pytest.raises(ValueError, match="y has 2 columns, but there are 3 classes"):
        model.partial_fit(X, Y[:, :2])
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X, Y, [5, 6, 7])


# Laws ------------------------------------------------------------------------------------


VARIANTS = {
    "default": {},
    "balanced": {"class_weight": "balanced"},
    "class_weight": {"class_weight": {0: 0.3, 1: 2.0}},
    "elastic net": {"l1_ratio": 0.5, "alpha": 1e-2},
    "forgets": {"forgetting": "auto"},
    "invscaling": {"learning_rate": "invscaling", "average": True},
    "smoothed": {"label_smoothing": 0.2},
}
each_variant = pytest.mark.parametrize("variant", VARIANTS)


@each_variant
@pytest.mark.parametrize("absence", ["weight 0", "no mass"])
def test_rows_that_do_not_count_are_absent(absence, variant):
    X, Y = problem(3)
    rng = np.random.default_rng(0)
    at, n_rows = np.sort(rng.permutation(260)[:200]), 260
    X_more, Y_more, weight = 1e6 * rng.normal(size=(n_rows, 5)), rng.random((n_rows, 3)), np.zeros(n_rows)
    X_more[at], Y_more[at], weight[at] = X, Y, 1
    if absence == "no mass":
        Y_more[weight == 0], weight = 0, None
    params = {"max_iter": 5, "tol": None, "random_state": 0} | VARIANTS[variant]
    for method in ("fit", "partial_fit"):
        one = getattr(SoftmaxSGDClassifier(**params), method)(X, Y)
        other = getattr(SoftmaxSGDClassifier(**params), method)(X_more, Y_more, sample_weight=weight)
        np.testing.assert_array_equal(one.coef_, other.coef_)
        assert one.t_ == other.t_


@each_variant
@each_container
@each_number_of_classes
def test_a_stream_may_be_cut_anywhere_and_pickled(n_classes, container, variant):
    X, Y = problem(n_classes)
    X, weight = CONTAINERS[container](X), np.random.default_rng(0).uniform(0.2, 2, size=len(Y))
    whole = SoftmaxSGDClassifier(**VARIANTS[variant]).partial_fit(X, Y, sample_weight=weight)
    parts = SoftmaxSGDClassifier(**VARIANTS[variant])
    for begin, end in [(0, 1), (1, 2), (2, 40), (40, 41), (41, 200)]:
        parts.partial_fit(X[begin:end], Y[begin:end], sample_weight=weight[begin:end])
        parts = pickle.loads(pickle.dumps(parts))
    np.testing.assert_allclose(parts.coef_, whole.coef_, rtol=1e-7, atol=1e-10)
    assert parts.progressive_loss_ == pytest.approx(whole.progressive_loss_, rel=1e-9)
    assert parts.t_ == pytest.approx(whole.t_)


@each_variant
@each_container
def test_rows_of_one_class_are_labels(container, variant):
    X, Y = problem(4)
    y = Y.argmax(axis=1)
    X, one_hot = CONTAINERS[container](X), np.eye(4)[y]
    params = {"max_iter": 5, "tol": None, "random_state": 0} | VARIANTS[variant]
    for method in ("fit", "partial_fit"):
        one = getattr(SoftmaxSGDClassifier(**params), method)(X, one_hot)
        other = getattr(SoftmaxSGDClassifier(**params), method)(X, y, classes=range(4))
        # "balanced" in a stream adds up the counts in another order
        rounding = 1e-12 if variant == "balanced" else 0
        np.testing.assert_allclose(one.coef_, other.coef_, rtol=rounding, atol=rounding)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relabelling_permutes_the_model(dtype):
    X, Y = problem(4)
    X, order = X.astype(dtype), [2, 0, 3, 1]
    for method in ("fit", "partial_fit"):
        one = getattr(SoftmaxSGDClassifier(random_state=0, tol=1e-6), method)(X, Y)
        other = getattr(SoftmaxSGDClassifier(random_state=0, tol=1e-6), method)(X, Y[:, order])
        np.testing.assert_allclose(one.coef_[order], other.coef_, atol=1e-3 if dtype == np.float32 else 1e-4)


@given(
    arrays(np.float64, (6, 3), elements=st.integers(0, 8).map(float)),
    arrays(np.float64, (6, 2), elements=st.integers(-32, 32).map(lambda number: number / 8)),
    st.booleans(),
)
def test_any_counts_are_weighted_copies_at_the_optimum(Y, X, intercept):
    if (Y.sum(axis=0) > 0).sum() < 2:
        return
    rows, labels, weights = copies(X, Y)
    params = dict(alpha=0.1, fit_intercept=intercept, standardize=False)
    one, other = precise(**params).fit(X, Y), precise(**params).fit(rows, labels, weights)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-6)


def test_the_progressive_loss_is_the_cross_entropy():
    X, Y = problem(3)
    stream, losses = SoftmaxSGDClassifier(), [np.log(3)]
    stream.partial_fit(X[:1], Y[:1])
    for x, row in zip(X[1:], Y[1:]):
        losses.append(-row @ stream.predict_log_proba([x])[0])
        stream.partial_fit([x], [row])
    assert stream.progressive_loss_ == pytest.approx(np.mean(losses), rel=1e-12)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
def test_a_stream_equals_its_slow_twin(l1_ratio):
    X, Y = problem(3)
    stream = SoftmaxSGDClassifier(alpha=0.02, l1_ratio=l1_ratio).partial_fit(X, Y)
    twin = reference.Stream.empty(5, 3, alpha=0.02, l1_ratio=l1_ratio)
    twin.dense(X, Y, np.ones(len(Y)), np.arange(len(Y)), settle=False)
    coef, intercept = twin.up_to_date(is_sparse=False).model(averaged=True)
    np.testing.assert_allclose(stream.coef_, coef, atol=1e-10)
    np.testing.assert_allclose(stream.intercept_, intercept - intercept.mean() + stream.intercept_.mean(), atol=1e-10)


def test_a_stream_goes_on_with_labels_of_the_other_kind():
    X, Y = problem(3)
    y = Y.argmax(axis=1)
    one = SoftmaxSGDClassifier().partial_fit(X, Y).partial_fit(X, y).partial_fit(X, Y)
    other = SoftmaxSGDClassifier().partial_fit(X, Y).partial_fit(X, np.eye(3)[y]).partial_fit(X, Y)
    np.testing.assert_array_equal(one.coef_, other.coef_)
    fitted = SoftmaxSGDClassifier(random_state=0).fit(X, Y)
    assert fitted.partial_fit(X, Y).t_ == 401


def test_columns_add_classes():
    X, Y = problem(3)
    model = SoftmaxSGDClassifier(new_classes="add").partial_fit(X, ["b"] * len(X))
    model.partial_fit(X, Y, ["c", "a", "b"])
    assert model.classes_.tolist() == ["a", "b", "c"]
    cut = SoftmaxSGDClassifier(new_classes="add").partial_fit(X, ["b"] * len(X))
    cut.partial_fit(X[:7], Y[:7], ["c", "a", "b"]).partial_fit(X[7:], Y[7:], ["c", "a", "b"])
    np.testing.assert_allclose(cut.coef_, model.coef_, rtol=1e-8, atol=1e-10)
    warm = SoftmaxSGDClassifier(new_classes="add", warm_start=True, random_state=0).fit(X, Y[:, :2])
    warm.fit(X, Y, classes=range(3))
    assert_same(warm.set_params(tol=1e-9, max_iter=2000).fit(X, Y), precise(alpha="1/n_samples").fit(X, Y), 1e-5)


def test_merged_parts_are_near_the_stream_of_all_rows():
    X, Y = problem(3, 2000)
    parts = [SoftmaxSGDClassifier().partial_fit(X[half], Y[half]) for half in (slice(0, 1000), slice(1000, 2000))]
    merged, whole = merge(parts), SoftmaxSGDClassifier().partial_fit(X, Y)
    assert merged.t_ == whole.t_ == pytest.approx(2001)
    np.testing.assert_allclose(merged._stream.class_counts, Y.sum(axis=0))
    of_merged, of_whole = (-np.mean(np.sum(Y * model.predict_log_proba(X), axis=1)) for model in (merged, whole))
    assert of_merged == pytest.approx(of_whole, rel=0.02)


def test_batches():
    X, Y = problem(3)
    frame = pd.DataFrame(Y, columns=["c", "a", "b"])
    expected = SoftmaxSGDClassifier().partial_fit(X, frame)
    batches = [(X[:80], frame[:80]), (X[80:], frame[80:])]
    np.testing.assert_allclose(fit_batches(SoftmaxSGDClassifier(), batches).coef_, expected.coef_, rtol=1e-8, atol=1e-10)
    for form in (np.asarray, sp.csr_array):
        batches = [(X[:80], form(Y[:80])), (X[80:], form(Y[80:]))]
        mixed = fit_batches(SoftmaxSGDClassifier(), batches, shuffle_buffer=50, random_state=0)
        assert mixed.t_ == expected.t_
    mixed = fit_batches(SoftmaxSGDClassifier(), [(X[:80], frame[:80]), (X[80:], frame[80:])], shuffle_buffer=50)
    assert mixed.classes_.tolist() == ["a", "b", "c"]


# Early stopping --------------------------------------------------------------------------


def test_held_out_rows_are_scored_by_the_cross_entropy():
    X, Y = problem(3, 400)
    params = dict(early_stopping=True, tol=None, max_iter=4, random_state=0)
    model = SoftmaxSGDClassifier(**params).fit(X[:300], Y[:300], X_val=X[300:], y_val=Y[300:])
    loss = -np.mean(np.sum(Y[300:] * model.predict_log_proba(X[300:]), axis=1))
    assert model.best_validation_score_ == pytest.approx(-loss, rel=1e-12)
    hard = SoftmaxSGDClassifier(**params).fit(X[:300], Y[:300], X_val=X[300:], y_val=Y[300:].argmax(axis=1))
    soft = SoftmaxSGDClassifier(**params).fit(X[:300], Y[:300], X_val=X[300:], y_val=np.eye(3)[Y[300:].argmax(axis=1)])
    np.testing.assert_array_equal(hard.validation_scores_, soft.validation_scores_)
    split = SoftmaxSGDClassifier(**params).fit(X, Y)
    assert np.isfinite(split.validation_scores_).all()


def test_rows_are_split_where_a_class_is_the_largest_once():
    X, Y = problem(3, 50)
    Y[:, 2] *= 0.01
    Y[:25, 2] += 0.01
    Y[0] = [0.1, 0.1, 0.8]
    model = SoftmaxSGDClassifier(early_stopping=True, max_iter=3, tol=None, random_state=0).fit(X, Y)
    assert len(model.validation_scores_) == 3


# Smoothing -------------------------------------------------------------------------------


@each_variant
@each_container
@pytest.mark.parametrize("early_stopping", [False, True])
def test_smoothed_labels_are_soft_labels_bit_for_bit(early_stopping, container, variant):
    X, Y = problem(4)
    X, y, share = CONTAINERS[container](X), Y.argmax(axis=1), 0.15
    smoothed = (1 - share) * np.eye(4)[y] + share * np.full(4, 1 / 4)
    params = {"max_iter": 5, "tol": None, "random_state": 0} | VARIANTS[variant] | {"early_stopping": early_stopping}
    for method in ("fit", "partial_fit"):
        one = getattr(SoftmaxSGDClassifier(**params | {"label_smoothing": share}), method)(X, y, classes=range(4))
        other = getattr(SoftmaxSGDClassifier(**params | {"label_smoothing": 0.0}), method)(X, smoothed)
        np.testing.assert_array_equal(one.coef_, other.coef_)
        np.testing.assert_array_equal(one.intercept_, other.intercept_)
        assert one.t_ == other.t_
    if "class_weight" not in params:
        assert one.t_ == 201  # shares that are rounded are one row all the same


def test_classes_that_arrive_are_smoothed_from_then_on():
    X, Y = problem(4)
    y = Y.argmax(axis=1)
    params = dict(new_classes="add", label_smoothing=0.2)
    whole = SoftmaxSGDClassifier(**params).partial_fit(X, y)
    rows = SoftmaxSGDClassifier(**params)
    for x, label in zip(X, y):
        rows.partial_fit([x], [label])
    np.testing.assert_allclose(rows.coef_, whole.coef_, rtol=1e-8, atol=1e-10)
    assert rows.progressive_loss_ == pytest.approx(whole.progressive_loss_)


def test_smoothing_has_to_leave_something_of_the_labels():
    X, Y = problem(3)
    for share in (-0.1, 1.0):
        with pytest.raises(ValueError, match="label_smoothing"):
            SoftmaxSGDClassifier(label_smoothing=share).fit(X, Y)


# The problem -----------------------------------------------------------------------------


def test_class_weights_multiply_the_shares():
    _, Y = problem(3, 20)
    ones = np.ones(20)
    base = Problem(np.zeros((20, 1)), np.zeros(20, np.int32), ones, ones).with_targets(Y)
    factors = np.array([2.0, 0.5, 1.0])
    weighted = base.weighted_by_class(factors)
    np.testing.assert_allclose(weighted.sample_weight, Y @ factors)
    np.testing.assert_allclose(weighted.targets, Y * factors / (Y @ factors)[:, None])
    np.testing.assert_allclose(weighted.class_counts(3), Y.sum(axis=0))
    np.testing.assert_allclose(weighted.prior_counts(3), factors * Y.sum(axis=0))


def test_copies_do_not_change_their_original():
    X, Y = problem(3)
    model = SoftmaxSGDClassifier().partial_fit(X, Y)
    before, other = model.coef_.copy(), copy.deepcopy(model)
    other.partial_fit(X, Y)
    np.testing.assert_array_equal(model.coef_, before)
