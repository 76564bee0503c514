"""The epochs of `fit` with the automatic step: one of the stream's rule, then of Point-SAGA, then Newton's method.

Point-SAGA compares the implicit step of a row with the row's last one (Defazio 2016), which
takes the noise out of it. Newton's method adds the last digits. See kernels/point_saga.h and
_newton.py.

What is fixed for a problem (`prepare`) is apart from what moves (`Epochs`): a problem is solved
for another alpha, or from another start, without reading the rows for statistics again.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import issparse

from . import kernels
from ._coordinates import SMALLEST_TOTAL, Moments, scale_of_classes, scale_of_features, solver_coordinates
from ._matrix import inverse_or_zero, kernel_rows
from ._model import Model, aligned_zeros
from ._newton import Tolerance, newton
from ._objective import Objective, Penalty
from ._stream import Iterates, Stream, StreamScalars

__all__ = ["Epochs", "PreparedProblem", "prepare"]

# The step of an epoch is this over (mean of 1 + |row|^2) / 2 and the square root of the mean curvature of the losses. By
# experiment, and flat: with half and double the step, ill-conditioned and noisy sets change places.
STEP = 2.0
# A row is visited once more in an epoch, by shorter steps, for so many times the mean squared norm. (Without it, a few rows
# far out in heavy tails, each of which moves the model much, decide how fast the rest converges.)
NORM_PER_VISIT = 2.0
# The gradient of the table is smaller than the true one, mostly by far: Newton's method takes over when it is this part of tol.
TRIGGER = 0.1
# Newton's method takes over after so many epochs: what is left then is slow for steps along single gradients.
MOST_EPOCHS = 30
# If the gradient of the table is below tol, or if there is no table, the true one is computed: after so many epochs, and when
# they have grown by this factor since.
FIRST_CHECK = 10
GROWTH_BETWEEN_CHECKS = 1.5
# Of sparse rows, so many iterates of an epoch are averaged at most; fewer, if the rows have so few numbers that bringing all
# features up to date would take longer than a part of an epoch.
MOST_AVERAGED, NUMBERS_PER_AVERAGED = 16, 16
# An epoch whose objective is more than so many times the best one has diverged: its steps
# were too long. (On data for which they are right, it is at most 1.2 times the best.)
WORST_RATIO = 1.5
# After a second one, all steps are divided by this.
DIVISOR = 4.0
BLOCK = 1024  # features
TINY = np.finfo(np.float64).tiny
# A row is an outlier if its squared norm is so many times the median.
OUTLIER = 100.0


@dataclass(frozen=True)
class PreparedProblem:
    """A problem of `fit`, and what its rows say whatever the penalty.

    Attributes
    ----------
    problem : Problem
        With weights of mean 1.
    total_weight : float
        Of the weights as they were given.
    n_classes : int
    moments : Moments
    spreads : tuple, see `Moments.spreads`
    class_scale : ndarray of shape (n_classes,)
        What the gradient of each class is measured in.
    """

    problem: Any
    total_weight: float
    n_classes: int
    moments: Moments
    spreads: tuple
    class_scale: np.ndarray

    @property
    def n_samples(self):
        return self.problem.n_samples

    @property
    def scale(self):
        """The active standard deviation of each feature."""
        return self.spreads[1]

    @property
    def share_of_nonzeros(self):
        """The share of the rows in which each feature is not 0."""
        return self.spreads[3]


def prepare(problem, n_classes):
    """The statistics of a problem: one pass over the rows."""
    total_weight = max(float(problem.sample_weight.sum()), SMALLEST_TOTAL)
    problem = problem.normalised()
    moments = Moments.of(problem)
    class_weight = np.bincount(problem.y, weights=problem.sample_weight, minlength=n_classes)
    spreads = moments.spreads(problem.n_samples)
    return PreparedProblem(problem, total_weight, n_classes, moments, spreads, scale_of_classes(class_weight))


class Epochs:
    """Epochs over one problem: one of the stream rule, then of Point-SAGA, then passes of Newton's method.

    Attributes
    ----------
    penalty : Penalty
    """

    def __init__(self, prepared, settings, alpha, start, random_state):
        self.prepared, self.settings, self.random_state = prepared, settings, random_state
        self.problem = problem = prepared.problem
        n_features, n_classes = problem.X.shape[1], prepared.n_classes
        self.feature_scale = scale_of_features(prepared.spreads)
        penalty_scale = prepared.scale if settings.standardize else np.ones(n_features)
        self.penalty = Penalty(alpha, settings.l1_ratio, n_classes, penalty_scale)
        is_sparse = issparse(problem.X)
        is_centred = settings.fit_intercept and not is_sparse
        self.coordinates = solver_coordinates(problem.X, prepared.spreads, penalty_scale, alpha, is_centred)
        self.penalty_here = replace(self.penalty, scale=self.coordinates.penalty_scale)
        self.objective = Objective(
            problem.X,
            problem.y,
            problem.sample_weight,
            self.penalty_here,
            settings.fit_intercept,
            offset=self.coordinates.offset.astype(np.float64),
            inverse_scale=self.coordinates.inverse_scale.astype(np.float64),
        )

        dtype = problem.X.dtype
        if start is None:
            zeros = Model.zeros(n_features, n_classes, dtype)
            weights, intercept = zeros.weights, zeros.intercept
        else:
            weights, intercept = self.coordinates.from_original(start)
        self.iterates = Iterates.starting(
            weights, intercept, n_classes, self.coordinates, is_sparse, is_centred, Moments.zeros(n_features, dtype),
            StreamScalars(), alpha=alpha, l1_ratio=settings.l1_ratio,
        )  # fmt: skip
        self.is_warm = start is not None
        self.table = aligned_zeros(prepared.n_samples, weights.shape[1], dtype) if settings.variance_reduction else None
        self.n_epochs = 0
        self.step = 0.0  # of Point-SAGA
        self.reads_only = self.is_warm  # the next epoch leaves the model as it is
        self.best_objective, self.best = np.inf, self._model_here().copy()
        self.least_curvature, self.divisor = TINY, 1.0
        self.next_check = FIRST_CHECK if settings.variance_reduction else 2
        self.next_newton, self.has_stalled = MOST_EPOCHS, False
        # mean over the rows of sum over the classes of p (1 - p), until an epoch tells
        self.curvature = self._largest_curvature()
        self.original = None

    def run(self):
        """One epoch; returns the objective, each row scored just before its step.

        Where rows that are not certain are few, the mean curvature says nothing about them,
        and the steps that follow from it may be much too long. An epoch that has diverged
        is undone, and the next one only reads, for the table and the curvature.
        """
        self.original = None
        is_first = self.n_epochs == 0 or self.table is None or self.reads_only
        loss = self._stream_epoch() if is_first else self._point_saga_epoch()
        self.reads_only = False
        self.n_epochs += 1
        here = self._model_here()
        objective = loss + self._penalty_of(here)
        if objective <= WORST_RATIO * self.best_objective and here.is_finite():
            if objective < self.best_objective:
                self.best_objective = objective
                self.best.assign(here)
            return objective
        self._undo()
        return self.best_objective

    def _undo(self):
        """Go back to the best epoch, and take shorter steps from there."""
        best, before = self.best.copy(), self.iterates
        self.iterates = Iterates.starting(
            best.weights, best.intercept, best.n_classes, before.coordinates, before.is_sparse, before.is_centred,
            before.features, before.scalars, alpha=before.alpha, l1_ratio=before.l1_ratio,
        )  # fmt: skip
        self.step, self.reads_only = 0.0, self.table is not None
        # first to the curvature that rows can have, for which steps are safe
        most = self._largest_curvature()
        if self.least_curvature == most:
            self.divisor *= DIVISOR
        self.least_curvature = most

    def _largest_curvature(self):
        """The most that sum over the classes of p (1 - p) can be."""
        return 1 - 1 / self.penalty.n_classes

    def _penalty_of(self, here):
        return self.penalty_here(here.weights[:, : here.n_classes])

    def _model_here(self):
        """The model to predict with, in the solver's coordinates."""
        model = self.iterates.model
        averaged = self.table is not None or self.settings.average is not None or self.n_epochs == 1
        if self.step == 0:  # a stream
            return Model(model.n_classes, *self.iterates.here(averaged, self.coordinates))
        here = Model(model.n_classes, model.average, model.intercept_average) if averaged else model
        if self.penalty.l1_ratio > 0:  # only a prox makes zeros
            weights = self.penalty_here.prox(here.weights - self.step * self.gradient, self.step)
            weights[self._is_zero(here.weights)] = 0
            return replace(here, weights=weights.astype(self.table.dtype))
        return here

    def _is_zero(self, weights):
        """Which weights Newton's method, for each weight alone, would make 0.

        At the optimum they are those that any prox makes 0. Before, a prox with the short step of an epoch finds few of them.
        """
        length = self.penalty.n_classes / max(self.curvature, TINY)
        return np.abs(weights / length - self.gradient) <= self.penalty_here.l1

    def _stream_epoch(self):
        # a step of 0 leaves the residuals of the model as it is in the table
        eta0 = 0.0 if self.reads_only else (self.settings.eta0 or 1.0) / self.divisor
        n_samples, scalars = self.problem.n_samples, self.iterates.scalars
        loss, curvature = scalars.loss, scalars.curvature
        norms = np.empty(n_samples)
        self.iterates.run(
            self.problem,
            self.penalty,
            self.settings,
            order=self._order(np.arange(n_samples)),
            eta0=eta0,
            flush=True,
            table=self.table,
            norms=norms,
        )
        self.curvature = (scalars.curvature - curvature) / n_samples * self.penalty.n_classes
        if self.table is not None:
            self._prepare_point_saga(norms)
        return (scalars.loss - loss) / n_samples

    def _prepare_point_saga(self, norms):
        problem, model, n_samples = self.problem, self.iterates.model, self.problem.n_samples
        leverage = problem.sample_weight * norms
        self.mean_norm = leverage.sum() / n_samples
        self.feature_scale = self._feature_scale_without_outliers(norms)
        self.repeats = np.ceil(leverage / (NORM_PER_VISIT * self.mean_norm))
        self.visits = self._visits()
        self.n_visits = len(self.visits)
        occurs = (self.coordinates.inverse_scale > 0) & (self.prepared.share_of_nonzeros > 0)
        n_numbers = n_samples * self.prepared.share_of_nonzeros[occurs].sum()
        n_averaged = np.clip(n_numbers // (NUMBERS_PER_AVERAGED * max(1, occurs.sum())), 1, MOST_AVERAGED)
        self.average_every = int(np.ceil(self.n_visits / n_averaged))
        self.weight_of_visit = problem.sample_weight * self.n_visits / (n_samples * self.repeats)
        model.weights[:] = self.iterates.here(True, self.coordinates)[0]
        model.intercept[:] = model.intercept_average
        self._set_mean_gradient()

    def _set_mean_gradient(self):
        """The gradient of the table, in the solver's coordinates."""
        model, n_classes = self.iterates.model, self.iterates.model.n_classes
        shares = self.objective.shares
        gradient = self.objective.design.transposed_product(lambda block: self.table[block, :n_classes] * shares[block, None])
        self.gradient = aligned_zeros(*model.weights.shape, model.weights.dtype)
        self.gradient[:, :n_classes] = gradient[:-1]
        self.intercept_gradient = np.zeros(self.table.shape[1])
        if self.settings.fit_intercept:
            self.intercept_gradient[:n_classes] = gradient[-1]

    def _feature_scale_without_outliers(self, norms):
        """The unit of each feature; if it is not the penalty's, that of the rows that are no outliers.

        Else one row a million times larger makes units in which all gradients are small.
        """
        near = norms <= OUTLIER * np.median(norms)
        if self.settings.standardize or near.all():
            return self.feature_scale
        near = self.problem.take(near)
        unit = Moments.of(near).spreads(near.sample_weight.sum())[1]
        return np.where(unit > 0, unit, self.feature_scale)

    def _point_saga_epoch(self):
        curvature = max(self.curvature, self.least_curvature)
        self.step = (self.settings.eta0 or 1.0) / self.divisor * STEP / (0.5 * self.mean_norm * np.sqrt(curvature))
        loss, curvature = kernels.point_saga(
            *kernel_rows(self.problem.X),
            y=self.problem.y,
            sample_weight=self.weight_of_visit,
            order=self._order(self.visits),
            repeats=self.repeats,
            average_every=self.average_every,
            step=self.step,
            penalty=self.penalty,
            fit_intercept=self.settings.fit_intercept,
            coordinates=self.coordinates,
            model=self.iterates.model,
            table=self.table,
            gradient=self.gradient,
            intercept_gradient=self.intercept_gradient,
        )
        self.curvature = curvature / self.n_visits
        return loss / self.n_visits

    def _visits(self):
        """The rows, each as often as an epoch visits it, one round after another."""
        repeats = self.repeats.astype(np.intp)
        visits = np.repeat(np.arange(len(repeats)), repeats)
        rounds = np.arange(len(visits)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return visits[np.argsort(rounds, kind="stable")]

    def _order(self, visits):
        return self.random_state.permutation(visits) if self.settings.shuffle else visits

    def check_convergence(self, progress, *, watches, most_passes, end_of_pass):
        """True if the gradient is small enough or, if somebody watches held-out rows, these have had enough; None to go on.

        When the gradient may be small enough, or the epochs have become slow, Newton's method has the rest of the passes: the
        first of them computes the gradient. False if they do not suffice.
        """
        settings = self.settings
        if watches:
            return True if progress.n_epochs >= settings.n_iter_no_change else None
        if settings.tol is None or most_passes < 1:
            return None
        if not self._switches_to_newton():
            if self.n_epochs < self.next_check or not (self.table is None or self._gradient_estimate_is_below(settings.tol)):
                return None
            self.next_check = int(np.ceil(self.n_epochs * GROWTH_BETWEEN_CHECKS))
            return True if self._newton(1).gradient <= settings.tol else None
        solution = self._newton(most_passes, end_of_pass)
        self._set_solution(solution)
        if solution.gradient <= settings.tol or solution.n_passes + 2 > most_passes:
            return solution.gradient <= settings.tol
        # no step decreases the objective any more, which takes a worse model than that of rounding: epochs may
        self.has_stalled, self.next_newton = True, self.n_epochs + MOST_EPOCHS
        self.iterates.model.weights[:], self.iterates.model.intercept[:] = self.coordinates.from_original(self.original)
        return None

    def _switches_to_newton(self):
        """Whether epochs have become slow, or have come so near to the optimum that few passes of Newton's method are enough."""
        if self.table is None:
            return False
        is_near = not self.has_stalled and self._gradient_estimate_is_below(TRIGGER * self.settings.tol)
        return is_near or self.n_epochs >= self.next_newton

    def _gradient_estimate_is_below(self, bound):
        """Whether no entry of the gradient of the table, measured as `_newton` does, exceeds `bound`."""
        model, penalty, n_classes = self.iterates.model, self.penalty_here, self.penalty.n_classes
        if np.abs(self.intercept_gradient[:n_classes]).max() > bound:
            return False
        per_unit = inverse_or_zero(self.coordinates.inverse_scale * self.feature_scale)
        for start in range(0, len(per_unit), BLOCK):  # mostly, the first block has one that does
            block = slice(start, start + BLOCK)
            weights = model.weights[block, :n_classes]
            block_penalty = replace(penalty, scale=np.asarray(penalty.scale)[block])
            gradient = self.gradient[block, :n_classes] + block_penalty.l2 * weights
            gradient = block_penalty.subgradient(weights, gradient)
            if np.abs(gradient * per_unit[block, None]).max(initial=0) > bound:
                return False
        return True

    def _newton(self, most_passes, end_of_pass=None):
        """Newton's method from the model as it is; with one pass, no more than the gradient."""
        n_reported = 0

        def on_step(solution):
            nonlocal n_reported
            n_new, n_reported = solution.n_passes - n_reported, solution.n_passes
            self._set_solution(solution)
            return end_of_pass(solution.objective, n_new)

        per_unit = np.append(self.coordinates.scale() * inverse_or_zero(self.feature_scale), 1.0)
        solution = newton(
            self.objective,
            self.coordinates.point(*self.model().softmax_coef()),
            Tolerance(self.settings.tol, np.outer(per_unit, inverse_or_zero(self.prepared.class_scale))),
            max_passes=most_passes,
            on_step=on_step,
        )
        if most_passes > 1 and solution.n_passes > n_reported:  # of a step that was not completed
            on_step(solution)
        return solution

    def _set_solution(self, solution):
        """Predict with what Newton's method found."""
        coef, intercept = self.coordinates.coef(solution.point)
        if self.settings.fit_intercept:
            intercept = intercept - intercept.mean()
        self.original = Model.zeros(*coef.shape[::-1], self.problem.X.dtype)
        largest = np.finfo(self.problem.X.dtype).max / 4  # as in Coordinates.to_original
        self.original.set_softmax_coef(np.clip(coef, -largest, largest), intercept)

    def model(self):
        """The model to predict with, in the units of X."""
        if self.original is None:
            here = self._model_here()
            self.original = self.coordinates.to_original(here.weights, here.intercept, here.n_classes)
        return self.original

    def snapshot(self):
        """What `restore` needs to come back here."""
        return self.model()

    def restore(self, snapshot):
        """Go back to an earlier model."""
        self.original = snapshot

    def stream(self, class_counts):
        """A stream that goes on as after one pass over the rows."""
        weight, n_samples = self.prepared.total_weight, self.problem.n_samples
        scalars = StreamScalars.of(
            weight=weight,
            norm=weight * (1 + self.prepared.share_of_nonzeros[self.prepared.scale > 0].sum()),  # of the stream's coordinates
            curvature=weight * self.curvature / self.penalty.n_classes,
            average_weight=weight**4 / 4,
            n_rows=n_samples,
        )
        return Stream(
            class_counts,
            self.prepared.moments.times(weight / n_samples),
            scalars,
            original=self.model(),
            averages=self.settings.average is not None,
            standardizes=self.settings.standardize,
        )
