"""The automatic step: no rate to tune, no scaler. A stream rule for one pass, and epochs that end at the optimum.

Every step goes along the per-example gradient (softmax(W x + b) - e_y) x. It is implicit: the gradient is that of the point to
which the step leads (Toulis and Airoldi 2017), so that no row, however large, makes it overshoot. It is taken in coordinates in
which features are alike, whatever their units. In `fit` it is compared with the row's last one (Point-SAGA, Defazio 2016), which
takes the noise out of it; and Newton's method adds the last digits. See kernels/stream.h, kernels/point_saga.h and _newton.py.
"""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import issparse

from . import kernels
from ._features import (
    Coordinates,
    Moments,
    inverse_or_zero,
    solver_coordinates,
    stream_coordinates,
    units_of_tol,
    weighted_sum,
)
from ._layout import Model, aligned_zeros, with_class
from ._newton import newton
from ._objective import Penalty, add_transposed_product, kernel_rows, row_blocks, rows_in

__all__ = ["Epochs", "Stream"]

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
BLOCK = 1024  # features
TINY = np.finfo(np.float64).tiny
# The model for some sparse rows is made of their features only, until 1 / this of all features was asked for.
MUCH_MORE = 8
# Of the mean norm in the step of a stream; see kernels/stream.h.
SHARE_OF_NORM = 0.1
# The scales of features are not taken from fewer rows than this without a warning.
FEW_ROWS = 20
# A row is far from the others if its squared norm is so many times the median.
FAR = 100.0


@dataclass
class Clock:
    """What a stream remembers beside arrays; see Clock in kernels/kernels.h."""

    weight: float = 0.0
    norm: float = 0.0
    curvature: float = 0.0
    penalty_step: float = 0.0
    length: float = 0.0
    average_length: float = 0.0
    average_weight: float = 0.0
    loss: float = 0.0
    n_rows: int = 0
    refresh_at: int = 0
    block_end: int = 0
    block_limit: float = 0.0
    block_penalty_step: float = 0.0
    block_average_weight: float = 0.0

    @classmethod
    def combined(cls, clocks, factors):
        """The clock of one stream of all rows, those of each clock with `factor` times their weights; its average begins anew."""
        names = "weight", "norm", "curvature", "loss", "n_rows"
        sums = {name: float(weighted_sum([getattr(clock, name) for clock in clocks], factors)) for name in names}
        return cls(**sums | {"n_rows": round(sums["n_rows"])})

    def expected_length(self, eta0):
        """The sum of the lengths of the steps over so many rows like these, if it is not known: the integral of their formula."""
        a, c = SHARE_OF_NORM * self.norm / self.weight, self.curvature / self.weight
        root = np.sqrt(c * self.weight)
        return eta0 * (2 / c * (root - a * np.log1p(root / a)) if c > 0 else self.weight / a)


