"""Classes of which no row of `fit` counts: weights of 0 leave one out, as those of bagging and of one-versus-rest do.

With an intercept the objective has no minimum then: it falls as long as such an intercept does,
towards the minimum of the problem without the class. So that one is solved, and the class gets the
probability `ODDS` where the others are equally probable, and less anywhere else. (Without an
intercept there is a minimum, and nothing to do.)
"""

import numpy as np

from ._model import PRIOR, Model

__all__ = ["cost_of_absent", "model_of_present", "settings_of_present", "stream_of_all"]

# So small that neither the certificate nor a mean over models notices it; so large that a stream which meets the class later soon
# believes it.
ODDS = 1e-9


def settings_of_present(settings, alpha, is_present):
    """Settings with which the problem of some classes has the penalty, of strength alpha, of that of all.

    Two classes have the penalty of the one row that users see, which for L2 is twice that of the two rows among others.
    """
    if len(is_present) == 2 or is_present.sum() != 2 or settings.l1_ratio == 1:
        return settings
    l1, l2 = settings.l1_ratio, (1 - settings.l1_ratio) / 2
    return settings._replace(alpha=alpha * (l1 + l2), l1_ratio=l1 / (l1 + l2))


def model_of_present(model, is_present):
    """The classes of a model that are present."""
    if model is None or is_present.all():
        return model
    rows, intercept = model.softmax_coef()
    some = Model.zeros(len(model.weights), int(is_present.sum()), model.weights.dtype)
    if some.n_classes > 1:
        some.set_softmax_coef(rows[is_present], intercept[is_present])
    return some


def stream_of_all(stream, is_present):
    """A stream after `fit`, with the classes that are not present."""
    model = stream.predictor()
    for at in np.flatnonzero(~is_present):
        stream, model = stream.with_class(at, True), model.with_class(at, PRIOR / ODDS)
    return stream if is_present.all() else stream.with_model(model)


def cost_of_absent(is_present):
    """How much the objective is above that of the problem without the classes that are not present, at most."""
    return float(np.sum(~is_present) * ODDS)
