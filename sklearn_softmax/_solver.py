"""The loop of `fit`, and of a call of `partial_fit`.

`fit` runs epochs until a stopping rule ends them, scores held-out rows, keeps the best
model, and warns. What an epoch is, and when its method has converged, is decided in
`_point_saga` or `_explicit`. May import all files but the estimator's and those
that import the estimator.
"""

import time
import warnings
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.special import entr
from sklearn.exceptions import ConvergenceWarning

from . import _explicit, _point_saga
from ._interrupt import held_interrupt, is_called_by_a_tool
from ._matrix import columns_in_use, gathered
from ._model import Model
from ._objective import Objective
from ._stream import Stream

__all__ = ["NoProgress", "Settings", "Solution", "fit", "learn", "stream_for", "stream_with"]


# The largest alpha of 1 / (total weight). All coefficients are 0 with this one, too.
LARGEST_ALPHA = 1e15
# A mean sample_weight below 1 / LIGHT is probably a mistake: a warning says so.
LIGHT = 10


class Settings(NamedTuple):
    """The user's choices of the objective and the steps.

    An `alpha` of None is 1 / (total weight).
    """

    alpha: float | None
    l1_ratio: float
    standardize: bool
    fit_intercept: bool
    learning_rate: str
    eta0: float | None
    power_t: float
    average: float | None  # None is no averaging; a number is the weight of the rows before it begins
    forgets: bool
    variance_reduction: bool
    max_iter: int
    tol: float | None
    shuffle: bool
    n_iter_no_change: int
    verbose: int

    def alpha_at(self, weight):
        """The strength of the penalty after a total weight (number or array)."""
        return 1 / np.maximum(weight, 1 / LARGEST_ALPHA) if self.alpha is None else self.alpha

    def alpha_of_fit(self, weight, n_samples):
        """The strength of the penalty of `fit`; warns if it is probably a mistake."""
        alpha = self.alpha_at(weight)
        if self.alpha is None and weight * LIGHT < n_samples:
            warnings.warn(
                f"The weights of {n_samples} rows add up to {weight:.3g}, so that alpha='1/n_samples', which is 1 over that "
                f"sum, is {alpha:.3g}: a strong penalty. If the weights are on a scale of their own, as those of AdaBoost "
                f"are, give alpha as a number (1 over the number of rows is {1 / n_samples:.3g}), or divide them by their mean.",
                stacklevel=2,
            )
        return alpha


@dataclass
class Solution:
    """The result of `fit`.

    Attributes
    ----------
    stream : Stream
        The fitted model, from which `partial_fit` goes on.
    """

    alpha: float
    stream: Any = None
    loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    optimality_gap: float = np.inf

    @property
    def n_iter(self):
        return len(self.loss_curve)

    @property
    def best_validation_score(self):
        return max(self.validation_scores, default=None)


def _epochs(problem, settings, alpha, start, n_classes, random, **how):
    """The method of `fit` for the settings."""
    if settings.learning_rate == "auto":
        prepared = _point_saga.prepare(problem, n_classes)
        return _point_saga.Epochs(prepared, settings, alpha, start, random, **how)
    return _explicit.Epochs(problem, settings, alpha, start, n_classes, random)


def stream_for(settings, stream, added=()):
    """`stream` for the rule of the settings, with new classes.

    `added` are the numbers of the new classes, from small to large.
    """
    stream = stream.trainable(settings)
    for at in added:
        stream = stream.with_class(at, settings.fit_intercept)
    return stream


def stream_with(settings, model, weight):
    """A stream with a given model, as after rows of total weight `weight`."""
    return Stream.from_model(model, weight).trainable(settings)


def _advance(stream, problem, settings):
    if settings.learning_rate == "auto":
        stream.learn(problem, settings)
    else:
        _explicit.learn(stream, problem, settings)


