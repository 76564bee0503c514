"""Stored and loaded again: what comes back is the same, goes on the same, and says so if it can't be sure of that."""

import copy
import pickle
import pickletools
import subprocess
import sys

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning

import sklearn_softmax
from sklearn_softmax import SoftmaxSGDClassifier

VARIANTS = {
    "default": {},
    "last iterate": {"average": False},
    "averaged from 50": {"average": 50, "l1_ratio": 0.5},
    "L1": {"l1_ratio": 1.0, "alpha": 1e-2},
    "balanced": {"class_weight": "balanced"},
    "forgets": {"forgetting": "auto"},
    "not standardised": {"standardize": False},
    "no intercept": {"fit_intercept": False},
    "adding": {"new_classes": "add"},
    "invscaling": {"learning_rate": "invscaling"},
    "invscaling, averaged": {"learning_rate": "invscaling", "average": True},
    "invscaling, averaged from 50": {"learning_rate": "invscaling", "average": 50, "l1_ratio": 0.5},
    "optimal, balanced": {"learning_rate": "optimal", "alpha": 1e-2, "class_weight": "balanced"},
    "adaptive": {"learning_rate": "adaptive", "eta0": 0.1},
}
OUR_NAME = "sklearn_softmax.SoftmaxSGDClassifier"
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def by_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model, folder):
    joblib.dump(model, folder / "model")
    return joblib.load(folder / "model")


def by_memory_map(model, folder):
    joblib.dump(model, folder / "model")
    return joblib.load(folder / "model", mmap_mode="r")


def by_memory_map_for_writing(model, folder):
    joblib.dump(model, folder / "model")
    return joblib.load(folder / "model", mmap_mode="r+")


def by_skops(model, folder):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(model)
    types = skops.get_untrusted_types(data=data)
    assert types == [OUR_NAME]
    return skops.loads(data, trusted=types)


def by_deepcopy(model, folder):
    return copy.deepcopy(model)


def by_copy(model, folder):
    return copy.copy(model)


WAYS = [by_pickle, by_joblib, by_memory_map, by_memory_map_for_writing, by_skops, by_deepcopy, by_copy]


def stream(X, y, **params):
    return SoftmaxSGDClassifier(random_state=0, **params).partial_fit(X, y, np.unique(y))


@each_variant
@pytest.mark.parametrize("way", WAYS)
def test_a_stream_goes_on_bit_for_bit_from_what_was_stored(variant, way, make_data, fitted, tmp_path):
    params = VARIANTS[variant]
    for n_classes, container, dtype in [(2, np.asarray, np.float64), (3, sp.csr_array, np.float64), (3, np.asarray, np.float32)]:
        X, y = make_data(n_classes)
        X = container(X.astype(dtype))
        if "new_classes" in params:
            y = np.where(np.arange(len(y)) >= 90, 7, y)
        model, unstored = (stream(X[:70], y[:70], **params) for _ in range(2))
        before = fitted(model)
        loaded = way(model, tmp_path)
        assert fitted(loaded) == before and loaded.get_params() == model.get_params()
        assert fitted(loaded.partial_fit(X[70:], y[70:])) == fitted(unstored.partial_fit(X[70:], y[70:])) != before
        assert fitted(model) == before  # it shares no memory


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "params",
    [{}, {"average": False}, {"early_stopping": True}, {"learning_rate": "invscaling"}, VARIANTS["averaged from 50"]],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_fitted_model_goes_on_bit_for_bit_from_what_was_stored(way, params, n_classes, make_data, fitted, tmp_path):
    X, y = make_data(n_classes)
    model = SoftmaxSGDClassifier(tol=None, max_iter=3, warm_start=True, random_state=0, **params).fit(X, y)
    before = fitted(model)
    loaded = way(model, tmp_path)
    assert fitted(loaded) == before and np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert fitted(way(model, tmp_path).partial_fit(X, y)) == fitted(copy.deepcopy(model).partial_fit(X, y))
    assert fitted(loaded.fit(X, y)) == fitted(copy.deepcopy(model).fit(X, y)) != before
    assert fitted(model) == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("change", ["sparsified", "replaced"])
def test_coefficients_that_are_not_those_of_the_stream_are_stored(way, change, make_data, fitted, tmp_path):
    X, y = make_data()
    model = stream(X, y, l1_ratio=1.0, alpha=1e-2)
    if change == "sparsified":
        model.sparsify()
    else:
        model.coef_ = np.arange(15.0).reshape(3, 5)
    loaded = way(model, tmp_path)
    assert sp.issparse(loaded.coef_) == (change == "sparsified") and fitted(loaded) == fitted(model)
    assert fitted(loaded.partial_fit(X, y)) == fitted(model.partial_fit(X, y))


