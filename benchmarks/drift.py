"""Streams that change: progressive log loss and accuracy of ours, with and without forgetting, next to others.

Each chunk of 10 rows is predicted before it is learnt from. The streams are made here, for three seeds: 28 that change and 8 that
do not. `--data DIR` adds the first rows of dense real sets, in the order of the file and shuffled. Rivals that do not scale their
features stand behind a running scaler.
"""

import argparse
import csv
import time
import warnings
from collections import defaultdict
from itertools import product

import numpy as np
import rivals
from datasets import real, set_names
from scipy.sparse import issparse
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

CHUNK = 10
WINDOW = 300  # rows in a point of the picture
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
LEAST_PROBABILITY = 1e-6  # smaller ones count as this: one row may not decide a mean


# Streams: functions of (rng, n_rows), which return X, y and the rows where something changes suddenly


def cut(n, n_parts):
    return [n * part // n_parts for part in range(1, n_parts)]


def part_of(n, changes):
    """The number of the part of each row."""
    return np.searchsorted(changes, np.arange(n), side="right")


def drawn(rng, scores):
    return np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)


def rules(rng, n_rules, n_features, n_classes, size=2.0):
    return size * rng.normal(size=(n_rules, n_features, n_classes)) / np.sqrt(n_features / 3)


def labelled(rng, X, W):
    """Labels from the softmax of X W, where each row has a W of its own."""
    return drawn(rng, np.einsum("ij,ijk->ik", X, W))


def teacher(n_parts=1, n_features=10, n_classes=4, size=2.0, recurs=False):
    """A linear rule, which jumps to another one."""

    def make(rng, n):
        X, changes = rng.normal(size=(n, n_features)), cut(n, n_parts)
        which = part_of(n, changes) % (2 if recurs else n_parts)
        return X, labelled(rng, X, rules(rng, n_parts, n_features, n_classes, size)[which]), changes

    return make


def walk(speed, n_features=10, n_classes=4):
    """A linear rule that turns all the time, and comes to a rule that is unlike itself after n / speed rows."""

    def make(rng, n):
        first, second = rules(rng, 2, n_features, n_classes)
        angle = (np.pi / 2 * speed * np.arange(n) / n)[:, None, None]
        X = rng.normal(size=(n, n_features))
        return X, labelled(rng, X, np.cos(angle) * first + np.sin(angle) * second), []

    return make


