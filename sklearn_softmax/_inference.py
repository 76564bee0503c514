"""How sure a fitted model is: standard errors, tests and intervals.

Near its minimum the sum of the losses and the penalty,

    S F(W, b) = sum_i s_i loss_i + alpha S sum_j (1 - l1_ratio)/2 v_j^2 ||W_j||_2^2,

is about a quadratic function with the Hessian H. The covariance of the estimates is about

    H^-1    or, robust,    H^-1 (sum_c g_c g_c^T) H^-1,    g_c = sum of the gradients of the losses of the rows in c.

A shift of W_j, or of b, that is the same for all classes changes no probability. The rows say
nothing about it, so it is no parameter here: a column of the coefficients is free in all
classes but one, the base, and the penalty is at its minimum over the shift, which is the
penalty of the deviations from the mean over the classes. With L1 and a given pattern of
zeros, the nonzero coefficients are free, and the zeros rule out the shift.

Arrays are of shape (n_classes, n_features + 1) in the coordinates of the solver, the
intercepts last. What users see is in the units of X, in the gauge that they asked for, and
with the intercepts first. Imports the estimator, as each public extra may.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property, partial
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import issparse
from scipy.special import expit, logsumexp
from scipy.stats import chi2, norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ._classifier import OF_INPUT, SoftmaxSGDClassifier
from ._containers import labels, numbers_of
from ._coordinates import Coordinates
from ._matrix import dense_columns, rows_in
from ._model import Model
from ._newton import Preconditioner, newton_step
from ._objective import Objective, Penalty, proba_and_losses
from ._point_saga import prepare
from ._validation import checked_offset, checked_X, labelled_problem, own_dtype

__all__ = ["InferenceResult", "ProbabilityIntervals", "WaldTest", "coefficients_of", "inference"]

# The Hessian is made and factorised for so many coefficients and intercepts at most.
MOST_PARAMETERS = 5000
# A pivot of the Hessian with a diagonal of 1 that is less than this many roundings per parameter is 0.
ROUNDINGS = 10
# A coefficient so many standard errors from the optimum takes 0.1 percent points of the
# coverage of a 95 % interval: x^2 z phi(z) = 0.01 * 1.96 * 0.058.
LARGEST_DISTANCE = 0.1
# Conjugate gradients leave this share of the right-hand side, whose square is the error of a variance.
FORCING, MOST_PRODUCTS = 1e-8, 5000
# What is no linear combination of others, relative to its size, when a hypothesis is tested.
SMALLEST_PART = 1e-7
BLOCK = 1 << 18  # numbers
MOST_SHOWN = 12  # rows of the table in the repr
COLUMNS = ("coef", "se", "z", "p_value", "ci_lower", "ci_upper")


class WaldTest(NamedTuple):
    """The result of `InferenceResult.wald_test`.

    Attributes
    ----------
    chi2 : float
        The statistic.
    df : int
        Degrees of freedom of its chi-square distribution.
    p_value : float
    """

    chi2: float
    df: int
    p_value: float


class ProbabilityIntervals(NamedTuple):
    """The result of `InferenceResult.predict_proba`: four arrays of shape (n_samples, n_classes).

    Attributes
    ----------
    proba : ndarray
        Probabilities of the classes.
    std_error : ndarray
        Their standard errors.
    lower, upper : ndarray
        The ends of their intervals, between 0 and 1.
    """

    proba: np.ndarray
    std_error: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class _Parameters:
    """Which entries of an array (n_classes, n_features + 1) are free, and how arrays become what users see.

    Attributes
    ----------
    is_active : ndarray of shape (n_classes, n_features + 1), bool
        The entries that are not held at 0.
    can_shift : ndarray of shape (n_features + 1,), bool
        Whether all classes of a column may shift together.
    base : int
        The class whose entries are not free in columns that can shift.
    coordinates : Coordinates
    reference : int or None
        The class that differences are from. None: deviations from the mean over the
        classes, or the entries as they are in columns that cannot shift.
    columns : ndarray of int
        The columns that users see.
    """

    is_active: np.ndarray
    can_shift: np.ndarray
    base: int
    coordinates: Coordinates
    reference: int | None
    columns: np.ndarray

    @cached_property
    def is_free(self):
        is_free = self.is_active.copy()
        is_free[self.base, self.can_shift] = False
        return is_free

    @property
    def used(self):
        """The classes with free entries."""
        return np.flatnonzero(self.is_free.any(axis=1))

    @property
    def is_free_of_used(self):
        """`is_free` of the used classes, as a vector."""
        return self.is_free[self.used].ravel()

    @property
    def rows(self):
        """The classes that users see."""
        return np.delete(np.arange(len(self.is_active)), [] if self.reference is None else self.reference)

    def spread(self, free):
        """Arrays (..., n_classes, n_features + 1) with these free entries (..., n_free), and 0 elsewhere."""
        spread = np.zeros(free.shape[:-1] + self.is_free.shape)
        spread[..., self.is_free] = free
        return spread

    def public(self, arrays):
        """Arrays (..., n_classes, n_features + 1) in the units of X -> as users see them."""
        if self.reference is None:
            return (arrays - np.where(self.can_shift, arrays.mean(axis=-2, keepdims=True), 0))[..., self.columns]
        return (arrays[..., self.rows, :] - arrays[..., [self.reference], :])[..., self.columns]

    def public_of_free(self, free):
        """Free entries in the coordinates -> as users see them."""
        arrays = self.spread(free)
        arrays[..., :-1] *= self.coordinates.inverse_scale
        arrays[..., -1] -= arrays[..., :-1] @ self.coordinates.offset
        return self.public(arrays)

    def public_covariance(self, covariance):
        """The covariance of free entries -> that of what users see, of shape (n_seen, n_seen)."""
        half = self.public_of_free(covariance).reshape(len(covariance), -1)
        whole = self.public_of_free(half.T).reshape(half.shape[1], -1)
        return 0.5 * (whole + whole.T)

    def functionals(self):
        """Arrays like a point whose inner products with a point in the coordinates are what users see."""
        n_classes, size = self.is_free.shape
        identity = np.eye(n_classes)
        scale = np.append(self.coordinates.inverse_scale, 1.0)
        for label in self.rows:
            for column in self.columns:
                of_classes = identity[label].copy()
                if self.reference is not None:
                    of_classes[self.reference] = -1
                elif self.can_shift[column]:
                    of_classes -= 1 / n_classes
                of_columns = np.zeros(size)
                of_columns[column] = scale[column]
                if column == size - 1:
                    of_columns[:-1] = -self.coordinates.inverse_scale * self.coordinates.offset
                yield np.outer(of_columns, of_classes)


@dataclass(frozen=True)
class Scores:
    """What scores and their covariances need, in the coordinates.

    Attributes
    ----------
    columns : SoftmaxSGDClassifier
        Not fitted, but knows the columns of X.
    coordinates : Coordinates
    has_ones : bool
        Whether there are intercepts.
    point : ndarray of shape (n_features + 1, n_classes)
    used : ndarray of int
        The classes whose scores vary.
    covariance : ndarray of shape (n_used, n_features + 1, n_used, n_features + 1)
    """

    columns: Any
    coordinates: Coordinates
    has_ones: bool
    point: np.ndarray
    used: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of_free(cls, estimator, parameters, point, covariance):
        """With the covariance of the free entries."""
        columns, used, is_free = SoftmaxSGDClassifier(), parameters.used, parameters.is_free_of_used
        vars(columns).update({name: value for name, value in vars(estimator).items() if name in OF_INPUT})
        of_used = np.zeros((len(is_free),) * 2)
        of_used[np.ix_(is_free, is_free)] = covariance
        of_used = of_used.reshape(len(used), len(point), len(used), len(point))
        return cls(columns, parameters.coordinates, bool(estimator.fit_intercept), point, used, of_used)

    def of(self, rows, offset):
        """(scores (n, n_classes), their covariances (n, n_classes, n_classes)) of some rows, up to a shift of all classes."""
        n_classes, (n_used, size) = self.point.shape[1], self.covariance.shape[:2]
        columns = dense_columns(rows, self.coordinates.offset, self.coordinates.inverse_scale, self.has_ones)
        covariance = np.zeros((len(columns), n_classes, n_classes))
        for number, label in enumerate(self.used):
            products = (columns @ self.covariance[number].reshape(size, -1)).reshape(len(columns), n_used, size)
            covariance[:, label, self.used] = np.einsum("iaj,ij->ia", products, columns)
        return columns @ self.point + offset, covariance


@dataclass(frozen=True, eq=False, repr=False)
class InferenceResult:
    """Estimates of a model and how sure they are: what `inference` returns.

    Arrays have a row for each class of `classes` and a column for each name of
    `features`. ``covariance_matrix`` and the columns of R in `wald_test` are in the
    order of ``coef.ravel()``, class by class.

    Parameters
    ----------
    classes : ndarray of shape (n_rows,)
        The classes of the rows: all, or all but `reference`. With two classes, one.
    features : ndarray of shape (n_columns,), str
        "intercept" first if the model has one, then the names of the features. Features
        without names are "x0", "x1" and so on.
    reference : label or None
        The class that coefficients are differences from. None: deviations from the mean
        over the classes.
    coef : ndarray of shape (n_rows, n_columns)
        Intercepts and coefficients of the model, in this gauge.
    covariance_matrix : ndarray of shape (n_rows * n_columns, n_rows * n_columns)
        The covariance of ``coef.ravel()``.
    covariance_type : {"nonrobust", "robust", "clusters"}
        How it was computed.
    n_samples : int
        Number of rows of positive weight.
    total_weight : float
        The sum of their weights, class weights included.
    alpha : float
        The strength of the penalty.
    feature_numbers : ndarray of shape (n_columns,), int
        The column of X of each name in `features`. The intercept has -1.
    scores : Scores or None
        What `predict_proba` computes with. None if the result is that of some features.
    """

    classes: np.ndarray
    features: np.ndarray
    reference: Any
    coef: np.ndarray
    covariance_matrix: np.ndarray
    covariance_type: str
    n_samples: int
    total_weight: float
    alpha: float
    feature_numbers: np.ndarray
    scores: Scores | None

    @property
    def std_errors(self):
        """The standard errors of `coef`, an ndarray of the same shape.

        0 for a coefficient that is held at 0: of a constant feature, or in the pattern
        of zeros that ``active_only=True`` takes as given.
        """
        return np.sqrt(np.diag(self.covariance_matrix)).reshape(self.coef.shape)

    def coef_table(self, confidence_level=0.95):
        """Estimates, standard errors, tests and intervals, a row for each coefficient.

        Parameters
        ----------
        confidence_level : float, default=0.95
            Of the intervals, between 0 and 1.

        Returns
        -------
        table : DataFrame or structured ndarray
            With the columns "coef", "se", "z" (coef / se), "p_value" (two-sided, of the
            hypothesis that the coefficient is 0), "ci_lower" and "ci_upper". The index
            of the DataFrame has the levels "class" and "feature". If pandas is not
            installed, these are the first two fields of an array of shape
            (n_rows * n_columns,). A coefficient that is held at 0 has no z and no
            p-value (NaN).
        """
        table = _table(self, confidence_level)
        try:
            import pandas as pd
        except ImportError:
            return table
        return pd.DataFrame(
            {name: table[name] for name in COLUMNS},
            index=pd.MultiIndex.from_arrays([table["class"], table["feature"]], names=("class", "feature")),
        )

    def wald_test(self, features=None, *, R=None, r=None):
        """Test hypotheses about several coefficients at once.

        Under the hypothesis ``R @ coef.ravel() == r`` the statistic ::

            (R c - r)^T (R V R^T)^-1 (R c - r)

        has about a chi-square distribution, with the rank of ``R V R^T`` as the degrees
        of freedom. This rank is smaller than the number of hypotheses if some follow
        from others. For instance, K deviations from a mean are K - 1 hypotheses.

        Parameters
        ----------
        features : list of str or int, or None, default=None
            Names or numbers of features, or "intercept". The hypothesis is that none of
            them matters to any class: all their coefficients are 0.

        R : array-like of shape (n_hypotheses, n_rows * n_columns) or None, default=None
            Linear combinations of ``coef.ravel()``. Pass either `features` or R.

        r : array-like of shape (n_hypotheses,) or None, default=None
            What the combinations are equal to. None is 0.

        Returns
        -------
        test : WaldTest
            A named tuple with the fields `chi2`, `df` and `p_value`.

        Raises
        ------
        ValueError
            If a feature is unknown, an array has the wrong shape, or the hypothesis
            contradicts what always holds. For instance, deviations from a mean add up
            to 0.
        """
        if (features is None) == (R is None):
            raise ValueError("Pass either features or R.")
        if features is not None:
            if r is not None:
                raise ValueError("r belongs to R. With features, the hypothesis is that all coefficients are 0.")
            columns = _positions(features, self.features, self.feature_numbers)
            chosen = (np.arange(len(self.classes))[:, None] * len(self.features) + columns).ravel()
            estimate, covariance = self.coef.ravel()[chosen], self.covariance_matrix[np.ix_(chosen, chosen)]
            size = np.abs(estimate)
        else:
            R = np.atleast_2d(np.asarray(R, dtype=np.float64))
            if R.ndim != 2 or R.shape[1] != self.coef.size:
                raise ValueError(
                    f"R has the shape {R.shape}, expected (n_hypotheses, {self.coef.size}): a column for each of coef.ravel()."
                )
            r = np.zeros(len(R)) if r is None else np.atleast_1d(np.asarray(r, dtype=np.float64))
            if r.shape != (len(R),):
                raise ValueError(f"r has the shape {r.shape}, expected {(len(R),)}: a number for each row of R.")
            if not (np.isfinite(R).all() and np.isfinite(r).all()):
                raise ValueError("R or r contains NaN or infinity. Pass finite numbers.")
            estimate, covariance = R @ self.coef.ravel() - r, R @ self.covariance_matrix @ R.T
            size = np.abs(R) @ np.abs(self.coef.ravel()) + np.abs(r)
            # what is left of the variance of a combination that never varies is rounding
            is_fixed = np.diag(covariance) <= np.square(SMALLEST_PART * (np.abs(R) @ self.std_errors.ravel()))
            covariance[is_fixed], covariance[:, is_fixed] = 0, 0
        return _wald(estimate, covariance, size)

    def predict_proba(self, X, confidence_level=0.95, *, offset=None):
        """Probabilities of the classes, with standard errors and intervals.

        The intervals are for the probabilities of the model, not for the labels. The
        log odds of a class against all others, ``log(p_a / (1 - p_a))``, have about a
        normal distribution, by the delta method. An interval of the log odds becomes
        one of the probability, which so lies in [0, 1].

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Rows to predict.

        confidence_level : float, default=0.95
            Of the intervals, between 0 and 1.

        offset : array-like of shape (n_samples, n_classes) or (n_samples,), or None, default=None
            What is added to the scores. Two classes have one number per row, which is
            added to the log odds of ``classes_[1]``.

        Returns
        -------
        intervals : ProbabilityIntervals
            A named tuple with the fields `proba`, `std_error`, `lower` and `upper`,
            arrays of shape (n_samples, n_classes) in the order of ``classes_``.

        Raises
        ------
        ValueError
            If the result is that of some features only, or if an input has the wrong
            shape, type or values.
        """
        if self.scores is None:
            raise ValueError(
                "The result is that of some features, and predict_proba needs all of them. Call inference without features."
            )
        quantile, point = _quantile(confidence_level), self.scores.point
        X = checked_X(self.scores.columns, X, own_dtype(X), False)
        n_samples, n_classes = X.shape[0], point.shape[1]
        offset = checked_offset(offset, n_samples, n_classes)
        offset = np.zeros((n_samples, n_classes)) if offset is None else offset
        intervals = ProbabilityIntervals(*np.empty((4, n_samples, n_classes)))
        identity, n_rows = np.eye(n_classes), max(1, BLOCK // point.size)
        for start in range(0, n_samples, n_rows):
            block = slice(start, start + n_rows)
            scores, covariance = self.scores.of(rows_in(X, block), offset[block])
            # log odds s_a - log(sum of exp(s_b) over the others), whose gradient has the shares of the others
            of_others = scores[:, None, :] - np.where(identity, np.inf, 0)
            log_sums = logsumexp(of_others, axis=2)
            gradient = identity - np.exp(of_others - log_sums[:, :, None])
            log_odds = scores - log_sums
            width = np.sqrt(np.maximum(np.einsum("iab,ibc,iac->ia", gradient, covariance, gradient), 0))
            intervals.proba[block] = expit(log_odds)
            intervals.std_error[block] = expit(log_odds) * expit(-log_odds) * width
            intervals.lower[block] = expit(log_odds - quantile * width)
            intervals.upper[block] = expit(log_odds + quantile * width)
        return intervals

    def sample(self, n_samples=1, random_state=None):
        """Draw coefficients from their approximate normal distribution.

        Parameters
        ----------
        n_samples : int, default=1
            Number of draws.

        random_state : int, RandomState instance or None, default=None
            Seed of the draws.

        Returns
        -------
        draws : ndarray of shape (n_samples, n_rows, n_columns)
            Arrays like `coef`, around which they are drawn.
        """
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r} must be a positive integer.")
        root = self._root
        draws = check_random_state(random_state).standard_normal((n_samples, root.shape[1])) @ root.T
        return self.coef + draws.reshape(n_samples, *self.coef.shape)

    @cached_property
    def _root(self):
        """A matrix whose product with its transpose is the covariance, which may be singular."""
        se = np.sqrt(np.diag(self.covariance_matrix))
        per_se = np.divide(1, se, out=np.zeros_like(se), where=se > 0)
        factor, pivots, rank, _ = lapack.dpstrf(self.covariance_matrix * per_se * per_se[:, None], lower=True)
        root = np.zeros((len(se), rank))
        root[pivots - 1] = np.tril(factor)[:, :rank]
        return root * se[:, None]

    def __repr__(self):
        gauge = (
            "differences from the mean over the classes" if self.reference is None else f"differences from class {self.reference}"
        )
        rows = [("class", "feature", *COLUMNS)]
        table = _table(self, 0.95)
        for row in table[: MOST_SHOWN if len(table) > MOST_SHOWN + 1 else None]:
            rows.append((str(row[0]), str(row[1]), *(f"{number:.4g}" for number in list(row)[2:])))
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [
            f"Inference from {self.n_samples} rows, {self.covariance_type} covariance, alpha={self.alpha:.4g}",
            f"coefficients: {gauge}; 95 % intervals",
            *("  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows),
        ]
        if len(rows) <= len(table):
            lines.append(f"and {len(table) - len(rows) + 1} more, see coef_table()")
        return "\n".join(lines)


def inference(
    clf,
    X,
    y,
    sample_weight=None,
    *,
    offset=None,
    robust=False,
    clusters=None,
    reference=None,
    active_only=False,
    features=None,
):
    """Standard errors, tests and intervals of a fitted model.

    The covariance of the coefficients is the inverse of the Hessian H of the sum of the
    losses and the penalty, at the model:

    .. code-block:: text

        H = sum_i s_i (diag(p_i) - p_i p_i^T) kron x_i x_i^T
            + alpha S (1 - l1_ratio) diag(v_j^2)

    with the names of `SoftmaxSGDClassifier`. Without a penalty it is the inverse of the
    Fisher information. With an L2 penalty it is the covariance of Laplace's
    approximation of the posterior, whose prior is the penalty.

    Parameters
    ----------
    clf : SoftmaxSGDClassifier or LogisticRegression
        A fitted model, at the optimum of its objective. It is not changed.

    X : {array-like, sparse} of shape (n_samples, n_features)
        The rows that the model was fitted on, which no model keeps.

    y : array-like of shape (n_samples,)
        Their labels.

    sample_weight : array-like of shape (n_samples,) or None, default=None
        Their weights, as in `fit`. A row of weight k counts as k equal rows.

    offset : array-like of shape (n_samples, n_classes) or (n_samples,), or None, default=None
        What is added to the scores. Two classes have one number per row, which is added
        to the log odds of ``classes_[1]``.

    robust : bool, default=False
        Whether to use the sandwich ``H^-1 (sum_i g_i g_i^T) H^-1``, where g_i is the
        gradient of the loss of a row. It does not rely on the model to have the right
        variances (White's HC0). The gradient of a row of weight k is that of k rows,
        each of which has a term of its own in the sum. Class weights are no counts, and
        multiply g_i.

    clusters : array-like of shape (n_samples,) or None, default=None
        The cluster of each row, such as a person, as integers or strings. The sandwich
        then adds up the g_i of a cluster first, because the rows of a cluster may depend
        on each other. Without a correction for few clusters.

    reference : label or None, default=None
        Class that coefficients are differences from, as in VGAM and Stata. None:
        differences from the mean over the classes. With two classes None is
        ``classes_[0]``, so that coefficients are `coef_`, of the log odds of
        ``classes_[1]``.

    active_only : bool, default=False
        Whether to accept a model with L1, and to take its pattern of zeros as given. The
        errors do not include the choice of the features. Coefficients of features that
        some class has no use for then stay as they are in `coef_` if `reference` is None.

    features : list of str or int, or None, default=None
        Names or numbers of the features whose coefficients are wanted, or "intercept".
        None: all, up to 5000 coefficients and intercepts. Beyond, some features can be
        asked for, which are computed by conjugate gradients, in time proportional to
        their number.

    Returns
    -------
    result : InferenceResult
        The coefficients with their standard errors and covariance, and what follows from
        these: a table, Wald tests, intervals of probabilities and draws.

    Raises
    ------
    NotFittedError
        If `clf` is not fitted.
    TypeError
        If `clf` is another estimator.
    ValueError
        If the model has L1 and `active_only` is False, if the model has
        `label_smoothing`, if there are more than 5000 coefficients and intercepts and
        `features` is None, if the rows do not determine a coefficient, or if an input
        has the wrong shape, type or values.

    Warns
    -----
    ConvergenceWarning
        If a coefficient is more than 0.1 standard errors from the optimum on these rows.
        The coverage of a 95 % interval is then too small by 0.1 percentage points or
        more.
    UserWarning
        If the model has a `class_weight` and no sandwich is asked for, because weights
        that are not counts make the inverse of H wrong.

    Notes
    -----
    All classes may shift together without a change of any probability. This direction is
    left out, also where there is a penalty, so that no standard error depends on it.

    A coefficient of a constant feature is held at 0, and its standard error is 0.

    Takes memory for about six matrices of n_coefficients^2 numbers, in float64.

    References
    ----------
    .. [1] White, "Maximum likelihood estimation of misspecified models", Econometrica
       50, 1982.
    .. [2] Le Cessie and Van Houwelingen, "Ridge estimators in logistic regression",
       Applied Statistics 41, 1992.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import SoftmaxSGDClassifier, inference
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> clf = SoftmaxSGDClassifier(tol=1e-8).fit(X, y)
    >>> result = inference(clf, X, y, reference=1)
    >>> row = result.coef_table(confidence_level=0.9).loc[(2, "petal width (cm)")]
    >>> ends = f"from {row.ci_lower:.2f} to {row.ci_upper:.2f}"
    >>> print(f"{row.coef:.2f} +- {row.se:.2f}, {ends}")
    4.56 +- 1.13, from 2.70 to 6.42
    >>> test = result.wald_test(["petal width (cm)"])
    >>> print(f"chi2 {test.chi2:.1f} on {test.df} degrees of freedom")
    chi2 21.9 on 2 degrees of freedom
    >>> proba, std_error, lower, upper = result.predict_proba(X[70:71])
    >>> ends = f"from {lower[0, 1]:.2f} to {upper[0, 1]:.2f}"
    >>> print(f"P(class 1) {proba[0, 1]:.2f}, {ends}")
    P(class 1) 0.44, from 0.20 to 0.71
    """
    estimator, is_lr = _checked_model(clf)
    if X is None or y is None:
        raise ValueError(
            "X and y are missing: the rows that the model was fitted on. No model keeps its rows, so a stream whose rows are "
            "gone has no standard errors. Store the rows, or a random sample of them to fit and to pass here."
        )
    problem, groups = _observations(estimator, type(clf).__name__, X, y, sample_weight, offset, clusters)
    is_robust = bool(robust) or groups is not None
    if estimator.class_weight is not None and not is_robust:
        warnings.warn(
            f"class_weight={estimator.class_weight!r}: the inverse of the Hessian takes class weights for counts of rows. Use "
            "robust=True, which does not.",
            stacklevel=2,
        )
    names, numbers = _names(estimator)
    n_parameters = len(names) * len(estimator.classes_)
    if features is None and n_parameters > MOST_PARAMETERS:
        raise ValueError(
            f"The covariance of {n_parameters} coefficients ({len(names)} for each of {len(estimator.classes_)} classes) is "
            f"too large, at most {MOST_PARAMETERS} are possible. Pass features=[...] to get those of some features."
        )
    chosen = np.arange(len(names)) if features is None else _positions(features, names, numbers)
    total_weight = float(problem.sample_weight.sum())
    alpha = float(estimator.alpha_) / (total_weight if is_lr else 1.0)
    reference_number = _number_of_reference(reference, estimator.classes_)
    objective, parameters, point, coef = _at_model(estimator, problem, alpha, reference_number, numbers[chosen], active_only)

    scores_at_point = objective.scores(point)
    proba = proba_and_losses(objective.class_scores(scores_at_point), problem.y)[0]
    gradient = objective.loss_gradient(proba)
    gradient[:-1] += objective.l2 * point[:-1]
    gradient[:-1] += alpha * estimator.l1_ratio * objective.penalty.scale[:, None] * np.sign(point[:-1])
    gradient -= np.where(parameters.can_shift[:, None], gradient.mean(axis=1, keepdims=True), 0)  # which is no error
    residual = _residual(objective, problem, proba, groups) if is_robust else None
    scores = None
    if n_parameters <= MOST_PARAMETERS:
        inverse = _inverse(_hessian(objective, proba, parameters), _names_of_free(parameters, names, estimator.classes_))
        step = parameters.public_of_free(-inverse @ gradient.T[parameters.is_free])
        if residual is None:
            covariance = np.divide(inverse, total_weight, out=inverse)
        else:
            covariance = _sandwich(objective, parameters, inverse, residual, groups)
        if features is None:
            scores = Scores.of_free(estimator, parameters, point, covariance)
        covariance = parameters.public_covariance(covariance)
    else:
        solutions, covariance = _solutions(objective, objective.curvature(scores_at_point), parameters)
        step = -np.array([np.vdot(solution, gradient) for solution in solutions]).reshape(len(parameters.rows), -1)
        covariance = covariance / total_weight if residual is None else _sandwich_of(objective, solutions, residual, groups)
    se = np.sqrt(np.diag(covariance)).reshape(step.shape)
    distance = float(np.max(np.abs(step[se > 0]) / se[se > 0], initial=0))
    if not distance <= LARGEST_DISTANCE:
        warnings.warn(
            f"The model is not at the optimum of these rows: a coefficient is {distance:.2g} standard errors away from it, and "
            "intervals are off by as much. Pass the rows and weights that the model was fitted on. If you did, fit with a "
            "smaller tol or a larger max_iter, without early_stopping, and by fit instead of partial_fit.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return InferenceResult(
        classes=estimator.classes_[parameters.rows],
        features=names[chosen],
        reference=None if reference_number is None else estimator.classes_[reference_number],
        coef=parameters.public(coef),
        covariance_matrix=covariance,
        covariance_type="clusters" if groups is not None else "robust" if is_robust else "nonrobust",
        n_samples=problem.n_samples,
        total_weight=total_weight,
        alpha=alpha,
        feature_numbers=numbers[chosen],
        scores=scores,
    )


# Input --------------------------------------------------------------------------------


def _checked_model(clf):
    """(a `SoftmaxSGDClassifier` with the model, whether its alpha_ is that of the sum of the losses)."""
    if isinstance(clf, LogisticRegression):
        return SoftmaxSGDClassifier.from_logistic_regression(clf, n_samples=1), True
    if not isinstance(clf, SoftmaxSGDClassifier):
        raise TypeError(
            f"clf must be a fitted SoftmaxSGDClassifier or LogisticRegression, got {type(clf).__name__}: {clf!r}. From a "
            "pipeline pass the last step, and for X what the steps before it return."
        )
    check_is_fitted(clf)
    if clf.label_smoothing:
        raise ValueError(
            f"clf has label_smoothing={clf.label_smoothing}, for which standard errors are not supported. Fit without "
            "label_smoothing."
        )
    if len(clf.classes_) < 2:
        raise ValueError(f"clf has only one class, {clf.classes_.tolist()[0]!r}, whose probability is 1. Fit rows of two.")
    return clf, False


def _observations(estimator, name, X, y, sample_weight, offset, clusters):
    """(Problem, groups or None) of the rows of positive weight, in the order of their groups."""
    n_classes = len(estimator.classes_)
    problem, is_positive = labelled_problem(
        X,
        y,
        sample_weight,
        offset,
        estimator.classes_,
        check_X=partial(checked_X, estimator),
        name=name,
        class_weight=estimator.class_weight,
    )
    n_given = len(is_positive)
    absent = ~problem.occurring(n_classes)
    if estimator.fit_intercept and absent.any():
        raise ValueError(
            f"y has no row of positive weight of the classes {estimator.classes_[absent]}, so that nothing is known of their "
            "coefficients. Fit a model of the other classes."
        )
    groups = None
    if clusters is not None:
        clusters = labels(clusters, "clusters")
        if len(clusters) != n_given:
            raise ValueError(f"clusters has {len(clusters)} labels, expected {n_given}: one for each row of X.")
        groups = np.unique(clusters[is_positive], return_inverse=True)[1]
        if groups.max() == 0:
            raise ValueError("clusters has one cluster only, from which nothing is known of the variance between clusters.")
        order = np.argsort(groups, kind="stable")
        problem, groups = problem.take(order), groups[order]
    return problem, groups


def _quantile(confidence_level):
    if not (isinstance(confidence_level, Real) and 0 < confidence_level < 1):
        raise ValueError(f"confidence_level={confidence_level!r} must be a number between 0 and 1, such as 0.95.")
    return norm.isf((1 - confidence_level) / 2)


def _number_of_reference(reference, classes):
    """The number of a class, or None for the mean of the classes. Of two classes it is the first by default."""
    if reference is None:
        return 0 if len(classes) == 2 else None
    return int(numbers_of(labels([reference], "reference"), classes, "reference", "Pass one of these.")[0])


def _names(estimator):
    """Names of the columns of coefficients, and their numbers: those of features, and -1 for the intercept."""
    n_features = estimator.n_features_in_
    names = getattr(estimator, "feature_names_in_", [f"x{number}" for number in range(n_features)])
    n_first = int(estimator.fit_intercept)
    return np.array(["intercept"][:n_first] + list(map(str, names))), np.arange(-n_first, n_features)


def _positions(features, names, numbers):
    """Where these names or numbers of features are among the columns."""
    if isinstance(features, str | Integral):
        features = [features]
    place = dict(zip(names.tolist(), range(len(names)))) | {
        number: at for at, number in enumerate(numbers.tolist()) if number >= 0
    }
    unknown = [feature for feature in features if feature not in place]
    if unknown:
        raise ValueError(
            f"features has {unknown[0]!r}, which is not a feature here. Pass names or numbers of features: "
            f"{', '.join(names[:MOST_SHOWN])}{', ...' if len(names) > MOST_SHOWN else ''}."
        )
    positions = np.array([place[feature] for feature in features], dtype=np.intp)
    if len(positions) == 0 or len(np.unique(positions)) < len(positions):
        raise ValueError(f"features={features!r} must be at least one feature, and none of them twice.")
    return positions


# The model ----------------------------------------------------------------------------


def _at_model(estimator, problem, alpha, reference, columns, active_only):
    """(objective without its L1 part, parameters, point, coefficients with the intercepts last in the units of X)."""
    n_classes, n_features = len(estimator.classes_), estimator.n_features_in_
    has_l1 = alpha * estimator.l1_ratio > 0
    if has_l1 and not active_only:
        raise ValueError(
            f"The model has an L1 penalty (l1_ratio={estimator.l1_ratio}). Its zeros are the result of a choice, which standard "
            "errors do not know of. Fit with l1_ratio=0, or pass active_only=True to take the pattern of zeros as given."
        )
    coef = estimator.coef_.toarray() if issparse(estimator.coef_) else estimator.coef_
    model = Model.from_public(coef.astype(np.float64), estimator.intercept_.astype(np.float64), n_classes)
    coef, intercept = (np.array(part) for part in model.softmax_coef())
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise ValueError("The model has coefficients that are NaN or infinite. Fit it again.")

    prepared, fit_intercept = prepare(problem, n_classes), bool(estimator.fit_intercept)
    coordinates = prepared.coordinates(estimator.scale_, alpha, fit_intercept, np.dtype(np.float64))
    is_held = coordinates.inverse_scale == 0
    is_constant = is_held & (prepared.scale == 0)
    if fit_intercept and not problem.is_sparse:  # a constant feature is part of the intercept
        intercept += coef[:, is_constant] @ prepared.spreads[0][is_constant]
        coef[:, is_constant] = 0
    wrong = np.flatnonzero(is_held & coef.any(axis=0))
    if len(wrong):
        raise ValueError(
            f"Feature {wrong[0]} has a coefficient, but no scale_, so that its penalty is not known. Fit the model, or pass X "
            "to from_logistic_regression."
        )
    point = coordinates.point(coef, intercept)
    penalty = Penalty(alpha * (1 - estimator.l1_ratio), 0.0, n_classes, coordinates.penalty_scale)
    objective = Objective.of(problem, penalty, fit_intercept, coordinates)
    is_active, can_shift = np.repeat(objective.is_free.T, n_classes, axis=0), np.ones(n_features + 1, dtype=bool)
    if has_l1:
        is_active[:, :-1] &= coef != 0
        can_shift[:-1] = is_active[:, :-1].all(axis=0)
    base = 0 if n_classes == 2 else int(np.argmax(prepared.class_weight))
    parameters = _Parameters(is_active, can_shift, base, coordinates, reference, columns % (n_features + 1))
    return objective, parameters, point, np.column_stack([coef, intercept])


def _residual(objective, problem, proba, groups):
    """The factors f_i of the gradients f_i kron x_i / S that the sandwich adds up.

    With frequencies k_i and class weights c_i, the gradient of one of k_i rows is
    c_i (p_i - e_yi) kron x_i. Each row is a term of the sum, unless it is in a group.
    """
    of_rows = objective.shares if groups is not None else objective.shares / np.sqrt(problem.base_weight)
    residual = proba.copy()
    residual[np.arange(len(residual)), problem.y] -= 1
    residual *= of_rows[:, None]
    return residual


# All parameters: Cholesky's factors ---------------------------------------------------


def _hessian(objective, proba, parameters):
    """The Hessian of F for the free entries."""
    shares, used, design = objective.shares, parameters.used, objective.design
    n_used, size, has_ones = len(used), design.shape[1], objective.fit_intercept
    others = 1 - np.eye(proba.shape[1])[:, used]

    def of_class(block):  # p_a (1 - p_a) without cancellation
        return shares[block, None] * proba[block][:, used] * (proba[block] @ others)

    def factors(block):
        return np.sqrt(shares[block, None]) * proba[block][:, used]

    hessian = design.kronecker_gram(factors, has_ones).T  # an upper triangle
    np.negative(hessian, out=hessian)
    for number, gram in enumerate(design.gram_matrices(of_class, has_ones)):
        block = slice(number * size, (number + 1) * size)
        hessian[block, block] = gram.T
    of_features = np.einsum("ajbj->abj", hessian.reshape(n_used, size, n_used, size))[:, :, :-1]
    of_features += objective.l2[:, 0] * (np.eye(n_used)[:, :, None] - parameters.can_shift[:-1] / proba.shape[1])
    is_free = parameters.is_free_of_used
    return hessian if is_free.all() else hessian[np.ix_(is_free, is_free)]


def _inverse(hessian, names):
    """The inverse of an upper triangle, both halves. An error names the first entry that the rows do not determine."""
    scale = np.sqrt(np.diag(hessian))
    per_scale = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    hessian *= per_scale
    hessian *= per_scale[:, None]
    factor, failed = lapack.dpotrf(hessian.T, lower=True, overwrite_a=True)
    pivots = np.square(np.diag(factor)[: failed - 1 if failed else None])
    bad = np.flatnonzero(pivots <= ROUNDINGS * len(hessian) * np.finfo(np.float64).eps)
    if failed or len(bad):
        feature, label = names[bad[0] if len(bad) else failed - 1]
        raise ValueError(
            f"The rows do not determine the coefficients: that of {feature!r} for class {label!r} is free once others are "
            "given. Either features are linear combinations of others, or a class can be separated from the others without an "
            "error. Leave features out, or fit with a larger alpha."
        )
    inverse = np.tril(lapack.dpotri(factor, lower=True, overwrite_c=True)[0])
    inverse += np.tril(inverse, -1).T
    inverse *= per_scale
    inverse *= per_scale[:, None]
    return inverse


def _names_of_free(parameters, names, classes):
    """(feature, class) of each free entry."""
    n_features = parameters.is_free.shape[1] - 1
    names = np.append(names[-n_features:], "intercept")
    return [(str(names[column]), classes.tolist()[label]) for label, column in zip(*np.nonzero(parameters.is_free))]


def _sandwich(objective, parameters, inverse, residual, groups):
    """The robust covariance of the free entries."""
    used, is_free = parameters.used, parameters.is_free_of_used
    meat = objective.design.kronecker_gram(lambda block: residual[block][:, used], objective.fit_intercept, groups)
    meat = meat[np.ix_(is_free, is_free)]
    meat += np.tril(meat, -1).T
    return inverse @ meat @ inverse


# Some of many parameters: conjugate gradients -----------------------------------------


def _solutions(objective, curvature, parameters):
    """(H^-1 u for each functional u of what users see, u^T H^-1 u' for each two)."""
    precondition = Preconditioner(objective)
    if precondition.is_possible:
        precondition.update(curvature)
    free, functionals, solutions = parameters.is_active.T, list(parameters.functionals()), []
    for functional in functionals:
        functional = np.where(free, functional, 0)
        solution, n_products = newton_step(
            objective,
            curvature,
            precondition,
            np.zeros_like(functional),
            -functional,
            free,
            forcing=FORCING,
            tolerance=None,
            most_passes=MOST_PRODUCTS,
        )
        if n_products == MOST_PRODUCTS or not np.isfinite(solution).all():
            raise ValueError(
                f"Conjugate gradients did not find a variance by {MOST_PRODUCTS} products with the Hessian: the rows hardly "
                "determine the coefficients. Leave features out, or fit with a larger alpha."
            )
        solutions.append(solution)
    covariance = np.array([[np.vdot(functional, solution) for solution in solutions] for functional in functionals])
    return solutions, 0.5 * (covariance + covariance.T)


def _sandwich_of(objective, solutions, residual, groups):
    """The robust covariance of what users see."""
    products = [
        np.einsum("ia,ia->i", residual, objective.class_scores(objective.change_of_scores(solution))) for solution in solutions
    ]
    of_rows = np.column_stack(products)
    if groups is not None:
        of_rows = np.add.reduceat(of_rows, np.flatnonzero(np.diff(groups, prepend=-1)))
    return of_rows.T @ of_rows


def _table(result, confidence_level):
    """`InferenceResult.coef_table` as a structured array."""
    coef, se = result.coef.ravel(), result.std_errors.ravel()
    z = np.divide(coef, se, out=np.full_like(se, np.nan), where=se > 0)
    width = _quantile(confidence_level) * se
    columns = {
        "class": np.repeat(result.classes, len(result.features)),
        "feature": np.tile(result.features, len(result.classes)),
        **dict(zip(COLUMNS, (coef, se, z, 2 * norm.sf(np.abs(z)), coef - width, coef + width))),
    }
    table = np.empty(len(coef), dtype=[(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        table[name] = column
    return table


def coefficients_of(result, feature, label, confidence_level):
    """(rows of `_table`, their names, what they are) of one feature over the classes, or of one class over the features."""
    if feature is None and label is None and len(result.classes) == 1:
        label = result.classes[0]
    if (feature is None) == (label is None):
        raise ValueError("Pass either feature, to plot it over the classes, or label, to plot a class over the features.")
    table = _table(result, confidence_level).reshape(result.coef.shape)
    if feature is not None:
        column = _positions(feature, result.features, result.feature_numbers)[0]
        table, names, what = table[:, column], result.classes, f"Coefficient of {result.features[column]}"
    else:
        row = numbers_of(labels([label], "label"), result.classes, "label", "Pass one of these.")[0]
        is_feature = result.feature_numbers >= 0
        table, names, what = table[row, is_feature], result.features[is_feature], f"Coefficient for class {result.classes[row]}"
    return table, [str(one) for one in names], what if result.reference is None else f"{what}, compared with {result.reference}"


def _wald(estimate, covariance, size):
    """The test that numbers of this size are 0 which have this covariance, which may be singular."""
    se = np.sqrt(np.maximum(np.diag(covariance), 0))
    varies = se > 0
    scaled = estimate[varies] / se[varies]
    variances, directions = np.linalg.eigh(covariance[np.ix_(varies, varies)] / np.outer(se[varies], se[varies]))
    parts, is_part = directions.T @ scaled, variances > ROUNDINGS * len(variances) * np.finfo(np.float64).eps
    if (np.abs(estimate[~varies]) > SMALLEST_PART * size[~varies]).any() or (
        np.abs(parts[~is_part]) > SMALLEST_PART * np.linalg.norm(size[varies] / se[varies])
    ).any():
        raise ValueError(
            "The hypothesis contradicts what always holds: that deviations from the mean over the classes add up to 0, or that "
            "coefficients are held at 0. Leave out of R what follows from other rows."
        )
    df = int(is_part.sum())
    if df == 0:
        raise ValueError("The hypothesis is about coefficients that are held at 0 only, which has no test.")
    statistic = float(np.sum(np.square(parts[is_part]) / variances[is_part]))
    return WaldTest(statistic, df, float(chi2.sf(statistic, df)))


inference.__module__ = InferenceResult.__module__ = "sklearn_softmax"
