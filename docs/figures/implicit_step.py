"""The score of a row after a step of size eta along it, and what the step costs the next row, explicit and implicit."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_expit

# two classes: one score z, whose residual is expit(z) - 1 for a row of the positive class, and one of the negative class before
START, SQUARED_NORM = -2.0, 25.0
eta = np.geomspace(1e-3, 10, 300)
q = eta * SQUARED_NORM


def loss(z):
    return -log_expit(z)


explicit = START - q * (expit(START) - 1)
implicit = np.array([brentq(lambda u, q=q_here: u - START + q * (expit(u) - 1), START, START + q_here) for q_here in q])

# what the step along this row does to the next one, the same features with the other label
figure, (own, other) = plt.subplots(2, 1, figsize=(5.5, 5.4), sharex=True)
for z, name, colour in ((explicit, "explicit", "#1f4e79"), (implicit, "implicit", "#d62728")):
    own.plot(eta, z, color=colour, linewidth=2.2, label=name)
    other.plot(eta, loss(-z), color=colour, linewidth=2.2, label=name)
own.axhline(START, color="grey", linewidth=1, linestyle=":")
own.set(xscale="log", ylim=(-3, 14), ylabel="score after the step", title="The row itself")
other.set(xscale="log", yscale="log", xlabel="step eta", ylabel="log loss (nats)", title="Then the same row, the other label")
other.xaxis.set_major_formatter("{x:g}")
other.yaxis.set_major_formatter("{x:g}")
own.legend(loc="upper left")
plt.show()
