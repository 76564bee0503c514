"""The map of shapes: one default `fit` next to the fastest solver of LogisticRegression, few rows to many, dense and sparse.

All minimise the same objective. Ours gets the data as they are, LogisticRegression the columns that this objective implies. Each
fit runs in a process of its own, after a fit of tiny data. Linux only.
"""

import argparse
import csv
import os
import sys
import tempfile
import time
import warnings
from dataclasses import astuple, dataclass, field, fields
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import datasets
import numpy as np
import pictures
import rivals
from memory import MB, load, resident, save
from quality import objective, scaled
from scipy.sparse import csr_matrix, issparse
from scipy.special import xlogy
from sklearn.base import clone

# Processes are forked from one that has imported these, and does nothing else. It would look for them in the working folder
# first, and that may be the source tree.
os.environ["PYTHONSAFEPATH"] = "1"
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["sklearn_softmax", "sklearn.datasets", "sklearn.linear_model", "sklearn.neural_network"])
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

OURS = "ours"
SOLVERS = ("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga", "liblinear")
LARGEST_HESSIAN = 10_000  # weights; newton-cholesky stores the square of their number
EXACT = 1e-8  # tol of the fits that only look for the optimum
NEAR = 1e-3  # suboptimality of a solver whose time counts; if ours is farther from the optimum, as far as that
LONGER = 10_000  # max_iter of the solvers that ran out of theirs, if none came near
SHORT = 2.0  # seconds; fits that take longer are not repeated
OVER = "over the time limit"
LEAST_LIMIT = 10.0  # seconds; below, the time limit is not made smaller
LEAST_PASSES = 3  # that a fit needs: one to check X and for its moments, two gradients


@dataclass(frozen=True)
class Shape:
    kind: str
    n_samples: int
    n_features: int
    n_classes: int
    dtype: str = "float64"
    settings: dict = field(default_factory=dict)

    @property
    def name(self):
        return title(self.kind, self.dtype, self.n_samples, self.n_features, self.n_classes)

    def data(self):
        X, y = KINDS[self.kind](self.n_samples, self.n_features, self.n_classes, **self.settings)
        return X.astype(self.dtype, copy=False), y


KINDS = {
    "easy": datasets.easy,
    "correlated": datasets.ill_conditioned,
    "skewed": datasets.skewed,
    "gaussian": datasets.gaussian,
    "probe": datasets.gaussian,
    "images": datasets.images,
    "counts": datasets.counts,
    "one-hot": datasets.one_hot,
    "one-hot dense": partial(datasets.one_hot, dense=True),
    "text": datasets.texts,
}
SHAPES = [
    # tiny: what a fit costs beside its passes
    Shape("easy", 150, 4, 2),
    Shape("easy", 1000, 20, 2),
    Shape("one-hot dense", 300, 24, 3),
    # tall and thin
    Shape("easy", 10_000, 10, 2),
    Shape("easy", 100_000, 20, 2),
    Shape("easy", 1_000_000, 10, 3),
    Shape("easy", 300_000, 30, 2, "float32"),
    Shape("easy", 20_000, 100, 5),
    Shape("skewed", 50_000, 15, 8),
    Shape("correlated", 200_000, 50, 7),
    # tall
    Shape("gaussian", 200_000, 300, 2),
    Shape("gaussian", 60_000, 100, 10),
    # many classes
    Shape("gaussian", 20_000, 50, 500, settings={"distance": 6.0}),
    Shape("gaussian", 5000, 20, 200, settings={"distance": 5.0}),
    # linear probes of embeddings
    Shape("probe", 10_000, 384, 2),
    Shape("probe", 50_000, 512, 100, settings={"distance": 5.0}),
    Shape("probe", 20_000, 768, 1000, "float32", {"distance": 7.0}),
    Shape("probe", 5000, 2000, 10),
    Shape("probe", 2000, 1024, 50, "float32", {"distance": 5.0}),
    Shape("images", 6000, 784, 10),
    Shape("images", 60_000, 784, 10, "float32"),
    Shape("images", 1500, 4096, 5, "float32"),
    # wide
    Shape("counts", 500, 10_000, 3),
    Shape("counts", 100, 20_000, 4),
    Shape("counts", 200, 5000, 2),
    Shape("counts", 5000, 2000, 8, "float32"),
    # sparse
    Shape("one-hot", 100_000, 400, 2),
    Shape("one-hot", 50_000, 4000, 10),
    Shape("one-hot dense", 20_000, 64, 3),
    Shape("text", 2000, 20_000, 4),
    Shape("text", 25_000, 75_000, 2),
    Shape("text", 11_000, 130_000, 20, settings={"words": 150}),
    Shape("text", 8000, 200_000, 53),
    Shape("text", 8000, 65_000, 25),
    Shape("text", 100_000, 30_000, 10, "float32", {"words": 15}),
]
QUICK = [Shape("easy", 200, 5, 2), Shape("gaussian", 200, 10, 4, "float32"), Shape("text", 200, 300, 2)]


