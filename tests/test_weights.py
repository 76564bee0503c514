"""The algebra of weights: absence, class weights, units, repetition."""

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_softmax import SoftmaxSGDClassifier
from sklearn_softmax._model import Model
from sklearn_softmax._objective import Objective, Penalty

VARIANTS = {
    "default": {},
    "with a tol": {"tol": 1e-3, "max_iter": 60},
    "not standardised": {"standardize": False},
    "no table": {"variance_reduction": False},
    "forgets": {"forgetting": "auto"},
    "invscaling": {"learning_rate": "invscaling"},
    "invscaling, averaged from 50": {"learning_rate": "invscaling", "average": 50, "l1_ratio": 1.0, "alpha": 1e-2},
    "constant": {"learning_rate": "constant"},
    "optimal": {"learning_rate": "optimal", "alpha": 1e-2},
    "adaptive": {"learning_rate": "adaptive", "tol": 1e-2, "n_iter_no_change": 1},
    "elastic net": {"l1_ratio": 0.5, "alpha": 1e-2},
    "averaged": {"learning_rate": "invscaling", "average": True},
    "early stopping": {"early_stopping": True, "tol": 1e-3, "n_iter_no_change": 2},
    "balanced": {"class_weight": "balanced"},
    "class_weight": {"class_weight": {0: 0.3, 1: 2.0}},
    "no shuffle": {"shuffle": False},
}

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)  # "adaptive" and "early stopping" have a tol

each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_number_of_classes = pytest.mark.parametrize("n_classes", [2, 3, 5])


def quick(variant="default", **params):
    return SoftmaxSGDClassifier(**{"max_iter": 6, "tol": None, "random_state": 0} | VARIANTS[variant] | params)


def random_weight(y, seed=0):
    return np.random.default_rng(seed).uniform(0.2, 3, size=len(y))


def with_absent_rows(X, y, weight, seed=1):
    """The same rows amid others of weight 0, some of another class and some huge."""
    rng = np.random.default_rng(seed)
    n_rows = len(y) + 40
    rows = np.sort(rng.permutation(n_rows)[: len(y)])
    X_more, y_more, weight_more = 1e6 * rng.normal(size=(n_rows, X.shape[1])), np.zeros(n_rows, dtype=y.dtype), np.zeros(n_rows)
    X_more[rows], y_more[rows], weight_more[rows] = X, y, weight
    return X_more, y_more, weight_more


# ------------------------------------------------------------------------------------------------------------- 1. absence


@each_variant
@each_number_of_classes
@pytest.mark.parametrize("sparse", [False, True])
def test_fit_with_rows_of_weight_zero_is_bit_identical_to_fit_without_them(variant, n_classes, sparse, make_data, fitted):
    X, y = make_data(n_classes)
    weight = random_weight(y)
    X_more, y_more, weight_more = with_absent_rows(X, y, weight)
    if sparse:
        X, X_more = sp.csr_array(X), sp.csr_array(X_more)
    assert fitted(quick(variant).fit(X_more, y_more, weight_more)) == fitted(quick(variant).fit(X, y, weight))


@each_variant
@each_number_of_classes
def test_partial_fit_with_rows_of_weight_zero_is_bit_identical_to_partial_fit_without_them(variant, n_classes, make_data, fitted):
    X, y = make_data(n_classes)
    weight = random_weight(y)
    X_more, y_more, weight_more = with_absent_rows(X, y, weight)
    classes = np.arange(n_classes)
    more = quick(variant).partial_fit(X_more, y_more, classes, weight_more)
    expected = quick(variant).partial_fit(X, y, classes, weight)
    assert fitted(more) == fitted(expected)
    assert fitted(more.partial_fit(X_more[::-1], y_more[::-1], sample_weight=weight_more[::-1])) == fitted(
        expected.partial_fit(X[::-1], y[::-1], sample_weight=weight[::-1])
    )


@each_variant
@each_number_of_classes
def test_a_class_of_weight_zero_has_a_column_and_next_to_no_probability(variant, n_classes, make_data):
    X, y = make_data(n_classes + 1)
    for absent in {n_classes} if variant == "class_weight" else {0, n_classes}:
        counts = y != absent
        alone = quick(variant).fit(X[counts], y[counts])
        model = quick(variant).fit(X, y, counts.astype(float))
        proba = model.predict_proba(X)
        assert model.classes_.tolist() == list(range(n_classes + 1)) and proba.shape == (len(y), n_classes + 1)
        assert proba[:, absent].max() < 1e-8 and np.isfinite(model.predict_log_proba(X)).all()
        assert not (model.predict(1e3 * X) == absent).any()
        assert model.t_ == alone.t_ and model.alpha_ == alone.alpha_
        if n_classes > 2:  # the penalty of two classes is another one beside a third
            np.testing.assert_allclose(np.delete(proba, absent, axis=1), alone.predict_proba(X), rtol=0, atol=1e-8)
            np.testing.assert_array_equal(model.loss_curve_, alone.loss_curve_)


