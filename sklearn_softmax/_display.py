"""A plot of the loss curve of `fit`, in the manner of scikit-learn's displays."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._classifier import SoftmaxSGDClassifier

__all__ = ["LossCurveDisplay"]


class LossCurveDisplay:
    """Loss curve of a fitted model: the objective of each epoch, in nats per example.

    Make one with `from_estimator`. With early stopping the log loss of the held-out rows is there, too, as a dashed line of the
    same colour. matplotlib is needed.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Objective of each epoch, in nats per example.

    validation_loss : array-like of shape (n_epochs,) or None, default=None
        Log loss of held-out rows after each epoch, in nats per example.

    name : str or None, default=None
        Name of the model in the legend; None: no legend, unless there are two lines.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The loss curve.

    validation_line_ : matplotlib Line2D or None
        The log loss of held-out rows.

    ax_ : matplotlib Axes
        Where they are.

    figure_ : matplotlib Figure
        The figure of these.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : The score by the number of training examples.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import LossCurveDisplay, SoftmaxSGDClassifier
    >>> clf = SoftmaxSGDClassifier(random_state=0).fit(*load_iris(return_X_y=True))
    >>> display = LossCurveDisplay.from_estimator(clf)
    >>> len(display.line_.get_xdata()) == clf.n_iter_
    True
    """

    def __init__(self, loss_curve, *, validation_loss=None, name=None):
        self.loss_curve = loss_curve
        self.validation_loss = validation_loss
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None, **kwargs):
        """Plot the loss curve of a model that `fit` has fitted.

        Parameters
        ----------
        estimator : SoftmaxSGDClassifier or Pipeline
            A fitted model, or a pipeline that ends with one.

        ax : matplotlib Axes or None, default=None
            Where to plot; None makes a figure.

        name : str or None, default=None
            Name in the legend; None is the name of the class.

        **kwargs : dict
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : LossCurveDisplay
            With the lines, the axes and the figure.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If it is not a `SoftmaxSGDClassifier`.
        ValueError
            If only `partial_fit` has fitted it, which has no epochs.
        ImportError
            If matplotlib is missing.
        """
        model = estimator
        while isinstance(model, Pipeline):
            model = model.steps[-1][1]
        if not isinstance(model, SoftmaxSGDClassifier):
            raise TypeError(f"estimator is or ends with a {type(model).__name__}, not a SoftmaxSGDClassifier.")
        check_is_fitted(model)
        if not hasattr(model, "loss_curve_"):
            raise ValueError("estimator has no loss_curve_: only partial_fit has fitted it, which has no epochs. Use fit.")
        scores = model.validation_scores_
        display = cls(
            model.loss_curve_,
            validation_loss=None if scores is None else -scores,
            name=type(model).__name__ if name is None else name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Plot.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to plot; None makes a figure.

        name : str or None, default=None
            Name in the legend; None is the one that the display has.

        **kwargs : dict
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : LossCurveDisplay
            Itself, with the lines, the axes and the figure.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        if ax is None:
            ax = _pyplot().subplots()[1]
        name = self.name if name is None else name
        self.validation_line_ = None
        if self.validation_loss is None:
            self.line_ = _line(ax, self.loss_curve, name, kwargs)
        else:
            self.line_ = _line(ax, self.loss_curve, f"{name}, objective" if name else "objective", kwargs)
            label = f"{name}, validation log loss" if name else "validation log loss"
            self.validation_line_ = _line(ax, self.validation_loss, label, kwargs)
            self.validation_line_.set(linestyle="--", color=self.line_.get_color(), label=label)
        ax.set(xlabel="Epoch", ylabel="Loss (nats per example)")
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
        raise ImportError("LossCurveDisplay needs matplotlib, which is not installed: try 'pip install matplotlib'.") from error
    return plt


LossCurveDisplay.__module__ = "sklearn_softmax"
