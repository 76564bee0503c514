"""partial_fit: how a stream is cut, stored and packed does not matter."""

import copy
import pickle

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from sklearn.metrics import log_loss

from sklearn_softmax import SoftmaxSGDClassifier

VARIANTS = {
    "default": {},
    "not standardised": {"standardize": False},
    "last iterate": {"average": False, "alpha": 1e-2},
    "averaged from 50": {"average": 50, "l1_ratio": 0.5},
    "invscaling": {"learning_rate": "invscaling"},
    "invscaling, L1": {"learning_rate": "invscaling", "l1_ratio": 1.0, "alpha": 1e-2},
    "invscaling, averaged": {"learning_rate": "invscaling", "average": True},
    "invscaling, averaged from 50": {"learning_rate": "invscaling", "average": 50, "l1_ratio": 0.5},
    "invscaling, balanced": {"learning_rate": "invscaling", "class_weight": "balanced"},
    "constant": {"learning_rate": "constant"},
    "optimal": {"learning_rate": "optimal", "alpha": 1e-2},
    "adaptive": {"learning_rate": "adaptive", "eta0": 0.1},
    "L1": {"l1_ratio": 1.0, "alpha": 1e-2},
    "balanced": {"class_weight": "balanced"},
    "numeric alpha": {"alpha": 0.1},
    "no intercept": {"fit_intercept": False},
    "forgets": {"forgetting": "auto"},
    "forgets, L1": {"forgetting": "auto", "l1_ratio": 0.5, "alpha": 1e-3},
    "forgets, averaged from 20": {"forgetting": "auto", "average": 20, "standardize": False},
}
CUTTINGS = {"row by row": range(1, 120), "halves": [60], "uneven": [1, 2, 5, 50, 119], "with an empty rest": [7, 70]}

each_variant = pytest.mark.parametrize("variant", VARIANTS)


def stream(X, y, cuts, *, between=lambda model: model, container=np.asarray, weight=None, **params):
    model = SoftmaxSGDClassifier(random_state=0, **params)
    bounds = [0, *cuts, len(y)]
    for begin, end in zip(bounds[:-1], bounds[1:], strict=True):
        rows = slice(begin, end)
        model.partial_fit(container(X[rows]), y[rows], np.unique(y), None if weight is None else weight[rows])
        model = between(model)
    return model


def assert_close(one, other):
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.intercept_, other.intercept_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose([one.t_, one.alpha_], [other.t_, other.alpha_], rtol=1e-12)
    assert hasattr(one, "drift_log_odds_") == hasattr(other, "drift_log_odds_")
    if hasattr(one, "drift_log_odds_"):
        np.testing.assert_allclose(one.drift_log_odds_, other.drift_log_odds_, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(one.effective_n_samples_, other.effective_n_samples_, rtol=1e-9)


def changing(y):
    """Labels that say another thing after 70 rows."""
    return np.where(np.arange(len(y)) < 70, y, (y + 1) % (y.max() + 1))


@each_variant
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_any_cutting_of_a_stream_gives_the_same_model(variant, container, n_classes, make_data):
    X, y = make_data(n_classes)
    y, weight = changing(y), np.random.default_rng(0).uniform(0, 2, size=len(y))
    whole = stream(X, y, [], container=container, weight=weight, **VARIANTS[variant])
    for cuts in CUTTINGS.values():
        assert_close(stream(X, y, cuts, container=container, weight=weight, **VARIANTS[variant]), whole)


@each_variant
def test_the_container_may_change_in_mid_stream(variant, make_data):
    X, y = make_data()
    y = changing(y)
    kinds, cuts = [np.asarray, sp.csr_array, sp.coo_matrix, np.asfortranarray, sp.csc_array], [20, 40, 60, 80]
    containers, params = iter(kinds), VARIANTS[variant]
    mixed = stream(X, y, cuts, container=lambda rows: next(containers)(rows), **params)
    if "learning_rate" in params:
        assert_close(mixed, stream(X, y, [], **params))
        return
    # the automatic step sees dense rows centred and sparse ones not, and goes on from the model at the change
    alpha, average = params.get("alpha", np.nan), params.get("average", True)
    of_the_objective = {name: params[name] for name in ("l1_ratio", "fit_intercept", "standardize") if name in params}
    of_the_memory = dict(average_from=float(average) - 1, averages=bool(average), forgets="forgetting" in params)
    twin = reference.Stream.empty(5, 3, alpha=alpha, **of_the_objective, **of_the_memory)
    weight = balanced_weight(y) if "class_weight" in params else np.ones(len(y))
    was_sparse = False
    for kind, begin, end in zip(kinds, [0, *cuts], [*cuts, len(y)]):
        is_sparse, rows = sp.issparse(kind(X)), slice(begin, end)
        if is_sparse != was_sparse:
            twin.enter(bool(average), was_sparse, is_sparse)
        see = twin.sparse if is_sparse else twin.dense
        more = [X[rows] != 0] if is_sparse else []
        see(X[rows], *more, y[rows], weight[rows], range(end - begin), settle=False)
        was_sparse = is_sparse
    coef, intercept = twin.up_to_date(was_sparse).model(bool(average))
    np.testing.assert_allclose(mixed.coef_, coef, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mixed.intercept_, intercept, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("average", [False, True])
def test_chunks_of_double_go_into_a_float32_model_as_float32(average, make_data, fitted):
    X, y = make_data()
    X32 = X.astype(np.float32)
    one, other = (
        SoftmaxSGDClassifier(average=average).partial_fit(X32, y, [0, 1, 2]).partial_fit(chunk, y) for chunk in (X32, X)
    )
    assert fitted(one) == fitted(other) and one.coef_.dtype == np.float32


def test_chunks_of_float32_leave_a_double_model_double(make_data, fitted):
    X, y = make_data()
    X32 = X.astype(np.float32)
    one, other = (SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2]).partial_fit(Z, y) for Z in (X32, X32.astype(float)))
    assert fitted(one) == fitted(other) and one.coef_.dtype == np.float64


