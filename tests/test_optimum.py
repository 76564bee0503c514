"""The automatic step ends at the optimum: that of LogisticRegression, whatever the units of X; and it says how far it is."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import reference
import scipy.sparse as sp
import sklearn
from scipy.special import logsumexp
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from sklearn_softmax import SoftmaxSGDClassifier, _point_saga, kernels

LOADERS = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits}
ALPHA = 0.01

ignore_max_iter = pytest.mark.filterwarnings("ignore:max_iter:sklearn.exceptions.ConvergenceWarning")


def standardised(name, n_classes=None):
    X, y = LOADERS[name](return_X_y=True)
    if n_classes is not None:
        X, y = X[y < n_classes], y[y < n_classes]
    return StandardScaler().fit_transform(X), y


def tight(**params):
    return SoftmaxSGDClassifier(**{"alpha": ALPHA, "tol": 1e-10, "max_iter": 20_000, "random_state": 0} | params)


def logistic_regression(X, y, weight=None, *, l1_ratio=0.0, fit_intercept=True, class_weight=None):
    total = len(y) if weight is None else weight.sum()
    params = dict(C=1 / (ALPHA * total), fit_intercept=fit_intercept, class_weight=class_weight)
    if l1_ratio == 0:
        return LogisticRegression(solver="newton-cg", tol=1e-13, max_iter=10_000, **params).fit(X, y, weight)
    penalty = {} if parse_version(sklearn.__version__) >= parse_version("1.8") else {"penalty": "elasticnet"}
    params |= dict(solver="saga", l1_ratio=l1_ratio, tol=1e-12, max_iter=100_000, random_state=0)
    return LogisticRegression(**params, **penalty).fit(X, y, weight)


def assert_same_model(ours, theirs, tolerance=1e-6, scale=1.0):
    size = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.coef_ * scale, theirs.coef_, rtol=0, atol=tolerance * size)
    np.testing.assert_allclose(
        ours.intercept_, theirs.intercept_, rtol=0, atol=tolerance * max(size, np.abs(theirs.intercept_).max())
    )


# ------------------------------------------------------------------------------------------------------------------ optimum

SETS = [("iris", 2), ("iris", None), ("wine", 2), ("wine", None), ("breast_cancer", None), ("digits", 2), ("digits", None)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name, n_classes", SETS)
def test_without_standardize_the_model_is_that_of_logistic_regression(name, n_classes, weighted):
    X, y = standardised(name, n_classes)
    weight = np.random.default_rng(0).uniform(0.1, 3, size=len(y)) if weighted else None
    assert_same_model(tight(standardize=False).fit(X, y, weight), logistic_regression(X, y, weight))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("name, n_classes", SETS)
def test_the_default_objective_is_that_of_logistic_regression_on_columns_divided_by_their_scale(name, n_classes, container):
    X, y = LOADERS[name](return_X_y=True)
    if n_classes is not None:
        X, y = X[y < n_classes], y[y < n_classes]
    ours = tight().fit(container(X), y)
    varies = ours.scale_ > 0
    assert (ours.coef_[:, ~varies] == 0).all()
    centred = (X - X.mean(axis=0))[:, varies] / ours.scale_[varies]  # the optimum is the same, and easier to find
    theirs = logistic_regression(centred, y)
    np.testing.assert_allclose(
        ours.coef_[:, varies] * ours.scale_[varies], theirs.coef_, rtol=0, atol=1e-6 * np.abs(theirs.coef_).max()
    )
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(centred), rtol=0, atol=1e-6)


def test_scale_is_the_active_standard_deviation(make_data):
    X, y = make_data()
    X[:, 3] = 7.0
    weight = np.random.default_rng(0).uniform(0.1, 3, size=len(y))
    mean = np.average(X, axis=0, weights=weight)
    variance = np.average((X - mean) ** 2, axis=0, weights=weight)
    expected = np.sqrt(variance / np.average(X != 0, axis=0, weights=weight))
    expected[3] = 0
    for container in (np.asarray, sp.csr_array):
        for trained in (
            SoftmaxSGDClassifier(max_iter=1, tol=None).fit(container(X), y, weight),
            SoftmaxSGDClassifier().partial_fit(container(X), y, [0, 1, 2], weight),
        ):
            np.testing.assert_allclose(trained.scale_, expected, rtol=1e-12, atol=1e-15)
            assert (trained.coef_[:, 3] == 0).all()
    assert (SoftmaxSGDClassifier(standardize=False, max_iter=1, tol=None).fit(X, y).scale_ == 1).all()


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
@pytest.mark.parametrize("name, n_classes", [("iris", 2), ("wine", 2), ("wine", None)])
def test_with_l1_the_model_is_that_of_logistic_regression(name, n_classes, l1_ratio):
    X, y = standardised(name, n_classes)
    ours, theirs = tight(standardize=False, l1_ratio=l1_ratio).fit(X, y), logistic_regression(X, y, l1_ratio=l1_ratio)
    assert_same_model(ours, theirs)
    np.testing.assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
@pytest.mark.parametrize("name, n_classes", [("breast_cancer", None), ("digits", 2), ("digits", 4)])
def test_with_l1_zero_is_a_subgradient(name, n_classes, l1_ratio):
    X, y = standardised(name, n_classes)
    ours = tight(standardize=False, l1_ratio=l1_ratio).fit(X, y)
    coef, proba = ours.coef_, ours.predict_proba(X)
    residual = proba - (y[:, None] == ours.classes_)
    if len(coef) == 1:  # the one row of two classes
        residual = residual[:, 1:]
    assert np.abs(residual.mean(axis=0)).max() < 1e-10
    gradient = residual.T @ X / len(y) + ALPHA * (1 - l1_ratio) * coef
    is_zero = coef == 0
    assert 0 < is_zero.sum() < is_zero.size
    assert np.abs(gradient[is_zero]).max() <= ALPHA * l1_ratio * (1 + 1e-7)
    np.testing.assert_allclose(gradient[~is_zero], -ALPHA * l1_ratio * np.sign(coef[~is_zero]), rtol=0, atol=2e-10)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.2, 1: 3.0}])
@pytest.mark.parametrize("name", ["iris", "breast_cancer"])
def test_class_weight_is_that_of_logistic_regression(name, class_weight):
    X, y = standardised(name)
    ours = tight(standardize=False, class_weight=class_weight).fit(X, y)
    weight = np.array([class_weight.get(label, 1.0) for label in y]) if isinstance(class_weight, dict) else None
    theirs = logistic_regression(X, y, weight, class_weight=None if weight is not None else class_weight)
    assert_same_model(ours, theirs)


def test_without_an_intercept_the_model_is_that_of_logistic_regression():
    X, y = load_iris(return_X_y=True)
    ours = tight(standardize=False, fit_intercept=False).fit(X, y)
    assert (ours.intercept_ == 0).all()
    np.testing.assert_allclose(ours.coef_, logistic_regression(X, y, fit_intercept=False).coef_, rtol=0, atol=1e-5)


def test_without_an_intercept_a_constant_column_is_one():
    X, y = load_iris(return_X_y=True)
    X = np.column_stack([X, np.ones(len(y))])
    ours = tight(standardize=False, fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(ours.coef_, logistic_regression(X, y, fit_intercept=False).coef_, rtol=0, atol=1e-5)


def test_integer_weights_are_repeated_rows(make_data):
    X, y = make_data()
    weight = np.random.default_rng(0).integers(0, 4, size=len(y))
    weighted, repeated = tight().fit(X, y, weight), tight().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=0, atol=1e-8)


@pytest.mark.parametrize("params", [{"eta0": 0.3}, {"eta0": 3.0}, {"shuffle": False}, {"average": False}, {"random_state": 7}])
def test_no_way_of_stepping_changes_the_optimum(params):
    X, y = load_wine(return_X_y=True)
    np.testing.assert_allclose(tight(**params).fit(X, y).coef_, tight().fit(X, y).coef_, rtol=0, atol=1e-7)


@ignore_max_iter
def test_without_the_table_fit_comes_close():
    X, y = load_wine(return_X_y=True)
    optimum = tight().fit(X, y)
    near = tight(variance_reduction=False, max_iter=300).fit(X, y)
    assert near.optimality_gap_ < 1.5e-4  # measured: 6.8e-5
    assert np.abs(near.predict_proba(X) - optimum.predict_proba(X)).max() < 0.03  # measured: 0.014


# -------------------------------------------------------------------------------------------------------------- certificate


@ignore_max_iter
@pytest.mark.parametrize(
    "params", [{}, {"standardize": False}, {"l1_ratio": 0.5}, {"l1_ratio": 1.0}, {"variance_reduction": False}]
)
@pytest.mark.parametrize("max_iter", [1, 3, 20, 100])
@pytest.mark.parametrize("name, n_classes", [("iris", None), ("wine", 2), ("digits", None)])
def test_the_objective_is_within_the_gap_of_its_minimum(name, n_classes, max_iter, params):
    X, y = LOADERS[name](return_X_y=True)
    if n_classes is not None:
        X, y = X[y < n_classes], y[y < n_classes]
    fitted = SoftmaxSGDClassifier(alpha=ALPHA, max_iter=max_iter, random_state=0, **params).fit(X, y)
    optimum = tight(**params | {"variance_reduction": True, "tol": 1e-7}).fit(X, y)

    def objective(model):
        coef, l1_ratio = model.coef_ * model.scale_, model.l1_ratio
        penalty = (1 - l1_ratio) / 2 * np.square(coef).sum() + l1_ratio * np.abs(coef).sum()
        return log_loss(y, model.predict_proba(X)) + ALPHA * penalty

    excess = objective(fitted) - objective(optimum)
    assert excess + optimum.optimality_gap_ >= -1e-12
    assert excess <= fitted.optimality_gap_ + 1e-12
    assert optimum.optimality_gap_ < 1e-5


def assert_gradient_is_within(tol, fitted, X, y):
    Z = np.divide(X - X.mean(axis=0), fitted.scale_, out=np.zeros_like(X), where=fitted.scale_ > 0)
    residual = fitted.predict_proba(X) - np.eye(y.max() + 1)[y]
    if y.max() == 1:  # the one row of two classes
        residual = residual[:, 1:]
    gradient = residual.T @ Z / len(y) + ALPHA * fitted.coef_ * fitted.scale_
    assert max(np.abs(gradient).max(), np.abs(residual.mean(axis=0)).max()) <= tol * (1 + 1e-6)


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-7])
@pytest.mark.parametrize("name", ["iris", "breast_cancer", "digits"])
def test_fit_stops_where_no_entry_of_the_gradient_is_larger_than_tol(name, tol):
    X, y = LOADERS[name](return_X_y=True)
    fitted = SoftmaxSGDClassifier(alpha=ALPHA, tol=tol, max_iter=1000, random_state=0).fit(X, y)
    assert_gradient_is_within(tol, fitted, X, y)
    assert fitted.n_iter_ < 1000


@pytest.mark.parametrize("variance_reduction", [True, False])
def test_epochs_alone_stop_there_too(monkeypatch, variance_reduction):
    monkeypatch.setattr(_point_saga.Epochs, "_switches_to_newton", lambda self: False)
    X, y = load_digits(return_X_y=True)
    model = SoftmaxSGDClassifier(alpha=ALPHA, tol=1e-3, max_iter=1000, random_state=0, variance_reduction=variance_reduction)
    model.fit(X, y)
    assert_gradient_is_within(1e-3, model, X, y)
    checked_at = model.n_iter_  # the gradient is not computed more often than when the epochs have grown by half
    assert checked_at == 10 if variance_reduction else checked_at in (2, 3, 5, 8, 12, 18, 27, 41, 62, 93, 140, 210, 315, 473, 710)


def test_point_saga_starts_from_the_average_of_the_first_epoch(monkeypatch):
    starts = []

    def point_saga(*args, model, **kwargs):
        starts.append((model.weights.copy(), model.average.copy()))
        return kernels.point_saga(*args, model=model, **kwargs)

    monkeypatch.setattr(_point_saga, "kernels", SimpleNamespace(stream=kernels.stream, point_saga=point_saga))
    X, y = load_iris(return_X_y=True)
    SoftmaxSGDClassifier(max_iter=2, tol=None, random_state=0).fit(X, y)
    np.testing.assert_array_equal(*starts[0])
    assert starts[0][0].any()


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_fit_shows_the_average_of_the_epoch_whether_streams_average_or_not(container):
    X, y = load_iris(return_X_y=True)
    one, other = (
        SoftmaxSGDClassifier(max_iter=3, tol=None, random_state=0, average=average).fit(container(X), y)
        for average in ("auto", False)
    )
    np.testing.assert_array_equal(one.coef_, other.coef_)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_a_constant_column_in_place_of_an_intercept_converges_like_the_others(tol, container):
    X, y = load_iris(return_X_y=True)
    X = container(np.column_stack([StandardScaler().fit_transform(X), np.full(len(y), 0.01)]))
    params = dict(standardize=False, alpha=1e-3, fit_intercept=False, tol=tol, max_iter=1000, random_state=0)
    model = SoftmaxSGDClassifier(**params).fit(X, y)
    proba = model.predict_proba(X)
    gradient = X.T @ (proba - np.eye(3)[y]) / len(y) + 1e-3 * model.coef_.T
    assert (np.abs(gradient).max(axis=1) <= tol * np.array([1, 1, 1, 1, 0.01]) * (1 + 1e-3)).all()


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_without_intercept_fit_does_not_wait_for_that_of_an_intercept(container):
    X, y = load_digits(return_X_y=True)
    model = SoftmaxSGDClassifier(fit_intercept=False, tol=1e-3, random_state=0).fit(container(X), y)
    assert model.n_iter_ < _point_saga.MOST_EPOCHS


def test_an_optimum_is_left_as_it_is_by_a_warm_start():
    X, y = load_wine(return_X_y=True)
    model = SoftmaxSGDClassifier(tol=1e-8, max_iter=1000, warm_start=True, random_state=0).fit(X, y)
    before, n_iter = model.coef_.copy(), model.n_iter_
    model.fit(X, y)
    np.testing.assert_allclose(model.coef_, before, rtol=0, atol=1e-6)
    assert model.n_iter_ < n_iter / 2


# ---------------------------------------------------------------------------------------------------------------- any units


def trained(X, y, method, **params):
    model = SoftmaxSGDClassifier(random_state=0, **params)
    return model.fit(X, y) if method == "fit" else model.partial_fit(X, y, np.unique(y))


@ignore_max_iter
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "params", [{}, {"alpha": 0.1}, {"alpha": 0.0, "max_iter": 5}, {"alpha": 0.02, "l1_ratio": 0.5}, {"forgetting": "auto"}]
)
@pytest.mark.parametrize("name", ["iris", "wine", "digits"])
def test_units_of_columns_change_rounding_only(name, params, method, container):
    X, y = LOADERS[name](return_X_y=True)
    rows = np.random.default_rng(1).permutation(len(y))[:300]
    X, y = X[rows], y[rows]
    factors = 2.0 ** np.random.default_rng(0).integers(-40, 41, size=X.shape[1])
    one, other = trained(container(X), y, method, **params), trained(container(X * factors), y, method, **params)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X * factors), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.coef_, other.coef_ * factors, rtol=1e-9, atol=1e-12)


@ignore_max_iter
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_shift_of_dense_columns_without_zeros_changes_rounding_only(method):
    X, y = load_wine(return_X_y=True)
    X, y = X[::-1][np.random.default_rng(0).permutation(len(y))], y[::-1][np.random.default_rng(0).permutation(len(y))]
    assert (X != 0).all()
    shift = np.random.default_rng(0).integers(1, 1000, size=X.shape[1])
    one, other = trained(X, y, method), trained(X + shift, y, method)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X + shift), rtol=1e-6, atol=1e-9)


def test_an_outlier_row_does_not_keep_fit_from_the_optimum():
    X, y = load_wine(return_X_y=True)
    X[0] *= 1e6
    with pytest.warns(ConvergenceWarning, match="max_iter=2 was reached"):
        SoftmaxSGDClassifier(alpha=ALPHA, standardize=False, max_iter=2).fit(X, y)
    fitted = SoftmaxSGDClassifier(alpha=ALPHA, standardize=False, max_iter=1000, random_state=0).fit(X, y)
    excess, of_optimum = (
        log_loss(y, model.predict_proba(X)) + ALPHA / 2 * np.square(model.coef_).sum()
        for model in (fitted, logistic_regression(X, y))
    )
    # the bound is that of a gradient whose entries are all tol: |gradient|^2 / (2 alpha)
    assert abs(excess - of_optimum) <= fitted.optimality_gap_ < fitted.coef_.size * 1e-4**2 / (2 * ALPHA)


def with_outliers(at, factor, dtype):
    X, y = load_wine(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))
    X, y = X[rows].astype(dtype), y[rows]
    X[{"first": slice(1), "last": slice(-1, None), "ten": slice(50, 60)}[at]] *= dtype(factor)
    return X, y


each_outlier = pytest.mark.parametrize("at", ["first", "last", "ten"])
each_factor = pytest.mark.parametrize("factor", [1e3, 1e6, 1e12])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@ignore_max_iter
@each_outlier
@each_factor
@each_dtype
def test_with_outlier_rows_fit_is_at_the_optimum_or_better_than_the_prior(dtype, factor, at):
    X, y = with_outliers(at, factor, dtype)
    fitted = trained(X, y, "fit")
    assert fitted.optimality_gap_ < 2e-5  # measured: at most 9.3e-6
    fitted = trained(X, y, "fit", standardize=False)  # an outlier may keep it from the optimum for more than max_iter
    frequency = np.bincount(y) / len(y)
    assert log_loss(y, fitted.predict_proba(X)) < -frequency @ np.log(frequency)


@each_outlier
@each_factor
@each_dtype
@pytest.mark.parametrize("standardize", [True, False])
def test_with_outlier_rows_a_stream_is_that_of_the_twin(standardize, dtype, factor, at):
    X, y = with_outliers(at, factor, dtype)
    streamed = trained(X, y, "partial_fit", standardize=standardize)
    twin = reference.Stream.empty(X.shape[1], 3, alpha=np.nan, standardize=standardize)
    twin.dense(X.astype(np.float64), y, np.ones(len(y)), range(len(y)), settle=False)
    coef, intercept = twin.up_to_date(is_sparse=False).model(averaged=True)
    others = np.abs(X).max(axis=1) < 1e4
    expected = np.array([reference.softmax(scores) for scores in X[others].astype(np.float64) @ coef.T + intercept])
    # measured: 6e-16, 5e-8
    atol = 2e-15 if dtype == np.float64 else 1.5e-7
    np.testing.assert_allclose(streamed.predict_proba(X[others]), expected, rtol=0, atol=atol)
    np.testing.assert_allclose(streamed.coef_, coef, rtol=0, atol=(1e-13 if dtype == np.float64 else 1e-6) * np.abs(coef).max())


@ignore_max_iter
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_labels_that_are_noise_cost_little_more_than_the_prior(method):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 10)), rng.integers(3, size=2000)
    model = trained(X, y, method)
    held_out = rng.normal(size=(2000, 10)), rng.integers(3, size=2000)
    assert log_loss(held_out[1], model.predict_proba(held_out[0])) < 1.025 * np.log(3)  # measured: 1.012


# Rows of which few hold all the curvature ---------------------------------------------------------------------------------


def rare_rows(n_rare, n_classes, shift, dtype):
    """Nearly all rows are of class 0, which is certain of them; a few rows of the others decide the coefficients."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4000, 10)), np.zeros(4000, int)
    for number in range(1, n_classes):
        rows = slice((number - 1) * n_rare, number * n_rare)
        y[rows] = number
        X[rows] += shift * number
    return X.astype(dtype), y