@dataclass
class Iterates:
    """The model of a stream in its coordinates, and what is due to features that wait to be touched.

    Attributes
    ----------
    model : Model
        The iterate and its average, with rows in the units of the softmax (of two classes, too), before the L1 threshold.
    coordinates : Coordinates
    is_sparse, is_centred : bool
        Whether the rows are, and the coordinates.
    features : Moments
        Its stamps, and its moments if the coordinates follow from them.
    clock : Clock
    is_own : bool
        Whether its memory is known to be such that kernels can write to it.
    alpha : float or None
        Of the last penalty; None is 1 / (weight seen).
    l1_ratio : float
        Of the last penalty.
    """

    model: Model
    coordinates: Coordinates
    is_sparse: bool
    is_centred: bool
    features: Moments
    clock: Clock
    is_own: bool = True
    alpha: float | None = None
    l1_ratio: float = 0.0

    def __getstate__(self):
        return vars(self) | {"is_own": False}  # what is loaded may be a read-only memory map

    @classmethod
    def starting(
        cls, weights, intercept, n_classes, coordinates, is_sparse, is_centred, features, clock, *,
        alpha=None, l1_ratio=0.0, share=None,
    ):  # fmt: skip
        """Iterates whose average is the iterate, up to date at the clock, that are `weights` after the L1 threshold.

        `share` is what they have beyond `weights`, in units of the threshold; None is the sign of `weights`.
        """
        clock.average_length = clock.length
        bound = _bound(clock.length, alpha, l1_ratio, clock, coordinates)
        weights += ((np.sign(weights) if share is None else share) * bound[:, None]).astype(weights.dtype)
        model = Model(n_classes, weights, intercept, aligned_zeros(*weights.shape, weights.dtype), intercept.copy())
        model.average[:] = weights
        features.stamp(clock.penalty_step, clock.average_weight)
        clock.block_penalty_step, clock.block_average_weight = clock.penalty_step, clock.average_weight
        clock.block_end = clock.n_rows
        return cls(model, coordinates, is_sparse, is_centred, features, clock, True, alpha, l1_ratio)

    def copy(self):
        """A copy that shares no memory."""
        model = self.model
        arrays = [model.weights, model.average]
        weights, average = (aligned_zeros(*array.shape, array.dtype) for array in arrays)
        for copied, array in zip((weights, average), arrays):
            copied[:] = array
        model = Model(model.n_classes, weights, model.intercept.copy(), average, model.intercept_average.copy())
        return replace(
            self,
            model=model,
            coordinates=self.coordinates.copy(),
            features=self.features.copy(),
            clock=replace(self.clock),
            is_own=True,
        )

    def with_class(self, at, seen, clock):
        """These iterates with a class more, number `at`."""
        model, n_classes = self.model, self.model.n_classes
        iterate = with_class(model.weights, model.intercept, n_classes, at, seen)
        average = with_class(model.average, model.intercept_average, n_classes, at, seen)
        return replace(self, model=Model(n_classes + 1, *iterate, *average), clock=clock)

    def thresholds_otherwise(self, settings):
        """Whether the L1 threshold of these settings is another one."""
        before, now = (self.alpha, self.l1_ratio), (settings.alpha, settings.l1_ratio)
        return before != now and max(self.l1_ratio, settings.l1_ratio) > 0

    def is_writeable(self):
        """Whether kernels can write to it."""
        return self.is_own or (self.features.numbers.flags.writeable and self.model.is_aligned())

    def run(
        self, problem, penalty, settings, *, order=None, eta0, follows=False, settle=False, table=None, norms=None, record=None
    ):
        """One pass of the stream rule, in the order of the rows if none is given."""
        kernels.stream(
            *kernel_rows(problem.X),
            y=problem.y,
            sample_weight=problem.sample_weight,
            order=np.arange(problem.n_samples) if order is None else order,
            eta0=eta0,
            penalty=penalty,
            fit_intercept=settings.fit_intercept,
            centre=self.is_centred,
            standardize=settings.standardize,
            average_from=settings.average or 0.0,
            averages=settings.average is not None,
            settle=settle,
            follows=follows,
            table=table,
            norms=norms,
            record=record,
            state=self,
        )

    def original(self, averaged, standardizes, features=slice(None)):
        """The iterate or the average, of some features, in the units of X."""
        coordinates = self._coordinates_now(standardizes, features)
        weights, intercept = self.here(averaged, coordinates, features)
        return coordinates.to_original(weights, intercept, self.model.n_classes)

    def _coordinates_now(self, standardizes, features=slice(None)):
        if not self.is_sparse:
            return self.coordinates
        # those of sparse rows are for the moment only
        weights, moments = self.model.weights[features], Moments(self.features.numbers[features])
        return stream_coordinates(moments, max(self.clock.weight, TINY), False, standardizes, weights)

    def here(self, averaged, coordinates, features=slice(None)):
        """(weights, intercept) of the iterate or the average, of some features, in their coordinates."""
        weights, intercept, bound = self._up_to_date(averaged, coordinates, features)
        return (_soft_threshold(weights, bound) if self.l1_ratio > 0 else weights), intercept

    def share_of_threshold(self, averaged, standardizes):
        """What the L1 threshold takes from the iterate or the average, in units of the threshold."""
        weights, _, bound = self._up_to_date(averaged, self._coordinates_now(standardizes))
        return np.clip(weights * inverse_or_zero(bound), -1, 1)

    def _up_to_date(self, averaged, coordinates, features=slice(None)):
        """(weights, intercept, L1 threshold), with the penalty and the average that wait."""
        model, clock = self.model, self.clock
        weights, intercept, moments = model.weights[features], model.intercept, Moments(self.features.numbers[features])
        bound = _bound(clock.length, self.alpha, self.l1_ratio, clock, coordinates)[:, None]
        if self.is_sparse:  # as `catch_up` in kernels/stream.h
            l2_ratio = Penalty(1.0, self.l1_ratio, model.n_classes).l2_ratio
            ratio = coordinates.penalty_ratio.astype(np.float64)
            with np.errstate(over="ignore"):
                gap = (clock.penalty_step - moments.penalty_stamp) * coordinates.gain * l2_ratio * ratio * ratio
            kept = (1 / (1 + gap))[:, None]
            weights = weights - ((1 - kept) * _soft_threshold(weights, bound)).astype(weights.dtype)
        if averaged and clock.average_weight > 0:
            # the average waits: of a feature until it is touched, of dense rows until their block ends
            stamps = moments.average_stamp if self.is_sparse else np.full(len(weights), clock.block_average_weight)
            share = (1 - stamps / clock.average_weight).astype(weights.dtype)[:, None]
            average = model.average[features]
            weights = average + share * (weights - average)
            intercept = model.intercept_average[: model.n_classes]
            if not self.is_sparse:
                intercept = intercept + share[0] * (model.intercept[: model.n_classes] - intercept)
            bound = _bound(clock.average_length, self.alpha, self.l1_ratio, clock, coordinates)[:, None]
        return weights, intercept, bound


