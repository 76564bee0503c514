"""Call scikit-learn's callbacks (>= 1.9) in `fit` and in its passes or folds.

This file changes only the contexts that scikit-learn keeps with the estimator.
"""

from copy import deepcopy

__all__ = ["FitCallbacks"]


class FitCallbacks:
    """Calls scikit-learn's callbacks.

    `fit` is a task, and its passes over the rows are subtasks with the name "epoch".
    In a cross-validation, subtasks are folds.

    Parameters
    ----------
    estimator : CallbackSupportMixin
        If this estimator has no callbacks, or scikit-learn does not support callbacks,
        this object is false and must not be used.
    max_passes : int or None
        Largest number of subtasks, if it is known.
    name : str
        Name of a subtask.
    """

    def __init__(self, estimator, max_passes, name="epoch"):
        self.estimator, self.name, self.fit_task, self.epoch = estimator, name, None, None
        if getattr(estimator, "_skl_callbacks", None):
            self.fit_task = estimator._init_callback_context(max_subtasks=max_passes)

    def __bool__(self):
        return self.fit_task is not None

    def begin(self, X, y, sample_weight, attributes):
        """`fit` begins.

        X and y are as the user gave them, because scorers need the names of the
        features and the labels. ``attributes(solution)`` are the attributes of an
        estimator with this solution.
        """
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.what = dict(estimator=self.estimator, X=X, y=y, metadata=metadata)
        self.attributes = attributes
        self.fit_task.call_on_fit_task_begin(**self.what)

    def begin_pass(self):
        self.epoch = self.fit_task.subcontext(task_name=self.name).call_on_fit_task_begin(**self.what)

    def end_passes(self, n_passes, so_far):
        stops = False
        for n_left in reversed(range(n_passes)):  # only the last pass has a new model
            if self.epoch is None:
                self.begin_pass()
            model = {} if n_left else {"reconstruction_attributes": lambda: self.attributes(so_far())}
            stops |= self.epoch.call_on_fit_task_end(**self.what, **model)
            self.epoch = None
        return stops

    def end_fold(self):
        """A fold ends, which has no model of all rows. Whether to stop is not asked."""
        self.begin_pass()
        self.epoch.call_on_fit_task_end(**self.what)
        self.epoch = None

    def end(self, solution):
        """`fit` ends with this solution."""
        self.fit_task.call_on_fit_task_end(**self.what, reconstruction_attributes=lambda: self.attributes(deepcopy(solution)))
