"""X in blocks of rows: the products that scores, gradients and Hessians are made of.

This is the one place below `_validation` that knows whether X is dense or sparse, and the
one that sums over blocks. It imports the kernels, and the layout of a model for scores.
"""

import numpy as np
from scipy.linalg import blas
from scipy.sparse import issparse

from . import kernels
from ._model import aligned_zeros, by_class

__all__ = [
    "DesignMatrix",
    "columns_in_use",
    "dense_columns",
    "gathered",
    "inverse_or_zero",
    "kernel_rows",
    "loss_residual",
    "losses_of_shift",
    "narrowed",
    "occurring_columns",
    "raw_prediction",
    "row_blocks",
    "rows_in",
]

NO_INDICES = np.empty(0, dtype=np.int32)
# Numbers in a block, so that it stays in the cache.
BLOCK = 1 << 16
# A product of rows, or of columns, with themselves sums over at least so many in one block.
LEAST_OF_GRAM = 512
# Columns are left out if at least FEW times as many exist as are in use, because the
# new indices need memory, too.
FEW = 2
# X is narrowed to predict if it has at most n_features / MUCH_MORE numbers.
MUCH_MORE = 8
LANES = 8  # classes of sparse rows are padded to a multiple of this for the kernels
# The passes of Newton's method over dense rows are compiled up to so many weights. Beyond, tiles of both sides of a matrix
# product are needed, as BLAS has them.
MOST_WEIGHTS = 1 << 19


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


def dense_columns(rows, offset, inverse_scale, has_ones):
    """(x_j - offset_j) * inverse_scale_j of dense or sparse rows and, last, a column of ones, or of zeros; dense, float64."""
    columns = np.full((rows.shape[0], rows.shape[1] + 1), float(has_ones))
    np.subtract(rows.toarray() if issparse(rows) else rows, offset, out=columns[:, :-1])
    columns[:, :-1] *= inverse_scale
    return columns


def loss_residual(proba, shares, y, label_shift=None):
    """shares_i (p_i - e_yi + shift_i) of rows with these probabilities, in place."""
    if label_shift is not None:
        proba += label_shift
    proba *= shares[:, None]
    proba[np.arange(len(proba)), y] -= shares
    return proba


