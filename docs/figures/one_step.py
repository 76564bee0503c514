"""One step along a row, on the contours of its loss: the explicit and the implicit one, for two rates."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_expit

# two classes: the weights are those of the log odds, and the row is of the second class
x, start = np.array([1.5, 0.75]), np.array([-1.6, 0.4])
z = x @ start


def implicit_score(eta):
    """The score u after the step, u = z + eta |x|^2 (1 - p(u))."""
    q = eta * (x @ x)
    return brentq(lambda u: u - z - q * expit(-u), z, z + q)


figure, axis = plt.subplots(figsize=(5.5, 3.9))
grid = np.meshgrid(np.linspace(-3, 6, 200), np.linspace(-1, 4, 200))
losses = -log_expit(x[0] * grid[0] + x[1] * grid[1])
contours = axis.contour(*grid, losses, levels=[0.001, 0.01, 0.1, 0.5, 1, 2, 3], colors="grey", linewidths=1)
axis.clabel(contours, fmt="%g", fontsize=10, colors="0.2")
steps = {
    "explicit": ("#1f4e79", lambda eta: start + eta * expit(-z) * x),
    "implicit": ("#d62728", lambda eta: start + eta * expit(-implicit_score(eta)) * x),
}
# the two lie on one line, so that they are drawn beside it
aside = np.array([-x[1], x[0]]) / np.linalg.norm(x)
for (name, (colour, end_of)), side in zip(steps.items(), (0.15, -0.15)):
    for eta, marker in ((1.0, "o"), (4.0, "s")):
        begin, end = start + side * aside, end_of(eta) + side * aside
        axis.plot(*np.transpose([begin, end]), color=colour, linewidth=2.2)
        axis.plot(*end, marker=marker, color=colour, markersize=8, label=f"{name}, eta = {eta:g}")
axis.plot(*start, marker="*", color="black", markersize=13)
axis.annotate("before", start, xytext=(-6, -18), textcoords="offset points", ha="center")
axis.set(xlabel="weight 1", ylabel="weight 2", aspect="equal")
axis.grid(visible=False)
figure.legend(loc="outside lower center", ncols=2)
plt.show()
