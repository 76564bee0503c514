"""Ctrl-C: delay it, and find out whether a tool of scikit-learn called `fit`."""

import sys

from ._compat import SIGINT, getsignal, signal

__all__ = ["held_interrupt", "is_called_by_a_tool"]

# Calls through these modules fit one estimator only: `fit` is wrapped, or the estimator
# is the last step of a pipeline.
OF_ONE_FIT = ("sklearn.base", "sklearn.pipeline", "sklearn.utils", "sklearn.callback")


class held_interrupt:
    """Delays Ctrl-C until the block has ended.

    Kernels change memory in place. An interrupt between a kernel and the update of the
    other attributes would leave a model that is only partly updated.
    """

    def __enter__(self):
        self.handler, self.arrived = getsignal(SIGINT), None
        if callable(self.handler):
            try:
                signal(SIGINT, self._hold)
            except ValueError:  # not the main thread, which is the only one that Ctrl-C interrupts
                self.handler = None

    def __exit__(self, *_):
        if callable(self.handler):
            signal(SIGINT, self.handler)
            if self.arrived:
                self.handler(*self.arrived)

    def _hold(self, *signal_and_frame):
        self.arrived = signal_and_frame


def is_called_by_a_tool():
    """Whether a tool of scikit-learn called `fit`, such as a search or an ensemble.

    The user of such a tool never sees the single models.
    """
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("sklearn.") and not module.startswith(OF_ONE_FIT):
            return True
        frame = frame.f_back
    return False
