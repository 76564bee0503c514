"""The progressive loss of a stream next to the loss of rows that are really held out."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss

from sklearn_softmax import SoftmaxSGDClassifier

X, y = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(y))
test, train = order[:500], order[500:]
clf, seen, watched = SoftmaxSGDClassifier(), [], []
for rows in np.array_split(train, len(train) // 20):
    clf.partial_fit(X[rows], y[rows], classes=range(10))
    held_out = log_loss(y[test], clf.predict_proba(X[test]))
    seen.append(clf.t_ - 1)
    watched.append((clf.progressive_loss_, clf.recent_progressive_loss_, held_out))
figure, axis = plt.subplots(figsize=(5.5, 3.4))
names = ("progressive_loss_", "recent_progressive_loss_", "500 held-out rows")
for curve, name, colour in zip(np.transpose(watched), names, ("#d62728", "#f0a3a3", "#1f4e79")):
    axis.plot(seen, curve, color=colour, linewidth=2.2, label=name)
axis.axhline(np.log(10), color="0.4", linestyle=":", linewidth=1)
axis.text(seen[-1], np.log(10), "guessing", color="0.4", ha="right", va="bottom")
axis.set(xlabel="rows", ylabel="log loss (nats)", ylim=(0, 2.6))
axis.legend()
plt.show()
