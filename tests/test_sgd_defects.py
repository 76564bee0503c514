"""Defects of SGDClassifier in scikit-learn 1.9.1 that this estimator must not have."""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from sklearn.datasets import load_digits, load_iris, make_blobs

from sklearn_softmax import SoftmaxSGDClassifier


def quick(**params):
    return SoftmaxSGDClassifier(**{"max_iter": 5, "tol": None, "random_state": 0, **params})


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def test_early_stopping_watches_a_score_that_means_something():
    # there: accuracy against {-1, 1} of labels in {0, 1}, so 0.5 for classes that are perfectly separated
    X, y = make_blobs(200, centers=[[-5, 0], [5, 0]], random_state=0)
    classifier = quick(early_stopping=True, max_iter=30).fit(X, y)
    assert -0.05 < classifier.best_validation_score_ < 0  # measured: -0.025


def test_the_stopping_objective_is_that_of_dense_data_for_sparse_data_too(iris):
    # there: the norm of the weights is summed over the columns of the last row only
    X, y = iris
    X = np.hstack([X, 3 * np.eye(150)])
    dense, sparse = (quick(alpha=0.1, learning_rate="invscaling").fit(rows, y) for rows in (X, sp.csr_array(X)))
    np.testing.assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-9)


def test_class_weight_is_sample_weight_for_three_classes(iris, fitted):
    # there: only the positive side of each one-versus-rest problem is weighted
    X, y = iris
    weights = np.array([1.0, 5.0, 0.1])
    by_class = quick(class_weight=dict(enumerate(weights))).fit(X, y)
    assert fitted(by_class) == fitted(quick().fit(X, y, weights[y]))


def test_partial_fit_after_early_stopping_holds_nothing_out(iris):
    # there: 10 % of each later batch are left out in silence, and small batches raise
    X, y = iris
    classifier = quick(early_stopping=True).fit(X, y)
    clock = classifier.t_
    assert classifier.partial_fit(X[::30], y[::30]).partial_fit(X[:1], y[:1]).t_ == clock + 6


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_the_average_is_the_mean_of_the_iterates_with_l1_too(l1_ratio, iris):
    # there: what L1 truncates is left out of the average. Here that of the weights before the threshold, and of the threshold
    X, y = iris
    params = dict(l1_ratio=l1_ratio, alpha=0.05, learning_rate="constant", eta0=0.02)
    plain, averaged = quick(**params), quick(**params, average=True)
    iterates, thresholds = [], []
    for row in range(0, 150, 7):
        model = plain.partial_fit(X[row : row + 1], y[row : row + 1], [0, 1, 2])._stream.iterates.model
        iterates.append(model.softmax_coef()[0].copy())
        thresholds.append(model.threshold)
        averaged.partial_fit(X[row : row + 1], y[row : row + 1], [0, 1, 2])
    expected = reference.soft_threshold(np.mean(iterates, axis=0), np.mean(thresholds))
    assert (expected == 0).any() == (l1_ratio == 1)
    np.testing.assert_allclose(averaged.coef_, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("factor", [1e3, 1e4, 1e300])
def test_saturated_rows_have_finite_log_probabilities_and_predict_is_their_argmax(factor, iris):
    # there: log(0) = -inf, and predict differs from the argmax of the probabilities
    X, y = iris
    classifier = quick().fit(X, y)
    log_proba = classifier.predict_log_proba(X * factor)
    assert np.isfinite(log_proba).all()
    predicted, proba = classifier.predict(X * factor), classifier.predict_proba(X * factor)
    assert (proba[np.arange(len(X)), predicted] == proba.max(axis=1)).all()


def test_the_intercept_of_sparse_data_is_that_of_dense_data():
    # there: its step is 100 times shorter for sparse data
    X, y = load_digits(return_X_y=True)
    dense, sparse = (quick(max_iter=2, learning_rate="invscaling").fit(rows, y) for rows in (X, sp.csr_matrix(X)))
    np.testing.assert_allclose(sparse.intercept_, dense.intercept_, rtol=1e-7)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-6, atol=1e-10)


def test_the_clock_counts_training_rows_once(iris):
    # there: validation rows too
    assert quick(early_stopping=True).fit(*iris).t_ == 1 + 135


def test_negative_weights_are_refused(iris):
    with pytest.raises(ValueError, match="(?i)negative"):
        quick().fit(*iris, sample_weight=-np.ones(150))


def test_partial_fit_after_sparsify_works(iris):
    # there: TypeError
    classifier = quick().fit(*iris).sparsify().partial_fit(*iris)
    assert isinstance(classifier.coef_, np.ndarray)


def test_shuffle_does_not_make_a_stream_depend_on_its_chunks(iris):
    # there: each chunk is shuffled, with the same seed
    X, y = iris
    order = np.random.default_rng(0).permutation(150)
    X, y = X[order], y[order]
    whole, pieces = quick(shuffle=True).partial_fit(X, y, [0, 1, 2]), quick(shuffle=True)
    for begin in range(0, 150, 25):
        pieces.partial_fit(X[begin : begin + 25], y[begin : begin + 25], [0, 1, 2])
    np.testing.assert_allclose(pieces.coef_, whole.coef_, rtol=1e-10)
