"""How a model lies in memory. Transposing, padding and the special case of two classes happen here only.

The kernels want a row of weights per feature, with one number per class, padded to whole vectors and
starting on a cache line: an array of shape (n_features, n_padded). Users want ``coef_`` of shape
(n_classes, n_features), or (1, n_features) for two classes: a view of the same memory.

With two classes, softmax has the two rows -w/2 and w/2, where w is the row that users see. The array holds
(-w, w), to be read in units of 1/2, so that users' row can be a view here, too.
"""

from dataclasses import dataclass

import numpy as np

from . import kernels

__all__ = ["FLOATS", "Model", "aligned_zeros", "intercept_with_class", "not_finite", "with_class"]

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


def with_class(weights, intercept, n_classes, at, seen):
    """(weights, intercept), both padded, of a model with a class more, number `at`, that no row of total weight `seen` had.

    Its scores are the mean of those of the other K plus log(K * odds), odds = PRIOR / (seen + PRIOR * K). Since a mean of
    exponentials is not less than the exponential of the mean, its odds are at most that, and only where the others are equally
    probable. On rows about which the model is surer they are several times less: hence the number PRIOR. By experiment, and flat,
    it makes about the model that had the class from the start. (0 for `seen` leaves intercepts of 0 as they are.)
    """
    grown = Model.zeros(len(weights), n_classes + 1, weights.dtype)
    if n_classes > 1:  # one class alone has no weights
        grown.weights[:, :at] = weights[:, :at]
        grown.weights[:, at] = weights @ np.full(weights.shape[1], 1 / n_classes, dtype=weights.dtype)
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
        In units of ``unit``; 0 beyond `n_classes`.

    intercept : ndarray of shape (n_padded,), float64
        -inf beyond `n_classes`: a class that has probability 0.

    average, intercept_average : like weights and intercept, or None
        The mean of the iterates.

    averaged_weight : float
        The total weight of the iterates in the mean.
    """

    n_classes: int
    weights: np.ndarray
    intercept: np.ndarray
    average: np.ndarray | None = None
    intercept_average: np.ndarray | None = None
    averaged_weight: float = 0.0

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
    def unit(self):
        return 0.5 if self.n_classes == 2 else 1.0

    @property
    def _public_columns(self):
        return slice(1, 2) if self.n_classes == 2 else slice(self.n_classes)

    @property
    def coef(self):
        """View of shape (n_classes, n_features), or (1, n_features) for two classes."""
        return self.weights[:, self._public_columns].T

    def public_intercept(self):
        """Copy of shape (n_classes,), or (1,) for two classes, in the dtype of the weights."""
        return (self.intercept[self._public_columns] / self.unit).astype(self.weights.dtype)

    def set_public(self, coef, intercept):
        """Make `coef` and `intercept` the iterate."""
        coef = coef if isinstance(coef, np.ndarray) else coef.toarray()
        self.coef[:] = coef
        self.intercept[self._public_columns] = np.multiply(intercept, self.unit)
        if self.n_classes == 2:
            self.weights[:, 0] = -self.weights[:, 1]
            self.intercept[0] = -self.intercept[1]

    def set_rows(self, rows, intercept):
        """Make the weights of each class, of shape (n_classes, n_features), and the intercepts (n_classes,) the iterate."""
        if self.n_classes == 2:
            self.set_public((rows[1] - rows[0])[None], [intercept[1] - intercept[0]])
        else:
            self.set_public(rows, intercept)

    def rows(self):
        """The weights of each class, of shape (n_classes, n_features), and the intercepts (n_classes,)."""
        rows = self.weights[:, : self.n_classes].T
        if self.n_classes == 2:
            rows = rows * rows.dtype.type(self.unit)
        return rows, self.intercept[: self.n_classes]

    def point(self):
        """Weights and, last, intercepts of each class, of shape (n_features + 1, n_classes), in double; see `Objective`."""
        rows, intercept = self.rows()
        return np.vstack([rows.T.astype(np.float64), intercept])

    def predictor(self):
        """The model to predict with: the average if there is one, else the iterate; shares memory."""
        if self.averaged_weight > 0:
            return Model(self.n_classes, self.average, self.intercept_average)
        return Model(self.n_classes, self.weights, self.intercept)

    def trainable(self, average):
        """A model in memory that kernels can write to, with or without an average; shares memory if it can."""
        model = Model(self.n_classes, _aligned(self.weights), np.require(self.intercept, requirements="W"))
        if average:
            model.average = aligned_zeros(*self.weights.shape, self.weights.dtype)
            model.intercept_average = self.intercept.copy()
            if self.average is not None:
                model.average = _aligned(self.average)
                model.intercept_average = np.require(self.intercept_average, requirements="W")
                model.averaged_weight = self.averaged_weight
        return model

    def with_class(self, at, seen):
        """This model with a class more; see the function of that name."""

        def grown(weights, intercept):
            if self.unit != 1:
                weights = weights * weights.dtype.type(self.unit)
            return with_class(weights, intercept, self.n_classes, at, seen)

        model = Model(self.n_classes + 1, *grown(self.weights, self.intercept), averaged_weight=self.averaged_weight)
        if self.average is not None:
            model.average, model.intercept_average = grown(self.average, self.intercept_average)
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
