"""What users may hand over, in whatever memory it lies, and what must not reach a pointer."""

import itertools
import pickle
from contextlib import suppress
from importlib import import_module

import numpy as np
import pytest
import scipy
import scipy.sparse as sp
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.utils.fixes import parse_version

from sklearn_softmax import SoftmaxSGDClassifier, _containers, _validation, kernels
from sklearn_softmax._containers import joined_labels
from sklearn_softmax._model import Model

law = settings()  # of the profile in conftest.py
SIXTEENTHS = st.integers(-64, 64).map(lambda number: number / 16)
N_SAMPLES, N_FEATURES = 8, 5
LABELS = np.array([0, 1, 2, 0, 1, 2, 2, 1])

# scipy < 1.13 has none
ONE_DIMENSIONAL = [sp.coo_array((5,))] if parse_version(scipy.__version__) >= parse_version("1.13") else []


def rows():
    values = st.one_of(st.just(0.0), SIXTEENTHS)
    return arrays(np.float64, (N_SAMPLES, N_FEATURES), elements=values)


def trained(X, y=LABELS, sample_weight=None):
    """Two calls, of which the first checks all and the second may be trusted to be like it; and probabilities."""
    model = SoftmaxSGDClassifier().partial_fit(X, y, [0, 1, 2], sample_weight).partial_fit(X, y, sample_weight=sample_weight)
    return model.coef_, model.intercept_, model.predict_proba(X)


def assert_same(one, other):
    for array, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-12, atol=1e-14)


# Memory --------------------------------------------------------------------------------------------------------------------


def misaligned(array):
    memory = np.empty(array.nbytes + 1, dtype=np.uint8)[1:]
    copy = memory.view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


FORMS = {
    "as it is": lambda array: array,
    "misaligned": misaligned,
    "read-only": read_only,
    "every second": lambda array: np.repeat(array, 2, axis=0)[::2],
    "backwards": lambda array: array[::-1].copy()[::-1],
    "Fortran's order": np.asfortranarray,
    "the other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "a part of more": lambda array: np.pad(array, [(1, 2)] * array.ndim)[(slice(1, -2),) * array.ndim],
    "broadcast": lambda array: np.broadcast_to(array, (2, *array.shape))[1],
}
forms = st.sampled_from(list(FORMS.values()))
INDEX_TYPES = ["int32", "int64", "uint32", "uint64", "int16", "uint8", ">i4", ">i8"]


@law
@given(rows(), forms, forms, forms)
def test_dense_rows_may_lie_in_any_memory(X, form_of_X, form_of_y, form_of_weight):
    weight = np.linspace(0.5, 1.5, N_SAMPLES)
    assert_same(trained(form_of_X(X), form_of_y(LABELS), form_of_weight(weight)), trained(X, LABELS, weight))


@law
@given(rows(), forms, st.sampled_from(["float32", "float16", "longdouble", ">f4", "int8", "bool"]))
def test_dense_rows_may_be_of_any_type_of_numbers(X, form, dtype):
    X = form(X.astype(dtype))
    assert_same(trained(X), trained(X.astype(np.float32 if X.dtype == np.float32 else np.float64)))


@law
@given(arrays(np.float64, N_SAMPLES * 2 + N_FEATURES, elements=SIXTEENTHS), st.integers(1, 2))
def test_rows_may_overlap(memory, step):
    X = np.lib.stride_tricks.as_strided(memory, (N_SAMPLES, N_FEATURES), (8 * step, 8))
    assert_same(trained(X), trained(X.copy()))


