"""Conversion from and to scikit-learn's `LogisticRegression`.

Imports models and `_compat`, and knows nothing of the estimator.
"""

from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from ._compat import is_one_vs_rest, new_logistic_regression, penalty_of, units_of_log_odds
from ._model import FLOATS, Model

__all__ = ["check", "fitted_logistic_regression", "model_of", "params_of"]


def fitted_logistic_regression(coef, intercept, *, strength, l1_ratio, n_iter, attributes, **params):
    """A fitted `LogisticRegression`.

    Parameters
    ----------
    coef, intercept
        The coefficients and intercepts of the estimator.
    strength : float
        alpha S, where S is the total weight. C is 1 / strength.
    l1_ratio : float
    n_iter : int
    attributes : dict
        Other fitted attributes.
    **params : dict
        Other parameters.
    """
    C = 1 / strength if strength > 0 else np.inf
    lr = new_logistic_regression(C=C, l1_ratio=l1_ratio if strength > 0 else 0.0, **params)
    lr.coef_ = coef.copy() if issparse(coef) else np.array(coef, order="C")
    lr.intercept_ = np.array(intercept)
    lr.n_iter_ = np.array([n_iter], dtype=np.int32)
    vars(lr).update(attributes)
    return lr


def check(lr, n_samples):
    """Raise an error if `lr` is no fitted softmax model, or `n_samples` is invalid."""
    if not isinstance(lr, LogisticRegression):
        raise TypeError(
            f"lr must be a fitted LogisticRegression, got {type(lr).__name__}: {lr!r}. From a pipeline pass the last step, and "
            "give partial_fit what the steps before it return."
        )
    check_is_fitted(lr)
    if is_one_vs_rest(lr):
        raise ValueError(
            f"lr={lr!r} consists of {len(lr.classes_)} binary models (one versus rest). No softmax model has its probabilities, "
            "so that it cannot be converted. Fit lr with another solver than liblinear, and without multi_class='ovr'."
        )
    if n_samples is not None and not (isinstance(n_samples, Real) and 0 < n_samples < np.inf):
        raise ValueError(f"n_samples={n_samples!r} must be a positive number (how many rows lr counts for), or None.")


def model_of(lr):
    """The `Model` of a fitted `LogisticRegression`."""
    coef = lr.coef_.toarray() if issparse(lr.coef_) else np.asarray(lr.coef_)
    coef = coef if coef.dtype in FLOATS else coef.astype(np.float64)
    unit = units_of_log_odds(lr)
    return Model.from_public(coef * coef.dtype.type(unit), np.broadcast_to(lr.intercept_, len(coef)) * unit)


def params_of(lr, n_samples):
    """Parameters that give the objective of `lr`, on rows of weight 1."""
    C, l1_ratio = penalty_of(lr)
    # for two classes, |w/2|^2 + |w/2|^2 = |w|^2 / 2
    C = C * units_of_log_odds(lr)
    alpha = "1/n_samples" if C == 1 else 1 / (C * n_samples) if np.isfinite(C) else 0.0
    return dict(
        alpha=alpha,
        l1_ratio=l1_ratio,
        standardize=False,
        fit_intercept=bool(lr.fit_intercept),
        class_weight=lr.class_weight,
    )
