"""One model out of several that learnt from different rows: what training on many machines is made of.

Sums over rows (counts, moments, clocks) add up exactly. A coefficient is taken for what Gaussian evidence makes of a common
start: if a model began at theta_0, which is held with the precision P, and its rows have the curvature C, then it came to

    theta = theta_0 + C / (P + C) (phi - theta_0),    where phi is what its rows say;

the rows of all models together would have led to

    theta_0 + sum_i (P + C_i) (theta_i - theta_0) / (P + sum_i C_i).

Where rows are plenty that is a mean weighted by curvature. Where they are few, as those of a rare word are, it is nearly a sum:
no part has seen enough to go where all of them together would have gone. P is a constant times v_j^2. (One that grows from round
to round would be the better Bayesian, but steps of a stream are longer than his: many parts then overshoot together.)
"""

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from . import _solver
from ._classifier import SoftmaxSGDClassifier
from ._containers import are_among, union_of_classes
from ._coordinates import ratio_or_zero
from ._model import Model

__all__ = ["merge"]

# Parameters without which models do not learn the same thing.
COMMON_PARAMETERS = (
    "alpha",
    "l1_ratio",
    "standardize",
    "fit_intercept",
    "learning_rate",
    "eta0",
    "power_t",
    "average",
    "class_weight",
)
# With which steps hold a start, and with which alpha="1/n_samples" does, which is strong in the beginning of a stream; in units
# of v_j^2. By experiment: on dense data it matters little; on text, less is too timid, and more too bold without a penalty.
FIRMNESS_OF_STEPS = 1.0
FIRMNESS_OF_PENALTY = 3.0
BLOCK = 4096  # features


def merge(models, weights=None, base=None):
    """Merge models that learnt from different rows into one.

    What is a sum over rows (the clock `t_`, class counts, the moments behind `scale_`) is that of one stream of all rows. Each
    coefficient is weighted by the curvature of the loss that its model has met: by how often the class occurred, times how much
    the feature varied. Models that never saw a feature or a class have no say in it. Averaging begins anew with the merged model.

    Rows should be dealt out at random: models that have each seen other classes know nothing of the borders between these.

    In a round of distributed training, models that start from one are trained on different rows and merged; `base` is then the
    model that they started from, whose rows must not be counted once for each [1]_.

    Parameters
    ----------
    models : iterable of SoftmaxSGDClassifier
        Fitted, on the same features and with the same parameters, as far as these act in `partial_fit`. Their classes may differ:
        the merged model has them all.

    weights : array-like of shape (n_models,) or None, default=None
        What the weights of the rows of each model are multiplied by: None is 1 for each, for rows that only one model has seen.
        For models of the same rows, weights that sum to 1 make their mean.

    base : SoftmaxSGDClassifier or None, default=None
        The fitted model from which all went on with `partial_fit`, if they did.

    Returns
    -------
    merged : SoftmaxSGDClassifier
        A new model with the parameters of the first. It can go on with `partial_fit`.

    Raises
    ------
    NotFittedError
        If a model is not fitted.
    TypeError
        If a model is not a `SoftmaxSGDClassifier`.
    ValueError
        If there are no models, if features, dtypes or parameters differ, if weights are negative, not finite, all zero or not one
        for each model, or if a model has seen less than `base`.

    References
    ----------
    .. [1] McDonald, Hall and Mann, "Distributed training strategies for the structured perceptron", NAACL 2010.

    Examples
    --------
    >>> from copy import deepcopy
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import SoftmaxSGDClassifier, merge
    >>> X, y = load_iris(return_X_y=True)
    >>> parts = [SoftmaxSGDClassifier().partial_fit(X[i::2], y[i::2], classes=[0, 1, 2]) for i in range(2)]
    >>> model = merge(parts)
    >>> float(model.t_)
    151.0

    Another round:

    >>> parts = [deepcopy(model).partial_fit(X[i::2], y[i::2]) for i in range(2)]
    >>> model = merge(parts, base=model)
    >>> float(model.t_)
    301.0
    """
    models = list(models)
    together = models if base is None else [*models, base]
    _check(models, base, together)
    weights = _checked_weights(weights, len(models))
    first = models[0]
    settings = first._checked_settings()
    classes = together[0].classes_
    for model in together[1:]:
        classes = union_of_classes(classes, model.classes_)
    streams = [_stream_with(model, classes, settings) for model in models]
    start, factors = None, weights
    if base is not None:
        start, factors = _stream_with(base, classes, settings), np.append(weights, 1 - weights.sum())
        _check_is_start(start, streams)  # to which is added: weight * (stream - start) for each
    stream = type(streams[0]).combined([*streams, *([] if start is None else [start])], factors)
    stream = stream.with_model(_merged(streams, weights, start, stream, settings))

    stream.check_finite()
    merged = clone(first)
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(first, name):
            setattr(merged, name, getattr(first, name))
    alpha = settings.alpha_at(stream.weight) if stream.weight else np.nan
    vars(merged).update(merged._attributes(stream, alpha, classes, n_iter_=1))
    return merged


