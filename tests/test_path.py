"""softmax_path and SoftmaxSGDClassifierCV: the optima of another way, the choice of LogisticRegressionCV, and laws of folds."""

import inspect
import pickle

import numpy as np
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import accuracy_score, get_scorer, log_loss, make_scorer
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_softmax import SoftmaxSGDClassifier, SoftmaxSGDClassifierCV, _cv, _newton, _path, _validation, softmax_path

TIGHT = {"tol": 1e-9, "max_iter": 5000}
KINDS = {
    "dense": lambda X: X,
    "sparse": csr_array,
    "float32": lambda X: X.astype(np.float32),
}


def objective(X, y, coef, intercept, alpha, l1_ratio, scale):
    """F, from its definition."""
    scores = X @ coef.T + intercept
    if len(coef) == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    losses = np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(y)), y]
    scaled = coef * scale
    return losses.mean() + alpha * ((1 - l1_ratio) / 2 * np.sum(scaled**2) + l1_ratio * np.abs(scaled).sum())


# the path ------------------------------------------------------------------------------


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_each_model_of_a_path_is_the_optimum_for_its_alpha(make_data, kind, n_classes, l1_ratio):
    X, y = make_data(n_classes)
    settings = TIGHT if kind != "float32" else {"tol": 1e-5, "max_iter": 5000}
    path = softmax_path(KINDS[kind](X), y, alphas=6, min_alpha_ratio=1e-3, l1_ratio=l1_ratio, **settings)
    assert path.coefs.dtype == (np.float32 if kind == "float32" else np.float64)
    for alpha, coef, intercept, gap in zip(path.alphas, path.coefs, path.intercepts, path.optimality_gaps):
        alone = SoftmaxSGDClassifier(alpha=alpha, l1_ratio=l1_ratio, **TIGHT).fit(X, y)
        here, best = (
            objective(X, y, *model, alpha, l1_ratio, alone.scale_)
            for model in ((coef, intercept), (alone.coef_, alone.intercept_))
        )
        assert here <= best + (1e-6 if kind == "float32" else 1e-11)
        assert here - best <= gap + 1e-11
        if kind != "float32":
            assert gap < 1e-8
            np.testing.assert_allclose(coef, alone.coef_, atol=1e-5)
            if l1_ratio and alpha < path.alphas[0]:  # where a coefficient is just about to leave 0
                assert np.array_equal(coef != 0, alone.coef_ != 0)


def test_few_wide_rows_have_the_same_optima(make_data):
    X, y = make_data(4, n_samples=60, n_features=200)
    path = softmax_path(X, y, alphas=5, min_alpha_ratio=1e-3, **TIGHT)
    for alpha, coef in zip(path.alphas, path.coefs):
        np.testing.assert_allclose(coef, SoftmaxSGDClassifier(alpha=alpha, **TIGHT).fit(X, y).coef_, atol=1e-6)


def test_a_path_takes_far_fewer_passes_than_fits(make_data):
    X, y = make_data(5, n_samples=600, n_features=20)
    path = softmax_path(X, y, alphas=30)
    alone = [SoftmaxSGDClassifier(alpha=alpha, random_state=0).fit(X, y).n_iter_ for alpha in path.alphas]
    assert path.n_iter.sum() < 0.5 * sum(alone)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_the_grid_begins_at_the_smallest_alpha_without_coefficients(make_data, n_classes, l1_ratio, fit_intercept):
    X, y = make_data(n_classes)
    path = softmax_path(X, y, alphas=7, l1_ratio=l1_ratio, fit_intercept=fit_intercept)
    assert (path.coefs[0] == 0).all()
    just_below = softmax_path(X, y, alphas=[0.999 * path.alphas[0]], l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-9)
    assert (just_below.coefs != 0).any()
    np.testing.assert_allclose(path.alphas[1:] / path.alphas[:-1], (1e-4) ** (1 / 6))


