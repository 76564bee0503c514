"""User input, checked once, becomes a `Problem`. What is below this file trusts it.

`fit` and `partial_fit` each make one call, `fit_input` and `stream_input`, and hand over
parameters by value. Only `checked_X` sees the estimator, in which scikit-learn remembers
the columns of X: both calls are given it as a function, `check_X`.
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
    union_of_classes,
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
    "assigned_classes",
    "assigned_coefficients",
    "checked_X",
    "checked_weight",
    "fit_input",
    "rounding_of",
    "stream_input",
    "unlabelled_problem",
    "weights_of_classes",
]

# The average of a stream counts with the fourth power of the sum of weights, which has to be a number.
LARGEST_WEIGHT = 1e30
NO_NUMBERS = np.empty(0, dtype=np.intp)
INDEX_TYPES = np.dtype(np.int32), np.dtype(np.int64)
NOT_CSR = "X is not a valid CSR matrix: "
NOT_RISING = NOT_CSR + "its indptr does not rise from 0 to the number of stored values."


class Known(NamedTuple):
    """What a model that goes on knows of its input.

    Attributes
    ----------
    dtype : dtype
        Of the coefficients, and so of X.
    classes : ndarray of shape (n_classes,)
        Labels, sorted.
    class_counts : ndarray of shape (n_classes,)
        The weight of each class so far, without class weights.
    """

    dtype: np.dtype
    classes: np.ndarray
    class_counts: np.ndarray


class Problem(NamedTuple):
    """Examples to learn from, or to score.

    Weights are as they were given, since a stream adds them up. What is a mean over rows
    divides them once: `normalised`, or `Objective.shares` with sum 1.

    Attributes
    ----------
    X : C-contiguous ndarray or canonical CSR of shape (n_samples, n_features), float32 or float64
    y : ndarray of shape (n_samples,), int32
        Class numbers.

    sample_weight : ndarray of shape (n_samples,), float64
        Positive; the class weights are in them.

    base_weight : ndarray of shape (n_samples,), float64
        The same without the class weights.

    rounding : float
        The eps of the dtype in which the rows were given, if that is coarser than double.
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray
    base_weight: np.ndarray
    rounding: float = 0.0

    @property
    def n_samples(self):
        return self.X.shape[0]

    def take(self, rows):
        """The problem of some of the rows."""
        return Problem(self.X[rows], self.y[rows], self.sample_weight[rows], self.base_weight[rows], self.rounding)

    def renumbered(self, is_kept):
        """The problem in which only the classes that are kept have numbers; there are no rows of others."""
        return self._replace(y=(np.cumsum(is_kept) - 1).astype(np.int32)[self.y])

    def take_positive(self):
        """The problem without the rows of weight 0, which count as absent."""
        positive = self.sample_weight > 0
        return self if positive.all() else self.take(positive)

    def normalised(self):
        """The problem with weights of mean 1, of which each epoch of `fit` makes its steps."""
        return self._replace(sample_weight=normalised(self.sample_weight))

    def weighted(self, factors):
        """The problem whose rows count so many times as much without class weights: an array of shape (n_samples,)."""
        return self._replace(sample_weight=self.base_weight * factors).take_positive()

    def class_counts(self, n_classes):
        """The weight of each class, without class weights."""
        return np.bincount(self.y, weights=self.base_weight, minlength=n_classes)


def _is_plain_memory(array):
    """Whether it is what a pointer can walk through."""
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def _is_plain(estimator, X, dtype):
    """Whether X needs neither a closer look nor a change: that takes microseconds to see, and is so in most calls of a stream."""
    if type(X) is np.ndarray:
        values, is_right = X, X.ndim == 2 and _is_plain_memory(X)
    elif isinstance(X, csr_matrix | csr_array):
        values, is_right = X.data, X.ndim == 2
    else:
        return False
    if not is_right or values.dtype != dtype or X.shape[0] == 0:
        return False
    if X.shape[1] != getattr(estimator, "n_features_in_", None) or hasattr(estimator, "feature_names_in_"):
        return False
    with np.errstate(all="ignore"):  # a sum that overflows says nothing
        return bool(np.isfinite(np.add.reduce(values, axis=None)))


