"""What runs here: versions, and the kernels' instruction set."""

import os
import platform
from importlib.metadata import version

from . import kernels

__all__ = ["show_versions", "use_wanted_instruction_set"]

VARIABLE = "SKLEARN_SOFTMAX_INSTRUCTION_SET"


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
