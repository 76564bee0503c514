"""`SoftmaxSGDClassifier` for the data of a Dask cluster.

A fit begins with passes for what the parts share: classes, counts and scales of
features. One pass of the stream's steps over each part follows, and a `merge` of the
models. Rounds of Newton's method (_distributed.py) come last. Models go over the
network, rows do not.

The driver holds the point of each round. All that workers hold can be computed again
from the graph of the data and from this point, so that the fit survives the loss of a
worker.

Imports the estimator, `merge` and _distributed.py. No other file imports this one.
"""

import warnings
from contextlib import contextmanager
from copy import deepcopy
from numbers import Integral
from operator import getitem
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse, vstack
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import _absent, _distributed, _validation
from ._classifier import SoftmaxSGDClassifier
from ._compat import Interval, fit_context
from ._containers import as_array, labels, labels_of_iterable, numbers_and_unseen, numbers_of, soft_labels, union_of_classes
from ._coordinates import scale_of_classes, scale_of_features, solver_coordinates
from ._distributed import Part, Setting
from ._merge import merge
from ._model import FLOATS
from ._objective import Penalty
from ._versions import HasPage

try:
    import dask
    import dask.array as da
    from dask.distributed import CancelledError, default_client
except ImportError as error:
    raise ImportError("sklearn_softmax.dask needs dask and distributed: pip install 'sklearn_softmax[dask]'") from error

__all__ = ["DaskSoftmaxSGDClassifier"]

# Parameters of `SoftmaxSGDClassifier` that this class has, too.
COMMON = (
    "alpha",
    "l1_ratio",
    "standardize",
    "fit_intercept",
    "tol",
    "early_stopping",
    "validation_fraction",
    "n_iter_no_change",
    "class_weight",
    "random_state",
)
FITTED = (
    "classes_",
    "coef_",
    "intercept_",
    "n_iter_",
    "t_",
    "alpha_",
    "loss_curve_",
    "scale_",
    "progressive_loss_",
    "validation_scores_",
    "best_validation_score_",
    "n_features_in_",
    "feature_names_in_",
)
# The largest distance 1/2 sum_k |share of class k in a part - share in all rows|,
# beside that by chance, without a warning.
LARGEST_DISTANCE = 0.3
FAN_IN = 8  # the number of terms that one task adds


class Facts(NamedTuple):
    """A summary of a block of rows, for the checks."""

    n_rows: int
    n_features: int
    names: tuple | None
    dtype: Any
    is_sparse: bool
    labels: np.ndarray
    weights: np.ndarray  # of each label


# ----------------------------------------------------------------- tasks of workers


class Block(NamedTuple):
    """A block of rows as arrays.

    If y has a column for each class, `columns` are the classes of these, else None.
    """

    X: Any
    y: np.ndarray
    weight: np.ndarray
    names: tuple | None
    columns: np.ndarray | None


def checked_block(X, y, sample_weight, classes=None):
    """A `Block`, or an error that says what is wrong with it."""
    if not len(X.shape) == 2:
        raise ValueError(f"X has blocks of shape {X.shape}, expected 2 dimensions. Reshape one feature to a column.")
    counts, columns = soft_labels(y)
    if counts is None:
        y = as_array(y)
        y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
    else:
        y, columns = counts, _validation.classes_of_columns(counts, columns, classes, None)
    if len(y) != X.shape[0]:
        raise ValueError(f"X has a block of {X.shape[0]} rows, but y has {len(y)} labels there. Give both the same partitions.")
    weight = _validation.checked_weight(sample_weight, len(y))
    if counts is not None:
        weight = weight * _validation.mass_of(counts)
    names = None
    if X.shape[0]:
        estimator = SoftmaxSGDClassifier()  # scikit-learn sets the names of columns in it
        X = _validation.checked_X(estimator, X, dtype=FLOATS, reset=True)
        y = labels(y) if counts is None else y
        names = getattr(estimator, "feature_names_in_", None)
    return Block(X, y, weight, None if names is None else tuple(names), columns)


