"""Models of one problem along a path: for each alpha of a decreasing grid, the optimum.

The largest alpha starts from the model that knows only how frequent the classes are.
Each other model starts from where the last two models point to, along log(alpha). What
is known of the Hessian of one model is used for the next, from which it differs by a
diagonal. All models share one set of statistics and coordinates, and few wide rows
their inner products.

Imports the parts of `fit`, and knows nothing of the estimator.
"""

from typing import NamedTuple

import numpy as np

from ._absent import cost_of_absent, model_of_all, settings_of_present
from ._matrix import columns_in_use, gathered
from ._minimise import minimise
from ._model import Model
from ._newton import Tolerance
from ._objective import Evaluation, Objective, Penalty
from ._point_saga import gap_of_model, model_of_point, prepare
from ._quasi_newton import Memory
from ._starts import TIMES_FOR_A_PATH, SpaceOfRows, is_wide

__all__ = ["Path", "PathPoint", "default_ratio"]

# The grid of an L2 penalty begins at the largest entry of the gradient of the model
# without coefficients, times 1 / SMALLEST_RATIO. Standardised coefficients are at most
# about SMALLEST_RATIO there.
SMALLEST_RATIO = 0.01
# The smallest alpha of a grid, over the largest: with more rows than features, and
# without. Those with L1 are glmnet's.
RATIOS_WITH_L1, RATIOS_OF_L2 = (1e-4, 1e-2), (1e-7, 1e-5)


class PathPoint(NamedTuple):
    """The optimum for one alpha.

    Attributes
    ----------
    model : Model
        In the units of X.
    optimality_gap : float
        How far its objective is above the minimum, at most.
    n_iter : int
        Passes over the rows, rounded up.
    is_converged : bool
    """

    model: Model
    optimality_gap: float
    n_iter: int
    is_converged: bool


def default_ratio(n_samples, n_features, l1_ratio):
    """The smallest alpha of a grid over the largest, if the user does not say."""
    return (RATIOS_WITH_L1 if l1_ratio > 0 else RATIOS_OF_L2)[0 if n_samples > n_features else 1]


class Follower:
    """Minimises objectives that differ in alpha only, one after the other, from the largest alpha on.

    Parameters
    ----------
    start : ndarray of shape (n_features + 1, n_classes)
        The point to start from for the first alpha.
    """

    def __init__(self, start):
        self.point, self.direction, self.alpha = start, None, None
        self.evaluation = self.l2 = self.memory = None

    def solve(self, objective, tolerance, max_passes):
        """The `NewtonSolution`, whose passes are all that were needed."""
        alpha = objective.penalty.alpha
        if self.memory is None:
            self.memory, at, n_passes = Memory(objective, keeps=True), objective.evaluate(self.point), 1
        else:
            self.memory.follow(objective)
            at, n_passes = self._evaluation_for(objective), 0
        point = self.point
        if self.direction is not None:
            predicted = self._predicted(objective, alpha)
            there, n_passes = objective.evaluate(predicted), 1
            if there.value < at.value:
                point, at = predicted, there
        solution = minimise(objective, point, tolerance, max_passes=max(1, max_passes - n_passes), at=at, memory=self.memory)
        if self.alpha is not None and alpha < self.alpha:
            self.direction = (solution.point - self.point) / np.log(alpha / self.alpha)
        self.point, self.alpha, self.evaluation, self.l2 = solution.point, alpha, solution.evaluation, objective.l2
        return solution._replace(n_passes=solution.n_passes + n_passes)

    def _evaluation_for(self, objective):
        """The evaluation of the last point for another alpha, which takes no pass."""
        last, weights = self.evaluation, self.point[:-1]
        gradient = last.gradient.copy()
        gradient[:-1] += (objective.l2 - self.l2) * weights
        return Evaluation(last.scores, last.loss, last.loss + objective.penalty(weights), gradient)

    def _predicted(self, objective, alpha):
        """Where the last two points lead, as a function of log(alpha); no coefficient with L1 leaves 0 or changes its sign."""
        predicted = self.point + np.log(alpha / self.alpha) * self.direction
        return np.where(objective.is_signed & (predicted * self.point <= 0), 0, predicted)


