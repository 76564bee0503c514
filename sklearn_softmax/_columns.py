"""Columns of sparse X that hold nothing: `fit` leaves them out, so that a wide hash costs no more than what occurs in it.

No row says anything of them. A column that does not occur and has no coefficients to start from keeps none.
"""

from dataclasses import replace

import numpy as np
from scipy.sparse import issparse

from ._model import aligned_zeros

__all__ = ["columns_in_use", "gathered", "gathered_model", "narrowed", "scattered", "scattered_model"]

# Columns are left out if there are at least so many times as many as are in use: new indices need memory, too.
FEW = 2
# Rows have few numbers if they have no more than 1 / this of all columns.
MUCH_MORE = 8


def columns_in_use(X, start):
    """The columns that occur in X, or have coefficients in the model `start` (or None); None if X is dense, or it is most."""
    if not issparse(X):
        return None
    is_used = np.zeros(X.shape[1], dtype=bool)
    is_used[X.indices] = True
    if start is not None:
        is_used |= start.weights.any(axis=1)
    is_used[0] |= not is_used.any()  # a model has a feature at least
    return np.flatnonzero(is_used) if FEW * np.count_nonzero(is_used) <= len(is_used) else None


def gathered(X, columns):
    """These columns of X, which share its values if there are no others with any."""
    if not issparse(X):
        return np.ascontiguousarray(X[:, columns])
    new = np.full(X.shape[1], -1, dtype=X.indices.dtype)
    new[columns] = np.arange(len(columns))
    data, indices, starts = X.data, new[X.indices], X.indptr
    is_kept = indices >= 0
    if not is_kept.all():
        data, indices, starts = data[is_kept], indices[is_kept], np.append(0, np.cumsum(is_kept))[starts].astype(starts.dtype)
    some = type(X)((X.shape[0], len(columns)), dtype=X.dtype)  # which copies arrays that are given to it if it can shrink them
    some.data, some.indices, some.indptr = data, indices, starts
    return some


def narrowed(X):
    """(X, its columns) without those that do not occur, of sparse X; None if it has so many numbers that this saves little.

    What predicts is then made of these columns only. However many calls there are, each costs what its rows cost.
    """
    if not issparse(X) or X.nnz * MUCH_MORE > X.shape[1]:
        return None
    columns, indices = np.unique(np.append(X.indices, 0), return_inverse=True)  # a model has a feature at least
    shape = X.shape[0], len(columns)
    return type(X)((X.data, indices[:-1].astype(X.indices.dtype), X.indptr), shape=shape), columns


def scattered(rows, columns, n_features):
    """An array of shape (n_features, ...) with these rows at these columns, and 0 elsewhere; None if there is none."""
    if rows is None:
        return None
    everywhere = aligned_zeros(n_features, rows.shape[1], rows.dtype)
    everywhere[columns] = rows
    return everywhere


def gathered_model(model, columns):
    """The model of these columns."""
    average = None if model.average is None else model.average[columns]
    return replace(model, weights=model.weights[columns], average=average)


def scattered_model(model, columns, n_features):
    """The model of all columns whose coefficients at these are those of `model`, and 0 elsewhere."""
    weights, average = (scattered(rows, columns, n_features) for rows in (model.weights, model.average))
    return replace(model, weights=weights, average=average)
