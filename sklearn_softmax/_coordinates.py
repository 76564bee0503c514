"""The moments of each feature, and the coordinates in which the automatic step works.

Moments are weighted, and those of the values that are not 0. So dense and sparse
containers of the same data have the same moments, and a row costs as much as its
nonzeros. The moments determine the scale of the penalty, which is the active standard
deviation v_j,

    v_j^2 = Var_j / (share of the rows where x_j != 0).

They also determine the coordinates (x_j - offset_j) / scale_j of the solver. The scale
of the penalty is part of the objective. The coordinates are not: with others, the
solver takes another path to the same optimum.

Imports matrices, models and the kernels.
"""

from dataclasses import dataclass

import numpy as np

from . import kernels
from ._matrix import inverse_or_zero, kernel_rows
from ._model import Model, aligned_zeros

__all__ = ["Coordinates", "Moments", "scale_of_classes", "scale_of_features", "solver_coordinates", "stream_coordinates"]

# In the solver's scale, sqrt(Var + PENALTY_IN_SCALE alpha v^2) for dense data, and
# root_mean_square * share^(RARITY_EXPONENT / 2) for sparse data. By experiment; the
# number of epochs depends little on either.
PENALTY_IN_SCALE = 20.0
RARITY_EXPONENT = 0.25
# The smallest scale of a dense column, relative to |mean|. A smaller variation is the
# rounding of x - offset.
SMALLEST_RELATIVE_SCALE = 1e-12
# A dense column whose scale is more than this share of the largest number is not centred:
# the difference of a value from the mean may have no number.
LARGEST_CENTRED = 1 / 64
# The smallest scale of a sparse column, in units of sqrt(alpha) * (scale of the
# penalty). The penalty keeps the coefficients of a smaller one next to 0; if its scale
# were smaller as well, steps of the length of the penalty's curvature would not end.
SMALLEST_SCALE_OF_PENALTY = 1e-2
# A class is rare if its share is less than 1 / (this times the number of classes).
RARE_CLASS = 10.0
# The smallest scale of the gradient of a class. `tol` times this is about the rounding.
SMALLEST_SCALE_OF_CLASS = 1e-9


def ratio_or_zero(values, sums):
    """values / sums, or 0 where the sum is 0; the inverse of a sum may overflow."""
    return np.divide(values, sums, out=np.zeros(np.broadcast(values, sums).shape), where=sums > 0)


def weighted_sum(values, factors):
    """sum_i factors[i] values[i], clipped at 0; negative factors remove rows."""
    return np.maximum(np.dot(factors, values), 0)


# A total weight counts as at least this, so that its moments are not 0.
SMALLEST_TOTAL = 1e-100
N_COLUMNS = 8


def _column(index):
    """A property: column `index` of the numbers."""

    def column(moments):
        return moments.numbers[:, index]

    return property(column)


