"""Synthetic data; real sets, how they are split and scaled."""

import importlib.util
from pathlib import Path

import numpy as np
from scipy.fft import dct
from scipy.sparse import csr_matrix, issparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_classification
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

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
MNIST, MNIST_LIKE = "mnist_5k", "mnist-like"  # a real set, and what is made of it or of nothing

OWN = {"breast_cancer": load_breast_cancer, "digits": load_digits, "iris": load_iris, "wine": load_wine}


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


def ill_conditioned(n_samples=200_000, n_features=50, n_classes=7, condition=1e3, seed=0):
    """Dense X whose covariance has this condition number, and y drawn from a softmax in which all its directions have a say."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n_samples, n_features))
    spreads = np.sqrt(np.geomspace(1, 1 / condition, n_features))
    rotation = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    scores = hidden @ rng.standard_normal((n_features, n_classes)) * (2 / np.sqrt(n_features))
    return (hidden * spreads) @ rotation, np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)


def mnist_like(folder=None, n_samples=60_000, seed=0):
    """X_train, X_test, y_train, y_test of 784 pixels from 0 to 1 and 10 classes.

    Copies of the images of `MNIST` with some noise on the ink; held out are images of which there are no copies. Without a
    `folder` that has it the images are blurred blots.
    """
    rng = np.random.default_rng(seed)
    X, y = (real(folder, MNIST) if folder else None) or blots(rng)
    X_train, X_test, y_train, y_test = split(X / max(X.max(), 1.0), y, len(y))
    rows = np.resize(np.arange(len(y_train)), n_samples)
    X_train = X_train[rows].astype(np.float64)
    noise = rng.normal(scale=0.05, size=X_train.shape)
    return np.clip(X_train + noise * (X_train > 0), 0, 1), X_test.astype(np.float64), y_train[rows], y_test


def blots(rng, n_samples=5000, side=28, n_classes=10):
    """Images of a few blots, those of a class mostly at the same places."""
    y = np.resize(np.arange(n_classes), n_samples)
    centres = rng.uniform(6, side - 6, size=(n_classes, 4, 2))[y] + rng.normal(scale=3, size=(n_samples, 4, 2))
    pixel = np.arange(side)
    rows, columns = (np.exp(-((centres[..., axis, None] - pixel) ** 2) / 6) for axis in (0, 1))
    images = np.einsum("nbi,nbj->nij", rows, columns).reshape(n_samples, -1)
    return np.where(images > 0.1, np.minimum(images, 1), 0), y


# Kinds of data, at any shape. All classes occur, in random order.


def labels(rng, n_samples, n_classes):
    return rng.permutation(np.resize(np.arange(n_classes), n_samples))


def drawn(rng, scores):
    """A class for each row, from the softmax of its scores; each class occurs."""
    y = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
    y[: scores.shape[1]] = np.arange(scores.shape[1])
    return y


def easy(n_samples, n_features, n_classes, seed=0):
    informative = min(n_features, 10)
    sizes = {"n_informative": informative, "n_redundant": 0, "n_classes": n_classes, "n_clusters_per_class": 1}
    return make_classification(n_samples, n_features, **sizes, random_state=seed)


def gaussian(n_samples, n_features, n_classes, distance=3.0, seed=0):
    """Gaussian classes, about `distance` standard deviations from each other.

    As in embeddings, the variances of the directions fall like 1, 1/2, 1/3, ..., and each column is a mixture of all directions.
    """
    rng = np.random.default_rng(seed)
    y = labels(rng, n_samples, n_classes)
    centres = rng.standard_normal((n_classes, n_features)) * distance / np.sqrt(2 * n_features)
    X = rng.standard_normal((n_samples, n_features)) + centres[y]
    return dct(X / np.sqrt(np.arange(1, n_features + 1)), norm="ortho"), y


def skewed(n_samples, n_features, n_classes, seed=0):
    """Positive columns with long tails in units of their own, and classes of which some are rare."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n_samples, n_features)) @ rng.standard_normal((n_features, n_features)) / np.sqrt(n_features)
    scores = hidden @ rng.standard_normal((n_features, n_classes)) - np.linspace(0, 5, n_classes)
    return np.exp(hidden) * np.geomspace(1e-3, 1e3, n_features), drawn(rng, scores)


def images(n_samples, n_features, n_classes, seed=0):
    """Square images of grey pixels, 0 to 255."""
    X, y = blots(np.random.default_rng(seed), n_samples, int(np.sqrt(n_features)), n_classes)
    return np.round(255 * X), y


