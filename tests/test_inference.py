"""inference: what other packages compute, the definition in NumPy, coverage by simulation, and laws."""

import builtins
import pickle
import warnings

import glum
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import expit, softmax
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression

from sklearn_softmax import InferenceResult, SoftmaxSGDClassifier, _inference, _matrix, inference

TIGHT = dict(tol=1e-11, max_iter=1000)
# to the last digit, which MNLogit doesn't call convergence
NEWTON = dict(disp=0, method="newton", maxiter=50, tol=1e-14, warn_convergence=False)


def optimum(X, y, sample_weight=None, **params):
    return SoftmaxSGDClassifier(**TIGHT | params).fit(X, y, sample_weight)


@pytest.fixture
def data(make_data):
    X, y = make_data(4, n_samples=400, n_features=4)
    return X * [1, 10, 0.1, 1] + [0, 5, 0, 30], y


@pytest.fixture
def weight():
    return np.random.default_rng(1).integers(0, 4, size=400).astype(float)


@pytest.fixture
def clusters():
    return np.random.default_rng(2).integers(0, 50, size=400)


@pytest.fixture
def for_some(monkeypatch):
    """Makes `inference` use conjugate gradients."""

    def use():
        monkeypatch.setattr(_inference, "MOST_PARAMETERS", 0)

    return use


def covariance_by_definition(clf, X, y, weight, offset=0.0, groups=None, is_robust=False, strength=None):
    """The pseudo-inverse of the whole Hessian in the units of X, or the sandwich, of coefficients with the intercepts last.

    With two classes it is that of the one row; else the shift of all classes is projected out.
    """
    columns, S = np.column_stack([X, np.ones(len(X))]), weight.sum()
    strength = clf.alpha_ * S if strength is None else strength
    ridge = np.append(strength * (1 - clf.l1_ratio) * np.square(clf.scale_), 0)
    if len(clf.classes_) == 2:
        p = expit(X @ clf.coef_[0] + clf.intercept_[0] + offset)
        factor, residual = (p * (1 - p))[:, None, None], (p - (y == clf.classes_[1]))[:, None]
        projection = np.eye(1)
    else:
        p = softmax(X @ clf.coef_.T + clf.intercept_ + offset, axis=1)
        factor = p[:, :, None] * (np.eye(p.shape[1]) - p[:, None, :])
        residual = p - (y[:, None] == clf.classes_)
        projection = np.eye(p.shape[1]) - 1 / p.shape[1]
    size = residual.shape[1] * columns.shape[1]
    hessian = np.einsum("i,iab,ij,ik->ajbk", weight, factor, columns, columns).reshape(size, size)
    hessian += np.kron(projection, np.diag(ridge))
    bread = np.linalg.pinv(hessian, rcond=1e-13, hermitian=True)
    if not is_robust:
        return bread
    scores = np.einsum("ia,ij->iaj", residual, columns).reshape(len(X), size)
    if groups is None:
        return bread @ (scores.T * weight) @ scores @ bread
    sums = np.array([(weight * (groups == group)) @ scores for group in np.unique(groups)])
    return bread @ sums.T @ sums @ bread


def with_intercepts_first(covariance, n_rows):
    size = len(covariance) // n_rows
    order = (np.arange(n_rows)[:, None] * size + np.roll(np.arange(size), 1)).ravel()
    return covariance[np.ix_(order, order)]


def assert_close(covariance, expected, rtol):
    """Each entry relative to the two standard errors."""
    se = np.sqrt(np.diag(expected))
    assert_allclose(covariance / np.outer(se, se), expected / np.outer(se, se), atol=rtol, rtol=0)


# Other packages -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "ours, theirs",
    [
        ({}, {}),
        ({"robust": True}, {"cov_type": "HC0"}),
        ({"clusters": True}, {"cov_type": "cluster"}),
    ],
    ids=["nonrobust", "HC0", "clusters"],
)
def test_without_penalty_it_is_mnlogit(data, clusters, ours, theirs):
    X, y = data
    if "clusters" in ours:
        ours, theirs = {"clusters": clusters}, theirs | {"cov_kwds": {"groups": clusters, "use_correction": False}}
    expected = sm.MNLogit(y, sm.add_constant(X)).fit(**NEWTON, **theirs)
    result = inference(optimum(X, y, alpha=0), X, y, reference=0, **ours)
    assert_allclose(result.std_errors, expected.bse.T, rtol=1e-8)
    assert_close(result.covariance_matrix, np.asarray(expected.cov_params()), 1e-8)
    assert_array_equal(result.classes, [1, 2, 3])
    table = result.coef_table(confidence_level=0.9)
    assert_allclose(table["z"], expected.tvalues.T.ravel(), rtol=1e-6)
    assert_allclose(table["p_value"], expected.pvalues.T.ravel(), rtol=1e-5)
    assert_allclose(table[["ci_lower", "ci_upper"]], expected.conf_int(0.1).reshape(-1, 2), rtol=1e-6)


