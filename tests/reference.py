"""The slow twin of the kernels: plain NumPy in double, one line per line of the mathematics. Imports nothing of ours."""

import copy

import numpy as np


def softmax(scores):
    """Probabilities of one row of scores."""
    e = np.exp(scores - np.max(scores))
    return e / e.sum()


def log_loss(scores, y):
    """-log softmax(scores)[y] of one row, in nats: log of the sum of exp(score - score of y), less 1 inside log1p.

    If y is a distribution over the classes, the mean of that.
    """
    if np.ndim(y):
        return sum(share * log_loss(scores, k) for k, share in enumerate(y))
    relative = scores - np.max(scores)
    others = np.exp(np.delete(relative, np.argmax(relative))).sum()
    return np.log1p(others) - relative[y]


def residual(scores, y):
    """softmax(scores) - e_y, or softmax(scores) - y for a distribution y."""
    if np.ndim(y):
        return sum(share * residual(scores, k) for k, share in enumerate(y))
    proba = softmax(scores)
    proba[y] = -np.delete(proba, y).sum()  # p_y - 1, accurate also where p_y is almost 1
    return proba


def soft_threshold(W, amount):
    return np.sign(W) * np.maximum(np.abs(W) - amount, 0)


def sweep(
    X, y, sample_weight, order, eta, alpha, W, b, *, l2_ratio, l1_ratio, fit_intercept, average_from=None, average=None,
    thresholds=(0.0, 0.0), follows_weight=False, offset=None,
):  # fmt: skip
    """Visit the rows of the dense array X in order, one step each, with the cumulative L1 penalty.

    W, of shape (n_classes, n_features), and b (n_classes,), for two classes too, are a sum of steps without L1. The model is
    what a threshold leaves of W. `average` is the mean of all (W, b) so far and their total weight, or None; they enter it from
    visit number `average_from` on. `thresholds` are that of W and that of the average. If alpha `follows_weight`, the threshold
    stays in proportion to it.

    Returns
    -------
    W, b, average, loss, thresholds : after the last visit; the sum of weight * log loss, each row scored before its step
    """
    X, W, b = np.array(X, dtype=np.float64), np.array(W, dtype=np.float64), np.array(b, dtype=np.float64)
    if average is not None:
        mean_W, mean_b, total = average
    (threshold, mean_threshold), loss = thresholds, 0.0
    for t, i in enumerate(order):
        scores = soft_threshold(W, threshold) @ X[i] + b + (0 if offset is None else offset[i])
        loss += sample_weight[i] * log_loss(scores, y[i])
        g = residual(scores, y[i])
        step = eta[t] * sample_weight[i]
        W = W - step * np.outer(g, X[i])
        if follows_weight and t > 0:
            threshold = threshold * alpha[t] / alpha[t - 1]
        threshold = threshold + step * alpha[t] * l1_ratio
        W, threshold = (numbers / (1 + step * alpha[t] * l2_ratio) for numbers in (W, threshold))
        if fit_intercept:
            b = b - step * g
        if average is not None and t >= average_from:
            share = sample_weight[i] / (total + sample_weight[i])
            mean_W = mean_W + share * (W - mean_W)
            mean_b = mean_b + share * (b - mean_b)
            mean_threshold = mean_threshold + share * (threshold - mean_threshold)
            total = total + sample_weight[i]
    return W, b, None if average is None else (mean_W, mean_b, total), loss, (threshold, mean_threshold)


# The implicit residual ------------------------------------------------------------------------------------------------------


def merit(g, z0, g0, y, q):
    """q/2 |g|^2 + log loss at z0 - q (g - g0), whose minimum is the implicit residual."""
    return q / 2 * (g @ g) + log_loss(z0 - q * (g - g0), y)


def newton_step(g, z0, g0, y, q):
    """The step of Newton's method for g = residual(z0 - q (g - g0))."""
    u = z0 - q * (g - g0)
    p = softmax(u)
    rho = residual(u, y) - g
    kappa = q * np.sum(p * rho / (1 + q * p)) / np.sum(p / (1 + q * p))
    return (rho + p * kappa) / (1 + q * p)


