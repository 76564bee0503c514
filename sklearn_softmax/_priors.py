"""Class priors: another prevalence of the classes, and its estimate from unlabelled rows.

By Bayes' rule the probabilities of a model belong to the class shares pi of its
training. If the rows of each class stay alike, and only the shares change to pi', then

    p'(k | x) = p(k | x) r_k / sum_l p(l | x) r_l,    r_k = pi'_k / pi_k.

For a softmax this is a shift of the intercepts by log(pi'_k / pi_k), in closed form
(Elkan 2001; Saerens, Latinne and Decaestecker 2002). Imports models only.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

__all__ = ["checked_prior", "estimate_class_prior", "prior_of", "with_prior"]

# EM ends when no share changes by more than this, or after so many iterations.
TOLERANCE, MOST_ITERATIONS = 1e-9, 10_000
# The shares of training count for so many rows per class. Plain EM (0) believes errors
# of the probabilities: on 13 data sets with other shares it multiplied the log loss by
# 1.02 (500 rows, at worst by 1.71), and with 2 by 0.77 (at worst by 0.90). 1 and 5 do
# about as well; see benchmarks/priors.py.
ROWS_PER_CLASS = 2.0


def checked_prior(values, classes, name):
    """Shares of the classes that sum to 1, from positive numbers in their order."""
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "biuf":
        raise ValueError(f"{name}={values!r} must be real numbers, one for each class in the order of classes_, {classes}.")
    if numbers.shape != (len(classes),):
        raise ValueError(
            f"{name} has the shape {numbers.shape}, expected {(len(classes),)}: one number for each class in the order of "
            f"classes_, {classes}."
        )
    numbers = numbers.astype(np.float64)
    wrong = ~((numbers > 0) & np.isfinite(numbers))
    if wrong.any():
        at = np.flatnonzero(wrong)[0]
        raise ValueError(
            f"{name} has {numbers[at]} for class {classes[at : at + 1].tolist()[0]!r}. Pass positive, finite numbers. For a "
            "class that should not occur, pass a small number such as 1e-9."
        )
    shares = numbers / numbers.max()  # whose sum is finite
    return shares / shares.sum()


def prior_of(known, trained_on, classes):
    """The shares of the classes to which a model belongs: `trained_on`, if it is given.

    `known` are the shares that the model remembers, or None.
    """
    if trained_on is not None:
        return checked_prior(trained_on, classes, "trained_on")
    if known is None:
        raise ValueError(
            "The class shares that the model was trained on are not known: there is no class_prior_. Pass them as "
            "trained_on=, in the order of classes_."
        )
    if not known.all():
        absent = classes[known == 0]
        raise ValueError(
            f"Training had no row of positive weight of the classes {absent}, so that their probabilities belong to no "
            "class share. Pass the shares that they stand for as trained_on=, or train on rows of these classes."
        )
    return known


def with_prior(model, before, after):
    """A copy of a `Model` whose intercepts have moved from one prior to another."""
    model = model.copy()
    shift = np.log(after) - np.log(before)
    _, intercept = model.columns()
    intercept += (shift[1:] - shift[:1]) / 2 if model.n_classes == 2 else shift
    return model


def estimate_class_prior(clf, X, *, trained_on=None):
    """Estimate the class shares of unlabelled rows, for `with_class_prior`.

    The classes of new rows may have other shares than in training, although the rows of
    each class look alike. This function finds the shares pi' that explain X best, by
    the EM algorithm of Saerens, Latinne and Decaestecker [1]_. With pi for the shares
    of training, each iteration takes

    .. code-block:: text

        q_ik  = p(k | x_i) pi'_k / pi_k,  divided by the sum over k
        pi'_k = (sum_i q_ik + 2 K pi_k) / (n_samples + 2 K)

    The second term is a Dirichlet prior. The shares of training count for 2 rows per
    class (K is the number of classes), so that no share becomes 0, and few rows change
    little. Without this term the estimate is often worse than the shares of training.

    Parameters
    ----------
    clf : SoftmaxSGDClassifier, or another fitted classifier or pipeline
        The model. Its `predict_proba` should be calibrated for the shares of training.

    X : {array-like, sparse} of shape (n_samples, n_features)
        Rows without labels, in the form that `clf` takes.

    trained_on : array-like of shape (n_classes,) or None, default=None
        The class shares that `clf` was trained on, or counts, in the order of
        ``clf.classes_``. None is ``clf.class_prior_``, of a pipeline that of its last
        step.

    Returns
    -------
    priors : ndarray of shape (n_classes,)
        The estimated shares, in the order of ``clf.classes_``. They sum to 1.

    Raises
    ------
    NotFittedError
        If `clf` is not fitted.
    TypeError
        If `clf` has no `predict_proba`.
    ValueError
        If the shares of training are neither given nor known, or not one positive
        number for each class.

    Warns
    -----
    ConvergenceWarning
        If EM has not converged after 10,000 iterations.

    See Also
    --------
    SoftmaxSGDClassifier.with_class_prior : Use the estimate.

    References
    ----------
    .. [1] Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to
       new a priori probabilities", Neural Computation 14, 2002.

    Examples
    --------
    Half of the rows of training are benign tumours (class 1), but nine in ten new rows.

    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.metrics import log_loss
    >>> from sklearn_softmax import SoftmaxSGDClassifier, estimate_class_prior
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> benign, malignant = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    >>> train = np.r_[benign[:150], malignant[:150]]
    >>> new = np.r_[benign[150:], malignant[150:173]]
    >>> clf = SoftmaxSGDClassifier(random_state=0).fit(X[train], y[train])
    >>> clf.class_prior_
    array([0.5, 0.5])
    >>> priors = estimate_class_prior(clf, X[new])
    >>> priors.round(2)
    array([0.11, 0.89])
    >>> adapted = clf.with_class_prior(priors)
    >>> for model in (clf, adapted):
    ...     print(f"log loss {log_loss(y[new], model.predict_proba(X[new])):.3f}")
    log loss 0.080
    log loss 0.020
    """
    if not hasattr(clf, "predict_proba"):
        raise TypeError(f"clf is a {type(clf).__name__}, which has no predict_proba. Pass a classifier that has one.")
    check_is_fitted(clf)
    last = clf[-1] if isinstance(clf, Pipeline) else clf
    before = prior_of(getattr(last, "class_prior_", None), trained_on, last.classes_)
    proba = np.asarray(clf.predict_proba(X), dtype=np.float64)
    likelihood, pseudo_counts = proba / before, ROWS_PER_CLASS * len(before) * before
    total, prior = len(proba) + pseudo_counts.sum(), before
    for _ in range(MOST_ITERATIONS):
        # the sum of q over the rows, without the array q
        counts = prior * ((1 / (likelihood @ prior)) @ likelihood)
        last_prior, prior = prior, (counts + pseudo_counts) / total
        if not np.abs(prior - last_prior).max() > TOLERANCE:
            return prior
    warnings.warn(
        f"estimate_class_prior has not converged after {MOST_ITERATIONS} iterations: the last one changed a share by "
        f"{np.abs(prior - last_prior).max():.1g}. The rows hardly tell the classes apart. Pass more rows.",
        ConvergenceWarning,
        stacklevel=2,
    )
    return prior


estimate_class_prior.__module__ = "sklearn_softmax"
