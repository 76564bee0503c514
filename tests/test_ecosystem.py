"""The estimator inside scikit-learn's own tools, and in other libraries' containers: each does with it what it is there for.

Callbacks, hand-over and stored models have files of their own.
"""

import itertools
import signal
from contextlib import nullcontext

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import DecisionBoundaryDisplay, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, get_scorer, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    LearningCurveDisplay,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_validate,
    train_test_split,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.fixes import parse_version

from sklearn_softmax import SoftmaxSGDClassifier, kernels

of_sklearn = parse_version(sklearn.__version__)
HAS_TEMPERATURE = of_sklearn >= parse_version("1.8")
HAS_TOOLTIPS = of_sklearn >= parse_version("1.9")
READS_ANY_FRAME = of_sklearn >= parse_version("1.9")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def quick(**params):
    return SoftmaxSGDClassifier(**{"max_iter": 20, "tol": None, "random_state": 0, **params})


# Pipelines and searches ----------------------------------------------------------------------------------------------------


def test_a_pipeline_is_the_scaler_and_then_the_model(iris, fitted):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), quick()).fit(X, y)
    assert fitted(pipeline[-1]) == fitted(quick().fit(StandardScaler().fit_transform(X), y))


def test_columns_of_several_kinds_can_be_transformed(iris, fitted):
    pandas = pytest.importorskip("pandas")
    X, y = iris
    is_long = X[:, 0] > 5.5
    frame = pandas.DataFrame({"length": X[:, 2], "kind": np.where(is_long, "long", "short")})
    transformer = make_column_transformer((StandardScaler(), ["length"]), (OneHotEncoder(), ["kind"]))
    pipeline = make_pipeline(transformer, quick()).fit(frame, y)
    by_hand = np.column_stack([StandardScaler().fit_transform(X[:, 2:3]), is_long, ~is_long])
    assert fitted(pipeline[-1]) == fitted(quick().fit(by_hand, y))


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
def test_searches_find_the_strength_of_the_penalty(search, iris):
    more = {} if search is GridSearchCV else {"resource": "max_iter", "max_resources": 20, "min_resources": 5, "random_state": 0}
    found = search(quick(), {"alpha": [1e-3, 10.0, 1000.0]}, cv=3, scoring="neg_log_loss", **more).fit(*iris)
    assert found.best_params_["alpha"] == 1e-3
    if search is HalvingGridSearchCV:
        assert found.n_resources_ == [5, 15] and found.best_estimator_.n_iter_ == 15


def test_cross_validate_scores_it(iris):
    X, y = iris
    folds = StratifiedKFold(3)
    scores = cross_validate(quick(), X, y, cv=folds, scoring=["accuracy", "neg_log_loss", "roc_auc_ovr"])
    by_hand = [-log_loss(y[test], quick().fit(X[train], y[train]).predict_proba(X[test])) for train, test in folds.split(X, y)]
    assert scores["test_neg_log_loss"].tolist() == by_hand
    assert scores["test_roc_auc_ovr"].min() > 0.9


def test_a_clone_is_the_same_but_not_fitted(iris, fitted):
    model = quick(alpha=0.1, class_weight="balanced").fit(*iris)
    cloned = clone(model)
    assert not hasattr(cloned, "classes_") and cloned.get_params() == model.get_params()
    assert fitted(cloned.fit(*iris)) == fitted(model)


# Models made of models -----------------------------------------------------------------------------------------------------


def test_one_vs_rest_fits_one_for_each_class(iris, fitted):
    X, y = iris
    meta = OneVsRestClassifier(quick()).fit(X, y)
    for label, model in enumerate(meta.estimators_):
        assert fitted(model) == fitted(quick().fit(X, (y == label).astype(int)))
    assert meta.score(X, y) > 0.9


