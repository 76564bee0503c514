"""fit_batches: a loop over partial_fit, in which every row has its turn once per epoch."""

import itertools
import time

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_softmax import SoftmaxSGDClassifier, fit_batches


class Recorder:
    """An estimator that remembers the rows of each call."""

    def __init__(self):
        self.calls = []

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        self.calls.append((X, y, sample_weight))
        return self

    def labels(self):
        return np.concatenate([y for _, y, _ in self.calls])


def cut(X, y, sizes, weight=None):
    """Batches of such sizes, over and over, until the rows are used up."""
    begin, batches = 0, []
    for size in itertools.cycle(sizes):
        if begin >= len(y):
            return batches
        rows = slice(begin, begin + size)
        batches.append((X[rows], y[rows]) if weight is None else (X[rows], y[rows], weight[rows]))
        begin += size


CONTAINERS = {
    "dense": lambda X: X,
    "CSR": sp.csr_array,
    "CSC matrix": sp.csc_matrix,
    "float32": lambda X: X.astype(np.float32),
}
each_container = pytest.mark.parametrize("container", CONTAINERS)


# ---------------------------------------------------------------------------------------------------------- without a buffer


@each_container
@pytest.mark.parametrize("with_weights", [False, True])
def test_it_is_a_loop_over_partial_fit(container, with_weights, make_data, fitted):
    X, y = make_data()
    X, weight = CONTAINERS[container](X), np.linspace(0.1, 2, len(y)) if with_weights else None
    batches = cut(X, y, [7, 30], weight)
    model = SoftmaxSGDClassifier()
    assert fit_batches(model, batches, classes=[0, 1, 2], epochs=2) is model
    expected = SoftmaxSGDClassifier()
    for _ in range(2):
        for batch in batches:
            expected.partial_fit(batch[0], batch[1], [0, 1, 2], *batch[2:])
    assert fitted(model) == fitted(expected)


@pytest.mark.parametrize("form", ["list", "callable", "generator"])
def test_batches_may_come_in_any_form(form, make_data, fitted):
    X, y = make_data()
    batches = cut(X, y, [50])
    forms = {"list": batches, "callable": lambda: iter(batches), "generator": (batch for batch in batches)}
    model = fit_batches(SoftmaxSGDClassifier(new_classes="add"), forms[form])
    expected = fit_batches(SoftmaxSGDClassifier(new_classes="add"), batches)
    assert fitted(model) == fitted(expected)


def test_a_fitted_model_goes_on(make_data):
    X, y = make_data()
    model = fit_batches(SoftmaxSGDClassifier().fit(X, y), cut(X, y, [50]))
    assert model.t_ == 241


@pytest.mark.parametrize("estimator", [SGDClassifier(loss="log_loss", random_state=0), MLPClassifier(random_state=0)])
def test_other_estimators_can_be_trained_as_well(estimator, make_data):
    X, y = make_data()
    how = dict(classes=[0, 1, 2], shuffle_buffer=60, random_state=0)
    expected = clone(estimator)
    for rows, labels, _ in fit_batches(Recorder(), cut(X, y, [40]), **how).calls:
        expected.partial_fit(rows, labels, classes=[0, 1, 2])
    estimator = fit_batches(clone(estimator), cut(X, y, [40]), **how)
    np.testing.assert_array_equal(estimator.predict_proba(X), expected.predict_proba(X))


def test_batches_without_rows_are_passed_over(make_data, fitted):
    X, y = make_data()
    nothing = (X[:0], y[:0])
    model = fit_batches(SoftmaxSGDClassifier(), [nothing, (X, y), nothing], classes=[0, 1, 2])
    assert fitted(model) == fitted(SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2]))


