"""
A grid search with a progress bar
=================================

The strength of the penalty is all there is to choose. A search fits one model per strength and
fold. With scikit-learn 1.9 or newer a callback shows the progress of the search. With
``max_propagation_depth=1``, the default, there is also a bar for each fit, and with ``None`` a bar
for the epochs of each fit.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from sklearn_softmax import SoftmaxSGDClassifier

X, y = load_digits(return_X_y=True)
search = GridSearchCV(
    SoftmaxSGDClassifier(random_state=0),
    {"alpha": np.logspace(-5, 0, 11)},
    scoring="neg_log_loss",
    cv=3,
    return_train_score=True,
)
if hasattr(search, "set_callbacks"):  # scikit-learn >= 1.9
    from sklearn.callback import ProgressBar  # drawn by the package rich

    search.set_callbacks(ProgressBar(max_propagation_depth=0))
search.fit(X, y)
best, loss = search.best_params_["alpha"], -search.best_score_
print(f"best: alpha={best:.2g}, cross-validated log loss {loss:.3f} nats")

# %%
# On the left the penalty is weak, and the model learns its rows by heart. On the right the penalty
# is strong, and the model learns too little. The default is close to the best.
results = search.cv_results_
figure, axis = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
for kind, colour, label in (
    ("test", "#d62728", "held-out rows"),
    ("train", "#1f4e79", "rows it was fitted to"),
):
    mean, spread = (
        -results[f"mean_{kind}_score"],
        results[f"std_{kind}_score"],
    )
    alphas = results["param_alpha"].astype(float)
    axis.fill_between(
        alphas,
        mean - spread,
        mean + spread,
        color=colour,
        alpha=0.15,
        linewidth=0,
    )
    axis.plot(
        alphas, mean, color=colour, linewidth=2.4, marker="o", label=label
    )
axis.axvline(
    search.best_params_["alpha"], color="0.4", linestyle=":", linewidth=1
)
axis.axvline(1 / len(y), color="0.4", linewidth=1)
axis.text(1.1 / len(y), 0.7 * axis.get_ylim()[1], "default", color="0.4")
axis.set(xscale="log", yscale="log", xlabel="alpha", ylabel="log loss (nats)")
axis.yaxis.set_major_formatter("{x:g}")
axis.yaxis.set_minor_formatter("")
axis.xaxis.set_major_formatter("{x:g}")
axis.legend(frameon=False)
plt.show()
