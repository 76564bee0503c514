"""
Raw columns, no scaler
======================

A column in millimetres and in kilometres has the same information. Here one column of the wine
data changes its unit, from a millionth to a million times, and the other twelve columns stay as
they are. The held-out log loss shows which estimators depend on the unit. Behind a scaler none of
them does, so ``LogisticRegression`` with a scaler is shown as well.
"""

# %%
# The estimators, each with its defaults. Warnings of estimators that do not converge are silenced.
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_softmax import SoftmaxSGDClassifier

X, y = load_wine(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

estimators = {
    "SGDClassifier(log_loss)": (
        SGDClassifier(loss="log_loss", random_state=0),
        "#9dc3e6",
    ),
    "LogisticRegression": (LogisticRegression(), "#1f4e79"),
    "LogisticRegression, scaled": (
        make_pipeline(StandardScaler(), LogisticRegression()),
        "#2e8b57",
    ),
    "SoftmaxSGDClassifier": (SoftmaxSGDClassifier(random_state=0), "#d62728"),
}

# %%
# Multiply the first column, alcohol in percent, by each factor, in the training rows and in the
# held-out ones.
factors = np.logspace(-6, 6, 13)


def held_out_loss(estimator, factor):
    unit = np.where(np.arange(X.shape[1]) == 0, factor, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proba = estimator.fit(X_train * unit, y_train).predict_proba(X_test * unit)
    # where no class has any probability, older versions of scikit-learn say NaN
    return log_loss(y_test, np.nan_to_num(proba, nan=1 / 3))


losses = {
    name: [held_out_loss(estimator, factor) for factor in factors]
    for name, (estimator, _) in estimators.items()
}
for name, values in losses.items():
    print(f"{name:<27} between {min(values):.3f} and {max(values):.3f} nats")

# %%
# ``SoftmaxSGDClassifier`` gives the same model for all units, without a scaler to fit and to store.
# Without a scaler, the penalty of the others depends on the unit, and so does the step size of
# ``SGDClassifier``.
figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
for name, (_, colour) in estimators.items():
    width = 7 if "scaled" in name else 2.4  # lies under that of SoftmaxSGDClassifier
    axis.plot(
        factors, losses[name], color=colour, linewidth=width, marker="o", label=name
    )
axis.axhline(np.log(3), color="grey", linestyle=":", linewidth=1)
axis.text(factors[0], 1.15, "guessing", color="grey")
axis.set(
    xscale="log",
    yscale="log",
    xlabel="unit of the first column",
    ylabel="held-out log loss (nats)",
)
axis.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 0.32))
plt.show()
