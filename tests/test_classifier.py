"""The estimator on its own: signature, errors, probabilities, containers, stopping, copies."""

import copy
import inspect
import itertools
import pickle
import re
import tracemalloc
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import sklearn_softmax
from sklearn_softmax import SoftmaxSGDClassifier

ROOT = Path(__file__).resolve().parents[1]


def quick(**params):
    return SoftmaxSGDClassifier(**{"max_iter": 5, "tol": None, "random_state": 0, **params})


def test_what_is_tested_is_the_installed_package():
    folder = Path(sklearn_softmax.__file__).resolve().parent
    is_editable = type(sklearn_softmax.__spec__.loader).__module__.startswith("_sklearn_softmax_editable")
    assert is_editable or folder != ROOT / "sklearn_softmax"


# --------------------------------------------------------------------------------------------------------------- signature


def test_every_parameter_is_keyword_only_and_none_is_named_like_a_dropped_one():
    parameters = inspect.signature(SoftmaxSGDClassifier).parameters
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert not {"penalty", "C", "loss", "n_jobs"} & set(parameters)


def test_defaults_are_those_of_the_design():
    expected = dict(alpha="1/n_samples", l1_ratio=0.0, fit_intercept=True, max_iter=100, tol=1e-4, shuffle=True, eta0=None)
    expected |= dict(power_t=0.5, average="auto", early_stopping=False, validation_fraction=0.1, n_iter_no_change=5)
    expected |= dict(class_weight=None, warm_start=False, random_state=None, verbose=0)
    params = SoftmaxSGDClassifier().get_params()
    assert {name: params[name] for name in expected} == expected


@pytest.mark.parametrize(
    "method, names",
    [
        ("fit", ["self", "X", "y", "sample_weight", "classes", "offset", "X_val", "y_val", "sample_weight_val", "offset_val"]),
        ("partial_fit", ["self", "X", "y", "classes", "sample_weight", "offset"]),
    ],
)
def test_training_methods_have_the_signature_of_the_design(method, names):
    parameters = inspect.signature(getattr(SoftmaxSGDClassifier, method)).parameters
    assert list(parameters)[: len(names)] == names
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in names if name.endswith(("_val", "offset")))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
def test_an_unfitted_estimator_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(SoftmaxSGDClassifier(), method)([[0.0]])


# ------------------------------------------------------------------------------------------------------------------ errors

N = 60
Z = np.zeros(N)
NAN = np.full((N, 5), np.nan)

# name -> (params, changes of the arguments of fit, message); the rest of the arguments is sound
BAD_FITS = {
    "one class": ({}, dict(y=Z.astype(int)), "at least 2 classes in the data, but the data contains only one class: 0$"),
    "one class, weighted": ({}, dict(y=Z.astype(int), sample_weight=Z + 2), "contains only one class: 0$"),
    "no weighty class": (dict(class_weight={0: 0, 1: 0, 2: 0}), {}, "every class in y the weight zero"),
    "no weight": ({}, dict(sample_weight=Z), "(?i)weight.*zero"),
    "negative weight": ({}, dict(sample_weight=Z - 1), "(?i)negative"),
    "NaN weight": ({}, dict(sample_weight=Z + np.nan), "NaN"),
    "wrong number of weights": ({}, dict(sample_weight=[1.0, 2.0]), "sample_weight"),
    "NaN": ({}, dict(X=NAN), "NaN"),
    "inf": ({}, dict(X=np.full((N, 5), np.inf)), "infinity"),
    "sparse NaN": ({}, dict(X=sp.csr_matrix(NAN)), "NaN"),
    "complex": ({}, dict(X=np.ones((N, 5)) * 1j), "(?i)complex"),
    "object": ({}, dict(X=np.full((N, 5), "a", dtype=object)), "could not convert string to float"),
    "1-D": ({}, dict(X=Z), "Expected 2D array, got 1D array"),
    "no rows": ({}, dict(X=np.empty((0, 5)), y=[]), r"0 sample\(s\)"),
    "no columns": ({}, dict(X=np.empty((N, 0))), r"0 feature\(s\)"),
    "another length of y": ({}, dict(y=[0, 1]), "inconsistent numbers of samples"),
    "regression": ({}, dict(y=np.linspace(0, 1, N)), "Unknown label type"),
    "NaN in y": ({}, dict(y=Z + np.nan), "NaN"),
    "optimal without penalty": (dict(learning_rate="optimal", alpha=0), {}, "alpha must be > 0"),
    "X_val for nothing": ({}, dict(X_val=np.ones((3, 5)), y_val=[0, 1, 2]), "early_stopping"),
    "unseen y_val": (dict(early_stopping=True), dict(X_val=np.ones((3, 5)), y_val=[0, 7, 2]), r"y_val.*7.*\[0 1 2\]"),
    "short y_val": (dict(early_stopping=True), dict(X_val=np.ones((3, 5)), y_val=[0, 1]), "y_val"),
    "narrow X_val": (dict(early_stopping=True), dict(X_val=np.ones((3, 4)), y_val=[0, 1, 2]), "4 features"),
    "NaN X_val": (dict(early_stopping=True), dict(X_val=NAN[:3], y_val=[0, 1, 2]), "NaN"),
    "X_val without y_val": (dict(early_stopping=True), dict(X_val=np.ones((3, 5))), "y_val"),
    "rare class": (
        dict(early_stopping=True),
        dict(y=[5] + [0, 1] * 29 + [1]),
        "(?s)class.*5.*1 row.*X_val.*validation_fraction",
    ),
    "small split": (dict(early_stopping=True, validation_fraction=0.01), {}, "(?s)class.*20 row.*X_val"),
    "class_weight string": (dict(class_weight="heavy"), {}, "class_weight"),
    "negative class_weight": (dict(class_weight={0: -1.0}), {}, "class_weight"),
    "NaN class_weight": (dict(class_weight={0: np.nan}), {}, "class_weight"),
    "class_weight of a stranger": (dict(class_weight={7: 1.0}), {}, "class_weight"),
    "zero class_weight": (dict(class_weight={0: 0, 1: 0, 2: 0}), {}, "(?i)weight.*zero"),
    "other classes in warm start": (dict(warm_start=True), dict(y=np.arange(N) % 4), r"3.*\[0 1 2\]"),
    "other width in warm start": (dict(warm_start=True), dict(X=np.ones((N, 4))), "4 features"),
    "eta0": (dict(eta0=0.0), {}, "eta0"),
    "learning_rate": (dict(learning_rate="fast"), {}, "learning_rate"),
}

