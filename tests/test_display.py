"""LossCurveDisplay: what is drawn is the loss curve."""

import builtins
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_softmax import LossCurveDisplay, SoftmaxSGDClassifier

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.fixture
def model(make_data):
    return SoftmaxSGDClassifier(max_iter=4, tol=None, random_state=0).fit(*make_data())


@pytest.fixture
def validated(make_data):
    return SoftmaxSGDClassifier(max_iter=4, tol=None, early_stopping=True, random_state=0).fit(*make_data())


def labels(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_the_line_is_the_loss_curve_by_epoch(model):
    display = LossCurveDisplay.from_estimator(model)
    assert np.array_equal(display.line_.get_xdata(), [1, 2, 3, 4])
    assert np.array_equal(display.line_.get_ydata(), model.loss_curve_)
    assert display.validation_line_ is None
    assert display.figure_ is display.ax_.figure and labels(display) == ["SoftmaxSGDClassifier"]
    assert display.ax_.get_xlabel() == "Epoch" and "nats" in display.ax_.get_ylabel()
    display.figure_.canvas.draw()


def test_with_early_stopping_the_held_out_log_loss_is_there_too(validated):
    display = LossCurveDisplay.from_estimator(validated, name="mine", color="red")
    assert np.array_equal(display.validation_line_.get_ydata(), -validated.validation_scores_)
    assert display.validation_line_.get_color() == display.line_.get_color() == "red"
    assert display.validation_line_.get_linestyle() == "--" != display.line_.get_linestyle()
    assert labels(display) == ["mine, training loss", "mine, validation log loss"]


def test_several_models_share_axes(model, validated):
    display = LossCurveDisplay.from_estimator(model, name="one")
    other = LossCurveDisplay.from_estimator(validated, ax=display.ax_, name="other")
    assert other.ax_ is display.ax_ and len(display.ax_.lines) == 3
    assert labels(display) == ["one", "other, training loss", "other, validation log loss"]


def test_plot_can_be_called_again_under_another_name(model):
    display = LossCurveDisplay.from_estimator(model)
    first = display.ax_
    assert display.plot(name="again", linewidth=3) is display and display.ax_ is not first
    assert labels(display) == ["again"] and display.line_.get_linewidth() == 3
    display.plot(label="by hand")
    assert labels(display) == ["by hand"]


def test_numbers_alone_need_no_model():
    display = LossCurveDisplay([3, 2, 1]).plot()
    assert display.ax_.get_legend() is None and len(display.line_.get_xdata()) == 3
    assert labels(LossCurveDisplay([3, 2], validation_loss=[3, 3]).plot(ls=":")) == ["training loss", "validation log loss"]


def test_a_pipeline_shows_its_last_step(make_data):
    pipeline = make_pipeline(StandardScaler(), make_pipeline(SoftmaxSGDClassifier(max_iter=2, tol=None))).fit(*make_data())
    assert len(LossCurveDisplay.from_estimator(pipeline).line_.get_xdata()) == 2


def test_errors(model, make_data):
    X, y = make_data()
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(SoftmaxSGDClassifier())
    with pytest.raises(TypeError, match="LogisticRegression"):
        LossCurveDisplay.from_estimator(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y))
    with pytest.raises(ValueError, match="because partial_fit has no epochs. Use fit"):
        LossCurveDisplay.from_estimator(SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2]))


def test_matplotlib_is_asked_for_in_words_and_only_when_it_is_needed(model, monkeypatch):
    real_import = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        LossCurveDisplay.from_estimator(model)
