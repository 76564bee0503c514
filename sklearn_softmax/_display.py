"""Plots of the loss curve of `fit`, of paths and of coefficients, like the displays of scikit-learn."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._classifier import SoftmaxSGDClassifier
from ._cv import SoftmaxSGDClassifierCV, chosen
from ._inference import InferenceResult, coefficients_of

__all__ = ["CoefficientDisplay", "LossCurveDisplay", "PathScoreDisplay", "RegularizationPathDisplay"]


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
    >>> from sklearn_softmax import CoefficientDisplay, SoftmaxSGDClassifier
    >>> from sklearn_softmax import inference
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
        model = _fitted(estimator, SoftmaxSGDClassifier)
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


def _fitted(estimator, kind):
    """The fitted model of this class, which may be the last step of a pipeline."""
    model = estimator
    while isinstance(model, Pipeline):
        model = model.steps[-1][1]
    if not isinstance(model, kind):
        raise TypeError(f"estimator is, or ends with, a {type(model).__name__}. Pass a {kind.__name__}, alone or in a pipeline.")
    check_is_fitted(model)
    return model


def _pyplot(display):
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__} needs matplotlib, which is not installed. Try 'pip install matplotlib'."
        ) from error
    return plt


class RegularizationPathDisplay:
    """Coefficients along the path of a `SoftmaxSGDClassifierCV`, against alpha.

    Use `from_estimator` to make a display. A line per feature shows the coefficient of
    one class, or the norm over the classes. A dashed line marks the chosen alpha.
    Requires matplotlib.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,)
        Strengths of the penalty, all > 0.

    coefs : array-like of shape (n_alphas, n_features)
        What to draw for each feature.

    alpha : float or None, default=None
        The chosen strength. None marks none.

    ylabel : str, default="Coefficient"
        What `coefs` are.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        A line for each feature.

    alpha_line_ : matplotlib Line2D or None
        The mark of the chosen alpha.

    ax_ : matplotlib Axes
        The axes with the lines.

    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    PathScoreDisplay : The mean score against alpha.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import RegularizationPathDisplay
    >>> from sklearn_softmax import SoftmaxSGDClassifierCV
    >>> clf = SoftmaxSGDClassifierCV(alphas=20, l1_ratios=(1.0,), random_state=0)
    >>> clf = clf.fit(*load_iris(return_X_y=True))
    >>> display = RegularizationPathDisplay.from_estimator(clf)
    >>> for line in display.lines_:
    ...     print(f"norm {line.get_ydata()[-1]:.1f} at the smallest alpha")
    norm 1.9 at the smallest alpha
    norm 4.7 at the smallest alpha
    norm 19.7 at the smallest alpha
    norm 19.2 at the smallest alpha
    """

    def __init__(self, alphas, coefs, *, alpha=None, ylabel="Coefficient"):
        self.alphas = alphas
        self.coefs = coefs
        self.alpha = alpha
        self.ylabel = ylabel

    @classmethod
    def from_estimator(cls, estimator, *, label=None, ax=None, **kwargs):
        """Plot the coefficients for the chosen l1_ratio.

        They are the means over the folds, in units of the penalty (times `scale_`), so
        that the unit of a column does not matter.

        Parameters
        ----------
        estimator : SoftmaxSGDClassifierCV or Pipeline
            A fitted model, or a pipeline that ends with one.

        label : label of a class or None, default=None
            Draw the coefficients of this class. None draws the Euclidean norm over the
            classes. Two classes have one coefficient, that of ``classes_[1]``.

        ax : matplotlib Axes or None, default=None
            Axes to plot into. None makes a new figure.

        **kwargs : dict
            Arguments of `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : RegularizationPathDisplay
            A display with the lines, the axes and the figure.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If the model is not a `SoftmaxSGDClassifierCV`.
        ValueError
            If `label` is no class with coefficients.
        ImportError
            If matplotlib is not installed.
        """
        model = _fitted(estimator, SoftmaxSGDClassifierCV)
        row = _row_of_choice(model)
        coefs = model.coefs_paths_[:, row].mean(axis=0) * model.scale_
        if label is None:
            coefs, ylabel = np.linalg.norm(coefs, axis=1), "Norm of the coefficients"
        else:
            with_coefs = model.classes_[-coefs.shape[1] :].tolist()
            if label not in with_coefs:
                raise ValueError(f"label={label!r} is no class with coefficients. Pass one of {with_coefs}, or None.")
            coefs, ylabel = coefs[:, with_coefs.index(label)], f"Coefficient of class {label}"
        return cls(model.alphas_[row], coefs, alpha=model.alpha_, ylabel=ylabel).plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Plot the coefficients.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to plot into. None makes a new figure.

        **kwargs : dict
            Arguments of `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : RegularizationPathDisplay
            The display itself, with the lines, the axes and the figure.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            ax = _pyplot(self).subplots()[1]
        self.lines_ = ax.plot(self.alphas, self.coefs, **{"linewidth": 1} | kwargs)
        self.alpha_line_ = None if self.alpha is None else _mark(ax, self.alpha, "chosen", "--")
        ax.set(xscale="log", xlabel="alpha", ylabel=self.ylabel)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class PathScoreDisplay:
    """Mean score of a `SoftmaxSGDClassifierCV` over the folds, against alpha.

    Use `from_estimator` to make a display. A band of one standard error is drawn around
    the line. Vertical lines mark both choices, that of ``selection="min"`` (dashed) and
    that of ``selection="1se"`` (dotted). Requires matplotlib.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,)
        Strengths of the penalty, from the largest to the smallest.

    scores : array-like of shape (n_folds, n_alphas)
        The score of each model on held-out rows. Larger is better.

    negate_score : bool, default=False
        Whether to draw minus the score, for instance a loss.

    ylabel : str, default="Score"
        What is drawn.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The mean over the folds.

    band_ : matplotlib PolyCollection
        The mean plus and minus one standard error.

    min_line_ : matplotlib Line2D
        The mark of the alpha with the best mean.

    one_se_line_ : matplotlib Line2D
        The mark of the largest alpha within one standard error of the best mean.

    ax_ : matplotlib Axes
        The axes with the lines.

    figure_ : matplotlib Figure
        The figure with the axes.

    See Also
    --------
    RegularizationPathDisplay : The coefficients against alpha.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import PathScoreDisplay, SoftmaxSGDClassifierCV
    >>> clf = SoftmaxSGDClassifierCV(alphas=20, random_state=0)
    >>> clf = clf.fit(*load_iris(return_X_y=True))
    >>> display = PathScoreDisplay.from_estimator(clf)
    >>> print(f"smallest mean log loss {display.line_.get_ydata().min():.3f}")
    smallest mean log loss 0.056
    """

    def __init__(self, alphas, scores, *, negate_score=False, ylabel="Score"):
        self.alphas = alphas
        self.scores = scores
        self.negate_score = negate_score
        self.ylabel = ylabel

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Plot the mean score for the chosen l1_ratio.

        Log losses and other scores whose name begins with ``"neg_"`` are drawn as losses.

        Parameters
        ----------
        estimator : SoftmaxSGDClassifierCV or Pipeline
            A fitted model, or a pipeline that ends with one.

        ax : matplotlib Axes or None, default=None
            Axes to plot into. None makes a new figure.

        **kwargs : dict
            Arguments of `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : PathScoreDisplay
            A display with the lines, the axes and the figure.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If the model is not a `SoftmaxSGDClassifierCV`.
        ImportError
            If matplotlib is not installed.
        """
        model = _fitted(estimator, SoftmaxSGDClassifierCV)
        row, scoring = _row_of_choice(model), model.scoring or "neg_log_loss"
        name = scoring.removeprefix("neg_").replace("_", " ") if isinstance(scoring, str) else "score"
        display = cls(
            model.alphas_[row],
            model.scores_[:, row],
            negate_score=isinstance(scoring, str) and scoring.startswith("neg_"),
            ylabel=f"Mean {name}" + (" (nats per row)" if name == "log loss" else ""),
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax=None, **kwargs):
        """Plot the mean score.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Axes to plot into. None makes a new figure.

        **kwargs : dict
            Arguments of `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : PathScoreDisplay
            The display itself, with the lines, the axes and the figure.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        if ax is None:
            ax = _pyplot(self).subplots()[1]
        alphas, scores = np.asarray(self.alphas), np.asarray(self.scores)
        mean, n_folds = scores.mean(axis=0) * (-1 if self.negate_score else 1), len(scores)
        standard_error = scores.std(axis=0, ddof=1) / np.sqrt(n_folds) if n_folds > 1 else np.zeros_like(mean)
        (self.line_,) = ax.plot(alphas, mean, **kwargs)
        band = {"color": self.line_.get_color(), "alpha": 0.2, "linewidth": 0}
        self.band_ = ax.fill_between(alphas, mean - standard_error, mean + standard_error, **band)
        best, one_se = (alphas[chosen(scores[:, None], selection)[1]] for selection in ("min", "1se"))
        self.min_line_, self.one_se_line_ = _mark(ax, best, "min", "--"), _mark(ax, one_se, "1se", ":")
        ax.set(xscale="log", xlabel="alpha", ylabel=self.ylabel)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _row_of_choice(model):
    """The number of the chosen l1_ratio."""
    return model.l1_ratios_.tolist().index(model.l1_ratio_)


def _mark(ax, alpha, label, linestyle):
    return ax.axvline(alpha, color="grey", linestyle=linestyle, linewidth=1, label=f"{label}: alpha={alpha:.2g}")


for _display in (CoefficientDisplay, LossCurveDisplay, PathScoreDisplay, RegularizationPathDisplay):
    _display.__module__ = "sklearn_softmax"
