"""`softmax_path`, and `SoftmaxSGDClassifierCV`, which chooses alpha by cross-validation.

Both stand on the estimator. What is computed along a path is in `_path.py`.
"""

import warnings
from collections.abc import Iterable
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed

from . import _absent, _solver
from ._callbacks import FitCallbacks
from ._classifier import SoftmaxSGDClassifier, unchanged_on_error
from ._compat import Interval, StrOptions, fit_context, is_routing_enabled
from ._containers import soft_labels
from ._model import Model
from ._objective import Objective, Penalty
from ._path import Path
from ._stream import Stream

__all__ = ["SoftmaxPath", "SoftmaxSGDClassifierCV", "chosen", "softmax_path"]

FOLD = "fold"  # the subtasks of `fit`, for callbacks
# parameters that are those of the estimator
SHARED = ("standardize", "fit_intercept", "max_iter", "tol", "class_weight", "random_state", "verbose")


class SoftmaxPath(NamedTuple):
    """The models of a path, from the largest alpha to the smallest; see `softmax_path`."""

    alphas: np.ndarray
    coefs: np.ndarray
    intercepts: np.ndarray
    optimality_gaps: np.ndarray
    n_iter: np.ndarray


class FoldResult(NamedTuple):
    """The models of a fold for one l1_ratio, and their scores on the held-out rows."""

    coefs: np.ndarray
    intercepts: np.ndarray
    optimality_gaps: np.ndarray
    n_iter: np.ndarray
    is_converged: np.ndarray
    scores: np.ndarray


def _decreasing(alphas, name="alphas"):
    """A checked grid that the user gave, from the largest alpha to the smallest."""
    grid = np.array(alphas, dtype=np.float64)
    if grid.ndim != 1 or len(grid) == 0 or not (np.isfinite(grid).all() and (grid > 0).all()):
        raise ValueError(f"{name}={alphas!r} must be a number of alphas, or a list of finite alphas that are all > 0.")
    return np.sort(grid)[::-1]


