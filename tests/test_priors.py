"""Class priors: shares that a model assumes, other shares, and their estimate from rows without labels."""

import pickle
from copy import copy

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_softmax import SoftmaxSGDClassifier, estimate_class_prior, merge
from sklearn_softmax import _priors as priors_module

PRIORS = {2: np.array([0.9, 0.1]), 3: np.array([0.2, 0.7, 0.1])}


def trained(how, X, y, **params):
    classifier = SoftmaxSGDClassifier(random_state=0, **params)
    return classifier.fit(X, y) if how == "fit" else classifier.partial_fit(X, y, classes=np.unique(y))


def shares(y, weight=None):
    counts = np.bincount(y, weights=weight)
    return counts / counts.sum()


# ----------------------------------------------------------------------------------------------------------------- the shift


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("params", [{}, {"learning_rate": "constant", "eta0": 0.01, "average": True}, {"l1_ratio": 0.5}])
@pytest.mark.parametrize("how", ["fit", "partial_fit"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_intercepts_move_by_the_log_of_the_ratio_of_shares(n_classes, how, params, container, make_data):
    X, y = make_data(n_classes)
    before = trained(how, container(X), y, **params)
    after = before.with_class_prior(PRIORS[n_classes])
    shift = np.log(PRIORS[n_classes] / shares(y))
    expected = before.intercept_ + (shift[1:] - shift[:1] if n_classes == 2 else shift)
    np.testing.assert_allclose(after.intercept_, expected, rtol=0, atol=1e-15 * (1 + np.abs(expected).max()))
    np.testing.assert_array_equal(after.coef_, before.coef_)
    by_bayes = before.predict_proba(X) * PRIORS[n_classes] / shares(y)
    np.testing.assert_allclose(after.predict_proba(X), by_bayes / by_bayes.sum(axis=1, keepdims=True), atol=1e-15)
    np.testing.assert_allclose(after.class_prior_, PRIORS[n_classes], rtol=1e-15)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_float32_models_move_as_exactly_as_their_type_allows(n_classes, make_data):
    X, y = make_data(n_classes)
    before = SoftmaxSGDClassifier(random_state=0).fit(X.astype(np.float32), y)
    after = before.with_class_prior(PRIORS[n_classes])
    shift = np.log(PRIORS[n_classes] / shares(y))
    assert after.intercept_.dtype == after.coef_.dtype == np.float32
    moved = after.intercept_.astype(float) - before.intercept_
    np.testing.assert_allclose(moved, shift[1:] - shift[:1] if n_classes == 2 else shift, atol=1e-6)


@given(st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3), st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=3))
def test_only_the_last_prior_counts(first, last):
    X, y = np.arange(12.0)[:, None] % 5, np.arange(12) % 3
    classifier = SoftmaxSGDClassifier(random_state=0, class_weight={0: 2.0}).partial_fit(X, y, classes=[0, 1, 2])
    once, twice = classifier.with_class_prior(last), classifier.with_class_prior(first).with_class_prior(last)
    np.testing.assert_allclose(twice.predict_proba(X), once.predict_proba(X), rtol=1e-12)
    back = twice.with_class_prior(classifier.class_prior_)
    np.testing.assert_allclose(back.predict_proba(X), classifier.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_it_undoes_class_weight(n_classes, make_data):
    """Exactly so for a model of nothing but intercepts."""
    y = np.append(make_data(n_classes)[1], np.zeros(60, dtype=int))
    X = np.zeros((len(y), 1))
    plain = SoftmaxSGDClassifier(tol=1e-10).fit(X, y)
    for class_weight in ("balanced", {0: 5.0, 1: 0.1}):
        weighted = SoftmaxSGDClassifier(class_weight=class_weight, tol=1e-10).fit(X, y)
        undone = weighted.with_class_prior(np.bincount(y))
        np.testing.assert_allclose(undone.predict_proba(X[:1]), plain.predict_proba(X[:1]), atol=1e-8)
        assert np.abs(weighted.predict_proba(X[:1]) - plain.predict_proba(X[:1])).max() > 0.01


def test_on_real_data_undoing_the_balance_is_better_than_the_balance():
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    kept = rng.uniform(size=len(y)) < np.array([1, 0.5, 0.2, 0.1, 0.05] * 2)[y]
    X, y = X[kept], y[kept]
    train = rng.uniform(size=len(y)) < 0.5
    balanced = SoftmaxSGDClassifier(class_weight="balanced", random_state=0).fit(X[train], y[train])
    undone = balanced.with_class_prior(np.bincount(y[train]))
    losses = [log_loss(y[~train], model.predict_proba(X[~train])) for model in (balanced, undone)]
    assert losses[1] < 0.97 * losses[0]


# ----------------------------------------------------------------------------------------------------- what a model remembers


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_the_prior_is_the_share_of_the_weight(how, make_data):
    X, y = make_data()
    weight = np.random.default_rng(0).uniform(0, 2, len(y))
    np.testing.assert_allclose(trained(how, X, y).class_prior_, shares(y), rtol=1e-15)
    class_weight = {0: 3.0, 2: 0.5}
    both = SoftmaxSGDClassifier(class_weight=class_weight)
    both = both.fit(X, y, weight) if how == "fit" else both.partial_fit(X, y, [0, 1, 2], weight)
    np.testing.assert_allclose(both.class_prior_, shares(y, weight * np.array([3.0, 1.0, 0.5])[y]), rtol=1e-14)


def test_the_prior_of_a_balanced_fit_is_uniform_and_that_of_a_stream_is_what_it_was(make_data):
    X, y = make_data()
    np.testing.assert_allclose(trained("fit", X, y, class_weight="balanced").class_prior_, 1 / 3, rtol=1e-14)
    counts, total = np.zeros(3), np.zeros(3)
    for label in y:  # the running weights of rows, one by one
        counts[label] += 1
        total[label] += counts.sum() / (np.count_nonzero(counts) * counts[label])
    whole = trained("partial_fit", X, y, class_weight="balanced")
    parts = trained("partial_fit", X[:50], y[:50], class_weight="balanced").partial_fit(X[50:], y[50:])
    for stream in (whole, parts):
        np.testing.assert_allclose(stream.class_prior_, total / total.sum(), rtol=1e-12)


def test_parameters_that_change_later_do_not_change_what_a_model_was_trained_on(make_data):
    X, y = make_data()
    classifier = trained("fit", X, y, class_weight={0: 10.0})
    before = classifier.class_prior_
    np.testing.assert_array_equal(classifier.set_params(class_weight=None).class_prior_, before)


def test_with_early_stopping_the_held_out_rows_do_not_count(make_data):
    X, y = make_data(n_samples=300)
    classifier = SoftmaxSGDClassifier(early_stopping=True, random_state=0).fit(X, y)
    assert 0 < np.abs(classifier.class_prior_ - shares(y)).max() < 0.01  # the split is stratified


def test_a_warm_fit_has_the_prior_of_its_own_rows(make_data):
    X, y = make_data()
    rows = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y > 0)[::3]]
    classifier = SoftmaxSGDClassifier(warm_start=True, random_state=0).fit(X, y).fit(X[rows], y[rows])
    np.testing.assert_allclose(classifier.class_prior_, shares(y[rows]), rtol=1e-15)


