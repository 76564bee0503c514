"""CPU seconds of `fit` to come within 1e-1, ..., 1e-4 of the optimum, and to a held-out log loss within 1 % of the optimum's.

Every solver minimises the same objective. Each time is that of one complete fit, validation of the input and all: that with the
smallest `max_iter` of a ladder that gets there.
"""

import argparse
import csv
import sys
import time
import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pictures
import rivals
from datasets import MNIST_LIKE, ill_conditioned, mnist_like, own_or_real, set_names, split, standardised
from quality import column_scales, losses, objective, optimum, scaled, suboptimality
from scipy.sparse import csr_matrix, issparse
from threadpoolctl import threadpool_limits

QUICK = "digits"  # as CSR, so that sparse data are tried as well
REAL = ("letter", "satellite", "shuttle", "wordnet_gloss")
ILL = "ill-conditioned"
SETTINGS = ("standardised", "raw")
MARKS = (1e-1, 1e-2, 1e-3, 1e-4)  # of the suboptimality
HELD_OUT = 1.01  # of the optimum's held-out log loss
ALPHA = {False: 1e-4, True: 1e-5}  # of standardised data: dense, sparse
EXACT = {"tol": 1e-6}  # of the optimum: far below the least mark

DEFAULT = 0  # stands for max_iter of the untouched default
EPOCHS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100)
LADDER = (*range(1, 6), 7, *(int(m * 10**e) for e in range(1, 5) for m in (1, 1.5, 2, 3, 5, 7)))
LONG = 2.0  # seconds; a fit that takes longer is not repeated
PATIENCE, PROGRESS = 4, 0.9  # so many rungs have to make the best so far this much better


@dataclass(frozen=True)
class Solver:
    """How to fit with a given max_iter, and where not to.

    `scores_objective` is whether it minimises the objective of the others; if not, only its held-out log loss counts.
    """

    adapter: object
    settings: dict = field(default_factory=dict)
    ladder: tuple = LADDER
    most_weights: float = np.inf
    takes_sparse: bool = True
    scores_objective: bool = True

    def model(self, view, max_iter):
        steps = {"max_iter": max_iter, **self.settings} if max_iter != DEFAULT else {}
        return self.adapter(view.alpha, len(view.y), **steps, **view.settings)

    def suits(self, view, n_classes):
        return view.X.shape[1] * n_classes <= self.most_weights and (self.takes_sparse or not issparse(view.X))


ENDLESS = {"tol": 1e-12}  # until max_iter, or to rounding error
SOLVERS = {
    "ours": Solver(rivals.ours, {"tol": None}, EPOCHS),
    "ours, default": Solver(rivals.ours, ladder=(DEFAULT,)),
    "lbfgs": Solver(rivals.lbfgs, ENDLESS),
    "saga": Solver(rivals.saga, ENDLESS),
    "newton-cholesky": Solver(rivals.newton_cholesky, ENDLESS, most_weights=2000),
    "mlp": Solver(rivals.mlp, {"tol": 0.0, "n_iter_no_change": 10**6}, most_weights=1_000_000),
    "sgd": Solver(rivals.sgd, {"tol": None}, scores_objective=False),
    "torch": Solver(rivals.TorchSoftmax, takes_sparse=False),
}
LOGISTIC_REGRESSION = ("lbfgs", "saga", "newton-cholesky")


@dataclass(frozen=True)
class View:
    """A set as a solver gets it, and the objective in its units. `settings` are those that its adapter does not translate."""

    X: object
    X_test: object
    y: np.ndarray
    y_test: np.ndarray
    scales: np.ndarray
    alpha: float
    settings: dict
    minimum: float = np.nan
    held_out_loss: float = np.nan  # of the optimum


@dataclass
class Fit:
    max_iter: int
    seconds: float
    suboptimality: float
    held_out: float  # log loss, as a multiple of the optimum's

    def marks(self):
        return [*(self.suboptimality <= mark for mark in MARKS), self.held_out <= HELD_OUT]


