"""
The loss curve and the gap
==========================

``loss_curve_`` has the training loss of each epoch, where each row is scored just before its step.
``optimality_gap_`` says how far the training loss of the fitted model is above its minimum, at
most, in nats per row. The first picture shows how a fit went, the second one how much more
epochs could still improve it.
"""

# %%
import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from sklearn_softmax import LossCurveDisplay, SoftmaxSGDClassifier

X, y = load_digits(return_X_y=True)
alphas = {1e-2: "#1f4e79", 1e-3: "#5b9bd5", 1e-4: "#d62728"}
fits = {
    alpha: SoftmaxSGDClassifier(alpha=alpha, random_state=0).fit(X, y)
    for alpha in alphas
}
for alpha, clf in fits.items():
    print(
        f"alpha={alpha:g}: {clf.n_iter_} epochs, "
        f"at most {clf.optimality_gap_:.1g} nats above the minimum"
    )

# %%
# The first epochs bring most of the improvement, the later ones the last digits. A fit stops when
# its gradient is below ``tol``. ``LossCurveDisplay`` plots the curve, here three in one picture.
figure, axis = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for alpha, clf in fits.items():
    LossCurveDisplay.from_estimator(
        clf,
        ax=axis,
        name=f"alpha={alpha:g}",
        color=alphas[alpha],
        linewidth=2.2,
    )
axis.set(yscale="log", title="loss_curve_")
axis.yaxis.set_major_formatter("{x:g}")
axis.yaxis.set_minor_formatter("")
axis.legend(frameon=False)
plt.show()

# %%
# The same fits, stopped early. With more epochs the bound is smaller. A curve is flat at the end
# where ``tol`` has ended the fit. The warning that is silenced here has the bound in its text.
figure, axis = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
most = (1, 2, 3, 5, 10, 20, 30)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    for alpha, colour in alphas.items():
        early = [
            SoftmaxSGDClassifier(
                alpha=alpha, max_iter=max_iter, random_state=0
            ).fit(X, y)
            for max_iter in most
        ]
        bounds = [clf.optimality_gap_ for clf in early]
        axis.plot(
            most,
            bounds,
            color=colour,
            linewidth=2.2,
            marker="o",
            label=f"alpha={alpha:g}",
        )
axis.set(
    xlabel="max_iter",
    ylabel="nats per row",
    yscale="log",
    title="optimality_gap_",
)
axis.yaxis.set_major_formatter("{x:g}")
axis.legend(frameon=False)
plt.show()