def test_streams_go_on_bit_for_bit_in_another_process(make_data, fitted, tmp_path):
    X, y = make_data()
    stored = {variant: stream(X[:70], y[:70], **params) for variant, params in VARIANTS.items()}
    joblib.dump((stored, X[70:], y[70:]), tmp_path / "before")
    code = (
        "import joblib\n"
        "models, X, y = joblib.load('before')\n"  # which imports the package
        "joblib.dump({variant: model.partial_fit(X, y) for variant, model in models.items()}, 'after')\n"
    )
    subprocess.run([sys.executable, "-P", "-W", "error", "-c", code], cwd=tmp_path, check=True, timeout=60)
    for variant, model in joblib.load(tmp_path / "after").items():
        assert fitted(model) == fitted(stream(X[:70], y[:70], **VARIANTS[variant]).partial_fit(X[70:], y[70:]))


def assigned(X, y):
    model = stream(X, y)
    model.coef_ = np.ones((3, 5))
    return model


def adding(X, y):
    return SoftmaxSGDClassifier(new_classes="add").partial_fit(X[:30], y[:30] % 2).partial_fit(X, y)


def of_a_cluster(X, y):
    dask_array, distributed = pytest.importorskip("dask.array"), pytest.importorskip("distributed")
    from sklearn_softmax.dask import DaskSoftmaxSGDClassifier

    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster, cluster.get_client():
        chunks = dask_array.from_array(X, chunks=(60, 5)), dask_array.from_array(y, chunks=60)
        return DaskSoftmaxSGDClassifier().fit(*chunks, classes=[0, 1, 2]).to_local()


