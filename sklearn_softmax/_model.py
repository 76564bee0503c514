"""The weights of a model: as arrays for the kernels, and as the coefficients of users.

No other file transposes or pads weights, or converts between the one row of
coefficients of two classes and their weights. Imports the kernels only, for the length
of their vectors.

The kernels need the weights of a feature side by side, with one number per class. Their
array of shape (n_features, n_padded) starts on a cache line, and is padded to whole
vectors. ``coef_`` of shape (n_classes, n_features) is a view of the same memory.

With two classes users see one row w, the coefficients of the log odds of the second
class. The rows of the softmax are -w/2 and w/2, and the arrays hold one column, w/2.
Weights and intercepts whose mean over the two classes is not 0 are centred at this
border, because a number that both scores have in common changes no probability.
"""

from dataclasses import dataclass, replace

import numpy as np

from . import kernels

__all__ = [
    "FLOATS",
    "Model",
    "aligned_zeros",
    "by_class",
    "columns_of",
    "intercept_with_class",
    "not_finite",
    "numbers_of_rows",
    "soft_threshold",
    "with_class",
]

FLOATS = (np.float64, np.float32)  # the types of weights
ALIGNMENT = 64  # bytes: a cache line
NARROW = 32  # bytes: longer rows are padded to whole vectors of the machine
PRIOR = 10.0  # a class that never occurred counts as rows of this weight


def _address(array):
    return array.__array_interface__["data"][0]


def aligned_zeros(n_features, n_padded, dtype):
    """An array that starts on a cache line."""
    n_bytes = n_features * n_padded * np.dtype(dtype).itemsize
    memory = np.zeros(n_bytes + ALIGNMENT, dtype=np.uint8)
    start = -_address(memory) % ALIGNMENT
    return memory[start : start + n_bytes].view(dtype).reshape(n_features, n_padded)


def _is_aligned(weights):
    """Whether a kernel can write to the weights."""
    flags = weights.flags
    return flags.c_contiguous and flags.writeable and _address(weights) % ALIGNMENT == 0


def _aligned(weights):
    """The weights themselves if a kernel can write to them, else a copy."""
    if _is_aligned(weights):
        return weights
    copy = aligned_zeros(*weights.shape, weights.dtype)
    copy[:] = weights
    return copy


def by_class(columns, n_classes):
    """The columns of the kernels, as an array with a number for each class.

    A view without the padding. Of the one column of two classes a copy.
    """
    if n_classes != 2:
        return columns[..., :n_classes]
    return np.concatenate([-columns, columns], axis=-1)


def columns_of(array):
    """A view of an array with a number for each class: the columns of the kernels."""
    return array[..., 1:] if array.shape[-1] == 2 else array


def numbers_of_rows(problem, model, lanes=None):
    """What the kernels add to the residuals and to the scores of the rows of a problem.

    Returns their arguments `label_shift` and `score_offset` as a dict. For `lanes` see
    `Iterates`.
    """
    return {
        "label_shift": _padded_rows(problem.label_shift, model, lanes),
        "score_offset": _padded_rows(problem.offset, model, lanes),
    }


def _padded_rows(rows, model, lanes):
    """An array of shape (n_samples, n_classes), or None, as the kernels take it."""
    if rows is None:
        return None
    if lanes is not None:
        rows = rows[:, np.argsort(lanes)]
    columns = columns_of(rows)
    padded = aligned_zeros(len(rows), model.weights.shape[1], model.weights.dtype)
    padded[:, : columns.shape[1]] = columns
    return padded


def not_finite():
    """The error for coefficients that are not finite."""
    return ValueError(
        "After these rows, coefficients would be infinite or NaN. The model stays as it was. One of X, sample_weight, alpha and "
        "eta0 has extreme numbers. Divide them by a constant."
    )