# -------------------------------------------------------------------------------------------------------- the shuffle buffer


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 60),
    st.lists(st.integers(1, 13), min_size=1, max_size=4),
    st.integers(1, 70),
    st.integers(1, 3),
    st.sampled_from([*CONTAINERS, "pandas"]),
)
def test_every_row_has_its_turn_once_per_epoch(n_rows, sizes, shuffle_buffer, epochs, container):
    pandas = pytest.importorskip("pandas")
    y = np.arange(n_rows)
    X = np.column_stack([y + 1.0, y + 1.0])
    if container == "pandas":
        frame = pandas.DataFrame(X, columns=["a", "b"])
        batches = [(part.reset_index(drop=True), labels) for part, labels in cut(frame, y, sizes)]
    else:
        batches = cut(CONTAINERS[container](X), y, sizes)
    batches[0] = (*batches[0], np.full(len(batches[0][1]), 2.0))  # the others have no weights
    recorder = fit_batches(Recorder(), batches, epochs=epochs, shuffle_buffer=shuffle_buffer, random_state=0)
    labels = recorder.labels().reshape(epochs, n_rows)
    assert (np.sort(labels, axis=1) == y).all()
    first = set(batches[0][1])
    for rows, of_rows, weight in recorder.calls:
        values = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
        assert (values == of_rows[:, None] + 1).all()
        expected = [2.0 if label in first else 1.0 for label in of_rows]
        assert weight.tolist() == expected if weight is not None else set(expected) == {1.0}


def test_the_buffer_mixes_and_the_seed_repeats(make_data):
    y = np.arange(1000)
    X = y[:, None] * 1.0
    runs = [
        fit_batches(Recorder(), cut(X, y, [20]), shuffle_buffer=200, random_state=seed, epochs=2).labels() for seed in (0, 0, 1)
    ]
    assert np.array_equal(runs[0], runs[1]) and not np.array_equal(runs[0], runs[2])
    assert not np.array_equal(runs[0][:1000], runs[0][1000:])
    places = np.abs(np.arange(1000) - runs[0][:1000])
    assert np.mean(places) > 40 and np.max(places) > 200  # rows move about as far as the buffer is long, and some farther
    in_order = fit_batches(Recorder(), cut(X, y, [20])).labels()
    assert np.array_equal(in_order, y)


def test_a_buffer_helps_where_a_file_is_sorted(make_data):
    X, y = make_data(n_samples=2000)
    order = np.argsort(y, kind="stable")
    scores = [
        fit_batches(
            SoftmaxSGDClassifier(), cut(X[order], y[order], [50]), classes=[0, 1, 2], shuffle_buffer=size, random_state=0
        ).score(X, y)
        for size in (0, 2000)
    ]
    assert scores[1] > scores[0]


def test_pandas_keeps_its_names(make_data):
    pandas = pytest.importorskip("pandas")
    X, y = make_data()
    frame = pandas.DataFrame(X, columns=list("abcde"))
    model = fit_batches(SoftmaxSGDClassifier(), cut(frame, y, [30]), classes=[0, 1, 2], shuffle_buffer=50)
    assert model.feature_names_in_.tolist() == list("abcde") and model.t_ == 121


# ------------------------------------------------------------------------------------------------------------ transformers


@pytest.mark.parametrize("shuffle_buffer", [0, 3])
def test_text_is_hashed_on_its_way(shuffle_buffer):
    texts = ["red apple", "grey mouse", "yellow banana", "black cat", "green pear"]
    y = np.array(["fruit", "animal", "fruit", "animal", "fruit"])
    hashing = HashingVectorizer(n_features=2**8)
    for transform in (hashing, hashing.transform, lambda X: hashing.transform(list(X))):
        model = fit_batches(
            SoftmaxSGDClassifier(new_classes="add"),
            cut(texts, y, [2]),
            transform=transform,
            epochs=20,
            shuffle_buffer=shuffle_buffer,
            random_state=0,
        )
        assert model.t_ == 101 and model.score(hashing.transform(texts), y) == 1


def test_the_first_steps_of_a_pipeline_transform(make_data, fitted):
    X, y = make_data()
    steps = make_pipeline(StandardScaler(), StandardScaler(with_std=False)).fit(X)
    model = fit_batches(SoftmaxSGDClassifier(), cut(X, y, [40]), classes=[0, 1, 2], transform=steps)
    assert fitted(model) == fitted(fit_batches(SoftmaxSGDClassifier(), cut(steps.transform(X), y, [40]), classes=[0, 1, 2]))


# ---------------------------------------------------------------------------------------------------------------- progress