@pytest.mark.parametrize(
    "shape, l1_ratio, ratio", [((50, 5), 0, 1e-7), ((30, 40), 0, 1e-5), ((50, 5), 1, 1e-4), ((30, 40), 1, 1e-2)]
)
def test_the_default_grid_is_longer_with_more_rows_than_features(make_data, shape, l1_ratio, ratio):
    X, y = make_data(2, *shape)
    alphas = softmax_path(X, y, alphas=3, l1_ratio=l1_ratio, max_iter=1000).alphas
    assert alphas[-1] / alphas[0] == pytest.approx(ratio)


def test_the_largest_alpha_of_l2_is_that_of_one_percent_of_l1(make_data):
    X, y = make_data(3)
    l1, l2 = (softmax_path(X, y, alphas=2, min_alpha_ratio=0.1, l1_ratio=l1_ratio).alphas[0] for l1_ratio in (0.01, 0.0))
    assert l1 == pytest.approx(l2)


def test_given_alphas_are_sorted(make_data):
    assert softmax_path(*make_data(), alphas=[0.1, 1, 0.01]).alphas.tolist() == [1, 0.1, 0.01]


@pytest.mark.parametrize("alphas", [[], [0.0], [1.0, np.nan], [np.inf], [[1.0]], [-1.0]])
def test_alphas_that_are_no_strengths_are_refused(make_data, alphas):
    with pytest.raises(ValueError, match="alphas"):
        softmax_path(*make_data(), alphas=alphas)


def test_too_few_passes_are_told_with_the_gap(make_data):
    with pytest.warns(ConvergenceWarning, match=r"max_iter=2 was reached for \d+ of 5 models of the path"):
        softmax_path(*make_data(), alphas=5, max_iter=2, tol=1e-8)


def test_a_column_without_values_and_a_constant_one_are_left_out(make_data):
    X, y = make_data(3)
    more = np.hstack([X, np.zeros((len(X), 1)), np.full((len(X), 1), 3.0)])
    for kind in (np.asarray, csr_array):
        coefs = softmax_path(kind(more), y, alphas=4, **TIGHT).coefs
        assert (coefs[..., -2:] == 0).all()
        np.testing.assert_allclose(coefs[..., :-2], softmax_path(X, y, alphas=4, **TIGHT).coefs, atol=1e-6)


def test_rows_all_alike_have_a_path():
    path = softmax_path(np.ones((10, 2)), np.tile([0, 1], 5), alphas=3)
    assert (path.coefs == 0).all()


def test_an_absent_class_has_a_small_probability(make_data):
    X, y = make_data(3)
    path = softmax_path(X, y, alphas=[1e-2], sample_weight=(y > 0).astype(float), **TIGHT)
    some = SoftmaxSGDClassifier(alpha=1e-2, **TIGHT).fit(X, y, (y > 0).astype(float))
    np.testing.assert_allclose(path.coefs[0], some.coef_, atol=1e-6)
    np.testing.assert_allclose(path.intercepts[0], some.intercept_, atol=1e-6)


def test_a_memory_that_follows_is_that_of_the_new_penalty(make_data):
    # the blocks of the Hessian, and the changes of the gradient along steps, for another alpha
    X, y = make_data(3)
    settings = SoftmaxSGDClassifier()._settings()
    ones = np.ones(len(y))
    path = _path.Path(_validation.Problem(X, y.astype(np.int32), ones, ones), 3, settings)
    before, after = (path._objective(path._coordinates(0.1), alpha, 0.0) for alpha in (1.0, 0.1))
    rng = np.random.default_rng(0)
    scores = before.scores(rng.normal(size=(6, 3)))
    kept, new = _newton.Preconditioner(before, keeps=True), _newton.Preconditioner(after)
    kept.update(before.curvature(scores))
    kept.follow((after.l2 - before.l2)[:, 0])
    new.update(after.curvature(scores))
    residual = rng.normal(size=(6, 3))
    np.testing.assert_allclose(kept(residual), new(residual), rtol=1e-9)