# The sets


def rows_of(name, folder, quick):
    """X_train, X_test, y_train, y_test."""
    if name == MNIST_LIKE:
        return mnist_like(folder, 300 if quick else 60_000)
    X, y = ill_conditioned(2000 if quick else 200_000) if name == ILL else own_or_real(folder, name)
    X = csr_matrix(X) if quick and name == QUICK else X
    return split(X, y, 500 if quick else len(y))


def views(X, X_test, y, y_test, setting):
    """Ours, and the rivals'."""
    if setting == "standardised":
        X, X_test = standardised(X, X_test)
        plain = View(X, X_test, y, y_test, np.ones(X.shape[1]), ALPHA[issparse(X)], {})
        ours = replace(plain, settings={"standardize": False})
    else:
        # our own default alpha is this one
        ours = View(X, X_test, y, y_test, column_scales(X), 1 / len(y), {})
        Z, used, means = scaled(X, ours.scales)
        Z_test, *_ = scaled(X_test, ours.scales) if issparse(X) else ((X_test[:, used] - means) / ours.scales[used],)
        plain = replace(ours, X=Z, X_test=Z_test, scales=np.ones(len(used)))
    start = rivals.ours(plain.alpha, standardize=False).fit(plain.X, y)
    coef, intercept, minimum = optimum(plain.X, y, plain.scales, plain.alpha, start, **EXACT)
    found = {"minimum": minimum, "held_out_loss": objective(plain.X_test, y_test, coef, intercept, plain.scales, alpha=0)}
    return replace(ours, **found), replace(plain, **found)


# The fits


def linear(model):
    """With coef_ and intercept_, which MLPClassifier calls otherwise."""
    if hasattr(model, "coefs_"):
        return SimpleNamespace(coef_=model.coefs_[0].T, intercept_=model.intercepts_[0])
    return model


