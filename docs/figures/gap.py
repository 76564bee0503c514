"""The certified bound and the true distance from the optimum, after so many epochs."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sklearn_softmax import SoftmaxSGDClassifier

EPOCHS = (1, 2, 3, 5, 7, 10, 15, 20, 30)
X, y = load_digits(return_X_y=True)


def objective(clf):
    losses = -log_softmax(clf.decision_function(X), axis=1)[np.arange(len(y)), y]
    return losses.mean() + clf.alpha_ / 2 * np.square(clf.coef_ * clf.scale_).sum()


minimum = objective(SoftmaxSGDClassifier(tol=1e-9, max_iter=1000, random_state=0).fit(X, y))
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # of max_iter, which is the point here
    fits = [SoftmaxSGDClassifier(max_iter=epochs, tol=None, random_state=0).fit(X, y) for epochs in EPOCHS]
plt.figure(figsize=(5.5, 3.4))
plt.plot(EPOCHS, [clf.optimality_gap_ for clf in fits], color="#d62728", linewidth=2.2, marker="o", label="optimality_gap_")
plt.plot(EPOCHS, [objective(clf) - minimum for clf in fits], color="#1f4e79", linewidth=2.2, marker="o", label="F - min F")
plt.yscale("log")
plt.gca().yaxis.set_major_formatter("{x:g}")
plt.xlabel("epochs")
plt.ylabel("nats per example")
plt.legend()
plt.show()