def soft_threshold(weights, amount):
    """sign(w) max(|w| - amount, 0); `amount` is a number or broadcasts."""
    amount = np.asarray(amount, dtype=weights.dtype)
    return np.maximum(weights - amount, 0) + np.minimum(weights + amount, 0)


def _after_threshold(weights, threshold):
    """`soft_threshold` in new memory, or the weights themselves if `threshold` is 0."""
    if threshold == 0:
        return weights
    left = aligned_zeros(*weights.shape, weights.dtype)
    left[:] = soft_threshold(weights, min(threshold, float(np.finfo(weights.dtype).max) / 4))
    return left


def _before_threshold(weights, threshold):
    """The inverse of `_after_threshold`; weights of 0 stay 0."""
    before = aligned_zeros(*weights.shape, weights.dtype)
    before[:] = weights + np.sign(weights) * weights.dtype.type(threshold)
    return before


def _mean_of_classes(weights, n_classes, threshold):
    """Weights of a new class: after the threshold they are the mean of the others."""
    if threshold == 0:
        return weights @ np.full(weights.shape[1], 1 / n_classes, dtype=weights.dtype)
    return _before_threshold(_after_threshold(weights, threshold).sum(axis=1, keepdims=True) / n_classes, threshold)[:, 0]


def with_class(weights, intercept, n_classes, at, seen, threshold=0.0):
    """(weights, intercept), padded, of a model with a new class, number `at`.

    The model has learnt from rows of total weight `seen`, none of the new class. With K
    other classes, its score on a row is

        score_new = mean_k score_k + log(K odds),    odds = PRIOR / (seen + PRIOR K).

    The mean of exponentials is at least the exponential of the mean. So exp(score_new)
    is at most `odds` times the sum of the exponentials of the others, with equality
    where these are equally probable. On rows where the model is surer, it is several
    times less.

    PRIOR was found by experiment: it makes about the model that had the class from the
    start, and other values near it do as well. A `seen` of 0 leaves intercepts of 0 at
    0. The mean is that of the weights after the threshold.
    """
    weights, intercept = by_class(weights, n_classes), by_class(intercept, n_classes)
    grown = Model.zeros(len(weights), n_classes + 1, weights.dtype)
    if n_classes > 1:  # a single class has no weights
        grown.weights[:, :at] = weights[:, :at]
        grown.weights[:, at] = _mean_of_classes(weights, n_classes, threshold)
        grown.weights[:, at + 1 : n_classes + 1] = weights[:, at:n_classes]
    grown.intercept[: grown.n_columns] = columns_of(intercept_with_class(intercept, at, seen))
    return grown.weights, grown.intercept


def intercept_with_class(others, at, seen):
    """The intercepts of `with_class` for the intercepts `others`; without padding."""
    n_classes = len(others)
    intercept = np.insert(others, at, others.mean() + np.log(n_classes * PRIOR / (seen + PRIOR * n_classes)))
    return intercept - intercept.mean()  # a common shift changes no probability