def problem_of(block, classes, dtype=None):
    """The `Problem` of a block, rows of weight 0 included."""
    X, y, weight, _, columns = block
    numbers = numbers_and_unseen(y, classes)[0] if columns is None else np.zeros(len(y), dtype=np.int32)
    rounding = _validation.rounding_of(X)
    problem = _validation.Problem(X if dtype is None else X.astype(dtype, copy=False), numbers, weight, weight, rounding)
    return problem if columns is None else problem.with_targets(_validation.arranged(y, columns, classes))


def facts(block):
    X, y, _, names, columns = block
    found = np.unique(y if columns is None else columns)
    weights = problem_of(block, found).prior_counts(len(found))
    dtype = getattr(X, "dtype", None) if X.shape[0] else None
    return Facts(X.shape[0], X.shape[1], names, dtype, issparse(X), found, weights)


def encoded(block, classes, class_weights, is_present, dtype):
    """The `Problem` of a block, with the classes that are present."""
    problem = problem_of(block, classes, dtype).take_positive()
    return problem.weighted_by_class(class_weights).renumbered(is_present)


def dealt_out(problem, n_parts, seed):
    """The rows of a problem, divided at random into `n_parts` problems."""
    owner = np.random.default_rng(seed).integers(n_parts, size=problem.n_samples)
    return [problem.take(np.flatnonzero(owner == number)) for number in range(n_parts)]


def joined(problems):
    X = [problem.X for problem in problems]
    names = [
        name
        for name in ("y", "sample_weight", "base_weight", "targets", "base_targets")
        if getattr(problems[0], name) is not None
    ]
    arrays = {name: np.concatenate([getattr(problem, name) for problem in problems]) for name in names}
    X, rounding = vstack(X, format="csr") if issparse(X[0]) else np.concatenate(X), max(problem.rounding for problem in problems)
    return _validation.Problem(X, **arrays, rounding=rounding)


def as_part(problem, validation_fraction, seed):
    """The rows of a problem as a `Part`, in random order, some of them held out."""
    rng = np.random.default_rng(seed)
    problem = problem.take(rng.permutation(problem.n_samples))
    if not validation_fraction:
        return Part(problem)
    is_held_out = rng.uniform(size=problem.n_samples) < validation_fraction
    return Part(problem.take(np.flatnonzero(~is_held_out)), problem.take(np.flatnonzero(is_held_out)))


def weights_of(part):
    """Total weight of the rows to learn from, and of the held-out rows."""
    return part.problem.sample_weight.sum(), 0.0 if part.held_out is None else part.held_out.sample_weight.sum()


def one_pass(part, estimator, classes):
    """A model that has learnt from each row once."""
    problem = part.problem
    y = classes[problem.y] if problem.targets is None else problem.base_targets
    return deepcopy(estimator).partial_fit(problem.X, y, classes, problem.base_weight)


def itself(thing):
    return thing


def total(terms):
    """The sum of the terms; tuples are added entry by entry."""
    if isinstance(terms[0], tuple):
        return tuple(map(sum, zip(*terms)))
    return sum(terms[1:], terms[0])


def no_predictions(model, method):
    """The predictions of no rows. (Estimators reject X without rows.)"""
    if method == "predict":
        return np.empty(0, model.classes_.dtype)
    return np.empty((0, len(model.classes_)), model.coef_.dtype)


def predicted(X, model, method):
    return getattr(model, method)(X) if X.shape[0] else no_predictions(model, method)


class Cluster:
    """The workers of a client, which compute functions of parts."""

    def __init__(self, client):
        self.client = client

    def send(self, thing):
        """`thing` as a task, which unlike scattered data survives its worker."""
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
            return self.submit(itself, thing)

    def compute(self, delayed):
        return self.client.compute(delayed)

    def submit(self, function, *args):
        return self.client.submit(function, *args, pure=False)

    def each(self, function, parts, *shared):
        return [self.submit(function, part, *shared) for part in parts]

    def gather(self, futures):
        return self.client.gather(futures)

    def sum(self, function, parts, *shared):
        """The sum over the parts, in a tree, so that no machine holds all terms."""
        terms = self.each(function, parts, *shared)
        while len(terms) > 1:
            terms = self.each(total, [terms[begin : begin + FAN_IN] for begin in range(0, len(terms), FAN_IN)])
        return self.gather(terms[0])