def timed_fit(solver, view, max_iter):
    model = solver.model(view, max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of max_iter
        started = time.process_time()
        model.fit(view.X, view.y)
        seconds = time.process_time() - started
    reference = view.scales, view.alpha, view.minimum
    distance = suboptimality(linear(model), view.X, view.y, *reference) if solver.scores_objective else np.nan
    return Fit(max_iter, seconds, distance, losses(model.predict_proba(view.X_test), view.y_test).mean() / view.held_out_loss)


def goes_on(solver, fits, seconds):
    """Whether the next rung of the ladder is worth while: marks are left, the last ones brought something, and time suffices."""
    if not fits:
        return True
    if len(fits) == len(solver.ladder) or all(times(fits)[len(MARKS) * (not solver.scores_objective) :]):
        return False
    best = [fit.suboptimality if solver.scores_objective else fit.held_out for fit in fits]
    if len(fits) > 2 * PATIENCE and min(best[-PATIENCE:]) > PROGRESS * min(best[:-PATIENCE]):
        return False
    return fits[-1].seconds * solver.ladder[len(fits)] / max(fits[-1].max_iter, 1) <= seconds


def times(fits):
    """CPU seconds of the first fit below each mark, or None."""
    return [next((fit.seconds for fit in fits if fit.marks()[mark]), None) for mark in range(len(MARKS) + 1)]


def deciding(fits):
    """The first fit below each mark."""
    return [
        fit for i, fit in enumerate(fits) if any(fit.marks()[m] and not any(f.marks()[m] for f in fits[:i]) for m in range(5))
    ]


def measure(of_ours, of_rivals, names, seconds, repeats):
    """{solver: its fits}. Solvers take turns, rung by rung; fits that decide a time are repeated, and the least time counts."""
    view_of = {name: of_ours if name.startswith("ours") else of_rivals for name in SOLVERS}
    n_classes = of_ours.y.max() + 1
    solvers = {name: SOLVERS[name] for name in names if SOLVERS[name].suits(view_of[name], n_classes)}
    fits = {name: [] for name in solvers}
    while waiting := [name for name, solver in solvers.items() if goes_on(solver, fits[name], seconds)]:
        for name in waiting:
            fits[name].append(timed_fit(solvers[name], view_of[name], solvers[name].ladder[len(fits[name])]))
    for _ in range(repeats - 1):
        for name, solver in solvers.items():
            for fit in (fit for fit in deciding(fits[name]) if fit.seconds < LONG):
                fit.seconds = min(fit.seconds, timed_fit(solver, view_of[name], fit.max_iter).seconds)
    return fits


# What is shown


def logistic_regression_ratio(fits, mark):
    """The least time of LogisticRegression over ours, as text; a bound if none of its solvers got there."""
    at = MARKS.index(mark)
    ours, theirs = times(fits.get("ours", []))[at], [fits[name] for name in LOGISTIC_REGRESSION if name in fits]
    if not ours or not theirs:
        return "-"
    reached = [of_solver for of_solver in theirs if times(of_solver)[at]]
    if reached:
        return f"{min(times(of_solver)[at] for of_solver in reached) / ours:.2f}"
    return f">{min(of_solver[-1].seconds for of_solver in theirs) / ours:.1f}"


def number(value):
    return "-" if value is None else f"{value:.3g}"


def print_table(title, fits):
    layout = "{:<16}" + " {:>9}" * (len(MARKS) + 1)
    print(f"\n{title}\n" + layout.format("", *(f"{mark:.0e}" for mark in MARKS), "held-out"))
    for name, of_solver in fits.items():
        print(layout.format(name, *(number(t) for t in times(of_solver))))
    ratios = {mark: logistic_regression_ratio(fits, mark) for mark in (1e-2, 1e-3)}
    print("best LogisticRegression / ours: " + ", ".join(f"{ratio} at {mark:.0e}" for mark, ratio in ratios.items()))
    lowest = min((fit.suboptimality for name in fits for fit in fits[name] if SOLVERS[name].scores_objective), default=0)
    if lowest < -MARKS[-1] / 10:
        print(f"the optimum is not exact: a fit is {-lowest:.1e} below it")


# The picture

LOWEST = 1e-6  # smaller than anything that counts
STYLES = {  # in the order of the legend; colours are those of pictures.py
    "ours": dict(label="ours, epoch by epoch", color="ours", linewidth=3.2, zorder=4),
    "ours, default": dict(label="ours, stopped by itself", color="ours", linestyle="none", marker="*", markersize=14, zorder=5),
    "lbfgs": dict(label="lbfgs", color="rival", linewidth=1.8),
    "saga": dict(label="saga", color="second", linewidth=1.8),
    "newton-cholesky": dict(label="newton-cholesky", color="third", linewidth=1.8),
    "mlp": dict(label="MLPClassifier", color="others", linewidth=1.4, linestyle="--"),
    "torch": dict(label="PyTorch", color="others", linewidth=1.4, linestyle=":"),
}


def draw(curves, colours, phone):
    """Suboptimality against CPU seconds, a panel for each set, standardised: there all solvers get the same data.

    On a phone there is place for the first set only.
    """
    import matplotlib.pyplot as plt

    panels = {name: fits for (name, setting), fits in curves.items() if setting == "standardised"}
    panels = dict([*panels.items()][: 1 if phone else None])
    n_columns = min(len(panels), 3)
    n_rows = -(-len(panels) // n_columns)
    size = (3.7, 3.9) if phone else (7.2, 0.7 + 2.4 * n_rows)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, (name, fits) in zip(axes.flat, panels.items()):
        draw_panel(axis, fits, colours)
        axis.set_title(name)
    for axis in axes[:, 0]:
        axis.set_ylabel("distance from the optimum")
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    handles = {label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels())}
    labels = [style["label"] for style in STYLES.values() if style["label"] in handles]
    figure.legend([*map(handles.get, labels)], labels, loc="outside upper center", ncols=2 if phone else 4)
    return figure


def draw_panel(axis, fits, colours):
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    for name in (name for name in STYLES if name in fits):
        points = [(fit.seconds, max(fit.suboptimality, LOWEST)) for fit in fits[name]]
        style = STYLES[name] | {"color": colours[STYLES[name]["color"]]}
        axis.plot(*zip(*points), clip_on=len(points) > 1, **style)
    axis.set(xscale="log", yscale="log", ylim=(LOWEST, 2), xlabel="CPU seconds of fit")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    for one in (axis.xaxis, axis.yaxis):
        one.set_minor_locator(NullLocator())
        one.set_major_formatter(FormatStrFormatter("%g"))
    axis.grid()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="folder with load.py, which has NAMES and load(name)")
    parser.add_argument("--csv", metavar="FILE", help="write all fits there")
    parser.add_argument("--plot", metavar="FILE", help="draw suboptimality against seconds, as FILE-light.svg and so on")
    parser.add_argument("--from-csv", metavar="FILE", help="measure nothing: draw what --csv has written there")
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--solvers", nargs="+", metavar="NAME", choices=[*SOLVERS], help="only these")
    parser.add_argument("--seconds", type=float, default=40.0, help="CPU time that a fit may take, about")
    parser.add_argument("--repeats", type=int, default=3, help="of the fits that decide a time")
    parser.add_argument("--quick", action="store_true", help="few rows, fits of a tenth of a second: does it run?")
    options = parser.parse_args()
    if options.from_csv:
        if not options.plot:
            parser.error("--from-csv is for --plot")
        pictures.save(partial(draw, read(options.from_csv)), options.plot)
        return
    seconds, repeats = (0.1, 1) if options.quick else (options.seconds, options.repeats)
    known, solvers = set_names(options.data), options.solvers or [*rivals.available(SOLVERS)]
    sets = options.sets or [*([QUICK] if options.quick else [name for name in REAL if name in known]), MNIST_LIKE, ILL]

    curves = {}
    with threadpool_limits(1):
        for name in sets:
            data = rows_of(name, options.data, options.quick)
            for setting in SETTINGS:
                started = time.perf_counter()
                of_ours, of_rivals = views(*data, setting)
                fits = curves[name, setting] = measure(of_ours, of_rivals, solvers, seconds, repeats)
                shape = f"{len(data[2])} + {len(data[3])} rows, {data[0].shape[1]} features, {data[2].max() + 1} classes"
                print_table(f"{name}, {setting}: {shape}, alpha={of_ours.alpha:.2g}", fits)
                print(f"{name}, {setting}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
                sys.stdout.flush()
                if options.csv:
                    write(curves, options.csv)
    if options.plot:
        pictures.save(partial(draw, curves), options.plot)


def write(curves, file):
    header = ["set", "setting", "solver", "max_iter", "seconds", "suboptimality", "held_out"]
    table = [
        [*key, name, fit.max_iter or "default", f"{fit.seconds:.6g}", f"{fit.suboptimality:.6g}", f"{fit.held_out:.6g}"]
        for key, fits in curves.items()
        for name, of_solver in fits.items()
        for fit in of_solver
    ]
    with open(file, "w", newline="") as stream:
        csv.writer(stream).writerows([header, *table])


def read(file):
    """What `write` has written."""
    curves = {}
    with open(file, newline="") as stream:
        for row in csv.DictReader(stream):
            max_iter = DEFAULT if row["max_iter"] == "default" else int(row["max_iter"])
            fit = Fit(max_iter, *(float(row[column]) for column in ("seconds", "suboptimality", "held_out")))
            curves.setdefault((row["set"], row["setting"]), {}).setdefault(row["solver"], []).append(fit)
    return curves


if __name__ == "__main__":
    main()
