"""The estimator: parameters, fit, partial_fit, predict; the only file that knows `self`."""

from functools import partial
from numbers import Integral, Real
from operator import is_
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse
from scipy.special import expit, log_expit, log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import _absent, _logistic_regression, _solver, _state, _validation
from ._callbacks import FitCallbacks
from ._compat import CallbackSupportMixin, Interval, StrOptions, fit_context, uses_sparse_arrays
from ._containers import are_among, gives_namespace_of_X
from ._interrupt import held_interrupt
from ._matrix import raw_prediction
from ._model import Model
from ._schedule import SCHEDULES
from ._versions import HasPage, __version__, warn_of_other_version

__all__ = ["SoftmaxSGDClassifier"]

VERSION = "_sklearn_softmax_version"  # in stored models
DEFAULT_N_SAMPLES = 1000  # that a model from elsewhere counts for
OF_INPUT = ("classes_", "n_features_in_", "feature_names_in_")


class Shown(NamedTuple):
    """`coef_` and `intercept_` if they are not those of the stream: sparse, or put there by somebody."""

    coef: Any
    intercept: np.ndarray
    replaces: bool  # training goes on from them


class unchanged_on_error:
    """Attributes of an estimator are as they were if anything is raised.

    Arrays are changed in place only after all that can fail. What is so small that it
    becomes 0 is no error, whatever NumPy is told to do about it.
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


class _OnlyAfterFit:
    """Stands where `fit` puts an attribute, and says why there is none. (It is not asked if there is one.)"""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, estimator, owner=None):
        if estimator is None:
            return self
        which = f"this {type(estimator).__name__} has no {self.name}"
        if not hasattr(estimator, "_stream"):
            raise AttributeError(f"{which} before it is fitted")
        raise AttributeError(
            f"{which} after partial_fit or for assigned coefficients, only after fit. What a stream says of itself is "
            "progressive_loss_ and recent_progressive_loss_."
        )


class SoftmaxSGDClassifier(HasPage, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
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
        total weight seen so far. 0 means no penalty. The intercept is never penalised. Give a number if the weights are on a
        scale of their own: those of AdaBoost add up to 1, and 1 / S is then 1, which `fit` warns of.

    l1_ratio : float, default=0.0
        Share of L1 in the penalty, from 0 (L2) to 1 (L1). With L1, coefficients that the rows do not need are exactly zero: in
        `fit`, those of the optimum; in `partial_fit`, after few epochs and with the classic schedules, about as many.

    standardize : bool, default=True
        Whether the penalty is on the coefficients of standardised features, so that the unit of a column changes nothing. The
        scale v_j (`scale_`) is the active standard deviation: ``v_j^2 = Var_j / (share of the rows where x_j != 0)``, weighted.
        That is the standard deviation of a column without zeros, and for a sparse one the spread of the values that occur; 0 for
        a constant column (up to rounding), whose coefficient is 0. False sets all v_j to 1: the objective of `LogisticRegression`
        on the data as they are. Coefficients are in the units of X either way. Acts with ``learning_rate="auto"`` only.

    fit_intercept : bool, default=True
        Whether to learn intercepts.

    max_iter : int, default=100
        Largest number of epochs of `fit`: passes over the rows.

    tol : float or None, default=1e-4
        With "auto", `fit` stops when no entry of the gradient of F, for standardised
        features, is larger: the criterion of `LogisticRegression`. For a class whose share
        s of the weight is below ``0.1 / n_classes`` the bound is ``tol * 10 * n_classes * s``,
        because its rows add only so much to the gradient. With the classic schedules `fit`
        stops when `n_iter_no_change` epochs in a row do not improve the penalised objective
        by `tol` nats per row. (With `early_stopping` that is said of the validation log
        loss, for all.) None: run all `max_iter` epochs.

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
        it lags behind if a stream comes sorted by class. With the others it is their mean (Polyak-Ruppert averaging). "auto"
        is True for "auto" and False for the others.

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

    new_classes : {"error", "add"}, default="error"
        What happens when `partial_fit`, or `fit` with `warm_start`, meets a label that is not in `classes_`. "add": just before
        its first row it becomes a class of a small probability. If T is the weight of the rows so far and K the number of
        classes, that is 10 / (T + 10 (K + 1)) where the others are equally probable, and less anywhere else. No other probability
        changes by more. (Without an intercept, that holds for T = 0 only.) `classes` need not be passed then, and labels in it
        that are passed later are added, too.

    warm_start : bool, default=False
        Whether `fit` starts from the model that the last `fit` or `partial_fit` left, or that was assigned, with the clock set
        back. With "auto" the first epoch from a given model only reads: `max_iter` has to be 2 or more to change it.

    random_state : int, RandomState instance or None, default=None
        For shuffling and for the split of `early_stopping`.

    verbose : int, default=0
        Whether to print a line per epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted. Only one, whose probability is 1, if a stream that adds classes has met no other yet.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients; one row if there are two classes, as in `LogisticRegression`. float32 if X was, else float64. The array
        is read-only, and so is `intercept_`. To change the model assign a whole array, of the same shape and with finite
        numbers: predictions and training go on from a copy of it. Before `fit`, assign `coef_`, `classes_` and, if you like,
        `intercept_`: the model then counts for 1000 rows, as one of `from_logistic_regression` does, and `fit` goes on from
        it with `warm_start`.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts. They can be replaced, as `coef_` can.

    n_iter_ : int
        Number of epochs.

    t_ : float
        1 + the total weight of the rows that were learnt from, each counted once: the clock of the next `partial_fit`.

    alpha_ : float
        The strength of the penalty that was used (last).

    loss_curve_ : ndarray of shape (`n_iter_`,)
        Penalised objective of each epoch, in nats per example; each row is scored just before its step.

    scale_ : ndarray of shape (n_features,)
        The penalty's scale v_j of each feature; 1 without `standardize`. 0 as long as it is not known, which is so after
        `from_logistic_regression` without X.

    feature_importances_ : ndarray of shape (n_features,)
        What each feature moves: the length of its column of `coef_`, times the standard deviation of the feature over all
        rows. The unit of a column changes nothing. Where no deviation is known, which is so with the classic schedules and
        after `from_logistic_regression` without X, the length of the column.

    penalty : {"l1", "l2", "elasticnet"} or None
        What `alpha` and `l1_ratio` say, in one word, for tools that ask for it. Read-only.

    optimality_gap_ : float
        An upper bound, in nats per example, of how far the objective of the fitted model is above its minimum. Only after
        `fit`.

    progressive_loss_ : float
        The weighted mean log loss, in nats, of all rows given to `partial_fit`, each predicted just before it was learnt from:
        what a stream says of itself without held-out rows. Only after `partial_fit`.

    recent_progressive_loss_ : float
        The same, where a row counts 1/e as much once rows of a total weight of 1000 have come after it.

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

    Rows of weight 0 count as absent everywhere, but their labels are classes of `fit`. With an intercept, a class of which no row
    counts has a probability of at most 1e-9, since the objective is lowest where it is 0.

    Arrays of other libraries of the array API are taken if they are on the CPU. With scikit-learn's
    ``array_api_dispatch=True`` methods that predict give arrays of the library of X. Attributes are NumPy's.

    References
    ----------
    .. [1] Toulis and Airoldi, "Asymptotic and finite-sample properties of estimators based on stochastic gradients", Annals of
       Statistics 45, 2017.
    .. [2] Defazio, "A simple practical accelerated method for finite sums", NeurIPS 2016.
    .. [3] Bottou, "Large-scale machine learning with stochastic gradient descent", COMPSTAT 2010.

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
        variance_reduction=True,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        class_weight=None,
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
        self.variance_reduction = variance_reduction
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.new_classes = new_classes
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # What a stored model consists of is described in _state.py.

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
        """A copy that training the other does not change; parameters are shared."""
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self))
        if hasattr(self, "_stream"):
            copied._stream = self._stream.copy()
        return copied

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
            Weights of the examples, from 0 to 1e30; None is 1 for each.

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
            If the input is not what is said above, if y has fewer than two classes, or if it can't be split for
            `early_stopping`. A fitted model is then as it was.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` is reached, with a bound of the distance from the optimum; or if steps had to be shortened because the
            model overflowed.
        UserWarning
            If alpha is "1/n_samples" and the weights are, on average, less than 0.1; or if Ctrl-C ended it.

        Notes
        -----
        Ctrl-C ends `fit` after the sweep over the rows that it interrupts, with the model of the last complete epoch and a
        warning. A second Ctrl-C, while `fit` makes ready what it has, ends it with KeyboardInterrupt, and the estimator is as
        it was before. So does the first one if a tool of scikit-learn other than a pipeline has called `fit`: a search or an
        ensemble ends as well, since a model that is trained by half has no place in it.

        Callbacks that were set with ``set_callbacks`` (scikit-learn >= 1.9, experimental there) are told of each epoch, with the
        model at its end, and stop `fit` as its own rules do if one of them returns True. A step of Newton's method takes several
        epochs: there is a model after the last of them. `partial_fit` has no callbacks. They are stored with the estimator;
        ``set_callbacks()`` removes them, for files that other versions of scikit-learn shall load.
        """
        callbacks = FitCallbacks(self, self.max_iter)  # out here: on an error they are still torn down
        with unchanged_on_error(self):
            if self.warm_start:
                self._check_nothing_is_given_by_half()
            goes_on = self.warm_start and hasattr(self, "_stream")
            settings, random_state = self._settings(), check_random_state(self.random_state)
            problem, validation, classes, is_present = _validation.fit_input(
                X,
                y,
                sample_weight,
                X_val,
                y_val,
                sample_weight_val,
                known=self._known() if goes_on else None,
                check_X=partial(_validation.checked_X, self),
                name=type(self).__name__,
                class_weight=self.class_weight,
                new_classes=self.new_classes,
                fit_intercept=self.fit_intercept,
                early_stopping=self.early_stopping,
                validation_fraction=self.validation_fraction,
                random_state=random_state,
            )
            class_counts = problem.class_counts(int(is_present.sum()))
            start = _absent.model_of_present(self._start(classes), is_present) if goes_on else None
            alpha = settings.alpha_at(float(problem.sample_weight.sum()))
            settings_of_present = _absent.settings_of_present(settings, alpha, is_present)

            def attributes(solution):
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

            if callbacks:
                callbacks.begin(X, y, sample_weight, attributes)
            solution = _solver.fit(problem, settings_of_present, start, class_counts, validation, random_state, callbacks or None)
            vars(self).update(attributes(solution))
            if callbacks:
                callbacks.end(solution)
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

        classes : array-like or set of shape (n_classes,) or None, default=None
            All labels that can occur; needed in the first call, unless `new_classes` is "add".

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the examples, from 0 to 1e30. If all are 0 nothing changes.

        Returns
        -------
        self : SoftmaxSGDClassifier
            The estimator.

        Raises
        ------
        ValueError
            If `classes` is missing in the first call or another one later, if y has labels that are not in it (unless
            `new_classes` is "add"), if the input is not what is said above, or if coefficients would be no finite numbers. The
            model is then as it was.

        Notes
        -----
        Ctrl-C waits until the rows are learnt from: a call is never learnt from by half.
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
                known=None if is_first else self._known(),
                check_X=partial(_validation.checked_X, self),
                name=type(self).__name__,
                class_weight=self.class_weight,
                new_classes=self.new_classes,
            )
            if given is None:
                return self
            stream = _solver.learn(None if is_first else self._own_stream(), given, settings)
            alpha = settings.alpha_at(stream.weight) if stream.weight else np.nan
            vars(self).update(self._attributes(stream, alpha, given.classes, n_iter_=1))
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
        """The total weight of the rows before averaging begins, or None. An int is a time, and the time of the first row is 1."""
        average = self.learning_rate == "auto" if self.average == "auto" else self.average
        return float(average) - 1 if average else None

    @staticmethod
    def _attributes(stream, alpha, classes, **more):
        """What makes an estimator a fitted one."""
        return dict(_stream=stream, _shown=None, _given={}, classes_=classes, t_=1.0 + stream.weight, alpha_=alpha, **more)

    def _known(self):
        """What training that goes on from this model has to know of its input."""
        return _validation.Known(self._dtype(), self.classes_, self._stream.class_counts)

    def _dtype(self):
        """Of the coefficients."""
        return self._stream.dtype if self._shown is None else self._shown.coef.dtype

    def _predictor(self):
        """The model that `coef_` and `intercept_` say, also if they were replaced."""
        if self._shown is None:
            return self._stream.predictor()
        return Model.from_public(self._shown.coef, self._shown.intercept, len(self.classes_))

    def _start(self, classes):
        """The model to start from, with what `classes` has that `classes_` has not."""
        start = self._predictor().copy()
        for at in np.flatnonzero(~are_among(classes, self.classes_)):
            start = start.with_class(at, self._stream.weight if self.fit_intercept else 0)
        return start

    def _own_stream(self):
        """The stream to go on from."""
        replaces = self._shown is not None and self._shown.replaces
        return self._stream.with_model(self._predictor()) if replaces else self._stream

    def _attribute(self, name):
        """What `name` of the stream is, if there is one."""
        if not hasattr(self, "_stream"):
            raise AttributeError(f"this {type(self).__name__} has no {name} before it is fitted")
        return self._stream

    # coef_, intercept_ and scale_ follow from the stream when somebody asks, and not in each partial_fit of one row. What is
    # shown is read-only: a change could only be lost in the next call that learns. What is assigned is checked and copied.

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
        return vars(self)["classes_"]

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
        vars(self).pop("optimality_gap_", None)  # it was that of another model

    def _begin_with_given(self):
        """Be a fitted estimator if all is there that makes a model: its coefficients and its classes."""
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
                f"{missing} is missing: before the first fit, coef_ and classes_ have to be assigned together for training to go "
                "on from them (and intercept_, if it is not 0). Assign it, or use a new estimator to start from nothing."
            )

    @property
    def feature_importances_(self):
        deviation = self._attribute("feature_importances_").deviation
        coef = self.coef_.toarray() if issparse(self.coef_) else self.coef_
        with np.errstate(under="ignore"):
            return np.linalg.norm(coef * np.float64(1 if deviation is None else deviation), axis=0)

    @property
    def penalty(self):
        if self.alpha == 0:
            return None
        return {0: "l2", 1: "l1"}.get(self.l1_ratio, "elasticnet")

    optimality_gap_ = _OnlyAfterFit()
    loss_curve_ = _OnlyAfterFit()
    validation_scores_ = _OnlyAfterFit()
    best_validation_score_ = _OnlyAfterFit()

    @property
    def scale_(self):
        return self._attribute("scale_").scale

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

    def _scores(self, X):
        """Scores of shape (n_samples, n_classes), whose softmax are the probabilities.

        Two classes have minus and plus the score that users see, whose sigmoids are.
        """
        if not hasattr(self, "_stream"):
            check_is_fitted(self)  # which takes its time to say no more than that
        X = _validation.checked_X(self, X, self._dtype(), False)
        with np.errstate(under="ignore"):
            if self._shown is None:
                scores = raw_prediction(*self._stream.rows_and_predictor(X))
            else:
                scores = raw_prediction(X, self._predictor())
        if scores.shape[1] == 2:
            limit = np.finfo(scores.dtype).max / 2
            scores[:, 1] = 2 * np.clip(scores[:, 1], -limit, limit)
            np.negative(scores[:, 1], out=scores[:, 0])
        return scores

    @gives_namespace_of_X
    def decision_function(self, X):
        """The scores ``W x + b``.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            In the dtype of `coef_`, finite if the coefficients are, however large X is. With two classes one number per row,
            positive for ``classes_[1]``; with one class, which a stream may begin with, a column of zeros.
        """
        scores = self._scores(X)
        return scores[:, 1].copy() if scores.shape[1] == 2 else scores

    @gives_namespace_of_X
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
        scores = self._scores(X)
        if scores.shape[1] == 2:
            return expit(scores)
        with np.errstate(over="ignore", under="ignore"):  # a difference of two scores may be -inf, whose exp is right
            proba = np.exp(scores - scores.max(axis=1, keepdims=True).astype(np.float64))
            proba /= proba.sum(axis=1, keepdims=True)
            return proba.astype(scores.dtype, copy=False)

    @gives_namespace_of_X
    def predict_log_proba(self, X):
        """Logarithms of the probabilities: log-softmax of `decision_function`.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Examples.

        Returns
        -------
        log_proba : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; finite if the coefficients are.
        """
        scores = self._scores(X)
        if scores.shape[1] == 2:
            return log_expit(scores)
        with np.errstate(over="ignore", under="ignore"):
            log_proba = log_softmax(scores.astype(np.float64), axis=1).astype(scores.dtype)
        return np.maximum(log_proba, np.finfo(scores.dtype).min)

    @gives_namespace_of_X
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
        scores = self._scores(X)
        return self.classes_[scores.argmax(axis=1)]

    def to_logistic_regression(self):
        """Hand the model over to scikit-learn: a fitted `LogisticRegression` with the same predictions.

        All that reads one (ONNX converters, SHAP, model cards) then reads this model.

        Returns
        -------
        lr : LogisticRegression
            With copies of `coef_`, `intercept_`, `classes_` and the names of features, in the same dtype. Its parameters
            `C` (``1 / (alpha_ * S)``, where S is the total weight of the rows), `l1_ratio`, `fit_intercept` and `class_weight`
            say the same objective; with `standardize`, on the columns divided by `scale_`. Predictions of float32 models are the
            same up to rounding.

        See Also
        --------
        from_logistic_regression : The other way.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_softmax import SoftmaxSGDClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> SoftmaxSGDClassifier(random_state=0).fit(X, y).to_logistic_regression()
        LogisticRegression()
        """
        check_is_fitted(self)
        weight = self._stream.weight
        return _logistic_regression.fitted_logistic_regression(
            self.coef_,
            self.intercept_,
            strength=1.0 if self.alpha == "1/n_samples" or weight == 0 else self.alpha_ * weight,
            l1_ratio=self.l1_ratio,
            n_iter=self.n_iter_,
            attributes={name: value for name, value in vars(self).items() if name in OF_INPUT},
            fit_intercept=self.fit_intercept,
            class_weight=self.class_weight,
        )

    @classmethod
    def from_logistic_regression(cls, lr, X=None, *, n_samples=None, **params):
        """Go on from scikit-learn's `LogisticRegression`: a fitted estimator with the same predictions, to stream more rows into.

        Parameters
        ----------
        lr : LogisticRegression or LogisticRegressionCV
            Fitted, of two classes or multinomial.

        X : {array-like, sparse} of shape (n_rows, n_features) or None, default=None
            Rows like those that `lr` was fitted on, for the scales of features, which `lr` does not know; they are not kept.
            None: the first chunk of `partial_fit` is taken for typical. It should then have 20 rows or more: those of a single
            row may spoil the model, which gives a warning.

        n_samples : float or None, default=None
            For how many rows the model counts. `partial_fit` goes on as if it had learnt from so many: the more, the shorter its
            steps, and the longer the old model is remembered. The number of rows that `lr` was fitted on is right if the stream
            is more of the same; fewer let it follow a change sooner. None is the number of rows of X, or 1000 without X.

        **params : dict
            Parameters of the estimator. Those that are not given are such that the objective is that of `lr`: ``alpha = 1 / (C *
            n_samples)``, or "1/n_samples" if C is 1; ``standardize=False``; `l1_ratio`, `fit_intercept` and `class_weight`.

        Returns
        -------
        estimator : SoftmaxSGDClassifier
            Fitted.

        Raises
        ------
        NotFittedError
            If `lr` is not fitted.
        TypeError
            If it is something else.
        ValueError
            If it consists of one binary model per class, whose probabilities no softmax model has; or if a parameter is wrong.

        See Also
        --------
        to_logistic_regression : The other way.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn_softmax import SoftmaxSGDClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> X = X / 16
        >>> lr = LogisticRegression().fit(X[:500], y[:500])
        >>> clf = SoftmaxSGDClassifier.from_logistic_regression(lr, X[:500])
        >>> bool((clf.predict(X) == lr.predict(X)).all())
        True
        >>> clf = clf.partial_fit(X[500:], y[500:])
        >>> clf.score(X, y) > lr.score(X, y)
        True
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
            replaces = self._shown is not None or self._stream.is_bare  # in this order: there may be no model left
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
