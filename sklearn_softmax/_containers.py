"""Convert containers of other libraries to NumPy arrays without loss, and back.

Labels need the most care. NumPy may convert a list, a mixed union or a nullable column
to text or floats, where two different labels become equal.
"""

from collections.abc import Iterable
from functools import wraps
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, column_or_1d

from ._compat import in_namespace_of

__all__ = [
    "are_among",
    "as_array",
    "as_numpy",
    "columns_of",
    "gives_namespace_of_X",
    "in_one_type",
    "in_type_of",
    "joined_labels",
    "labels",
    "labels_of_iterable",
    "numbers_and_unseen",
    "numbers_of",
    "soft_labels",
    "union_of_classes",
    "unique_labels",
    "unseen_labels",
    "values_of_frame",
]

CPU = 1  # DLPack's number of this device
LARGE_INTEGERS = np.dtype(np.int64), np.dtype(np.uint64)
ONE_TYPE = "Give all labels one type: integers, strings or booleans."


def as_numpy(array, name):
    """Convert an array of the array API to NumPy. Return everything else as it is."""
    is_of_array_api = hasattr(type(array), "__dlpack_device__") and hasattr(array, "device")
    if isinstance(array, np.ndarray) or not is_of_array_api:
        return array
    try:
        if array.__dlpack_device__()[0] == CPU:
            return np.asarray(array)
    except (RuntimeError, TypeError, ValueError, BufferError) as error:
        if str(array.device) in ("cpu", "CPU_DEVICE"):
            raise ValueError(
                f"{name} is a {type(array).__name__} that cannot be converted to NumPy ({error}). Pass an array of NumPy."
            ) from error
    raise ValueError(
        f"{name} is a {type(array).__name__} on {array.device}, but SoftmaxSGDClassifier computes on the CPU. Move {name} to the "
        f"CPU first (in PyTorch {name}.cpu(), in CuPy {name}.get()), or pass an array of NumPy."
    )


def gives_namespace_of_X(method):
    """Return the result of a method of X in the namespace of X.

    Only if scikit-learn is configured so (``array_api_dispatch``).
    """

    @wraps(method)
    def wrapper(self, X, offset=None):
        return in_namespace_of(X, method(self, as_numpy(X, "X"), offset))

    return wrapper


# Labels -------------------------------------------------------------------------------


def labels(y, name="y"):
    """One label per row, as an ndarray of shape (n,) with the same labels.

    Labels may be booleans, integers, whole floats, text, str objects, dates or
    durations. A missing label is an error, and so is a label that NumPy would change.
    """
    y = as_array(y, name)
    if y.ndim == 2 and name == "y":
        y = column_or_1d(y, warn=True)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"{name} should be a 1d array, got an array of shape {y.shape} instead.")
    kind = y.dtype.kind
    if kind in "biuU":
        return y
    if kind == "f":
        assert_all_finite(y, input_name=name)
        fractions = y[y != np.rint(y)]
        if len(fractions):
            raise ValueError(
                f"Unknown label type: continuous. {name} has {fractions[0]}, but float labels must be whole numbers. If "
                f"{name} is a regression target, use a regressor."
            )
    elif kind == "c":
        raise ValueError(f"Complex data not supported: {name} has {y[:1].tolist()[0]!r}. {ONE_TYPE}")
    elif kind in "mM":
        if np.isnat(y).any():
            raise ValueError(f"Input {name} contains NaN: {y[np.isnat(y)][0]!r} is no label. Leave such rows out.")
    elif kind == "O":
        _check_objects(y, name)
    else:
        raise _bytes_error(name) if kind == "S" else ValueError(f"Unknown label type: {name} is of {y.dtype}. {ONE_TYPE}")
    return y


def soft_labels(y, name="y"):
    """The shares or counts of the classes in each row, and the names of the columns.

    Returns
    -------
    counts : ndarray of shape (n, n_classes), float64
        None if y has one label per row instead.
    names : list or None
        The column names of a frame.
    """
    if isinstance(y, list | tuple) and (len(y) == 0 or np.ndim(y[0]) == 0):  # a list of labels
        return None, None
    if issparse(y):
        counts = y.toarray() if y.ndim == 2 and y.dtype.kind == "f" and y.shape[1] > 1 else None
    elif isinstance(y, list | tuple) or getattr(y, "ndim", 2) == 2:
        counts = None if y is None or isinstance(y, str) else as_array(y, name)
    else:
        return None, None
    if counts is None or counts.ndim != 2 or counts.shape[1] < 2:
        return None, None
    if counts.dtype.kind in "biu":
        raise ValueError(
            f"{name} should be a 1d array, got an array of shape {counts.shape} instead. Multilabel targets are not supported. "
            f"If the columns of {name} are counts or shares of the classes, pass floats: {name}.astype(float)."
        )
    if counts.dtype.kind != "f":
        return None, None
    counts = counts.astype(np.float64)
    if not np.isfinite(counts).all():
        raise ValueError(f"{name} contains NaN or infinity: {counts[~np.isfinite(counts)][0]}. Pass finite shares or counts.")
    if (counts < 0).any():
        raise ValueError(f"{name} has negative shares or counts of classes: {counts.min()}. Pass numbers of at least 0.")
    columns = None if issparse(y) else columns_of(y)
    return counts, None if columns is None else list(columns)


