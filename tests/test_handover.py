"""From and to LogisticRegression: the same predictions, and a stream that goes on."""

import sys
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_wine
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_softmax import SoftmaxSGDClassifier
from sklearn_softmax.onnx import register

HAS_MULTI_CLASS = "multi_class" in LogisticRegression().get_params()
needs_multi_class = pytest.mark.skipif(not HAS_MULTI_CLASS, reason="LogisticRegression without multi_class is always multinomial")

VARIANTS = {
    "default": {},
    "L1": {"l1_ratio": 1.0, "alpha": 1e-2},
    "no intercept": {"fit_intercept": False},
    "constant": {"learning_rate": "constant", "max_iter": 5, "tol": None},
    "no penalty": {"alpha": 0.0, "tol": None, "max_iter": 5},
}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


def assert_same_predictions(one, other, X, rtol=1e-9):
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    np.testing.assert_allclose(one.decision_function(X), other.decision_function(X), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=rtol, atol=rtol)


# To LogisticRegression -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_logistic_regression_has_the_same_predictions(variant, n_classes, container, dtype, make_data):
    X, y = make_data(n_classes)
    X, labels = container(X.astype(dtype)), np.array(["a", "b", "c"])[y]
    model = SoftmaxSGDClassifier(random_state=0, **VARIANTS[variant]).fit(X, labels)
    lr = model.to_logistic_regression()
    assert type(lr) is LogisticRegression
    assert lr.coef_.dtype == dtype and lr.coef_.shape == model.coef_.shape and lr.coef_.flags.c_contiguous
    assert_same_predictions(model, lr, X, rtol=1e-12 if dtype == np.float64 else 1e-5)
    assert lr.score(X, labels) == model.score(X, labels) > 0.5


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_its_parameters_say_the_same_objective(l1_ratio, n_classes, make_data):
    X, y = make_data(n_classes)
    params = {"standardize": False, "class_weight": {0: 2.0}, "tol": 1e-9, "max_iter": 1000, "random_state": 0}
    model = SoftmaxSGDClassifier(alpha=0.02, l1_ratio=l1_ratio, **params).fit(X, y)
    lr = model.to_logistic_regression()
    assert lr.get_params()["C"] == pytest.approx(1 / (0.02 * (len(y) + (y == 0).sum())), rel=1e-12)
    again = clone(lr).set_params(tol=1e-8, max_iter=100_000, random_state=0).fit(X, y)
    np.testing.assert_allclose(again.coef_, model.coef_, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(again.predict_proba(X), model.predict_proba(X), atol=1e-4)


def test_c_is_that_of_the_penalty(make_data):
    X, y = make_data()

    def strength(model):
        return model.to_logistic_regression().get_params()["C"]

    assert strength(SoftmaxSGDClassifier().fit(X, y)) == strength(SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2])) == 1.0
    assert strength(SoftmaxSGDClassifier(alpha=0.1).partial_fit(X, y, [0, 1, 2]).partial_fit(X, y)) == pytest.approx(1 / 24)
    unpenalised = SoftmaxSGDClassifier(alpha=0.0, tol=None, max_iter=3, l1_ratio=0.5).fit(X, y).to_logistic_regression()
    assert unpenalised.get_params()["C"] == np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clone(unpenalised).fit(X, y)  # parameters that go together


def test_a_stream_without_rows_can_be_handed_over(make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2], sample_weight=np.zeros(len(y)))
    np.testing.assert_allclose(model.to_logistic_regression().predict_proba(X), 1 / 3)


def test_what_is_handed_over_is_a_copy(make_data, fitted):
    X, y = make_data()
    model = SoftmaxSGDClassifier().fit(X, y)
    before = fitted(model)
    lr = model.to_logistic_regression()
    lr.coef_ += 1
    lr.intercept_ += 1
    assert fitted(model) == before
    coef = lr.coef_.copy()
    model.partial_fit(X, y)
    np.testing.assert_array_equal(lr.coef_, coef)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_sparsified_model_is_handed_over_sparse(n_classes, make_data):
    X, y = make_data(n_classes)
    model = SoftmaxSGDClassifier(alpha=0.05, l1_ratio=1.0).fit(X, y).sparsify()
    lr = model.to_logistic_regression()
    assert sp.issparse(lr.coef_)
    assert_same_predictions(model, lr, X)
    assert_same_predictions(SoftmaxSGDClassifier.from_logistic_regression(lr), lr, X)


