"""Rounds of `merge` on Ray: models go to the rows.

Needs ray. In a round every block of rows goes on from the common model with one pass, and sends its model back. Ray runs a task
again that was lost with its worker.
"""

from copy import deepcopy

import numpy as np
import ray
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss

from sklearn_softmax import SoftmaxSGDClassifier, merge

N_ROUNDS = 5

X, y = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(y))
X, y, X_new, y_new = (
    X[order[500:]],
    y[order[500:]],
    X[order[:500]],
    y[order[:500]],
)

ray.init(num_cpus=2, include_dashboard=False, logging_level="error")


@ray.remote(max_retries=3)
def one_pass(model, X, y):
    """A model that goes on with these rows. (What Ray passes is read-only.)"""
    return deepcopy(model).partial_fit(X, y, classes=np.arange(10))


blocks = [
    (ray.put(X[number::4]), ray.put(y[number::4])) for number in range(4)
]
model = None
for number in range(N_ROUNDS):
    start = ray.put(SoftmaxSGDClassifier() if model is None else model)
    model = merge(
        ray.get([one_pass.remote(start, *block) for block in blocks]),
        base=model,
    )
    print(
        f"round {number + 1}: log loss of new rows "
        f"{log_loss(y_new, model.predict_proba(X_new)):.3f}"
    )
ray.shutdown()

stream = SoftmaxSGDClassifier()
for _ in range(N_ROUNDS):
    stream.partial_fit(X, y, classes=np.arange(10))
print(f"one stream: {log_loss(y_new, stream.predict_proba(X_new)):.3f}")