def _bound(length, alpha, l1_ratio, clock, coordinates):
    """The L1 threshold of each feature when steps have gone so far; see kernels/stream.h."""
    alpha = inverse_or_zero(np.array(clock.weight)) if alpha is None else alpha
    with np.errstate(over="ignore"):
        bound = alpha * l1_ratio * length * coordinates.gain.astype(np.float64) * coordinates.penalty_ratio
    return np.minimum(bound, np.finfo(coordinates.gain.dtype).max / 4)


def _soft_threshold(weights, bound):
    bound = bound.astype(weights.dtype)
    return np.maximum(weights - bound, 0) + np.minimum(weights + bound, 0)


@dataclass
class Stream:
    """A stream: the model and what has to be remembered beside it, each row that was learnt from counted once.

    Attributes
    ----------
    class_counts : ndarray of shape (n_classes,)
        Weight of each class, without class weights.
    moments : Moments
    clock : Clock
    iterates : Iterates or None
        None before the first row and after `fit`.
    original : Model or None
        The model to predict with, in the units of X; None if it is not known yet.
    averages : bool
        Whether that is the average of the iterates.
    standardizes : bool
        Whether the penalty has a scale for each feature.
    record : ndarray of shape (4,)
        The progressive loss; see Record in kernels/kernels.h.
    n_asked_for : int
        Features of sparse rows predicted one by one since the model last changed.
    """

    class_counts: np.ndarray
    moments: Moments
    clock: Clock
    iterates: Iterates | None = None
    original: Model | None = None
    averages: bool = True
    standardizes: bool = True
    record: np.ndarray = field(default_factory=lambda: np.zeros(4))
    n_asked_for: int = 0

    @classmethod
    def empty(cls, n_features, n_classes, dtype):
        original = Model.zeros(n_features, n_classes, dtype)
        return cls(np.zeros(n_classes), Moments.zeros(n_features), Clock(), original=original)

    @classmethod
    def succeeding(cls, other):
        """A stream with the model and the clock of one of another kind."""
        original = other.predictor()
        stream = cls.empty(len(original.weights), original.n_classes, original.weights.dtype)
        return replace(
            stream, class_counts=other.class_counts, clock=Clock(weight=other.weight), original=original, record=other.record
        )

    @classmethod
    def combined(cls, streams, factors):
        """One stream of all rows, those of each stream with `factor` times their weights; without a model."""
        return cls(
            weighted_sum([stream.class_counts for stream in streams], factors),
            Moments.combined([stream.moments for stream in streams], factors),
            Clock.combined([stream.clock for stream in streams], factors),
            averages=streams[0].averages,
            standardizes=streams[0].standardizes,
            record=weighted_sum([stream.record for stream in streams], factors),
        )

    @property
    def weight(self):
        """Total weight of the rows."""
        return self.clock.weight

    @property
    def scale(self):
        """The penalty's scale of each feature."""
        if not self.standardizes:
            return np.ones(len(self.moments.weight))
        return self.moments.spreads(max(self.weight, TINY))[1]

    @property
    def centre(self):
        """The mean of each feature."""
        return self.moments.spreads(max(self.weight, TINY))[0]

    @property
    def weight_of_features(self):
        """Total weight of the rows in which each feature is not zero."""
        return self.moments.weight

    def sums_of_squares(self, about_mean):
        """Of each feature, over all rows."""
        total = max(self.weight, TINY)
        _, active_deviation, root_mean_square, share = self.moments.spreads(total)
        return np.square(active_deviation if about_mean else root_mean_square) * share * total

    def predictor(self):
        """The model to predict with, in the units of X."""
        if self.original is None:
            self.original = self.iterates.original(self.averages, self.standardizes)
        return self.original

    def rows_and_predictor(self, X):
        """X and the model to predict with; only with features that X has, as long as all of them would cost much more."""
        if self.original is not None or not (issparse(X) and self.iterates.is_sparse):
            return X, self.predictor()
        self.n_asked_for += X.nnz
        if self.n_asked_for * MUCH_MORE > X.shape[1]:
            return X, self.predictor()
        features, columns = np.unique(np.append(X.indices, 0), return_inverse=True)  # a model has a feature at least
        X = type(X)((X.data, columns[:-1].astype(X.indices.dtype), X.indptr), shape=(X.shape[0], len(features)))
        return X, self.iterates.original(self.averages, self.standardizes, features)

    @property
    def dtype(self):
        """Of the coefficients."""
        return (self.original if self.iterates is None else self.iterates.model).weights.dtype

    @property
    def is_bare(self):
        """Whether all there is of a model is the one to predict with."""
        return self.iterates is None

    def with_model(self, model):
        """This stream, going on from another model."""
        return replace(self, iterates=None, original=model)

    def with_class(self, at, fit_intercept):
        """This stream with a class more, number `at`."""
        seen, n_classes = self.weight if fit_intercept else 0, len(self.class_counts)
        clock = replace(self.clock, curvature=self.clock.curvature * n_classes / (n_classes + 1))
        iterates, original = self.iterates, self.original
        if iterates is not None and iterates.l1_ratio > 0:  # a mean of weights before a threshold is not one after it
            iterates, original = None, self.predictor()
        return replace(
            self,
            class_counts=np.insert(self.class_counts, at, 0),
            clock=clock,
            iterates=iterates and iterates.with_class(at, seen, clock),
            original=original and original.with_class(at, seen),
        )

    def __getstate__(self):
        # what follows from the iterates is not stored
        return vars(self) | {"n_asked_for": 0} | ({} if self.iterates is None else {"original": None})

    def trainable(self, settings):
        """This stream, in memory that kernels can write to, with its own clock."""
        averages = settings.average is not None
        is_same = (self.averages, self.standardizes) == (averages, settings.standardize)
        if is_same and self.iterates is not None and self.iterates.is_writeable():
            return self
        record = np.require(self.record, requirements="W")
        stream = replace(self, averages=averages, standardizes=settings.standardize, record=record)
        if self.iterates is None:
            stream.clock = replace(self.clock)
        elif not self.iterates.is_writeable():
            stream._go_on_with(self.iterates.copy())
        return stream

    def copy(self):
        """A copy that shares no memory that training changes."""
        stream = replace(self, clock=replace(self.clock), record=self.record.copy())
        if self.iterates is not None:
            stream._go_on_with(self.iterates.copy())
        return stream

    def _go_on_with(self, iterates):
        self.iterates, self.moments, self.clock = iterates, iterates.features, iterates.clock

    def advance(self, problem, settings):
        """Learn from each row once, in order."""
        kind = issparse(problem.X), settings.fit_intercept and not issparse(problem.X)
        iterates = self.iterates
        if iterates is None or (iterates.is_sparse, iterates.is_centred) != kind or iterates.thresholds_otherwise(settings):
            iterates = self._entering(problem, *kind, settings)
        penalty = Penalty(np.nan if settings.alpha is None else settings.alpha, settings.l1_ratio, len(self.class_counts))
        iterates.run(problem, penalty, settings, eta0=settings.eta0 or 1.0, follows=True, record=self.record)
        self._go_on_with(iterates)
        self.original, self.n_asked_for = None, 0

    def _entering(self, problem, is_sparse, is_centred, settings):
        """Iterates, in memory of their own, that go on in the coordinates that suit a container."""
        original = self.predictor()
        if self.clock.weight > 0 and self.clock.n_rows == 0 and not self.moments.weight.any():
            self.suppose_that_all_rows_were_like(problem)
        moments, clock = self.moments.copy(), replace(self.clock)
        n_features = len(self.moments.weight)
        coordinates = Coordinates.empty(n_features, original.weights.dtype)
        if clock.weight > 0:
            coordinates = stream_coordinates(moments, clock.weight, is_centred, settings.standardize, original.weights)
        weights, intercept = coordinates.from_original(original)
        share = None
        if self.iterates is not None and self.iterates.l1_ratio > 0:
            share = self.iterates.share_of_threshold(self.averages, self.standardizes)
        if settings.l1_ratio > 0 and clock.length == 0 and clock.weight > 0:
            clock.length = clock.expected_length(settings.eta0 or 1.0)
        return Iterates.starting(
            weights, intercept, original.n_classes, coordinates, is_sparse, is_centred, moments, clock,
            alpha=settings.alpha, l1_ratio=settings.l1_ratio, share=share,
        )  # fmt: skip

    def suppose_that_all_rows_were_like(self, problem):
        """Statistics of rows that are gone, for a model that came from elsewhere with a clock and without them."""
        n_classes = len(self.class_counts)
        if problem.n_samples < FEW_ROWS:
            warnings.warn(
                f"The model came from elsewhere, without the scales of the features. They are taken from {problem.n_samples} "
                f"row(s), and what it had learnt may be lost. Let the first chunk have {FEW_ROWS} rows or more (or pass X to "
                "from_logistic_regression).",
                stacklevel=2,
            )
        factor = self.clock.weight / problem.sample_weight.sum()
        self.moments = Moments.of(problem).times(factor)
        # a feature that does not vary here has its value for a deviation, or 1: else its coefficients would be lost
        moments = self.moments
        stands = moments.spreads(self.clock.weight)[1] == 0
        moments.weight[stands] = self.clock.weight
        moments.square[stands] = self.clock.weight * np.where(moments.centre == 0, 1, moments.centre**2)[stands]
        share = moments.spreads(self.clock.weight)[3]
        self.clock.norm = self.clock.weight * (1 + share.sum())
        self.clock.curvature = self.clock.weight * (1 - 1 / n_classes) / n_classes  # the most that it can be: short steps
        self.clock.average_weight = self.clock.weight**4 / 4


