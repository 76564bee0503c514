"""scikit-learn's callbacks: who is told what of `fit`, and when."""

import io
import time

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_softmax import SoftmaxSGDClassifier, _point_saga

try:
    from sklearn import callback
except ImportError:
    callback = None

needs_callbacks = pytest.mark.skipif(callback is None, reason="scikit-learn < 1.9 has no callbacks")
ignore_max_iter = pytest.mark.filterwarnings("ignore:max_iter:sklearn.exceptions.ConvergenceWarning")

# every way of an epoch: with and without the table, an average, a prox, Newton's method, early stopping
VARIANTS = {
    "default": {},
    "no table": {"variance_reduction": False},
    "L1": {"l1_ratio": 1.0, "alpha": 1e-2},
    "invscaling": {"learning_rate": "invscaling"},
    "invscaling, averaged": {"learning_rate": "invscaling", "average": True},
    "invscaling, averaged from 400": {"learning_rate": "invscaling", "average": 400},
    "warm": {"warm_start": True},
}


class Recorder:
    """Keeps all that it is told, and stops after so many epochs."""

    def __init__(self, stop_after=None):
        self.stop_after, self.events, self.models, self.told = stop_after, [], [], []

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.events.append(("end", context.task_name, context.task_id))
        self.told.append((X, y, metadata))
        if context.task_name == "epoch":
            self.models.append(fitted_estimator)
        return self.stop_after is not None and len(self.models) >= self.stop_after


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@needs_callbacks
@ignore_max_iter
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_model_of_an_epoch_is_that_of_a_fit_which_ends_there(variant, n_classes, make_data, fitted):
    X, y = make_data(n_classes)

    def unfitted(**params):
        model = SoftmaxSGDClassifier(tol=None, random_state=0, **VARIANTS[variant], **params)
        return model.partial_fit(X[::2], y[::2], np.unique(y)) if model.warm_start else model

    recorder = Recorder()
    unfitted(max_iter=6).set_callbacks(recorder).fit(X, y)
    assert len(recorder.models) == 6
    for n_epochs, told in enumerate(recorder.models, start=1):
        expected = fitted(unfitted(max_iter=n_epochs).fit(X, y))
        attributes = fitted(told)
        # what a bound costs is not spent in mid-fit
        assert attributes.pop("optimality_gap_")[-1] == "inf" and expected.pop("optimality_gap_")[-1] != "inf"
        assert attributes == expected


@needs_callbacks
@ignore_max_iter
@pytest.mark.parametrize("variant", [*VARIANTS, "early stopping"])
def test_callbacks_change_nothing_of_the_model(variant, iris, fitted):
    params = {"random_state": 0, **VARIANTS.get(variant, {"early_stopping": True})}
    watched = SoftmaxSGDClassifier(**params).set_callbacks(Recorder()).fit(*iris)
    assert fitted(watched) == fitted(SoftmaxSGDClassifier(**params).fit(*iris))


@needs_callbacks
def test_a_model_that_a_callback_keeps_is_its_own(iris, fitted):
    recorder = Recorder()
    model = SoftmaxSGDClassifier(learning_rate="invscaling", max_iter=3, tol=None).set_callbacks(recorder).fit(*iris)
    before = [fitted(kept) for kept in recorder.models]
    assert before[0] != before[1]
    recorder.models[0].partial_fit(*iris)
    model.partial_fit(*iris)
    assert [fitted(kept) for kept in recorder.models[1:]] == before[1:] and fitted(recorder.models[0]) != before[0]


@needs_callbacks
def test_scoring_monitor_scores_the_model_of_each_epoch(iris):
    X, y = iris
    weight = np.random.default_rng(0).uniform(size=len(y))
    monitor = callback.ScoringMonitor(scoring=["neg_log_loss", "accuracy"])
    params = {"tol": None, "random_state": 0}
    SoftmaxSGDClassifier(max_iter=4, **params).set_callbacks(monitor).fit(X, y, weight)
    of_fit, *rows = monitor.get_logs().data
    assert [row["task_id_path"] for row in rows] == [(0, epoch) for epoch in range(4)]
    for epoch, row in enumerate(rows):
        model = SoftmaxSGDClassifier(max_iter=epoch + 1, **params).fit(X, y, weight)
        assert row["neg_log_loss"] == pytest.approx(-log_loss(y, model.predict_proba(X), sample_weight=weight), rel=1e-12)
        assert row["accuracy"] == accuracy_score(y, model.predict(X), sample_weight=weight)
    assert of_fit["task_id_path"] == (0,) and of_fit["neg_log_loss"] == rows[-1]["neg_log_loss"]