def suboptimality_and_distance(clf, X, y, weight):
    """((F - F*) / (F of the class frequencies - F*), largest |coef - coef*| / largest |coef*|), coef in units of `scale_`."""
    X = X.astype(np.float64)
    columns = (X - X.mean(axis=0)) / clf.scale_
    lr = LogisticRegression(C=1 / (clf.alpha_ * weight.sum()), solver="newton-cg", tol=1e-11, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it goes on until rounding is all that is left
        lr.fit(columns, y, sample_weight=weight)

    def objective(coef, intercept):
        scores = columns @ coef.T + intercept
        scores = np.column_stack([np.zeros(len(y)), scores]) if scores.shape[1] == 1 else scores
        losses = logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]
        return weight @ losses / weight.sum() + clf.alpha_ / 2 * np.sum(coef**2)

    coef = clf.coef_.astype(np.float64)
    best = objective(lr.coef_, lr.intercept_)
    shares = np.bincount(y, weights=weight) / weight.sum()
    excess = objective(coef * clf.scale_, clf.intercept_ + coef @ X.mean(axis=0)) - best
    assert clf.optimality_gap_ >= excess * (1 - 1e-6) - 2e-14  # intercept_ may be rounded to float32
    distance = np.abs(coef * clf.scale_ - lr.coef_).max() / np.abs(lr.coef_).max()
    return excess / (-np.sum(shares * np.log(shares)) - best), distance


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("alpha", [1e-2, 1e-3, "1/n_samples"])
@pytest.mark.parametrize("n_rare, n_classes, shift", [(2, 2, 3.0), (1, 2, 10.0), (3, 4, 3.0)])
def test_a_few_rows_that_hold_all_the_curvature(n_rare, n_classes, shift, alpha, dtype):
    # steps for the mean curvature are hundreds of times too long for these rows
    X, y = rare_rows(n_rare, n_classes, shift, dtype)
    for seed in range(3):
        clf = SoftmaxSGDClassifier(alpha=alpha, random_state=seed).fit(X, y)
        suboptimality, distance = suboptimality_and_distance(clf, X, y, np.ones(len(y)))
        assert suboptimality < 1e-6  # measured: at most 3.7e-7
        assert distance < 5e-3  # measured: at most 2e-3
        assert (clf.loss_curve_[1:] <= 1.5 * np.minimum.accumulate(clf.loss_curve_)[:-1]).all()


