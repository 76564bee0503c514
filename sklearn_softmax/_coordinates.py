"""What is known of each feature, and the coordinates in which the automatic step sees it.

The moments are of the values that are not zero, weighted, so that a dense and a sparse container of the same data have the same
ones, and a row costs its nonzeros. From them follow the scale of the penalty, the active standard deviation

    v_j^2 = Var_j / (share of the rows where x_j != 0),

which belongs to the model, and the coordinates (x_j - offset_j) / scale_j of the solver, which do not: another choice is another
way to the same optimum.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse

from . import kernels
from ._matrix import inverse_or_zero, kernel_rows
from ._model import Model, aligned_zeros

__all__ = ["Coordinates", "Moments", "scale_of_classes", "scale_of_features", "solver_coordinates", "stream_coordinates"]

# How far the penalty enters the solver's scale, and how much less a rare feature of sparse data counts: by experiment, and flat.
PENALTY_IN_SCALE = 20.0
RARITY_EXPONENT = 0.25
# Of the mean of a dense column. What varies less is the rounding of x - offset.
SMALLEST_RELATIVE_SCALE = 1e-12
# Of the penalty's scale, of sparse columns: what the penalty holds so fast does not move, and its square stays a number.
SMALLEST_SCALE_OF_PENALTY = 1e-12
# A class is rare if its share is less than 1 / (this times the number of classes).
RARE_CLASS = 10.0
# Of the gradient of a class; `tol` times this is about what rounding leaves.
SMALLEST_SCALE_OF_CLASS = 1e-9


def ratio_or_zero(values, sums):
    """values / sums of weights, which may be so small that they have no inverse; 0 where the sum is 0."""
    return np.divide(values, sums, out=np.zeros(np.broadcast(values, sums).shape), where=sums > 0)


def weighted_sum(values, factors):
    """Of numbers or arrays that are not negative; nor is the sum, when factors that are negative take rows away again."""
    return np.maximum(np.dot(factors, values), 0)


# A total weight counts as this at least, so that moments of such a weight are no zeros.
SMALLEST_TOTAL = 1e-100
N_COLUMNS = 8


def _column(index):
    """A property: column `index` of the numbers."""

    def column(moments):
        return moments.numbers[:, index]

    return property(column)


@dataclass
class Moments:
    """Moments of the values of each feature that are not zero, and what else a stream remembers of each.

    Attributes
    ----------
    numbers : ndarray of shape (n_features, 8), float64
        A cache line for each feature; its columns are the following.
    unit : ndarray of shape (n_features,)
        A power of two, so that squares of z = unit * x neither overflow nor vanish.
    weight, pivot, sum, square : ndarray of shape (n_features,)
        The total weight of the values, one of z, and the weighted sums of z - pivot and of (z - pivot)^2.
    penalty_updated_at, average_updated_at : ndarray of shape (n_features,)
        What the clock said when the penalty and the average of a feature of sparse rows were up to date.
    rounding : ndarray of shape (n_features,)
        The eps of the dtype in which the values came: what varies by no more than some of it is constant.
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
        """Moments before the first value, of the dtype that is given."""
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
        """The moments of all rows, those of each with `factor` times their weights; negative ones take rows away again.

        Sums of squares about different means are brought to the common one (Chan, Golub and LeVeque 1983).
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
        """(weight, mean, sum of squares about it) of z = unit * x."""
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
        """The moments of `n_features` features: these at `columns`, and no values of all others."""
        moments = Moments.zeros(n_features)
        moments.rounding[:] = self.rounding.max()
        moments.numbers[columns] = self.numbers
        return moments

    def stamp(self, penalty_step, average_weight):
        """Say that all features are up to date."""
        self.penalty_updated_at[:], self.average_updated_at[:] = penalty_step, average_weight

    def spreads(self, total_weight):
        """Of all rows, of total weight `total_weight`: four arrays of shape (n_features,).

        Returns
        -------
        mean : over all rows
        active_deviation : v as above
        root_mean_square : of the values that are not zero
        share : of the weight that is in rows where the feature is not zero
        """
        spreads = np.empty((4, len(self.numbers)))
        kernels.spreads(self.numbers, total_weight, spreads)
        return spreads


@dataclass
class Coordinates:
    """How the solver sees features: (x - offset) * inverse_scale.

    Attributes
    ----------
    offset, inverse_scale, step_scale, penalty_scale : ndarray of shape (n_features,), in the dtype of the model
        A step along the feature is `step_scale` times as long. The penalty acts on
        ``penalty_scale * weight``. An inverse scale of 0 leaves a feature out.
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

    def point(self, coef, intercept):
        """The point, see `Objective`, of coefficients (n_classes, n_features) and intercepts in the units of X; in double."""
        scale = self.scale()
        coef = np.where(scale > 0, coef, 0.0)
        return np.vstack([(coef * scale).T, intercept + coef @ self.offset.astype(np.float64)])

    def coef(self, point):
        """(coefficients, intercepts) of a point, in the units of X and in double."""
        coef = (point[:-1] * self.inverse_scale[:, None].astype(np.float64)).T
        return coef, point[-1] - coef @ self.offset.astype(np.float64)

    def to_original(self, weights, intercept, n_classes):
        """The model in the units of X whose weights in these coordinates are given; see `Model`."""
        model = Model.zeros(len(weights), n_classes, weights.dtype)
        largest = np.finfo(weights.dtype).max / 4  # which a feature of values next to 0 may exceed
        with np.errstate(over="ignore", invalid="ignore"):
            rows = np.clip((weights[:, :n_classes] * self.inverse_scale[:, None]).T, -largest, largest)
            shift = rows.astype(np.float64) @ self.offset
            if not np.isfinite(shift).all():  # products overflow, each to the side where it is cut off
                most = np.finfo(np.float64).max / (4 * len(weights))
                shift = np.clip(rows.astype(np.float64) * self.offset, -most, most).sum(axis=1)
        model.set_softmax_coef(rows, np.clip(intercept[:n_classes] - shift, -largest, largest))
        return model

    def from_original(self, model):
        """(weights, intercept) of a model in the units of X, in these coordinates. What they leave out is lost."""
        rows, intercept = model.softmax_coef()
        scale = self.scale()
        here = Model.zeros(len(scale), model.n_classes, model.weights.dtype)
        here.weights[:, : model.n_classes] = (rows * scale).T
        here.intercept[: model.n_classes] = intercept + np.where(scale > 0, rows, 0).astype(np.float64) @ self.offset
        return here.weights, here.intercept