def test_progress_prints_a_line_per_epoch(make_data, capsys, monkeypatch):
    monkeypatch.setattr("sklearn_softmax._batches.SECONDS_BETWEEN_LINES", np.inf)
    X, y = make_data()
    fit_batches(SoftmaxSGDClassifier(), cut(X, y, [40]), classes=[0, 1, 2], epochs=2, progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("epoch 1: 120 rows, ") and "rows/s" in lines[1]
    fit_batches(SoftmaxSGDClassifier(), cut(X, y, [40]), classes=[0, 1, 2])
    assert capsys.readouterr().out == ""
    monkeypatch.setattr("sklearn_softmax._batches.SECONDS_BETWEEN_LINES", -1)
    fit_batches(SoftmaxSGDClassifier(), cut(X, y, [40]), classes=[0, 1, 2], progress=True)
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"epoch 1: {n} rows" for n in (40, 80, 120, 120)
    ]


def test_progress_may_be_a_function(make_data):
    X, y = make_data()
    states = []
    begun = time.perf_counter()
    model = SoftmaxSGDClassifier()
    fit_batches(model, cut(X, y, [50]), classes=[0, 1, 2], epochs=2, progress=states.append)
    assert [(state.epoch, state.n_rows) for state in states] == [(1, 50), (1, 100), (1, 120), (2, 50), (2, 100), (2, 120)]
    elapsed = time.perf_counter() - begun
    for epoch in (1, 2):  # the time since it began
        seconds = [state.seconds for state in states if state.epoch == epoch]
        assert 0 < seconds[0] < seconds[1] < seconds[2] < elapsed
    assert states[-1].progressive_loss == getattr(model, "progressive_loss_", None)


# ------------------------------------------------------------------------------------------------------------------ errors


def test_an_iterator_can_not_be_passed_over_twice(make_data):
    X, y = make_data()
    batches = iter(cut(X, y, [50]))
    model = SoftmaxSGDClassifier()
    with pytest.raises(ValueError, match="epochs=2, but batches is an iterator.*callable"):
        fit_batches(model, batches, classes=[0, 1, 2], epochs=2)
    assert not hasattr(model, "classes_")
    fit_batches(model, batches, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="no rows in epoch 1.*exhausted"):
        fit_batches(model, batches)
    again = iter(cut(X, y, [50]))
    with pytest.raises(ValueError, match="no rows in epoch 2.*exhausted"):
        fit_batches(model, lambda: again, epochs=2)


@pytest.mark.parametrize("shuffle_buffer", [0, 10])
def test_errors_say_what_is_wrong(shuffle_buffer, make_data):
    X, y = make_data()
    good = [(X, y)]
    for arguments, more, error, message in [
        ((make_pipeline(StandardScaler(), SoftmaxSGDClassifier()), good), {}, TypeError, r"Pipeline.*pipeline\[:-1\]"),
        ((StandardScaler, good), dict(transform=3), TypeError, "transform is a int"),
        ((object(), good), {}, TypeError, "object, which has no partial_fit"),
        ((SoftmaxSGDClassifier(), good), dict(epochs=0), ValueError, "epochs=0"),
        ((SoftmaxSGDClassifier(), good), dict(epochs=1.5), ValueError, "epochs=1.5"),
        ((SoftmaxSGDClassifier(), good), dict(shuffle_buffer=-1), ValueError, "shuffle_buffer=-1"),
        ((SoftmaxSGDClassifier(), [X]), {}, TypeError, "batch 0 is a ndarray; expected"),
        ((SoftmaxSGDClassifier(), [(X, y), (X,)]), dict(classes=[0, 1, 2]), TypeError, "batch 1 is a tuple of 1"),
        ((SoftmaxSGDClassifier(), [(X, y[:-1])]), dict(classes=[0, 1, 2]), ValueError, "inconsistent numbers of samples"),
        ((SoftmaxSGDClassifier(), good), {}, ValueError, "classes must be passed on the first call"),
        ((SoftmaxSGDClassifier(), []), {}, ValueError, "no rows in epoch 1"),
    ]:
        with pytest.raises(error, match=message):
            fit_batches(*arguments, **{"shuffle_buffer": shuffle_buffer} | more)