def test_wald_tests_are_those_of_statsmodels(data):
    X, y = data
    theirs = sm.MNLogit(y, sm.add_constant(X)).fit(**NEWTON)
    clf = optimum(X, y, alpha=0)
    result = inference(clf, X, y, reference=0)
    R = np.zeros((6, 15))
    R[np.arange(6), [1, 6, 11, 3, 8, 13]] = 1
    expected = theirs.wald_test(R, use_f=False, scalar=True)
    for test in (
        result.wald_test(["x0", "x2"]),
        result.wald_test([0, 2]),
        inference(clf, X, y).wald_test([0, 2]),
        result.wald_test(R=R),
    ):
        assert test.df == 6
        assert_allclose([test.chi2, test.p_value], [expected.statistic, expected.pvalue], rtol=1e-6)
    combination, r = np.random.default_rng(0).normal(size=(2, 15)), [0.3, -1]
    expected = theirs.wald_test((combination, r), use_f=False, scalar=True)
    assert_allclose(result.wald_test(R=combination, r=r).chi2, expected.statistic, rtol=1e-6)
    assert_allclose(
        result.wald_test("intercept").chi2, theirs.wald_test(np.eye(15)[[0, 5, 10]], use_f=False, scalar=True).statistic
    )


def two_classes(data):
    X, y = data
    return X, np.array(["no", "yes"])[(y > 1).astype(int)]


@pytest.mark.parametrize("robust", [False, True])
def test_weighted_models_of_two_classes_are_those_of_glum(data, robust):
    X, y = two_classes(data)
    weight = np.random.default_rng(1).integers(1, 4, size=len(y)).astype(float)
    theirs = glum.GeneralizedLinearRegressor(family="binomial", alpha=0, gradient_tol=1e-12, max_iter=1000)
    # glum's sandwich squares weights, which are no counts there, so rows are repeated for it
    rows = np.repeat(np.arange(len(y)), weight.astype(int)) if robust else np.arange(len(y))
    of_rows = None if robust else weight
    theirs.fit(X[rows], (y == "yes")[rows].astype(float), sample_weight=of_rows)
    how = dict(robust=robust, expected_information=True, dispersion=1)
    covariance = theirs.covariance_matrix(X[rows], (y == "yes")[rows].astype(float), sample_weight=of_rows, **how)
    result = inference(optimum(X, y, weight, alpha=0), X, y, weight, robust=robust)
    correction = weight.sum() / (weight.sum() - X.shape[1] - 1)  # glum's, for few rows, in both
    assert_close(result.covariance_matrix * correction, covariance, 1e-7)
    assert_array_equal(result.classes, ["yes"])
    assert result.reference == "no"


def test_two_classes_with_weights_and_an_offset_are_those_of_statsmodels(data, weight):
    X, y = two_classes(data)
    offset = np.random.default_rng(3).normal(size=len(y))
    theirs = sm.GLM(y == "yes", sm.add_constant(X), sm.families.Binomial(), offset=offset, freq_weights=weight).fit(
        tol=1e-14, maxiter=200
    )
    clf = SoftmaxSGDClassifier(alpha=0).fit(X, y)
    clf.coef_, clf.intercept_ = theirs.params[None, 1:], theirs.params[:1]
    result = inference(clf, X, y, weight, offset=offset)
    assert_close(result.covariance_matrix, theirs.cov_params(), 1e-8)
    flipped = inference(clf, X, y, weight, offset=offset, reference="yes")
    assert_array_equal(flipped.coef, -result.coef)
    assert_array_equal(flipped.classes, ["no"])
    expected = theirs.get_prediction(sm.add_constant(X), offset=offset).summary_frame(alpha=0.1)
    ours = result.predict_proba(X, 0.9, offset=offset)
    assert_allclose(ours.proba[:, 1], expected["mean"], rtol=1e-9)
    assert_allclose(ours.std_error, np.tile(expected["mean_se"].to_numpy()[:, None], 2), rtol=1e-7)
    assert_allclose(ours.lower[:, 1], expected["mean_ci_lower"], rtol=1e-7)
    assert_allclose(ours.upper[:, 0], 1 - expected["mean_ci_lower"], rtol=1e-7)


# The definition -----------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("kind", ["nonrobust", "robust", "clusters"])
@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_it_is_the_definition_with_penalty_and_weights(make_data, weight, clusters, n_classes, standardize, kind, container):
    X, y = make_data(n_classes, n_samples=400, n_features=4)
    clf = optimum(container(X), y, weight, standardize=standardize, alpha=0.02)
    how = {"nonrobust": {}, "robust": {"robust": True}, "clusters": {"clusters": clusters}}[kind]
    result = inference(clf, container(X), y, weight, **how)
    groups = clusters if kind == "clusters" else None
    expected = covariance_by_definition(clf, X, y, weight, groups=groups, is_robust=kind != "nonrobust")
    assert_close(result.covariance_matrix, with_intercepts_first(expected, len(clf.coef_)), 1e-9)
    assert_allclose(result.coef[:, 1:], clf.coef_, atol=1e-8)
    assert_allclose(result.coef[:, 0], clf.intercept_ - (clf.intercept_.mean() if n_classes > 2 else 0), atol=1e-8)
    assert result.covariance_type == kind and result.n_samples == (weight > 0).sum()
    assert_allclose([result.total_weight, result.alpha], [weight.sum(), 0.02])


