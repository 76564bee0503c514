"""Newton's method for rows on several machines: the work of a part, and the rounds.

The objective F of all rows is the mean of the objectives of the parts, each weighted by
the part's share of the total weight. The same is true of the gradient g and the Hessian
H. In a round, every part gets the point, g, and the diagonal D of H at the point, all
of which are exact. It solves approximately a Newton system with its own Hessian H_k, of
diagonal D_k:

    step_k = -T_k H_k^-1 T_k g,    T_k = (D_k / D)^(1/2).

If the parts are alike, the mean of these steps is a good step [1]_. T_k^-1 H_k T_k^-1
has the correlations of the part, but the diagonal D of all rows. Without T_k, a word
that the part never saw would have the curvature of its penalty alone, and a step that
is much too long. If no features are correlated, the mean step is that of Newton.

The mean step decreases F, because the matrices are symmetric and positive definite. But
its length may be wrong, and it knows nothing of earlier rounds. So a round ends near
the minimum of F in the plane of this step and the last move [2]_, as in conjugate
gradients. How much a round achieves depends on the parts. The limit of the rounds does
not: the gradient is 0 only at the optimum of all rows.

The engine is an argument of `rounds`: it is a function that calls another one for all
parts, and adds the results. Imports Newton's method and the objective, and nothing of
Dask.

References
----------
.. [1] S. Wang, F. Roosta-Khorasani, P. Xu, M. W. Mahoney, "GIANT: globally improved
   approximate Newton method for distributed optimization", NeurIPS 2018.
.. [2] G. Narkiss, M. Zibulevsky, "Sequential subspace optimization method for
   large-scale unconstrained problems", Technion, 2005.
"""

from dataclasses import dataclass

import numpy as np

from ._coordinates import Coordinates
from ._model import Model
from ._newton import SUFFICIENT, Preconditioner, newton_step
from ._objective import Objective, Penalty
from ._solver import NoProgress
from ._validation import Problem

__all__ = ["Part", "Setting", "evaluation", "rounds"]

# The system of a part is solved until |residual| <= FORCING * |right-hand side|, or for
# MOST_PASSES passes. A more exact solution does not help, because H_k is not H. By
# experiment; the number of rounds depends little on them.
FORCING, MOST_PASSES = 0.3, 6
# A move is halved, at most so many times, until it decreases F sufficiently (Armijo).
MOST_HALVINGS = 30
ROUNDING = 8 * np.finfo(np.float64).eps
SMALLEST = 1e-100  # the smallest entry of the diagonal of a Hessian


@dataclass(frozen=True)
class Part:
    """Rows to learn from, and held-out rows or None."""

    problem: Problem
    held_out: Problem | None = None


@dataclass(frozen=True)
class Setting:
    """What all parts share.

    Attributes
    ----------
    penalty : Penalty
        The penalty in the coordinates. L1 is not supported.
    total_weight, held_out_weight : float
        The weight of the rows to learn from, and of the held-out rows, of all parts.
    coordinates : Coordinates
    per_unit : ndarray of shape (n_features + 1, n_classes)
        See `Tolerance`.
    fit_intercept : bool
    """

    penalty: Penalty
    total_weight: float
    held_out_weight: float
    coordinates: Coordinates
    per_unit: np.ndarray
    fit_intercept: bool

    def objective(self, problem):
        """The objective of the rows of a problem, in the coordinates."""
        return Objective.of(problem, self.penalty, self.fit_intercept, self.coordinates)

    def point_of(self, model):
        """The point of a model; the means over the classes are made 0."""
        point = self.coordinates.point(*model.softmax_coef())
        is_free = np.append(self.coordinates.inverse_scale != 0, self.fit_intercept)[:, None]
        return point - np.where(is_free, point.mean(axis=1, keepdims=True), 0)

    def model_of(self, point, dtype):
        """The model of a point."""
        coef, intercept = self.coordinates.coef(point)
        model = Model.zeros(coef.shape[1], len(coef), dtype)
        model.set_softmax_coef(coef, intercept - intercept.mean() if self.fit_intercept else intercept)
        return model

    def size(self, gradient):
        """The largest entry of a gradient, as `tol` measures it."""
        return float(np.max(np.abs(gradient) * self.per_unit))

    def at(self, part, point):
        """(objective of a part, its `Evaluation` at a point, share of the part)."""
        objective = self.objective(part.problem)
        return objective, objective.evaluate(point), part.problem.sample_weight.sum() / self.total_weight