def test_bagging_is_the_mean_of_its_bags(iris):
    X, y = iris
    meta = BaggingClassifier(quick(), n_estimators=3, random_state=0).fit(X, y)
    probas = [model.predict_proba(X) for model in meta.estimators_]
    assert not np.allclose(probas[0], probas[1])
    np.testing.assert_allclose(meta.predict_proba(X), np.mean(probas, axis=0), rtol=1e-12)


@pytest.mark.parametrize("max_samples", [1.0, 0.1])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_bags_may_leave_a_rare_class_out(n_classes, max_samples, make_data):
    X, y = make_data(n_classes, n_samples=200)
    y[np.flatnonzero(y == 1)[3:]] = 0
    for seed in range(3):
        clf = SoftmaxSGDClassifier(max_iter=3, tol=None, random_state=0)
        bags = BaggingClassifier(clf, n_estimators=20, max_samples=max_samples, random_state=seed)
        assert bags.fit(X, y).predict_proba(X).shape == (200, n_classes)


@pytest.mark.parametrize(
    "around",
    [
        OneVsRestClassifier,
        OneVsOneClassifier,
        lambda clf: OutputCodeClassifier(clf, random_state=0),
        lambda clf: VotingClassifier([("a", clf), ("b", clf)], voting="soft"),
        lambda clf: StackingClassifier([("a", clf), ("b", clf)], final_estimator=clf, cv=3),
        lambda clf: CalibratedClassifierCV(clf, cv=3),
    ],
    ids=["one-vs-rest", "one-vs-one", "output code", "voting", "stacking", "calibration"],
)
def test_weights_may_leave_a_class_out(around, make_data):
    X, y = make_data()
    weight = np.where(y == 1, 0.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = SoftmaxSGDClassifier(max_iter=20, tol=None, random_state=0).set_fit_request(sample_weight=True)
        model = around(clf).fit(X, y, sample_weight=weight)
    assert model.classes_.tolist() == [0, 1, 2]
    assert (model.predict(X) == y)[weight > 0].mean() > 0.6


def test_soft_voting_is_the_mean_of_the_voters(iris):
    X, y = iris
    theirs = LogisticRegression(max_iter=1000)
    meta = VotingClassifier([("ours", quick()), ("theirs", theirs)], voting="soft").fit(X, y)
    expected = (quick().fit(X, y).predict_proba(X) + clone(theirs).fit(X, y).predict_proba(X)) / 2
    np.testing.assert_allclose(meta.predict_proba(X), expected, rtol=1e-12)


def test_stacking_learns_from_its_probabilities(iris):
    X, y = iris
    meta = StackingClassifier([("ours", quick()), ("strong", quick(alpha=1.0))], final_estimator=quick(), cv=3).fit(X, y)
    np.testing.assert_array_equal(meta.transform(X)[:, :3], quick().fit(X, y).predict_proba(X))
    np.testing.assert_array_equal(meta.predict_proba(X), meta.final_estimator_.predict_proba(meta.transform(X)))
    assert meta.score(X, y) > 0.9


METHODS = ["sigmoid", "isotonic"] + ["temperature"] * HAS_TEMPERATURE


@pytest.mark.parametrize("method", METHODS)
def test_calibration_mends_probabilities_that_are_too_sure(method, make_data):
    X, y = make_data(n_samples=900)
    sure = quick().fit(X[:300], y[:300])
    sure.coef_ = 8 * sure.coef_
    calibrated = CalibratedClassifierCV(FrozenEstimator(sure), method=method).fit(X[300:600], y[300:600])
    before, after = (log_loss(y[600:], model.predict_proba(X[600:])) for model in (sure, calibrated))
    assert after < 0.6 * before


@pytest.mark.parametrize("method", METHODS)
def test_calibration_trains_it_on_folds(method, iris, fitted):
    X, y = iris
    calibrated = CalibratedClassifierCV(quick(), method=method, cv=3).fit(X, y)
    for one, (train, _) in zip(calibrated.calibrated_classifiers_, StratifiedKFold(3).split(X, y), strict=True):
        assert fitted(one.estimator) == fitted(quick().fit(X[train], y[train]))
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    assert calibrated.score(X, y) > 0.9


def test_a_frozen_model_is_not_trained_again(iris, fitted):
    X, y = iris
    model = quick().fit(X, y)
    before = fitted(model)
    CalibratedClassifierCV(FrozenEstimator(model)).fit(X, y)
    frozen = FrozenEstimator(model).fit(X, 2 - y)
    assert fitted(model) == before and np.array_equal(frozen.predict(X), model.predict(X))


def test_several_outputs_can_be_streamed(iris, fitted):
    X, y = iris
    Y, classes = np.column_stack([y, y > 0]), [[0, 1, 2], [0, 1]]
    meta = MultiOutputClassifier(quick()).partial_fit(X, Y, classes=classes).partial_fit(X, Y)
    for output, model in enumerate(meta.estimators_):
        alone = quick().partial_fit(X, Y[:, output], classes[output]).partial_fit(X, Y[:, output])
        assert fitted(model) == fitted(alone)


def test_the_threshold_of_two_classes_can_be_tuned(make_data):
    X, y = make_data(2, n_samples=1200)
    labels = np.where((y == 1) & (np.arange(len(y)) % 8 == 0), "rare", "frequent")
    train, test = slice(0, 800), slice(800, None)
    tuned = TunedThresholdClassifierCV(quick(), cv=3, scoring="balanced_accuracy").fit(X[train], labels[train])
    scores = [
        balanced_accuracy_score(labels[test], model.predict(X[test])) for model in (tuned, quick().fit(X[train], labels[train]))
    ]
    assert 0 < tuned.best_threshold_ < 0.4 and scores[0] > scores[1] + 0.05


BOOSTED_AT_DEFAULT = "add up to 1, so that alpha='1/n_samples', which is 1 over that sum, is 1"


def test_boosting_says_that_its_weights_add_up_to_1(iris):
    X, y = iris
    with pytest.warns(UserWarning, match=BOOSTED_AT_DEFAULT):
        trapped = AdaBoostClassifier(quick(), n_estimators=1, random_state=0).fit(X, y)
    assert trapped.estimators_[0].alpha_ == pytest.approx(1)
    exact = SoftmaxSGDClassifier(tol=1e-9, max_iter=1000, random_state=0)
    meta = AdaBoostClassifier(clone(exact).set_params(alpha=1 / len(y)), n_estimators=5, random_state=0).fit(X, y)
    # the first weights are equal
    np.testing.assert_allclose(meta.estimators_[0].coef_, exact.fit(X, y).coef_, rtol=0, atol=1e-6)
    assert meta.score(X, y) > 0.95


@pytest.mark.parametrize("mean, warns", [(0.05, True), (0.2, False), (1.0, False), (1000.0, False)])
@pytest.mark.parametrize("learning_rate", ["auto", "constant"])
def test_light_weights_are_warned_of(mean, warns, learning_rate, iris):
    X, y = iris
    weight = np.random.default_rng(0).dirichlet(np.ones(len(y))) * mean * len(y)
    model = quick(learning_rate=learning_rate)
    with pytest.warns(UserWarning, match="add up to") if warns else nullcontext():
        model.fit(X, y, sample_weight=weight)
    assert model.alpha_ == pytest.approx(1 / weight.sum())
    model.set_params(alpha=0.01).fit(X, y, sample_weight=weight)
    quick().partial_fit(X, y, [0, 1, 2], sample_weight=weight)  # a stream may forget


# Ctrl-C ----------------------------------------------------------------------------------------------------------------------


def interrupting(model_class, at):
    """A class whose `fit` number `at` gets Ctrl-C in its second epoch."""

    class Interrupted(model_class):
        def fit(self, X, y, **more):
            with pytest.MonkeyPatch.context() as patch:
                if next(fits) == at:
                    loss_gradient = kernels.loss_gradient

                    def pressed(*args, **kwargs):
                        signal.raise_signal(signal.SIGINT)
                        return loss_gradient(*args, **kwargs)

                    patch.setattr(kernels, "loss_gradient", pressed)
                return super().fit(X, y, **more)

    fits = itertools.count()
    return Interrupted


TOOLS = {
    "search": lambda model: GridSearchCV(model, {"alpha": [0.1, 0.01, 0.001]}, cv=3),
    "search over a pipeline": lambda model: GridSearchCV(make_pipeline(StandardScaler(), model), {}, cv=3),
    "halving": lambda model: HalvingGridSearchCV(model, {"alpha": [0.1, 0.01, 0.001]}, cv=3, min_resources=60),
    "bagging": lambda model: BaggingClassifier(model, n_estimators=5),
    "one versus rest": OneVsRestClassifier,
    "calibration": CalibratedClassifierCV,
    "elimination": RFE,
}


@pytest.mark.parametrize("tool", TOOLS)
def test_ctrl_c_ends_a_tool_that_fits_many(tool, iris):
    model = interrupting(SoftmaxSGDClassifier, at=1)(random_state=0)
    with pytest.raises(KeyboardInterrupt):
        TOOLS[tool](model).fit(*iris)


def test_ctrl_c_ends_cross_validation(iris):
    with pytest.raises(KeyboardInterrupt):
        cross_validate(interrupting(SoftmaxSGDClassifier, at=1)(random_state=0), *iris)


def test_ctrl_c_in_a_pipeline_keeps_the_model(iris):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), interrupting(SoftmaxSGDClassifier, at=0)(random_state=0))
    with pytest.warns(UserWarning, match="interrupted"):
        pipeline.fit(X, y)
    assert pipeline[-1].n_iter_ == 1 and pipeline.predict(X).shape == y.shape


