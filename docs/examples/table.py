"""
A table with numbers, words and gaps
====================================

How do people travel to work? A table has columns of numbers, columns of words and missing values.
A pipeline makes rows of numbers of it, cross-validation chooses the strength of the penalty, and
the coefficients are drawn with their intervals. The data are made up, so that the truth is known.
"""

# %%
# 3000 people, with gaps in two of the columns. It needs pandas.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sklearn_softmax import (
    CoefficientDisplay,
    SoftmaxSGDClassifierCV,
    inference,
)

rng = np.random.default_rng(0)
n = 3000
table = pd.DataFrame(
    {
        "distance_km": rng.lognormal(1.5, 0.6, n),
        "income": rng.lognormal(0.7, 0.4, n),
        "age": rng.uniform(18, 65, n),
        "region": rng.choice(["city", "village"], n),
        "weather": rng.choice(["dry", "rain"], n, p=[0.7, 0.3]),
    }
)
score = pd.DataFrame(
    {
        "bike": 2 - 0.4 * table["distance_km"] - (table["weather"] == "rain"),
        "bus": 0.8 * (table["region"] == "city") - 0.3 * table["income"],
        "car": 0.3 * table["income"] - 0.8 * (table["region"] == "city"),
    }
)
travel = (score + rng.gumbel(size=score.shape)).idxmax(axis=1)
table.loc[rng.random(n) < 0.1, "income"] = np.nan
table.loc[rng.random(n) < 0.05, "weather"] = np.nan
print(travel.value_counts(normalize=True).round(2).to_string())

# %%
# The pipeline. Columns of numbers need an imputer and no scaler. A missing word is a word of its
# own. The first word of a column, *city* and *dry*, has no column: the others are compared with it.
columns = make_column_transformer(
    (SimpleImputer(strategy="median"), ["distance_km", "income", "age"]),
    (
        OneHotEncoder(drop="first", sparse_output=False),
        ["region", "weather"],
    ),
    verbose_feature_names_out=False,
).set_output(transform="pandas")
model = make_pipeline(
    columns, SoftmaxSGDClassifierCV(alphas=20, random_state=0)
)
X_train, X_test, y_train, y_test = train_test_split(
    table, travel, stratify=travel, random_state=0
)
model.fit(X_train, y_train)
loss = log_loss(y_test, model.predict_proba(X_test))
shares = y_train.value_counts(normalize=True).sort_index()
guess = log_loss(y_test, np.tile(shares, (len(y_test), 1)))
print(f"alpha {model[-1].alpha_:.2g}")
print(f"held-out log loss {loss:.3f} nats, of the shares {guess:.3f} nats")

# %%
# The coefficients of the bike, as differences from the mean over the ways to travel, with
# intervals of 95 %. Each column is divided by its standard deviation first, so that the bars can be
# compared. Distance and rain keep people off the bike, and age does not matter.
Z = columns.transform(X_train)
Z = Z / Z.std()
scaled = SoftmaxSGDClassifierCV(alphas=20, random_state=0).fit(Z, y_train)
result = inference(scaled, Z, y_train)
figure, axis = plt.subplots(figsize=(5.5, 4.2), layout="constrained")
CoefficientDisplay.from_inference(
    result, label="bike", ax=axis, color="#1f4e79", markersize=5
)
axis.set(title="bike", xlabel="nats per standard deviation")
plt.show()
