"""An orthant-wise Newton method: from a good model to a tight tolerance in few passes.

The kernels' steps come near the optimum quickly, but reach its last digits slowly.
Newton's method does the opposite. For one step it fixes the sign that each coefficient
may have [1]_ [2]_. Within this orthant F is smooth, with L1, too. A coefficient that
reaches the end of the orthant, at zero, is pinned there [3]_. Without L1 no signs are
fixed, and this is Newton-CG.

Works on any object with the methods of `Objective`. Imports nothing of the package.

References
----------
.. [1] G. Andrew, J. Gao, "Scalable training of L1-regularized log-linear models",
   ICML 2007.
.. [2] R. H. Byrd, G. M. Chin, J. Nocedal, F. Oztoprak, "A family of second-order
   methods for convex l1-regularized optimization", Mathematical Programming 159, 2016.
.. [3] J. J. More, G. Toraldo, "On the solution of large quadratic programming problems
   with bound constraints", SIAM Journal on Optimization 1, 1991.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lapack

__all__ = [
    "PASSES_OF_STEP",
    "NewtonSolution",
    "Preconditioner",
    "Tolerance",
    "centred",
    "descend",
    "dot",
    "newton",
    "newton_step",
]

# A step is halved, at most MOST_HALVINGS times, until
# F(point + step) - F(point) <= SUFFICIENT * (slope along the step) (Armijo).
SUFFICIENT = 1e-4
MOST_HALVINGS = 40
# A step needs at least a product with the Hessian, the whole step and a shorter one.
PASSES_OF_STEP = 3
# No step changes a score by more than LONGEST_STEP * (1 + largest |score|).
LONGEST_STEP = 10.0
# A Newton system is solved until |residual| <= forcing * |right-hand side|. The forcing
# is that of Eisenstat and Walker (1996), choice 2, and at most LOOSEST_FORCING.
LOOSEST_FORCING, FORCING_FACTOR = 0.5, 0.9
# Relative changes of F of this size may be rounding.
ROUNDING = 1e-13
# It is also solved enough when the residual is below SHARE_OF_TOL * tol. If F were
# quadratic, the residual would be the gradient after the step.
SHARE_OF_TOL = 0.5
# Inner products of PRODUCT_OF_MARGINS or PRODUCT_OF_CLASSES columns with all columns take
# as long as a pass, which waits for memory.
PRODUCT_OF_MARGINS, PRODUCT_OF_CLASSES = 48, 8
# If blocks of all rows take more than CHEAP passes, they are those of at least LEAST_ROWS
# rows, and ROWS_PER_FEATURE for each feature. If they still do, they are shared by the
# classes, of which none has less than SMALLEST_SHARE of the mean curvature.
CHEAP, LEAST_ROWS, ROWS_PER_FEATURE, SMALLEST_SHARE = 5, 2000, 3, 1e-3
# A preconditioner of a price of at most CHEAP_START passes is made at the start, a more
# expensive one after twice LEAST_PASSES passes. No other is made within LEAST_PASSES
# passes, or TIMES_PRICE times the price of the last one. One of more than MOST_NUMBERS
# numbers is never made.
CHEAP_START, LEAST_PASSES, TIMES_PRICE = 24, 3, 2
MOST_NUMBERS = 1 << 23
# The diagonal of the preconditioner is this much larger, relative and absolute.
JITTER, SMALLEST = 1e-10, 1e-100


class Tolerance(NamedTuple):
    """When a gradient is small enough.

    Attributes
    ----------
    tol : float
    per_unit : ndarray that broadcasts to the shape of a point
        The inverse of the unit of each entry of the gradient. An entry with 0 does not
        count.
    """

    tol: float
    per_unit: np.ndarray

    def size(self, gradient):
        """The largest entry of a gradient, each in its unit."""
        return float(np.max(np.abs(gradient) * self.per_unit))


class NewtonSolution(NamedTuple):
    """The result of `newton`.

    Attributes
    ----------
    point : ndarray of shape (n_features + 1, n_classes)
        The means over the classes of entries without L1 are 0.
    n_passes : float
        Passes over X; those over a sample count its share of the rows.
    gradient : float
        The largest entry of the minimum-norm subgradient at the point, each in its
        unit.
    objective : float
        F at the point, in nats.
    evaluation : Evaluation
        That at the point.
    """

    point: np.ndarray
    n_passes: float
    gradient: float
    objective: float
    evaluation: Any


def dot(a, b):
    return float(np.vdot(a, b))


class Preconditioner:
    """The inverse of blocks on the diagonal of the Hessian, one block for each class.

    The Hessian is (1/S) sum_i s_i (diag(p_i) - p_i p_i^T) kron x_i x_i^T. The block of
    class a is (1/S) sum_i s_i p_ia (1 - p_ia) x_i x_i^T. Of sparse X, only the diagonals
    of the blocks are inverted. Of dense X, blocks are those of a part of the rows. If
    they are too expensive still, all classes share one block, that of the mean over the
    classes of p_ia (1 - p_ia), each with its share of the curvature. With two classes
    there is one block, which is the Hessian.

    Without L2 the Hessian is 0 along a shift of all classes alike, but its blocks are
    not. So the mean over the classes is removed before and after the blocks are
    applied. Otherwise conjugate gradients take several times as many passes.

    To make the blocks takes about as long as `price` passes. They become worse as the
    model changes. They are made anew when the passes since the last time have taken
    TIMES_PRICE as long, so that they take a small share of the time. But expensive blocks
    that take longer than the passes that are left are not made.

    Before there are blocks, the residual is divided by the squared scale of the penalty
    where this is more than 1. The steps are then those in columns whose penalty is the
    same. So with fewer rows than columns, they are combinations of rows, as the optimum
    is, and need fewer passes.

    With L1 no preconditioner is used. It was measured to need more passes, because it
    pins the wrong entries.

    One that `keeps` its blocks can `follow` the objective to another strength of the L2
    penalty.
    """

    def __init__(self, objective, keeps=False):
        self.keeps, self.blocks, self.solve = keeps, None, None
        n_samples, size = objective.design.shape
        n_scores = objective.design.n_scores
        self.is_diagonal, self.is_margin = objective.design.is_sparse, objective.is_margin
        price = 1 + size / (PRODUCT_OF_MARGINS if n_scores == 1 else PRODUCT_OF_CLASSES)
        if n_scores == 1 or size > n_samples:  # what the factors take is not next to nothing
            price += (price - 1) * size / n_samples
        # every so many rows are in the blocks
        self.stride = 1 if price <= CHEAP else max(1, n_samples // max(LEAST_ROWS, ROWS_PER_FEATURE * size))
        price = 1 + (price - 1) / self.stride
        self.is_shared = n_scores > 1 and price > CHEAP
        self.price = 1 if self.is_diagonal else 1 + price / n_scores if self.is_shared else price
        n_blocks = 1 if self.is_shared else n_scores
        self.is_possible = not objective.penalty.has_l1 and (self.is_diagonal or size**2 * n_blocks <= MOST_NUMBERS)
        self.passes_since = (LEAST_PASSES if self.price <= CHEAP_START else -LEAST_PASSES) if self.is_possible else -np.inf
        self.inverse = None
        scale = np.broadcast_to(0.0 if objective.penalty.has_l1 else objective.penalty.scale, size - 1)
        self.of_penalty = np.maximum(np.square(np.append(scale, 0.0)), 1.0)[:, None]

    def is_due(self, most_passes, passes_left=np.inf):
        """Whether it is time to make the blocks, with at most `most_passes` and probably `passes_left` to go."""
        least = max(LEAST_PASSES, TIMES_PRICE * self.price if self.inverse else 0)
        is_worth_it = self.price <= max(CHEAP_START, passes_left)
        return is_worth_it and self.passes_since >= least and self.price <= most_passes

    def update(self, curvature):
        """Make the blocks of a `Curvature`; returns what it took, in passes."""
        self.passes_since = 0
        if self.is_diagonal:
            diagonal = np.maximum(curvature.diagonal(), SMALLEST)
            self.inverse = lambda residual: residual / diagonal
        elif self.is_shared:
            hessian, shares = curvature.mean_block(self.stride)
            roots = np.sqrt(np.maximum(shares, SMALLEST_SHARE))
            self._use([hessian], lambda factors, residual: self._solve(factors, residual / roots) / roots)
        else:
            self._use(curvature.blocks(self.stride), self._solve)
        return self.price

    def follow(self, change_of_l2):
        """Invert the kept blocks of an L2 penalty that differs by so much for each feature."""
        self.passes_since = min(self.passes_since, 0)
        if self.blocks is not None:
            for block in self.blocks:
                np.einsum("jj->j", block)[:-1] += change_of_l2
            self._use(self.blocks, self.solve)

    def _use(self, blocks, solve):
        """Invert by these blocks, or not at all if numbers at the end of their range have no factors."""
        if self.keeps:
            self.blocks, self.solve, blocks = blocks, solve, [block.copy(order="F") for block in blocks]
        factors = [self._factor(block) for block in blocks]
        has_failed = any(factor is None for factor in factors)
        self.inverse = None if has_failed else lambda residual: solve(factors, residual)

    @staticmethod
    def _factor(hessian):
        diagonal = np.einsum("jj->j", hessian)
        diagonal *= 1 + JITTER  # rounding must not make it indefinite
        diagonal += SMALLEST
        factor, failed = lapack.dpotrf(hessian, lower=True, overwrite_a=True)
        return None if failed or not np.isfinite(diagonal).all() else factor

    @staticmethod
    def _solve(factors, residual):
        # LAPACK itself: what SciPy's functions do before takes longer than a small system
        if len(factors) == 1:
            return lapack.dpotrs(factors[0], residual, lower=True)[0]
        columns = [lapack.dpotrs(factor, column, lower=True)[0] for factor, column in zip(factors, residual.T)]
        return np.column_stack(columns)

    def __call__(self, residual):
        if self.inverse is None:
            return residual / self.of_penalty
        if self.is_margin:  # the classes are opposites
            return self.inverse(residual)
        solved = self.inverse(residual - residual.mean(axis=1, keepdims=True))
        solved -= solved.mean(axis=1, keepdims=True)
        return solved


def newton_step(objective, curvature, precondition, point, subgradient, free, *, forcing, tolerance, most_passes):
    """(step, number of passes) to about the minimum of F's quadratic model.

    The minimum is that in the orthant, by conjugate gradients on the `free` entries.
    When an entry would leave the orthant before the minimum along the direction, all
    entries that leave are pinned to zero. If the quadratic model does not decrease
    then, only the first is pinned. The other entries go on.

    Stops when the residual is `forcing` times the right-hand side, in the norm of the
    preconditioner, or when the residual is within the `tolerance`, if one is given.
    """
    has_l1 = objective.penalty.has_l1
    sign = np.where(point != 0, np.sign(point), -np.sign(subgradient)) if has_l1 else None
    is_signed = objective.is_signed
    # residual = -(subgradient + Hessian @ step), for all entries
    step, residual = np.zeros_like(point), -subgradient
    direction, square_before, target, n_passes = None, None, None, 0

    def model(step, residual):
        return 0.5 * dot(step, subgradient - residual)

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
        square = dot(free_residual, preconditioned)
        target = forcing**2 * square if target is None else target
        is_within = tolerance is not None and tolerance.size(free_residual) <= SHARE_OF_TOL * tolerance.tol
        if n_passes and (square <= target or is_within):
            break
        direction = preconditioned if direction is None else preconditioned + square / square_before * direction
        square_before = square

        product = curvature.product(direction)
        n_passes += 1
        along = dot(direction, product)
        length = square / along if along > 0 else np.inf
        first_end = np.inf
        if has_l1:
            leaves = free & is_signed & (sign * direction < 0)
            end = np.divide(-(point + step), direction, out=np.full_like(step, np.inf), where=leaves)
            first_end = end.min()
        if length < first_end:
            step = step + length * direction
            residual = residual - length * product
            continue
        if not np.isfinite(first_end):  # all probabilities are 0 or 1, without curvature; descend
            step = step if step.any() else direction
            break
        # step and residual if only the first entry is pinned, which needs no pass
        pinned = np.where(end <= first_end, -point, step + first_end * direction)
        residual_of_pinned = residual - first_end * product
        if np.isfinite(length) and n_passes < most_passes:
            # if all entries that leave are pinned, which is mostly worth its pass
            projected = np.where(end <= length, -point, step + length * direction)
            residual_of_projected = -subgradient - curvature.product(projected)
            n_passes += 1
            if model(projected, residual_of_projected) < model(step, residual):
                pinned, residual_of_pinned = projected, residual_of_projected
        step, residual, direction = pinned, residual_of_pinned, None
        free = free & ~(is_signed & (point + step == 0))
    return step, n_passes


def _sufficient_share(objective, scores, point, step, step_scores, slope):
    """The largest share 1, 1/2, ... of a step that decreases F sufficiently, else 0.

    The scores are linear along a step, so that this needs no pass.
    """
    # Saturated probabilities have almost no curvature, so that a step may be far too
    # long. Such a step begins with the share that LONGEST_STEP allows.
    longest = LONGEST_STEP * (1 + np.abs(scores).max())
    first = min(1.0, longest / max(longest, np.abs(step_scores).max()))
    for share in first * 0.5 ** np.arange(MOST_HALVINGS):
        if objective.change(scores, point, step, step_scores, share) <= SUFFICIENT * share * slope < 0:
            return share
    return 0.0


def descend(objective, point, at, subgradient, step):
    """(share, `Evaluation`, passes): the first share 1, 1/2, ... of a step that decreases F sufficiently, or 0.

    The whole step takes a pass, and a shorter one another. If the share is 0, the
    evaluation is that of the point.
    """
    trial, slope = objective.evaluate(point + step), dot(subgradient, step)
    change = trial.value - at.value
    if change <= SUFFICIENT * slope < 0:
        return 1.0, trial, 1
    if abs(change) <= ROUNDING * abs(at.value):
        # lost in rounding; of a convex function, the slopes tell (Hager and Zhang 2005)
        trial_slope = dot(objective.subgradient(point + step, trial.gradient), step)
        if trial_slope <= (2 * SUFFICIENT - 1) * slope:
            return 1.0, trial, 1
    step_scores = np.subtract(trial.scores, at.scores, out=trial.scores)
    if not np.isfinite(step_scores).all():
        step_scores = objective.change_of_scores(step)
    share = _sufficient_share(objective, at.scores, point, step, step_scores, slope)
    if share == 0:
        return 0.0, at, 1
    return share, objective.evaluate(point + share * step), 2


def centred(objective, point):
    """The point, with the means over the classes 0 of entries that are free and have no L1 norm.

    A shift of all classes alike changes no loss, and then the penalty is least. Steps
    do not change these means.
    """
    return point - np.where(objective.is_free & ~objective.is_signed, point.mean(axis=1, keepdims=True), 0)


def _next_forcing(forcing, ratio):
    """The next forcing, if a step multiplied the norm of the subgradient by `ratio`."""
    # one very good step must not make the next system expensive
    safeguard = FORCING_FACTOR * forcing**2
    return min(LOOSEST_FORCING, max(FORCING_FACTOR * ratio**2, safeguard if safeguard > 0.1 else 0.0))


def newton(objective, point, tolerance, *, max_passes, at=None, on_step=None):
    """Minimise an objective to a tight tolerance.

    This is fast if the mean square of each column is about 1.

    Parameters
    ----------
    objective : Objective
    point : ndarray of shape (n_features + 1, n_classes)
        The start. With two classes it has two columns, too. Entries that are not free
        do not change.
    tolerance : Tolerance
        Stop when no entry of the minimum-norm subgradient is larger than `tol` in its
        unit.
    max_passes : int
        The largest number of passes, at least 1. A pass is a product with X and a
        product with its transpose.
    at : Evaluation or None, default=None
        That at the start, if it is known. Then the first pass is not needed.
    on_step : callable or None, default=None
        Called after every Newton step with the `NewtonSolution` so far. If the call
        returns True, `newton` stops.

    Returns
    -------
    solution : NewtonSolution
        The objective is not above that of the start. The `gradient` is above `tol` if
        `max_passes` was not enough, or if the gradient is nothing but rounding.

    Notes
    -----
    The memory is that of three arrays of shape (n_samples, n_classes), of several
    arrays of the shape of a point, and of a preconditioner of at most MOST_NUMBERS
    numbers.
    """
    point = centred(objective, point)
    forcing, precondition = LOOSEST_FORCING, Preconditioner(objective)

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # too long steps overflow, and are halved
        n_passes = 0.0 if at else 1.0
        at = at or objective.evaluate(point)
        subgradient, value = objective.subgradient(point, at.gradient), at.value
        while tolerance.size(subgradient) > tolerance.tol and n_passes + PASSES_OF_STEP <= max_passes:
            curvature = objective.curvature(at.scores)
            if precondition.is_due(max_passes - n_passes - PASSES_OF_STEP):
                n_passes += precondition.update(curvature)
            step, n_products = newton_step(
                objective,
                curvature,
                precondition,
                point,
                subgradient,
                objective.is_free & ((point != 0) | (subgradient != 0)),
                forcing=forcing,
                tolerance=tolerance,
                most_passes=int(max_passes - n_passes) - PASSES_OF_STEP + 1,
            )
            del curvature  # its probabilities, before there are more scores
            share, trial, n_more = descend(objective, point, at, subgradient, step)
            n_passes += n_products + n_more
            precondition.passes_since += n_products + n_more
            if share == 0:
                break
            norm = np.linalg.norm(subgradient)
            point = point + share * step  # a whole step to zero ends at 0 exactly
            at, subgradient = trial, objective.subgradient(point, trial.gradient)
            forcing = _next_forcing(forcing, np.linalg.norm(subgradient) / norm)
            value = min(value, at.value)  # it may fall by less than its rounding
            if on_step is not None and on_step(NewtonSolution(point, n_passes, tolerance.size(subgradient), value, at)):
                break
        return NewtonSolution(point, n_passes, tolerance.size(subgradient), value, at)
