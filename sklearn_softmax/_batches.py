"""Train on batches, such as files, that together do not fit into memory."""

import time
from numbers import Integral
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse, vstack
from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import check_consistent_length, check_random_state

from ._containers import as_array, columns_of, joined_labels, labels_of_iterable

__all__ = ["Progress", "fit_batches"]

SECONDS_BETWEEN_LINES = 1.0


class Progress(NamedTuple):
    """The progress of `fit_batches`.

    Attributes
    ----------
    epoch : int
        Number of the epoch, from 1.
    n_rows : int
        Rows learnt from in this epoch.
    seconds : float
        Seconds since this epoch began.
    progressive_loss : float or None
        `progressive_loss_` of the estimator, or None if the estimator has none.
    effective_n_samples : float or None
        `effective_n_samples_` of the estimator, or None if the estimator has none.
    drift_log_odds : float or None
        `drift_log_odds_` of the estimator, or None if the estimator has none.
    """

    epoch: int
    n_rows: int
    seconds: float
    progressive_loss: float | None
    effective_n_samples: float | None = None
    drift_log_odds: float | None = None

    @classmethod
    def of(cls, estimator, epoch, n_rows, seconds):
        """The progress, with what the estimator says of itself."""
        return cls(epoch, n_rows, seconds, *(getattr(estimator, f"{name}_", None) for name in cls._fields[3:]))

    def __str__(self):
        line = f"epoch {self.epoch}: {self.n_rows:,} rows, {self.n_rows / max(self.seconds, 1e-9):,.0f} rows/s"
        if self.progressive_loss is not None:
            line += f", progressive log loss {self.progressive_loss:.4f}"
        if self.drift_log_odds is not None:
            line += f", remembers {self.effective_n_samples:,.0f} rows, drift log odds {self.drift_log_odds:+.1f}"
        return line


def fit_batches(
    estimator,
    batches,
    *,
    classes=None,
    transform=None,
    epochs=1,
    shuffle_buffer=0,
    random_state=None,
    progress=False,
):
    """Train an estimator by `partial_fit` on batches, one after another.

    A file that is sorted by class or by time makes a worse model. `shuffle_buffer`
    mixes rows while they are read.

    Parameters
    ----------
    estimator : estimator with `partial_fit`
        The estimator to train, in place. A fitted estimator is trained further.

    batches : iterable or callable
        Where the rows come from. An iterable gives ``(X, y)``, ``(X, y,
        sample_weight)`` or ``(X, y, sample_weight, offset)`` for each batch, where
        `sample_weight` may be None. y may have one label per row, or floats for each
        class, if the estimator takes them. A callable is called in each epoch, without
        arguments, and returns such an iterable. Batches without rows are skipped.

    classes : array-like or set of shape (n_classes,) or None, default=None
        All labels that can occur. Required if the estimator is not fitted, unless it
        has ``new_classes="add"``.

    transform : fitted transformer, callable or None, default=None
        Applied to the X of every batch before `partial_fit`: ``transform.transform(X)``
        for a fitted transformer, ``transform(X)`` for a function. A pipeline cannot be
        trained by batches, but its fitted first steps can be passed as `transform`.

    epochs : int, default=1
        Number of passes over all batches. For more than one pass, `batches` must be a
        callable, or an iterable such as a list that can be read several times.

    shuffle_buffer : int, default=0
        Number of rows (after `transform`) that are collected and mixed. Whenever there
        are so many rows, the estimator learns from a random half of them, in random
        order. Each row is learnt from once per epoch. 0 keeps the order. Frames of
        pandas, polars and pyarrow keep their column names. They must all have the same
        columns in the same order.

    random_state : int, RandomState instance or None, default=None
        Seed of the shuffle buffer.

    progress : bool or callable, default=False
        Whether to report progress. True prints a line about once per second with the
        number of rows, rows per second and, if the estimator has them, the progressive
        log loss, the number of rows that the average remembers, and the log odds of a
        drift. A callable is called after each call of `partial_fit` with a named tuple
        of `epoch`, `n_rows`, `seconds`, `progressive_loss`, `effective_n_samples` and
        `drift_log_odds`.

    Returns
    -------
    estimator : estimator
        The estimator that was passed, trained.

    Raises
    ------
    TypeError
        If `estimator` has no `partial_fit`, if `transform` is neither a transformer nor
        callable, or if a batch is not a tuple of two to four.
    ValueError
        If `batches` has no rows or cannot be read again in another epoch, or if
        `partial_fit` raises this error. The estimator has then learnt from the batches
        before, except for the rows in the shuffle buffer.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import HashingVectorizer
    >>> from sklearn_softmax import SoftmaxSGDClassifier, fit_batches
    >>> def batches():
    ...     yield ["a red apple", "a grey mouse"], ["fruit", "animal"]
    ...     yield ["a yellow banana"], ["fruit"]
    >>> hashing = HashingVectorizer(n_features=2**10)
    >>> clf = SoftmaxSGDClassifier(new_classes="add")
    >>> clf = fit_batches(clf, batches, transform=hashing, epochs=5)
    >>> loss = clf.progressive_loss_
    >>> print(f"{clf.t_ - 1:.0f} rows, progressive loss {loss:.2f}")
    15 rows, progressive loss 0.38
    """
    if not hasattr(estimator, "partial_fit"):
        is_pipeline = isinstance(estimator, Pipeline)
        advice = (
            " Pass its last step as estimator and its fitted other steps, pipeline[:-1], as transform." if is_pipeline else ""
        )
        raise TypeError(f"estimator is a {type(estimator).__name__}, which has no partial_fit.{advice}")
    for name, value, smallest in (("epochs", epochs, 1), ("shuffle_buffer", shuffle_buffer, 0)):
        if not isinstance(value, Integral) or value < smallest:
            raise ValueError(f"{name}={value!r} must be an integer, and at least {smallest}.")
    if epochs > 1 and not callable(batches) and iter(batches) is batches:
        raise ValueError(
            f"epochs={epochs}, but batches is an iterator, which can be read only once. Pass a callable that returns a new one."
        )
    apply = _as_function(transform)
    random_state = check_random_state(random_state)
    classes = None if classes is None else labels_of_iterable(classes)
    report = _print_now_and_then() if progress is True else progress or (lambda state: None)

    for epoch in range(1, epochs + 1):
        n_rows, began = 0, time.perf_counter()
        read = _transformed(batches() if callable(batches) else batches, apply)
        for X, y, sample_weight, offset in _mixed(read, shuffle_buffer, random_state) if shuffle_buffer else read:
            _check_classes(estimator, classes, y)
            metadata = {"sample_weight": sample_weight, "offset": offset}
            given = {name: numbers for name, numbers in metadata.items() if numbers is not None}
            estimator.partial_fit(X, y, classes=classes, **given)
            n_rows += _n_rows(X)
            report(Progress.of(estimator, epoch, n_rows, time.perf_counter() - began))
        if n_rows == 0:
            raise ValueError(
                f"batches gave no rows in epoch {epoch}. Most likely batches is, or returns, an exhausted generator. Pass a "
                "callable that creates a new generator in every call."
            )
        if progress is True:
            print(Progress.of(estimator, epoch, n_rows, time.perf_counter() - began), flush=True)
    return estimator