def halved(step, n_trials, g, z0, g0, y, q):
    """The step, or its half, its quarter, ..., so that the merit does not rise; None if that takes more trials."""
    for _ in range(n_trials):
        if merit(g + step, z0, g0, y, q) <= merit(g, z0, g0, y, q):
            return step
        step = step / 2
    return None


def implicit_residual(z0, g0, y, q):
    """g = residual(z0 - q (g - g0)), up to a last Newton step that changes no score by more than 0.3; five steps at most."""
    g = g0
    for _ in range(5):
        step = newton_step(g, z0, g0, y, q)
        if q * np.max(np.abs(step)) <= 0.3:
            return g + step
        step = halved(step, 10, g, z0, g0, y, q)
        if step is None:
            return g
        g = g + step
    return g


def exact_implicit_residual(z0, g0, y, q):
    """The g with g = residual(z0 - q (g - g0)), to rounding."""
    g = g0
    for _ in range(200):
        step = newton_step(g, z0, g0, y, q)
        if q * np.max(np.abs(step)) <= 1e-3:  # the merit could not tell such steps from rounding
            break
        g = g + halved(step, 60, g, z0, g0, y, q)
    for _ in range(3):
        g = g + newton_step(g, z0, g0, y, q)
    return g


# Moments and coordinates ----------------------------------------------------------------------------------------------------


def add_row(moments, x, weight):
    """(weight, mean, sum of squares about the mean) of the values of each feature that are not zero, with one row more."""
    nz, mean, square = moments
    w = np.where(x != 0, weight, 0.0)
    after = nz + w
    share = np.divide(w, after, out=np.zeros_like(w), where=w > 0)
    return after, mean + share * (x - mean), square + nz * share * (x - mean) ** 2


EPS = np.finfo(np.float64).eps


def spreads(moments, total, eps=EPS):
    """Mean over all rows, active deviation, root mean square of the values that are not zero, and their share.

    A deviation of at most 64 roundings of the mean (of the values that are not zero), each of `eps`, is none.
    """
    nz, mean_nz, square_about_mean = moments
    share = nz / total
    mean = share * mean_nz
    variance_nz = np.divide(square_about_mean, nz, out=np.zeros_like(nz), where=nz > 0)
    active_variance = np.where(nz > 0, variance_nz + mean_nz**2 * (1 - share), 0)
    active_variance = np.where(np.sqrt(active_variance) > 64 * eps * np.abs(mean_nz), active_variance, 0)
    mean_square = np.where(nz > 0, variance_nz + mean_nz**2, 0)
    return mean, np.sqrt(active_variance), np.sqrt(mean_square), share


def stream_coordinates(moments, total, centre, standardize, eps=EPS):
    """offset, inverse_scale, gain, penalty_ratio."""
    mean, active_deviation, root_mean_square, share = spreads(moments, total, eps)
    scale = active_deviation if centre else root_mean_square
    penalty_scale = active_deviation if standardize else np.ones_like(scale)
    inverse_scale = np.divide(1, scale, out=np.zeros_like(scale), where=(scale > 0) & (penalty_scale > 0))
    offset = mean if centre else np.zeros_like(mean)
    gain = np.divide(1, np.sqrt(np.maximum(share, 1e-60)), out=np.ones_like(share), where=share > 0)
    return offset, inverse_scale, gain, penalty_scale * inverse_scale


# The stream rule ------------------------------------------------------------------------------------------------------------


