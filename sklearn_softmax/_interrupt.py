"""Ctrl-C: where it waits, and whom it ends."""

import sys

from ._compat import SIGINT, getsignal, signal

__all__ = ["held_interrupt", "is_called_by_a_tool"]

# Modules of scikit-learn through which somebody fits this one estimator: `fit` is wrapped, or the last step of a pipeline.
OF_ONE_FIT = ("sklearn.base", "sklearn.pipeline", "sklearn.utils", "sklearn.callback")


class held_interrupt:
    """What begins under it ends, or fails for a reason of its own; then Ctrl-C has its turn.

    Kernels change memory in place. An interrupt between that and the rest of a model would leave one that is half of a call.
    """

    def __enter__(self):
        self.handler, self.arrived = getsignal(SIGINT), None
        if callable(self.handler):
            try:
                signal(SIGINT, self._hold)
            except ValueError:  # only the main thread is ever interrupted
                self.handler = None

    def __exit__(self, *_):
        if callable(self.handler):
            signal(SIGINT, self.handler)
            if self.arrived:
                self.handler(*self.arrived)

    def _hold(self, *signal_and_frame):
        self.arrived = signal_and_frame


def is_called_by_a_tool():
    """Whether a tool of scikit-learn called `fit`: a search, an ensemble, a curve. Its user never sees the single models."""
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("sklearn.") and not module.startswith(OF_ONE_FIT):
            return True
        frame = frame.f_back
    return False
