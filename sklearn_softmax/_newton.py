"""The finish: from a good model to a tight tolerance in few passes, by an orthant-wise Newton method.

The kernels' steps reach the neighbourhood of the optimum quickly and its last digits slowly; Newton's method does the opposite.
It knows the L1 norm by fixing, for one step, the sign that each coefficient may have [1]_ [2]_: within that orthant F is smooth,
and a coefficient that comes to its end, at zero, is pinned there [3]_. Without L1 there are no signs to fix, nothing is pinned,
and this is plain Newton-CG.

References
----------
.. [1] G. Andrew, J. Gao, "Scalable training of L1-regularized log-linear models", ICML 2007.
.. [2] R. H. Byrd, G. M. Chin, J. Nocedal, F. Oztoprak, "A family of second-order methods for convex l1-regularized
   optimization", Mathematical Programming 159, 2016.
.. [3] J. J. More, G. Toraldo, "On the solution of large quadratic programming problems with bound constraints", SIAM Journal on
   Optimization 1, 1991.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import issparse

from . import kernels
from ._features import inverse_or_zero
from ._model import aligned_zeros
from ._objective import add_transposed_product, kernel_rows, proba_and_losses, row_blocks, rows_in

__all__ = ["NewtonSolution", "newton", "point_of", "rows_of"]

LANES = 8  # classes are padded to a multiple of it

# A step has to achieve this share of the decrease that its slope promises (Armijo), or is halved, so many times at most.
SUFFICIENT = 1e-4
MOST_HALVINGS = 40
# No step changes a score by more than this times the largest (plus 1).
LONGEST_STEP = 10.0
# Steps that change no score by more than this are judged by a formula without cancellation.
SMALL = 1.0
# A Newton system is solved to this part of its right-hand side, or more exactly (Eisenstat, Walker 1996, their choice 2).
LOOSEST_FORCING, FORCING_FACTOR = 0.5, 0.9
# ... and to this part of `tol`, because the residual is the gradient that the step would leave if F were a parabola.
SHARE_OF_TOL = 0.5
# The preconditioner is made at once if it costs no more passes than this, and never if it has more numbers than that.
CREDIT = 20
MOST_NUMBERS = 1 << 23
# What is added to its diagonal: a share of the largest entry, and a number at least.
JITTER, SMALLEST = 1e-10, 1e-100


class NewtonSolution(NamedTuple):
    """What `newton` found.

    Attributes
    ----------
    rows : ndarray of shape (n_classes, n_features)
        Their mean is 0 where there is no L1.
    intercept : ndarray of shape (n_classes,)
        Their mean is 0, if they are fitted.
    n_passes : int
        Passes over X.
    gradient : float
        The largest entry of the minimum-norm subgradient, each in its unit, at `rows` and `intercept`.
    objective : float
        F there, in nats.
    """

    rows: np.ndarray
    intercept: np.ndarray
    n_passes: int
    gradient: float
    objective: float


def point_of(rows, intercept, scale, offset):
    """Weights of classes, and intercepts, in the coordinates of the solver; see `_Problem`."""
    rows = np.where(scale != 0, rows, 0.0)
    return np.vstack([(rows * scale).T, intercept + rows @ offset])


def rows_of(point, scale, offset):
    """(rows, intercept) whose point this is."""
    rows = (point[:-1] * inverse_or_zero(scale)[:, None]).T
    return rows, point[-1] - rows @ offset


class _Problem:
    """F in the coordinates of the solver, an array of shape (n_features + 1, n_classes): V, and the intercepts as its last row.

    V_j = W_j scale_j are the weights of the columns (x_j - offset_j) / scale_j, and the intercepts belong to those columns, too.

    Attributes
    ----------
    proba : ndarray of shape (n_samples, n_classes)
    losses : ndarray of shape (n_samples,)
        Of the point of the last `gradient`.
    """

    def __init__(self, X, y, sample_weight, n_classes, *, l2, l1, offset, scale, unit):
        self.X, self.y, self.offset = X, y, offset
        self.shares = sample_weight / sample_weight.sum()
        self.inverse_scale = inverse_or_zero(scale)[:, None]
        # of each row of the coordinates; the intercepts' has neither penalty nor unit
        self.l2 = np.append(l2, 0.0)[:, None]
        self.l1 = np.append(l1, 0.0)[:, None]
        self.is_signed = self.l1 > 0
        self.has_signs = bool(self.is_signed.any())
        self.per_unit = np.append(scale * inverse_or_zero(unit), 1.0)[:, None]
        self.proba, self.losses = np.empty((len(y), n_classes)), np.empty(len(y))
        if issparse(X):  # a step and its product, as the kernel wants them
            self.padded = [aligned_zeros(len(self.l2), -(-n_classes // LANES) * LANES, np.float64) for _ in range(2)]
        self.blocks = row_blocks(X, n_classes)

    def _columns(self, block):
        # Centred as blocks: exact, and no corrections elsewhere. Sparse columns have no offset.
        rows = rows_in(self.X, block)
        return rows if issparse(rows) else rows - self.offset

    def _weights(self, point):
        """Those of the columns without their scale, which costs nothing here."""
        return point[:-1] * self.inverse_scale

    def _add_backward(self, columns, residual, total):
        add_transposed_product(columns, residual, total[:-1])
        total[-1] += residual.sum(axis=0)

    def scores_of(self, point):
        """The scores of a point, or the change of scores of a step; half a pass."""
        weights = self._weights(point)
        scores = np.empty_like(self.proba)
        for block in self.blocks:
            np.add(self._columns(block) @ weights, point[-1], out=scores[block])
        return scores

    def gradient(self, point, scores):
        """The gradient of all but the L1 norm, and the mean loss; half a pass."""
        total = np.zeros(point.shape)  # in C order
        for block in self.blocks:
            residual, self.losses[block] = proba_and_losses(scores[block], self.y[block])
            self.proba[block] = residual
            residual[np.arange(len(residual)), self.y[block]] -= 1
            residual *= self.shares[block, None]
            self._add_backward(self._columns(block), residual, total)
        total[:-1] *= self.inverse_scale
        total += self.l2 * point
        return total, float(self.shares @ self.losses)

    def hessian_product(self, step):
        """The Hessian, at the point of the last `gradient`, times a step; one pass."""
        if issparse(self.X):
            total = self._sparse_hessian_product(step)
        else:
            total, weights = np.zeros_like(step), self._weights(step)
            for block in self.blocks:
                columns, proba = self._columns(block), self.proba[block]
                change = columns @ weights + step[-1]
                change -= np.einsum("ij,ij->i", proba, change)[:, None]
                change *= proba
                change *= self.shares[block, None]
                self._add_backward(columns, change, total)
            total[:-1] *= self.inverse_scale
        total += self.l2 * step
        return total

    def _sparse_hessian_product(self, step):
        padded, product = self.padded
        n_classes = step.shape[1]
        padded[:, :n_classes] = step
        product[:] = 0
        kernels.hessian_product(
            *kernel_rows(self.X),
            inverse_scale=self.inverse_scale.ravel(),
            shares=self.shares,
            proba=self.proba,
            step=padded,
            out=product,
        )
        return product[:, :n_classes].copy()

    def class_hessians(self, fit_intercept):
        """The blocks of the Hessian on its diagonal, one per class; a little more than positive definite."""
        n_classes, size = self.proba.shape[1], len(self.l2)
        hessians = np.zeros((n_classes, size, size))
        for block in self.blocks:
            columns = self._columns(block) * self.inverse_scale.T
            columns = np.column_stack([columns, np.full(len(columns), float(fit_intercept))])
            weights = self.shares[block, None] * self.proba[block] * (1 - self.proba[block])
            for hessian, of_class in zip(hessians, weights.T):
                hessian += columns.T @ (columns * of_class[:, None])
        for hessian in hessians:
            diagonal = np.einsum("jj->j", hessian)
            diagonal += self.l2[:, 0]
            diagonal += max(JITTER * diagonal.max(), SMALLEST)
        return hessians

    def hessian_diagonal(self):
        """One pass."""
        diagonal = np.zeros((len(self.l2), self.proba.shape[1]))
        for block in self.blocks:
            columns = self._columns(block).astype(np.float64)
            if issparse(columns):  # scaled before they are squared, or they may overflow
                squares = columns
                squares.data = (squares.data * self.inverse_scale[squares.indices, 0]) ** 2
            else:
                squares = np.square(columns * self.inverse_scale.T)
            self._add_backward(squares, self.shares[block, None] * self.proba[block] * (1 - self.proba[block]), diagonal)
        diagonal += self.l2
        return np.maximum(diagonal, SMALLEST)

    def loss_change(self, scores, step_scores):
        """mean loss(scores + step_scores) - mean loss(scores), the latter being those of the last `gradient`; no pass.

        The difference of two means is lost in their rounding long before tight tolerances. That of a small step is computed as
        such: loss_i changes by log sum_a p_a exp(d_a - d_y), where d is the change of the scores.
        """
        is_small = np.abs(step_scores).max() < SMALL
        total = 0.0
        for block in self.blocks:
            if is_small:
                change = step_scores[block] - step_scores[block][np.arange(len(self.y[block])), self.y[block]][:, None]
                change_of_losses = np.log1p(np.einsum("ij,ij->i", self.proba[block], np.expm1(change)))
            else:
                change_of_losses = proba_and_losses(scores[block] + step_scores[block], self.y[block])[1] - self.losses[block]
            total += self.shares[block] @ change_of_losses
        return float(total)

    def penalty(self, point):
        """Of a point."""
        return float(np.sum(0.5 * self.l2 * point**2 + self.l1 * np.abs(point)))

    def penalty_change(self, point, step):
        """penalty(point + step) - penalty(point), if no coefficient changes its sign; without cancellation."""
        signs = np.where(point != 0, np.sign(point), np.sign(step))
        return float(np.sum(step * (self.l2 * (point + 0.5 * step) + self.l1 * signs)))

    def subgradient(self, point, gradient):
        """The subgradient of F of least norm."""
        if not self.has_signs:
            return gradient
        at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - self.l1, 0)
        return np.where(point != 0, gradient + self.l1 * np.sign(point), at_zero)

    def size(self, subgradient):
        """The largest entry, each in its unit."""
        return float(np.max(np.abs(subgradient) * self.per_unit))


def _dot(a, b):
    return float(np.vdot(a, b))


class _Preconditioner:
    """The inverse of what the Hessian would be if the classes did not compete.

    The Hessian (1/S) sum_i s_i (diag(p_i) - p_i p_i^T) kron x_i x_i^T has a matrix of the features for each class on its
    diagonal, (1/S) sum_i s_i p_ia (1 - p_ia) x_i x_i^T. These are inverted if the columns are dense, and only their diagonals
    if they are sparse. What they leave out makes the Hessian blind to a shift of all classes alike, so that is left out here,
    too: otherwise the matrices are worst just there, and conjugate gradients take several times as long.

    Making the matrices costs as much as `price` passes: n_classes n_samples n_features^2 multiplications against 4 n_classes
    n_samples n_features. They get worse as the model moves, and are made anew when the passes since the last time have cost as
    much: then both together cost at most twice what either had to. The diagonal costs one pass.

    With L1 there is none: it was measured to do more harm, by pinning the wrong entries, than good.
    """

    def __init__(self, problem, fit_intercept):
        self.problem, self.fit_intercept = problem, fit_intercept
        size, n_classes = len(problem.l2), problem.proba.shape[1]
        self.is_diagonal = issparse(problem.X)
        self.price = 1 if self.is_diagonal else 1 + size // 4
        is_possible = not problem.has_signs and (self.is_diagonal or size**2 * n_classes <= MOST_NUMBERS)
        self.spent = CREDIT if is_possible else -np.inf
        self.inverse = None

    def update(self, most_passes):
        """Make it anew if that is due; returns the number of passes it took."""
        if self.price > min(self.spent, most_passes):
            return 0
        self.spent = 0
        if self.is_diagonal:
            diagonal = self.problem.hessian_diagonal()
            self.inverse = lambda residual: residual / diagonal
        else:
            hessians = self.problem.class_hessians(self.fit_intercept)
            factors = [cho_factor(hessian, overwrite_a=True, check_finite=False) for hessian in hessians]
            self.inverse = lambda residual: np.column_stack(
                [cho_solve(factor, column, check_finite=False) for factor, column in zip(factors, residual.T)]
            )
        return self.price

    def __call__(self, residual):
        if self.inverse is None:
            return residual
        solved = self.inverse(residual - residual.mean(axis=1, keepdims=True))
        solved -= solved.mean(axis=1, keepdims=True)
        return solved


def _newton_step(problem, precondition, point, subgradient, free, forcing, tol, most_passes):
    """A step of the `free` entries, within the orthant, that about minimises the quadratic model of F; and its number of passes.

    Conjugate gradients on the free entries. When one of them comes to the end of the orthant, all that lie beyond it on the way
    to the minimum along the line are pinned to zero if the model falls then, else only the first; and it goes on with those that
    are left.
    """
    sign = np.where(point != 0, np.sign(point), -np.sign(subgradient)) if problem.has_signs else None
    # residual = -(subgradient + Hessian step), also of entries that are not free
    step, residual = np.zeros_like(point), -subgradient
    direction, square_before, target, n_passes = None, None, None, 0

    def model(step, residual):
        return 0.5 * _dot(step, subgradient - residual)

    def only_free(numbers):
        return numbers if free.all() else np.where(free, numbers, 0)

    while n_passes < most_passes:
        free_residual = only_free(residual)
        preconditioned = only_free(precondition(free_residual))
        if problem.has_signs:
            at_end = free & problem.is_signed & (point + step == 0) & (sign * preconditioned < 0)
            if at_end.any():
                free, direction = free & ~at_end, None
                continue
        square = _dot(free_residual, preconditioned)
        target = forcing**2 * square if target is None else target
        if n_passes and (square <= target or problem.size(free_residual) <= tol):
            break
        direction = preconditioned if direction is None else preconditioned + square / square_before * direction
        square_before = square

        product = problem.hessian_product(direction)
        n_passes += 1
        curvature = _dot(direction, product)
        length = square / curvature if curvature > 0 else np.inf
        first_end = np.inf
        if problem.has_signs:
            leaves = free & problem.is_signed & (sign * direction < 0)
            end = np.divide(-(point + step), direction, out=np.full_like(step, np.inf), where=leaves)
            first_end = end.min()
        if length < first_end:
            step = step + length * direction
            residual = residual - length * product
            continue
        if not np.isfinite(first_end):  # no curvature: all probabilities are 0 or 1; but downhill it is
            step = step if step.any() else direction
            break
        # what the step and the residual are if only the first is pinned, which needs no pass ...
        pinned = np.where(end <= first_end, -point, step + first_end * direction)
        residual_of_pinned = residual - first_end * product
        if np.isfinite(length) and n_passes < most_passes:
            # ... and if all that leave are, which needs one, and is nearly always worth it
            projected = np.where(end <= length, -point, step + length * direction)
            residual_of_projected = -subgradient - problem.hessian_product(projected)
            n_passes += 1
            if model(projected, residual_of_projected) < model(step, residual):
                pinned, residual_of_pinned = projected, residual_of_projected
        step, residual, direction = pinned, residual_of_pinned, None
        free = free & ~(problem.is_signed & (point + step == 0))
    return step, n_passes


def _sufficient_share(problem, point, scores, step, step_scores, slope):
    """The largest share (1, or 1/2, 1/4, ...) of a step that decreases F sufficiently; 0 if there is none.

    F is smooth along a step within an orthant, and the scores are linear: this needs no pass.
    """
    # Saturated probabilities have next to no curvature, and steps without measure: these are cut to a multiple of the scores.
    longest = LONGEST_STEP * (1 + np.abs(scores).max())
    first = min(1.0, longest / max(longest, np.abs(step_scores).max()))
    for share in first * 0.5 ** np.arange(MOST_HALVINGS):
        change = problem.loss_change(scores, share * step_scores) + problem.penalty_change(point, share * step)
        if change <= SUFFICIENT * share * slope < 0:
            return share
    return 0.0


def _next_forcing(forcing, ratio):
    """How exactly to solve the next Newton system, if the last step multiplied the norm of the subgradient by `ratio`."""
    safeguard = FORCING_FACTOR * forcing**2  # one lucky step shall not make the next system expensive
    return min(LOOSEST_FORCING, max(FORCING_FACTOR * ratio**2, safeguard if safeguard > 0.1 else 0.0))


def newton(X, y, sample_weight, rows, intercept, *, l2, l1, offset, scale, unit, fit_intercept, tol, max_passes, on_step=None):
    """Minimise F(W, b) = (1/S) sum_i s_i loss_i + sum_j (l2_j/2 ||V_j||_2^2 + l1_j ||V_j||_1) to a tight tolerance.

    V_j = W_j scale_j, where W_j is column j of W; s_i are the weights and S their sum; loss_i = -log softmax(W x_i + b)[y_i].

    Parameters
    ----------
    X : C-contiguous ndarray or CSR of shape (n_samples, n_features), float32 or float64
        It is read in blocks of rows, and never copied as a whole.
    y : ndarray of shape (n_samples,)
        Class numbers.
    sample_weight : ndarray of shape (n_samples,)
        Not negative, and not all 0.
    rows : ndarray of shape (n_classes, n_features)
        W at the start. With two classes this has two rows, too.
    intercept : ndarray of shape (n_classes,)
        b at the start.
    l2, l1 : ndarray of shape (n_features,)
        Strengths of the penalties on V, 0 or positive.
    offset, scale : ndarray of shape (n_features,)
        The solver sees the columns (x_j - offset_j) / scale_j. It is fast if their squares are about 1 in the mean. The offset
        has to be 0 without an intercept, and if X is sparse. Where the scale is 0 the coefficients are 0.
    unit : ndarray of shape (n_features,)
        What the gradient for W_j is measured in; 0 where it shall not count.
    fit_intercept : bool
        If False, b stays as it is.
    tol : float
        Stop when no entry of the minimum-norm subgradient is larger, for W_j (with the columns centred) in units of ``unit_j``.
    max_passes : int
        Stop before more passes than this, at least 1. A pass is a product with X and one with its transpose.
    on_step : callable or None, default=None
        Called with the `NewtonSolution` so far after every Newton step; stops if it returns True.

    Returns
    -------
    solution : NewtonSolution
        In double. Its objective is not above that of the start. Its `gradient` is above `tol` if `max_passes` was not enough, or
        if rounding is all that is left of the gradient.

    Notes
    -----
    Takes the memory of four arrays of shape (n_samples, n_classes), of the weights a few times, and of a preconditioner of
    ``n_classes * (n_features + 1)**2`` numbers, if these are not many.
    """
    problem = _Problem(X, y, sample_weight, len(rows), l2=l2, l1=l1, offset=offset, scale=scale, unit=unit)
    may_move = np.append(scale != 0, fit_intercept)[:, None]
    point = point_of(rows, intercept, scale, offset)
    # A shift of all classes alike changes no loss. Without L1 the mean that has the least penalty is 0, and steps keep it.
    point -= np.where(may_move & ~problem.is_signed, point.mean(axis=1, keepdims=True), 0)
    forcing = LOOSEST_FORCING

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # of steps that are too long, which are refused

        def subgradient_at(point, scores):
            gradient, loss = problem.gradient(point, scores)
            return np.where(may_move, problem.subgradient(point, gradient), 0), loss

        def solution():
            rows, intercept = rows_of(point, scale, offset)
            if fit_intercept:
                intercept -= intercept.mean()
            return NewtonSolution(rows, intercept, n_passes, problem.size(subgradient), objective)

        scores = problem.scores_of(point)
        subgradient, loss = subgradient_at(point, scores)
        objective, n_passes = loss + problem.penalty(point), 1
        precondition = _Preconditioner(problem, fit_intercept)
        while problem.size(subgradient) > tol and n_passes + 2 <= max_passes:
            n_passes += precondition.update(max_passes - n_passes - 2)
            free = may_move & ((point != 0) | (subgradient != 0))
            step, n_products = _newton_step(
                problem, precondition, point, subgradient, free, forcing, SHARE_OF_TOL * tol, max_passes - n_passes - 1
            )
            # the scores of the step are one half of a pass, the next gradient is the other
            n_passes += n_products + 1
            precondition.spent += n_products + 1
            step_scores = problem.scores_of(step)
            share = _sufficient_share(problem, point, scores, step, step_scores, _dot(subgradient, step))
            if share == 0:
                break
            point = point + share * step  # a whole step to zero ends at 0 exactly
            scores += share * step_scores
            norm = np.linalg.norm(subgradient)
            subgradient, loss = subgradient_at(point, scores)
            objective = min(objective, loss + problem.penalty(point))  # it fell, but maybe by less than its rounding
            forcing = _next_forcing(forcing, np.linalg.norm(subgradient) / norm)
            if on_step is not None and on_step(solution()):
                break
        return solution()