@dataclass
class Model:
    """The state of one softmax model: the iterate and, if it is averaged, its average.

    Attributes
    ----------
    n_classes : int
        1 only in a stream that has seen one class so far.

    weights : ndarray of shape (n_features, n_padded), float32 or float64
        The padding beyond `n_classes` is 0. Two classes are one column, without
        padding.

    intercept : ndarray of shape (n_padded,), float64
        The padding beyond `n_classes` is -inf, which has probability 0.

    average, intercept_average : like weights and intercept, or None
        The mean of the iterates.

    averaged_weight : float
        The total weight of the iterates in the mean.

    threshold, average_threshold : float
        The models of the iterate and of the average are the soft thresholds of
        `weights` and `average` by these numbers; see kernels/explicit.h.
    """

    n_classes: int
    weights: np.ndarray
    intercept: np.ndarray
    average: np.ndarray | None = None
    intercept_average: np.ndarray | None = None
    averaged_weight: float = 0.0
    threshold: float = 0.0
    average_threshold: float = 0.0

    @classmethod
    def zeros(cls, n_features, n_classes, dtype):
        """A model that gives all classes the same probability."""
        if n_classes == 2:
            return cls(2, aligned_zeros(n_features, 1, dtype), np.zeros(1))
        itemsize = np.dtype(dtype).itemsize
        lanes = (NARROW if n_classes * itemsize <= NARROW else max(NARROW, kernels.vector_bytes())) // itemsize
        n_padded = -(-n_classes // lanes) * lanes
        intercept = np.full(n_padded, -np.inf)
        intercept[:n_classes] = 0
        return cls(n_classes, aligned_zeros(n_features, n_padded, dtype), intercept)

    @classmethod
    def from_public(cls, coef, intercept, n_classes=None):
        """The model whose public form is `coef` and `intercept`.

        Parameters
        ----------
        coef : ndarray or sparse of shape (n_classes, n_features) or (1, n_features)
        intercept : ndarray of shape (n_classes,) or (1,)
        n_classes : int or None
            None is the number of rows of `coef`, or two if there is one row.
        """
        n_rows, n_features = coef.shape
        model = cls.zeros(n_features, n_classes or max(n_rows, 2), coef.dtype)
        model.set_public(coef, intercept)
        return model

    @property
    def coef(self):
        """A view of shape (n_classes, n_features).

        For two classes it is a read-only array of shape (1, n_features).
        """
        if self.n_classes != 2:
            return self.weights[:, : self.n_classes].T
        coef = 2 * self.weights.T
        coef.flags.writeable = False
        return coef

    def public_intercept(self):
        """A copy: (n_classes,), or (1,) for two classes, in the dtype of coef."""
        intercept = 2 * self.intercept if self.n_classes == 2 else self.intercept[: self.n_classes]
        return intercept.astype(self.weights.dtype)

    def set_public(self, coef, intercept):
        """Make `coef` and `intercept`, as users see them, the iterate."""
        coef, intercept = coef if isinstance(coef, np.ndarray) else coef.toarray(), np.asarray(intercept)
        if self.n_classes == 2:
            coef, intercept = coef / 2, intercept / 2
        self.weights[:, : self.n_columns] = coef.T
        self.intercept[: self.n_columns] = intercept

    def set_softmax_coef(self, rows, intercept):
        """Make the weights and the intercepts of each class the iterate.

        The two rows of two classes are centred to -w/2 and w/2, which changes no
        probability.

        Parameters
        ----------
        rows : ndarray of shape (n_classes, n_features)
        intercept : ndarray of shape (n_classes,)
        """
        if self.n_classes == 2:
            rows, intercept = ((array[1:] - array[:1]) / 2 for array in (np.asarray(rows), np.asarray(intercept)))
        self.weights[:, : self.n_columns] = rows.T
        self.intercept[: self.n_columns] = intercept

    def softmax_coef(self):
        """Weights (n_classes, n_features) and intercepts (n_classes,).

        They are views, or copies if there are two classes.
        """
        return by_class(self.weights, self.n_classes).T, by_class(self.intercept, self.n_classes)

    @property
    def n_columns(self):
        """The number of columns that are not padding."""
        return 1 if self.n_classes == 2 else self.n_classes

    def columns(self):
        """Views: weights (n_features, n_columns) and intercepts (n_columns,)."""
        return self.weights[:, : self.n_columns], self.intercept[: self.n_columns]

    def point(self):
        """The weights and, in the last row, the intercepts, in double; see `Objective`.

        The shape is (n_features + 1, n_classes).
        """
        rows, intercept = self.softmax_coef()
        return np.vstack([rows.T.astype(np.float64), intercept])

    @property
    def is_averaged(self):
        """Whether the model to predict with is the average."""
        return self.averaged_weight > 0

    @property
    def has_threshold(self):
        """Whether the model to predict with needs a soft threshold."""
        return (self.average_threshold if self.is_averaged else self.threshold) > 0

    def iterate(self, features=slice(None)):
        """The iterate after its threshold; shares memory if the threshold is 0."""
        return Model(self.n_classes, _after_threshold(self.weights[features], self.threshold), self.intercept)

    def predictor(self, features=slice(None)):
        """The average, else the iterate, after its threshold; may share memory."""
        if not self.is_averaged:
            return self.iterate(features)
        average = _after_threshold(self.average[features], self.average_threshold)
        return Model(self.n_classes, average, self.intercept_average)

    def settle(self):
        """Apply the thresholds, in new memory."""
        self.weights, self.threshold = _after_threshold(self.weights, self.threshold), 0.0
        if self.average is not None:
            self.average, self.average_threshold = _after_threshold(self.average, self.average_threshold), 0.0

    def enter(self, threshold):
        """Set a threshold, such that the iterate and the average do not change."""
        self.weights, self.threshold = _before_threshold(self.weights, threshold), threshold
        if self.is_averaged:
            self.average, self.average_threshold = _before_threshold(self.average, threshold), threshold

    def trainable(self, average):
        """This model in memory that kernels can write to, with or without an average.

        It shares memory with this model if it can.
        """
        model = Model(self.n_classes, _aligned(self.weights), np.require(self.intercept, requirements="W"))
        model.threshold = self.threshold
        if average:
            model.average = aligned_zeros(*self.weights.shape, self.weights.dtype)
            model.intercept_average = self.intercept.copy()
            if self.average is not None:
                model.average = _aligned(self.average)
                model.intercept_average = np.require(self.intercept_average, requirements="W")
                model.averaged_weight, model.average_threshold = self.averaged_weight, self.average_threshold
        return model

    def with_class(self, at, seen):
        """This model with a new class; see the function `with_class`."""
        n_classes = self.n_classes
        grown = with_class(self.weights, self.intercept, n_classes, at, seen, self.threshold)
        model = replace(self, n_classes=n_classes + 1, weights=grown[0], intercept=grown[1])
        if self.average is not None:
            grown = with_class(self.average, self.intercept_average, n_classes, at, seen, self.average_threshold)
            model.average, model.intercept_average = grown
        return model

    def gathered(self, columns):
        """This model with these features only."""
        average = None if self.average is None else self.average[columns]
        return replace(self, weights=self.weights[columns], average=average)

    def scattered(self, columns, n_features):
        """The model of `n_features` with these coefficients at `columns`, and 0 elsewhere."""

        def everywhere(rows):
            if rows is None:
                return None
            array = aligned_zeros(n_features, rows.shape[1], rows.dtype)
            array[columns] = rows
            return array

        return replace(self, weights=everywhere(self.weights), average=everywhere(self.average))

    def is_aligned(self):
        """Whether kernels can write to the iterate and its average."""
        return _is_aligned(self.weights) and (self.average is None or _is_aligned(self.average))

    def is_finite(self):
        arrays = [self.weights, self.intercept[: self.n_classes]]
        if self.average is not None:
            arrays += [self.average, self.intercept_average[: self.n_classes]]
        return all(np.isfinite(array).all() for array in arrays)

    def copy(self):
        """A copy that shares no memory."""
        copy = Model(self.n_classes, aligned_zeros(*self.weights.shape, self.weights.dtype), self.intercept.copy())
        copy.assign(self)
        return copy

    def assign(self, other):
        """Overwrite this model with `other`, in place."""
        self.weights[:] = other.weights
        self.intercept[:] = other.intercept
        if other.average is None:
            self.average, self.intercept_average = None, None
        else:
            if self.average is None:
                self.average = aligned_zeros(*other.average.shape, other.average.dtype)
                self.intercept_average = np.empty_like(other.intercept_average)
            self.average[:] = other.average
            self.intercept_average[:] = other.intercept_average
        self.averaged_weight = other.averaged_weight
        self.threshold, self.average_threshold = other.threshold, other.average_threshold
