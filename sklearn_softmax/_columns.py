"""Sparse X without its empty columns: a wide hash costs as much as its used columns.

An empty column whose coefficients start at 0 keeps them at 0: `fit` leaves it out.
Imports the memory of models only.
"""

from dataclasses import replace

import numpy as np
from scipy.sparse import issparse

from ._model import aligned_zeros

__all__ = ["columns_in_use", "gathered", "gathered_model", "narrowed", "scattered", "scattered_model"]

# Columns are left out if at least FEW times as many exist as are in use, because the
# new indices need memory, too.
FEW = 2
# X is narrowed to predict if it has at most n_features / MUCH_MORE numbers.
MUCH_MORE = 8


def columns_in_use(X, start):
    """The columns that occur in X or have coefficients in `start`.

    None if X is dense, or if these are most of the columns. `start` is a model or None.
    """
    if not issparse(X):
        return None
    is_used = np.zeros(X.shape[1], dtype=bool)
    is_used[X.indices] = True
    if start is not None:
        is_used |= start.weights.any(axis=1)
    is_used[0] |= not is_used.any()  # a model has at least one feature
    return np.flatnonzero(is_used) if FEW * np.count_nonzero(is_used) <= len(is_used) else None


def gathered(X, columns):
    """These columns of X; shares the values if all others are empty."""
    if not issparse(X):
        return np.ascontiguousarray(X[:, columns])
    new = np.full(X.shape[1], -1, dtype=X.indices.dtype)
    new[columns] = np.arange(len(columns))
    data, indices, starts = X.data, new[X.indices], X.indptr
    is_kept = indices >= 0
    if not is_kept.all():
        data, indices, starts = data[is_kept], indices[is_kept], np.append(0, np.cumsum(is_kept))[starts].astype(starts.dtype)
    # the constructor would copy arrays that it can shrink
    some = type(X)((X.shape[0], len(columns)), dtype=X.dtype)
    some.data, some.indices, some.indptr = data, indices, starts
    return some


def narrowed(X):
    """(X without empty columns, its columns), or None if this saves little.

    The model to predict with is then computed for these columns only. So a call costs
    what its rows cost, and nothing for each feature of the model.
    """
    if not issparse(X) or X.nnz * MUCH_MORE > X.shape[1]:
        return None
    columns, indices = np.unique(np.append(X.indices, 0), return_inverse=True)  # a model has at least one feature
    shape = X.shape[0], len(columns)
    return type(X)((X.data, indices[:-1].astype(X.indices.dtype), X.indptr), shape=shape), columns


def scattered(rows, columns, n_features):
    """These rows at `columns` of n_features, and 0 elsewhere; None for None."""
    if rows is None:
        return None
    everywhere = aligned_zeros(n_features, rows.shape[1], rows.dtype)
    everywhere[columns] = rows
    return everywhere


def gathered_model(model, columns):
    """The model with these columns only."""
    average = None if model.average is None else model.average[columns]
    return replace(model, weights=model.weights[columns], average=average)


def scattered_model(model, columns, n_features):
    """The model with its coefficients at `columns` of `n_features`, and 0 elsewhere."""
    weights, average = (scattered(rows, columns, n_features) for rows in (model.weights, model.average))
    return replace(model, weights=weights, average=average)
