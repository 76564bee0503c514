"""Classes all of whose rows have the weight 0 in `fit`, as happens in bagging.

With an intercept the objective then has no minimum. As the intercept of such a class
goes to -inf, the objective falls towards the minimum of the problem without the class.
So this smaller problem is solved. The class gets the odds `ODDS` where the other
classes are equally probable, and less elsewhere. Without an intercept the objective has
a minimum, and nothing has to be done. Imports models only.
"""

import numpy as np

from ._model import PRIOR, Model

__all__ = ["cost_of_absent", "model_of_all", "model_of_present", "settings_of_present", "stream_of_all"]

# Small enough not to matter in the certificate, or in the mean of several models. Large
# enough for a stream to learn the class quickly when it meets the class later.
ODDS = 1e-9


def settings_of_present(settings, alpha, is_present):
    """Settings that give the present classes the penalty of all classes.

    They differ if exactly two of at least three classes are present. The penalty of two
    classes is that of their one row w, and for L2 this is twice the penalty of the rows
    -w/2 and w/2.
    """
    if len(is_present) == 2 or is_present.sum() != 2 or settings.l1_ratio == 1:
        return settings
    l1, l2 = settings.l1_ratio, (1 - settings.l1_ratio) / 2
    return settings._replace(alpha=alpha * (l1 + l2), l1_ratio=l1 / (l1 + l2))


def model_of_present(model, is_present):
    """A model (or None) with its present classes only."""
    if model is None or is_present.all():
        return model
    rows, intercept = model.softmax_coef()
    some = Model.zeros(len(model.weights), int(is_present.sum()), model.weights.dtype)
    if some.n_classes > 1:
        some.set_softmax_coef(rows[is_present], intercept[is_present])
    return some


def model_of_all(model, is_present):
    """A model of the present classes, with the absent ones added."""
    for at in np.flatnonzero(~is_present):
        model = model.with_class(at, PRIOR / ODDS)
    return model


def stream_of_all(stream, is_present):
    """A stream after `fit` of the present classes, with the absent ones added."""
    model = stream.predictor()
    for at in np.flatnonzero(~is_present):
        stream, model = stream.with_class(at, True), model.with_class(at, PRIOR / ODDS)
    return stream if is_present.all() else stream.with_model(model)


def cost_of_absent(is_present):
    """A bound of the difference that the absent classes make to the objective."""
    return float(np.sum(~is_present) * ODDS)
