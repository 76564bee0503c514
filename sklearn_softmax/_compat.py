"""Differences between versions of scikit-learn, and all use of private names.

Private names of scikit-learn and of Python are used in this file only.
"""

from functools import cache
from inspect import Parameter, signature

import numpy as np
from sklearn import get_config
from sklearn.base import _fit_context as fit_context  # from 1.9 on it includes `with_callbacks`
from sklearn.linear_model import LogisticRegression
from sklearn.utils._array_api import get_namespace_and_device
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints

try:  # the public module converts arguments and results to enums, which is much slower
    from _signal import SIGINT, getsignal, signal  # type: ignore[import-not-found]
except ImportError:
    from signal import SIGINT, getsignal, signal

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's class where callbacks do not exist."""


__all__ = [
    "SIGINT",
    "CallbackSupportMixin",
    "ChecksChangedParameters",
    "Interval",
    "StrOptions",
    "fit_context",
    "getsignal",
    "in_namespace_of",
    "is_one_vs_rest",
    "is_routing_enabled",
    "new_logistic_regression",
    "penalty_of",
    "signal",
    "units_of_log_odds",
    "uses_sparse_arrays",
]


@cache
def _checked_defaults(of_class):
    """The default of each parameter; `Parameter.empty`, which no value is, where a subclass has none."""
    parameters = signature(of_class).parameters
    defaults = {name: parameters[name].default for name in of_class._get_param_names()}
    existing = {name: default for name, default in defaults.items() if default is not Parameter.empty}
    validate_parameter_constraints(of_class._parameter_constraints, existing, caller_name=of_class.__name__)
    return defaults


class ChecksChangedParameters:
    """Checks defaults once, and then only other parameters. The check of all takes a quarter of a `fit` of 100 rows."""

    def _validate_params(self):
        defaults = _checked_defaults(type(self))
        changed = {name: getattr(self, name) for name in defaults if getattr(self, name) is not defaults[name]}
        validate_parameter_constraints(self._parameter_constraints, changed, caller_name=type(self).__name__)


def in_namespace_of(X, array):
    """An ndarray converted to the namespace and the device of X.

    Only if scikit-learn is configured so. An array of text stays an ndarray.
    """
    if isinstance(X, np.ndarray) or not hasattr(type(X), "__dlpack__") or array.dtype.kind not in "biuf":
        return array
    xp, is_configured, device = get_namespace_and_device(X)
    return xp.asarray(array, device=device) if is_configured else array


def uses_sparse_arrays():
    """Whether scikit-learn (>= 1.9) shall return sparse arrays, not sparse matrices."""
    return get_config().get("sparse_interface") == "sparray"


def is_routing_enabled():
    """Whether scikit-learn is configured to route metadata."""
    return get_config().get("enable_metadata_routing", False)


def new_logistic_regression(*, C, l1_ratio, **params):
    """A `LogisticRegression` with this penalty and a solver that supports it."""
    if l1_ratio == 0:
        return LogisticRegression(C=C, **params)
    names_penalty = LogisticRegression().get_params().get("penalty") == "l2"  # scikit-learn < 1.8
    more = {"penalty": "elasticnet"} if names_penalty else {}
    return LogisticRegression(C=C, l1_ratio=l1_ratio, solver="saga", **more, **params)


def penalty_of(lr):
    """(C, l1_ratio) of a fitted `LogisticRegression` or `LogisticRegressionCV`.

    Without a penalty C is infinite.
    """
    is_cv = hasattr(lr, "C_")
    C, l1_ratio = (np.ravel(lr.C_)[0], np.ravel(lr.l1_ratio_)[0]) if is_cv else (lr.C, lr.l1_ratio)
    penalty = getattr(lr, "penalty", "deprecated")  # from 1.8 on C and l1_ratio say all
    l1_ratio = {"l1": 1.0, "l2": 0.0}.get(penalty, l1_ratio)
    return (np.inf, 0.0) if penalty is None else (float(C), float(l1_ratio or 0.0))


def is_one_vs_rest(lr):
    """Whether a fitted `LogisticRegression` (scikit-learn < 1.8) is one-vs-rest."""
    multi_class = getattr(lr, "multi_class", "deprecated")
    return len(lr.classes_) > 2 and (multi_class == "ovr" or lr.solver == "liblinear")


def units_of_log_odds(lr):
    """Log-odds of a fitted `LogisticRegression` divided by its score: 1 or 2.

    They are 2 times the score with two classes and ``multi_class="multinomial"``
    (scikit-learn < 1.8), where probabilities are the softmax of (-score, score).
    """
    return 2 if len(lr.classes_) == 2 and getattr(lr, "multi_class", "deprecated") == "multinomial" else 1
