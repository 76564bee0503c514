"""A converter to ONNX for skl2onnx. Call `register` once to use it."""

import numpy as np

from ._classifier import SoftmaxSGDClassifier

__all__ = ["register"]

ALIAS = "SklearnSoftmaxSGDClassifier"
OPTIONS = {  # the options of LogisticRegression
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


def register():
    """Let skl2onnx convert `SoftmaxSGDClassifier` to ONNX.

    Afterwards, ``skl2onnx.to_onnx`` accepts the estimator, and also pipelines, searches
    and other meta-estimators that contain it. The graph has the outputs of a
    `LogisticRegression` and its options: ``zipmap``, ``nocl``, ``output_class_labels``
    and ``raw_scores``. With ``raw_scores`` the graph gives scores instead of
    probabilities. Two classes then have two scores, each the negative of the other.
    Scores are computed in double precision, whatever the type of the input.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    sklearn_softmax.SoftmaxSGDClassifier.to_logistic_regression : For other converters.

    Examples
    --------
    >>> import sklearn_softmax.onnx
    >>> sklearn_softmax.onnx.register()
    """
    try:
        from skl2onnx import update_registered_converter
        from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    except ImportError as error:
        raise ImportError("sklearn_softmax.onnx needs skl2onnx, which is not installed. Try 'pip install skl2onnx'.") from error
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
    # in double, because float32 loses digits of large features times small coefficients
    X = add("Cast", operator.inputs[0].full_name, to=TensorProto.DOUBLE)
    products = add("MatMul", X, constant("coef", TensorProto.DOUBLE, coef.T))
    scores = add("Add", products, constant("intercept", TensorProto.DOUBLE, intercept))
    shown = scores
    if not options["raw_scores"]:
        # The two scores are s and -s, and probabilities are softmax(s / 2, -s / 2). A
        # runtime's Sigmoid is no alternative, because it returns 0 for small values.
        unit = constant("unit", TensorProto.DOUBLE, np.array([0.5 if len(model.classes_) == 2 else 1.0]))
        shown = add("Softmax", add("Mul", scores, unit), axis=1)
    add("Cast", shown, output=result, to=guess_proto_type(operator.outputs[1].type))

    classes = get_label_classes(scope, model)
    is_number = np.issubdtype(classes.dtype, np.number) or classes.dtype == bool
    labels = classes.astype(np.int64 if is_number else str)
    labels = constant("classes", TensorProto.INT64 if is_number else TensorProto.STRING, labels)
    add("Gather", labels, add("ArgMax", scores, axis=1, keepdims=0), output=label)


def _all_rows(model):
    """(coef, intercept) in double, with a row for each class.

    Two classes also have two rows, each the negative of the other.
    """
    coef, intercept = model.coef_, model.intercept_.astype(np.float64)
    coef = (coef if isinstance(coef, np.ndarray) else coef.toarray()).astype(np.float64)
    if len(model.classes_) == 2:
        return np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])
    return coef, intercept


register.__module__ = "sklearn_softmax.onnx"
