"""
Fit, search, stream: handwritten digits
=======================================

Fits, searches and streams images of handwritten digits, and compares with estimators of
scikit-learn. Prints a line per model: log loss (nats) and accuracy of held-out images, and the
seconds of wall time that training took.
"""

import time
from importlib.util import find_spec

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_softmax import SoftmaxSGDClassifier


def scaled(classifier):
    """The classifier on standardised features."""
    return make_pipeline(StandardScaler(), classifier)


def searched():
    """The best strength of the penalty, by cross-validated log loss."""
    return GridSearchCV(
        SoftmaxSGDClassifier(random_state=0),
        {"alpha": ["1/n_samples", 1e-4, 3e-4, 2e-3, 5e-3, 1e-2]},
        scoring="neg_log_loss",
        cv=5,
    )


def streamed(X, y, chunk=100):
    """One pass over the raw rows, `chunk` at a time, as if they did not fit in memory."""
    classifier = SoftmaxSGDClassifier()
    for start in range(0, len(X), chunk):
        rows = slice(start, start + chunk)
        classifier.partial_fit(X[rows], y[rows], classes=np.arange(10))
    return classifier


def main():
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=0
    )
    print(
        f"digits: {len(X_train)} images to learn from, {len(X_test)} held out, "
        f"{X.shape[1]} features, 10 classes\n"
    )
    print(f"{'model':<42} {'log loss':>8} {'accuracy':>8} {'seconds':>8}")

    def report(name, train):
        started = time.perf_counter()
        model = train(X_train, y_train)
        seconds = time.perf_counter() - started
        proba = model.predict_proba(X_test)
        loss, accuracy = (
            log_loss(y_test, proba),
            accuracy_score(y_test, model.predict(X_test)),
        )
        print(f"{name:<42} {loss:8.3f} {accuracy:8.3f} {seconds:8.2f}")
        losses[name] = loss
        return model

    losses = {}

    fitted = report(
        "SoftmaxSGDClassifier, raw", SoftmaxSGDClassifier(random_state=0).fit
    )
    search = report("SoftmaxSGDClassifier, raw, grid search", searched().fit)
    report("SoftmaxSGDClassifier, one raw stream", streamed)
    report("LogisticRegression, scaled", scaled(LogisticRegression()).fit)
    report(
        "SGDClassifier(log_loss), scaled",
        scaled(SGDClassifier(loss="log_loss", random_state=0)).fit,
    )

    print(
        f"\nThe first fit took {fitted.n_iter_} epochs, "
        f"and is at most {fitted.optimality_gap_:.1g} nats above its optimum."
    )
    print(f"The grid search chose alpha={search.best_estimator_.alpha_:.2g}.")
    if find_spec("matplotlib"):
        draw(losses)


def draw(losses):
    """The log losses as bars."""
    import matplotlib.pyplot as plt

    _, axis = plt.subplots(figsize=(5.5, 3), layout="constrained")
    colours = [
        "#d62728" if name.startswith("Softmax") else "#1f4e79"
        for name in losses
    ]
    names = [name.replace(", ", ",\n", 1) for name in losses]
    bars = axis.barh(names, losses.values(), color=colours)
    axis.bar_label(bars, fmt="%.3f", padding=3)
    axis.invert_yaxis()
    axis.set(xlabel="held-out log loss (nats)")
    axis.margins(x=0.15)
    plt.show()


if __name__ == "__main__":
    main()
