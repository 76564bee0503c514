"""The estimator inside scikit-learn's own tools."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, TunedThresholdClassifierCV, cross_validate, learning_curve
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_softmax import SoftmaxSGDClassifier


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def quick(**params):
    return SoftmaxSGDClassifier(**{"max_iter": 20, "tol": None, "random_state": 0, **params})


META = {
    "OneVsRest": OneVsRestClassifier(quick()),
    "Bagging": BaggingClassifier(quick(), n_estimators=3, random_state=0),
    "Voting": VotingClassifier([("ours", quick()), ("theirs", LogisticRegression(max_iter=1000))], voting="soft"),
    "Stacking": StackingClassifier([("ours", quick())], final_estimator=quick(), cv=3),
    "sigmoid": CalibratedClassifierCV(quick(), cv=3),
    "isotonic": CalibratedClassifierCV(quick(), method="isotonic", cv=3),
    "RFE": RFE(quick(), n_features_to_select=2),
}


@pytest.mark.parametrize("name", META)
def test_meta_estimators_accept_it(name, iris):
    X, y = iris
    meta = clone(META[name]).fit(X, y)
    np.testing.assert_allclose(meta.predict_proba(X).sum(axis=1), 1)
    assert meta.score(X, y) > 0.6  # a smoke test


def test_a_pipeline_is_the_scaler_and_then_the_model(iris, fitted):
    X, y = iris
    pipeline = make_pipeline(StandardScaler(), quick()).fit(X, y)
    assert fitted(pipeline[-1]) == fitted(quick().fit(StandardScaler().fit_transform(X), y))


@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
def test_searches_find_the_strength_of_the_penalty(search, iris):
    more = {} if search is GridSearchCV else {"resource": "max_iter", "max_resources": 20, "min_resources": 5, "random_state": 0}
    found = search(quick(), {"alpha": [1e-3, 1000.0]}, cv=3, scoring="neg_log_loss", **more).fit(*iris)
    assert found.best_params_["alpha"] == 1e-3


def test_cross_validate_scores_it(iris):
    scores = cross_validate(quick(), *iris, cv=3, scoring=["accuracy", "neg_log_loss", "roc_auc_ovr"])
    assert all(np.isfinite(scores[name]).all() for name in scores)


def test_a_frozen_model_is_not_trained_again(iris, fitted):
    X, y = iris
    model = quick().fit(X, y)
    before = fitted(model)
    CalibratedClassifierCV(FrozenEstimator(model)).fit(X, y)
    assert fitted(model) == before


def test_features_can_be_selected_by_l1(iris):
    X, y = iris
    noisy = np.hstack([X, 0.01 * np.random.default_rng(0).normal(size=X.shape)])
    selected = SelectFromModel(quick(alpha=0.05, l1_ratio=1.0)).fit(noisy, y).get_support()
    assert selected[:4].any() and not selected[4:].any()


def test_several_outputs_can_be_streamed(iris):
    X, y = iris
    Y = np.column_stack([y, y > 0])
    model = MultiOutputClassifier(quick()).partial_fit(X, Y, classes=[[0, 1, 2], [0, 1]]).partial_fit(X, Y)
    assert model.predict(X).shape == (150, 2)


def test_learning_curves_can_stream(iris):
    _, _, scores = learning_curve(
        quick(), *iris, cv=3, shuffle=True, random_state=0, train_sizes=[30, 60, 90], exploit_incremental_learning=True
    )
    assert scores.shape == (3, 3) and np.isfinite(scores).all()


def test_the_threshold_of_two_classes_can_be_tuned(iris):
    X, y = iris
    tuned = TunedThresholdClassifierCV(quick(), cv=3).fit(X, np.array(["no", "yes"])[(y > 1) * 1])
    assert set(tuned.predict(X)) == {"no", "yes"}


def test_permutation_importance_finds_a_column_that_does_not_matter(iris):
    X, y = iris
    X = np.hstack([X, np.zeros((150, 1))])
    importances = permutation_importance(quick().fit(X, y), X, y, n_repeats=2, random_state=0).importances_mean
    assert importances[-1] == 0 < importances.max()


def test_feature_names_are_kept_and_checked(iris):
    pandas = pytest.importorskip("pandas")
    X, y = iris
    frame = pandas.DataFrame(X, columns=list("abcd"))
    model = quick().fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert np.array_equal(model.predict_proba(frame), model.predict_proba(frame.copy()))
    for method in (model.predict, lambda frame: model.partial_fit(frame, y)):
        with pytest.raises(ValueError, match="feature names"):
            method(frame[list("badc")])


def test_columns_of_several_kinds_can_be_transformed(iris):
    pandas = pytest.importorskip("pandas")
    X, y = iris
    frame = pandas.DataFrame({"length": X[:, 2], "kind": np.where(X[:, 0] > 5.5, "long", "short")})
    transformer = make_column_transformer((StandardScaler(), ["length"]), (OneHotEncoder(), ["kind"]))
    assert make_pipeline(transformer, quick()).fit(frame, y).score(frame, y) > 0.8


def test_sample_weight_is_routed_through_a_search_over_a_pipeline(iris):
    X, y = iris
    weight = np.where(y == 1, 0.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False), quick().set_fit_request(sample_weight=True)
        )
        scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
        found = GridSearchCV(pipeline, {"softmaxsgdclassifier__alpha": [0.01]}, cv=3, scoring=scorer)
        found.fit(X, y, sample_weight=weight)
    assert found.best_estimator_[-1].classes_.tolist() == [0, 2]


@pytest.mark.skipif("sparse_interface" not in sklearn.get_config(), reason="scikit-learn < 1.9 has no sparse_interface")
@pytest.mark.parametrize("interface, is_array", [("sparray", True), ("spmatrix", False)])
def test_sparsify_respects_the_sparse_interface(interface, is_array, iris):
    X, y = iris
    with sklearn.config_context(sparse_interface=interface):
        model = quick().fit(sp.csr_array(X), y).sparsify()
        proba = model.predict_proba(sp.csr_matrix(X))
    assert isinstance(model.coef_, sp.sparray) == is_array
    np.testing.assert_allclose(proba, quick().fit(sp.csr_array(X), y).predict_proba(X), rtol=1e-8)
