"""X in blocks of rows: the products that scores, gradients and Hessians are made of.

This is the one place below `_validation` that knows whether X is dense or sparse, and the
one that sums over blocks. It imports the kernels, and the layout of a model for scores.
"""

import numpy as np
from scipy.sparse import issparse

from . import kernels
from ._model import aligned_zeros, by_class

__all__ = [
    "DesignMatrix",
    "columns_in_use",
    "gathered",
    "inverse_or_zero",
    "kernel_rows",
    "narrowed",
    "occurring_columns",
    "raw_prediction",
    "row_blocks",
    "rows_in",
]

NO_INDICES = np.empty(0, dtype=np.int32)
# Numbers in a block, so that it stays in the cache.
BLOCK = 1 << 16
# Columns are left out if at least FEW times as many exist as are in use, because the
# new indices need memory, too.
FEW = 2
# X is narrowed to predict if it has at most n_features / MUCH_MORE numbers.
MUCH_MORE = 8
LANES = 8  # classes are padded to a multiple of this for the Hessian's kernel
# Columns no further from 0 than so many of their scales are centred in products, which saves copies of the rows, and loses two
# of sixteen digits at most.
MOST_SCALES = 100.0


def inverse_or_zero(scale):
    """1 / scale, or 0 where the scale is 0 or so small that there is none."""
    return np.divide(1, scale, out=np.zeros_like(scale), where=scale > np.finfo(np.float64).tiny)


def kernel_rows(X):
    """X as the kernels take it: values, columns and starts of rows, the last two empty if X is dense."""
    if isinstance(X, np.ndarray):
        return X.reshape(-1), NO_INDICES, NO_INDICES
    return X.data, X.indices, X.indptr


