"""What a stored model consists of: dicts of numbers, strings and arrays, and no type of this package.

Loading it needs one name, that of the estimator, so that a file outlives the names inside, and loaders that ask which types they
may trust (skops, MLflow) have one to ask about. The dataclasses of a stream are the table: one is stored as the dict of its
fields. What its `__getstate__` leaves out follows from the rest.
"""

from dataclasses import fields, is_dataclass
from typing import get_args

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse

from ._stream import Stream

__all__ = ["coefficients_of", "read_only", "state_of", "stream_of"]

FORMAT = 1


def state_of(value):
    """A stream, or what is in one, or coefficients, in plain types."""
    if issparse(value):
        parts = {name: getattr(value, name) for name in ("data", "indices", "indptr")}
        return parts | {"shape": list(value.shape), "is_array": isinstance(value, csr_array)}
    if not is_dataclass(value):
        return value
    state = {name: state_of(part) for name, part in value.__getstate__().items()}
    return {"format": FORMAT} | state if isinstance(value, Stream) else state


def stream_of(state):
    """The stream of a state."""
    state = dict(state)
    stored = state.pop("format", None)
    if stored != FORMAT:
        raise ValueError(
            f"The model is stored in format {stored!r}, and this version of sklearn_softmax reads format {FORMAT}. Load it with "
            "the version that stored it, and take its to_logistic_regression() over here."
        )
    return _restored(Stream, state)


def _restored(kind, state):
    """An object of the type `kind`, which may be one of several dataclasses or None."""
    if not isinstance(state, dict):
        return _unshared(state)
    kinds = [each for each in (kind, *get_args(kind)) if is_dataclass(each)]
    kind = next(each for each in kinds if {field.name for field in fields(each)} == set(state))
    types = {field.name: field.type for field in fields(kind)}
    value, parts = kind.__new__(kind), {name: _restored(types[name], part) for name, part in state.items()}
    getattr(value, "__setstate__", vars(value).update)(parts)
    return value


def coefficients_of(state):
    """The coefficients of a state: dense or sparse."""
    if not isinstance(state, dict):
        return _unshared(state)
    arrays = tuple(_unshared(state[name]) for name in ("data", "indices", "indptr"))
    return (csr_array if state["is_array"] else csr_matrix)(arrays, shape=tuple(state["shape"]))


def _unshared(value):
    """An array that is mapped from a file, as one that nobody writes to: training copies it, and leaves the file as it was."""
    return read_only(np.asarray(value)) if isinstance(value, np.memmap) else value


def read_only(array):
    """A view of the array, or the sparse matrix, whose numbers can not be changed."""
    if issparse(array):
        return type(array)((read_only(array.data), array.indices, array.indptr), shape=array.shape)
    view = array.view()
    view.flags.writeable = False
    return view
