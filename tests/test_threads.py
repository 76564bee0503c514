"""What docs/guide/production.md promises to threads."""

import copy
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from scipy.sparse import csr_array

from sklearn_softmax import SoftmaxSGDClassifier

N_READERS = 3


@pytest.fixture(autouse=True)
def _threads_take_turns_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def rows(container, n_rows=6000, n_features=30):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features)) * (rng.random((n_rows, n_features)) < 0.3)
    y = np.argmax(X @ rng.normal(size=(n_features, 5)) + rng.gumbel(size=(n_rows, 5)), axis=1)
    return container(X), y


@pytest.mark.parametrize("container", [np.asarray, csr_array])
@pytest.mark.parametrize("forgetting", ["never", "auto"])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_copies_that_a_learner_publishes_predict_as_if_it_had_stopped(container, forgetting, l1_ratio):
    X, y = rows(container)
    stream = SoftmaxSGDClassifier(new_classes="add", forgetting=forgetting, l1_ratio=l1_ratio).partial_fit(X[:100], y[:100])
    published, is_over = [copy.copy(stream)], Event()

    def read(number):
        seen = []
        while not is_over.is_set() or not seen:
            version = len(published) - 1
            part = slice(number, 200 + number)
            seen.append((version, part, published[version].predict_proba(X[part])))
        return seen

    with ThreadPoolExecutor(N_READERS) as pool:
        readers = [pool.submit(read, number) for number in range(N_READERS)]
        for start in range(100, 6000, 100):
            stream.partial_fit(X[start : start + 100], y[start : start + 100])
            published.append(copy.copy(stream))
        is_over.set()
        seen = [one for reader in readers for one in reader.result()]

    alone, expected = SoftmaxSGDClassifier(**stream.get_params()), []
    for start in range(0, 6000, 100):
        alone.partial_fit(X[start : start + 100], y[start : start + 100])
        expected.append(copy.copy(alone))
    assert len({version for version, *_ in seen}) > 3
    for version, part, proba in seen:
        np.testing.assert_array_equal(proba, expected[version].predict_proba(X[part]))


@pytest.mark.parametrize("container", [np.asarray, csr_array])
def test_threads_may_predict_with_one_model(container):
    X, y = rows(container)
    for model in (SoftmaxSGDClassifier().partial_fit(X, y, classes=range(5)), SoftmaxSGDClassifier(random_state=0).fit(X, y)):
        expected = copy.deepcopy(model).predict_proba(X)
        with ThreadPoolExecutor(N_READERS) as pool:
            parts = [slice(start, start + 50) for start in range(0, 6000, 50)]
            for part, proba in zip(parts, pool.map(lambda part, model=model: model.predict_proba(X[part]), parts)):
                np.testing.assert_allclose(proba, expected[part], rtol=1e-9)