# Features ------------------------------------------------------------------------------------------------------------------


def test_features_can_be_selected_by_l1(iris):
    X, y = iris
    noisy = np.hstack([X, 0.01 * np.random.default_rng(0).normal(size=X.shape)])
    selected = SelectFromModel(quick(alpha=0.05, l1_ratio=1.0)).fit(noisy, y).get_support()
    assert selected[:4].any() and not selected[4:].any()


@pytest.fixture(scope="module")
def in_odd_units():
    """Rows whose columns have scales from 1e-7 to 1e7, with the largest scales where there is nothing to learn."""
    X, y = make_classification(600, 16, n_informative=6, n_redundant=0, n_classes=3, shuffle=False, random_state=0)
    return X * np.concatenate([np.logspace(7, -7, 6), np.logspace(-7, 7, 10)]), y, X


def test_all_features_that_l1_keeps_are_selected(in_odd_units):
    X, y, _ = in_odd_units
    model = SoftmaxSGDClassifier(alpha=0.02, l1_ratio=1.0, random_state=0)
    selector = SelectFromModel(model, importance_getter="feature_importances_").fit(X, y)
    kept = selector.estimator_.coef_.any(axis=0)
    assert selector.threshold_ == 1e-5 and kept[:6].any() and not kept.all()
    np.testing.assert_array_equal(selector.get_support(), kept)
    assert SelectFromModel(clone(model)).fit(X, y).threshold_ == 1e-5
    assert SelectFromModel(clone(model).set_params(l1_ratio=0.5)).fit(X, y).threshold_ != 1e-5


