"""The estimator: parameters, fit, partial_fit, predict. No other file knows `self`."""

from dataclasses import replace
from functools import cache, partial
from numbers import Integral, Real
from operator import is_
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse
from scipy.special import expit, log_expit, log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import _absent, _logistic_regression, _priors, _solver, _state, _validation
from ._callbacks import FitCallbacks
from ._compat import CallbackSupportMixin, ChecksChangedParameters, Interval, StrOptions, fit_context, uses_sparse_arrays
from ._containers import are_among, gives_namespace_of_X
from ._interrupt import held_interrupt
from ._matrix import raw_prediction
from ._model import Model
from ._schedule import SCHEDULES
from ._versions import HasPage, __version__, warn_of_other_version

__all__ = ["SoftmaxSGDClassifier"]

VERSION = "_sklearn_softmax_version"  # the key in stored models
DEFAULT_N_SAMPLES = 1000  # how many rows an assigned or converted model counts for
OF_INPUT = ("classes_", "n_features_in_", "feature_names_in_")


class Shown(NamedTuple):
    """`coef_` and `intercept_` if they were assigned or made sparse."""

    coef: Any
    intercept: np.ndarray
    replaces: bool  # training continues from these coefficients


class unchanged_on_error:
    """If anything is raised, the attributes of the estimator are restored.

    Arrays are changed in place only after everything that can fail. A number that
    underflows to 0 is no error, whatever `numpy.seterr` says.
    """

    def __init__(self, estimator):
        self.attributes, self.errstate = vars(estimator), np.errstate(under="ignore")

    def __enter__(self):
        self.before = self.attributes.copy()
        self.errstate.__enter__()

    def __exit__(self, kind, *error):
        self.errstate.__exit__(kind, *error)
        if kind is not None:
            self.attributes.clear()
            self.attributes.update(self.before)


