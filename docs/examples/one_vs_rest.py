"""
Softmax against one-vs-rest
===========================

``SGDClassifier`` and ``OneVsRestClassifier`` fit a binary model per class, "this class or any
other", and divide the probabilities by their sum. Softmax regression fits all classes at once.
Both have linear scores, but their regions and their probabilities differ. Here both are at their
optimum, so that only the model makes the difference.
"""

# %%
# Classes in a row
# ----------------
#
# Five groups lie side by side. No linear function separates the middle group from all others, so
# one-vs-rest is unsure there. With softmax five scores compete, and the problem does not occur.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier

from sklearn_softmax import SoftmaxSGDClassifier

COLOURS = np.array(["#1f4e79", "#e6a23c", "#d62728", "#5b9bd5", "#2e8b57"])
rng = np.random.default_rng(0)
y = rng.integers(5, size=6000)
angle = np.linspace(-1.2, 1.2, 5)[y]
X = np.column_stack([3 * np.sin(angle), 1.2 * np.cos(angle)]) + rng.normal(
    scale=0.55, size=(len(y), 2)
)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.75, random_state=0
)

ALPHA = 1e-5  # little penalty, and for both the same
models = {
    "softmax": SoftmaxSGDClassifier(alpha=ALPHA, random_state=0),
    "one-vs-rest": OneVsRestClassifier(
        LogisticRegression(C=1 / (ALPHA * len(y_train)))
    ),
}
for name, model in models.items():
    model.fit(X_train, y_train)
    loss = log_loss(y_test, model.predict_proba(X_test))
    print(
        f"{name:<12} held-out accuracy {model.score(X_test, y_test):.3f}, "
        f"log loss {loss:.3f} nats"
    )

# %%
# The regions, paler where the model is less sure:
figure, axes = plt.subplots(
    1, 2, figsize=(5.5, 3.2), sharey=True, layout="constrained"
)
first, second = np.meshgrid(
    np.linspace(-5, 5, 200), np.linspace(-2, 3.2, 120)
)
grid = np.column_stack([first.ravel(), second.ravel()])
red_green_blue = np.array(
    [
        [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        for colour in COLOURS
    ]
)
for axis, (name, model) in zip(axes, models.items()):
    proba = model.predict_proba(grid)
    strength = 0.75 * (proba.max(axis=1, keepdims=True) - 0.2) / 0.8
    image = 1 - strength * (1 - red_green_blue[proba.argmax(axis=1)])
    axis.imshow(
        image.reshape(*first.shape, 3),
        extent=(-5, 5, -2, 3.2),
        origin="lower",
        aspect="auto",
    )
    axis.scatter(*X_train.T, c=COLOURS[y_train], s=6, alpha=0.6, linewidths=0)
    axis.set(title=name, xlabel="first feature", xlim=(-5, 5), ylim=(-2, 3.2))
axes[0].set_ylabel("second feature")
plt.show()

# %%
# Are the probabilities true?
# ---------------------------
#
# Of the rows to which a model gives a class with a probability of about 30 %, about 30 % should be
# of that class. Softmax follows the diagonal; normalised one-vs-rest does not.
figure, axes = plt.subplots(
    1, 2, figsize=(5.5, 3.4), sharey=True, layout="constrained"
)
edges = np.linspace(0, 1, 11)
for axis, (name, model) in zip(axes, models.items()):
    proba = model.predict_proba(X_test)
    axis.plot([0, 1], [0, 1], color="0.4", linestyle=":", linewidth=1)
    for label, colour in enumerate(COLOURS):
        bins = np.digitize(proba[:, label], edges[1:-1])
        populated = [
            b for b in range(10) if np.count_nonzero(bins == b) >= 20
        ]
        said = [proba[bins == b, label].mean() for b in populated]
        happened = [np.mean(y_test[bins == b] == label) for b in populated]
        axis.plot(
            said,
            happened,
            color=colour,
            marker="o",
            markersize=4,
            label=f"class {label}",
        )
    axis.set(title=name, xlabel="what the model says", aspect="equal")
axes[0].set_ylabel("how often it happens")
axes[1].legend(frameon=False, loc="upper left")
plt.show()
