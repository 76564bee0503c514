"""The classic schedules: explicit steps of a given size in the units of X.

SGDClassifier takes the same steps. Here are the epochs of `fit`, the rows of a stream,
and what happens when a step overflows. Imports streams, schedules and the kernels.
"""

import warnings
from dataclasses import replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import row_norms

from . import kernels
from ._certificate import optimality_gap
from ._matrix import kernel_rows, raw_prediction
from ._model import Model, numbers_of_rows
from ._objective import Objective, Penalty
from ._schedule import default_eta0, step_sizes
from ._stream import PlainIterates, Stream

__all__ = ["Epochs", "learn"]

# Steps that are too long are divided by 10, 10^2, 10^4, ... until the model stays
# finite.
MOST_DIVISIONS = 8
# "adaptive" divides its step by 5 when there is no progress, and stops below the
# smallest step, as SGDClassifier does.
ADAPTIVE_FACTOR = 5
SMALLEST_ADAPTIVE_ETA = 1e-6
# Squared norms of rows are clipped to this range, so that their inverse is positive and
# finite.
SMALLEST_NORM, LARGEST_NORM = 1e-300, 1e300
LARGEST_DIVISOR = 1e300


def learn(stream, problem, settings):
    """Let a stream learn from each row once, in order, by explicit steps."""
    weight, scalars = problem.sample_weight, stream.scalars
    seen = scalars.weight + np.cumsum(weight)
    t = 1 + np.append(scalars.weight, seen[:-1])
    alpha = settings.alpha_at(seen)
    eta0 = settings.eta0
    if eta0 is None:  # the step of a row depends on the norms up to this row
        norms = weight * _squared_norms(problem.X, settings.fit_intercept)
        norm_weights, squared_norms = scalars.norm_weight + np.cumsum(weight), scalars.squared_norm + np.cumsum(norms)
        eta0 = default_eta0(settings.learning_rate, squared_norms / norm_weights)
        scalars.norm_weight, scalars.squared_norm = norm_weights[-1], squared_norms[-1]
    eta = step_sizes(settings.learning_rate, t, eta0=eta0, power_t=settings.power_t, alpha=alpha)
    factor = alpha / settings.alpha_at(t - 1) if settings.alpha is None else 1.0
    _enter_threshold(stream.iterates.model, scalars, settings, eta, alpha)
    _Sweeper(problem, settings, stream).run(np.arange(problem.n_samples), t, eta, alpha, factor, stream.progressive_loss)
    scalars.weight = seen[-1]
    stream.original = None


def _enter_threshold(model, scalars, settings, eta, alpha):
    """Let a model that has no L1 threshold have that of all rows that it has seen.

    The threshold is computed as if all past steps had been as long as the next one.
    """
    if settings.l1_ratio == 0:
        model.settle()
    elif model.threshold == 0 and scalars.weight > 0:
        penalty = Penalty(float(np.ravel(alpha)[0]), settings.l1_ratio, model.n_classes)
        length = float(np.ravel(eta)[0]) / scalars.step_divisor * scalars.weight
        model.enter(penalty.alpha * length * penalty.l1_ratio / (1 + penalty.alpha * length * penalty.l2_ratio))


def _squared_norms(X, fit_intercept):
    """||x||^2 of each row, + 1 with an intercept."""
    with np.errstate(over="ignore"):
        norms = row_norms(X, squared=True).astype(np.float64)
    return np.clip(norms + fit_intercept, SMALLEST_NORM, LARGEST_NORM)


