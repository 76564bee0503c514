"""How good the defaults are: held-out log loss, accuracy, CPU time and warnings, ours next to scikit-learn's, on real sets.

Part `fit` fits all rows, raw and standardised, and measures how far our objective is above its exact optimum; part `plain` does
so without our own scaling, at alpha=1e-4. Part `stream` is one pass by `partial_fit`, each chunk scored before it is learnt from.
"""

import argparse
import csv
import sys
import time
import warnings

import numpy as np
from datasets import own_or_real, set_names, split, standardised
from rivals import BATCH, STREAM, newton_cg, ours
from scipy.sparse import csr_matrix, diags, issparse
from scipy.special import log_expit, log_softmax, xlogy
from sklearn.utils.sparsefuncs import mean_variance_axis
from threadpoolctl import threadpool_limits

QUICK = ("iris", "breast_cancer", "digits")  # digits as CSR, so that sparse data are tried as well
SCALINGS = ("raw", "standardised")
EPOCHS = {10: 1e-3, 100: 1e-6}  # the suboptimality that is asked for
TOO_LARGE = {"mlp": 1_000_000}  # weights; one fit would take a quarter of an hour
LEAST_LOSS = 1e-3  # nats; smaller losses count as this in ratios


# The exact optimum


def column_scales(X):
    """v_j of the default penalty: v_j^2 = variance / share of rows where x_j is not 0; 0 if the column is constant."""
    if issparse(X):
        _, variance = mean_variance_axis(X, axis=0)
        nonzero, spread = X.getnnz(axis=0), (X.max(axis=0) - X.min(axis=0)).toarray().ravel()
    else:
        variance, nonzero, spread = X.var(axis=0), np.count_nonzero(X, axis=0), np.ptp(X, axis=0)
    return np.where(spread > 0, np.sqrt(variance * X.shape[0] / np.maximum(nonzero, 1)), 0.0)


def objective(X, y, coef, intercept, scales, alpha):
    """Mean loss plus alpha/2 sum_j scales_j^2 ||W_j||^2; with two classes coef has one row."""
    scores = X @ coef.T + intercept
    log_proba = log_softmax(scores, axis=1) if len(coef) > 1 else log_expit(np.hstack([-scores, scores]))
    return -log_proba[np.arange(len(y)), y].mean() + alpha / 2 * np.sum((coef * scales) ** 2)


def scaled(X, scales):
    """The columns of X whose scale is not 0, divided by it; dense ones are centred, too. And those columns, and their means.

    The intercept is free, so that centring changes no optimum; solvers find it faster.
    """
    used = np.flatnonzero(scales)
    if issparse(X):
        return (X[:, used] @ diags(1 / scales[used])).tocsr(), used, np.zeros(len(used))
    means = X[:, used].mean(axis=0)
    return (X[:, used] - means) / scales[used], used, means


def optimum(X, y, scales, alpha, start=None, **settings):
    """LogisticRegression on the scaled columns, its coefficients and intercepts for X, and the objective.

    `start`, a model of the scaled columns, saves it a part of the way.
    """
    Z, used, means = scaled(X, scales)
    model = newton_cg(alpha, len(y), warm_start=start is not None, **settings)
    if start is not None:
        model.coef_, model.intercept_ = start.coef_, start.intercept_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a line search that can't get below rounding error
        model.fit(Z, y)
    coef = np.zeros((len(model.coef_), X.shape[1]))
    coef[:, used] = model.coef_ / scales[used]
    intercept = model.intercept_ - coef[:, used] @ means
    return coef, intercept, objective(X, y, coef, intercept, scales, alpha)


def suboptimality(model, X, y, scales, alpha, minimum):
    """0 at the optimum, 1 at the class prior."""
    shares = np.bincount(y) / len(y)
    reached = objective(X, y, model.coef_, model.intercept_, scales, alpha)
    return (reached - minimum) / (-xlogy(shares, shares).sum() - minimum)


# Scores


def losses(proba, y):
    """Log losses in nats, from probabilities clipped to 1e-15; inf for NaN."""
    return np.nan_to_num(-np.log(np.clip(proba[np.arange(len(y)), y], 1e-15, 1)), nan=np.inf)


