"""The definition of what is minimised, in NumPy: loss, penalty, objective, gradient, optimality gap.

For weights W (n_classes, n_features), intercepts b, examples x_i with labels y_i and weights s_i, S = sum_i s_i:

    F(W, b) = (1/S) sum_i s_i loss_i + alpha sum_j ((1 - l1_ratio)/2 v_j^2 ||W_j||_2^2 + l1_ratio v_j ||W_j||_1)
    loss_i  = -log softmax(W x_i + b)[y_i]                                                      in nats

where W_j are the coefficients of feature j, and v_j its scale. A feature whose scale is 0 has coefficients of 0.

With two classes the rows are -w/2 and w/2, and the L2 strength is doubled: ||w||^2 = 2 (||-w/2||^2 + ||w/2||^2),
so that F is the objective of binary logistic regression in the one row w that users see.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.special import xlogy

from . import kernels

__all__ = [
    "Objective",
    "Penalty",
    "add_transposed_product",
    "kernel_rows",
    "proba_and_losses",
    "raw_prediction",
    "row_blocks",
    "rows_in",
]

BLOCK = 1 << 16  # numbers
NO_INDICES = np.empty(0, dtype=np.int32)
# A class may lose this share of its probability in a dual point that is made by a tilt.
LARGEST_LOSS = 0.9
ROUNDING = 1e-13  # of shares of the labels


def kernel_rows(X):
    """X as the kernels take it: values, columns and starts of rows, the last two empty if X is dense."""
    if issparse(X):
        return X.data, X.indices, X.indptr
    return X.reshape(-1), NO_INDICES, NO_INDICES


def row_blocks(X, n_classes):
    """Slices of rows so few that arrays of shape (rows, n_classes) and copies of the rows are small, or no larger than W."""
    n_samples, n_features = X.shape
    per_row = max(n_classes, X.size // max(1, n_samples))
    n_rows = max(1, max(BLOCK, n_features * n_classes) // per_row)
    return [slice(start, start + n_rows) for start in range(0, n_samples, n_rows)]


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
        kernels.decision(*kernel_rows(X), weights=model.weights, intercept=model.intercept, out=scores)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            scores = X @ rows.T
            scores += intercept.astype(X.dtype)
    is_finite = np.isfinite(scores)
    if not is_finite.all():
        overflowed, limit = ~is_finite.all(axis=1), np.finfo(X.dtype).max
        scores[overflowed] = np.clip(_finite_raw_prediction(X[overflowed], rows, intercept), -limit, limit)
    return scores


def rows_in(X, block):
    """X[block] for a slice of rows; not a copy if X is sparse, either."""
    if not issparse(X):
        return X[block]
    starts = X.indptr[block.start : block.stop + 1]
    values = slice(starts[0], starts[-1])
    rows = type(X)((len(starts) - 1, X.shape[1]), dtype=X.dtype)  # which copies parts of arrays that are given to it
    rows.data, rows.indices, rows.indptr = X.data[values], X.indices[values], starts - starts[0]
    return rows


def add_transposed_product(X, residual, total):
    """Add ``X.T @ residual`` to `total`, of shape (n_features, n_classes); all of a sparse X but its values is float64."""
    if issparse(X):
        kernels.add_transposed_product(*kernel_rows(X), residual=residual, out=total)
    else:
        total += X.T @ residual


def proba_and_losses(scores, y):
    """softmax(scores_i), and -log softmax(scores_i)[y_i] in nats, of each row; float64."""
    proba, losses = np.array(scores, dtype=np.float64, order="C"), np.empty(len(scores))
    kernels.softmax(proba, np.asarray(y, dtype=np.int32), losses)
    return proba, losses


@dataclass(frozen=True)
class Penalty:
    """alpha sum_j ((1 - l1_ratio)/2 v_j^2 ||W_j||_2^2 + l1_ratio v_j ||W_j||_1).

    With two classes it is that of the one row that users see.

    Attributes
    ----------
    alpha, l1_ratio : float
    n_classes : int
    scale : ndarray of shape (n_features,) or 1.0
        v.
    """

    alpha: float
    l1_ratio: float
    n_classes: int
    scale: Any = 1.0

    @property
    def l2_ratio(self):
        return (1 - self.l1_ratio) * (2 if self.n_classes == 2 else 1)

    @property
    def l2(self):
        """Of each feature: l2_j/2 ||W_j||_2^2 is its part of the penalty."""
        return self.alpha * self.l2_ratio * np.square(self.scale, dtype=np.float64)  # which a large alpha needs

    @property
    def l1(self):
        """Of each feature: l1_j ||W_j||_1 is its part of the penalty."""
        return self.alpha * self.l1_ratio * np.asarray(self.scale, dtype=np.float64)

    def __call__(self, rows):
        rows = rows * self.scale
        l2, l1 = self.alpha * self.l2_ratio, self.alpha * self.l1_ratio
        value = 0.5 * l2 * np.einsum("ij,ij->", rows, rows, dtype=np.float64) if l2 else 0.0
        return float(value + (l1 * np.abs(rows).sum(dtype=np.float64) if l1 else 0.0))

    def standardised(self, gradient):
        """A gradient for W as one for the coefficients of features of scale 1; 0 where the scale is 0."""
        return np.divide(gradient, self.scale, out=np.zeros_like(gradient), where=np.not_equal(self.scale, 0))

    def gap(self, rows, gradient):
        """penalty(W) + conjugate(-gradient) + <W, gradient>, which is >= 0, and 0 if -gradient is a subgradient at W.

        gradient : of the loss, shape (n_classes, n_features). If there is no L2 part the conjugate is finite only where
        no |gradient| exceeds alpha l1_ratio v_j.
        """
        rows, gradient = rows * self.scale, self.standardised(gradient)
        l2, l1 = self.alpha * self.l2_ratio, self.alpha * self.l1_ratio
        if not l1 and l2:
            return float(np.square(l2 * rows + gradient).sum() / (2 * l2))
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

    @cached_property
    def _shares(self):
        return self.sample_weight / self.sample_weight.sum()

    def _scores(self, model):
        return np.ascontiguousarray(raw_prediction(self.X, model), dtype=np.float64)

    def loss(self, model):
        """(1/S) sum_i s_i loss_i, in nats."""
        scores = self._scores(model)
        blocks = row_blocks(self.X, scores.shape[1])
        return float(sum(self._shares[block] @ proba_and_losses(scores[block], self.y[block])[1] for block in blocks))

    def __call__(self, model):
        """F, in nats."""
        return self.loss(model) + self.penalty(model.rows()[0])

    def _loss_gradient(self, proba):
        """Of the mean loss, for W and for b, with these probabilities (which may be others than the model's)."""
        of_rows, of_intercept = np.zeros((self.X.shape[1], proba.shape[1])), np.zeros(proba.shape[1])
        shares = self._shares
        for block in row_blocks(self.X, proba.shape[1]):
            residual = proba[block] * shares[block, None]
            residual[np.arange(len(residual)), self.y[block]] -= shares[block]
            add_transposed_product(rows_in(self.X, block), residual, of_rows)
            of_intercept += residual.sum(axis=0)
        return of_rows.T, of_intercept

    def gradient(self, model):
        """The gradient of the smooth part of F (all but the L1 norm): (1/S) sum_i s_i (p_i - e_yi) x_i + l2 W, and for b.

        Returns
        -------
        of_rows : ndarray of shape (n_classes, n_features)
        of_intercept : ndarray of shape (n_classes,); zero if no intercept is fitted
        """
        rows, _ = model.rows()
        of_rows, of_intercept = self._loss_gradient(proba_and_losses(self._scores(model), self.y)[0])
        of_rows += self.penalty.l2 * rows
        return of_rows, of_intercept if self.fit_intercept else np.zeros_like(of_intercept)

    def optimality_gap(self, model):
        """An upper bound of F(model) - min F, in nats.

        It is a duality gap. For any distributions q_i over the classes (a dual point),

            min F >= (1/S) sum_i s_i entropy(q_i) - conjugate of the penalty(-G),     G = (1/S) sum_i s_i (q_i - e_yi) x_i

        if sum_i s_i (q_i - e_yi) = 0, which is the price of an intercept without a penalty. The model's own probabilities,
        tilted by a step of Newton's method for the intercepts, are such a point; where the intercepts are too far off for that, a
        step is taken and a mixture makes them one. The bound is as tight as the model is good; with L2 it is about
        |grad F|^2 / (2 alpha). Without an L2 part the point is moved towards the labels until the conjugate is finite, at worst
        to where the bound says no more than min F >= 0.

        Takes the memory of a few arrays of shape (n_samples, n_classes).
        """
        with np.errstate(all="ignore"):  # numbers at the end of their range give no bound
            gap = self._optimality_gap(model.rows()[0], self._scores(model))
        return float(gap) if np.isfinite(gap) else np.inf

    def _optimality_gap(self, rows, scores):
        loss, scores, losses, dual, divergence = self._near_dual_point(scores)
        better_loss = self._shares @ losses
        gradient, _ = self._loss_gradient(dual)
        gaps = [
            loss + self.penalty(rows),  # no loss is negative
            loss - better_loss + divergence + self.penalty.gap(rows, gradient),
        ]
        l1 = self.penalty.alpha * self.penalty.l1_ratio
        if l1:
            largest = np.abs(self.penalty.standardised(gradient)).max()
            share = min(1.0, l1 / max(largest, l1)) * (1 - 1e-15)
            dual *= share
            dual[np.arange(len(dual)), self.y] += 1 - share
            divergence = self._divergence(dual, scores, losses)
            gaps.append(loss - better_loss + divergence + self.penalty.gap(rows, share * gradient))
        return max(0.0, min(gaps))

    def _divergence(self, dual, scores, losses):
        """Kullback and Leibler's, of dual points from the model with these scores and losses; weighted mean."""
        # (a probability may be so small that it is 0, its logarithm is finite)
        log_of_sums = losses + scores[np.arange(len(scores)), self.y]
        return float(self._shares @ (xlogy(dual, dual) - dual * (scores - log_of_sums[:, None])).sum(axis=1))

    def _near_dual_point(self, scores):
        """Distributions near the model's that together spend on each class exactly its share of the labels, and how near.

        Returns
        -------
        loss : float
            The mean loss of the model.
        scores, losses :
            With the model's intercepts, or with better ones.
        dual : ndarray of shape (n_samples, n_classes)
        divergence : float
            At least their divergence from the model with these scores, weighted mean.
        """
        proba, losses = proba_and_losses(scores, self.y)
        loss = float(self._shares @ losses)
        if not self.fit_intercept:
            return loss, scores, losses, proba, 0.0
        due = np.bincount(self.y, weights=self._shares, minlength=proba.shape[1])
        tilt, means, mean_square = self._tilt(proba, due)
        if not means.max() - tilt.min() <= LARGEST_LOSS:  # a step of Newton's method for the intercepts, if it helps
            better_scores = scores + tilt
            better_proba, better_losses = proba_and_losses(better_scores, self.y)
            if self._shares @ better_losses < loss:
                scores, proba, losses = better_scores, better_proba, better_losses
                tilt, means, mean_square = self._tilt(proba, due)
        dual, divergence, largest_loss = proba, 0.0, means.max() - tilt.min()
        if largest_loss <= LARGEST_LOSS:
            for block in row_blocks(self.X, len(tilt)):
                dual[block] *= (1 + tilt) - means[block, None]
            # where no t is below -l, (1 + t) log(1 + t) is at most t + t^2, and at most t + t^2 / (2 (1 - l)); the mean of t is 0
            divergence = max(0.0, mean_square) * min(1.0, 0.5 / (1 - largest_loss))
        return loss, scores, losses, *self._mixed(scores, dual, losses, due, divergence)

    def _tilt(self, proba, due):
        """The step u of Newton's method for the intercepts, its mean <p, u> in each row, and the mean of (u - <p, u>)^2 in all.

        The tilted distributions p (1 + u - <p, u>) spend on each class what is due: they are linear in u, and add the Hessian
        times u.
        """
        shares, n_classes = self._shares, proba.shape[1]
        spent, products = shares @ proba, np.zeros((n_classes, n_classes))
        roots = np.sqrt(shares)
        for block in row_blocks(self.X, n_classes):
            weighted = proba[block] * roots[block, None]
            products += weighted.T @ weighted
        hessian, tilt = np.diag(spent) - products, np.zeros(n_classes)
        with suppress(np.linalg.LinAlgError):  # probabilities that are all 0 or 1 have no Hessian
            # the last class is held at 0, because a shift of all classes changes nothing
            tilt[:-1] = np.linalg.solve(hessian[:-1, :-1], (due - spent)[:-1])
        return tilt, proba @ tilt, float(tilt @ hessian @ tilt)

    def _mixed(self, scores, dual, losses, due, divergence):
        """`dual` with as little of another distribution as makes it spend what is due exactly, and at least its divergence."""
        present = due > 0
        if not present.all():
            dual = np.where(present, dual, 0.0)
            dual /= dual.sum(axis=1, keepdims=True)
        spent = self._shares @ dual
        # (1 - mix) spent + mix c = due for a distribution c: as little of c as keeps c from being negative
        ratio = np.max((spent - due)[present] / due[present], initial=0)
        mix = ratio / (1 + ratio)
        c = np.maximum(due - (1 - mix) * spent, 0)
        if mix > ROUNDING and c.any():
            c /= c.sum()
            dual *= 1 - mix
            dual += mix * c
        else:
            mix = 0.0
        if not present.all():
            return dual, self._divergence(dual, scores, losses)
        if mix > 0:  # the divergence is convex: at most (1 - mix) * (that of the dual point) + mix * (that of c)
            log_of_sums = losses + scores[np.arange(len(scores)), self.y]
            mean_log_proba = self._shares @ scores - self._shares @ log_of_sums
            divergence += mix * float(np.sum(xlogy(c, c)) - c @ mean_log_proba)
        return dual, divergence
