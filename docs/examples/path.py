"""
The penalty by cross-validation
===============================

``SoftmaxSGDClassifierCV`` fits a whole path of penalties for each fold, each model from its
neighbours, and keeps the best. Here it chooses the strength of the penalty and the share of L1.
"""

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine

from sklearn_softmax import (
    PathScoreDisplay,
    RegularizationPathDisplay,
    SoftmaxSGDClassifierCV,
)

X, y = load_wine(return_X_y=True)
clf = SoftmaxSGDClassifierCV(
    alphas=40, l1_ratios=(0.0, 0.5, 1.0), max_iter=1000, random_state=0
)
started = time.perf_counter()
clf.fit(X, y)
seconds = time.perf_counter() - started
n_models, loss = clf.scores_.size, -clf.scores_.mean(axis=0).max()
print(f"{n_models} models in {seconds:.1f} s")
print(
    f"alpha {clf.alpha_:.2g}, l1_ratio {clf.l1_ratio_},",
    f"held-out log loss {loss:.3f}",
)

# %%
# The simplest model that is not worse than the best one by more than a standard error. The lasso
# says which columns matter.
lasso = SoftmaxSGDClassifierCV(
    alphas=40,
    l1_ratios=(1.0,),
    selection="1se",
    max_iter=1000,
    random_state=0,
).fit(X, y)
n_used = np.any(lasso.coef_ != 0, axis=0).sum()
print(f"{n_used} of {X.shape[1]} columns are used")
figure, axes = plt.subplots(
    2, 1, figsize=(5.5, 7), sharex=True, layout="constrained"
)
PathScoreDisplay.from_estimator(lasso, ax=axes[0])
RegularizationPathDisplay.from_estimator(lasso, ax=axes[1])
axes[1].xaxis.set_major_formatter("{x:g}")  # instead of powers of 10
plt.show()
