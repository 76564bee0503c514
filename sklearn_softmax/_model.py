"""The weights of a model: as arrays for the kernels, and as the coefficients that users see.

Nothing else transposes or pads, or knows how the one row of coefficients of two classes
is related to their weights. Imports the kernels only, for the length of their vectors.

The kernels want the weights of a feature side by side, one number per class, padded to
whole vectors and starting on a cache line: an array of shape (n_features, n_padded).
Users want ``coef_`` of shape (n_classes, n_features): a view of the same memory.

With two classes users see one row w, the log odds of the second class. The softmax has
the two rows -w/2 and w/2, and these are what all arrays hold.
"""

from dataclasses import dataclass, replace

import numpy as np

from . import kernels

__all__ = ["FLOATS", "Model", "aligned_zeros", "intercept_with_class", "not_finite", "soft_threshold", "with_class"]

FLOATS = (np.float64, np.float32)  # the types of weights
ALIGNMENT = 64  # bytes: a cache line
NARROW = 32  # bytes: rows that are longer than this are padded to whole vectors of the machine
PRIOR = 10.0  # the weight of the rows that a class that never occurred counts as


def aligned_zeros(n_features, n_padded, dtype):
    """An array that starts on a cache line."""
    n_bytes = n_features * n_padded * np.dtype(dtype).itemsize
    memory = np.zeros(n_bytes + ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes].view(dtype).reshape(n_features, n_padded)


def _is_aligned(weights):
    """Whether a kernel can write to it."""
    flags = weights.flags
    return flags.c_contiguous and flags.writeable and weights.__array_interface__["data"][0] % ALIGNMENT == 0


def _aligned(weights):
    """`weights` itself if a kernel can write to it, else a copy."""
    if _is_aligned(weights):
        return weights
    copy = aligned_zeros(*weights.shape, weights.dtype)
    copy[:] = weights
    return copy


def not_finite():
    """The error that says so."""
    return ValueError(
        "These rows lead to coefficients that are no finite numbers; the model is as it was. Divide X, sample_weight, alpha and "
        "eta0, whichever is extreme, by a number that makes it moderate."
    )


def soft_threshold(weights, amount):
    """What is left of weights when `amount`, a number or an array that broadcasts, is taken from their absolute values."""
    amount = np.asarray(amount, dtype=weights.dtype)
    return np.maximum(weights - amount, 0) + np.minimum(weights + amount, 0)


def _after_threshold(weights, threshold):
    """`soft_threshold`; `weights` themselves if it takes nothing."""
    if threshold == 0:
        return weights
    left = aligned_zeros(*weights.shape, weights.dtype)
    left[:] = soft_threshold(weights, min(threshold, float(np.finfo(weights.dtype).max) / 4))
    return left


def _before_threshold(weights, threshold):
    """Weights of which `threshold` leaves these."""
    before = aligned_zeros(*weights.shape, weights.dtype)
    before[:] = weights + np.sign(weights) * weights.dtype.type(threshold)
    return before


def _mean_of_classes(weights, n_classes, threshold):
    """The mean of the weights of each feature, of classes after the threshold; itself before it."""
    if threshold == 0:
        return weights @ np.full(weights.shape[1], 1 / n_classes, dtype=weights.dtype)
    return _before_threshold(_after_threshold(weights, threshold).sum(axis=1, keepdims=True) / n_classes, threshold)[:, 0]


def with_class(weights, intercept, n_classes, at, seen, threshold=0.0):
    """(weights, intercept), both padded, of a model with a class more, number `at`, that no row of total weight `seen` had.

    Its scores are the mean of those of the other K plus log(K * odds), odds = PRIOR / (seen + PRIOR * K). Since a mean of
    exponentials is not less than the exponential of the mean, its odds are at most that, and only where the others are equally
    probable. On rows about which the model is surer they are several times less: hence the number PRIOR. By experiment, and flat,
    it makes about the model that had the class from the start. (0 for `seen` leaves intercepts of 0 as they are.) Where the model
    is what `threshold` leaves of the weights, so it is with the mean.
    """
    grown = Model.zeros(len(weights), n_classes + 1, weights.dtype)
    if n_classes > 1:  # one class alone has no weights
        grown.weights[:, :at] = weights[:, :at]
        grown.weights[:, at] = _mean_of_classes(weights, n_classes, threshold)
        grown.weights[:, at + 1 : n_classes + 1] = weights[:, at:n_classes]
    grown.intercept[: n_classes + 1] = intercept_with_class(intercept[:n_classes], at, seen)
    return grown.weights, grown.intercept


def intercept_with_class(others, at, seen):
    """The intercepts of `with_class`, of a model with the intercepts `others`; both without padding."""
    n_classes = len(others)
    intercept = np.insert(others, at, others.mean() + np.log(n_classes * PRIOR / (seen + PRIOR * n_classes)))
    return intercept - intercept.mean()  # which changes no probability


