"""The epoch loop: where it ends up (against LogisticRegression), when it stops, and what it does when something goes wrong."""

import re
import tracemalloc
from copy import deepcopy

import numpy as np
import pytest
import reference
import sklearn
from scipy.sparse import csr_array
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from sklearn_softmax import SoftmaxSGDClassifier, _explicit, _point_saga, _solver
from sklearn_softmax._model import Model
from sklearn_softmax._objective import Objective, Penalty

ignore_max_iter = pytest.mark.filterwarnings("ignore:max_iter:sklearn.exceptions.ConvergenceWarning")
ignore_end = pytest.mark.filterwarnings("ignore:.*ended far from the optimum:sklearn.exceptions.ConvergenceWarning")


def data(name, n_classes=3):
    if name == "synthetic":
        rng = np.random.default_rng(0)
        X = rng.normal(size=(150, 5))
        y = (X @ rng.normal(size=(5, n_classes)) + rng.gumbel(size=(150, n_classes))).argmax(axis=1)
        return StandardScaler().fit_transform(X), y
    X, y = {"iris": load_iris, "wine": load_wine}[name](return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]
    return StandardScaler().fit_transform(X), y


def logistic_regression(X, y, alpha, l1_ratio):
    C = 1 / (alpha * len(y))
    if l1_ratio == 0:
        return LogisticRegression(C=C, tol=1e-10, max_iter=10000, solver="newton-cg").fit(X, y)
    penalty = {} if parse_version(sklearn.__version__) >= parse_version("1.8") else {"penalty": "elasticnet"}
    return LogisticRegression(C=C, l1_ratio=l1_ratio, tol=1e-8, max_iter=20000, solver="saga", random_state=0, **penalty).fit(
        X, y
    )


# (With L1 alone the collinear columns of iris and wine leave directions without curvature, in which plain SGD is slow: the
# synthetic columns are independent.)
@pytest.mark.parametrize(
    ("name", "n_classes", "l1_ratio", "measured"),
    [
        ("iris", 2, 0.0, 1.0e-4),
        ("iris", 2, 0.4, 1.7e-3),
        ("iris", 3, 0.0, 7.9e-3),
        ("iris", 3, 0.4, 4.4e-2),
        ("wine", 2, 0.0, 1.3e-3),
        ("wine", 2, 0.4, 1.9e-3),
        ("wine", 2, 1.0, 3.7e-2),
        ("wine", 3, 0.0, 7.0e-3),
        ("wine", 3, 0.4, 1.8e-2),
        ("synthetic", 2, 1.0, 3.3e-3),
        ("synthetic", 3, 1.0, 4.9e-3),
    ],
)
def test_coefficients_become_those_of_logistic_regression(name, n_classes, l1_ratio, measured):
    X, y = data(name, n_classes)
    theirs = logistic_regression(X, y, 0.02, l1_ratio)
    F = Objective(X, y, np.ones(len(y)), Penalty(0.02, l1_ratio, n_classes))
    optimum = Model.from_public(theirs.coef_, theirs.intercept_).point()
    params = dict(learning_rate="invscaling", eta0=1.0, power_t=0.6, tol=None, random_state=0)
    distances = []
    for n_epochs in (60, 600):
        ours = SoftmaxSGDClassifier(
            alpha=0.02, l1_ratio=l1_ratio, max_iter=n_epochs, average=n_epochs // 2 * len(y), **params
        ).fit(X, y)
        distances.append(np.abs(ours.coef_ - theirs.coef_).max())
        excess = F.value(Model.from_public(ours.coef_, ours.intercept_).point()) - F.value(optimum)
        assert 0 <= excess + 1e-12 <= ours.optimality_gap_ + 2e-12
    assert distances[1] < 2 * measured
    assert distances[1] < distances[0] / 3  # measured: 1/4 at most


# Stopping -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_iter_no_change", [1, 4])
def test_fit_stops_after_epochs_without_progress(n_iter_no_change):
    fitted = SoftmaxSGDClassifier(learning_rate="invscaling", tol=0.01, n_iter_no_change=n_iter_no_change, random_state=0)
    fitted.fit(*data("iris"))
    curve = fitted.loss_curve_
    best = np.minimum.accumulate(np.r_[np.inf, curve[:-1]])
    no_progress = curve > best - 0.01
    ends = [e for e in range(n_iter_no_change, len(curve) + 1) if no_progress[e - n_iter_no_change : e].all()]
    assert ends == [fitted.n_iter_]