def learn(stream, given, settings):
    """The stream after it has learnt from each row of a call once, in order.

    Parameters
    ----------
    stream : Stream or None
        None before the first call.
    given : StreamInput
    settings : Settings
    """
    problem, is_there, added = given.problem, given.is_there, given.added
    if stream is None:
        stream = Stream.from_model(Model.zeros(problem.X.shape[1], max(1, len(added)), problem.X.dtype), 0.0)
        if len(added) == 0:  # the class of the first row begins alone
            is_there = np.arange(len(given.classes)) == problem.y[0]
        added = ()
    stream = stream_for(settings, stream, added)
    if is_there is not None and not is_there.all():
        stream = _advance_and_grow(stream, problem, settings, is_there)
    elif problem.n_samples:
        _advance(stream, problem, settings)
    stream.class_counts = given.class_counts
    if stream.prior_counts is not None:
        stream.prior_counts = stream.prior_counts + given.prior_counts
    return stream


def _advance_and_grow(stream, problem, settings, is_known):
    """The stream after rows of its classes and of new ones, in order.

    A new class enters just before its first row.

    Parameters
    ----------
    stream : Stream
    problem : Problem
    settings : Settings
    is_known : ndarray of shape (n_classes,), bool
        Which classes of the problem the stream has.
    """
    begin, is_known = 0, is_known.copy()
    first_rows = problem.first_rows(len(is_known))
    entries = sorted((row, number) for number, row in enumerate(first_rows) if not is_known[number] and row < problem.n_samples)
    stream, undo = stream.tentative(problem.X, len(entries), settings.forgets)  # an earlier pass may have ended when one fails
    try:
        for n_entered, (row, number) in enumerate(entries):
            if row > begin:
                _advance(stream, problem.take(slice(begin, row)).renumbered(is_known), settings)
            at, n_more = np.count_nonzero(is_known[:number]), len(entries) - n_entered
            stream = stream.with_class(at, settings.fit_intercept, n_more)
            is_known[number] = True
            begin = row
        _advance(stream, problem.take(slice(begin, None)) if begin else problem, settings)
    except BaseException:
        undo()
        raise
    return stream


class NoProgress:
    """Counts consecutive epochs that do not improve on the best value by `tol`."""

    def __init__(self, tol):
        self.tol = -np.inf if tol is None else tol
        self.best, self.n_epochs = np.inf, 0

    def add(self, value):
        """Whether `value` is the best so far."""
        self.n_epochs = self.n_epochs + 1 if value > self.best - self.tol else 0
        is_best = value < self.best
        self.best = min(self.best, value)
        return is_best


class Unwatched:
    """A watcher of `fit` that does nothing: the interface of all watchers."""

    def begin_pass(self):
        """Called before a pass over the rows."""

    def end_passes(self, n_passes, so_far):
        """Called after passes over the rows; returns whether to stop.

        ``so_far()`` is a copy of the `Solution` at this point.
        """
        return False