def test_an_unfitted_model_can_not_be_handed_over():
    with pytest.raises(NotFittedError):
        SoftmaxSGDClassifier().to_logistic_regression()


def test_names_of_features_go_both_ways(make_data):
    pandas = pytest.importorskip("pandas")
    X, y = make_data()
    frame = pandas.DataFrame(X, columns=list("abcde"))
    lr = SoftmaxSGDClassifier().fit(frame, y).to_logistic_regression()
    assert lr.feature_names_in_.tolist() == list("abcde")
    model = SoftmaxSGDClassifier.from_logistic_regression(lr, frame)
    for estimator in (lr, model):
        estimator.predict(frame)
        with pytest.raises(ValueError, match="feature names"):
            estimator.predict(frame[list("edcba")])
    with pytest.raises(ValueError, match="feature names"):
        SoftmaxSGDClassifier.from_logistic_regression(lr, frame[list("edcba")])


# From LogisticRegression ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("learning_rate", ["auto", "invscaling"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_estimator_has_the_predictions_of_the_logistic_regression(learning_rate, n_classes, dtype, make_data):
    X, y = make_data(n_classes)
    X = X.astype(dtype)
    lr = LogisticRegression(solver="newton-cg").fit(X, np.array(["a", "b", "c"])[y])
    assert lr.coef_.dtype == dtype
    model = SoftmaxSGDClassifier.from_logistic_regression(lr, learning_rate=learning_rate)
    assert model.coef_.dtype == dtype and model.classes_.tolist() == lr.classes_.tolist()
    assert_same_predictions(model, lr, X, rtol=1e-12 if dtype == np.float64 else 1e-5)
    np.testing.assert_array_equal(model.coef_, lr.coef_)
    np.testing.assert_allclose(model.intercept_, lr.intercept_, rtol=1e-7)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_there_and_back_again(n_classes, make_data):
    X, y = make_data(n_classes)
    model = SoftmaxSGDClassifier(standardize=False, class_weight="balanced", fit_intercept=False).fit(X, y)
    back = SoftmaxSGDClassifier.from_logistic_regression(model.to_logistic_regression(), n_samples=len(y))
    assert back.get_params() == model.get_params()
    np.testing.assert_array_equal(back.coef_, model.coef_)
    assert (back.t_, back.alpha_, back.n_iter_) == (model.t_, pytest.approx(model.alpha_), model.n_iter_)


def in_words(l1_ratio):
    """l1_ratio in the words of LogisticRegression, which have changed."""
    if LogisticRegression().get_params().get("penalty") != "l2":
        return {"l1_ratio": l1_ratio}
    return {0.0: {"penalty": "l2"}, 1.0: {"penalty": "l1"}}.get(l1_ratio, {"penalty": "elasticnet", "l1_ratio": l1_ratio})


@pytest.mark.parametrize(
    "C, l1_ratio, alpha", [(1.0, 0.0, "1/n_samples"), (4.0, 0.0, 1 / 800), (0.5, 1.0, 0.01), (0.5, 0.3, 0.01)]
)
def test_the_objective_is_that_of_the_logistic_regression(C, l1_ratio, alpha, make_data):
    X, y = make_data()
    lr = LogisticRegression(C=C, solver="saga", max_iter=10_000, class_weight={1: 3.0}, **in_words(l1_ratio)).fit(X, y)
    params = SoftmaxSGDClassifier.from_logistic_regression(lr, n_samples=200).get_params()
    expected = {"alpha": alpha, "l1_ratio": l1_ratio, "standardize": False, "class_weight": {1: 3.0}, "fit_intercept": True}
    assert {name: params[name] for name in expected} == expected


