"""Plots of the loss curve of `fit` and of coefficients, like the displays of scikit-learn."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._classifier import SoftmaxSGDClassifier
from ._inference import InferenceResult, coefficients_of

__all__ = ["CoefficientDisplay", "LossCurveDisplay"]


class CoefficientDisplay:
    """Coefficients with their intervals, those of one feature or of one class.

    Use `from_inference` to make a display, which is also called a forest plot. A point
    is a coefficient, the bar through it is its interval, and a dotted line is at 0.
    Requires matplotlib.

    Parameters
    ----------
    coef, lower, upper : array-like of shape (n_coefficients,)
        Coefficients, and the ends of their intervals.

    names : list of str
        The name of each coefficient.

    xlabel : str, default="Coefficient"
        What the coefficients are.

    name : str or None, default=None
        Name of the points in the legend. None draws no legend.

    Attributes
    ----------
    errorbar_ : matplotlib ErrorbarContainer
        The points and the bars.

    line_ : matplotlib Line2D
        The line at 0.

    ax_ : matplotlib Axes
        The axes with the points.

    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    inference : Standard errors of a fitted model.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import CoefficientDisplay, SoftmaxSGDClassifier, inference
    >>> X, y = load_iris(return_X_y=True)
    >>> result = inference(SoftmaxSGDClassifier(tol=1e-8).fit(X, y), X, y)
    >>> display = CoefficientDisplay.from_inference(result, feature="x2")
    >>> print(display.names, display.coef.round(1))
    ['0', '1', '2'] [-1.1 -0.2  1.3]
    """

    def __init__(self, coef, lower, upper, names, *, xlabel="Coefficient", name=None):
        self.coef = coef
        self.lower = lower
        self.upper = upper
        self.names = names
        self.xlabel = xlabel
        self.name = name

    @classmethod
    def from_inference(cls, result, *, feature=None, label=None, confidence_level=0.95, ax=None, name=None, **kwargs):
        """Plot coefficients of a result of `inference`.

        Parameters
        ----------
        result : InferenceResult
            What `inference` returned.

        feature : str, int or None, default=None
            Name or number of a feature, or "intercept", whose coefficients for all
            classes are plotted.

        label : label or None, default=None
            A class whose coefficients of all features are plotted, without the
            intercept. Pass either `feature` or `label`. None for both is the only
            class of a result that has one.

        confidence_level : float, default=0.95
            Of the intervals, between 0 and 1.

        ax : matplotlib Axes or None, default=None
            Axes to plot into. None makes a new figure.

        name : str or None, default=None
            Name of the points in the legend. None draws no legend.

        **kwargs : dict
            Arguments of `matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : CoefficientDisplay
            A display with the points, the axes and the figure.

        Raises
        ------
        TypeError
            If `result` is no `InferenceResult`.
        ValueError
            If the feature or the class is unknown, or if both or neither are passed.
        ImportError
            If matplotlib is not installed.
        """
        if not isinstance(result, InferenceResult):
            raise TypeError(f"result is a {type(result).__name__}. Pass what inference() returns.")
        table, names, what = coefficients_of(result, feature, label, confidence_level)
        values = table["coef"], table["ci_lower"], table["ci_upper"]
        return cls(*values, names, xlabel=what, name=name).plot(ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Plot the coefficients.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to plot into. None makes a new figure.

        name : str or None, default=None
            Name in the legend. None is the name that the display has.

        **kwargs : dict
            Arguments of `matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : CoefficientDisplay
            The display itself, with the points, the axes and the figure.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            ax = _pyplot(self).subplots()[1]
        coef, lower, upper = (np.asarray(values, dtype=float) for values in (self.coef, self.lower, self.upper))
        places = np.arange(len(coef))
        label = self.name if name is None else name
        how = {"fmt": "o", "capsize": 3, "label": label} | kwargs
        self.errorbar_ = ax.errorbar(coef, places, xerr=[coef - lower, upper - coef], **how)
        self.line_ = ax.axvline(0, color="grey", linestyle=":", linewidth=1, zorder=0)
        ax.set(xlabel=self.xlabel, yticks=places, yticklabels=self.names)
        if not ax.yaxis_inverted():  # the first is on top
            ax.invert_yaxis()
        if ax.get_legend_handles_labels()[1]:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


