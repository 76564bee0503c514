"""Paths of the coefficients over one pass, on the contours of the objective, where one column has units eight times smaller."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit

from sklearn_softmax import SoftmaxSGDClassifier

N_ROWS, ALPHA = 400, 1e-3
rng = np.random.default_rng(3)
X = rng.normal(size=(N_ROWS, 2)) * [1.0, 8.0]
y = (rng.random(N_ROWS) < expit(X @ [2.0, 0.2])).astype(int)
fixed = dict(alpha=ALPHA, fit_intercept=False, random_state=0)


def path(**settings):
    """The coefficients after each row of a stream."""
    clf, coefs = SoftmaxSGDClassifier(**fixed, **settings), [np.zeros(2)]
    for row in range(N_ROWS):
        clf.partial_fit(X[[row]], y[[row]], classes=[0, 1])
        coefs.append(clf.coef_[0].copy())
    return np.array(coefs)


def objective(first, second):
    signs = np.where(y == 1, 1.0, -1.0)
    margins = signs * (first[..., None] * X[:, 0] + second[..., None] * X[:, 1])
    return np.logaddexp(0, -margins).mean(axis=-1)


optimum = SoftmaxSGDClassifier(**fixed).fit(X, y).coef_[0]
paths = {
    "constant, eta0=0.01": path(learning_rate="constant", eta0=0.01),
    "constant, eta0=0.3": path(learning_rate="constant", eta0=0.3),
    "auto, average=False": path(average=False),
    "auto": path(),
}
colours = ("#5b9bd5", "#1f4e79", "#f0a3a3", "#d62728")
figure, axes = plt.subplots(2, 2, figsize=(5.5, 4.6), sharex=True, sharey=True)
first, second = np.meshgrid(np.linspace(-0.5, 3.5, 80), np.linspace(-0.6, 1.2, 80))
values = objective(first, second)
for axis, (name, coefs), colour in zip(axes.flat, paths.items(), colours):
    axis.contour(first, second, values, levels=values.min() + np.geomspace(0.003, 3, 12), colors="0.75", linewidths=0.7)
    axis.plot(*coefs.T, color=colour, linewidth=1.2)
    axis.plot(*optimum, marker="*", color="black", markersize=11, linestyle="none")
    axis.set_title(name, fontsize=10)
    axis.set(xlim=(-0.5, 3.5), ylim=(-0.6, 1.2))
    axis.grid(False)
figure.supxlabel("coefficient of the narrow column", fontsize=10)
figure.supylabel("coefficient of the wide column", fontsize=10)
plt.show()