@st.composite
def messy_csr(draw):
    """(CSR, the dense array): entries in any order, some in two parts, zeros among them, in any memory and of any type."""
    X = draw(rows())
    data, indices, indptr = [], [], [0]
    for row in X:
        entries = []
        for column, value in enumerate(row):
            if value == 0:
                entries += draw(st.sampled_from([[], [], [(column, 0.0)], [(column, 1.5), (column, -1.5)]]))
            else:
                entries += draw(st.sampled_from([[(column, value)], [(column, value / 2)] * 2, [(column, value), (column, 0.0)]]))
        entries = draw(st.permutations(entries))
        indices += [column for column, _ in entries]
        data += [value for _, value in entries]
        indptr.append(len(data))
    n_more = draw(st.integers(0, 3))  # after the last row: nobody's
    data, indices = data + [7.0] * n_more, indices + [10**6 if n_more > 1 else 0] * n_more
    type_of_indices, type_of_indptr = draw(st.sampled_from(INDEX_TYPES)), draw(st.sampled_from(INDEX_TYPES))
    indices = np.array(indices, dtype=np.int64)
    if len(indices) and indices.max() > np.iinfo(np.dtype(type_of_indices)).max:
        type_of_indices = "int64"
    csr = draw(st.sampled_from([sp.csr_array, sp.csr_matrix]))(X.shape)
    vector_forms = [form for name, form in FORMS.items() if name != "the other byte order"]
    form = draw(st.sampled_from(vector_forms))
    csr.data = form(np.array(data, dtype=np.float64))
    csr.indices = form(indices.astype(type_of_indices))
    csr.indptr = form(np.array(indptr).astype(type_of_indptr))
    return csr, X


@law
@given(messy_csr())
def test_csr_of_any_form_is_its_canonical_form(pair):
    messy, X = pair
    arrays = [array.copy() for array in (messy.data, messy.indices, messy.indptr)]
    expected = trained(sp.csr_array(X))
    assert_same(trained(messy), expected)
    for array, before in zip((messy.data, messy.indices, messy.indptr), arrays):
        assert np.array_equal(array, before)  # not modified


# What must be refused ------------------------------------------------------------------------------------------------------


def dense_of(data, indices, indptr, n_rows):
    """The array that CSR says, or None if it says none."""
    if len(indptr) != n_rows + 1 or len(data) != len(indices) or indptr[0] != 0 or indptr[-1] > len(data):
        return None
    if any(end < begin for begin, end in itertools.pairwise(indptr)):
        return None
    used = indices[: indptr[-1]]
    if any(column < 0 or column >= N_FEATURES for column in used):
        return None
    X = np.zeros((n_rows, N_FEATURES))
    for i in range(n_rows):
        for n in range(indptr[i], indptr[i + 1]):
            X[i, indices[n]] += data[n]
    return X


@law
@given(
    st.lists(st.tuples(SIXTEENTHS, st.integers(-1, N_FEATURES)), max_size=12),
    st.one_of(
        st.lists(st.integers(-2, 14), min_size=N_SAMPLES - 1, max_size=N_SAMPLES + 3),
        st.lists(st.integers(0, 12), min_size=N_SAMPLES, max_size=N_SAMPLES),  # which may be right, if sorted
    ),
    st.booleans(),
    st.sampled_from([np.int32, np.int64]),
    st.sampled_from(["fit", "partial_fit", "predict"]),
)
def test_csr_is_an_array_or_an_error(entries, indptr, is_sorted, index, method):
    data, indices = np.array([value for value, _ in entries]), np.array([column for _, column in entries], dtype=index)
    indptr = np.array([0, *(sorted(indptr) if is_sorted else indptr)], dtype=index)
    csr = sp.csr_array((N_SAMPLES, N_FEATURES))
    csr.data, csr.indices, csr.indptr = data, indices, indptr
    expected = dense_of(data, indices, indptr, N_SAMPLES)
    X0 = sp.csr_array(np.eye(N_SAMPLES, N_FEATURES))
    model = SoftmaxSGDClassifier(max_iter=2, tol=None, random_state=0).partial_fit(X0, LABELS, [0, 1, 2])
    more = [] if method == "predict" else [LABELS]
    if expected is None:
        before = pickle.dumps(model)
        with pytest.raises(ValueError):
            getattr(model, method)(csr, *more)
        assert pickle.dumps(model) == before
    else:
        twin = pickle.loads(pickle.dumps(model))
        result, of_twin = (getattr(one, method)(X, *more) for one, X in ((model, csr), (twin, sp.csr_array(expected))))
        if method == "predict":
            np.testing.assert_array_equal(result, of_twin)
        assert_same([model.coef_, model.intercept_], [twin.coef_, twin.intercept_])


