"""Rounds of `merge` on Apache Spark: models go to the rows.

Needs pyspark and Java 17. In a round every partition goes on from the common model with one pass over its rows, and sends its
model back. Spark runs a task again that was lost with its executor.
"""

import os
import pickle
import sys

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
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

os.environ.setdefault(
    "PYSPARK_PYTHON", sys.executable
)  # local workers run what runs this
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", False)
    .getOrCreate()
)
rows = (
    spark.createDataFrame(pd.DataFrame({"x": list(X), "y": y}))
    .repartition(4)
    .cache()
)


def one_pass(model):
    """For `mapInPandas`: pieces of a partition -> one row with their model."""

    def learn(pieces):
        own, n_rows = pickle.loads(model), 0
        for piece in pieces:
            if len(piece):
                own.partial_fit(
                    np.stack(piece["x"]), piece["y"], classes=np.arange(10)
                )
                n_rows += len(piece)
        if n_rows:  # a partition may be empty
            yield pd.DataFrame({"model": [pickle.dumps(own)]})

    return learn


model = None
for number in range(N_ROUNDS):
    start = pickle.dumps(SoftmaxSGDClassifier() if model is None else model)
    results = rows.mapInPandas(
        one_pass(start), schema="model binary"
    ).collect()
    model = merge(
        [pickle.loads(bytes(result.model)) for result in results], base=model
    )
    print(
        f"round {number + 1}: log loss of new rows "
        f"{log_loss(y_new, model.predict_proba(X_new)):.3f}"
    )
spark.stop()

stream = SoftmaxSGDClassifier()
for _ in range(N_ROUNDS):
    stream.partial_fit(X, y, classes=np.arange(10))
print(f"one stream: {log_loss(y_new, stream.predict_proba(X_new)):.3f}")
