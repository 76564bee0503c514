"""A stream: a model, and the statistics that it needs to learn from rows one by one.

A step goes along the gradient of one row, (softmax(W x + b) - e_y) x. The step is
implicit: this gradient is taken at the point to which the step leads (Toulis and
Airoldi 2017). So no row makes the step overshoot, however large the row is. Steps are
taken in standardised coordinates, so that the units of the features do not matter. See
kernels/stream.h.

Imports coordinates, models, penalties and the kernels, and knows nothing of `fit`.
"""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import expit

from . import kernels
from ._coordinates import Coordinates, Moments, stream_coordinates, weighted_sum
from ._matrix import inverse_or_zero, kernel_rows, narrowed, occurring_columns
from ._model import Model, aligned_zeros, by_class, columns_of, intercept_with_class, not_finite, numbers_of_rows, soft_threshold
from ._objective import Penalty

__all__ = ["Iterates", "PlainIterates", "Stream", "StreamScalars"]

TINY = np.finfo(np.float64).tiny
# Arrays that are full when a class arrives grow by this share. A model that has grown
# to K classes was then copied about log(K) / log(1.25) times.
ROOM = 0.25
# The coefficients of a feature count as balanced if |sum| <= ROUNDINGS * eps * norm.
ROUNDINGS = 100
# No step leaves the range of the dtype if all numbers are below these bounds, and
# values of X and weights that are not 0 also above the inverse of theirs.
LARGEST_VALUE = {np.dtype(np.float32): 1e7, np.dtype(np.float64): 1e50}
LARGEST_COEFFICIENT, LARGEST_STEP, LARGEST_ALPHA = 1e10, 1e6, 1e20
# The factor of the mean squared norm in the step of a stream; see kernels/stream.h.
SHARE_OF_NORM = 0.1
# log2 of the growth that is rescaled; see kernels/stream.h.
LOG_OF_MOST_GROWTH = 100
# Fewer rows than this give poor scales of features: a warning says so.
FEW_ROWS = 20


def _scalar(index):
    """A property: entry `index` of `numbers`."""

    def get(scalars):
        return scalars.numbers[index].item()

    def put(scalars, value):
        scalars.numbers[index] = value

    return property(get, put)


def _initial_numbers():
    numbers = np.zeros(23)
    numbers[[14, 16, 22]] = 1  # growth, growth_of_steps, step_divisor
    return numbers


@dataclass(eq=False)
class StreamScalars:
    """The scalars of a stream, in one array; see StreamScalars in kernels/kernels.h.

    Attributes
    ----------
    numbers : ndarray of shape (23,), float64
        The properties below, in this order. Only explicit steps use the last three.
        `squared_norm` is the weighted sum of ||x||^2 (+ 1 with an intercept) over the
        rows for which `eta0` was None, and `norm_weight` is the weight of these rows.
        All steps are divided by `step_divisor`, because longer steps made the model
        overflow.
    """

    numbers: np.ndarray = field(default_factory=_initial_numbers)

    weight = _scalar(0)
    norm = _scalar(1)
    curvature = _scalar(2)
    penalty_step = _scalar(3)
    length = _scalar(4)
    average_length = _scalar(5)
    average_weight = _scalar(6)
    loss = _scalar(7)
    n_rows = _scalar(8)
    refresh_at = _scalar(9)
    block_end = _scalar(10)
    block_limit = _scalar(11)
    block_penalty_step = _scalar(12)
    block_average_weight = _scalar(13)
    growth = _scalar(14)
    average_total = _scalar(15)
    growth_of_steps = _scalar(16)
    steps_total = _scalar(17)
    drift_log_odds = _scalar(18)
    step_log_odds = _scalar(19)
    squared_norm = _scalar(20)
    norm_weight = _scalar(21)
    step_divisor = _scalar(22)

    @classmethod
    def of(cls, **values):
        """The scalars that are given, and the initial values of the others."""
        scalars = cls()
        for name, value in values.items():
            setattr(scalars, name, value)
        return scalars

    @classmethod
    def combined(cls, all_scalars, factors):
        """The scalars of one stream of all rows.

        The rows of each stream are weighted by its factor. The average of the iterates
        begins anew, and so does the evidence that it has to forget.
        """
        names = "weight", "norm", "loss", "n_rows", "squared_norm", "norm_weight"
        sums = {name: float(weighted_sum([getattr(one, name) for one in all_scalars], factors)) for name in names}
        for name, unit in (("curvature", "growth_of_steps"), ("steps_total", "growth_of_steps"), ("average_total", "growth")):
            remembered = [getattr(one, name) / getattr(one, unit) for one in all_scalars]
            # streams may have forgotten rows of the start, which has a negative factor
            least = min(remembered) if np.min(factors) < 0 else 0.0
            sums[name] = max(float(weighted_sum(remembered, factors)), least)
        divisor = max(one.step_divisor for one in all_scalars)
        return cls.of(**sums | {"n_rows": round(sums["n_rows"]), "step_divisor": divisor})

    def copy(self):
        return StreamScalars(self.numbers.copy())

    def expected_length(self, eta0):
        """The sum of the lengths of all steps, if it is not known.

        This is the integral of the step eta0 / (a + sqrt(c w)) over the weight w of the
        rows.
        """
        a, c = SHARE_OF_NORM * (self.norm / self.weight), self.curvature / self.weight
        root = np.sqrt(c * self.weight)
        return eta0 * (2 / c * (root - a * np.log1p(root / a)) if c > 0 else self.weight / a)


