"""`merge`: one model out of several that learnt from different rows.

Sums over rows (counts, moments, scalars) add up exactly. A coefficient is treated as
the mean of a Gaussian posterior. The prior has the mean theta_0, which is the common
start, and the precision P. The rows of a model have the curvature C_i, and phi_i is
their optimum. Then the model, and the posterior of the rows of all models, are

    theta_i = theta_0 + C_i (phi_i - theta_0) / (P + C_i),
    theta   = theta_0 + sum_i C_i (phi_i - theta_0) / (P + sum_i C_i)
            = theta_0 + sum_i (P + C_i) (theta_i - theta_0) / (P + sum_i C_i).

If P is small beside the C_i, theta is a mean weighted by curvature. If P is large, as
for a rare word, theta - theta_0 is nearly the sum of the theta_i - theta_0. P is a
constant times v_j^2 (see _coordinates.py). A P that grew from round to round would be
the exact posterior, but the steps of a stream are longer than that, and many models
would overshoot together.

Imports the estimator, whose streams it merges.
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

# Parameters of `partial_fit`, which have to be the same for all models.
COMMON_PARAMETERS = (
    "alpha",
    "l1_ratio",
    "standardize",
    "fit_intercept",
    "learning_rate",
    "eta0",
    "power_t",
    "average",
    "forgetting",
    "class_weight",
)
# P / v_j^2, from the steps and from alpha="1/n_samples", which is a strong penalty at
# the beginning of a stream. By experiment: dense data depend little on them. On text,
# coefficients are too small with less, and without a penalty too large with more.
FIRMNESS_OF_STEPS = 1.0
FIRMNESS_OF_PENALTY = 3.0
BLOCK = 4096  # features


def merge(models, weights=None, base=None):
    """Merge models that learnt from different rows into one.

    Sums over rows (`t_`, class counts, and the moments that give `scale_`) are those of
    one stream of all rows. Each coefficient is weighted by the curvature of the loss of
    its model. The curvature is the number of rows of the class, times the variation of
    the feature. A model that never saw a feature or a class has no influence on its
    coefficients. The average of the iterates begins anew with the merged model, and so
    does `drift_log_odds_`. Rows that the models have forgotten stay forgotten.

    Rows should be distributed over the models at random. If each model has seen other
    classes, no model has learnt the borders between them.

    In a round of distributed training, copies of one model are trained on different
    rows and merged [1]_. Pass this model as `base`. Otherwise its rows are counted once
    for each copy.

    Parameters
    ----------
    models : iterable of SoftmaxSGDClassifier
        Fitted models, with the same features, and with the same parameters of
        `partial_fit`. Their classes may differ. The merged model has all classes.

    weights : array-like of shape (n_models,) or None, default=None
        The factor of the weights of the rows of each model. None is 1 for each model,
        which is right if every row was seen by one model. For models of the same rows,
        weights that sum to 1 give the mean of the models.

    base : SoftmaxSGDClassifier or None, default=None
        The fitted model from which all models went on with `partial_fit`. None if the
        models had no common start.

    Returns
    -------
    merged : SoftmaxSGDClassifier
        A new model with the parameters of the first model. `partial_fit` can go on from
        it.

    Raises
    ------
    NotFittedError
        If a model is not fitted.
    TypeError
        If a model is not a `SoftmaxSGDClassifier`.
    ValueError
        If there are no models. If features, dtypes or parameters differ. If weights are
        negative, not finite, all zero, or not one for each model. If a model has seen
        less than `base`.

    References
    ----------
    .. [1] McDonald, Hall and Mann, "Distributed training strategies for the structured
       perceptron", NAACL 2010.

    Examples
    --------
    >>> from copy import deepcopy
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import SoftmaxSGDClassifier, merge
    >>> X, y = load_iris(return_X_y=True)
    >>> parts = [SoftmaxSGDClassifier() for _ in range(2)]
    >>> for i, part in enumerate(parts):
    ...     _ = part.partial_fit(X[i::2], y[i::2], classes=[0, 1, 2])
    >>> model = merge(parts)
    >>> [float(part.t_) for part in parts], float(model.t_)
    ([76.0, 76.0], 151.0)

    Another round, from the merged model:

    >>> parts = [deepcopy(model).partial_fit(X[i::2], y[i::2]) for i in range(2)]
    >>> model = merge(parts, base=model)
    >>> float(model.t_)
    301.0
    """
    if isinstance(models, SoftmaxSGDClassifier):
        raise TypeError("models is a SoftmaxSGDClassifier. Pass a list of models.")
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
        _check_is_start(start, streams)
        # combined = start + sum_i weight_i (stream_i - start)
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
        raise ValueError("models is empty. Pass at least one fitted SoftmaxSGDClassifier.")
    first = models[0]
    for number, model in enumerate(together):
        name = "base" if model is base else f"models[{number}]"
        if not isinstance(model, SoftmaxSGDClassifier):
            raise TypeError(
                f"{name} is of type {type(model).__name__}. Pass fitted SoftmaxSGDClassifier objects; of a pipeline, pass the "
                "last step."
            )
        check_is_fitted(model, msg=f"{name} is not fitted: call fit or partial_fit on it, or leave it out.")
        if model.n_features_in_ != first.n_features_in_:
            raise ValueError(
                f"{name} has {model.n_features_in_} features, but models[0] has {first.n_features_in_}. Only models of the same "
                "features can be merged. Train all on the same columns."
            )
        if not np.array_equal(getattr(model, "feature_names_in_", []), getattr(first, "feature_names_in_", [])):
            raise ValueError(f"{name} has other names of features (feature_names_in_) than models[0], or another order of them.")
        if model._dtype() != first._dtype():
            raise ValueError(
                f"{name} has coefficients of {model._dtype()}, but models[0] of {first._dtype()}. Train all on X of one dtype."
            )
        params, expected = model.get_params(), first.get_params()
        for parameter in COMMON_PARAMETERS:
            if params[parameter] != expected[parameter]:
                raise ValueError(
                    f"{name} has {parameter}={params[parameter]!r}, but models[0] has {parameter}={expected[parameter]!r}: "
                    "only models with the same parameters can be merged. Train all with one value."
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
        raise ValueError(f"weights={weights} are all zero. Give at least one model a positive weight.")
    return weights


def _check_is_start(start, streams):
    for number, stream in enumerate(streams):
        rounding = 1e-9 * stream.weight
        if stream.weight < start.weight - rounding or (stream.class_counts < start.class_counts - rounding).any():
            raise ValueError(
                f"models[{number}] has seen fewer rows (t_={1 + stream.weight:g}) than base (t_={1 + start.weight:g}), or fewer "
                "of a class, so that it did not go on from base. Copy base (copy.deepcopy), call partial_fit on the copies, and "
                "merge these. fit starts from scratch."
            )


def _stream_with(model, classes, settings):
    """The stream of `model` with all of `classes`."""
    return _solver.stream_for(settings, model._own_stream(), np.flatnonzero(~are_among(classes, model.classes_)))


class _Evidence:
    """The model of a stream, and the statistics of its rows since `start`.

    Attributes
    ----------
    rows, intercept : ndarrays of shape (n_classes, n_features) and (n_classes,)
    weight : float
    counts : ndarray of shape (n_classes,)
    squares : ndarray of shape (n_features,)
        The sum of squares of each feature, about its mean if there is an intercept.
    seen : ndarray of shape (n_features,)
        The total weight of the rows in which each feature is not 0.
    """

    def __init__(self, stream, fit_intercept, start=None):
        self.rows, self.intercept = stream.predictor().softmax_coef()
        self.weight, self.counts, self.seen = stream.weight, stream.class_counts, stream.weight_of_features
        self.squares = stream.sums_of_squares(fit_intercept)
        if start is not None:
            self.weight = max(self.weight - start.weight, 0)
            self.counts = np.maximum(self.counts - start.counts, 0)
            # rows without a feature are no evidence, but change its mean
            self.squares = np.where(self.seen > start.seen, np.maximum(self.squares - start.squares, 0), 0)

    def precision(self, block):
        """C of the coefficients of some features: (share of the class) * squares."""
        return np.outer(self.counts / max(self.counts.sum(), 1e-300), self.squares[block])


def _merged(streams, weights, start, combined, settings):
    """The merged model of the streams."""
    fit_intercept = settings.fit_intercept
    n_classes, scale = len(combined.class_counts), combined.scale
    n_features = len(scale)
    base = None if start is None else _Evidence(start, fit_intercept)
    parts = [_Evidence(stream, fit_intercept, base) for stream in streams]
    shares = weights * [part.weight for part in parts]
    shares = shares / shares.sum() if shares.any() else weights / weights.sum()
    centre = combined.mean if fit_intercept else np.zeros(n_features)

    rows = np.empty((n_classes, n_features))
    # the intercepts of centred features, which depend less on the coefficients
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
    """theta of the formula at the top of this file; a mean where all C_i are 0."""
    total = sum(weight * precision for weight, precision in zip(weights, precisions))
    result = np.zeros(total.shape)
    for value, precision, weight, share in zip(values, precisions, weights, shares):
        gain = np.where(precision > 0, ratio_or_zero(weight * (precision_of_start + precision), precision_of_start + total), 0)
        result += np.where(total > 0, gain, share) * (value - start)
    return start + result


merge.__module__ = "sklearn_softmax"
