"""How a model lies in memory: what users see is a view of it."""

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix

from sklearn_softmax._model import ALIGNMENT, Model

every_shape = pytest.mark.parametrize("n_classes", [2, 3, 8, 9])
every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def public(n_classes, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    n_rows = 1 if n_classes == 2 else n_classes
    return rng.normal(size=(n_rows, 5)).astype(dtype), rng.normal(size=n_rows).astype(dtype)


@every_shape
@every_dtype
@pytest.mark.parametrize("form", [np.asarray, csr_matrix, csr_array])
def test_public_form_comes_back(form, dtype, n_classes):
    coef, intercept = public(n_classes, dtype)
    model = Model.from_public(form(coef), intercept)
    np.testing.assert_array_equal(model.coef, coef)
    np.testing.assert_array_equal(model.public_intercept(), intercept)
    assert model.coef.dtype == model.public_intercept().dtype == dtype
    assert model.n_classes == n_classes


@every_shape
@every_dtype
def test_rows_differ_as_the_public_form_says(n_classes, dtype):
    coef, intercept = public(n_classes, dtype)
    rows, intercepts = Model.from_public(coef, intercept).softmax_coef()
    assert rows.shape == (n_classes, 5)
    assert intercepts.shape == (n_classes,)
    if n_classes == 2:
        np.testing.assert_array_equal(rows, np.vstack([-coef, coef]) / 2)
        np.testing.assert_array_equal(intercepts, np.array([-intercept[0], intercept[0]]) / 2)
    else:
        np.testing.assert_array_equal(rows, coef)
        np.testing.assert_array_equal(intercepts, intercept)


@every_shape
@every_dtype
def test_coef_is_a_view_or_read_only(n_classes, dtype):
    model = Model.zeros(5, n_classes, dtype)
    for coef in (model.coef, model.predictor().coef):
        assert np.shares_memory(coef, model.weights) == (n_classes > 2)
        assert coef.flags.writeable == (n_classes > 2)


@every_shape
@every_dtype
def test_rows_are_those_of_the_softmax_wherever_a_model_comes_from(n_classes, dtype):
    coef, intercept = public(n_classes, dtype)
    model = Model.from_public(coef, intercept)
    rows, intercepts = model.softmax_coef()
    assert np.shares_memory(rows, model.weights) == (n_classes > 2)
    same = Model.zeros(5, n_classes, dtype)
    same.set_softmax_coef(rows + 1, intercepts + 1)  # which changes no probability
    if n_classes == 2:
        np.testing.assert_allclose(same.coef, coef, rtol=1e-5 if dtype == np.float32 else 1e-14)
        np.testing.assert_allclose(same.public_intercept(), intercept, rtol=1e-5 if dtype == np.float32 else 1e-14)
    else:
        np.testing.assert_array_equal(same.softmax_coef()[0], rows + 1)


@pytest.mark.parametrize("averages", [False, True])
def test_a_threshold_acts_in_what_predicts(averages):
    model = Model.from_public(*public(3)).trainable(average=averages)
    before = model.weights.copy()
    model.threshold = 0.5
    if averages:
        model.average[:], model.averaged_weight, model.average_threshold, model.threshold = before, 1.0, 0.5, 0.1
    expected = np.sign(before) * np.maximum(np.abs(before) - 0.5, 0)
    assert (expected == 0).any() and expected.any()
    np.testing.assert_allclose(model.predictor().weights, expected, atol=1e-15)
    np.testing.assert_array_equal(model.predictor([1, 3]).weights, model.predictor().weights[[1, 3]])
    np.testing.assert_array_equal(model.weights, before)
    settled = model.copy()
    settled.settle()
    np.testing.assert_array_equal(settled.predictor().weights, model.predictor().weights)
    settled.enter(0.7)
    np.testing.assert_allclose(settled.predictor().weights, expected, atol=1e-15)
    assert not settled.predictor().weights[expected == 0].any()
    grown, shown = model.with_class(1, 10.0).predictor().softmax_coef()[0], model.predictor().softmax_coef()[0]
    np.testing.assert_array_equal(grown[[0, 2, 3]], shown)
    np.testing.assert_allclose(grown[1], shown.mean(axis=0), atol=1e-15)


@every_shape
@every_dtype
def test_rows_of_weights_are_aligned_and_padded(n_classes, dtype):
    model = Model.zeros(5, n_classes, dtype)
    assert model.weights.ctypes.data % ALIGNMENT == 0
    assert model.weights.shape[1] == 1 if n_classes == 2 else model.weights.strides[0] % 32 == 0
    assert model.copy().weights.ctypes.data % ALIGNMENT == 0
    assert np.isneginf(model.intercept[model.n_columns :]).all()
    assert not model.intercept[: model.n_columns].any()


def averaged(n_classes):
    model = Model.from_public(*public(n_classes)).trainable(average=True)
    model.average[:, :n_classes] = 7
    model.averaged_weight = 2.0
    return model


@every_shape
def test_predictor_is_the_average_if_it_has_any_weight(n_classes):
    model = averaged(n_classes)
    assert np.shares_memory(model.predictor().weights, model.average)
    model.averaged_weight = 0.0
    assert np.shares_memory(model.predictor().weights, model.weights)


@every_shape
def test_a_copy_shares_no_memory_and_assign_restores_it(n_classes):
    model = averaged(n_classes)
    copy = model.copy()
    for name in ("weights", "intercept", "average", "intercept_average"):
        assert not np.shares_memory(getattr(model, name), getattr(copy, name))
        getattr(model, name)[:] = np.nan
    model.averaged_weight = 9.0
    weights = model.weights
    model.assign(copy)
    for name in ("weights", "intercept", "average", "intercept_average"):
        np.testing.assert_array_equal(getattr(model, name), getattr(copy, name))
    assert model.averaged_weight == 2.0
    assert model.weights is weights


def test_trainable_shares_memory_unless_it_is_read_only():
    model = Model.from_public(*public(3))
    assert np.shares_memory(model.trainable(average=False).weights, model.weights)
    model.weights.flags.writeable = model.intercept.flags.writeable = False
    trainable = model.trainable(average=False)
    trainable.weights[:] = 0
    trainable.intercept[:] = 0
    np.testing.assert_array_equal(model.coef, public(3)[0])


@every_shape
@pytest.mark.parametrize("name", ["weights", "intercept", "average", "intercept_average"])
def test_is_finite_looks_at_every_array(name, n_classes):
    model = averaged(n_classes)
    assert model.is_finite()
    getattr(model, name)[0] = np.inf
    assert not model.is_finite()
