"""Peak memory that `fit` and `partial_fit` add to what X takes; each measured in a process of its own. Linux only.

It is the highest resident set during the call, less the resident set before: X is loaded by then, and a fit of a few rows has
loaded all code.
"""

import argparse
import csv
import sys
import tempfile
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import rivals
from datasets import own_or_real
from scipy.sparse import csr_matrix, issparse, load_npz, save_npz
from threadpoolctl import threadpool_limits

# rows, features, classes, non-zeros per row (0: dense)
SHAPES = {"tall": (50_000, 50, 50, 0), "wide": (2000, 5000, 100, 0), "sparse": (20_000, 2**17, 50, 50)}
REAL = "wordnet_gloss"
KINDS = {
    "float64": ("tall", "wide"),
    "float32": ("tall", "wide"),
    "CSR float64": ("sparse", REAL),
    "CSR float64, int64 indices": ("sparse", REAL),
}
QUICK = ("float64", "CSR float64")
SHORT = {"max_iter": 3}  # where more epochs take no more memory
MODELS = {
    "ours": (rivals.ours, {}, "fit"),
    "ours, no variance reduction": (rivals.ours, {"variance_reduction": False, **SHORT}, "fit"),
    "ours, constant": (rivals.ours, {"learning_rate": "constant", **SHORT}, "fit"),
    "ours, partial_fit": (rivals.ours, {}, "partial_fit"),
    "lbfgs": (rivals.lbfgs, {"max_iter": 12}, "fit"),  # it remembers the last 10 steps
    "saga": (rivals.saga, SHORT, "fit"),
    "sgd": (rivals.sgd, SHORT, "fit"),
    "sgd, partial_fit": (rivals.sgd, {}, "partial_fit"),
}
MB = 1e6


def generated(n_samples, n_features, n_classes, n_nonzero, smaller=1, seed=0):
    """X and y, which a model can tell apart somewhat; fewer rows and sparse features if they shall be `smaller`."""
    rng = np.random.default_rng(seed)
    n_samples, n_features = n_samples // smaller, n_features // (smaller if n_nonzero else 1)
    y = np.resize(np.arange(n_classes), n_samples)
    if not n_nonzero:
        return rng.standard_normal((n_classes, n_features))[y] + 3 * rng.standard_normal((n_samples, n_features)), y
    columns = rng.integers(n_features, size=(n_samples, n_nonzero))
    columns[:, 0] = y  # one word in each text says what it is about
    starts = np.arange(n_samples + 1) * n_nonzero
    X = csr_matrix((rng.random(columns.size) + 0.1, columns.ravel(), starts), shape=(n_samples, n_features))
    X.sum_duplicates()
    return X, y


def as_kind(X, kind):
    if not issparse(X):
        return X.astype(kind)
    index = np.int64 if "int64" in kind else np.int32
    X = csr_matrix(X, dtype=np.float64)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def save(folder, X, y):
    np.save(folder / "y.npy", y)
    if issparse(X):
        save_npz(folder / "X.npz", X, compressed=False)
        np.save(folder / "index.npy", np.zeros(1, X.indices.dtype))
    else:
        np.save(folder / "X.npy", X)


def load(folder):
    y = np.load(folder / "y.npy")
    if (folder / "X.npy").exists():
        return np.load(folder / "X.npy"), y
    X, index = load_npz(folder / "X.npz"), np.load(folder / "index.npy").dtype
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X, y


def resident(entry, process="self"):
    """VmRSS, the resident set, or VmHWM, its highest so far, in bytes."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return int(status[entry].split()[0]) * 1024


def call(model, method, X, y):
    getattr(model, method)(X, y, **({"classes": np.unique(y)} if method == "partial_fit" else {}))


def added(folder, name):
    """Bytes that the call adds at most; in a process that has done nothing else. None if the model refuses the data."""
    adapter, settings, method = MODELS[name]
    X, y = load(folder)
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        few = np.unique(y, return_index=True)[1]
        call(adapter(**settings), method, X[few][:, :5], y[few])
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
        before = resident("VmRSS")
        try:
            call(adapter(**settings), method, X, y)
        except ValueError as error:
            print(f"{name}: {str(error).split('. ')[0]}", file=sys.stderr)
            return None
    return resident("VmHWM") - before


def in_a_process(*arguments):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(added, *arguments).result()


def size_of(X):
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if issparse(X) else X.nbytes


def figures_of(X, y):
    """{model: (MB, multiple of n_features n_classes numbers, multiple of n_samples n_classes numbers)}"""
    n_classes, figures = len(np.unique(y)), {}
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder), X, y)
        for name in MODELS:
            n_bytes = in_a_process(Path(folder), name)
            sizes = (n * n_classes * X.dtype.itemsize for n in X.shape[::-1])
            figures[name] = None if n_bytes is None else (n_bytes / MB, *(n_bytes / size for size in sizes))
    return figures


def print_table(title, figures):
    layout = "{:<28} {:>10} {:>22} {:>22}"
    print(f"\n{title}\n" + layout.format("", "MB", "/ (features classes)", "/ (rows classes)"))
    for name, values in figures.items():
        print(layout.format(name, *(f"{value:.1f}" for value in values)) if values else layout.format(name, "-", "-", "-"))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help=f"folder with load.py, which has the real set {REAL}")
    parser.add_argument("--csv", metavar="FILE", help="write the tables there too")
    parser.add_argument("--quick", action="store_true", help="two small shapes: does it run?")
    options = parser.parse_args()

    table = [["data", "kind", "model", "mb", "per_feature_and_class", "per_row_and_class"]]
    for kind in QUICK if options.quick else KINDS:
        for name in KINDS[kind][:1] if options.quick else KINDS[kind]:
            if name == REAL and not options.data:
                continue
            X, y = own_or_real(options.data, name) if name == REAL else generated(*SHAPES[name], 20 if options.quick else 1)
            X = as_kind(X, kind)
            figures = figures_of(X, y)
            print_table(
                f"{name}, {kind}: {X.shape[0]} x {X.shape[1]}, {y.max() + 1} classes, X {size_of(X) / MB:.1f} MB", figures
            )
            table += [[name, kind, model, *(f"{v:.2f}" for v in values or ())] for model, values in figures.items()]
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            csv.writer(file).writerows(table)


if __name__ == "__main__":
    main()