class _OfTraining:
    """Explains why an attribute is missing. An existing one is found first."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, estimator, owner=None):
        if estimator is None:
            return self
        which = f"this {type(estimator).__name__} has no {self.name}"
        if not hasattr(estimator, "_stream"):
            raise AttributeError(f"{which} before it is fitted")
        raise AttributeError(
            f"{which} after partial_fit or for assigned coefficients, only after fit. After partial_fit, use "
            "progressive_loss_ and recent_progressive_loss_."
        )


class SoftmaxSGDClassifier(ChecksChangedParameters, HasPage, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Softmax (multinomial logistic) regression by stochastic gradient descent.

    The model is ``P(y = a | x) = softmax(W x + b)_a``. Training minimises the penalised
    mean log loss, which is called the training loss here:

    .. code-block:: text

        F(W, b) = (1/S) sum_i s_i loss_i
                  + alpha sum_j ((1 - l1_ratio)/2 v_j^2 ||W_j||_2^2
                                 + l1_ratio v_j ||W_j||_1)

        loss_i  = -log softmax(W x_i + b)[y_i]
        s_i     = sample_weight_i * class_weight[y_i],  S = sum_i s_i

    A label may be a distribution q_i over the classes. The loss is then the
    cross-entropy ``-sum_k q_ik log softmax(W x_i + b)_k``.

    W_j are the coefficients of feature j, and v_j is the scale of feature j (`scale_`).
    This is the objective of `LogisticRegression` with ``C = 1 / (alpha * S)`` on
    columns that are divided by v_j. There is no scaler to add and no step size to tune.
    A row x of class y moves the coefficients along its own gradient:

    .. code-block:: text

        dloss/dW_a = (softmax(W x + b)_a - [a = y]) x
        dloss/db_a =  softmax(W x + b)_a - [a = y]

    Parameters
    ----------
    alpha : float or "1/n_samples", default="1/n_samples"
        Strength of the penalty. 0 means no penalty. "1/n_samples" is 1 / S, the
        strength of ``LogisticRegression(C=1)``. In `partial_fit` S is the total weight
        of the rows so far. The intercept is never penalised. Give a number if the
        weights do not count rows. For instance, the weights of AdaBoost add up to 1, so
        that 1 / S is 1, a very strong penalty. `fit` warns of such weights.

    l1_ratio : float, default=0.0
        Share of L1 in the penalty, from 0 (L2 only) to 1 (L1 only). With L1,
        coefficients that do not help become exactly zero. `fit` finds the zeros of the
        optimum. A few epochs of `partial_fit`, or a classic schedule, find about as
        many zeros.

    standardize : bool, default=True
        Whether to penalise the coefficients of standardised features, so that the unit
        of a column does not matter. `coef_` is in the units of X either way. False
        penalises the coefficients of X as it is (all v_j are 1), as
        `LogisticRegression` does. True sets v_j (`scale_`) to the active standard
        deviation, weighted: ``v_j^2 = Var_j / (share of the rows where x_j != 0)``. For
        a column without zeros it is the standard deviation. For a sparse column it is
        the spread of the values that occur. For a constant column (up to rounding) it
        is 0, and the coefficient is 0 too. Used with ``learning_rate="auto"`` only.

    fit_intercept : bool, default=True
        Whether to learn intercepts.

    max_iter : int, default=100
        Largest number of epochs (passes over the rows) of `fit`.

    tol : float or None, default=1e-4
        How exactly `fit` solves the problem. None runs all `max_iter` epochs. With
        ``learning_rate="auto"``, `fit` stops when no entry of the gradient of F, for
        standardised features, is larger than `tol`, as in `LogisticRegression`. For a
        class whose share s of the weight is below ``0.1 / n_classes`` the bound is
        ``tol * 10 * n_classes * s``, because a rare class adds little to the gradient.
        With a classic schedule, `fit` stops when `n_iter_no_change` epochs in a row
        have not improved the training loss by `tol` nats per row. With
        ``early_stopping=True``, whatever the learning rate, `fit` stops when
        `n_iter_no_change` epochs in a row have not improved the validation log loss by
        `tol`.

    shuffle : bool, default=True
        Whether `fit` takes the rows in a new random order in every epoch. `partial_fit`
        never shuffles.

    learning_rate : {"auto", "constant", "invscaling", "optimal", "adaptive"}, default="auto"
        How large the steps are. "auto" (recommended) needs no tuning and no scaler. It
        takes implicit SGD steps [1]_ on internally standardised features and adapts the
        step size to the data. `fit` also reduces the noise of the gradient (Point-SAGA
        [2]_) and finishes with Newton's method, so that `fit` converges to the optimum.
        For few rows, two classes, tall or wide data, `fit` takes a faster way to the
        same optimum without epochs, unless a parameter asks for epochs.

        The classic schedules take the explicit steps of `SGDClassifier`, in the units
        of X. Their step size depends on t, which is 1 + the total weight of the rows
        before:

        - "constant": ``eta0``
        - "invscaling": ``eta0 / t ** power_t``
        - "optimal": ``1 / (alpha * (t0 + t - 1))`` with Bottou's t0 [3]_, without
          `eta0`
        - "adaptive": ``eta0``, divided by 5 whenever `fit` would stop, until the step
          size is below 1e-6

    eta0 : float or None, default=None
        With ``learning_rate="auto"``, a factor of the automatic step size, where None
        is the factor 1. With the other schedules, the initial step size. None then
        chooses a step size from the data that does not let training diverge. This is
        ``c / mean(||x||^2 + 1)``, with c = 8 for "invscaling" and c = 0.5 for
        "constant" and "adaptive". In `partial_fit` the mean is over the rows so far.

    power_t : float, default=0.5
        Exponent of "invscaling".

    average : bool, int or "auto", default="auto"
        Whether `coef_` and `intercept_` are the average of the iterates, which is less
        noisy than the last iterate. For a stream that changes, use
        ``forgetting="auto"`` rather than ``average=False``. True: the average.
        False: the last iterate. An int n: the average of the iterates from the n-th row
        on (by total weight). "auto": True for ``learning_rate="auto"``, and False for
        the classic schedules. With ``learning_rate="auto"``, later iterates weigh more
        (in proportion to ``t^3``). `fit` with `variance_reduction` then does not use
        `average`, because it goes to the optimum itself. With a classic schedule all
        iterates weigh the same (Polyak-Ruppert averaging).

    forgetting : {"never", "auto"}, default="never"
        Whether `partial_fit` forgets old rows if the stream changes. "never": the model
        is that of all rows, whatever their order. "auto": the average of the iterates
        and the step size forget old rows, but only if this makes predictions of the
        next rows better. "auto" learns what comes next. So use "auto" for rows in the
        order of time. If the rows are grouped by class, user or site, use "never" and
        shuffle the rows, because such a file looks like a stream that changes. `fit`
        never forgets. Used with ``learning_rate="auto"`` and an average only.

    variance_reduction : bool, default=True
        Whether `fit` reduces the noise of the gradient, for which it remembers the last
        residual of every row, ``n_samples * n_classes`` numbers. False saves this
        memory, but `fit` then converges more slowly. Used with ``learning_rate="auto"``
        only.

    early_stopping : bool, default=False
        Whether `fit` watches the log loss of held-out rows and returns the model of the
        best epoch.

    validation_fraction : float, default=0.1
        Share of the rows that `early_stopping` holds out, stratified by class. Not used
        if `X_val` is given.

    n_iter_no_change : int, default=5
        Number of epochs without progress before `fit` stops. See `tol`.

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes. They multiply `sample_weight`. "balanced" gives all
        classes the same total weight. In `partial_fit` "balanced" uses the counts of
        the rows so far. Weights change the probabilities too, which `with_class_prior`
        undoes.

    label_smoothing : float, default=0.0
        Share of the uniform distribution over the classes that each label is mixed
        with, from 0 to below 1. ``0.1`` makes a label of 4 classes the distribution
        (0.925, 0.025, 0.025, 0.025), as if y had these probabilities. Training then
        needs memory for ``n_samples * n_classes`` numbers.

    new_classes : {"error", "add"}, default="error"
        What `partial_fit`, or `fit` with `warm_start`, does with a label that is not in
        `classes_`. "error" raises an error. "add" makes the label a class just before
        its first row is learnt, with a probability so small that existing predictions
        hardly change. After rows of total weight T with K classes, this probability is
        10 / (T + 10 (K + 1)) where the other classes are equally probable, and smaller
        elsewhere. No other probability changes by more than that. Without an intercept
        this holds for T = 0 only. With "add", `classes` need not be passed, and a later
        `classes` adds its new labels.

    warm_start : bool, default=False
        Whether `fit` continues from the model of the last `fit` or `partial_fit`, or
        from assigned coefficients. `t_` starts anew. With ``learning_rate="auto"`` the
        first epoch only reads the rows, so that `max_iter` must be at least 2 to change
        the model.

    random_state : int, RandomState instance or None, default=None
        Seed of the order of the rows and of the split of `early_stopping`.

    verbose : int, default=0
        Whether to print a line per epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted. With ``new_classes="add"`` there may be only one class at
        first, whose probability is 1. Read-only and assignable, as `coef_` is.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients. Two classes have one row, as in `LogisticRegression`. The dtype is
        float32 if X was float32, else float64. The array is read-only. To change the
        model, assign a whole array of the same shape with finite numbers. Predictions
        and training then use a copy of this array. Before the first fit, assign
        `coef_`, `classes_` and, if you like, `intercept_`. The model then counts for
        1000 rows, as after `from_logistic_regression`, and `fit` with `warm_start`
        continues from it.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts. Read-only and assignable, as `coef_` is.

    n_iter_ : int
        Number of epochs. Where `fit` takes no epochs, the number of passes over all
        rows, rounded up. A pass over a tenth of the rows is a tenth of a pass.

    t_ : float
        1 + the total weight of the rows learnt from, each counted once. The next
        `partial_fit` continues at this t.

    alpha_ : float
        The strength of the penalty that was used last.

    loss_curve_ : ndarray of shape (`n_iter_`,)
        Training loss of each epoch, in nats per row. Each row is scored just before its
        step. Where `fit` takes no epochs, the training loss after each pass; a step of
        several passes has the same loss for all of them. Only after `fit`.

    class_prior_ : ndarray of shape (n_classes,)
        The class shares that the probabilities assume: the shares in the weight of the
        rows of `fit`, or of all rows of a stream, times `class_weight`. After
        `with_class_prior`, the shares that were given. Not available after coefficients
        were assigned, or after `from_logistic_regression`.

    scale_ : ndarray of shape (n_features,)
        The scale v_j of each feature in the penalty. All are 1 without `standardize`.
        All are 0 while they are unknown, as after `from_logistic_regression` without X.

    feature_importances_ : ndarray of shape (n_features,)
        How much each feature moves the scores, whatever its unit: the norm of its
        column of `coef_`, times its standard deviation over all rows. It is only the
        norm where the standard deviation is unknown, which is so with the classic
        schedules and after `from_logistic_regression` without X.

    penalty : {"l1", "l2", "elasticnet"} or None
        Name of the penalty that `alpha` and `l1_ratio` make, for tools that ask for it.
        Read-only.

    optimality_gap_ : float
        Upper bound of how far the training loss of the fitted model is above its
        minimum, in nats per row. It is inf where no bound is known, as with
        ``alpha=0``. Only after `fit`.

    progressive_loss_ : float
        The weighted mean log loss, in nats per row, of all rows given to `partial_fit`,
        each predicted just before it was learnt from. This number estimates the loss of
        new rows without held-out data. If labels are probabilities, or smoothed, it is
        the cross-entropy, which is never less than the entropy of the labels. Only
        after `partial_fit`.

    recent_progressive_loss_ : float
        Exponentially weighted version of `progressive_loss_`, roughly the mean over the
        last 1000 rows: the weight of a row falls to 1/e after further rows of total
        weight 1000. Watch this number in production. Only after `partial_fit`.

    drift_log_odds_ : float
        Log odds that the last iterate predicts the next row better than the average of
        the iterates. Positive and near ``log(1 + effective_n_samples_)``, which is the
        largest possible value: the stream changes, or its rows are sorted. Clearly
        negative: the rows stay alike. 0 before the first `partial_fit`. Not available
        with a classic schedule or ``average=False``.

    effective_n_samples_ : float
        Total weight of the rows that the average of the iterates remembers. With
        ``forgetting="auto"`` it falls when the stream changes. Available as
        `drift_log_odds_` is.

    validation_scores_ : ndarray of shape (`n_iter_`,) or None
        Minus the validation log loss of each epoch. None without `early_stopping`.

    best_validation_score_ : float or None
        Largest entry of `validation_scores_`. None without `early_stopping`.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names.

    See Also
    --------
    sklearn.linear_model.LogisticRegression : The same model, fitted by batch solvers.
    sklearn.linear_model.SGDClassifier : One binary classifier per class.

    Notes
    -----
    `fit` needs memory for a few times ``n_features * n_classes`` numbers, and for
    ``n_samples * n_classes`` numbers with `variance_reduction`. At the end, Newton's
    method and `optimality_gap_` briefly need a few times ``n_samples * n_classes``
    numbers in double precision. X is not copied if it is float32 or float64, and
    C-ordered or canonical CSR.

    Rows of weight 0 count as absent, but `fit` makes classes of their labels. With an
    intercept, a class without a row of positive weight has a probability of at most
    1e-9, because the training loss is lowest where this probability is 0.

    Arrays of other libraries of the array API are accepted if they are on the CPU. With
    scikit-learn's ``array_api_dispatch=True`` the prediction methods return arrays of
    the library of X. Attributes are NumPy arrays.

    References
    ----------
    .. [1] Toulis and Airoldi, "Asymptotic and finite-sample properties of estimators
       based on stochastic gradients", Annals of Statistics 45, 2017.
    .. [2] Defazio, "A simple practical accelerated method for finite sums", NeurIPS
       2016.
    .. [3] Bottou, "Large-scale machine learning with stochastic gradient descent",
       COMPSTAT 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import SoftmaxSGDClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SoftmaxSGDClassifier(random_state=0).fit(X, y)
    >>> loss, gap = clf.loss_curve_[-1], clf.optimality_gap_
    >>> print(f"training loss {loss:.4f}, at most {gap:.4f} above its minimum")
    training loss 0.2092, at most 0.0000 above its minimum
    >>> clf.coef_.round(1)
    array([[-1.3,  2.7, -1.1, -2.4],
           [ 0.7, -0.8, -0.2, -1.1],
           [ 0.6, -1.8,  1.3,  3.5]])
    >>> clf.predict_proba(X[:1]).round(2)
    array([[0.98, 0.02, 0.  ]])
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
        "forgetting": [StrOptions({"never", "auto"})],
        "variance_reduction": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "new_classes": [StrOptions({"error", "add"})],
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
        forgetting="never",
        variance_reduction=True,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        class_weight=None,
        label_smoothing=0.0,
        new_classes="error",
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
        self.forgetting = forgetting
        self.variance_reduction = variance_reduction
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.new_classes = new_classes
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # _state.py describes what a stored model consists of.

    def __getstate__(self):
        state = super().__getstate__().copy()
        for checked_last in ("_last_settings", "_last_columns"):
            state.pop(checked_last, None)
        if "_stream" in state:
            state["_stream"] = _state.state_of(self._stream)
        if state.get("_shown") is not None:
            state["_shown"] = {name: _state.state_of(part) for name, part in self._shown._asdict().items()}
        state[VERSION] = __version__
        return state

    def __setstate__(self, state):
        state = dict(state)
        warn_of_other_version(type(self).__name__, state.pop(VERSION, "(unknown)"))
        if "_stream" in state:
            state["_stream"] = _state.stream_of(state["_stream"])
        if state.get("_shown") is not None:
            shown = {name: _state.coefficients_of(part) for name, part in state["_shown"].items()}
            state["_shown"] = Shown(**shown)
        super().__setstate__(state)

    def __copy__(self):
        """A copy with a stream of its own. Parameters are shared."""
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self))
        if hasattr(self, "_stream"):
            copied._stream = self._stream.copy()
        return copied

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_stream")

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X, y, sample_weight=None, *,
        classes=None, offset=None, X_val=None, y_val=None, sample_weight_val=None, offset_val=None,
    ):  # fmt: skip
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Training rows.

        y : {array-like, sparse} of shape (n_samples,) or (n_samples, n_classes)
            Labels, or floats with a column for each class. A row of floats has the
            probability, or the count, of each class. It stands for copies of the row
            with each class, which have these weights. So the weight of the row is
            multiplied by the sum of its floats. A sum within 1e-6 of 1 counts as 1. A
            row of zeros counts as absent.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, from 0 to 1e30. None gives each row the weight 1.

        classes : array-like of shape (n_classes,) or None, default=None
            If y has one label per row: all labels that can occur. None is the labels in
            y. If y has a column for each class: the labels of the columns. None is the
            names of the columns if y is a dataframe, or `classes_` with `warm_start`,
            or else 0, 1, and so on. `classes_` is sorted, whatever the order of the
            columns.

        offset : array-like of shape (n_samples, n_classes) or None, default=None
            What is added to the scores ``W x + b`` of each row, with columns in the
            order of `classes_`. Two classes may have an offset of shape (n_samples,),
            which is added to the log odds of ``classes_[1]``. The model does not
            remember offsets. So pass `offset` to the prediction methods, too, if their
            rows have one. None adds nothing.

        X_val : {array-like, sparse} of shape (n_val, n_features) or None, default=None
            Validation rows for `early_stopping`. None holds out a part of X.

        y_val : array-like of shape (n_val,) or (n_val, n_classes), or None, default=None
            Labels of the rows of `X_val`, of either kind. They are not smoothed.

        sample_weight_val : array-like of shape (n_val,) or None, default=None
            Weights of the rows of `X_val`. None gives each row the weight 1.

        offset_val : array-like of shape (n_val, n_classes) or None, default=None
            The offset of the rows of `X_val`.

        Returns
        -------
        self : SoftmaxSGDClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If an input has the wrong shape, type or values (see Parameters), if y has
            fewer than two classes, or if the rows cannot be split for `early_stopping`.
            A model that was fitted before stays as it was.

        Warns
        -----
        ConvergenceWarning
            If `fit` did not converge within `max_iter` epochs (the message has
            `optimality_gap_`, or the largest entry of the gradient where no bound is
            known). If a classic schedule ended with a training loss, and an
            `optimality_gap_`, above the log loss of the class frequencies. If steps
            were shortened because the model overflowed.
        UserWarning
            If alpha is "1/n_samples" and the mean of the weights is less than 0.1, or
            if Ctrl-C ended `fit`.

        Notes
        -----
        Ctrl-C ends `fit` after the current pass over the rows, with a warning. The
        estimator then has the model of the last complete epoch. A second Ctrl-C, while
        `fit` prepares this model, raises KeyboardInterrupt, and the estimator stays as
        it was before `fit`. If a search or an ensemble of scikit-learn has called
        `fit`, the first Ctrl-C raises KeyboardInterrupt, because a search or an
        ensemble must not use a model that is not fully trained. In a pipeline, Ctrl-C
        acts as without one.

        Callbacks that were set with ``set_callbacks`` (scikit-learn >= 1.9,
        experimental there) are called after each epoch with the model at its end. If a
        callback returns True, `fit` stops, as it does by its own rules. Where a step of
        `fit` takes several passes over the rows, only the last of these passes has a
        new model. `partial_fit` does not call callbacks. Callbacks are stored with the
        estimator. Call ``set_callbacks()`` to remove them before you store a model for
        another version of scikit-learn.
        """
        callbacks = FitCallbacks(self, self.max_iter)  # outside, so that they are torn down after an error
        with unchanged_on_error(self):
            if self.warm_start:
                self._check_nothing_is_given_by_half()
            goes_on = self.warm_start and hasattr(self, "_stream")
            settings, random = self._settings(), self._random()
            problem, validation, classes, is_present, _ = self._fit_input(
                X,
                y,
                sample_weight,
                classes=classes,
                offset=offset,
                X_val=X_val,
                y_val=y_val,
                sample_weight_val=sample_weight_val,
                offset_val=offset_val,
                known=self._known() if goes_on else None,
                name=type(self).__name__,
                random=random,
            )
            class_counts = problem.class_counts(int(is_present.sum()))
            start = _absent.model_of_present(self._start(classes), is_present) if goes_on else None
            alpha = settings.alpha_at(float(problem.sample_weight.sum()))
            settings_of_present = _absent.settings_of_present(settings, alpha, is_present)

            def attributes(solution):
                return self._attributes_of_fit(solution, alpha, classes, is_present)

            if callbacks:
                callbacks.begin(X, y, sample_weight, attributes)
            solution = _solver.fit(problem, settings_of_present, start, class_counts, validation, random, callbacks or None)
            vars(self).update(attributes(solution))
            if callbacks:
                callbacks.end(solution)
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None, *, offset=None):
        """Learn from each row once, in order.

        The model does not depend on how a stream is cut into calls, up to rounding.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Training rows.

        y : {array-like, sparse} of shape (n_samples,) or (n_samples, n_classes)
            Labels, or floats that are probabilities or counts of the classes, as in
            `fit`.

        classes : array-like or set of shape (n_classes,) or None, default=None
            All labels that can occur. Required in the first call, unless
            ``new_classes="add"``. If y has a column for each class, `classes` are the
            labels of the columns, in their order. None is then the names of the columns
            of a dataframe, or `classes_`, or 0, 1, and so on in the first call. With
            ``new_classes="add"`` these labels are classes from the first row of the
            call on.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, from 0 to 1e30. None gives each row the weight 1. If
            all weights are 0, nothing changes.

        offset : array-like of shape (n_samples, n_classes) or None, default=None
            What is added to the scores of each row, as in `fit`. The columns are in the
            order that `classes_` has after the call.

        Returns
        -------
        self : SoftmaxSGDClassifier
            The estimator.

        Raises
        ------
        ValueError
            If `classes` is missing in the first call or differs in a later call, if y
            has labels that are not in `classes` (unless ``new_classes="add"``), if an
            input has the wrong shape, type or values (see Parameters), or if
            coefficients would become infinite or NaN. The model then stays as it was.

        Notes
        -----
        Ctrl-C takes effect after the call, so that a call never learns from only a part
        of its rows.
        """
        with held_interrupt(), unchanged_on_error(self):
            is_first = not hasattr(self, "_stream")
            if is_first:
                self._check_nothing_is_given_by_half()
            settings = self._checked_settings()
            given = _validation.stream_input(
                X,
                y,
                classes,
                sample_weight,
                offset,
                known=None if is_first else self._known(),
                check_X=partial(_validation.checked_X, self),
                name=type(self).__name__,
                class_weight=self.class_weight,
                label_smoothing=self.label_smoothing,
                new_classes=self.new_classes,
            )
            if given is None:
                return self
            stream = _solver.learn(None if is_first else self._own_stream(), given, settings)
            alpha = settings.alpha_at(stream.weight) if stream.weight else np.nan
            vars(self).update(self._attributes(stream, alpha, given.classes, n_iter_=1))
            vars(self).pop("optimality_gap_", None)  # the bound is for the model before
        return self

    def _checked_settings(self):
        """`_settings` of valid parameters, validated again only if one changed."""
        params = tuple(map(vars(self).__getitem__, self._parameter_constraints))
        last = vars(self).get("_last_settings")
        if last is None or not all(map(is_, params, last[0])):
            self._validate_params()
            self._last_settings = last = params, self._settings()
        return last[1]

    def _settings(self):
        if self.learning_rate == "optimal" and self.alpha == 0:
            raise ValueError(
                f"alpha={self.alpha} with learning_rate='optimal': alpha must be > 0, because the step size is "
                "1 / (alpha * (t0 + t - 1)). Set a positive alpha, or another learning_rate."
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
            forgets=self.forgetting == "auto",
            variance_reduction=bool(self.variance_reduction),
            max_iter=self.max_iter,
            tol=self.tol,
            shuffle=self.shuffle,
            n_iter_no_change=self.n_iter_no_change,
            verbose=self.verbose,
        )

    def _average_from(self):
        """The total weight of the rows before averaging begins. None: no averaging.

        An int counts as t does, and t of the first row is 1.
        """
        average = self.learning_rate == "auto" if self.average == "auto" else self.average
        return float(average) - 1 if average else None

    @staticmethod
    def _attributes(stream, alpha, classes, **more):
        """The attributes of a fitted estimator."""
        return dict(_stream=stream, _shown=None, _given={}, classes_=classes, t_=1.0 + stream.weight, alpha_=alpha, **more)

    def _random(self):
        """The function that makes the RandomState when it is first called, because seeding takes as long as a small fit."""
        return cache(partial(check_random_state, self.random_state))

    def _fit_input(self, X, y, sample_weight, *, known=None, name, random, **more):
        """User input -> `FitInput`. `more` is what else `_validation.fit_input` takes from the user."""
        return _validation.fit_input(
            X,
            y,
            sample_weight,
            known=known,
            check_X=partial(_validation.checked_X, self),
            name=name,
            class_weight=self.class_weight,
            label_smoothing=self.label_smoothing,
            new_classes=self.new_classes,
            fit_intercept=self.fit_intercept,
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            random=random,
            **more,
        )

    def _attributes_of_fit(self, solution, alpha, classes, is_present):
        """The attributes of an estimator after `fit`."""
        return self._attributes(
            _absent.stream_of_all(solution.stream, is_present),
            alpha,
            classes,
            n_iter_=solution.n_iter,
            loss_curve_=np.array(solution.loss_curve),
            optimality_gap_=solution.optimality_gap + _absent.cost_of_absent(is_present),
            validation_scores_=np.array(solution.validation_scores) if self.early_stopping else None,
            best_validation_score_=solution.best_validation_score,
        )

    def _known(self):
        """What training that continues from this model must know about its input."""
        return _validation.Known(self._dtype(), self.classes_, self._stream.class_counts)

    def _dtype(self):
        """The dtype of the coefficients."""
        return self._stream.dtype if self._shown is None else self._shown.coef.dtype

    def _predictor(self):
        """The model of `coef_` and `intercept_`, even if they were assigned."""
        if self._shown is None:
            return self._stream.predictor()
        return Model.from_public(self._shown.coef, self._shown.intercept, len(self.classes_))

    def _start(self, classes):
        """The model to start from, with the classes that are not yet in `classes_`."""
        start = self._predictor().copy()
        for at in np.flatnonzero(~are_among(classes, self.classes_)):
            start = start.with_class(at, self._stream.weight if self.fit_intercept else 0)
        return start

    def _own_stream(self):
        """The stream to continue, with assigned coefficients if there are any."""
        replaces = self._shown is not None and self._shown.replaces
        return self._stream.with_model(self._predictor()) if replaces else self._stream

    def _attribute(self, name):
        """The stream. If there is none, an AttributeError names the attribute."""
        if not hasattr(self, "_stream"):
            raise AttributeError(f"this {type(self).__name__} has no {name} before it is fitted")
        return self._stream

    # coef_, intercept_ and scale_ are computed from the stream on access, because it
    # would be slow in each partial_fit of one row. The arrays are read-only, because
    # the next partial_fit would lose a change. Assigned arrays are checked and copied.

    @property
    def coef_(self):
        if "coef" in vars(self).get("_given", ()):
            return _state.read_only(self._given["coef"])
        stream = self._attribute("coef_")
        return _state.read_only(stream.predictor().coef if self._shown is None else self._shown.coef)

    @coef_.setter
    def coef_(self, coef):
        self._assign(coef=coef)

    @property
    def intercept_(self):
        if "intercept" in vars(self).get("_given", ()):
            return _state.read_only(self._given["intercept"])
        stream = self._attribute("intercept_")
        return _state.read_only(stream.predictor().public_intercept() if self._shown is None else self._shown.intercept)

    @intercept_.setter
    def intercept_(self, intercept):
        self._assign(intercept=intercept)

    @property
    def classes_(self):
        if "classes_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} has no classes_ before it is fitted")
        return _state.read_only(vars(self)["classes_"])

    @classes_.setter
    def classes_(self, classes):
        n_classes = len(self._stream.class_counts) if hasattr(self, "_stream") else None
        with unchanged_on_error(self):
            vars(self)["classes_"] = _validation.assigned_classes(classes, n_classes)
            self._begin_with_given()

    def _assign(self, **given):
        """Replace the coefficients, the intercepts or both."""
        if not hasattr(self, "_stream"):
            given = {name: _validation.assigned_coefficients(value, name) for name, value in given.items()}
            with unchanged_on_error(self):
                self._given = vars(self).get("_given", {}) | given
                self._begin_with_given()
            return
        shape = (len(self.intercept_), self.n_features_in_)
        now = {"coef": self.coef_, "intercept": self.intercept_}
        now |= {name: _validation.assigned_coefficients(value, name, shape) for name, value in given.items()}
        self._shown = Shown(now["coef"], now["intercept"].astype(now["coef"].dtype), replaces=True)
        self._stream = replace(self._stream, prior_counts=None)  # what the assigned intercepts assume is not known
        vars(self).pop("optimality_gap_", None)  # the bound is for the model before

    def _begin_with_given(self):
        """Become a fitted estimator once coefficients and classes are assigned."""
        given = vars(self).get("_given", {})
        if "coef" not in given or "classes_" not in vars(self):
            return
        classes, n_features = self.classes_, given["coef"].shape[1]
        shape = (1 if len(classes) == 2 else len(classes), n_features)
        coef, intercept = given["coef"], given.get("intercept", np.zeros(shape[0]))
        for name, value in (("coef", coef), ("intercept", intercept)):
            _validation.assigned_coefficients(value, name, shape)
        settings = self._checked_settings()
        stream = _solver.stream_with(settings, Model.from_public(coef, intercept, len(classes)), float(DEFAULT_N_SAMPLES))
        alpha = settings.alpha_at(stream.weight)
        vars(self).update(self._attributes(stream, alpha, classes, n_iter_=0, n_features_in_=n_features))

    def _check_nothing_is_given_by_half(self):
        if not hasattr(self, "_stream") and hasattr(self, "_given"):
            missing = "classes_" if "coef" in self._given else "coef_"
            raise ValueError(
                f"{missing} is missing. To train from assigned coefficients before the first fit, assign both coef_ and "
                f"classes_, and intercept_ if it is not 0. Assign {missing}, or use a new estimator to start from zero."
            )

    @property
    def feature_importances_(self):
        deviation = self._attribute("feature_importances_").deviation
        coef = self.coef_.toarray() if issparse(self.coef_) else self.coef_
        with np.errstate(under="ignore"):
            importances = np.linalg.norm(coef * np.float64(1 if deviation is None else deviation), axis=0)
        return _state.read_only(importances)

    @property
    def penalty(self):
        if self.alpha == 0:
            return None
        return {0: "l2", 1: "l1"}.get(self.l1_ratio, "elasticnet")

    n_iter_ = _OfTraining()
    t_ = _OfTraining()
    alpha_ = _OfTraining()
    optimality_gap_ = _OfTraining()
    loss_curve_ = _OfTraining()
    validation_scores_ = _OfTraining()
    best_validation_score_ = _OfTraining()

    @property
    def scale_(self):
        return _state.read_only(self._attribute("scale_").scale)

    @property
    def class_prior_(self):
        prior = self._attribute("class_prior_").class_prior
        if prior is None:
            raise AttributeError(
                f"this {type(self).__name__} has no class_prior_, because its coefficients were assigned or come from a "
                "LogisticRegression, and the class shares of their training are not known."
            )
        return _state.read_only(prior)

    @property
    def progressive_loss_(self):
        return self._mean_progressive_loss("progressive_loss_", 0)

    @property
    def recent_progressive_loss_(self):
        return self._mean_progressive_loss("recent_progressive_loss_", 2)

    def _mean_progressive_loss(self, name, first):
        loss, weight = self._attribute(name).progressive_loss[first : first + 2].tolist()
        if not weight:
            raise AttributeError(f"this {type(self).__name__} has no {name} before partial_fit")
        return loss / weight

    @property
    def drift_log_odds_(self):
        return self._watched("drift_log_odds_").drift_log_odds

    @property
    def effective_n_samples_(self):
        scalars = self._watched("effective_n_samples_")
        return max(scalars.average_total - (self._average_from() or 0.0), 0.0) / scalars.growth

    def _watched(self, name):
        """The scalars of a stream whose average is compared with its iterate."""
        stream = self._attribute(name)
        if not stream.is_watched:
            raise AttributeError(
                f"this {type(self).__name__} has no {name}, because it does not average the iterates of "
                "learning_rate='auto'. Use average=True."
            )
        return stream.scalars

    def _scores(self, X, offset):
        """Scores of shape (n_samples, n_classes), whose softmax is `predict_proba`.

        For two classes, they are minus and plus the public score, whose sigmoids give
        the probabilities.
        """
        if not hasattr(self, "_stream"):
            check_is_fitted(self)  # slow, so only where it will raise
        X = _validation.checked_X(self, X, self._dtype(), False)
        with np.errstate(under="ignore"):
            if self._shown is None:
                scores = raw_prediction(*self._stream.rows_and_predictor(X))
            else:
                scores = raw_prediction(X, self._predictor())
        offset = _validation.checked_offset(offset, *scores.shape)
        if offset is not None:
            limit = np.finfo(scores.dtype).max
            scores = np.clip(scores + offset, -limit, limit).astype(scores.dtype)
        if scores.shape[1] == 2:
            limit = np.finfo(scores.dtype).max / 2
            scores[:, 1] = 2 * np.clip(scores[:, 1], -limit, limit)
            np.negative(scores[:, 1], out=scores[:, 0])
        return scores

    @gives_namespace_of_X
    def decision_function(self, X, offset=None):
        """The scores ``W x + b``.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Rows to predict.

        offset : array-like of shape (n_samples, n_classes) or None, default=None
            What is added to the scores of each row, as in `fit`. None adds nothing.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            One score per row and class, in the dtype of `coef_`. Two classes have one
            score per row, which is positive for ``classes_[1]``. A stream that has only
            one class so far has a column of zeros. Scores are finite if the
            coefficients are, however large X is.
        """
        scores = self._scores(X, offset)
        return scores[:, 1].copy() if scores.shape[1] == 2 else scores

    @gives_namespace_of_X
    def predict_proba(self, X, offset=None):
        """Probabilities of the classes: softmax of `decision_function`.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Rows to predict.

        offset : array-like of shape (n_samples, n_classes) or None, default=None
            What is added to the scores of each row, as in `fit`. None adds nothing.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`, in the dtype of `coef_`. Each row
            sums to 1. With two classes both probabilities are accurate, however small.
        """
        scores = self._scores(X, offset)
        if scores.shape[1] == 2:
            return expit(scores)
        with np.errstate(over="ignore", under="ignore"):  # a difference of two scores may be -inf, and exp(-inf) = 0 is right
            proba = np.exp(scores - scores.max(axis=1, keepdims=True).astype(np.float64))
            proba /= proba.sum(axis=1, keepdims=True)
            return proba.astype(scores.dtype, copy=False)

    @gives_namespace_of_X
    def predict_log_proba(self, X, offset=None):
        """Logarithms of the probabilities: log-softmax of `decision_function`.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Rows to predict.

        offset : array-like of shape (n_samples, n_classes) or None, default=None
            What is added to the scores of each row, as in `fit`. None adds nothing.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            Logarithms in the order of `classes_`. They are finite if the coefficients
            are.
        """
        scores = self._scores(X, offset)
        if scores.shape[1] == 2:
            return log_expit(scores)
        with np.errstate(over="ignore", under="ignore"):
            log_proba = log_softmax(scores.astype(np.float64), axis=1).astype(scores.dtype)
        return np.maximum(log_proba, np.finfo(scores.dtype).min)

    @gives_namespace_of_X
    def predict(self, X, offset=None):
        """The most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Rows to predict.

        offset : array-like of shape (n_samples, n_classes) or None, default=None
            What is added to the scores of each row, as in `fit`. None adds nothing.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted labels.
        """
        scores = self._scores(X, offset)
        return self.classes_[scores.argmax(axis=1)]

    def with_class_prior(self, priors, *, trained_on=None):
        """A copy whose probabilities are for other class shares.

        Use this method if the classes of the rows to predict have other shares than in
        training, but the rows of each class look alike. This undoes `class_weight` and
        resampling, and adapts a model to another prevalence. The intercept of class k
        moves by ``log(priors[k] / class_prior_[k])``, which is exact by Bayes' rule
        [1]_. Nothing is trained, and this estimator does not change.

        Parameters
        ----------
        priors : array-like of shape (n_classes,)
            The class shares of the rows to predict, in the order of `classes_`.
            Positive numbers, which are divided by their sum, so that counts will do.
            :func:`~sklearn_softmax.estimate_class_prior` estimates them from rows
            without labels.

        trained_on : array-like of shape (n_classes,) or None, default=None
            The class shares (or counts) that the model was trained on, with
            `class_weight` and resampling. None is `class_prior_`. Required where
            `class_prior_` is not available, and where training had no row of a class.

        Returns
        -------
        estimator : SoftmaxSGDClassifier
            A copy with the `class_prior_` `priors`. Parameters and the history of
            training (`t_`, `loss_curve_`, `progressive_loss_`) are those of this
            estimator. There is no `optimality_gap_`.

        Raises
        ------
        NotFittedError
            If this estimator is not fitted.
        ValueError
            If `priors` or `trained_on` is not one positive number for each class, if
            the shares of training are not known, or if there is no intercept.

        See Also
        --------
        sklearn_softmax.estimate_class_prior : Estimate `priors` by EM.

        Notes
        -----
        `partial_fit` of the copy goes on from its model, as if the rows before had had
        these shares. New rows move the intercepts towards the shares of the new rows,
        times `class_weight`. To predict for given shares while a stream goes on, train
        this estimator and make a new copy whenever you predict. With
        ``class_weight="balanced"`` in a stream, the weight of a class depends on the
        order of the rows a little, and `class_prior_` is nearly uniform.

        References
        ----------
        .. [1] Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.

        Examples
        --------
        With ``class_weight="balanced"``, probabilities are for classes that are equally
        frequent. The copy is for the class frequencies of y:

        >>> import numpy as np
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sklearn.metrics import log_loss
        >>> from sklearn_softmax import SoftmaxSGDClassifier
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> clf = SoftmaxSGDClassifier(class_weight="balanced", random_state=0)
        >>> clf = clf.fit(X, y)
        >>> clf.class_prior_
        array([0.5, 0.5])
        >>> adapted = clf.with_class_prior(np.bincount(y))
        >>> adapted.class_prior_.round(2)
        array([0.37, 0.63])
        >>> for model in (clf, adapted):
        ...     print(f"log loss {log_loss(y, model.predict_proba(X)):.3f}")
        log loss 0.056
        log loss 0.054
        """
        check_is_fitted(self)
        if not self.fit_intercept:
            raise ValueError(
                "fit_intercept=False: class shares are a matter of the intercepts, and this model has none. Fit with "
                "fit_intercept=True."
            )
        prior = _priors.checked_prior(priors, self.classes_, "priors")
        before = _priors.prior_of(self._stream.class_prior, trained_on, self.classes_)
        adapted = type(self).__new__(type(self))
        stream = self._stream.with_prior(_priors.with_prior(self._predictor(), before, prior), prior)
        vars(adapted).update(vars(self) | {"_stream": stream, "_shown": None})
        vars(adapted).pop("optimality_gap_", None)  # the bound is for the model before
        return adapted.sparsify() if issparse(self.coef_) else adapted

    def to_logistic_regression(self):
        """Convert the model to a fitted `LogisticRegression` of scikit-learn.

        The `LogisticRegression` makes the same predictions. Use it with tools that
        accept a `LogisticRegression`, such as ONNX converters, SHAP and model cards.

        Returns
        -------
        lr : LogisticRegression
            A fitted model with copies of `coef_`, `intercept_`, `classes_` and the
            names of features, in the same dtype. Its predictions are the same, for
            float32 models up to rounding. Its parameters `C`, `l1_ratio`,
            `fit_intercept` and `class_weight` describe the same objective, with ``C = 1
            / (alpha_ * S)`` where S is the total weight of the rows. With
            `standardize`, it is the objective on the columns divided by `scale_`.

        See Also
        --------
        from_logistic_regression : Convert a `LogisticRegression` to this class.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.metrics import log_loss
        >>> from sklearn_softmax import SoftmaxSGDClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> lr = SoftmaxSGDClassifier(random_state=0).fit(X, y).to_logistic_regression()
        >>> lr
        LogisticRegression()
        >>> print(f"log loss {log_loss(y, lr.predict_proba(X)):.2f}")
        log loss 0.13
        """
        check_is_fitted(self)
        weight = self._stream.weight
        return _logistic_regression.fitted_logistic_regression(
            self.coef_,
            self.intercept_,
            strength=1.0 if self.alpha == "1/n_samples" or weight == 0 else self.alpha_ * weight,
            l1_ratio=self.l1_ratio,
            n_iter=int(np.max(self.n_iter_)),
            attributes={name: value for name, value in vars(self).items() if name in OF_INPUT},
            fit_intercept=self.fit_intercept,
            class_weight=self.class_weight,
        )

    @classmethod
    def from_logistic_regression(cls, lr, X=None, *, n_samples=None, **params):
        """Convert a fitted `LogisticRegression` of scikit-learn, to train it further.

        Parameters
        ----------
        lr : LogisticRegression or LogisticRegressionCV
            A fitted model of two classes, or a multinomial one.

        X : {array-like, sparse} of shape (n_rows, n_features) or None, default=None
            Rows like those that `lr` was fitted on. They give the scales of the
            features, which `lr` does not know, and are not kept. None takes the scales
            from the first chunk of `partial_fit`. That chunk should have at least 20
            rows, because the scales of a single row may spoil the model, which gives a
            warning.

        n_samples : float or None, default=None
            How many rows the model counts for. `partial_fit` continues as if the model
            had learnt from so many rows. A larger number makes shorter steps, and the
            model changes more slowly. If new rows are like the old ones, pass the
            number of rows that `lr` was fitted on. Pass a smaller number to follow a
            change sooner. None is the number of rows of X, or 1000 without X.

        **params : dict
            Parameters of the estimator. By default they make the objective that of
            `lr`. These defaults are ``alpha = 1 / (C * n_samples)`` (or "1/n_samples"
            if C is 1), ``standardize=False``, and the `l1_ratio`, `fit_intercept` and
            `class_weight` of `lr`.

        Returns
        -------
        estimator : SoftmaxSGDClassifier
            A fitted estimator with the same predictions.

        Raises
        ------
        NotFittedError
            If `lr` is not fitted.
        TypeError
            If `lr` is not a `LogisticRegression` or `LogisticRegressionCV`.
        ValueError
            If `lr` consists of one binary model per class, whose probabilities no
            softmax model has, or if a parameter is wrong.

        See Also
        --------
        to_logistic_regression : Convert this class to a `LogisticRegression`.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn_softmax import SoftmaxSGDClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> X = X / 16
        >>> lr = LogisticRegression().fit(X[:500], y[:500])
        >>> clf = SoftmaxSGDClassifier.from_logistic_regression(lr, X[:500])
        >>> print(f"accuracy {clf.score(X, y):.2f}, of lr {lr.score(X, y):.2f}")
        accuracy 0.92, of lr 0.92
        >>> clf = clf.partial_fit(X[500:], y[500:])
        >>> print(f"accuracy {clf.score(X, y):.2f}")
        accuracy 0.95
        """
        _logistic_regression.check(lr, n_samples)
        model, estimator = _logistic_regression.model_of(lr), cls()
        vars(estimator).update({name: value for name, value in vars(lr).items() if name in OF_INPUT})
        problem = None
        if X is not None:
            check_X = partial(_validation.checked_X, estimator)
            problem = _validation.unlabelled_problem(X, check_X, model.weights.dtype)
        if n_samples is None:
            n_samples = DEFAULT_N_SAMPLES if problem is None else problem.n_samples
        estimator.set_params(**{**_logistic_regression.params_of(lr, n_samples), **params})
        settings = estimator._checked_settings()
        stream = _solver.stream_with(settings, model, float(n_samples))
        if problem is not None and settings.learning_rate == "auto":
            stream.impute_statistics(problem)
        alpha, n_iter = settings.alpha_at(stream.weight), int(np.max(lr.n_iter_))
        vars(estimator).update(estimator._attributes(stream, alpha, lr.classes_, n_iter_=n_iter))
        return estimator

    def sparsify(self):
        """Make `coef_` sparse, which saves memory if most coefficients are zero.

        Training can continue, and makes `coef_` dense again.

        Returns
        -------
        self : SoftmaxSGDClassifier
            The fitted estimator.
        """
        check_is_fitted(self)
        if not issparse(self.coef_):
            coef = (csr_array if uses_sparse_arrays() else csr_matrix)(self.coef_)
            replaces = self._shown is not None or self._stream.is_bare  # in this order, because the stream may have no model
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


# pickles store this path, so that the file may move
SoftmaxSGDClassifier.__module__ = "sklearn_softmax"
