"""Check user input once and make a `Problem` of it, which all other code trusts.

`fit` calls `fit_input` and `partial_fit` calls `stream_input`, with parameters by
value. Only `checked_X` sees the estimator, because scikit-learn remembers the columns
of X there. Both functions get `checked_X` as an argument, `check_X`.
"""

import numbers
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from . import kernels
from ._compat import uses_sparse_arrays
from ._containers import (
    are_among,
    as_numpy,
    columns_of,
    labels,
    labels_of_iterable,
    numbers_and_unseen,
    numbers_of,
    soft_labels,
    union_of_classes,
    unique_labels,
    unseen_labels,
    values_of_frame,
)
from ._matrix import kernel_rows, rows_in
from ._model import FLOATS
from ._objective import normalised

__all__ = [
    "FitInput",
    "Known",
    "Problem",
    "StreamInput",
    "arranged",
    "assigned_classes",
    "assigned_coefficients",
    "checked_X",
    "checked_offset",
    "checked_weight",
    "classes_of_columns",
    "fit_input",
    "labelled_problem",
    "mass_of",
    "own_dtype",
    "rounding_of",
    "stream_input",
    "unlabelled_problem",
    "weights_of_classes",
]

# The fourth power of the sum of weights, with which the average counts, must be finite.
LARGEST_WEIGHT = 1e30
LARGEST_OFFSET = 1e10
# Shares of classes may be rounded: if their sum is so near to 1, the row has the weight 1.
ROUNDING_OF_SHARES = 1e-6
NO_NUMBERS = np.empty(0, dtype=np.intp)
INDEX_TYPES = np.dtype(np.int32), np.dtype(np.int64)
NOT_CSR = "X is not a valid CSR matrix: "
NOT_RISING = NOT_CSR + "its indptr does not rise from 0 to the number of stored values."


class Known(NamedTuple):
    """What a model that is trained further knows about its input.

    Attributes
    ----------
    dtype : dtype
        The dtype of the coefficients, to which X is converted.
    classes : ndarray of shape (n_classes,)
        Labels, sorted.
    class_counts : ndarray of shape (n_classes,)
        The weight of each class so far, without class weights.
    """

    dtype: np.dtype
    classes: np.ndarray
    class_counts: np.ndarray


