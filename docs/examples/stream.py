"""
A stream with drift and a new class
===================================

Rows arrive one batch after another and are gone. Each is predicted just before it is learnt from,
so that every row is held out once and the curve is honest: *progressive* log loss, which the
estimator keeps by itself. On the way the classes move, and later a class turns up that nobody has
announced.
"""

# %%
# Three clouds of points on a circle. From row 6000 to row 9000 they wander a quarter of the way
# round; at row 12000 a fourth cloud appears in their midst.
import matplotlib.pyplot as plt
import numpy as np

from sklearn_softmax import SoftmaxSGDClassifier

N_ROWS, BATCH = 18_000, 100
DRIFT, NEW_CLASS = (6_000, 9_000), 12_000
rng = np.random.default_rng(0)


def batches():
    """Pairs X, y in the order of time."""
    for start in range(0, N_ROWS, BATCH):
        turn = np.pi / 2 * np.clip((start - DRIFT[0]) / (DRIFT[1] - DRIFT[0]), 0, 1)
        angles = turn + 2 * np.pi * np.arange(3) / 3
        circle = 4 * np.column_stack([np.cos(angles), np.sin(angles)])
        centres = np.vstack([circle, [0, 0]])
        y = rng.integers(4 if start >= NEW_CLASS else 3, size=BATCH)
        yield centres[y] + rng.normal(size=(BATCH, 2)), y


# %%
# With ``new_classes="add"`` no class has to be named: a label that was never there before becomes
# one. ``average=False`` follows what moves; for comparison the default, whose average looks back.
streams = {
    "average=False": SoftmaxSGDClassifier(average=False, new_classes="add"),
    "default": SoftmaxSGDClassifier(new_classes="add"),
}
losses = {name: [] for name in streams}
for X, y in batches():
    for name, stream in streams.items():
        stream.partial_fit(X, y)
        losses[name].append(stream.recent_progressive_loss_)

for name, stream in streams.items():
    print(
        f"{name:<14} {len(stream.classes_)} classes, progressive log loss "
        f"{stream.progressive_loss_:.2f} nats, recently {losses[name][-1]:.2f}"
    )

# %%
# ``progressive_loss_`` is the mean over all rows, and ``recent_progressive_loss_`` forgets: about
# the last thousand count. That is the curve:
colours = {"average=False": "#d62728", "default": "#f0a3a3"}
rows = BATCH * np.arange(1, N_ROWS // BATCH + 1)
figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
for name, curve in losses.items():
    axis.plot(rows, curve, color=colours[name], linewidth=2.2, label=name)
axis.axvspan(*DRIFT, color="0.92", zorder=0)
axis.axvline(NEW_CLASS, color="grey", linewidth=1)
axis.set(xlabel="rows", ylabel="recent_progressive_loss_ (nats)", yscale="log")
axis.set(xlim=(0, N_ROWS), ylim=(0.005, 4))
axis.text(DRIFT[0] + 100, 2.5, "classes move", color="grey")
axis.text(NEW_CLASS + 100, 2.5, "a new class", color="grey")
axis.legend(frameon=False, loc="upper left")
plt.show()
