"""Rows per second through `partial_fit`, in chunks of 1, 32 and 1000 rows, and through `predict_proba`, one at a time.

How long a call of `predict_proba` takes, too, for one row after the other while the model stays: the median, what 1 in 100 calls
exceed, and the longest. With `--frames` the rows are those of a DataFrame of pandas.

The first call of `partial_fit`, which says the classes, is not timed. The estimators take turns, in one process.
"""

import argparse
import csv
import time
import warnings
from statistics import median

import numpy as np
import rivals
from datasets import real, synthetic
from scipy.sparse import issparse
from threadpoolctl import threadpool_limits

SETS = {"letter-like": "dense-16x26", "mnist-like": "dense-784x10", "small": "dense-4x3", "sparse": "sparse-262kx50"}
REAL = "wordnet_gloss"
CHUNKS = (1, 32, 1000)
MODELS = {"ours": rivals.ours, "sgd": rivals.sgd, "mlp": rivals.mlp}
MODELS |= {"river": rivals.RiverSoftmax, "vw": rivals.VowpalWabbit, "torch": rivals.TorchSoftmax}
MOST_WEIGHTS = {"mlp": 1_000_000}  # one call takes most of a second
DENSE_ONLY = ("torch",)
OF_FRAMES = ("ours", "sgd", "mlp")


def learning(model, X, y, chunk):
    """A function that learns from the next chunk; after the last come the first ones again."""
    pieces = [(X[start : start + chunk], y[start : start + chunk]) for start in range(0, len(y) - chunk + 1, chunk)]

    def step(turn):
        model.partial_fit(*pieces[turn % len(pieces)])

    return step


def predicting(model, X):
    rows = [X[i : i + 1] for i in range(100)]
    return lambda turn: model.predict_proba(rows[turn % len(rows)])


def in_turn(model, X, y):
    """Predict a row, then learn from it."""
    learn, predict = learning(model, X[:100], y[:100], 1), predicting(model, X)

    def step(turn):
        predict(turn)
        learn(turn)

    return step


def calls_per_second(step, at_least, fewest):
    """Of process CPU time, in as many calls as take `at_least` seconds, but no fewer; after one that is not timed."""
    step(0)  # the first prediction after partial_fit may have to make the model that predicts
    calls, started = 0, time.process_time()
    while (spent := time.process_time() - started) < at_least or calls < fewest:
        step(calls)
        calls += 1
    return calls / spent


LATENCIES = {"p50": 50, "p99": 99, "max": 100}


def latencies(step, calls):
    """Of so many calls in a row, in microseconds of process CPU time."""
    spent = np.empty(calls)
    for turn in range(calls):
        started = time.process_time()
        step(turn)
        spent[turn] = time.process_time() - started
    return {name: 1e6 * np.percentile(spent, share) for name, share in LATENCIES.items()}


def started_models(X, y, n_rows):
    """Each has seen the first rows."""
    classes, models = np.arange(y.max() + 1), {}
    for name, adapter in rivals.available(MODELS).items():
        if X.shape[1] * len(classes) > MOST_WEIGHTS.get(name, np.inf) or (issparse(X) and name in DENSE_ONLY):
            continue
        if hasattr(X, "columns") and name not in OF_FRAMES:
            continue
        models[name] = adapter()
        models[name].partial_fit(X[:n_rows], y[:n_rows], classes=classes)
    return models


def measure(X, y, chunks, rounds, at_least, fewest, calls):
    """{(task, model): rows per second}, the median of the rounds; and latencies of `predict_proba`."""
    models, figures = started_models(X, y, max(chunks)), {}
    for _ in range(rounds):
        for name, model in models.items():
            tasks = {f"chunks of {chunk}": (learning(model, X, y, chunk), chunk) for chunk in chunks}
            tasks |= {"predict_proba": (predicting(model, X), 1), "both": (in_turn(model, X, y), 1)}
            for task, (step, n_rows) in tasks.items():
                figures.setdefault((task, name), []).append(n_rows * calls_per_second(step, at_least, fewest))
            learning(model, X, y, 1)(0)  # a changed model, as in a stream
            for share, spent in latencies(predicting(model, X), calls).items():
                figures.setdefault((f"predict {share}, us", name), []).append(spent)
    return {key: median(values) for key, values in figures.items()}


def print_table(title, figures):
    tasks, names = ([*dict.fromkeys(key)] for key in zip(*figures))
    layout = "{:<16}" + " {:>12}" * len(names)
    print(f"\n{title}\n" + layout.format("rows/s", *names))
    for task in tasks:
        print(layout.format(task, *(f"{figures[task, name]:.0f}" for name in names)), flush=True)


def rows_of(name, folder, quick):
    if name != REAL:
        return synthetic(SETS[name], 0.2 if quick else 1.0)
    X, y = real(folder, REAL)
    return X[:5000], np.unique(y[:5000], return_inverse=True)[1]


def as_frame(X):
    import pandas as pd

    return pd.DataFrame(X, columns=[f"column {number}" for number in range(X.shape[1])])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=[*SETS, REAL], metavar="NAME", help="only these")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", metavar="DIR", help=f"folder with load.py, which has the real set {REAL}")
    parser.add_argument("--frames", action="store_true", help="rows of a DataFrame; dense data only")
    parser.add_argument("--csv", metavar="FILE", help="write the tables there too")
    parser.add_argument("--quick", action="store_true", help="one round of a few milliseconds: does it run?")
    options = parser.parse_args()
    effort = (CHUNKS[:2], 1, 0.005, 1, 5) if options.quick else (CHUNKS, options.rounds, 0.2, 5, 2000)

    table = [["data", "task", "model", "figure"]]
    warnings.simplefilter("ignore")  # rivals overflow; what counts here is time
    with threadpool_limits(1):
        for name in options.sets or [*SETS, *([REAL] if options.data else [])]:
            X, y = rows_of(name, options.data, options.quick)
            if options.frames:
                if issparse(X):
                    continue
                X = as_frame(X)
            figures = measure(X, y, *effort)
            print_table(f"{name}: {X.shape[1]} features, {y.max() + 1} classes", figures)
            table += [[name, *key, f"{value:.0f}"] for key, value in figures.items()]
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            csv.writer(file).writerows(table)


if __name__ == "__main__":
    main()
