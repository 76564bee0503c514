"""DaskSoftmaxSGDClassifier: the model of all rows, whatever the partitions, and no row lost with a worker."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss

from sklearn_softmax import SoftmaxSGDClassifier

distributed = pytest.importorskip("distributed", reason="dask and distributed are not installed")
da = pytest.importorskip("dask.array", reason="dask and distributed are not installed")

from sklearn_softmax.dask import DaskSoftmaxSGDClassifier  # noqa: E402

# what a cluster of Dask leaves to the garbage collector, in threads of its own
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
try:
    import pyarrow  # noqa: F401
except ImportError:
    HAS_PYARROW = False
else:
    HAS_PYARROW = True
# pyarrow and NumPy 1 may crash together when Dask imports them once more, for dataframes or for processes
IS_SAFE = HAS_PYARROW and int(np.__version__.split(".")[0]) >= 2
needs_pyarrow = pytest.mark.skipif(not IS_SAFE, reason="pyarrow with NumPy 1 may crash in processes of Dask")
TIGHT = {"tol": 1e-8, "n_rounds": 200}


@pytest.fixture(scope="module", autouse=True)
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def digits():
    """(X, y of 1297 rows, X, y of 500 others)."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return X[order[500:]], y[order[500:]], X[order[:500]], y[order[:500]]


def cut(X, y, n_parts, *more):
    """Dask arrays of so many blocks."""
    ends = np.linspace(0, len(y), n_parts + 1).astype(int)
    chunks = tuple(np.diff(ends).tolist())
    if sp.issparse(X):
        blocks = [da.from_array(X[begin:end], chunks=-1, asarray=False) for begin, end in zip(ends, ends[1:])]
        X = da.concatenate(blocks)
    else:
        X = da.from_array(X, chunks=(chunks, -1))
    return X, *(da.from_array(array, chunks=(chunks,)) for array in (y, *more))


# ------------------------------------------------------------------------------------------------------------ the same model


@pytest.mark.parametrize(
    "container, n_classes, params",
    [
        (np.asarray, 2, {}),
        (np.asarray, 3, {}),
        (np.asarray, 3, {"standardize": False, "alpha": 1e-2}),
        (np.asarray, 3, {"fit_intercept": False}),
        (np.asarray, 3, {"class_weight": "balanced"}),
        (np.asarray, 2, {"class_weight": {0: 2.0, 1: 0.5}}),
        (sp.csr_array, 2, {"class_weight": "balanced"}),
        (sp.csr_array, 3, {}),
    ],
)
def test_optimum_is_that_of_the_rows_in_memory(make_data, container, n_classes, params):
    X, y = make_data(n_classes=n_classes, n_samples=300)
    X, weight = container(X), np.random.default_rng(1).uniform(size=len(y)).round(1)  # some are 0
    expected = SoftmaxSGDClassifier(random_state=0, tol=1e-8, max_iter=1000, **params).fit(X, y, weight)
    clf = DaskSoftmaxSGDClassifier(random_state=0, **TIGHT, **params)
    dX, dy, dweight = cut(X, y, 3, weight)
    assert clf.fit(dX, dy, dweight) is clf
    assert clf.classes_.tolist() == expected.classes_.tolist()
    np.testing.assert_allclose(clf.coef_, expected.coef_, atol=1e-5)
    np.testing.assert_allclose(clf.intercept_, expected.intercept_, atol=1e-5)
    np.testing.assert_allclose(clf.scale_, expected.scale_, rtol=1e-10)
    assert clf.alpha_ == pytest.approx(expected.alpha_, rel=1e-12)
    assert clf.t_ == pytest.approx(expected.t_, rel=1e-12)
    assert len(clf.loss_curve_) == clf.n_iter_ < 200


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("n_classes, class_weight", [(2, None), (3, None), (3, "balanced"), (3, {1: 2.0})])
def test_optimum_of_soft_labels_is_that_of_the_rows_in_memory(make_data, container, n_classes, class_weight):
    X, y = make_data(n_classes=n_classes, n_samples=300)
    Y = 3 * np.random.default_rng(1).dirichlet(np.ones(n_classes), size=len(y)) + np.eye(n_classes)[y]
    Y[:10] = 0  # rows without mass are absent
    X, params = container(X), {"random_state": 0, "class_weight": class_weight}
    expected = SoftmaxSGDClassifier(tol=1e-8, max_iter=1000, **params).fit(X, Y)
    dX, _ = cut(X, y, 3)
    clf = DaskSoftmaxSGDClassifier(**TIGHT, **params).fit(dX, da.from_array(Y, chunks=(dX.chunks[0], -1)))
    assert clf.classes_.tolist() == expected.classes_.tolist()
    np.testing.assert_allclose(clf.coef_, expected.coef_, atol=1e-5)
    np.testing.assert_allclose(clf.intercept_, expected.intercept_, atol=1e-5)
    assert clf.t_ == pytest.approx(expected.t_, rel=1e-12)