@pytest.mark.parametrize("first", ["auto", "constant"])
def test_a_stream_that_changes_its_rule_keeps_the_prior(first, make_data):
    X, y = make_data()
    other = {"auto": "constant", "constant": "auto"}[first]
    classifier = SoftmaxSGDClassifier(learning_rate=first, eta0=0.01).partial_fit(X[:60], y[:60], classes=[0, 1, 2])
    classifier.set_params(learning_rate=other).partial_fit(X[60:], y[60:])
    np.testing.assert_allclose(classifier.class_prior_, shares(y), rtol=1e-15)


def test_new_classes_and_merged_models_have_the_prior_of_all_rows(make_data):
    X, y = make_data()
    grown = SoftmaxSGDClassifier(new_classes="add")
    for row in range(60):
        grown.partial_fit(X[row : row + 1], y[row : row + 1])
    np.testing.assert_allclose(grown.class_prior_, shares(y[:60]), rtol=1e-15)
    other = trained("partial_fit", X[60:], y[60:], new_classes="add")
    np.testing.assert_allclose(merge([grown, other]).class_prior_, shares(y), rtol=1e-14)
    halves = [copy(grown).partial_fit(X[60:90], y[60:90]), copy(grown).partial_fit(X[90:], y[90:])]
    np.testing.assert_allclose(merge(halves, base=grown).class_prior_, shares(y), rtol=1e-14)


def test_a_stored_model_keeps_its_prior(make_data, fitted):
    X, y = make_data()
    adapted = trained("partial_fit", X, y).with_class_prior(PRIORS[3])
    loaded = pickle.loads(pickle.dumps(adapted))
    assert fitted(loaded) == fitted(adapted)
    assert fitted(loaded.partial_fit(X, y)) == fitted(adapted.partial_fit(X, y))