@dataclass
class Iterates:
    """The model of a stream in its coordinates, where updates may be pending.

    The penalty and the average of a feature of sparse rows are lazy. They are brought
    up to date when a row has the feature, or when the model is asked for.

    Attributes
    ----------
    model : Model
        The iterate and its average, in these coordinates, before the L1 threshold.
    coordinates : Coordinates
    is_sparse, is_centred : bool
        Whether the rows are sparse, and whether the coordinates are centred.
    features : Moments
        When each feature was last updated, and its moments.
    scalars : StreamScalars
    is_own : bool
        Whether kernels are known to be able to write to the memory of the model.
    lanes : ndarray of shape (n_classes,), int32, or None
        The column of each class in the arrays of the model. Columns are in the order in
        which classes arrived. None means that this is the order of the classes.
    is_balanced : bool
        Whether the coefficients of each feature are known to add up to 0. Steps keep
        their sum, because residuals add up to 0. An L1 penalty does not keep it.
    n_reserved : int
        The number of further classes for which the arrays have columns of their own.
    is_moderate : bool
        Whether the last `check_range` found all numbers far from overflow.
    alpha : float or None
        The strength of the last penalty. None is 1 / (weight seen).
    l1_ratio : float
        The L1 ratio of the last penalty.
    forgets : bool
        Whether the model to predict with is between the average and the iterate, as the
        log odds of a drift say.
    """

    model: Model
    coordinates: Coordinates
    is_sparse: bool
    is_centred: bool
    features: Moments
    scalars: StreamScalars
    is_own: bool = True
    lanes: np.ndarray | None = None
    is_balanced: bool = False
    n_reserved: int = 0
    is_moderate: bool = True
    alpha: float | None = None
    l1_ratio: float = 0.0
    forgets: bool = False

    def __getstate__(self):
        return vars(self) | {"is_own": False}  # what is loaded may be a read-only memory map

    @classmethod
    def starting(
        cls, weights, intercept, n_classes, coordinates, is_sparse, is_centred, features, scalars, *,
        alpha=None, l1_ratio=0.0, share=None,
    ):  # fmt: skip
        """Iterates that are `weights` after the L1 threshold, with nothing pending.

        The average is the iterate, so that nothing is known of which predicts better.
        Before the threshold both are ``weights + share * threshold``, where the share
        of a weight that is not 0 is its sign. A `share` of None is 0 for the others.
        """
        scalars.average_length = scalars.length
        scalars.drift_log_odds = scalars.step_log_odds = 0.0
        bound = _bound(scalars.length, alpha, l1_ratio, scalars, coordinates)
        share = np.sign(weights) if share is None else np.where(weights == 0, share, np.sign(weights))
        weights += (share * bound[:, None]).astype(weights.dtype)
        model = Model(n_classes, weights, intercept, aligned_zeros(*weights.shape, weights.dtype), intercept.copy())
        model.average[:] = weights
        features.stamp(scalars.penalty_step, scalars.average_weight)
        scalars.block_penalty_step, scalars.block_average_weight = scalars.penalty_step, scalars.average_weight
        scalars.block_end = scalars.n_rows
        iterates = cls(
            model, coordinates, is_sparse, is_centred, features, scalars, alpha=alpha, l1_ratio=l1_ratio
        )  # fmt: skip
        iterates.check_range()
        return iterates

    def check_range(self):
        """Set `is_moderate`, and return whether all numbers are finite."""
        model = self.model
        arrays = [model.weights, model.average, model.intercept[: model.n_classes], model.intercept_average[: model.n_classes]]
        largest = np.max([np.abs(array).max() for array in arrays])
        self.is_moderate = bool(largest < LARGEST_COEFFICIENT)
        return bool(np.isfinite(largest) and np.isfinite(self.scalars.numbers).all())

    def copy(self):
        """A copy that shares no memory."""
        return replace(
            self,
            model=self.model.copy(),
            coordinates=self.coordinates.copy(),
            features=self.features.copy(),
            scalars=self.scalars.copy(),
            is_own=True,
        )

    def reserved(self, n_more):
        """These iterates with columns for `n_more` further classes, for `with_class`.

        A class begins with the mean of the others. If this is known to be 0, the
        columns of the padding can be used as they are. Otherwise all arrays are copied.
        One or two classes have nothing to reserve: two are one column.
        """
        model = self.model
        if model.n_classes <= 2:
            return self
        n_classes, (n_features, n_padded) = model.n_classes, model.weights.shape
        n_needed = n_classes + n_more
        if n_needed <= n_padded and self.is_balanced:
            return replace(self, n_reserved=n_more)
        n_lanes = n_padded if n_needed <= n_padded else max(n_needed, int((1 + ROOM) * n_classes))
        iterate, average = (Model.zeros(n_features, n_lanes, model.weights.dtype) for _ in range(2))
        for new, weights, intercept in (
            (iterate, model.weights, model.intercept),
            (average, model.average, model.intercept_average),
        ):
            new.weights[:, :n_padded] = weights
            new.intercept[:] = -np.inf
            new.intercept[:n_classes] = intercept[:n_classes]
        grown = Model(n_classes, iterate.weights, iterate.intercept, average.weights, average.intercept)
        return replace(self, model=grown, is_own=True, n_reserved=n_more)

    def with_class(self, at, seen, scalars, n_more):
        """These iterates with a new class, number `at`, the first of `n_more`."""
        model = self.model
        n_classes = model.n_classes
        lanes = np.arange(n_classes, dtype=np.int32) if self.lanes is None else self.lanes
        lanes = np.insert(lanes, at, n_classes)
        if n_classes <= 2:
            grown = model.with_class(n_classes, seen)
            return replace(self, model=grown, scalars=scalars, lanes=lanes, is_own=True, is_balanced=True)
        if not self.n_reserved:
            return self.reserved(n_more).with_class(at, seen, scalars, n_more)
        if not self.is_balanced:
            for weights in (model.weights, model.average):
                weights[:, n_classes] = weights @ np.full(weights.shape[1], 1 / n_classes, dtype=weights.dtype)
        intercepts = model.intercept.copy(), model.intercept_average.copy()
        for intercept in intercepts:
            intercept[: n_classes + 1] = intercept_with_class(intercept[:n_classes], n_classes, seen)
        return replace(
            self,
            model=Model(n_classes + 1, model.weights, intercepts[0], model.average, intercepts[1]),
            scalars=scalars,
            lanes=lanes,
            n_reserved=self.n_reserved - 1,
        )

    def tentative(self, X, n_more, forgets):
        """(iterates, undo), where the iterates may learn from X, and forget.

        They may meet `n_more` new classes. They share memory with these iterates.
        ``undo()`` restores what they have changed in the shared memory.
        """
        reserved = self.reserved(n_more)
        shared = [(self.features.numbers, occurring_columns(X))]
        if reserved.model.weights is self.model.weights:
            shared += [(weights, shared[0][1]) for weights in (self.model.weights, self.model.average)]
        # a row at most doubles the growth; a large growth changes the stamps of all features
        if np.log2(self.scalars.growth) + forgets * X.shape[0] > LOG_OF_MOST_GROWTH:
            shared.append((self.features.average_updated_at, slice(None)))
        before = [array[touched].copy() for array, touched in shared]

        def undo():
            for (array, touched), rows in zip(shared, before):
                array[touched] = rows

        model = reserved.model
        model = replace(model, intercept=model.intercept.copy(), intercept_average=model.intercept_average.copy())
        coordinates, scalars = self.coordinates.copy(), self.scalars.copy()
        return replace(reserved, model=model, coordinates=coordinates, scalars=scalars), undo

    def thresholds_otherwise(self, settings):
        """Whether these settings have another L1 threshold than the last penalty."""
        before, now = (self.alpha, self.l1_ratio), (settings.alpha, settings.l1_ratio)
        return before != now and max(self.l1_ratio, settings.l1_ratio) > 0

    @property
    def is_bare(self):
        """Whether they hold nothing but the model to predict with."""
        return False

    @property
    def reads_by_feature(self):
        """Whether the model to predict with has to be computed, feature by feature."""
        return self.is_sparse

    def trainable(self, averages):
        """These iterates, or a copy if kernels cannot write to their memory."""
        is_writeable = self.is_own or (self.features.numbers.flags.writeable and self.model.is_aligned())
        return self if is_writeable else self.copy()

    def run(
        self,
        problem,
        penalty,
        settings,
        *,
        order=None,
        eta0,
        adaptive=False,
        flush=False,
        table=None,
        norms=None,
        progressive_loss=None,
        of_rows=None,
    ):
        """One pass of the stream rule; an `order` of None is the order of the rows.

        `of_rows` is `numbers_of_rows` if it is known.
        """
        kernels.stream(
            *kernel_rows(problem.X),
            y=problem.y if self.lanes is None else self.lanes[problem.y],
            sample_weight=problem.sample_weight,
            order=np.arange(problem.n_samples) if order is None else order,
            eta0=eta0,
            penalty=penalty,
            fit_intercept=settings.fit_intercept,
            with_mean=self.is_centred,
            standardize=settings.standardize,
            average_from=settings.average or 0.0,
            averages=settings.average is not None,
            forgets=self.forgets,
            flush=flush,
            adaptive=adaptive,
            table=table,
            norms=norms,
            progressive_loss=progressive_loss,
            scalars=self.scalars.numbers,
            state=self,
            **(numbers_of_rows(problem, self.model, self.lanes) if of_rows is None else of_rows),
        )

    def original(self, averaged, standardizes, features=slice(None)):
        """The iterate or the average, of some features, in the units of X."""
        coordinates = self._coordinates_now(standardizes, features)
        weights, intercept = self.here(averaged, coordinates, features)
        if self.lanes is not None:
            weights, intercept = (
                columns_of(by_class(columns, self.model.n_classes)[..., self.lanes]) for columns in (weights, intercept)
            )
        return coordinates.to_original(weights, intercept, self.model.n_classes)

    def _coordinates_now(self, standardizes, features=slice(None)):
        if not self.is_sparse:
            return self.coordinates
        # the coordinates of sparse rows follow the moments, and change with each row
        weights, moments = self.model.weights[features], Moments(self.features.numbers[features])
        return stream_coordinates(moments, max(self.scalars.weight, TINY), False, standardizes, weights)

    def here(self, averaged, coordinates, features=slice(None)):
        """(weights, intercept) of the iterate or the average, in `coordinates`.

        If they forget, what is averaged has a share of the iterate in it.
        """
        weights, intercept, bound = self._up_to_date(averaged, coordinates, features)
        weights = soft_threshold(weights, bound) if self.l1_ratio > 0 else weights
        if averaged and self.forgets and self.scalars.average_weight > 0:
            share, classes = expit(self.scalars.drift_log_odds), slice(self.model.n_classes)
            iterate, intercept_of_iterate = self.here(False, coordinates, features)
            weights = weights + weights.dtype.type(share) * (iterate - weights)
            intercept[classes] += share * (intercept_of_iterate[classes] - intercept[classes])
        return weights, intercept

    def share_of_threshold(self, averaged, standardizes):
        """clip(weights / threshold, -1, 1) of the iterate or the average."""
        weights, _, bound = self._up_to_date(averaged, self._coordinates_now(standardizes))
        return np.clip(weights * inverse_or_zero(bound), -1, 1)

    def _up_to_date(self, averaged, coordinates, features=slice(None)):
        """(weights, intercept, L1 threshold), after the pending updates.

        The weights are those in memory if nothing is pending.
        """
        model, scalars = self.model, self.scalars
        weights, intercept, moments = model.weights[features], model.intercept, Moments(self.features.numbers[features])
        bound = _bound(scalars.length, self.alpha, self.l1_ratio, scalars, coordinates)[:, None]
        if self.is_sparse and (moments.penalty_updated_at != scalars.penalty_step).any():  # as `catch_up` in kernels/stream.h
            l2_ratio = Penalty(1.0, self.l1_ratio, model.n_classes).l2_ratio
            ratio = coordinates.penalty_scale.astype(np.float64)
            with np.errstate(over="ignore"):
                gap = (scalars.penalty_step - moments.penalty_updated_at) * coordinates.step_scale * l2_ratio * ratio * ratio
            kept = (1 / (1 + gap))[:, None]
            thresholded = soft_threshold(weights, bound) if self.l1_ratio > 0 else weights
            weights = weights - ((1 - kept) * thresholded).astype(weights.dtype)
        if averaged and scalars.average_weight > 0:
            # The average is lazy: that of a sparse feature was updated at its last
            # value, that of dense features at the last end of a block.
            updated_at = moments.average_updated_at if self.is_sparse else np.full(len(weights), scalars.block_average_weight)
            share = (1 - updated_at / scalars.average_weight).astype(weights.dtype)[:, None]
            average = model.average[features]
            weights = average + share * (weights - average) if share.any() else average
            intercept, classes = model.intercept_average.copy(), slice(model.n_classes)
            if not self.is_sparse:
                intercept[classes] += share[0] * (model.intercept[classes] - intercept[classes])
            bound = _bound(scalars.average_length, self.alpha, self.l1_ratio, scalars, coordinates)[:, None]
        return weights, intercept, bound


