"""Distance from the optimum after so many epochs, of each way to go on."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from sklearn_softmax import SoftmaxSGDClassifier

ALPHA, EPOCHS = 1e-3, (1, 2, 3, 5, 7, 10, 15, 20, 30, 50)
X, y = load_digits(return_X_y=True)
X = StandardScaler().fit_transform(X)
fixed = dict(alpha=ALPHA, standardize=False, random_state=0)
ways = {
    "constant": dict(learning_rate="constant"),
    "invscaling": dict(learning_rate="invscaling"),
    "auto, variance_reduction=False": dict(variance_reduction=False),
    "auto": {},
}
colours = ("#9dc3e6", "#1f4e79", "#f0a3a3", "#d62728")


def objective(clf):
    losses = -log_softmax(clf.decision_function(X), axis=1)[np.arange(len(y)), y]
    return losses.mean() + ALPHA / 2 * np.square(clf.coef_).sum()


minimum = objective(SoftmaxSGDClassifier(**fixed, tol=1e-9, max_iter=1000).fit(X, y))
start = np.log(10)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # of max_iter, which is the point here
    for (name, settings), colour in zip(ways.items(), colours):
        fits = [SoftmaxSGDClassifier(**fixed, **settings, max_iter=epochs, tol=None).fit(X, y) for epochs in EPOCHS]
        distance = [(objective(clf) - minimum) / (start - minimum) for clf in fits]
        plt.plot(EPOCHS, distance, color=colour, linewidth=2.2, marker="o", markersize=4, label=name)
plt.gcf().set_size_inches(5.5, 3.8)
plt.xscale("log")
plt.yscale("log")
plt.xticks(EPOCHS, EPOCHS)
plt.minorticks_off()
plt.gca().yaxis.set_major_formatter("{x:g}")
plt.xlabel("epochs")
plt.ylabel("distance from the optimum")
plt.legend()
plt.show()
