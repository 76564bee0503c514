"""The loops: epochs over a data set with stopping (`fit`), or one pass over a part of a stream (`advance`).

Python decides what is visited, with which steps, and when it is enough; the kernel does one sweep.
"""

import time
import warnings
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import row_norms

from . import kernels
from ._objective import Objective, Penalty, kernel_rows, raw_prediction
from ._schedule import default_eta0, step_sizes

__all__ = ["Settings", "Solution", "StreamState", "advance", "fit"]

# Steps that are too long are divided by 10, 10^2, 10^4, ... until the model stays finite.
MOST_DIVISIONS = 8
# "adaptive" divides its step by 5 when there is no progress, and stops below this one (as SGDClassifier).
ADAPTIVE_FACTOR = 5
SMALLEST_ADAPTIVE_ETA = 1e-6
# Squared norms of rows are cut off here: a step is their inverse, and has to be a positive number.
SMALLEST_NORM, LARGEST_NORM = 1e-300, 1e300
LARGEST_DIVISOR = 1e300


class Settings(NamedTuple):
    """What the user decides about the steps. `alpha` is a number, or None for 1 / (total weight)."""

    alpha: float | None
    l1_ratio: float
    fit_intercept: bool
    learning_rate: str
    eta0: float | None
    power_t: float
    average: int  # 0: no averaging; else the time at which it begins
    max_iter: int
    tol: float | None
    shuffle: bool
    n_iter_no_change: int
    verbose: int


@dataclass
class StreamState:
    """What a stream has to remember beside the model, each row that was learnt from counted once.

    Attributes
    ----------
    weight : float
        Total weight. The clock t is 1 + this.

    squared_norm, norm_weight : float
        Weighted sum of ||x||^2 (+ 1 if there is an intercept), and its weight: of the rows for which eta0 was None.

    class_counts : ndarray of shape (n_classes,)
        Weight of each class, without class weights.

    step_divisor : float
        What all steps are divided by, because longer ones made the model overflow.
    """

    class_counts: np.ndarray
    weight: float = 0.0
    squared_norm: float = 0.0
    norm_weight: float = 0.0
    step_divisor: float = 1.0


@dataclass
class Solution:
    """What `fit` found."""

    state: StreamState
    alpha: float
    loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    best_validation_score: float | None = None
    optimality_gap: float = np.inf

    @property
    def n_iter(self):
        return len(self.loss_curve)


def _squared_norms(X, fit_intercept):
    """||x||^2 of each row (+ 1 for the intercept's constant feature)."""
    with np.errstate(over="ignore"):
        norms = row_norms(X, squared=True).astype(np.float64)
    return np.clip(norms + fit_intercept, SMALLEST_NORM, LARGEST_NORM)