@pytest.mark.parametrize("absent, class_weight", [([0], None), ([2], None), ([0, 1], None), ([0], "balanced"), ([2], {1: 2.0})])
def test_classes_of_which_no_row_counts_are_classes(make_data, absent, class_weight):
    X, y = make_data(n_samples=300)
    weight = np.where(np.isin(y, absent), 0.0, 1.0)
    params = {"random_state": 0, "class_weight": class_weight}
    expected = SoftmaxSGDClassifier(tol=1e-8, max_iter=1000, **params).fit(X, y, weight)
    clf = DaskSoftmaxSGDClassifier(**TIGHT, **params).fit(*cut(X, y, 3, weight))
    assert clf.classes_.tolist() == [0, 1, 2] and clf.alpha_ == pytest.approx(expected.alpha_, rel=1e-12)
    np.testing.assert_allclose(clf.to_local().predict_proba(X), expected.predict_proba(X), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_parts", [2, 4, 8])
def test_ten_rounds_predict_as_well_as_fit(digits, n_parts):
    X, y, X_new, y_new = digits
    expected = log_loss(y_new, SoftmaxSGDClassifier(random_state=0).fit(X, y).predict_proba(X_new))
    clf = DaskSoftmaxSGDClassifier(n_rounds=10, tol=None, random_state=0).fit(*cut(X, y, n_parts))
    assert clf.n_iter_ == 10
    assert log_loss(y_new, clf.to_local().predict_proba(X_new)) == pytest.approx(expected, rel=0.01)


def test_sorted_partitions(digits):
    X, y, X_new, y_new = digits
    order = np.argsort(y, kind="stable")
    expected = log_loss(y_new, SoftmaxSGDClassifier(random_state=0).fit(X, y).predict_proba(X_new))
    dX, dy = cut(X[order], y[order], 4)
    with pytest.warns(UserWarning, match="very different classes: . is .* of partition .*shuffle=True"):
        DaskSoftmaxSGDClassifier(n_rounds=1, tol=None, random_state=0).fit(dX, dy)
    clf = DaskSoftmaxSGDClassifier(n_rounds=10, tol=None, shuffle=True, random_state=0).fit(dX, dy)
    assert clf.t_ == 1 + len(y)
    assert log_loss(y_new, clf.to_local().predict_proba(X_new)) == pytest.approx(expected, rel=0.05)


def test_same_seed_and_partitions_same_model(make_data):
    X, y = make_data()

    def coef(**params):
        return DaskSoftmaxSGDClassifier(n_rounds=3, tol=None, **params).fit(*cut(X, y, 4)).coef_

    np.testing.assert_array_equal(coef(random_state=0), coef(random_state=0))
    np.testing.assert_array_equal(coef(random_state=0, shuffle=True), coef(random_state=0, shuffle=True))
    assert (coef(random_state=0) != coef(random_state=1)).any()


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_float32_stays_float32(make_data, container):
    X, y = make_data()
    clf = DaskSoftmaxSGDClassifier(random_state=0).fit(*cut(container(X.astype(np.float32)), y, 2))
    assert clf.coef_.dtype == np.float32
    expected = SoftmaxSGDClassifier(tol=1e-7, random_state=0).fit(X, y)
    np.testing.assert_allclose(clf.coef_, expected.coef_, atol=1e-2)


# ---------------------------------------------------------------------------------------------------------------- partitions


def test_partitions_without_rows_or_with_one_class(make_data):
    X, y = make_data()
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]
    n_zeros = int((y == 0).sum())
    chunks = (0, n_zeros, 0, len(y) - n_zeros)
    dX, dy = da.from_array(X, chunks=(chunks, -1)), da.from_array(y, chunks=(chunks,))
    with pytest.warns(UserWarning, match="very different classes"):
        clf = DaskSoftmaxSGDClassifier(random_state=0, **TIGHT).fit(dX, dy)
    expected = SoftmaxSGDClassifier(random_state=0, tol=1e-8, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(clf.coef_, expected.coef_, atol=1e-5)
    assert clf.predict(dX).compute().shape == y.shape


def test_blocks_of_y_follow_those_of_X(make_data):
    X, y = make_data()
    dX, dy = cut(X, y, 3)
    clf = DaskSoftmaxSGDClassifier(n_rounds=2, tol=None, random_state=0)
    expected = clf.fit(dX, dy).coef_
    np.testing.assert_array_equal(clf.fit(dX, dy.rechunk(50)).coef_, expected)


@needs_pyarrow
def test_dataframes(make_data):
    dd = pytest.importorskip("dask.dataframe")
    import pandas as pd

    X, y = make_data()
    frame = pd.DataFrame(X, columns=list("abcde"))
    labels = pd.Series(np.array(["x", "y", "z"])[y])
    dX, dy = dd.from_pandas(frame, npartitions=3), dd.from_pandas(labels, npartitions=3)
    clf = DaskSoftmaxSGDClassifier(random_state=0, **TIGHT).fit(dX, dy)
    expected = SoftmaxSGDClassifier(random_state=0, tol=1e-8, max_iter=1000).fit(frame, labels)
    assert clf.feature_names_in_.tolist() == list("abcde")
    np.testing.assert_allclose(clf.coef_, expected.coef_, atol=1e-5)
    assert clf.predict(dX).compute().tolist() == clf.to_local().predict(frame).tolist()
    by_partition = [clf.to_local().predict_proba(part.compute()) for part in dX.partitions]
    np.testing.assert_array_equal(clf.predict_proba(dX).compute(), np.concatenate(by_partition))


def test_classes_that_are_known(make_data):
    X, y = make_data()
    clf = DaskSoftmaxSGDClassifier(random_state=0).fit(*cut(X, y, 2), classes=[2, 0, 1])
    assert clf.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"partition 0 of y contains labels not seen before: \[2\].*classes="):
        clf.fit(*cut(X, y, 2), classes=[0, 1])
    assert clf.classes_.tolist() == [0, 1, 2]