def _same_values(estimator, X, dtype):
    """The values of a frame with the columns that were checked last, if they are plain numbers; else None."""
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
    """X in the form that the kernels read, not copied if it has it already.

    The number of columns, and their names, are those that `estimator` remembers; with
    `reset` it remembers those of X.
    """
    if not reset:
        if _is_plain(estimator, X, dtype):
            return _canonical(X) if issparse(X) else X
        values = _same_values(estimator, X, dtype)
        if values is not None:
            return values
    X, columns = as_numpy(X, "X"), columns_of(X)
    if columns is not None and reset:
        values = values_of_frame(X)
        if values is not None and values.dtype in FLOATS:
            dtype = values.dtype  # scikit-learn sees of pandas only that a frame is float32
    X = validate_data(estimator, X, reset=reset, dtype=dtype, order="C", accept_sparse="csr", accept_large_sparse=True)
    names = vars(estimator).get("feature_names_in_")
    if names is not None and columns is not None:
        estimator._last_columns = names, columns
    return _canonical(X) if issparse(X) else np.require(X, requirements="A")


def _canonical(X):
    """CSR with sorted, unique indices of one integer type and without zeros; a copy if that takes a change."""
    # a kernel would follow a wrong index anywhere
    if len(X.indptr) != X.shape[0] + 1:
        raise ValueError(NOT_CSR + f"its indptr has {len(X.indptr)} numbers, but it has {X.shape[0]} rows.")
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
        raise ValueError(NOT_CSR + f"it has column indices from {low} to {high}, but {X.shape[1]} features.")
    if flaw:
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
        if not np.isfinite(X.data).all():
            raise ValueError(NOT_CSR + "it has duplicates that add up to more than a number can be.")
    # arrays may be longer than the last row says, with anything behind it
    return rows_in(X, slice(0, X.shape[0])) if len(X.data) > X.indptr[-1] else X


def _checked_X_y(X, y, known, name, check_X, are_labels_known):
    """X as `checked_X`, and y as one label per row.

    Where labels are known beforehand, nobody has to guess whether they are labels at all: scikit-learn warns of chunks that are
    so small that most of their labels differ.
    """
    if y is None:
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
    X = check_X(X, FLOATS, True) if known is None else check_X(X, known.dtype, False)
    y = labels(y)
    if len(y) != X.shape[0]:
        check_consistent_length(X, y)  # which takes its time to say no more than that
    if not are_labels_known:
        check_classification_targets(y)
    return X, y


def checked_weight(sample_weight, n_samples, name="sample_weight"):
    """`sample_weight` as an array of shape (n_samples,), float64."""
    if sample_weight is None:
        return np.ones(n_samples)
    weight = np.asarray(as_numpy(sample_weight, name))
    if weight.dtype.kind not in "biufO" or (weight.dtype.kind == "O" and any(isinstance(value, str) for value in weight.ravel())):
        what = "complex numbers" if weight.dtype.kind == "c" else f"{weight.dtype}, for instance {weight.ravel()[:1].tolist()}"
        raise ValueError(f"{name} has {what}. Give real weights.")
    try:
        weight = np.array(weight, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} has what is no number of float64: {error}. Give real weights.") from error
    if isinstance(sample_weight, numbers.Number):
        weight = np.full(n_samples, weight)
    if weight.ndim != 1:
        advice = f" Its shape is {weight.shape}: pass one weight per row, as numpy.ravel does." if weight.ndim == 2 else ""
        raise ValueError(f"Sample weights must be 1D array or scalar, got {weight.ndim}D array for {name!r}.{advice}")
    if weight.shape != (n_samples,):
        raise ValueError(f"{name}.shape == {weight.shape}, expected {(n_samples,)}: one weight per row of X.")
    if not np.isfinite(weight).all():
        raise ValueError(f"{name} contains NaN or infinity: {weight[~np.isfinite(weight)][0]}. Give finite weights.")
    if (weight < 0).any():
        raise ValueError(f"Negative values in data passed to {name!r}: {weight.min()}. Use 0 to leave a row out.")
    if (weight > LARGEST_WEIGHT).any():
        raise ValueError(
            f"{name} has a weight of {weight.max()}, more than {LARGEST_WEIGHT:g}. Divide all weights by one number."
        )
    return weight


def _balance(counts):
    """Weights that give all classes that occur the same total: total weight / (classes that occur * weight of the class)."""
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
        raise ValueError(f"class_weight has keys {unknown} that are not labels; the classes are {classes}.")
    weights = np.array([class_weight.get(label, 1.0) for label in known], dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"class_weight={class_weight!r} must not contain negative, infinite or NaN weights.")
    if (weights > LARGEST_WEIGHT).any():
        raise ValueError(f"class_weight has a weight of {weights.max()}, more than {LARGEST_WEIGHT:g}. Divide all by one number.")
    return weights