class _Sweeper:
    """Sweeps of the kernel over one problem, and what to do when one overflows."""

    def __init__(self, problem, settings, model, state):
        self.problem, self.settings, self.model, self.state = problem, settings, model, state
        self.penalty = Penalty(np.nan, settings.l1_ratio, model.n_classes)  # the kernel is given alpha by visit
        values = kernel_rows(problem.X)[0]
        with np.errstate(over="ignore"):
            self.bound_of_x = max(1.0, float(np.sqrt(values @ values)))  # of |x|; in one pass
        intercept = model.intercept[: model.n_classes]
        self.bound_of_weights = np.float64(
            max(np.max(model.weights), -np.min(model.weights), np.max(intercept), -np.min(intercept))
        )
        self.has_warned = False

    def run(self, order, t, eta, alpha):
        """Visit the rows in `order` at the times `t`; returns the sum of weight * log loss.

        `alpha` is a number or an array of one number per visit.
        """
        model, state = self.model, self.state
        settings = self.settings
        eta = eta / state.step_divisor
        alpha = np.broadcast_to(np.asarray(alpha, dtype=np.float64), len(order))
        may_overflow = self._may_overflow(order, eta)
        if may_overflow:
            before = model.copy()
            kept = self._has_finite_scores(order)
            if not kept.all():
                self._warn_of_rows_left_out(np.sum(~kept))
                order, t, eta, alpha = order[kept], t[kept], eta[kept], alpha[kept]
        average_from = int(np.searchsorted(t, settings.average)) if settings.average else len(order)
        for division in range(MOST_DIVISIONS + 1):
            loss, n_visited = kernels.sweep(
                *kernel_rows(self.problem.X),
                y=self.problem.y,
                sample_weight=self.problem.sample_weight,
                order=order,
                eta=eta,
                alpha=alpha,
                l2_ratio=self.penalty.l2_ratio,
                l1_ratio=self.penalty.l1_ratio,
                fit_intercept=settings.fit_intercept,
                may_overflow=may_overflow,
                average_from=average_from,
                model=model,
            )
            if not may_overflow or (
                n_visited == len(order) and model.is_finite() and np.isfinite(loss) and self._has_finite_scores(order).all()
            ):
                return loss
            model.assign(before)
            divisor = 10.0 ** (2**division)
            self._warn_of_overflow(t, n_visited, divisor)
            state.step_divisor = min(state.step_divisor * divisor, LARGEST_DIVISOR)
            eta = eta / divisor
        return np.inf

    def _has_finite_scores(self, order):
        """Which visits the model can make: a row so large that it can't be scored has no step, however short."""
        limit = np.finfo(self.problem.X.dtype).max / 100  # the kernel stops at a little more
        return (np.abs(raw_prediction(self.problem.X[order], self.model)) < limit).all(axis=1)

    def _warn_of_rows_left_out(self, n_rows):
        warnings.warn(
            f"{n_rows} rows are left out because their scores overflow: the largest |x| is {self._largest_x()}. "
            "Scale the features.",
            ConvergenceWarning,
            stacklevel=2,
        )

    def _largest_x(self):
        """The largest |x| and its column, in words."""
        X = self.problem.X
        values = X.data if issparse(X) else X
        at = int(np.argmax(np.abs(values)))
        column = X.indices[at] if issparse(X) else at % X.shape[1]
        return f"{abs(values.flat[at]):.3g}, in column {column}"

    def _may_overflow(self, order, eta):
        """Whether numbers might leave the range of the dtype; else nothing needs to be looked at or kept.

        No weight changes by more than eta * sample_weight * |x| at a visit: the bound of weights grows by that from sweep to
        sweep, which saves looking at them.
        """
        X = self.problem.X
        limit, units = (1e300, 1e100) if X.dtype == np.float64 else (1e36, 1e10)  # units: what 1 / scale may reach
        n_terms = X.shape[1] + 1
        total_step = float(np.sum(eta * self.problem.sample_weight[order]))
        with np.errstate(over="ignore"):
            self.bound_of_weights += total_step * self.bound_of_x
            bound_of_scores = self.bound_of_weights * self.bound_of_x * n_terms
            return not (bound_of_scores < limit and self.bound_of_weights * units < limit)

    def _warn_of_overflow(self, t, n_visited, divisor):
        if self.has_warned:
            return
        self.has_warned = True
        settings = self.settings
        visit = min(n_visited, len(t) - 1)
        warnings.warn(
            f"The model overflowed at update {t[visit]:.0f} with learning_rate={settings.learning_rate!r}, "
            f"eta0={settings.eta0}: the largest |x| is {self._largest_x()}. The last finite weights are "
            f"restored and the step is divided by {divisor:.0g} or more. Scale the features, or choose a smaller eta0.",
            ConvergenceWarning,
            stacklevel=2,
        )


def _alpha(settings, weight):
    """The penalty's strength after a total weight of `weight` (a number or an array)."""
    return 1 / weight if settings.alpha is None else settings.alpha


def advance(problem, model, state, settings):
    """Learn from each row once, in order, and go on from `state`; changes `model` and `state`. Returns alpha after it."""
    if problem.n_samples == 0:
        return _alpha(settings, state.weight) if state.weight or settings.alpha is not None else np.nan
    weight = problem.sample_weight
    seen = state.weight + np.cumsum(weight)
    t = 1 + seen - weight
    alpha = _alpha(settings, seen)
    eta0 = settings.eta0
    if eta0 is None:  # each row's step depends on the rows up to it
        norms = weight * _squared_norms(problem.X, settings.fit_intercept)
        norm_weights, squared_norms = state.norm_weight + np.cumsum(weight), state.squared_norm + np.cumsum(norms)
        eta0 = default_eta0(settings.learning_rate, squared_norms / norm_weights)
        state.norm_weight, state.squared_norm = float(norm_weights[-1]), float(squared_norms[-1])
    eta = step_sizes(settings.learning_rate, t, eta0=eta0, power_t=settings.power_t, alpha=alpha)
    _Sweeper(problem, settings, model, state).run(np.arange(problem.n_samples), t, eta, alpha)
    state.weight = float(seen[-1])
    return float(np.asarray(alpha).flat[-1])