def _warn_of_unconverged(is_converged, gaps, max_iter):
    n_left = int(np.sum(~is_converged))
    if n_left:
        warnings.warn(
            f"max_iter={max_iter} was reached for {n_left} of {is_converged.size} models of the path: their training losses may "
            f"still be up to {np.max(gaps[~is_converged]):.2g} nats per row above the minimum (optimality_gaps). Increase "
            "max_iter, tol or the smallest alpha.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _on_path(alphas, points, score):
    """The `FoldResult` of points along alphas; ``score(model, alpha)`` is the score of a model."""
    coefs, intercepts, gaps, n_iter, is_converged, scores = [], [], [], [], [], []
    for alpha, point in zip(alphas, points):
        coefs.append(np.ascontiguousarray(point.model.coef))
        intercepts.append(point.model.public_intercept())
        gaps.append(point.optimality_gap)
        n_iter.append(point.n_iter)
        is_converged.append(point.is_converged)
        scores.append(score(point.model, alpha))
    return FoldResult(*(np.array(column) for column in (coefs, intercepts, gaps, n_iter, is_converged, scores)))


def softmax_path(
    X,
    y,
    *,
    alphas=100,
    min_alpha_ratio=None,
    l1_ratio=0.0,
    standardize=True,
    fit_intercept=True,
    max_iter=100,
    tol=1e-4,
    class_weight=None,
    sample_weight=None,
):
    """Fit a model for each strength of the penalty.

    The objective is that of `SoftmaxSGDClassifier`. All models share one set of
    statistics, and each starts from its neighbours. So a path of dense rows costs far
    less than as many fits.

    Parameters
    ----------
    X : {array-like, sparse} of shape (n_samples, n_features)
        Training rows.

    y : array-like of shape (n_samples,)
        Labels.

    alphas : int or array-like of shape (n_alphas,), default=100
        The strengths of the penalty, all > 0. An int is the length of a geometric grid.
        With L1 this grid begins at the smallest alpha at which all coefficients are 0,

        .. code-block:: text

            alpha_max = max_jk |dF/dW_jk| / (v_j l1_ratio)

        where the loss is that of the model that has only intercepts. For
        ``l1_ratio < 0.01`` the l1_ratio in this formula is 0.01.

    min_alpha_ratio : float or None, default=None
        The smallest alpha of the grid over the largest. None with L1 is 1e-4 if there
        are more rows than features, else 1e-2, as in glmnet. Without L1 None is 1e-7 or
        1e-5.

    l1_ratio : float, default=0.0
        Share of L1 in the penalty, from 0 (L2 only) to 1 (L1 only).

    standardize : bool, default=True
        Whether to penalise the coefficients of standardised features.

    fit_intercept : bool, default=True
        Whether to learn intercepts.

    max_iter : int, default=100
        Largest number of passes over the rows for each model.

    tol : float, default=1e-4
        A model of the path is fitted until no entry of the gradient of F, for
        standardised features, is larger than `tol`.

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes. They multiply `sample_weight`.

    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the rows, from 0 to 1e30. None gives each row the weight 1.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        The strengths, from the largest to the smallest.

    coefs : ndarray of shape (n_alphas, n_classes, n_features)
        Coefficients for the sorted labels of y, in the units of X. Two classes have one
        row. The dtype is float32 if X is float32, else float64.

    intercepts : ndarray of shape (n_alphas, n_classes)
        Intercepts, (n_alphas, 1) for two classes.

    optimality_gaps : ndarray of shape (n_alphas,)
        Upper bound of how far the training loss of each model is above its minimum, in
        nats per row.

    n_iter : ndarray of shape (n_alphas,)
        Passes over the rows that each model took, rounded up.

    Raises
    ------
    ValueError
        If an input has the wrong shape, type or values, or if y has fewer than two
        classes.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` passes were not enough for a model.

    See Also
    --------
    SoftmaxSGDClassifierCV : Choose alpha by cross-validation.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_softmax import softmax_path
    >>> X, y = load_iris(return_X_y=True)
    >>> path = softmax_path(X, y, alphas=4, l1_ratio=1.0)
    >>> for alpha, coef in zip(path.alphas, path.coefs):
    ...     print(f"alpha={alpha:.5f}: {(coef != 0).sum()} coefficients")
    alpha=0.43500: 0 coefficients
    alpha=0.02019: 4 coefficients
    alpha=0.00094: 7 coefficients
    alpha=0.00004: 8 coefficients
    """
    estimator = SoftmaxSGDClassifierCV(
        alphas=alphas,
        min_alpha_ratio=min_alpha_ratio,
        l1_ratios=(l1_ratio,),
        standardize=standardize,
        fit_intercept=fit_intercept,
        max_iter=max_iter,
        tol=tol,
        class_weight=class_weight,
    )
    estimator._validate_params()
    given = estimator._fit_input(X, y, sample_weight, name="softmax_path")
    path = Path(_numbered_by_all(given), len(given.classes), estimator._settings())
    (grid,), (l1_ratio,) = estimator._grids(path)
    result = _on_path(grid, path.points(grid, l1_ratio), lambda model, alpha: 0.0)
    _warn_of_unconverged(result.is_converged, result.optimality_gaps, max_iter)
    return SoftmaxPath(grid, *result[:4])


SoftmaxPath.__module__ = softmax_path.__module__ = "sklearn_softmax"


def _numbered_by_all(given):
    """The problem of a `FitInput`, with the numbers of all classes, of which some may have no row."""
    return given.problem._replace(y=np.flatnonzero(given.is_present).astype(np.int32)[given.problem.y])


def _fit_fold(problem, train, test, classes, settings, grids, l1_ratios, scorer, score_params):
    """The `FoldResult` for each l1_ratio."""
    path = Path(problem.take(train), len(classes), settings)
    rows = problem.take(test)
    if scorer is None:
        # weighted by `sample_weight` only, as scorers do
        held_out = Objective(rows.X, rows.y, rows.base_weight, Penalty(0.0, 0.0, len(classes)))

        def score(model, alpha):
            return -held_out.loss(model.point())
    else:
        labels = classes[rows.y]

        def score(model, alpha):
            return scorer(_fitted(model, classes, alpha, settings, len(train)), rows.X, labels, **score_params)

    return [_on_path(grid, path.points(grid, l1_ratio), score) for grid, l1_ratio in zip(grids, l1_ratios)]


def _fitted(model, classes, alpha, settings, weight):
    """A `SoftmaxSGDClassifier` with this model, for scorers."""
    estimator = SoftmaxSGDClassifier(alpha=alpha, fit_intercept=settings.fit_intercept, standardize=settings.standardize)
    stream = Stream.from_model(model, float(weight)).trainable(settings)
    vars(estimator).update(estimator._attributes(stream, alpha, classes, n_iter_=1, n_features_in_=len(model.weights)))
    return estimator


def chosen(scores, selection):
    """The index (l1_ratio, alpha) of the choice.

    Parameters
    ----------
    scores : ndarray of shape (n_folds, n_l1_ratios, n_alphas)
        For alphas from the largest to the smallest.
    selection : {"min", "1se"}
    """
    means = scores.mean(axis=0)
    row, column = np.unravel_index(np.argmax(means), means.shape)
    if selection == "1se" and len(scores) > 1:
        standard_error = scores[:, row, column].std(ddof=1) / np.sqrt(len(scores))
        column = np.argmax(means[row] >= means[row, column] - standard_error)
    return int(row), int(column)


def _n_folds(cv):
    """How many folds there will be, or None if only the rows tell."""
    if cv is None:
        return 5
    return cv if isinstance(cv, Integral) else getattr(cv, "n_splits", len(cv) if hasattr(cv, "__len__") else None)


def _of_rows(params, rows):
    """Metadata of these rows."""
    return {name: None if values is None else np.asarray(values)[rows] for name, values in params.items()}


class SoftmaxSGDClassifierCV(SoftmaxSGDClassifier):
    """Softmax regression whose penalty is chosen by cross-validation.

    For each fold and each `l1_ratio`, models are fitted along a path of alphas, each
    from its neighbours, and scored on the rows that the fold holds out. The model with
    the chosen alpha and l1_ratio is then fitted to all rows. For dense rows, this takes
    a small part of the time of a `GridSearchCV`.

    Parameters
    ----------
    alphas : int or array-like of shape (n_alphas,), default=100
        The strengths of the penalty, all > 0. An int is the length of a geometric grid
        for each l1_ratio. The grid is that of all rows and the same in all folds. See
        `softmax_path` for where this grid begins.

    min_alpha_ratio : float or None, default=None
        The smallest alpha of a grid over the largest. None with L1 is 1e-4 if there are
        more rows than features, else 1e-2. Without L1 None is 1e-7 or 1e-5.

    l1_ratios : array-like of shape (n_l1_ratios,), default=(0.0,)
        Shares of L1 in the penalty to choose from, each from 0 (L2 only) to 1 (L1
        only).

    cv : int, splitter, iterable or None, default=None
        How rows are split into folds. None is 5 stratified folds, and an int is the
        number of stratified folds. An iterable has pairs of arrays, the numbers of the
        training rows and of the held-out rows. Rows of weight 0 are dropped before a
        splitter splits.

    scoring : str, callable or None, default=None
        The score to maximise. None is minus the mean log loss in nats per row,
        weighted by `sample_weight`. A str is a name of `sklearn.metrics.get_scorer`,
        and a callable a scorer.

    selection : {"min", "1se"}, default="min"
        Which alpha is chosen. "min" is the one with the best mean score. "1se" is
        glmnet's rule: the largest alpha whose mean score is within one standard error
        of the best one, for the l1_ratio of the best one. The standard error is the
        standard deviation (ddof=1) of the folds' scores there over the square root of
        the number of folds.

    refit : bool, default=True
        Whether to fit the chosen model to all rows. False takes the mean of the
        coefficients of the folds with the chosen alpha and l1_ratio.

    n_jobs : int or None, default=None
        Number of folds that are fitted at a time (joblib). None is 1, and -1 is all
        processors.

    standardize : bool, default=True
        Whether to penalise the coefficients of standardised features. The scales are
        those of the training rows of each fold, so that nothing of its held-out rows is
        used. See `SoftmaxSGDClassifier`.

    fit_intercept : bool, default=True
        Whether to learn intercepts.

    max_iter : int, default=100
        Largest number of passes over the rows for each model of a path, and of epochs
        for the last fit.

    tol : float, default=1e-4
        A model of the path is fitted until no entry of the gradient of F, for
        standardised features, is larger than `tol`.

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes. They multiply `sample_weight` in training, and not in
        scores. "balanced" is that of all rows.

    random_state : int, RandomState instance or None, default=None
        Seed of the last fit. Paths use no random numbers. A splitter has its own
        `random_state`.

    verbose : int, default=0
        Whether to print a line per epoch of the last fit.

    Attributes
    ----------
    alpha_ : float
        The chosen strength of the penalty.

    l1_ratio_ : float
        The chosen share of L1.

    alphas_ : ndarray of shape (n_l1_ratios, n_alphas)
        The strengths for each l1_ratio, from the largest to the smallest.

    l1_ratios_ : ndarray of shape (n_l1_ratios,)
        The shares of L1.

    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_alphas)
        The score of each model on the held-out rows. Larger is better.

    coefs_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_alphas, n_classes, \
n_features)
        Coefficients of each model, in the units of X. Two classes have one row.

    intercepts_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_alphas, n_classes)
        Intercepts of each model. Two classes have one.

    optimality_gaps_ : ndarray of shape (n_folds, n_l1_ratios, n_alphas)
        Upper bound of how far the training loss of each model is above its minimum, in
        nats per row.

    n_iter_ : ndarray of shape (n_folds, n_l1_ratios, n_alphas)
        Passes over the training rows that each model took, rounded up.

    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients of the chosen model.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts of the chosen model.

    loss_curve_ : ndarray
        Training loss of each epoch or pass of the last fit, in nats per row. Only with
        `refit`.

    optimality_gap_ : float
        Upper bound of how far the training loss of the last fit is above its minimum,
        in nats per row. Only with `refit`.

    scale_ : ndarray of shape (n_features,)
        The scale of each feature in the penalty, of all rows.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names.

    See Also
    --------
    softmax_path : The models along a path, without cross-validation.
    RegularizationPathDisplay : A plot of the coefficients.
    PathScoreDisplay : A plot of the scores.
    sklearn.linear_model.LogisticRegressionCV : The same choice, by batch solvers.

    Notes
    -----
    The strength alpha is the same in all folds and in the last fit. In
    `LogisticRegressionCV` it is C, so that alpha is ``1 / (C * n)``, and n differs.

    All other attributes and methods of a fitted `SoftmaxSGDClassifier` exist, too.
    `partial_fit` goes on from the chosen model with `alpha_` and `l1_ratio_`, and sets
    `n_iter_` to 1. Before `fit` it learns with the default penalty. `score` is the
    accuracy, whatever `scoring` is.

    Callbacks that were set with ``set_callbacks`` (scikit-learn >= 1.9) are called for
    `fit` and after each fold.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_softmax import SoftmaxSGDClassifierCV
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = SoftmaxSGDClassifierCV(alphas=20, random_state=0).fit(X, y)
    >>> loss = -clf.scores_.mean(axis=0).max()
    >>> print(f"alpha {clf.alpha_:.1g}, log loss {loss:.3f}")
    alpha 0.0007, log loss 0.226
    >>> clf = SoftmaxSGDClassifierCV(alphas=20, selection="1se", random_state=0)
    >>> print(f"alpha {clf.fit(X, y).alpha_:.1g}")
    alpha 0.004
    """

    _parameter_constraints = {
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "min_alpha_ratio": [Interval(Real, 0, 1, closed="neither"), None],
        "l1_ratios": ["array-like"],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "selection": [StrOptions({"min", "1se"})],
        "refit": ["boolean"],
        "n_jobs": [Integral, None],
        **{name: SoftmaxSGDClassifier._parameter_constraints[name] for name in SHARED},
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        alphas=100,
        min_alpha_ratio=None,
        l1_ratios=(0.0,),
        cv=None,
        scoring=None,
        selection="min",
        refit=True,
        n_jobs=None,
        standardize=True,
        fit_intercept=True,
        max_iter=100,
        tol=1e-4,
        class_weight=None,
        random_state=None,
        verbose=0,
    ):
        self.alphas = alphas
        self.min_alpha_ratio = min_alpha_ratio
        self.l1_ratios = l1_ratios
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.refit = refit
        self.n_jobs = n_jobs
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.class_weight = class_weight
        self.random_state = random_state
        self.verbose = verbose

    # Methods of the estimator ask for these parameters, which are none here.

    learning_rate, average, new_classes, early_stopping, validation_fraction = "auto", "auto", "error", False, 0.1
    label_smoothing = 0.0

    @property
    def alpha(self):
        return vars(self).get("alpha_", "1/n_samples")

    @property
    def l1_ratio(self):
        return vars(self).get("l1_ratio_", 0.0)

    def _settings(self):
        """Those of an estimator with the chosen penalty; parameters that are none here have their defaults."""
        own = {name: value for name, value in self.get_params(deep=False).items() if name in SHARED}
        return SoftmaxSGDClassifier(alpha=self.alpha, l1_ratio=self.l1_ratio, **own)._settings()

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, **params):
        """Choose the penalty, and fit the model.

        Parameters
        ----------
        X : {array-like, sparse} of shape (n_samples, n_features)
            Training rows.

        y : array-like of shape (n_samples,)
            Labels.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows, from 0 to 1e30. None gives each row the weight 1. A
            scorer gets them, too, but with metadata routing only if it requests them.

        **params : dict
            ``groups`` for the splitter. With metadata routing, all that the splitter
            and the scorer request.

        Returns
        -------
        self : SoftmaxSGDClassifierCV
            The fitted estimator.

        Raises
        ------
        ValueError
            If an input has the wrong shape, type or values, if the training rows of a
            fold have only one class, or if a score is NaN. A model that was fitted
            before stays as it was.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` passes were not enough for a model of a path, or for the last
            fit.
        """
        routed = self._routed(sample_weight, params)
        callbacks = FitCallbacks(self, _n_folds(self.cv), FOLD)  # outside, so that they are torn down after an error
        with unchanged_on_error(self):
            vars(self).pop("_last_settings", None)
            settings, random = self._settings(), self._random()
            given = self._fit_input(X, y, sample_weight, name=type(self).__name__, random=random)
            problem, classes = _numbered_by_all(given), given.classes
            folds = self._folds(problem, classes, given.counts, routed.splitter.split)
            grids, l1_ratios = self._grids(Path(problem, len(classes), settings))
            if callbacks:
                callbacks.begin(X, y, sample_weight, dict)
            score_params = _of_rows(routed.scorer.score, given.counts) if self.scoring is not None else {}
            tasks = (
                delayed(_fit_fold)(
                    problem, train, test, classes, settings, grids, l1_ratios, self._scorer(), _of_rows(score_params, test)
                )
                for train, test in folds
            )
            results = []
            for result in Parallel(n_jobs=self.n_jobs, return_as="generator")(tasks):
                results.append(result)
                if callbacks:
                    callbacks.end_fold()
            paths = FoldResult(
                *(np.array([[one[part] for one in fold] for fold in results]) for part in range(len(FoldResult._fields)))
            )
            if not np.isfinite(paths.scores).all():
                fold, row, column = np.argwhere(~np.isfinite(paths.scores))[0]
                raise ValueError(
                    f"The score of fold {fold} is {paths.scores[fold, row, column]} for alpha={grids[row][column]:.3g} and "
                    f"l1_ratio={l1_ratios[row]}. Use another scoring, or another cv."
                )
            _warn_of_unconverged(paths.is_converged, paths.optimality_gaps, self.max_iter)
            row, column = chosen(paths.scores, self.selection)
            settings = settings._replace(alpha=float(grids[row][column]), l1_ratio=float(l1_ratios[row]))
            attributes = self._of_all_rows(given, settings, random, paths.coefs[:, row, column], paths.intercepts[:, row, column])
            attributes |= dict(
                l1_ratio_=settings.l1_ratio,
                alphas_=np.array(grids),
                l1_ratios_=l1_ratios,
                scores_=paths.scores,
                coefs_paths_=paths.coefs,
                intercepts_paths_=paths.intercepts,
                optimality_gaps_=paths.optimality_gaps,
                n_iter_=paths.n_iter,
            )
            vars(self).update(attributes)
            if callbacks:
                callbacks.end(attributes)
        return self

    def _fit_input(self, X, y, sample_weight, *, name, random=None):
        if soft_labels(y)[0] is not None:
            raise ValueError(
                f"y has a column for each class, which {name} does not support. Pass one label per row, or copies of the rows "
                "with each class, weighted by sample_weight."
            )
        return super()._fit_input(X, y, sample_weight, name=name, random=random)

    def _grids(self, path):
        """(alphas for each l1_ratio, l1_ratios)"""
        l1_ratios = np.array(self.l1_ratios, dtype=np.float64)
        if l1_ratios.ndim != 1 or len(l1_ratios) == 0 or not ((l1_ratios >= 0) & (l1_ratios <= 1)).all():
            raise ValueError(f"l1_ratios={self.l1_ratios!r} must be a list of numbers from 0 to 1, for instance (0.0,).")
        if isinstance(self.alphas, Integral):
            return [path.grid(self.alphas, self.min_alpha_ratio, l1_ratio) for l1_ratio in l1_ratios], l1_ratios
        return [_decreasing(self.alphas)] * len(l1_ratios), l1_ratios

    def _folds(self, problem, classes, counts, params):
        """The rows of the problem to train on and to hold out, for each fold.

        Numbers of rows that the user gives are those of X, of which the problem may be
        a part.
        """
        if isinstance(self.cv, Iterable) and not hasattr(self.cv, "split"):
            rows, position = np.arange(len(counts)), np.cumsum(counts) - 1
            folds = [[position[rows[part][counts[rows[part]]]] for part in fold] for fold in self.cv]
        else:
            cv = check_cv(self.cv, problem.y, classifier=True)
            folds = list(cv.split(problem.X, classes[problem.y], **_of_rows(params, counts)))
        for number, (train, test) in enumerate(folds):
            labels = classes[np.unique(problem.y[train])]
            if len(labels) < 2 or len(test) == 0:
                what = f"trains on rows of the class(es) {labels.tolist()} only" if len(labels) < 2 else "holds out no row"
                raise ValueError(f"Fold {number} of cv={self.cv!r} {what}. Use another cv, for instance stratified folds.")
        if not folds:
            raise ValueError(f"cv={self.cv!r} has no folds.")
        return folds

    def _of_all_rows(self, given, settings, random, coefs, intercepts):
        """The attributes of the chosen model."""
        problem, classes, is_present = given.problem, given.classes, given.is_present
        class_counts = problem.class_counts(int(is_present.sum()))
        if self.refit:
            of_present = _absent.settings_of_present(settings, settings.alpha, is_present)
            solution = _solver.fit(problem, of_present, None, class_counts, None, random)
            return self._attributes_of_fit(solution, settings.alpha, classes, is_present)
        for of_fit in ("loss_curve_", "optimality_gap_", "validation_scores_", "best_validation_score_"):
            vars(self).pop(of_fit, None)
        model = Model.from_public(coefs.mean(axis=0), intercepts.mean(axis=0), len(classes))
        stream = _solver.stream_with(settings, model, float(problem.sample_weight.sum()))
        stream.impute_statistics(problem)
        return self._attributes(stream, settings.alpha, classes)

    def _routed(self, sample_weight, params):
        """Which metadata go to the splitter and to the scorer."""
        if is_routing_enabled():
            weight = {} if sample_weight is None else {"sample_weight": sample_weight}
            routed = process_routing(self, "fit", **weight, **params)
            return routed if self.scoring is not None else Bunch(splitter=routed.splitter, scorer=Bunch(score={}))
        unknown = sorted(set(params) - {"groups"})
        if unknown:
            raise TypeError(
                f"fit got {unknown}, which need metadata routing: sklearn.set_config(enable_metadata_routing=True). Without "
                "routing, fit accepts sample_weight and groups."
            )
        of_scorer = {} if sample_weight is None else {"sample_weight": sample_weight}
        return Bunch(splitter=Bunch(split=params), scorer=Bunch(score=of_scorer))

    def get_metadata_routing(self):
        """Which metadata `fit` passes on, and to whom.

        Returns
        -------
        routing : MetadataRouter
            The requests of this estimator, of its splitter and of its scorer.
        """
        mapping = MethodMapping
        router = MetadataRouter(owner=self).add_self_request(self)
        router.add(splitter=check_cv(self.cv), method_mapping=mapping().add(caller="fit", callee="split"))
        scorer = self._scorer()
        if scorer is not None:
            router.add(scorer=scorer, method_mapping=mapping().add(caller="fit", callee="score"))
        return router

    def _scorer(self):
        return None if self.scoring is None else check_scoring(SoftmaxSGDClassifier(), scoring=self.scoring)

    @classmethod
    def from_logistic_regression(cls, lr, X=None, *, n_samples=None, **params):
        """Not supported, because a converted model has no paths.

        Parameters
        ----------
        lr : LogisticRegression or LogisticRegressionCV
            A fitted model.

        X : {array-like, sparse} of shape (n_rows, n_features) or None, default=None
            Not used.

        n_samples : float or None, default=None
            Not used.

        **params : dict
            Not used.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError("A converted model has no paths. Use SoftmaxSGDClassifier.from_logistic_regression.")


SoftmaxSGDClassifierCV.__module__ = "sklearn_softmax"