def unlabelled_problem(X, check_X, dtype):
    """Rows of which the labels do not matter -> Problem."""
    rounding, X = rounding_of(X), check_X(X, dtype, False)
    ones = np.ones(X.shape[0])
    return Problem(X, np.zeros(X.shape[0], dtype=np.int32), ones, ones, rounding)


def rounding_of(X):
    """The eps of float32 if X is of that type, else 0.

    (Numbers of float16 are so coarse that what they do not tell apart may be meant.)
    """
    return float(np.finfo(np.float32).eps) if getattr(X, "dtype", None) == np.float32 else 0.0


# fit -------------------------------------------------------------------------------------------------------------------------


class FitInput(NamedTuple):
    """What `fit` learns from.

    Attributes
    ----------
    problem : Problem
        The rows that count, of the classes that are present.
    validation : Problem or None
        Rows to validate on, of the same classes.
    classes : ndarray of shape (n_classes,)
        Labels, sorted: those of y, rows of weight 0 included, or those of a model that goes on.
    is_present : ndarray of shape (n_classes,), bool
        With an intercept, the classes of which a row counts; else all.
    """

    problem: Problem
    validation: Problem | None
    classes: np.ndarray
    is_present: np.ndarray


def fit_input(
    X,
    y,
    sample_weight,
    X_val,
    y_val,
    sample_weight_val,
    *,
    known,
    check_X,
    name,
    class_weight,
    new_classes,
    fit_intercept,
    early_stopping,
    validation_fraction,
    random_state,
):
    """Input of ``fit`` -> FitInput.

    Parameters
    ----------
    X, y, sample_weight, X_val, y_val, sample_weight_val
        As `fit` takes them.
    known : Known or None
        If training goes on from a model: what that knows.
    check_X : function
        `checked_X` without its first argument.
    name : str
        Of the estimator, for messages.
    class_weight, new_classes, fit_intercept, early_stopping, validation_fraction
        The parameters of the estimator.
    random_state : RandomState
        For the split.
    """
    rounding = rounding_of(X)
    X, y = _checked_X_y(X, y, known, name, check_X, are_labels_known=False)
    classes, base_weight = np.unique(y), checked_weight(sample_weight, X.shape[0])
    if not (base_weight > 0).any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    if len(classes) == 1:
        raise ValueError(
            f"{name} needs samples of at least 2 classes in the data, but the data contains only one class: "
            f"{classes.tolist()[0]!r}"
        )
    if known is not None:
        classes = _classes_to_go_on_with(known.classes, np.unique(y[base_weight > 0]), may_grow=new_classes == "add")
    numbers, _ = numbers_and_unseen(y, classes)  # of rows of weight 0: anything
    problem = Problem(X, numbers, base_weight, base_weight, rounding).take_positive()

    class_weights = weights_of_classes(class_weight, classes, problem.class_counts(len(classes)))
    problem = problem.weighted(class_weights[problem.y])
    if problem.n_samples == 0:
        raise ValueError(f"class_weight={class_weight!r} gives every class in y the weight zero. Leave one positive.")
    is_present = np.ones(len(classes), dtype=bool)
    if fit_intercept:
        is_present = np.bincount(problem.y, minlength=len(classes)) > 0
        problem = problem.renumbered(is_present)

    validation = None
    if any(given is not None for given in (X_val, y_val, sample_weight_val)):
        if not early_stopping:
            raise ValueError(
                "X_val, y_val or sample_weight_val would be ignored with early_stopping=False. Set early_stopping=True."
            )
        if X_val is None or y_val is None:
            raise ValueError("X_val, y_val and sample_weight_val belong together: X_val or y_val was not passed to fit.")
        X_val = check_X(X_val, X.dtype, False)
        validation = _validation_problem(X_val, y_val, sample_weight_val, classes, is_present, class_weights)
    elif early_stopping:
        train, held_out = _split(problem, classes[is_present], validation_fraction, random_state)
        problem, validation = problem.take(train), problem.take(held_out)
    return FitInput(problem, validation, classes, is_present)


def _classes_to_go_on_with(known, counting, may_grow):
    """The classes of a model that goes on, with the labels of rows that count if it may have more."""
    if may_grow:
        return union_of_classes(known, numbers_and_unseen(counting, known)[1])
    advice = "Set new_classes='add' to add them to the model, or warm_start=False to fit one with other classes."
    numbers_of(counting, known, "y", advice)
    return known


