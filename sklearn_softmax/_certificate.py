"""The certificate: how far a point is above the minimum of an objective, at most.

It is a duality gap. For any distributions q_i over the classes (a dual point),

    min F >= (1/S) sum_i s_i entropy(q_i) - conjugate of the penalty(-G),    G = (1/S) sum_i s_i x_i (q_i - e_yi)^T

if sum_i s_i (q_i - e_yi) = 0, which is the price of an intercept without a penalty. If a label is
a distribution, it takes the place of e_yi. With offsets o_i of the scores, <q_i - e_yi, o_i> is added
to each entropy. In terms of divergences from the model, neither changes the gap. The model's
own probabilities, moved by a step of Newton's method for the intercepts, are such a point. Where
the intercepts are too far off for that, a step is taken and a mixture makes them one. The bound
is as tight as the model is good. With L2 it is about |grad F|^2 / (2 alpha). Without an L2 part
the point is moved towards the labels until the conjugate is finite, at worst to where the bound
says no more than min F >= 0. Without a penalty the conjugate is finite at the optimum only, so
that there is no bound.

Near the optimum no dual point is made. That of a step u of the intercepts is p_i + (diag(p_i) -
p_i p_i^T) u, so that its G is the gradient plus a product with the Hessian.
"""

import numpy as np
from scipy.special import xlogy

from ._objective import of_labels, proba_and_losses

__all__ = ["optimality_gap"]

# A class may lose this share of its probability in a dual point that is made by a step, and
# this one in a dual point that is near the model's probabilities.
LARGEST_LOSS, SMALL_LOSS = 0.9, 0.5
ROUNDING = 1e-13  # of frequencies of labels
# Conjugate gradients make a step with so many products at most, and leave no more than this
# share of what it costs.
MOST_PRODUCTS = 50
SHARE_OF_STEP = 1e-3
FEW_CLASSES = 64  # whose Hessian of the intercepts is made
BLOCK = 1 << 16  # numbers


def optimality_gap(objective, point, at=None, curvature=None):
    """An upper bound of F(point) - min F, in nats; infinite where no bound is known.

    Takes about a pass over X, and the memory of two arrays of shape (n_samples, n_scores) near the
    optimum, of more rows than columns; else that of three of shape (n_samples, n_classes).

    Parameters
    ----------
    objective : Objective
    point : ndarray of shape (n_features + 1, n_classes)
    at : Evaluation or None, default=None
        That of the point, if it is known.
    curvature : Curvature or None, default=None
        That of the point, if it is known.
    """
    if objective.penalty.alpha == 0 or not np.isfinite(point).all():
        return np.inf
    # gradients take the memory of a point, and dual points that of the scores
    is_wide, gap = len(point) > objective.n_samples, np.nan
    with np.errstate(all="ignore"):  # numbers at the end of their range give no bound
        if not (is_wide or objective.penalty.has_l1 or objective.penalty.n_classes > FEW_CLASSES):
            at = at or objective.evaluate(point)
            gap = _gap_near_optimum(objective, point[:-1], at, curvature)
        if not np.isfinite(gap):
            scores = objective.scores(point) if at is None else at.scores
            gap = _gap(objective, point[:-1], objective.class_scores(scores))
    return max(0.0, float(gap)) if np.isfinite(gap) else np.inf


