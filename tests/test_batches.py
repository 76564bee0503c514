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


def frame_of(library, X, names):
    columns = {name: X[:, j] for j, name in enumerate(names)}
    if library == "pyarrow batch":
        return pytest.importorskip("pyarrow").record_batch(columns)
    module = pytest.importorskip(library)
    return module.table(columns) if library == "pyarrow" else module.DataFrame(columns)


each_library = pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "pyarrow batch"])


@each_library
def test_frames_keep_their_names_and_rows(library, make_data, fitted):
    X, y = make_data()
    batches = [(frame_of(library, X[begin : begin + 30], "abcde"), y[begin : begin + 30]) for begin in range(0, 120, 30)]
    quick = dict(classes=[0, 1, 2], random_state=0)
    model = fit_batches(SoftmaxSGDClassifier(), batches, shuffle_buffer=50, **quick)
    assert model.feature_names_in_.tolist() == list("abcde") and model.t_ == 121
    arrays = fit_batches(SoftmaxSGDClassifier(), cut(X, y, [30]), shuffle_buffer=50, **quick)
    assert fitted(model)["coef_"] == fitted(arrays)["coef_"]


@each_library
@pytest.mark.parametrize(
    "names, message",
    [
        ("acbde", "in another order"),
        ("abcd", r"misses \['e'\]"),
        ("abcdf", r"misses \['e'\] and has \['f'\]"),
        (None, "some have none"),
    ],
)
def test_frames_with_other_columns_are_not_mixed(library, names, message, make_data):
    X, y = make_data()
    other = X[60:] if names is None else frame_of(library, X[60:, : len(names)], names)
    batches = [(frame_of(library, X[:60], "abcde"), y[:60]), (other, y[60:])]
    model = SoftmaxSGDClassifier()
    with pytest.raises(ValueError, match=message):
        fit_batches(model, batches, classes=[0, 1, 2], shuffle_buffer=100)
    with pytest.raises((ValueError, UserWarning), match="names"):
        fit_batches(model, batches, classes=[0, 1, 2])


def test_frames_of_two_libraries_are_not_mixed(make_data):
    X, y = make_data()
    batches = [(frame_of(library, X, "abcde"), y) for library in ("pandas", "polars")]
    with pytest.raises(ValueError, match="frames of pandas and polars"):
        fit_batches(SoftmaxSGDClassifier(), batches, classes=[0, 1, 2], shuffle_buffer=500)


@pytest.mark.parametrize("shuffle_buffer", [0, 100])
def test_labels_are_what_they_were_with_and_without_a_buffer(shuffle_buffer):
    X = np.arange(16.0).reshape(8, 2)
    large = 2**53 + np.arange(8)
    for parts in (
        [large[:4], large[4:].astype(np.uint64)],
        [large[:4].astype(np.int64), [float(2**53), 2**53, 5, np.uint64(7)]],
        [large[:4].tolist(), np.array([1.0, 2, 3, 4])],
        [["a", "b", "a", "b"], np.array(["long label"] * 4, dtype=object)],
    ):
        batches = [(X[:4], parts[0]), (X[4:], parts[1])]
        model = fit_batches(SoftmaxSGDClassifier(new_classes="add"), batches, shuffle_buffer=shuffle_buffer, random_state=0)
        expected = {label if isinstance(label, str) else int(label) for part in parts for label in part}
        assert set(model.classes_.tolist()) == expected and model.classes_.dtype.kind in "iuUO"
    for parts in ([[1, "a", 1, "a"], [1, 1, 1, 1]], [["a", "b", "a", "b"], [1, 2, 1, 2]], [[-1, 0, 0, 0], [2**63, 0, 0, 0]]):
        batches = [(X[:4], parts[0]), (X[4:], parts[1])]
        with pytest.raises(ValueError, match="Unknown label type|no type has room"):
            fit_batches(SoftmaxSGDClassifier(new_classes="add"), batches, shuffle_buffer=shuffle_buffer)


@pytest.mark.parametrize("shuffle_buffer", [0, 100])
def test_a_column_of_weights_is_refused_by_name(shuffle_buffer, make_data):
    X, y = make_data()
    with pytest.raises(ValueError, match=r"sample_weight.*\(120, 1\).*one weight per row"):
        fit_batches(SoftmaxSGDClassifier(), [(X, y, np.ones((120, 1)))], classes={0, 1, 2}, shuffle_buffer=shuffle_buffer)


def test_classes_may_be_a_set_or_a_generator_in_all_epochs(make_data, fitted):
    X, y = make_data()
    expected = fit_batches(SoftmaxSGDClassifier(), cut(X, y, [30]), classes=[0, 1, 2], epochs=2)
    for classes in ({0, 1, 2}, dict.fromkeys(range(3)).keys(), (label for label in range(3))):
        assert fitted(fit_batches(SoftmaxSGDClassifier(), cut(X, y, [30]), classes=classes, epochs=2)) == fitted(expected)


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
    last = states[-1]
    assert last.progressive_loss == model.progressive_loss_
    assert (last.effective_n_samples, last.drift_log_odds) == (model.effective_n_samples_, model.drift_log_odds_)
    assert str(last).endswith(f"remembers 240 rows, drift log odds {model.drift_log_odds_:+.1f}")
    fit_batches(SGDClassifier(), cut(X, y, [50]), classes=[0, 1, 2], progress=states.append)
    assert states[-1][3:] == (None, None, None)


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
        ((SoftmaxSGDClassifier(), good), {}, ValueError, "first call of fit_batches.*or set new_classes='add'"),
        ((SGDClassifier(), good), {}, ValueError, "first call of fit_batches with a SGDClassifier.*can occur.$"),
        ((SoftmaxSGDClassifier(), []), {}, ValueError, "no rows in epoch 1"),
    ]:
        with pytest.raises(error, match=message):
            fit_batches(*arguments, **{"shuffle_buffer": shuffle_buffer} | more)