def labels_of_iterable(classes, name="classes"):
    """`labels`, but a set, a generator or the keys of a dict are accepted, too."""
    classes = as_numpy(classes, name)
    is_array = isinstance(classes, str | bytes | list | tuple) or hasattr(classes, "__array__") or issparse(classes)
    return labels(list(classes) if isinstance(classes, Iterable) and not is_array else classes, name)


def as_array(y, name="y"):
    """An ndarray of the same labels. They are objects if NumPy would change some."""
    if type(y) is np.ndarray:
        return y
    if np.ma.is_masked(y):
        raise ValueError(f"Input {name} contains NaN: some of its labels are masked. Leave such rows out.")
    if issparse(y):
        raise TypeError(f"Sparse data was passed for {name}, but labels must be dense. Pass {name}.toarray().")
    if not isinstance(y, list | tuple):
        array = np.asarray(as_numpy(y, name))
        if array.ndim == 0:
            raise ValueError(f"{name} should be a 1d array, got {type(y).__name__} instead: {y!r:.60}.")
        return array
    array = np.asarray(y)
    if array.ndim != 1:
        return array
    types = set(map(type, y))
    if array.dtype.kind in "US" and len(types) > 1 and not all(issubclass(one, str | bytes) for one in types):
        return _objects(y)
    if array.dtype.kind in "fO" and all(issubclass(one, Integral) for one in types):
        return _integers(y)
    if array.dtype.kind == "f" and any(
        number != given for number, given in zip(array.tolist(), y) if isinstance(given, Integral)
    ):
        return _objects(y)
    return array


def _integers(y):
    """Integers of Python or of several NumPy types, which NumPy would make floats."""
    numbers = list(map(int, y))
    for dtype in LARGE_INTEGERS:  # (NumPy 1 wraps numbers that are too large)
        if np.iinfo(dtype).min <= min(numbers, default=0) and max(numbers, default=0) <= np.iinfo(dtype).max:
            return np.array(numbers, dtype=dtype)
    return _objects(y)


def _objects(y):
    array = np.empty(len(y), dtype=object)
    array[:] = y
    return array


def _check_objects(y, name):
    types = set(map(type, y))
    if all(issubclass(one, str) for one in types):
        return
    if any(issubclass(one, bytes) for one in types):
        raise _bytes_error(name)
    missing = [label for label in y if _is_missing(label)]
    if missing:
        raise ValueError(f"Input {name} contains NaN: {missing[0]!r} is no label. Leave such rows out.")
    raise ValueError(
        f"Unknown label type: unknown. {name} is of dtype object and has labels of "
        f"{', '.join(sorted(one.__name__ for one in types))}. {ONE_TYPE}"
    )


def _is_missing(label):
    return label is None or type(label).__name__ in ("NAType", "NaTType") or (isinstance(label, float) and label != label)


def _bytes_error(name):
    return TypeError(
        f"{name} has labels of type bytes. Support for labels represented as bytes is not supported. Convert the labels to str, "
        f"for instance by numpy.char.decode({name})."
    )


def in_type_of(labels, dtype):
    """Labels in another dtype, and which of them this dtype can hold.

    The second result is True, False or an array. Where it is False, the converted
    values are meaningless.
    """
    kinds = labels.dtype.kind + dtype.kind
    if labels.dtype == dtype or kinds in ("UU", "MM", "mm", "OO"):
        return labels, True
    if kinds in ("OU", "UO"):  # objects are str
        return labels.astype(kinds[1]), True
    if not set(kinds) <= set("biuf"):
        return labels, False
    if np.can_cast(labels.dtype, dtype) and (kinds[0] == "f" or kinds[1] != "f"):
        return labels.astype(dtype), True
    if kinds[0] == "f" and kinds[1] in "iu":  # the result of a cast out of range depends on the machine
        fits = (labels >= np.iinfo(dtype).min) & (labels < float(np.iinfo(dtype).max) + 1)
        converted = np.where(fits, labels, 0).astype(dtype)
        return converted, fits & (converted == labels)
    converted = labels.astype(dtype)
    return converted, _survives(labels, converted)


def _survives(labels, converted):
    """Which labels survive a conversion: equal if converted back, and of equal sign."""
    with np.errstate(invalid="ignore"):
        return (converted.astype(labels.dtype) == labels) & ((labels < 0) == (converted < 0))


