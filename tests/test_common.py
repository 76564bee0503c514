"""scikit-learn's own checks of an estimator, for several instances of it."""

import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_softmax import SoftmaxSGDClassifier, SoftmaxSGDClassifierCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

INSTANCES = {
    "default": SoftmaxSGDClassifier(),
    "not standardised": SoftmaxSGDClassifier(standardize=False),
    "no table": SoftmaxSGDClassifier(variance_reduction=False),
    "tight": SoftmaxSGDClassifier(tol=1e-12, max_iter=10_000),
    "invscaling": SoftmaxSGDClassifier(learning_rate="invscaling"),
    "constant": SoftmaxSGDClassifier(learning_rate="constant"),
    "optimal": SoftmaxSGDClassifier(learning_rate="optimal", alpha=1e-3),
    "adaptive": SoftmaxSGDClassifier(learning_rate="adaptive"),
    "L1": SoftmaxSGDClassifier(l1_ratio=1.0, alpha=1e-3),
    "elastic net": SoftmaxSGDClassifier(l1_ratio=0.5, alpha=1e-3),
    "averaged": SoftmaxSGDClassifier(learning_rate="invscaling", average=True),
    "early stopping": SoftmaxSGDClassifier(early_stopping=True, validation_fraction=0.3),
    "balanced": SoftmaxSGDClassifier(class_weight="balanced"),
    "warm start": SoftmaxSGDClassifier(warm_start=True),
    "no intercept": SoftmaxSGDClassifier(fit_intercept=False),
    "path": SoftmaxSGDClassifierCV(alphas=4, cv=3),  # some checks have three rows of a class
    "tight path": SoftmaxSGDClassifierCV(alphas=[1e-2, 1e-3], cv=3, tol=1e-12, max_iter=10_000),
}

WEIGHT_IS_A_STEP = (
    "a sample weight is the length of a step: it equals repeated rows at the optimum only, and fit stops before it, within tol; "
    "the instance with a tight tol passes, and test_weights.py has the law that does hold"
)

# instance -> check -> reason; test_a_check_that_is_expected_to_fail_does_fail keeps it honest
EXPECTED_FAILURES = {
    name: {
        "check_sample_weight_equivalence_on_dense_data": WEIGHT_IS_A_STEP,
        "check_sample_weight_equivalence_on_sparse_data": WEIGHT_IS_A_STEP,
    }
    for name in INSTANCES
}
EXPECTED_FAILURES["tight"] = EXPECTED_FAILURES["tight path"] = {}
# few dense rows are solved to the last digits
for name in ("default", "balanced", "warm start", "no intercept", "path"):
    del EXPECTED_FAILURES[name]["check_sample_weight_equivalence_on_dense_data"]
EXPECTED_FAILURES["early stopping"] = {
    "check_sample_weight_equivalence_on_dense_data": "has 1 row of a class, of which nothing can be held out",
    "check_sample_weight_equivalence_on_sparse_data": "has 1 row of a class, of which nothing can be held out",
}
EXPECTED_FAILURES["no intercept"]["check_class_weight_classifiers"] = (
    "wants nearly all rows to be given to one class, which a boundary through the origin, amid the rows, can't do; "
    "LogisticRegression(fit_intercept=False) fails it, too"
)


# those that differ in the way of a step; the others are slow
QUICK = ("default", "no table", "constant", "L1", "averaged", "early stopping", "path")


def name_of(estimator):
    return next(name for name, instance in INSTANCES.items() if instance.get_params() == estimator.get_params())


def expected_failures(estimator):
    return EXPECTED_FAILURES[name_of(estimator)]


# scikit-learn 1.6 hands pytest a generator, which pytest >= 9 does not like
CHECKS = parametrize_with_checks(list(INSTANCES.values()), expected_failed_checks=expected_failures)


def as_slow_as_it_is(case):
    values, marks = (case.values, case.marks) if hasattr(case, "marks") else (case, ())
    return pytest.param(*values, marks=[*marks, pytest.mark.slow] if name_of(values[0]) not in QUICK else marks)


@pytest.mark.parametrize(CHECKS.args[0], list(map(as_slow_as_it_is, CHECKS.args[1])), **CHECKS.kwargs)
def test_scikit_learn_accepts_the_estimator(estimator, check):
    check(estimator)


@pytest.mark.parametrize("instance, check", [(name, check) for name, checks in EXPECTED_FAILURES.items() for check in checks])
def test_a_check_that_is_expected_to_fail_does_fail(instance, check):
    # (xfail_strict of parametrize_with_checks exists from scikit-learn 1.9 on)
    with pytest.raises((AssertionError, ValueError)):
        getattr(estimator_checks, check)("SoftmaxSGDClassifier", clone(INSTANCES[instance]))


@pytest.mark.parametrize(
    "check",
    ["check_dataframe_column_names_consistency", "check_param_validation"],
)
@pytest.mark.parametrize("instance", INSTANCES)
def test_scikit_learn_accepts_the_estimator_in_checks_that_it_does_not_yield(instance, check):
    if check == "check_dataframe_column_names_consistency":
        pytest.importorskip("pandas")
    estimator = clone(INSTANCES[instance])
    getattr(estimator_checks, check)(type(estimator).__name__, estimator)


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("instance", ["averaged", "L1", "early stopping"])
def test_scikit_learn_accepts_training_on_memory_that_is_or_is_not_read_only(instance, dtype, readonly):
    estimator_checks.check_classifiers_train(
        "SoftmaxSGDClassifier", clone(INSTANCES[instance]), readonly_memmap=readonly, X_dtype=dtype
    )


def test_no_check_is_skipped():
    results = estimator_checks.check_estimator(SoftmaxSGDClassifier(), on_skip=None, on_fail=None)
    assert [result["check_name"] for result in results if result["status"] == "skipped"] == []
