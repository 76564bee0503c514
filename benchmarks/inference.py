"""CPU time of a fit without a penalty and of its standard errors, next to MNLogit of statsmodels.

Both take turns in one process, on the same rows. What is timed is from the rows to the table of coefficients, standard errors and
intervals. MNLogit has Newton's method, its fastest for few coefficients. Both find the same numbers, which is checked.
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
import statsmodels.api as sm

from sklearn_softmax import SoftmaxSGDClassifier, inference

SHAPES = ((2_000, 5, 3), (20_000, 20, 5), (50_000, 50, 8))  # rows, features, classes
COLUMNS = ("rows", "features", "classes", "covariance", "fit_s", "inference_s", "mnlogit_s", "mnlogit/ours", "difference")


def rows_of(n_samples, n_features, n_classes, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    coef = rng.normal(size=(n_classes, n_features)) / np.sqrt(n_features)
    return X, np.argmax(X @ coef.T + rng.gumbel(size=(n_samples, n_classes)), axis=1)


def seconds(function):
    """(result, CPU time)"""
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def one_round(X, y, robust):
    """(CPU times of our fit, of inference and of MNLogit, largest relative difference of two standard errors)"""
    clf, of_fit = seconds(lambda: SoftmaxSGDClassifier(alpha=0, tol=1e-6, max_iter=1000, random_state=0).fit(X, y))

    def ours():
        result = inference(clf, X, y, robust=robust, reference=0)
        result.coef_table()
        return result

    def theirs():
        cov_type = "HC0" if robust else "nonrobust"
        result = sm.MNLogit(y, sm.add_constant(X)).fit(disp=0, method="newton", maxiter=100, cov_type=cov_type)
        result.conf_int()
        return result

    (result, of_inference), (expected, of_mnlogit) = seconds(ours), seconds(theirs)
    return of_fit, of_inference, of_mnlogit, np.abs(result.std_errors / np.asarray(expected.bse).T - 1).max()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csv", help="write the table to this file")
    parser.add_argument("--quick", action="store_true", help="one round of the first shape")
    arguments = parser.parse_args()
    shapes, n_rounds = (SHAPES[:1], 1) if arguments.quick else (SHAPES, arguments.rounds)
    rows = []
    one_round(*rows_of(*SHAPES[0]), False)  # what is done once in a process
    for shape in shapes:
        X, y = rows_of(*shape)
        rounds = {robust: [one_round(X, y, robust) for _ in range(n_rounds)] for robust in (False, True)}
        for robust, measured in rounds.items():
            ratio = median(theirs / (fit + ours) for fit, ours, theirs, _ in measured)
            times = [f"{median(column):.3f}" for column in list(zip(*measured))[:3]]
            difference = f"{max(one[3] for one in measured):.0e}"
            rows.append([*shape, "robust" if robust else "nonrobust", *times, f"{ratio:.1f}", difference])
            print("| " + " | ".join(map(str, rows[-1])) + " |", flush=True)
    if arguments.csv:
        with open(arguments.csv, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