class Epochs:
    """Epochs over one problem: one of the stream rule, then of Point-SAGA, then passes of Newton's method.

    Attributes
    ----------
    penalty : Penalty
    """

    def __init__(self, problem, settings, alpha, start, n_classes, random_state):
        self.settings, self.random_state = settings, random_state
        self.total_weight = float(problem.sample_weight.sum())
        self.problem = problem = problem.normalised()
        n_samples, n_features = problem.X.shape
        self.moments = Moments.of(problem)
        spreads = self.moments.spreads(n_samples)
        self.scale = spreads[1]
        self.unit = units_of_tol(spreads)
        self.share_of_nonzeros = spreads[3]
        penalty_scale = self.scale if settings.standardize else np.ones(n_features)
        self.penalty = Penalty(alpha, settings.l1_ratio, n_classes, penalty_scale)
        is_sparse = issparse(problem.X)
        is_centred = settings.fit_intercept and not is_sparse
        self.coordinates = solver_coordinates(problem.X, spreads, penalty_scale, alpha, is_centred)
        self.penalty_here = replace(self.penalty, scale=self.coordinates.penalty_ratio)

        dtype = problem.X.dtype
        if start is None:
            zeros = Model.zeros(n_features, n_classes, dtype)
            weights, intercept = zeros.weights, zeros.intercept
        else:
            weights, intercept = self.coordinates.from_original(start)
        self.iterates = Iterates.starting(
            weights, intercept, n_classes, self.coordinates, is_sparse, is_centred, Moments.zeros(n_features), Clock(),
            alpha=alpha, l1_ratio=settings.l1_ratio,
        )  # fmt: skip
        self.is_warm = start is not None
        self.table = aligned_zeros(n_samples, weights.shape[1], dtype) if settings.variance_reduction else None
        self.n_epochs = 0
        self.next_check = FIRST_CHECK if settings.variance_reduction else 2
        self.next_newton, self.has_stalled = MOST_EPOCHS, False
        self.step = 0.0  # of Point-SAGA
        # mean over the rows of sum over the classes of p (1 - p): the most that it can be until an epoch tells
        self.curvature = 1 - 1 / n_classes
        self.original = None

    def run(self):
        """One epoch; returns the objective, each row scored just before its step."""
        self.original = None
        loss = self._point_saga_epoch() if self.n_epochs and self.table is not None else self._stream_epoch()
        self.n_epochs += 1
        return loss + self._penalty_of(self._model_here())

    def _penalty_of(self, here):
        return self.penalty_here(here.weights[:, : here.n_classes].T)

    def _model_here(self):
        """The model to predict with, in the solver's coordinates."""
        model = self.iterates.model
        averaged = self.table is not None or self.settings.average is not None or self.n_epochs == 1
        if self.step == 0:  # a stream
            return Model(model.n_classes, *self.iterates.here(averaged, self.coordinates))
        here = Model(model.n_classes, model.average, model.intercept_average) if averaged else model
        if self.penalty.l1_ratio > 0:  # only a prox makes zeros
            weights = self._prox(here.weights - self.step * self.gradient)
            weights[self._is_zero(here.weights)] = 0
            return replace(here, weights=weights)
        return here

    def _is_zero(self, weights):
        """Which weights Newton's method, for each weight alone, would make 0.

        At the optimum they are those that any prox makes 0. Before, a prox with the short step of an epoch finds few of them.
        """
        length = self.penalty.n_classes / max(self.curvature, TINY)
        return np.abs(weights / length - self.gradient) <= self.penalty_here.l1[:, None]

    def _prox(self, weights):
        """The prox of the penalty with the step of the last epoch."""
        penalty, step = self.penalty_here, self.step
        weights = np.sign(weights) * np.maximum(np.abs(weights) - step * penalty.l1[:, None], 0)
        return (weights / (1 + step * penalty.l2[:, None])).astype(self.table.dtype)

    def _stream_epoch(self):
        # from a given model the first pass only reads: a step of 0 leaves its residuals in the table
        eta0 = 0.0 if self.is_warm and self.n_epochs == 0 else self.settings.eta0 or 1.0
        n_samples, clock = self.problem.n_samples, self.iterates.clock
        loss, curvature = clock.loss, clock.curvature
        norms = np.empty(n_samples)
        self.iterates.run(
            self.problem,
            self.penalty,
            self.settings,
            order=self._order(np.arange(n_samples)),
            eta0=eta0,
            settle=True,
            table=self.table,
            norms=norms,
        )
        self.curvature = (clock.curvature - curvature) / n_samples * self.penalty.n_classes
        if self.table is not None:
            self._prepare_point_saga(norms)
        return (clock.loss - loss) / n_samples

    def _prepare_point_saga(self, norms):
        problem, model, n_samples = self.problem, self.iterates.model, self.problem.n_samples
        leverage = problem.sample_weight * norms
        self.mean_norm = leverage.sum() / n_samples
        self.unit = self._unit_without_far_rows(norms)
        self.repeats = np.ceil(leverage / (NORM_PER_VISIT * self.mean_norm))
        self.visits = self._visits()
        self.n_visits = len(self.visits)
        occurs = self.coordinates.inverse_scale > 0
        n_numbers = n_samples * self.share_of_nonzeros[occurs].sum()
        n_averaged = np.clip(n_numbers // (NUMBERS_PER_AVERAGED * max(1, occurs.sum())), 1, MOST_AVERAGED)
        self.average_every = int(np.ceil(self.n_visits / n_averaged))
        self.weight_of_visit = problem.sample_weight * self.n_visits / (n_samples * self.repeats)
        model.weights[:] = self.iterates.here(True, self.coordinates)[0]
        model.intercept[:] = model.intercept_average
        self._set_mean_gradient()

    def _set_mean_gradient(self):
        """The gradient of the table, in the solver's coordinates."""
        problem, model = self.problem, self.iterates.model
        n_classes, shares = model.n_classes, problem.sample_weight / problem.n_samples
        gradient, of_intercept = np.zeros((len(model.weights), n_classes)), np.zeros(n_classes)
        dtype = np.float64 if issparse(problem.X) else self.table.dtype  # of products without a copy of the rows
        for block in row_blocks(problem.X, n_classes):
            residual = (self.table[block, :n_classes] * shares[block, None]).astype(dtype, copy=False)
            add_transposed_product(rows_in(problem.X, block), residual, gradient)
            of_intercept += residual.sum(axis=0, dtype=np.float64)
        gradient -= np.outer(self.coordinates.offset, of_intercept)
        self.gradient = aligned_zeros(*model.weights.shape, model.weights.dtype)
        self.gradient[:, :n_classes] = gradient * self.coordinates.inverse_scale[:, None]
        self.intercept_gradient = np.zeros(self.table.shape[1])
        if self.settings.fit_intercept:
            self.intercept_gradient[:n_classes] = of_intercept

    def _unit_without_far_rows(self, norms):
        """The unit of each feature; if it is not the penalty's, that of the rows that are not far from the others.

        Else one row a million times larger makes units in which all gradients are small.
        """
        near = norms <= FAR * np.median(norms)
        if self.settings.standardize or near.all():
            return self.unit
        near = self.problem.take(near)
        unit = Moments.of(near).spreads(near.sample_weight.sum())[1]
        return np.where(unit > 0, unit, self.unit)

    def _point_saga_epoch(self):
        curvature = max(self.curvature, TINY)
        self.step = (self.settings.eta0 or 1.0) * STEP / (0.5 * self.mean_norm * np.sqrt(curvature))
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

    def verdict(self, progress, *, watches, most_passes, end_of_pass):
        """True if the gradient is small enough or, if somebody watches held-out rows, these have had enough; None to go on.

        When the gradient may be small enough, or the epochs have become slow, Newton's method has the rest of the passes: the
        first of them computes the gradient. False if they do not suffice.
        """
        settings = self.settings
        if watches:
            return True if progress.n_epochs >= settings.n_iter_no_change else None
        if settings.tol is None or most_passes < 1:
            return None
        if not self._is_turn_of_newton():
            if self.n_epochs < self.next_check or not (self.table is None or self._may_be_within(settings.tol)):
                return None
            self.next_check = int(np.ceil(self.n_epochs * GROWTH_BETWEEN_CHECKS))
            return True if self._newton(1).gradient <= settings.tol else None
        solution = self._newton(most_passes, end_of_pass)
        self._become(solution)
        if solution.gradient <= settings.tol or solution.n_passes + 2 > most_passes:
            return solution.gradient <= settings.tol
        # no step decreases the objective any more, which takes a worse model than that of rounding: epochs may
        self.has_stalled, self.next_newton = True, self.n_epochs + MOST_EPOCHS
        self.iterates.model.weights[:], self.iterates.model.intercept[:] = self.coordinates.from_original(self.original)
        return None

    def _is_turn_of_newton(self):
        """Whether epochs have become slow, or have come so near to the optimum that few passes of Newton's method are enough."""
        if self.table is None:
            return False
        return self.n_epochs >= self.next_newton or (not self.has_stalled and self._may_be_within(TRIGGER * self.settings.tol))

    def _may_be_within(self, bound):
        """Whether no entry of the gradient of the table, measured as `_newton` does, exceeds `bound`."""
        model, penalty, n_classes = self.iterates.model, self.penalty_here, self.penalty.n_classes
        if np.abs(self.intercept_gradient[:n_classes]).max() > bound:
            return False
        per_unit = inverse_or_zero(self.coordinates.inverse_scale * self.unit)
        for start in range(0, len(per_unit), BLOCK):  # mostly, the first block has one that does
            block = slice(start, start + BLOCK)
            weights = model.weights[block, :n_classes]
            gradient = self.gradient[block, :n_classes] + penalty.l2[block, None] * weights
            if penalty.l1_ratio > 0:
                l1 = penalty.l1[block, None]
                at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0)
                gradient = np.where(weights != 0, gradient + l1 * np.sign(weights), at_zero)
            if np.abs(gradient * per_unit[block, None]).max(initial=0) > bound:
                return False
        return True

    def _newton(self, most_passes, end_of_pass=None):
        """Newton's method from the model as it is; with one pass, no more than the gradient."""
        n_reported = 0

        def on_step(solution):
            nonlocal n_reported
            n_new, n_reported = solution.n_passes - n_reported, solution.n_passes
            self._become(solution)
            return end_of_pass(solution.objective, n_new)

        rows, intercept = self.model().rows()
        solution = newton(
            self.problem.X,
            self.problem.y,
            self.problem.sample_weight,
            rows.astype(np.float64),
            intercept,
            l2=self.penalty_here.l2,
            l1=self.penalty_here.l1,
            offset=self.coordinates.offset.astype(np.float64),
            scale=self.coordinates.scale(),
            unit=self.unit,
            fit_intercept=self.settings.fit_intercept,
            tol=self.settings.tol,
            max_passes=most_passes,
            on_step=on_step,
        )
        if most_passes > 1 and solution.n_passes > n_reported:  # of a step that was not completed
            on_step(solution)
        return solution

    def _become(self, solution):
        """Predict with what Newton's method found."""
        self.original = Model.zeros(*solution.rows.shape[::-1], self.problem.X.dtype)
        largest = np.finfo(self.problem.X.dtype).max / 4  # as in Coordinates.to_original
        self.original.set_rows(np.clip(solution.rows, -largest, largest), solution.intercept)

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
        weight, n_samples = self.total_weight, self.problem.n_samples
        clock = Clock(
            weight=weight,
            norm=weight * (1 + self.share_of_nonzeros[self.scale > 0].sum()),  # of the stream's coordinates
            curvature=weight * self.curvature / self.penalty.n_classes,
            average_weight=weight**4 / 4,
            n_rows=n_samples,
        )
        return Stream(
            class_counts,
            self.moments.times(weight / n_samples),
            clock,
            original=self.model(),
            averages=self.settings.average is not None,
            standardizes=self.settings.standardize,
        )