# --------------------------------------------------------------------------------------------------------------------- after


def test_predictions_are_lazy_and_those_of_the_local_model(digits):
    X, y, X_new, _ = digits
    clf = DaskSoftmaxSGDClassifier(n_rounds=2, tol=None, random_state=0).fit(*cut(X, y, 2))
    dX = da.from_array(X_new, chunks=(200, -1))
    local, predicted, proba = clf.to_local(), clf.predict(dX), clf.predict_proba(dX)
    assert isinstance(predicted, da.Array) and isinstance(proba, da.Array)
    assert (predicted.shape, proba.shape) == ((500,), (500, 10))
    assert (predicted.dtype, proba.dtype) == (y.dtype, np.float64)
    # block by block: BLAS may sum the products of 200 rows in another order than those of 500
    blocks = np.split(X_new, [200, 400])
    np.testing.assert_array_equal(predicted.compute(), np.concatenate([local.predict(rows) for rows in blocks]))
    np.testing.assert_array_equal(proba.compute(), np.concatenate([local.predict_proba(rows) for rows in blocks]))


def test_local_model_goes_on_as_a_stream(make_data):
    X, y = make_data()
    clf = DaskSoftmaxSGDClassifier(random_state=0).fit(*cut(X, y, 2))
    local = clf.to_local()
    local.partial_fit(X[:10], y[:10])
    assert local.t_ == clf.t_ + 10
    assert clf.to_local().t_ == clf.t_  # it was a copy


