"""CPU time per row of an epoch: our constant and automatic steps next to SGDClassifier(loss="log_loss"), our Point-SAGA next to
LogisticRegression(solver="saga"), interleaved in one process.

The first three run partial_fit over all rows in the order in which they lie in memory, after a first call that is not timed: what
is timed is validation of the input and one pass. The other two only have `fit`: theirs is a quarter of what 6 epochs take longer
than 2.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import csv
import sys
import time
import warnings
from statistics import median

import numpy as np
import rivals
from datasets import SHAPES, real, synthetic

REAL = "wordnet_gloss"
PENALTIES = {"none": (0.0, 0.0), "l2": (1e-4, 0.0), "elasticnet": (1e-4, 0.15)}  # alpha, l1_ratio
FEW, MORE = 2, 6  # epochs of fit
COLUMNS = ("constant", "auto", "sgd", "point_saga", "saga")
RATIOS = {"sgd/constant": ("sgd", "constant"), "sgd/auto": ("sgd", "auto"), "saga/point_saga": ("saga", "point_saga")}


def streaming(penalty, eta0):
    """Those with partial_fit."""
    alpha, l1_ratio = PENALTIES[penalty]
    same = {"l1_ratio": l1_ratio, "learning_rate": "constant", "eta0": eta0, "tol": None}
    models = {"constant": rivals.ours(alpha, **same)}
    if penalty != "none":  # what the automatic step does without one is no different
        models["auto"] = rivals.ours(alpha, l1_ratio=l1_ratio)
    models["sgd"] = rivals.sgd(alpha or None, penalty=None if penalty == "none" else penalty, shuffle=False, **same)
    return models


def fitting(penalty, n_samples, max_iter):
    """Those with an epoch that only `fit` has.

    Without an intercept: with one, what our `fit` does after the epochs depends on the model, and spoils the difference.
    """
    alpha, l1_ratio = PENALTIES[penalty]
    if penalty == "none":
        return {}
    same = {"max_iter": max_iter, "l1_ratio": l1_ratio, "fit_intercept": False}
    return {"point_saga": rivals.ours(alpha, tol=None, **same), "saga": rivals.saga(alpha, n_samples, tol=1e-12, **same)}


def nanoseconds_per_row(estimator, X, y, at_least=0.02):
    """Process CPU time of passes over X, as many as take `at_least` seconds."""
    passes, started = 0, time.process_time_ns()
    while passes == 0 or time.process_time_ns() - started < at_least * 1e9:
        estimator.partial_fit(X, y)
        passes += 1
    return (time.process_time_ns() - started) / (passes * X.shape[0])


def nanoseconds_of_fit(estimator, X, y):
    started = time.process_time_ns()
    estimator.fit(X, y)
    return time.process_time_ns() - started


def one_round(streams, penalty, X, y):
    """{estimator: nanoseconds per row}"""
    times = {name: nanoseconds_per_row(estimator, X, y) for name, estimator in streams.items()}
    few, more = (fitting(penalty, len(y), max_iter) for max_iter in (FEW, MORE))
    for name in few:
        if name == "saga" and penalty == "elasticnet" and hasattr(X, "multiply"):
            continue  # it visits every weight at every row: seconds or minutes an epoch
        longer = nanoseconds_of_fit(more[name], X, y) - nanoseconds_of_fit(few[name], X, y)
        times[name] = longer / ((MORE - FEW) * len(y))
    return times


def compare(X, y, penalty, rounds):
    """Medians of the times, and of the ratios of each round."""
    classes = np.unique(y)
    square = X.multiply(X).sum() if hasattr(X, "multiply") else np.vdot(X, X)
    streams = streaming(penalty, eta0=0.1 / (1 + float(square) / X.shape[0]))
    for estimator in streams.values():
        estimator.partial_fit(X, y, classes=classes)
    times = [one_round(streams, penalty, X, y) for _ in range(rounds)]
    figures = {name: median(of_round[name] for of_round in times) for name in times[0]}
    for name, (a, b) in RATIOS.items():
        if a in figures and b in figures:
            figures[name] = median(of_round[a] / of_round[b] for of_round in times)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=[*SHAPES, REAL], choices=[*SHAPES, REAL], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one round: does it run?")
    parser.add_argument("--csv", metavar="FILE", help="write the table there too")
    parser.add_argument("--data", metavar="DIR", help=f"folder with load.py, which has the real set {REAL}")
    options = parser.parse_args()
    rounds, share = (1, 0.1) if options.quick else (options.rounds, 1.0)

    warnings.simplefilter("ignore")  # of max_iter
    header = ["data", "rows", "features", "classes", "dtype", "penalty", *(f"{name}_ns" for name in COLUMNS), *RATIOS]
    layout = "{:<16} {:>7} {:>8} {:>7} {:<8} {:<10} {:>11} {:>9} {:>9} {:>13} {:>9} {:>12} {:>8} {:>15}"
    print(layout.format(*header))
    table = []
    for name in options.shapes:
        data = (real(options.data, name) if options.data else None) if name == REAL else synthetic(name, share)
        if data is None:
            print(f"{name}: left out, --data was not given or does not have it", file=sys.stderr)
            continue
        X, y = data
        if options.quick and name == REAL:
            X, y = X[: max(len(y) // 10, 50)], y[: max(len(y) // 10, 50)]
        for dtype in (np.float64, np.float32):
            X_typed = X.astype(dtype)
            for penalty in PENALTIES:
                figures = compare(X_typed, y, penalty, rounds)
                row = [name, *X.shape, len(np.unique(y)), np.dtype(dtype).name, penalty]
                row += [f"{figures[name]:.0f}" if name in figures else "-" for name in COLUMNS]
                row += [f"{figures[name]:.1f}" if name in figures else "-" for name in RATIOS]
                table.append(row)
                print(layout.format(*row), flush=True)
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            csv.writer(file).writerows([header, *table])


if __name__ == "__main__":
    main()