@pytest.mark.parametrize(
    "params", [{"shuffle": True}, {"shuffle": False}, {"random_state": 1}, {"max_iter": 1}, {"early_stopping": True}]
)
def test_parameters_of_fit_do_not_act_in_partial_fit(params, make_data, fitted):
    X, y = make_data()
    expected = SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2])
    assert fitted(SoftmaxSGDClassifier(**params).partial_fit(X, y, [0, 1, 2])) == fitted(expected)


def test_the_order_of_a_stream_matters_because_it_is_kept(make_data):
    X, y = make_data()
    assert not np.allclose(stream(X, y, []).coef_, stream(X[::-1], y[::-1], []).coef_)


@each_variant
def test_partial_fit_goes_on_from_fit_with_the_clock_of_one_pass(variant, make_data):
    X, y = make_data()
    X_more, y_more = make_data(seed=1)
    models = []
    for cuts in ([], *CUTTINGS.values()):
        model = SoftmaxSGDClassifier(max_iter=4, tol=None, random_state=0, **VARIANTS[variant]).fit(X, y)
        assert model.t_ == pytest.approx(121)  # balanced weights have this sum, too
        bounds = [0, *cuts, len(y)]
        for begin, end in zip(bounds[:-1], bounds[1:], strict=True):
            model.partial_fit(X_more[begin:end], y_more[begin:end])
        models.append(model)
    for model in models[1:]:
        assert_close(model, models[0])


def test_partial_fit_after_early_stopping_trains_on_every_row(make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier(early_stopping=True, max_iter=3, tol=None, random_state=0).fit(X, y)
    assert model.t_ == 1 + 108
    for row in range(10):
        before = model.coef_.copy()
        model.partial_fit(X[row : row + 1] + 0.1, y[row : row + 1])
        assert model.t_ == 1 + 108 + row + 1 and not np.array_equal(model.coef_, before)


@each_variant
@pytest.mark.parametrize("n_classes", [2, 3])
def test_sparsify_in_mid_stream_changes_nothing(variant, n_classes, make_data):
    X, y = make_data(n_classes)
    sparsified = stream(X, y, [30, 60], between=lambda model: model.sparsify(), **VARIANTS[variant]).densify()
    assert_close(sparsified, stream(X, y, [30, 60], **VARIANTS[variant]))


def test_sparsify_and_densify_in_mid_stream_change_nothing_of_an_averaged_model(make_data):
    X, y = make_data()
    there_and_back = stream(X, y, [30, 60], between=lambda model: model.sparsify().densify(), average=True)
    assert_close(there_and_back, stream(X, y, [30, 60], average=True))


def balanced_weight(y):
    counts, weight = np.zeros(y.max() + 1), []
    for label in y:
        counts[label] += 1
        weight.append(counts.sum() / ((counts > 0).sum() * counts[label]))
    return np.array(weight)


def test_balanced_weighs_each_row_by_the_counts_up_to_it(make_data):
    X, y = make_data()
    balanced = stream(X, y, [11, 70], class_weight="balanced")
    assert_close(balanced, stream(X, y, [], weight=balanced_weight(y)))


@pytest.mark.parametrize("classes", [[0, 1, 2], [2, 1, 0], [0, 0, 1, 2], None])
def test_the_same_classes_or_none_may_be_passed_again(classes, make_data, fitted):
    X, y = make_data()
    expected = SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2]).partial_fit(X, y)
    assert fitted(SoftmaxSGDClassifier().partial_fit(X, y, [2, 0, 1]).partial_fit(X, y, classes)) == fitted(expected)


