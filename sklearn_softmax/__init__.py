"""Softmax (multinomial logistic) regression by stochastic gradient descent, for scikit-learn."""

try:
    from . import kernels as _kernels

    _kernels.explicit  # noqa: B018  (the folder of the sources has the same name, and no such function)
except (ImportError, AttributeError) as error:
    raise ImportError(
        f"the compiled part of sklearn_softmax is missing from {__path__[0]!r}. If this is a source tree, install it with "
        "'pip install .' and import it from another folder; otherwise reinstall sklearn_softmax."
    ) from error

from ._batches import fit_batches
from ._classifier import SoftmaxSGDClassifier
from ._cv import SoftmaxSGDClassifierCV, softmax_path
from ._display import CoefficientDisplay, LossCurveDisplay, PathScoreDisplay, RegularizationPathDisplay
from ._inference import InferenceResult, inference
from ._merge import merge
from ._priors import estimate_class_prior
from ._versions import __version__, show_versions
from ._versions import use_wanted_instruction_set as _use_wanted_instruction_set

_use_wanted_instruction_set()

__all__ = [
    "CoefficientDisplay",
    "InferenceResult",
    "LossCurveDisplay",
    "PathScoreDisplay",
    "RegularizationPathDisplay",
    "SoftmaxSGDClassifier",
    "SoftmaxSGDClassifierCV",
    "__version__",
    "estimate_class_prior",
    "fit_batches",
    "inference",
    "merge",
    "show_versions",
    "softmax_path",
]


def __dir__():
    return [*__all__, *({"dask", "onnx"} & globals().keys())]  # what is public; of the modules, those that are imported
