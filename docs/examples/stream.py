"""
A stream with drift and a new class
===================================

Rows arrive one batch after another and are gone. Each batch is scored before it is learnt from,
so that every row is held out once and the curve is honest: *progressive* log loss. On the way the
classes move, and later a class turns up that was never there before.
"""

# %%
# Three clouds of points on a circle. From row 6000 to row 9000 they wander a quarter of the way
# round; at row 12000 a fourth cloud appears in their midst.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import log_loss

from sklearn_softmax import SoftmaxSGDClassifier

N_ROWS, BATCH = 18_000, 100
DRIFT, NEW_CLASS = (6_000, 9_000), 12_000
rng = np.random.default_rng(0)


def batches():
    """Pairs X, y in the order of time."""
    for start in range(0, N_ROWS, BATCH):
        turn = np.pi / 2 * np.clip((start - DRIFT[0]) / (DRIFT[1] - DRIFT[0]), 0, 1)
        angles = turn + 2 * np.pi * np.arange(3) / 3
        centres = np.vstack(
            [4 * np.column_stack([np.cos(angles), np.sin(angles)]), [[0, 0]]]
        )
        y = rng.integers(4 if start >= NEW_CLASS else 3, size=BATCH)
        yield centres[y] + rng.normal(size=(BATCH, 2)), y


# %%
# All classes are named in the first call, and ``average=False`` follows what moves. For comparison:
# the untouched default, whose average looks back, and a model that was fitted once to the first
# 6000 rows.
streams = {
    "average=False": SoftmaxSGDClassifier(average=False),
    "default": SoftmaxSGDClassifier(),
    "fitted once": SoftmaxSGDClassifier(random_state=0),
}
losses = {name: [] for name in streams}
seen = []
for X, y in batches():
    seen.append((X, y))
    rows = len(seen) * BATCH
    for name, stream in streams.items():
        if hasattr(stream, "classes_"):
            proba = np.maximum(
                stream.predict_proba(X), 1e-6
            )  # what was fitted once has never heard of the new class
            proba = np.hstack([proba, np.full((BATCH, 4 - proba.shape[1]), 1e-6)])
            losses[name].append(
                (
                    rows,
                    log_loss(
                        y, proba / proba.sum(axis=1, keepdims=True), labels=[0, 1, 2, 3]
                    ),
                )
            )
        if name != "fitted once":
            stream.partial_fit(X, y, classes=[0, 1, 2, 3])
        elif rows == DRIFT[0]:
            stream.fit(*(np.concatenate(parts) for parts in zip(*seen)))

for name, points in losses.items():
    late = [loss for rows, loss in points if rows > NEW_CLASS + 2000]
    print(f"{name:<14} log loss of the last 4000 rows: {np.mean(late):.2f} nats")

# %%
# The curve, a mean of ten batches at a time:
colours = {"average=False": "#d62728", "default": "#f0a3a3", "fitted once": "#1f4e79"}
figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
for name, points in losses.items():
    rows, values = np.array(points).T
    axis.plot(
        rows[9:],
        np.convolve(values, np.full(10, 0.1), mode="valid"),
        color=colours[name],
        linewidth=2.2,
        label=name,
    )
axis.axvspan(*DRIFT, color="0.92", zorder=0)
axis.axvline(NEW_CLASS, color="grey", linewidth=1)
axis.set(
    xlabel="rows", ylabel="progressive log loss (nats)", yscale="log", xlim=(0, N_ROWS)
)
top = axis.get_ylim()[1]
axis.text(DRIFT[0] + 100, 0.7 * top, "classes move", color="grey")
axis.text(NEW_CLASS + 100, 0.7 * top, "a new class", color="grey")
axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 0.92))
plt.show()
