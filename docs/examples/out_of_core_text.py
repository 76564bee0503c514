"""
Text out of core
================

Which package was this docstring written for? The texts are the docstrings of the packages that
are installed here, read from one source file after another, so that there is never more than one
batch in memory. ``HashingVectorizer`` needs no vocabulary, and the model takes its rows as they
are: sparse, with 2^16 columns.
"""

# %%
# A stream of documents
# ---------------------
#
# A generator for each package opens one file after another, in a random order, and they take turns.
# Neighbours in a file are alike, so rows pass through a buffer from which one is drawn at random: a
# stream is learnt from best if it is mixed.
import importlib.util
import re
from itertools import chain, islice
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from sklearn_softmax import SoftmaxSGDClassifier

PACKAGES = ["matplotlib", "numpy", "scipy", "sklearn"]
# would give them away
NAMES = re.compile("|".join([*PACKAGES, "scikit-learn", r"\bnp\b"]), re.IGNORECASE)


def docstrings(package):
    """Pairs of a docstring (any text in triple quotes) and its package."""
    folder = Path(importlib.util.find_spec(package).origin).parent
    for path in np.random.default_rng(0).permutation(sorted(folder.rglob("*.py"))):
        source = path.read_text(encoding="utf-8")
        for text in re.findall(r'"""(.*?)"""', source, re.DOTALL):
            if len(text) > 60:
                yield NAMES.sub(" ", text), package


def mixed(stream, size=1000):
    """The same rows, each at a random time after it came."""
    rng, buffer = np.random.default_rng(0), []
    for row in stream:
        if len(buffer) == size:
            at = rng.integers(size)
            row, buffer[at] = buffer[at], row
            yield row
        else:
            buffer.append(row)
    yield from buffer


# %%
# Learn from it
# -------------
#
# Each batch is scored first and then learnt from: the curve is of rows that the model has not seen.
vectorizer = HashingVectorizer(n_features=2**16, alternate_sign=False)
clf = SoftmaxSGDClassifier()
in_turn = chain.from_iterable(zip(*map(docstrings, PACKAGES)))
stream = mixed(islice(in_turn, 8000))
rows, losses, hits = [0], [], []
while batch := list(islice(stream, 100)):
    texts, y = zip(*batch)
    X = vectorizer.transform(texts)
    if rows[-1]:
        log_proba = clf.predict_log_proba(X)
        losses += [*-log_proba[np.arange(len(y)), np.searchsorted(clf.classes_, y)]]
        hits += [*(clf.classes_[log_proba.argmax(axis=1)] == y)]
    clf.partial_fit(X, y, classes=PACKAGES)
    rows.append(rows[-1] + len(y))

print(f"{rows[-1]} docstrings, {X.shape[1]} columns")
loss, accuracy = np.mean(losses[-1000:]), np.mean(hits[-1000:])
print(f"the last 1000: log loss {loss:.2f} nats, accuracy {accuracy:.2f}")

# %%
figure, axis = plt.subplots(figsize=(7, 3.8), layout="constrained")
so_far, window = np.arange(1, len(losses) + 1), 200
lately = np.convolve(losses, np.full(window, 1 / window), mode="valid")
axis.plot(
    so_far[window - 1 :] + rows[1],
    lately,
    color="#f0a3a3",
    linewidth=1.4,
    label=f"of the last {window}",
)
axis.plot(
    so_far + rows[1],
    np.cumsum(losses) / so_far,
    color="#d62728",
    linewidth=2.4,
    label="of all so far",
)
axis.axhline(np.log(len(PACKAGES)), color="grey", linestyle=":", linewidth=1)
axis.text(40, np.log(len(PACKAGES)) + 0.02, "guessing", color="grey")
axis.set(
    xlabel="docstrings",
    ylabel="progressive log loss (nats)",
    ylim=(0, 1.1 * np.log(len(PACKAGES))),
    xlim=(0, rows[-1]),
)
axis.legend(frameon=False, loc="lower left")
plt.show()

# %%
# What gives a package away
# -------------------------
#
# Hashes cannot be turned back, but a word can be hashed and its coefficients looked up.
words = [
    "axes",
    "colormap",
    "ndarray",
    "ufunc",
    "sparse",
    "distribution",
    "estimator",
    "samples",
]
columns = vectorizer.transform(words).nonzero()[1]
weights = clf.coef_[:, columns]
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
limit = np.abs(weights).max()
image = axis.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
axis.set_xticks(range(len(words)), words, rotation=30, ha="right")
axis.set_yticks(range(len(PACKAGES)), clf.classes_)
figure.colorbar(image, label="coefficient")
plt.show()