@dataclass
class Moments:
    """Moments of the nonzero values of each feature, and when it was last updated.

    Attributes
    ----------
    numbers : ndarray of shape (n_features, 8), float64
        A cache line for each feature. The properties below are its columns, in this
        order.
    unit : ndarray of shape (n_features,)
        A power of two such that squares of z = unit * x neither overflow nor underflow.
    weight, pivot, sum, square : ndarray of shape (n_features,)
        The total weight of the values, a number among the values of z, and the weighted
        sums of z - pivot and of (z - pivot)^2.
    penalty_updated_at, average_updated_at : ndarray of shape (n_features,)
        The values of `penalty_step` and `average_weight` of the stream when the penalty
        and the average of a feature of sparse rows were last brought up to date.
    rounding : ndarray of shape (n_features,)
        The eps of the dtype of the values. A feature is constant if it varies by no
        more than a few of these.
    """

    numbers: np.ndarray

    unit = _column(0)
    weight = _column(1)
    pivot = _column(2)
    sum = _column(3)
    square = _column(4)
    penalty_updated_at = _column(5)
    average_updated_at = _column(6)
    rounding = _column(7)

    @classmethod
    def zeros(cls, n_features, dtype=np.float64):
        """Moments before the first value; values will have this dtype."""
        moments = cls(aligned_zeros(n_features, N_COLUMNS, np.float64))
        moments.unit[:] = 1
        moments.rounding[:] = np.finfo(dtype).eps
        return moments

    @classmethod
    def of(cls, problem):
        moments = cls.zeros(problem.X.shape[1], problem.X.dtype).as_coarse_as(problem.rounding)
        kernels.accumulate(*kernel_rows(problem.X), sample_weight=problem.sample_weight, features=moments.numbers)
        return moments

    @classmethod
    def combined(cls, all_moments, factors):
        """The moments of all rows, with the rows of each weighted by its factor.

        A negative factor removes rows. Sums of squares about different means are
        converted to the common mean (Chan, Golub and LeVeque 1983).
        """
        combined = cls.zeros(len(all_moments[0].numbers))
        units = np.min([np.where(moments.weight > 0, moments.unit, np.inf) for moments in all_moments], axis=0)
        combined.unit[:] = np.where(np.isinf(units), 1, units)
        combined.rounding[:] = np.max([moments.rounding for moments in all_moments], axis=0)
        weight, pivot, square = combined.weight, combined.pivot, combined.square
        about_means = [moments._about_mean(combined.unit) for moments in all_moments]
        for factor, (part, _, _) in zip(factors, about_means):
            weight += factor * part
        for factor, (part, mean, _) in zip(factors, about_means):
            pivot += ratio_or_zero(factor * part, weight) * mean
        for factor, (part, mean, part_square) in zip(factors, about_means):
            square += factor * (part_square + part * np.square(mean - pivot))
        np.maximum(square, 0, out=square)
        return combined

    def _about_mean(self, unit):
        """(weight, mean, sum of squares about the mean) of z = unit * x."""
        shift = ratio_or_zero(self.sum, self.weight)
        change = unit / self.unit
        return self.weight, (self.pivot + shift) * change, (self.square - self.sum * shift) * np.square(change)

    def as_coarse_as(self, rounding):
        """These moments, of values of which some came with this eps."""
        if len(self.numbers) and rounding > self.numbers[0, 7]:
            self.rounding[:] = rounding
        return self

    def copy(self):
        copy = Moments.zeros(len(self.numbers))
        copy.numbers[:] = self.numbers
        return copy

    def times(self, factor):
        """The moments of the same rows with `factor` times their weights."""
        moments = self.copy()
        for sums in (moments.weight, moments.sum, moments.square):
            sums *= factor
        return moments

    def scattered(self, columns, n_features):
        """These moments at `columns` of `n_features`, and no values elsewhere."""
        moments = Moments.zeros(n_features)
        moments.rounding[:] = self.rounding.max()
        moments.numbers[columns] = self.numbers
        return moments

    def stamp(self, penalty_step, average_weight):
        """Record that all features are up to date."""
        self.penalty_updated_at[:], self.average_updated_at[:] = penalty_step, average_weight

    def spreads(self, total_weight):
        """Statistics of each feature over all rows: four arrays of shape (n_features,).

        Returns
        -------
        mean : of all rows
        active_deviation : v at the top of this file
        root_mean_square : of the values that are not 0
        share : of the total weight, in rows where the feature is not 0
        """
        spreads = np.empty((4, len(self.numbers)))
        kernels.spreads(self.numbers, total_weight, spreads)
        return spreads


@dataclass
class Coordinates:
    """The coordinates of the solver: (x - offset) * inverse_scale.

    Attributes
    ----------
    offset, inverse_scale, step_scale, penalty_scale : ndarray of shape (n_features,)
        Arrays in the dtype of the model. A step along the feature is `step_scale` times
        as long. The penalty acts on ``penalty_scale * weight``. An inverse scale of 0
        leaves a feature out.
    """

    offset: np.ndarray
    inverse_scale: np.ndarray
    step_scale: np.ndarray
    penalty_scale: np.ndarray

    @classmethod
    def empty(cls, n_features, dtype):
        return cls(*(np.zeros(n_features, dtype) for _ in range(4)))

    def copy(self):
        return Coordinates(self.offset.copy(), self.inverse_scale.copy(), self.step_scale.copy(), self.penalty_scale.copy())

    def scale(self):
        """1 / inverse_scale in double, 0 for a feature that is left out."""
        return inverse_or_zero(self.inverse_scale.astype(np.float64))

    def per_unit(self, feature_scale, class_scale):
        """The inverse unit of each entry of the gradient in a point, for `Tolerance`.

        The units are those of `scale_of_features` and `scale_of_classes`.
        """
        per_feature = np.append(self.scale() * inverse_or_zero(feature_scale), 1.0)
        return np.outer(per_feature, inverse_or_zero(class_scale))

    def point(self, coef, intercept):
        """The point (see `Objective`), in double, of coefficients in the units of X."""
        scale = self.scale()
        coef = np.where(scale > 0, coef, 0.0)
        return np.vstack([(coef * scale).T, intercept + coef @ self.offset.astype(np.float64)])

    def coef(self, point):
        """(coefficients, intercepts) of a point, in the units of X and in double."""
        coef = (point[:-1] * self.inverse_scale[:, None].astype(np.float64)).T
        return coef, point[-1] - coef @ self.offset.astype(np.float64)

    def to_original(self, weights, intercept, n_classes):
        """The `Model` in the units of X, of weights in these coordinates."""
        model = Model.zeros(len(weights), n_classes, weights.dtype)
        columns, constants = model.columns()
        n_columns = len(constants)
        largest = np.finfo(weights.dtype).max / 4  # a feature of tiny values may exceed it
        with np.errstate(over="ignore", invalid="ignore"):
            rows = np.clip((weights[:, :n_columns] * self.inverse_scale[:, None]).T, -largest, largest)
            shift = rows.astype(np.float64) @ self.offset
            if not np.isfinite(shift).all():  # clip each product before the sum
                most = np.finfo(np.float64).max / (4 * len(weights))
                shift = np.clip(rows.astype(np.float64) * self.offset, -most, most).sum(axis=1)
        columns[:], constants[:] = rows.T, np.clip(intercept[:n_columns] - shift, -largest, largest)
        return model

    def from_original(self, model):
        """(weights, intercept) in these coordinates, of a model in the units of X.

        The weights of a feature that the coordinates leave out are lost.
        """
        weights, intercept = model.columns()
        scale = self.scale()
        here = Model.zeros(len(scale), model.n_classes, model.weights.dtype)
        columns, constants = here.columns()
        columns[:] = (weights.T * scale).T
        constants[:] = intercept + np.where(scale > 0, weights.T, 0).astype(np.float64) @ self.offset
        return here.weights, here.intercept