@pytest.mark.filterwarnings("ignore:Setting penalty=None:UserWarning")  # 1.8 says so where nobody does
def test_without_a_penalty_there_is_none(make_data):
    X, y = make_data()
    ways = [{"penalty": None}] if in_words(0.0) == {"penalty": "l2"} else [{"C": np.inf}]
    for way in ways:
        lr = LogisticRegression(max_iter=10_000, **way).fit(X, y)
        assert SoftmaxSGDClassifier.from_logistic_regression(lr).alpha == 0.0


def test_parameters_can_be_chosen(make_data):
    X, y = make_data()
    lr = LogisticRegression().fit(X, y)
    model = SoftmaxSGDClassifier.from_logistic_regression(lr, alpha=0.5, standardize=True, average=False)
    assert (model.alpha, model.standardize, model.average, model.alpha_) == (0.5, True, False, 0.5)
    with pytest.raises(ValueError, match="alpha"):
        SoftmaxSGDClassifier.from_logistic_regression(lr, alpha=-1.0)
    with pytest.raises(ValueError, match="no_such_parameter"):
        SoftmaxSGDClassifier.from_logistic_regression(lr, no_such_parameter=1)


def streamed(model, X, y, n_rows):
    """The model after it has learnt from all rows in chunks, and its mean log loss on each chunk before that."""
    losses = []
    for begin in range(0, len(y), n_rows):
        chunk = slice(begin, begin + n_rows)
        losses.append(-np.log(model.predict_proba(X[chunk])[np.arange(len(y[chunk])), y[chunk]]))  # classes are 0, 1, 2 ...
        model.partial_fit(X[chunk], y[chunk])
    return model, np.mean(np.concatenate(losses))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("knows_X, n_rows", [(True, 1), (True, 100), (False, 20), (False, 100)])
def test_a_stream_goes_on_from_it_and_is_better_than_either(scaled, knows_X, n_rows, digits):
    X, y = digits
    X = StandardScaler().fit_transform(X) if scaled else X
    old, new = slice(0, 600), slice(600, None)
    lr = LogisticRegression(max_iter=10_000).fit(X[old], y[old])
    static = log_loss(y[new], lr.predict_proba(X[new]))
    model = SoftmaxSGDClassifier.from_logistic_regression(lr, X[old] if knows_X else None)
    assert model.t_ == 601 if knows_X else 1001
    model, progressive = streamed(model, X[new], y[new], n_rows)
    from_nothing = SoftmaxSGDClassifier(standardize=False).partial_fit(X[:1], y[:1], np.arange(10))
    assert progressive < min(static, streamed(from_nothing, X[new], y[new], n_rows)[1])
    assert model.t_ == (601 if knows_X else 1001) + 1197


def test_the_more_rows_it_counts_for_the_less_it_moves(digits):
    X, y = digits
    lr = LogisticRegression(max_iter=10_000).fit(X[:600], y[:600])
    moves = []
    for n_samples in (10, 1000, 100_000):
        model = SoftmaxSGDClassifier.from_logistic_regression(lr, X[:600], n_samples=n_samples)
        assert model.t_ == n_samples + 1
        moves.append(np.abs(model.partial_fit(X[600:700], y[600:700]).coef_ - lr.coef_).max())
    assert moves[0] > 3 * moves[1] > 9 * moves[2] > 0


def test_scales_from_a_single_row_are_warned_of(digits):
    X, y = digits
    lr = LogisticRegression(max_iter=10_000).fit(X[:600], y[:600])
    with pytest.warns(UserWarning, match="pass X to from_logistic_regression"):
        SoftmaxSGDClassifier.from_logistic_regression(lr).partial_fit(X[600:601], y[600:601])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_any_cutting_of_the_stream_gives_the_same_model_if_x_is_known(container, make_data):
    X, y = make_data()
    lr = LogisticRegression().fit(X, y)
    models = []
    for cuts in ([], [1, 2, 50]):
        model = SoftmaxSGDClassifier.from_logistic_regression(lr, container(X))
        for begin, end in zip([0, *cuts], [*cuts, len(y)]):
            model.partial_fit(container(X[begin:end]), y[begin:end])
        models.append(model)
    np.testing.assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-9)


