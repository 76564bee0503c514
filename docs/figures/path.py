"""Coefficients along a path with L1: which columns matter, and when they enter."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine

from sklearn_softmax import RegularizationPathDisplay, SoftmaxSGDClassifierCV

X, y = load_wine(return_X_y=True)
clf = SoftmaxSGDClassifierCV(alphas=60, l1_ratios=(1.0,), max_iter=1000, random_state=0).fit(X, y)
figure, axis = plt.subplots(figsize=(5.5, 3.6))
RegularizationPathDisplay.from_estimator(clf, label=1, ax=axis)
axis.legend(handles=[axis.lines[-1]])
axis.xaxis.set_major_formatter("{x:g}")  # powers would be too small on phones
plt.show()