@dataclass
class PlainIterates:
    """The iterate and its average of explicit steps; nothing is pending.

    Attributes
    ----------
    model : Model
        The model in the units of X, before the L1 threshold.
    """

    model: Model

    @property
    def is_bare(self):
        """Whether they hold nothing but the model to predict with."""
        return self.model.average is None and self.model.threshold == 0

    @property
    def reads_by_feature(self):
        """Whether the model to predict with has to be computed, feature by feature."""
        return self.model.has_threshold

    def original(self, averaged, standardizes, features=slice(None)):
        """The model to predict with, of some features."""
        return self.model.predictor(features)

    def trainable(self, averages):
        """These iterates, or a copy if kernels cannot write to their memory."""
        return PlainIterates(self.model.trainable(average=averages))

    def copy(self):
        """A copy that shares no memory."""
        return PlainIterates(self.model.copy())

    def tentative(self, X, n_more, forgets):
        """A copy, and an undo that does nothing; see `Iterates.tentative`."""
        return self.copy(), lambda: None

    def with_class(self, at, seen, scalars, n_more):
        """These iterates with a new class, number `at`; copies the model."""
        return PlainIterates(self.model.with_class(at, seen))

    def scattered(self, columns, n_features):
        """These iterates with features at `columns`, and 0 elsewhere."""
        return PlainIterates(self.model.scattered(columns, n_features))


