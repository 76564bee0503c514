"""Log loss of held-out rows after each round of a cluster: the table of distributed.md, drawn."""

from pathlib import Path

import matplotlib.pyplot as plt

page = Path("../guide/distributed.md").read_text(encoding="utf-8")
lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ") and line.count("|") > 8]
rounds = [int(number) for number in lines[0][2:]]
names = ("digits", "satellite", "letter", "shuttle")
figure, axes = plt.subplots(2, 2, figsize=(5.5, 4.6), sharex=True, sharey=True)
for axis, name in zip(axes.flat, names):
    for data, partitions, *ratios in lines[1:]:
        if data == name and partitions.startswith("4"):
            style = {"color": "#1f4e79", "linestyle": "--"} if "sorted" in partitions else {"color": "#d62728"}
            label = "sorted by class" if "sorted" in partitions else "at random"
            axis.plot(rounds, [float(ratio) for ratio in ratios], linewidth=2.2, marker="o", label=label, **style)
    axis.set_title(name, fontsize=10)
axes[0, 0].set_yscale("log")
axes[0, 0].yaxis.set_major_formatter("{x:g}")
axes[0, 0].legend()
for axis in axes[1]:
    axis.set_xlabel("rounds")
plt.show()
