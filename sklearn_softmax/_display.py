"""A plot of the loss curve of `fit`, like the displays of scikit-learn."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._classifier import SoftmaxSGDClassifier

__all__ = ["LossCurveDisplay"]


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
                "estimator has no loss_curve_, because partial_fit has no epochs. Use fit, or plot progressive_loss_ of a stream."
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
            ax = _pyplot().subplots()[1]
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


def _pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("LossCurveDisplay needs matplotlib, which is not installed. Try 'pip install matplotlib'.") from error
    return plt


LossCurveDisplay.__module__ = "sklearn_softmax"