def test_fit_goes_on_from_it_with_warm_start(digits):
    X, y = digits[0] / 16, digits[1]
    lr = LogisticRegression(max_iter=10_000, tol=1e-6).fit(X, y)
    params = {"max_iter": 1, "tol": None, "random_state": 0}
    warm = SoftmaxSGDClassifier.from_logistic_regression(lr, warm_start=True, **params).fit(X, y)
    cold = SoftmaxSGDClassifier(standardize=False, **params).fit(X, y)
    # the first epoch from a given model only reads
    assert warm.loss_curve_[0] == pytest.approx(log_loss(y, lr.predict_proba(X)) + (lr.coef_**2).sum() / (2 * len(y)), rel=1e-9)
    assert warm.optimality_gap_ < 1e-3 < cold.optimality_gap_


def test_a_model_of_logistic_regression_cv_is_one_too(make_data):
    X, y = make_data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of changes of its parameters
        lr = LogisticRegressionCV(Cs=[0.1], cv=3).fit(X, y)
    model = SoftmaxSGDClassifier.from_logistic_regression(lr, n_samples=100)
    assert model.alpha == pytest.approx(0.1) and model.l1_ratio == 0
    assert_same_predictions(model, lr, X)


@needs_multi_class
@pytest.mark.filterwarnings("ignore:'multi_class' was deprecated:FutureWarning")
def test_a_multinomial_model_of_two_classes_has_twice_the_log_odds(make_data):
    X, y = make_data(2)
    lr = LogisticRegression(multi_class="multinomial", C=3.0, tol=1e-10).fit(X, y)
    model = SoftmaxSGDClassifier.from_logistic_regression(lr, n_samples=len(y), tol=1e-9, max_iter=1000)
    np.testing.assert_allclose(model.predict_proba(X), lr.predict_proba(X), rtol=1e-12)
    np.testing.assert_allclose(model.decision_function(X), 2 * lr.decision_function(X), rtol=1e-12)
    np.testing.assert_allclose(model.fit(X, y).predict_proba(X), lr.predict_proba(X), atol=1e-6)


@needs_multi_class
@pytest.mark.filterwarnings("ignore:'multi_class' was deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:Using the 'liblinear' solver:FutureWarning")
@pytest.mark.parametrize("params", [{"multi_class": "ovr"}, {"solver": "liblinear"}])
def test_one_model_per_class_is_refused(params, make_data):
    lr = LogisticRegression(**params).fit(*make_data())
    with pytest.raises(ValueError, match="one versus rest"):
        SoftmaxSGDClassifier.from_logistic_regression(lr)


def test_liblinear_of_two_classes_is_accepted(make_data):
    X, y = make_data(2)
    lr = LogisticRegression(solver="liblinear").fit(X, y)
    assert_same_predictions(SoftmaxSGDClassifier.from_logistic_regression(lr), lr, X)


@pytest.mark.parametrize("wrong", [None, "lr", LogisticRegression, RidgeClassifier(), make_pipeline(LogisticRegression())])
def test_something_else_is_refused(wrong):
    with pytest.raises(TypeError, match="must be a fitted LogisticRegression"):
        SoftmaxSGDClassifier.from_logistic_regression(wrong)


def test_an_unfitted_logistic_regression_is_refused():
    with pytest.raises(NotFittedError, match="LogisticRegression instance is not fitted"):
        SoftmaxSGDClassifier.from_logistic_regression(LogisticRegression())


@pytest.mark.parametrize("n_samples", [0, -1, np.nan, np.inf, "many"])
def test_a_number_of_rows_that_is_none_is_refused(n_samples, make_data):
    with pytest.raises(ValueError, match="n_samples="):
        SoftmaxSGDClassifier.from_logistic_regression(LogisticRegression().fit(*make_data()), n_samples=n_samples)


