"""Versions, links to the documentation, and the instruction set of the kernels."""

import os
import platform
import warnings
from functools import lru_cache
from importlib.metadata import metadata, version

from sklearn.exceptions import InconsistentVersionWarning

from . import kernels

__all__ = ["HasPage", "__version__", "show_versions", "use_wanted_instruction_set", "warn_of_other_version"]

__version__ = version("sklearn_softmax")
VARIABLE = "SKLEARN_SOFTMAX_INSTRUCTION_SET"


class _OtherVersionWarning(InconsistentVersionWarning):
    """scikit-learn's warning with versions of this package. One filter serves both."""

    def __init__(self, estimator_name, stored):
        self.estimator_name, self.stored = estimator_name, stored

    def __str__(self):
        return (
            f"This {self.estimator_name} was stored by sklearn_softmax {self.stored} and is loaded by {__version__}. Its "
            f"predictions and its training may differ. Fit it again. Or load it with version {self.stored}, store its "
            "to_logistic_regression(), and pass that to from_logistic_regression() here."
        )


def warn_of_other_version(estimator_name, stored):
    """Warn of a model that another version of this package stored."""
    if stored != __version__:
        warnings.warn(_OtherVersionWarning(estimator_name, stored), stacklevel=3)


@lru_cache
def address_of_pages():
    """The address of the documentation with a slash at the end, or "".

    It is "Documentation" in [project.urls] of pyproject.toml.
    """
    urls = (entry.split(", ") for entry in metadata("sklearn_softmax").get_all("Project-URL", []))
    address = dict(urls).get("Documentation", "")
    return address and address.rstrip("/") + "/"


class HasPage:
    """Gives an estimator a link to its page of the documentation, shown in notebooks.

    There is no link if the project has no documentation address.
    """

    _doc_link_module = "sklearn_softmax"

    @property
    def _doc_link_template(self):
        return address_of_pages() + "generated/{estimator_module}.{estimator_name}.html"

    def _get_doc_link(self):
        return super()._get_doc_link() if address_of_pages() else ""


def use_wanted_instruction_set():
    """Use the instruction set that the environment variable names, if it is set."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    available = kernels.available_instruction_sets()
    if wanted not in available:
        raise ImportError(f"{VARIABLE}={wanted!r} is not available on this machine and build. Choose from {available}.")
    kernels.use_instruction_set(wanted)


def show_versions():
    """Print the versions to record with a result, and the kernels' instruction set.

    These are the versions of Python, of this package and of the packages that it needs.

    The kernels are compiled for several instruction sets. The import chooses the best
    one that the machine supports. To force another one, set the environment variable
    ``SKLEARN_SOFTMAX_INSTRUCTION_SET`` before the import:

    - "baseline" runs on every machine
    - "avx2" needs x86-64 with AVX2 and fused multiply-add
    - "avx512" needs, in addition, AVX-512 (F, DQ, BW and VL)

    Raises
    ------
    ImportError
        At import, if the variable names an instruction set that the machine or the
        build does not support.

    Examples
    --------
    >>> import sklearn_softmax
    >>> sklearn_softmax.show_versions()  # doctest: +ELLIPSIS
    Python ...
    """
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for name in ("sklearn_softmax", "scikit-learn", "numpy", "scipy"):
        print(f"{name} {version(name)}")
    available = ", ".join(kernels.available_instruction_sets())
    print(f"kernels: {kernels.instruction_set_in_use()} (available: {available})")


show_versions.__module__ = "sklearn_softmax"