def test_without_tol_all_epochs_are_run():
    fitted = SoftmaxSGDClassifier(tol=None, max_iter=37, random_state=0).fit(*data("iris"))
    assert fitted.n_iter_ == len(fitted.loss_curve_) == 37


def test_reaching_max_iter_warns_with_a_true_bound():
    X, y = data("wine")
    with pytest.warns(ConvergenceWarning, match="max_iter=3 was reached: the training loss") as caught:
        fitted = SoftmaxSGDClassifier(alpha=0.02, standardize=False, max_iter=3, tol=1e-9, random_state=0).fit(X, y)
    said = float(re.search(r"up to (\S+) nats", str(caught[0].message))[1])
    assert said == pytest.approx(fitted.optimality_gap_, rel=0.06)
    theirs = logistic_regression(X, y, 0.02, 0)
    F = Objective(X, y, np.ones(len(y)), Penalty(0.02, 0, 3))
    points = [Model.from_public(model.coef_, model.intercept_).point() for model in (fitted, theirs)]
    excess = F.value(points[0]) - F.value(points[1])
    assert 0 <= excess <= fitted.optimality_gap_


def test_adaptive_divides_its_step_until_it_is_tiny(monkeypatch):
    etas, sweep = [], _explicit.kernels.explicit

    def recorded(*args, **kwargs):
        etas.append(kwargs["eta"][0])
        return sweep(*args, **kwargs)

    monkeypatch.setattr(_explicit.kernels, "explicit", recorded)
    SoftmaxSGDClassifier(learning_rate="adaptive", eta0=0.1, tol=1e-3, n_iter_no_change=2, max_iter=1000, random_state=0).fit(
        *data("iris")
    )
    np.testing.assert_allclose(sorted(set(etas), reverse=True), 0.1 / 5.0 ** np.arange(9), rtol=1e-12)
    assert (np.diff(etas) <= 0).all()


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("params", [{"learning_rate": "constant", "eta0": 0.1}, {"alpha": 0.0}])
def test_early_stopping_restores_the_best_model(params, average, make_data):
    X, y = make_data()
    X, y, X_val, y_val = X[::2], y[::2], X[1::2], y[1::2]
    params = params | dict(average=average, tol=0, random_state=0)
    fitted = SoftmaxSGDClassifier(early_stopping=True, n_iter_no_change=9, **params).fit(X, y, X_val=X_val, y_val=y_val)
    scores = fitted.validation_scores_
    best = int(np.argmax(scores))
    assert best > 0 and len(scores) == fitted.n_iter_ == best + 1 + 9
    assert fitted.best_validation_score_ == scores[best]
    assert -log_loss(y_val, fitted.predict_proba(X_val)) == pytest.approx(scores[best], rel=1e-9)
    until_best = SoftmaxSGDClassifier(**params | dict(max_iter=best + 1, tol=None)).fit(X, y)
    np.testing.assert_array_equal(until_best.coef_, fitted.coef_)


# Trouble --------------------------------------------------------------------------------------------------------------------


@ignore_max_iter
@ignore_end
@pytest.mark.parametrize("scale", [1e200, 1e300])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling"])
def test_huge_x_overflows_with_advice_and_no_nan(learning_rate, scale):
    X, y = data("iris")
    column = np.argmax(np.abs(X).max(axis=0))
    with pytest.warns(ConvergenceWarning, match=f"(?s)at update .*{learning_rate}.*eta0=0.1.*column {column}") as caught:
        fitted = SoftmaxSGDClassifier(learning_rate=learning_rate, eta0=0.1, max_iter=5).fit(X * scale, y)
    assert f"{np.abs(X).max() * scale:.3g}" in str(caught[0].message)
    assert np.isfinite(fitted.coef_).all()
    assert np.isfinite(fitted.predict_proba(X * scale)).all()


