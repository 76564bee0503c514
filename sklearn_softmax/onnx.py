"""A converter to ONNX for skl2onnx, which has to be installed: one call of `register`."""

import numpy as np

from ._classifier import SoftmaxSGDClassifier

__all__ = ["register"]

ALIAS = "SklearnSoftmaxSGDClassifier"
OPTIONS = {  # those of LogisticRegression
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


def register():
    """Let skl2onnx convert `SoftmaxSGDClassifier`, alone and within whatever else it converts.

    After that, ``skl2onnx.to_onnx`` takes the estimator, and pipelines, searches, calibrated, stacked and other
    meta-estimators that hold some. The graph has the outputs and the options of a `LogisticRegression`: ``zipmap``,
    ``nocl``, ``output_class_labels``, and ``raw_scores``, which gives the scores in place of the probabilities (with two
    classes both, which are each other's negative). The scores are computed in double, whatever the type of the input is.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    sklearn_softmax.SoftmaxSGDClassifier.to_logistic_regression : For converters that know `LogisticRegression` only.

    Examples
    --------
    >>> import sklearn_softmax.onnx
    >>> sklearn_softmax.onnx.register()
    """
    try:
        from skl2onnx import update_registered_converter
        from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    except ImportError as error:
        raise ImportError("sklearn_softmax.onnx needs skl2onnx, which is not installed: try 'pip install skl2onnx'.") from error
    update_registered_converter(SoftmaxSGDClassifier, ALIAS, calculate_linear_classifier_output_shapes, _convert, options=OPTIONS)


def _convert(scope, operator, container):
    """Add the nodes of one fitted estimator to a graph."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import guess_proto_type
    from skl2onnx.common.utils_classifier import get_label_classes

    model = operator.raw_operator
    coef, intercept = _all_rows(model)
    options = container.get_options(model, {"raw_scores": False})

    def add(kind, *inputs, output=None, **attributes):
        output = output or scope.get_unique_variable_name(kind)
        container.add_node(kind, list(inputs), output, name=scope.get_unique_operator_name(kind), **attributes)
        return output

    def constant(name, proto_type, values):
        name = scope.get_unique_variable_name(name)
        container.add_initializer(name, proto_type, list(values.shape), values.ravel().tolist())
        return name

    label, result = (output.full_name for output in operator.outputs)
    # in double, because float32 loses digits where large features and small coefficients meet
    X = add("Cast", operator.inputs[0].full_name, to=TensorProto.DOUBLE)
    products = add("MatMul", X, constant("coef", TensorProto.DOUBLE, coef.T))
    scores = add("Add", products, constant("intercept", TensorProto.DOUBLE, intercept))
    shown = scores
    if not options["raw_scores"]:
        # the scores of two classes are twice those of softmax (and runtimes' Sigmoid is 0 where it is small)
        unit = constant("unit", TensorProto.DOUBLE, np.array([0.5 if len(model.classes_) == 2 else 1.0]))
        shown = add("Softmax", add("Mul", scores, unit), axis=1)
    add("Cast", shown, output=result, to=guess_proto_type(operator.outputs[1].type))

    classes = get_label_classes(scope, model)
    is_number = np.issubdtype(classes.dtype, np.number) or classes.dtype == bool
    labels = classes.astype(np.int64 if is_number else str)
    labels = constant("classes", TensorProto.INT64 if is_number else TensorProto.STRING, labels)
    add("Gather", labels, add("ArgMax", scores, axis=1, keepdims=0), output=label)


def _all_rows(model):
    """(coef, intercept) in double, with a row for each class: of two classes, too, as scores that are each other's negative."""
    coef, intercept = model.coef_, model.intercept_.astype(np.float64)
    coef = (coef if isinstance(coef, np.ndarray) else coef.toarray()).astype(np.float64)
    if len(model.classes_) == 2:
        return np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])
    return coef, intercept


register.__module__ = "sklearn_softmax.onnx"