def scale_of_features(spreads):
    """The unit of each feature for `tol`: its deviation, or the value of a constant."""
    _, active_deviation, root_mean_square, _ = spreads
    return np.where(active_deviation > 0, active_deviation, root_mean_square)


def scale_of_classes(class_weight):
    """The unit of the gradient of each class for `tol`.

    The curvature of the mean loss for class a is the mean of p_a (1 - p_a). At the
    optimum it is at most min(s_a, 1 - s_a), where s_a is the share of the class. So for
    the same gradient, the coefficients of a rarer class are further from the optimum.

    Parameters
    ----------
    class_weight : ndarray of shape (n_classes,)
        The total weight of the rows of each class.

    Returns
    -------
    scale : ndarray of shape (n_classes,)
        ``10 K min(s_a, 1 - s_a)`` for rare classes, and for the others 1.
    """
    shares = class_weight / class_weight.sum()
    return np.clip(RARE_CLASS * len(shares) * np.minimum(shares, 1 - shares), SMALLEST_SCALE_OF_CLASS, 1)


def stream_coordinates(moments, total_weight, centre, standardize, weights):
    """The coordinates of a stream with these weights, after this total weight."""
    coordinates = Coordinates.empty(len(weights), weights.dtype)
    kernels.set_stream_coordinates(
        moments.numbers, total_weight, centre=centre, standardize=standardize, coordinates=coordinates, weights=weights
    )
    return coordinates


def solver_coordinates(spreads, penalty_scale, alpha, *, is_sparse, fit_intercept, dtype):
    """The coordinates of `fit`.

    Dense data are centred and have unit variance, or without an intercept unit mean
    square. The nonzero values of a feature of sparse data have the mean square
    share^-RARITY_EXPONENT. A strong penalty of a feature makes its scale larger.

    Parameters
    ----------
    spreads : tuple, see `Moments.spreads`
    penalty_scale : ndarray of shape (n_features,)
        A feature with the scale 0 is left out. So is a constant feature of centred
        data.
    alpha : float
    is_sparse, fit_intercept : bool
    dtype : of the arrays
    """
    centre = fit_intercept and not is_sparse
    mean, active_deviation, root_mean_square, share = spreads
    if is_sparse:
        scale = root_mean_square * share ** (RARITY_EXPONENT / 2)
        scale = np.maximum(scale, SMALLEST_SCALE_OF_PENALTY * np.sqrt(alpha) * penalty_scale)
    else:
        scale = np.sqrt(share) * (active_deviation if centre else root_mean_square)
        scale = np.maximum(scale, SMALLEST_RELATIVE_SCALE * np.abs(mean))
        mean = np.where(scale > LARGEST_CENTRED * np.finfo(dtype).max, 0, mean)
        with np.errstate(over="ignore"):
            of_penalty = np.minimum(np.sqrt(PENALTY_IN_SCALE * alpha) * penalty_scale, 1e307)
            scale = np.minimum(np.hypot(scale, of_penalty), np.finfo(np.float64).max)
    moves = (penalty_scale > 0) & (active_deviation > 0 if centre else True)  # a constant feature is part of the intercept
    inverse_scale = np.minimum(inverse_or_zero(np.where(moves, scale, 0)), np.finfo(dtype).max)
    arrays = (mean if centre else np.zeros_like(mean), inverse_scale, np.ones_like(scale), penalty_scale * inverse_scale)
    return Coordinates(*(array.astype(dtype) for array in arrays))