@needs_callbacks
def test_passes_of_newtons_method_are_epochs_and_there_is_a_model_after_each_step(iris, fitted):
    X, y = iris
    recorder = Recorder()
    model = SoftmaxSGDClassifier(alpha=0.01, l1_ratio=0.5, tol=1e-10, max_iter=300, random_state=0)
    model.set_callbacks(recorder).fit(X, y)
    n_epochs = _point_saga.MOST_EPOCHS
    assert len(recorder.models) == model.n_iter_ > n_epochs  # it was there
    given = [epoch for epoch, told in enumerate(recorder.models) if told is not None]
    assert given[:n_epochs] == list(range(n_epochs)) and len(given) < model.n_iter_ and given[-1] == model.n_iter_ - 1
    for epoch in given:
        assert recorder.models[epoch].n_iter_ == epoch + 1
    of_steps = [log_loss(y, recorder.models[epoch].predict_proba(X)) for epoch in given if epoch >= n_epochs]
    assert len(set(of_steps)) == len(of_steps) > 1
    np.testing.assert_array_equal(recorder.models[-1].coef_, model.coef_)


@needs_callbacks
def test_there_is_a_model_after_each_step_without_epochs(iris):
    X, y = iris
    recorder = Recorder()
    model = SoftmaxSGDClassifier(tol=1e-10, random_state=0).set_callbacks(recorder).fit(X, y)
    given = [epoch for epoch, told in enumerate(recorder.models) if told is not None]
    assert given[0] == 0 and given[-1] == model.n_iter_ - 1 and 5 < len(given) < model.n_iter_
    for epoch in given:
        assert recorder.models[epoch].n_iter_ == epoch + 1
    losses = [log_loss(y, recorder.models[epoch].predict_proba(X)) for epoch in given]
    assert losses[0] == pytest.approx(np.log(3)) and losses[-1] < 0.2  # from zeros
    np.testing.assert_array_equal(recorder.models[-1].coef_, model.coef_)


@needs_callbacks
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_callback_that_returns_true_stops_fit_without_a_warning(variant, stop_after, make_data):
    X, y = make_data()
    model = SoftmaxSGDClassifier(tol=1e-12, random_state=0, **VARIANTS[variant])
    model.set_callbacks(Recorder(stop_after)).fit(X, y)
    # a step of a method without epochs may take more passes than one
    assert stop_after <= model.n_iter_ == len(model.loss_curve_) <= stop_after + 3
    assert 0 < model.optimality_gap_ < np.inf


@needs_callbacks
@pytest.mark.parametrize("stop_after, params", [(31, {"l1_ratio": 0.5}), (5, {})])
def test_a_callback_stops_newtons_method(stop_after, params, iris):
    X, y = iris
    recorder = Recorder(stop_after=stop_after)
    model = SoftmaxSGDClassifier(tol=1e-12, max_iter=300, random_state=0, **params).set_callbacks(recorder).fit(X, y)
    assert stop_after <= model.n_iter_ == len(recorder.models) < 45
    np.testing.assert_array_equal(recorder.models[-1].coef_, model.coef_)


@needs_callbacks
def test_early_stopping_returns_its_best_epoch_if_a_callback_stops_it(make_data):
    X, y = make_data(n_samples=60, n_features=30)
    recorder = Recorder(stop_after=8)
    model = SoftmaxSGDClassifier(alpha=0, early_stopping=True, n_iter_no_change=50, random_state=1).set_callbacks(recorder)
    model.fit(X, y)
    best = int(np.argmax(model.validation_scores_))
    assert len(model.validation_scores_) == 8 and best < 7  # else it would say nothing
    np.testing.assert_array_equal(model.coef_, recorder.models[best].coef_)


@needs_callbacks
def test_max_iter_is_still_warned_of(iris):
    with pytest.warns(ConvergenceWarning, match="max_iter=2 was reached"):
        SoftmaxSGDClassifier(max_iter=2).set_callbacks(Recorder(stop_after=3)).fit(*iris)


@needs_callbacks
def test_order_of_events_and_what_is_told(iris):
    X, y = iris
    labels, weight = np.array(["a", "b", "c"])[y], np.ones(150)
    recorder = Recorder()
    SoftmaxSGDClassifier(max_iter=2, tol=None).set_callbacks(recorder).fit(X, labels, sample_weight=weight)
    epochs = [event for epoch in range(2) for event in (("begin", "epoch", epoch), ("end", "epoch", epoch))]
    assert recorder.events == [("setup", "fit"), ("begin", "fit", 0), *epochs, ("end", "fit", 0), ("teardown", "fit")]
    for X_told, y_told, metadata in recorder.told:
        assert X_told is X and y_told is labels and metadata == {"sample_weight": weight}