def unknown_by_conversion(X, y):
    return SoftmaxSGDClassifier.from_logistic_regression(LogisticRegression().fit(X, y), X)


def unknown_by_assignment(X, y):
    classifier = SoftmaxSGDClassifier()
    classifier.coef_, classifier.classes_ = np.ones((3, X.shape[1])), [0, 1, 2]
    return classifier


def unknown_by_change(X, y):
    classifier = SoftmaxSGDClassifier(random_state=0).fit(X, y)
    classifier.intercept_ = classifier.intercept_ + 1.0
    return classifier


@pytest.mark.parametrize("make", [unknown_by_conversion, unknown_by_assignment, unknown_by_change])
def test_where_the_shares_of_training_are_not_known_they_have_to_be_given(make, make_data):
    X, y = make_data()
    classifier = make(X, y)
    for _ in range(2):  # what is not known stays so when a stream goes on
        with pytest.raises(AttributeError, match="no class_prior_, because"):
            classifier.class_prior_  # noqa: B018
        for use in (lambda: classifier.with_class_prior(PRIORS[3]), lambda: estimate_class_prior(classifier, X)):
            with pytest.raises(ValueError, match="not known.*trained_on="):
                use()
        classifier.partial_fit(X, y)
    counts = np.bincount(y)
    adapted = classifier.with_class_prior(PRIORS[3], trained_on=counts)
    np.testing.assert_allclose(adapted.intercept_ - classifier.intercept_, np.log(PRIORS[3] / shares(y)), atol=1e-14)
    np.testing.assert_allclose(adapted.class_prior_, PRIORS[3], rtol=1e-15)
    assert estimate_class_prior(classifier, X, trained_on=counts).sum() == pytest.approx(1)


def test_before_fit_there_is_no_prior():
    with pytest.raises(AttributeError, match="no class_prior_ before it is fitted"):
        SoftmaxSGDClassifier().class_prior_  # noqa: B018
    with pytest.raises(NotFittedError):
        SoftmaxSGDClassifier().with_class_prior([0.5, 0.5])


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_a_class_without_rows_stands_for_no_share(how, make_data):
    X, y = make_data()
    weight = (y != 1).astype(float)
    classifier = SoftmaxSGDClassifier()
    classifier = classifier.fit(X, y, weight) if how == "fit" else classifier.partial_fit(X, y, [0, 1, 2], weight)
    assert classifier.class_prior_[1] == 0
    with pytest.raises(ValueError, match=r"no row of positive weight of the classes \[1\].*trained_on="):
        classifier.with_class_prior(PRIORS[3])
    assert np.isfinite(classifier.with_class_prior(PRIORS[3], trained_on=[1, 1, 1]).intercept_).all()


# ------------------------------------------------------------------------------------------------------------------- the copy


@pytest.mark.parametrize("params", [{}, {"learning_rate": "constant", "eta0": 0.01}, {"average": False}])
@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_the_estimator_does_not_change_when_its_copy_is_made_and_trained(how, params, make_data, fitted):
    X, y = make_data()
    classifier = trained(how, X, y, **params)
    before, twin = fitted(classifier), trained(how, X, y, **params)
    adapted = classifier.with_class_prior(PRIORS[3])
    assert fitted(classifier) == before
    same = ("t_", "n_iter_", "alpha_", "scale_", "classes_", "n_features_in_")
    assert {name: fitted(adapted)[name] for name in same} == {name: before[name] for name in same}
    assert adapted.get_params() == classifier.get_params() and not hasattr(adapted, "optimality_gap_")
    adapted.partial_fit(X, y)
    assert fitted(classifier) == before
    adapted_before = fitted(adapted)
    assert fitted(classifier.partial_fit(X, y)) == fitted(twin.partial_fit(X, y))
    assert fitted(adapted) == adapted_before
    untouched = twin.with_class_prior(PRIORS[3])
    twin.partial_fit(X, y)
    assert fitted(untouched.partial_fit(X, y)) == fitted(classifier.with_class_prior(PRIORS[3]).partial_fit(X, y))


def test_a_sparse_model_has_a_sparse_copy(make_data):
    X, y = make_data()
    classifier = trained("fit", X, y, l1_ratio=1.0, alpha=0.1)
    dense = classifier.with_class_prior(PRIORS[3])
    sparse = classifier.sparsify().with_class_prior(PRIORS[3])
    assert sp.issparse(sparse.coef_) and sp.issparse(classifier.coef_)
    np.testing.assert_allclose(sparse.predict_proba(X), dense.predict_proba(X), rtol=1e-14)