def test_x_of_other_features_is_refused(make_data):
    X, y = make_data()
    with pytest.raises(ValueError, match="features"):
        SoftmaxSGDClassifier.from_logistic_regression(LogisticRegression().fit(X, y), X[:, :3])


@pytest.mark.parametrize("learning_rate", ["auto", "constant"])
def test_scales_are_one_without_standardize_and_else_those_of_the_first_rows(learning_rate, make_data):
    X, y = make_data()
    lr = LogisticRegression().fit(X, y)
    params = {"learning_rate": learning_rate, **({"eta0": 0.01} if learning_rate == "constant" else {})}
    assert (SoftmaxSGDClassifier.from_logistic_regression(lr, **params).scale_ == 1).all()
    if learning_rate == "auto":
        unknown = SoftmaxSGDClassifier.from_logistic_regression(lr, standardize=True, **params)
        assert (unknown.scale_ == 0).all()
        known = SoftmaxSGDClassifier.from_logistic_regression(lr, X, standardize=True, **params)
        expected = SoftmaxSGDClassifier().fit(X, y).scale_
        np.testing.assert_allclose(known.scale_, expected)
        np.testing.assert_allclose(unknown.partial_fit(X, y).scale_, expected)


def test_subclasses_come_from_it_as_themselves(make_data):
    class Ours(SoftmaxSGDClassifier):
        pass

    assert type(Ours.from_logistic_regression(LogisticRegression().fit(*make_data()))) is Ours


# What reads a LogisticRegression reads ours ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("labels", [np.int64, str])
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_onnx_predicts_the_same(n_classes, labels, in_pipeline, digits):
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    X, y = digits
    X, y = X[y < n_classes].astype(np.float32) / 16, y[y < n_classes].astype(labels)
    model = SoftmaxSGDClassifier(random_state=0).fit(X, y)
    given = model.to_logistic_regression()
    if in_pipeline:
        scaler = StandardScaler().fit(X)
        model = make_pipeline(scaler, SoftmaxSGDClassifier(random_state=0).fit(scaler.transform(X), y))
        given = make_pipeline(scaler, model[-1].to_logistic_regression())
    onnx = skl2onnx.to_onnx(given, X[:1], options={"zipmap": False}, target_opset=18)
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    predicted, proba = session.run(None, {session.get_inputs()[0].name: X})
    np.testing.assert_array_equal(predicted, model.predict(X))
    # measured: at most 2.4e-7 without a scaler
    np.testing.assert_allclose(proba, model.predict_proba(X), rtol=0, atol=2e-6)


def softmax(**params):
    return SoftmaxSGDClassifier(random_state=0, **params)


CONVERTED = {
    "alone": softmax(),
    "classic": softmax(learning_rate="constant", max_iter=3, tol=None),
    "L1": softmax(l1_ratio=1.0, alpha=0.01),
    "pipeline": make_pipeline(StandardScaler(), softmax()),
    "search": GridSearchCV(softmax(), {"alpha": [0.01, 0.1]}, cv=2),
    "search over a pipeline": GridSearchCV(make_pipeline(StandardScaler(), softmax()), {}, cv=2),
    "calibration": CalibratedClassifierCV(softmax(), cv=2),
    "stacking": StackingClassifier([("one", softmax()), ("other", softmax(alpha=0.1))], final_estimator=softmax(), cv=2),
    "voting": VotingClassifier([("one", softmax()), ("other", softmax(alpha=0.1))], voting="soft", flatten_transform=False),
    "bagging": BaggingClassifier(softmax(alpha=0.01), n_estimators=2, random_state=0),
    "one versus rest": OneVsRestClassifier(softmax()),
}
OF_CLASSES = [(2, int), (3, int), (2, str), (3, str), (2, bool), (3, float)]


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True)  # in raw units: from 0.1 to 1700


