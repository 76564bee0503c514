"""
A stream with drift and a new class
===================================

Rows arrive in batches, and no row is stored. Each row is predicted just before the model learns
from it, so that every row is held out once. The mean log loss of these predictions, the
*progressive* log loss, is computed by the estimator. On the way the classes move, and later a class
turns up that nobody has announced.
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
        turn = (
            np.pi
            / 2
            * np.clip((start - DRIFT[0]) / (DRIFT[1] - DRIFT[0]), 0, 1)
        )
        angles = turn + 2 * np.pi * np.arange(3) / 3
        circle = 2 * np.column_stack([np.cos(angles), np.sin(angles)])
        centres = np.vstack([circle, [0, 0]])
        y = rng.integers(4 if start >= NEW_CLASS else 3, size=BATCH)
        yield centres[y] + rng.normal(size=(BATCH, 2)), y


# %%
# With ``new_classes="add"`` no class has to be named, because a new label becomes a class.
# ``forgetting="auto"`` forgets old rows when the stream changes. The default, for comparison,
# remembers all rows.
streams = {
    forgetting: SoftmaxSGDClassifier(forgetting=forgetting, new_classes="add")
    for forgetting in ("auto", "never")
}
watched = {forgetting: [] for forgetting in streams}
for X, y in batches():
    for forgetting, stream in streams.items():
        stream.partial_fit(X, y)
        watched[forgetting].append(
            (
                stream.recent_progressive_loss_,
                stream.effective_n_samples_,
                stream.drift_log_odds_,
            )
        )

for forgetting, stream in streams.items():
    print(
        f'forgetting="{forgetting}": {len(stream.classes_)} classes, progressive log loss '
        f"{stream.progressive_loss_:.3f} nats, recently {stream.recent_progressive_loss_:.3f}, "
        f"remembers {stream.effective_n_samples_:.0f} rows"
    )

# %%
# While nothing changes, the two streams are the same, and the log odds fall. While the classes move,
# the log odds rise to their upper bound, which is the alarm. The stream with ``"auto"`` then
# remembers some hundred rows only, and its loss stays low. When the classes rest, its memory grows by
# one row per row. The new class is a change, too. The default notices the same changes, but predicts
# with an average over all rows, so that its loss stays high.
rows = BATCH * np.arange(1, N_ROWS // BATCH + 1)
titles = (
    "recent_progressive_loss_ (nats)",
    "effective_n_samples_ (rows)",
    "drift_log_odds_",
)
colours = {"auto": "#d62728", "never": "#f0a3a3"}
figure, axes = plt.subplots(
    3, 1, figsize=(5.5, 7), layout="constrained", sharex=True
)
for forgetting, curves in watched.items():
    for axis, curve in zip(axes, np.transpose(curves)):
        axis.plot(
            rows,
            curve,
            color=colours[forgetting],
            linewidth=2.2,
            label=f'forgetting="{forgetting}"',
        )
for axis, title in zip(axes, titles):
    axis.axvspan(*DRIFT, color="0.92", zorder=0)
    axis.axvline(NEW_CLASS, color="0.4", linewidth=1)
    axis.set_title(title, fontsize=10)
axes[0].set(ylim=(0, 1.8))
axes[1].set(yscale="log")
axes[1].yaxis.set_major_formatter("{x:g}")
axes[2].set(xlabel="rows", xlim=(0, N_ROWS))
axes[0].text(DRIFT[0] + 100, 1.65, "classes move", color="0.4")
axes[0].text(NEW_CLASS + 100, 1.65, "a new class", color="0.4")
axes[0].legend(frameon=False, loc="upper left")
plt.show()