# The terms of a part in sums over all parts.


def evaluation(part, setting, point):
    """(F, log loss of the held-out rows, gradient of F, diagonal of its Hessian)."""
    objective, at, share = setting.at(part, point)
    held_out_loss, held_out = 0.0, part.held_out
    if held_out is not None and held_out.n_samples:
        held_out_loss = setting.objective(held_out).loss(point) * held_out.sample_weight.sum() / setting.held_out_weight
    diagonal = np.maximum(objective.curvature(at.scores).diagonal(), SMALLEST)
    return share * at.value, held_out_loss, share * at.gradient, share * diagonal


def local_step(part, setting, point, gradient, diagonal):
    """step_k at the top of this file, times the share of the part."""
    objective, at, share = setting.at(part, point)
    curvature = objective.curvature(at.scores)
    to_all = np.sqrt(np.maximum(curvature.diagonal(), SMALLEST) / diagonal)
    precondition = Preconditioner(objective)
    precondition.update(curvature)
    free = objective.is_free & (gradient != 0)
    step, _ = newton_step(
        objective,
        curvature,
        precondition,
        point,
        to_all * gradient,
        free,
        forcing=FORCING,
        tolerance=None,
        most_passes=MOST_PASSES,
    )
    return share * to_all * step


def curvature(part, setting, point, *directions):
    """d_a^T H d_b for the directions d, of shape (n_directions, n_directions)."""
    objective, at, share = setting.at(part, point)
    curvature = objective.curvature(at.scores)
    products = [curvature.product(direction) for direction in directions]
    return share * np.array([[np.vdot(direction, product) for product in products] for direction in directions])


def rounds(sum_over_parts, setting, point, *, n_rounds, tol, n_iter_no_change=None, on_round):
    """Minimise F from a point.

    Parameters
    ----------
    sum_over_parts : callable
        ``sum_over_parts(function, *arrays)`` is the sum over all parts of
        ``function(part, setting, *arrays)``. Tuples are added entry by entry.
    setting : Setting
    point : ndarray of shape (n_features + 1, n_classes)
    n_rounds : int
        The largest number of rounds.
    tol : float or None
        Stop when ``setting.size(gradient)`` is not larger.
    n_iter_no_change : int or None
        If given, stop when this number of consecutive rounds has not decreased the log
        loss of held-out rows by `tol`, and return the best point.
    on_round : callable
        ``on_round(objective, held_out_loss)`` is called for the start, and after each
        round.

    Returns
    -------
    point : ndarray of shape (n_features + 1, n_classes)
    size : float
        ``setting.size`` of the gradient at the point.
    is_done : bool
        Whether a stopping rule ended the rounds.
    """
    watches, least = n_iter_no_change is not None, -np.inf if tol is None else tol
    value, held_out_loss, gradient, diagonal = sum_over_parts(evaluation, point)
    on_round(value, held_out_loss)
    best, last_move, progress = (point, setting.size(gradient)), None, NoProgress(tol)
    progress.add(held_out_loss)
    for _ in range(n_rounds):
        if not watches and setting.size(gradient) <= least:
            return point, setting.size(gradient), True
        step = sum_over_parts(local_step, point, gradient, diagonal)
        directions = [step - step.mean(axis=1, keepdims=True), *([] if last_move is None else [last_move])]
        slopes = np.array([np.vdot(gradient, direction) for direction in directions])
        lengths = -np.linalg.pinv(sum_over_parts(curvature, point, *directions), rcond=1e-12, hermitian=True) @ slopes
        move = sum(length * direction for length, direction in zip(lengths, directions))
        slope = lengths @ slopes
        for share in 0.5 ** np.arange(MOST_HALVINGS):
            new_move = share * move
            new_point = point + new_move
            new = sum_over_parts(evaluation, new_point)
            if new[0] <= value + SUFFICIENT * share * slope + ROUNDING * abs(value):
                break
        else:  # the decrease is less than rounding
            return (*best, True) if watches else (point, setting.size(gradient), tol is None)
        point, last_move = new_point, new_move
        value, held_out_loss, gradient, diagonal = new
        on_round(value, held_out_loss)
        if progress.add(held_out_loss):
            best = point, setting.size(gradient)
        if watches and progress.n_epochs >= n_iter_no_change:
            return *best, True
    if watches:
        return *best, False
    return point, setting.size(gradient), tol is None or setting.size(gradient) <= least