HISTORIES = {
    "unfitted": lambda X, y: SoftmaxSGDClassifier(),
    "fit": lambda X, y: SoftmaxSGDClassifier().fit(X, y),
    "early stopping": lambda X, y: SoftmaxSGDClassifier(early_stopping=True, random_state=0).fit(X, y),
    "stream": stream,
    "sparse stream": lambda X, y: stream(sp.csr_array(X), y),
    "fit and stream": lambda X, y: SoftmaxSGDClassifier().fit(X, y).partial_fit(X, y),
    "sparsified": lambda X, y: SoftmaxSGDClassifier().fit(X, y).sparsify(),
    "sparsified stream": lambda X, y: stream(X, y).sparsify(),
    "classic": lambda X, y: SoftmaxSGDClassifier(learning_rate="constant", tol=None, max_iter=2).fit(X, y),
    "classic stream": lambda X, y: stream(X, y, learning_rate="invscaling", average=True),
    "assigned": assigned,
    "text labels": lambda X, y: stream(X, np.array(["a", "b", "c"], dtype=object)[y]),
    "new classes": adding,
    "merged": lambda X, y: sklearn_softmax.merge([stream(X, y), stream(X, y)]),
    "handed over": lambda X, y: SoftmaxSGDClassifier.from_logistic_regression(stream(X, y).to_logistic_regression()),
    "of a cluster": of_a_cluster,
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed")
@pytest.mark.parametrize("history", HISTORIES)
def test_a_stored_model_names_one_type_of_ours(history, make_data, fitted, tmp_path):
    model = HISTORIES[history](*make_data())
    strings = [argument for _, argument, _ in pickletools.genops(pickle.dumps(model)) if isinstance(argument, str)]
    assert [text for text in strings if "sklearn_softmax" in text] == ["sklearn_softmax", "_sklearn_softmax_version"]
    assert not any(text.startswith("scipy") for text in strings)
    loaded = by_skops(model, tmp_path)
    assert fitted(loaded) == fitted(model) and loaded.get_params() == model.get_params()


@pytest.mark.filterwarnings("ignore")  # what its dependencies deprecate
def test_mlflow_needs_that_name_and_no_more(make_data, fitted, tmp_path):
    mlflow = pytest.importorskip("mlflow.sklearn")
    model = stream(*make_data())
    where = {"path": str(tmp_path / "model"), "pip_requirements": []}
    mlflow.save_model(model, skops_trusted_types=[OUR_NAME], **where)
    assert fitted(mlflow.load_model(where["path"])) == fitted(model)


def test_a_state_is_plain(make_data):
    def check(value):
        if isinstance(value, dict):
            assert all(type(name) is str for name in value)
            for part in value.values():
                check(part)
        else:
            assert value is None or isinstance(value, bool | int | float | str | list | np.ndarray), value

    X, y = make_data()
    for model in (stream(X, y).sparsify(), stream(X, y, learning_rate="constant"), SoftmaxSGDClassifier().fit(X, y)):
        check(model.__getstate__())


def test_another_format_is_refused(make_data):
    state = stream(*make_data()).__getstate__()
    state["_stream"]["format"] = 99
    with pytest.raises(ValueError, match="stored in format 99"):
        SoftmaxSGDClassifier().__setstate__(state)


@pytest.mark.filterwarnings("ignore:.*ended far from the optimum:sklearn.exceptions.ConvergenceWarning")  # after two epochs
@each_variant
@pytest.mark.parametrize("mode", ["r+", "c"])
@pytest.mark.parametrize(
    "trained", [stream, lambda X, y, **params: SoftmaxSGDClassifier(max_iter=2, tol=None, **params).fit(X, y)]
)
def test_training_leaves_the_file_that_is_mapped_as_it_was(variant, mode, trained, make_data, fitted, tmp_path):
    X, y = make_data()
    expected = trained(X, y, **VARIANTS[variant])
    joblib.dump(expected, tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    mapped = joblib.load(tmp_path / "model", mmap_mode=mode)
    assert fitted(mapped.partial_fit(X, y)) == fitted(expected.partial_fit(X, y))
    del mapped
    assert (tmp_path / "model").read_bytes() == before


@each_variant
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_shallow_copy_is_a_checkpoint(variant, container, make_data, fitted):
    X, y = make_data()
    model = stream(container(X[:70]), y[:70], **VARIANTS[variant])
    before = fitted(model)
    copied = copy.copy(model).partial_fit(container(X[70:]), y[70:])
    assert fitted(model) == before
    checkpoint = copy.copy(model)
    assert fitted(model.partial_fit(container(X[70:]), y[70:])) == fitted(copied)
    assert fitted(checkpoint) == before != fitted(model)


def test_a_copy_predicts_the_same_and_a_clone_is_unfitted(make_data, fitted):
    X, y = make_data()
    model = stream(X, y, alpha=0.5)
    copied, cloned = copy.copy(model), clone(model)
    assert fitted(copied) == fitted(model)
    assert cloned.get_params() == model.get_params() and not hasattr(cloned, "coef_")
    assert fitted(cloned.partial_fit(X, y, [0, 1, 2])) == fitted(model)


# Versions ------------------------------------------------------------------------------------------------------------------


def test_the_version_is_stored_and_another_one_is_warned_of(make_data, fitted, monkeypatch):
    model = stream(*make_data())
    with monkeypatch.context() as patch:
        patch.setattr("sklearn_softmax._classifier.__version__", "99.9.9")
        stored = pickle.dumps(model)
    with pytest.warns(InconsistentVersionWarning) as caught:
        loaded = pickle.loads(stored)
    (message,) = (str(warning.message) for warning in caught)
    assert "stored by sklearn_softmax 99.9.9" in message and f"loaded by {sklearn_softmax.__version__}" in message
    assert "Fit it again" in message
    assert fitted(loaded) == fitted(model)


def test_a_model_without_a_version_is_warned_of(make_data):
    state = stream(*make_data()).__getstate__()
    del state["_sklearn_softmax_version"]
    with pytest.warns(InconsistentVersionWarning, match="(unknown)"):
        SoftmaxSGDClassifier().__setstate__(state)


def test_the_same_version_is_not_warned_of_and_leaves_no_trace(make_data):
    model = stream(*make_data())
    loaded = pickle.loads(pickle.dumps(model))  # warnings are errors
    assert vars(loaded).keys() == vars(model).keys() - {"_last_settings"}
    assert model.__getstate__()["_sklearn_softmax_version"] == sklearn_softmax.__version__


def test_a_new_version_says_so_when_it_stores_again(make_data):
    state = stream(*make_data()).__getstate__()
    state["_sklearn_softmax_version"] = "0.0.1"
    model = SoftmaxSGDClassifier()
    with pytest.warns(InconsistentVersionWarning, match="0.0.1"):
        model.__setstate__(state)
    assert state["_sklearn_softmax_version"] == "0.0.1"  # it is not changed
    pickle.loads(pickle.dumps(model))