def test_a_class_weight_of_zero_is_sample_weights_of_zero(make_data, fitted):
    X, y = make_data()
    for absent in ([0], [2], [0, 1]):
        expected = quick().fit(X, y, np.where(np.isin(y, absent), 0.0, 1.0))
        assert fitted(quick(class_weight=dict.fromkeys(absent, 0)).fit(X, y)) == fitted(expected)


@pytest.mark.parametrize("variant", ["default", "early stopping", "optimal", "adaptive", "elastic net"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_one_class_alone_has_all_the_probability(variant, fit_intercept, make_data):
    X, y = make_data()
    X = np.abs(X) + 1
    for n_classes in (2, 3):
        labels = y % n_classes
        model = quick(variant, fit_intercept=fit_intercept, max_iter=50).fit(X, labels, labels == 1)
        assert (model.predict(X) == 1).all()
        if fit_intercept:
            np.testing.assert_allclose(model.predict_proba(X)[:, 1], 1, rtol=0, atol=1e-8)
            assert (model.coef_ == 0).all()


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("absent", [[0], [2], [0, 1]], ids=str)
def test_classes_without_weight_have_what_the_objective_gives_them(fit_intercept, l1_ratio, absent, make_data):
    X, y = make_data()
    weight = np.where(np.isin(y, absent), 0.0, 1.0)
    model = SoftmaxSGDClassifier(
        standardize=False, alpha=0.03, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-8, max_iter=5000, random_state=0
    ).fit(X, y, weight)
    kept = np.flatnonzero(weight)
    objective = Objective(X[kept], y[kept], weight[kept], Penalty(0.03, l1_ratio, 3), fit_intercept)
    value = objective.value(model._predictor().point())
    # steps towards lower intercepts of the absent, which is where the objective falls without end, and anywhere else, do not help
    rng = np.random.default_rng(0)
    rows, intercept = model._predictor().softmax_coef()
    for size in (1e-4, 1e-2, 1):
        for _ in range(20):
            other = Model.zeros(5, 3, np.float64)
            step = size * rng.normal(size=3) * fit_intercept - 20 * np.isin(np.arange(3), absent) * fit_intercept
            other.set_softmax_coef(
                rows + size * rng.normal(size=rows.shape) * (rng.uniform(size=rows.shape) < 0.3), intercept + step
            )
            assert objective.value(other.point()) > value - model.optimality_gap_
    assert model.optimality_gap_ < 1e-7


def test_the_model_without_weight_of_a_class_goes_on(make_data):
    X, y = make_data(n_samples=600)
    model = SoftmaxSGDClassifier(random_state=0).fit(X, y, np.where(y == 1, 0.0, 1.0))
    np.testing.assert_allclose(model.to_logistic_regression().predict_proba(X), model.predict_proba(X), atol=1e-12)
    for _ in range(3):
        model.partial_fit(X, y)
    assert model.score(X, y) > SoftmaxSGDClassifier(random_state=0).fit(X, y).score(X, y) - 0.03
    model.set_params(warm_start=True).fit(X, y, np.where(y == 2, 0.0, 1.0))
    assert model.classes_.tolist() == [0, 1, 2] and model.predict_proba(X)[:, 2].max() < 1e-8


def test_rows_to_validate_on_need_a_class_that_counts(make_data):
    X, y = make_data()
    weight = np.where(y == 1, 0.0, 1.0)
    model = quick("early stopping")
    with pytest.raises(ValueError, match=r"y_val contains labels that have no row of positive weight in y: \[1\]"):
        model.fit(X, y, weight, X_val=X, y_val=y)
    model.fit(X, y, weight, X_val=X, y_val=y, sample_weight_val=weight)
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_validation_rows_of_weight_zero_are_absent(make_data, fitted):
    X, y = make_data()
    X_val, y_val = make_data(seed=1)
    weight = random_weight(y_val)
    X_more, y_more, weight_more = with_absent_rows(X_val, y_val, weight)
    models = [
        quick("early stopping").fit(X, y, X_val=a, y_val=b, sample_weight_val=c)
        for a, b, c in [(X_val, y_val, weight), (X_more, y_more, weight_more)]
    ]
    assert fitted(models[0]) == fitted(models[1])


@each_variant
@pytest.mark.parametrize("is_first", [False, True])
def test_partial_fit_with_zero_weights_only_is_a_no_op(variant, is_first, make_data, fitted):
    X, y = make_data()
    expected, classifier = quick(variant), quick(variant)
    if not is_first:
        expected.fit(X, y), classifier.fit(X, y)
        n_iter = classifier.n_iter_
        before = fitted(classifier)
        classifier.partial_fit(X, y, sample_weight=np.zeros(len(y)))
        assert fitted(classifier) == before and classifier.n_iter_ == n_iter
    else:
        classifier.partial_fit(X, y, [0, 1, 2], np.zeros(len(y)))
        assert (classifier.coef_ == 0).all() and (classifier.intercept_ == 0).all() and classifier.t_ == 1
        np.testing.assert_allclose(classifier.predict_proba(X), 1 / 3)
    assert fitted(classifier.partial_fit(X, y, [0, 1, 2])) == fitted(expected.partial_fit(X, y, [0, 1, 2]))


# ------------------------------------------------------------------------------------------------------ 2. weights of classes


@each_variant
@each_number_of_classes
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weight_is_bit_identical_to_the_equivalent_sample_weight(variant, n_classes, weighted, make_data, fitted):
    X, y = make_data(n_classes)
    weight = random_weight(y) if weighted else np.ones(len(y))
    of_class = np.linspace(0.3, 2, n_classes)
    dictionary = dict(enumerate(of_class))
    by_class = quick(variant, class_weight=dictionary).fit(X, y, weight if weighted else None)
    by_sample = quick(variant, class_weight=None).fit(X, y, weight * of_class[y])
    assert fitted(by_class) == fitted(by_sample)
    classes = np.arange(n_classes)
    by_class = quick(variant, class_weight=dictionary).partial_fit(X, y, classes, weight if weighted else None)
    by_sample = quick(variant, class_weight=None).partial_fit(X, y, classes, weight * of_class[y])
    assert fitted(by_class) == fitted(by_sample)


@each_number_of_classes
@pytest.mark.parametrize("variant", ["default", "optimal", "averaged", "elastic net"])
def test_balanced_is_bit_identical_to_the_equivalent_dict_and_sample_weight(variant, n_classes, make_data, fitted):
    X, y = make_data(n_classes)
    of_class = len(y) / (n_classes * np.bincount(y))
    balanced = quick(variant, class_weight="balanced").fit(X, y)
    assert fitted(balanced) == fitted(quick(variant, class_weight=dict(enumerate(of_class))).fit(X, y))
    assert fitted(balanced) == fitted(quick(variant).fit(X, y, of_class[y]))


@each_number_of_classes
def test_balanced_gives_all_classes_the_same_weight_with_sample_weights_too(n_classes, make_data):
    X, y = make_data(n_classes)
    weight = random_weight(y)
    of_class = weight.sum() / (n_classes * np.bincount(y, weights=weight))
    balanced = quick(class_weight="balanced").fit(X, y, weight)
    np.testing.assert_allclose(balanced.coef_, quick().fit(X, y, weight * of_class[y]).coef_, rtol=1e-9)
    assert balanced.t_ == pytest.approx(1 + weight.sum(), rel=1e-12)


def test_a_class_that_a_dict_lacks_has_weight_one(make_data, fitted):
    X, y = make_data()
    assert fitted(quick(class_weight={1: 3.0}).fit(X, y)) == fitted(quick(class_weight={0: 1, 1: 3, 2: 1}).fit(X, y))


@each_variant
@each_number_of_classes
@pytest.mark.parametrize("ones", [1, 1.0, "array"])
def test_no_weights_are_weights_of_one(variant, n_classes, ones, make_data, fitted):
    X, y = make_data(n_classes)
    weight = np.ones(len(y)) if ones == "array" else ones
    assert fitted(quick(variant).fit(X, y)) == fitted(quick(variant).fit(X, y, weight))
    classes = np.arange(n_classes)
    assert fitted(quick(variant).partial_fit(X, y, classes)) == fitted(quick(variant).partial_fit(X, y, classes, weight))


# ------------------------------------------------------------------------------------------------------------- 3. the unit

PARTS = ("coef_", "intercept_", "loss_curve_", "n_iter_", "alpha_", "validation_scores_")


@each_variant
@pytest.mark.parametrize("exponent", [-3, 1, 20])
def test_with_a_numeric_alpha_a_power_of_two_in_all_weights_is_bit_identical(variant, exponent, make_data, fitted):
    X, y = make_data()
    weight = random_weight(y)
    one, other = (quick(variant, alpha=0.01).fit(X, y, weight * factor) for factor in (1, 2.0**exponent))
    one, other = fitted(one), fitted(other)
    assert {part: one[part] for part in PARTS} == {part: other[part] for part in PARTS}


@each_variant
@pytest.mark.parametrize("factor", [1e-6, 0.3, 1e6])
def test_with_a_numeric_alpha_a_factor_in_all_weights_changes_rounding_only(variant, factor, make_data):
    X, y = make_data()
    weight = random_weight(y)
    one, other = (quick(variant, alpha=0.01, eta0=0.1).fit(X, y, weight * c) for c in (1, factor))
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-8)


# ------------------------------------------------------------------------------------------------------------ 4. repetition


@pytest.mark.parametrize("params", [{}, {"l1_ratio": 0.5}, {"learning_rate": "optimal", "alpha": 0.05}])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_weights_come_close_to_repetition_and_closer_with_more_epochs(params, n_classes, make_data):
    # (the law that check_sample_weight_equivalence means; it holds at the optimum)
    X, y = make_data(n_classes)
    weight = np.random.default_rng(0).integers(0, 4, size=len(y))

    def distance(n_epochs):
        models = [
            SoftmaxSGDClassifier(**{"alpha": 0.02, **params}, max_iter=n_epochs, tol=None, average=True, random_state=0).fit(
                *data
            )
            for data in [(X, y, weight), (np.repeat(X, weight, axis=0), np.repeat(y, weight))]
        ]
        return np.abs(models[0].predict_proba(X) - models[1].predict_proba(X)).max()

    far, near = distance(5), distance(2000)
    assert near < 0.005
    assert near < far / 3


def test_a_weight_of_two_is_about_two_visits_if_steps_are_short(make_data):
    X, y = make_data()
    params = dict(learning_rate="constant", eta0=1e-5, alpha=0.5)
    weighted = quick(**params).partial_fit(X, y, [0, 1, 2], np.full(len(y), 2.0))
    repeated = quick(**params).partial_fit(np.repeat(X, 2, axis=0), np.repeat(y, 2), [0, 1, 2])
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-3)
    assert weighted.t_ == repeated.t_


