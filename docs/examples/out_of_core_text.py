"""
Text out of core
================

Which package was this docstring written for? The texts are the docstrings of the packages that
are installed here. They are read from one source file after another, so that never more than a
few hundred are in memory. ``HashingVectorizer`` needs no vocabulary, and the model learns from its
sparse rows of 2^16 columns.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# A stream of documents
# ---------------------
#
# A generator for each package opens one file after another, in a random order, and they take turns.
import importlib.util
import re
from itertools import chain, islice
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from sklearn_softmax import SoftmaxSGDClassifier, fit_batches

PACKAGES = ["matplotlib", "numpy", "scipy", "sklearn"]
# names that would give a package away
NAMES = re.compile(
    "|".join([*PACKAGES, "scikit-learn", r"\bnp\b"]), re.IGNORECASE
)


def docstrings(package):
    """Pairs of a docstring (any text in triple quotes) and its package."""
    folder = Path(importlib.util.find_spec(package).origin).parent
    for path in np.random.default_rng(0).permutation(
        sorted(folder.rglob("*.py"))
    ):
        source = path.read_text(encoding="utf-8")
        for text in re.findall(r'"""(.*?)"""', source, re.DOTALL):
            if len(text) > 60:
                yield NAMES.sub(" ", text), package


def batches(n_texts=8000, size=50):
    """Lists of texts, and of their packages."""
    in_turn = chain.from_iterable(zip(*map(docstrings, PACKAGES)))
    stream = islice(in_turn, n_texts)
    while batch := list(islice(stream, size)):
        texts, packages = zip(*batch)
        yield list(texts), list(packages)


# %%
# Learn from it
# -------------
#
# ``fit_batches`` sends the texts through the vectorizer and passes them to ``partial_fit``.
# Neighbours in a file are alike, so the rows are mixed: they wait in a buffer, and whenever the
# buffer is full, the model learns from a random half of it. Each row is predicted before the model
# learns from it, so that the curve is of rows that the model has not seen.
vectorizer = HashingVectorizer(n_features=2**16, alternate_sign=False)
clf = SoftmaxSGDClassifier()
curve = []


def record(progress):
    loss, lately = progress.progressive_loss, clf.recent_progressive_loss_
    curve.append((progress.n_rows, loss, lately))


fit_batches(
    clf,
    batches,
    classes=PACKAGES,
    transform=vectorizer,
    shuffle_buffer=400,
    random_state=0,
    progress=record,
)
rows, losses, lately = np.transpose(curve)
print(f"{rows[-1]:.0f} docstrings, {clf.n_features_in_} columns")
print(
    f"log loss of all {losses[-1]:.2f} nats,",
    f"of the last thousand {lately[-1]:.2f}",
)

# %%
figure, axis = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for values, colour, label in (
    (lately, "#f0a3a3", "recent_progressive_loss_"),
    (losses, "#d62728", "progressive_loss_"),
):
    axis.plot(rows, values, color=colour, linewidth=2.4, label=label)
axis.axhline(np.log(len(PACKAGES)), color="0.4", linestyle=":", linewidth=1)
axis.text(40, np.log(len(PACKAGES)) + 0.02, "guessing", color="0.4")
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
# A hash cannot be turned back into a word, but a word can be hashed, and its coefficients read.
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
figure, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
limit = np.abs(weights).max()
image = axis.imshow(
    weights, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto"
)
axis.set_xticks(range(len(words)), words, rotation=30, ha="right")
axis.set_yticks(range(len(PACKAGES)), clf.classes_)
figure.colorbar(image, label="coefficient")
plt.show()
