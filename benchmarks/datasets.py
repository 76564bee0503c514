"""Synthetic data of the shapes that epoch.py runs, and the loader of real sets."""

import importlib.util
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

# name: (rows, features, classes, non-zeros per row or None if dense)
SHAPES = {
    "dense-784x10": (6000, 784, 10, None),
    "dense-16x26": (60000, 16, 26, None),
    "dense-50x7": (60000, 50, 7, None),
    "dense-4x3": (100000, 4, 3, None),
    "dense-2000x100": (600, 2000, 100, None),
    "dense-128x1000": (2500, 128, 1000, None),
    "sparse-130kx20": (6000, 130_000, 20, 92),
    "sparse-47kx53": (6000, 47_000, 53, 69),
    "sparse-262kx50": (6000, 2**18, 50, 57),
    "sparse-262kx15": (6000, 2**18, 15, 136),
}


def synthetic(name, rows_share=1.0, seed=0):
    """X (float64; CSR with int32 indices if sparse) and y; features of sparse rows occur with Zipf's frequencies."""
    n_samples, n_features, n_classes, n_nonzero = SHAPES[name]
    n_samples = max(int(n_samples * rows_share), 50, 2 * n_classes)  # scikit-learn warns of fewer
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n_samples)
    y[: min(n_classes, n_samples)] = np.arange(n_classes)[:n_samples]
    if n_nonzero is None:
        centres = rng.standard_normal((n_classes, n_features))
        return centres[y] + 2 * rng.standard_normal((n_samples, n_features)), y
    frequencies = np.cumsum(1 / (np.arange(n_features) + 10.0))
    drawn = np.searchsorted(frequencies, rng.random((n_samples, n_nonzero)) * frequencies[-1])
    columns = rng.permutation(n_features)[np.minimum(drawn, n_features - 1)]
    starts = np.arange(n_samples + 1) * n_nonzero
    X = csr_matrix((rng.random(columns.size) + 0.1, columns.ravel(), starts), shape=(n_samples, n_features))
    X.sum_duplicates()
    return with_int32_indices(X), y


def with_int32_indices(X):
    """SGDClassifier refuses int64 indices."""
    return csr_matrix((X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)), shape=X.shape)


def real(folder, name):
    """A set of `folder`, whose load.py has NAMES and load(name); None if it does not have it."""
    spec = importlib.util.spec_from_file_location("benchmark_data", Path(folder) / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if name not in module.NAMES:
        return None
    X, y = module.load(name)
    return (with_int32_indices(X) if hasattr(X, "tocsr") else np.ascontiguousarray(X)), y