def scale_of_features(spreads):
    """In which the gradient for each feature is measured: its deviation, or the value of a constant column; see `Moments`."""
    _, active_deviation, root_mean_square, _ = spreads
    return np.where(active_deviation > 0, active_deviation, root_mean_square)


def scale_of_classes(class_weight):
    """In which the gradient of each class is measured.

    The curvature of the mean loss for class a is the mean of p_a (1 - p_a), which at the
    optimum is at most min(s_a, 1 - s_a), where s_a is the share of the class. So a gradient of
    the same size leaves the more to do, in coefficients, the rarer the class is.

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
    """The coordinates of a stream after rows of total weight `total_weight`, for the model with `weights`."""
    coordinates = Coordinates.empty(len(weights), weights.dtype)
    kernels.set_stream_coordinates(
        moments.numbers, total_weight, centre=centre, standardize=standardize, coordinates=coordinates, weights=weights
    )
    return coordinates


def solver_coordinates(X, spreads, penalty_scale, alpha, centre):
    """The coordinates of `fit`: dense data centred, if there is an intercept, of unit variance; sparse data of unit mean square.

    A feature whose coefficients the penalty holds back has less to move, and counts less; so does a rare one of sparse data.

    Parameters
    ----------
    X : dense or CSR
    spreads : tuple, see `Moments.spreads`
    penalty_scale : ndarray of shape (n_features,)
        A feature with 0 is left out; of centred data, a constant one too.
    alpha : float
    centre : bool
    """
    mean, active_deviation, root_mean_square, share = spreads
    if issparse(X):
        scale = root_mean_square * share ** (RARITY_EXPONENT / 2)
        scale = np.maximum(scale, SMALLEST_SCALE_OF_PENALTY * np.sqrt(alpha) * penalty_scale)
    else:
        scale = np.sqrt(share) * (active_deviation if centre else root_mean_square)
        scale = np.maximum(scale, SMALLEST_RELATIVE_SCALE * np.abs(mean))
        with np.errstate(over="ignore"):
            of_penalty = np.minimum(np.sqrt(PENALTY_IN_SCALE * alpha) * penalty_scale, 1e307)
        scale = np.hypot(scale, of_penalty)
    moves = (penalty_scale > 0) & (active_deviation > 0 if centre else True)  # else the intercept does it all
    inverse_scale = np.minimum(inverse_or_zero(np.where(moves, scale, 0)), np.finfo(X.dtype).max)
    arrays = (mean if centre else np.zeros_like(mean), inverse_scale, np.ones_like(scale), penalty_scale * inverse_scale)
    return Coordinates(*(array.astype(X.dtype) for array in arrays))