class Path:
    """A problem, prepared for any alpha and l1_ratio.

    Parameters
    ----------
    problem : Problem
        All weights are positive.
    n_classes : int
        Some classes may have no row.
    settings : Settings
        Its alpha and l1_ratio are not used.
    """

    def __init__(self, problem, n_classes, settings):
        self.settings, self.n_features = settings, problem.X.shape[1]
        self.is_present = np.ones(n_classes, dtype=bool)
        if settings.fit_intercept:
            self.is_present = problem.occurring(n_classes)
            problem = problem.renumbered(self.is_present)
        self.columns = columns_in_use(problem.X, None)
        if self.columns is not None:
            problem = problem._replace(X=gathered(problem.X, self.columns))
        self.prepared = prepare(problem, int(self.is_present.sum()))
        self.problem = self.prepared.problem

    def _coordinates(self, alpha):
        settings = self.settings
        return self.prepared.coordinates(self.prepared.penalty_scale(settings.standardize), alpha, settings.fit_intercept)

    def _objective(self, coordinates, alpha, l1_ratio):
        of_all = self.settings._replace(alpha=alpha, l1_ratio=l1_ratio)
        present = settings_of_present(of_all, alpha, self.is_present)
        penalty = Penalty(present.alpha, present.l1_ratio, self.prepared.n_classes, coordinates.penalty_scale)
        return Objective.of(self.problem, penalty, self.settings.fit_intercept, coordinates)

    def _without_coefficients(self):
        """The point of the model that has only intercepts."""
        point = np.zeros((self.problem.X.shape[1] + 1, self.prepared.n_classes))
        if self.settings.fit_intercept:
            log_frequency = np.log(self.prepared.class_weight)
            point[-1] = log_frequency - log_frequency.mean()
        return point

    def largest_alpha(self, l1_ratio):
        """The smallest alpha at which all coefficients are 0; for L2 that of an l1_ratio of SMALLEST_RATIO."""
        objective = self._objective(self._coordinates(1.0), 1.0, l1_ratio)
        gradient = objective.evaluate(self._without_coefficients()).gradient[:-1]
        largest = float(np.abs(objective.penalty.standardised(gradient)).max(initial=0))
        return largest / max(l1_ratio, SMALLEST_RATIO) or 1.0  # without any feature that varies, any alpha does

    def grid(self, n_alphas, min_alpha_ratio, l1_ratio):
        """A geometric grid of alphas, from the largest on."""
        n_samples, largest = self.problem.n_samples, self.largest_alpha(l1_ratio)
        ratio = min_alpha_ratio or default_ratio(n_samples, self.n_features, l1_ratio)
        return np.geomspace(largest, largest * ratio, n_alphas)

    def points(self, alphas, l1_ratio):
        """The `PathPoint` of each alpha, from the largest to the smallest.

        Parameters
        ----------
        alphas : ndarray of positive numbers, decreasing
        l1_ratio : float
        """
        settings, dtype = self.settings, self.problem.X.dtype
        coordinates = self._coordinates(alphas[-1])
        tolerance = Tolerance(settings.tol, coordinates.per_unit(self.prepared.feature_scale, self.prepared.class_scale))
        start = self._without_coefficients()
        follower = Follower(start)
        in_space = OfRows(self._objective(coordinates, alphas[0], l1_ratio), start, settings) if self._is_wide(l1_ratio) else None
        for alpha in alphas:
            objective = self._objective(coordinates, alpha, l1_ratio)
            n_in_space = 0
            if in_space is not None and in_space.is_possible:
                follower, n_in_space = Follower(in_space.point(alpha)), in_space.PASSES
            solution = follower.solve(objective, tolerance, settings.max_iter)
            model = model_of_point(solution.point, coordinates, objective.penalty, settings.fit_intercept, dtype)
            gap = gap_of_model(model, objective, coordinates, solution.point, solution.evaluation)
            if self.columns is not None:
                model = model.scattered(self.columns, self.n_features)
            yield PathPoint(
                model_of_all(model, self.is_present),
                gap + cost_of_absent(self.is_present),
                int(np.ceil(solution.n_passes)) + n_in_space,
                solution.gradient <= settings.tol,
            )

    def _is_wide(self, l1_ratio):
        return l1_ratio == 0 and is_wide(self.problem, TIMES_FOR_A_PATH)


class OfRows:
    """The path of few wide rows with an L2 penalty, in the space of the rows."""

    PASSES = 1  # over the rows, for the weights of a point

    def __init__(self, objective, start, settings):
        self.space, self.settings = SpaceOfRows(objective), settings
        self.is_possible = self.space.factor is not None
        n_weights = objective.n_samples
        self.follower = Follower(np.vstack([np.zeros((n_weights, start.shape[1])), start[-1:]]))

    def point(self, alpha):
        """The point of the optimum for an alpha."""
        objective = self.space.objective_here(alpha)
        here = self.follower.solve(
            objective, Tolerance(self.settings.tol, np.ones_like(self.follower.point)), self.settings.max_iter
        )
        return self.space.point(here.point)