def test_duplicates_that_overflow_are_refused():
    X = sp.csr_array((np.full(4, 1.5e308), [0, 0, 1, 1], [0, 2, 4]), shape=(2, 2))
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="duplicates that add up"):
            getattr(SoftmaxSGDClassifier(), method)(X, [0, 1], **({} if method == "fit" else {"classes": [0, 1]}))


@pytest.mark.parametrize("flaw", ["float indices", "a column of data", "a short indptr", "no indptr"])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict_proba"])
def test_csr_of_something_else_is_refused(flaw, method):
    X, y = sp.csr_array(np.eye(N_SAMPLES, N_FEATURES)), LABELS
    model = SoftmaxSGDClassifier(max_iter=2, tol=None).fit(X, y)
    before = pickle.dumps(model)
    X = X.copy()
    if flaw == "float indices":
        X.indices, X.indptr = X.indices.astype(float), X.indptr.astype(float)
    elif flaw == "a column of data":
        X.data = X.data[:, None]
    else:
        X.indptr = X.indptr[:-2] if flaw == "a short indptr" else X.indptr[:0]
    with pytest.raises((ValueError, TypeError)):
        getattr(model, method)(X, *([] if method == "predict_proba" else [y]))
    assert pickle.dumps(model) == before


# scikit-learn casts labels to integers, and NumPy warns of those that are none
NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.just(np.nan), st.just(np.inf))
ANYTHING = st.one_of(
    arrays(np.float64, st.sampled_from([(8, 5), (8,), (8, 5, 1), (0, 5), (8, 0), (8, 4), (7, 5)]), elements=NUMBERS),
    arrays(np.complex128, (8, 5)),
    arrays("U2", (8, 5)),
    arrays("M8[s]", (8, 5)),
    st.sampled_from([None, 3, "text", [[1, 2], [3]], {}, object(), [[None] * 5] * 8, sp.csr_array((8, 4)), *ONE_DIMENSIONAL]),
)


@law
@given(ANYTHING, st.one_of(ANYTHING, st.just(LABELS)), st.one_of(ANYTHING, st.none()), st.sampled_from(["fit", "partial_fit"]))
def test_anything_is_learnt_from_or_refused(X, y, sample_weight, method):
    model = SoftmaxSGDClassifier(max_iter=2, tol=None, random_state=0)
    model.partial_fit(np.eye(N_SAMPLES, N_FEATURES), LABELS, [0, 1, 2])
    before = pickle.dumps(model)
    try:
        getattr(model, method)(X, y, sample_weight=sample_weight)
    except (ValueError, TypeError):
        assert pickle.dumps(model) == before
    else:
        twin = pickle.loads(before)
        getattr(twin, method)(np.array(X, dtype=np.float64), y, sample_weight=sample_weight)
        assert np.isfinite(model.coef_).all()
        assert np.array_equal(model.coef_, twin.coef_) and np.array_equal(model.intercept_, twin.intercept_)


# Labels --------------------------------------------------------------------------------------------------------------------


def optional(name):
    try:
        return import_module(name)
    except ImportError:  # also of a version for another NumPy
        return None


LIBRARIES = {name: optional(name) for name in ("pandas", "polars", "pyarrow")}
pd, pl, pa = LIBRARIES.values()


def needs(library, function):
    return pytest.param(function, marks=pytest.mark.skipif(LIBRARIES[library] is None, reason=f"needs {library}"))


LABEL_CONTAINERS = [
    pytest.param(lambda y: y, id="ndarray"),
    pytest.param(lambda y: y.tolist(), id="list"),
    pytest.param(lambda y: tuple(y.tolist()), id="tuple"),
    pytest.param(lambda y: y.astype(object) if y.dtype.kind == "U" else y.astype(float), id="objects or floats"),
    needs("pandas", lambda y: pd.Series(y, index=range(7, 7 + len(y)))),
    needs("pandas", lambda y: pd.Index(y)),
    needs("pandas", lambda y: pd.Series(y).astype("category")),
    needs("pandas", lambda y: pd.Series(y).astype({"U": "string", "i": "Int64"}[y.dtype.kind])),
    needs("polars", lambda y: pl.Series(y)),
    needs("pyarrow", lambda y: pa.array(y)),
    needs("pyarrow", lambda y: pa.chunked_array([y[:1], y[1:]])),
    needs("pyarrow", lambda y: pa.array(y).dictionary_encode()),
]


