"""A quasi-Newton method for dense rows: each pass over the rows is a step.

Conjugate gradients spend most of their passes on products with one Hessian. Here each pass
gives a new gradient. L-BFGS [1]_ learns from the gradients how the inverse of the Hessian
differs from a preconditioner, which is that of Newton's method. With a good preconditioner,
as of tall data, that is Newton's method with the Hessian of a sample [2]_.

Works on any object with the methods of `Objective`, without an L1 norm.

References
----------
.. [1] D. C. Liu, J. Nocedal, "On the limited memory BFGS method for large scale
   optimization", Mathematical Programming 45, 1989.
.. [2] R. H. Byrd, G. M. Chin, W. Neveitt, J. Nocedal, "On the use of stochastic Hessian
   information in optimization methods for machine learning", SIAM Journal on
   Optimization 21, 2011.
"""

from collections import deque

import numpy as np

from ._newton import NewtonSolution, Preconditioner, centred, descend, dot

__all__ = ["quasi_newton"]

# Pairs of steps and changes of the gradient that are remembered.
MOST_PAIRS = 10
# A pair is left out if its curvature is less than this, relative to its lengths.
SMALLEST_CURVATURE = 1e-12


def _direction(gradient, pairs, precondition):
    """The inverse Hessian that the pairs imply, times the gradient (the two loops of L-BFGS)."""
    direction, shares = gradient.copy(), []
    for step, change, curvature in reversed(pairs):
        shares.append(dot(step, direction) / curvature)
        direction -= shares[-1] * change
    direction = precondition(direction)
    if pairs:  # the preconditioner has the curvature of the last step
        _, change, curvature = pairs[-1]
        along = dot(change, precondition(change))
        direction = direction * (curvature / along if along > 0 else 1.0)
    for (step, change, curvature), share in zip(pairs, reversed(shares)):
        direction += (share - dot(change, direction) / curvature) * step
    return direction


def _passes_left(n_passes, size_before, size, tol):
    """How many passes the tolerance takes, if the gradient goes on falling as in the last passes."""
    return n_passes * np.log(size / tol) / np.log(size_before / size) if n_passes and size < size_before else np.inf


def quasi_newton(objective, point, tolerance, *, max_passes, at=None, sample=None, on_step=None):
    """Minimise an objective without an L1 norm.

    Parameters and the result are those of `newton`. If `sample` is given, which is the
    same objective on a random part of the rows, the preconditioner is that of the
    sample.
    """
    point = centred(objective, point)
    hessians = sample or objective
    price, precondition = hessians.n_samples / objective.n_samples, Preconditioner(hessians)
    pairs = deque(maxlen=MOST_PAIRS)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # too long steps overflow, and are halved
        n_passes = 0.0 if at else 1.0
        at = at or objective.evaluate(point)
        size = tolerance.size(at.gradient)
        size_before, n_before = size, n_passes  # when the preconditioner was made
        while size > tolerance.tol and n_passes + 2 <= max_passes:
            left = _passes_left(n_passes - n_before, size_before, size, tolerance.tol)
            if precondition.is_due((max_passes - n_passes - 2) / price, left / price):
                scores = at.scores if hessians is objective else hessians.scores(point)
                n_passes += price * precondition.update(hessians.curvature(scores))
                size_before, n_before = size, n_passes
            step = -_direction(at.gradient, pairs, precondition)
            step[~objective.is_free[:, 0]] = 0
            share, trial, n_more = descend(objective, point, at, at.gradient, step)
            n_passes += n_more
            precondition.passes_since += n_more / price
            if share == 0:
                if not pairs:
                    break
                pairs.clear()  # which are those of a Hessian far away
                continue
            change, step = trial.gradient - at.gradient, share * step
            curvature = dot(step, change)
            if curvature > SMALLEST_CURVATURE * np.sqrt(dot(step, step) * dot(change, change)):
                pairs.append((step, change, curvature))
            point, at, size = point + step, trial, tolerance.size(trial.gradient)
            if on_step is not None and on_step(NewtonSolution(point, n_passes, size, at.value, at)):
                break
        return NewtonSolution(point, n_passes, size, at.value, at)
