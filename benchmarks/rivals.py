"""The estimators that benchmarks compare, one adapter each.

An adapter returns an estimator that is not fitted: with its own defaults (but a fixed seed), or, if `alpha` is given, with the
strength of the penalty that makes its objective, for `n_samples` rows, as close to this one as it allows:

    (1/n_samples) sum_i loss_i + alpha/2 ||W||^2        two classes: loss of one row w, and ||w||^2

It is what SoftmaxSGDClassifier(standardize=False) minimises. With standardize=True the penalty is alpha/2 sum_j v_j^2 ||W_j||^2:
the others minimise that if column j of X is divided by v_j before.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier

from sklearn_softmax import SoftmaxSGDClassifier


def ours(alpha=None, n_samples=None, **settings):
    """alpha as it is; the default is 1/n_samples."""
    penalty = {} if alpha is None else {"alpha": alpha}
    return SoftmaxSGDClassifier(**{"random_state": 0, **penalty, **settings})


def lbfgs(alpha=None, n_samples=None, **settings):
    """The sum of losses times C, plus ||W||^2 / 2: C = 1/(alpha n_samples). The default C=1 is alpha = 1/n_samples."""
    penalty = {} if alpha is None else {"C": 1 / (alpha * n_samples)}
    return LogisticRegression(**{"random_state": 0, **penalty, **settings})


def saga(alpha=None, n_samples=None, **settings):
    """The same objective as lbfgs; row by row, but it needs all rows at once."""
    return lbfgs(alpha, n_samples, **{"solver": "saga", **settings})


def newton_cg(alpha=None, n_samples=None, **settings):
    """The same objective as lbfgs, to rounding error: what the others are measured by."""
    return lbfgs(alpha, n_samples, **{"solver": "newton-cg", "tol": 1e-10, "max_iter": 10_000, **settings})


def sgd(alpha=None, n_samples=None, **settings):
    """alpha as it is, but in each of the binary models, one per class; the default is 1e-4. Only with two classes the same."""
    penalty = {} if alpha is None else {"alpha": alpha}
    return SGDClassifier(**{"loss": "log_loss", "random_state": 0, **penalty, **settings})


def mlp(alpha=None, n_samples=None, **settings):
    """The gradient of alpha/2 ||W||^2 is divided by the rows of each batch, so alpha is divided by the mean of 1/rows.

    Batches have 200 rows, the last one of an epoch those that are left. In `partial_fit` they are cut from one call, so give the
    rows of a call as `n_samples`. The default 1e-4 is 5e-7 here.
    """
    penalty = {}
    if alpha is not None:
        size = min(settings.get("batch_size", 200), n_samples)
        batches = np.diff([*range(0, n_samples, size), n_samples])
        penalty = {"alpha": alpha / float(np.mean(1 / batches))}
    return MLPClassifier(**{"hidden_layer_sizes": (), "random_state": 0, **penalty, **settings})


class RunningPrior:
    """Ignores X: the shares of the classes so far, each counted once more than it was seen."""

    def partial_fit(self, X, y, classes):
        self.counts = getattr(self, "counts", np.ones(len(classes))) + np.bincount(y, minlength=len(classes))
        return self

    def predict_proba(self, X):
        return np.tile(self.counts / self.counts.sum(), (X.shape[0], 1))


BATCH = {"ours": ours, "lbfgs": lbfgs, "saga": saga, "sgd": sgd, "mlp": mlp}
STREAM = {"ours": ours, "sgd": sgd, "mlp": mlp, "prior": RunningPrior}