@pytest.mark.parametrize("container_of_classes", LABEL_CONTAINERS)
@pytest.mark.parametrize("container", LABEL_CONTAINERS)
def test_labels_may_come_in_any_container(container, container_of_classes, fitted):
    X, weight = np.arange(120.0).reshape(24, 5) % 7, np.linspace(0.5, 1, 24)
    numbers = np.arange(24) % 20  # so many of so few rows are labels all the same
    for y in (numbers, np.array([f"label {n}" for n in numbers])):
        classes = np.unique(y)
        expected = SoftmaxSGDClassifier().partial_fit(X, y, classes, weight).partial_fit(X, y)
        model = SoftmaxSGDClassifier().partial_fit(X, container(y), container_of_classes(classes), weight)
        model.partial_fit(X, container(y), container_of_classes(classes))
        assert fitted(model)["coef_"] == fitted(expected)["coef_"]
        assert model.classes_.tolist() == classes.tolist() and model.t_ == expected.t_
        y_val = y[::2]
        y = np.concatenate([classes, classes[::-1], classes])
        rows = np.resize(X, (len(y), 5))
        quick = dict(max_iter=2, tol=None, early_stopping=True, random_state=0)
        assert (
            fitted(SoftmaxSGDClassifier(**quick).fit(rows, container(y), X_val=X[::2], y_val=container(y_val)))["coef_"]
            == fitted(SoftmaxSGDClassifier(**quick).fit(rows, y, X_val=X[::2], y_val=y_val))["coef_"]
        )


integers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.sampled_from([2**53, 2**62, 2**63, 2**64 - 2**11]).flatmap(lambda near: st.integers(near - 2, near + 2)),
    st.integers(-3, 3),
)
DTYPES_OF_INTEGERS = ["bool", "int8", "uint8", "int32", "int64", "uint64", "float32", "float64"]


def exactly(numbers, dtype):
    """Those of the numbers that the type can hold."""
    return np.array([n for n in numbers if dtype_holds(n, dtype)], dtype=dtype)