def test_fit_and_load_again(make_data, client):
    X, y = make_data()
    clf = DaskSoftmaxSGDClassifier(client=client, random_state=0).fit(*cut(X, y, 2))
    loaded = pickle.loads(pickle.dumps(clf))
    assert loaded.client is None
    np.testing.assert_array_equal(loaded.coef_, clf.coef_)
    assert clone(DaskSoftmaxSGDClassifier(n_rounds=7)).n_rounds == 7


def test_early_stopping(digits):
    X, y, *_ = digits
    params = dict(early_stopping=True, n_iter_no_change=2, tol=0.0, alpha=1e-6, random_state=0)
    clf = DaskSoftmaxSGDClassifier(**params).fit(*cut(X, y, 2))
    assert clf.n_iter_ == len(clf.validation_scores_) < 30
    assert clf.best_validation_score_ == clf.validation_scores_.max()
    assert clf.n_iter_ - 1 - np.argmax(clf.validation_scores_) == 2
    assert 0.85 * len(y) < clf.t_ < 0.95 * len(y)
    clf.set_params(early_stopping=False, n_rounds=1, tol=None).fit(*cut(X, y, 2))
    assert clf.validation_scores_ is None and clf.best_validation_score_ is None


def test_too_few_rounds_warn(digits):
    X, y, *_ = digits
    with pytest.warns(ConvergenceWarning, match="n_rounds=2 was reached: the largest entry of the gradient is .* Increase"):
        DaskSoftmaxSGDClassifier(n_rounds=2, random_state=0).fit(*cut(X, y, 2))


# -------------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda X, y: (X.compute(), y), TypeError, "X is a ndarray, not a dask array or dataframe.*from_array"),
        (lambda X, y: (X, y.compute()), TypeError, "y is a ndarray, not a dask"),
        (lambda X, y: (X.rechunk((40, 2)), y), ValueError, r"cut along its features, into 3 blocks.*rechunk\(\{1: -1\}\)"),
        (lambda X, y: (X, y[:-1]), ValueError, "X has 120 rows, but y has 119"),
        (lambda X, y: (X[:, 0], y), ValueError, r"X has 1 dimension\(s\), expected 2"),
        (lambda X, y: (X[X[:, 0] > 0], y), ValueError, "X has a block of .* rows, but y has 40 labels there"),
        (lambda X, y: (X[:0], y[:0]), ValueError, "without any row"),
        (lambda X, y: (X, y * 0), ValueError, "at least 2 classes in the data, but the data contains only one class: 0"),
        (lambda X, y: (X * np.nan, y), ValueError, "Input X contains NaN"),
        (lambda X, y: (X, y + 0.5), ValueError, "Unknown label type"),
        (lambda X, y: (X, y, y * 0), ValueError, "at least one non-zero"),
        (lambda X, y: (X, y, y * 0 - 1), ValueError, "Negative values in data passed to 'sample_weight'"),
    ],
)
def test_bad_input_leaves_the_model_as_it_was(make_data, change, error, message):
    dX, dy = cut(*make_data(), 3)
    clf = DaskSoftmaxSGDClassifier(n_rounds=1, tol=None, random_state=0).fit(dX, dy)
    before = clf.coef_.copy()
    with pytest.raises(error, match=message):
        clf.fit(*change(dX, dy))
    np.testing.assert_array_equal(clf.coef_, before)