class LossCurveDisplay:
    """Loss curve of a fitted model, the training loss of each epoch in nats per row.

    Use `from_estimator` to make a display. With early stopping, a dashed line of the
    same colour shows the validation log loss. Requires matplotlib.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss (with the penalty) of each epoch, in nats per row.

    validation_loss : array-like of shape (n_epochs,) or None, default=None
        Log loss of held-out rows after each epoch, in nats per row. None draws one
        line.

    name : str or None, default=None
        Name of the model in the legend. None draws no legend, unless there are two
        lines.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The loss curve.

    validation_line_ : matplotlib Line2D or None
        The validation log loss. None without early stopping.

    ax_ : matplotlib Axes
        The axes with the lines.

    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : The score by the number of rows.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import LossCurveDisplay, SoftmaxSGDClassifier
    >>> clf = SoftmaxSGDClassifier(random_state=0).fit(*load_iris(return_X_y=True))
    >>> display = LossCurveDisplay.from_estimator(clf)
    >>> loss = display.line_.get_ydata()
    >>> print(f"training loss {loss[0]:.2f} at first, {loss[-1]:.2f} in the end")
    training loss 1.10 at first, 0.21 in the end
    """

    def __init__(self, loss_curve, *, validation_loss=None, name=None):
        self.loss_curve = loss_curve
        self.validation_loss = validation_loss
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, **kwargs):
        """Plot the loss curve of a model after `fit`.

        Parameters
        ----------
        estimator : SoftmaxSGDClassifier or Pipeline
            A fitted model, or a pipeline that ends with one.

        ax : matplotlib Axes or None, default=None
            Axes to plot into. None makes a new figure.

        name : str or None, default=None
            Name in the legend. None is the name of the class.

        **kwargs : dict
            Arguments of `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : LossCurveDisplay
            A display with the lines, the axes and the figure.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If the model is not a `SoftmaxSGDClassifier`.
        ValueError
            If the model was trained by `partial_fit` only, which has no epochs.
        ImportError
            If matplotlib is not installed.
        """
        model = estimator
        while isinstance(model, Pipeline):
            model = model.steps[-1][1]
        if not isinstance(model, SoftmaxSGDClassifier):
            raise TypeError(
                f"estimator is, or ends with, a {type(model).__name__}. Pass a SoftmaxSGDClassifier, alone or in a pipeline."
            )
        check_is_fitted(model)
        if not hasattr(model, "loss_curve_"):
            raise ValueError(
                "estimator has no loss_curve_, because only partial_fit has fitted it, which has no epochs. Use fit."
            )
        scores = model.validation_scores_
        display = cls(
            model.loss_curve_,
            validation_loss=None if scores is None else -scores,
            name=type(model).__name__ if name is None else name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Plot the loss curve.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to plot into. None makes a new figure.

        name : str or None, default=None
            Name in the legend. None is the name that the display has.

        **kwargs : dict
            Arguments of `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display itself, with the lines, the axes and the figure.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            ax = _pyplot(self).subplots()[1]
        name = self.name if name is None else name
        self.validation_line_ = None
        if self.validation_loss is None:
            self.line_ = _line(ax, self.loss_curve, name, kwargs)
        else:
            self.line_ = _line(ax, self.loss_curve, f"{name}, training loss" if name else "training loss", kwargs)
            label = f"{name}, validation log loss" if name else "validation log loss"
            self.validation_line_ = _line(ax, self.validation_loss, label, kwargs)
            self.validation_line_.set(linestyle="--", color=self.line_.get_color(), label=label)
        ax.set(xlabel="Epoch", ylabel="Loss (nats per row)")
        if ax.get_legend_handles_labels()[1]:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _line(ax, loss, label, kwargs):
    (line,) = ax.plot(np.arange(1, len(loss) + 1), loss, **{"label": label} | kwargs)
    return line


def _pyplot(display):
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__} needs matplotlib, which is not installed. Try 'pip install matplotlib'."
        ) from error
    return plt


CoefficientDisplay.__module__ = LossCurveDisplay.__module__ = "sklearn_softmax"
