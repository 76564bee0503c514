"""The estimator: parameters, fit, partial_fit, predict; the only file that knows `self`."""

from contextlib import contextmanager
from numbers import Integral, Real
from operator import is_
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse
from scipy.special import expit, log_expit, log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import _solver, _validation
from ._compat import Interval, StrOptions, fit_context, uses_sparse_arrays
from ._layout import Model
from ._objective import raw_prediction
from ._schedule import SCHEDULES

__all__ = ["SoftmaxSGDClassifier"]

FLOATS = (np.float64, np.float32)


class Shown(NamedTuple):
    """`coef_` and `intercept_` if they are not those of the stream: sparse, or put there by somebody."""

    coef: Any
    intercept: np.ndarray
    replaces: bool  # training goes on from them


class SoftmaxSGDClassifier(ClassifierMixin, BaseEstimator):
    """Softmax (multinomial logistic) regression by per-example stochastic gradient descent.

    The model is ``P(y = a | x) = softmax(W x + b)_a``, and what is minimised is

    .. code-block:: text

        F(W, b) = (1/S) sum_i s_i loss_i + alpha sum_j ((1 - l1_ratio)/2 v_j^2 ||W_j||_2^2 + l1_ratio v_j ||W_j||_1)
        loss_i  = -log softmax(W x_i + b)[y_i]             s_i = sample_weight_i * class_weight[y_i],  S = sum_i s_i

    where W_j are the coefficients of feature j and v_j is its scale: the objective of `LogisticRegression` with
    ``C = 1 / (alpha * S)`` on the columns divided by v_j. No scaler is needed, and no step has to be chosen. An example of class
    ``y`` moves the weights along its own gradient, ``dloss/dW_a = (softmax(W x + b)_a - [a = y]) x`` and
    ``dloss/db_a = softmax(W x + b)_a - [a = y]``.

    Parameters
    ----------
    alpha : float or "1/n_samples", default="1/n_samples"
        Strength of the penalty. "1/n_samples" is 1 / S, the strength of ``LogisticRegression(C=1)``; in `partial_fit` S is the
        total weight seen so far. 0 means no penalty. The intercept is never penalised.

    l1_ratio : float, default=0.0
        Share of L1 in the penalty, from 0 (L2) to 1 (L1, which makes coefficients exactly zero).

    standardize : bool, default=True
        Whether the penalty is on the coefficients of standardised features, so that the unit of a column changes nothing. The
        scale v_j (`scale_`) is the active standard deviation: ``v_j^2 = Var_j / (share of the rows where x_j != 0)``, weighted.
        That is the standard deviation of a column without zeros, and for a sparse one the spread of the values that occur; 0 for
        a constant column, whose coefficient is 0. False sets all v_j to 1: the objective of `LogisticRegression` on the data as
        they are. Coefficients are in the units of X either way. Acts with ``learning_rate="auto"`` only.

    fit_intercept : bool, default=True
        Whether to learn intercepts.

    max_iter : int, default=100
        Largest number of epochs of `fit`: passes over the rows.

    tol : float or None, default=1e-4
        With "auto", `fit` stops when no entry of the gradient of F, for standardised features, is larger: the criterion of
        `LogisticRegression`. With the classic schedules it stops when `n_iter_no_change` epochs in a row do not improve the
        penalised objective by `tol` nats per example. (With `early_stopping` that is said of the validation log loss, for all.)
        None: run all `max_iter` epochs.

    shuffle : bool, default=True
        Whether `fit` visits the rows in a new random order in every epoch. `partial_fit` never shuffles.

    learning_rate : {"auto", "constant", "invscaling", "optimal", "adaptive"}, default="auto"
        The step. "auto" needs no tuning, whatever the scale of the data: an implicit step [1]_ in coordinates in which features
        are alike, as long as the norms of the rows and the curvature of their losses allow. In `fit` it is compared with the last
        step of the same row (Point-SAGA [2]_) and Newton's method ends what it begins, so that the optimum is reached.

        The others are the explicit steps of `SGDClassifier`, in the units of X, of a size eta(t), where t is 1 + the total weight
        of the examples before:

        - "constant": ``eta0``
        - "invscaling": ``eta0 / t ** power_t``
        - "optimal": ``1 / (alpha * (t0 + t - 1))`` with Bottou's t0 [3]_; `eta0` is not used
        - "adaptive": ``eta0``, divided by 5 whenever `fit` would stop, until it is below 1e-6

    eta0 : float or None, default=None
        With "auto", a factor of the step; None is 1. Else the first step; None is the schedule's own default: 8 (invscaling) or
        0.5 (constant, adaptive) divided by the mean of ``||x||^2 + 1``, so that no data blow it up; in `partial_fit` it is the
        mean over the rows seen so far.

    power_t : float, default=0.5
        Exponent of "invscaling".

    average : bool, int or "auto", default="auto"
        Whether `coef_` and `intercept_` are an average of the iterates; an int is the time t from which on they are averaged.
        With "auto" as `learning_rate` it acts in streams, and gives late iterates more weight (that of ``t^3``): less noise, but
        it lags behind if a stream comes sorted by class. With the others it is their mean (Polyak-Ruppert averaging). "auto" is
        True for "auto" and False for the others.

    variance_reduction : bool, default=True
        Whether `fit` keeps the last residual of every row, ``n_samples * n_classes`` numbers, to compare the next one with.
        False saves that memory, and goes on with averaged epochs of the stream's rule, which come close to the optimum slowly.
        Acts with ``learning_rate="auto"`` only.

    early_stopping : bool, default=False
        Whether `fit` watches the log loss of held-out rows, and returns the best of its epochs.

    validation_fraction : float, default=0.1
        Share of the rows that `early_stopping` holds out, unless `X_val` is given. Stratified.

    n_iter_no_change : int, default=5
        Number of epochs without progress before `fit` stops.

    class_weight : dict, "balanced" or None, default=None
        Weights of classes, exactly as if they were factors of `sample_weight`. "balanced" gives all classes the same total
        weight; in `partial_fit` from the running counts.

    warm_start : bool, default=False
        Whether `fit` starts from the model that the last `fit` or `partial_fit` left, with the clock set back.

    random_state : int, RandomState instance or None, default=None
        For shuffling and for the split of `early_stopping`.

    verbose : int, default=0
        Whether to print a line per epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients; one row if there are two classes, as in `LogisticRegression`. float32 if X was, else float64.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts. (They can be replaced, as `coef_` can, but not changed in place.)

    n_iter_ : int
        Number of epochs.

    t_ : float
        1 + the total weight of the rows that were learnt from, each counted once: the clock of the next `partial_fit`.

    alpha_ : float
        The strength of the penalty that was used (last).

    loss_curve_ : ndarray of shape (`n_iter_`,)
        Penalised objective of each epoch, in nats per example; each row is scored just before its step.

    scale_ : ndarray of shape (n_features,)
        The penalty's scale v_j of each feature; 1 without `standardize`.

    optimality_gap_ : float
        An upper bound, in nats per example, of how far the objective of the fitted model is above its minimum. Only after
        `fit`.

    validation_scores_ : ndarray of shape (`n_iter_`,) or None
        Minus the validation log loss of each epoch. None without `early_stopping`.

    best_validation_score_ : float or None
        The largest of them.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features, if X had any.

    See Also
    --------
    sklearn.linear_model.LogisticRegression : The same model in memory, by batch solvers.
    sklearn.linear_model.SGDClassifier : One binary classifier per class.

    Notes
    -----
    `fit` keeps a few times ``n_features * n_classes`` numbers, ``n_samples * n_classes`` for `variance_reduction`, and a few
    times that many in double for a moment at the end, for Newton's method and `optimality_gap_`. X is not copied if it is
    float32 or float64, and C-ordered or canonical CSR.

    Rows of weight 0 count as absent everywhere.

    References
    ----------
    .. [1] P. Toulis, E. Airoldi, "Asymptotic and finite-sample properties of estimators based on stochastic gradients", Annals of
       Statistics 45, 2017.
    .. [2] A. Defazio, "A simple practical accelerated method for finite sums", NeurIPS 2016.
    .. [3] L. Bottou, "Large-scale machine learning with stochastic gradient descent", COMPSTAT 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import SoftmaxSGDClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SoftmaxSGDClassifier(random_state=0).fit(X, y)
    >>> clf.coef_.shape
    (3, 4)
    >>> int(clf.predict_proba(X[:1]).argmax())
    0
    """

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"1/n_samples"})],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "standardize": ["boolean"],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "shuffle": ["boolean"],
        "learning_rate": [StrOptions({"auto", *SCHEDULES})],
        "eta0": [Interval(Real, 0, None, closed="neither"), None],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "average": ["boolean", Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        "variance_reduction": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        alpha="1/n_samples",
        l1_ratio=0.0,
        standardize=True,
        fit_intercept=True,
        max_iter=100,
        tol=1e-4,
        shuffle=True,
        learning_rate="auto",
        eta0=None,
        power_t=0.5,
        average="auto",
        variance_reduction=True,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        class_weight=None,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.average = average
        self.variance_reduction = variance_reduction
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self):
        state = super().__getstate__().copy()
        state.pop("_last_settings", None)
        return state

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_stream")

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Examples.

        y : array-like of shape (n_samples,)
            Labels.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the examples, 0 or positive; None is 1 for each.

        X_val : {array-like, sparse} of shape (n_val, n_features) or None, default=None
            Examples for `early_stopping`, in place of a part of X.

        y_val : array-like of shape (n_val,) or None, default=None
            Their labels.

        sample_weight_val : array-like of shape (n_val,) or None, default=None
            Their weights.

        Returns
        -------
        self : SoftmaxSGDClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If the input is not what is said above, has fewer than two classes, or can't be split for `early_stopping`. A fitted
            model is then as it was.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` is reached, with a bound of the distance from the optimum; or if steps had to be shortened because the
            model overflowed.
        """
        with self._unchanged_on_error():
            goes_on = self.warm_start and hasattr(self, "_stream")
            X, y = _validation.checked_X_y(self, X, y, dtype=self._dtype() if goes_on else FLOATS, reset=not goes_on)
            settings = self._settings()
            problem, classes = _validation.fit_problem(self, X, y, sample_weight, self.classes_ if goes_on else None)
            random_state = check_random_state(self.random_state)
            validation = None
            if any(given is not None for given in (X_val, y_val, sample_weight_val)):
                validation = _validation.validation_problem(self, X_val, y_val, sample_weight_val, classes, problem)
            elif self.early_stopping:
                train, held_out = _validation.split(problem, classes, self.validation_fraction, random_state)
                problem, validation = problem.take(train), problem.take(held_out)
            class_counts = np.bincount(problem.y, weights=problem.base_weight, minlength=len(classes))
            start = self._predictor().copy() if goes_on else None
            solution = _solver.fit(problem, settings, start, class_counts, validation, random_state)

            self._set_stream(solution.stream, solution.alpha, classes)
            self.n_iter_ = solution.n_iter
            self.loss_curve_ = np.array(solution.loss_curve)
            self.optimality_gap_ = solution.optimality_gap
            self.validation_scores_ = np.array(solution.validation_scores) if self.early_stopping else None
            self.best_validation_score_ = solution.best_validation_score
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Learn from each row once, in order.

        However a stream is cut into calls, the model is the same up to rounding.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Examples.

        y : array-like of shape (n_samples,)
            Labels.

        classes : array-like of shape (n_classes,) or None, default=None
            All labels that can occur; needed in the first call.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the examples, 0 or positive. If all are 0 nothing changes.

        Returns
        -------
        self : SoftmaxSGDClassifier
            The estimator.

        Raises
        ------
        ValueError
            If `classes` is missing in the first call or another one later, if y has labels that are not in it, or if the input
            is not what is said above. The model is then as it was.
        """
        with self._unchanged_on_error():
            is_first = not hasattr(self, "_stream")
            settings = self._checked_settings()
            known = _validation.checked_classes(classes, None if is_first else self.classes_)
            X, y = _validation.checked_X_y(
                self, X, y, dtype=FLOATS if is_first else self._dtype(), reset=is_first, are_labels_known=True
            )
            if is_first:
                stream = _solver.new_stream(settings, X.shape[1], len(known), X.dtype)
            else:
                stream = _solver.stream_for(settings, self._own_stream())
            problem, counts = _validation.stream_problem(self, X, y, sample_weight, known, stream.class_counts)
            if problem.n_samples == 0 and not is_first:
                return self
            stream = stream.trainable(settings)
            if problem.n_samples:
                stream.advance(problem, settings)
            stream.class_counts = counts
            self._set_stream(stream, settings.alpha_at(stream.weight) if stream.weight else np.nan, known)
            self.n_iter_ = 1
            vars(self).pop("optimality_gap_", None)  # it was that of another model
        return self

    def _checked_settings(self):
        """`_settings` of checked parameters, which are checked again only if one was set since."""
        params = tuple(map(vars(self).__getitem__, self._parameter_constraints))
        last = vars(self).get("_last_settings")
        if last is None or not all(map(is_, params, last[0])):
            self._validate_params()
            self._last_settings = last = params, self._settings()
        return last[1]

    def _settings(self):
        if self.learning_rate == "optimal" and self.alpha == 0:
            raise ValueError(
                "alpha must be > 0 since learning_rate is 'optimal'. alpha is used to compute the optimal learning rate."
            )
        return _solver.Settings(
            alpha=None if self.alpha == "1/n_samples" else float(self.alpha),
            l1_ratio=float(self.l1_ratio),
            standardize=bool(self.standardize),
            fit_intercept=bool(self.fit_intercept),
            learning_rate=self.learning_rate,
            eta0=self.eta0,
            power_t=self.power_t,
            average=self._average_from(),
            variance_reduction=bool(self.variance_reduction),
            max_iter=self.max_iter,
            tol=self.tol,
            shuffle=self.shuffle,
            n_iter_no_change=self.n_iter_no_change,
            verbose=self.verbose,
        )

    def _average_from(self):
        """The time at which averaging begins, or None."""
        average = self.learning_rate == "auto" if self.average == "auto" else self.average
        return float(average) - (average is True) if average else None

    @contextmanager
    def _unchanged_on_error(self):
        """Attributes as they were if anything is raised. (Arrays are changed in place only after all checks.)"""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def _set_stream(self, stream, alpha, classes):
        self._stream, self._shown = stream, None
        self.classes_ = classes
        self.t_ = 1.0 + stream.weight
        self.alpha_ = alpha

    def _dtype(self):
        """Of the coefficients."""
        return self._stream.dtype if self._shown is None else self._shown.coef.dtype

    def _predictor(self):
        """The model that `coef_` and `intercept_` say, also if they were replaced."""
        return self._stream.predictor() if self._shown is None else Model.from_public(self._shown.coef, self._shown.intercept)

    def _own_stream(self):
        """The stream to go on from."""
        replaces = self._shown is not None and self._shown.replaces
        return self._stream.with_model(self._predictor()) if replaces else self._stream

    def _attribute(self, name):
        """What `name` of the stream is, if there is one."""
        if not hasattr(self, "_stream"):
            raise AttributeError(f"this {type(self).__name__} has no {name} before it is fitted")
        return self._stream

    # coef_, intercept_ and scale_ follow from the stream when somebody asks, and not in each partial_fit of one row.

    @property
    def coef_(self):
        stream = self._attribute("coef_")
        if self._shown is not None:
            return self._shown.coef
        coef = stream.predictor().coef
        if not stream.is_bare:  # a change would be lost in the next partial_fit
            coef.flags.writeable = False
        return coef

    @coef_.setter
    def coef_(self, coef):
        coef = coef if issparse(coef) else np.asarray(coef)
        self._shown = Shown(coef if coef.dtype in FLOATS else coef.astype(np.float64), self.intercept_, replaces=True)

    @property
    def intercept_(self):
        stream = self._attribute("intercept_")
        if self._shown is not None:
            return self._shown.intercept
        intercept = stream.predictor().public_intercept()
        intercept.flags.writeable = False
        return intercept

    @intercept_.setter
    def intercept_(self, intercept):
        self._shown = Shown(self.coef_, np.asarray(intercept), replaces=True)

    @property
    def scale_(self):
        return self._attribute("scale_").scale

    def _scores(self, X):
        """Raw predictions of shape (n_samples, n_classes); those of two classes are each other's negative."""
        if not hasattr(self, "_stream"):
            check_is_fitted(self)  # which takes its time to say no more than that
        X = _validation.checked_X(self, X, dtype=self._dtype(), reset=False)
        return raw_prediction(X, self._predictor())

    def decision_function(self, X):
        """The scores ``W x + b``.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            In the dtype of `coef_`, always finite. With two classes one number per row, positive for ``classes_[1]``.
        """
        scores = self._scores(X)
        if len(self.classes_) > 2:
            return scores
        limit = np.finfo(scores.dtype).max / 2
        return 2 * np.clip(scores[:, 1], -limit, limit)

    def predict_proba(self, X):
        """Probabilities of the classes: softmax of `decision_function`.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, in the dtype of `coef_`. Rows sum to 1; with two classes both are accurate however small.
        """
        scores = self.decision_function(X)
        if scores.ndim == 1:
            return expit(np.column_stack([-scores, scores]))
        with np.errstate(over="ignore"):  # a difference of two scores may be -inf, whose exp is right
            proba = np.exp(scores - scores.max(axis=1, keepdims=True).astype(np.float64))
        proba /= proba.sum(axis=1, keepdims=True)
        return proba.astype(scores.dtype, copy=False)

    def predict_log_proba(self, X):
        """Logarithms of the probabilities: log-softmax of `decision_function`.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; always finite.
        """
        scores = self.decision_function(X)
        if scores.ndim == 1:
            return log_expit(np.column_stack([-scores, scores]))
        with np.errstate(over="ignore"):
            log_proba = log_softmax(scores.astype(np.float64), axis=1).astype(scores.dtype)
        return np.maximum(log_proba, np.finfo(scores.dtype).min)

    def predict(self, X):
        """The most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.
        """
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)]

    def sparsify(self):
        """Make `coef_` a sparse matrix, which saves memory if L1 has made most coefficients zero.

        Training can go on; it makes `coef_` dense again.

        Returns
        -------
        self : SoftmaxSGDClassifier
            The fitted estimator.
        """
        check_is_fitted(self)
        if not issparse(self.coef_):
            coef = (csr_array if uses_sparse_arrays() else csr_matrix)(self.coef_)
            replaces = self._stream.is_bare or self._shown is not None
            self._shown = Shown(coef, self.intercept_, replaces)
            if replaces:
                self._stream = self._stream.with_model(None)
        return self

    def densify(self):
        """Make `coef_` an ndarray again, after `sparsify`.

        Returns
        -------
        self : SoftmaxSGDClassifier
            The fitted estimator.
        """
        check_is_fitted(self)
        if issparse(self.coef_):
            self._shown = self._shown._replace(coef=self.coef_.toarray()) if self._shown.replaces else None
        return self


# pickles store this path; the file may move
SoftmaxSGDClassifier.__module__ = "sklearn_softmax"