@pytest.mark.parametrize("standardize", [True, False])
def test_units_do_not_decide_which_features_are_eliminated(standardize, in_odd_units):
    X, y, same_units = in_odd_units
    model = SoftmaxSGDClassifier(
        alpha=0.0 if not standardize else 0.01, standardize=standardize, random_state=0, max_iter=20, tol=None
    )
    eliminated = [
        RFE(model, n_features_to_select=6, step=2, importance_getter="feature_importances_").fit(rows, y)
        for rows in (X, same_units)
    ]
    np.testing.assert_array_equal(*(each.ranking_ for each in eliminated))
    assert eliminated[0].get_support()[:6].sum() >= 5


def test_features_can_be_eliminated_by_their_coefficients(iris):
    X, y = iris
    noisy = np.hstack([np.random.default_rng(0).normal(size=X.shape), StandardScaler().fit_transform(X)])
    assert RFE(quick(), n_features_to_select=2).fit(noisy, y).get_support()[4:].sum() == 2


def test_permutation_importance_finds_a_column_that_does_not_matter(iris):
    X, y = iris
    X = np.hstack([X, np.zeros((150, 1))])
    importances = permutation_importance(quick().fit(X, y), X, y, n_repeats=2, random_state=0).importances_mean
    assert importances[-1] == 0 < importances.max()


