"""Test the installed package, not the folder of its sources; no network, no global state."""

import os
import signal
import sys
from pathlib import Path

# The flat layout puts a folder sklearn_softmax/, without compiled kernels, at the root of the repository, and `python -m pytest`
# puts that root (or "") first in sys.path. Nothing may import sklearn_softmax or scikit-learn before this.
ROOT = Path(__file__).resolve().parents[1]
sys.path[:] = [entry for entry in sys.path if Path(entry or os.curdir).resolve() != ROOT]

# without it scikit-learn skips check_array_api_input; scipy reads it when it is imported
os.environ["SCIPY_ARRAY_API"] = "1"

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# CI repeats itself; elsewhere every run looks for other examples, and "nightly" (see CONTRIBUTING) for more than 100,000
hypothesis.settings.register_profile("short", max_examples=40, stateful_step_count=30, deadline=None)
SHORT = hypothesis.settings.get_profile("short")
hypothesis.settings.register_profile("ci", parent=SHORT, derandomize=True)
every_check = list(hypothesis.HealthCheck)
hypothesis.settings.register_profile("nightly", parent=SHORT, max_examples=6000, suppress_health_check=every_check)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "short")


@pytest.fixture(autouse=True, scope="session")
def default_interrupts():
    """A shell starts what it runs in the background with Ctrl-C ignored, and processes inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _exact(value):
    value = value.toarray() if hasattr(value, "toarray") else np.asarray(value)
    return str(value.dtype), value.shape, repr(value.tolist())


def _fitted(estimator):
    names = [name for name in dir(estimator) if name.endswith("_") and not name.startswith("_") and hasattr(estimator, name)]
    return {name: _exact(getattr(estimator, name)) for name in names}


@pytest.fixture
def fitted():
    """fitted(estimator): its fitted attributes in a form that `==` compares bit for bit."""
    return _fitted


def _make_data(n_classes=3, n_samples=120, n_features=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    X[rng.uniform(size=X.shape) < 0.3] = 0
    W = rng.normal(size=(n_classes, n_features))
    y = np.argmax(X @ W.T + rng.gumbel(size=(n_samples, n_classes)), axis=1)
    y[: 3 * n_classes] = np.tile(np.arange(n_classes), 3)
    return X, y


@pytest.fixture
def make_data():
    """make_data(n_classes, ...) -> X with a third of zeros, noisy y with every class at least three times."""
    return _make_data