def _validation_problem(X_val, y_val, sample_weight_val, classes, is_present, class_weights):
    """`X_val`, `y_val`, `sample_weight_val` -> Problem, with the classes that are present in that of the training rows."""
    y_val = labels(y_val, "y_val")
    if len(y_val) != X_val.shape[0]:
        raise ValueError(f"X_val has {X_val.shape[0]} rows, but y_val has {len(y_val)} labels.")
    numbers = numbers_of(y_val, classes, "y_val", "Validate on labels that y has.")
    base_weight = checked_weight(sample_weight_val, X_val.shape[0], "sample_weight_val")
    if not (base_weight > 0).any():
        raise ValueError("sample_weight_val must contain at least one non-zero number.")
    validation = Problem(X_val, numbers, base_weight, base_weight).weighted(class_weights[numbers])
    absent = np.unique(validation.y[~is_present[validation.y]])
    if len(absent):
        raise ValueError(
            f"y_val contains labels of which no row in y has a weight: {classes[absent]}. Their loss would be infinite. Give "
            "such rows the weight 0 in sample_weight_val, too, or rows in y a weight."
        )
    return validation.renumbered(is_present)


def _split(problem, classes, validation_fraction, random_state):
    """Hold out a stratified part: (rows to train on, rows to validate on)."""
    counts = np.bincount(problem.y, minlength=len(classes))
    n_held_out = int(np.ceil(validation_fraction * problem.n_samples))
    present = counts > 0
    rarest = np.flatnonzero(present)[np.argmin(counts[present])]
    if counts[rarest] < 2 or min(n_held_out, problem.n_samples - n_held_out) < present.sum():
        raise ValueError(
            f"early_stopping=True can't hold out validation_fraction={validation_fraction} of {problem.n_samples} samples with "
            f"some of each of {present.sum()} classes: class {classes[rarest : rarest + 1].tolist()[0]!r} has {counts[rarest]} "
            "sample(s). Pass X_val and y_val to fit, or choose another validation_fraction (a smaller one trains on more)."
        )
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=n_held_out, random_state=random_state)
    train, held_out = next(splitter.split(np.empty((problem.n_samples, 0)), problem.y))
    return np.sort(train), np.sort(held_out)


# partial_fit -----------------------------------------------------------------------------------------------------------------


class StreamInput(NamedTuple):
    """What a stream learns from in one call.

    Attributes
    ----------
    problem : Problem
        The rows that count.
    classes : ndarray of shape (n_classes,)
        Labels, sorted: those of the stream after these rows.
    class_counts : ndarray of shape (n_classes,)
        The weight of each class after these rows, without class weights.
    is_there : ndarray of shape (n_classes,), bool, or None
        Which classes are there before the first row. None: all.
    added : ndarray of int
        Which of those that are there `classes=` adds to the stream: their numbers among
        them, from small to large.
    """

    problem: Problem
    classes: np.ndarray
    class_counts: np.ndarray
    is_there: np.ndarray | None
    added: np.ndarray


def stream_input(X, y, classes, sample_weight, *, known, check_X, name, class_weight, new_classes):
    """Input of ``partial_fit`` -> StreamInput, or None if no row counts and nothing changes.

    "balanced" weighs each row by the counts that include it, so that it does not matter how a stream is cut into calls.

    Parameters
    ----------
    X, y, classes, sample_weight
        As `partial_fit` takes them.
    known : Known or None
        What the stream knows; None in its first call.
    check_X : function
        `checked_X` without its first argument.
    name : str
        Of the estimator, for messages.
    class_weight, new_classes
        The parameters of the estimator.
    """
    may_grow = new_classes == "add"
    there, added, counts = _named_classes(classes, known, may_grow)
    rounding = rounding_of(X)
    X, y = _checked_X_y(X, y, known, name, check_X, are_labels_known=True)
    numbers, unseen = numbers_and_unseen(y, there)
    classes, is_there = there, None
    if len(unseen):
        if not may_grow:
            advice = "Pass every label that can occur as classes= on the first call to partial_fit, or set new_classes='add'."
            raise unseen_labels("y", unseen, there, advice)
        classes = union_of_classes(there, unseen)
        is_there = are_among(classes, there)
        numbers = numbers_and_unseen(y, classes)[0]
        counts = _spread(counts, is_there)
    if sample_weight is None and class_weight is None:
        ones = np.ones(X.shape[0])
        problem = Problem(X, numbers, ones, ones, rounding)
        return StreamInput(problem, classes, counts + np.bincount(numbers, minlength=len(classes)), is_there, added)
    base_weight = checked_weight(sample_weight, X.shape[0])
    problem = Problem(X, numbers, base_weight, base_weight, rounding).take_positive()
    counts_after = counts + problem.class_counts(len(classes))
    if isinstance(class_weight, str):
        problem = problem.weighted(_running_balance(problem.y, problem.base_weight, counts))
    elif class_weight is not None:  # it may have a weight for a class to come
        problem = problem.weighted(weights_of_classes(class_weight, classes, counts, may_grow)[problem.y])
    if problem.n_samples == 0 and len(added) == 0:
        return None
    if is_there is not None:  # new ones only in rows that count
        stays = is_there.copy()
        stays[problem.y] = True
        problem = problem.renumbered(stays)
        classes, counts_after, is_there = classes[stays], counts_after[stays], is_there[stays]
    return StreamInput(problem, classes, counts_after, is_there, added)