def test_bad_parameters(make_data):
    data = cut(*make_data(), 2)
    with pytest.raises(ValueError, match=r"l1_ratio=0.5 is not supported by DaskSoftmaxSGDClassifier.*l1_ratio=0"):
        DaskSoftmaxSGDClassifier(l1_ratio=0.5).fit(*data)
    with pytest.raises(ValueError, match="'n_rounds' parameter"):
        DaskSoftmaxSGDClassifier(n_rounds=0).fit(*data)
    with pytest.raises(NotFittedError):
        DaskSoftmaxSGDClassifier().predict(data[0])
    with pytest.raises(NotFittedError):
        DaskSoftmaxSGDClassifier().to_local()


def run(code):
    return subprocess.run([sys.executable, "-P", "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)


def test_without_dask_the_import_says_what_to_do():
    done = run("import sys; sys.modules['dask'] = None; import sklearn_softmax.dask")
    assert done.stderr.strip().endswith("sklearn_softmax.dask needs dask and distributed: pip install 'sklearn_softmax[dask]'")


def test_without_client_the_error_says_what_to_do():
    done = run(
        "import dask.array as da; from sklearn_softmax.dask import DaskSoftmaxSGDClassifier as Classifier;"
        "Classifier().fit(da.ones((4, 2)), da.arange(4))"
    )
    assert "client=None, and no dask.distributed.Client is active. Create one" in done.stderr


# -------------------------------------------------------------------------------------------------------------- lost workers


def round_has_begun(client):
    """Whether a worker is at work in a round, and not in the passes before."""
    keys = [str(key) for tasks in client.processing().values() for key in tasks]
    return any("local_step" in key or "evaluation" in key for key in keys)


class Killer(threading.Thread):
    """Kills a worker, a process, with SIGKILL as soon as a round has begun."""

    def __init__(self, client, address):
        super().__init__()
        self.client, self.pid = client, client.run(os.getpid, workers=[address])[address]
        self.has_killed = False

    def run(self):
        deadline = time.monotonic() + 100
        while not self.has_killed and time.monotonic() < deadline:
            if round_has_begun(self.client):
                os.kill(self.pid, signal.SIGKILL)
                self.has_killed = True
            time.sleep(0.005)


@pytest.fixture(scope="module")
def processes():
    """A client of two workers that are processes. One that is killed is started again."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


needs_sigkill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on Windows")


@needs_pyarrow
@needs_sigkill
def test_a_killed_worker_takes_nothing_with_it(digits, processes):
    X, y, *_ = digits
    clf = DaskSoftmaxSGDClassifier(client=processes, n_rounds=12, tol=None, random_state=0)
    expected = clf.fit(*cut(X, y, 4)).coef_
    killer = Killer(processes, min(processes.scheduler_info()["workers"]))
    killer.start()
    clf.fit(*cut(X, y, 4))
    killer.join()
    assert killer.has_killed
    assert clf.t_ == 1 + len(y)
    # another process may round products otherwise; measured: at most 3e-16
    np.testing.assert_allclose(clf.coef_, expected, rtol=0, atol=1e-15)


@needs_pyarrow
@needs_sigkill
def test_rows_that_were_scattered_are_lost_with_their_worker(digits, processes):
    X, y, *_ = digits
    processes.wait_for_workers(2)
    address = min(processes.scheduler_info()["workers"])
    blocks = [processes.scatter([X[half], y[half]], workers=[address]) for half in (slice(600), slice(600, 1200))]
    dX = da.concatenate([da.from_delayed(rows, (600, 64), X.dtype) for rows, _ in blocks])
    dy = da.concatenate([da.from_delayed(labels, (600,), y.dtype) for _, labels in blocks])
    clf = DaskSoftmaxSGDClassifier(client=processes, n_rounds=1000, tol=None, random_state=0)
    killer = Killer(processes, address)
    killer.start()
    with pytest.raises(RuntimeError, match="A worker was lost, and with it rows.* scattered.*from_array"):
        clf.fit(dX, dy)
    killer.join()
    assert killer.has_killed
    assert not hasattr(clf, "coef_")
