"""The method that minimises an objective: which one, and the compiled one for small problems.

Imports objectives, the other methods and the kernels.
"""

import numpy as np
from scipy.sparse import issparse

from . import kernels
from ._matrix import kernel_rows
from ._newton import NewtonSolution, centred, newton
from ._objective import Evaluation
from ._quasi_newton import quasi_newton

__all__ = ["is_small", "minimise"]

# A problem is small if it has so few weights and rows, and its whole Hessian takes so few
# multiplications. With more rows, fewer passes over all of them are worth more.
MOST_WEIGHTS, MOST_SAMPLES, MOST_MULTIPLICATIONS = 128, 10_000, 1 << 24
# Of sparse rows of two classes the whole Hessian takes as long as a pass, and its factor is
# what takes long: more weights than MOST_WEIGHTS need so many numbers for their third power.
MOST_SPARSE_WEIGHTS, CUBE_PER_NUMBER, MOST_SPARSE_MULTIPLICATIONS = 256, 256, 1 << 23
# Steps of one call of the kernel.
MOST_STEPS = 50
# A step costs so little that the gradient may as well be this much smaller than asked for.
SHARE_OF_TOL = 0.1


def is_small(X, n_classes):
    """Whether the method for small problems is for these rows, if there is no L1 norm."""
    n_samples, n_features = X.shape
    n_weights = (n_features + 1) * (1 if n_classes == 2 else n_classes)
    if issparse(X):
        has_few = n_weights <= MOST_WEIGHTS or (n_weights <= MOST_SPARSE_WEIGHTS and n_weights**3 <= CUBE_PER_NUMBER * X.nnz)
        return n_classes == 2 and has_few and X.nnz**2 <= MOST_SPARSE_MULTIPLICATIONS * n_samples
    return n_weights <= MOST_WEIGHTS and n_samples <= min(MOST_SAMPLES, MOST_MULTIPLICATIONS / n_weights**2)


def _small_newton(objective, point, tolerance, *, max_passes, at=None, on_step=None, tells_steps=False):
    """Newton's method with the whole Hessian, compiled. Parameters and the result are those of `newton`.

    If `tells_steps`, each call of `on_step` gets the point after its step, else that after
    the last.
    """
    design, is_margin = objective.design, objective.is_margin
    point = np.ascontiguousarray(objective.of_scores(centred(objective, point)))
    per_unit = np.ascontiguousarray(np.broadcast_to(tolerance.per_unit, (len(point), objective.penalty.n_classes)))
    if is_margin:
        per_unit = per_unit.max(axis=1, keepdims=True)
    # of a margin w, the rows of the classes are -w/2 and w/2
    l2 = np.ascontiguousarray(np.broadcast_to(objective.l2[:, 0], len(point) - 1)) * (0.5 if is_margin else 1.0)
    gradient, scores = np.empty_like(point), np.empty((objective.n_samples, design.n_scores))
    values, passes = np.zeros(1 if tells_steps else MOST_STEPS), np.zeros(1 if tells_steps else MOST_STEPS, dtype=np.intp)

    def solution():
        of_classes = objective.of_classes(0.5 * point if is_margin else point)
        evaluation = Evaluation(scores, value - objective.penalty(of_classes[:-1]), value, objective.of_classes(gradient))
        return NewtonSolution(of_classes, n_before, size, value, evaluation)

    n_before = -1 if at else 0  # the first pass is not new
    while True:
        n_steps, n_passes, value, size = kernels.small_newton(
            *kernel_rows(design.X),
            y=objective.y,
            shares=objective.shares,
            label_shift=objective.label_shift,
            score_offset=objective.score_offset,
            offset=design.offset,
            inverse_scale=design.inverse_scale,
            l2=l2,
            per_unit=per_unit,
            fit_intercept=objective.fit_intercept,
            tol=SHARE_OF_TOL * tolerance.tol,
            most_passes=max_passes - n_before,
            point=point,
            gradient=gradient,
            scores=scores,
            step_values=values,
            step_passes=passes,
        )
        last, is_stopped = solution(), False
        for step in range(n_steps):
            so_far = last._replace(n_passes=n_before + int(passes[step]), objective=values[step])
            is_stopped = on_step is not None and on_step(so_far)
        n_before += n_passes
        if is_stopped or n_steps < len(values):
            return last._replace(n_passes=n_before)
        n_before -= 1  # the next call begins with a pass that the last one has made


def minimise(objective, point, tolerance, *, sample=None, memory=None, tells_steps=False, **how):
    """Minimise an objective by the method for its rows and its penalty; see `newton`.

    A `sample` and a `memory` are for `quasi_newton`, and `tells_steps` for the method for small problems.
    """
    if not objective.penalty.has_l1 and sample is None and is_small(objective.design.X, objective.penalty.n_classes):
        return _small_newton(objective, point, tolerance, tells_steps=tells_steps, **how)
    if objective.design.is_sparse or objective.penalty.has_l1:
        return newton(objective, point, tolerance, **how)
    return quasi_newton(objective, point, tolerance, sample=sample, memory=memory, **how)