def _spread(counts, is_there):
    """Counts of the classes that are there, and 0 for the others."""
    spread = np.zeros(len(is_there))
    spread[is_there] = counts
    return spread


def _named_classes(classes, known, may_grow):
    """The classes of a stream before the rows of a call, those of them that `classes` adds, and the counts of all.

    `classes` is that of the first call, and the same or None later; others if classes may be added. There may be none yet.
    """
    if known is None:
        if classes is None:
            if may_grow:
                return np.empty(0), NO_NUMBERS, np.empty(0)
            raise ValueError("classes must be passed on the first call to partial_fit (or set new_classes='add').")
        named = np.unique(labels_of_iterable(classes))
        if len(named) < 2 and not may_grow:
            raise ValueError(f"classes={named} has only one class; softmax regression needs at least 2 classes.")
        return named, np.arange(len(named)), np.zeros(len(named))
    if classes is not None:
        numbers, unseen = numbers_and_unseen(labels_of_iterable(classes), known.classes)
        if not may_grow and (len(unseen) or len(np.unique(numbers)) < len(known.classes)):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known.classes!r}")
        if len(unseen):
            named = union_of_classes(known.classes, unseen)
            is_old = are_among(named, known.classes)
            return named, np.flatnonzero(~is_old), _spread(known.class_counts, is_old)
    return known.classes, NO_NUMBERS, known.class_counts


def _running_balance(y, weight, counts):
    """The balanced weight of each row, from the counts up to it and with it."""
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


# Attributes ------------------------------------------------------------------------------------------------------------------


def assigned_coefficients(value, name, shape=None):
    """A copy of what somebody assigns to `coef_` or `intercept_`: real, finite and of the right shape; dense or CSR.

    Parameters
    ----------
    value : array-like or sparse
    name : {"coef", "intercept"}
    shape : tuple of (n_rows, n_features) or None
        Of `coef_`. None: any.
    """
    n_axes = 2 if name == "coef" else 1
    expected = shape and shape[:n_axes]
    array = value if issparse(value) and name == "coef" else np.asarray(value)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name}_ is assigned an array of {array.dtype}, expected real numbers.")
    if array.ndim != n_axes or (expected and array.shape != expected):
        wanted = str(expected) if expected else f"{n_axes} axes"
        of_two = " of two classes, for classes_[1]" if expected and expected[0] == 1 else ""
        raise ValueError(f"{name}_ is assigned an array of shape {array.shape}, expected {wanted}{of_two}.")
    array = array.astype(array.dtype if array.dtype in FLOATS else np.float64)
    if issparse(array):
        array = (csr_array if uses_sparse_arrays() else csr_matrix)(array) if shape else array.toarray()
    if not np.isfinite(array.data if issparse(array) else array).all():
        raise ValueError(f"{name}_ is assigned numbers that are NaN or infinite: assign finite ones.")
    return array


def assigned_classes(classes, n_classes=None):
    """What somebody assigns to `classes_`: different labels, sorted, and `n_classes` of them unless that is None."""
    classes = np.array(classes)
    if classes.ndim != 1 or len(classes) < 1 or not np.array_equal(np.unique(classes), classes):
        raise ValueError(f"classes_={classes} must be different labels in sorted order. Sort them, and the rows of coef_.")
    if n_classes is not None and len(classes) != n_classes:
        raise ValueError(f"classes_={classes} are {len(classes)} labels, but the model has {n_classes} classes.")
    return classes