BAD_PARTIAL_FITS = {
    "unseen label": ({}, dict(y=np.arange(N) % 5), r"\[3 4\].*\[0 1 2\]"),
    "other classes": ({}, dict(classes=[0, 1]), "is not the same as on last call to partial_fit"),
    "wrong width": ({}, dict(X=np.ones((N, 4))), "4 features"),
    "width of one": ({}, dict(X=np.ones((N, 1))), "1 features"),
} | {
    name: BAD_FITS[name]
    for name in BAD_FITS
    if name.split()[0] in {"negative", "NaN", "inf", "sparse", "complex", "object", "1-D", "no", "optimal", "regression"}
    and name not in {"no weight", "no weighty class", "NaN X_val"}  # rows without weight are absent from a stream
}


def sound_arguments():
    X = np.random.default_rng(0).normal(size=(N, 5))
    return dict(X=X, y=np.arange(N) % 3)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize(
    "method, name", [("fit", name) for name in BAD_FITS] + [("partial_fit", name) for name in BAD_PARTIAL_FITS]
)
def test_bad_input_is_refused_and_leaves_a_fitted_estimator_as_it_was(method, name, average, fitted):
    params, changes, message = (BAD_FITS if method == "fit" else BAD_PARTIAL_FITS)[name]
    classifier = quick(average=average).fit(**sound_arguments()).set_params(**params)
    before, hash_before, names = fitted(classifier), joblib.hash(classifier), list(vars(classifier))
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(classifier, method)(**(sound_arguments() | changes))
    assert fitted(classifier) == before
    assert joblib.hash(classifier) == hash_before
    assert list(vars(classifier)) == names


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_failed_first_call_leaves_an_unfitted_estimator(method):
    classifier = quick()
    with pytest.raises(ValueError):
        getattr(classifier, method)(NAN, np.arange(N) % 3, **({} if method == "fit" else {"classes": [0, 1, 2]}))
    assert vars(classifier) == vars(quick())


def test_the_first_partial_fit_needs_classes():
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        SoftmaxSGDClassifier().partial_fit([[0.0], [1.0]], [0, 1])


def test_the_first_partial_fit_needs_two_classes():
    with pytest.raises(ValueError, match="class"):
        SoftmaxSGDClassifier().partial_fit([[0.0], [1.0]], [0, 0], classes=[0])


@pytest.mark.parametrize("labels", [["a", "b"], [True, False], [-1, 5]])
def test_the_message_about_one_class_shows_the_label_as_a_plain_python_object(labels):
    with pytest.raises(ValueError, match=re.escape(f"only one class: {labels[0]!r}")):
        SoftmaxSGDClassifier().fit(np.ones((3, 1)), np.array([labels[0]] * 3))


@pytest.mark.parametrize("bad", [-1, 3, 2**31 - 1])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict"])
def test_a_column_index_out_of_range_is_refused(method, bad):
    X = sp.csr_matrix(np.ones((4, 3)))
    classifier = quick().fit(X, [0, 1, 0, 1])
    X.indices = X.indices.copy()
    X.indices[4] = bad
    with pytest.raises(ValueError):
        getattr(classifier, method)(X, *([] if method == "predict" else [[0, 1, 0, 1]]))


# --------------------------------------------------------------------------------------------------- scores and probabilities