def run_onnx(model, X, **options):
    skl2onnx, onnxruntime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    register()
    onnx = skl2onnx.to_onnx(model, X[:1], options={id(model): options}, target_opset=18)
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: X})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "kind, n_classes, labels",
    [("alone", *case) for case in OF_CLASSES] + [(kind, *case) for kind in CONVERTED for case in ((2, str), (3, int))],
)
def test_onnx_converts_the_estimator_itself(kind, n_classes, labels, wine):
    X, y = wine
    X, y = X[y < n_classes].astype(np.float32), y[y < n_classes]
    names = np.array(["a", "b", "c"])[y] if labels is str else y.astype(labels)
    model = clone(CONVERTED[kind]).fit(X.astype(np.float64), names)
    for dtype in [np.float32] + [np.float64] * (kind == "pipeline"):
        predicted, proba = run_onnx(model, X.astype(dtype), zipmap=False)
        expected = model.predict_proba(X.astype(np.float64))
        np.testing.assert_array_equal(predicted, model.predict(X.astype(np.float64)))
        np.testing.assert_allclose(proba, expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_onnx_has_the_options_of_logistic_regression(n_classes, wine):
    X, y = wine
    X, names = X[y < n_classes].astype(np.float32), np.array(["a", "b", "c"])[y[y < n_classes]]
    model = softmax().fit(X.astype(np.float64), names)
    proba, scores = model.predict_proba(X.astype(np.float64)), model.decision_function(X.astype(np.float64))
    dicts = run_onnx(model, X)[1]
    np.testing.assert_allclose([[row[name] for name in model.classes_] for row in dicts], proba, rtol=0, atol=1e-6)
    columns = run_onnx(model, X, zipmap="columns")[1:]
    np.testing.assert_allclose(np.column_stack(columns), proba, rtol=0, atol=1e-6)
    numbers, _ = run_onnx(model, X, zipmap=False, nocl=True)
    np.testing.assert_array_equal(model.classes_[numbers], model.predict(X))
    assert run_onnx(model, X, zipmap=False, output_class_labels=True)[2].tolist() == model.classes_.tolist()
    _, raw = run_onnx(model, X, zipmap=False, raw_scores=True)
    np.testing.assert_allclose(raw, scores if n_classes > 2 else np.column_stack([-scores, scores]), rtol=1e-6)
    for other in (model.partial_fit(X, names), model.sparsify()):
        _, of_other = run_onnx(other, X, zipmap=False)
        np.testing.assert_allclose(of_other, other.predict_proba(X.astype(np.float64)), rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_onnx_is_accurate_in_both_tails():
    X = np.linspace(-80, 80, 41, dtype=np.float32)[:, None]
    model = SoftmaxSGDClassifier()
    model.coef_, model.classes_ = [[1.0]], [0, 1]
    _, proba = run_onnx(model, X, zipmap=False)
    np.testing.assert_allclose(proba, model.predict_proba(X), rtol=1e-6)


def test_the_converter_needs_skl2onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match="pip install skl2onnx"):
        register()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("hands_over", [False, True])
def test_shap_explains_the_scores(n_classes, hands_over, digits):
    shap = pytest.importorskip("shap")
    X, y = digits
    X, y = X[y < n_classes], y[y < n_classes]
    model = SoftmaxSGDClassifier(random_state=0).fit(X, y)
    explainer = shap.LinearExplainer(model.to_logistic_regression() if hands_over else model, X)
    values = np.asarray(explainer.shap_values(X[:20]))
    sums = values.sum(axis=1) + explainer.expected_value
    np.testing.assert_allclose(sums, model.decision_function(X[:20]), rtol=1e-6, atol=1e-6)
    # of a linear model of independent features it is the coefficient times the deviation from the mean
    background = np.asarray(explainer.mean)
    np.testing.assert_allclose(
        values.reshape(20, 64, -1), (X[:20] - background)[:, :, None] * model.coef_.T[None], rtol=1e-6, atol=1e-6
    )


def test_a_frozen_hand_over_can_be_calibrated(digits):
    X, y = digits
    lr = SoftmaxSGDClassifier(random_state=0).fit(X[:1000], y[:1000]).to_logistic_regression()
    calibrated = CalibratedClassifierCV(FrozenEstimator(lr)).fit(X[1000:], y[1000:])
    assert calibrated.score(X[1000:], y[1000:]) > 0.9