def test_classes_that_never_occur_are_kept_and_become_improbable(make_data):
    X, y = make_data(2)
    model = SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 7])
    assert model.classes_.tolist() == [0, 1, 7] and model.coef_.shape == (3, 5)
    assert 0 < model.predict_proba(X)[:, 2].mean() < 0.05  # measured: 0.019


def test_a_first_chunk_may_have_one_class_only(make_data):
    X, y = make_data()
    first = y == 0
    model = SoftmaxSGDClassifier().partial_fit(X[first], y[first], [0, 1, 2])
    proba = model.predict_proba(X)
    assert proba[:, 0].min() > 0.8  # measured: 0.94
    np.testing.assert_allclose(proba[:, 1], proba[:, 2], rtol=1e-12)  # of which nothing is known
    assert (proba[:, 1] > 0).all()


# ---------------------------------------------------------------------------------------------------------- plain calls

BAD = {
    "NaN": np.array([[0.0, np.nan, 1, 1, 1]]),
    "infinity": np.array([[0.0, np.inf, 1, 1, 1]]),
    "both infinities": np.array([[np.inf, -np.inf, 1, 1, 1]]),
    "features": np.zeros((1, 4)),
    "no rows": np.zeros((0, 5)),
    "1-D": np.zeros(5),
    "3-D": np.zeros((1, 5, 1)),
    "complex": np.zeros((1, 5), dtype=complex),
    "strings": np.array([["a"] * 5]),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # of scikit-learn's sum of both infinities
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_array_is_refused_in_the_words_of_the_first_call(bad, make_data, fitted):
    X, y = make_data()
    model = SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2])
    before = fitted(model)
    rows = BAD[bad]
    with pytest.raises((ValueError, TypeError)) as later:
        model.partial_fit(rows, y[: len(rows)])
    as_list = rows.tolist() if bad != "no rows" else rows.reshape(0, 5).astype(object)
    with pytest.raises((ValueError, TypeError)) as by_list:
        model.partial_fit(as_list, y[: len(rows)])
    if bad not in ("complex", "strings", "no rows"):  # of a list these are of another dtype
        assert str(later.value) == str(by_list.value)
    with pytest.raises((ValueError, TypeError)):
        model.predict_proba(rows)
    assert fitted(model) == before


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_small_chunk_of_many_classes_gives_no_warning(container):
    X = np.eye(30)
    y = np.append(np.arange(30), np.arange(25))
    assert_close(stream(X[y], y, [30], container=container), stream(X[y], y, [], container=container))


def test_large_values_whose_sum_overflows_are_accepted(make_data):
    X, y = make_data()
    large = np.full((2, 5), 1.7e308)
    model, scaled = (
        SoftmaxSGDClassifier().partial_fit(np.ldexp(X, exponent), y, [0, 1, 2]).partial_fit(np.ldexp(large, exponent), y[:2])
        for exponent in (0, -500)
    )
    np.testing.assert_allclose(model.predict_proba(X), scaled.predict_proba(np.ldexp(X, -500)), rtol=1e-12)
    np.testing.assert_allclose(model.coef_, np.ldexp(scaled.coef_, -500), rtol=1e-12)
    assert np.ptp(model.predict_proba(X)[0]) > 0.1


def test_names_of_features_are_still_checked(make_data):
    pandas = pytest.importorskip("pandas")
    X, y = make_data()
    names = [f"x{j}" for j in range(5)]
    model = SoftmaxSGDClassifier().partial_fit(pandas.DataFrame(X, columns=names), y, [0, 1, 2])
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(X)
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(pandas.DataFrame(X, columns=names[::-1]), y)


@pytest.mark.parametrize("name, value, message", [("alpha", -1.0, "alpha"), ("eta0", 0.0, "eta0"), ("l1_ratio", 2, "l1_ratio")])
def test_a_parameter_that_was_set_to_nonsense_is_refused_in_mid_stream(name, value, message, make_data, fitted):
    X, y = make_data()
    model = SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2])
    before = fitted(model)
    with pytest.raises(ValueError, match=message):
        model.set_params(**{name: value}).partial_fit(X, y)
    assert fitted(model) == before