def _check_classes(estimator, classes, y):
    """Raise an error about missing classes that does not mention `partial_fit`."""
    may_be_none = hasattr(estimator, "classes_") or getattr(estimator, "new_classes", "error") == "add"
    may_be_none |= _has_columns(y) and y.shape[1] > 1  # which stand for classes
    if classes is None and isinstance(estimator, ClassifierMixin) and not may_be_none:
        hint = ", or set new_classes='add'" if hasattr(estimator, "new_classes") else ""
        raise ValueError(
            f"classes must be passed on the first call of fit_batches with a {type(estimator).__name__} that is not fitted. Pass "
            f"all labels that can occur{hint}."
        )


def _print_now_and_then():
    last = time.perf_counter()

    def report(state):
        nonlocal last
        if time.perf_counter() - last > SECONDS_BETWEEN_LINES:
            last = time.perf_counter()
            print(state, flush=True)

    return report


def _as_function(transform):
    if transform is None:
        return lambda X: X
    if hasattr(transform, "transform"):
        return transform.transform
    if callable(transform):
        return transform
    raise TypeError(f"transform is a {type(transform).__name__}. Pass a fitted transformer or a callable.")


def _n_rows(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


def _transformed(batches, apply):
    """(X, y, sample_weight or None, offset or None) of each batch that has rows."""
    for number, batch in enumerate(batches):
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3, 4):
            what = f"{type(batch).__name__} of {len(batch)}" if isinstance(batch, tuple | list) else type(batch).__name__
            raise TypeError(
                f"batch {number} is a {what}; expected (X, y), (X, y, sample_weight) or (X, y, sample_weight, offset)."
            )
        X, y, sample_weight, offset = (*batch, None, None)[:4]
        if _n_rows(X) > 0:
            yield _with_names(apply(X)), y if _has_columns(y) else as_array(y), sample_weight, offset


def _has_columns(y):
    """Whether y has a column for each class: an array, a sparse matrix or a frame."""
    return issparse(y) or len(getattr(y, "shape", ())) == 2


