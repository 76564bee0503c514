"""From a good model to a tight tolerance in few passes: an orthant-wise Newton method on an `Objective`.

The kernels' steps reach the neighbourhood of the optimum quickly and its last digits slowly.
Newton's method does the opposite. It knows the L1 norm by fixing, for one step, the sign that each
coefficient may have [1]_ [2]_. Within that orthant F is smooth, and a coefficient that comes to its
end, at zero, is pinned there [3]_. Without L1 there are no signs to fix, and this is Newton-CG.

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

__all__ = ["NewtonSolution", "Preconditioner", "Tolerance", "newton", "newton_step"]

# A step has to achieve this share of the decrease that its slope promises (Armijo), or is halved, so many times at most.
SUFFICIENT = 1e-4
MOST_HALVINGS = 40
# No step changes a score by more than this times the largest (plus 1).
LONGEST_STEP = 10.0
# A Newton system is solved to this part of its right-hand side, or more exactly (Eisenstat, Walker 1996, their choice 2).
LOOSEST_FORCING, FORCING_FACTOR = 0.5, 0.9
# ... and to this part of `tol`, because the residual is the gradient that the step would leave if F were a parabola.
SHARE_OF_TOL = 0.5
# The preconditioner is made at once if it costs no more passes than this, and never if it has more numbers than that.
CREDIT = 20
MOST_NUMBERS = 1 << 23
# What is added to its diagonal: a share of the largest entry, and a number at least.
JITTER, SMALLEST = 1e-10, 1e-100


class Tolerance(NamedTuple):
    """When a gradient is small enough.

    Attributes
    ----------
    tol : float
    per_unit : ndarray that broadcasts to the shape of a point
        The inverse of what each entry of the gradient is measured in; 0 where it shall not count.
    """

    tol: float
    per_unit: np.ndarray

    def size(self, gradient):
        """The largest entry, each in its unit."""
        return float(np.max(np.abs(gradient) * self.per_unit))


class NewtonSolution(NamedTuple):
    """What `newton` found.

    Attributes
    ----------
    point : ndarray of shape (n_features + 1, n_classes)
        The means over the classes are 0 where there is no L1.
    n_passes : int
        Passes over X.
    gradient : float
        The largest entry of the minimum-norm subgradient at the point, each in its unit.
    objective : float
        F there, in nats.
    """

    point: np.ndarray
    n_passes: int
    gradient: float
    objective: float


def _dot(a, b):
    return float(np.vdot(a, b))


class Preconditioner:
    """The inverse of what the Hessian would be if the classes did not compete.

    The Hessian (1/S) sum_i s_i (diag(p_i) - p_i p_i^T) kron x_i x_i^T has a matrix of the features
    for each class on its diagonal, (1/S) sum_i s_i p_ia (1 - p_ia) x_i x_i^T. These are inverted if
    the columns are dense, and only their diagonals if they are sparse. What they leave out makes the
    Hessian blind to a shift of all classes alike. So that is left out here, too: otherwise the
    matrices are worst just there, and conjugate gradients take several times as long.

    Making the matrices costs as much as `price` passes: n_classes n_samples n_features^2
    multiplications against 4 n_classes n_samples n_features. They get worse as the model moves, and
    are made anew when the passes since the last time have cost as much. Then both together cost at
    most twice what either had to. The diagonal costs one pass.

    With L1 there is none: it was measured to do more harm, by pinning the wrong entries, than good.
    """

    def __init__(self, objective):
        self.objective = objective
        size, n_classes = objective.design.shape[1], objective.penalty.n_classes
        self.is_diagonal = issparse(objective.design.X)
        self.price = 1 if self.is_diagonal else 1 + size // 4
        is_possible = not objective.penalty.has_l1 and (self.is_diagonal or size**2 * n_classes <= MOST_NUMBERS)
        self.passes_since = CREDIT if is_possible else -np.inf
        self.inverse = None

    def update(self, at, most_passes):
        """Make it anew where F was evaluated, if that is due; returns the number of passes it took."""
        if self.price > min(self.passes_since, most_passes):
            return 0
        self.passes_since = 0
        if self.is_diagonal:
            diagonal = np.maximum(self.objective.hessian_diagonal(at), SMALLEST)
            self.inverse = lambda residual: residual / diagonal
        else:
            factors = [self._factor(hessian) for hessian in self.objective.class_hessians(at)]
            self.inverse = lambda residual: np.column_stack(
                [cho_solve(factor, column, check_finite=False) for factor, column in zip(factors, residual.T)]
            )
        return self.price

    @staticmethod
    def _factor(hessian):
        diagonal = np.einsum("jj->j", hessian)
        diagonal += max(JITTER * diagonal.max(), SMALLEST)  # a little more than positive definite
        return cho_factor(hessian, overwrite_a=True, check_finite=False)

    def __call__(self, residual):
        if self.inverse is None:
            return residual
        solved = self.inverse(residual - residual.mean(axis=1, keepdims=True))
        solved -= solved.mean(axis=1, keepdims=True)
        return solved


def newton_step(objective, at, precondition, point, subgradient, free, *, forcing, tolerance, most_passes):
    """A step of the `free` entries, within the orthant, that about minimises the quadratic model of F; and its number of passes.

    Conjugate gradients on the free entries. When one of them comes to the end of the orthant, all
    that lie beyond it on the way to the minimum along the line are pinned to zero if the model falls
    then, else only the first. It goes on with those that are left.

    Stops when what is left of the right-hand side is `forcing` times of it, in the norm of the
    preconditioner, or when it is within the `tolerance` (or None).
    """
    has_l1 = objective.penalty.has_l1
    sign = np.where(point != 0, np.sign(point), -np.sign(subgradient)) if has_l1 else None
    is_signed = objective.is_signed
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
        if has_l1:
            at_end = free & is_signed & (point + step == 0) & (sign * preconditioned < 0)
            if at_end.any():
                free, direction = free & ~at_end, None
                continue
        square = _dot(free_residual, preconditioned)
        target = forcing**2 * square if target is None else target
        is_within = tolerance is not None and tolerance.size(free_residual) <= SHARE_OF_TOL * tolerance.tol
        if n_passes and (square <= target or is_within):
            break
        direction = preconditioned if direction is None else preconditioned + square / square_before * direction
        square_before = square

        product = objective.hessian_product(at, direction)
        n_passes += 1
        curvature = _dot(direction, product)
        length = square / curvature if curvature > 0 else np.inf
        first_end = np.inf
        if has_l1:
            leaves = free & is_signed & (sign * direction < 0)
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
            residual_of_projected = -subgradient - objective.hessian_product(at, projected)
            n_passes += 1
            if model(projected, residual_of_projected) < model(step, residual):
                pinned, residual_of_pinned = projected, residual_of_projected
        step, residual, direction = pinned, residual_of_pinned, None
        free = free & ~(is_signed & (point + step == 0))
    return step, n_passes


def _sufficient_share(objective, at, point, step, step_scores, slope):
    """The largest share (1, or 1/2, 1/4, ...) of a step that decreases F sufficiently; 0 if there is none.

    F is smooth along a step within an orthant, and the scores are linear: this needs no pass.
    """
    # Saturated probabilities have next to no curvature, and steps without measure: these are cut to a multiple of the scores.
    longest = LONGEST_STEP * (1 + np.abs(at.scores).max())
    first = min(1.0, longest / max(longest, np.abs(step_scores).max()))
    for share in first * 0.5 ** np.arange(MOST_HALVINGS):
        if objective.change(at, point, share * step, share * step_scores) <= SUFFICIENT * share * slope < 0:
            return share
    return 0.0


def _next_forcing(forcing, ratio):
    """How exactly to solve the next Newton system, if the last step multiplied the norm of the subgradient by `ratio`."""
    safeguard = FORCING_FACTOR * forcing**2  # one lucky step shall not make the next system expensive
    return min(LOOSEST_FORCING, max(FORCING_FACTOR * ratio**2, safeguard if safeguard > 0.1 else 0.0))


def newton(objective, point, tolerance, *, max_passes, on_step=None):
    """Minimise an objective to a tight tolerance.

    It is fast if the squares of the columns are about 1 in the mean.

    Parameters
    ----------
    objective : Objective
    point : ndarray of shape (n_features + 1, n_classes)
        The start. With two classes this has two columns, too. Entries that are not free stay.
    tolerance : Tolerance
        Stop when no entry of the minimum-norm subgradient is larger.
    max_passes : int
        Stop before more passes than this, at least 1. A pass is a product with X and one with
        its transpose.
    on_step : callable or None, default=None
        Called with the `NewtonSolution` so far after every Newton step; stops if it returns True.

    Returns
    -------
    solution : NewtonSolution
        Its objective is not above that of the start. Its `gradient` is above `tol` if
        `max_passes` was not enough, or if rounding is all that is left of the gradient.

    Notes
    -----
    Takes the memory of four arrays of shape (n_samples, n_classes), of the weights a few times,
    and of a preconditioner of ``n_classes * (n_features + 1)**2`` numbers, if these are not many.
    """
    # A shift of all classes alike changes no loss. Without L1 the mean that has the least penalty is 0, and steps keep it.
    point = point - np.where(objective.is_free & ~objective.is_signed, point.mean(axis=1, keepdims=True), 0)
    forcing, precondition = LOOSEST_FORCING, Preconditioner(objective)

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # of steps that are too long, which are refused
        at = objective.evaluate(point)
        subgradient = objective.subgradient(point, at.gradient)
        value, n_passes = at.loss + objective.penalty(point[:-1]), 1
        while tolerance.size(subgradient) > tolerance.tol and n_passes + 2 <= max_passes:
            n_passes += precondition.update(at, max_passes - n_passes - 2)
            free = objective.is_free & ((point != 0) | (subgradient != 0))
            step, n_products = newton_step(
                objective,
                at,
                precondition,
                point,
                subgradient,
                free,
                forcing=forcing,
                tolerance=tolerance,
                most_passes=max_passes - n_passes - 1,
            )
            # the scores of the step are one half of a pass, the next gradient is the other
            n_passes += n_products + 1
            precondition.passes_since += n_products + 1
            step_scores = objective.scores(step)
            share = _sufficient_share(objective, at, point, step, step_scores, _dot(subgradient, step))
            if share == 0:
                break
            point = point + share * step  # a whole step to zero ends at 0 exactly
            norm = np.linalg.norm(subgradient)
            step_scores *= share
            step_scores += at.scores
            at = objective.evaluate(point, step_scores)
            subgradient = objective.subgradient(point, at.gradient)
            value = min(value, at.loss + objective.penalty(point[:-1]))  # it fell, but maybe by less than its rounding
            forcing = _next_forcing(forcing, np.linalg.norm(subgradient) / norm)
            if on_step is not None and on_step(NewtonSolution(point, n_passes, tolerance.size(subgradient), value)):
                break
        return NewtonSolution(point, n_passes, tolerance.size(subgradient), value)