def counts(n_samples, n_features, n_classes, seed=0):
    """Poisson counts, as of genes in tissues: rates differ much between columns, and a twentieth of them between classes."""
    rng = np.random.default_rng(seed)
    y = labels(rng, n_samples, n_classes)
    rates = rng.lognormal(0, 1.5, n_features)
    folds = np.exp(rng.normal(0, 0.5, (n_classes, n_features)) * (rng.random((n_classes, n_features)) < 0.05))
    depths = rng.lognormal(0, 0.3, (n_samples, 1))
    return rng.poisson(depths * rates * folds[y]).astype(np.float64), y


def texts(n_samples, n_features, n_classes, words=60, seed=0):
    """CSR, tf-idf: words occur with Zipf's frequencies, a third of them with those of a topic, and a fifth of the topics are not
    those of the class.
    """
    rng = np.random.default_rng(seed)
    y = labels(rng, n_samples, n_classes)
    topics = np.where(rng.random(n_samples) < 0.2, rng.integers(n_classes, size=n_samples), y)
    frequencies = np.cumsum(1 / (np.arange(n_features) + 10.0))
    lengths = 1 + rng.poisson(words * rng.lognormal(-0.1, 0.5, n_samples))
    rows = np.repeat(np.arange(n_samples), lengths)
    ranks = np.minimum(np.searchsorted(frequencies, rng.random(rows.size) * frequencies[-1]), n_features - 1)
    first = np.where(rng.random(rows.size) < 1 / 3, (topics[rows] + 1) * (n_features // (n_classes + 1)), 0)
    columns = rng.permutation(n_features)[(first + ranks) % n_features]
    X = csr_matrix((np.ones(rows.size), (rows, columns)), shape=(n_samples, n_features))
    return with_int32_indices(TfidfTransformer(sublinear_tf=True).fit_transform(X)), y


def one_hot(n_samples, n_features, n_classes, variables=8, dense=False, seed=0):
    """Categorical variables, whose levels have Zipf's frequencies; CSR unless `dense`."""
    rng = np.random.default_rng(seed)
    levels = n_features // variables
    frequencies = np.cumsum(1 / (np.arange(levels) + 1.0))
    drawn_levels = np.searchsorted(frequencies, rng.random((n_samples, variables)) * frequencies[-1])
    columns = np.minimum(drawn_levels, levels - 1) + levels * np.arange(variables)
    effects = rng.standard_normal((n_features, n_classes)) / np.sqrt(variables)
    y = drawn(rng, sum(effects[column] for column in columns.T))
    starts = np.arange(n_samples + 1) * variables
    X = csr_matrix((np.ones(columns.size), columns.ravel(), starts), shape=(n_samples, n_features))
    return (X.toarray() if dense else with_int32_indices(X)), y


def loader(folder):
    spec = importlib.util.spec_from_file_location("benchmark_data", Path(folder) / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def real(folder, name):
    """A set of `folder`, whose load.py has NAMES and load(name); None if it does not have it."""
    module = loader(folder)
    if name not in module.NAMES:
        return None
    X, y = module.load(name)
    return (with_int32_indices(X) if hasattr(X, "tocsr") else np.ascontiguousarray(X)), y


def set_names(folder=None):
    """Scikit-learn's own sets and those of `folder`, if one is given."""
    return sorted({*OWN, *(loader(folder).NAMES if folder else ())})


def own_or_real(folder, name):
    """A set that comes with scikit-learn, or else one of `folder`; X in float64."""
    data = OWN[name](return_X_y=True) if name in OWN else (real(folder, name) if folder else None)
    if data is None:
        raise SystemExit(f"{name}: scikit-learn does not have it, and neither does --data")
    X, y = data
    return X.astype(np.float64), y


def split(X, y, rows=None, seed=0):
    """X_train, X_test, y_train, y_test: shuffled, stratified, a quarter held out; labels 0, 1, ...

    At most `rows` are trained on (None: 6000, or 20000 if X is sparse). Classes with a single row are left out, and held-out
    rows of classes that no training row has.
    """
    rows = rows or (20_000 if issparse(X) else 6000)
    _, y, counts = np.unique(y, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts[y] > 1)
    train, test = train_test_split(kept, test_size=0.25, stratify=y[kept], random_state=seed)
    train = train[:rows]
    test = test[np.isin(y[test], y[train])]
    classes, y_train = np.unique(y[train], return_inverse=True)
    return X[train], X[test], y_train, np.searchsorted(classes, y[test])


def standardised(X_train, X_test):
    """Mean 0 and variance 1 in the training rows; sparse columns are divided by their largest absolute value instead."""
    scaler = (MaxAbsScaler() if issparse(X_train) else StandardScaler()).fit(X_train)
    return scaler.transform(X_train), scaler.transform(X_test)