def fit(problem, settings, start, class_counts, validation=None, random=None, watcher=None):
    """Run epochs until a stopping rule ends them.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    start : Model or None
        The start. None is a model of zeros.
    class_counts : ndarray of shape (n_classes,)
    validation : Problem or None
        Held-out rows. If given, training stops on their log loss.
    random : function
        Without arguments; the RandomState that draws the order of the rows.
    watcher : Unwatched, or an object with the same methods, or None
        Called for each epoch, and for each step of a method that takes several passes.

    Returns
    -------
    Solution
    """
    is_watched, watcher = watcher is not None, watcher or Unwatched()
    alpha = settings.alpha_of_fit(float(problem.sample_weight.sum()), problem.n_samples)
    solution, prior_counts = Solution(alpha), problem.prior_counts(len(class_counts))
    n_features, columns = problem.X.shape[1], columns_in_use(problem.X, start)
    if columns is not None:
        problem = problem._replace(X=gathered(problem.X, columns))
        validation = validation and validation._replace(X=gathered(validation.X, columns))
        start = start and start.gathered(columns)
    has_validation = validation is not None
    method = _epochs(
        problem, settings, alpha, start, len(class_counts), random, is_watched=is_watched, only_epochs=has_validation
    )
    if validation is not None:
        held_out = Objective.of(validation, method.penalty)
    progress, best_model, is_converged, is_stopped = NoProgress(settings.tol), None, None, False
    started = time.perf_counter()

    def stream():
        stream = method.stream(class_counts)
        stream.prior_counts = prior_counts
        return stream if columns is None else stream.scattered(columns, n_features)

    def so_far():
        return deepcopy(replace(solution, stream=stream()))

    def end_of_pass(objective, n_passes=1):
        # the objective of a step that takes several passes is known after the last
        nonlocal is_stopped
        solution.loss_curve += [objective] * n_passes
        if settings.verbose:
            seconds = time.perf_counter() - started
            print(f"Epoch {solution.n_iter}: objective {objective:.6g}{score}, {seconds:.2f} s")
        is_stopped = watcher.end_passes(n_passes, so_far)
        return is_stopped

    try:
        while is_converged is None and not is_stopped and solution.n_iter < settings.max_iter:
            score = ""
            watcher.begin_pass()
            with held_interrupt():  # an epoch that has begun is completed
                objective = method.run()
                monitored = objective
                if validation is not None:
                    monitored = held_out.loss(method.model().point())
                    solution.validation_scores.append(-monitored)
                    score = f", validation log loss {monitored:.6g}"
                end_of_pass(objective)
                is_best = progress.add(monitored)
                if validation is not None and is_best:
                    best_model = method.snapshot()
            if is_stopped:
                break
            score = ""
            is_converged = method.check_convergence(
                progress, watches=validation is not None, most_passes=settings.max_iter - solution.n_iter, end_of_pass=end_of_pass
            )
    except KeyboardInterrupt:
        if is_called_by_a_tool():
            raise
        warnings.warn("Training interrupted by user: the model is that of the last complete epoch.", stacklevel=2)
        is_stopped = True

    if best_model is not None:
        method.restore(best_model)
    solution.stream = stream()
    solution.stream.check_finite()
    solution.optimality_gap = method.optimality_gap()
    if not is_stopped:
        _warn_of_distance(solution.optimality_gap, method, settings, prior_counts, is_converged)
    return solution


def _warn_of_distance(gap, method, settings, prior_counts, is_converged):
    """Warn if `fit` has ended far from the optimum, and say how far that is."""
    if settings.learning_rate != "auto":
        shares = prior_counts / prior_counts.sum()
        baseline = float(entr(shares).sum()) if settings.fit_intercept else np.log(len(shares))
        if gap > baseline and (loss := method.training_loss()) > baseline:  # without a penalty the gap is infinite
            what = "class frequencies" if settings.fit_intercept else "uniform probabilities"
            shorter = "a larger alpha" if settings.learning_rate == "optimal" else "a smaller eta0"
            warnings.warn(
                f"fit with learning_rate={settings.learning_rate!r} and eta0={settings.eta0} ended far from the optimum: the "
                f"training loss is {loss:.3g} nats per row (optimality_gap_ {gap:.3g}), but only {baseline:.3g} for a model that "
                f"predicts {what}. The steps are probably too long for these features. Scale the features, choose {shorter}, "
                f"{'' if is_converged else 'increase max_iter, '}or use learning_rate='auto'.",
                ConvergenceWarning,
                stacklevel=3,
            )
            return
    if is_converged or settings.tol is None:
        return
    if np.isfinite(gap):
        distance = f"the training loss may still be up to {gap:.2g} nats per row above its minimum (optimality_gap_)"
    else:
        distance = (
            f"the largest entry of the gradient is {method.largest_gradient():.2g} (optimality_gap_ is inf, because no bound is "
            "known)"
        )
    warnings.warn(
        f"max_iter={settings.max_iter} was reached: {distance}. Increase max_iter, or accept this model with a larger tol "
        f"(tol={settings.tol}).",
        ConvergenceWarning,
        stacklevel=3,
    )