class Problem(NamedTuple):
    """Rows to learn from, or to score.

    Weights are as the user gave them, because a stream adds them up. A mean over rows
    divides the weights once, by `normalised` or by `Objective.shares` (with sum 1).

    Attributes
    ----------
    X : ndarray or CSR of shape (n_samples, n_features), float32 or float64
        C-contiguous, or canonical CSR.
    y : ndarray of shape (n_samples,), int32
        Class numbers.

    sample_weight : ndarray of shape (n_samples,), float64
        Positive weights of the rows, times the class weights.

    base_weight : ndarray of shape (n_samples,), float64
        Weights of the rows without the class weights.

    rounding : float
        The eps of the dtype in which the rows were given, if it is coarser than that of X.

    targets : ndarray of shape (n_samples, n_classes), float64, or None
        The label of each row as a distribution over the classes, times the class weights
        and normalised. `y` is then the class with the largest share. None: the labels are
        the classes `y`.

    base_targets : ndarray of shape (n_samples, n_classes), float64, or None
        The same without the class weights. None: as `targets`.

    offset : ndarray of shape (n_samples, n_classes), float64, or None
        What is added to the scores of each row, with the mean 0. None: nothing.
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray
    base_weight: np.ndarray
    rounding: float = 0.0
    targets: np.ndarray | None = None
    base_targets: np.ndarray | None = None
    offset: np.ndarray | None = None

    def with_targets(self, counts):
        """The problem with distributions as labels, in proportion to `counts`.

        A row of counts that are all 0 must have the weight 0.
        """
        sums = counts.sum(axis=1, keepdims=True)
        targets = np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0)
        return self._replace(targets=targets, y=targets.argmax(axis=1).astype(np.int32))

    def smoothed(self, share, is_known):
        """The problem whose labels are mixed with the uniform distribution.

        Parameters
        ----------
        share : float
            The share of the uniform distribution, over the known classes.
        is_known : ndarray of shape (n_classes,) or (n_samples, n_classes), bool
        """
        if not share:
            return self
        targets = self.targets
        if targets is None:
            targets = np.zeros((self.n_samples, is_known.shape[-1]))
            targets[np.arange(self.n_samples), self.y] = 1
        return self.with_targets((1 - share) * targets + share * (is_known / is_known.sum(axis=-1, keepdims=True)))

    @property
    def label_shift(self):
        """e_y - targets of each row, of shape (n_samples, n_classes), or None."""
        if self.targets is None:
            return None
        shift = -self.targets
        shift[np.arange(self.n_samples), self.y] += 1
        return shift

    @property
    def n_samples(self):
        return self.X.shape[0]

    @property
    def is_sparse(self):
        return issparse(self.X)

    def take(self, rows):
        """The problem with only these rows."""
        names = "X", "y", "sample_weight", "base_weight", "targets", "base_targets", "offset"
        arrays = {name: getattr(self, name) for name in names}
        return self._replace(**{name: array[rows] for name, array in arrays.items() if array is not None})

    def renumbered(self, is_kept):
        """The problem with numbers for the kept classes. Others must have no rows."""
        if is_kept.all():
            return self
        names = "targets", "base_targets", "offset"
        kept = {name: getattr(self, name)[:, is_kept] for name in names if getattr(self, name) is not None}
        if "offset" in kept:
            kept["offset"] -= kept["offset"].mean(axis=1, keepdims=True)
        return self._replace(y=(np.cumsum(is_kept) - 1).astype(np.int32)[self.y], **kept)

    def take_positive(self):
        """The problem without its rows of weight 0, which count as absent."""
        positive = self.sample_weight > 0
        return self if positive.all() else self.take(positive)

    def normalised(self):
        """The problem with weights of mean 1, as the steps of `fit` use them."""
        return self._replace(sample_weight=normalised(self.sample_weight))

    def weighted(self, factors):
        """The problem with its base weights times `factors`, one factor per row."""
        return self._replace(sample_weight=self.base_weight * factors).take_positive()

    def weighted_by_class(self, factors):
        """The problem with its base weights times a factor for each class.

        A label that is a distribution stands for copies of the row with each class, and
        the shares as weights.

        Parameters
        ----------
        factors : ndarray of shape (n_classes,) or (n_samples, n_classes)
        """
        if self.targets is None:
            return self.weighted(factors[self.y] if factors.ndim == 1 else factors[np.arange(self.n_samples), self.y])
        counts = self.targets * factors
        return self._replace(base_targets=self.targets).with_targets(counts).weighted(counts.sum(axis=1))

    def prior_counts(self, n_classes):
        """The weight of each class, with class weights."""
        if self.targets is not None:
            return self.sample_weight @ self.targets
        return np.bincount(self.y, weights=self.sample_weight, minlength=n_classes)

    def class_counts(self, n_classes):
        """The weight of each class, without class weights."""
        if self.targets is not None:
            return self.base_weight @ (self.targets if self.base_targets is None else self.base_targets)
        return np.bincount(self.y, weights=self.base_weight, minlength=n_classes)

    def first_rows(self, n_classes):
        """The first row of each class with a share of it; the number of rows if there is none."""
        first = np.full(n_classes, self.n_samples)
        if self.targets is None:
            labels, rows = np.unique(self.y, return_index=True)
            first[labels] = rows
        elif self.n_samples:
            occurs = self.targets > 0
            first = np.where(occurs.any(axis=0), occurs.argmax(axis=0), self.n_samples)
        return first

    def occurring(self, n_classes):
        """Which classes have a share of a row, as an array of booleans."""
        if self.targets is None:
            return np.bincount(self.y, minlength=n_classes) > 0
        return self.first_rows(n_classes) < self.n_samples


def _is_plain_memory(array):
    """Whether a pointer can walk through the array."""
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def _is_plain(X, dtypes):
    """Whether X is an array or a CSR matrix, of numbers that are all finite, which needs no other check.

    This test takes microseconds and is true in most calls.
    """
    if type(X) is np.ndarray:
        values, is_right = X, X.ndim == 2 and _is_plain_memory(X)
    elif isinstance(X, csr_matrix | csr_array):
        values, is_right = X.data, X.ndim == 2
    else:
        return False
    if not is_right or values.dtype not in dtypes or 0 in X.shape:
        return False
    with np.errstate(all="ignore"):  # if the sum overflows, the full check decides
        return bool(np.isfinite(np.add.reduce(values, axis=None)))


def _has_its_columns(estimator, X):
    """Whether the number of columns of X, without names, is what `estimator` remembers."""
    return X.shape[1] == getattr(estimator, "n_features_in_", None) and not hasattr(estimator, "feature_names_in_")


def _same_values(estimator, X, dtype):
    """The values of a frame with the same columns as the last frame.

    None if the columns differ, or if the values are not plain numbers.
    """
    names, checked = vars(estimator).get("_last_columns", (None, None))
    if names is None or names is not vars(estimator).get("feature_names_in_") or isinstance(X, np.ndarray):
        return None
    columns = columns_of(X)
    if columns is not checked:
        if type(columns) is not type(checked):
            return None
        if not (columns == checked if isinstance(columns, list) else columns.equals(checked)):
            return None
    values = values_of_frame(X)
    if values is None or len(values) == 0:
        return None
    with np.errstate(all="ignore"):
        values = np.require(values, dtype, "CA")
        return values if np.isfinite(np.add.reduce(values, axis=None)) else None


def checked_X(estimator, X, dtype, reset):
    """X in the form that the kernels read, without a copy if possible.

    X must have the columns (number and names) that `estimator` remembers. With `reset`,
    `estimator` remembers the columns of X.
    """
    if _is_plain(X, FLOATS if reset else (dtype,)) and (reset or _has_its_columns(estimator, X)):
        if reset:
            vars(estimator).pop("feature_names_in_", None)
            estimator.n_features_in_ = X.shape[1]
        return _canonical(X) if issparse(X) else X
    if not reset:
        values = _same_values(estimator, X, dtype)
        if values is not None:
            return values
    X, columns = as_numpy(X, "X"), columns_of(X)
    if columns is not None and reset:
        values = values_of_frame(X)
        if values is not None and values.dtype in FLOATS:
            dtype = values.dtype  # scikit-learn sees float32 only in pandas frames
    X = validate_data(estimator, X, reset=reset, dtype=dtype, order="C", accept_sparse="csr", accept_large_sparse=True)
    names = vars(estimator).get("feature_names_in_")
    if names is not None and columns is not None:
        estimator._last_columns = names, columns
    return _canonical(X) if issparse(X) else np.require(X, requirements="A")


def _canonical(X):
    """CSR with sorted, unique indices of one integer type, and without stored zeros.

    X is copied if it has to change.
    """
    # a wrong index would make a kernel read outside its arrays
    if len(X.indptr) != X.shape[0] + 1:
        raise ValueError(NOT_CSR + f"its indptr has {len(X.indptr)} numbers, expected {X.shape[0] + 1} for {X.shape[0]} rows.")
    if X.indptr[0] != 0 or X.indptr[-1] > len(X.data) or len(X.data) != len(X.indices):
        raise ValueError(NOT_RISING)
    arrays = X.data, X.indices, X.indptr
    if any(array.ndim != 1 for array in arrays):
        raise ValueError(NOT_CSR + "its data, indices and indptr are not vectors.")
    if X.indices.dtype != X.indptr.dtype or X.indices.dtype not in INDEX_TYPES or not all(map(_is_plain_memory, arrays)):
        if X.indices.dtype.kind not in "iu" or X.indptr.dtype.kind not in "iu":
            raise ValueError(NOT_CSR + "its indices and indptr are not integers.")
        data, *indices = (np.require(array, dtype, "CA") for array, dtype in zip(arrays, (None, np.int64, np.int64)))
        X = type(X)((data, *indices), shape=X.shape)
    flaw = kernels.flaw_of_csr(*kernel_rows(X), n_features=X.shape[1])
    if flaw == "starts":
        raise ValueError(NOT_RISING)
    if flaw == "columns":
        low, high = X.indices.min(), X.indices.max()
        raise ValueError(NOT_CSR + f"its column indices go from {low} to {high}, but X has {X.shape[1]} features.")
    if flaw:
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
        if not np.isfinite(X.data).all():
            raise ValueError(NOT_CSR + f"it has duplicates that add up to more than {X.dtype} can hold.")
    # arrays may be longer than the last row says, with anything behind it
    return rows_in(X, slice(0, X.shape[0])) if len(X.data) > X.indptr[-1] else X


def _checked_X_y(X, y, known, name, check_X):
    """X as `checked_X`, and y as one label, or the counts of the classes, per row.

    Returns
    -------
    X : ndarray or CSR
    y : ndarray of shape (n_samples,), or (n_samples, n_columns) if y has counts
    names : list or None
        The names of the columns of y, if it is a frame.
    """
    if y is None:
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
    X = check_X(X, FLOATS, True) if known is None else check_X(X, known.dtype, False)
    counts, names = soft_labels(y)
    y = labels(y) if counts is None else counts
    if len(y) != X.shape[0]:
        check_consistent_length(X, y)  # slow, so only where it will raise
    return X, y, names


def classes_of_columns(counts, names, classes, otherwise, y_name="y"):
    """The class of each column of counts: `classes`, the names of columns, or else."""
    n_columns = counts.shape[1]
    if isinstance(classes, set | frozenset):
        raise ValueError(f"classes={classes} is a set, but the columns of {y_name} have an order. Pass a list.")
    if classes is None and names is None:
        if otherwise is None:
            return np.arange(n_columns)
        if len(otherwise) != n_columns:
            raise ValueError(
                f"{y_name} has {n_columns} columns, but there are {len(otherwise)} classes: {otherwise}. Pass a column for each, "
                "in this order, or a dataframe whose columns have the names of classes."
            )
        return otherwise
    named = labels_of_iterable(list(names) if classes is None else classes)
    if len(named) != n_columns or len(np.unique(named)) != n_columns:
        raise ValueError(
            f"{y_name} has {n_columns} columns, but the classes that name them are {named.tolist()}. Pass one different label "
            "for each column, in their order."
        )
    return named


def arranged(counts, named, classes):
    """The counts with a column for each of `classes`, of which `named` may be a part."""
    arranged = np.zeros((len(counts), len(classes)))
    for column in range(len(named)):
        numbers, unseen = numbers_and_unseen(named[column : column + 1], classes)
        if len(unseen) == 0:
            arranged[:, numbers[0]] = counts[:, column]
    return arranged


def mass_of(counts, y_name="y"):
    """The sum of the counts of each row, which multiplies its weight."""
    mass = counts.sum(axis=1)
    if not (mass <= LARGEST_WEIGHT).all():
        raise ValueError(f"{y_name} has a row whose sum is {mass.max()}, more than {LARGEST_WEIGHT:g}. Divide y by one number.")
    return np.where(np.abs(mass - 1) <= ROUNDING_OF_SHARES, 1.0, mass)


def checked_offset(offset, n_samples, n_classes, name="offset"):
    """`offset` as an array of shape (n_samples, n_classes), float64, with the means 0.

    The result is None if `offset` is None.
    """
    if offset is None:
        return None
    try:
        array = np.asarray(as_numpy(offset, name), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} has a value that is no number of float64 ({error}). Pass real numbers.") from error
    if n_classes == 2 and array.shape == (n_samples,):
        array = np.column_stack([-0.5 * array, 0.5 * array])
    if array.shape != (n_samples, n_classes):
        of_two = f", or {(n_samples,)}, on the log odds of the second class" if n_classes == 2 else ""
        raise ValueError(
            f"{name}.shape == {array.shape}, expected {(n_samples, n_classes)}{of_two}: one number per row of X and class."
        )
    if not (np.abs(array) <= LARGEST_OFFSET).all():
        wrong = array[~(np.abs(array) <= LARGEST_OFFSET)][0]
        raise ValueError(f"{name} has the value {wrong}. Pass finite numbers of at most {LARGEST_OFFSET:g} in size.")
    return array - array.mean(axis=1, keepdims=True)


def checked_weight(sample_weight, n_samples, name="sample_weight"):
    """`sample_weight` as an array of shape (n_samples,), float64."""
    if sample_weight is None:
        return np.ones(n_samples)
    weight = np.asarray(as_numpy(sample_weight, name))
    if weight.dtype.kind not in "biufO" or (weight.dtype.kind == "O" and any(isinstance(value, str) for value in weight.ravel())):
        what = "complex numbers" if weight.dtype.kind == "c" else f"{weight.dtype}, for instance {weight.ravel()[:1].tolist()}"
        raise ValueError(f"{name} has {what}. Pass real numbers.")
    try:
        weight = np.array(weight, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} has a value that is no number of float64 ({error}). Pass real numbers.") from error
    if isinstance(sample_weight, numbers.Number):
        weight = np.full(n_samples, weight)
    if weight.ndim != 1:
        advice = f" Its shape is {weight.shape}: pass one weight per row, as by numpy.ravel." if weight.ndim == 2 else ""
        raise ValueError(f"Sample weights must be 1D array or scalar, got {weight.ndim}D array for {name!r}.{advice}")
    if weight.shape != (n_samples,):
        raise ValueError(f"{name}.shape == {weight.shape}, expected {(n_samples,)}: one weight per row of X.")
    if not np.isfinite(weight).all():
        raise ValueError(f"{name} contains NaN or infinity: {weight[~np.isfinite(weight)][0]}. Pass finite weights.")
    if (weight < 0).any():
        raise ValueError(f"Negative values in data passed to {name!r}: {weight.min()}. Use 0 to leave a row out.")
    if (weight > LARGEST_WEIGHT).any():
        raise ValueError(
            f"{name} has a weight of {weight.max()}, more than {LARGEST_WEIGHT:g}. Divide all weights by one number."
        )
    return weight


def _balance(counts):
    """Weights that give all classes that occur the same total weight.

    A class has the weight: total weight / (number of classes that occur * its weight).
    """
    occur = counts > 0
    return np.divide(counts.sum(), occur.sum() * counts, out=np.zeros_like(counts), where=occur)


def weights_of_classes(class_weight, classes, counts, may_grow=False):
    if class_weight is None:
        return np.ones(len(classes))
    if class_weight == "balanced":
        return _balance(counts)
    known = classes.tolist()
    unknown = sorted(set(class_weight) - set(known), key=list(class_weight).index)
    if unknown and not may_grow and any(label not in class_weight for label in known):  # a misspelt label
        raise ValueError(f"class_weight has keys {unknown} that are not labels. The classes are {classes}. Use these as keys.")
    weights = np.array([class_weight.get(label, 1.0) for label in known], dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            f"class_weight={class_weight!r} must not have negative, infinite or NaN weights. Use 0 to leave a class out."
        )
    if (weights > LARGEST_WEIGHT).any():
        raise ValueError(f"class_weight has a weight of {weights.max()}, more than {LARGEST_WEIGHT:g}. Divide all by one number.")
    return weights


def unlabelled_problem(X, check_X, dtype):
    """Rows whose labels do not matter -> Problem."""
    rounding, X = rounding_of(X), check_X(X, dtype, False)
    ones = np.ones(X.shape[0])
    return Problem(X, np.zeros(X.shape[0], dtype=np.int32), ones, ones, rounding)


def labelled_problem(X, y, sample_weight, offset, classes, *, check_X, name, class_weight):
    """Rows with labels of a model that is not trained further -> (Problem, which rows of X have a positive weight and are in it).

    A label that is not among the classes is an error.
    """
    rounding, known = rounding_of(X), Known(own_dtype(X), classes, np.zeros(len(classes)))
    X, y, _ = _checked_X_y(X, y, known, name, check_X)
    if y.ndim == 2:
        raise ValueError(f"y has {y.shape[1]} columns, one for each class, which is not supported here. Pass one label per row.")
    y = numbers_of(y, classes, "y", "Pass the rows that the model was fitted on.")
    base_weight = checked_weight(sample_weight, X.shape[0])
    counts = np.bincount(y, weights=base_weight, minlength=len(classes))
    sample_weight = base_weight * weights_of_classes(class_weight, classes, counts)[y]
    is_positive = sample_weight > 0
    if not is_positive.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    offset = checked_offset(offset, X.shape[0], len(classes))
    return Problem(X, y, sample_weight, base_weight, rounding, offset=offset).take_positive(), is_positive


def own_dtype(X):
    """The dtype in which X is read if there is no other reason: float32 if X is of that type, else float64."""
    return np.dtype(np.float32 if rounding_of(X) else np.float64)


def rounding_of(X):
    """The eps of float32 if X is of that type, else 0.

    (Numbers of float16 are so coarse that what they do not tell apart may be meant.)
    """
    dtype = getattr(X, "dtype", None)
    is_float32 = isinstance(dtype, np.dtype) and dtype == np.float32
    return float(np.finfo(np.float32).eps) if is_float32 else 0.0


# fit ----------------------------------------------------------------------------------


class FitInput(NamedTuple):
    """What `fit` learns from.

    Attributes
    ----------
    problem : Problem
        The rows of positive weight, with numbers for the present classes only.
    validation : Problem or None
        Rows to validate on, with the same numbers of classes.
    classes : ndarray of shape (n_classes,)
        Sorted labels. They are those of y (rows of weight 0 included), or the classes
        of the model that is trained further.
    is_present : ndarray of shape (n_classes,), bool
        With an intercept, the classes that have a row of positive weight; else all.
    counts : ndarray of shape (n_rows,), bool
        Which rows of X have a positive weight. They are those of the problem and, if a
        part of X is held out, of `validation`.
    """

    problem: Problem
    validation: Problem | None
    classes: np.ndarray
    is_present: np.ndarray
    counts: np.ndarray


def fit_input(
    X,
    y,
    sample_weight,
    *,
    classes=None,
    offset=None,
    X_val=None,
    y_val=None,
    sample_weight_val=None,
    offset_val=None,
    known,
    check_X,
    name,
    class_weight,
    label_smoothing,
    new_classes,
    fit_intercept,
    early_stopping,
    validation_fraction,
    random,
):
    """Input of ``fit`` -> FitInput.

    Parameters
    ----------
    X, y, sample_weight, classes, offset, X_val, y_val, sample_weight_val, offset_val
        As `fit` takes them.
    known : Known or None
        What the model knows from which training continues. None: a new model.
    check_X : function
        `checked_X` without its first argument.
    name : str
        Name of the estimator, for messages.
    class_weight, label_smoothing, new_classes, fit_intercept, early_stopping, validation_fraction
        The parameters of the estimator.
    random : function
        Without arguments; the RandomState for the split, which takes long to seed.
    """
    rounding = rounding_of(X)
    X, y, names = _checked_X_y(X, y, known, name, check_X)
    base_weight, is_soft = checked_weight(sample_weight, X.shape[0]), y.ndim == 2
    if is_soft:
        columns = classes_of_columns(y, names, classes, None if known is None else known.classes)
        base_weight = base_weight * mass_of(y)
    if not (base_weight > 0).any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number"
            + (", in a row of y that is not all 0." if is_soft else ".")
        )
    labels_of_y = columns if is_soft else unique_labels(y)
    if not is_soft and 2 * len(labels_of_y) > len(y):
        check_classification_targets(y)  # warns that y may be a regression target
    if len(labels_of_y) == 1:
        raise ValueError(
            f"{name} needs samples of at least 2 classes in the data, but the data contains only one class: "
            f"{labels_of_y.tolist()[0]!r}"
        )
    if is_soft:
        counting, classes = columns[(y[base_weight > 0] > 0).any(axis=0)], np.unique(columns)
    elif classes is None:
        counting, classes = unique_labels(y[base_weight > 0]), labels_of_y
    else:
        counting = classes = np.unique(labels_of_iterable(classes))
        numbers_of(y[base_weight > 0], classes, "y", "Pass all labels that can occur as classes=, or None.")
    if known is not None:
        classes = _classes_to_go_on_with(known.classes, counting, may_grow=new_classes == "add")
    numbers = np.zeros(X.shape[0], dtype=np.int32) if is_soft else numbers_and_unseen(y, classes)[0]
    # the numbers are meaningless for rows of weight 0
    offset = checked_offset(offset, X.shape[0], len(classes))
    problem = Problem(X, numbers, base_weight, base_weight, rounding, offset=offset)
    if is_soft:
        problem = problem.with_targets(arranged(y, columns, classes))
    problem = problem.take_positive().smoothed(label_smoothing, np.ones(len(classes), dtype=bool))

    class_weights, counts = None, base_weight > 0
    if class_weight is not None:
        class_weights = weights_of_classes(class_weight, classes, problem.class_counts(len(classes)))
        problem = problem.weighted_by_class(class_weights)
        counts &= (arranged(y, columns, classes) @ class_weights > 0) if is_soft else class_weights[numbers] > 0
    if problem.n_samples == 0:
        raise ValueError(f"class_weight={class_weight!r} gives every class in y the weight zero. Leave one positive.")
    is_present = np.ones(len(classes), dtype=bool)
    if fit_intercept:
        is_present = problem.occurring(len(classes))
        problem = problem.renumbered(is_present)

    validation = None
    if any(given is not None for given in (X_val, y_val, sample_weight_val, offset_val)):
        if not early_stopping:
            raise ValueError(
                "X_val, y_val, sample_weight_val and offset_val are not used with early_stopping=False. Set early_stopping=True."
            )
        if X_val is None or y_val is None:
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"{missing} is missing. Pass X_val and y_val together (sample_weight_val is optional).")
        X_val = check_X(X_val, X.dtype, False)
        offset_val = checked_offset(offset_val, X_val.shape[0], len(classes), "offset_val")
        validation = _validation_problem(
            X_val, y_val, sample_weight_val, offset_val, classes, columns if is_soft else classes, is_present, class_weights
        )
    elif early_stopping:
        train, held_out = _split(problem, classes[is_present], validation_fraction, random())
        problem, validation = problem.take(train), problem.take(held_out)
        is_lost = ~problem.occurring(int(is_present.sum()))
        if fit_intercept and is_lost.any():
            raise ValueError(
                f"early_stopping=True holds out all rows with a share of class {classes[is_present][is_lost][:1].tolist()[0]!r}. "
                "Pass X_val and y_val to fit, or choose another validation_fraction."
            )
    return FitInput(problem, validation, classes, is_present, counts)


def _classes_to_go_on_with(known, counting, may_grow):
    """The classes of a model that is trained further, with new ones if it may grow."""
    if may_grow:
        return union_of_classes(known, numbers_and_unseen(counting, known)[1])
    advice = "Set new_classes='add' to add them to the model, or warm_start=False to fit a new model."
    numbers_of(counting, known, "y", advice)
    return known


def _validation_problem(X_val, y_val, sample_weight_val, offset_val, classes, columns, is_present, class_weights):
    """`X_val`, `y_val` and so on -> Problem, with numbers as in training.

    `columns` are the classes of the columns of `y_val`, if it has counts without names.
    """
    counts, names = soft_labels(y_val, "y_val")
    y_val = labels(y_val, "y_val") if counts is None else counts
    if len(y_val) != X_val.shape[0]:
        raise ValueError(f"X_val has {X_val.shape[0]} rows, but y_val has {len(y_val)} labels. Pass one label per row.")
    base_weight = checked_weight(sample_weight_val, X_val.shape[0], "sample_weight_val")
    if counts is None:
        numbers = numbers_of(y_val, classes, "y_val", "Pass validation rows whose labels occur in y.")
    else:
        numbers, columns = np.zeros(len(counts), dtype=np.int32), classes_of_columns(counts, names, None, columns, "y_val")
        base_weight = base_weight * mass_of(counts, "y_val")
        counting = columns[(counts[base_weight > 0] > 0).any(axis=0)]
        numbers_of(counting, classes, "y_val", "Pass validation rows whose classes occur in y.")
    if not (base_weight > 0).any():
        raise ValueError("sample_weight_val must contain at least one non-zero number.")
    validation = Problem(X_val, numbers, base_weight, base_weight, offset=offset_val)
    if counts is not None:
        validation = validation.with_targets(arranged(counts, columns, classes))
    validation = validation.take_positive()
    if class_weights is not None:
        validation = validation.weighted_by_class(class_weights)
    is_absent = validation.occurring(len(classes)) & ~is_present
    if is_absent.any():
        raise ValueError(
            f"y_val contains labels that have no row of positive weight in y: {classes[is_absent]}. Their loss would be "
            "infinite. Give such rows the weight 0 in sample_weight_val, too, or give rows of y with these labels a positive "
            "weight."
        )
    return validation.renumbered(is_present)


def _split(problem, classes, validation_fraction, random_state):
    """Hold out a stratified part: (rows to train on, rows to validate on)."""
    strata = problem.y
    counts = np.bincount(strata, minlength=len(classes))
    n_held_out = int(np.ceil(validation_fraction * problem.n_samples))
    present = counts > 0
    rarest = np.flatnonzero(present)[np.argmin(counts[present])]
    is_possible = counts[rarest] >= 2 and min(n_held_out, problem.n_samples - n_held_out) >= present.sum()
    if not is_possible and problem.targets is not None and problem.n_samples >= 2:
        # rows have a share of many classes, so that these are not missing in a part
        strata, is_possible = np.zeros_like(strata), True
        n_held_out = min(n_held_out, problem.n_samples - 1)
    if not is_possible:
        raise ValueError(
            f"early_stopping=True cannot split {problem.n_samples} rows by validation_fraction={validation_fraction} so that "
            f"each part has rows of all {present.sum()} classes. Class {classes[rarest : rarest + 1].tolist()[0]!r} has "
            f"{counts[rarest]} row(s). Pass X_val and y_val to fit, or choose another validation_fraction."
        )
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=n_held_out, random_state=random_state)
    train, held_out = next(splitter.split(np.empty((problem.n_samples, 0)), strata))
    return np.sort(train), np.sort(held_out)


# partial_fit --------------------------------------------------------------------------


class StreamInput(NamedTuple):
    """What a stream learns from in one call.

    Attributes
    ----------
    problem : Problem
        The rows of positive weight.
    classes : ndarray of shape (n_classes,)
        Sorted labels of the stream after these rows.
    class_counts : ndarray of shape (n_classes,)
        The weight of each class after these rows, without class weights.
    prior_counts : ndarray of shape (n_classes,)
        The weight of each class in these rows alone, with class weights.
    is_there : ndarray of shape (n_classes,), bool, or None
        Which classes the stream has before the first row. None: all.
    added : ndarray of int
        Which of these classes come from `classes=` in this call, as rising numbers.
    """

    problem: Problem
    classes: np.ndarray
    class_counts: np.ndarray
    prior_counts: np.ndarray
    is_there: np.ndarray | None
    added: np.ndarray


def stream_input(
    X, y, classes, sample_weight, offset, *, known, check_X, name, class_weight, label_smoothing, new_classes
):  # fmt: skip
    """Input of ``partial_fit`` -> StreamInput, or None if nothing changes.

    "balanced" weighs each row by the counts that include this row, so that the model
    does not depend on how a stream is cut into calls.

    Parameters
    ----------
    X, y, classes, sample_weight, offset
        As `partial_fit` takes them.
    known : Known or None
        What the stream knows. None in its first call.
    check_X : function
        `checked_X` without its first argument.
    name : str
        Name of the estimator, for messages.
    class_weight, label_smoothing, new_classes
        The parameters of the estimator.
    """
    may_grow = new_classes == "add"
    rounding = rounding_of(X)
    X, y, names = _checked_X_y(X, y, known, name, check_X)
    is_soft = y.ndim == 2
    if is_soft:
        classes = columns = classes_of_columns(y, names, classes, None if known is None else known.classes)
    there, added, counts = _named_classes(classes, known, may_grow)
    numbers, unseen = (np.zeros(len(y), dtype=np.int32), ()) if is_soft else numbers_and_unseen(y, there)
    classes, is_there = there, None
    if len(unseen):
        if not may_grow:
            advice = "Pass all labels that can occur as classes= in the first call of partial_fit, or set new_classes='add'."
            raise unseen_labels("y", unseen, there, advice)
        classes = union_of_classes(there, unseen)
        is_there = are_among(classes, there)
        numbers = numbers_and_unseen(y, classes)[0]
        counts = _spread(counts, is_there)
    offset = checked_offset(offset, X.shape[0], len(classes))
    if sample_weight is None and class_weight is None and offset is None and not is_soft and not label_smoothing:
        ones = np.ones(X.shape[0])
        problem = Problem(X, numbers, ones, ones, rounding)
        in_rows = np.bincount(numbers, minlength=len(classes))
        return StreamInput(problem, classes, counts + in_rows, in_rows, is_there, added)
    base_weight = checked_weight(sample_weight, X.shape[0])
    if is_soft:
        base_weight = base_weight * mass_of(y)
    problem = Problem(X, numbers, base_weight, base_weight, rounding, offset=offset)
    if is_soft:
        problem = problem.with_targets(arranged(y, columns, classes))
    problem = problem.take_positive()
    if label_smoothing:
        is_known = np.ones(len(classes), dtype=bool)
        if is_there is not None:  # the rows before a class enters know nothing of it
            is_known = is_there | (problem.first_rows(len(classes)) <= np.arange(problem.n_samples)[:, None])
        problem = problem.smoothed(label_smoothing, is_known)
    counts_after = counts + problem.class_counts(len(classes))
    if isinstance(class_weight, str) and problem.targets is None:
        problem = problem.weighted(_running_balance(problem.y, problem.base_weight, counts))
    elif isinstance(class_weight, str):
        problem = problem.weighted_by_class(_running_balance_of_shares(problem.targets, problem.base_weight, counts))
    elif class_weight is not None:  # keys may be classes to come
        problem = problem.weighted_by_class(weights_of_classes(class_weight, classes, counts, may_grow))
    if problem.n_samples == 0 and len(added) == 0:
        return None
    if is_there is not None:  # a new label of weight 0 is no class
        stays = is_there | problem.occurring(len(classes))
        problem = problem.renumbered(stays)
        classes, counts_after, is_there = classes[stays], counts_after[stays], is_there[stays]
    return StreamInput(problem, classes, counts_after, problem.prior_counts(len(classes)), is_there, added)


def _spread(counts, is_there):
    """The counts of the classes in `is_there`, and 0 for the others."""
    spread = np.zeros(len(is_there))
    spread[is_there] = counts
    return spread


def _named_classes(classes, known, may_grow):
    """Classes before the rows of a call, which of them are added, and all counts.

    `classes` must be given in the first call, and be the same or None in later calls.
    If the model may grow, `classes` may be None in the first call, too, and differ
    later.
    """
    if known is None:
        if classes is None:
            if may_grow:
                return np.empty(0), NO_NUMBERS, np.empty(0)
            raise ValueError("classes must be passed on the first call to partial_fit (or set new_classes='add').")
        named = np.unique(labels_of_iterable(classes))
        if len(named) < 2 and not may_grow:
            raise ValueError(f"classes={named} has fewer than 2 classes. Pass at least 2, or set new_classes='add'.")
        return named, np.arange(len(named)), np.zeros(len(named))
    if classes is not None:
        numbers, unseen = numbers_and_unseen(labels_of_iterable(classes), known.classes)
        if not may_grow and (len(unseen) or len(np.unique(numbers)) < len(known.classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known.classes!r}. Pass the same "
                "classes or None, or set new_classes='add'."
            )
        if len(unseen):
            named = union_of_classes(known.classes, unseen)
            is_old = are_among(named, known.classes)
            return named, np.flatnonzero(~is_old), _spread(known.class_counts, is_old)
    return known.classes, NO_NUMBERS, known.class_counts


def _running_balance(y, weight, counts):
    """The balanced weight of each row, from the counts up to and including this row."""
    order = np.argsort(y, kind="stable")
    sums = np.cumsum(weight[order])
    first = np.searchsorted(y[order], y[order])  # where the class of each sorted row begins
    own = np.empty_like(sums)
    own[order] = sums - sums[first] + weight[order][first] + counts[y[order]]
    total = counts.sum() + np.cumsum(weight)
    is_new = np.zeros(len(y))
    is_new[order[np.unique(first)]] = counts[y[order[np.unique(first)]]] == 0
    n_classes = (counts > 0).sum() + np.cumsum(is_new)
    return total / (n_classes * own)


def _running_balance_of_shares(targets, weight, counts):
    """`_running_balance` of each row and class, for labels that are distributions."""
    own = counts + np.cumsum(weight[:, None] * targets, axis=0)
    occur = own > 0
    total = own.sum(axis=1, keepdims=True)
    return np.divide(total, occur.sum(axis=1, keepdims=True) * own, out=np.zeros_like(own), where=occur)


# Attributes ---------------------------------------------------------------------------


def assigned_coefficients(value, name, shape=None):
    """A checked copy of an array that is assigned to `coef_` or `intercept_`.

    The array must be real, finite and of the right shape. The copy is dense or CSR.

    Parameters
    ----------
    value : array-like or sparse
    name : {"coef", "intercept"}
    shape : tuple of (n_rows, n_features) or None
        The shape of `coef_`. None: any shape.
    """
    n_axes = 2 if name == "coef" else 1
    expected = shape and shape[:n_axes]
    array = value if issparse(value) and name == "coef" else np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name}_ is assigned an array of {array.dtype}, expected real numbers. Assign float32 or float64.")
    if array.ndim != n_axes or (expected and array.shape != expected):
        wanted = str(expected) if expected else f"{n_axes} axes"
        of_two = " of two classes, for classes_[1]" if expected and expected[0] == 1 else ""
        raise ValueError(f"{name}_ is assigned an array of shape {array.shape}, expected {wanted}{of_two}.")
    array = array.astype(array.dtype if array.dtype in FLOATS else np.float64)
    if issparse(array):
        array = (csr_array if uses_sparse_arrays() else csr_matrix)(array) if shape else array.toarray()
    if not np.isfinite(array.data if issparse(array) else array).all():
        raise ValueError(f"{name}_ is assigned numbers that are NaN or infinite. Assign finite numbers.")
    return array


def assigned_classes(classes, n_classes=None):
    """A checked copy of labels that are assigned to `classes_`."""
    classes = np.array(classes)
    if classes.ndim != 1 or len(classes) < 1 or not np.array_equal(np.unique(classes), classes):
        raise ValueError(f"classes_={classes} must be different labels in sorted order. Sort them, and the rows of coef_.")
    if n_classes is not None and len(classes) != n_classes:
        raise ValueError(f"classes_={classes} has {len(classes)} labels, but the model has {n_classes} classes. Assign as many.")
    return classes
