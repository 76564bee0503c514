"""The mean score along a path, its standard error, and both choices."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from sklearn_softmax import PathScoreDisplay, SoftmaxSGDClassifierCV

clf = SoftmaxSGDClassifierCV(alphas=30, random_state=0).fit(*load_digits(return_X_y=True))
figure, axis = plt.subplots(figsize=(5.5, 3.6))
PathScoreDisplay.from_estimator(clf, ax=axis)
axis.xaxis.set_major_formatter("{x:g}")  # powers would be too small on phones
plt.show()
