"""How often intervals of `inference` contain the truth: simulations with a known model, with and without a penalty.

In each simulation rows are drawn from a softmax model, a model is fitted to them, and its intervals are compared with the
coefficients that the rows were drawn from (differences from the mean over the classes, intercepts included), and with the true
probabilities of new rows. The model of a shape is the same in all its simulations. Features are standard normal, and the
coefficients have the standard deviation that the table calls spread.
"""

import argparse
import csv
import sys
import warnings

import numpy as np
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning

from sklearn_softmax import SoftmaxSGDClassifier, inference

SHAPES = ((300, 5, 1.0), (2000, 5, 1.0), (2000, 40, 0.25), (2000, 40, 0.5), (2000, 40, 1.0))  # rows, features, spread
N_CLASSES, N_NEW, LEVEL = 5, 200, 0.9
KINDS = ((0, False), (1, False), (1, True), (10, False))  # alpha n_samples, robust


def truth(n_features, spread):
    """(coefficients, intercepts) that sum to 0 over the classes."""
    rng = np.random.default_rng(n_features)
    coef = rng.normal(size=(N_CLASSES, n_features)) * spread
    intercept = rng.normal(size=N_CLASSES) / 2
    return coef - coef.mean(axis=0), intercept - intercept.mean()


def simulate(n_samples, n_features, spread, seed, kinds=KINDS):
    """{kind: (share of coefficients, share of probabilities of new rows) in their intervals}"""
    coef, intercept = truth(n_features, spread)
    rng = np.random.default_rng([seed, n_samples, n_features])
    X, X_new = rng.normal(size=(n_samples, n_features)), rng.normal(size=(N_NEW, n_features))
    y = np.argmax(X @ coef.T + intercept + rng.gumbel(size=(n_samples, N_CLASSES)), axis=1)
    expected, proba = np.column_stack([intercept, coef]), softmax(X_new @ coef.T + intercept, axis=1)
    covered, models = {}, {}
    for strength, robust in kinds:
        if strength not in models:
            clf = SoftmaxSGDClassifier(alpha=strength / n_samples, tol=1e-7, max_iter=1000, random_state=0)
            models[strength] = clf.fit(X, y)
        result = inference(models[strength], X, y, robust=robust)
        table = result.coef_table(LEVEL)
        lower, upper = (np.reshape(table[name], expected.shape) for name in ("ci_lower", "ci_upper"))
        intervals = result.predict_proba(X_new, LEVEL)
        covered[strength, robust] = (
            np.mean((lower <= expected) & (expected <= upper)),
            np.mean((intervals.lower <= proba) & (proba <= intervals.upper)),
        )
    return covered


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=100)
    parser.add_argument("--csv", help="write the table to this file")
    parser.add_argument("--quick", action="store_true", help="two simulations of the first shape")
    arguments = parser.parse_args()
    shapes, n_simulations = (SHAPES[:1], 2) if arguments.quick else (SHAPES, arguments.simulations)
    warnings.simplefilter("error", ConvergenceWarning)  # a model that is not at the optimum is none of the comparison
    rows = []
    for shape in shapes:
        covered = [simulate(*shape, seed) for seed in range(n_simulations)]
        for kind in KINDS:
            shares = np.array([one[kind] for one in covered])
            error = shares.std(axis=0, ddof=1) / np.sqrt(n_simulations)
            numbers = [f"{number:.3f}" for pair in zip(shares.mean(axis=0), error) for number in pair]
            rows.append([*shape, *kind, *numbers])
            print("| " + " | ".join(map(str, rows[-1])) + " |", flush=True)
    if arguments.csv:
        with open(arguments.csv, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(
                [
                    "rows",
                    "features",
                    "spread",
                    "alpha n",
                    "robust",
                    "coefficients",
                    "error",
                    "probabilities",
                    "error of probabilities",
                ]
            )
            writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
