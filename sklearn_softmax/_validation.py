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
    "labelled_problem",
    "own_dtype",
    "rounding_of",
    "stream_input",
    "unlabelled_problem",
    "weights_of_classes",
]

# The fourth power of the sum of weights, with which the average counts, must be finite.
LARGEST_WEIGHT = 1e30
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
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray
    base_weight: np.ndarray
    rounding: float = 0.0

    @property
    def n_samples(self):
        return self.X.shape[0]

    @property
    def is_sparse(self):
        return issparse(self.X)

    def take(self, rows):
        """The problem with only these rows."""
        return Problem(self.X[rows], self.y[rows], self.sample_weight[rows], self.base_weight[rows], self.rounding)

    def renumbered(self, is_kept):
        """The problem with numbers for the kept classes. Others must have no rows."""
        return self._replace(y=(np.cumsum(is_kept) - 1).astype(np.int32)[self.y])

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

    def class_counts(self, n_classes):
        """The weight of each class, without class weights."""
        return np.bincount(self.y, weights=self.base_weight, minlength=n_classes)

    def prior_counts(self, n_classes):
        """The weight of each class, with class weights."""
        return np.bincount(self.y, weights=self.sample_weight, minlength=n_classes)


def _is_plain_memory(array):
    """Whether a pointer can walk through the array."""
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def _is_plain(estimator, X, dtype):
    """Whether X can be used as it is.

    This test takes microseconds and is true in most calls of a stream.
    """
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
    with np.errstate(all="ignore"):  # if the sum overflows, the full check decides
        return bool(np.isfinite(np.add.reduce(values, axis=None)))


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


def _checked_X_y(X, y, known, name, check_X, are_labels_known):
    """X as `checked_X`, and y as one label per row.

    If the labels are known beforehand, y need not be checked for a regression target.
    That check of scikit-learn warns of small chunks in which most labels differ.
    """
    if y is None:
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
    X = check_X(X, FLOATS, True) if known is None else check_X(X, known.dtype, False)
    y = labels(y)
    if len(y) != X.shape[0]:
        check_consistent_length(X, y)  # slow, so only where it will raise
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


def labelled_problem(X, y, sample_weight, classes, *, check_X, name, class_weight):
    """Rows with labels of a model that is not trained further -> (Problem, which rows of X have a positive weight and are in it).

    A label that is not among the classes is an error.
    """
    rounding, known = rounding_of(X), Known(own_dtype(X), classes, np.zeros(len(classes)))
    X, y = _checked_X_y(X, y, known, name, check_X, are_labels_known=True)
    y = numbers_of(y, classes, "y", "Pass the rows that the model was fitted on.")
    base_weight = checked_weight(sample_weight, X.shape[0])
    counts = np.bincount(y, weights=base_weight, minlength=len(classes))
    sample_weight = base_weight * weights_of_classes(class_weight, classes, counts)[y]
    is_positive = sample_weight > 0
    if not is_positive.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return Problem(X, y, sample_weight, base_weight, rounding).take_positive(), is_positive


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
        What the model knows from which training continues. None: a new model.
    check_X : function
        `checked_X` without its first argument.
    name : str
        Name of the estimator, for messages.
    class_weight, new_classes, fit_intercept, early_stopping, validation_fraction
        The parameters of the estimator.
    random_state : RandomState
        Random numbers for the split.
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
    numbers, _ = numbers_and_unseen(y, classes)  # meaningless for rows of weight 0
    problem = Problem(X, numbers, base_weight, base_weight, rounding).take_positive()

    class_weights = weights_of_classes(class_weight, classes, problem.class_counts(len(classes)))
    problem = problem.weighted(class_weights[problem.y])
    counts = base_weight * class_weights[numbers] > 0
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
                "X_val, y_val and sample_weight_val are not used with early_stopping=False. Set early_stopping=True."
            )
        if X_val is None or y_val is None:
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"{missing} is missing. Pass X_val and y_val together (sample_weight_val is optional).")
        X_val = check_X(X_val, X.dtype, False)
        validation = _validation_problem(X_val, y_val, sample_weight_val, classes, is_present, class_weights)
    elif early_stopping:
        train, held_out = _split(problem, classes[is_present], validation_fraction, random_state)
        problem, validation = problem.take(train), problem.take(held_out)
    return FitInput(problem, validation, classes, is_present, counts)