def seen_otherwise(view):
    """A linear rule that stays, of rows that look otherwise in the second half: view(rng, X)."""

    def make(rng, n):
        X, y, _ = teacher()(rng, n)
        return np.vstack([X[: n // 2], view(rng, X[n // 2 :])]), y, [n // 2]

    return make


def permuted_classes(rng, n):
    X, y, _ = teacher()(rng, n)
    half = np.arange(n) >= n // 2
    return X, np.where(half, (y + 1) % 4, y), [n // 2]


def new_features(rng, n):
    X, y, _ = teacher()(rng, n)
    X[: n // 2, :6] = 0
    return X, y, [n // 2]


def priors(rng, n):
    """Gaussian classes, of which others are frequent in each third."""
    changes = cut(n, 3)
    shares = rng.dirichlet(np.full(5, 0.4), size=3)[part_of(n, changes)]
    y = drawn(rng, np.log(shares + 1e-9))
    return rng.normal(size=(5, 6))[y] + rng.normal(size=(n, 6)), y, changes


def sea(n_parts):
    def make(rng, n):
        X, changes = rng.uniform(0, 10, size=(n, 3)), cut(n, n_parts)
        limit = np.array([8, 9, 7, 9.5])[part_of(n, changes)]
        return X, noisy(rng, (X[:, 0] + X[:, 1] <= limit).astype(int), 2), changes

    return make


def noisy(rng, y, n_classes, share=0.1):
    return np.where(rng.random(len(y)) < share, rng.integers(n_classes, size=len(y)), y)


def hyperplane(speed):
    def make(rng, n):
        X, start = rng.random((n, 10)), rng.random(10)
        weights = start + speed * np.arange(n)[:, None] / n * rng.choice([-1, 1], size=10)
        return X, noisy(rng, ((X - 0.5) * weights).sum(axis=1) > 0, 2, 0.05).astype(int), []

    return make


def rbf(speed, n_centres=12, n_classes=4):
    """Clouds that move on straight lines, of several per class."""

    def make(rng, n):
        centres, direction = rng.random((n_centres, 10)), rng.normal(size=(n_centres, 10))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        which = rng.integers(n_centres, size=n)
        moved = speed * np.sin(np.arange(n)[:, None] / n * np.pi) * direction[which]
        return centres[which] + moved + 0.1 * rng.normal(size=(n, 10)), which % n_classes, []

    return make


SEGMENTS = np.array([[int(bit) for bit in f"{code:07b}"] for code in (119, 36, 93, 109, 46, 107, 123, 37, 127, 111)])


def swapped(make_rows, n_swaps):
    """Columns change places with columns of noise, in each third others."""

    def make(rng, n):
        X, y = make_rows(rng, n)
        changes = cut(n, 3)
        for start in changes[: 2 if n_swaps else 0]:
            swap = rng.permutation(X.shape[1])[: 2 * n_swaps]
            X[start:, swap] = X[start:, np.roll(swap, n_swaps)]
        return X, y, changes if n_swaps else []

    return make


def led(rng, n):
    y = rng.integers(10, size=n)
    bits = np.hstack([SEGMENTS[y] ^ (rng.random((n, 7)) < 0.1), rng.integers(2, size=(n, 17))])
    return bits.astype(float), y


def waveform(rng, n):
    y, at = rng.integers(3, size=n), np.arange(21)
    bases = np.array([np.maximum(6 - np.abs(at - centre), 0) for centre in (6, 14, 10)])
    share = rng.random((n, 1))
    first, second = np.array([[0, 1], [0, 2], [1, 2]])[y].T
    waves = share * bases[first] + (1 - share) * bases[second] + rng.normal(size=(n, 21))
    return np.hstack([waves, rng.normal(size=(n, 19))]), y


def agrawal(rng, n):
    """Loans, in currency and years, granted by another rule in each quarter."""
    salary, age, level = rng.uniform(2e4, 1.5e5, n), rng.integers(20, 81, n), rng.integers(5, size=n)
    commission = np.where(salary >= 75_000, 0, rng.uniform(1e4, 7.5e4, n))
    house, years, loan = rng.uniform(5e4, 1.5e6, n), rng.integers(1, 31, n), rng.uniform(0, 5e5, n)
    income = 0.67 * (salary + commission)
    granted = [age < 40, income - 0.2 * loan > 20_000, (level <= 1) | (age > 60), income - 5_000 * level - 0.2 * loan > 10_000]
    changes = cut(n, 4)
    X = np.column_stack([salary, commission, age, level, house, years, loan]).astype(float)
    return X, noisy(rng, np.array(granted)[part_of(n, changes), np.arange(n)].astype(int), 2, 0.05), changes


def stagger(rng, n):
    """Size, colour and shape, one-hot, and three concepts."""
    size, colour, shape = rng.integers(3, size=(3, n))
    concepts = [(size == 0) & (colour == 0), (colour == 1) | (shape == 1), (size == 1) | (size == 2)]
    changes = cut(n, 3)
    return (
        np.hstack([np.eye(3)[size], np.eye(3)[colour], np.eye(3)[shape]]),
        np.array(concepts)[part_of(n, changes), np.arange(n)].astype(int),
        changes,
    )


def reversed_rule(rule, n_columns):
    """A rule whose classes change places in each quarter."""

    def make(rng, n):
        X, changes = rng.random((n, n_columns)), cut(n, 4)
        return X, rule(X) ^ (part_of(n, changes) % 2), changes

    return make


def sine(X):
    return (X[:, 1] < np.sin(np.pi * X[:, 0])).astype(int)


def mixed(X):
    hits = (X[:, 0] < 0.5).astype(int) + (X[:, 1] < 0.5) + (X[:, 3] < 0.5 + 0.3 * np.sin(3 * np.pi * X[:, 2]))
    return (hits >= 2).astype(int)


DRIFT = {
    "teacher, 1 jump": teacher(2),
    "teacher, 4 jumps": teacher(5),
    "teacher, 10 jumps": teacher(11),
    "teacher, 2 classes, 4 jumps": teacher(5, n_classes=2),
    "teacher, noisy, 2 jumps": teacher(3, size=0.5),
    "teacher, 60 features, 2 jumps": teacher(3, n_features=60, n_classes=8),
    "teacher walks slowly": walk(1),
    "teacher walks": walk(4),
    "teacher walks fast": walk(16),
    "recurring": teacher(6, recurs=True),
    "units": seen_otherwise(lambda rng, X: X * 10 ** rng.uniform(-1, 1, size=X.shape[1])),
    "offsets": seen_otherwise(lambda rng, X: X + rng.normal(scale=3, size=X.shape[1])),
    "permuted features": seen_otherwise(lambda rng, X: X[:, rng.permutation(X.shape[1])]),
    "permuted classes": permuted_classes,
    "new features": new_features,
    "priors": priors,
    "SEA": sea(4),
    "hyperplane": hyperplane(2),
    "hyperplane, fast": hyperplane(8),
    "RBF": rbf(0.5),
    "RBF, fast": rbf(2),
    "LED": swapped(led, 4),
    "waveform": swapped(waveform, 8),
    "Agrawal": agrawal,
    "STAGGER": stagger,
    "sine": reversed_rule(sine, 2),
    "sine and noise": reversed_rule(sine, 4),
    "mixed": reversed_rule(mixed, 4),
}
STATIONARY = {
    "teacher": teacher(),
    "teacher, 2 classes": teacher(n_classes=2),
    "teacher, noisy": teacher(size=0.5),
    "teacher, 60 features": teacher(n_features=60, n_classes=8),
    "SEA": sea(1),
    "RBF": rbf(0),
    "LED": swapped(led, 0),
    "waveform": swapped(waveform, 0),
}
SHOWN = ("teacher, 4 jumps", "teacher walks", "permuted classes", "LED", "Agrawal", "sine")
QUICK = ("teacher, 4 jumps", "SEA")


def made(n, seeds, names):
    """(kind, name, seed, X, y, changes) of each stream."""
    for kind, streams in (("drift", DRIFT), ("stationary", STATIONARY)):
        for name, seed in product(streams, range(seeds)):
            if names is None or name in names:
                yield kind, name, seed, *streams[name](np.random.default_rng(seed), n)


def of_files(folder, n):
    for name in set_names(folder):
        X, y = real(folder, name) or (None, None)
        if X is None or issparse(X):
            continue
        y = np.unique(y, return_inverse=True)[1]
        yield "real, in the order of the file", name, 0, X[:n].astype(float), y[:n], []
        order = np.random.default_rng(0).permutation(len(y))[:n]
        yield "real, shuffled", name, 0, X[order].astype(float), y[order], []


# Models: partial_fit and predict_proba


class Scaled:
    """A model behind a scaler that learns from the same chunk just before."""

    def __init__(self, model):
        self.model, self.scaler = model, StandardScaler()

    def partial_fit(self, X, y, classes):
        self.model.partial_fit(self.scaler.partial_fit(X).transform(X), y, classes=classes)

    def predict_proba(self, X):
        return self.model.predict_proba(self.scaler.transform(X))


class ConstantRates:
    """Softmax SGD, row by row, at all the rates at once, in an array (rate, feature, class).

    Probabilities have the shape (rate, row, class).
    """

    def partial_fit(self, X, y, classes):
        if not hasattr(self, "W"):
            self.W = np.zeros((len(RATES), X.shape[1] + 1, len(classes)))
        for x, label in zip(np.column_stack([X, np.ones(len(X))]), y):
            residual = softmax(x @ self.W, axis=1)
            residual[:, label] -= 1
            self.W -= np.reshape(RATES, (-1, 1, 1)) * x[:, None] * residual[:, None]

    def predict_proba(self, X):
        return softmax(np.column_stack([X, np.ones(len(X))]) @ self.W, axis=2)


OURS = {
    "never": lambda: rivals.ours(),
    "auto": lambda: rivals.ours(forgetting="auto"),
    "average=False": lambda: rivals.ours(average=False),
}
OTHERS = {"sgd": lambda: Scaled(rivals.sgd()), "mlp": lambda: Scaled(rivals.mlp())}
OTHERS |= {"river": lambda: Scaled(rivals.RiverSoftmax()), "vw": rivals.VowpalWabbit}
CONSTANT = [f"constant {rate:g}" for rate in RATES]


def outcomes(model, X, y, n_classes):
    """Log losses and hits of predictions, in an array of shape (2, n_models, n_rows)."""
    proba = [np.full((1, min(CHUNK, len(y)), n_classes), 1 / n_classes)]
    for start in range(0, len(y), CHUNK):
        rows = slice(start, start + CHUNK)
        model.partial_fit(X[rows], y[rows], classes=np.arange(n_classes))
        if start + CHUNK < len(y):
            after = model.predict_proba(X[start + CHUNK : start + 2 * CHUNK])
            proba.append(after.reshape(-1, *after.shape[-2:]))
    n_models = proba[-1].shape[0]
    proba = np.concatenate([np.broadcast_to(part, (n_models, *part.shape[1:])) for part in proba], axis=1)
    losses = -np.log(np.clip(proba[:, np.arange(len(y)), y], LEAST_PROBABILITY, None))
    return np.array([losses, proba.argmax(axis=2) == y])


def of_all_models(X, y, adapters):
    """{model: (log losses, hits)}, each by row."""
    n_classes, found = int(y.max()) + 1, {}
    for name, adapter in adapters.items():
        found[name] = outcomes(adapter(), X, y, n_classes)[:, 0]
    constant = outcomes(Scaled(ConstantRates()), X, y, n_classes)
    return found | {name: constant[:, number] for number, name in enumerate(CONSTANT)}


# What is shown


def summarise(table):
    """Ratios of log losses to those of "never", over the streams of each kind; differences of accuracy in points."""
    losses, accuracies = (defaultdict(lambda: defaultdict(list)) for _ in range(2))
    for kind, name, _, model, loss, accuracy in table:
        losses[kind, name][model].append(loss)
        accuracies[kind, name][model].append(accuracy)
    kinds = dict.fromkeys(kind for kind, _ in losses)
    models = dict.fromkeys(row[3] for row in table)
    print("\nlog loss / that of never: geometric mean (worst stream), and accuracy minus that of never in points")
    print(f"{'':<16}" + "".join(f" {kind:>34}" for kind in kinds))
    for model in models:
        line = f"{model:<16}"
        for kind in kinds:
            streams = [stream for stream in losses if stream[0] == kind]
            ratios = np.array([np.mean(losses[s][model]) / np.mean(losses[s]["never"]) for s in streams])
            points = 100 * np.mean([np.mean(accuracies[s][model]) - np.mean(accuracies[s]["never"]) for s in streams])
            line += f" {np.exp(np.log(ratios).mean()):>16.3f} ({ratios.max():6.3f}) {points:+8.1f}"
        print(line)


def print_streams(table):
    """The log loss of each stream, a mean over the seeds."""
    streams, models = dict.fromkeys(tuple(row[:2]) for row in table), dict.fromkeys(row[3] for row in table)
    print(f"{'log loss, nats':<48}" + "".join(f" {model:>14}" for model in models))
    for kind, name in streams:
        means = [np.mean([row[4] for row in table if tuple(row[:2]) == (kind, name) and row[3] == model]) for model in models]
        print(f"{kind + ': ' + name:<48}" + "".join(f" {mean:>14.3f}" for mean in means))


def draw(curves, path):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    colours = {"never": "#f0a3a3", "auto": "#d62728", "average=False": "#5b9bd5", "constant 0.01": "0.5"}
    figure, axes = plt.subplots(2, -(-len(curves) // 2), figsize=(12, 6), layout="constrained", squeeze=False)
    for axis, (name, (found, changes)) in zip(axes.flat, curves.items()):
        for model, colour in colours.items():
            means = np.convolve(found[model][0], np.full(WINDOW, 1 / WINDOW), mode="valid")
            axis.plot(np.arange(len(means)) + WINDOW, means, color=colour, linewidth=1.6, label=model)
        for row in changes:
            axis.axvline(row, color="0.8", linewidth=1, zorder=0)
        axis.set(title=name, xlabel="rows", ylabel=f"log loss of the last {WINDOW} rows", ylim=(0, None))
    axes[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="rows of a stream")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", metavar="NAME", help="only these besides never and the constant rates")
    parser.add_argument("--data", metavar="DIR", help="folder with load.py, whose dense sets are tried as well")
    parser.add_argument("--csv", metavar="FILE", help="write a line for each stream, seed and model")
    parser.add_argument("--plot", metavar="FILE", help="draw the recent loss of some streams; needs matplotlib")
    parser.add_argument("--quick", action="store_true", help="few and short streams: does it run?")
    options = parser.parse_args()
    n_rows, seeds, names = (400, 1, QUICK) if options.quick else (options.rows, options.seeds, None)
    adapters = OURS | rivals.available(OTHERS)
    if options.models:
        adapters = {name: adapter for name, adapter in adapters.items() if name in ("never", *options.models)}

    table, curves, started = [], {}, time.perf_counter()
    warnings.simplefilter("ignore")  # rivals overflow, and a short stream makes MLPClassifier warn of its batches
    with threadpool_limits(1):
        streams = [*made(n_rows, seeds, names), *(of_files(options.data, n_rows) if options.data else ())]
        for number, (kind, name, seed, X, y, changes) in enumerate(streams):
            found = of_all_models(X, y, adapters)
            table += [[kind, name, seed, model, *values.mean(axis=1)] for model, values in found.items()]
            if kind == "drift" and name in SHOWN and seed == 0:
                curves[name] = found, changes
            print(f"{number + 1}/{len(streams)} {kind}: {name}, {time.perf_counter() - started:.0f} s", flush=True)
    print_streams(table)
    summarise(table)
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            csv.writer(file).writerows([["kind", "stream", "seed", "model", "log_loss", "accuracy"], *table])
    if options.plot:
        draw(curves, options.plot)


if __name__ == "__main__":
    main()
