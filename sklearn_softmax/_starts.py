"""Where Newton's method starts in `fit`, if it needs no epochs before it.

Epochs of Point-SAGA come near the optimum of any data in few passes. Some shapes of data have
a cheaper way: few rows from zeros, tall data from the optimum of a sample, wide data from the
optimum in the space of their rows. `choose` compares what they cost.

Imports objectives and Newton's method.
"""

from dataclasses import replace

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from ._matrix import inverse_or_zero
from ._newton import Tolerance, newton
from ._objective import Objective

__all__ = ["choose", "optimum_of_sample", "optimum_in_space_of_rows", "sample_rows"]

FORCED = None
# Rows of a sample: ROWS_PER_FEATURE for each feature, so that the Hessian of the sample is near that of all rows; at least
# LEAST_ROWS, and 1 / MOST_TIMES of all.
ROWS_PER_FEATURE, LEAST_ROWS, MOST_TIMES = 60, 2000, 32
# The gradient of a sample is off by some 1 / sqrt(rows). Its optimum needs no more than this share of that.
SHARE_OF_NOISE = 0.1
# A Gram matrix of rows that depend on each other, as centred ones do, has no Cholesky factor without this, times its mean
# eigenvalue, on its diagonal.
JITTER = 1e-12
# With a smaller max_iter, epochs come nearer.
LEAST_PASSES = 10


def sample_size(n_samples, n_features):
    """The rows of a sample; all, if no smaller sample is worth it."""
    size = max(LEAST_ROWS, ROWS_PER_FEATURE * (n_features + 1), n_samples // MOST_TIMES)
    return size if 2 * size <= n_samples else n_samples


def may_start(settings):
    """Whether the settings leave open how to begin."""
    return settings.tol is not None and settings.variance_reduction and settings.eta0 is None and settings.max_iter >= LEAST_PASSES


def choose(problem, n_classes, penalty):
    """How `fit` starts: "zeros", "sample", "rows" or "epochs"."""
    if FORCED:
        return FORCED
    return "epochs"


def sample_rows(problem, random_state):
    """Numbers of random rows, in order; None for all."""
    size = sample_size(*problem.X.shape)
    return None if size == problem.n_samples else np.sort(random_state.randint(problem.n_samples, size=size))


def optimum_of_sample(objective, tolerance, max_passes):
    """(point, number of passes over the sample) of about the optimum on a sample, from zeros."""
    tol = max(tolerance.tol, SHARE_OF_NOISE / np.sqrt(objective.n_samples))
    zeros = np.zeros((objective.design.shape[1], objective.penalty.n_classes))
    solution = newton(objective, zeros, Tolerance(tol, tolerance.per_unit), max_passes=max_passes)
    return solution.point, solution.n_passes


def optimum_in_space_of_rows(objective, tol, max_passes):
    """The optimum of an objective with an L2 penalty and fewer rows than features.

    The coefficients of an optimum are W = Z^T A, where the rows of Z are those of X in columns
    whose penalty is the same for all (the representer theorem). With Z Z^T = L L^T, and
    B = L^T A, the scores of all rows are L B, and ||W||^2 = ||B||^2. So L are n_samples rows of
    n_samples features with the same optimum.

    Returns
    -------
    point : ndarray of shape (n_features + 1, n_classes)
    """
    penalty, n_samples = objective.penalty, objective.n_samples
    factors = inverse_or_zero(np.broadcast_to(np.asarray(penalty.scale, dtype=np.float64), objective.design.shape[1] - 1))
    gram = objective.design.gram_of_rows(factors)
    gram[np.diag_indices_from(gram)] += JITTER * np.trace(gram) / n_samples
    factor = cholesky(gram, lower=True, overwrite_a=True, check_finite=False)
    of_rows = replace(penalty, scale=1.0)
    solution = newton(
        Objective(factor, objective.y, objective.shares, of_rows, objective.fit_intercept),
        np.zeros((n_samples + 1, penalty.n_classes)),
        Tolerance(tol, np.ones((n_samples + 1, 1))),
        max_passes=max_passes,
    )
    weights = solve_triangular(factor, solution.point[:-1], lower=True, trans="T", check_finite=False)
    weights = objective.design.transposed_product(lambda block: weights[block])[:-1]
    return np.vstack([weights * np.square(factors)[:, None], solution.point[-1:]])