@dataclass
class Model:
    """The state of one softmax model: the iterate and, if it is averaged, its average.

    Attributes
    ----------
    n_classes : int
        1 only in a stream that is still to meet another class.

    weights : ndarray of shape (n_features, n_padded), float32 or float64
        0 beyond `n_classes`.

    intercept : ndarray of shape (n_padded,), float64
        -inf beyond `n_classes`: a class that has probability 0.

    average, intercept_average : like weights and intercept, or None
        The mean of the iterates.

    averaged_weight : float
        The total weight of the iterates in the mean.

    threshold, average_threshold : float
        What an L1 penalty takes from the weights, and from their average, to make the models
        of the iterate and the average; see kernels/explicit.h.
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
            None: as many as there are rows, or two if there is one.
        """
        n_rows, n_features = coef.shape
        model = cls.zeros(n_features, n_classes or max(n_rows, 2), coef.dtype)
        model.set_public(coef, intercept)
        return model

    @property
    def coef(self):
        """A view of shape (n_classes, n_features); for two classes a read-only array of shape (1, n_features)."""
        if self.n_classes != 2:
            return self.weights[:, : self.n_classes].T
        coef = 2 * self.weights[:, 1:2].T
        coef.flags.writeable = False
        return coef

    def public_intercept(self):
        """A copy of shape (n_classes,), or (1,) for two classes, in the dtype of the weights."""
        intercept = 2 * self.intercept[1:2] if self.n_classes == 2 else self.intercept[: self.n_classes]
        return intercept.astype(self.weights.dtype)

    def set_public(self, coef, intercept):
        """Make `coef` and `intercept`, as users see them, the iterate."""
        coef, intercept = coef if isinstance(coef, np.ndarray) else coef.toarray(), np.asarray(intercept)
        if self.n_classes == 2:
            coef, intercept = np.concatenate([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
        self.weights[:, : self.n_classes] = coef.T
        self.intercept[: self.n_classes] = intercept

    def set_softmax_coef(self, rows, intercept):
        """Make the weights of each class, of shape (n_classes, n_features), and the intercepts (n_classes,) the iterate.

        Those of two classes become each other's negative, which changes no probability.
        """
        if self.n_classes == 2:
            rows, intercept = ((array - array[::-1]) / 2 for array in (np.asarray(rows), np.asarray(intercept)))
        self.weights[:, : self.n_classes] = rows.T
        self.intercept[: self.n_classes] = intercept

    def softmax_coef(self):
        """The weights of each class, a view of shape (n_classes, n_features), and the intercepts (n_classes,)."""
        return self.weights[:, : self.n_classes].T, self.intercept[: self.n_classes]

    def point(self):
        """Weights and, last, intercepts of each class, of shape (n_features + 1, n_classes), in double; see `Objective`."""
        rows, intercept = self.softmax_coef()
        return np.vstack([rows.T.astype(np.float64), intercept])

    @property
    def is_averaged(self):
        """Whether there is an average to predict with."""
        return self.averaged_weight > 0

    @property
    def has_threshold(self):
        """Whether the model to predict with is what a threshold leaves."""
        return (self.average_threshold if self.is_averaged else self.threshold) > 0

    def iterate(self, features=slice(None)):
        """The model of the iterate, of some features, after its threshold; shares memory if there is none."""
        return Model(self.n_classes, _after_threshold(self.weights[features], self.threshold), self.intercept)

    def predictor(self, features=slice(None)):
        """The model to predict with: that of the average if there is one, else of the iterate; shares memory if it can."""
        if not self.is_averaged:
            return self.iterate(features)
        average = _after_threshold(self.average[features], self.average_threshold)
        return Model(self.n_classes, average, self.intercept_average)

    def settle(self):
        """Let the thresholds act, in new memory."""
        self.weights, self.threshold = _after_threshold(self.weights, self.threshold), 0.0
        if self.average is not None:
            self.average, self.average_threshold = _after_threshold(self.average, self.average_threshold), 0.0

    def enter(self, threshold):
        """Let the weights and their average be such that this threshold leaves of both what they are now, in new memory."""
        self.weights, self.threshold = _before_threshold(self.weights, threshold), threshold
        if self.is_averaged:
            self.average, self.average_threshold = _before_threshold(self.average, threshold), threshold

    def trainable(self, average):
        """A model in memory that kernels can write to, with an average or without; shares memory if it can."""
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
        """This model with a class more; see the function of that name."""
        n_classes = self.n_classes
        grown = with_class(self.weights, self.intercept, n_classes, at, seen, self.threshold)
        model = replace(self, n_classes=n_classes + 1, weights=grown[0], intercept=grown[1])
        if self.average is not None:
            grown = with_class(self.average, self.intercept_average, n_classes, at, seen, self.average_threshold)
            model.average, model.intercept_average = grown
        return model

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