def title(name, dtype, *sizes):
    units = {1_000_000: "M", 1000: "k"}
    short = [next((f"{n // unit}{units[unit]}" for unit in units if n % unit == 0 and n >= 10_000), f"{n}") for n in sizes]
    return f"{name} {' x '.join(short)}" + (" float32" if np.dtype(dtype) == np.float32 else "")


def chosen(options):
    """(name, function that returns X and y) of the shapes, and of the sets, whose sizes are not known yet."""
    shapes = [(shape.kind, shape.name, shape.data) for shape in (QUICK if options.quick else SHAPES)]
    sets = [] if options.quick else datasets.set_names(options.data)
    shapes += [(name, name, partial(datasets.own_or_real, options.data, name)) for name in sets]
    return [(name, data) for name, words, data in shapes if not options.only or any(word in words for word in options.only)]


# One fit


@cache
def machine():
    """(bytes a second that this machine reads, additions and multiplications a second), in double; the best of some runs."""

    def best(run):
        seconds = []
        for _ in range(5):
            begin = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begin)
        return min(seconds)

    numbers, square = np.ones(1 << 25), np.ones((1500, 1500))
    return numbers.nbytes / best(numbers.sum), 2 * len(square) ** 3 / best(lambda: square @ square)


def least_seconds(X, n_classes):
    """What LEAST_PASSES readings of X take, and as many gradients of 4 n d K operations (of sparse X, 4 nnz K)."""
    read, arithmetic = machine()
    n_bytes = X.data.nbytes + X.indices.nbytes if issparse(X) else X.nbytes
    return LEAST_PASSES * max(n_bytes / read, 4 * X.size * n_classes / arithmetic)


@dataclass
class Fit:
    """A line of the CSV file. `seconds` are those that count."""

    shape: str
    layout: str  # dense or CSR, and dtype
    threads: int
    solver: str
    max_iter: int
    end: str  # "", or why there is no model
    wall: float
    cpu: float
    n_iter: int = 0
    objective: float = np.nan
    suboptimality: float = np.nan
    peak_mb: float = np.nan  # added to what was there when X was loaded
    warnings: int = 0
    least: float = np.nan  # seconds that this machine takes to do nothing but what any fit has to do

    @property
    def seconds(self):
        return self.cpu if self.threads == 1 else self.wall


@dataclass
class Answer:
    """What came of a fit in a process; no model if `end` says why."""

    end: str = ""
    wall: float = np.nan
    cpu: float = np.nan
    peak_mb: float = np.nan
    n_iter: int = 0
    warnings: int = 0
    coef: np.ndarray | None = None
    intercept: np.ndarray | None = None
    scales: np.ndarray | None = None  # of our penalty


def tiny(X, y):
    """A few rows of the same type and layout; two classes if y has two."""
    rows, labels = np.random.default_rng(0).standard_normal((30, 4)).astype(X.dtype), np.arange(30) % min(y.max() + 1, 3)
    return (csr_matrix(rows) if issparse(X) else rows), labels


def answer(pipe, folder, estimator, start=None, dtype=None):
    """In a process that has done nothing else: when it is ready, it says how much memory it has, and then what the fit took."""
    X, y = load(folder)
    X = X.astype(dtype or X.dtype, copy=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clone(estimator).fit(*tiny(X, y))
    if start is not None:
        estimator.coef_, estimator.intercept_ = start
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    before = resident("VmRSS")
    pipe.send(before)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            estimator.fit(X, y)
        except ValueError as error:
            pipe.send(Answer(str(error).splitlines()[0]))
            return
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    figures = wall, cpu, (resident("VmHWM") - before) / MB, int(np.max(estimator.n_iter_)), len(caught)
    pipe.send(Answer("", *figures, estimator.coef_, estimator.intercept_, getattr(estimator, "scale_", None)))


def in_a_process(limit, *arguments, **how):
    """The Answer; of a fit that is given up, the time and the memory so far."""
    receiver, sender = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=answer, args=(sender, *arguments), kwargs=how)
    process.start()
    sender.close()
    try:
        before = receiver.recv()
        if receiver.poll(limit):
            return receiver.recv()
        return Answer(OVER, limit, limit, (resident("VmHWM", process.pid) - before) / MB)
    except EOFError:
        return Answer("the process died")
    finally:
        process.kill()
        process.join()