# -------------------------------------------------------------------------------------------------------------- 5. refusals


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("bad, message", [(-1e-300, "(?i)negative"), (np.nan, "NaN"), (np.inf, "inf")])
def test_weights_that_are_no_weights_are_refused(method, bad, message, make_data):
    X, y = make_data()
    weight = np.ones(len(y))
    weight[5] = bad
    with pytest.raises(ValueError, match=message):
        getattr(quick(), method)(X, y, sample_weight=weight, **({} if method == "fit" else {"classes": [0, 1, 2]}))


def test_fit_refuses_weights_that_are_all_zero(make_data):
    X, y = make_data()
    with pytest.raises(ValueError, match="(?i)weight.*zero"):
        quick().fit(X, y, np.zeros(len(y)))


@pytest.mark.parametrize("weight", [np.ones((120, 1)), np.ones(119), "heavy"])
def test_weights_of_a_wrong_shape_are_refused(weight, make_data):
    with pytest.raises(ValueError):
        quick().fit(*make_data(), weight)


@pytest.mark.parametrize("kind", [list, tuple, np.float32, np.int64])
def test_weights_may_be_any_array_like_and_are_not_modified(kind, make_data, fitted):
    X, y = make_data()
    weight = np.arange(len(y)) % 3
    given = kind(weight)
    assert fitted(quick("balanced").fit(X, y, given)) == fitted(quick("balanced").fit(X, y, weight.astype(float)))
    assert np.array_equal(given, weight)


def test_balanced_weights_sum_to_the_number_of_rows_also_if_a_class_does_not_occur(make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier(class_weight="balanced", warm_start=True, random_state=0).fit(X, y)
    kept = y < 2
    assert model.fit(X[kept], y[kept]).alpha_ == pytest.approx(1 / kept.sum(), rel=1e-12)