def dtype_holds(number, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return int(dtype.type(number)) == number
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return low <= number <= high


@law
@given(st.lists(integers, max_size=8), st.lists(integers, max_size=8), *[st.sampled_from(DTYPES_OF_INTEGERS)] * 2)
def test_a_label_is_the_class_of_the_same_number_whatever_types_both_have(labels, classes, dtype, dtype_of_classes):
    labels, classes = exactly(labels, dtype), np.unique(exactly(classes, dtype_of_classes))
    numbers, unseen = _containers.numbers_and_unseen(labels, classes)
    known = [int(label) for label in classes.tolist()]
    given_labels = [int(label) for label in labels.tolist()]
    assert [int(label) for label in unseen.tolist()] == [label for label in given_labels if label not in known]
    if not len(unseen):
        assert [known[number] for number in numbers] == given_labels
    if (dtype == "bool") != (dtype_of_classes == "bool") and len(classes):
        return
    everything = sorted({*given_labels, *known})
    try:
        union = _containers.union_of_classes(classes, labels)
    except ValueError:
        assert not any(all(dtype_holds(n, candidate) for n in everything) for candidate in ("int64", "uint64"))
    else:
        assert [int(label) for label in union.tolist()] == everything
        for some in (classes, np.unique(labels)):
            assert union[_containers.are_among(union, some)].tolist() == sorted(int(label) for label in some.tolist())
    joined = joined_labels([labels, classes])
    assert [int(label) for label in joined.tolist()] == given_labels + known


def test_large_labels_do_not_merge():
    X = np.eye(4)
    for labels in (
        [2**53, 2**53 + 1, 2**53 + 2, 2**53 + 3],
        [np.uint64(2**63), np.uint64(2**63 + 1), np.int64(3), 4],
        *([pd.Series([2**53, 2**53 + 1, 5, 6], dtype="Int64")] if pd else []),
    ):
        for model in (
            SoftmaxSGDClassifier(tol=None, max_iter=2).fit(X, labels),
            SoftmaxSGDClassifier().partial_fit(X, labels, labels),
            SoftmaxSGDClassifier(new_classes="add").partial_fit(X, labels),
        ):
            assert model.classes_.dtype.kind in "iu" and model.classes_.tolist() == sorted(map(int, labels))


BAD_LABELS = [
    ([0, 1, "a", "a"], ValueError, "labels of int, str"),
    ([0, 1, None, 1], ValueError, "contains NaN"),
    (["a", "b", np.nan, "b"], ValueError, "contains NaN"),
    ([0, 1, np.nan, 1], ValueError, "contains NaN"),
    ([0, 1, np.inf, 1], ValueError, "infinity"),
    ([2**63, -1, 0, 0], ValueError, "labels of int"),
    ([2**53 + 1, 1.0, 0, 0], ValueError, "labels of float, int"),
    ([0.5, 1, 2, 3], ValueError, "Unknown label type: continuous"),
    ([b"a", b"b", b"a", b"b"], TypeError, "bytes is not supported"),
    (np.array([b"a", b"b", b"a", b"b"], dtype=object), TypeError, "bytes is not supported"),
    (np.array(["2020", "NaT", "2021", "2020"], dtype="M8[D]"), ValueError, "contains NaN"),
    (np.ma.array([0, 1, 0, 1], mask=[0, 0, 1, 0]), ValueError, "masked"),
    (np.array([0, 1j, 0, 1]), ValueError, "Complex data not supported"),
    (sp.csr_array(np.eye(4, dtype=int)), TypeError, "Sparse data"),
    ("abcd", ValueError, "1d array, got str"),
    (np.zeros((4, 2), dtype=int), ValueError, "1d array"),
]
BAD_LABELS += [(pd.Series([0, None, 1, 1], dtype="Int64"), ValueError, "contains NaN")] if pd else []
BAD_LABELS += [(pl.Series(["a", None, "b", "b"]), ValueError, "contains NaN")] if pl else []


@pytest.mark.parametrize("bad, error, message", BAD_LABELS, ids=[str(bad[0])[:30].replace("\n", " ") for bad in BAD_LABELS])
def test_what_is_no_label_is_refused_by_name(bad, error, message):
    X = np.eye(4)
    model = SoftmaxSGDClassifier(max_iter=2, tol=None).fit(X, [0, 1, 0, 1])
    before = pickle.dumps(model)
    for name, call in {
        "y": lambda: model.fit(X, bad),
        " y": lambda: model.partial_fit(X, bad),
        "classes": lambda: SoftmaxSGDClassifier().partial_fit(X, [0, 1, 0, 1], bad),
        "y_val": lambda: model.set_params(early_stopping=True).fit(X, [0, 1, 0, 1], X_val=X, y_val=bad),
    }.items():
        with pytest.raises(error, match=message) as caught:
            call()
        if "should be" in str(caught.value) or error is TypeError:
            assert name.strip() in str(caught.value)
        model.set_params(early_stopping=False)
        assert pickle.dumps(model) == before


def test_classes_need_no_order_and_labels_do():
    X, y = np.eye(4), np.array(["a", "b", "a", "b"])
    for classes in ({"a", "b"}, {"a": 1, "b": 2}.keys(), {"a": 1, "b": 2}, frozenset("ab"), (label for label in "ab")):
        assert SoftmaxSGDClassifier().partial_fit(X, y, classes).classes_.tolist() == ["a", "b"]
    for labels in ({"a", "b"}, {"a": 1}.keys()):
        for name, arguments in {"y": dict(y=labels), "y_val": dict(y=y, X_val=X, y_val=labels)}.items():
            with pytest.raises(ValueError, match=f"^{name} should be a 1d array, got {type(labels).__name__}"):
                SoftmaxSGDClassifier(early_stopping=True).fit(X, **arguments)


def test_many_object_labels_are_found_without_comparing_them_all():
    classes = [f"label {number:05d}" for number in range(20_000)]
    comparisons = 0

    class Label(str):
        def __lt__(self, other):
            nonlocal comparisons
            comparisons += 1
            return str.__lt__(self, other)

    known = np.unique(classes)
    labels = np.empty(100, dtype=object)
    labels[:] = [Label(label) for label in classes[:10_000:100]]
    for classes_ in (known, known.astype(object)):
        numbers, unseen = _containers.numbers_and_unseen(labels, classes_)
        assert numbers.tolist() == list(range(0, 10_000, 100)) and len(unseen) == 0
    assert comparisons <= 100 * 20


@pytest.mark.parametrize("name", ["sample_weight", "sample_weight_val"])
@pytest.mark.parametrize(
    "bad, message",
    [
        (np.ones(8, dtype="M8[s]"), "datetime64"),
        (np.ones(8, dtype="m8[s]"), "timedelta64"),
        (["1"] * 8, "<U1"),
        (np.array(["1"] * 8, dtype=object), "object, for instance"),
        (np.ones(8) * 1j, "complex"),
        (1j, "complex"),
        ([None] * 8, "NaN"),
        ({1, 2}, "no number"),
        ([10**400] * 8, "no number"),
        (np.ones((8, 1)), r"\(8, 1\): pass one weight per row"),
    ],
    ids=str,
)
def test_what_is_no_weight_is_refused_by_name(bad, message, name):
    X, y = np.eye(N_SAMPLES, N_FEATURES), LABELS
    more = {} if name == "sample_weight" else dict(X_val=X, y_val=y)
    with pytest.raises(ValueError, match=message) as caught:
        SoftmaxSGDClassifier(early_stopping=bool(more)).fit(X, y, **more, **{name: bad})
    assert f"{name} " in str(caught.value) or f"'{name}'" in str(caught.value)


# Names of columns ----------------------------------------------------------------------------------------------------------

FRAMES = [
    needs("pandas", lambda X, names: pd.DataFrame(X, columns=names)),
    needs("pandas", lambda X, names: pd.DataFrame({name: X[:, j] for j, name in enumerate(names)})),
    needs("polars", lambda X, names: pl.DataFrame({name: X[:, j] for j, name in enumerate(names)})),
    needs("pyarrow", lambda X, names: pa.table({name: X[:, j] for j, name in enumerate(names)})),
]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
def test_frames_are_arrays_with_names(frame, dtype, fitted):
    X = (np.arange(40).reshape(8, 5) % 7).astype(dtype)
    names = list("abcde")
    arrays = SoftmaxSGDClassifier().partial_fit(X, LABELS, [0, 1, 2])
    frames = SoftmaxSGDClassifier().partial_fit(frame(X, names), LABELS, [0, 1, 2])
    for rows in (slice(None), slice(1), slice(3, 4)):
        for _ in range(2):
            assert np.array_equal(frames.predict_proba(frame(X[rows], names)), arrays.predict_proba(X[rows]))
        arrays.partial_fit(X[rows], LABELS[rows])
        frames.partial_fit(frame(X[rows], names), LABELS[rows])
    assert fitted(frames)["coef_"] == fitted(arrays)["coef_"]
    state = pickle.dumps(frames)
    for other in (["a", "c", "b", "d", "e"], list("abcdf"), list("abcd"), list("abcdef")):
        for _ in range(2):
            with pytest.raises(ValueError, match="feature names should match"):
                frames.predict(frame(np.resize(X, (8, len(other))), other))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        frames.predict(X)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="NaN|infinity"):
            frames.predict(frame(np.full((1, 5), value), names))
    assert pickle.dumps(frames) == state
    frames.fit(X, LABELS)
    with pytest.warns(UserWarning, match="X has feature names"):
        frames.predict(frame(X, names))


