"""The slow twin of the kernels: plain NumPy in double, one line per line of the mathematics. Imports nothing of ours."""

import numpy as np


def softmax(scores):
    """Probabilities of one row of scores."""
    e = np.exp(scores - np.max(scores))
    return e / e.sum()


def log_loss(scores, y):
    """-log softmax(scores)[y] of one row, in nats: log of the sum of exp(score - score of y), less 1 inside log1p."""
    relative = scores - np.max(scores)
    others = np.exp(np.delete(relative, np.argmax(relative))).sum()
    return np.log1p(others) - relative[y]


def residual(scores, y):
    """softmax(scores) - e_y."""
    proba = softmax(scores)
    proba[y] = -np.delete(proba, y).sum()  # p_y - 1, accurate also where p_y is almost 1
    return proba


def soft_threshold(W, amount):
    return np.sign(W) * np.maximum(np.abs(W) - amount, 0)


def sweep(X, y, sample_weight, order, eta, alpha, W, b, *, l2_ratio, l1_ratio, fit_intercept, average_from=None, average=None):
    """Visit the rows of the dense array X in order, one step each.

    W has shape (n_classes, n_features) and b (n_classes,), for two classes too. `average` is the mean of the models so far,
    (W, b, total weight), or None; models enter it from visit number `average_from` on.

    Returns
    -------
    W, b : the model after the last visit
    average : (W, b, total weight) or None
    loss : the sum of weight * log loss, each row scored before its step
    """
    X, W, b = np.array(X, dtype=np.float64), np.array(W, dtype=np.float64), np.array(b, dtype=np.float64)
    if average is not None:
        mean_W, mean_b, total = average
    loss = 0.0
    for t, i in enumerate(order):
        scores = W @ X[i] + b
        loss += sample_weight[i] * log_loss(scores, y[i])
        g = residual(scores, y[i])
        step = eta[t] * sample_weight[i]
        W = W - step * np.outer(g, X[i])
        W = soft_threshold(W, step * alpha[t] * l1_ratio)
        W = W / (1 + step * alpha[t] * l2_ratio)
        if fit_intercept:
            b = b - step * g
        if average is not None and t >= average_from:
            weight = sample_weight[i]
            mean_W = (total * mean_W + weight * W) / (total + weight)
            mean_b = (total * mean_b + weight * b) / (total + weight)
            total = total + weight
    return W, b, None if average is None else (mean_W, mean_b, total), loss