class _Sweeper:
    """Sweeps of the kernel over a problem, repeated with shorter steps on overflow."""

    def __init__(self, problem, settings, stream):
        self.problem, self.settings = problem, settings
        self.scalars, self.model = stream.scalars, stream.iterates.model
        model = self.model
        self.of_rows = numbers_of_rows(problem, model)
        self.penalty = Penalty(np.nan, settings.l1_ratio, model.n_classes)  # the kernel gets an alpha for each step
        values = kernel_rows(problem.X)[0]
        with np.errstate(over="ignore"):
            self.bound_of_x = max(1.0, float(np.sqrt(values @ values)))  # an upper bound of |x|
        intercept = model.intercept[: model.n_classes]
        self.bound_of_weights = np.float64(
            max(np.max(model.weights), -np.min(model.weights), np.max(intercept), -np.min(intercept))
        )
        self.has_warned = False

    def run(self, order, t, eta, alpha, threshold_factor=1.0, progressive_loss=None):
        """Take a step for each row in `order`; returns the sum of weight * log loss.

        Parameters
        ----------
        order : ndarray of shape (n_steps,)
        t, eta : ndarray of shape (n_steps,)
            The argument of the schedule, and the step size.
        alpha : float or ndarray of shape (n_steps,)
        threshold_factor : float or ndarray of shape (n_steps,)
            alpha / (alpha of the step before) if alpha is 1 / (weight seen), else 1.
        progressive_loss : ndarray of shape (4,) or None
            If given, the losses are added here.
        """
        model, scalars = self.model, self.scalars
        settings = self.settings
        eta = eta / scalars.step_divisor
        alpha, threshold_factor = (
            np.broadcast_to(np.asarray(numbers, dtype=np.float64), len(order)) for numbers in (alpha, threshold_factor)
        )
        may_overflow = self._may_overflow(order, eta)
        if may_overflow:
            before, progressive_loss_before = model.copy(), None if progressive_loss is None else progressive_loss.copy()
            kept = self._has_finite_scores(order)
            if not kept.all():
                self._warn_of_rows_left_out(np.sum(~kept))
                order, t, eta = order[kept], t[kept], eta[kept]
                alpha, threshold_factor = alpha[kept], threshold_factor[kept]
        average_from = len(order) if settings.average is None else int(np.searchsorted(t, 1 + settings.average))
        for division in range(MOST_DIVISIONS + 1):
            loss, n_visited = kernels.explicit(
                *kernel_rows(self.problem.X),
                y=self.problem.y,
                sample_weight=self.problem.sample_weight,
                order=order,
                eta=eta,
                alpha=alpha,
                threshold_factor=threshold_factor,
                penalty=self.penalty,
                fit_intercept=settings.fit_intercept,
                may_overflow=may_overflow,
                average_from=average_from,
                progressive_loss=progressive_loss,
                model=model,
                **self.of_rows,
            )
            if not may_overflow or (
                n_visited == len(order) and model.is_finite() and np.isfinite(loss) and self._has_finite_scores(order).all()
            ):
                return loss
            model.assign(before)
            if progressive_loss is not None:
                progressive_loss[:] = progressive_loss_before
            divisor = 10.0 ** (2**division)
            self._warn_of_overflow(t, n_visited, divisor)
            scalars.step_divisor = min(scalars.step_divisor * divisor, LARGEST_DIVISOR)
            eta = eta / divisor
        return np.inf

    def _has_finite_scores(self, order):
        """Which rows have finite scores. Other rows have no step, however short."""
        limit = np.finfo(self.problem.X.dtype).max / 100  # the kernel's own limit is a little larger
        return (np.abs(raw_prediction(self.problem.X[order], self.model.iterate())) < limit).all(axis=1)

    def _warn_of_rows_left_out(self, n_rows):
        warnings.warn(
            f"{n_rows} rows are left out because their scores overflow: the largest |x| is {self._largest_x()}. "
            "Scale the features.",
            ConvergenceWarning,
            stacklevel=2,
        )

    def _largest_x(self):
        """The largest |x| and its column, in words."""
        values, columns, _ = kernel_rows(self.problem.X)
        at = int(np.argmax(np.abs(values)))
        column = columns[at] if len(columns) else at % self.problem.X.shape[1]
        return f"{abs(values[at]):.3g}, in column {column}"

    def _may_overflow(self, order, eta):
        """Whether a number might overflow; if not, no copy and no checks are needed.

        A step changes no weight by more than eta * sample_weight * |x|. The bound of
        the weights grows by the sum of that, so that no sweep has to read the weights.
        """
        X = self.problem.X
        limit, units = (1e300, 1e100) if X.dtype == np.float64 else (1e36, 1e10)  # units: the bound of 1 / scale
        n_terms = X.shape[1] + 1
        with np.errstate(over="ignore"):
            total_step = float(np.sum(eta * self.problem.sample_weight[order]))
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