def test_a_parameter_may_change_in_mid_stream(make_data):
    X, y = make_data()
    one, other = (SoftmaxSGDClassifier(alpha=0.1).partial_fit(X, y, [0, 1, 2]) for _ in range(2))
    one.set_params(alpha=10.0).partial_fit(X, y)
    other.partial_fit(X, y)
    assert one.alpha_ == 10.0 and np.abs(one.coef_).sum() < np.abs(other.coef_).sum()


def test_a_schedule_goes_on_from_the_model_of_the_automatic_step(make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2])
    coef, intercept, one = model.coef_.copy(), model.intercept_.copy(), np.ones(len(y))
    X, y = make_data(seed=1)
    model.set_params(learning_rate="constant", eta0=0.01).partial_fit(X, y)
    alpha = 1 / (120 + np.cumsum(one))
    coef, intercept, *_ = reference.sweep(
        X, y, one, range(120), 0.01 * one, alpha, coef, intercept, l2_ratio=1, l1_ratio=0, fit_intercept=True
    )
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model.intercept_, intercept, rtol=1e-10, atol=1e-12)
    assert model.t_ == 241


def test_the_automatic_step_goes_on_from_the_model_of_a_schedule(make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier(learning_rate="constant", eta0=0.01).partial_fit(X[:60], y[:60], [0, 1, 2])
    before = model.predict_proba(X)
    model.set_params(learning_rate="auto")
    # rows that weigh next to nothing tell it the scales only
    weightless = copy.deepcopy(model).partial_fit(X[:60], y[:60], sample_weight=np.full(60, 1e-9))
    np.testing.assert_allclose(weightless.predict_proba(X), before, rtol=1e-7)
    assert log_loss(y, model.partial_fit(X[:60], y[:60]).predict_proba(X)) < log_loss(y, before)
    with pytest.warns(UserWarning, match=r"estimated from 1 row\(s\)"):
        stream(X, y, [], learning_rate="constant").set_params(learning_rate="auto").partial_fit(X[:1], y[:1])


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_predictions_for_few_sparse_rows_are_those_of_all_coefficients(make_data, n_classes, average):
    X, y = make_data(n_classes=n_classes, n_features=400)
    X = sp.csr_array(np.where(np.abs(X) > 2, X, 0))
    model = SoftmaxSGDClassifier(average=average).partial_fit(X[:80], y[:80], classes=np.arange(n_classes))
    for row in (X[90:91], X[90:92], sp.csr_array((1, 400))):
        assert row.nnz * 8 < 400
        found = model.predict_proba(row)
        assert model._stream.original is None  # nothing has made all coefficients
        coefficients = pickle.loads(pickle.dumps(model))
        expected = sp.csr_array(row) @ coefficients.coef_.T + coefficients.intercept_
        expected = np.exp(expected if n_classes > 2 else np.column_stack([-expected / 2, expected / 2]))
        np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)
        for _ in range(50):  # however often it is asked, no call makes them
            np.testing.assert_array_equal(model.predict_proba(row), found)
        assert model._stream.original is None
        model.partial_fit(X[80:90], y[80:90])
    assert X[:80].nnz * 8 > 400
    model.predict_proba(X[:80])  # whose numbers are about as many
    assert model._stream.original is not None


@pytest.mark.parametrize("learning_rate", ["auto", "invscaling"])
def test_sparsify_and_densify_may_be_repeated(learning_rate, make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier(learning_rate=learning_rate).partial_fit(X, y, [0, 1, 2])
    coef = model.coef_.copy()
    for _ in range(2):
        np.testing.assert_array_equal(model.sparsify().densify().coef_, coef)


def test_after_fit_the_clock_is_that_of_one_pass(make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier(random_state=0).fit(X, y)
    proba, clock = model.predict_proba(X), model._stream.scalars
    assert (clock.weight, clock.n_rows) == (120, 120)
    assert clock.average_weight == 120**4 / 4  # the integral of t^3
    assert clock.norm == pytest.approx(120 * (1 + (X != 0).mean(axis=0).sum()), rel=1e-12)  # in its own coordinates
    # the curvature of an epoch is that of its iterates; measured: 1.0001
    assert clock.curvature == pytest.approx((proba * (1 - proba)).sum() / 3, rel=3e-4)