def _bound(length, alpha, l1_ratio, scalars, coordinates):
    """The L1 threshold of each feature after steps of this total length."""
    if alpha is None:
        alpha, length = 1.0, length / scalars.weight if scalars.weight > 0 else 0.0
    with np.errstate(over="ignore"):
        bound = alpha * l1_ratio * length * coordinates.step_scale.astype(np.float64) * coordinates.penalty_scale
    return np.minimum(bound, np.finfo(coordinates.step_scale.dtype).max / 4)


@dataclass
class Stream:
    """A model, and the statistics of the rows that it has learnt from.

    Attributes
    ----------
    class_counts : ndarray of shape (n_classes,)
        The total weight of the rows of each class, without class weights.
    moments : Moments
        The moments of each feature. A stream of explicit steps does not compute any.
    scalars : StreamScalars
    iterates : Iterates, PlainIterates or None
        `Iterates` of the automatic step, or `PlainIterates` of explicit steps. None
        before the first row, after an automatic `fit`, and after the model was
        assigned.
    original : Model or None
        The model to predict with, in the units of X. None until it is asked for.
    averages : bool
        Whether the model to predict with is the average of the iterates.
    standardizes : bool
        Whether the penalty has a scale for each feature.
    progressive_loss : ndarray of shape (4,)
        The progressive loss; see ProgressiveLoss in kernels/kernels.h.
    prior_counts : ndarray of shape (n_classes,) or None
        The total weight of the rows of each class, with class weights. The intercepts
        belong to classes of these shares. None if not known.
    """

    class_counts: np.ndarray
    moments: Moments
    scalars: StreamScalars
    iterates: Iterates | PlainIterates | None = None
    original: Model | None = None
    averages: bool = True
    standardizes: bool = True
    progressive_loss: np.ndarray = field(default_factory=lambda: np.zeros(4))
    prior_counts: np.ndarray | None = None

    @classmethod
    def from_model(cls, model, weight):
        """A stream with a model that has learnt from rows of total weight `weight`.

        Nothing else is known of these rows.
        """
        n_features, dtype = len(model.weights), model.weights.dtype
        moments = Moments.zeros(n_features, dtype)
        scalars = StreamScalars.of(weight=weight, average_total=weight, steps_total=weight)
        prior_counts = np.zeros(model.n_classes) if weight == 0 else None
        return cls(np.zeros(model.n_classes), moments, scalars, original=model, prior_counts=prior_counts)

    @classmethod
    def combined(cls, streams, factors):
        """One stream of all rows, without a model.

        The rows of each stream are weighted by its factor.
        """
        prior_counts = [stream.prior_counts for stream in streams]
        return cls(
            weighted_sum([stream.class_counts for stream in streams], factors),
            Moments.combined([stream.moments for stream in streams], factors),
            StreamScalars.combined([stream.scalars for stream in streams], factors),
            averages=streams[0].averages,
            standardizes=streams[0].standardizes,
            progressive_loss=weighted_sum([stream.progressive_loss for stream in streams], factors),
            prior_counts=None if any(counts is None for counts in prior_counts) else weighted_sum(prior_counts, factors),
        )

    @property
    def weight(self):
        """Total weight of the rows."""
        return self.scalars.weight

    @property
    def class_prior(self):
        """The shares of the classes to which the intercepts belong; None if not known."""
        if self.prior_counts is None or not self.prior_counts.any():
            return None
        return self.prior_counts / self.prior_counts.sum()

    @property
    def is_watched(self):
        """Whether the average is compared with the iterate."""
        return self.averages and not isinstance(self.iterates, PlainIterates)

    @property
    def knows_features(self):
        """Whether the moments of the rows are known."""
        return self.scalars.n_rows > 0 or bool(self.moments.weight.any())

    @property
    def scale(self):
        """The penalty's scale of each feature."""
        if not self.standardizes:
            return np.ones(len(self.moments.weight))
        return self._spreads()[1]

    @property
    def mean(self):
        """The mean of each feature; 0 if the moments are not known."""
        return self._spreads()[0]

    @property
    def weight_of_features(self):
        """Total weight of the rows where each feature is not 0; of all if not known."""
        return self.moments.weight if self.knows_features else np.full(len(self.moments.weight), self.weight)

    @property
    def deviation(self):
        """The standard deviation of each feature over all rows; None if not known."""
        if not self.knows_features:
            return None
        _, active_deviation, _, share = self._spreads()
        return active_deviation * np.sqrt(share)

    def sums_of_squares(self, about_mean):
        """Weighted sums of squares; as if all values were 1 if not known."""
        if not self.knows_features:
            return np.full(len(self.moments.weight), self.weight)
        _, active_deviation, root_mean_square, share = self._spreads()
        return np.square(active_deviation if about_mean else root_mean_square) * share * max(self.weight, TINY)

    def _spreads(self):
        return self.moments.spreads(max(self.weight, TINY))

    def predictor(self):
        """The model to predict with, in the units of X."""
        if self.original is None:
            self.original = self.iterates.original(self.averages, self.standardizes)
        return self.original

    def rows_and_predictor(self, X):
        """X and the model to predict with.

        Both have only the features that occur in X if computing the others would cost
        much more.
        """
        is_cheap = self.original is not None or not self.iterates.reads_by_feature
        narrow = None if is_cheap else narrowed(X)
        if narrow is None:
            return X, self.predictor()
        X, features = narrow
        return X, self.iterates.original(self.averages, self.standardizes, features)

    @property
    def dtype(self):
        """The dtype of the coefficients."""
        return (self.original if self.iterates is None else self.iterates.model).weights.dtype

    @property
    def is_bare(self):
        """Whether the stream holds no other model than the one to predict with."""
        return self.iterates is None or self.iterates.is_bare

    def check_finite(self):
        """Raise an error if the model to predict with is not finite."""
        if not self.predictor().is_finite():
            raise not_finite()

    def with_model(self, model):
        """This stream with another model to go on from."""
        return replace(self, iterates=None, original=model)

    def with_prior(self, model, prior):
        """A copy with another model to go on from, whose intercepts belong to a prior."""
        stream = self.with_model(model).copy()
        # the iterates of this stream go on with its moments
        return replace(stream, moments=self.moments.copy(), prior_counts=prior * self.weight)

    def scattered(self, columns, n_features):
        """This stream after `fit`, with its features at `columns`."""
        return replace(
            self,
            moments=self.moments.scattered(columns, n_features),
            iterates=self.iterates and self.iterates.scattered(columns, n_features),
            original=self.original and self.original.scattered(columns, n_features),
        )

    def with_class(self, at, fit_intercept, n_more=1):
        """This stream with a new class, number `at`, the first of `n_more`."""
        seen, n_classes = self.weight if fit_intercept else 0, len(self.class_counts)
        scalars = self.scalars.copy()
        scalars.curvature *= n_classes / (n_classes + 1)
        iterates, original = self.iterates, self.original
        if isinstance(iterates, Iterates) and iterates.l1_ratio > 0:
            # the new class has the mean of the weights after the threshold, which is
            # not the threshold of the mean before it
            iterates, original = None, self.predictor()
        return replace(
            self,
            class_counts=np.insert(self.class_counts, at, 0),
            prior_counts=None if self.prior_counts is None else np.insert(self.prior_counts, at, 0),
            scalars=scalars,
            iterates=iterates and iterates.with_class(at, seen, scalars, n_more),
            original=original.with_class(at, seen) if iterates is None else None,
        )

    def __getstate__(self):
        # the iterates have the same objects, or determine them
        of_iterates = ()
        if self.iterates is not None:
            of_iterates = ("moments", "scalars", "original") if isinstance(self.iterates, Iterates) else ("original",)
        return vars(self) | dict.fromkeys(of_iterates)

    def __setstate__(self, state):
        vars(self).update(state)
        if self.iterates is not None:
            self._go_on_with(self.iterates)

    def trainable(self, settings):
        """This stream for the rule and the options of the settings.

        Kernels can write to its memory, and its scalars are its own.
        """
        is_automatic, averages = settings.learning_rate == "auto", settings.average is not None
        standardizes = is_automatic and settings.standardize
        if self.iterates is not None and isinstance(self.iterates, Iterates) != is_automatic:
            return self.restarted().trainable(settings)
        if not is_automatic and self.knows_features:
            return self.restarted().trainable(settings)
        iterates = self.iterates
        if iterates is None and not is_automatic:
            iterates = PlainIterates(self.original)
        iterates = iterates and iterates.trainable(averages)
        is_same = (self.averages, self.standardizes) == (averages, standardizes)
        if is_automatic and is_same and iterates is not None and iterates is self.iterates:
            return self
        progressive_loss = np.require(self.progressive_loss, requirements="W")
        stream = replace(
            self, averages=averages, standardizes=standardizes, progressive_loss=progressive_loss, scalars=self.scalars.copy()
        )
        if not is_automatic:
            stream.original = None  # which may share its memory with the iterates
        if iterates is not None:
            stream._go_on_with(iterates)
        return stream

    def restarted(self):
        """A stream that goes on from the model and the total weight alone.

        One rule of steps cannot use the statistics of the other.
        """
        stream = Stream.from_model(self.predictor(), self.weight)
        return replace(
            stream, class_counts=self.class_counts, progressive_loss=self.progressive_loss, prior_counts=self.prior_counts
        )

    def copy(self):
        """A copy that shares no memory that training changes."""
        stream = replace(self, scalars=self.scalars.copy(), progressive_loss=self.progressive_loss.copy())
        if self.iterates is not None:
            stream.original = None  # which may share its memory with these iterates
            stream._go_on_with(self.iterates.copy())
        return stream

    def tentative(self, X, n_more, forgets):
        """(stream, undo): a stream that may learn from X and meet `n_more` new classes.

        ``undo()`` restores what it has changed in the memory that it shares with this
        one. `forgets` is whether it learns with ``forgetting="auto"``.
        """
        stream = replace(self, scalars=self.scalars.copy(), progressive_loss=self.progressive_loss.copy())
        if self.iterates is None:
            return stream, lambda: None
        iterates, undo = self.iterates.tentative(X, n_more, forgets)
        stream.original = None
        stream._go_on_with(iterates)
        return stream, undo

    def _go_on_with(self, iterates):
        self.iterates = iterates
        if isinstance(iterates, Iterates):
            self.moments, self.scalars = iterates.features, iterates.scalars

    def learn(self, problem, settings):
        """Learn from each row once, in order, by the automatic step.

        If a number overflows, an error is raised and the stream is as it was.
        """
        if self._is_safe(problem, settings):
            self._learn(problem, settings)
            return
        trial = self.copy()
        trial._learn(problem, settings)
        if not (trial.iterates.check_range() and np.isfinite(trial.progressive_loss).all()):
            raise not_finite()
        vars(self).update(vars(trial))

    def _is_safe(self, problem, settings):
        """Whether no step can overflow."""
        return (
            (self.iterates is None or self.iterates.is_moderate)
            and (settings.eta0 or 1.0) < LARGEST_STEP
            and (settings.alpha or 0.0) < LARGEST_ALPHA
            and kernels.are_moderate(
                kernel_rows(problem.X)[0],
                problem.sample_weight,
                largest_value=LARGEST_VALUE[problem.X.dtype],
                largest_weight=LARGEST_STEP,
            )
        )

    def _learn(self, problem, settings):
        kind = problem.is_sparse, settings.fit_intercept and not problem.is_sparse
        iterates = self.iterates
        if iterates is None or (iterates.is_sparse, iterates.is_centred) != kind or iterates.thresholds_otherwise(settings):
            iterates = self._entering(problem, *kind, settings)
        iterates.features.as_coarse_as(problem.rounding)
        iterates.forgets = settings.forgets
        penalty = Penalty(np.nan if settings.alpha is None else settings.alpha, settings.l1_ratio, len(self.class_counts))
        iterates.run(problem, penalty, settings, eta0=settings.eta0 or 1.0, adaptive=True, progressive_loss=self.progressive_loss)
        self._go_on_with(iterates)
        self.original = None

    def _entering(self, problem, is_sparse, is_centred, settings):
        """Iterates in new memory, in coordinates for dense or for sparse rows."""
        original = self.predictor()
        if self.scalars.weight > 0 and self.scalars.n_rows == 0 and not self.moments.weight.any():
            self.impute_statistics(problem)
        moments, scalars = self.moments.copy(), self.scalars.copy()
        n_features = len(self.moments.weight)
        coordinates = Coordinates.empty(n_features, original.weights.dtype)
        if scalars.weight > 0:
            coordinates = stream_coordinates(moments, scalars.weight, is_centred, settings.standardize, original.weights)
        weights, intercept = coordinates.from_original(original)
        share = None
        if self.iterates is not None and self.iterates.l1_ratio > 0:
            share = self.iterates.share_of_threshold(self.averages, self.standardizes)
        if settings.l1_ratio > 0 and scalars.length == 0 and scalars.weight > 0:
            scalars.length = scalars.expected_length(settings.eta0 or 1.0)
        iterates = Iterates.starting(
            weights, intercept, original.n_classes, coordinates, is_sparse, is_centred, moments, scalars,
            alpha=settings.alpha, l1_ratio=settings.l1_ratio, share=share,
        )  # fmt: skip
        iterates.is_balanced = _adds_up_to_zero(weights)
        return iterates

    def impute_statistics(self, problem):
        """Set the statistics of the rows behind a model that came without them.

        The rows of `problem` stand for the rows that the model has learnt from.
        """
        n_classes = len(self.class_counts)
        if problem.n_samples < FEW_ROWS:
            warnings.warn(
                "The feature scales of this model are not known, because its coefficients were assigned, or because "
                f"from_logistic_regression was called without X. The scales are now estimated from {problem.n_samples} row(s), "
                f"which is too few and may spoil the model. Pass at least {FEW_ROWS} rows in the first partial_fit, or pass X to "
                "from_logistic_regression.",
                stacklevel=2,
            )
        self.moments = Moments.of(problem.normalised()).times(self.scalars.weight / problem.n_samples)
        # A constant feature has the deviation 0, and would lose its coefficients. Its
        # deviation is set to |value|, or to 1 if the value is 0.
        moments = self.moments
        is_constant = moments.spreads(self.scalars.weight)[1] == 0
        moments.weight[is_constant] = self.scalars.weight
        moments.square[is_constant] = self.scalars.weight * np.where(moments.pivot == 0, 1, moments.pivot**2)[is_constant]
        share = moments.spreads(self.scalars.weight)[3]
        self.scalars.norm = self.scalars.weight * (1 + share.sum())
        self.scalars.curvature = self.scalars.weight * (1 - 1 / n_classes) / n_classes  # the largest: short steps
        self.scalars.average_weight = self.scalars.weight**4 / 4


def _adds_up_to_zero(weights):
    """Whether the weights of each feature add up to 0, but for rounding."""
    norms = np.sqrt(np.einsum("ij,ij->i", weights, weights))
    return bool(np.all(np.abs(weights.sum(axis=1)) <= ROUNDINGS * np.finfo(weights.dtype).eps * norms))
