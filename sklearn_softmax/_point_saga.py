"""The epochs of `fit` with the automatic step.

The first epoch is a pass of the stream's rule. Epochs of Point-SAGA follow: a step
corrects the gradient of its row by the row's last gradient, which removes the noise
(Defazio 2016). Newton's method finds the last digits. See kernels/point_saga.h and
_newton.py.

`prepare` computes what is fixed for a problem, and `Epochs` holds what changes. So a
problem is solved for another alpha, or from another start, without another pass for
statistics.

Imports the objective, Newton's method, streams and the kernels, and knows nothing of
the loop of `fit`.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from . import kernels
from ._certificate import optimality_gap
from ._coordinates import SMALLEST_TOTAL, Moments, scale_of_classes, scale_of_features, solver_coordinates
from ._matrix import inverse_or_zero, kernel_rows
from ._minimise import is_small, minimise
from ._model import Model, aligned_zeros, by_class, columns_of, numbers_of_rows
from ._newton import PASSES_OF_STEP, Tolerance
from ._objective import BLOCK, Objective, Penalty
from ._starts import EPOCHS, SAMPLE, optimum_in_space_of_rows, optimum_of_sample, sample_of, way_of
from ._stream import Iterates, Stream, StreamScalars

__all__ = ["Epochs", "PreparedProblem", "gap_of_model", "model_of_point", "prepare"]

# The step of an epoch is STEP / (mean of (1 + |x|^2) / 2 * sqrt(mean curvature of the
# losses)). By experiment: half of it is better for noisy data, double of it for
# ill-conditioned data.
STEP = 2.0
# An epoch takes ceil(weight |x|^2 / (NORM_PER_VISIT * mean)) shorter steps along a row.
# Otherwise a few rows in heavy tails would decide how fast all others converge.
NORM_PER_VISIT = 2.0
# The gradient of the table is mostly much smaller than the true one. Newton's method
# takes over when the gradient of the table is below TRIGGER * tol.
TRIGGER = 0.1
# Newton's method takes over after this number of epochs, too.
MOST_EPOCHS = 20
# The true gradient is computed if the gradient of the table is below tol, or without a
# table. The first time is after FIRST_CHECK epochs, the next when their number has
# grown by this factor.
FIRST_CHECK = 10
GROWTH_BETWEEN_CHECKS = 1.5
# An epoch has diverged, because its steps were too long, if its objective is more than
# WORST_RATIO times the best one. With good steps the ratio was at most 1.2.
WORST_RATIO = 1.5
# When an epoch diverges with safe steps, too, all steps are divided by this.
DIVISOR = 4.0
TINY = np.finfo(np.float64).tiny
# A row is an outlier if its squared norm is more than this times the median.
OUTLIER = 100.0


@dataclass(frozen=True)
class PreparedProblem:
    """A problem of `fit`, and its statistics, which do not depend on the penalty.

    Attributes
    ----------
    problem : Problem
        The weights have the mean 1.
    total_weight : float
        The sum of the weights as they were given.
    n_classes : int
    moments : Moments
    spreads : tuple, see `Moments.spreads`
    class_weight : ndarray of shape (n_classes,)
    """

    problem: Any
    total_weight: float
    n_classes: int
    moments: Moments
    spreads: tuple
    class_weight: np.ndarray

    @property
    def class_scale(self):
        """The unit of the gradient of each class for `tol`."""
        return scale_of_classes(self.class_weight)

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

    @property
    def feature_scale(self):
        """The unit of the gradient of each feature for `tol`."""
        return scale_of_features(self.spreads)

    def penalty_scale(self, standardize):
        """The scale of each feature in the penalty, in the units of X."""
        return self.scale if standardize else np.ones(len(self.scale))

    def coordinates(self, penalty_scale, alpha, fit_intercept, dtype=None):
        """The `Coordinates` of the solver for a penalty; a `dtype` of None is that of X."""
        return solver_coordinates(
            self.spreads,
            penalty_scale,
            alpha,
            is_sparse=self.problem.is_sparse,
            fit_intercept=fit_intercept,
            dtype=dtype or self.problem.X.dtype,
        )


def prepare(problem, n_classes):
    """The statistics of a problem: one pass over the rows."""
    total_weight = max(float(problem.sample_weight.sum()), SMALLEST_TOTAL)
    problem = problem.normalised()
    moments = Moments.of(problem)
    class_weight = problem.prior_counts(n_classes)
    spreads = moments.spreads(problem.n_samples)
    return PreparedProblem(problem, total_weight, n_classes, moments, spreads, class_weight)


def model_of_point(point, coordinates, penalty, fit_intercept, dtype):
    """The `Model`, in the units of X, of a point in these coordinates.

    The means over the classes are 0, but for coefficients with an L1 norm. Without a
    penalty the points of one model differ in these means.
    """
    coef, intercept = coordinates.coef(point)
    if not penalty.has_l1:
        coef = coef - coef.mean(axis=0)
    if fit_intercept:
        intercept = intercept - intercept.mean()
    model = Model.zeros(*coef.shape[::-1], dtype)
    largest = np.finfo(dtype).max / 4  # as in Coordinates.to_original
    model.set_softmax_coef(np.clip(coef, -largest, largest), intercept)
    return model


def gap_of_model(model, objective, coordinates, point=None, at=None, curvature=None):
    """How far the objective of a `Model` is above its minimum, at most.

    If the model is that of a point with this `Evaluation` and `Curvature`, a model in double
    needs no others.
    """
    if at is not None and model.weights.dtype == np.float64:
        return optimality_gap(objective, point, at, curvature)
    return optimality_gap(objective, coordinates.point(*model.softmax_coef()))


class Epochs:
    """Epochs over a problem: the stream's rule, Point-SAGA, then Newton's method.

    Attributes
    ----------
    penalty : Penalty
    """

    def __init__(self, prepared, settings, alpha, start, random, *, is_watched=False, only_epochs=False):
        self.prepared, self.settings, self.random = prepared, settings, random
        self.problem, self.is_watched = prepared.problem, is_watched
        problem = self.problem
        n_features, n_classes = problem.X.shape[1], prepared.n_classes
        self.feature_scale, penalty_scale = prepared.feature_scale, prepared.penalty_scale(settings.standardize)
        self.penalty = Penalty(alpha, settings.l1_ratio, n_classes, penalty_scale)
        self.coordinates = prepared.coordinates(penalty_scale, alpha, settings.fit_intercept)
        self.penalty_here = replace(self.penalty, scale=self.coordinates.penalty_scale)
        self.objective = self._objective(problem)

        self.is_warm = start is not None
        self.original = start or Model.zeros(n_features, n_classes, problem.X.dtype)
        self.way = EPOCHS if only_epochs else way_of(problem, prepared.class_weight, self.penalty, settings)
        self.sample, self.evaluation, self.iterates, self.table = None, None, None, None
        self.n_epochs = 0
        self.step = 0.0  # of Point-SAGA
        self.least_curvature, self.divisor = TINY, 1.0
        self.next_check = FIRST_CHECK if settings.variance_reduction else 2
        self.next_newton, self.has_stalled = MOST_EPOCHS, False
        # mean over the rows of sum_k p_k (1 - p_k); before the first epoch a bound
        self.curvature = self._largest_curvature()

    def _objective(self, problem):
        """The objective of rows, in the solver's coordinates."""
        return Objective.of(problem, self.penalty_here, self.settings.fit_intercept, self.coordinates)

    def _begin_epochs(self):
        """The iterates of epochs, from the model so far."""
        problem, settings, prepared = self.problem, self.settings, self.prepared
        dtype, is_sparse = problem.X.dtype, problem.is_sparse
        weights, intercept = self.coordinates.from_original(self.original)
        self.iterates = Iterates.starting(
            weights, intercept, prepared.n_classes, self.coordinates, is_sparse, settings.fit_intercept and not is_sparse,
            Moments.zeros(len(weights), dtype), StreamScalars(), alpha=self.penalty.alpha, l1_ratio=settings.l1_ratio,
        )  # fmt: skip
        self.table = aligned_zeros(prepared.n_samples, weights.shape[1], dtype) if settings.variance_reduction else None
        self.of_rows = numbers_of_rows(problem, self.iterates.model)
        self.reads_only = self.is_warm  # the next epoch leaves the model as it is
        self.best_objective, self.best = np.inf, self._model_here().copy()
        self.spare = None  # memory for the next average, if the last one is the best model

    def run(self):
        """One epoch; returns the objective, with each row scored just before its step.

        The step follows from the mean curvature of the rows. If few rows are uncertain,
        the curvature of these is much larger than the mean, and the steps may be too
        long. An epoch that has diverged is undone. The next one leaves the model as it
        is, and computes the table and the curvature.
        """
        if self.way != EPOCHS:
            return self._start()
        if self.iterates is None:
            self._begin_epochs()
        self.original = None
        is_first = self.n_epochs == 0 or self.table is None or self.reads_only
        loss, penalty = (self._stream_epoch(), None) if is_first else self._point_saga_epoch()
        self.reads_only = False
        self.n_epochs += 1
        here = self._model_here()
        objective = loss + (penalty or self._penalty_of(here))
        # (a penalty that the kernel has added up is finite if all weights are)
        if objective <= WORST_RATIO * self.best_objective and (np.isfinite(penalty) if penalty else here.is_finite()):
            if objective < self.best_objective:
                self.best_objective = objective
                self._keep(here)
            return objective
        self._undo()
        return self.best_objective

    def _start(self):
        """The start of a method without epochs; returns the objective there."""
        point, tolerance = self.coordinates.point(*self.original.softmax_coef()), self.tolerance
        if self.way == SAMPLE:
            is_whole = is_small(self.problem.X, self.penalty.n_classes)  # whose passes cost less than to make a sample
            sample = None if is_whole else sample_of(self.problem, self.prepared.class_weight, self.random())
            if sample is not None:
                self.sample = self._objective(sample)
                if not self.is_warm:
                    point = optimum_of_sample(self.sample, tolerance)
        elif not self.is_warm or tolerance.size(self.objective.evaluate(point).gradient) > tolerance.tol:
            point = optimum_in_space_of_rows(self.objective, tolerance.tol)
        self.n_epochs += 1
        self._set_point(point, self.objective.evaluate(point))
        return self.evaluation.value

    def _keep(self, here):
        """Make `here` the best model; an average of Point-SAGA is not copied."""
        if self.step == 0:
            self.best.assign(here)
        else:
            self.spare = self.best.weights
            self.best = replace(here, intercept=here.intercept.copy())

    def _undo(self):
        """Go back to the best epoch, and take shorter steps from there."""
        best, before = self.best.copy(), self.iterates
        self.iterates = Iterates.starting(
            best.weights, best.intercept, best.n_classes, before.coordinates, before.is_sparse, before.is_centred,
            before.features, before.scalars, alpha=before.alpha, l1_ratio=before.l1_ratio,
        )  # fmt: skip
        self.step, self.reads_only = 0.0, self.table is not None
        # steps for the largest possible curvature are safe; only then are they divided
        most = self._largest_curvature()
        if self.least_curvature == most:
            self.divisor *= DIVISOR
        self.least_curvature = most

    def _largest_curvature(self):
        """The largest possible value of sum_k p_k (1 - p_k)."""
        return 1 - 1 / self.penalty.n_classes

    def _penalty_of(self, here):
        return self.penalty_here(by_class(here.weights, here.n_classes))

    def _model_here(self):
        """The model to predict with, in the solver's coordinates."""
        model = self.iterates.model
        averaged = self.table is not None or self.settings.average is not None or self.n_epochs == 1
        if self.step == 0:  # a stream
            return Model(model.n_classes, *self.iterates.here(averaged, self.coordinates))
        here = Model(model.n_classes, model.average, model.intercept_average) if averaged else model
        if self.penalty.l1_ratio > 0:  # an average has no zeros; the prox makes them
            weights = self.penalty_here.prox(here.weights - self.step * self.gradient, self.step)
            weights[self._is_zero(here.weights)] = 0
            return replace(here, weights=weights.astype(self.table.dtype))
        return here

    def _is_zero(self, weights):
        """Which weights a prox with a Newton step of each weight alone makes 0.

        At the optimum, a prox with any step makes the same weights 0. Before the
        optimum, a prox with the short step of an epoch finds few of them.
        """
        length = self.penalty.n_classes / max(self.curvature, TINY)
        return np.abs(weights / length - self.gradient) <= self.penalty_here.l1

    def _stream_epoch(self):
        # a step of 0 keeps the model, and fills the table with its residuals
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
            of_rows=self.of_rows,
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
        vars(self).pop("tolerance", None)  # which has the feature scale
        self.repeats = np.ceil(leverage / (NORM_PER_VISIT * self.mean_norm))
        self.visits = self._visits()
        self.n_visits = len(self.visits)
        self.weight_of_visit = problem.sample_weight * self.n_visits / (n_samples * self.repeats)
        model.weights[:] = self.iterates.here(True, self.coordinates)[0]
        model.intercept[:] = model.intercept_average
        self._set_mean_gradient()

    def _set_mean_gradient(self):
        """The gradient of the table, in the solver's coordinates."""
        model, n_classes = self.iterates.model, self.iterates.model.n_classes
        shares = self.objective.shares
        gradient = self.objective.design.transposed_product(
            lambda block: by_class(self.table[block], n_classes) * shares[block, None]
        )
        self.gradient = aligned_zeros(*model.weights.shape, model.weights.dtype)
        self.gradient[:, :n_classes] = columns_of(gradient[:-1])
        self.intercept_gradient = np.zeros(self.table.shape[1])
        if self.settings.fit_intercept:
            self.intercept_gradient[:n_classes] = columns_of(gradient[-1])

    def _feature_scale_without_outliers(self, norms):
        """The unit of each feature for `tol`.

        Without `standardize`, it is that of the rows that are no outliers. Otherwise
        one row a million times larger makes all gradients small in these units.
        """
        is_outlier = norms > OUTLIER * np.median(norms)
        if self.settings.standardize or not is_outlier.any():
            return self.feature_scale
        inliers = self.problem.take(~is_outlier)
        scale = Moments.of(inliers).spreads(inliers.sample_weight.sum())[1]
        return np.where(scale > 0, scale, self.feature_scale)

    def _point_saga_epoch(self):
        """(mean loss, penalty of the average if the kernel has added it up and it is not 0)."""
        model = self.iterates.model
        target = replace(model, average=self.spare) if model.average is self.best.weights else model
        curvature = max(self.curvature, self.least_curvature)
        self.step = (self.settings.eta0 or 1.0) / self.divisor * STEP / (0.5 * self.mean_norm * np.sqrt(curvature))
        loss, curvature, penalty = kernels.point_saga(
            *kernel_rows(self.problem.X),
            y=self.problem.y,
            sample_weight=self.weight_of_visit,
            order=self._order(self.visits),
            repeats=self.repeats,
            step=self.step,
            penalty=self.penalty,
            fit_intercept=self.settings.fit_intercept,
            coordinates=self.coordinates,
            model=target,
            table=self.table,
            gradient=self.gradient,
            intercept_gradient=self.intercept_gradient,
            **self.of_rows,
        )
        model.average = target.average
        self.curvature = curvature / self.n_visits
        return loss / self.n_visits, penalty if self.problem.is_sparse and not self.penalty.has_l1 else None

    def _visits(self):
        """The row of each step of an epoch; the steps of one row are far apart."""
        repeats = self.repeats.astype(np.intp)
        visits = np.repeat(np.arange(len(repeats)), repeats)
        rounds = np.arange(len(visits)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return visits[np.argsort(rounds, kind="stable")]

    def _order(self, visits):
        return self.random().permutation(visits) if self.settings.shuffle else visits

    def check_convergence(self, progress, *, watches, most_passes, end_of_pass):
        """True if converged, False if the passes do not suffice, None to go on.

        With held-out rows (`watches`), only their log loss decides. Otherwise the
        gradient decides. If it may be small enough, or if epochs have become slow,
        Newton's method gets the remaining passes. Its first pass computes the gradient.
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
        self._set_point(solution.point, solution.evaluation)
        if solution.gradient <= settings.tol or solution.n_passes + PASSES_OF_STEP > most_passes:
            return solution.gradient <= settings.tol
        # Newton's method found no step that decreases the objective. This may be
        # rounding, but also a model that epochs can improve, so that these go on.
        self.original, self.evaluation = self.model(), None
        self.has_stalled, self.next_newton = True, self.n_epochs + MOST_EPOCHS
        if self.iterates is None:
            self.way, self.is_warm = EPOCHS, True
        else:
            self.iterates.model.weights[:], self.iterates.model.intercept[:] = self.coordinates.from_original(self.original)
        return None

    def _switches_to_newton(self):
        """Whether epochs have become slow, or the optimum is near."""
        if self.evaluation is not None:
            return True
        if self.table is None:
            return False
        is_near = not self.has_stalled and self._gradient_estimate_is_below(TRIGGER * self.settings.tol)
        return is_near or self.n_epochs >= self.next_newton

    def _gradient_estimate_is_below(self, bound):
        """Whether the table's gradient, in the units of `tol`, is below `bound`."""
        model, penalty, n_classes = self.iterates.model, self.penalty_here, self.penalty.n_classes
        if np.abs(self.intercept_gradient[:n_classes]).max() > bound:
            return False
        per_unit = inverse_or_zero(self.coordinates.inverse_scale * self.feature_scale)
        for start in range(0, len(per_unit), BLOCK):  # the first block mostly has a larger entry
            block = slice(start, start + BLOCK)
            weights = model.weights[block, :n_classes]
            block_penalty = replace(penalty, scale=np.asarray(penalty.scale)[block])
            gradient = self.gradient[block, :n_classes] + block_penalty.l2 * weights
            gradient = block_penalty.subgradient(weights, gradient)
            if np.abs(gradient * per_unit[block, None]).max(initial=0) > bound:
                return False
        return True

    def _newton(self, most_passes, end_of_pass=None):
        """Newton's method from the current model; one pass is the gradient only."""
        n_reported = 0

        def on_step(solution):
            nonlocal n_reported
            n_new, n_reported = int(np.ceil(solution.n_passes)) - n_reported, int(np.ceil(solution.n_passes))
            self._set_point(solution.point, solution.evaluation)
            return end_of_pass(solution.objective, n_new)

        is_known = self.evaluation is not None
        solution = minimise(
            self.objective,
            self.point if is_known else self.coordinates.point(*self.model().softmax_coef()),
            self.tolerance,
            max_passes=most_passes,
            at=self.evaluation,
            sample=self.sample,
            on_step=on_step,
            tells_steps=self.is_watched,
        )
        if most_passes > 1 and solution.n_passes > n_reported:  # passes of an incomplete step
            on_step(solution)
        return solution

    @cached_property
    def tolerance(self):
        return Tolerance(self.settings.tol, self.coordinates.per_unit(self.feature_scale, self.prepared.class_scale))

    def _set_point(self, point, evaluation):
        """Make a point the model to predict with."""
        self.point, self.evaluation, self.original, self.hessian = point, evaluation, None, None

    def model(self):
        """The model to predict with, in the units of X."""
        if self.original is None and self.evaluation is not None:
            self.original = model_of_point(
                self.point, self.coordinates, self.penalty, self.settings.fit_intercept, self.problem.X.dtype
            )
        if self.original is None:
            here = self._model_here()
            self.original = self.coordinates.to_original(here.weights, here.intercept, here.n_classes)
        return self.original

    def snapshot(self):
        """What `restore` needs to return to this model."""
        return self.model()

    def restore(self, snapshot):
        """Go back to an earlier model."""
        self.original, self.evaluation = snapshot, None

    def optimality_gap(self):
        """How far the objective is above its minimum, at most; the last call, which frees memory."""
        self.table, model = None, self.model()
        if self.evaluation is None:
            return gap_of_model(model, self.objective, self.coordinates)
        return gap_of_model(model, self.objective, self.coordinates, self.point, self.evaluation, self.hessian)

    def largest_gradient(self):
        """The largest entry of the gradient, in the units of `tol`."""
        if self.evaluation is not None:
            point, at = self.point, self.evaluation
        else:
            point = self.coordinates.point(*self.model().softmax_coef())
            at = self.objective.evaluate(point)
        return self.tolerance.size(self.objective.subgradient(point, at.gradient))

    def stream(self, class_counts):
        """A stream that goes on as after one pass over the rows."""
        weight, n_samples = self.prepared.total_weight, self.problem.n_samples
        if self.evaluation is not None:
            self.hessian = self.objective.curvature(self.evaluation.scores)
            self.curvature = self.hessian.mean()
        scalars = StreamScalars.of(
            weight=weight,
            norm=weight * (1 + self.prepared.share_of_nonzeros[self.prepared.scale > 0].sum()),  # in the stream's coordinates
            curvature=weight * self.curvature / self.penalty.n_classes,
            average_weight=weight**4 / 4,
            average_total=weight,
            steps_total=weight,
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
