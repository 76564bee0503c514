"""What differs between versions of scikit-learn, and everything private that is used of it and of Python."""

import numpy as np
from sklearn import get_config
from sklearn.base import _fit_context as fit_context  # from 1.9 on with all that `with_callbacks` does
from sklearn.linear_model import LogisticRegression
from sklearn.utils._array_api import get_namespace_and_device
from sklearn.utils._param_validation import Interval, StrOptions

try:  # the public module makes enumerations of what these take and return, which takes many times as long as they do
    from _signal import SIGINT, getsignal, signal  # type: ignore[import-not-found]
except ImportError:
    from signal import SIGINT, getsignal, signal

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """In place of scikit-learn's: there are no callbacks to set."""


__all__ = [
    "SIGINT",
    "CallbackSupportMixin",
    "Interval",
    "StrOptions",
    "fit_context",
    "getsignal",
    "in_namespace_of",
    "is_one_vs_rest",
    "new_logistic_regression",
    "penalty_of",
    "signal",
    "units_of_log_odds",
    "uses_sparse_arrays",
]


def in_namespace_of(X, array):
    """An ndarray as one of the namespace and on the device of X, if scikit-learn is configured so; text stays one of NumPy."""
    if isinstance(X, np.ndarray) or not hasattr(type(X), "__dlpack__") or array.dtype.kind not in "biuf":
        return array
    xp, is_configured, device = get_namespace_and_device(X)
    return xp.asarray(array, device=device) if is_configured else array


def uses_sparse_arrays():
    """Whether scikit-learn is configured to return sparse arrays (>= 1.9), not sparse matrices."""
    return get_config().get("sparse_interface") == "sparray"


def new_logistic_regression(*, C, l1_ratio, **params):
    """A `LogisticRegression` with this penalty, and a solver that knows it."""
    if l1_ratio == 0:
        return LogisticRegression(C=C, **params)
    names_penalty = LogisticRegression().get_params().get("penalty") == "l2"  # scikit-learn < 1.8
    more = {"penalty": "elasticnet"} if names_penalty else {}
    return LogisticRegression(C=C, l1_ratio=l1_ratio, solver="saga", **more, **params)


def penalty_of(lr):
    """(C, l1_ratio) of a fitted `LogisticRegression` or `LogisticRegressionCV`; C is infinite if it has no penalty."""
    is_cv = hasattr(lr, "C_")
    C, l1_ratio = (np.ravel(lr.C_)[0], np.ravel(lr.l1_ratio_)[0]) if is_cv else (lr.C, lr.l1_ratio)
    penalty = getattr(lr, "penalty", "deprecated")  # from 1.8 on C and l1_ratio say all
    l1_ratio = {"l1": 1.0, "l2": 0.0}.get(penalty, l1_ratio)
    return (np.inf, 0.0) if penalty is None else (float(C), float(l1_ratio or 0.0))


def is_one_vs_rest(lr):
    """Whether a fitted `LogisticRegression` is one binary model per class, which it can be in scikit-learn < 1.8."""
    multi_class = getattr(lr, "multi_class", "deprecated")
    return len(lr.classes_) > 2 and (multi_class == "ovr" or lr.solver == "liblinear")


def units_of_log_odds(lr):
    """2 if a fitted `LogisticRegression` of two classes is the softmax of (-score, score), else 1: the score is the log-odds.

    The former, ``multi_class="multinomial"``, exists in scikit-learn < 1.8.
    """
    return 2 if len(lr.classes_) == 2 and getattr(lr, "multi_class", "deprecated") == "multinomial" else 1
