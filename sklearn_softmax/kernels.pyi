"""The compiled part: sweeps of steps, moments of features, and products with sparse rows.

Arguments are marked IN, OUT or INOUT. Functions change nothing but OUT and INOUT arguments,
in place. They check nothing: a wrong shape is undefined behaviour. Functions that visit rows
release the GIL. They raise MemoryError only, before they change an argument. Model is that
of `_model`, Penalty of `_objective`, Coordinates and Moments of `_coordinates`, and
StreamScalars and Iterates of `_stream`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

def explicit(
    values: NDArray[Any],  # IN  float32 or float64, of rows: dense in C order, or the data of CSR
    columns: NDArray[Any],  # IN  int32 or int64, the indices of CSR; empty if dense
    starts: NDArray[Any],  # IN  int32 or int64, the indptr of CSR; empty if dense
    *,
    y: NDArray[np.int32],  # IN  class numbers, by row
    sample_weight: NDArray[np.float64],  # IN  by row; a stride of 0 is allowed
    order: NDArray[np.intp],  # IN  the rows to visit
    eta: NDArray[np.float64],  # IN  step sizes, by visit; a stride of 0 is allowed
    alpha: NDArray[np.float64],  # IN  penalty strengths, by visit; a stride of 0 is allowed
    threshold_factor: NDArray[np.float64],  # IN  factor of the L1 threshold, by visit; as alpha
    penalty: Any,  # IN  Penalty, whose alpha is not read
    fit_intercept: bool,  # IN
    may_overflow: bool,  # IN  stop before a visit whose scores are not finite
    average_from: int,  # IN  the first visit whose model enters the average
    progressive_loss: NDArray[np.float64] | None,  # INOUT  as in stream
    model: Any,  # INOUT  Model, in the dtype of values
    label_shift: NDArray[Any] | None = None,  # IN  (n_samples, n_padded), in the dtype of values: see Visits in kernels.h
    score_offset: NDArray[Any] | None = None,  # IN  likewise
) -> tuple[float, int]:
    """Visit rows in order, one explicit step each; see explicit.h.

    Returns
    -------
    loss : float
        Sum of sample_weight * log loss in nats, each row scored before its own step.
    n_visited : int
        Less than ``len(order)`` if the scores of row ``order[n_visited]`` were not finite.
    """

def stream(
    values: NDArray[Any],  # IN  as in explicit
    columns: NDArray[Any],  # IN
    starts: NDArray[Any],  # IN
    *,
    y: NDArray[np.int32],  # IN  class numbers, by row
    sample_weight: NDArray[np.float64],  # IN  by row; a stride of 0 is allowed
    order: NDArray[np.intp],  # IN  the rows to visit
    eta0: float,  # IN  a factor of the automatic step
    penalty: Any,  # IN  Penalty; an alpha of NaN is 1 / (weight seen)
    fit_intercept: bool,  # IN
    with_mean: bool,  # IN  whether dense rows are centred
    standardize: bool,  # IN  whether the penalty is on coefficients of standardised features
    average_from: float,  # IN  the weight seen before averaging begins
    averages: bool,  # IN  whether predictions are those of the average
    flush: bool,  # IN  at the end, bring penalty and average of all features up to date
    adaptive: bool,  # IN  whether rows update the moments, and these the coordinates
    table: NDArray[Any] | None,  # OUT  (n_samples, n_padded): implicit residuals of visited rows
    norms: NDArray[np.float64] | None,  # OUT  (n_samples,): 1 + |row|^2 in the coordinates
    progressive_loss: NDArray[np.float64] | None,  # INOUT  (4,): see ProgressiveLoss in kernels.h
    scalars: NDArray[np.float64],  # INOUT  (14,): the numbers of StreamScalars
    state: Any,  # INOUT  Iterates, in the dtype of values
    label_shift: NDArray[Any] | None = None,  # IN  as in explicit
    score_offset: NDArray[Any] | None = None,  # IN
) -> None:
    """Visit rows in order by the stream rule of stream.h, one implicit step each."""

def point_saga(
    values: NDArray[Any],  # IN  as in explicit
    columns: NDArray[Any],  # IN
    starts: NDArray[Any],  # IN
    *,
    y: NDArray[np.int32],  # IN  class numbers, by row
    sample_weight: NDArray[np.float64],  # IN  by row, of one visit; a stride of 0 is allowed
    order: NDArray[np.intp],  # IN  the rows to visit, each as often as `repeats` says
    repeats: NDArray[np.float64],  # IN  by row; a stride of 0 is allowed
    step: float,  # IN
    penalty: Any,  # IN  Penalty
    fit_intercept: bool,  # IN
    coordinates: Any,  # IN  Coordinates
    model: Any,  # INOUT  Model in these coordinates; OUT  its average is that of the epoch
    table: NDArray[Any],  # INOUT  (n_samples, n_padded): the last residual of each row
    gradient: NDArray[Any],  # INOUT  (n_features, n_padded): the mean of the table's gradients
    intercept_gradient: NDArray[np.float64],  # INOUT  (n_padded,)
    label_shift: NDArray[Any] | None = None,  # IN  as in explicit
    score_offset: NDArray[Any] | None = None,  # IN
) -> tuple[float, float]:
    """One epoch of Point-SAGA, see point_saga.h.

    Returns
    -------
    loss : float
        Sum of sample_weight * log loss in nats, each row scored before its own step.
    curvature : float
        Sum of sample_weight * sum over the classes of p (1 - p), likewise.
    """

def flaw_of_csr(
    values: NDArray[Any],  # IN  as in explicit
    columns: NDArray[Any],  # IN
    starts: NDArray[Any],  # IN  between 0 and len(values), if they rise
    *,
    n_features: int,  # IN
) -> str | None:
    """Why kernels cannot read a CSR matrix, or None if they can.

    Columns and starts may be any numbers.

    Returns
    -------
    flaw : {"starts", "columns", "entries"} or None
        "starts": they decrease. "columns": one is out of range. "entries": a value is zero,
        or the columns of a row do not increase.
    """

def are_moderate(
    values: NDArray[Any],  # IN
    sample_weight: NDArray[Any],  # IN
    *,
    largest_value: float,
    largest_weight: float,
) -> bool:
    """Whether all values but 0, and all weights, are between 1/largest and largest in size."""

def accumulate(
    values: NDArray[Any],  # IN  as in explicit
    columns: NDArray[Any],  # IN
    starts: NDArray[Any],  # IN
    *,
    sample_weight: NDArray[np.float64],  # IN  by row
    features: NDArray[np.float64],  # INOUT  (n_features, 8): the numbers of Moments
) -> None:
    """Add rows to the moments."""

def spreads(
    features: NDArray[np.float64],  # IN  (n_features, 8), the numbers of Moments
    total_weight: float,  # IN
    out: NDArray[np.float64],  # OUT  (4, n_features)
) -> None:
    """Mean, active deviation, root mean square and share of each feature, see kernels.h."""

def set_stream_coordinates(
    features: NDArray[np.float64],  # IN  as in spreads
    total_weight: float,  # IN
    *,
    centre: bool,  # IN
    standardize: bool,  # IN
    coordinates: Any,  # OUT  Coordinates, in the dtype of weights
    weights: NDArray[Any],  # IN  (n_features, n_padded)
) -> None:
    """The coordinates of a stream whose rows have these moments."""

def decision(
    values: NDArray[Any],  # IN  the data of CSR
    columns: NDArray[Any],  # IN  the indices
    starts: NDArray[Any],  # IN  the indptr
    *,
    weights: NDArray[Any],  # IN  (n_features, n_padded)
    intercept: NDArray[np.float64],  # IN  (n_padded,)
    out: NDArray[Any],  # OUT  (n_samples, n_classes)
) -> None:
    """Write X weights + intercept into `out`."""

def loss_gradient(
    values: NDArray[Any],  # IN  as in explicit
    columns: NDArray[Any],  # IN
    starts: NDArray[Any],  # IN
    *,
    y: NDArray[np.int32],  # IN  (n_samples,), class numbers
    shares: NDArray[np.float64],  # IN  (n_samples,), sum to 1
    offset: NDArray[np.float64],  # IN  (n_features,)
    inverse_scale: NDArray[np.float64],  # IN  (n_features,)
    point: NDArray[np.float64],  # IN  (n_features + 1, n_classes), for CSR padded to a multiple of 8; two classes: 1 column
    scores: NDArray[np.float64],  # OUT  (n_samples, n_classes); two classes: (n_samples, 1), the margins
    out: NDArray[np.float64],  # INOUT  as point: the gradient is added
    label_shift: NDArray[np.float64] | None = None,  # IN  as scores: e_y - q of rows whose label is a distribution q
    score_offset: NDArray[np.float64] | None = None,  # IN  as scores: added to the scores of each row
) -> float:
    """Add the gradient of the mean loss to `out`; returns the mean loss; see newton.h."""

def hessian_product(
    values: NDArray[Any],  # IN  as in explicit
    columns: NDArray[Any],  # IN
    starts: NDArray[Any],  # IN
    *,
    shares: NDArray[np.float64],  # IN  (n_samples,), sum to 1
    proba: NDArray[np.float64],  # IN  (n_samples, n_classes); two classes: (n_samples, 1), p (1 - p)
    offset: NDArray[np.float64],  # IN  (n_features,)
    inverse_scale: NDArray[np.float64],  # IN  (n_features,)
    point: NDArray[np.float64],  # IN  a step, as in loss_gradient
    out: NDArray[np.float64],  # INOUT  as point: the product is added
) -> None:
    """Add the Hessian of the mean loss times a step to `out`; see newton.h."""

def small_newton(
    values: NDArray[Any],  # IN  as in explicit, dense
    columns: NDArray[Any],  # IN
    starts: NDArray[Any],  # IN
    *,
    y: NDArray[np.int32],  # IN  as in loss_gradient, until inverse_scale
    shares: NDArray[np.float64],  # IN
    offset: NDArray[np.float64],  # IN
    inverse_scale: NDArray[np.float64],  # IN
    l2: NDArray[np.float64],  # IN  (n_features,): l2_j/2 w_j^2 is part of F for each weight w_j
    per_unit: NDArray[np.float64],  # IN  as point: the inverse of the unit of each entry of the gradient
    fit_intercept: bool,
    tol: float,
    most_passes: int,
    point: NDArray[np.float64],  # INOUT  (n_features + 1, n_classes); two classes: 1 column
    gradient: NDArray[np.float64],  # OUT  as point
    scores: NDArray[np.float64],  # OUT  (n_samples, n_classes)
    step_values: NDArray[np.float64],  # OUT  (most_steps,): F after each step
    step_passes: NDArray[np.intp],  # OUT  (most_steps,): the passes so far after each step
    label_shift: NDArray[np.float64] | None = None,  # IN  as in loss_gradient
    score_offset: NDArray[np.float64] | None = None,  # IN
) -> tuple[int, int, float, float]:
    """Newton's method for a small problem; see small.h.

    Returns the numbers of steps and passes, F, and the largest entry of the gradient in its unit.
    """

def add_transposed_product(
    values: NDArray[Any],  # IN  the data of CSR
    columns: NDArray[Any],  # IN  the indices
    starts: NDArray[Any],  # IN  the indptr
    *,
    residual: NDArray[np.float64],  # IN  (n_samples, n_classes)
    out: NDArray[np.float64],  # INOUT  (n_features, n_classes): the product is added
) -> None:
    """Add X^T residual to `out`."""

def softmax(
    scores: NDArray[np.float64],  # INOUT  (n_samples, n_classes): probabilities instead
    y: NDArray[np.int32],  # IN  class numbers
    losses: NDArray[np.float64],  # OUT  (n_samples,): log losses in nats
) -> None:
    """Replace each row of scores by its softmax."""

def available_instruction_sets() -> list[str]:
    """The names of the sets that this build has and this machine can run, best first."""

def instruction_set_in_use() -> str:
    """The name of the instruction set whose kernels run."""

def vector_bytes() -> int:
    """The length of the vectors of the instruction set in use."""

def use_instruction_set(name: str) -> None:
    """Run the kernels of this set from now on. At import, the best available set is chosen."""