# All fits of one shape


class Contest:
    """The fits of one shape. The models of all are measured in the columns that LogisticRegression gets."""

    def __init__(self, name, X, y, folder, options):
        _, self.y = np.unique(y, return_inverse=True)
        self.X, self.raw, self.implied = X, folder / "raw", folder / "implied"
        self.options, self.n_classes = options, self.y.max() + 1
        self.name = title(name, X.dtype, *X.shape, self.n_classes)
        self.layout = f"{'CSR' if issparse(X) else 'dense'} {X.dtype}"
        self.fits, self.lowest, self.best = [], np.inf, None

    def run(self):
        self.store(self.raw, self.X)
        ours, found = self.timed(OURS, self.options.seconds)
        ours.least = least_seconds(self.X, self.n_classes)
        if ours.end:
            return self.record(ours, found)
        self.scales = found.scales
        Z, self.used, self.means = scaled(self.X, self.scales)
        self.Z = Z.astype(self.X.dtype, copy=False)
        self.store(self.implied, self.Z)
        self.record(ours, found)
        limit = min(self.options.seconds, max(LEAST_LIMIT, self.options.patience * ours.wall))
        for solver in filter(self.suits, SOLVERS):
            self.record(*self.timed(solver, limit))
        self.look_for_the_optimum(limit)
        if not any(map(self.is_near, self.of_rivals())):
            for fit in [fit for fit in self.of_rivals() if fit.n_iter >= fit.max_iter]:
                self.record(*self.timed(fit.solver, limit, max_iter=LONGER))
        self.repeat(limit)

    def store(self, folder, X):
        folder.mkdir()
        save(folder, X, self.y)

    def suits(self, solver):
        """Whether the solver has our objective and enough memory.

        liblinear takes two classes. It penalises the intercept as well, which makes no difference if there are many rows.
        """
        if solver == "newton-cholesky":
            return self.Z.shape[1] * self.n_classes <= LARGEST_HESSIAN
        return solver != "liblinear" or self.n_classes == 2

    def timed(self, solver, limit, **settings):
        estimator = rivals.ours() if solver == OURS else rivals.lbfgs(solver=solver, **settings)
        return self.fit(solver, estimator, limit)

    def fit(self, label, estimator, limit, **how):
        ours = label.startswith(OURS)
        found = in_a_process(limit, self.raw if ours else self.implied, estimator, **how)
        known = self.name, self.layout, self.options.threads, label, estimator.max_iter
        figures = {name: getattr(found, name) for name in ("end", "wall", "cpu", "peak_mb", "n_iter", "warnings")}
        return Fit(*known, **figures), found

    def record(self, fit, found):
        self.fits.append(fit)
        if not fit.end:
            coef, intercept = found.coef.astype(np.float64), found.intercept.astype(np.float64)
            if found.scales is not None:
                intercept = intercept + coef[:, self.used] @ self.means
                coef = coef[:, self.used] * self.scales[self.used]
            fit.objective = objective(self.Z, self.y, coef, intercept, np.ones(coef.shape[1]), 1 / len(self.y))
            if fit.objective < self.lowest:
                self.lowest, self.best = fit.objective, (coef, intercept)
            self.compare()
        print(described(fit), file=sys.stderr, flush=True)

    def compare(self):
        """0 at the lowest objective of all fits, 1 at the class prior."""
        shares = np.bincount(self.y) / len(self.y)
        for fit in self.fits:
            fit.suboptimality = (fit.objective - self.lowest) / (-xlogy(shares, shares).sum() - self.lowest)

    def look_for_the_optimum(self, limit):
        """Two fits whose time does not count: ours with a small tol, and newton-cg from the best model so far."""
        self.record(*self.fit("ours, exact", rivals.ours(tol=EXACT, max_iter=LONGER), limit, dtype="float64"))
        newton = rivals.newton_cg(tol=EXACT, warm_start=True)
        self.record(*self.fit("newton-cg, exact", newton, limit, start=self.best, dtype="float64"))

    def of_rivals(self):
        return [fit for fit in self.fits if fit.solver in SOLVERS]

    def is_near(self, fit):
        return is_near(fit, self.fits[0])

    def repeat(self, limit):
        """The short fits that count are repeated, and the least times kept."""
        short = [fit for fit in (self.fits[0], *filter(self.is_near, self.of_rivals())) if fit.wall < SHORT]
        for fit in short * (self.options.repeats - 1):
            again, _ = self.timed(fit.solver, limit, max_iter=fit.max_iter)
            fit.wall, fit.cpu = min(fit.wall, again.wall), min(fit.cpu, again.cpu)