@pytest.mark.skipif(pd is None, reason="needs pandas")
def test_columns_that_were_checked_are_not_checked_again(monkeypatch):
    X = pd.DataFrame(np.eye(8, 5), columns=list("abcde"))
    model = SoftmaxSGDClassifier(max_iter=2, tol=None).fit(X, LABELS)
    expected = model.predict_proba(X)
    copy = pickle.loads(pickle.dumps(model))
    copy.predict(X)
    monkeypatch.setattr(_validation, "validate_data", None)
    assert np.array_equal(model.predict_proba(X), expected)
    assert np.array_equal(model.predict_proba(X.set_axis(list("abcde"), axis=1)), expected)
    assert np.array_equal(copy.predict_proba(X), expected)
    for other in (
        X[list("bacde")],
        X.astype("Float64"),
        X.astype({"a": "category"}),
        X.assign(a="1"),
        X.rename(columns={"a": "A"}),
    ):
        with pytest.raises(TypeError):  # they have to be looked at
            model.predict_proba(other)


def test_a_subclass_may_have_no_number_of_features():
    class Nameless(SoftmaxSGDClassifier):
        n_features_in_ = property(lambda self: (_ for _ in ()).throw(AttributeError("none")), lambda self, value: None)

    X = np.eye(N_SAMPLES, N_FEATURES)
    model = Nameless().partial_fit(X, LABELS, [0, 1, 2]).partial_fit(X, LABELS)
    assert np.array_equal(
        model.predict(X), SoftmaxSGDClassifier().partial_fit(X, LABELS, [0, 1, 2]).partial_fit(X, LABELS).predict(X)
    )


