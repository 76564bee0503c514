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

from ._features import inverse_or_zero
from ._model import Model
from ._newton import _newton_step, _Preconditioner, _Problem, point_of, rows_of
from ._objective import Penalty, proba_and_losses
from ._validation import Problem

__all__ = ["Frame", "Part", "evaluation", "rounds"]

# The system of a part is solved to this part of its right-hand side, or by so many passes. More do not help: its Hessian is not
# that of all rows. By experiment, and flat.
FORCING, MOST_PASSES = 0.3, 6
# A move has to achieve this share of the decrease that its slope promises (Armijo), or is halved, so many times at most.
SUFFICIENT, MOST_HALVINGS = 1e-4, 30
ROUNDING = 8 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class Part:
    """Rows to learn from, and rows that are held out (or None)."""

    problem: Problem
    held_out: Problem | None = None


@dataclass(frozen=True)
class Frame:
    """What all parts have to agree on.

    Attributes
    ----------
    penalty : Penalty
        In the coordinates of the solver; without L1.
    total_weight, held_out_weight : float
        Of the rows of all parts.
    offset, scale, unit : ndarray of shape (n_features,)
        The coordinates of the solver; see `_newton.newton`.
    fit_intercept : bool
    """

    penalty: Penalty
    total_weight: float
    held_out_weight: float
    offset: np.ndarray
    scale: np.ndarray
    unit: np.ndarray
    fit_intercept: bool

    @property
    def may_move(self):
        return np.append(self.scale != 0, self.fit_intercept)[:, None]

    def point_of(self, model):
        """A model, in the coordinates of the solver; their mean over the classes is 0, which changes no probability."""
        point = point_of(*model.rows(), self.scale, self.offset)
        return point - np.where(self.may_move, point.mean(axis=1, keepdims=True), 0)

    def rows_of(self, point):
        """(rows, intercept) of a point."""
        return rows_of(point, self.scale, self.offset)

    def model_of(self, point, dtype):
        """The model of a point."""
        rows, intercept = self.rows_of(point)
        model = Model.zeros(len(self.scale), self.penalty.n_classes, dtype)
        model.set_rows(rows, intercept - intercept.mean() if self.fit_intercept else intercept)
        return model

    def size(self, gradient):
        """The largest entry of a gradient, as `tol` measures it."""
        per_unit = np.append(self.scale * inverse_or_zero(self.unit), 1.0)
        return float(np.max(np.abs(gradient) * per_unit[:, None]))

    def at(self, part, point):
        """F of a part and its gradient at a point: (problem, share of the part, objective, gradient)."""
        rows = part.problem
        problem = _Problem(
            rows.X,
            rows.y,
            rows.sample_weight,
            self.penalty.n_classes,
            l2=self.penalty.l2,
            l1=self.penalty.l1,
            offset=self.offset,
            scale=self.scale,
            unit=self.unit,
        )
        gradient, loss = problem.gradient(point, problem.scores_of(point))
        share = rows.sample_weight.sum() / self.total_weight
        return problem, share, loss + problem.penalty(point), np.where(self.may_move, gradient, 0)


# What a part adds to the sums over all parts.


def evaluation(part, frame, point):
    """F, the log loss of the held-out rows, the gradient of F, and the diagonal of its Hessian."""
    problem, share, objective, gradient = frame.at(part, point)
    held_out_loss, held_out = 0.0, part.held_out
    if held_out is not None and held_out.n_samples:
        rows, intercept = frame.rows_of(point)
        losses = proba_and_losses(held_out.X @ rows.T + intercept, held_out.y)[1]
        held_out_loss = float(held_out.sample_weight @ losses) / frame.held_out_weight
    return share * objective, held_out_loss, share * gradient, share * problem.hessian_diagonal()


def local_step(part, frame, point, gradient, diagonal):
    """The step of the part, for the gradient of F and the diagonal of its Hessian."""
    problem, share, _, _ = frame.at(part, point)
    to_all = np.sqrt(problem.hessian_diagonal() / diagonal)
    precondition = _Preconditioner(problem, frame.fit_intercept)
    precondition.update(np.inf)
    free = frame.may_move & (gradient != 0)
    step, _ = _newton_step(problem, precondition, point, to_all * gradient, free, FORCING, 0.0, MOST_PASSES)
    return share * to_all * step


def curvature(part, frame, point, *directions):
    """The Hessian of F in the directions, an array of shape (n_directions, n_directions)."""
    problem, share, _, _ = frame.at(part, point)
    products = [problem.hessian_product(direction) for direction in directions]
    return share * np.array([[np.vdot(direction, product) for product in products] for direction in directions])


def rounds(sum_over_parts, frame, point, *, n_rounds, tol, n_iter_no_change=None, on_round):
    """Minimise F from a point.

    Parameters
    ----------
    sum_over_parts : callable
        ``sum_over_parts(function, *arrays)`` is the sum of ``function(part, frame, *arrays)`` over all parts, entry by entry if
        these are tuples.
    frame : Frame
    point : ndarray of shape (n_features + 1, n_classes)
    n_rounds : int
        At most so many.
    tol : float or None
        Stop when no entry of the gradient is larger, as `Frame.size` measures it.
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
    watches = n_iter_no_change is not None
    least = -np.inf if tol is None else tol
    objective, held_out_loss, gradient, diagonal = sum_over_parts(evaluation, point)
    on_round(objective, held_out_loss)
    best, best_held_out, n_idle, last_move = (point, frame.size(gradient)), held_out_loss, 0, None
    for _ in range(n_rounds):
        if not watches and frame.size(gradient) <= least:
            return point, frame.size(gradient), True
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
            if new[0] <= objective + SUFFICIENT * share * slope + ROUNDING * abs(objective):
                break
        else:  # rounding is all that is left
            return (*best, True) if watches else (point, frame.size(gradient), tol is None)
        point, last_move = new_point, new_move
        objective, held_out_loss, gradient, diagonal = new
        on_round(objective, held_out_loss)
        n_idle = 0 if held_out_loss <= best_held_out - least else n_idle + 1
        if held_out_loss < best_held_out:
            best, best_held_out = (point, frame.size(gradient)), held_out_loss
        if watches and n_idle >= n_iter_no_change:
            return *best, True
    if watches:
        return *best, False
    return point, frame.size(gradient), tol is None or frame.size(gradient) <= least