def is_near(fit, ours):
    return fit.suboptimality <= max(NEAR, ours.suboptimality)


def described(fit):
    if fit.end:
        return f"  {fit.solver}: {fit.end}"
    figures = f"{fit.cpu:.3g} s CPU, {fit.wall:.3g} s wall, {fit.n_iter} passes, F = {fit.objective:.8f}"
    return f"  {fit.solver}: {figures}, {fit.peak_mb:.1f} MB, {fit.warnings} warnings"


# What is shown


@dataclass
class Comparison:
    """Ours and the fastest solver that came near, of one shape; `best` is None, and the ratio a lower bound, if none did."""

    ours: Fit
    best: Fit | None
    lbfgs: Fit
    ratio: float

    @property
    def of_memory(self):
        """Ours over lbfgs's; less than a megabyte counts as one."""
        return max(self.ours.peak_mb, 1.0) / max(self.lbfgs.peak_mb, 1.0)

    def text(self):
        return f"{self.ratio:.2f}" if self.best else f">{self.ratio:.1f}"


def comparisons(fits):
    """Of the shapes that ours came to an end with, those first where it is ahead the most."""
    found = []
    for of_shape in by(fits, "shape").values():
        ours = next(fit for fit in of_shape if fit.solver == OURS)
        theirs = [fit for fit in of_shape if fit.solver in SOLVERS]
        if ours.end:
            continue
        near = [fit for fit in theirs if is_near(fit, ours)]
        best = min(near, key=lambda fit: fit.seconds, default=None)
        least = best.seconds if best else min(longest(of_solver) for of_solver in by(theirs, "solver").values())
        found.append(Comparison(ours, best, next(fit for fit in theirs if fit.solver == "lbfgs"), least / ours.seconds))
    return sorted(found, key=lambda comparison: -comparison.ratio)


def longest(fits):
    """Infinite if no fit was possible."""
    return max((fit.seconds for fit in fits if fit.seconds > 0), default=np.inf)


def by(fits, attribute):
    groups = {}
    for fit in fits:
        groups.setdefault(getattr(fit, attribute), []).append(fit)
    return groups


def geometric_mean(compared):
    return np.exp(np.mean([np.log(comparison.ratio) for comparison in compared]))


def print_table(fits):
    layout = "{:<30} {:>6}   {:>8} {:>8} {:>7} {:>6} {:>8} {:>6} {:>8}   {:<15} {:>8} {:>8} {:>8} {:>6}   {:>8}"
    ours = ("CPU s", "wall s", "x least", "passes", "subopt.", "warn.", "MB")
    print(layout.format("shape", "ratio", *ours, "best", "CPU s", "wall s", "subopt.", "warn.", "MB/lbfgs"))
    compared = comparisons(fits)
    for it in compared:
        a, b = it.ours, it.best
        figures = a.n_iter, f"{a.suboptimality:.0e}", a.warnings, f"{a.peak_mb:.1f}"
        of_ours = f"{a.cpu:.3g}", f"{a.wall:.3g}", f"{a.seconds / a.least:.1f}", *figures
        of_best = (b.solver, f"{b.cpu:.3g}", f"{b.wall:.3g}", f"{b.suboptimality:.0e}", b.warnings) if b else ("none", *"----")
        print(layout.format(a.shape, it.text(), *of_ours, *of_best, f"{it.of_memory:.2f}"))
    for fit in fits:
        if fit.solver == OURS and fit.end:
            print(f"{fit.shape}: ours {fit.end}")
    if compared:
        behind = sum(comparison.ratio < 1 for comparison in compared)
        print(f"{len(compared)} shapes, {behind} below 1, geometric mean {geometric_mean(compared):.2f}")