def _check(models, base, together):
    if not models:
        raise ValueError("models is empty: there is nothing to merge.")
    first = models[0]
    for number, model in enumerate(together):
        name = "base" if model is base else f"models[{number}]"
        if not isinstance(model, SoftmaxSGDClassifier):
            raise TypeError(f"{name} is a {type(model).__name__}, not a SoftmaxSGDClassifier.")
        check_is_fitted(model, msg=f"{name} is not fitted: call fit or partial_fit on it, or leave it out.")
        if model.n_features_in_ != first.n_features_in_:
            raise ValueError(f"{name} has {model.n_features_in_} features, but models[0] has {first.n_features_in_}.")
        if not np.array_equal(getattr(model, "feature_names_in_", []), getattr(first, "feature_names_in_", [])):
            raise ValueError(f"{name} has other names of features (feature_names_in_) than models[0], or another order of them.")
        if model._dtype() != first._dtype():
            raise ValueError(f"{name} is of {model._dtype()}, but models[0] of {first._dtype()}: train all on X of one dtype.")
        params, expected = model.get_params(), first.get_params()
        for parameter in COMMON_PARAMETERS:
            if params[parameter] != expected[parameter]:
                raise ValueError(
                    f"{name} has {parameter}={params[parameter]!r}, but models[0] has {parameter}={expected[parameter]!r}: "
                    "models to be merged must have the same."
                )


def _checked_weights(weights, n_models):
    if weights is None:
        return np.ones(n_models)
    weights = np.array(weights, dtype=np.float64)
    if weights.shape != (n_models,):
        raise ValueError(f"weights has the shape {weights.shape}, expected {(n_models,)}: one weight for each model.")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"weights={weights} must be finite and not negative. Use 0 to leave a model out.")
    if not weights.any():
        raise ValueError(f"weights={weights} are all zero.")
    return weights


def _check_is_start(start, streams):
    for number, stream in enumerate(streams):
        rounding = 1e-9 * stream.weight
        if stream.weight < start.weight - rounding or (stream.class_counts < start.class_counts - rounding).any():
            raise ValueError(
                f"models[{number}] has seen less than base: it did not start from there, or fit made it start afresh."
            )


def _stream_with(model, classes, settings):
    """The stream of `model` with all of `classes`."""
    return _solver.stream_for(settings, model._own_stream(), np.flatnonzero(~are_among(classes, model.classes_)))


class _Evidence:
    """What a stream learnt since `start`: its model, and precisions.

    Attributes
    ----------
    rows, intercept : ndarrays of shape (n_classes, n_features) and (n_classes,)
    weight : float
    counts : ndarray of shape (n_classes,)
    squares : ndarray of shape (n_features,)
        Sum of squares of each feature, about its mean if there is an intercept.
    seen : ndarray of shape (n_features,)
        Total weight of the rows in which each feature is not zero.
    """

    def __init__(self, stream, fit_intercept, start=None):
        self.rows, self.intercept = stream.predictor().softmax_coef()
        self.weight, self.counts, self.seen = stream.weight, stream.class_counts, stream.weight_of_features
        self.squares = stream.sums_of_squares(fit_intercept)
        if start is not None:
            self.weight = max(self.weight - start.weight, 0)
            self.counts = np.maximum(self.counts - start.counts, 0)
            # rows without a feature change its mean, and say nothing about it
            self.squares = np.where(self.seen > start.seen, np.maximum(self.squares - start.squares, 0), 0)

    def precision(self, block):
        """Of the coefficients of some features: the rows of a class say most about it."""
        return np.outer(self.counts / max(self.counts.sum(), 1e-300), self.squares[block])


def _merged(streams, weights, start, combined, settings):
    """The model of all streams together."""
    fit_intercept = settings.fit_intercept
    n_classes, scale = len(combined.class_counts), combined.scale
    n_features = len(scale)
    base = None if start is None else _Evidence(start, fit_intercept)
    parts = [_Evidence(stream, fit_intercept, base) for stream in streams]
    shares = weights * [part.weight for part in parts]
    shares = shares / shares.sum() if shares.any() else weights / weights.sum()
    centre = combined.centre if fit_intercept else np.zeros(n_features)

    rows = np.empty((n_classes, n_features))
    # the intercepts of features about the common mean, which do not depend on the coefficients so much
    intercepts = [part.intercept + part.rows @ centre for part in parts]
    intercept = _common(
        intercepts,
        [part.counts for part in parts],
        weights,
        shares,
        0.0 if base is None else base.intercept + base.rows @ centre,
        0.0,
    )
    firmness = np.square(scale) * (FIRMNESS_OF_STEPS + (FIRMNESS_OF_PENALTY if settings.alpha is None else 0))
    for begin in range(0, n_features, BLOCK):
        block = slice(begin, begin + BLOCK)
        rows[:, block] = _common(
            [part.rows[:, block] for part in parts],
            [part.precision(block) for part in parts],
            weights,
            shares,
            0.0 if base is None else base.rows[:, block],
            firmness[block],
        )
    model = Model.zeros(n_features, n_classes, streams[0].dtype)
    model.set_softmax_coef(rows, intercept - rows @ centre if fit_intercept else np.zeros(n_classes))
    return model


def _common(values, precisions, weights, shares, start, precision_of_start):
    """The formula at the top of this file; where there is no evidence at all, the mean."""
    total = sum(weight * precision for weight, precision in zip(weights, precisions))
    result = np.zeros(total.shape)
    for value, precision, weight, share in zip(values, precisions, weights, shares):
        gain = np.where(precision > 0, ratio_or_zero(weight * (precision_of_start + precision), precision_of_start + total), 0)
        result += np.where(total > 0, gain, share) * (value - start)
    return start + result


merge.__module__ = "sklearn_softmax"
