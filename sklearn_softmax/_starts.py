"""Where a fit starts that needs no epochs, and which fits these are.

Epochs of Point-SAGA come near the optimum of any data in few passes. Some shapes of data have
a cheaper way: a quasi-Newton method from zeros, from the optimum of a sample of tall data, or
from the optimum in the space of the rows of wide data. `way_of` compares what they cost.

Imports objectives and the methods that minimise them.
"""

from dataclasses import replace

import numpy as np
from scipy.linalg import lapack, solve_triangular

from ._matrix import inverse_or_zero
from ._minimise import is_small, minimise
from ._newton import Tolerance

__all__ = [
    "EPOCHS",
    "ROWS",
    "SAMPLE",
    "SpaceOfRows",
    "is_wide",
    "optimum_in_space_of_rows",
    "optimum_of_sample",
    "sample_of",
    "way_of",
]

EPOCHS, SAMPLE, ROWS = "epochs", "sample", "rows"
# The rows of a sample: ROWS_PER_FEATURE for each feature, so that its Hessian is near that of
# all rows; some ROWS_PER_CLASS of the rarest class; at least LEAST_ROWS, and 1 / MOST_TIMES
# of all.
ROWS_PER_FEATURE, ROWS_PER_CLASS, LEAST_ROWS, MOST_TIMES = 60, 20, 2000, 32
# The gradient of a sample is off by some 1 / sqrt(rows), and its optimum needs no more than
# this share of that.
SHARE_OF_NOISE = 0.1
# With a smaller max_iter, epochs come nearer.
LEAST_PASSES = 10
# With fewer numbers of X times classes than this, passes take less than what Python takes
# between two.
FEW_NUMBERS = 1 << 16
# Data are short if there are at most ROWS_OF_FEW rows for each feature and FEW_CLASSES
# classes, or ROWS_OF_SOME rows and SOME_CLASSES classes.
ROWS_OF_FEW, FEW_CLASSES, ROWS_OF_SOME, SOME_CLASSES = 20, 8, 3, 32
# The inner products of the rows of wide data: the largest number of rows, and how many times
# as many features there are at least, for one fit and for the fits of a path, which share them.
MOST_IN_SPACE_OF_ROWS, TIMES_AS_WIDE, TIMES_FOR_A_PATH = 1000, 8, 2
# Passes over a sample, or in the space of the rows, at most.
MOST_PASSES = 200
# Rows that depend on each other, as centred ones do, have no Cholesky factor without this,
# times the mean eigenvalue, on the diagonal of their inner products.
JITTER = 1e-12


def way_of(problem, class_weight, penalty, settings):
    """How a fit starts: with EPOCHS, with the optimum of a SAMPLE, or in the space of the ROWS.

    A small problem needs neither epochs nor a sample. By experiment, in units of a pass over
    n rows of d features: epochs take about 15 to 30 times n to the optimum. A fit from the
    optimum of a sample of m rows takes 5 times n, and some 10 n_classes times m for the
    sample; with two classes, whose Hessian has one block, less than half of that, while an
    epoch takes as long. The space of the rows takes n / 4 passes to make, and then is small.
    Of short data, the quasi-Newton method takes some 10 to 50 passes from zeros. A pass over
    rows of many features takes half the time of an epoch, and with many classes as long. Of
    ill-conditioned data with more rows, it takes more passes than epochs do.

    Parameters
    ----------
    problem : Problem
    class_weight : ndarray of shape (n_classes,)
    penalty : Penalty
    settings : Settings
    """
    # without `standardize`, outliers make the unit of the gradient, and epochs find them
    is_open = settings.standardize and settings.tol is not None and settings.variance_reduction and settings.eta0 is None
    if not is_open or settings.max_iter < LEAST_PASSES or penalty.has_l1:
        return EPOCHS
    (n_samples, n_features), n_classes = problem.X.shape, len(class_weight)
    if is_small(problem.X, n_classes):
        return SAMPLE
    if not problem.is_sparse:
        if is_wide(problem) and penalty.alpha > 0:
            return ROWS
        rows_per_feature = ROWS_OF_FEW if n_classes <= FEW_CLASSES else ROWS_OF_SOME if n_classes <= SOME_CLASSES else 0
        is_short = n_samples <= rows_per_feature * n_features
        if n_classes == 2 or is_short or problem.X.size * n_classes <= FEW_NUMBERS:
            return SAMPLE
    return SAMPLE if n_classes * sample_size(problem, class_weight) <= n_samples else EPOCHS