# Arrays of other libraries -------------------------------------------------------------------------------------------------


class Elsewhere:
    """An array in the memory of a device, as far as anybody here looks at it."""

    device, shape, ndim, dtype = "cuda:0", (8, 5), 2, np.dtype(np.float64)

    def __dlpack_device__(self):
        return 2, 0


@pytest.mark.parametrize("dispatch", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_arrays_of_other_libraries_come_in_and_go_out(library, dtype, dispatch, fitted):
    is_old = parse_version(sklearn.__version__) < parse_version("1.7")
    if dispatch and is_old:
        pytest.skip("scikit-learn 1.6 dispatches with one more package only")
    xp = pytest.importorskip(library)
    X, weight = (np.arange(40).reshape(8, 5) % 7).astype(dtype), np.linspace(0.5, 1, 8)
    quick = dict(max_iter=3, tol=None, random_state=0)
    expected = SoftmaxSGDClassifier(**quick).fit(X, LABELS, weight)
    with sklearn.config_context(array_api_dispatch=dispatch):
        A, y, w = xp.asarray(X), xp.asarray(LABELS), xp.asarray(weight)
        model = SoftmaxSGDClassifier(**quick).fit(A, y, w)
        assert fitted(model) == fitted(expected)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            out, value = getattr(model, method)(A), getattr(expected, method)(X)
            assert type(out) is (type(A) if dispatch else np.ndarray)
            assert np.array_equal(np.asarray(out), value) and np.asarray(out).dtype == value.dtype
        if not is_old:  # which takes the CPU of two libraries for two devices
            assert model.score(A, y) == pytest.approx(expected.score(X, LABELS))
        text = np.array(["a", "b", "c"])[LABELS]
        assert type(SoftmaxSGDClassifier(**quick).fit(A, text).predict(A)) is np.ndarray  # there is no text elsewhere
        model.partial_fit(A, y, xp.asarray(np.arange(3)), w)
        assert fitted(model)["coef_"] == fitted(expected.partial_fit(X, LABELS, None, weight))["coef_"]
        expected = SoftmaxSGDClassifier(early_stopping=True, **quick).fit(
            X, LABELS, X_val=X, y_val=LABELS, sample_weight_val=weight
        )
        model = SoftmaxSGDClassifier(early_stopping=True, **quick).fit(A, y, X_val=A, y_val=y, sample_weight_val=w)
        assert fitted(model) == fitted(expected)


def test_arrays_on_other_devices_are_refused_by_name():
    elsewhere = [Elsewhere()]
    with suppress(ImportError):
        import torch

        elsewhere.append(torch.ones((8, 5), device="meta"))
    with suppress(ImportError):
        import array_api_strict

        elsewhere.append(array_api_strict.ones((8, 5), device=array_api_strict.Device("device1")))
    X = np.eye(N_SAMPLES, N_FEATURES)
    model = SoftmaxSGDClassifier(max_iter=2, tol=None).fit(X, LABELS)
    for array in elsewhere:
        for name, call in {
            "X": lambda array=array: model.fit(array, LABELS),
            "X ": lambda array=array: model.predict_proba(array),
            "y": lambda array=array: model.fit(X, array),
            "sample_weight": lambda array=array: model.partial_fit(X, LABELS, sample_weight=array),
            "classes": lambda array=array: SoftmaxSGDClassifier().partial_fit(X, LABELS, array),
        }.items():
            with pytest.raises(ValueError, match=rf"^{name.strip()} is a .* computes on the CPU. Move .* to the CPU first"):
                call()


# The compiled border itself ------------------------------------------------------------------------------------------------


def decision(**changes):
    model = Model.zeros(N_FEATURES, 3, np.float64)
    arguments = dict(
        values=np.ones(2 * N_FEATURES),
        columns=np.tile(np.arange(N_FEATURES, dtype=np.int32), 2),
        starts=np.array([0, N_FEATURES, 2 * N_FEATURES], dtype=np.int32),
        weights=model.weights,
        intercept=model.intercept,
        out=np.zeros((2, 3)),
    )
    arguments.update(changes)
    positional = [arguments.pop(name) for name in ("values", "columns", "starts")]
    kernels.decision(*positional, **arguments)
    return arguments["out"]


@pytest.mark.parametrize(
    "changes",
    [
        {"values": np.ones(10, dtype=np.int64)},
        {"values": np.ones(10, dtype=np.float32)},  # of another type than the weights
        {"values": np.ones((2, 5))},
        {"values": np.ones(20)[::2]},
        {"values": [1.0] * 10},
        {"columns": np.zeros(10, np.int16)},
        {"columns": np.zeros(10)},
        {"weights": np.zeros(20)},
        {"weights": np.zeros((4, 5)).T},
        {"intercept": np.zeros(4, dtype=np.float32)},
        {"out": np.zeros((2, 3), dtype=np.float32)},
        {"out": read_only(np.zeros((2, 3)))},
        {"out": np.zeros((3, 2)).T},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_a_pointer_could_not_walk_through_does_not_pass_the_border(changes):
    assert (decision() == 0).all()
    with pytest.raises((TypeError, ValueError, AttributeError)):
        decision(**changes)


@pytest.mark.parametrize("params", [{}, {"learning_rate": "constant"}])
def test_what_lies_behind_the_last_row_of_csr_is_not_read(params, make_data, fitted):
    X, y = make_data()
    X[:, 3] = 0
    csr = sp.csr_array(X)
    longer = sp.csr_array(X)
    longer.data = np.append(longer.data, [7.0, 1e300])
    longer.indices = np.append(longer.indices, np.array([77, -3], longer.indices.dtype))
    for method in (["fit"], ["partial_fit"], ["partial_fit", "partial_fit"]):
        one, other = (SoftmaxSGDClassifier(max_iter=2, tol=None, random_state=0, **params) for _ in range(2))
        for name in method:
            more = [[0, 1, 2]] if name == "partial_fit" else []
            getattr(one, name)(csr, y, *more)
            getattr(other, name)(longer, y, *more)
        assert fitted(other) == fitted(one)
        np.testing.assert_array_equal(other.predict_proba(longer), one.predict_proba(csr))
        np.testing.assert_array_equal(other.predict_proba(longer[:2]), one.predict_proba(csr[:2]))


@pytest.mark.parametrize("dtype", ["?", "b", "B", "h", "H", "i", "I", "q", "Q"])
@pytest.mark.parametrize("low, high, n", [(0, 2, 100), (-3, 4, 50), (-128, 128, 2000), (0, 1000, 30), (2**63 - 9, 2**63, 99)])
def test_labels_are_counted_and_numbered_as_by_sorting(low, high, n, dtype):
    limits = (0, 1) if dtype == "?" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    low, high = max(low, limits[0]), min(high, limits[1] + 1)
    if low >= high:
        low, high = limits[1] - 3, limits[1] + 1
    draws = np.random.default_rng(0).integers(0, high - low, n).tolist()
    labels = np.array([low + draw for draw in draws], dtype=dtype)
    expected = np.unique(labels)
    found = _containers.unique_labels(labels)
    assert found.dtype == labels.dtype
    np.testing.assert_array_equal(found, expected)
    some = expected[1:-1] if len(expected) > 2 else expected
    numbers, unseen = _containers.numbers_and_unseen(labels, some)
    is_known = np.isin(labels, some)
    np.testing.assert_array_equal(some[numbers[is_known]], labels[is_known])
    np.testing.assert_array_equal(unseen, labels[~is_known])
