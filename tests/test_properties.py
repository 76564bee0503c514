"""Laws, on data that hypothesis makes up."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_softmax import SoftmaxSGDClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # extreme rows make steps overflow

law = settings(deadline=None, max_examples=40)
MODERATE = st.integers(-64, 64).map(lambda number: number / 16)
PARAMS = st.sampled_from(
    [
        {},
        {"variance_reduction": False},
        {"standardize": False},
        {"learning_rate": "invscaling"},
        {"learning_rate": "invscaling", "l1_ratio": 0.5, "alpha": 0.05, "average": True},
        {"learning_rate": "constant"},
        {"learning_rate": "optimal", "alpha": 0.1},
        {"l1_ratio": 0.5, "alpha": 0.05},
        {"average": True},
        {"fit_intercept": False},
        {"alpha": 0.0},
    ]
)


@st.composite
def problems(draw, elements=MODERATE):
    n_classes, n_features = draw(st.integers(2, 5)), draw(st.integers(1, 9))
    n_samples = draw(st.integers(n_classes, 20))
    X = draw(arrays(np.float64, (n_samples, n_features), elements=elements))
    y = np.concatenate(
        [np.arange(n_classes), draw(arrays(np.int64, n_samples - n_classes, elements=st.integers(0, n_classes - 1)))]
    )
    return X, y, draw(PARAMS)


def model(params):
    return SoftmaxSGDClassifier(**{"max_iter": 3, "tol": None, "random_state": 0} | params)


def assert_close(one, other, **kwargs):
    np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9, **kwargs)


@law
@given(problems())
def test_dense_and_csr_give_the_same_model(problem):
    X, y, params = problem
    if "learning_rate" not in params:  # two ways to one optimum, which takes a penalty to be one
        params = params | {"alpha": 0.05, "variance_reduction": True, "tol": 1e-10, "max_iter": 3000}
    dense, sparse = model(params).fit(X, y), model(params).fit(sp.csr_array(X), y)
    assert_close(dense.coef_, sparse.coef_)
    assert_close(dense.intercept_, sparse.intercept_)


@law
@given(problems(), st.randoms(use_true_random=False))
def test_relabelling_the_classes_permutes_the_coefficients(problem, random):
    X, y, params = problem
    n_classes = y.max() + 1
    new = list(range(n_classes))
    random.shuffle(new)
    one, other = model(params).fit(X, y), model(params).fit(X, np.array(new)[y])
    if n_classes == 2:
        assert_close(other.coef_, one.coef_ * (1 if new == [0, 1] else -1))
    else:
        assert_close(other.coef_[new], one.coef_)
    assert_close(other.predict_proba(X)[:, new], one.predict_proba(X))


@law
@given(problems(), st.randoms(use_true_random=False))
def test_permuting_the_columns_permutes_the_coefficients(problem, random):
    X, y, params = problem
    order = list(range(X.shape[1]))
    random.shuffle(order)
    one, other = model(params).fit(X, y), model(params).fit(X[:, order], y)
    assert_close(other.coef_, one.coef_[:, order])
    assert_close(other.intercept_, one.intercept_)


@law
@given(problems(), arrays(np.float64, (4, 9), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_probabilities_of_any_finite_rows_are_finite_and_sum_to_one(problem, rows):
    X, y, params = problem
    fitted_model = model(params).fit(X, y)
    rows = rows[:, : X.shape[1]]
    for container in (rows, sp.csr_array(rows)):
        proba = fitted_model.predict_proba(container)
        assert np.isfinite(proba).all() and (proba >= 0).all()
        assert_close(proba.sum(axis=1), 1)
        assert np.isfinite(fitted_model.predict_log_proba(container)).all()


@law
@given(problems(elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_a_model_of_any_finite_rows_is_finite(problem):
    X, y, params = problem
    fitted_model = model(params).fit(X, y)
    assert np.isfinite(fitted_model.coef_).all() and np.isfinite(fitted_model.intercept_).all()
    assert_close(fitted_model.predict_proba(X).sum(axis=1), 1)


@law
@given(problems(), st.data())
def test_rows_of_weight_zero_are_absent(problem, data):
    X, y, params = problem
    weight = data.draw(arrays(np.float64, len(y), elements=st.sampled_from([0.0, 0.5, 1.0, 3.0])))
    weight[: y.max() + 1] = 1
    kept = weight > 0
    one, other = model(params).fit(X, y, weight), model(params).fit(X[kept], y[kept], weight[kept])
    assert np.array_equal(one.coef_, other.coef_) and np.array_equal(one.intercept_, other.intercept_)
    assert one.t_ == other.t_


@law
@given(problems(), st.sets(st.integers(0, 20)))
def test_any_cutting_of_a_stream_gives_the_same_model(problem, cuts):
    X, y, params = problem
    whole, pieces = model(params).partial_fit(X, y, np.unique(y)), model(params)
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(y)), len(y)]
    for begin, end in zip(bounds[:-1], bounds[1:], strict=True):
        pieces.partial_fit(X[begin:end], y[begin:end], np.unique(y))
    assert_close(pieces.coef_, whole.coef_)
    assert_close(pieces.intercept_, whole.intercept_)


@law
@given(problems(), st.integers(1, 9))
def test_columns_of_zeros_change_nothing(problem, n_more):
    X, y, params = problem
    one, other = model(params).fit(X, y), model(params).fit(np.hstack([X, np.zeros((len(X), n_more))]), y)
    assert_close(other.coef_[:, : X.shape[1]], one.coef_)
    assert (other.coef_[:, X.shape[1] :] == 0).all()


@law
@given(problems(), st.integers(-20, 20))
def test_without_intercept_and_penalty_the_unit_of_the_rows_does_not_matter(problem, exponent):
    X, y, params = problem
    params = {name: params[name] for name in params if name == "average"} | {"alpha": 0, "fit_intercept": False}
    one, other = model(params).fit(X, y), model(params).fit(X * 2.0**exponent, y)
    assert_close(other.coef_ * 2.0**exponent, one.coef_)