# Displays ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ax():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_learning_curves_stream(iris, ax):
    X, y = iris
    rows = np.random.default_rng(0).permutation(len(y))
    X, y = X[rows], y[rows]
    train, test = np.arange(100), np.arange(100, 150)
    sizes = [30, 60, 100]
    display = LearningCurveDisplay.from_estimator(
        quick(), X, y, cv=[(train, test)], train_sizes=sizes, exploit_incremental_learning=True, ax=ax
    )
    model, expected = quick(), []
    for begin, end in zip([0, *sizes], sizes):
        model.partial_fit(X[begin:end], y[begin:end], [0, 1, 2])
        expected.append(model.score(X[test], y[test]))
    assert display.test_scores[:, 0].tolist() == expected and expected[-1] > 0.8


@pytest.mark.parametrize("response_method", ["predict_proba", "decision_function", "predict"])
def test_decision_boundaries_are_those_of_the_model(response_method, iris, ax):
    X, y = iris
    X, y = (X[:, 2:], y > 1) if response_method != "predict" else (X[:, 2:], y)
    model = quick().fit(X, y)
    display = DecisionBoundaryDisplay.from_estimator(model, X, response_method=response_method, grid_resolution=7, ax=ax)
    expected = getattr(model, response_method)(np.column_stack([display.xx0.ravel(), display.xx1.ravel()]))
    expected = expected[:, 1] if expected.ndim == 2 else expected
    np.testing.assert_allclose(display.response.ravel(), expected, rtol=1e-12)
    assert len(np.unique(display.response)) > 1


def test_the_notebook_shows_parameters_and_no_dead_link(iris):
    html = quick(alpha=0.25).fit(*iris)._repr_html_()
    assert "SoftmaxSGDClassifier" in html and "0.25" in html and "href" not in html.split("</style>")[-1].split("<script>")[0]


def test_the_notebook_has_links_and_tooltips_once_there_are_pages(iris, monkeypatch):
    address = "https://softmax.example/stable/"
    monkeypatch.setattr("sklearn_softmax._versions.address_of_pages", lambda: address)
    html = make_pipeline(StandardScaler(), quick()).fit(*iris)._repr_html_()
    page = f"{address}generated/sklearn_softmax.SoftmaxSGDClassifier.html"
    assert f'href="{page}"' in html
    if HAS_TOOLTIPS:
        assert f'href="{page}#:~:text=alpha' in html and "Strength of the penalty." in html


# Routing of metadata -------------------------------------------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_sample_weight_is_routed_through_a_search_over_a_pipeline(iris, routing):
    X, y = iris
    weight = np.where(y == 1, 0.0, 1.0)
    pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), quick().set_fit_request(sample_weight=True))
    scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
    found = GridSearchCV(pipeline, {"softmaxsgdclassifier__alpha": [0.01]}, cv=3, scoring=scorer)
    found.fit(X, y, sample_weight=weight)
    assert found.best_estimator_[-1].classes_.tolist() == [0, 1, 2]
    assert found.best_estimator_.predict_proba(X)[:, 1].max() < 1e-8