def is_wide(problem, times=TIMES_AS_WIDE):
    """Whether dense rows are so few, and `times` as many features, that their space is worth making."""
    n_samples, n_features = problem.X.shape
    return not problem.is_sparse and n_samples <= MOST_IN_SPACE_OF_ROWS and times * n_samples <= n_features


def sample_size(problem, class_weight):
    """The number of rows of a sample; all, if half of them are not enough."""
    n_samples, n_features = problem.X.shape
    rarest = class_weight[class_weight > 0].min() / class_weight.sum()
    size = int(max(LEAST_ROWS, ROWS_PER_FEATURE * (n_features + 1), ROWS_PER_CLASS / rarest, n_samples // MOST_TIMES))
    return size if 2 * size <= n_samples else n_samples


def sample_of(problem, class_weight, random_state):
    """A random sample of dense rows, or None if it would be all rows."""
    size = sample_size(problem, class_weight)
    if problem.is_sparse or size == problem.n_samples:
        return None
    return problem.take(np.sort(random_state.randint(problem.n_samples, size=size)))


def optimum_of_sample(objective, tolerance):
    """A point near the optimum on a sample."""
    tol = max(tolerance.tol, SHARE_OF_NOISE / np.sqrt(objective.n_samples))
    zeros = np.zeros((objective.design.shape[1], objective.penalty.n_classes))
    return minimise(objective, zeros, Tolerance(tol, tolerance.per_unit), max_passes=MOST_PASSES).point


class SpaceOfRows:
    """The space of the rows of an objective with an L2 penalty and fewer rows than features.

    The coefficients of an optimum are W = Z^T A, where the rows of Z are those of X in columns
    whose penalty is the same for all (the representer theorem). With Z Z^T = L L^T, and
    B = L^T A, the scores of all rows are L B, and ||W||^2 = ||B||^2. So L are n_samples rows of
    n_samples features with the same optimum, whatever the strength of the penalty.

    Attributes
    ----------
    factor : ndarray of shape (n_samples, n_samples) or None
        L. None if there is none, because columns have no values, or values at the end of their
        range.
    """

    def __init__(self, objective):
        self.objective = objective
        scale = np.asarray(objective.penalty.scale, dtype=np.float64)
        self.factors = inverse_or_zero(np.broadcast_to(scale, objective.design.shape[1] - 1))
        with np.errstate(over="ignore", invalid="ignore"):
            gram = objective.design.gram_of_rows(self.factors)
            gram[np.diag_indices_from(gram)] += JITTER * np.trace(gram) / objective.n_samples
            factor, failed = lapack.dpotrf(gram, lower=True, clean=True, overwrite_a=True)
        self.factor = None if failed or not np.isfinite(factor).all() else np.ascontiguousarray(factor)

    def objective_here(self, alpha):
        """The `Objective` in this space, for a strength of the penalty."""
        return self.objective.with_rows(self.factor, replace(self.objective.penalty, alpha=alpha, scale=1.0))

    def point(self, point_here):
        """The point of the objective, of one of this space."""
        weights = solve_triangular(self.factor, point_here[:-1], lower=True, trans="T", check_finite=False)
        weights = self.objective.design.transposed_product(lambda block: weights[block])[:-1]
        return np.vstack([weights * np.square(self.factors)[:, None], point_here[-1:]])


def optimum_in_space_of_rows(objective, tol):
    """The optimum of an objective with an L2 penalty and fewer rows than features: a point."""
    space, n_classes = SpaceOfRows(objective), objective.penalty.n_classes
    if space.factor is None:
        return np.zeros((objective.design.shape[1], n_classes))
    zeros = np.zeros((objective.n_samples + 1, n_classes))
    of_rows = space.objective_here(objective.penalty.alpha)
    return space.point(minimise(of_rows, zeros, Tolerance(tol, np.ones_like(zeros)), max_passes=MOST_PASSES).point)