def row_blocks(X, n_classes):
    """Slices of rows so few that arrays of shape (rows, n_classes) and copies of the rows are small, or no larger than W."""
    n_samples, n_features = X.shape
    per_row = max(n_classes, X.size // max(1, n_samples))
    n_rows = max(1, max(BLOCK, n_features * n_classes) // per_row)
    return [slice(start, start + n_rows) for start in range(0, n_samples, n_rows)]


def rows_in(X, block):
    """X[block] for a slice of rows; not a copy if X is sparse, either."""
    if not issparse(X):
        return X[block]
    starts = X.indptr[block.start : block.stop + 1]
    values = slice(starts[0], starts[-1])
    rows = type(X)((len(starts) - 1, X.shape[1]), dtype=X.dtype)  # which copies parts of arrays that are given to it
    rows.data, rows.indices, rows.indptr = X.data[values], X.indices[values], starts - starts[0]
    return rows


def _add_transposed_product(rows, residual, total):
    """Add ``rows.T @ residual`` to `total`, of shape (n_features, n_classes), float64."""
    if issparse(rows):
        kernels.add_transposed_product(*kernel_rows(rows), residual=residual, out=total)
    else:
        total += rows.T @ residual


def occurring_columns(X):
    """The columns that occur in X: all of dense X."""
    return np.unique(X.indices) if issparse(X) else np.arange(X.shape[1])


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


class DesignMatrix:
    """The columns (x_j - offset_j) * inverse_scale_j of X and, last, one of ones.

    A point is an array of shape (n_features + 1, n_classes): the weights of these columns,
    the intercepts last. All products are in double, whatever the type of X, and X is never
    copied as a whole.

    Parameters
    ----------
    X : C-contiguous ndarray or CSR of shape (n_samples, n_features)
    n_classes : int
    offset, inverse_scale : ndarray of shape (n_features,), float64, or None
        None: the columns as they are. Sparse columns have an offset of 0.
    """

    def __init__(self, X, n_classes, offset=None, inverse_scale=None):
        self.is_sparse = issparse(X)
        self.X, self.n_classes, self.offset = X, n_classes, None if self.is_sparse else offset
        n_samples, n_features = X.shape
        self.shape = n_samples, n_features + 1
        self.inverse_scale = (np.ones(n_features) if inverse_scale is None else inverse_scale)[:, None]
        # what products take from the columns
        is_near = self.offset is not None and np.all(np.abs(self.offset * self.inverse_scale[:, 0]) <= MOST_SCALES)
        self.shift = self.offset if is_near else None
        self.blocks = row_blocks(X, n_classes)
        if self.is_sparse:  # a step and its product, as the kernel wants them
            n_padded = -(-n_classes // LANES) * LANES
            self.padded = [aligned_zeros(n_features + 1, n_padded, np.float64) for _ in range(2)]

    def _centred_rows(self, block):
        rows = rows_in(self.X, block)
        return rows if self.offset is None else rows - self.offset

    def _rows(self, block):
        if self.shift is None:
            return self._centred_rows(block)
        return rows_in(self.X, block).astype(np.float64, copy=False)

    def _weights(self, point):
        # (of the columns that `_rows` has, and the constant)
        weights = point[:-1] * self.inverse_scale
        return weights, point[-1] if self.shift is None else point[-1] - self.shift @ weights

    def product(self, point):
        """The product with a point, of shape (n_samples, n_classes); half a pass."""
        weights, constant = self._weights(point)
        product = np.empty((self.shape[0], self.n_classes))
        for block in self.blocks:
            if self.is_sparse:
                product[block] = self._rows(block) @ weights
            else:
                np.matmul(self._rows(block), weights, out=product[block])
            product[block] += constant
        return product

    def transposed_product(self, residual_of):
        """The product of the transpose with an array of shape (n_samples, n_classes); half a pass.

        ``residual_of(block)`` is a block of its rows.
        """
        return self._of_columns(self._summed(lambda block: (self._rows(block), residual_of(block))))

    def squared_transposed_product(self, residual_of):
        """The same, for the squares of all entries."""
        return self._summed(lambda block: (self._squares(block), residual_of(block)))

    def _of_columns(self, product):
        # (from that with the columns that `_rows` has)
        if self.shift is not None:
            product[:-1] -= np.multiply.outer(self.shift, product[-1])
        product[:-1] *= self.inverse_scale
        return product

    def _summed(self, terms_of):
        total = np.zeros((self.shape[1], self.n_classes))
        for block in self.blocks:
            rows, residual = terms_of(block)
            _add_transposed_product(rows, residual, total[:-1])
            total[-1] += residual.sum(axis=0)
        return total

    def _squares(self, block):
        rows = self._centred_rows(block).astype(np.float64)
        if not issparse(rows):
            return np.square(rows * self.inverse_scale.T)
        rows.data = (rows.data * self.inverse_scale[rows.indices, 0]) ** 2  # squared alone, they may overflow
        return rows

    def hessian_product(self, shares, proba, step):
        """sum_i shares_i (diag(p_i) - p_i p_i^T) kron x_i x_i^T, times a step; one pass.

        Parameters
        ----------
        shares : ndarray of shape (n_samples,)
        proba : ndarray of shape (n_samples, n_classes), p
        step : ndarray of shape (n_features + 1, n_classes)
        """
        if self.is_sparse:
            return self._sparse_hessian_product(shares, proba, step)
        weights, constant = self._weights(step)

        def rows_and_residual(block):
            rows = self._rows(block)
            residual = rows @ weights
            residual += constant
            residual -= np.einsum("ij,ij->i", proba[block], residual)[:, None]
            residual *= proba[block]
            residual *= shares[block, None]
            return rows, residual

        return self._of_columns(self._summed(rows_and_residual))

    def _sparse_hessian_product(self, shares, proba, step):
        padded, product = self.padded
        padded[:, : self.n_classes] = step
        product[:] = 0
        kernels.hessian_product(
            *kernel_rows(self.X),
            inverse_scale=self.inverse_scale.ravel(),
            shares=shares,
            proba=proba,
            step=padded,
            out=product,
        )
        return product[:, : self.n_classes].copy()

    def gram_matrices(self, weights_of, has_ones):
        """sum_i w_ia x_i x_i^T for each class a: an array of shape (n_classes, n_features + 1, n_features + 1). Dense X.

        ``weights_of(block)`` is w, of shape (rows, n_classes). Without `has_ones` the last column is 0.
        """
        grams = np.zeros((self.n_classes, self.shape[1], self.shape[1]))
        for block in self.blocks:
            columns = self._centred_rows(block) * self.inverse_scale.T
            columns = np.column_stack([columns, np.full(len(columns), float(has_ones))])
            for gram, weight in zip(grams, weights_of(block).T):
                gram += columns.T @ (columns * weight[:, None])
        return grams


def _finite_raw_prediction(X, rows, intercept):
    """W X + b where a product or a sum overflows: in double, by powers of two, cut off at the largest number."""
    X, rows = (X.toarray() if issparse(X) else X).astype(np.float64), rows.astype(np.float64)
    exponent_of_x = np.frexp(np.abs(X).max(axis=1, initial=0))[1]
    exponent_of_w = np.frexp(np.abs(rows).max(initial=0))[1]
    scores = np.ldexp(X, -exponent_of_x[:, None]) @ np.ldexp(rows, -exponent_of_w).T
    with np.errstate(over="ignore"):
        return np.ldexp(scores, (exponent_of_x + exponent_of_w)[:, None]) + intercept


def raw_prediction(X, model):
    """The scores W x + b of each row.

    Parameters
    ----------
    X : C-contiguous ndarray or CSR of shape (n_samples, n_features), in the dtype of the model
    model : Model

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes), in the dtype of the model
        Finite whatever the scale of X if the model is; NaN in rows where one that is not says no number.
    """
    if issparse(X):
        scores = np.empty((X.shape[0], model.n_classes), dtype=X.dtype)
        kernels.decision(*kernel_rows(X), weights=model.weights, intercept=model.intercept, out=scores)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            weights, intercept = model.columns()
            scores = X @ weights
            scores += intercept.astype(X.dtype)
        scores = by_class(scores, model.n_classes)
    is_finite = np.isfinite(scores)
    if not is_finite.all():
        overflowed, limit = ~is_finite.all(axis=1), np.finfo(X.dtype).max
        if model.is_finite():
            finite = _finite_raw_prediction(X[overflowed], *model.softmax_coef())
            scores[overflowed] = np.clip(finite, -limit, limit)
        else:
            scores[overflowed] = np.nan
    return scores