def test_sample_weight_is_routed_through_cross_validate(iris, routing):
    X, y = iris
    weight = np.random.default_rng(0).uniform(size=len(y))
    folds = StratifiedKFold(3)
    model = quick().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    scores = cross_validate(model, X, y, cv=folds, params={"sample_weight": weight})["test_score"]
    by_hand = [
        quick().fit(X[train], y[train], weight[train]).score(X[test], y[test], weight[test]) for train, test in folds.split(X, y)
    ]
    assert scores.tolist() == by_hand
    assert len(set(by_hand)) > 1 and by_hand != cross_validate(quick(), X, y, cv=folds, params={})["test_score"].tolist()


def test_sample_weight_is_routed_to_partial_fit(iris, routing, fitted):
    X, y = iris
    weight = np.random.default_rng(0).uniform(size=len(y))
    meta = MultiOutputClassifier(quick().set_partial_fit_request(sample_weight=True))
    meta.partial_fit(X, y[:, None], classes=[[0, 1, 2]], sample_weight=weight)
    assert fitted(meta.estimators_[0]) == fitted(quick().partial_fit(X, y, [0, 1, 2], sample_weight=weight))


def test_what_was_not_asked_for_is_not_routed(iris, routing):
    X, y = iris
    weight = np.ones(len(y))
    with pytest.raises(ValueError, match="not explicitly set as requested or not"):
        cross_validate(quick(), X, y, params={"sample_weight": weight})


def test_validation_rows_are_routed_through_the_transformers_of_a_pipeline(iris, routing, fitted):
    X, y = iris
    X, X_val, y, y_val = train_test_split(X, y, random_state=0, stratify=y)
    weight = np.random.default_rng(0).uniform(size=len(y_val))
    request = {"X_val": True, "y_val": True, "sample_weight_val": True}
    model = quick(early_stopping=True, tol=1e-3).set_fit_request(**request)
    pipeline = Pipeline([("scaler", StandardScaler()), ("model", model)], transform_input=["X_val"])
    pipeline.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    scaler = StandardScaler().fit(X)
    alone = quick(early_stopping=True, tol=1e-3)
    alone.fit(scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val, sample_weight_val=weight)
    assert fitted(pipeline[-1]) == fitted(alone)
    expected = -log_loss(y_val, pipeline.predict_proba(X_val), sample_weight=weight)
    assert alone.best_validation_score_ == pytest.approx(expected, rel=1e-9)


def test_parameters_of_fit_go_through_a_pipeline_by_the_name_of_the_step(iris, fitted):
    X, y = iris
    weight = np.random.default_rng(0).uniform(size=len(y))
    pipeline = make_pipeline(StandardScaler(), quick()).fit(X, y, softmaxsgdclassifier__sample_weight=weight)
    assert fitted(pipeline[-1]) == fitted(quick().fit(StandardScaler().fit_transform(X), y, weight))


# Containers ----------------------------------------------------------------------------------------------------------------


