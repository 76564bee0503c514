"""Displays: what is drawn is the loss curve, or the coefficients."""

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

from sklearn_softmax import (
    CoefficientDisplay,
    LossCurveDisplay,
    PathScoreDisplay,
    RegularizationPathDisplay,
    SoftmaxSGDClassifier,
    SoftmaxSGDClassifierCV,
    inference,
)

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


# paths ---------------------------------------------------------------------------------


@pytest.fixture
def chooser(make_data):
    clf = SoftmaxSGDClassifierCV(alphas=6, l1_ratios=(0.0, 0.7), cv=3, random_state=0)
    return clf.fit(*make_data(3))


def of_choice(clf):
    row = [0.0, 0.7].index(clf.l1_ratio_)
    return clf.alphas_[row], clf.coefs_paths_[:, row].mean(axis=0) * clf.scale_, clf.scores_[:, row]


def test_lines_of_a_path_are_norms_of_mean_coefficients(chooser):
    display = RegularizationPathDisplay.from_estimator(chooser)
    alphas, coefs, _ = of_choice(chooser)
    assert len(display.lines_) == 5
    for feature, line in enumerate(display.lines_):
        np.testing.assert_array_equal(line.get_xdata(), alphas)
        np.testing.assert_allclose(line.get_ydata(), np.sqrt((coefs[:, :, feature] ** 2).sum(axis=1)))
    assert display.alpha_line_.get_xdata() == [chooser.alpha_, chooser.alpha_]
    assert display.ax_.get_xscale() == "log"
    assert display.figure_ is display.ax_.figure


def test_lines_of_a_path_are_coefficients_of_a_class(chooser):
    ax = plt.subplots()[1]
    display = RegularizationPathDisplay.from_estimator(make_pipeline(StandardScaler(), chooser), label=2, ax=ax, linewidth=3)
    assert display.ax_ is ax
    assert display.lines_[0].get_linewidth() == 3
    np.testing.assert_allclose(display.lines_[4].get_ydata(), of_choice(chooser)[1][:, 2, 4])
    assert ax.get_ylabel() == "Coefficient of class 2"
    with pytest.raises(ValueError, match="label=7 is no class"):
        RegularizationPathDisplay.from_estimator(chooser, label=7)


def test_two_classes_have_one_coefficient(make_data):
    X, y = make_data(2)
    clf = SoftmaxSGDClassifierCV(alphas=3, cv=3).fit(X, np.array(["no", "yes"])[y])
    display = RegularizationPathDisplay.from_estimator(clf, label="yes")
    np.testing.assert_allclose(display.lines_[1].get_ydata(), (clf.coefs_paths_[:, 0].mean(axis=0) * clf.scale_)[:, 0, 1])
    with pytest.raises(ValueError, match="yes"):
        RegularizationPathDisplay.from_estimator(clf, label="no")


def test_the_curve_is_the_mean_score_and_both_choices_are_marked(chooser):
    display = PathScoreDisplay.from_estimator(chooser)
    alphas, _, scores = of_choice(chooser)
    np.testing.assert_allclose(display.line_.get_ydata(), -scores.mean(axis=0))
    error = scores.std(axis=0, ddof=1) / np.sqrt(3)
    edges = display.band_.get_paths()[0].vertices[:, 1]
    assert edges.min() == pytest.approx((-scores.mean(axis=0) - error).min())
    assert edges.max() == pytest.approx((-scores.mean(axis=0) + error).max())
    assert display.min_line_.get_xdata()[0] == chooser.alpha_
    best = scores.mean(axis=0).argmax()
    within = scores.mean(axis=0) >= scores.mean(axis=0)[best] - error[best]
    assert display.one_se_line_.get_xdata()[0] == alphas[within].max()
    assert display.ax_.get_ylabel() == "Mean log loss (nats per row)"


def test_a_score_that_is_no_loss_is_drawn_as_it_is(make_data):
    clf = SoftmaxSGDClassifierCV(alphas=4, cv=3, scoring="accuracy").fit(*make_data(3))
    display = PathScoreDisplay.from_estimator(clf)
    np.testing.assert_allclose(display.line_.get_ydata(), clf.scores_[:, 0].mean(axis=0))
    assert display.ax_.get_ylabel() == "Mean accuracy"


@pytest.mark.parametrize("display", [RegularizationPathDisplay, PathScoreDisplay])
def test_paths_are_those_of_a_fitted_chooser(display, model, monkeypatch, chooser):
    with pytest.raises(TypeError, match="Pass a SoftmaxSGDClassifierCV"):
        display.from_estimator(model)
    with pytest.raises(NotFittedError):
        display.from_estimator(SoftmaxSGDClassifierCV())
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=f"{display.__name__} needs matplotlib"):
        display.from_estimator(chooser)


# CoefficientDisplay -------------------------------------------------------------------


@pytest.fixture
def result(make_data):
    X, y = make_data()
    return inference(SoftmaxSGDClassifier(tol=1e-9, max_iter=1000).fit(X, y), X, y)


def drawn(display):
    """(coefficients, lower and upper ends) as they are in the picture."""
    points, _, (bars,) = display.errorbar_
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    return points.get_xdata(), *ends.T


def test_the_points_are_the_coefficients_of_a_feature(result):
    display = CoefficientDisplay.from_inference(result, feature="x1", confidence_level=0.9)
    table = result.coef_table(0.9).xs("x1", level="feature")
    for values, column in zip(drawn(display), ("coef", "ci_lower", "ci_upper")):
        np.testing.assert_allclose(values, table[column])
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["0", "1", "2"]
    assert display.ax_.get_xlabel() == "Coefficient of x1" and display.ax_.yaxis_inverted()
    assert display.ax_.get_legend() is None and list(display.line_.get_xdata()) == [0, 0]
    np.testing.assert_array_equal(CoefficientDisplay.from_inference(result, feature=1).coef, display.coef)
    display.figure_.canvas.draw()


def test_the_points_are_the_coefficients_of_a_class(result, make_data):
    display = CoefficientDisplay.from_inference(result, label=2, name="mine", color="red")
    np.testing.assert_allclose(drawn(display)[0], result.coef[2, 1:])
    assert display.names == ["x0", "x1", "x2", "x3", "x4"] and labels(display) == ["mine"]
    assert display.plot(display.ax_, name="again").ax_.yaxis_inverted()
    X, y = make_data(2)
    of_two = inference(SoftmaxSGDClassifier(tol=1e-9, max_iter=1000).fit(X, y), X, y)
    display = CoefficientDisplay.from_inference(of_two)
    np.testing.assert_allclose(drawn(display)[0], of_two.coef[0, 1:])
    assert display.ax_.get_xlabel() == "Coefficient for class 1, compared with 0"


def test_errors_of_coefficients(result, model):
    with pytest.raises(TypeError, match="inference"):
        CoefficientDisplay.from_inference(model, feature=0)
    for wrong in ({}, {"feature": 0, "label": 0}):
        with pytest.raises(ValueError, match="either"):
            CoefficientDisplay.from_inference(result, **wrong)
    with pytest.raises(ValueError, match="'size'"):
        CoefficientDisplay.from_inference(result, feature="size")
    with pytest.raises(ValueError, match="label"):
        CoefficientDisplay.from_inference(result, label=7)