@pytest.mark.parametrize("n_classes", [2, 4])
def test_an_offset_is_added_to_the_scores(make_data, n_classes):
    X, y = make_data(n_classes, n_samples=400, n_features=4)
    offset = np.random.default_rng(0).normal(size=400 if n_classes == 2 else (400, n_classes))
    clf = optimum(X, y, alpha=0.02)
    with pytest.warns(ConvergenceWarning, match="standard errors"):  # since it was fitted without
        result = inference(clf, X, y, offset=offset)
    expected = covariance_by_definition(clf, X, y, np.ones(400), offset=offset)
    assert_close(result.covariance_matrix, with_intercepts_first(expected, len(clf.coef_)), 1e-9)
    # an offset X W0 at W - W0 is no offset at W
    start = np.random.default_rng(1).normal(size=clf.coef_.shape)
    moved, unpenalised = SoftmaxSGDClassifier(alpha=0).fit(X, y), optimum(X, y, alpha=0)
    moved.coef_, moved.intercept_ = unpenalised.coef_ - start, unpenalised.intercept_
    of_start = X @ start.T
    result = inference(moved, X, y, offset=of_start[:, 0] if n_classes == 2 else of_start)
    expected = inference(unpenalised, X, y)
    assert_close(result.covariance_matrix, expected.covariance_matrix, 1e-9)
    intervals = result.predict_proba(X, offset=of_start[:, 0] if n_classes == 2 else of_start)
    for ours, theirs in zip(intervals, expected.predict_proba(X)):
        assert_allclose(ours, theirs, rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("class_weight", [None, {0: 2.0}])
def test_a_logistic_regression_is_the_same_model(make_data, n_classes, class_weight):
    X, y = make_data(n_classes, n_samples=400, n_features=4)
    lr = LogisticRegression(C=0.3, class_weight=class_weight, tol=1e-10, max_iter=10_000).fit(X, y)
    clf = SoftmaxSGDClassifier(standardize=False, alpha=1, class_weight=class_weight, **TIGHT)
    S = (np.where(y == 0, 2.0, 1.0) if class_weight else np.ones(400)).sum()
    clf.set_params(alpha=1 / (0.3 * S)).fit(X, y)
    before = vars(lr).copy()
    for how in ({"robust": True}, {} if class_weight is None else {"clusters": np.arange(400)}):
        expected = inference(clf, X, y, **how)
        result = inference(lr, X, y, **how)
        assert_close(result.covariance_matrix, expected.covariance_matrix, 1e-6)
        assert_allclose(result.coef, expected.coef, atol=1e-5)
        assert_allclose(result.alpha, clf.alpha_)
    assert vars(lr).keys() == before.keys() and all(vars(lr)[name] is before[name] for name in before)


def test_class_weights_multiply_the_gradients_of_rows(make_data):
    X, y = make_data(3, n_samples=400, n_features=4)
    class_weight = {0: 3.0, 1: 0.5}
    clf = optimum(X, y, alpha=0, class_weight=class_weight)
    of_rows = np.choose(y, [3.0, 0.5, 1.0])
    with pytest.warns(UserWarning, match="robust=True"):
        result = inference(clf, X, y)
    assert_close(result.covariance_matrix, with_intercepts_first(covariance_by_definition(clf, X, y, of_rows), 3), 1e-9)
    # each row as a cluster of its own: weights are inside the square
    expected = covariance_by_definition(clf, X, y, of_rows, groups=np.arange(400), is_robust=True)
    assert_close(inference(clf, X, y, robust=True).covariance_matrix, with_intercepts_first(expected, 3), 1e-9)


# Laws ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"robust": True}, {"clusters": True}])
def test_a_weight_counts_rows_and_0_is_absence(data, weight, clusters, how):
    X, y = data
    groups = clusters if how.pop("clusters", False) else None
    rows = np.repeat(np.arange(400), weight.astype(int))
    clf = optimum(X, y, weight)
    result = inference(clf, X, y, weight, clusters=groups, **how)
    repeated = inference(clf, X[rows], y[rows], clusters=None if groups is None else groups[rows], **how)
    assert_close(result.covariance_matrix, repeated.covariance_matrix, 1e-9)
    kept = weight > 0
    absent = inference(clf, X[kept], y[kept], weight[kept], clusters=None if groups is None else groups[kept], **how)
    assert_array_equal(result.covariance_matrix, absent.covariance_matrix)


def test_units_of_columns_change_units_only(data):
    X, y = data
    X = X + np.array([2, 0, 0.1, 0])  # without zeros, of which the scale of a feature depends
    scale, shift = np.array([1e-3, 1, 1e5, 7]), np.array([0, 1e4, -3, 1])
    result, moved = (inference(optimum(Z, y), Z, y) for Z in (X, X * scale + shift))
    assert_allclose(moved.coef[:, 1:] * scale, result.coef[:, 1:], atol=1e-6)
    assert_allclose(moved.std_errors[:, 1:] * scale, result.std_errors[:, 1:], rtol=1e-7)
    to_intercept = np.eye(20)
    for first in range(0, 20, 5):
        to_intercept[first, first + 1 : first + 5] = shift / scale  # b = b' + sum_j shift_j w'_j, w_j = scale_j w'_j
    factors = np.tile(np.append(1, scale), 4)
    assert_close(
        to_intercept @ (moved.covariance_matrix * np.outer(factors, factors)) @ to_intercept.T, result.covariance_matrix, 1e-6
    )
    for ours, theirs in zip(moved.predict_proba(X * scale + shift), result.predict_proba(X)):
        assert_allclose(ours, theirs, rtol=1e-6, atol=1e-12)


def test_relabelling_permutes(data):
    X, y = data
    new = np.array(["c", "a", "d", "b"])  # new names of 0, 1, 2, 3
    result, renamed = inference(optimum(X, y), X, y), inference(optimum(X, new[y]), X, new[y])
    order = np.argsort(np.argsort(new))
    assert_allclose(renamed.std_errors[order], result.std_errors, rtol=1e-7)
    entries = (order[:, None] * 5 + np.arange(5)).ravel()
    assert_close(renamed.covariance_matrix[np.ix_(entries, entries)], result.covariance_matrix, 1e-7)
    assert_allclose(renamed.predict_proba(X).lower[:, order], result.predict_proba(X).lower, rtol=1e-6)


def test_the_order_of_the_rows_does_not_matter(data, weight, clusters):
    X, y = data
    clf, order = optimum(X, y, weight), np.random.default_rng(0).permutation(400)
    result = inference(clf, X, y, weight, clusters=clusters.astype(str))
    shuffled = inference(clf, X[order], y[order], weight[order], clusters=clusters[order])
    assert_close(shuffled.covariance_matrix, result.covariance_matrix, 1e-10)


@pytest.mark.parametrize("how", [{}, {"robust": True}, {"clusters": True}])
@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_blocks_of_rows_do_not_matter(make_data, clusters, monkeypatch, how, container):
    X, y = make_data(3, n_samples=400, n_features=4)
    how = {"clusters": np.where(clusters < 25, 0, clusters)} if "clusters" in how else how  # one in half of all rows
    clf, X = optimum(container(X), y), container(X)
    expected = inference(clf, X, y, **how)
    monkeypatch.setattr(_matrix, "LEAST_OF_GRAM", 7)
    monkeypatch.setattr(_matrix, "BLOCK", 7)
    monkeypatch.setattr(_inference, "BLOCK", 100)
    result = inference(clf, X, y, **how)
    assert_close(result.covariance_matrix, expected.covariance_matrix, 1e-11)
    for ours, theirs in zip(result.predict_proba(X), expected.predict_proba(X)):
        assert_allclose(ours, theirs, rtol=1e-9)


def test_the_gauge_is_linear_and_changes_no_probability(data):
    X, y = data
    clf = optimum(X, y)
    centred, differences = inference(clf, X, y), inference(clf, X, y, reference=2)
    of_class = np.delete(np.eye(4), 2, axis=0) - np.eye(4)[2]
    to_differences = np.kron(of_class, np.eye(5))
    assert_allclose(differences.coef, of_class @ centred.coef, atol=1e-12)
    assert_close(differences.covariance_matrix, to_differences @ centred.covariance_matrix @ to_differences.T, 1e-9)
    se = centred.std_errors
    assert (np.abs(centred.covariance_matrix.reshape(4, 5, 4, 5).sum(axis=0)) <= 1e-9 * se.max(axis=0)[:, None, None] * se).all()
    for ours, theirs in zip(centred.predict_proba(X), differences.predict_proba(X)):
        assert_array_equal(ours, theirs)
    # the direction in which all classes shift has no say, however little the penalty
    nearly_free = SoftmaxSGDClassifier(alpha=1e-12).fit(X, y)
    nearly_free.coef_, nearly_free.intercept_ = (lambda free: (free.coef_, free.intercept_))(optimum(X, y, alpha=0))
    free = optimum(X, y, alpha=0)
    assert_allclose(inference(nearly_free, X, y).std_errors, inference(free, X, y).std_errors, rtol=1e-6)


def test_a_shift_of_all_classes_changes_nothing(data):
    X, y = data
    clf = optimum(X, y, alpha=0.02)
    expected = inference(clf, X, y, reference=3)
    clf.coef_, clf.intercept_ = clf.coef_ + np.array([5, -1, 2, 0]), clf.intercept_ - 3
    result = inference(clf, X, y, reference=3)  # which has no warning
    assert_allclose(result.coef, expected.coef, atol=1e-9)
    assert_close(result.covariance_matrix, expected.covariance_matrix, 1e-9)


def test_float32_and_frames_give_the_same(data):
    X, y = data
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    clf = optimum(frame, y)
    expected, result = inference(optimum(X, y), X, y), inference(clf, frame, y)
    assert_allclose(result.covariance_matrix, expected.covariance_matrix, rtol=1e-9)
    assert_array_equal(result.features, ["intercept", "a", "b", "c", "d"])
    assert result.wald_test(["b"]) == result.wald_test([1])
    assert_array_equal(result.predict_proba(frame).lower, result.predict_proba(frame).lower)
    with pytest.raises(ValueError, match="feature names"):
        result.predict_proba(frame[["b", "a", "c", "d"]])
    single = SoftmaxSGDClassifier(tol=1e-6, max_iter=1000).fit(X.astype(np.float32), y)
    assert single.coef_.dtype == np.float32
    result = inference(single, X.astype(np.float32), y)
    assert result.covariance_matrix.dtype == np.float64
    assert_allclose(result.std_errors, expected.std_errors, rtol=1e-3)


def test_a_constant_feature_is_held_at_0(data):
    X, y = data
    with_constant = np.column_stack([X[:, :2], np.full(400, 7.0), X[:, 2:]])
    expected, result = inference(optimum(X, y), X, y), inference(optimum(with_constant, y), with_constant, y)
    columns = [0, 1, 2, 4, 5]
    assert_allclose(result.std_errors[:, columns], expected.std_errors, rtol=1e-7)
    assert_array_equal(result.coef[:, 3], 0)
    assert_array_equal(result.std_errors[:, 3], 0)
    table = result.coef_table().loc[(0, "x2")]
    assert table[["z", "p_value"]].isna().all() and (table[["ci_lower", "ci_upper"]] == 0).all()
    assert result.wald_test([0, 2]).df == result.wald_test([0]).df == 3
    with pytest.raises(ValueError, match="held at 0 only"):
        result.wald_test([2])
    assert_allclose(result.predict_proba(with_constant).lower, expected.predict_proba(X).lower, rtol=1e-6)


def test_without_intercepts(data):
    X, y = data
    clf = optimum(X, y, fit_intercept=False, alpha=0)
    result = inference(clf, X, y, reference=0)
    expected = sm.MNLogit(y, X).fit(**NEWTON)
    assert_allclose(result.std_errors, expected.bse.T, rtol=1e-8)
    assert_array_equal(result.features, ["x0", "x1", "x2", "x3"])


# L1 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_l1_with_the_zeros_given(make_data, n_classes, l1_ratio, for_some):
    X, y = make_data(n_classes, n_samples=400, n_features=6)
    X[:, 3:] = np.random.default_rng(0).normal(size=(400, 3))
    clf = optimum(X, y, alpha=0.02, l1_ratio=l1_ratio)
    is_zero = clf.coef_ == 0
    assert is_zero.any() and not is_zero.all()
    with pytest.raises(ValueError, match="active_only=True"):
        inference(clf, X, y)
    result = inference(clf, X, y, active_only=True)
    assert_array_equal(result.std_errors[:, 1:] == 0, is_zero)
    has_zero = is_zero.any(axis=0)
    assert has_zero.any()
    assert_array_equal(result.coef[:, 1:][:, has_zero], clf.coef_[:, has_zero])
    # the Hessian of the entries that are not held at 0, without the direction of the shift of a column that has no zero
    weight, n_rows, size = np.ones(400), len(clf.coef_), X.shape[1] + 1
    columns = np.column_stack([np.ones(400), X])
    p = clf.predict_proba(X)
    factor = (p.prod(axis=1))[:, None, None] if n_rows == 1 else p[:, :, None] * (np.eye(n_classes) - p[:, None, :])
    hessian = np.einsum("i,iab,ij,ik->ajbk", weight, factor, columns, columns)
    can_shift = np.append(True, ~has_zero) & (n_rows > 1)
    ridge = np.append(0, 400 * 0.02 * (1 - l1_ratio) * clf.scale_**2)
    for column in range(size):
        hessian[:, column, :, column] += ridge[column] * (np.eye(n_rows) - can_shift[column] / n_rows)
    held = np.column_stack([np.zeros(n_rows, dtype=bool), is_zero]).ravel()
    hessian = hessian.reshape(n_rows * size, -1)
    hessian[held], hessian[:, held] = 0, 0
    assert_close_where(result.covariance_matrix, np.linalg.pinv(hessian, rcond=1e-12, hermitian=True), ~held, 1e-8)
    for_some()
    some = inference(clf, X, y, active_only=True, features=["intercept", 0, 1, 2, 3, 4, 5])
    assert_close_where(some.covariance_matrix, result.covariance_matrix, ~held, 1e-6)


def assert_close_where(covariance, expected, which, rtol):
    assert_close(covariance[np.ix_(which, which)], expected[np.ix_(which, which)], rtol)
    assert_array_equal(covariance[~which], 0)


# Some features ------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("how", [{}, {"robust": True}, {"clusters": True}, {"reference": 1}])
@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_some_features_by_conjugate_gradients(make_data, clusters, for_some, n_classes, how, container):
    X, y = make_data(n_classes, n_samples=400, n_features=6)
    how = {"clusters": clusters} if "clusters" in how else how
    clf, X, features = optimum(container(X), y), container(X), ["x4", "intercept", "x1"]
    whole, few = inference(clf, X, y, **how), inference(clf, X, y, features=features, **how)
    entries = (np.arange(len(whole.classes))[:, None] * 7 + [5, 0, 2]).ravel()
    assert_array_equal(few.covariance_matrix, whole.covariance_matrix[np.ix_(entries, entries)])
    for_some()
    result = inference(clf, X, y, features=features, **how)
    assert_close(result.covariance_matrix, few.covariance_matrix, 1e-7)
    assert_array_equal(result.coef, few.coef)
    assert_array_equal(result.features, features)
    assert_allclose(result.wald_test([4, 1]).chi2, whole.wald_test([1, 4]).chi2, rtol=1e-6)
    with pytest.raises(ValueError, match="without features"):
        result.predict_proba(X)
    with pytest.raises(ValueError, match=r"features=\[\.\.\.\]"):
        inference(clf, X, y)


# What follows from the covariance -----------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 4])
def test_intervals_of_probabilities(make_data, n_classes):
    X, y = make_data(n_classes, n_samples=400, n_features=4)
    clf = optimum(X, y)
    result = inference(clf, X, y)
    intervals = result.predict_proba(X, 0.8)
    assert_allclose(intervals.proba, clf.predict_proba(X), rtol=1e-9, atol=1e-12)
    # the delta method, by differences of the coefficients along the columns of a root of the covariance
    values, vectors = np.linalg.eigh(result.covariance_matrix)
    root = vectors * np.sqrt(np.maximum(values, 0))

    def proba(coef):
        scores = X @ coef[:, 1:].T + coef[:, 0]
        return np.column_stack([expit(-scores), expit(scores)]) if n_classes == 2 else softmax(scores, axis=1)

    step, variance = 1e-5, np.zeros_like(intervals.proba)
    for direction in root.T.reshape(-1, *result.coef.shape):
        variance += ((proba(result.coef + step * direction) - proba(result.coef - step * direction)) / (2 * step)) ** 2
    assert_allclose(intervals.std_error, np.sqrt(variance), rtol=1e-5, atol=1e-9)
    p, z = intervals.proba, norm.ppf(0.9)
    of_log_odds = intervals.std_error / (p * (1 - p))
    assert_allclose(np.log(intervals.upper / (1 - intervals.upper)) - np.log(p / (1 - p)), z * of_log_odds, rtol=1e-5)
    assert ((intervals.lower >= 0) & (intervals.lower <= p) & (p <= intervals.upper) & (intervals.upper <= 1)).all()
    far = result.predict_proba(1e4 * X)
    assert all(np.isfinite(part).all() for part in far) and (far.upper <= 1).all() and (far.lower >= 0).all()
    for ours, theirs in zip(result.predict_proba(csr_array(X)), result.predict_proba(X)):
        assert_allclose(ours, theirs, rtol=1e-12)


def test_draws_have_the_mean_and_the_covariance(data):
    X, y = data
    result = inference(optimum(X, y), X, y)
    draws = result.sample(40_000, random_state=0)
    assert draws.shape == (40_000, 4, 5)
    assert_array_equal(draws, result.sample(40_000, random_state=0))
    assert_allclose(draws.sum(axis=1), result.coef.sum(axis=0) + np.zeros((40_000, 5)), atol=1e-5)
    errors = (draws.mean(axis=0) - result.coef) / result.std_errors
    assert np.abs(errors).max() < 4 / np.sqrt(40_000)  # 4 standard deviations of a mean
    correlations = np.cov(draws.reshape(40_000, -1).T) / np.outer(result.std_errors, result.std_errors)
    expected = result.covariance_matrix / np.outer(result.std_errors, result.std_errors)
    assert np.abs(correlations - expected).max() < 4 * np.sqrt(2 / 40_000)
    assert result.sample().shape == (1, 4, 5)


def test_few_clusters_have_a_covariance_of_low_rank(data):
    X, y = data
    groups = np.arange(400) % 5
    result = inference(optimum(X, y), X, y, clusters=groups)
    assert np.linalg.matrix_rank(result.covariance_matrix / np.outer(result.std_errors, result.std_errors), tol=1e-9) == 5
    assert np.isfinite(result.sample(10, 0)).all()


def test_the_table_without_pandas(data, monkeypatch):
    X, y = data
    result = inference(optimum(X, y), X, y, reference=1)
    frame, real_import = result.coef_table(0.9), builtins.__import__
    assert list(frame.columns) == ["coef", "se", "z", "p_value", "ci_lower", "ci_upper"]
    assert frame.index.names == ["class", "feature"] and frame.loc[(2, "x1"), "se"] == result.std_errors[1, 2]

    def without_pandas(name, *args, **kwargs):
        if name == "pandas":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    table = result.coef_table(0.9)
    assert table.dtype.names == ("class", "feature", *frame.columns)
    for name in frame.columns:
        assert_array_equal(table[name], frame[name])
    assert_array_equal(table["class"], frame.index.get_level_values(0))
    assert_array_equal(table["feature"], frame.index.get_level_values(1))


def test_results_are_pickled_and_say_what_they_are(data):
    X, y = data
    result = inference(optimum(X, y), X, y, robust=True)
    again = pickle.loads(pickle.dumps(result))
    assert isinstance(again, InferenceResult)
    assert_array_equal(again.covariance_matrix, result.covariance_matrix)
    assert_array_equal(again.predict_proba(X).upper, result.predict_proba(X).upper)
    lines = repr(result).splitlines()
    assert "400 rows" in lines[0] and "robust" in lines[0] and "mean over the classes" in lines[1]
    assert len(lines) == 2 + 1 + 12 + 1 and lines[-1].startswith("and 8 more")
    assert f"{result.std_errors[0, 1]:.4g}" in lines[4]
    assert "class 1" in repr(inference(optimum(X, y), X, y, reference=1))
    with pytest.raises(AttributeError):
        result.alpha = 1


# Errors and warnings ------------------------------------------------------------------


def test_a_model_that_is_not_at_the_optimum_is_told(data):
    X, y = data
    early = SoftmaxSGDClassifier(max_iter=2, tol=None, variance_reduction=False, random_state=0).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="not at the optimum") as told:
        inference(early, X, y)
    assert told[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="not at the optimum"):
        inference(SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2, 3]), X, y)
    clf = SoftmaxSGDClassifier(**TIGHT).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="not at the optimum"):
        inference(clf, X, np.roll(y, 1))