def test_a_stream_goes_on_as_if_its_rows_had_had_the_prior(make_data):
    X, y = make_data()
    stream = trained("partial_fit", X[:60], y[:60]).with_class_prior(PRIORS[3]).partial_fit(X[60:], y[60:])
    expected = (60 * PRIORS[3] + np.bincount(y[60:])) / 120
    np.testing.assert_allclose(stream.class_prior_, expected, rtol=1e-14)
    assert stream.t_ == 121


def test_where_the_prevalence_has_changed_a_stream_goes_on_better_from_the_copy():
    X, y = load_breast_cancer(return_X_y=True)
    malignant, benign = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    stream = SoftmaxSGDClassifier().partial_fit(X[(first := np.r_[malignant[:100], benign[:100]])], y[first], classes=[0, 1])
    later = np.random.default_rng(0).permutation(np.r_[malignant[100:105], benign[100:]])
    adapted = stream.with_class_prior(np.bincount(y[later]))
    losses = [log_loss(y[later], model.predict_proba(X[later])) for model in (stream, adapted)]
    assert losses[1] < 0.8 * losses[0]
    for model in (stream, adapted):
        model.partial_fit(X[later], y[later])
    assert adapted.progressive_loss_ < stream.progressive_loss_


# -------------------------------------------------------------------------------------------------------------------- the EM


def gaussian_rows(n, shares_of_classes, distance=2.0):
    """Rows of normal classes around distance * e_k, whose posterior is exactly a softmax."""
    rng = np.random.default_rng(0)
    y = rng.choice(len(shares_of_classes), n, p=shares_of_classes)
    return rng.normal(size=(n, len(shares_of_classes))) + distance * np.eye(len(shares_of_classes))[y], y


@pytest.mark.parametrize("shares_now", [[0.2, 0.7, 0.1], [1 / 3, 1 / 3, 1 / 3], [0.98, 0.01, 0.01]])
@pytest.mark.parametrize("before", [[0.6, 0.3, 0.1], [0.01, 0.01, 0.98]])
def test_em_finds_a_known_shift(before, shares_now):
    exact = SoftmaxSGDClassifier()
    exact.coef_, exact.intercept_, exact.classes_ = 2.0 * np.eye(3), np.log(before), [0, 1, 2]
    X, y = gaussian_rows(20_000, shares_now)
    estimated = estimate_class_prior(exact, X, trained_on=before)
    np.testing.assert_allclose(estimated, shares(y), atol=0.01)  # measured: at most 0.0034
    losses = [
        log_loss(y, exact.with_class_prior(priors, trained_on=before).predict_proba(X))
        for priors in (before, estimated, shares_now)
    ]
    assert losses[1] < losses[0] and losses[1] == pytest.approx(losses[2], rel=1e-2)


def test_em_adapts_a_fitted_model():
    X, y = gaussian_rows(6000, [0.6, 0.3, 0.1])
    classifier = SoftmaxSGDClassifier(class_weight="balanced", random_state=0).fit(X, y)
    new, truth = gaussian_rows(6000, [0.05, 0.05, 0.9])
    adapted = classifier.with_class_prior(estimate_class_prior(classifier, new))
    losses = [log_loss(truth, model.predict_proba(new)) for model in (classifier, adapted)]
    assert losses[1] < 0.7 * losses[0]


class Given(ClassifierMixin, BaseEstimator):
    """A classifier of rows that are probabilities."""

    def __init__(self, n_classes):
        self.classes_ = np.arange(n_classes)

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X


@given(st.integers(2, 6), st.integers(1, 60), st.integers(0, 1000))
def test_em_ends_at_the_maximum_of_the_posterior(n_classes, n_rows, seed):
    """The gradient of sum_i log(sum_k r_ik pi_k) + sum_k a_k log(pi_k) is n + sum(a) for each class."""
    rng = np.random.default_rng(seed)
    proba, before = softmax(2 * rng.normal(size=(n_rows, n_classes)), axis=1), rng.dirichlet(np.ones(n_classes) * 3)
    found = estimate_class_prior(Given(n_classes), proba, trained_on=before)
    ratio, a = proba / before, 2 * n_classes * before
    gradient = (1 / (ratio @ found)) @ ratio + a / found
    np.testing.assert_allclose(gradient, n_rows + a.sum(), rtol=1e-4)
    assert found.sum() == pytest.approx(1, abs=1e-12) and (found >= a / (n_rows + a.sum()) * (1 - 1e-9)).all()


