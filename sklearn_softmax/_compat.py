"""What differs between versions of scikit-learn, and everything private that is used of it."""

from sklearn import get_config
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import Interval, StrOptions

__all__ = ["Interval", "StrOptions", "fit_context", "uses_sparse_arrays"]


def uses_sparse_arrays():
    """Whether scikit-learn is configured to return sparse arrays (>= 1.9), not sparse matrices."""
    return get_config().get("sparse_interface") == "sparray"