def losses_of_shift(label_shift, scores, y):
    """sum_k shift_ik score_ik of each row, which the loss of a class y_i lacks; see kernels/softmax.h."""
    return np.einsum("ij,ij->i", label_shift, scores - scores[np.arange(len(y)), y][:, None])


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

    A point is an array of shape (n_features + 1, n_scores): the weights of these columns,
    the intercepts last. All products are in double, whatever the type of X, and X is never
    copied as a whole.

    Parameters
    ----------
    X : C-contiguous ndarray or CSR of shape (n_samples, n_features)
    n_scores : int
    is_margin : bool
        Whether the score is the margin of two classes.
    offset, inverse_scale : ndarray of shape (n_features,), float64, or None
        None: the columns as they are. Sparse columns have an offset of 0.
    """

    def __init__(self, X, n_scores, is_margin=False, offset=None, inverse_scale=None):
        self.is_sparse = issparse(X)
        self.X, self.n_scores = X, n_scores
        n_samples, n_features = X.shape
        self.shape = n_samples, n_features + 1
        self.offset = np.zeros(n_features) if offset is None or self.is_sparse else offset
        self.inverse_scale = np.ones(n_features) if inverse_scale is None else inverse_scale
        self.blocks = row_blocks(X, n_scores)
        self.is_fused = is_margin or (n_scores > 1 and (self.is_sparse or n_features * n_scores <= MOST_WEIGHTS))
        # a point and a result, as the kernels want them
        n_padded = -(-n_scores // LANES) * LANES if self.is_sparse and n_scores > 1 else n_scores
        self.padded = [aligned_zeros(n_features + 1, n_padded, np.float64) for _ in range(2)] if self.is_fused else None

    def _rows(self, block):
        """Rows of the columns without the last one; sparse ones in the units of X, which `_in_units` makes good."""
        rows = rows_in(self.X, block)
        if self.is_sparse:
            return rows
        rows = rows - self.offset
        rows *= self.inverse_scale
        return rows

    def _in_units(self, weights):
        """Weights of the columns, or sums over rows, as those of what `_rows` has."""
        return weights * self.inverse_scale[:, None] if self.is_sparse else weights

    def gram_of_rows(self, factors):
        """The inner products of all rows of dense X, in these columns times `factors`, without that of ones: a lower triangle."""
        n_columns, gram = max(LEAST_OF_GRAM, BLOCK // self.shape[0]), np.zeros((self.shape[0],) * 2, order="F")
        for start in range(0, self.shape[1] - 1, n_columns):
            block = slice(start, start + n_columns)
            columns = self.X[:, block] - self.offset[block]
            columns *= self.inverse_scale[block] * factors[block]
            blas.dsyrk(1.0, columns.T, beta=1.0, c=gram, overwrite_c=True, trans=True, lower=True)
        return gram

    def product(self, point):
        """The product with a point, of shape (n_samples, n_scores); half a pass."""
        product, weights = np.empty((self.shape[0], point.shape[1])), self._in_units(point[:-1])
        for block in self.blocks:
            product[block] = self._rows(block) @ weights
            product[block] += point[-1]
        return product

    def transposed_product(self, residual_of):
        """The product of the transpose with an array of shape (n_samples, n_scores); half a pass.

        ``residual_of(block)`` is a block of its rows.
        """
        return self._summed(lambda block: (self._rows(block), residual_of(block)))

    def squared_transposed_product(self, residual_of):
        """The same, for the squares of all entries."""
        return self._total(lambda block: (self._squares(block), residual_of(block)))

    def _summed(self, terms_of):
        total = self._total(terms_of)
        total[:-1] = self._in_units(total[:-1])
        return total

    def _total(self, terms_of):
        total = 0.0
        for block in self.blocks:
            rows, residual = terms_of(block)
            if isinstance(total, float):
                total = np.zeros((self.shape[1], residual.shape[1]))
            _add_transposed_product(rows, residual, total[:-1])
            total[-1] += residual.sum(axis=0)
        return total

    def _squares(self, block):
        rows = self._rows(block)
        if not self.is_sparse:
            return np.square(rows, out=rows)
        rows.data = np.square(rows.data * self.inverse_scale[rows.indices])  # squared alone, they may overflow
        return rows

    def loss_gradient(self, shares, y, point, label_shift=None, score_offset=None):
        """(mean loss in nats, its gradient, the scores at the point); one pass.

        Parameters
        ----------
        shares : ndarray of shape (n_samples,)
            Weights of the rows that sum to 1.
        y : ndarray of shape (n_samples,), int32, class numbers
        point : ndarray of shape (n_features + 1, n_scores)
        label_shift, score_offset : ndarray of shape (n_samples, n_scores) or None
            See `Objective`.
        """
        scores = np.empty((self.shape[0], self.n_scores))
        if self.is_fused:
            of_rows = dict(y=y, shares=shares, label_shift=label_shift, score_offset=score_offset, scores=scores)
            loss, gradient = self._fused(kernels.loss_gradient, point, **of_rows)
            return loss, gradient, scores
        losses, weights = np.empty(self.shape[0]), self._in_units(point[:-1])

        def rows_and_residual(block):
            rows = self._rows(block)
            scores[block] = rows @ weights
            scores[block] += point[-1]
            if score_offset is not None:
                scores[block] += score_offset[block]
            proba, shift = scores[block].copy(), None if label_shift is None else label_shift[block]
            kernels.softmax(proba, y[block], losses[block])
            if shift is not None:
                losses[block] += losses_of_shift(shift, scores[block], y[block])
            return rows, loss_residual(proba, shares[block], y[block], shift)

        gradient = self._summed(rows_and_residual)
        return float(shares @ losses), gradient, scores

    def hessian_product(self, shares, proba, step):
        """sum_i shares_i (diag(p_i) - p_i p_i^T) kron x_i x_i^T, times a step; one pass.

        Parameters
        ----------
        shares : ndarray of shape (n_samples,)
        proba : ndarray of shape (n_samples, n_scores)
            p; of a margin, p (1 - p).
        step : ndarray of shape (n_features + 1, n_scores)
        """
        if self.is_fused:
            return self._fused(kernels.hessian_product, step, shares=shares, proba=proba)[1]
        weights = self._in_units(step[:-1])

        def rows_and_residual(block):
            rows = self._rows(block)
            residual = rows @ weights
            residual += step[-1]
            residual -= np.einsum("ij,ij->i", proba[block], residual)[:, None]
            residual *= proba[block]
            residual *= shares[block, None]
            return rows, residual

        return self._summed(rows_and_residual)

    def _fused(self, kernel, point, **arrays):
        """(what a kernel of newton.h returns, what it adds to zeros)."""
        padded, out = self.padded
        padded[:, : self.n_scores] = point
        out[:] = 0
        result = kernel(
            *kernel_rows(self.X), offset=self.offset, inverse_scale=self.inverse_scale, point=padded, out=out, **arrays
        )
        return result, out[:, : self.n_scores].copy()

    def _dense(self, block, has_ones):
        """Dense rows of the columns; without `has_ones` the last one is 0."""
        return dense_columns(rows_in(self.X, block), self.offset, self.inverse_scale, has_ones)

    def gram_matrices(self, weights_of, has_ones, stride=1):
        """sum_i w_ia x_i x_i^T for each column a of w: lower triangles of shape (n_features + 1, n_features + 1).

        ``weights_of(rows)`` is w of a slice of the rows. Without `has_ones` the last column is 0. The sum is over each row whose
        number is a multiple of `stride`, which must be 1 for sparse X.
        """
        size, grams = self.shape[1], []
        n_rows = max(LEAST_OF_GRAM, BLOCK // size) * stride
        for start in range(0, self.shape[0], n_rows):
            block = slice(start, start + n_rows, stride)
            weights, columns = weights_of(block), self._dense(block, has_ones)
            grams = grams or [np.zeros((size, size), order="F") for _ in weights.T]
            for gram, root in zip(grams, np.sqrt(weights).T):
                blas.dsyrk(1.0, (columns * root[:, None]).T, beta=1.0, c=gram, overwrite_c=True, lower=True)
        return grams

    def kronecker_gram(self, factors_of, has_ones, groups=None):
        """sum_g v_g v_g^T, v_g = sum of f_i kron x_i over the rows of a group: a lower triangle.

        Parameters
        ----------
        factors_of : function
            ``factors_of(block)`` is f of a slice of the rows, of shape (n_rows, n_factors).
        has_ones : bool
            Without, the last column is 0.
        groups : ndarray of shape (n_samples,), rising numbers, or None
            The group of each row. None: each row is one.
        """
        gram, unfinished = None, None
        n_rows = max(LEAST_OF_GRAM, BLOCK // self.shape[1])

        def add(vectors):
            blas.dsyrk(1.0, vectors.T, beta=1.0, c=gram, overwrite_c=True, lower=True)

        for start in range(0, self.shape[0], n_rows):
            block = slice(start, start + n_rows)
            columns, factors = self._dense(block, has_ones), factors_of(block)
            vectors = (factors[:, :, None] * columns[:, None, :]).reshape(len(columns), -1)
            if gram is None:
                gram = np.zeros((vectors.shape[1],) * 2, order="F")
            if groups is not None:  # the last group of a block may go on in the next
                vectors = np.add.reduceat(vectors, np.flatnonzero(np.diff(groups[block], prepend=-1)))
                if unfinished is not None and groups[start] == groups[start - 1]:
                    vectors[0] += unfinished[0]
                elif unfinished is not None:
                    add(unfinished)
                vectors, unfinished = vectors[:-1], vectors[-1:]
            if len(vectors):
                add(vectors)
        if unfinished is not None:
            add(unfinished)
        return gram


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
