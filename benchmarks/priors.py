"""Class priors: what undoing `class_weight="balanced"`, and adapting to another prevalence, does to the held-out log loss.

Part `balanced`: a model with balanced weights, and the same with its intercepts shifted back, next to a model without weights,
on sets whose largest class has at least 1.5 times the rows of the smallest. Part `shift`: rows with class shares drawn from a
uniform Dirichlet distribution, predicted with the shares of training, the true shares, and shares estimated by EM, with more or
less smoothing (0 is plain EM, 2 is `estimate_class_prior`).
"""

import argparse
import csv
import sys

import numpy as np
from datasets import own_or_real, set_names
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from sklearn_softmax import SoftmaxSGDClassifier, _priors, estimate_class_prior

MOST_ROWS = 6000
SIZES = (100, 500, 2000)
SMOOTHING = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)  # rows per class; 0 is plain EM
REPEATS = 6
UNEQUAL = 1.5


def log_loss(model, X, y):
    return -model.predict_log_proba(X)[np.arange(len(y)), y].mean()


def halves(folder, name):
    """X_train, X_test, y_train, y_test with classes 0, 1, ..., or None if a class is too rare to be in both."""
    X, y = own_or_real(folder, name)
    rows = np.random.default_rng(0).permutation(len(y))[:MOST_ROWS]
    y = np.unique(y[rows], return_inverse=True)[1]
    if np.bincount(y).min() < 4:
        return None
    return train_test_split(X[rows], y, test_size=0.5, stratify=y, random_state=0)


def balanced(X_train, X_test, y_train, y_test):
    """Log losses relative to the model without weights; nothing where classes are about equally frequent."""
    counts = np.bincount(y_train)
    if counts.max() < UNEQUAL * counts.min():
        return {}
    plain = log_loss(SoftmaxSGDClassifier(random_state=0).fit(X_train, y_train), X_test, y_test)
    weighted = SoftmaxSGDClassifier(class_weight="balanced", random_state=0).fit(X_train, y_train)
    back = weighted.with_class_prior(counts)
    return {"balanced": log_loss(weighted, X_test, y_test) / plain, "shifted back": log_loss(back, X_test, y_test) / plain}


def shifted(X_train, X_test, y_train, y_test):
    """(size, how): log loss relative to the shares of training, geometric mean over draws."""
    model = SoftmaxSGDClassifier(random_state=0).fit(X_train, y_train)
    logs, default = {}, _priors.ROWS_PER_CLASS
    for size in SIZES:
        for repeat in range(REPEATS):
            rng = np.random.default_rng([size, repeat])
            shares = rng.dirichlet(np.ones(len(model.classes_)))
            rows = np.concatenate([
                rng.choice(np.flatnonzero(y_test == label), count)
                for label, count in enumerate(rng.multinomial(size, shares))
            ])  # fmt: skip
            X, y = X_test[rows], y_test[rows]
            priors = {"true shares": np.maximum(shares, 1e-9)}
            for smoothing in SMOOTHING:
                _priors.ROWS_PER_CLASS = smoothing
                priors[f"EM {smoothing:g}"] = np.maximum(estimate_class_prior(model, X), 1e-12)
            base = log_loss(model, X, y)
            for how, prior in priors.items():
                logs.setdefault((size, how), []).append(np.log(log_loss(model.with_class_prior(prior), X, y) / base))
    _priors.ROWS_PER_CLASS = default
    return {key: float(np.exp(np.mean(values))) for key, values in logs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", metavar="DIR", help="real sets: a folder with load.py, which has NAMES and load(name)")
    parser.add_argument("--sets", nargs="+", help="only these sets")
    parser.add_argument("--csv", metavar="FILE")
    arguments = parser.parse_args()
    results = []
    with threadpool_limits(1):
        for name in arguments.sets or set_names(arguments.data):
            parts = halves(arguments.data, name)
            if parts is None:
                continue
            rows = [("balanced", "", how, value) for how, value in balanced(*parts).items()]
            rows += [("shift", size, how, value) for (size, how), value in shifted(*parts).items()]
            results += [(name, *row) for row in rows]
            print(
                name, *(f"{how} {value:.3f}" for part, _, how, value in rows if part == "balanced"), file=sys.stderr, flush=True
            )
    print("\n| part | rows | model | log loss, relative | worst set |\n|---|---|---|---|---|")
    for key in dict.fromkeys(row[1:4] for row in results):
        values = np.array([row[4] for row in results if row[1:4] == key])
        print(f"| {' | '.join(map(str, key))} | {np.exp(np.log(values).mean()):.3f} | {values.max():.2f} |")
    if arguments.csv:
        with open(arguments.csv, "w", newline="") as file:
            csv.writer(file).writerows([("set", "part", "rows", "model", "relative"), *results])


if __name__ == "__main__":
    main()