class Stream:
    """The stream rule, row by row.

    Attributes
    ----------
    theta, beta : the iterate, of shape (n_features, n_classes) and (n_classes,), in the coordinates, before the L1 threshold
    theta_average, beta_average : their averages
    length, average_length : the sum of the lengths of the steps, which the L1 threshold is proportional to, and its average
    coordinates : list of offset, inverse_scale, gain, penalty_ratio, each of shape (n_features,)
    moments : (weight, mean, sum of squares about the mean) of the values that are not zero; None: coordinates stay as they are
    weight, norm, curvature, penalty_step, average_weight, loss, n_rows, block_end, ... : the clock
    forgets : whether R and E change the growths, and R the model that predicts
    growth, average_total : what a row of weight 1 counts in the average, and the sum of that over the rows
    growth_of_steps, steps_total : the same of the curvature
    drift_log_odds, step_log_odds : R and E
    progressive_loss : the sum of weight * log loss of predictions
    offset : (n_samples, n_classes), what is added to the scores of each row, or None
    """

    offset = None

    def __init__(self, theta, beta, coordinates, moments, *, eta0, alpha, l2_ratio, l1_ratio, fit_intercept, **how):
        self.theta, self.beta = np.array(theta, dtype=np.float64), np.array(beta, dtype=np.float64)
        self.theta_average, self.beta_average = self.theta, self.beta
        self.coordinates, self.moments = [np.array(array, dtype=np.float64) for array in coordinates], moments
        self.eta0, self.alpha, self.l2_ratio, self.l1_ratio, self.fit_intercept = eta0, alpha, l2_ratio, l1_ratio, fit_intercept
        self.centre, self.standardize, self.average_from = how["centre"], how["standardize"], how["average_from"]
        self.eps = how.get("eps", EPS)
        self.weight = self.norm = self.curvature = self.penalty_step = self.average_weight = self.loss = 0.0
        self.length = self.average_length = 0.0
        self.forgets, self.averages = how.get("forgets", False), how.get("averages", True)
        self.growth = self.growth_of_steps = 1.0
        self.average_total = self.steps_total = self.drift_log_odds = self.step_log_odds = self.progressive_loss = 0.0
        self.n_rows = self.block_end = self.refresh_at = 0
        self.block_limit = self.block_penalty_step = self.block_average_weight = 0.0
        self.penalty_stamps, self.average_stamps = np.zeros(len(theta)), np.zeros(len(theta))
        self.table, self.norms = {}, {}  # by row

    @classmethod
    def empty(
        cls, n_features, n_classes, *, alpha, l1_ratio=0.0, fit_intercept=True, standardize=True, average_from=0.0, **how
    ):  # fmt: skip
        """The stream before its first row, the coordinates of which follow from its rows."""
        zeros = np.zeros(n_features)
        return cls(
            np.zeros((n_features, n_classes)),
            np.zeros(n_classes),
            [zeros] * 4,
            (zeros, zeros, zeros),
            eta0=1.0,
            alpha=alpha,
            l2_ratio=1 - l1_ratio,
            l1_ratio=l1_ratio,
            fit_intercept=fit_intercept,
            centre=fit_intercept,
            standardize=standardize,
            average_from=average_from,
            **how,
        )

    def dense(self, X, y, sample_weight, order, settle):
        """Visit rows of X in blocks, the length of which depends on the number of the row with which they begin.

        If coordinates follow from the rows, they are refreshed at the beginning of a block, if the rows have grown by a sixteenth
        or that row is more than four times the mean norm far out; and before such a row a block ends.
        """
        everything = np.ones(len(self.theta), dtype=bool)
        for i in order:
            is_far = self.n_rows < self.block_end and self.is_far(X[i])
            if is_far:
                self.end_block(everything)
            begins = self.n_rows == self.block_end
            if begins:
                self.block_end = self.n_rows + (max(1, min(16, self.n_rows // 16)) if self.l1_ratio == 0 else 1)
                self.block_limit = 4 * self.norm / self.weight if self.weight > 0 else np.inf
            refreshes = begins and (self.n_rows >= self.refresh_at or is_far or self.is_far(X[i]))
            if refreshes:
                self.refresh_at = self.n_rows + max(1, self.n_rows // 16)
            self.predict(i, X[i], y[i], sample_weight[i], is_sparse=False)
            self.see(X[i], sample_weight[i], everything, refreshes)
            self.visit(i, X[i], y[i], sample_weight[i])
            if self.n_rows == self.block_end:
                self.end_block(everything)
        if settle:
            self.end_block(everything)

    def end_block(self, everything):
        self.block_end = self.n_rows
        self.average(everything, self.block_average_weight)
        self.average_intercept(self.block_average_weight)
        self.penalise(everything, self.penalty_step - self.block_penalty_step)
        self.block_penalty_step, self.block_average_weight = self.penalty_step, self.average_weight

    def is_far(self, x):
        return self.moments is not None and 1 + self.seen(x) @ self.seen(x) > self.block_limit

    def seen(self, x):
        offset, inverse_scale, _, _ = self.coordinates
        return (x - offset) * inverse_scale

    def sparse(self, X, stored, y, sample_weight, order, settle):
        """Visit rows of X of which `stored` says what CSR has: the other features wait until they are touched, or settled."""
        for i in order:
            if self.moments is not None and self.weight > 0:
                fresh = stream_coordinates(self.moments, self.weight, self.centre, self.standardize, self.eps)
                self.coordinates = [np.where(stored[i], new, old) for new, old in zip(fresh, self.coordinates)]
            self.bring_up_to_date(stored[i])
            self.predict(i, X[i], y[i], sample_weight[i], is_sparse=True)
            self.see(X[i], sample_weight[i], stored[i], refreshes=True)
            average_weight = self.average_weight
            self.visit(i, X[i], y[i], sample_weight[i])
            self.average_intercept(average_weight)
        if settle:
            if self.moments is not None:
                self.coordinates = list(stream_coordinates(self.moments, self.weight, self.centre, self.standardize, self.eps))
            self.bring_up_to_date(np.ones(len(self.theta), dtype=bool))

    def see(self, x, w, touched, refreshes):
        """Add a row to the moments, and let the coordinates of touched features follow from them."""
        if self.moments is not None:
            self.moments = add_row(self.moments, x, w)
            if refreshes:
                fresh = stream_coordinates(self.moments, self.weight + w, self.centre, self.standardize, self.eps)
                self.coordinates = [np.where(touched, new, old) for new, old in zip(fresh, self.coordinates)]

    def offset_of(self, i):
        return 0 if self.offset is None else self.offset[i]

    def predict(self, i, x, y, w, is_sparse):
        """Predict a row before it is seen, and let what the average and the iterate predicted decide how much is forgotten."""
        seen, theta, beta = self.seen(x), self.theta_average, self.beta_average
        if not is_sparse:  # as if the open block ended here
            share = self.share_since(self.block_average_weight)
            theta, beta = theta + share * (self.theta - theta), beta + share * (self.beta - beta)
        z = seen @ self.thresholded(self.theta, self.length) + self.beta + self.offset_of(i)
        if not self.averages or self.average_weight == 0:
            self.progressive_loss += w * log_loss(z, y)
            return
        z_average = seen @ self.thresholded(theta, self.average_length) + beta + self.offset_of(i)
        predicted = z_average + self.share_of_iterate() * (z - z_average)
        self.progressive_loss += w * log_loss(predicted, y)

        memory, memory_of_steps = self.averaged() / self.growth, self.steps_total / self.growth_of_steps
        bound, bound_of_steps = np.log1p(memory), np.log1p(memory_of_steps)
        log_odds = max(self.drift_log_odds + w * np.clip(log_loss(z_average, y) - log_loss(z, y), -2, 2), -bound)
        step_log_odds = max(self.step_log_odds + w * np.clip(-residual(z, y) @ (z - z_average), -2, 2), -bound_of_steps)
        self.drift_log_odds = min(log_odds, bound)
        if not self.forgets:
            return
        self.step_log_odds = min(step_log_odds, bound_of_steps)
        if log_odds > bound and memory > 64:
            self.growth *= 2 ** min((log_odds - bound) / bound, 1)
        if bound_of_steps > 0 and step_log_odds > bound_of_steps:
            self.growth_of_steps *= 4 ** min((step_log_odds - bound_of_steps) / bound_of_steps, 1)

    def share_of_iterate(self):
        """The share of the iterate in the model that predicts, if that is averaged."""
        return 1 / (1 + np.exp(-self.drift_log_odds)) if self.forgets else 0.0

    def averaged(self):
        """What rows count that are in the average."""
        return max(self.average_total - self.average_from, 0)

    def visit(self, i, x, y, w):
        """One implicit step."""
        seen = self.seen(x)
        stepped = seen * self.coordinates[2]
        z = seen @ self.thresholded(self.theta, self.length) + self.beta + self.offset_of(i)
        p = softmax(z)
        self.loss += w * log_loss(z, y)
        self.weight += w
        self.norm += w * (1 + seen @ seen)
        self.curvature += self.growth_of_steps * w * np.mean(p * (1 - p))
        self.steps_total += self.growth_of_steps * w
        step = self.eta0 * w / (0.1 * self.norm / self.weight + np.sqrt(self.curvature / self.growth_of_steps))
        g = implicit_residual(z, np.zeros_like(z), y, step * (self.fit_intercept + seen @ stepped))
        self.table[i], self.norms[i] = g, 1 + seen @ seen
        self.theta = self.theta - step * np.outer(stepped, g)
        self.beta = self.beta - step * g * self.fit_intercept
        length = step * self.share_of_step(g, residual(z, y), y)
        self.length += length
        self.penalty_step += length * self.strength()
        average_weight = self.average_weight
        self.average_total += self.growth * w
        self.average_weight += self.growth * w * self.averaged() ** 3
        self.average_length += self.share_since(average_weight) * (self.length - self.average_length)
        self.n_rows += 1

    @staticmethod
    def share_of_step(g, before, y):
        """How much shorter an implicit step is than an explicit one."""
        if np.ndim(y) and np.max(y) < 1:
            square = before @ before
            return np.clip(g @ before / square, 0, 1) if square > 0 else 1
        y = np.argmax(y) if np.ndim(y) else y
        return np.clip(g[y] / before[y], 0, 1) if before[y] != 0 else 1

    def penalise(self, features, gap):
        """The penalty on features for steps of which the strengths add up to `gap`."""
        _, _, gain, ratio = self.coordinates
        kept = (1 / (1 + gap * gain * self.l2_ratio * ratio**2))[:, None]
        theta = self.theta - (1 - kept) * self.thresholded(self.theta, self.length)
        self.theta = np.where(features[:, None], theta, self.theta)

    def strength(self):
        """alpha, as it is now."""
        return (1 / self.weight if self.weight > 0 else 0) if np.isnan(self.alpha) else self.alpha

    def thresholded(self, theta, length):
        """The model of theta, when steps have gone so far."""
        return soft_threshold(theta, self.bound(length))

    def bound(self, length):
        """The L1 threshold of each feature, when steps have gone so far."""
        _, _, gain, ratio = self.coordinates
        return (self.strength() * self.l1_ratio * length * gain * ratio)[:, None]

    def model(self, averaged):
        """coef and intercept in the units of X, if rows came one by one or a block has just ended."""
        theta, beta = self.thresholded(self.theta, self.length), self.beta
        if averaged and self.average_weight > 0:
            average, share = self.thresholded(self.theta_average, self.average_length), self.share_of_iterate()
            theta, beta = average + share * (theta - average), self.beta_average + share * (beta - self.beta_average)
        offset, inverse_scale, _, _ = self.coordinates
        coef = (theta * inverse_scale[:, None]).T
        return coef, beta - coef @ offset

    def share_since(self, average_weight):
        """The share in the average of what came after `average_weight`."""
        return (self.average_weight - average_weight) / self.average_weight if self.average_weight > 0 else 0 * average_weight

    def average(self, features, since):
        """Let features of the average follow the model."""
        share = np.where(features, self.share_since(since), 0)[:, None]
        self.theta_average = self.theta_average + share * (self.theta - self.theta_average)

    def average_intercept(self, since):
        self.beta_average = self.beta_average + self.share_since(since) * (self.beta - self.beta_average)

    def bring_up_to_date(self, features):
        """First the penalty, then the average, of features that waited."""
        self.penalise(features, self.penalty_step - self.penalty_stamps)
        self.average(features, self.average_stamps)
        self.average_stamps = np.where(features, self.average_weight, self.average_stamps)
        self.penalty_stamps = np.where(features, self.penalty_step, self.penalty_stamps)

    def up_to_date(self, is_sparse):
        """A copy in which nothing waits: of a feature until it is touched, of dense rows (their average) until a block ends."""
        everything, then = np.ones(len(self.theta), dtype=bool), copy.copy(self)
        if is_sparse:  # the coordinates of a row are for the moment only
            then.coordinates = list(stream_coordinates(self.moments, self.weight, False, self.standardize, self.eps))
            then.penalise(everything, self.penalty_step - self.penalty_stamps)
            then.average(everything, self.average_stamps)
        else:
            then.average(everything, self.block_average_weight)
            then.average_intercept(self.block_average_weight)
        return then

    def enter(self, averages, was_sparse, is_sparse):
        """Go on from what predicts, in the coordinates of another container; iterate and average are one there.

        A weight stays where it was inside its threshold.
        """
        self.centre = self.fit_intercept and not is_sparse
        if self.n_rows == 0:
            return
        then = self.up_to_date(was_sparse)
        coef, intercept = then.model(averages)
        averages = averages and self.average_weight > 0
        theta, length = (then.theta_average, then.average_length) if averages else (then.theta, then.length)
        bound = then.bound(length)
        share = np.clip(np.divide(theta, bound, out=np.zeros_like(theta), where=bound > 0), -1, 1)
        share = np.where(coef.T == 0, share, np.sign(coef.T))
        self.drift_log_odds = self.step_log_odds = 0.0
        self.coordinates = list(stream_coordinates(self.moments, self.weight, self.centre, self.standardize, self.eps))
        offset, inverse_scale, _, _ = self.coordinates
        scale = np.divide(1, inverse_scale, out=np.zeros_like(inverse_scale), where=inverse_scale > 0)
        self.theta, self.beta = (coef * scale).T + share * self.bound(self.length), intercept + coef @ offset
        self.theta_average, self.beta_average, self.average_length = self.theta, self.beta, self.length
        self.block_end, self.block_penalty_step, self.block_average_weight = self.n_rows, self.penalty_step, self.average_weight
        self.penalty_stamps[:], self.average_stamps[:] = self.penalty_step, self.average_weight


# Point-SAGA -----------------------------------------------------------------------------------------------------------------


class PointSaga:
    """Epochs of Point-SAGA.

    Attributes
    ----------
    theta, beta : the model, of shape (n_features, n_classes) and (n_classes,), in the coordinates
    theta_average, beta_average : of the last epoch's iterates, that after t visits with the weight t
    table : (n_samples, n_classes), the last residual of each row
    gradient, intercept_gradient : the mean of the table's gradients, like theta and beta
    loss, curvature : of the last epoch
    """

    def __init__(self, theta, beta, table, gradient, intercept_gradient, coordinates, *, step, alpha, l2_ratio, l1_ratio, **how):
        arrays = (theta, beta, table, gradient, intercept_gradient)
        self.theta, self.beta, self.table, self.gradient, self.intercept_gradient = (np.array(a, dtype=float) for a in arrays)
        self.offset, self.inverse_scale, _, self.ratio = (np.array(array, dtype=np.float64) for array in coordinates)
        self.step, self.l2, self.l1 = step, alpha * l2_ratio, alpha * l1_ratio
        self.fit_intercept, self.score_offset = how["fit_intercept"], how.get("offset")

    def dense(self, X, y, sample_weight, order, repeats):
        """One epoch over rows of X, in blocks of 16 visits."""
        everything = np.ones(len(self.theta), dtype=bool)
        self.begin()
        for start in range(0, len(order), 16):
            block = order[start : start + 16]
            self.drift(everything, self.step * len(block))
            self.drift_intercept(self.step * len(block))
            for i in block:
                self.visit(i, X[i], y[i], sample_weight[i], repeats[i], len(order))
            self.average(start + len(block))

    def sparse(self, X, stored, y, sample_weight, order, repeats):
        """One epoch over rows of X of which `stored` says what CSR has.

        A feature takes its drift before every 16th visit that has it, and at the end, and its average the iterates then.
        """
        n_visits, stamps = np.zeros(len(self.theta), dtype=int), np.zeros(len(self.theta))
        self.begin()
        for t, i in enumerate(order, start=1):
            self.drift_intercept(self.step)
            n_visits[stored[i]] += 1
            self.catch_up(stored[i] & (n_visits % 16 == 0), t, stamps)
            self.visit(i, X[i], y[i], sample_weight[i], repeats[i], len(order))
            self.beta_average = self.beta_average + (1 - ((t - 1) / t) ** 2) * (self.beta - self.beta_average)
        self.catch_up(np.ones(len(self.theta), dtype=bool), len(order), stamps)

    def catch_up(self, features, t, stamps):
        """Features take the drift of the visits after those of their stamps."""
        self.drift(features, self.step * (t - stamps))
        share = np.where(features, 1 - (stamps / t) ** 2, 0)[:, None]
        self.theta_average = self.theta_average + share * (self.theta - self.theta_average)
        stamps[features] = t

    def begin(self):
        self.loss = self.curvature = 0.0
        self.theta_average, self.beta_average, self.n_averaged = 0.0, 0.0, 0

    def average(self, t):
        """The iterate after t visits enters the average."""
        share = 1 - (self.n_averaged / t) ** 2
        self.theta_average = self.theta_average + share * (self.theta - self.theta_average)
        self.beta_average = self.beta_average + share * (self.beta - self.beta_average)
        self.n_averaged = t

    def drift(self, features, steps):
        """Features go along the mean gradient, and to where the penalty pulls them."""
        steps, ratio = np.broadcast_to(steps, len(self.theta))[:, None], self.ratio[:, None]
        theta = soft_threshold(self.theta - steps * self.gradient, steps * self.l1 * ratio) / (1 + steps * self.l2 * ratio**2)
        self.theta = np.where(features[:, None], theta, self.theta)

    def drift_intercept(self, steps):
        self.beta = self.beta - steps * self.intercept_gradient * self.fit_intercept

    def visit(self, i, x, y, w, n_repeats, n_visits):
        """One implicit step along what the row's residual differs from its last one."""
        seen = (x - self.offset) * self.inverse_scale
        z = seen @ self.theta + self.beta + (0 if self.score_offset is None else self.score_offset[i])
        p = softmax(z)
        self.loss += w * log_loss(z, y)
        self.curvature += w * np.sum(p * (1 - p))
        g = implicit_residual(z, self.table[i], y, self.step * w * (self.fit_intercept + seen @ seen))
        change = g - self.table[i]
        self.table[i] = self.table[i] + change / n_repeats
        self.theta = self.theta - self.step * w * np.outer(seen, change)
        self.beta = self.beta - self.step * w * change * self.fit_intercept
        self.gradient = self.gradient + w * np.outer(seen, change) / n_visits
        self.intercept_gradient = self.intercept_gradient + w * change / n_visits * self.fit_intercept


# Merging --------------------------------------------------------------------------------------------------------------------


def merged(thetas, betas, counts, squares, weights, centre, firmness):
    """Coefficients of several models, weighted by what their rows say about each, from a common start at zero.

    Of model i: thetas[i] of shape (n_classes, n_features), betas[i] and counts[i] of shape (n_classes,), and squares[i] of shape
    (n_features,), the sum of squares about the mean; `weights` multiply the rows of each. Returns theta and beta.
    """
    precisions = [np.outer(n / n.sum(), square) for n, square in zip(counts, squares)]
    n_rows = [w * n.sum() for w, n in zip(weights, counts)]
    theta, beta = np.zeros_like(thetas[0]), np.zeros_like(betas[0])
    for k, j in np.ndindex(theta.shape):
        total = sum(w * precision[k, j] for w, precision in zip(weights, precisions))
        for i, w in enumerate(weights):
            if total == 0:
                theta[k, j] += n_rows[i] / sum(n_rows) * thetas[i][k, j]
            elif precisions[i][k, j] > 0:
                theta[k, j] += w * (firmness[j] + precisions[i][k, j]) / (firmness[j] + total) * thetas[i][k, j]
    for k in range(len(beta)):
        shares = [w * n[k] for w, n in zip(weights, counts)]
        shares = shares if sum(shares) > 0 else n_rows
        beta[k] = sum(share * (b + W @ centre)[k] for share, W, b in zip(shares, thetas, betas)) / sum(shares)
    return theta, beta - theta @ centre
