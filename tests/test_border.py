"""What users may hand over, in whatever memory it lies, and what must not reach a pointer."""

import itertools
import pickle

import numpy as np
import pytest
import scipy
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.utils.fixes import parse_version

from sklearn_softmax import SoftmaxSGDClassifier, kernels
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
        assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()


# The compiled border itself ------------------------------------------------------------------------------------------------


def decision(**changes):
    model = Model.zeros(N_FEATURES, 3, np.float64)
    arguments = dict(
        values=np.ones(2 * N_FEATURES),
        columns=np.tile(np.arange(N_FEATURES, dtype=np.int32), 2),
        starts=np.array([0, N_FEATURES, 2 * N_FEATURES], dtype=np.int32),
        weights=model.weights,
        intercept=model.intercept,
        out=np.empty((2, 3)),
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
        {"out": np.empty((2, 3), dtype=np.float32)},
        {"out": read_only(np.empty((2, 3)))},
        {"out": np.empty((3, 2)).T},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_a_pointer_could_not_walk_through_does_not_pass_the_border(changes):
    assert (decision() == 0).all()
    with pytest.raises((TypeError, ValueError, AttributeError)):
        decision(**changes)
