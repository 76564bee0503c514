"""Laws, on data that hypothesis makes up."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_softmax import SoftmaxSGDClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # extreme rows make steps overflow

law = settings()  # of the profile in conftest.py
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
        {"forgetting": "auto"},
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
    if "learning_rate" in params:
        dense, sparse = model(params).fit(X, y), model(params).fit(sp.csr_array(X), y)
        assert_close(dense.coef_, sparse.coef_)
        assert_close(dense.intercept_, sparse.intercept_)
        return
    # two ways to one optimum, which takes a penalty to be one
    params = params | {"alpha": 0.05, "variance_reduction": True, "tol": 1e-10, "max_iter": 3000}
    dense, sparse = model(params).fit(X, y), model(params).fit(sp.csr_array(X), y)
    # No entry of the gradient, in units of the deviation, is above tol, and F is alpha-strongly convex in the penalised units: so
    # far can either be from the optimum.
    unit = model({"max_iter": 1}).fit(X, y).scale_
    if params.get("standardize") is False:
        allowed = np.where(unit > 0, unit, np.abs(X).max(axis=0))
    else:
        allowed = np.divide(1, unit, where=unit > 0, out=np.zeros_like(unit))
    allowed = 2 * params["tol"] / params["alpha"] * np.sqrt(dense.coef_.size) * np.max(allowed)
    np.testing.assert_allclose(dense.coef_, sparse.coef_, rtol=1e-7, atol=allowed)
    np.testing.assert_allclose(dense.predict_proba(X), sparse.predict_proba(X), atol=1e-5)


@law
@given(problems(), st.permutations(range(60)), st.booleans())
def test_columns_that_never_occur_change_nothing(problem, places, stops_early):
    X, y, params = problem
    n_features = X.shape[1]
    columns, others = np.sort(places[:n_features]), places[n_features:]
    wide = np.zeros((len(X), 60))
    wide[:, columns] = X
    of_narrow = of_wide = {}
    if stops_early:  # held-out rows may have columns that no other row has
        X_val = wide.copy()
        X_val[0, others] = 1
        params = params | {"early_stopping": True}
        of_narrow, of_wide = {"X_val": sp.csr_array(X), "y_val": y}, {"X_val": sp.csr_array(X_val), "y_val": y}
    X, wide = sp.csr_array(X), sp.csr_array(wide)
    one, other = model(params).fit(X, y, **of_narrow), model(params).fit(wide, y, **of_wide)

    def assert_same():
        assert_close(other.coef_[:, columns], one.coef_)
        assert not other.coef_[:, others].any()
        assert_close(other.intercept_, one.intercept_)
        assert_close(other.scale_[columns], one.scale_)

    assert_same()
    assert_close(other.loss_curve_, one.loss_curve_)
    assert_close(other.optimality_gap_, one.optimality_gap_)
    if stops_early:
        assert_close(other.validation_scores_, one.validation_scores_)
    one.partial_fit(X, y)
    other.partial_fit(wide, y)
    assert_same()


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
def test_scores_of_any_finite_rows_are_those_of_exact_arithmetic(problem, rows):
    X, y, params = problem
    fitted_model = model(params).fit(X, y)
    rows, coef = rows[:, : X.shape[1]], fitted_model.coef_
    exact = np.vectorize(Fraction, otypes=[object])
    limit = Fraction(np.finfo(np.float64).max)
    expected = exact(rows) @ exact(coef).T + exact(fitted_model.intercept_)
    size = exact(np.abs(rows)) @ exact(np.abs(coef)).T + exact(np.abs(fitted_model.intercept_))
    for container in (rows, sp.csr_array(rows)):
        scores = fitted_model.decision_function(container).reshape(len(rows), -1)
        for score, true, terms in zip(scores.flat, expected.flat, size.flat):
            # what leaves the range is cut off, whatever overflows on the way
            assert abs(Fraction(score) - max(-limit, min(true, limit))) <= Fraction(1, 10**14) * terms + Fraction(1, 10**300)
        if scores.shape[1] == 1:
            scores = np.column_stack([0 * scores, scores])
        with np.errstate(over="ignore"):
            proba = np.exp(scores - scores.max(axis=1, keepdims=True))
        np.testing.assert_allclose(fitted_model.predict_proba(container), proba / proba.sum(axis=1, keepdims=True), rtol=1e-12)
        log_proba = fitted_model.predict_log_proba(container)
        assert np.isfinite(log_proba).all()
        np.testing.assert_allclose(np.exp(log_proba), fitted_model.predict_proba(container), rtol=1e-9, atol=1e-300)


@law
@given(problems(elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_a_model_of_any_finite_rows_is_finite(problem):
    X, y, params = problem
    fitted_model = model(params).fit(X, y)
    assert np.isfinite(fitted_model.coef_).all() and np.isfinite(fitted_model.intercept_).all()
    assert_close(fitted_model.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("values", [(1, -1, -1, -1), (1, -1 / 3, -1 / 3, -1 / 3), (1, 0, -1, 0), (1, -1, -1, 1)])
@pytest.mark.parametrize("params", [{}, {"max_iter": 5}, {"standardize": False}, {"eta0": 1.0}])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_differences_from_the_mean_may_overflow(dtype, params, values):
    X, y = np.finfo(dtype).max * np.array(values, dtype=dtype)[:, None], np.arange(4)
    fitted_model = SoftmaxSGDClassifier(**params).fit(X, y)
    assert np.isfinite(fitted_model.coef_).all() and np.isfinite(fitted_model.intercept_).all()
    assert fitted_model.optimality_gap_ < np.log(4)


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


# More of what the documents promise ----------------------------------------------------------------------------------------


@law
@given(problems(), st.floats(1e-3, 1e3))
def test_with_a_numeric_alpha_a_factor_in_all_weights_changes_nothing(problem, factor):
    X, y, params = problem
    params = {"alpha": 0.1} | params
    weight = np.linspace(0.5, 2, len(y))
    one, other = model(params).fit(X, y, weight), model(params).fit(X, y, factor * weight)
    np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(other.predict_proba(X), one.predict_proba(X), rtol=1e-6, atol=1e-8)


@law
@given(problems(), st.data())
def test_class_weights_are_weights_and_balanced_ones_are_class_weights(problem, data):
    X, y, params = problem
    classes = np.arange(y.max() + 1)
    numbers = [data.draw(st.sampled_from([0.5, 1.0, 3.0])) for _ in classes]
    one = model(params | {"class_weight": dict(enumerate(numbers))}).fit(X, y)
    other = model(params).fit(X, y, np.array(numbers)[y])
    assert np.array_equal(one.coef_, other.coef_) and np.array_equal(one.intercept_, other.intercept_)
    balance = len(y) / (len(classes) * np.bincount(y))
    one = model(params | {"class_weight": "balanced"}).fit(X, y)
    other = model(params | {"class_weight": dict(enumerate(balance))}).fit(X, y)
    assert np.array_equal(one.coef_, other.coef_) and np.array_equal(one.intercept_, other.intercept_)


@law
@given(problems(), st.integers(1, 3))
def test_integer_weights_are_repetitions_at_the_optimum(problem, largest):
    X, y, params = problem
    params = {name: params[name] for name in params if name in ("standardize", "fit_intercept")}
    params |= {"alpha": 0.05, "tol": 1e-9, "max_iter": 3000}
    times = 1 + np.arange(len(y)) % largest
    one = model(params).fit(X, y, times)
    other = model(params).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-5)


@law
@given(problems(), st.sampled_from(["fit", "partial_fit"]))
def test_probabilities_are_the_softmax_of_scores_and_predictions_their_argmax(problem, method):
    X, y, params = problem
    fitted_model = model(params)
    fitted_model = fitted_model.fit(X, y) if method == "fit" else fitted_model.partial_fit(X, y, np.unique(y))
    scores = fitted_model.decision_function(X)
    linear = X @ fitted_model.coef_.T + fitted_model.intercept_
    np.testing.assert_allclose(scores, linear[:, 0] if scores.ndim == 1 else linear, rtol=1e-9, atol=1e-9)
    scores = np.column_stack([-scores / 2, scores / 2]) if scores.ndim == 1 else scores
    proba = fitted_model.predict_proba(X)
    expected = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(proba, expected / expected.sum(axis=1, keepdims=True), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.exp(fitted_model.predict_log_proba(X)), proba, rtol=1e-12, atol=1e-12)
    chosen = fitted_model.predict(X)
    assert (np.take_along_axis(proba, chosen[:, None], axis=1)[:, 0] == proba.max(axis=1)).all()


@law
@given(problems(), st.sets(st.integers(0, 20)))
def test_the_progressive_loss_is_that_of_predicting_and_then_learning(problem, cuts):
    X, y, params = problem
    labels = np.unique(y)
    bounds = [0, *sorted(cut for cut in cuts if 0 < cut < len(y)), len(y)]
    streamed, by_hand, losses = model(params), model(params), [np.log(len(labels))]
    for begin, end in zip(bounds, bounds[1:]):
        streamed.partial_fit(X[begin:end], y[begin:end], labels)
    by_hand.partial_fit(X[:1], y[:1], labels)
    for i in range(1, len(y)):
        losses.append(-by_hand.predict_log_proba(X[i : i + 1])[0, y[i]])
        by_hand.partial_fit(X[i : i + 1], y[i : i + 1])
    np.testing.assert_allclose(streamed.progressive_loss_, np.mean(losses), rtol=1e-9)


@law
@given(problems())
def test_the_gap_bounds_the_distance_from_the_optimum(problem):
    X, y, params = problem
    params = {name: params[name] for name in params if name in ("standardize", "fit_intercept", "l1_ratio")} | {"alpha": 0.05}
    early = model(params | {"max_iter": 2}).fit(X, y)
    late = model(params | {"tol": 1e-8, "max_iter": 3000}).fit(X, y)

    def objective(fitted_model):
        rows = fitted_model.coef_ * (1 if params.get("standardize") is False else fitted_model.scale_)
        l1_ratio = params.get("l1_ratio", 0.0)
        penalty = (1 - l1_ratio) / 2 * (rows**2).sum() + l1_ratio * np.abs(rows).sum()
        return -fitted_model.predict_log_proba(X)[np.arange(len(y)), y].mean() + 0.05 * penalty

    assert -1e-9 <= objective(early) - objective(late) <= early.optimality_gap_ + 1e-9