def _gap_near_optimum(objective, weights, at, curvature):
    """The gap from a small step of the intercepts, or NaN if that is not known to be a dual point."""
    penalty, gradient = objective.penalty, at.gradient
    missing, divergence = -gradient[-1], 0.0
    if objective.fit_intercept and missing.any():
        curvature = curvature or objective.curvature(at.scores)
        hessian = curvature.of_intercepts()
        # the Hessian knows nothing of a shift of all classes
        unit = np.trace(hessian) / len(hessian) or 1.0
        try:
            step = np.linalg.solve(hessian + unit, missing - missing.mean())
        except np.linalg.LinAlgError:  # a class without any probability
            return np.nan
        product = curvature.product(np.vstack([np.zeros_like(weights), step]))
        loss = np.ptp(step)
        if not (loss <= SMALL_LOSS and np.abs(missing - product[-1]).max() <= ROUNDING * objective.frequency().min()):
            return np.nan
        gradient = gradient + product
        # as in _near_dual_point
        divergence = max(0.0, step @ missing) * min(1.0, 0.5 / (1 - loss))
    bound = divergence + penalty.gap(weights, gradient[:-1] - objective.l2 * weights)
    return np.fmin(bound, at.value - objective.entropy_of_labels())


def _gap(objective, weights, scores):
    shares, y, penalty = objective.shares, objective.y, objective.penalty
    loss, scores, losses, dual, divergence = _near_dual_point(objective, scores)
    better_loss = objective.mean_loss(scores, losses)
    gradient = objective.loss_gradient(dual)[:-1]
    gaps = [
        loss - objective.entropy_of_labels() + penalty(weights),  # no loss is less than the entropy of its label
        loss - better_loss + divergence + penalty.gap(weights, gradient),
    ]
    if penalty.has_l1:
        l1 = penalty.alpha * penalty.l1_ratio
        largest = np.abs(penalty.standardised(gradient)).max()
        share = min(1.0, l1 / max(largest, l1)) * (1 - 1e-15)
        dual *= share
        for block in _blocks(dual):
            dual[block] += (1 - share) * objective.targets(block)
        divergence = _divergence(shares, y, dual, scores, losses)
        gaps.append(loss - better_loss + divergence + penalty.gap(weights, share * gradient))
    return np.nanmin(gaps)  # a bound that could not be computed says nothing