def test_rows_that_say_nothing_leave_the_prior():
    proba = np.tile(PRIORS[3], (50, 1))
    np.testing.assert_allclose(estimate_class_prior(Given(3), proba, trained_on=PRIORS[3]), PRIORS[3], rtol=1e-14)


def test_certain_rows_are_counted():
    proba = np.eye(3)[np.repeat([0, 1, 2], [60, 30, 0])]
    found = estimate_class_prior(Given(3), proba, trained_on=[1, 1, 1])
    np.testing.assert_allclose(found, np.array([62, 32, 2]) / 96, rtol=1e-12)


def test_an_adapted_model_estimates_from_its_own_prior(make_data):
    X, y = make_data()
    classifier = trained("fit", X, y)
    adapted = classifier.with_class_prior(PRIORS[3])
    by_hand = estimate_class_prior(Given(3), adapted.predict_proba(X), trained_on=PRIORS[3])
    np.testing.assert_allclose(estimate_class_prior(adapted, X), by_hand, rtol=1e-12)


def test_other_classifiers_and_pipelines_have_their_priors_estimated(make_data):
    X, y = make_data()
    ours = make_pipeline(StandardScaler(), SoftmaxSGDClassifier(random_state=0)).fit(X, y)
    by_hand = estimate_class_prior(ours[-1], ours[:-1].transform(X))
    np.testing.assert_array_equal(estimate_class_prior(ours, X), by_hand)
    np.testing.assert_allclose(
        estimate_class_prior(GaussianNB().fit(X, y), X),
        estimate_class_prior(GaussianNB().fit(X, y), X, trained_on=np.bincount(y)),
        rtol=1e-12,
    )
    lr = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="trained_on="):
        estimate_class_prior(lr, X)
    assert estimate_class_prior(lr, X, trained_on=np.bincount(y)).shape == (3,)
    with pytest.raises(TypeError, match="Perceptron, which has no predict_proba"):
        estimate_class_prior(Perceptron().fit(X, y), X)
    with pytest.raises(NotFittedError):
        estimate_class_prior(SoftmaxSGDClassifier(), X)


def test_em_that_does_not_end_says_so(monkeypatch):
    monkeypatch.setattr(priors_module, "MOST_ITERATIONS", 3)
    proba = softmax(np.random.default_rng(0).normal(size=(50, 3)), axis=1)
    with pytest.warns(ConvergenceWarning, match="not converged after 3 iterations.*changed a share by"):
        assert estimate_class_prior(Given(3), proba, trained_on=[1, 1, 1]).sum() == pytest.approx(1)


# ------------------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize("name", ["priors", "trained_on"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([0.5, 0.5], r"shape \(2,\), expected \(3,\).*order of classes_"),
        ([[0.2, 0.3, 0.5]], r"shape \(1, 3\)"),
        (0.5, r"shape \(\)"),
        ([0.5, 0.5, 0.0], "0.0 for class 'c'.*small number such as 1e-9"),
        ([0.5, -0.1, 0.6], "-0.1 for class 'b'"),
        ([np.nan, 0.5, 0.5], "nan for class 'a'"),
        ([np.inf, 1, 1], "inf for class 'a'"),
        (["x", "y", "z"], "must be real numbers"),
        ({"a": 1, "b": 1, "c": 1}, "must be real numbers"),
    ],
)
def test_shares_have_to_be_positive_numbers_of_all_classes(name, wrong, message, make_data, fitted):
    X, y = make_data()
    classifier = trained("fit", X, np.array(["a", "b", "c"])[y])
    before = fitted(classifier)
    with pytest.raises(ValueError, match=f"(?s){name}.*{message}"):
        classifier.with_class_prior(**{"priors": [1, 1, 1], name: wrong})
    assert fitted(classifier) == before


def test_without_an_intercept_there_is_nothing_to_shift(make_data):
    X, y = make_data()
    with pytest.raises(ValueError, match="fit_intercept=False.*fit_intercept=True"):
        trained("fit", X, y, fit_intercept=False).with_class_prior(PRIORS[3])


def test_counts_of_any_size_are_shares(make_data):
    X, y = make_data()
    classifier = trained("fit", X, y)
    for factor in (1, 1e300, 1e-300):
        adapted = classifier.with_class_prior(factor * np.array([2.0, 7.0, 1.0]))
        np.testing.assert_allclose(adapted.class_prior_, PRIORS[3], rtol=1e-14)
