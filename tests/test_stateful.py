"""Any sequence of calls: one model lives through all of them, its twin only through those that teach it something."""

import copy
import pickle

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sklearn_softmax import SoftmaxSGDClassifier

N_FEATURES, N_CLASSES = 4, 3
seeds = st.integers(0, 2**16)
sizes = st.integers(1, 40)
START = [
    {},
    {"alpha": 0.1, "l1_ratio": 0.7},
    {"average": False, "fit_intercept": False},
    {"standardize": False},
    {"forgetting": "auto"},
    {"learning_rate": "invscaling"},
    {"learning_rate": "constant", "average": True, "l1_ratio": 0.5, "alpha": 0.01},
]
# Not the kind of step: scales are then taken from the first chunk, which is another one when the stream is cut otherwise.
CHANGES = [
    {"alpha": 0.05},
    {"alpha": "1/n_samples"},
    {"l1_ratio": 0.3},
    {"eta0": 0.5},
    {"eta0": None},
    {"average": True},
    {"average": "auto"},
    {"forgetting": "auto"},
    {"forgetting": "never"},
    {"class_weight": "balanced"},
    {"class_weight": {0: 2.0, 1: 0.5}},
    {"class_weight": None},
]
BAD = {
    "a column too many": lambda X, y: dict(X=np.column_stack([X, X[:, 0]]), y=y),
    "a label too few": lambda X, y: dict(X=X, y=y[:-1]),
    "an unseen label": lambda X, y: dict(X=X, y=np.append(y[:-1], 99)),
    "other classes": lambda X, y: dict(X=X, y=y, classes=[0, 1]),
    "NaN": lambda X, y: dict(X=X * np.nan, y=y),
    "a negative weight": lambda X, y: dict(X=X, y=y, sample_weight=np.full(len(y), -1.0)),
    "text": lambda X, y: dict(X=np.full(X.shape, "text"), y=y),
    "a wrong index": lambda X, y: dict(X=with_wrong_index(X), y=y),
}


def with_wrong_index(X):
    csr = sp.csr_array(np.ones_like(X))
    csr.indices[-1] = N_FEATURES
    return csr