def fit(problem, model, settings, class_counts, validation=None, random_state=None):
    """Epochs of steps until the stopping rule says stop; changes `model`.

    Parameters
    ----------
    problem : Problem
    model : Model
        The start. On return: the last model, or with validation the best.

    settings : Settings
    class_counts : ndarray of shape (n_classes,)
    validation : Problem or None
        If given, training stops on its log loss.

    random_state : RandomState
        For the order of the rows.

    Returns
    -------
    Solution
    """
    total_weight = float(problem.sample_weight.sum())
    alpha = _alpha(settings, total_weight)
    state = StreamState(class_counts, total_weight)  # of one pass, for partial_fit to go on from
    solution = Solution(state, alpha)
    eta0 = settings.eta0
    if eta0 is None:
        state.squared_norm = float(problem.sample_weight @ _squared_norms(problem.X, settings.fit_intercept))
        state.norm_weight = total_weight
        eta0 = default_eta0(settings.learning_rate, state.squared_norm / total_weight)

    normalised = problem.normalised()
    sweeper = _Sweeper(normalised, settings, model, state)
    penalty = Penalty(alpha, settings.l1_ratio, model.n_classes)
    if validation is not None:
        held_out = Objective(validation.X, validation.y, validation.sample_weight, penalty)
    best, best_model, n_without_progress, stopped = np.inf, None, 0, False
    tol = -np.inf if settings.tol is None else settings.tol
    started = time.perf_counter()
    rows = np.arange(problem.n_samples)
    try:
        for epoch in range(settings.max_iter):
            order = random_state.permutation(rows) if settings.shuffle else rows
            weight = normalised.sample_weight[order]
            t = 1 + epoch * problem.n_samples + np.cumsum(weight) - weight
            eta = step_sizes(settings.learning_rate, t, eta0=eta0, power_t=settings.power_t, alpha=alpha)
            loss = sweeper.run(order, t, eta, alpha) / problem.n_samples
            solution.loss_curve.append(loss + penalty(model.rows()[0]))
            monitored = solution.loss_curve[-1]
            if validation is not None:
                monitored = held_out.loss(model.predictor())
                solution.validation_scores.append(-monitored)
            if settings.verbose:
                score = "" if validation is None else f", validation log loss {monitored:.6g}"
                seconds = time.perf_counter() - started
                print(f"Epoch {epoch + 1}: objective {solution.loss_curve[-1]:.6g}{score}, {seconds:.2f} s")

            n_without_progress = n_without_progress + 1 if monitored > best - tol else 0
            if monitored < best:
                best = monitored
                best_model = model.copy() if validation is not None else None
            if n_without_progress >= settings.n_iter_no_change:
                if settings.learning_rate == "adaptive" and eta0 > SMALLEST_ADAPTIVE_ETA:
                    eta0 /= ADAPTIVE_FACTOR
                    n_without_progress = 0
                else:
                    stopped = True
                    break
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user: the model is that of the last complete epoch.", stacklevel=2)
        stopped = True

    if best_model is not None:
        model.assign(best_model)
        solution.best_validation_score = -best
    # partial_fit goes on as after one pass
    model.averaged_weight = min(model.averaged_weight, total_weight)
    objective = Objective(problem.X, problem.y, problem.sample_weight, penalty, settings.fit_intercept)
    solution.optimality_gap = objective.optimality_gap(model.predictor())
    if not stopped and settings.tol is not None:
        warnings.warn(
            f"max_iter={settings.max_iter} was reached: after {solution.n_iter} epochs the objective is at most "
            f"{solution.optimality_gap:.2g} nats/example above its minimum (tol={settings.tol}). Raise max_iter, or tol.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return solution