def test_the_distance_from_the_optimum_is_that_of_the_coefficients(data):
    X, y = data
    clf = optimum(X, y)
    result = inference(clf, X, y)
    for share, is_told in ((0.05, False), (0.2, True)):
        moved, coef = SoftmaxSGDClassifier(**TIGHT).fit(X, y), clf.coef_.copy()
        coef[1, 2] += share * result.std_errors[1, 3] * np.sqrt(1e-3)  # alone it is far less likely
        moved.coef_ = coef + share * (result.covariance_matrix[8].reshape(4, 5) / result.std_errors[1, 3])[:, 1:]
        moved.intercept_ = clf.intercept_ + share * result.covariance_matrix[8].reshape(4, 5)[:, 0] / result.std_errors[1, 3]
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            inference(moved, X, y)
        assert bool(told) == is_told


def test_errors(data, weight, clusters):
    X, y = data
    clf = optimum(X, y)
    with pytest.raises(NotFittedError):
        inference(SoftmaxSGDClassifier(), X, y)
    with pytest.raises(TypeError, match="LinearRegression"):
        inference(LinearRegression(), X, y)
    with pytest.raises(ValueError, match="No model keeps its rows"):
        inference(clf, None, None)
    with pytest.raises(ValueError, match="labels not seen before"):
        inference(clf, X, y + 1)
    with pytest.raises(ValueError, match=r"no row of positive weight of the classes \[3\]"):
        inference(clf, X, y, (y != 3).astype(float))
    with pytest.raises(ValueError, match="features"):
        inference(clf, X[:, :3], y)
    with pytest.raises(ValueError, match="inconsistent"):
        inference(clf, X[:9], y)
    with pytest.raises(ValueError, match="sample_weight"):
        inference(clf, X, y, weight[:9])
    with pytest.raises(ValueError, match="clusters has 9 labels"):
        inference(clf, X, y, clusters=clusters[:9])
    with pytest.raises(ValueError, match="one cluster only"):
        inference(clf, X, y, clusters=np.zeros(400))
    with pytest.raises(ValueError, match="Pass one label per row"):
        inference(clf, X, np.eye(4)[np.unique(y, return_inverse=True)[1]])
    with pytest.raises(ValueError, match=r"label_smoothing=0.1"):
        inference(SoftmaxSGDClassifier(label_smoothing=0.1).fit(X, y), X, y)
    with pytest.raises(ValueError, match=r"offset.shape == \(400,\), expected \(400, 4\)"):
        inference(clf, X, y, offset=np.zeros(400))
    with pytest.raises(ValueError, match="offset has the value nan"):
        inference(clf, X, y, offset=np.full((400, 4), np.nan))
    with pytest.raises(ValueError, match="reference"):
        inference(clf, X, y, reference=7)
    with pytest.raises(ValueError, match="'size'"):
        inference(clf, X, y, features=["size"])
    with pytest.raises(ValueError, match="none of them twice"):
        inference(clf, X, y, features=["x1", 1])
    twins = np.column_stack([X, X[:, 1] - X[:, 0]])
    for container in (np.asarray, csr_array):
        with pytest.raises(ValueError, match="'x4' for class"):
            inference(SoftmaxSGDClassifier(alpha=0, max_iter=1000).fit(container(twins), y), container(twins), y)
    inference(optimum(twins, y), twins, y)  # with a penalty they are determined


