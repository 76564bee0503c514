"""new_classes="add": a stream that meets labels for the first time."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss

from sklearn_softmax import SoftmaxSGDClassifier, _stream

VARIANTS = {
    "default": {},
    "last iterate": {"average": False, "alpha": 1e-2},
    "averaged from 50": {"average": 50, "l1_ratio": 0.5},
    "L1": {"l1_ratio": 1.0, "alpha": 1e-2},
    "balanced": {"class_weight": "balanced"},
    "no intercept": {"fit_intercept": False},
    "forgets": {"forgetting": "auto"},
    "not standardised": {"standardize": False},
    "invscaling": {"learning_rate": "invscaling"},
    "invscaling, averaged, L1": {"learning_rate": "invscaling", "average": True, "l1_ratio": 0.5},
    "optimal, balanced": {"learning_rate": "optimal", "alpha": 1e-2, "class_weight": "balanced"},
}
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def adding(**params):
    return SoftmaxSGDClassifier(new_classes="add", **params)


def late_labels(make_data, n_classes=4, seed=0):
    """Rows whose classes 2, 0, 3, 1 ... occur for the first time at rows 0, 10, 40 and 70."""
    X, y = make_data(n_classes, seed=seed)
    for first, label in zip((0, 10, 40, 70), (2, 0, 3, 1)):
        y[:first][y[:first] == label] = 2
        y[first] = label
    return X, y


def in_pieces(X, y, cuts, *, weight=None, classes=None, between=lambda model: model, **params):
    model = adding(**params)
    bounds = [0, *cuts, len(y)]
    for begin, end in zip(bounds, bounds[1:]):
        rows = slice(begin, end)
        model = between(model.partial_fit(X[rows], y[rows], classes, None if weight is None else weight[rows]))
    return model


def assert_close(one, other, rtol=1e-9, atol=1e-12):
    assert one.classes_.tolist() == other.classes_.tolist()
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=rtol, atol=atol)
    np.testing.assert_allclose(one.intercept_, other.intercept_, rtol=rtol, atol=atol)
    np.testing.assert_allclose([one.t_, one.alpha_], [other.t_, other.alpha_], rtol=1e-12)


# ------------------------------------------------------------------------------------------------------------ the same model


@each_variant
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_label_is_met_in_mid_chunk_as_at_the_beginning_of_one(variant, container, dtype, make_data):
    X, y = late_labels(make_data)
    X, weight = container(X.astype(dtype)), np.random.default_rng(0).uniform(0.1, 2, size=len(y))
    whole = in_pieces(X, y, [], weight=weight, **VARIANTS[variant])
    assert whole.coef_.shape == (4, 5) and whole.coef_.dtype == dtype
    pieces = in_pieces(X, y, [10, 40, 70], weight=weight, **VARIANTS[variant])
    assert_close(pieces, whole, *((1e-9, 1e-12) if dtype == np.float64 else (1e-3, 1e-4)))


@pytest.mark.parametrize("params", [{}, {"l1_ratio": 0.5, "alpha": 1e-3}, {"average": False}])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_many_labels_in_any_cutting(params, container):
    rng = np.random.default_rng(0)
    X, y = container(rng.normal(size=(400, 6)) * (rng.uniform(size=(400, 6)) < 0.5)), rng.permutation(np.arange(400) % 57)
    whole = in_pieces(X, y, [], **params)
    assert len(whole.classes_) == 57
    for cuts in (range(1, 400), [3, 20, 30, 31, 200]):
        assert_close(in_pieces(X, y, cuts, **params), whole)


@pytest.mark.parametrize("params", [{}, {"l1_ratio": 0.9, "alpha": 0.01}])
@pytest.mark.parametrize("is_given", [False, True])
def test_a_new_class_begins_with_the_mean_of_the_others(is_given, params, make_data):
    X, y = make_data(4)
    model = adding(**params).partial_fit(X, y)
    if is_given:  # coefficients that do not add up to 0
        model.coef_ = model.coef_ + 1
    model.partial_fit(X, y)
    expected = model._stream.predictor().with_class(4, model._stream.weight)
    model.partial_fit(X[:1], [9], sample_weight=[1e-12])
    np.testing.assert_allclose(model.coef_, expected.coef, rtol=1e-8, atol=1e-8)
    intercept = expected.intercept[:5] - expected.intercept[:5].mean()  # a shift changes no probability
    np.testing.assert_allclose(model.intercept_ - model.intercept_.mean(), intercept, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("cuts", [[], range(1, 300)])
def test_labels_do_not_copy_the_model_one_by_one(cuts, monkeypatch):
    n_features, y, sizes = 50, np.arange(300), []
    X = sp.csr_array((np.ones(300), y % n_features, np.arange(301)), shape=(300, n_features))
    zeros = _stream.Model.zeros

    def counting(n_features, n_classes, dtype):
        model = zeros(n_features, n_classes, dtype)
        sizes.append(model.weights.size)
        return model

    monkeypatch.setattr(_stream.Model, "zeros", counting)
    in_pieces(X, y, cuts)
    # each room is 1.25 times the last, of whole vectors, for the iterates and for the average
    assert sum(sizes) <= 15 * 300 * n_features


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.sets(st.integers(1, 39)), st.sampled_from(list(VARIANTS)))
def test_any_order_of_labels_and_any_cutting_give_the_same_model(labels, cuts, variant):
    y = np.array(labels)
    X = np.random.default_rng(0).normal(size=(len(y), 3))
    whole = in_pieces(X, y, [], **VARIANTS[variant])
    assert whole.classes_.tolist() == sorted(set(labels))
    assert_close(in_pieces(X, y, sorted(cut for cut in cuts if cut < len(y)), **VARIANTS[variant]), whole, 1e-7, 1e-9)


@each_variant
def test_a_sparsified_model_meets_labels_as_well(variant, make_data):
    X, y = late_labels(make_data)
    sparsified = in_pieces(X, y, [5, 10, 40, 70], between=lambda model: model.sparsify(), **VARIANTS[variant]).densify()
    assert_close(sparsified, in_pieces(X, y, [5, 10, 40, 70], **VARIANTS[variant]))


@each_variant
def test_names_of_classes_do_not_matter(variant, make_data):
    X, y = late_labels(make_data)
    new = np.array([3, 1, 0, 2])
    one, other = adding(**VARIANTS[variant]).partial_fit(X, y), adding(**VARIANTS[variant]).partial_fit(X, new[y])
    np.testing.assert_allclose(other.coef_[new], one.coef_, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(other.predict_proba(X)[:, new], one.predict_proba(X), rtol=1e-8, atol=1e-11)
    as_words = adding(**VARIANTS[variant]).partial_fit(X, np.array(["a", "b", "c", "dddd"])[y])
    assert as_words.classes_.tolist() == ["a", "b", "c", "dddd"] and np.array_equal(as_words.coef_, one.coef_)


@each_variant
def test_the_option_changes_nothing_where_no_label_is_new(variant, make_data):
    X, y = make_data()
    expected = SoftmaxSGDClassifier(**VARIANTS[variant]).partial_fit(X, y, [0, 1, 2]).partial_fit(X, y)
    model = adding(**VARIANTS[variant]).partial_fit(X, y, [0, 1, 2]).partial_fit(X, y)
    assert np.array_equal(model.coef_, expected.coef_) and np.array_equal(model.intercept_, expected.intercept_)


def test_rows_of_weight_zero_make_no_classes(make_data, fitted):
    X, y = late_labels(make_data)
    kept = y != 3
    expected = adding().partial_fit(X[kept], y[kept])
    assert fitted(adding().partial_fit(X, y, sample_weight=kept * 1.0)) == fitted(expected)
    assert fitted(adding(class_weight={3: 0.0}).partial_fit(X, y)) == fitted(expected)
    model = adding()
    assert not hasattr(model.partial_fit(X, y, sample_weight=np.zeros(len(y))), "classes_")
    before = fitted(expected)
    assert fitted(expected.partial_fit(X, y + 7, sample_weight=np.zeros(len(y)))) == before
    expected.partial_fit(X, y + 7, [99], np.zeros(len(y)))
    assert expected.classes_.tolist() == [0, 1, 2, 99] and expected.t_ == 1 + kept.sum()


def test_class_weights_may_be_given_for_classes_to_come(make_data):
    X, y = late_labels(make_data)
    class_weight = {1: 3.0, 3: 0.5}
    weight = np.array([class_weight.get(label, 1.0) for label in y.tolist()])
    one = in_pieces(X, y, [20, 60], class_weight=class_weight)
    assert_close(one, in_pieces(X, y, [], weight=weight))


# ----------------------------------------------------------------------------------------------------------- probabilities


@each_variant
@pytest.mark.parametrize(
    "trains, n_classes", [("partial_fit", 1), ("partial_fit", 2), ("partial_fit", 3), ("fit", 2), ("fit", 3)]
)
def test_a_new_class_changes_no_probability_by_more_than_its_prior(variant, trains, n_classes, make_data):
    params = VARIANTS[variant]
    X, y = make_data(max(n_classes, 2), n_samples=300)
    y = y % n_classes
    if trains == "fit":
        model = adding(max_iter=3, tol=None, random_state=0, **params).fit(X, y)
    else:
        model = adding(**params).partial_fit(X, y)
    before, T = model.predict_proba(X), model.t_ - 1
    model.partial_fit(X[:1], y[:1], classes=[-1], sample_weight=[0.0])  # a class, and no row
    after = model.predict_proba(X)
    assert model.classes_.tolist() == [-1, *range(n_classes)] and model.t_ == T + 1
    if not params.get("fit_intercept", True):
        T = 0
    prior = 10 / (T + 10 * (n_classes + 1))
    assert after[:, 0].min() > 0 and after[:, 0].max() <= prior * (1 + 1e-9)
    assert np.abs(after[:, 1:] - before).max() <= prior * (1 + 1e-9)
    ratio = after[:, 1:] / before
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-9)


def test_one_class_is_certain(make_data):
    X, _ = make_data()
    for container in (np.asarray, sp.csr_array):
        model = adding().partial_fit(container(X), np.full(len(X), "only"))
        assert model.classes_.tolist() == ["only"] and model.coef_.shape == (1, 5) and model.intercept_.shape == (1,)
        assert (model.predict(X) == "only").all()
        assert np.array_equal(model.predict_proba(X), np.ones((len(X), 1)))
        assert np.array_equal(model.predict_log_proba(X), np.zeros((len(X), 1)))
        assert np.array_equal(model.decision_function(X), np.zeros((len(X), 1)))
        assert model.t_ == 121


def test_one_two_three_classes(make_data):
    X, y = late_labels(make_data)
    model = adding().partial_fit(X[:10], y[:10])
    assert model.coef_.shape == (1, 5)
    model.partial_fit(X[10:40], y[10:40])
    assert model.classes_.tolist() == [0, 2] and model.coef_.shape == (1, 5)
    scores = model.decision_function(X)
    assert scores.shape == (len(X),) and np.array_equal(scores > 0, model.predict(X) == 2)
    model.partial_fit(X[40:70], y[40:70])
    assert model.coef_.shape == (3, 5) and model.decision_function(X).shape == (len(X), 3)


def test_classes_that_are_declared_begin_together(make_data):
    X, y = make_data(2)
    declared = adding().partial_fit(X, y, [0, 1])
    assert_close(declared, SoftmaxSGDClassifier().partial_fit(X, y, [0, 1]))
    declared.partial_fit(X, np.full(len(X), 5), classes=[0, 1])  # as a loop passes them
    assert declared.classes_.tolist() == [0, 1, 5]
    assert adding().partial_fit(X, y, [7]).classes_.tolist() == [0, 1, 7]


@pytest.mark.parametrize("order", ["random", "late"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_late_class_costs_little(order, container):
    X, y = load_digits(return_X_y=True)
    ratios = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(y))
        train, test = rows[:1300], rows[1300:]
        if order == "late":  # three classes are not in the first half
            early, rest = train[:650], train[650:]
            is_late = y[early] >= 7
            train = np.concatenate([early[~is_late], rng.permutation(np.concatenate([early[is_late], rest]))])
        losses = [
            log_loss(y[test], model.partial_fit(container(X[train]), y[train], classes).predict_proba(container(X[test])))
            for model, classes in ((adding(), None), (SoftmaxSGDClassifier(), np.arange(10)))
        ]
        ratios.append(losses[0] / losses[1])
    assert np.mean(ratios) < (1.02 if order == "random" else 1.1)


# --------------------------------------------------------------------------------------------------------------------- fit


def test_a_warm_start_adds_classes(make_data):
    X, y = make_data(2)
    X3, y3 = make_data(3)
    model = adding(warm_start=True, tol=1e-8, max_iter=500, random_state=0).fit(X, y * 5)
    model.fit(X3, y3 + 4)
    assert model.classes_.tolist() == [0, 4, 5, 6]
    only = SoftmaxSGDClassifier(tol=1e-8, max_iter=500, random_state=0).fit(X3, y3)
    np.testing.assert_allclose(model.predict_proba(X3)[:, 1:], only.predict_proba(X3), atol=1e-3)


def test_fit_starts_afresh_without_warm_start(make_data, fitted):
    X, y = make_data()
    model = adding(random_state=0).partial_fit(X, y + 10).fit(X, y)
    assert fitted(model) == fitted(SoftmaxSGDClassifier(random_state=0).fit(X, y))


def test_fit_needs_two_classes_all_the_same(make_data):
    X, y = make_data()
    with pytest.raises(ValueError, match="only one class: 0"):
        adding().fit(X, y * 0)


# ------------------------------------------------------------------------------------------------------------------ errors


def test_unseen_labels_are_named_and_so_is_the_way_out(make_data, fitted):
    X, y = make_data()
    model = SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2])
    before = fitted(model)
    with pytest.raises(ValueError, match=r"labels not seen before: \[4 7\]. classes_ is \[0 1 2\].*new_classes='add'"):
        model.partial_fit(X[:3], [7, 0, 4])
    with pytest.raises(ValueError, match=r"first call to partial_fit \(or set new_classes='add'\)"):
        SoftmaxSGDClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"labels not seen before: \[7\].*new_classes='add'.*warm_start=False"):
        model.set_params(warm_start=True).fit(X[:4], [0, 1, 2, 7])
    assert fitted(model) == before


@pytest.mark.parametrize(
    "first, later",
    [
        ([0, 1], ["a", "b"]),
        (["a", "b"], [0, 1]),
        ([0, 1], np.array(["a", "b"], dtype=object)),
        (np.array(["a", "b"], dtype=object), [0, 1]),
        ([False, True], [2, 3]),
    ],
    ids=str,
)
def test_labels_of_other_types_are_refused(first, later, make_data, fitted):
    X, _ = make_data()
    model = adding().partial_fit(X[:2], first)
    before = fitted(model)
    with pytest.raises(ValueError, match="type"):
        model.partial_fit(X[:2], later)
    assert fitted(model) == before


@pytest.mark.parametrize(
    "first, later, classes",
    [
        ([0, 1], [2.0, 1.0], [0, 1, 2]),
        (["b", "a"], ["longer", "a"], ["a", "b", "longer"]),
        (["b", "a"], np.array(["c", "a"], dtype=object), ["a", "b", "c"]),
        (np.array(["b", "a"], dtype=object), ["c", "a"], ["a", "b", "c"]),
        (np.array([1, 2], dtype=np.uint8), [-1, 300], [-1, 1, 2, 300]),
    ],
    ids=str,
)
def test_labels_of_one_type_in_other_forms_are_accepted(first, later, classes, make_data):
    X, _ = make_data()
    model = adding().partial_fit(X[:2], first).partial_fit(X[2:4], later)
    assert model.classes_.tolist() == classes
    assert [type(label) for label in model.classes_.tolist()] == [type(label) for label in classes]