@needs_callbacks
@pytest.mark.parametrize("where", ["input", "epoch"])
def test_an_error_tears_callbacks_down_and_leaves_the_model(where, iris, fitted):
    X, y = iris
    model = SoftmaxSGDClassifier(max_iter=2, tol=None).fit(X, y)
    before = fitted(model)
    recorder = Recorder()
    if where == "epoch":
        recorder.on_fit_task_end = lambda estimator, context: 1 / 0
    model.set_callbacks(recorder)
    with pytest.raises(ValueError if where == "input" else ZeroDivisionError):
        model.fit(X, y[:3] if where == "input" else y)
    assert recorder.events[-1] == ("teardown", "fit") and fitted(model) == before
    assert not hasattr(model, "_callback_fit_ctx")
    assert fitted(model.set_callbacks().fit(X, y)).keys() == before.keys()


@needs_callbacks
def test_partial_fit_has_no_callbacks(iris):
    recorder = Recorder()
    SoftmaxSGDClassifier().set_callbacks(recorder).partial_fit(*iris, classes=[0, 1, 2])
    assert recorder.events == []


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_scoring_monitor_and_progress_bar_under_a_search_over_a_pipeline(n_jobs, iris, monkeypatch):
    rich = pytest.importorskip("rich.console")
    shown = io.StringIO()
    # where rich's progress bars write to
    monkeypatch.setattr("rich.live.get_console", lambda: rich.Console(file=shown, width=120, force_terminal=True))
    monkeypatch.setattr("rich.progress.get_console", lambda: rich.Console(file=shown, width=120, force_terminal=True))
    X, y = iris
    monitor = callback.ScoringMonitor(scoring="neg_log_loss")
    pipeline = make_pipeline(StandardScaler(), SoftmaxSGDClassifier(max_iter=3, tol=None, random_state=0).set_callbacks(monitor))
    search = GridSearchCV(pipeline, {"softmaxsgdclassifier__alpha": [0.01, 1.0]}, cv=2, n_jobs=n_jobs, scoring="neg_log_loss")
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)

    fits = 2 * 2 + 1
    deadline = time.monotonic() + 30  # rows of worker processes may come late
    while len(rows := monitor.get_logs().data) < fits * (3 + 1) and time.monotonic() < deadline:
        time.sleep(0.05)
    epochs = [row for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == fits * 3
    # the best of all is in it, as scored at the end of its last epoch
    expected = -log_loss(y, search.predict_proba(X))
    assert any(row["neg_log_loss"] == pytest.approx(expected, rel=1e-12) for row in epochs if row["task_id"] == 2)
    assert "SoftmaxSGDClassifier" in shown.getvalue() and "GridSearchCV" in shown.getvalue()


@needs_callbacks
def test_a_search_hands_on_that_a_callback_stops(iris):
    pipeline = make_pipeline(StandardScaler(), SoftmaxSGDClassifier(tol=1e-12).set_callbacks(Recorder(stop_after=1)))
    search = GridSearchCV(pipeline, {"softmaxsgdclassifier__alpha": [0.01]}, cv=2, n_jobs=2).fit(*iris)
    assert search.best_estimator_[-1].n_iter_ == 1


@needs_callbacks
def test_names_of_features_reach_scorers(iris):
    pandas = pytest.importorskip("pandas")
    X, y = iris
    monitor = callback.ScoringMonitor(scoring="accuracy")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    SoftmaxSGDClassifier(max_iter=2, tol=None).set_callbacks(monitor).fit(frame, y)  # else scorers would warn
    assert len(monitor.get_logs().data_as_pandas) == 3


def test_nobody_is_told_anything_if_no_callback_is_set(iris, monkeypatch):
    def fails(*args, **kwargs):
        raise AssertionError

    if callback is not None:
        monkeypatch.setattr(callback.CallbackContext, "_from_estimator", fails)
    monkeypatch.setattr("sklearn_softmax._callbacks.FitCallbacks.begin_pass", fails)
    monkeypatch.setattr("sklearn_softmax._callbacks.FitCallbacks.end_passes", fails)
    assert SoftmaxSGDClassifier().fit(*iris).n_iter_ > 1


@pytest.mark.skipif(callback is not None, reason="of scikit-learn < 1.9")
def test_without_callbacks_in_scikit_learn_there_is_no_method_to_set_them():
    assert not hasattr(SoftmaxSGDClassifier(), "set_callbacks")
