"""The estimators that benchmarks compare, one adapter each.

An adapter returns an estimator that is not fitted: with its own defaults (but a fixed seed), or, if `alpha` is given, with the
strength of the penalty that makes its objective, for `n_samples` rows, as close to this one as it allows:

    (1/n_samples) sum_i loss_i + alpha/2 ||W||^2        two classes: loss of one row w, and ||w||^2

It is what SoftmaxSGDClassifier(standardize=False) minimises. With standardize=True the penalty is alpha/2 sum_j v_j^2 ||W_j||^2:
the others minimise that if column j of X is divided by v_j before.

Those of OPTIONAL need a package that may not be installed; `available` says which are there.
"""

from importlib.util import find_spec

import numpy as np
from scipy.special import softmax
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


def newton_cholesky(alpha=None, n_samples=None, **settings):
    """The same objective as lbfgs; makes the whole Hessian, of (n_features * n_classes)^2 numbers."""
    return lbfgs(alpha, n_samples, **{"solver": "newton-cholesky", **settings})


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


class TorchSoftmax:
    """torch.nn.Linear, mini-batches, momentum. A weight decay of alpha, of the weights only, is exactly our penalty.

    The step is `rate` over the mean of 1 + ||x||^2 of the first call, and falls linearly to 0 in `fit`. Dense X only.
    """

    def __init__(self, alpha=None, n_samples=None, max_iter=10, batch_size=256, rate=1.0, momentum=0.9):
        import torch  # noqa: F401 - here, so that no fit is charged for it

        self.alpha, self.max_iter, self.batch_size = alpha or 0.0, max_iter, batch_size
        self.rate, self.momentum = rate, momentum

    def _start(self, X, n_classes):
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(X.shape[1], n_classes, dtype=torch.from_numpy(X[:1]).dtype)
        torch.nn.init.zeros_(self.linear.weight)
        torch.nn.init.zeros_(self.linear.bias)
        groups = [{"params": [self.linear.weight], "weight_decay": self.alpha}, {"params": [self.linear.bias]}]
        rate = self.rate / (1 + np.einsum("ij,ij->", X, X) / len(X))
        self.optimizer = torch.optim.SGD(groups, lr=rate, momentum=self.momentum)

    def _steps(self, X, y, batches):
        from torch.nn.functional import cross_entropy

        for rows in batches:
            self.optimizer.zero_grad()
            cross_entropy(self.linear(X[rows]), y[rows]).backward()
            self.optimizer.step()
            yield

    def fit(self, X, y):
        import torch

        self._start(X, int(y.max()) + 1)
        n_steps = self.max_iter * -(-len(X) // self.batch_size)
        schedule = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1.0, 0.0, n_steps)
        X, y = torch.from_numpy(X), torch.from_numpy(y)
        for _ in range(self.max_iter):
            for _ in self._steps(X, y, torch.randperm(len(X)).split(self.batch_size)):
                schedule.step()
        return self

    def partial_fit(self, X, y, classes=None):
        import torch

        if not hasattr(self, "linear"):
            self._start(X, len(classes))
        batches = (slice(start, start + self.batch_size) for start in range(0, len(X), self.batch_size))
        for _ in self._steps(torch.from_numpy(X), torch.from_numpy(y), batches):
            pass
        return self

    @property
    def coef_(self):
        return self.linear.weight.detach().numpy()

    @property
    def intercept_(self):
        return self.linear.bias.detach().numpy()

    def predict_proba(self, X):
        return softmax(X @ self.coef_.T + self.intercept_, axis=1)


def entries(X):
    """(columns, values) of each row, without zeros, as lists."""
    for row in X:
        row = np.asarray(row).ravel() if isinstance(row, np.ndarray) else row
        columns = row.nonzero()[0] if isinstance(row, np.ndarray) else row.indices
        values = row[columns] if isinstance(row, np.ndarray) else row.data
        yield columns.tolist(), values.tolist()


class RiverSoftmax:
    """river's SoftmaxRegression with its defaults. It takes a row as a dict; making that is part of the time."""

    def __init__(self):
        from river.linear_model import SoftmaxRegression

        self.model = SoftmaxRegression()

    def partial_fit(self, X, y, classes=None):
        self.n_classes = getattr(self, "n_classes", 0) or len(classes)
        for (columns, values), label in zip(entries(X), y.tolist()):
            self.model.learn_one(dict(zip(columns, values)), label)
        return self

    def predict_proba(self, X):
        proba = np.zeros((X.shape[0], self.n_classes))
        for row, (columns, values) in zip(proba, entries(X)):
            for label, share in self.model.predict_proba_one(dict(zip(columns, values))).items():
                row[label] = share
        return proba


class VowpalWabbit:
    """One binary model per class with the defaults of vw. It takes a row as text; making that is part of the time."""

    def partial_fit(self, X, y, classes=None):
        if not hasattr(self, "model"):
            from vowpalwabbit import Workspace

            self.model = Workspace(f"--oaa {len(classes)} --loss_function logistic --probabilities --quiet")
        for (columns, values), label in zip(entries(X), y.tolist()):
            self.model.learn(f"{label + 1} {self._text(columns, values)}")
        return self

    def predict_proba(self, X):
        return np.array([self.model.predict(self._text(columns, values)) for columns, values in entries(X)])

    @staticmethod
    def _text(columns, values):
        return "| " + " ".join(f"{column}:{value:.7g}" for column, value in zip(columns, values))


def available(adapters):
    """Those whose package is installed."""
    return {name: adapter for name, adapter in adapters.items() if find_spec(OPTIONAL.get(name, "sklearn"))}


OPTIONAL = {"torch": "torch", "river": "river", "vw": "vowpalwabbit"}  # what they need
BATCH = {"ours": ours, "lbfgs": lbfgs, "saga": saga, "sgd": sgd, "mlp": mlp}
STREAM = {"ours": ours, "sgd": sgd, "mlp": mlp, "prior": RunningPrior}
