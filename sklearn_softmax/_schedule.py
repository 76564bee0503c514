"""The classic learning rates: the step eta as a function of the clock t.

t is 1 + the total weight of the examples before this one: 1 at the first example and, without weights,
the example's number.
"""

import numpy as np

__all__ = ["SCHEDULES", "default_eta0", "step_sizes"]

SCHEDULES = ("constant", "invscaling", "optimal", "adaptive")


def constant(t, eta0):
    return np.broadcast_to(np.asarray(eta0, dtype=np.float64), t.shape)


def invscaling(t, eta0, power_t):
    return eta0 / t**power_t


def optimal(t, alpha):
    """Bottou's 1 / (alpha (t + t0)); t0 makes the first step as large as typical weights (Bottou 2010)."""
    typical_weight = np.sqrt(1 / np.sqrt(alpha))
    t0 = 1 / (typical_weight * alpha)
    return 1 / (alpha * (t0 + (t - 1)))


def step_sizes(learning_rate, t, *, eta0, power_t, alpha):
    """The step at each time.

    Parameters
    ----------
    learning_rate : str
        One of `SCHEDULES`. "adaptive" is constant as long as nobody divides its `eta0`.
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
    """The schedule's own eta0, in inverse units of the squared rows, so that no data make it blow up.

    The loss of one example has a curvature of at most ||x||^2 / 2 in the weights of a class, so that a step of
    0.5 / ||x||^2 is a cautious one. "invscaling" starts higher, because its step falls at once.

    Parameters
    ----------
    learning_rate : str
    mean_squared_norm : float or ndarray
        Mean of ||x||^2, with 1 added if an intercept is fitted.
    """
    return (8.0 if learning_rate == "invscaling" else 0.5) / mean_squared_norm
