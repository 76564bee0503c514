"""The compiled part: one sweep of steps, in place, and the raw predictions of sparse rows.

Arguments are marked IN, OUT or INOUT. Nothing is checked: a wrong shape is undefined behaviour. Both functions release
the GIL and raise nothing but MemoryError, before anything has changed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

def sweep(
    values: NDArray[Any],  # IN  float32 or float64, of rows: dense in C order, or the data of CSR
    columns: NDArray[Any],  # IN  int32 or int64, the indices of CSR; empty if dense
    starts: NDArray[Any],  # IN  as columns, the indptr of CSR; empty if dense
    *,
    y: NDArray[np.int32],  # IN  class numbers, by row
    sample_weight: NDArray[np.float64],  # IN  by row; a stride of 0 is allowed
    order: NDArray[np.intp],  # IN  the rows to visit
    eta: NDArray[np.float64],  # IN  step sizes, by visit; a stride of 0 is allowed
    alpha: NDArray[np.float64],  # IN  penalty strengths, by visit; a stride of 0 is allowed
    l2_ratio: float,
    l1_ratio: float,
    fit_intercept: bool,
    may_overflow: bool,  # look for scores that are not finite, and stop before them
    average_from: int,  # the first visit whose model enters the average
    model: Any,  # INOUT  Model, in the dtype of values
) -> tuple[float, int]:
    """Visit rows in order, one step each.

    Returns
    -------
    loss : float
        Sum of sample_weight * log loss in nats, each row scored before its own step.
    n_visited : int
        Less than ``len(order)`` if the scores of row ``order[n_visited]`` were not finite.
    """

def decision(
    values: NDArray[Any],  # IN  the data of CSR
    columns: NDArray[Any],  # IN  the indices
    starts: NDArray[Any],  # IN  the indptr
    *,
    weights: NDArray[Any],  # IN  (n_features, n_padded)
    intercept: NDArray[np.float64],  # IN  (n_padded,)
    unit: float,
    out: NDArray[Any],  # OUT  (n_samples, n_classes)
) -> None:
    """Write X (unit * weights) + intercept into `out`."""

def available_instruction_sets() -> list[str]:
    """Those that this build has and this machine can run, best first."""

def use_instruction_set(name: str) -> None:
    """Run the kernels of one of the available instruction sets from now on; at import it is the best."""