@pytest.mark.parametrize("largest", [1e2, 1e5, 1e8])
def test_weights_that_leave_nearly_all_weight_on_one_class(largest):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(2000, 8)), rng.integers(3, size=2000)
    weight = np.where(y == 0, largest, 1.0) * np.exp(rng.normal(size=2000))
    for alpha in (1e-3, 1e-5):
        clf = SoftmaxSGDClassifier(alpha=alpha, random_state=0).fit(X, y, sample_weight=weight)
        suboptimality, _ = suboptimality_and_distance(clf, X, y, weight)
        assert suboptimality < 7e-3 or clf.optimality_gap_ < 1e-15  # which is all rounding


@pytest.mark.parametrize(
    "params", [dict(l1_ratio=0.5), dict(variance_reduction=False), dict(early_stopping=True), dict(eta0=100.0)]
)
def test_no_epochs_leave_a_model_that_diverges(params):
    X, y = rare_rows(10, 2, 3.0, np.float32)
    clf = SoftmaxSGDClassifier(alpha=1e-3, random_state=0, tol=None, max_iter=12, **params).fit(X, y)
    at_start = SoftmaxSGDClassifier(alpha=1e-3, random_state=0, tol=None, max_iter=1, **params).fit(X, y)
    assert len(clf.loss_curve_) == 12
    assert clf.optimality_gap_ <= at_start.optimality_gap_
    assert np.abs(clf.coef_).max() < 1  # that of the optimum without L1 is 0.2
