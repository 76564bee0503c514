"""A stored model: dicts of numbers, strings and arrays, and no type of this package.

Loading a file needs the name of the estimator and no other. So the other names of the
package may change, and loaders that ask which types to trust (skops, MLflow) ask about
one. A dataclass of a stream is stored as the dict of its fields. Fields that
`__getstate__` leaves out follow from the others. Imports streams only.
"""

from dataclasses import fields, is_dataclass
from typing import get_args

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse

from ._stream import Stream

__all__ = ["coefficients_of", "read_only", "state_of", "stream_of"]

FORMAT = 1


def state_of(value):
    """A stream, a part of a stream, or coefficients, in plain types."""
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
    """The object of a state; `kind` is a dataclass or a union of several."""
    if not isinstance(state, dict):
        return _unshared(state)
    kinds = [each for each in (kind, *get_args(kind)) if is_dataclass(each)]
    kind = next(each for each in kinds if {field.name for field in fields(each)} == set(state))
    types = {field.name: field.type for field in fields(kind)}
    value, parts = kind.__new__(kind), {name: _restored(types[name], part) for name, part in state.items()}
    getattr(value, "__setstate__", vars(value).update)(parts)
    return value


def coefficients_of(state):
    """The coefficients of a state, dense or sparse."""
    if not isinstance(state, dict):
        return _unshared(state)
    arrays = tuple(_unshared(state[name]) for name in ("data", "indices", "indptr"))
    return (csr_array if state["is_array"] else csr_matrix)(arrays, shape=tuple(state["shape"]))


def _unshared(value):
    """The value; if it is mapped from a file, read-only, so that training copies it."""
    return read_only(np.asarray(value)) if isinstance(value, np.memmap) else value


def read_only(array):
    """A view of an array or a sparse matrix whose numbers cannot be changed."""
    if issparse(array):
        return type(array)((read_only(array.data), array.indices, array.indptr), shape=array.shape)
    view = array.view()
    view.flags.writeable = False
    return view
