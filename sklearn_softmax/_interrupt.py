"""Ctrl-C that waits."""

# the public module makes enumerations of what these take and return, which takes eight times as long as they
from _signal import SIGINT, getsignal, signal  # type: ignore[import-not-found]

__all__ = ["held_interrupt"]


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