def rows(seed, size):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(size, N_FEATURES)) * (rng.random((size, N_FEATURES)) < 0.7) * [1, 10, 0.01, 1]
    y = rng.integers(N_CLASSES, size=size)
    y[: size // 2] = np.argmax(X[: size // 2, :N_CLASSES], axis=1)
    return X, y


class Life(RuleBasedStateMachine):
    @initialize(params=st.sampled_from(START), seed=seeds)
    def begin(self, params, seed):
        X, y = rows(seed, 20)
        self.model, self.twin = (
            SoftmaxSGDClassifier(random_state=0, max_iter=2, tol=None, **params).partial_fit(X, y, np.arange(N_CLASSES))
            for _ in range(2)
        )

    def both(self, method, *args, **kwargs):
        for model in (self.model, self.twin):
            getattr(model, method)(*args, **kwargs)

    @rule(seed=seeds, size=sizes, container=st.sampled_from([np.asarray, sp.csr_array, np.asfortranarray]), cut=st.floats(0, 1))
    def partial_fit(self, seed, size, container, cut):
        """The model gets the rows in two calls, with some of weight 0 between them."""
        X, y = rows(seed, size)
        self.twin.partial_fit(container(X), y)
        cut = int(cut * size)
        X, y = np.insert(X, cut, 1e300, axis=0), np.insert(y, cut, 0)
        weight = np.insert(np.ones(size), cut, 0)
        for part in (slice(0, cut + 1), slice(cut + 1, None)):
            if len(y[part]):
                self.model.partial_fit(container(X[part]), y[part], sample_weight=weight[part])

    @rule(seed=seeds, size=st.integers(12, 40), warm=st.booleans())
    def fit(self, seed, size, warm):
        X, y = rows(seed, size)
        y[:N_CLASSES] = np.arange(N_CLASSES)
        if warm:  # from models that are the same to the last bit
            self.model = copy.deepcopy(self.twin)
        self.both("set_params", warm_start=warm)
        self.both("fit", X, y)

    @rule(change=st.sampled_from(CHANGES))
    def set_params(self, change):
        self.both("set_params", **change)

    @rule(way=st.sampled_from([lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy, copy.copy]))
    def store(self, way):
        self.model = way(self.model)

    @rule()
    def sparsify(self):
        before = self.model.coef_ if isinstance(self.model.coef_, np.ndarray) else self.model.coef_.toarray()
        assert np.array_equal(self.model.sparsify().coef_.toarray(), before)

    @rule()
    def densify(self):
        assert isinstance(self.model.densify().coef_, np.ndarray)

    @rule(seed=seeds, size=sizes)
    def predict(self, seed, size):
        X, y = rows(seed, size)
        before = pickle.dumps(self.model)
        self.model.predict(X)
        self.model.score(sp.csr_array(X), y)
        assert pickle.dumps(self.model) == before

    @rule(
        bad=st.sampled_from(list(BAD.values())),
        seed=seeds,
        size=st.integers(2, 9),
        method=st.sampled_from(["fit", "partial_fit"]),
    )
    def refuse(self, bad, seed, size, method):
        arguments = bad(*rows(seed, size))
        if method == "fit" and ("classes" in arguments or 99 in arguments["y"]):
            return
        if method == "fit" and arguments["X"].shape[1] > N_FEATURES:
            return
        before = pickle.dumps(self.model)
        with pytest.raises((ValueError, TypeError)):
            getattr(self.model, method)(**arguments)
        assert pickle.dumps(self.model) == before

    @precondition(lambda self: hasattr(self.model, "progressive_loss_") and hasattr(self.twin, "progressive_loss_"))
    @invariant()
    def the_stream_says_the_same_of_itself(self):
        np.testing.assert_allclose(self.model.progressive_loss_, self.twin.progressive_loss_, rtol=1e-6)

    @invariant()
    def they_are_the_same(self):
        model, twin = self.model, self.twin
        coef = model.coef_ if isinstance(model.coef_, np.ndarray) else model.coef_.toarray()
        assert np.isfinite(coef).all() and model.coef_.shape == (N_CLASSES, N_FEATURES)
        assert model.t_ == pytest.approx(twin.t_) and np.array_equal(model.classes_, [0, 1, 2])
        tolerance = dict(rtol=1e-5, atol=1e-7 * max(1, np.abs(twin.coef_).max()))
        np.testing.assert_allclose(coef, twin.coef_, **tolerance)
        np.testing.assert_allclose(model.intercept_, twin.intercept_, **tolerance)
        np.testing.assert_allclose(model.predict_proba(np.eye(N_FEATURES)).sum(axis=1), 1)


class Twin(RuleBasedStateMachine):
    """The same against the slow twin in reference.py, as far as that goes: streams of the automatic step."""

    @initialize(
        alpha=st.sampled_from([0.02, "1/n_samples"]),
        l1_ratio=st.sampled_from([0.0, 0.6]),
        fit_intercept=st.booleans(),
        standardize=st.booleans(),
        average=st.booleans(),
        forgets=st.booleans(),
    )
    def begin(self, alpha, l1_ratio, fit_intercept, standardize, average, forgets):
        params = dict(l1_ratio=l1_ratio, fit_intercept=fit_intercept, standardize=standardize)
        forgetting = "auto" if forgets else "never"
        self.model = SoftmaxSGDClassifier(alpha=alpha, average=average, forgetting=forgetting, **params)
        params |= dict(averages=average, forgets=forgets)
        self.averages, self.is_sparse = average, False
        self.twin = reference.Stream.empty(N_FEATURES, N_CLASSES, alpha=np.nan if alpha == "1/n_samples" else alpha, **params)

    @rule(seed=seeds, size=sizes, weighted=st.booleans(), is_sparse=st.booleans())
    def partial_fit(self, seed, size, weighted, is_sparse):
        X, y = rows(seed, size)
        weight = np.random.default_rng(seed).uniform(0.2, 3, size=size) if weighted else np.ones(size)
        self.model.partial_fit(sp.csr_array(X) if is_sparse else X, y, range(N_CLASSES), weight)
        if is_sparse != self.is_sparse:
            self.twin.enter(self.averages, self.is_sparse, is_sparse)
            self.is_sparse = is_sparse
        if is_sparse:
            self.twin.sparse(X, X != 0, y, weight, range(size), settle=False)
        else:
            self.twin.dense(X, y, weight, range(size), settle=False)

    @rule()
    def store(self):
        self.model = pickle.loads(pickle.dumps(self.model))

    @precondition(lambda self: self.twin.n_rows > 0)
    @invariant()
    def they_are_the_same(self):
        coef, intercept = self.twin.up_to_date(self.is_sparse).model(self.averages)
        tolerance = dict(rtol=1e-6, atol=1e-9 * max(1, np.abs(coef).max()))
        np.testing.assert_allclose(self.model.coef_, coef, **tolerance)
        np.testing.assert_allclose(self.model.intercept_, intercept, **tolerance)
        assert self.model.t_ == pytest.approx(1 + self.twin.weight)
        assert self.model.progressive_loss_ == pytest.approx(self.twin.progressive_loss / self.twin.weight, rel=1e-6)
        if self.averages:
            assert self.model.drift_log_odds_ == pytest.approx(self.twin.drift_log_odds, rel=1e-6, abs=1e-6)
            assert self.model.effective_n_samples_ == pytest.approx(self.twin.average_total / self.twin.growth, rel=1e-6)


# A sequence is as much work as many examples of a property.
few = settings(max_examples=max(10, settings.default.max_examples // 10))
without_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TestLife, TestTwin = without_convergence(Life.TestCase), Twin.TestCase
TestLife.settings = TestTwin.settings = few