def in_one_type(parts):
    """Arrays of labels in one type: the first of their types that can hold all labels.

    If there is none, the type is a larger one. None if no type can hold all labels.
    """
    dtypes = list(dict.fromkeys(part.dtype for part in parts))
    kinds = {dtype.kind for dtype in dtypes}
    if kinds <= {"U", "O"} or (len(kinds) == 1 and not kinds <= set("biuf")):
        return parts
    if not kinds <= set("biuf"):
        return None
    common = [np.result_type(*dtypes)] if "f" in kinds or np.result_type(*dtypes).kind != "f" else []
    for dtype in dict.fromkeys([dtypes[0], *common, *LARGE_INTEGERS]):
        converted = [in_type_of(part, dtype) for part in parts]
        if all(np.all(is_exact) for _, is_exact in converted):
            return [part for part, _ in converted]
    return None


def joined_labels(parts):
    """The labels of many arrays in one array.

    If no type can hold all, these are objects of mixed types, which `labels` refuses.
    """
    same = in_one_type(parts)
    return np.concatenate([part.astype(object) for part in parts] if same is None else same)


def unique_labels(labels):
    """The labels that occur, sorted; integers in a narrow range are counted, which takes a tenth of the time."""
    if labels.dtype.kind in "iu" and np.can_cast(labels.dtype, np.int64) and len(labels):
        low, high = int(labels.min()), int(labels.max())
        if high - low < len(labels):
            counts = np.bincount(labels.astype(np.int64, copy=False) - low)
            return (np.flatnonzero(counts) + low).astype(labels.dtype)
    return np.unique(labels)


def numbers_and_unseen(labels, classes):
    """The class number of each label, and the labels that are not among the classes.

    If there are such labels, the numbers are meaningless.
    """
    converted, is_exact = in_type_of(labels, classes.dtype)
    if len(classes) == 0 or is_exact is False:
        return np.zeros(len(labels), dtype=np.int32), labels
    if classes.dtype.kind in "iu" and int(classes[-1]) - int(classes[0]) < len(classes):  # numbers in a row
        numbers = (converted if converted.itemsize == 8 else converted.astype(np.int64)) - classes[0]
    else:
        numbers = classes.searchsorted(converted)  # without sorting the labels
    numbers = np.clip(numbers, 0, len(classes) - 1)
    is_unseen = classes[numbers] != converted
    return numbers.astype(np.int32), labels[is_unseen if is_exact is True else is_unseen | ~is_exact]


def numbers_of(labels, classes, y_name, advice):
    """The class number of each label. An unknown label is an error."""
    numbers, unseen = numbers_and_unseen(labels, classes)
    if len(unseen):
        raise unseen_labels(y_name, unseen, classes, advice)
    return numbers


def unseen_labels(y_name, unseen, classes, advice):
    """The error about labels that are not among the classes."""
    return ValueError(f"{y_name} contains labels not seen before: {np.unique(unseen)}. classes_ is {classes}. {advice}")


def union_of_classes(classes, labels):
    """The sorted union of classes and labels, in the classes' type if possible."""
    if len(classes) == 0:
        return np.unique(labels)
    same = in_one_type([classes, labels]) if (classes.dtype.kind == "b") == (labels.dtype.kind == "b") else None
    if same is not None:
        return np.union1d(*same)
    raise ValueError(
        f"The new labels {labels.tolist()} ({labels.dtype}) cannot be merged with the classes {classes.tolist()} "
        f"({classes.dtype}), because no type has room for both. {ONE_TYPE}"
    )


def are_among(classes, some):
    """Which of the sorted classes are in `some`, as an array of booleans.

    All of `some` must be classes. The two arrays may have different types.
    """
    is_among = np.zeros(len(classes), dtype=bool)
    is_among[numbers_and_unseen(some, classes)[0]] = True
    return is_among


# Frames -------------------------------------------------------------------------------


def columns_of(X):
    """The column names of a frame of pandas, polars or pyarrow, in its own form.

    None for everything else.
    """
    if isinstance(X, np.ndarray) or issparse(X):
        return None
    return X.columns if hasattr(type(X), "iloc") else getattr(X, "column_names", getattr(X, "columns", None))


def values_of_frame(X):
    """The values of a frame as an ndarray, or None if they are not plain numbers."""
    library = type(X).__module__.split(".")[0]
    if library not in ("pandas", "polars", "pyarrow"):
        return None
    if library == "pandas" and not all(isinstance(dtype, np.dtype) for dtype in X.dtypes):
        return None
    values = X.to_numpy() if hasattr(type(X), "to_numpy") else np.asarray(X)
    return values if values.ndim == 2 and values.dtype.kind in "fiu" else None