def _with_names(X):
    """X, with a pyarrow record batch as a table, whose names scikit-learn can read."""
    if not (hasattr(X, "column_names") and hasattr(X, "to_struct_array")) or hasattr(X, "to_batches"):
        return X
    import pyarrow as pa

    return pa.Table.from_batches([X])


def _mixed(batches, size, random_state):
    """The same rows in another order.

    Whenever `size` rows are collected, a random half of them is yielded. The rest is
    yielded at the end.
    """
    waiting, n_waiting = [], 0
    for number, (X, y, sample_weight, offset) in enumerate(batches):
        n_rows = _n_rows(X)
        if sample_weight is not None:
            sample_weight = _weights(sample_weight, n_rows, number)
        check_consistent_length(X, y, offset)
        waiting.append((X, y, sample_weight, None if offset is None else as_array(offset, "offset")))
        n_waiting += n_rows
        if n_waiting >= size:
            rows = _together(waiting)
            order = random_state.permutation(n_waiting)
            n_kept = size // 2
            yield _take(rows, order[n_kept:])
            waiting, n_waiting = ([_take(rows, order[:n_kept])], n_kept) if n_kept else ([], 0)
    if n_waiting:
        yield _take(_together(waiting), random_state.permutation(n_waiting))


def _weights(sample_weight, n_rows, number):
    weight = as_array(sample_weight, "sample_weight") if np.ndim(sample_weight) else np.full(n_rows, sample_weight)
    if weight.shape != (n_rows,):
        raise ValueError(
            f"sample_weight of batch {number} has the shape {weight.shape}, expected {(n_rows,)}. Pass one weight per row of X, "
            "as by numpy.ravel."
        )
    return weight


def _together(parts):
    """Concatenate many (X, y, sample_weight, offset) to one."""
    all_X, all_y, all_weights, all_offsets = zip(*parts)
    X = _rows_together(all_X)
    y = _rows_together(all_y) if any(map(_has_columns, all_y)) else joined_labels(all_y)
    n_rows = list(map(_n_rows, all_X))
    return X, y, _numbers_together(all_weights, n_rows, 1.0), _numbers_together(all_offsets, n_rows, 0.0)


def _numbers_together(parts, n_rows, otherwise):
    """Concatenate numbers of rows, where some parts may be None."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    return np.concatenate(
        [np.full((n, *given[0].shape[1:]), otherwise) if part is None else part for part, n in zip(parts, n_rows)]
    )


def _rows_together(parts):
    if len(parts) == 1:
        return parts[0]
    columns = columns_of(parts[0])
    for part in parts:
        _check_same_columns(columns, columns_of(part))
    if columns is not None:
        return _frames_together(parts)
    if any(issparse(part) for part in parts):
        return vstack(parts, format="csr")
    return np.concatenate([as_array(part, "X") for part in parts])


def _check_same_columns(columns, others):
    """Refuse to mix rows with different columns, whose values would be mixed up."""
    if columns is None and others is None:
        return
    if columns is None or others is None:
        raise ValueError(
            f"Some batches have column names, {list(others if columns is None else columns)}, and some have none, so that "
            "shuffle_buffer cannot mix them. Give all X one type."
        )
    columns, others = list(columns), list(others)
    if columns != others:
        missing, more = [name for name in columns if name not in others], [name for name in others if name not in columns]
        what = f"misses {missing} and has {more} in addition" if missing or more else "has them in another order"
        raise ValueError(
            f"All batches must have the same column names, {columns}, but a batch {what}: {others}. Select the same columns in "
            "the same order where the files are read, or in transform."
        )


def _frames_together(frames):
    libraries = {type(frame).__module__.split(".")[0] for frame in frames}
    if len(libraries) > 1:
        raise ValueError(
            f"Batches are frames of {' and '.join(sorted(libraries))}, which shuffle_buffer cannot mix. Give all X one type."
        )
    if hasattr(frames[0], "iloc"):
        import pandas as pd

        return pd.concat(frames)
    if libraries == {"polars"}:
        import polars as pl

        return pl.concat(frames, how="vertical_relaxed")
    import pyarrow as pa

    return pa.concat_tables(frames, promote_options="permissive")


def _take(part, rows):
    X, y, sample_weight, offset = part
    return (
        _rows_of(X, rows),
        _rows_of(y, rows),
        None if sample_weight is None else sample_weight[rows],
        None if offset is None else offset[rows],
    )


def _rows_of(X, rows):
    return X.iloc[rows] if hasattr(X, "iloc") else X.take(rows) if hasattr(X, "column_names") else X[rows]


fit_batches.__module__ = "sklearn_softmax"