def attempt(label, function, *arguments):
    """What the function returns, or None if it raises ValueError, as rivals do that overflow; and the number of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function(*arguments)
        except ValueError as error:
            result = None
            print(f"{label}: {error}", file=sys.stderr)
    return result, len(caught)


def fitted(model, X, y, X_test):
    """CPU seconds of `fit`, and probabilities of the test rows."""
    started = time.process_time()
    model.fit(X, y)
    return time.process_time() - started, model.predict_proba(X_test)


def streamed(model, X, y, X_test, chunk):
    """CPU seconds of one pass, its mean loss on the rows before they were learnt from, and probabilities of the test rows."""
    classes, total, started = np.arange(y.max() + 1), 0.0, time.process_time()
    for start in range(0, len(y), chunk):
        rows = slice(start, start + chunk)
        uniform = np.full((len(y[rows]), len(classes)), 1 / len(classes))
        total += losses(model.predict_proba(X[rows]) if start else uniform, y[rows]).sum()
        model.partial_fit(X[rows], y[rows], classes=classes)
    return time.process_time() - started, total / len(y), model.predict_proba(X_test)


# The parts: {(model, metric): value} of one set in one scaling


def fit_part(label, X, y, X_test, y_test):
    figures, n_classes = {}, y.max() + 1
    scales, alpha = column_scales(X), 1 / len(y)
    coef, intercept, minimum = optimum(X, y, scales, alpha)
    scores = X_test @ coef.T + intercept
    figures["optimum", "log_loss"] = objective(X_test, y_test, coef, intercept, scales, alpha=0)
    figures["optimum", "accuracy"] = np.mean((scores.argmax(axis=1) if len(coef) > 1 else scores.ravel() > 0) == y_test)
    figures["optimum", "objective"] = minimum
    for name, adapter in BATCH.items():
        if X.shape[1] * n_classes > TOO_LARGE.get(name, np.inf):
            continue
        model = adapter()
        result, figures[name, "warnings"] = attempt(f"{label}, {name}", fitted, model, X, y, X_test)
        seconds, proba = result or (np.nan, np.full((len(y_test), n_classes), np.nan))
        figures[name, "log_loss"] = losses(proba, y_test).mean()
        figures[name, "accuracy"] = np.mean(proba.argmax(axis=1) == y_test) if result else np.nan
        figures[name, "seconds"] = seconds
        if name == "ours" and result:
            figures[name, "epochs"] = model.n_iter_
            figures[name, "objective"] = objective(X, y, model.coef_, model.intercept_, scales, alpha)
            figures[name, "suboptimality"] = suboptimality(model, X, y, scales, alpha, minimum)
    for epochs in EPOCHS:
        figures |= after_epochs(label, epochs, ours(max_iter=epochs, tol=None), X, y, scales, alpha, minimum)
    return figures


def plain_part(label, X, y, X_test, y_test, alpha=1e-4, epochs=10):
    scales = np.ones(X.shape[1])
    *_, minimum = optimum(X, y, scales, alpha)
    model = ours(alpha, standardize=False, max_iter=epochs, tol=None)
    return after_epochs(label, epochs, model, X, y, scales, alpha, minimum)


def after_epochs(label, epochs, model, X, y, *reference):
    fit, _ = attempt(f"{label}, {epochs} epochs", model.fit, X, y)
    return {("ours", f"suboptimality_{epochs}"): suboptimality(fit, X, y, *reference)} if fit else {}


def stream_part(label, X, y, X_test, y_test, chunk=32):
    figures = {}
    for name, adapter in STREAM.items():
        result, figures[name, "warnings"] = attempt(f"{label}, {name}", streamed, adapter(), X, y, X_test, chunk)
        seconds, progressive, proba = result or (np.nan, np.inf, np.full((len(y_test), y.max() + 1), np.nan))
        figures[name, "progressive_log_loss"] = progressive
        figures[name, "log_loss"] = losses(proba, y_test).mean()
        figures[name, "seconds"] = seconds
    return figures


# Tables


def ratios(figures, part, scaling, model, metric, sets):
    """{set: ours / the model's}, without the sets where the model has no finite figure."""
    pairs = {name: [figures.get((part, name, scaling, m, metric), np.nan) for m in ("ours", model)] for name in sets}
    least = LEAST_LOSS if "log_loss" in metric else 0.0
    return {name: max(a, least) / max(b, least) for name, (a, b) in pairs.items() if np.isfinite(b)}


def print_table(figures, part, scaling, metric, models, sets, number="{:.4f}", compare=False):
    layout = "{:<16}" + " {:>14}" * len(models)
    print(f"\n{part}, {scaling}: {metric}\n" + layout.format("", *models))
    for name in sets:
        values = [figures.get((part, name, scaling, model, metric)) for model in models]
        print(layout.format(name, *("-" if value is None else number.format(value) for value in values)))
    if compare:
        columns = [ratios(figures, part, scaling, model, metric, sets) if model != "ours" else {} for model in models]
        worst = [max(column, key=column.get) if column else None for column in columns]
        means = [f"{np.exp(np.mean(np.log([*column.values()]))):.3f}" if column else "-" for column in columns]
        print(layout.format("ours / it, geom.", *means))
        print(layout.format("worst", *(f"{c[w]:.3f}" if w else "-" for c, w in zip(columns, worst))))
        print(layout.format("  of", *(w or "-" for w in worst)))


def print_optimality(figures, part, scaling, metrics, sets):
    layout = "{:<16}" + " {:>17}" * len(metrics)
    print(f"\n{part}, {scaling}: our objective above its optimum, as a share of what the class prior is above it")
    print(layout.format("", *metrics))
    for name in sets:
        values = [figures.get((part, name, scaling, "ours", metric), np.nan) for metric in metrics]
        print(layout.format(name, *(f"{v:.2e}" if m.startswith("sub") else f"{v:.6g}" for m, v in zip(metrics, values))))
    for epochs, enough in EPOCHS.items():
        metric = f"suboptimality_{epochs}"
        if metric in metrics:
            reached = [figures.get((part, name, scaling, "ours", metric), np.inf) <= enough for name in sets]
            print(f"at most {enough:g} after {epochs} epochs: {sum(reached)} of {len(sets)} sets")


def print_tables(figures, sets):
    for scaling in SCALINGS:
        for metric, number in {"log_loss": "{:.4f}", "accuracy": "{:.4f}", "seconds": "{:.3f}", "warnings": "{:.0f}"}.items():
            models = [*BATCH, "optimum"] if metric in ("log_loss", "accuracy") else [*BATCH]
            print_table(figures, "fit", scaling, metric, models, sets, number, metric in ("log_loss", "seconds"))
        print_table(figures, "fit", scaling, "objective", ["ours", "optimum"], sets, "{:.8f}")
        print_optimality(figures, "fit", scaling, ["epochs", "suboptimality", *(f"suboptimality_{e}" for e in EPOCHS)], sets)
    print_optimality(figures, "plain", "standardised", ["suboptimality_10"], sets)
    for scaling in SCALINGS:
        for metric in ("progressive_log_loss", "log_loss"):
            print_table(figures, "stream", scaling, metric, [*STREAM], sets, compare=True)
        print_table(figures, "stream", scaling, "warnings", [*STREAM], sets, "{:.0f}")


def measure(name, X_train, X_test, y_train, y_test, chunk):
    """{(part, set, scaling, model, metric): value} of one set."""
    figures = {}
    for scaling in SCALINGS:
        X, X_held_out = (X_train, X_test) if scaling == "raw" else standardised(X_train, X_test)
        data, label = (X, y_train, X_held_out, y_test), f"{name}, {scaling}"
        parts = {"fit": fit_part(label, *data), "stream": stream_part(label, *data, chunk)}
        if scaling == "standardised":
            parts["plain"] = plain_part(label, *data)
        for part, values in parts.items():
            figures |= {(part, name, scaling, *key): value for key, value in values.items()}
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="folder with load.py, which has NAMES and load(name)")
    parser.add_argument("--csv", metavar="FILE", help="write all figures there")
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--rows", type=int, metavar="N", help="at most so many to learn from (6000, or 20000 if X is sparse)")
    parser.add_argument("--chunk", type=int, default=32, help="rows per call of partial_fit")
    parser.add_argument("--quick", action="store_true", help="three small sets, 200 rows: does it run?")
    options = parser.parse_args()
    sets = options.sets or (QUICK if options.quick else set_names(options.data))
    rows = options.rows or (200 if options.quick else None)

    figures = {}
    with threadpool_limits(1):
        for name in sets:
            started = time.perf_counter()
            X, y = own_or_real(options.data, name)
            if options.quick and name == QUICK[-1]:
                X = csr_matrix(X)
            X_train, X_test, y_train, y_test = split(X, y, rows)
            shape = f"{len(y_train)} + {len(y_test)} rows, {X.shape[1]} features, {y_train.max() + 1} classes"
            figures |= measure(name, X_train, X_test, y_train, y_test, options.chunk)
            print(f"{name}: {shape}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    print_tables(figures, sets)
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            table = ([*key, f"{value:.10g}"] for key, value in figures.items())
            csv.writer(file).writerows([["part", "set", "scaling", "model", "metric", "value"], *table])


if __name__ == "__main__":
    main()