def test_errors_of_results(data):
    X, y = data
    clf = optimum(X, y)
    result = inference(clf, X, y)
    for level in (0, 1, 95, "high"):
        with pytest.raises(ValueError, match="confidence_level"):
            result.coef_table(level)
        with pytest.raises(ValueError, match="confidence_level"):
            result.predict_proba(X, level)
    with pytest.raises(ValueError, match="either"):
        result.wald_test()
    with pytest.raises(ValueError, match="either"):
        result.wald_test([0], R=np.eye(20))
    with pytest.raises(ValueError, match="r belongs to R"):
        result.wald_test([0], r=[1])
    with pytest.raises(ValueError, match=r"expected \(n_hypotheses, 20\)"):
        result.wald_test(R=np.eye(3))
    with pytest.raises(ValueError, match="r has the shape"):
        result.wald_test(R=np.eye(20)[:2], r=[1])
    with pytest.raises(ValueError, match="R or r contains NaN"):
        result.wald_test(R=np.full((1, 20), np.nan))
    sums = np.tile(np.eye(5), 4)
    with pytest.raises(ValueError, match="contradicts"):
        result.wald_test(R=sums[:1], r=[1])
    with pytest.raises(ValueError, match="contradicts"):
        result.wald_test(R=np.eye(20)[1::5], r=np.ones(4))
    with pytest.raises(ValueError, match="no test"):
        result.wald_test(R=sums)
    with pytest.raises(ValueError, match="n_samples"):
        result.sample(0)
    with pytest.raises(ValueError, match="features"):
        result.predict_proba(X[:, :2])
    with pytest.raises(ValueError, match="offset"):
        result.predict_proba(X, offset=np.zeros(3))