@ignore_max_iter
@ignore_end
def test_a_huge_step_overflows_with_advice_and_no_nan():
    X, y = data("iris")
    with pytest.warns(ConvergenceWarning, match=r"at update .*'constant', eta0=1e\+300"):
        fitted = SoftmaxSGDClassifier(learning_rate="constant", eta0=1e300, max_iter=5).fit(X * 1e10, y)
    assert np.isfinite(fitted.coef_).all()
    assert np.isfinite(fitted.intercept_).all()


@pytest.mark.parametrize(
    "learning_rate, module, kernel, n_calls", [("invscaling", _explicit, "explicit", 4), ("auto", _point_saga, "point_saga", 3)]
)
def test_an_interrupted_fit_keeps_the_last_complete_epoch(learning_rate, module, kernel, n_calls, monkeypatch):
    X, y = data("iris")
    expected = SoftmaxSGDClassifier(learning_rate=learning_rate, max_iter=3, tol=None, random_state=0).fit(X, y)
    calls, sweep = [], getattr(module.kernels, kernel)

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == n_calls:
            raise KeyboardInterrupt
        return sweep(*args, **kwargs)

    monkeypatch.setattr(module.kernels, kernel, interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        fitted = SoftmaxSGDClassifier(learning_rate=learning_rate, tol=None, random_state=0).fit(X, y)
    np.testing.assert_array_equal(fitted.coef_, expected.coef_)
    assert fitted.n_iter_ == 3


def test_loss_curve_is_the_running_loss_of_the_twin_plus_the_penalty():
    X, y = data("iris")
    fitted = SoftmaxSGDClassifier(alpha=0.02, learning_rate="constant", eta0=0.1, shuffle=False, tol=None, max_iter=4).fit(X, y)
    n, W, b, curve = len(y), np.zeros((3, 4)), np.zeros(3), []
    for _ in range(4):
        W, b, _, loss, _ = reference.sweep(
            X, y, np.ones(n), range(n), np.full(n, 0.1), np.full(n, 0.02), W, b, l2_ratio=1, l1_ratio=0, fit_intercept=True
        )
        curve.append(loss / n + 0.01 * np.square(W).sum())
    np.testing.assert_allclose(fitted.loss_curve_, curve, rtol=1e-10)
    np.testing.assert_allclose(fitted.coef_, W, rtol=1e-9)


@pytest.mark.parametrize("params", [{}, {"standardize": False}, {"learning_rate": "invscaling", "average": True}])
@pytest.mark.parametrize("alpha", [0.0, 0.01])
def test_a_warm_start_with_coefficients_of_columns_that_no_longer_occur(params, alpha, monkeypatch):
    X, y = data("synthetic")
    wide = np.zeros((len(X), 40))
    wide[:, :5] = X
    model = SoftmaxSGDClassifier(alpha=alpha, max_iter=2, tol=None, random_state=0, warm_start=True, **params)
    model.fit(csr_array(wide), y)
    wide[:, 3] = 0
    other = deepcopy(model).fit(csr_array(wide), y)
    monkeypatch.setattr(_solver, "columns_in_use", lambda X, start: None)
    model.fit(csr_array(wide), y)
    np.testing.assert_allclose(other.coef_, model.coef_, rtol=1e-12, atol=1e-14)
    if "learning_rate" in params:
        assert other.coef_[:, 3].all()  # no row moves it; a penalty does


def test_columns_that_never_occur_take_little_memory():
    rng, n_features = np.random.default_rng(0), 1 << 18
    columns = np.sort(rng.integers(0, n_features // 50, (200, 50)) * 50 + np.arange(50), axis=1)
    X = csr_array((np.ones(columns.size), columns.ravel(), np.arange(0, columns.size + 1, 50)), shape=(200, n_features))
    y = rng.integers(0, 4, 200)
    tracemalloc.start()
    try:
        SoftmaxSGDClassifier(max_iter=3, tol=None, random_state=0).fit(X, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # the model and its moments have 12 numbers a feature; measured: 14.4
    assert peak < 25 * 8 * n_features


def test_verbose_prints_a_line_per_epoch(capsys):
    SoftmaxSGDClassifier(verbose=1, max_iter=3, tol=None).fit(*data("iris"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2", "Epoch 3"]
