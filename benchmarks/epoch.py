"""CPU time per row of an epoch, ours next to SGDClassifier(loss="log_loss"), interleaved in one process.

Both run partial_fit over all rows in the order in which they lie in memory, after a first call that is not timed: what is timed
is validation of the input and one pass.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import csv
import sys
import time
from statistics import median

import numpy as np
from datasets import SHAPES, real, synthetic
from sklearn.linear_model import SGDClassifier

from sklearn_softmax import SoftmaxSGDClassifier

REAL = "wordnet_gloss"
PENALTIES = {"l2": 0.0, "elasticnet": 0.15}


def estimators(penalty, eta0):
    same = {"alpha": 1e-4, "l1_ratio": PENALTIES[penalty], "learning_rate": "constant", "eta0": eta0, "tol": None}
    return SoftmaxSGDClassifier(**same), SGDClassifier(loss="log_loss", penalty=penalty, shuffle=False, **same)


def nanoseconds_per_row(estimator, X, y, at_least=0.02):
    """Process CPU time of passes over X, as many as take `at_least` seconds."""
    passes, started = 0, time.process_time_ns()
    while passes == 0 or time.process_time_ns() - started < at_least * 1e9:
        estimator.partial_fit(X, y)
        passes += 1
    return (time.process_time_ns() - started) / (passes * X.shape[0])


def compare(X, y, penalty, rounds):
    classes = np.unique(y)
    square = X.multiply(X).sum() if hasattr(X, "multiply") else np.vdot(X, X)
    pair = estimators(penalty, eta0=0.1 / (1 + float(square) / X.shape[0]))
    for estimator in pair:
        estimator.partial_fit(X, y, classes=classes)
    times = [[nanoseconds_per_row(estimator, X, y) for estimator in pair] for _ in range(rounds)]
    ours, theirs = zip(*times, strict=True)
    return median(ours), median(theirs), median(b / a for a, b in times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=[*SHAPES, REAL], choices=[*SHAPES, REAL], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one round: does it run?")
    parser.add_argument("--csv", metavar="FILE", help="write the table there too")
    parser.add_argument("--data", metavar="DIR", help=f"folder with load.py, which has the real set {REAL}")
    options = parser.parse_args()
    rounds, share = (1, 0.1) if options.quick else (options.rounds, 1.0)

    header = ["data", "rows", "features", "classes", "dtype", "penalty", "ours_ns", "sgd_ns", "ratio"]
    layout = "{:<16} {:>7} {:>8} {:>7} {:<8} {:<10} {:>9} {:>10} {:>6}"
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
                ours, theirs, ratio = compare(X_typed, y, penalty, rounds)
                row = [name, *X.shape, len(np.unique(y)), np.dtype(dtype).name, penalty]
                row += [f"{ours:.0f}", f"{theirs:.0f}", f"{ratio:.1f}"]
                table.append(row)
                print(layout.format(*row), flush=True)
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            csv.writer(file).writerows([header, *table])


if __name__ == "__main__":
    main()
