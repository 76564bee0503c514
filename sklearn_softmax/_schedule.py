"""The classic learning rates: the step size eta as a function of t.

t is 1 + the total weight of the rows before this one. Without weights, t is the number
of the row, from 1. Imports nothing of the package.
"""

import numpy as np

__all__ = ["SCHEDULES", "default_eta0", "step_sizes"]

SCHEDULES = ("constant", "invscaling", "optimal", "adaptive")


def constant(t, eta0):
    return np.broadcast_to(np.asarray(eta0, dtype=np.float64), t.shape)


def invscaling(t, eta0, power_t):
    return eta0 / t**power_t


def optimal(t, alpha):
    """1 / (alpha (t0 + t - 1)), where the first step is the size of a typical weight.

    See Bottou (2010).
    """
    typical_weight = np.sqrt(1 / np.sqrt(alpha))
    t0 = 1 / (typical_weight * alpha)
    return 1 / (alpha * (t0 + (t - 1)))


def step_sizes(learning_rate, t, *, eta0, power_t, alpha):
    """The step size of each row.

    Parameters
    ----------
    learning_rate : str
        One of `SCHEDULES`. "adaptive" is constant here; `fit` divides its `eta0`.
    t : ndarray of shape (n,)
    eta0 : float or ndarray of shape (n,)
    power_t : float
    alpha : float or ndarray of shape (n,)

    Returns
    -------
    eta : ndarray of shape (n,), float64
    """
    if learning_rate == "invscaling":
        return invscaling(t, eta0, power_t)
    if learning_rate == "optimal":
        return optimal(t, alpha)
    return constant(t, eta0)


def default_eta0(learning_rate, mean_squared_norm):
    """The eta0 of a schedule where the user gives none: a number / mean(||x||^2).

    The loss of one row has a curvature of at most ||x||^2 / 2 in the weights of a
    class, so that 0.5 / ||x||^2 is a cautious step. "invscaling" starts higher, because
    its step falls at once.

    Parameters
    ----------
    learning_rate : str
    mean_squared_norm : float or ndarray
        Mean of ||x||^2, with 1 added if an intercept is fitted.
    """
    return (8.0 if learning_rate == "invscaling" else 0.5) / mean_squared_norm