def frames_of(library):
    module = pytest.importorskip(library)
    if library == "polars" and not READS_ANY_FRAME and parse_version(module.__version__) >= parse_version("1.40"):
        pytest.skip("scikit-learn < 1.9 learns names of columns by a protocol that polars >= 1.40 deprecates, and 2 has dropped")
    return module


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames_give_the_model_of_their_values_and_the_names_of_their_columns(library, iris, fitted):
    module = frames_of(library)
    X, y = iris
    make = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}[library]

    def frame(names):
        return getattr(module, make)({name: X[:, "abcd".index(name)] for name in names})

    for train in (lambda *rows: quick().fit(*rows), lambda *rows: quick().partial_fit(*rows, classes=[0, 1, 2])):
        model = train(frame("abcd"), y)
        assert model.feature_names_in_.tolist() == list("abcd")
        del model.feature_names_in_
        assert fitted(model) == fitted(train(X, y))

    model = quick().fit(frame("abcd"), y)
    np.testing.assert_array_equal(model.predict_proba(frame("abcd")), quick().fit(X, y).predict_proba(X))
    for method in (model.predict, lambda other: model.partial_fit(other, y)):
        with pytest.raises(ValueError, match="feature names"):
            method(frame("badc"))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_labels_may_be_a_series(library, iris, fitted):
    module = pytest.importorskip(library)
    X, y = iris
    labels = np.array(["a", "b", "c"])[y]
    model, expected = quick().fit(X, module.Series(labels)), quick().fit(X, labels)
    assert model.classes_.tolist() == ["a", "b", "c"] and model.predict(X).tolist() == expected.predict(X).tolist()
    assert {**fitted(model), "classes_": None} == {**fitted(expected), "classes_": None}


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_names_that_transformers_give_reach_the_model(library, iris):
    frames_of(library)
    X, y = iris
    with sklearn.config_context(transform_output=library):
        pipeline = make_pipeline(StandardScaler(), quick()).fit(X, y)
        assert pipeline[-1].feature_names_in_.tolist() == ["x0", "x1", "x2", "x3"]
        assert pipeline.score(X, y) == make_pipeline(StandardScaler(), quick()).fit(X, y).score(X, y)


TEXTS = ["a red rose", "the red sun", "green grass", "a green tree", "blue sky", "the blue sea"]


@pytest.mark.skipif("sparse_interface" not in sklearn.get_config(), reason="scikit-learn < 1.9 has no sparse_interface")
def test_sparse_arrays_of_vectorizers_give_the_model_of_their_matrices(fitted):
    models = {}
    for interface, kind in (("sparray", sp.sparray), ("spmatrix", sp.spmatrix)):
        with sklearn.config_context(sparse_interface=interface):
            X = TfidfVectorizer().fit_transform(TEXTS)
            assert isinstance(X, kind)
            model = quick().fit(X, np.arange(6) // 2)
            proba = model.predict_proba(X)
            models[interface] = [fitted(model), proba.tolist(), fitted(model.partial_fit(X, np.arange(6) // 2))]
    assert models["sparray"] == models["spmatrix"]


@pytest.mark.skipif("sparse_interface" not in sklearn.get_config(), reason="scikit-learn < 1.9 has no sparse_interface")
@pytest.mark.parametrize("interface, is_array", [("sparray", True), ("spmatrix", False)])
def test_sparsify_respects_the_sparse_interface(interface, is_array, iris):
    X, y = iris
    with sklearn.config_context(sparse_interface=interface):
        model = quick().fit(sp.csr_array(X), y).sparsify()
        proba = model.predict_proba(sp.csr_matrix(X))
    assert isinstance(model.coef_, sp.sparray) == is_array
    np.testing.assert_allclose(proba, quick().fit(sp.csr_array(X), y).predict_proba(X), rtol=1e-8)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_read_only_memory_maps_are_read(container, dtype, iris, fitted, tmp_path):
    X, y = iris
    in_memory = container(X.astype(dtype)), y, np.linspace(0, 2, len(y))
    joblib.dump(in_memory, tmp_path / "data")
    mapped = joblib.load(tmp_path / "data", mmap_mode="r")
    values = mapped[0].data if sp.issparse(mapped[0]) else mapped[0]
    assert isinstance(values, np.memmap) and not values.flags.writeable
    for train in (lambda *rows: quick().fit(*rows), lambda X, y, weight: quick().partial_fit(X, y, [0, 1, 2], weight)):
        assert fitted(train(*mapped)) == fitted(train(*in_memory))
    model = quick().fit(*in_memory)
    np.testing.assert_array_equal(model.predict_proba(mapped[0]), model.predict_proba(in_memory[0]))
