"""What to watch of a stream that jumps twice: its recent loss, what it remembers, and the log odds of a drift."""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_softmax import SoftmaxSGDClassifier

N_ROWS, BATCH, JUMPS = 9_000, 20, (4_000, 6_500)
rng = np.random.default_rng(0)
X = rng.normal(size=(N_ROWS, 10))
rules = 2 * rng.normal(size=(3, 10, 4))
scores = np.einsum("ij,ijk->ik", X, rules[np.searchsorted(JUMPS, np.arange(N_ROWS), side="right")])
y = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)

names = ("recent_progressive_loss_", "effective_n_samples_", "drift_log_odds_")
units = ("nats", "rows", "log odds")
colours = {"never": "#f0a3a3", "auto": "#d62728"}
figure, axes = plt.subplots(3, 1, figsize=(5.5, 5.6), sharex=True)
for forgetting, colour in colours.items():
    clf, watched = SoftmaxSGDClassifier(forgetting=forgetting), []
    for start in range(0, N_ROWS, BATCH):
        rows = slice(start, start + BATCH)
        clf.partial_fit(X[rows], y[rows], classes=range(4))
        watched.append([getattr(clf, name) for name in names])
    at = BATCH * np.arange(1, len(watched) + 1)
    for axis, values in zip(axes, np.transpose(watched)):
        axis.plot(at, values, color=colour, linewidth=2, label=f'forgetting="{forgetting}"')
for axis, name, unit in zip(axes, names, units):
    for jump in JUMPS:
        axis.axvline(jump, color="0.4", linewidth=1, linestyle=":")
    axis.set_title(name, fontsize=10)
    axis.set_ylabel(unit)
axes[0].set_ylim(0, None)
axes[1].set_yscale("log")
axes[1].yaxis.set_major_formatter("{x:g}")
axes[2].set_xlabel("rows")
axes[0].legend(loc="upper left")
plt.show()
