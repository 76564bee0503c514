"""Callbacks of scikit-learn (>= 1.9) are told of `fit` and of its passes over the rows.

Touches nothing but the contexts that scikit-learn keeps with the estimator.
"""

from copy import deepcopy

__all__ = ["FitCallbacks"]


class FitCallbacks:
    """Tells scikit-learn's callbacks of `fit` (a task) and of its passes over the rows (its subtasks, named "epoch").

    Parameters
    ----------
    estimator : CallbackSupportMixin
        If it has no callbacks, or scikit-learn has none, this is false and shall not be used.
    max_passes : int
    """

    def __init__(self, estimator, max_passes):
        self.estimator, self.fit_task, self.epoch = estimator, None, None
        if getattr(estimator, "_skl_callbacks", None):
            self.fit_task = estimator._init_callback_context(max_subtasks=max_passes)

    def __bool__(self):
        return self.fit_task is not None

    def begin(self, X, y, sample_weight, attributes):
        """`fit` begins. X and y as users gave them: scorers know names of features, and labels.

        ``attributes(solution)`` are those of an estimator with that solution.
        """
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.what = dict(estimator=self.estimator, X=X, y=y, metadata=metadata)
        self.attributes = attributes
        self.fit_task.call_on_fit_task_begin(**self.what)

    def begin_pass(self):
        self.epoch = self.fit_task.subcontext(task_name="epoch").call_on_fit_task_begin(**self.what)

    def end_passes(self, n_passes, so_far):
        stops = False
        for n_left in reversed(range(n_passes)):  # there is a new model after the last only
            if self.epoch is None:
                self.begin_pass()
            model = {} if n_left else {"reconstruction_attributes": lambda: self.attributes(so_far())}
            stops |= self.epoch.call_on_fit_task_end(**self.what, **model)
            self.epoch = None
        return stops

    def end(self, solution):
        """`fit` ends with this."""
        self.fit_task.call_on_fit_task_end(**self.what, reconstruction_attributes=lambda: self.attributes(deepcopy(solution)))