def _classes_to_go_on_with(known, counting, may_grow):
    """The classes of a model that is trained further, with new ones if it may grow."""
    if may_grow:
        return union_of_classes(known, numbers_and_unseen(counting, known)[1])
    advice = "Set new_classes='add' to add them to the model, or warm_start=False to fit a new model."
    numbers_of(counting, known, "y", advice)
    return known


def _validation_problem(X_val, y_val, sample_weight_val, classes, is_present, class_weights):
    """`X_val`, `y_val`, `sample_weight_val` -> Problem, with numbers as in training."""
    y_val = labels(y_val, "y_val")
    if len(y_val) != X_val.shape[0]:
        raise ValueError(f"X_val has {X_val.shape[0]} rows, but y_val has {len(y_val)} labels. Pass one label per row.")
    numbers = numbers_of(y_val, classes, "y_val", "Pass validation rows whose labels occur in y.")
    base_weight = checked_weight(sample_weight_val, X_val.shape[0], "sample_weight_val")
    if not (base_weight > 0).any():
        raise ValueError("sample_weight_val must contain at least one non-zero number.")
    validation = Problem(X_val, numbers, base_weight, base_weight).weighted(class_weights[numbers])
    absent = np.unique(validation.y[~is_present[validation.y]])
    if len(absent):
        raise ValueError(
            f"y_val contains labels that have no row of positive weight in y: {classes[absent]}. Their loss would be infinite. "
            "Give such rows the weight 0 in sample_weight_val, too, or give rows of y with these labels a positive weight."
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
            f"early_stopping=True cannot split {problem.n_samples} rows by validation_fraction={validation_fraction} so that "
            f"each part has rows of all {present.sum()} classes. Class {classes[rarest : rarest + 1].tolist()[0]!r} has "
            f"{counts[rarest]} row(s). Pass X_val and y_val to fit, or choose another validation_fraction."
        )
    splitter = StratifiedShuffleSplit(n_splits=1, test_size=n_held_out, random_state=random_state)
    train, held_out = next(splitter.split(np.empty((problem.n_samples, 0)), problem.y))
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


def stream_input(X, y, classes, sample_weight, *, known, check_X, name, class_weight, new_classes):
    """Input of ``partial_fit`` -> StreamInput, or None if nothing changes.

    "balanced" weighs each row by the counts that include this row, so that the model
    does not depend on how a stream is cut into calls.

    Parameters
    ----------
    X, y, classes, sample_weight
        As `partial_fit` takes them.
    known : Known or None
        What the stream knows. None in its first call.
    check_X : function
        `checked_X` without its first argument.
    name : str
        Name of the estimator, for messages.
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
            advice = "Pass all labels that can occur as classes= in the first call of partial_fit, or set new_classes='add'."
            raise unseen_labels("y", unseen, there, advice)
        classes = union_of_classes(there, unseen)
        is_there = are_among(classes, there)
        numbers = numbers_and_unseen(y, classes)[0]
        counts = _spread(counts, is_there)
    if sample_weight is None and class_weight is None:
        ones = np.ones(X.shape[0])
        problem = Problem(X, numbers, ones, ones, rounding)
        in_rows = np.bincount(numbers, minlength=len(classes))
        return StreamInput(problem, classes, counts + in_rows, in_rows, is_there, added)
    base_weight = checked_weight(sample_weight, X.shape[0])
    problem = Problem(X, numbers, base_weight, base_weight, rounding).take_positive()
    counts_after = counts + problem.class_counts(len(classes))
    if isinstance(class_weight, str):
        problem = problem.weighted(_running_balance(problem.y, problem.base_weight, counts))
    elif class_weight is not None:  # keys may be classes to come
        problem = problem.weighted(weights_of_classes(class_weight, classes, counts, may_grow)[problem.y])
    if problem.n_samples == 0 and len(added) == 0:
        return None
    if is_there is not None:  # a new label of weight 0 is no class
        stays = is_there.copy()
        stays[problem.y] = True
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
