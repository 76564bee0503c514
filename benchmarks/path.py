"""CPU time of the choice of alpha by cross-validation: SoftmaxSGDClassifierCV next to LogisticRegressionCV with each of its fast
solvers, on the same folds, alphas and columns; and of a path next to cold fits of the same alphas. One process.

LogisticRegressionCV penalises what our objective implies: it gets the columns divided by `scale_`, and dense ones centred, which
is faster for it. Its C is 1 / (alpha n) for the n training rows of a fold. Both stop at a largest entry of the gradient of 1e-4.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import csv
import time
import warnings

import numpy as np
import rivals
from datasets import own_or_real, with_int32_indices
from scipy.sparse import csr_matrix, diags, issparse
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold

from sklearn_softmax import SoftmaxSGDClassifierCV, softmax_path

SETS = {"digits": 6000, "letter": 20_000, "satellite": 6435, "mnist_5k": 5000, "wordnet_gloss": 5000}  # name: rows
SOLVERS = ("lbfgs", "newton-cholesky")
MOST_WEIGHTS = 1000  # that a solver with a whole Hessian is asked for
COLD_FITS = 6  # alphas of the path that are fitted on their own, evenly spaced
HEADER = (
    "data",
    "rows",
    "features",
    "classes",
    "seconds",
    *SOLVERS,
    "best/ours",
    "path",
    "cold_fit",
    "path/cold_fit",
    "log_loss",
    "of_best",
)


def cpu_seconds(call, *args, **params):
    started = time.process_time()
    result = call(*args, **params)
    return time.process_time() - started, result


def data(folder, name, n_rows):
    """Shuffled rows; sparse columns that occur."""
    X, y = own_or_real(folder, name)
    rows = np.random.default_rng(0).permutation(len(y))[:n_rows]
    X, y = X[rows], np.unique(y[rows], return_inverse=True)[1]
    counts = np.bincount(y)
    kept = counts[y] >= 10  # of which each fold has some
    X, y = X[kept], y[kept]
    if issparse(X):
        X = csr_matrix(X)
        X = with_int32_indices(X[:, np.unique(X.indices)])
    return X, y


def columns_of_objective(X, scale):
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    return with_int32_indices(csr_matrix(X @ diags(inverse))) if issparse(X) else (X - X.mean(axis=0)) * inverse


def compare(X, y, n_alphas, n_folds, solvers):
    folds = list(StratifiedKFold(n_folds).split(X, y))
    settings = {"alphas": n_alphas, "cv": folds, "refit": False, "random_state": 0}
    seconds, ours = cpu_seconds(SoftmaxSGDClassifierCV(**settings).fit, X, y)
    alphas, n_train = ours.alphas_[0], len(folds[0][0])
    Z = columns_of_objective(X, ours.scale_)
    times, best = {}, -np.inf
    for solver in solvers:
        if solver != "lbfgs" and X.shape[1] * len(np.unique(y)) > MOST_WEIGHTS:
            continue
        search = LogisticRegressionCV(
            Cs=1 / (alphas * n_train), l1_ratios=(0.0,), cv=folds, solver=solver, scoring="neg_log_loss", refit=False,
            max_iter=1000, use_legacy_attributes=False,
        )  # fmt: skip
        times[solver], search = cpu_seconds(search.fit, Z, y)
        best = max(best, search.scores_.mean(axis=0).max())
    path_seconds, _ = cpu_seconds(softmax_path, X, y, alphas=alphas)
    some = alphas[np.linspace(0, len(alphas) - 1, COLD_FITS).round().astype(int)]
    cold = np.mean([cpu_seconds(rivals.ours(alpha).fit, X, y)[0] for alpha in some])
    return {
        "seconds": seconds, **times, "best/ours": min(times.values()) / seconds, "path": path_seconds, "cold_fit": cold,
        "path/cold_fit": path_seconds / cold, "log_loss": -ours.scores_.mean(axis=0).max(), "of_best": -best,
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=[*SETS], choices=[*SETS], metavar="NAME")
    parser.add_argument("--alphas", type=int, default=30)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--solvers", nargs="+", default=SOLVERS, choices=SOLVERS)
    parser.add_argument("--quick", action="store_true", help="300 rows, 5 alphas, 2 folds: does it run?")
    parser.add_argument("--csv", metavar="FILE", help="write the table there too")
    parser.add_argument("--data", metavar="DIR", help="folder with load.py; without it, digits only")
    options = parser.parse_args()
    n_alphas, n_folds = (5, 2) if options.quick else (options.alphas, options.folds)
    warnings.simplefilter("ignore")  # of max_iter
    print(("{:<14} {:>6} {:>8} {:>7}" + " {:>13}" * (len(HEADER) - 4)).format(*HEADER))
    table = []
    for name in options.sets if options.data else ["digits"]:
        X, y = data(options.data, name, 300 if options.quick else SETS[name])
        figures = compare(X, y, n_alphas, n_folds, options.solvers)
        row = [
            name,
            *X.shape,
            len(np.unique(y)),
            *(f"{figures[column]:.3g}" if column in figures else "-" for column in HEADER[4:]),
        ]
        table.append(row)
        print(("{:<14} {:>6} {:>8} {:>7}" + " {:>13}" * (len(HEADER) - 4)).format(*row), flush=True)
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            csv.writer(file).writerows([HEADER, *table])


if __name__ == "__main__":
    main()
