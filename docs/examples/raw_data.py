"""
Raw columns, no scaler
======================

A column in millimetres and in kilometres has the same information. Here one column of the wine
data changes its unit, from a millionth to a million times, and the other twelve columns stay as
they are. The held-out log loss shows which estimators depend on the unit. Behind a scaler none of
them does, so scikit-learn's estimators are shown with a scaler as well.
"""

# %%
# The estimators, each with its defaults. Those of scikit-learn are tried without a scaler and with
# one. Warnings of estimators that do not converge are silenced.
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
X_train, X_test, y_train, y_test = train_test_split(
    X, y, stratify=y, random_state=0
)

estimators = {
    "SGDClassifier(log_loss)": (
        SGDClassifier(loss="log_loss", random_state=0),
        {"color": "#5b9bd5"},
    ),
    "LogisticRegression": (LogisticRegression(), {"color": "#1f4e79"}),
    "StandardScaler, SGDClassifier": (
        make_pipeline(
            StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)
        ),
        {"color": "#5b9bd5", "linestyle": "--"},
    ),
    "StandardScaler, LogisticRegression": (
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"color": "#1f4e79", "linestyle": "--"},
    ),
    "SoftmaxSGDClassifier": (
        SoftmaxSGDClassifier(random_state=0),
        {"color": "#d62728"},
    ),
}

# %%
# Multiply the first column, alcohol in percent, by each factor, in the training rows and in the
# held-out ones.
factors = np.logspace(-6, 6, 13)


def held_out_loss(estimator, factor):
    unit = np.where(np.arange(X.shape[1]) == 0, factor, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proba = estimator.fit(X_train * unit, y_train).predict_proba(
            X_test * unit
        )
    # where no class has any probability, older versions of scikit-learn say NaN
    return log_loss(y_test, np.nan_to_num(proba, nan=1 / 3))


losses = {
    name: [held_out_loss(estimator, factor) for factor in factors]
    for name, (estimator, _) in estimators.items()
}
for name, values in losses.items():
    print(f"{name:<34} between {min(values):.3f} and {max(values):.3f} nats")

# %%
# ``SoftmaxSGDClassifier`` gives the same model for all units, without a scaler to fit and to store.
# Without a scaler, the penalty of the others depends on the unit, and so does the step size of
# ``SGDClassifier``. With a scaler they do not depend on the unit either. But in a stream no scaler
# has seen all rows.
figure, axis = plt.subplots(figsize=(5.5, 5.2), layout="constrained")
for name, (_, style) in estimators.items():
    axis.plot(
        factors, losses[name], linewidth=2.2, marker="o", label=name, **style
    )
axis.axhline(np.log(3), color="0.4", linestyle=":", linewidth=1)
axis.text(factors[0], 1.15, "guessing", color="0.4")
axis.set(
    xscale="log",
    yscale="log",
    xlabel="unit of the first column",
    ylabel="held-out log loss (nats)",
)
for one in (axis.xaxis, axis.yaxis):
    one.set_major_formatter("{x:g}")
axis.xaxis.set_ticks([1e-6, 1e-3, 1, 1e3, 1e6])
figure.legend(frameon=False, loc="outside lower center")
plt.show()
