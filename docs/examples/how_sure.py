"""
How sure is it: intervals and tests
===================================

Which measurements tell three kinds of wine apart, and how sure is that? ``inference`` gives the
standard errors of a fitted model, tests of features over all classes at once, and intervals of
probabilities.
"""

# %%
# Few rows, and features that say much the same: a default fit has a penalty, which keeps the
# coefficients finite, although the classes can be separated without an error.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine

from sklearn_softmax import (
    CoefficientDisplay,
    SoftmaxSGDClassifier,
    inference,
)

wine = load_wine()
X, y = wine.data, wine.target_names[wine.target]
clf = SoftmaxSGDClassifier(tol=1e-7, random_state=0).fit(X, y)
result = inference(clf, X, y)
tests = {
    name: result.wald_test(number)
    for number, name in enumerate(wine.feature_names)
}
print("feature                        chi2 (df)   p-value")
for name, test in sorted(tests.items(), key=lambda item: item[1].p_value):
    print(f"{name:<28} {test.chi2:6.1f} ({test.df})   {test.p_value:.4f}")

# %%
# A forest plot: the coefficients of a class, with intervals of 90 %, as differences from the mean
# over the classes. To compare features in different units, they are divided by their standard
# deviations first, which changes no probability: the penalty does not depend on units.
figure, axes = plt.subplots(
    3, 1, figsize=(5.5, 10), sharex=True, layout="constrained"
)
scaled = inference(
    SoftmaxSGDClassifier(tol=1e-7, random_state=0).fit(X / X.std(axis=0), y),
    X / X.std(axis=0),
    y,
)
for label, axis in zip(scaled.classes, axes):
    CoefficientDisplay.from_inference(
        scaled,
        label=label,
        confidence_level=0.9,
        ax=axis,
        color="#1f4e79",
        markersize=4,
    )
    axis.set(title=label, xlabel="")
    axis.set_yticklabels(wine.feature_names)
axes[-1].set_xlabel("nats per standard deviation")
plt.show()

# %%
# One feature, over the classes: with much proline it is class 0.
figure, axis = plt.subplots(figsize=(5.5, 2.4), layout="constrained")
CoefficientDisplay.from_inference(
    result,
    feature=wine.feature_names.index("proline"),
    ax=axis,
    color="#d62728",
)
axis.set_xlabel("Coefficient of proline (nats per mg/l)")
plt.show()

# %%
# Probabilities on the way from the mean wine of one class to that of another, with intervals
# of 90 %. Where the model has seen few rows, the intervals are wide.
start, end = (X[y == label].mean(axis=0) for label in ("class_0", "class_1"))
way = np.linspace(-0.5, 1.5, 60)
intervals = result.predict_proba(start + way[:, None] * (end - start), 0.9)
figure, axis = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for number, (label, colour) in enumerate(
    zip(clf.classes_, ("#1f4e79", "#e6a23c", "#2e8b57"))
):
    axis.plot(way, intervals.proba[:, number], color=colour, label=label)
    axis.fill_between(
        way,
        intervals.lower[:, number],
        intervals.upper[:, number],
        color=colour,
        alpha=0.2,
        linewidth=0,
    )
axis.set(xlabel="from class 0 (at 0) to class 1 (at 1)", ylabel="probability")
axis.legend(frameon=False)
plt.show()