# --------------------------------------------------------------------------- driver


@contextmanager
def lost_rows_explained():
    try:
        yield
    except CancelledError as error:
        raise RuntimeError(
            "A worker was lost, and with it rows that cannot be computed again: they had been scattered, or their futures were "
            "cancelled. Start again, from data with a graph (dask.array.from_array, dask.dataframe.read_parquet, ...), persisted "
            "or not: Dask then computes the lost rows again by itself."
        ) from error


def blocks_of(X, y, sample_weight):
    """The delayed (X, y, sample_weight) of each partition."""
    collections = {"X": X, "y": y} | ({} if sample_weight is None else {"sample_weight": sample_weight})
    for name, collection in collections.items():
        if not (dask.is_dask_collection(collection) and hasattr(collection, "to_delayed")):
            raise TypeError(
                f"{name} is a {type(collection).__name__}, not a dask array or dataframe. Make it one (dask.array.from_array, "
                "dask.dataframe.from_pandas), or use SoftmaxSGDClassifier, which takes data in memory."
            )
    if len(getattr(X, "shape", (0, 0))) != 2:
        raise ValueError(f"X has {X.ndim} dimension(s), expected 2.")
    blocks = {}
    for name, collection in collections.items():
        if name == "X" and hasattr(X, "chunks") and len(X.chunks[1]) > 1:
            raise ValueError(
                f"X is cut along its features, into {len(X.chunks[1])} blocks, but rows have to be whole: X.rechunk({{1: -1}})."
            )
        if hasattr(X, "chunks") and hasattr(collection, "chunks") and not np.isnan(X.chunks[0] + collection.chunks[0]).any():
            if collection.shape[0] != X.shape[0]:
                raise ValueError(f"X has {X.shape[0]} rows, but {name} has {collection.shape[0]}. Pass one per row of X.")
            collection = collection.rechunk({0: X.chunks[0]})
        blocks[name] = np.ravel(collection.to_delayed())
        if len(blocks[name]) != len(blocks["X"]):
            raise ValueError(
                f"X has {len(blocks['X'])} partitions, but {name} has {len(blocks[name])}. Give both the same (rechunk, or "
                "repartition)."
            )
    return list(zip(blocks["X"], blocks["y"], blocks.get("sample_weight", [None] * len(blocks["X"]))))


def agreed(all_facts, classes):
    """(classes, weight of each class in each block, Facts of all), or an error.

    Blocks without rows are ignored.
    """
    filled = [(number, one) for number, one in enumerate(all_facts) if one.n_rows]
    if not filled:
        raise ValueError(f"X has {len(all_facts)} partition(s) without any row. Pass at least one row of each class.")
    first_number, first = filled[0]
    for number, one in filled:
        for what in ("n_features", "names", "is_sparse"):
            if getattr(one, what) != getattr(first, what):
                raise ValueError(
                    f"Partition {number} of X has {what} {getattr(one, what)}, but partition {first_number} has "
                    f"{getattr(first, what)}. Give all partitions the same columns and type."
                )
    if not any(one.weights.sum() > 0 for one in all_facts):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    if classes is None:
        classes = np.empty(0)
        for _, one in filled:
            classes = union_of_classes(classes, one.labels) if len(one.labels) else classes
    else:
        classes = np.unique(labels_of_iterable(classes))
    counts = np.zeros((len(all_facts), len(classes)))
    for number, one in filled:
        advice = "Pass every label that occurs as classes=, or none for fit to find them."
        counts[number, numbers_of(one.labels, classes, f"partition {number} of y", advice)] = one.weights
    if len(classes) < 2:
        raise ValueError(
            "DaskSoftmaxSGDClassifier needs samples of at least 2 classes in the data, but the data contains only one class: "
            f"{classes.tolist()[0]!r}"
        )
    return classes, counts, first._replace(dtype=np.result_type(*(one.dtype for _, one in filled)))