# the choice ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def even_folds():
    """150 rows and 5 folds of as many rows each, so that C and alpha are the same in all."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(150, 6)) * np.array([1, 2, 0.5, 1, 3, 1])
    y = np.argmax(X @ rng.normal(size=(6, 3)) * 0.5 + rng.gumbel(size=(150, 3)), axis=1)
    return X, y, list(KFold(5).split(X))


def their_search(alphas, n, **params):
    if "use_legacy_attributes" in inspect.signature(LogisticRegressionCV).parameters:
        params["use_legacy_attributes"] = False
    elif params["solver"] == "saga":
        params["penalty"] = "elasticnet"
    else:
        params.pop("l1_ratios")
    return LogisticRegressionCV(Cs=1 / (alphas * n), scoring="neg_log_loss", max_iter=100_000, tol=1e-10, **params)


def their_scores(search):
    """(n_folds, n_l1_ratios, n_alphas), whatever the version."""
    scores = search.scores_
    if isinstance(scores, dict):
        scores = next(iter(scores.values()))
        scores = scores[:, :, None] if scores.ndim == 2 else scores
        scores = np.moveaxis(scores, 2, 1)
    return scores


@pytest.mark.parametrize("solver, l1_ratios", [("lbfgs", (0.0,)), ("saga", (0.3, 0.8))])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_and_choice_are_those_of_logistic_regression_cv(even_folds, n_classes, solver, l1_ratios):
    X, y, folds = even_folds
    y = np.minimum(y, n_classes - 1)
    alphas = np.geomspace(0.3, 1e-3, 6)
    ours = SoftmaxSGDClassifierCV(alphas=alphas, l1_ratios=l1_ratios, cv=folds, standardize=False, **TIGHT).fit(X, y)
    theirs = their_search(alphas, 120, cv=folds, solver=solver, l1_ratios=l1_ratios).fit(X, y)
    scores = their_scores(theirs)
    np.testing.assert_allclose(ours.scores_, scores, atol=1e-6)
    row, column = np.unravel_index(scores.mean(axis=0).argmax(), scores.shape[1:])
    assert (ours.alpha_, ours.l1_ratio_) == (alphas[column], l1_ratios[row])
    assert np.unique(theirs.C_) == pytest.approx(1 / (ours.alpha_ * 120))


def test_one_standard_error_is_its_formula(even_folds):
    X, y, folds = even_folds
    for l1_ratios in ((0.0,), (0.2, 1.0)):
        clf = SoftmaxSGDClassifierCV(alphas=12, l1_ratios=l1_ratios, cv=folds, selection="1se").fit(X, y)
        means = clf.scores_.mean(axis=0)
        row, best = np.unravel_index(means.argmax(), means.shape)
        error = np.std(clf.scores_[:, row, best], ddof=1) / np.sqrt(5)
        within = [alpha for alpha, mean in zip(clf.alphas_[row], means[row]) if mean >= means[row, best] - error]
        assert (clf.alpha_, clf.l1_ratio_) == (max(within), l1_ratios[row])
        assert clf.alpha_ > clf.alphas_[row, best]


def test_of_equal_scores_the_largest_alpha_is_chosen():
    scores = np.array([[[0.0, 2.0, 2.0]], [[1.0, 2.0, 2.0]]])
    assert _cv.chosen(scores, "min") == (0, 1)
    assert _cv.chosen(scores[:1], "1se") == (0, 1)  # one fold has no standard error


def test_the_refitted_model_is_that_of_the_estimator_with_this_alpha(make_data, fitted):
    X, y = make_data(3)
    ours = SoftmaxSGDClassifierCV(alphas=8, l1_ratios=(0.0, 0.5), random_state=0).fit(X, y)
    alone = SoftmaxSGDClassifier(alpha=ours.alpha_, l1_ratio=ours.l1_ratio_, random_state=0).fit(X, y)
    attributes, of_alone = fitted(ours), fitted(alone)
    assert set(of_alone) <= set(attributes)
    of_alone.pop("n_iter_")
    assert {name: attributes[name] for name in of_alone} == of_alone
    more = make_data(3, seed=1)
    np.testing.assert_array_equal(ours.partial_fit(*more).coef_, alone.partial_fit(*more).coef_)
    assert ours.effective_n_samples_ == alone.effective_n_samples_


@pytest.mark.parametrize("n_classes", [2, 3])
def test_without_refit_the_model_is_the_mean_of_the_folds(make_data, n_classes):
    X, y = make_data(n_classes)
    clf = SoftmaxSGDClassifierCV(alphas=8, refit=False).fit(X, y)
    column = clf.alphas_[0].tolist().index(clf.alpha_)
    np.testing.assert_allclose(clf.coef_, clf.coefs_paths_[:, 0, column].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(clf.intercept_, clf.intercepts_paths_[:, 0, column].mean(axis=0), rtol=1e-12)
    assert not hasattr(clf, "optimality_gap_")
    np.testing.assert_allclose(clf.scale_, SoftmaxSGDClassifier().fit(X, y).scale_, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_scores_of_folds(make_data, kind):
    X, y = make_data(3)
    X = KINDS[kind](X)
    folds = list(StratifiedKFold(4).split(X, y))
    labels = np.array(["a", "b", "c"])[y]
    clf = SoftmaxSGDClassifierCV(alphas=5, l1_ratios=(0.0, 1.0), cv=folds).fit(X, labels)
    assert clf.alphas_.shape == (2, 5)
    assert clf.coefs_paths_.shape == (4, 2, 5, 3, 5)
    assert clf.intercepts_paths_.shape == (4, 2, 5, 3)
    assert clf.scores_.shape == clf.optimality_gaps_.shape == clf.n_iter_.shape == (4, 2, 5)
    train, test = folds[1]
    alone = softmax_path(X[train], labels[train], alphas=clf.alphas_[1], l1_ratio=1.0)
    np.testing.assert_array_equal(alone.coefs, clf.coefs_paths_[1, 1])
    model = SoftmaxSGDClassifier()
    model.coef_, model.intercept_, model.classes_ = alone.coefs[3], alone.intercepts[3], np.array(["a", "b", "c"])
    assert -log_loss(labels[test], model.predict_proba(X[test])) == pytest.approx(clf.scores_[1, 1, 3], rel=1e-5)


def test_held_out_rows_do_not_matter_to_the_models_of_their_fold(make_data):
    X, y = make_data(3)
    folds = list(KFold(3).split(X))
    clf = SoftmaxSGDClassifierCV(alphas=[0.1, 0.01], cv=folds)
    before = clf.fit(X, y).coefs_paths_[0]
    X[folds[0][1]] *= 1000  # scales, too, are those of the rows that are trained on
    np.testing.assert_array_equal(clf.fit(X, y).coefs_paths_[0], before)


def test_input_is_checked_once_for_all_folds(make_data, monkeypatch):
    calls, checked_X = [], _validation.checked_X
    monkeypatch.setattr(_validation, "checked_X", lambda *args: calls.append(args) or checked_X(*args))
    SoftmaxSGDClassifierCV(alphas=3).fit(*make_data(3))
    assert len(calls) == 1


def test_n_jobs_change_nothing(make_data, fitted):
    X, y = make_data(3)
    one, two = (SoftmaxSGDClassifierCV(alphas=5, n_jobs=n_jobs, random_state=0).fit(X, y) for n_jobs in (None, 2))
    assert fitted(one) == fitted(two)


# weights, metadata ---------------------------------------------------------------------


@pytest.mark.parametrize("given", [False, True])
def test_a_row_of_weight_0_is_an_absent_row(make_data, fitted, given):
    X, y = make_data(3)
    weight = np.ones(len(y))
    weight[::4] = 0
    kept = np.flatnonzero(weight)
    splits = list(StratifiedKFold(3).split(X[kept], y[kept]))
    cv_of_all = [(np.r_[kept[train], 0], kept[test]) for train, test in splits] if given else 3
    with_weight = SoftmaxSGDClassifierCV(alphas=5, cv=cv_of_all, random_state=0).fit(X, y, weight)
    without = SoftmaxSGDClassifierCV(alphas=5, cv=splits if given else 3, random_state=0).fit(X[kept], y[kept])
    assert fitted(with_weight) == fitted(without)


def test_class_weights_are_those_of_all_rows_and_no_part_of_scores(make_data):
    X, y = make_data(3)
    balanced = SoftmaxSGDClassifierCV(alphas=5, class_weight="balanced").fit(X, y)
    class_weight = dict(enumerate(len(y) / (3 * np.bincount(y))))
    by_hand = SoftmaxSGDClassifierCV(alphas=5, class_weight=class_weight).fit(X, y)
    np.testing.assert_array_equal(balanced.scores_, by_hand.scores_)
    by_scorer = SoftmaxSGDClassifierCV(alphas=5, class_weight="balanced", scoring="neg_log_loss").fit(X, y)
    np.testing.assert_allclose(by_scorer.scores_, balanced.scores_, rtol=1e-10)


def test_a_scorer_gets_the_weights_of_its_rows(make_data):
    X, y = make_data(3)
    weight = np.random.default_rng(0).uniform(0, 2, len(y)) * (np.arange(len(y)) % 5 > 0)
    default = SoftmaxSGDClassifierCV(alphas=5).fit(X, y, weight)
    by_name = SoftmaxSGDClassifierCV(alphas=5, scoring="neg_log_loss").fit(X, y, weight)
    np.testing.assert_allclose(by_name.scores_, default.scores_, rtol=1e-10)
    with sklearn.config_context(enable_metadata_routing=True):
        weighted = get_scorer("neg_log_loss").set_score_request(sample_weight=True)
        routed = SoftmaxSGDClassifierCV(alphas=5, scoring=weighted).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(routed.scores_, by_name.scores_)
        unweighted = get_scorer("neg_log_loss").set_score_request(sample_weight=False)
        scores = SoftmaxSGDClassifierCV(alphas=5, scoring=unweighted).fit(X, y, sample_weight=weight).scores_
        assert not np.allclose(scores, by_name.scores_)


def test_groups_reach_the_splitter_with_and_without_routing(make_data, fitted):
    X, y = make_data(3)
    groups, weight = np.arange(len(y)) // 7, np.where(np.arange(len(y)) % 3, 1.0, 0.0)
    kept = weight > 0
    splits = list(GroupKFold(4).split(X[kept], y[kept], groups[kept]))
    expected = fitted(SoftmaxSGDClassifierCV(alphas=4, cv=splits, random_state=0).fit(X[kept], y[kept]))
    clf = SoftmaxSGDClassifierCV(alphas=4, cv=GroupKFold(4), random_state=0)
    assert fitted(clf.fit(X, y, weight, groups=groups)) == expected
    with sklearn.config_context(enable_metadata_routing=True):
        assert fitted(clf.fit(X, y, sample_weight=weight, groups=groups)) == expected
        pipeline = make_pipeline(StandardScaler(), clf.set_fit_request(sample_weight=False))
        pipeline.fit(X, y, groups=groups)
    with pytest.raises(TypeError, match="enable_metadata_routing"):
        clf.fit(X, y, colour="red")


# as an estimator -----------------------------------------------------------------------


@pytest.mark.parametrize("scoring", ["accuracy", make_scorer(accuracy_score), lambda model, X, y: model.score(X, y)])
def test_scoring_is_what_the_user_asks_for(make_data, scoring):
    X, y = make_data(3)
    clf = SoftmaxSGDClassifierCV(alphas=6, scoring=scoring).fit(X, y)
    train, test = next(StratifiedKFold(5).split(X, y))
    one = SoftmaxSGDClassifier(alpha=clf.alphas_[0, 3]).fit(X[train], y[train])
    assert clf.scores_[0, 0, 3] == pytest.approx(one.score(X[test], y[test]))


def test_frames_have_names(make_data):
    X, y = make_data(3)
    expected = SoftmaxSGDClassifierCV(alphas=4, random_state=0).fit(X, y)
    for library in ("pandas", "polars"):
        frame = pytest.importorskip(library).DataFrame(X, **{"columns" if library == "pandas" else "schema": list("abcde")})
        clf = SoftmaxSGDClassifierCV(alphas=4, random_state=0).fit(frame, y)
        assert clf.feature_names_in_.tolist() == list("abcde")
        np.testing.assert_array_equal(clf.predict_proba(frame), expected.predict_proba(X))


def test_it_comes_back_from_a_pickle(make_data, fitted):
    X, y = make_data(3)
    clf = SoftmaxSGDClassifierCV(alphas=4).fit(X, y)
    assert fitted(pickle.loads(pickle.dumps(clf))) == fitted(clf)


def test_it_can_be_converted(make_data):
    X, y = make_data(3)
    clf = SoftmaxSGDClassifierCV(alphas=4, standardize=False).fit(X, y)
    lr = clf.to_logistic_regression()
    np.testing.assert_allclose(lr.predict_proba(X), clf.predict_proba(X), rtol=1e-9)
    assert pytest.approx(1 / (clf.alpha_ * len(y))) == lr.C
    with pytest.raises(TypeError, match=r"SoftmaxSGDClassifier\.from_logistic_regression"):
        SoftmaxSGDClassifierCV.from_logistic_regression(lr)


def test_a_second_fit_chooses_anew_and_an_error_changes_nothing(make_data, fitted):
    X, y = make_data(3)
    clf = SoftmaxSGDClassifierCV(alphas=6, random_state=0).fit(*make_data(2, seed=3))
    assert fitted(clf.fit(X, y)) == fitted(SoftmaxSGDClassifierCV(alphas=6, random_state=0).fit(X, y))
    before = fitted(clf)
    with pytest.raises(ValueError, match="NaN"):
        clf.fit(np.full_like(X, np.nan), y)
    clf.scoring = lambda *_: np.nan
    with pytest.raises(ValueError, match="score of fold 0 is nan"):
        clf.fit(X, y)
    assert fitted(clf) == before


@pytest.mark.parametrize(
    "params, message",
    [
        ({"l1_ratios": ()}, "l1_ratios"),
        ({"l1_ratios": (0.5, 2.0)}, "l1_ratios"),
        ({"cv": [([0, 1, 2], [3])]}, "trains on rows of the class"),
        ({"cv": [(np.arange(50), [])]}, "holds out no row"),
        ({"cv": []}, "no folds"),
        ({"selection": "best"}, "selection"),
        ({"alphas": 0}, "alphas"),
        ({"min_alpha_ratio": 1.0}, "min_alpha_ratio"),
        ({"tol": None}, "tol"),
    ],
)
def test_what_makes_no_sense_is_named(make_data, params, message):
    X, y = make_data(2)
    y[:3] = 0
    with pytest.raises(ValueError, match=message):
        SoftmaxSGDClassifierCV(**params).fit(X, y)


def test_soft_labels_are_refused(make_data):
    X, y = make_data(3)
    for call in (SoftmaxSGDClassifierCV(alphas=3).fit, softmax_path):
        with pytest.raises(ValueError, match="y has a column for each class, which .* does not support"):
            call(X, np.eye(3)[y])


def test_a_class_that_a_fold_does_not_train_on_has_a_finite_loss(make_data):
    X, y = make_data(3)
    folds = [(np.flatnonzero(y > 0), np.arange(len(y))), (np.arange(len(y)), np.arange(len(y)))]
    clf = SoftmaxSGDClassifierCV(alphas=[0.1], cv=folds).fit(X, y)
    assert clf.coefs_paths_.shape == (2, 1, 1, 3, 5)
    assert np.isfinite(clf.scores_).all()
    assert clf.scores_[0] < clf.scores_[1] - 1


def test_a_callback_is_told_of_each_fold(make_data):
    pytest.importorskip("sklearn.callback")

    class Recorder:
        def __init__(self):
            self.events = []

        def setup(self, estimator, context):
            self.events.append(("setup", context.task_name, context.max_subtasks))

        def teardown(self, estimator, context):
            self.events.append(("teardown",))

        def on_fit_task_begin(self, estimator, context):
            self.events.append(("begin", context.task_name, context.task_id))

        def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
            self.events.append(("end", context.task_name, context.task_id))
            if context.task_name == "fit":
                self.model = fitted_estimator

    recorder = Recorder()
    X, y = make_data(3)
    clf = SoftmaxSGDClassifierCV(alphas=3, cv=4).set_callbacks(recorder).fit(X, y)
    assert [event[2] for event in recorder.events if event[:2] == ("end", "fold")] == [0, 1, 2, 3]
    assert recorder.events[0] == ("setup", "fit", 4)
    np.testing.assert_array_equal(recorder.model.predict_proba(X), clf.predict_proba(X))