def test_a_coefficient_whose_penalty_is_not_known(data):
    X, y = data
    X = X / X.std(axis=0)
    lr = LogisticRegression(max_iter=1000).fit(X, y)
    unknown = SoftmaxSGDClassifier.from_logistic_regression(lr, standardize=True)
    with pytest.raises(ValueError, match="no scale_"):
        inference(unknown, X, y)


# Coverage -----------------------------------------------------------------------------

N_SIMULATIONS, LEVEL = 300, 0.9
# 3.3 standard deviations of the share of N_SIMULATIONS independent intervals; that of the mean of several has no larger ones
COVERAGE = pytest.approx(LEVEL, abs=3.3 * np.sqrt(LEVEL * (1 - LEVEL) / N_SIMULATIONS))


def simulated(rng, coef, n_samples):
    """Rows of a model whose intercepts are 0."""
    X = rng.normal(size=(n_samples, coef.shape[1]))
    return X, np.argmax(X @ coef.T + rng.gumbel(size=(n_samples, len(coef))), axis=1)


def coverage(rng, draw, **how):
    """(share of the coefficients, share of the probabilities of new rows) that are in their intervals.

    ``draw()`` returns true coefficients, a fitted model and its input of `inference`.
    """
    of_coef, of_proba, X_new = [], [], rng.normal(size=(20, 3))
    for _ in range(N_SIMULATIONS):
        coef, clf, X, y, more = draw()
        result, expected = inference(clf, X, y, **more, **how), np.column_stack([np.zeros(len(coef)), coef - coef.mean(axis=0)])
        width = norm.ppf((1 + LEVEL) / 2) * result.std_errors
        of_coef.append(np.mean(np.abs(result.coef - expected) <= width))
        _, _, lower, upper = result.predict_proba(X_new, LEVEL)
        proba = softmax(X_new @ coef.T, axis=1)
        of_proba.append(np.mean((lower <= proba) & (proba <= upper)))
    return np.mean(of_coef), np.mean(of_proba)