class Epochs:
    """Epochs of a classic schedule over one problem.

    Attributes
    ----------
    penalty : Penalty
    """

    def __init__(self, problem, settings, alpha, start, n_classes, random):
        self.settings, self.alpha, self.random = settings, alpha, random
        total_weight = float(problem.sample_weight.sum())
        self.penalty = Penalty(alpha, settings.l1_ratio, n_classes)
        self.normalised = problem.normalised()
        start = Model.zeros(problem.X.shape[1], n_classes, problem.X.dtype) if start is None else start
        # a stream with the scalars of one pass, from which partial_fit goes on
        self.of_one_pass = stream = Stream.from_model(start, total_weight).trainable(settings)
        self.eta0 = settings.eta0
        if self.eta0 is None:
            norms = _squared_norms(problem.X, settings.fit_intercept)
            mean_norm = float(self.normalised.sample_weight @ norms) / problem.n_samples
            stream.scalars.squared_norm, stream.scalars.norm_weight = total_weight * mean_norm, total_weight
            self.eta0 = default_eta0(settings.learning_rate, mean_norm)
        self.sweeper = _Sweeper(self.normalised, settings, stream)
        self.n_epochs = 0

    def run(self):
        """One epoch; returns the objective, each row scored just before its step."""
        settings, n_samples = self.settings, self.normalised.n_samples
        rows = np.arange(n_samples)
        order = self.random().permutation(rows) if settings.shuffle else rows
        weight = self.normalised.sample_weight[order]
        t = 1 + self.n_epochs * n_samples + np.append(0, np.cumsum(weight[:-1]))
        eta = step_sizes(settings.learning_rate, t, eta0=self.eta0, power_t=settings.power_t, alpha=self.alpha)
        loss = self.sweeper.run(order, t, eta, self.alpha) / n_samples
        self.n_epochs += 1
        return loss + self.penalty(self.sweeper.model.iterate().softmax_coef()[0].T)

    def check_convergence(self, progress, **_):
        """True after too many epochs without progress; None to go on."""
        if progress.n_epochs < self.settings.n_iter_no_change:
            return None
        if self.settings.learning_rate == "adaptive" and self.eta0 > SMALLEST_ADAPTIVE_ETA:
            self.eta0 /= ADAPTIVE_FACTOR
            progress.n_epochs = 0
            return None
        return True

    def model(self):
        """The model to predict with, in the units of X."""
        return self.sweeper.model.predictor()

    def snapshot(self):
        """What `restore` needs to return to this model."""
        return self.sweeper.model.copy()

    def restore(self, snapshot):
        """Go back to an earlier model."""
        self.sweeper.model.assign(snapshot)

    def _objective(self):
        return Objective.of(self.normalised, self.penalty, self.settings.fit_intercept)

    def optimality_gap(self):
        """How far the objective is above its minimum, at most."""
        return optimality_gap(self._objective(), self.model().point())

    def largest_gradient(self):
        """The largest entry of the gradient, in the units of X."""
        objective, point = self._objective(), self.model().point()
        return float(np.abs(objective.subgradient(point, objective.evaluate(point).gradient)).max())

    def training_loss(self):
        """The objective."""
        return self._objective().value(self.model().point())

    def stream(self, class_counts):
        """A stream that goes on as after one pass."""
        model = self.sweeper.model
        model = replace(model, averaged_weight=min(model.averaged_weight, self.of_one_pass.weight))
        return replace(self.of_one_pass, class_counts=class_counts, iterates=PlainIterates(model), original=None)