def draw(fits, colours, phone):
    """The ratio of each shape, sorted by that on the fewest threads; on more threads it is a hollow mark."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    measured = {threads: comparisons(of_threads) for threads, of_threads in sorted(by(fits, "threads").items())}
    fewest, *more = measured
    places = {it.ours.shape: -place for place, it in enumerate(measured[fewest])}
    width, height = (3.7, 0.17) if phone else (7.2, 0.2)
    figure, axis = plt.subplots(figsize=(width, 1.3 + height * len(places)), layout="constrained")
    draw_bars(axis, measured[fewest], places, colours, phone)
    for threads, marker in zip(more, "Ds^"):
        points = [(it.ratio, places[it.ours.shape]) for it in measured[threads] if it.ours.shape in places]
        style = {"linestyle": "none", "markersize": 5, "markerfacecolor": "none", "color": colours["text"]}
        axis.plot(*zip(*points), marker=marker, label=described_times(threads), **style)
    figure.legend(loc="outside upper center", ncols=1 if phone else 3)
    axis.axvline(1, color=colours["text"], linewidth=1)
    axis.set_yticks([*places.values()], [*places])
    axis.set(xscale="log", ylim=(0.3 - len(places), 0.7))
    quotient = "fastest LogisticRegression / ours" if phone else "time of the fastest solver of LogisticRegression / ours"
    axis.set_xlabel(f"{quotient}\n(geometric mean {geometric_mean(measured[fewest]):.1f})")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(axis="x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    return figure


def draw_bars(axis, compared, places, colours, phone):
    """From 1 to the ratio; an arrow is a lower bound. The ratio and, on a desk, the fastest solver are at the right."""
    of_side = {True: colours["ours"], False: colours["rival"]}
    for it in compared:
        place, colour = places[it.ours.shape], of_side[it.ratio >= 1]
        axis.plot([1, it.ratio], [place, place], color=colour, linewidth=2.5)
        axis.plot(it.ratio, place, color=colour, marker="o" if it.best else ">", markersize=6)
        label = it.text() if phone else f"{it.text()}  {it.best.solver if it.best else 'none came near'}"
        axis.annotate(label, (1.01, place), xycoords=("axes fraction", "data"), va="center")
    times = described_times(compared[0].ours.threads)
    for side, label in ((True, "ours is faster"), (False, "LogisticRegression is faster")):
        axis.plot([], [], color=of_side[side], linewidth=2.5, marker="o", markersize=6, label=f"{label} ({times})")


def described_times(threads):
    return "CPU time, one thread" if threads == 1 else f"wall time, {threads} threads"


def write(fits, file):
    with open(file, "w", newline="") as stream:
        csv.writer(stream).writerows([[column.name for column in fields(Fit)], *map(astuple, fits)])


def read(file):
    """What `write` has written."""
    with open(file, newline="") as stream:
        return [Fit(**{column.name: column.type(row[column.name]) for column in fields(Fit)}) for row in csv.DictReader(stream)]


def keep_to(threads):
    """This process and all that it starts run on so many cores, the last of those that it may use."""
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    os.sched_setaffinity(0, cores)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(len(cores))))
    return len(cores)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="folder with load.py, which has NAMES and load(name)")
    parser.add_argument("--csv", metavar="FILE", help="write all fits there, after each shape")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratio of each shape, as FILE-light.svg and so on")
    parser.add_argument("--from-csv", nargs="+", metavar="FILE", help="measure nothing: show what --csv has written there")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only shapes whose name has one of these in it")
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="1: CPU times count, else wall times (default: all cores)"
    )
    parser.add_argument("--seconds", type=float, default=120.0, help="a fit that takes longer is given up")
    parser.add_argument("--patience", type=float, default=20.0, help="so is a rival that takes so many times as long as ours")
    parser.add_argument("--repeats", type=int, default=3, help="of the fits that count and take less than two seconds")
    parser.add_argument("--quick", action="store_true", help="three tiny shapes, no repeats: does it run?")
    options = parser.parse_args()
    if options.from_csv:
        fits = [fit for file in options.from_csv for fit in read(file)]
        for threads, of_threads in sorted(by(fits, "threads").items()):
            print(f"\n{described_times(threads)}")
            print_table(of_threads)
    else:
        options.threads = keep_to(options.threads)
        options.repeats = 1 if options.quick else options.repeats
        fits = measure(options)
        print_table(fits)
        if failed := [fit.shape for fit in fits if fit.solver == OURS and fit.end not in ("", OVER)]:
            sys.exit(f"no model of {', '.join(failed)}")
    if options.plot:
        pictures.save(partial(draw, fits), options.plot)


def measure(options):
    fits = []
    for name, data in chosen(options):
        with tempfile.TemporaryDirectory() as folder:
            contest = Contest(name, *data(), Path(folder), options)
            print(contest.name, file=sys.stderr, flush=True)
            contest.run()
        fits += contest.fits
        if options.csv:
            write(fits, options.csv)
    return fits


if __name__ == "__main__":
    main()