@pytest.mark.slow
@pytest.mark.parametrize("robust", [False, True])
def test_coverage_without_a_penalty(robust):
    rng = np.random.default_rng(0)
    coef = rng.normal(size=(3, 3))

    def draw():
        X, y = simulated(rng, coef, 600)
        return coef, SoftmaxSGDClassifier(alpha=0, tol=1e-6, max_iter=1000).fit(X, y), X, y, {}

    of_coef, of_proba = coverage(rng, draw, robust=robust)
    assert of_coef == COVERAGE and of_proba == COVERAGE


@pytest.mark.slow
def test_coverage_where_the_penalty_is_the_prior():
    rng = np.random.default_rng(1)

    def draw():
        coef = rng.normal(size=(3, 3))
        X, y = simulated(rng, coef, 150)
        while len(np.unique(y)) < 3:
            X, y = simulated(rng, coef, 150)
        # alpha n = 1: the penalty is -log of the density of the coefficients
        return coef, SoftmaxSGDClassifier(standardize=False, tol=1e-6, max_iter=1000).fit(X, y), X, y, {}

    of_coef, of_proba = coverage(rng, draw)
    assert of_coef == COVERAGE and of_proba == COVERAGE


@pytest.mark.slow
def test_coverage_with_clusters_of_rows_that_depend_on_each_other():
    rng = np.random.default_rng(2)
    coef = rng.normal(size=(3, 3))
    groups = np.repeat(np.arange(300), 4)

    def draw(clusters):
        X, y = (np.repeat(part, 4, axis=0) for part in simulated(rng, coef, 300))
        return coef, SoftmaxSGDClassifier(alpha=0, tol=1e-6, max_iter=1000).fit(X, y), X, y, {"clusters": clusters}

    of_coef, of_proba = coverage(rng, lambda: draw(groups))
    assert of_coef == COVERAGE and of_proba == COVERAGE
    of_coef, of_proba = coverage(rng, lambda: draw(None))  # half the standard error: about 0.59
    half = 2 * norm.cdf(norm.ppf((1 + LEVEL) / 2) / 2) - 1
    expected = pytest.approx(half, abs=3.3 * np.sqrt(half * (1 - half) / N_SIMULATIONS))
    assert of_coef == expected and of_proba == expected