@pytest.mark.parametrize("n_classes", [2, 3, 9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_dtypes_are_those_of_the_convention(n_classes, dtype, make_data):
    X, y = make_data(n_classes)
    classifier = quick().fit(X.astype(dtype), y)
    n_rows = 1 if n_classes == 2 else n_classes
    assert classifier.coef_.shape == (n_rows, 5) and classifier.coef_.dtype == dtype
    assert classifier.intercept_.shape == (n_rows,) and classifier.intercept_.dtype == dtype
    assert classifier.decision_function(X).shape == ((len(X),) if n_classes == 2 else (len(X), n_classes))
    for method in ("predict_proba", "predict_log_proba"):
        result = getattr(classifier, method)(X.astype(dtype))
        assert result.shape == (len(X), n_classes) and result.dtype == dtype
    assert classifier.predict(X).shape == (len(X),)
    assert type(classifier.n_iter_) is int and classifier.n_features_in_ == 5


def test_integers_are_trained_in_double_as_if_they_were_floats(make_data, fitted):
    X, y = make_data()
    X = np.round(3 * X)
    assert fitted(quick().fit(X.astype(int), y)) == fitted(quick().fit(X, y))
    assert quick().fit(X.astype(int), y).coef_.dtype == np.float64


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_scores_are_linear_and_probabilities_their_softmax(n_classes, sparse, make_data):
    X, y = make_data(n_classes)
    classifier = quick().fit(X, y)
    scores = classifier.decision_function(sp.csr_array(X) if sparse else X)
    linear = X @ classifier.coef_.T + classifier.intercept_
    np.testing.assert_allclose(scores, linear[:, 0] if n_classes == 2 else linear, rtol=1e-10, atol=1e-12)
    rows = np.column_stack([np.zeros(len(X)), scores]) if n_classes == 2 else scores
    softmax = np.exp(rows - rows.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    proba = classifier.predict_proba(sp.csr_array(X) if sparse else X)
    np.testing.assert_allclose(proba, softmax, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(classifier.predict_log_proba(X), np.log(softmax), rtol=1e-10, atol=1e-12)


def test_with_two_classes_positive_scores_mean_the_second_class(make_data):
    X, y = make_data(2)
    classifier = quick().fit(X, np.array(["no", "yes"])[y])
    positive = classifier.decision_function(X) > 0
    assert 0 < positive.sum() < len(X)
    assert np.array_equal(classifier.predict(X) == "yes", positive)
    assert np.array_equal(classifier.predict_proba(X)[:, 1] > 0.5, positive)


def test_with_two_classes_both_tails_of_the_probability_are_accurate():
    classifier = quick().fit([[-1.0], [1.0]], [0, 1])
    x = 690 / classifier.coef_[0, 0]
    proba = classifier.predict_proba([[x], [-x]])
    scores = classifier.decision_function([[x], [-x]])
    np.testing.assert_allclose([proba[0, 0], proba[1, 1]], np.exp([-scores[0], scores[1]]), rtol=1e-12)
    assert 0 < proba[0, 0] < 1e-295 and proba[0, 1] == 1 == proba[1, 0]


@pytest.mark.parametrize("factor", [1, 1e4, 1e150, 1e300])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_at_any_scale_of_rows_nothing_is_nan_and_predict_maximises_the_probability(n_classes, factor, make_data):
    X, y = make_data(n_classes)
    classifier = quick().fit(X, y)
    proba, log_proba = classifier.predict_proba(X * factor), classifier.predict_log_proba(X * factor)
    assert (
        np.isfinite(proba).all() and np.isfinite(log_proba).all() and np.isfinite(classifier.decision_function(X * factor)).all()
    )
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    predicted = classifier.predict(X * factor)
    assert (proba[np.arange(len(X)), predicted] == proba.max(axis=1)).all()
    assert (log_proba <= 0).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "optimal", "adaptive"])
@pytest.mark.parametrize("sparse", [False, True])
def test_training_at_any_scale_of_rows_gives_the_model_of_that_scale(learning_rate, sparse, make_data):
    X, y = make_data()

    def trained(exponent):
        scaled = np.ldexp(X, exponent)
        return quick(learning_rate=learning_rate, alpha=1e-3).fit(sp.csr_array(scaled) if sparse else scaled, y)

    # rows next to nothing leave the intercepts alone, and their own coefficients are as small
    one, other = trained(-100), trained(-990)
    np.testing.assert_allclose(np.ldexp(other.coef_, 890), one.coef_, rtol=1e-10)
    np.testing.assert_allclose(other.intercept_, one.intercept_, rtol=1e-10)
    # intercepts are next to nothing beside large rows, for which default steps are as short as their squares are long
    one, other = trained(60), trained(200)
    np.testing.assert_allclose(np.ldexp(other.coef_, -140 if learning_rate == "optimal" else 140), one.coef_, rtol=1e-10)
    for exponent in (498, 990):  # squares overflow
        model = trained(exponent)
        assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all() and model.coef_.all()


@pytest.mark.filterwarnings("ignore:.*ended far from the optimum:sklearn.exceptions.ConvergenceWarning")
def test_steps_that_diverge_give_a_finite_model_and_a_warning_that_names_the_cause(make_data):
    X, y = make_data()
    X[7, 3] = 1e200
    with pytest.warns(ConvergenceWarning, match=r"(?s)update \d+.*'constant'.*eta0=.*1e\+200.*column 3"):
        classifier = quick(learning_rate="constant", eta0=1e200).fit(X, y)
    assert np.isfinite(classifier.coef_).all() and np.isfinite(classifier.predict_proba(X)).all()


def test_reaching_max_iter_is_said_with_the_number_of_epochs_and_the_gap(make_data):
    with pytest.warns(ConvergenceWarning, match=r"max_iter=3 was reached.*up to .* nats per row above its minimum") as record:
        classifier = quick(max_iter=3, tol=0.0, n_iter_no_change=5).fit(*make_data())
    assert f"{classifier.optimality_gap_:.2g}" in str(record[0].message)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("learning_rate", ["auto", "constant"])
def test_without_a_penalty_the_gap_is_infinite_and_the_warning_has_the_gradient(learning_rate, n_classes, make_data):
    X, y = make_data(n_classes)
    X *= [1, 10, 1, 1, 1]
    with pytest.warns(
        ConvergenceWarning, match="max_iter=2 was reached: the largest entry of the gradient is .* is inf"
    ) as record:
        model = quick(learning_rate=learning_rate, alpha=0, max_iter=2, tol=0.0).fit(X, y)
    assert model.optimality_gap_ == np.inf
    residuals = model.predict_proba(X) - (y[:, None] == model.classes_)
    of_coef = residuals.T @ X / len(y)
    # that of the automatic step is for centred features, divided by their scale
    of_standardised = np.divide(residuals.T @ (X - X.mean(axis=0)), model.scale_ * len(y))
    largest = np.abs(of_standardised if learning_rate == "auto" else of_coef).max()
    largest = max(largest, np.abs(residuals.mean(axis=0)).max())
    assert f"is {largest:.2g} " in str(record[0].message)


def test_a_classic_schedule_that_is_worse_than_the_class_frequencies_says_so(make_data):
    X, y = make_data(n_samples=300)
    X *= [1, 1000, 1, 1, 1]
    frequency = np.bincount(y) / len(y)
    entropy = -frequency @ np.log(frequency)
    for params in ({"learning_rate": "constant", "eta0": 1.0}, {"learning_rate": "adaptive", "eta0": 1.0, "alpha": 0.0}):
        with pytest.warns(ConvergenceWarning, match="ended far from the optimum.*smaller eta0.*'auto'") as record:
            model = quick(**params).fit(X, y)
        message = str(record[0].message)
        assert len(record) == 1 and f"only {entropy:.3g} for" in message and f"{model.optimality_gap_:.3g}" in message
        assert repr(params["learning_rate"]) in message and "eta0=1.0" in message
        loss = -model.predict_log_proba(X)[np.arange(len(y)), y].mean() + model.alpha_ / 2 * np.sum(model.coef_**2)
        assert f"loss is {loss:.3g} nats" in message
    with pytest.warns(ConvergenceWarning, match="larger alpha"):
        quick(learning_rate="optimal", alpha=1e-6).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="1.1 for a model that predicts uniform"):
        quick(learning_rate="constant", eta0=1.0, fit_intercept=False).fit(X, y)
    quick(learning_rate="constant").fit(X, y)  # the default step is chosen for the data
    quick(learning_rate="constant", eta0=0.01).fit(X / [1, 1000, 1, 1, 1], y)


# --------------------------------------------------------------------------------------------------------------- containers

FORMATS = ["csr", "csc", "coo", "bsr", "lil", "dok"]


def containers(X):
    yield "F order", np.asfortranarray(X)
    yield "strided", np.repeat(X, 2, axis=0)[::2]
    yield "list", X.tolist()
    for name in FORMATS:
        yield f"{name} matrix", getattr(sp, f"{name}_matrix")(X)
        yield f"{name} array", getattr(sp, f"{name}_array")(X)
    for name in ("csr", "csc"):
        sparse = getattr(sp, f"{name}_array")(X)
        sparse.indices, sparse.indptr = sparse.indices.astype(np.int64), sparse.indptr.astype(np.int64)
        yield f"{name} int64", sparse
    mixed = sp.csr_matrix(X)
    mixed.indices = mixed.indices.astype(np.int64)
    yield "csr mixed", mixed


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"l1_ratio": 0.5, "alpha": 0.01},
        {"average": False},
        {"forgetting": "auto"},
        {"early_stopping": True},
        {"variance_reduction": False},
        {"learning_rate": "invscaling"},
        {"learning_rate": "invscaling", "l1_ratio": 0.5, "alpha": 0.01},
        {"learning_rate": "invscaling", "average": True},
        {"learning_rate": "invscaling", "early_stopping": True},
    ],
)
def test_every_container_gives_the_same_model(method, params, make_data):
    X, y = make_data()
    more = {} if method == "fit" else {"classes": [0, 1, 2]}
    dense = getattr(quick(**params), method)(X, y, **more)
    sparse = dense if "learning_rate" in params else getattr(quick(**params), method)(sp.csr_matrix(X), y, **more)
    for name, container in containers(X):
        # the automatic step centres dense columns and never sparse ones: see the test of their common optimum
        expected = sparse if sp.issparse(container) else dense
        classifier = getattr(quick(**params), method)(container, y, **more)
        np.testing.assert_allclose(classifier.coef_, expected.coef_, rtol=1e-9, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(classifier.intercept_, expected.intercept_, rtol=1e-9, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(expected.predict_proba(container), expected.predict_proba(X), rtol=1e-10, err_msg=name)


def test_float32_gives_the_model_of_float64_to_its_precision(make_data):
    X, y = make_data()
    X = X.astype(np.float32)
    single, double = quick().fit(X, y), quick().fit(X.astype(np.float64), y)
    np.testing.assert_allclose(single.coef_, double.coef_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_csr_that_is_not_canonical_gives_the_same_model_and_is_not_modified(method, make_data):
    X, y = make_data()
    canonical = sp.csr_matrix(X)
    data = np.repeat(canonical.data / 2, 2)  # every element twice, halved, and rows backwards
    indices = np.repeat(canonical.indices, 2)
    indptr = canonical.indptr * 2
    for begin, end in zip(indptr[:-1], indptr[1:], strict=True):
        data[begin:end], indices[begin:end] = data[begin:end][::-1].copy(), indices[begin:end][::-1].copy()
    messy = sp.csr_matrix((data, indices, indptr), shape=X.shape)
    copies = data.copy(), indices.copy(), indptr.copy()
    more = {} if method == "fit" else {"classes": [0, 1, 2]}
    expected = getattr(quick(), method)(canonical, y, **more)
    classifier = getattr(quick(), method)(messy, y, **more)
    np.testing.assert_allclose(classifier.coef_, expected.coef_, rtol=1e-10)
    np.testing.assert_allclose(expected.decision_function(messy), expected.decision_function(canonical), rtol=1e-10, atol=1e-14)
    for array, before in zip((messy.data, messy.indices, messy.indptr), copies, strict=True):
        assert np.array_equal(array, before)


def test_explicit_zeros_change_nothing(make_data):
    X, y = make_data()
    explicit = sp.csr_array(np.ones(X.shape))
    explicit.data[:] = X.ravel()
    np.testing.assert_allclose(quick().fit(explicit, y).coef_, quick().fit(sp.csr_array(X), y).coef_, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict_proba"])
def test_x_is_not_copied(method, sparse, dtype):
    X = np.random.default_rng(0).normal(size=(1000, 1000)).astype(dtype)
    y = np.arange(1000) % 2
    X = sp.csr_array(X) if sparse else X
    n_bytes = X.data.nbytes
    classifier = SoftmaxSGDClassifier(max_iter=1, tol=None).partial_fit(X[:10], y[:10], classes=[0, 1])
    tracemalloc.start()
    try:
        getattr(classifier, method)(X, *([] if method == "predict_proba" else [y]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < n_bytes / 2


# ------------------------------------------------------------------------------------------------------ epochs and stopping


def test_one_epoch_without_shuffling_is_one_partial_fit(make_data):
    X, y = make_data()
    params = dict(learning_rate="invscaling", alpha=0.01, eta0=0.1)
    classifier = quick(max_iter=1, shuffle=False, **params).fit(X, y)
    stream = quick(**params).partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_allclose(classifier.coef_, stream.coef_, rtol=1e-10)
    assert classifier.t_ == stream.t_ == len(X) + 1


def test_loss_curve_has_an_entry_per_epoch_and_falls(make_data):
    classifier = quick(max_iter=30).fit(*make_data())
    assert classifier.loss_curve_.shape == (30,) and classifier.n_iter_ == 30
    assert classifier.loss_curve_[-1] < classifier.loss_curve_[0]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_optimality_gap_bounds_the_distance_from_the_optimum(n_classes, make_data):
    from sklearn.linear_model import LogisticRegression

    X, y = make_data(n_classes)
    alpha = 0.05
    optimum = LogisticRegression(C=1 / (alpha * len(X)), tol=1e-10, max_iter=10_000).fit(X, y)

    def objective(model):
        return log_loss(y, model.predict_proba(X)) + alpha / 2 * np.sum(model.coef_**2)

    distances = []
    for epochs in (1, 30):
        classifier = quick(max_iter=epochs, alpha=alpha, standardize=False).fit(X, y)
        distances.append(objective(classifier) - objective(optimum))
        assert -1e-9 < distances[-1] <= classifier.optimality_gap_
    assert distances[1] < distances[0]


def test_validation_weights_weigh_the_validation_score(make_data):
    X, y = make_data()
    X_val, y_val = make_data(seed=1)
    weight = np.random.default_rng(0).uniform(size=len(y_val))
    classifier = quick(early_stopping=True).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    expected = -log_loss(y_val, classifier.predict_proba(X_val), sample_weight=weight)
    np.testing.assert_allclose(classifier.best_validation_score_, expected, rtol=1e-10)


def test_early_stopping_is_reproducible_and_its_clock_and_penalty_leave_out_the_validation_rows(make_data, fitted):
    X, y = make_data()
    classifier = quick(early_stopping=True, validation_fraction=0.25).fit(X, y)
    assert classifier.t_ == 1 + 90 and classifier.alpha_ == 1 / 90
    assert fitted(classifier) == fitted(quick(early_stopping=True, validation_fraction=0.25).fit(X, y))
    assert fitted(classifier) != fitted(quick(early_stopping=True, validation_fraction=0.25, random_state=1).fit(X, y))


def test_the_split_of_early_stopping_is_stratified():
    # the rare class has 10 of 100 rows, so one of the 10 held-out rows; its weight is found back in t_
    y = np.repeat([0, 1], [90, 10])
    weight = np.where(y == 1, 1000.0, 1.0)
    for seed in range(5):
        classifier = quick(early_stopping=True, random_state=seed).fit(np.ones((100, 1)), y, sample_weight=weight)
        assert classifier.t_ == 1 + 81 + 9000


def test_without_early_stopping_there_are_no_validation_scores(make_data):
    classifier = quick().fit(*make_data())
    assert classifier.validation_scores_ is None and classifier.best_validation_score_ is None


@pytest.mark.parametrize("early_stopping", [False, True])
def test_verbose_prints_a_line_per_epoch(early_stopping, make_data, capsys):
    classifier = quick(verbose=1, early_stopping=early_stopping).fit(*make_data())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == classifier.n_iter_ == 5
    assert all(("validation" in line) == early_stopping for line in lines)
    quick().fit(*make_data())
    assert capsys.readouterr().out == ""


def test_the_same_seed_gives_the_same_model_and_another_seed_another(make_data, fitted):
    X, y = make_data()
    assert fitted(quick().fit(X, y)) == fitted(quick().fit(X, y)) != fitted(quick(random_state=1).fit(X, y))
    generators = [np.random.RandomState(3) for _ in range(2)]
    assert fitted(quick(random_state=generators[0]).fit(X, y)) == fitted(quick(random_state=generators[1]).fit(X, y))


def test_without_shuffling_the_seed_does_not_matter(make_data, fitted):
    X, y = make_data()
    assert fitted(quick(shuffle=False).fit(X, y)) == fitted(quick(shuffle=False, random_state=1).fit(X, y))


def test_fit_starts_afresh_and_warm_start_goes_on(make_data, fitted):
    X, y = make_data()
    params = dict(learning_rate="constant", eta0=0.01)  # so short that every epoch is better than the one before
    once = quick(**params).fit(X, y)
    assert fitted(quick(**params).fit(X[::-1], y).fit(X, y)) == fitted(once)
    warm = quick(**params, warm_start=True).fit(X, y)
    assert fitted(warm) == fitted(once)
    warm.fit(X, y)
    assert warm.loss_curve_[0] < once.loss_curve_[-1]
    assert warm.t_ == once.t_
    assert not np.array_equal(warm.coef_, once.coef_)


def test_warm_start_may_lack_a_class_but_keeps_it(make_data):
    X, y = make_data()
    classifier = quick(warm_start=True).fit(X, y).fit(X[y < 2], y[y < 2])
    assert classifier.classes_.tolist() == [0, 1, 2] and classifier.coef_.shape == (3, 5)


def test_fit_without_intercept_has_zero_intercepts(make_data):
    X, y = make_data()
    classifier = quick(fit_intercept=False).fit(X, y).partial_fit(X, y)
    assert np.array_equal(classifier.intercept_, np.zeros(3))


def test_alpha_defaults_to_one_over_the_total_weight(make_data):
    X, y = make_data()
    weight = np.linspace(0, 3, len(y))
    assert quick().fit(X, y, weight).alpha_ == pytest.approx(1 / weight.sum(), rel=1e-14)
    assert quick(alpha=0.25).fit(X, y, weight).alpha_ == 0.25


@pytest.mark.parametrize("params", [{"standardize": False}, {"learning_rate": "invscaling"}])
def test_l1_makes_coefficients_exactly_zero(params, make_data):
    X, y = make_data()
    classifier = quick(alpha=0.1, l1_ratio=1.0, max_iter=50, **params).fit(np.hstack([X, 0.01 * X[::-1]]), y)
    assert (classifier.coef_[:, 5:] == 0).all() and (classifier.coef_[:, :5] != 0).any()


# ----------------------------------------------------------------------------------------------------------- sparse, copies


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_sparsified_model_predicts_and_trains_like_the_dense_one(n_classes, average, make_data):
    X, y = make_data(n_classes)
    dense = quick(alpha=0.05, l1_ratio=1.0, average=average).fit(X, y)
    sparse = copy.deepcopy(dense).sparsify()
    assert sp.issparse(sparse.coef_) and sparse.sparsify() is sparse
    for method in ("decision_function", "predict_proba", "predict"):
        np.testing.assert_allclose(getattr(sparse, method)(X), getattr(dense, method)(X), rtol=1e-12, atol=1e-14)
    assert np.array_equal(copy.deepcopy(sparse).densify().coef_, dense.coef_)
    dense.partial_fit(X, y), sparse.partial_fit(X, y)
    assert isinstance(sparse.coef_, np.ndarray)
    np.testing.assert_array_equal(sparse.coef_, dense.coef_)
    np.testing.assert_array_equal(sparse.intercept_, dense.intercept_)


LABELS = {
    "str": np.array(["b", "a", "c"]),
    "object str": np.array(["b", "a", "c"], dtype=object),
    "negative": np.array([-7, 3, -1]),
    "float": np.array([2.0, 1.0, 5.0]),
    "unsigned": np.array([200, 7, 9], dtype=np.uint8),
    "bool": np.array([True, False]),
}


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_labels_of_any_kind_come_back_as_they_were(labels, method, make_data):
    labels = LABELS[labels]
    X, y = make_data(len(labels))
    more = {} if method == "fit" else {"classes": labels}
    classifier = getattr(quick(), method)(X, labels[y], **more)
    assert classifier.classes_.dtype == labels.dtype and classifier.classes_.tolist() == sorted(labels.tolist())
    predicted = classifier.predict(X)
    assert predicted.dtype == labels.dtype and set(predicted.tolist()) <= set(labels.tolist())
    order = np.argsort(labels)  # of the classes, by the numbers that stand for them in y
    of_numbers = getattr(quick(), method)(X, np.argsort(order)[y], **(more and {"classes": range(len(labels))}))
    assert np.array_equal(predicted, labels[order][of_numbers.predict(X)])
    assert np.array_equal(classifier.coef_, of_numbers.coef_)
    assert classifier.coef_.shape == ((1, 5) if len(labels) == 2 else (3, 5))


@pytest.mark.parametrize("dtype", ["category", "string", "object", "int64"])
def test_labels_may_be_pandas_series(dtype, make_data):
    pandas = pytest.importorskip("pandas")
    X, y = make_data()
    labels = y if dtype == "int64" else np.array(["b", "a", "c"])[y]
    series = pandas.Series(labels).astype(dtype)
    classifier = quick().fit(X, series).partial_fit(X, series)
    assert classifier.classes_.tolist() == sorted(set(labels.tolist()))
    expected = quick().fit(X, labels).partial_fit(X, labels)
    assert np.array_equal(classifier.coef_, expected.coef_)
    assert np.array_equal(classifier.predict(X).astype(labels.dtype), expected.predict(X))


def test_training_a_read_only_model_leaves_the_file_as_it_was(make_data, tmp_path):
    X, y = make_data()
    joblib.dump(quick().fit(X, y), tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert not mapped.coef_.flags.writeable  # else the test would show nothing
    mapped.partial_fit(X, y)
    assert (tmp_path / "model").read_bytes() == before


def test_a_shallow_copy_and_a_clone_are_what_scikit_learn_means_by_them(make_data):
    classifier = quick(average=True, eta0=0.5).fit(*make_data())
    assert clone(classifier).get_params() == classifier.get_params()
    assert not hasattr(clone(classifier), "coef_")


def test_coefficients_that_a_user_replaces_are_used(make_data):
    X, y = make_data()
    classifier = quick().fit(X, y)
    classifier.coef_ = np.zeros((3, 5))
    classifier.intercept_ = np.array([0.0, 5.0, 0.0])
    assert (classifier.predict(X) == 1).all()
    assert (pickle.loads(pickle.dumps(classifier)).predict(X) == 1).all()
    assert np.abs(classifier.partial_fit(X[:1], y[:1]).intercept_ - [0, 5, 0]).max() < 2


HISTORIES = {
    "fit": lambda X, y: quick().fit(X, y),
    "stream": lambda X, y: quick().partial_fit(X, y, np.unique(y)),
    "sparse stream": lambda X, y: quick().partial_fit(sp.csr_array(X), y, np.unique(y)),
    "classic": lambda X, y: quick(learning_rate="constant").fit(X, y),
    "classic stream": lambda X, y: quick(learning_rate="constant").partial_fit(X, y, np.unique(y)),
}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_coefficients_are_changed_as_a_whole_and_not_in_place(history, n_classes, make_data, fitted):
    X, y = make_data(n_classes)
    classifier = HISTORIES[history](X, y)
    before = fitted(classifier)
    for name in ("coef_", "intercept_"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(classifier, name)[0] = 1
        with pytest.raises(ValueError, match="read-only"):
            exec(f"classifier.{name} *= 2")
    assert fitted(classifier) == before
    coef, intercept = np.full_like(classifier.coef_, 0.5), np.arange(len(classifier.intercept_))
    classifier.coef_ = coef
    classifier.intercept_ = intercept
    coef[:], intercept[:] = 7, 7  # what was assigned is not what the model keeps
    assert (classifier.coef_ == 0.5).all() and classifier.intercept_.tolist() == list(range(len(intercept)))
    with pytest.raises(ValueError, match="read-only"):
        classifier.coef_[0, 0] = 1
    assert np.abs(classifier.partial_fit(X[:1], y[:1]).coef_ - 0.5).max() < 0.5


@pytest.mark.parametrize("value", [0.0, 1.5])
def test_sparse_coefficients_are_read_only_too(value, make_data):
    classifier = quick(l1_ratio=1.0, alpha=0.05).fit(*make_data()).sparsify()
    with pytest.raises(ValueError, match="read-only"):
        classifier.coef_.data[0] = value


NOT_COEFFICIENTS = {
    "one row": (np.zeros((1, 5)), r"shape \(1, 5\), expected \(3, 5\)"),
    "a row more": (np.zeros((4, 5)), r"expected \(3, 5\)"),
    "a column less": (np.zeros((3, 4)), r"expected \(3, 5\)"),
    "the transpose": (np.zeros((5, 3)), r"expected \(3, 5\)"),
    "flat": (np.zeros(15), r"expected \(3, 5\)"),
    "a number": (0.0, r"expected \(3, 5\)"),
    "NaN": (np.full((3, 5), np.nan), "NaN or infinite"),
    "inf": (np.full((3, 5), np.inf), "NaN or infinite"),
    "sparse inf": (sp.csr_array(np.full((3, 5), np.inf)), "NaN or infinite"),
    "sparse, one row": (sp.csr_array((1, 5)), r"expected \(3, 5\)"),
    "complex": (np.zeros((3, 5), complex), "complex128, expected real numbers"),
    "text": (np.full((3, 5), "a"), "expected real numbers"),
    "None": (None, "object, expected real numbers"),
}


@pytest.mark.parametrize("history", ["fit", "stream"])
@pytest.mark.parametrize("what", NOT_COEFFICIENTS)
def test_coefficients_that_are_none_are_refused(what, history, make_data, fitted):
    classifier = HISTORIES[history](*make_data())
    before = fitted(classifier)
    value, message = NOT_COEFFICIENTS[what]
    with pytest.raises(ValueError, match=message):
        classifier.coef_ = value
    assert fitted(classifier) == before


@pytest.mark.parametrize("value", [np.zeros(1), np.zeros(4), np.zeros((3, 1)), 0.0, [0, np.nan, 0], [1j, 0, 0], ["a", "b", "c"]])
def test_intercepts_that_are_none_are_refused(value, make_data, fitted):
    classifier = quick().fit(*make_data())
    before = fitted(classifier)
    with pytest.raises(ValueError, match="intercept_ is assigned"):
        classifier.intercept_ = value
    assert fitted(classifier) == before


@pytest.mark.parametrize("value", [[0, 1], [2, 1, 0], [0, 0, 1], [[0, 1, 2]], [0, 1, 2, 3]])
def test_classes_that_are_none_are_refused(value, make_data):
    classifier = quick().fit(*make_data())
    with pytest.raises(ValueError, match="classes_="):
        classifier.classes_ = value
    classifier.classes_ = ["a", "b", "c"]
    assert set(classifier.predict(make_data()[0])) == {"a", "b", "c"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_intercepts_have_the_dtype_of_the_coefficients(dtype, make_data):
    X, y = make_data()
    classifier = quick().fit(X.astype(dtype), y)
    classifier.intercept_ = [1, 2, 3]
    assert classifier.intercept_.dtype == classifier.coef_.dtype == dtype
    classifier.coef_ = np.ones((3, 5), dtype=int)
    assert classifier.intercept_.dtype == classifier.coef_.dtype == np.float64


GIVEN = ("coef_", "intercept_", "classes_")


@pytest.mark.parametrize("order", list(itertools.permutations(GIVEN)))
@pytest.mark.parametrize("params", [{}, {"learning_rate": "constant", "eta0": 0.01}])
def test_a_model_can_be_assigned_before_fit(order, params, make_data, fitted):
    X, y = make_data()
    lr = LogisticRegression().fit(X, np.array(["a", "b", "c"])[y])
    classifier = quick(warm_start=True, **params)
    for name in order:
        setattr(classifier, name, getattr(lr, name))
        np.testing.assert_array_equal(getattr(classifier, name), getattr(lr, name))
    np.testing.assert_allclose(classifier.predict_proba(X), lr.predict_proba(X), rtol=1e-12)
    assert classifier.n_features_in_ == 5 and classifier.t_ == 1001
    for again in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        assert fitted(again) == fitted(classifier)
    other = SoftmaxSGDClassifier.from_logistic_regression(lr, **classifier.get_params())
    for train in ("partial_fit", "fit"):
        one, two = (getattr(copy.deepcopy(model), train)(X, lr.predict(X)) for model in (classifier, other))
        np.testing.assert_array_equal(one.coef_, two.coef_)


def test_of_two_classes_one_row_is_assigned(make_data):
    X, _ = make_data(2)
    classifier = SoftmaxSGDClassifier()
    classifier.coef_, classifier.classes_ = [[1.0, 0, 0, 0, 0]], [0, 1]  # and no intercept
    np.testing.assert_allclose(classifier.decision_function(X), X[:, 0])
    classifier = SoftmaxSGDClassifier()
    classifier.classes_ = [0, 1]
    with pytest.raises(ValueError, match=r"shape \(2, 5\), expected \(1, 5\) of two classes"):
        classifier.coef_ = np.zeros((2, 5))
    assert not hasattr(classifier, "coef_")
    classifier.coef_ = np.ones((1, 5))
    np.testing.assert_allclose(classifier.decision_function(X), X.sum(axis=1))


def test_half_a_model_is_not_trained(make_data):
    X, y = make_data()
    for given, missing in (("coef_", "classes_"), ("intercept_", "coef_")):
        classifier = quick()
        setattr(classifier, given, np.zeros((3, 5)) if given == "coef_" else np.zeros(3))
        assert not hasattr(classifier, "predict_") and hasattr(classifier, given)
        with pytest.raises(NotFittedError):
            classifier.predict(X)
        with pytest.raises(ValueError, match=f"{missing} is missing"):
            classifier.partial_fit(X, y, [0, 1, 2])
        with pytest.raises(ValueError, match=f"{missing} is missing"):
            classifier.set_params(warm_start=True).fit(X, y)
        classifier.set_params(warm_start=False).fit(X, y)  # starts from nothing
        assert classifier.coef_.any()


def test_weights_go_round_as_in_federated_learning(make_data):
    X, y = make_data(n_samples=300)
    parts = [(X[:150], y[:150]), (X[150:], y[150:])]
    clients = [quick(warm_start=True, max_iter=2) for _ in parts]  # the first epoch from a given model only reads
    coef, intercept = np.zeros((3, 5)), np.zeros(3)
    for _ in range(5):
        for client, part in zip(clients, parts):
            client.classes_ = np.arange(3)
            client.coef_, client.intercept_ = coef, intercept
            client.fit(*part)
        coef = np.mean([client.coef_ for client in clients], axis=0)
        intercept = np.mean([client.intercept_ for client in clients], axis=0)
    clients[0].coef_, clients[0].intercept_ = coef, intercept
    together = log_loss(y, SoftmaxSGDClassifier().fit(X, y).predict_proba(X))
    assert log_loss(y, clients[0].predict_proba(X)) < 1.1 * together


@pytest.mark.parametrize("learning_rate", ["auto", "constant"])
def test_averaging_begins_at_the_time_that_is_given(learning_rate, make_data, fitted):
    X, y = make_data()

    def after(n_rows, average):
        classifier = quick(learning_rate=learning_rate, average=average, alpha=0.0)
        return classifier.partial_fit(X[:n_rows], y[:n_rows], [0, 1, 2]).coef_.tolist()

    for average in (1, np.True_, np.int64(1)):
        assert after(20, average) == after(20, True)
    for average in (1, 2, 9):
        assert after(average, average) == after(average, False)  # the average of one
        assert after(average + 1, average) != after(average + 1, False)


def test_what_only_fit_knows_says_so_after_partial_fit(make_data):
    X, y = make_data()
    classifier = quick()
    for name in ("optimality_gap_", "loss_curve_", "validation_scores_", "best_validation_score_"):
        with pytest.raises(AttributeError, match=f"no {name} before it is fitted"):
            getattr(classifier, name)
    classifier.partial_fit(X, y, [0, 1, 2])
    for name in ("optimality_gap_", "loss_curve_", "validation_scores_", "best_validation_score_"):
        with pytest.raises(AttributeError, match=f"no {name} after partial_fit .*, only after fit.*progressive_loss_"):
            getattr(classifier, name)
    with pytest.raises(AttributeError, match="after partial_fit"):
        quick().fit(X, y).partial_fit(X, y).optimality_gap_  # noqa: B018
    classifier = quick().fit(X, y)
    classifier.coef_ = 2 * classifier.coef_
    with pytest.raises(AttributeError, match="for assigned coefficients"):
        classifier.optimality_gap_  # noqa: B018


def test_what_training_sets_is_missing_before_and_says_so():
    for name in ("n_iter_", "t_", "alpha_", "coef_", "intercept_", "scale_", "classes_", "class_prior_"):
        assert not hasattr(SoftmaxSGDClassifier(), name)
        with pytest.raises(AttributeError, match=f"SoftmaxSGDClassifier has no {name} before it is fitted"):
            getattr(SoftmaxSGDClassifier(), name)


def test_numbers_that_a_change_would_not_reach_are_read_only(make_data):
    X, y = make_data()
    for classifier in (quick().fit(X, y), quick().partial_fit(X, y, [0, 1, 2])):
        for name in ("coef_", "intercept_", "classes_", "scale_", "class_prior_", "feature_importances_"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(classifier, name)[0] = 7


def test_the_penalty_in_one_word():
    words = [SoftmaxSGDClassifier(l1_ratio=ratio).penalty for ratio in (0, 0.5, 1)]
    assert words == ["l2", "elasticnet", "l1"] and SoftmaxSGDClassifier(alpha=0, l1_ratio=1).penalty is None
    assert "penalty" not in SoftmaxSGDClassifier().get_params()
    with pytest.raises(AttributeError):
        SoftmaxSGDClassifier().penalty = "l1"


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_importances_are_coefficients_of_columns_of_deviation_1(container, standardize, n_classes, make_data):
    X, y = make_data(n_classes)
    unit = np.array([1, 1e-3, 1e3, 1e-160, 1e100])
    deviation, X = X.std(axis=0) * unit, X * unit
    classifier = SoftmaxSGDClassifier(standardize=standardize, alpha=0.0 if not standardize else 0.1, max_iter=3, tol=None)
    classifier.fit(container(X), y)
    expected = np.linalg.norm(classifier.coef_ * deviation, axis=0)
    np.testing.assert_allclose(classifier.feature_importances_, expected, rtol=1e-9)
    np.testing.assert_allclose(classifier.sparsify().feature_importances_, expected, rtol=1e-9)
    assert classifier.feature_importances_.shape == (5,)


def test_defaults_of_a_subclass_are_checked_too(make_data):
    class Wrong(SoftmaxSGDClassifier):
        def __init__(self, alpha=-1.0):
            super().__init__(alpha=alpha)

    class Required(SoftmaxSGDClassifier):
        def __init__(self, alpha, **more):
            super().__init__(alpha=alpha, **more)

    with pytest.raises(ValueError, match="alpha"):
        Wrong().fit(*make_data())
    assert Required(0.1).fit(*make_data()).alpha_ == 0.1
    with pytest.raises(ValueError, match="alpha"):
        Required(-1.0).fit(*make_data())
    with pytest.raises(ValueError, match="max_iter"):
        SoftmaxSGDClassifier(max_iter=0).fit(*make_data())