def _blocks(array):
    """Slices of rows that have about `BLOCK` numbers."""
    n_rows = max(1, BLOCK // array.shape[1])
    return [slice(start, start + n_rows) for start in range(0, len(array), n_rows)]


def _divergence(shares, y, dual, scores, losses):
    """Kullback and Leibler's, of dual points from the model with these scores and losses; weighted mean."""
    # (a probability may be so small that it is 0, its logarithm is finite)
    log_of_sums, total = losses + of_labels(scores, y), 0.0
    for block in _blocks(scores):
        log_proba = scores[block] - log_of_sums[block, None]
        total += shares[block] @ (xlogy(dual[block], dual[block]) - dual[block] * log_proba).sum(axis=1)
    return float(total)


def _near_dual_point(objective, scores):
    """Distributions near the model's whose marginal over the rows is exactly that of the labels, and how near.

    Returns
    -------
    loss : float
        The mean loss of the model.
    scores : ndarray of shape (n_samples, n_classes)
        Those of the model, or with better intercepts, if the model's are far off.
    losses : ndarray of shape (n_samples,)
        With these scores.
    dual : ndarray of shape (n_samples, n_classes)
    divergence : float
        At least their divergence from the model with these scores, weighted mean.
    """
    shares, y = objective.shares, objective.y
    proba, losses = proba_and_losses(scores, y)
    loss = objective.mean_loss(scores, losses)
    if not objective.fit_intercept:
        return loss, scores, losses, proba, 0.0
    frequency = objective.frequency()
    frequency /= frequency.sum()  # which rounding has moved away from 1, one share after the other
    step, means, mean_square = _intercept_step(shares, proba, frequency)
    if not means.max() - step.min() <= LARGEST_LOSS:  # take the step, if it helps
        better_losses = [proba_and_losses(scores[block] + step, y[block])[1] for block in _blocks(scores)]
        better_loss = shares @ np.concatenate(better_losses)
        better_loss += sum(objective.loss_of_shift(scores[block] + step, block) for block in _blocks(scores))
        if better_loss < loss:
            scores = scores + step
            losses = proba_and_losses(scores, y, out=proba)[1]
            step, means, mean_square = _intercept_step(shares, proba, frequency)
    dual, divergence, largest_loss = proba, 0.0, means.max() - step.min()
    if largest_loss <= LARGEST_LOSS:
        for block in _blocks(dual):
            dual[block] *= (1 + step) - means[block, None]
        # where no t is below -l, (1 + t) log(1 + t) is at most t + t^2, and at most
        # t + t^2 / (2 (1 - l)); the mean of t is 0
        divergence = max(0.0, mean_square) * min(1.0, 0.5 / (1 - largest_loss))
    return loss, scores, losses, *_mixture(objective, scores, dual, losses, frequency, divergence)


def _intercept_step(shares, proba, frequency):
    """The step u of Newton's method for the intercepts, its mean <p, u> in each row, and the mean of (u - <p, u>)^2 in all.

    The distributions p (1 + u - <p, u>) have the marginal `frequency`: they are linear in u, and
    add the Hessian times u to that of p. Conjugate gradients take few products with it. What they
    leave is mixed in, so that the bound needs no exact solution. The Hessian is not made, because
    its n_classes^2 n_samples multiplications may be more than those of a fit.
    """
    marginal, diagonal = np.zeros_like(frequency), np.zeros_like(frequency)
    for block in _blocks(proba):
        marginal += shares[block] @ proba[block]
        diagonal += shares[block] @ (proba[block] * (1 - proba[block]))

    def hessian_product(step):
        product = marginal * step
        for block in _blocks(proba):
            product -= (shares[block] * (proba[block] @ step)) @ proba[block]
        return product

    # the Hessian knows nothing of a shift of all classes, and rounding must not ask for one
    missing, unit = frequency - marginal - (frequency - marginal).mean(), np.where(frequency > 0, frequency, marginal)
    inverse = np.divide(1, diagonal, out=np.zeros_like(frequency), where=diagonal > 0)
    step, residual, direction, square = np.zeros_like(frequency), missing.copy(), 0.0, np.inf
    for _ in range(MOST_PRODUCTS):
        # what is left costs some nats times its part of the frequency, and the step costs half of `missing @ step`
        if not np.any(np.abs(residual) > max(ROUNDING, SHARE_OF_STEP * (missing @ step)) * unit):
            break
        preconditioned, square_before = inverse * residual, square
        preconditioned -= preconditioned.mean()
        square = residual @ preconditioned
        direction = preconditioned + square / square_before * direction
        product = hessian_product(direction)
        curvature = direction @ product
        if not curvature > 0:  # probabilities that are all 0 or 1 have no Hessian
            break
        step += square / curvature * direction
        residual -= square / curvature * product
    return step, proba @ step, float(step @ hessian_product(step))


def _mixture(objective, scores, dual, losses, frequency, divergence):
    """(dual, divergence), with as little of another distribution mixed in as makes its marginal the frequency exactly."""
    shares, y = objective.shares, objective.y
    present = frequency > 0
    if not present.all():
        dual[:, ~present] = 0
        dual /= dual.sum(axis=1, keepdims=True)
    marginal = shares @ dual
    # (1 - mix) marginal + mix c = frequency, for the least mix that leaves a distribution c
    ratio = np.max((marginal - frequency)[present] / frequency[present], initial=0)
    mix = ratio / (1 + ratio)
    c = np.maximum(frequency - (1 - mix) * marginal, 0)
    if mix > ROUNDING and c.any():
        c /= c.sum()
        dual *= 1 - mix
        dual += mix * c
    else:
        mix = 0.0
    if not present.all():
        return dual, _divergence(shares, y, dual, scores, losses)
    if mix > 0:  # the divergence is convex: at most (1 - mix) * (that of the dual point) + mix * (that of c)
        mean_log_proba = shares @ scores - shares @ (losses + of_labels(scores, y))
        divergence += mix * float(np.sum(xlogy(c, c)) - c @ mean_log_proba)
    return dual, divergence
