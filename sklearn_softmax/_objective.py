"""The definition of what is minimised: loss, penalty, objective, gradient and Hessian.

For weights W (n_classes, n_features), intercepts b, rows x_i with labels y_i and weights s_i,
S = sum_i s_i:

    F(W, b) = (1/S) sum_i s_i loss_i + alpha sum_j ((1 - l1_ratio)/2 v_j^2 ||W_j||_2^2 + l1_ratio v_j ||W_j||_1)
    loss_i  = -log softmax(W x_i + b + o_i)[y_i]                                        in nats

A label may be a distribution q_i over the classes. Then loss_i = -sum_k q_ik log softmax(...)[k],
which is the loss of a class y_i plus (e_yi - q_i)^T (scores). The offsets o_i of the rows are
mostly 0. W_j are the coefficients of feature j, and v_j its scale. A feature whose scale is 0 has
coefficients of 0.

With two classes the rows of W are -w/2 and w/2, and the L2 strength is doubled:
||w||^2 = 2 (||-w/2||^2 + ||w/2||^2), so that F is the objective of binary logistic regression in
the one row w that users see.

A point holds W^T and, last, b: an array of shape (n_features + 1, n_classes). In other coordinates
(x_j - offset_j) * inverse_scale_j of the features, F is the same function with other v_j.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import entr

from . import kernels
from ._matrix import DesignMatrix, loss_residual, losses_of_shift
from ._model import columns_of

__all__ = ["Curvature", "Evaluation", "Objective", "Penalty", "normalised", "proba_and_losses"]

# Steps that change no score by more than this are judged by a formula without cancellation.
SMALL_CHANGE = 1.0
# The largest strength of the L2 penalty of a column, so that products with it are finite.
LARGEST_L2 = 1e300
BLOCK = 1024  # features whose numbers stay in the cache


def proba_and_losses(scores, y, out=None):
    """softmax(scores_i), in `out` if it is given, and -log softmax(scores_i)[y_i] in nats, of each row; float64."""
    proba, losses = np.empty(scores.shape) if out is None else out, np.empty(len(scores))
    proba[:] = scores
    kernels.softmax(proba, np.asarray(y, dtype=np.int32), losses)
    return proba, losses


def normalised(weight):
    """Weights of mean 1 in the same ratios, however small or large they are: nothing else of them matters to F."""
    if weight.mean() == 1:
        return weight
    exponent = np.frexp(weight.max(initial=0))[1]
    weight = np.ldexp(weight, -exponent)  # of weights next to 0, the mean may be 0
    return weight / weight.mean()


def of_labels(array, y):
    """array[i, y_i] of each row."""
    return array[np.arange(len(y)), y]


@dataclass(frozen=True)
class Penalty:
    """alpha sum_j ((1 - l1_ratio)/2 v_j^2 ||W_j||_2^2 + l1_ratio v_j ||W_j||_1).

    With two classes it is that of the one row that users see. All weights are of shape
    (n_features, n_classes).

    Attributes
    ----------
    alpha, l1_ratio : float
    n_classes : int
    scale : ndarray of shape (n_features,) or 1.0
        v.
    """

    alpha: float
    l1_ratio: float
    n_classes: int
    scale: Any = 1.0

    @property
    def l2_ratio(self):
        return (1 - self.l1_ratio) * (2 if self.n_classes == 2 else 1)

    @property
    def l2(self):
        """Of each feature, a column: l2_j/2 ||W_j||_2^2 is its part of the penalty."""
        scale = np.atleast_1d(np.asarray(self.scale, dtype=np.float64))  # whose square a large alpha needs in double
        strength = self.alpha * self.l2_ratio
        return strength * np.square(scale)[:, None] if strength else np.zeros((len(scale), 1))

    @property
    def l1(self):
        """Of each feature, a column: l1_j ||W_j||_1 is its part of the penalty."""
        scale = np.atleast_1d(np.asarray(self.scale, dtype=np.float64))
        return self.alpha * self.l1_ratio * scale[:, None]

    @property
    def has_l1(self):
        return self.alpha * self.l1_ratio > 0

    def __call__(self, weights):
        """The penalty, in nats."""
        scale = np.broadcast_to(self.scale, len(weights))[:, None]
        l2, l1 = self.alpha * self.l2_ratio, self.alpha * self.l1_ratio
        value = 0.0
        for start in range(0, len(weights), BLOCK):
            scaled = weights[start : start + BLOCK] * scale[start : start + BLOCK]
            if l2:
                value += 0.5 * l2 * np.einsum("ij,ij->", scaled, scaled, dtype=np.float64)
            if l1:
                value += l1 * np.abs(scaled).sum(dtype=np.float64)
        return float(value)

    def change(self, weights, step):
        """penalty(weights + step) - penalty(weights), if no coefficient changes its sign; without cancellation."""
        signs = np.where(weights != 0, np.sign(weights), np.sign(step))
        return float(np.sum(step * (self.l2 * (weights + 0.5 * step) + self.l1 * signs)))

    def prox(self, weights, step):
        """The prox of the penalty, times a step."""
        weights = np.sign(weights) * np.maximum(np.abs(weights) - step * self.l1, 0)
        return weights / (1 + step * self.l2)

    def subgradient(self, weights, gradient):
        """The subgradient of F of least norm, for the gradient of its smooth part (all but the L1 norm)."""
        if not self.has_l1:
            return gradient
        at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - self.l1, 0)
        return np.where(weights != 0, gradient + self.l1 * np.sign(weights), at_zero)

    def standardised(self, gradient):
        """A gradient for W as one for the coefficients of features of scale 1; 0 where the scale is 0."""
        scale = np.atleast_1d(self.scale)[:, None]
        return np.divide(gradient, scale, out=np.zeros_like(gradient), where=np.not_equal(scale, 0))

    def gap(self, weights, gradient):
        """penalty(W) + conjugate(-gradient) + <W, gradient>, which is >= 0, and 0 if -gradient is a subgradient at W.

        The gradient is that of the loss. Without an L2 part the conjugate is finite only where
        no |gradient| exceeds alpha l1_ratio v_j.
        """
        weights, gradient = weights * np.atleast_1d(self.scale)[:, None], self.standardised(gradient)
        l2, l1 = self.alpha * self.l2_ratio, self.alpha * self.l1_ratio
        if not l1 and l2:
            return float(np.square(l2 * weights + gradient).sum() / (2 * l2))
        excess = np.maximum(np.abs(gradient) - l1, 0)
        if l2:
            # (l2/2) (|W| - excess/l2)^2 + what the signs cost: a sum of terms that are not negative
            shrunk = -np.sign(gradient) * excess / l2
            smooth = 0.5 * l2 * np.square(weights - shrunk)
            return float(np.sum(smooth + l1 * np.abs(weights) + weights * np.clip(gradient, -l1, l1)))
        return float(np.sum(l1 * np.abs(weights) + weights * gradient)) if not excess.any() else np.inf


@dataclass(frozen=True)
class Evaluation:
    """F at a point.

    Attributes
    ----------
    scores : ndarray of shape (n_samples, n_scores)
        Two classes have one score, the margin.
    loss, value : float
        The mean loss, and F, in nats.
    gradient : ndarray of shape (n_features + 1, n_classes)
        Of the smooth part of F (all but the L1 norm).
    """

    scores: np.ndarray
    loss: float
    value: float
    gradient: np.ndarray


class Curvature:
    """The Hessian of the smooth part of F at a point.

    Parameters
    ----------
    objective : Objective
    scores : ndarray of shape (n_samples, n_scores), at the point
    """

    def __init__(self, objective, scores):
        self.objective = objective
        if objective.is_margin:
            self.proba = np.exp(-np.abs(scores))
            self.proba /= np.square(1 + self.proba)  # p (1 - p)
        else:
            self.proba = proba_and_losses(scores, objective.y)[0]

    def product(self, step):
        """The product with a step, an array like a point; one pass."""
        objective = self.objective
        product = objective.design.hessian_product(objective.shares, self.proba, objective.of_scores(step))
        product = objective.of_classes(product)
        product[:-1] += objective.l2 * step[:-1]
        return product

    def mean(self):
        """The weighted mean over the rows of sum_a p_a (1 - p_a)."""
        total = sum(self._weights(block).sum() for block in self.objective.design.blocks)
        return float(total) * (2 if self.objective.is_margin else 1)

    def of_intercepts(self):
        """The block of the intercepts, of shape (n_classes, n_classes)."""
        shares = self.objective.shares
        if self.objective.is_margin:
            curvature = float(shares @ self.proba[:, 0])
            return np.array([[curvature, -curvature], [-curvature, curvature]])
        hessian = np.diag(shares @ self.proba)
        for block in self.objective.design.blocks:
            hessian -= (self.proba[block] * shares[block, None]).T @ self.proba[block]
        return hessian

    def _weights(self, block):
        """s_i/S p_ia (1 - p_ia), of each score."""
        proba, shares = self.proba[block], self.objective.shares[block, None]
        return shares * (proba if self.objective.is_margin else proba * (1 - proba))

    def diagonal(self):
        """The diagonal of the Hessian, an array like a point; one pass."""
        diagonal = self.objective.design.squared_transposed_product(self._weights)
        if self.objective.is_margin:
            diagonal = np.hstack([diagonal, diagonal])
        diagonal[:-1] += self.objective.l2
        return diagonal

    def blocks(self, stride=1):
        """The lower triangles of the blocks of the Hessian on its diagonal, one block for each class.

        With two classes it is one, that of steps that are -t and t. They are those of each row whose number is a multiple of
        `stride`. Dense X.
        """
        return [self._penalised(gram) for gram in self._grams(self._weights, stride)]

    def mean_block(self, stride=1):
        """(lower triangle of the mean block of all classes, the curvature of each class over the mean curvature)."""
        gram = self._grams(lambda block: self._weights(block).mean(axis=1, keepdims=True), stride)[0]
        curvatures = self._weights(slice(None)).sum(axis=0)
        return self._penalised(gram), curvatures / max(curvatures.mean(), np.finfo(np.float64).tiny)

    def _grams(self, weights_of, stride):
        grams = self.objective.design.gram_matrices(weights_of, self.objective.fit_intercept, stride)
        total = max(self.objective.shares[::stride].sum(), np.finfo(np.float64).tiny)
        # a step -t and t changes the margin by 2 t
        return [np.multiply(gram, (2 if self.objective.is_margin else 1) / total, out=gram) for gram in grams]

    def _penalised(self, gram):
        l2 = np.append(np.broadcast_to(self.objective.l2[:, 0], len(gram) - 1), 0)
        np.einsum("jj->j", gram)[:] += l2
        return gram


class Objective:
    """F on given rows, at points in given coordinates.

    Parameters
    ----------
    X : C-contiguous ndarray or CSR of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,), class numbers
    sample_weight : ndarray of shape (n_samples,)
    penalty : Penalty
        Of points in these coordinates.
    fit_intercept : bool
    label_shift : ndarray of shape (n_samples, n_classes) or None
        e_y - q of each row, if labels are distributions q.
    score_offset : ndarray of shape (n_samples, n_classes) or None
        What is added to the scores of each row.
    offset, inverse_scale : ndarray of shape (n_features,), float64, or None
        See `DesignMatrix`. None: the units of X. A feature with an inverse scale of 0 is left out.

    Attributes
    ----------
    label_shift, score_offset : ndarray of shape (n_samples, n_scores) or None
    """

    def __init__(
        self, X, y, sample_weight, penalty, fit_intercept=True, *,
        label_shift=None, score_offset=None, offset=None, inverse_scale=None,
    ):  # fmt: skip
        self.is_margin = penalty.n_classes == 2
        self.design = DesignMatrix(X, 1 if self.is_margin else penalty.n_classes, self.is_margin, offset, inverse_scale)
        self.y, self.shares = np.asarray(y, dtype=np.int32), normalised(sample_weight) / len(y)  # s_i / S
        self.label_shift = None if label_shift is None else np.ascontiguousarray(columns_of(label_shift))
        self.score_offset = None if score_offset is None else np.ascontiguousarray(self.of_scores(score_offset))
        self.penalty, self.fit_intercept = penalty, fit_intercept
        with np.errstate(over="ignore"):  # of a column of tiny values
            self.l2 = np.minimum(penalty.l2, LARGEST_L2)
        # the entries of points that are minimised over, and those that the L1 norm acts on
        self.is_free = np.append(self.design.inverse_scale != 0, fit_intercept)[:, None]
        self.is_signed = np.append(np.broadcast_to(penalty.l1[:, 0] > 0, X.shape[1]), False)[:, None]

    @classmethod
    def of(cls, problem, penalty, fit_intercept=True, coordinates=None):
        """F on the rows of a `Problem`, in `Coordinates` or in the units of X."""
        in_coordinates = {}
        if coordinates is not None:
            arrays = {"offset": coordinates.offset, "inverse_scale": coordinates.inverse_scale}
            in_coordinates = {name: array.astype(np.float64) for name, array in arrays.items()}
        of_rows = {"label_shift": problem.label_shift, "score_offset": problem.offset}
        return cls(problem.X, problem.y, problem.sample_weight, penalty, fit_intercept, **of_rows, **in_coordinates)

    def with_rows(self, X, penalty):
        """The objective with the same labels, weights and offsets, of other features."""
        offset = None if self.score_offset is None else self.class_scores(self.score_offset)
        of_rows = {"label_shift": self.shift_of_classes(), "score_offset": offset}
        return Objective(X, self.y, self.shares, penalty, self.fit_intercept, **of_rows)

    @property
    def n_samples(self):
        return len(self.y)

    def of_scores(self, point):
        """A point of one column for each score."""
        return point[:, 1:] - point[:, :1] if self.is_margin else point

    def of_classes(self, gradient):
        """A gradient of one column for each class."""
        return np.concatenate([-gradient, gradient], axis=1) if self.is_margin else gradient

    def class_scores(self, scores):
        """Scores of each class; of a margin m, -m/2 and m/2."""
        return np.concatenate([-0.5 * scores, 0.5 * scores], axis=1) if self.is_margin else scores

    def change_of_scores(self, step):
        """The change of scores of a step; half a pass."""
        return self.design.product(self.of_scores(step))

    def scores(self, point):
        """The scores of a point; half a pass."""
        scores = self.change_of_scores(point)
        return scores if self.score_offset is None else np.add(scores, self.score_offset, out=scores)

    def shift_of_classes(self, block=slice(None)):
        """`label_shift` of some rows, with a column for each class, or None."""
        return None if self.label_shift is None else self.of_classes(self.label_shift[block])

    def loss_of_shift(self, class_scores, block):
        """What the loss of the classes y lacks in a block of rows, because labels are distributions; times their shares."""
        if self.label_shift is None:
            return 0.0
        return float(self.shares[block] @ losses_of_shift(self.shift_of_classes(block), class_scores, self.y[block]))

    def mean_loss(self, class_scores, losses):
        """(1/S) sum_i s_i loss_i, in nats, from the losses of the classes y."""
        return float(self.shares @ losses) + sum(self.loss_of_shift(class_scores[block], block) for block in self.design.blocks)

    def entropy_of_labels(self):
        """The mean entropy of the labels, in nats; no mean loss is less."""
        if self.label_shift is None:
            return 0.0
        return sum(float(self.shares[block] @ entr(self.targets(block)).sum(axis=1)) for block in self.design.blocks)

    def frequency(self):
        """The share of each class in the labels."""
        if self.label_shift is not None:
            return sum(self.shares[block] @ self.targets(block) for block in self.design.blocks)
        return np.bincount(self.y, weights=self.shares, minlength=self.penalty.n_classes)

    def targets(self, block):
        """The labels of some rows as distributions."""
        targets = np.zeros((len(self.y[block]), self.penalty.n_classes))
        targets[np.arange(len(targets)), self.y[block]] = 1
        if self.label_shift is not None:
            targets -= self.shift_of_classes(block)
        return np.maximum(targets, 0, out=targets)

    def loss(self, point):
        """(1/S) sum_i s_i loss_i, in nats."""
        scores = self.class_scores(self.scores(point))
        of_shift = sum(self.loss_of_shift(scores[block], block) for block in self.design.blocks)
        return of_shift + float(self.shares @ proba_and_losses(scores, self.y, out=scores)[1])

    def value(self, point):
        """F, in nats."""
        return self.loss(point) + self.penalty(point[:-1])

    def evaluate(self, point):
        """The `Evaluation` at a point; one pass."""
        loss, gradient, scores = self.design.loss_gradient(
            self.shares, self.y, self.of_scores(point), self.label_shift, self.score_offset
        )
        gradient, weights = self.of_classes(gradient), point[:-1]
        of_penalty = self.l2 * weights
        gradient[:-1] += of_penalty
        gradient[~self.is_free[:, 0]] = 0
        penalty = self.penalty(weights) if self.penalty.has_l1 else 0.5 * float(np.vdot(of_penalty, weights))
        return Evaluation(scores, loss, loss + penalty, gradient)

    def loss_gradient(self, proba):
        """(1/S) sum_i s_i x_i (p_i - q_i)^T, with probabilities that may be others than the model's; half a pass."""
        return self.design.transposed_product(
            lambda block: loss_residual(proba[block].copy(), self.shares[block], self.y[block], self.shift_of_classes(block))
        )

    def curvature(self, scores):
        """The `Curvature` at the point with these scores."""
        return Curvature(self, scores)

    def subgradient(self, point, gradient):
        """The subgradient of F of least norm; the intercepts have no penalty."""
        if not self.penalty.has_l1:
            return gradient
        subgradient = np.vstack([self.penalty.subgradient(point[:-1], gradient[:-1]), gradient[-1:]])
        return np.where(self.is_free, subgradient, 0)

    def change(self, scores, point, step, step_scores, share=1.0):
        """F(point + share * step) - F(point), whose scores are known; no pass.

        The difference of two means is lost in their rounding long before tight tolerances.
        That of a small step is computed as such: loss_i changes by
        log sum_a p_a exp(d_a - d_y), where d is the change of the scores, and by what a label that is
        a distribution adds, which is linear in d.
        """
        is_small, total = share * np.abs(step_scores).max() < SMALL_CHANGE, 0.0
        for block in self.design.blocks:
            y, before, change = self.y[block], self.class_scores(scores[block]), self.class_scores(share * step_scores[block])
            proba, losses = proba_and_losses(before, y)
            if is_small:
                change = change - of_labels(change, y)[:, None]
                change_of_losses = np.log1p(np.einsum("ij,ij->i", proba, np.expm1(change)))
            else:
                change_of_losses = proba_and_losses(before + change, y)[1] - losses
            total += self.shares[block] @ change_of_losses + self.loss_of_shift(change, block)
        return float(total) + self.penalty.change(point[:-1], share * step[:-1])
