"""Newton's method for rows that lie in parts which nobody has together: what a part computes, and the loop over the rounds.

F is a mean over the parts, each with the share of its rows in the total weight, and so are its gradient g and its Hessian H. In
a round, every part gets the point, g, and the diagonal D of H there, all of which are exact, and about solves a Newton system
with its own Hessian H_k, of which D_k is the diagonal:

    step_k = -T_k H_k^-1 T_k g,    T_k = (D_k / D)^(1/2).

The mean of these steps is a good one as far as the parts are alike [1]_. Where they are not, T_k knows better: H_k has then the
correlations of the part and the curvature of all. A word that the part has never seen has but its penalty in H_k, and would go
far; like this, it goes as far as the rows in which it is allow. If no features are correlated, the mean step is Newton's.

It leads downhill, because the matrices are symmetric and positive definite. It need not be of the right length, and forgets what
earlier rounds have learnt. So the round ends at about the minimum of F in the plane of this step and the last one [2]_, as
conjugate gradients do. How far a round leads depends on the parts; where the rounds end does not: at the gradient 0, which is the
optimum of all rows.

The engine is somebody else's: a function that calls another one for all parts, and adds up.

References
----------
.. [1] S. Wang, F. Roosta-Khorasani, P. Xu, M. W. Mahoney, "GIANT: globally improved approximate Newton method for distributed
   optimization", NeurIPS 2018.
.. [2] G. Narkiss, M. Zibulevsky, "Sequential subspace optimization method for large-scale unconstrained problems",
   Technion, 2005.
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

# The system of a part is solved to this part of its right-hand side, or by so many passes. More do not help: its Hessian is not
# that of all rows. By experiment, and flat.
FORCING, MOST_PASSES = 0.3, 6
# A move has to achieve a share of the decrease that its slope promises (Armijo), or is halved, so many times at most.
MOST_HALVINGS = 30
ROUNDING = 8 * np.finfo(np.float64).eps
SMALLEST = 1e-100  # entry of a Hessian's diagonal


@dataclass(frozen=True)
class Part:
    """Rows to learn from, and rows that are held out (or None)."""

    problem: Problem
    held_out: Problem | None = None


@dataclass(frozen=True)
class Setting:
    """What all parts have to agree on.

    Attributes
    ----------
    penalty : Penalty
        In the coordinates; without L1.
    total_weight, held_out_weight : float
        Of the rows of all parts.
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
        """F on some rows, in the coordinates."""
        coordinates = self.coordinates
        return Objective(
            problem.X,
            problem.y,
            problem.sample_weight,
            self.penalty,
            self.fit_intercept,
            offset=coordinates.offset.astype(np.float64),
            inverse_scale=coordinates.inverse_scale.astype(np.float64),
        )

    def point_of(self, model):
        """A model, in the coordinates; the means over the classes are 0, which changes no probability."""
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
        """(F of a part, its `Evaluation` at a point, share of the part)."""
        objective = self.objective(part.problem)
        return objective, objective.evaluate(point), part.problem.sample_weight.sum() / self.total_weight


# What a part adds to the sums over all parts.


def evaluation(part, setting, point):
    """F, the log loss of the held-out rows, the gradient of F, and the diagonal of its Hessian."""
    objective, at, share = setting.at(part, point)
    value, held_out_loss, held_out = at.loss + setting.penalty(point[:-1]), 0.0, part.held_out
    if held_out is not None and held_out.n_samples:
        held_out_loss = setting.objective(held_out).loss(point) * held_out.sample_weight.sum() / setting.held_out_weight
    diagonal = np.maximum(objective.hessian_diagonal(at), SMALLEST)
    return share * value, held_out_loss, share * at.gradient, share * diagonal


def local_step(part, setting, point, gradient, diagonal):
    """The step of the part, for the gradient of F and the diagonal of its Hessian."""
    objective, at, share = setting.at(part, point)
    to_all = np.sqrt(np.maximum(objective.hessian_diagonal(at), SMALLEST) / diagonal)
    precondition = Preconditioner(objective)
    precondition.update(at, np.inf)
    free = objective.is_free & (gradient != 0)
    step, _ = newton_step(
        objective,
        at,
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
    """The Hessian of F in the directions, an array of shape (n_directions, n_directions)."""
    objective, at, share = setting.at(part, point)
    products = [objective.hessian_product(at, direction) for direction in directions]
    return share * np.array([[np.vdot(direction, product) for product in products] for direction in directions])


def rounds(sum_over_parts, setting, point, *, n_rounds, tol, n_iter_no_change=None, on_round):
    """Minimise F from a point.

    Parameters
    ----------
    sum_over_parts : callable
        ``sum_over_parts(function, *arrays)`` is the sum of ``function(part, setting, *arrays)`` over all parts, entry by entry if
        these are tuples.
    setting : Setting
    point : ndarray of shape (n_features + 1, n_classes)
    n_rounds : int
        At most so many.
    tol : float or None
        Stop when no entry of the gradient is larger, as `Setting.size` measures it.
    n_iter_no_change : int or None
        If given, stop when so many rounds in a row have not decreased the log loss of held-out rows by `tol`, and return the best
        of all points.
    on_round : callable
        ``on_round(objective, held_out_loss)`` is called for the start, and after each round.

    Returns
    -------
    point : ndarray of shape (n_features + 1, n_classes)
    size : float
        The largest entry of the gradient there.
    is_done : bool
        Whether it stopped before `n_rounds` were over.
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
        else:  # rounding is all that is left
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