def warn_if_parts_differ(counts, n_rows, classes):
    """Warn if the shares of the classes in a part are far from those in all rows.

    Parameters
    ----------
    counts : ndarray of shape (n_parts, n_classes)
        The weight of each class in each part.
    n_rows : ndarray of shape (n_parts,)
    classes : ndarray of shape (n_classes,)
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
    of_all = counts.sum(axis=0) / counts.sum()
    distance = np.where(counts.any(axis=1), 0.5 * np.abs(shares - of_all).sum(axis=1), 0)
    by_chance = 0.5 * np.sqrt((of_all > 0).sum() / np.maximum(n_rows, 1))  # a bound of its mean
    number = np.argmax(distance - by_chance)
    if distance[number] > by_chance[number] + LARGEST_DISTANCE:
        label = np.argmax(shares[number] - of_all)
        warnings.warn(
            f"Partitions have very different classes: {classes[label : label + 1].tolist()[0]!r} is {shares[number, label]:.0%} "
            f"of partition {number}, but {of_all[label]:.0%} of all. More rounds are then needed. Pass shuffle=True to "
            "redistribute the rows.",
            stacklevel=5,
        )


def setting_of(stream, settings, is_sparse, held_out_weight, class_weights):
    """The `Setting` of all parts, from the statistics of all rows in `stream`.

    `class_weights` is an array of shape (n_classes,).
    """
    alpha = settings.alpha_at(stream.weight)
    spreads = stream.moments.spreads(stream.weight)
    coordinates = solver_coordinates(
        spreads,
        stream.scale,
        alpha,
        is_sparse=is_sparse,
        fit_intercept=settings.fit_intercept,
        dtype=stream.dtype,
    )
    return Setting(
        penalty=Penalty(alpha, 0.0, len(stream.class_counts), coordinates.penalty_scale),
        total_weight=stream.weight,
        held_out_weight=held_out_weight,
        coordinates=coordinates,
        per_unit=coordinates.per_unit(scale_of_features(spreads), scale_of_classes(stream.class_counts * class_weights)),
        fit_intercept=settings.fit_intercept,
    )


class DaskSoftmaxSGDClassifier(HasPage, BaseEstimator):
    """`SoftmaxSGDClassifier` for dask arrays and dataframes; rows stay on workers.

    `fit` converges to the optimum of `SoftmaxSGDClassifier` on all rows, however the
    rows are partitioned, in rounds of communication. In the first round, each partition
    trains a model by one pass of `partial_fit`, and the models are merged. All other
    rounds are steps of Newton's method [1]_, from the exact gradient of all rows and
    from the Hessians of the partitions. A few large partitions need fewer rounds than
    many small partitions. Each worker should have at least one partition.

    Parameters
    ----------
    client : dask.distributed.Client or None, default=None
        The client of the cluster. None is the client that was created last.

    n_rounds : int, default=30
        Largest number of rounds, including the first one. About 10 rounds are mostly
        enough for good predictions.

    shuffle : bool, default=False
        Whether to redistribute the rows at random. This sends all rows over the network
        once. It is useful if partitions differ, as those of a file that is sorted by
        class.

    alpha : float or "1/n_samples", default="1/n_samples"
        Strength of the penalty, as in `SoftmaxSGDClassifier`.

    l1_ratio : float, default=0.0
        Share of L1 in the penalty. Only 0 is supported.

    standardize : bool, default=True
        Whether the penalty is on the coefficients of standardised features, as in
        `SoftmaxSGDClassifier`. The scale of each feature is that of all rows.

    fit_intercept : bool, default=True
        Whether to learn intercepts.

    tol : float or None, default=1e-4
        How exactly `fit` solves the problem. `fit` stops when no entry of the gradient
        of the training loss, for standardised features, is larger than `tol`. With
        `early_stopping`, `fit` stops when `n_iter_no_change` rounds in a row have not
        improved the log loss of held-out rows by `tol`. None runs all rounds.

    early_stopping : bool, default=False
        Whether `fit` holds out rows, stops on their log loss, and returns the model of
        the round with the smallest log loss.

    validation_fraction : float, default=0.1
        Share of the rows of each partition that `early_stopping` holds out, at random.

    n_iter_no_change : int, default=5
        Number of rounds without progress after which `fit` stops, with
        `early_stopping`.

    class_weight : dict, "balanced" or None, default=None
        Weights of classes, as in `SoftmaxSGDClassifier`. "balanced" weights follow from
        the counts of all rows.

    random_state : int, RandomState instance or None, default=None
        Seed of the order of the rows, of `shuffle` and of the held-out rows. With an
        int, the same partitions give the same model, whichever workers have them.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients. Two classes have one row.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts.

    n_iter_ : int
        Number of rounds.

    loss_curve_ : ndarray of shape (`n_iter_`,)
        Training loss (with the penalty) after each round, in nats per row.

    alpha_ : float
        The strength of the penalty that was used.

    scale_ : ndarray of shape (n_features,)
        The penalty's scale of each feature.

    t_ : float
        1 + the total weight of the rows that were learnt from.

    progressive_loss_ : float
        Mean log loss, in nats, of the rows in the first round. Each row is predicted
        just before the model learns from it.

    validation_scores_ : ndarray of shape (`n_iter_`,) or None
        Minus the log loss of held-out rows after each round. None without
        `early_stopping`.

    best_validation_score_ : float or None
        Largest entry of `validation_scores_`. None without `early_stopping`.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, if X is a dataframe.

    See Also
    --------
    sklearn_softmax.SoftmaxSGDClassifier : For data in memory, and for streams.
    sklearn_softmax.merge : Merges models, for training with other engines than Dask.

    Notes
    -----
    In a round, every worker receives five arrays of ``(n_features + 1) * n_classes``
    numbers in double, and sends three. The workers keep one copy of the rows, as
    arrays, whether or not the collections are persisted. If a worker is lost, its rows
    are computed again from the graph of the data. Scattered data have no graph, and are
    lost with their worker.

    References
    ----------
    .. [1] S. Wang, F. Roosta-Khorasani, P. Xu, M. W. Mahoney, "GIANT: globally improved
       approximate Newton method for distributed optimization", NeurIPS 2018.

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_softmax.dask import DaskSoftmaxSGDClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X = da.from_array(X, chunks=(900, -1))
    >>> y = da.from_array(y, chunks=900)
    >>> with Client(processes=False, dashboard_address=":0") as client:
    ...     clf = DaskSoftmaxSGDClassifier(random_state=0).fit(X, y)
    ...     accuracy = float((clf.predict(X) == y).mean().compute())
    >>> round(accuracy, 3)
    0.998

    The training loss after the first and the last round:

    >>> [round(float(objective), 3) for objective in clf.loss_curve_[[0, -1]]]
    [0.167, 0.079]
    >>> clf.to_local()
    SoftmaxSGDClassifier(random_state=0)
    """

    _parameter_constraints = {
        "client": "no_validation",
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        **{name: SoftmaxSGDClassifier._parameter_constraints[name] for name in COMMON},
    }

    def __init__(
        self,
        *,
        client=None,
        n_rounds=30,
        shuffle=False,
        alpha="1/n_samples",
        l1_ratio=0.0,
        standardize=True,
        fit_intercept=True,
        tol=1e-4,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        class_weight=None,
        random_state=None,
    ):
        self.client = client
        self.n_rounds = n_rounds
        self.shuffle = shuffle
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.random_state = random_state

    def __getstate__(self):
        return super().__getstate__() | {"client": None}  # a client belongs to a process

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, classes=None):
        """Fit the model.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Rows. The blocks of an array have all features, and may be dense arrays or
            sparse matrices of scipy.

        y : dask array, series or dataframe of shape (n_samples,), or (n_samples, n_classes) of floats
            Labels, or the probabilities or counts of the classes as in
            `SoftmaxSGDClassifier`, with the partitions of X.

        sample_weight : dask array or series of shape (n_samples,) or None, default=None
            Weights of the rows, with the partitions of X. None is 1 for each row.

        classes : array-like of shape (n_classes,) or None, default=None
            All labels. None is the labels that occur in y. If y has a column for each
            class, `classes` are the labels of the columns. None is then the names of
            the columns of a dataframe, or 0, 1, and so on.

        Returns
        -------
        self : DaskSoftmaxSGDClassifier
            The fitted estimator.

        Raises
        ------
        TypeError
            If X, y or `sample_weight` is no dask collection.
        ValueError
            If an input has the wrong shape, type or values (see Parameters), if y has
            fewer than two classes, or if there is no client. A model that was fitted
            before stays as it was.
        RuntimeError
            If a worker was lost, and its rows had no graph.

        Warns
        -----
        ConvergenceWarning
            If `n_rounds` is reached.
        UserWarning
            If the classes of a partition are very different from those of all rows.
        """
        if self.l1_ratio != 0:
            raise ValueError(
                f"l1_ratio={self.l1_ratio} is not supported by DaskSoftmaxSGDClassifier, because averaging over partitions "
                "destroys exact zeros. Use l1_ratio=0, or SoftmaxSGDClassifier on rows in memory."
            )
        cluster = Cluster(self._client())
        model = self._new_local()
        with lost_rows_explained():
            self._fit(cluster, *self._parts(cluster, X, y, sample_weight, classes), model)
        return self

    def _client(self):
        if self.client is not None:
            return self.client
        try:
            return default_client()
        except ValueError as error:
            raise ValueError(
                "client=None, and no dask.distributed.Client is active. Create one (Client()), or pass one as client."
            ) from error

    def _new_local(self, **params):
        return SoftmaxSGDClassifier(**{name: getattr(self, name) for name in COMMON} | params)

    def _parts(self, cluster, X, y, sample_weight, classes):
        """Prepare the rows on the workers.

        Returns
        -------
        parts : list of futures of Part
        estimator : SoftmaxSGDClassifier
            The estimator for the pass of the stream's steps.
        classes : ndarray of shape (n_classes,)
        is_present : ndarray of shape (n_classes,), bool
        class_weights : ndarray of shape (n_classes,)
        common : Facts
            The summary of all blocks.
        """
        blocks = cluster.compute([dask.delayed(checked_block)(*block, classes) for block in blocks_of(X, y, sample_weight)])
        all_facts = cluster.gather(cluster.each(facts, blocks))
        classes, counts, common = agreed(all_facts, classes)
        class_weights = _validation.weights_of_classes(self.class_weight, classes, counts.sum(axis=0))
        counts = counts * class_weights
        if not counts.any():
            raise ValueError(f"class_weight={self.class_weight!r} gives every class in y the weight zero. Leave one positive.")
        is_present = counts.any(axis=0) if self.fit_intercept else np.ones(len(classes), dtype=bool)
        estimator = self._new_local(
            new_classes="add",  # a part may begin with one class
            class_weight=None
            if self.class_weight is None
            else dict(zip(classes[is_present].tolist(), class_weights[is_present].tolist())),
        )
        filled = np.flatnonzero(counts.any(axis=1))  # partitions with rows that count
        problems = [
            cluster.submit(encoded, blocks[number], classes, class_weights, is_present, common.dtype) for number in filled
        ]
        seed, n_parts = int(check_random_state(self.random_state).randint(2**31 - 1)), len(filled)
        if self.shuffle:
            dealt = [cluster.submit(dealt_out, problem, n_parts, [seed, 0, at]) for at, problem in enumerate(problems)]
            problems = [cluster.submit(joined, [cluster.submit(getitem, deal, at) for deal in dealt]) for at in range(n_parts)]
        else:
            warn_if_parts_differ(counts[filled], np.array([all_facts[number].n_rows for number in filled]), classes)
        fraction = self.validation_fraction if self.early_stopping else 0.0
        parts = [cluster.submit(as_part, problem, fraction, [seed, 1, at]) for at, problem in enumerate(problems)]
        return parts, estimator, classes, is_present, class_weights, common

    def _fit(self, cluster, parts, estimator, classes, is_present, class_weights, common, model):
        weights = np.array(cluster.gather(cluster.each(weights_of, parts)))
        parts = [part for part, weight in zip(parts, weights[:, 0]) if weight > 0]
        held_out_weight = weights[:, 1].sum()
        if not parts or (self.early_stopping and held_out_weight == 0):
            raise ValueError(
                f"early_stopping=True cannot hold out validation_fraction={self.validation_fraction} of so few rows. Choose "
                "another validation_fraction."
            )
        merged = cluster.gather(cluster.submit(merge, cluster.each(one_pass, parts, estimator, classes[is_present])))
        stream = merged._own_stream()
        settings = estimator._checked_settings()
        alpha = settings.alpha_of_fit(stream.weight, stream.scalars.n_rows)
        settings_of_present = _absent.settings_of_present(settings, alpha, is_present)
        setting = setting_of(stream, settings_of_present, common.is_sparse, held_out_weight, class_weights[is_present])
        sent_setting = cluster.send(setting)
        objectives, held_out_losses, sent = [], [], {}

        def sum_over_parts(function, *arrays):
            if function is _distributed.evaluation:  # a new point: arrays of the last one are not needed
                sent.clear()
            for array in arrays:
                if id(array) not in sent:
                    sent[id(array)] = array, cluster.send(array)
            return cluster.sum(function, parts, sent_setting, *(sent[id(array)][1] for array in arrays))

        def on_round(objective, held_out_loss):
            objectives.append(objective)
            held_out_losses.append(held_out_loss)

        point, size, is_done = _distributed.rounds(
            sum_over_parts,
            setting,
            setting.point_of(stream.predictor()),
            n_rounds=self.n_rounds - 1,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change if self.early_stopping else None,
            on_round=on_round,
        )
        if not is_done:
            warnings.warn(
                f"n_rounds={self.n_rounds} was reached: the largest entry of the gradient is {size:.2g} (tol={self.tol}). "
                "Increase n_rounds, or accept this model with a larger tol.",
                ConvergenceWarning,
                stacklevel=4,
            )
        scores = -np.array(held_out_losses)
        vars(model).update(
            model._attributes(
                _absent.stream_of_all(stream.with_model(setting.model_of(point, stream.dtype)), is_present),
                alpha,
                classes,
                n_iter_=len(objectives),
                loss_curve_=np.array(objectives),
                validation_scores_=scores if self.early_stopping else None,
                best_validation_score_=scores.max() if self.early_stopping else None,
                n_features_in_=len(setting.coordinates.offset),
            )
        )
        if common.names is not None:
            model.feature_names_in_ = np.array(common.names, dtype=object)
        self._model = model
        for name in FITTED:
            vars(self).pop(name, None)
            if hasattr(model, name):
                setattr(self, name, getattr(model, name))

    def to_local(self):
        """The fitted model as a `SoftmaxSGDClassifier`, which needs no cluster.

        Returns
        -------
        model : SoftmaxSGDClassifier
            A copy. Its `partial_fit` goes on with `t_` and the statistics of all rows.
        """
        check_is_fitted(self)
        return deepcopy(self._model)

    def predict(self, X):
        """The most probable class of each row, as a lazy dask array.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : dask array of shape (n_samples,)
            Labels, with the partitions of X.
        """
        return self._lazily(X, "predict")

    def predict_proba(self, X):
        """Probabilities of the classes of each row, as a lazy dask array.

        Parameters
        ----------
        X : dask array or dataframe of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        proba : dask array of shape (n_samples, n_classes)
            Columns in the order of `classes_`, with the partitions of X.
        """
        return self._lazily(X, "predict_proba")

    def _lazily(self, X, method):
        check_is_fitted(self)
        model = self._model
        like = no_predictions(model, method)
        n_rows = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * X.npartitions
        task, sent_model = dask.delayed(predicted), dask.delayed(model)
        blocks = [
            da.from_delayed(task(block, sent_model, method), shape=(n, *like.shape[1:]), dtype=like.dtype)
            for block, n in zip(np.ravel(X.to_delayed()), n_rows)
        ]
        return da.concatenate(blocks, allow_unknown_chunksizes=True)
