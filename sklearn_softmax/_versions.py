"""What runs here: versions, and the kernels' instruction set."""

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
    """scikit-learn's of stored models, so that one filter is enough for both, in words that name our versions."""

    def __init__(self, estimator_name, stored):
        self.estimator_name, self.stored = estimator_name, stored

    def __str__(self):
        return (
            f"This {self.estimator_name} was stored by sklearn_softmax {self.stored} and is loaded by {__version__}, which may "
            "predict or train otherwise. Fit it again; or load it with the version that stored it and go on from its "
            "to_logistic_regression()."
        )


def warn_of_other_version(estimator_name, stored):
    """Warn of a model that was stored by another version than this one."""
    if stored != __version__:
        warnings.warn(_OtherVersionWarning(estimator_name, stored), stacklevel=3)


@lru_cache
def address_of_pages():
    """Where the documentation is, with a slash at the end, or "": "Documentation" in [project.urls] of pyproject.toml."""
    urls = (entry.split(", ") for entry in metadata("sklearn_softmax").get_all("Project-URL", []))
    address = dict(urls).get("Documentation", "")
    return address and address.rstrip("/") + "/"


class HasPage:
    """For estimators: notebooks link to its page, and show what it says of parameters, once there are pages."""

    _doc_link_module = "sklearn_softmax"

    @property
    def _doc_link_template(self):
        return address_of_pages() + "generated/{estimator_module}.{estimator_name}.html"

    def _get_doc_link(self):
        return super()._get_doc_link() if address_of_pages() else ""


def use_wanted_instruction_set():
    """Run the kernels of the instruction set that the environment variable names, if it names one."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    available = kernels.available_instruction_sets()
    if wanted not in available:
        raise ImportError(f"{VARIABLE}={wanted!r} is not an instruction set of this machine and build: choose from {available}.")
    kernels.use_instruction_set(wanted)


def show_versions():
    """Print the versions of Python, of this package and what it stands on, and the instruction set of its kernels.

    The kernels are compiled for several instruction sets, and the best that the machine has is chosen at import. The environment
    variable ``SKLEARN_SOFTMAX_INSTRUCTION_SET``, set before the import, forces another: "baseline" runs everywhere, "avx2" is
    for x86-64 machines with AVX2 and fused multiply-add, and "avx512" for those with AVX-512 (F, DQ, BW and VL), too.

    Raises
    ------
    ImportError
        At import, if the variable names an instruction set that the machine or the build does not have.

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
