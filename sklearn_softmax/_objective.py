"""The definition of what is minimised, in NumPy: loss, penalty, objective, gradient, optimality gap.

For weights W (n_classes, n_features), intercepts b, examples x_i with labels y_i and weights s_i, S = sum_i s_i:

    F(W, b) = (1/S) sum_i s_i loss_i + alpha ((1 - l1_ratio)/2 ||W||_2^2 + l1_ratio ||W||_1)
    loss_i  = -log softmax(W x_i + b)[y_i]                                                      in nats

With two classes the rows are -w/2 and w/2, and the L2 strength is doubled: ||w||^2 = 2 (||-w/2||^2 + ||w/2||^2),
so that F is the objective of binary logistic regression in the one row w that users see.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import issparse
from scipy.special import logsumexp, softmax, xlogy

from . import kernels

__all__ = ["Objective", "Penalty", "kernel_rows", "losses", "raw_prediction"]

BLOCK = 1 << 16  # numbers
NO_INDICES = np.empty(0, dtype=np.int32)


def kernel_rows(X):
    """X as the kernels take it: values, columns and starts of rows, the last two empty if X is dense."""
    if issparse(X):
        return X.data, X.indices, X.indptr
    return X.reshape(-1), NO_INDICES, NO_INDICES


def _finite_raw_prediction(X, rows, intercept):
    """W X + b where a product or a sum overflows: in double, by powers of two, cut off at the largest number."""
    X, rows = (X.toarray() if issparse(X) else X).astype(np.float64), rows.astype(np.float64)
    exponent_of_x = np.frexp(np.abs(X).max(axis=1, initial=0))[1]
    exponent_of_w = np.frexp(np.abs(rows).max(initial=0))[1]
    scores = np.ldexp(X, -exponent_of_x[:, None]) @ np.ldexp(rows, -exponent_of_w).T
    with np.errstate(over="ignore"):
        scores = np.ldexp(scores, (exponent_of_x + exponent_of_w)[:, None])
        return np.nan_to_num(scores + intercept)


def raw_prediction(X, model):
    """The scores W x + b of each row.

    Parameters
    ----------
    X : C-contiguous ndarray or CSR of shape (n_samples, n_features), in the dtype of the model
    model : Model

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes), in the dtype of the model; finite whatever the scale of X
    """
    rows, intercept = model.rows()
    if issparse(X):
        scores = np.empty((X.shape[0], model.n_classes), dtype=X.dtype)
        kernels.decision(*kernel_rows(X), weights=model.weights, intercept=model.intercept, unit=model.unit, out=scores)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            scores = X @ rows.T
            scores += intercept.astype(X.dtype)
    overflowed = ~np.isfinite(scores).all(axis=1)
    if overflowed.any():
        limit = np.finfo(X.dtype).max
        scores[overflowed] = np.clip(_finite_raw_prediction(X[overflowed], rows, intercept), -limit, limit)
    return scores


def losses(scores, y):
    """-log softmax(scores_i)[y_i] of each row, in nats; shape (n_samples,), float64."""
    scores = np.asarray(scores, dtype=np.float64)
    return logsumexp(scores, axis=1) - scores[np.arange(len(y)), y]


def _transposed_product(X, residual):
    """residual.T @ X in double: in blocks of rows if X is float32, because a product of mixed dtypes copies it."""
    if X.dtype == residual.dtype:
        return (X.T @ residual).T
    n_rows = max(1, BLOCK * X.shape[0] // max(1, X.size))
    product = np.zeros((residual.shape[1], X.shape[1]))
    for start in range(0, X.shape[0], n_rows):
        product += (X[start : start + n_rows].T @ residual[start : start + n_rows]).T
    return product


@dataclass(frozen=True)
class Penalty:
    """alpha ((1 - l1_ratio)/2 ||W||_2^2 + l1_ratio ||W||_1), of the row that users see if there are two classes."""

    alpha: float
    l1_ratio: float
    n_classes: int

    @property
    def l2_ratio(self):
        return (1 - self.l1_ratio) * (2 if self.n_classes == 2 else 1)

    def __call__(self, rows):
        l2, l1 = self.alpha * self.l2_ratio, self.alpha * self.l1_ratio
        value = 0.5 * l2 * np.einsum("ij,ij->", rows, rows, dtype=np.float64) if l2 else 0.0
        return float(value + (l1 * np.abs(rows).sum(dtype=np.float64) if l1 else 0.0))

    def gap(self, rows, gradient):
        """penalty(W) + conjugate(-gradient) + <W, gradient>, which is >= 0, and 0 if -gradient is a subgradient at W.

        gradient : of the loss, shape (n_classes, n_features). If there is no L2 part the conjugate is finite only where
        no |gradient| exceeds alpha l1_ratio.
        """
        l2, l1 = self.alpha * self.l2_ratio, self.alpha * self.l1_ratio
        excess = np.maximum(np.abs(gradient) - l1, 0)
        if l2:
            # (l2/2) (|W| - excess/l2)^2 + what the signs cost: a sum of terms that are not negative
            shrunk = -np.sign(gradient) * excess / l2
            smooth = 0.5 * l2 * np.square(rows - shrunk)
            return float(np.sum(smooth + l1 * np.abs(rows) + rows * np.clip(gradient, -l1, l1)))
        return float(np.sum(l1 * np.abs(rows) + rows * gradient)) if not excess.any() else np.inf


@dataclass(frozen=True)
class Objective:
    """F on given rows.

    Attributes
    ----------
    X : C-contiguous ndarray or CSR of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,), class numbers
    sample_weight : ndarray of shape (n_samples,)
    penalty : Penalty
    fit_intercept : bool
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray
    penalty: Penalty
    fit_intercept: bool = True

    @property
    def _shares(self):
        return self.sample_weight / self.sample_weight.sum()

    def loss(self, model):
        """(1/S) sum_i s_i loss_i, in nats."""
        return float(self._shares @ losses(raw_prediction(self.X, model), self.y))

    def __call__(self, model):
        """F, in nats."""
        return self.loss(model) + self.penalty(model.rows()[0])

    def _loss_gradient(self, proba):
        """Of the mean loss, for W and for b, where `proba` has shape (n_samples, n_classes)."""
        residual = proba * self._shares[:, None]
        residual[np.arange(len(self.y)), self.y] -= self._shares
        return _transposed_product(self.X, residual), residual.sum(axis=0)

    def gradient(self, model):
        """The gradient of the smooth part of F (all but the L1 norm): (1/S) sum_i s_i (p_i - e_yi) x_i + l2 W, and for b.

        Returns
        -------
        of_rows : ndarray of shape (n_classes, n_features)
        of_intercept : ndarray of shape (n_classes,); zero if no intercept is fitted
        """
        rows, _ = model.rows()
        of_rows, of_intercept = self._loss_gradient(softmax(self._scores(model), axis=1))
        of_rows += self.penalty.alpha * self.penalty.l2_ratio * rows
        return of_rows, of_intercept if self.fit_intercept else np.zeros_like(of_intercept)

    def _scores(self, model):
        return np.asarray(raw_prediction(self.X, model), dtype=np.float64)

    def optimality_gap(self, model):
        """An upper bound of F(model) - min F, in nats.

        It is a duality gap. For any distributions q_i over the classes (a dual point),

            min F >= (1/S) sum_i s_i entropy(q_i) - conjugate of the penalty(-G),     G = (1/S) sum_i s_i (q_i - e_yi) x_i

        if sum_i s_i (q_i - e_yi) = 0, which is the price of an intercept without a penalty. The model's own probabilities,
        with the intercepts that are best for its weights, are such a point up to rounding, and a small mixture makes them one
        exactly. The bound is as tight as the model is good; with L2 it is |grad F|^2 / (2 alpha). Without an L2 part the point is
        moved towards the labels until the conjugate is finite, at worst to where the bound says no more than min F >= 0.
        """
        with np.errstate(all="ignore"):  # numbers at the end of their range give no bound
            gap = self._optimality_gap(model)
        return float(gap) if np.isfinite(gap) else np.inf

    def _optimality_gap(self, model):
        rows, _ = model.rows()
        scores = self._scores(model)
        loss = self._shares @ losses(scores, self.y)
        if self.fit_intercept:
            scores += self._best_shift(scores)
        better_loss = self._shares @ losses(scores, self.y)
        log_proba = scores - logsumexp(scores, axis=1, keepdims=True)
        proba = np.exp(log_proba)
        dual = self._balanced(proba) if self.fit_intercept else proba

        gradient, _ = self._loss_gradient(dual)
        l1 = self.penalty.alpha * self.penalty.l1_ratio
        feasible = min(1.0, l1 / largest) if (largest := np.abs(gradient).max()) > 0 else 1.0
        gaps = [loss + self.penalty(rows)]  # no loss is negative
        for share in {1.0, feasible * (1 - 1e-15)}:
            point = share * dual
            point[np.arange(len(self.y)), self.y] += 1 - share
            divergence = self._shares @ (xlogy(point, point) - xlogy(point, proba)).sum(axis=1)  # Kullback and Leibler's
            gaps.append(loss - better_loss + divergence + self.penalty.gap(rows, share * gradient))
        return max(0.0, min(gaps))

    def _best_shift(self, scores):
        """What to add to the scores of each class so that the mean loss is least: a convex problem in n_classes numbers."""
        shares, y = self._shares, self.y
        proba = np.empty(0)

        def value_and_gradient(shift):
            nonlocal proba
            shifted = scores + shift
            proba = softmax(shifted, axis=1)
            gradient = shares @ proba - frequency
            return shares @ losses(shifted, y), gradient

        def hessian_times(_, direction):
            change = proba * (proba @ direction)[:, None]
            return shares @ (proba * direction - change)

        frequency = np.bincount(y, weights=shares, minlength=scores.shape[1])
        start = np.zeros(scores.shape[1])
        best = minimize(
            value_and_gradient, start, jac=True, hessp=hessian_times, method="trust-ncg", options={"gtol": 1e-9, "maxiter": 30}
        )
        return best.x

    def _balanced(self, proba):
        """Distributions near `proba` that spend on each class exactly its share of the labels."""
        spent = self._shares @ proba
        due = np.bincount(self.y, weights=self._shares, minlength=proba.shape[1])
        absent = due == 0
        if absent.any():
            proba = np.where(absent, 0.0, proba)
            proba /= proba.sum(axis=1, keepdims=True)
            spent = self._shares @ proba
        # (1 - mix) spent + mix c = due for a distribution c: as little of c as keeps c from being negative
        ratio = np.max((spent - due)[~absent] / due[~absent], initial=0)
        mix = ratio / (1 + ratio)
        c = np.maximum(due - (1 - mix) * spent, 0)
        if mix == 0 or not c.any():  # nothing to mend but rounding
            return proba
        return (1 - mix) * proba + mix * c / c.sum()
