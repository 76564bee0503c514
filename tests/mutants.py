"""Does a test fail for each of these mistakes? Each is a change of one line; those that no test sees are listed at the end.

    python tests/mutants.py [--kernels] [--only WORD]

needs what compiles the package (meson, ninja, Cython), and works in a folder of its own. Kernels are compiled without
optimisation to speak of and for the baseline only, which takes some seconds for each of their mutants.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sklearn_softmax"


class Mutant(NamedTuple):
    """`before` stands once in `file`; the `tests` (arguments of pytest) shall not pass with `after` in its place."""

    file: str
    before: str
    after: str
    tests: str

    def path(self, package):
        """The file, in the folder of a package."""
        return package / ("kernels" if self.file.endswith(".h") else "") / self.file


def poisoned(file, head, value, tail, tests, nan="np.nan"):
    """`head`, `value` and `tail` stand together in a line: with NaN, zeros and a constant in place of the value."""
    return [
        Mutant(file, head + value + tail, f"{head}({value} * {factor} + {term}){tail}", tests)
        for factor, term in ((nan, 0), (0, 0), (0, 1))
    ]


EXPLICIT_TESTS = "tests/test_kernels.py"
AUTOMATIC_TESTS = "tests/test_automatic.py"
OBJECTIVE_TESTS = "tests/test_objective.py -k definition"
INFERENCE_TESTS = "tests/test_inference.py"
SMALL_WEIGHTS = "tests/test_torture.py -k next_to_zero"
KERNELS = [
    # softmax.h
    Mutant("softmax.h", "log_of_one_and(sum_of_others + (own - 1))", "log_of_one_and(sum_of_others)", AUTOMATIC_TESTS),
    Mutant("softmax.h", "rounding = x - (u - 1);", "rounding = 0;", "tests/test_objective.py tests/test_kernels.py"),
    Mutant("softmax.h", "last_scores = rest;", "last_scores = rest + 1;", "tests/test_objective.py -k log_softmax"),
    # implicit.h
    Mutant("implicit.h", "const V common = V::broadcast(T(q * total", "const V common = V::broadcast(T(total", AUTOMATIC_TESTS),
    Mutant("implicit.h", "sums.others * (2 * sums.sum - sums.others)", "sums.others * sums.sum", AUTOMATIC_TESTS),
    Mutant("implicit.h", "small_move = 0.3;", "small_move = 0.6;", AUTOMATIC_TESTS),
    Mutant("implicit.h", "most_newton_steps = 5;", "most_newton_steps = 4;", AUTOMATIC_TESTS),
    Mutant("implicit.h", "most_halvings = 10;", "most_halvings = 3;", AUTOMATIC_TESTS),
    # margin.h
    Mutant("margin.h", "margin > 0 ? less : 1", "less", AUTOMATIC_TESTS),
    Mutant("margin.h", "(margin > 0 ? 0 : margin)", "margin", AUTOMATIC_TESTS),
    Mutant("margin.h", "2 * double(q) * e->v", "double(q) * e->v", AUTOMATIC_TESTS),
    Mutant("margin.h", "return 2 * double(a->v) * b->v;", "return double(a->v) * b->v;", AUTOMATIC_TESTS),
    Mutant("margin.h", "return 2 * e->v /", "return e->v /", AUTOMATIC_TESTS),
    # stream.h
    Mutant("stream.h", "share_of_norm = 0.1;", "share_of_norm = 0.11;", AUTOMATIC_TESTS),
    Mutant("stream.h", "most_norms = 4;", "most_norms = 8;", AUTOMATIC_TESTS),
    Mutant("stream.h", "ptrdiff_t(n_rows_before) / 16;", "ptrdiff_t(n_rows_before) / 8;", AUTOMATIC_TESTS),
    Mutant("stream.h", "averaged * averaged * averaged;", "averaged * averaged;", AUTOMATIC_TESTS),
    Mutant("stream.h", "sqrt(remembered));", "remembered);", AUTOMATIC_TESTS),
    Mutant("stream.h", "most_nats = 2;", "most_nats = 3;", AUTOMATIC_TESTS),
    Mutant("stream.h", "least_memory = 64;", "least_memory = 32;", AUTOMATIC_TESTS),
    Mutant("stream.h", "exp2(2 * excess_of_steps)", "exp2(excess_of_steps)", AUTOMATIC_TESTS),
    Mutant("stream.h", "weight * clipped(-slope)", "weight * clipped(slope)", AUTOMATIC_TESTS),
    Mutant("stream.h", "logistic(T(odds_before))", "logistic(T(scalars.drift_log_odds))", "tests/test_progressive.py"),
    Mutant("stream.h", "scalars.average_weight *= down_4;", "", "tests/test_forgetting.py"),
    Mutant("stream.h", "s.features[j].average_updated_at *= down_4;", ";", "tests/test_forgetting.py"),
    Mutant("stream.h", "scalars.average_total += scalars.growth * weight;", "scalars.average_total += weight;", AUTOMATIC_TESTS),
    Mutant("margin.h", "return -2 * (sums.others", "return -(sums.others", AUTOMATIC_TESTS),
    Mutant(
        "stream.h", "scalars.penalty_step += times_alpha(length);", "scalars.penalty_step += times_alpha(step);", AUTOMATIC_TESTS
    ),
    Mutant("stream.h", "s.alpha * length : ratio_or_zero(length, scalars.weight)", "s.alpha * length : length", AUTOMATIC_TESTS),
    Mutant("stream.h", "times_alpha(scalars.average_length)", "times_alpha(scalars.length)", "tests/test_progressive.py"),
    Mutant(
        "stream.h",
        "catch_up(j, step_scale, penalty_scale);\n            if",
        "catch_up(j, step_scales()[n], penalty_scale);\n            if",
        "tests/test_zeros.py",
    ),
    Mutant(
        "stream.h",
        "share_of_norm * mean_norm",
        "share_of_norm * scalars.norm / scalars.weight",
        SMALL_WEIGHTS,
    ),
    Mutant("stream.h", "scalars.norm += weight * (1 + norm);", "scalars.norm += weight * norm;", AUTOMATIC_TESTS),
    Mutant("stream.h", "stepped[n] = seen[n] * T(c.step_scale);", "stepped[n] = seen[n];", AUTOMATIC_TESTS),
    # point_saga.h
    Mutant("point_saga.h", "(before + V::broadcast(part) * difference)", "(before + difference)", AUTOMATIC_TESTS),
    Mutant("point_saga.h", "s.curvature += weight *", "s.curvature +=", AUTOMATIC_TESTS),
    Mutant("point_saga.h", "return 1 - before * before;", "return 1 - before;", AUTOMATIC_TESTS),
    Mutant("point_saga.h", "catch_up<true>(j);", "continue;", AUTOMATIC_TESTS),
    Mutant("point_saga.h", "0.5 * penalty.l2 * square", "penalty.l2 * square", AUTOMATIC_TESTS),
    Mutant("point_saga.h", "f.updated_at = n_begun;", "f.updated_at = n_begun - 1;", AUTOMATIC_TESTS),
    Mutant("point_saga.h", "% visits_between_drifts == 0", "% visits_between_drifts == 1", AUTOMATIC_TESTS),
    Mutant("point_saga.h", "(is_last ? gradient : unchanged_sum(gradient, after))", "gradient", AUTOMATIC_TESTS),
    # newton.h and small.h
    Mutant("newton.h", "where_less(t, zero, e * p, p)", "p", "tests/test_starts.py tests/test_newton.py"),
    Mutant("newton.h", "(change[k * stride] - mean_change)", "change[k * stride]", "tests/test_newton.py"),
    Mutant("wide.h", "for (; j < n_features; ++j) to[j]", "for (; j + 1 < n_features; ++j) to[j]", OBJECTIVE_TESTS),
    Mutant("wide.h", "for (; j < width; ++j) add_columns", "for (; j + 1 < width; ++j) add_columns", OBJECTIVE_TESTS),
    Mutant("wide.h", "total(sum[m][c]) + intercept", "total(sum[m][c])", OBJECTIVE_TESTS),
    Mutant("wide.h", "residuals[c * n_rows + r]", "residuals[r]", OBJECTIVE_TESTS),
    Mutant("newton.h", "label, zero - others, scores[k * stride]", "label, zero, scores[k * stride]", "tests/test_newton.py"),
    Mutant("small.h", "of_both * (V::broadcast(k == l) - proba[l])", "of_both * V::broadcast(k == l)", "tests/test_starts.py"),
    Mutant("small.h", "if (!is_free(j)) g = 0;", "", "tests/test_starts.py"),
    # explicit.h
    Mutant("explicit.h", "+= penalty_step * visits.l1_ratio / scale;", "+= penalty_step * visits.l1_ratio;", EXPLICIT_TESTS),
    Mutant("explicit.h", "threshold_in_u *= s.threshold_factor", "s.threshold_factor", "tests/test_zeros.py"),
    Mutant("explicit.h", "weight * inverse_weight * (threshold_in_u * scale -", "weight * inverse_weight * (0 -", EXPLICIT_TESTS),
    Mutant("explicit.h", "f.coverage = coverage;", "", EXPLICIT_TESTS),
    Mutant("explicit.h", "coverage += weight * scale;", "coverage += weight;", EXPLICIT_TESTS),
    Mutant("explicit.h", "return averages ? 1e-3 :", "return", EXPLICIT_TESTS),
    Mutant("explicit.h", "block.scale_changes(coverage_before);", "", EXPLICIT_TESTS),
    Mutant("rows.h", "size += all[j] != 0;", "size += 1;", EXPLICIT_TESTS),
    # moments.h
    Mutant("moments.h", "f.square += weight * change * change;", "f.square += change * change;", AUTOMATIC_TESTS),
    Mutant("moments.h", "limit * limit * mean_square ? sqrt(active) : 0", "0 ? sqrt(active) : 0", AUTOMATIC_TESTS),
    Mutant("moments.h", "most_roundings * rounding;", "most_roundings * 2.2e-16;", AUTOMATIC_TESTS),
    Mutant("moments.h", "return sum > 0 ? x / sum : 0;", "return sum > 0 ? x * (1 / sum) : 0;", SMALL_WEIGHTS),
    Mutant("moments.h", "inverse < largest ? inverse : largest", "inverse", "tests/test_torture.py -k next_to_zero"),
    Mutant("moments.h", "x > 2.3e-308", "x > 1e-300", "tests/test_torture.py -k any_scale"),
    # coefficients
    *poisoned(
        "stream.h", "change[k] = V::broadcast(", "T(step)", ") * g[k];", "tests/test_streaming.py -k container_may", nan="T(NAN)"
    ),
    *poisoned("point_saga.h", "v.change()[k] = V::broadcast(", "T(step)", ") * difference;", AUTOMATIC_TESTS, nan="T(NAN)"),
    *poisoned("explicit.h", "(W::broadcast(T(", "block_scale", ")) * (W::load(w)", "tests/test_solver.py", nan="T(NAN)"),
]
PYTHON = [
    Mutant("_explicit.py", "settings.alpha_at(t - 1) if", "alpha if", "tests/test_zeros.py"),
    Mutant("_explicit.py", "model.enter(penalty", "model.enter(0 * penalty", "tests/test_zeros.py"),
    Mutant("_explicit.py", "        model.settle()", "        pass", "tests/test_zeros.py"),
    Mutant("_model.py", "weights + np.sign(weights) *", "weights + 0 *", "tests/test_model.py"),
    Mutant("_model.py", "PRIOR = 10.0", "PRIOR = 100.0", "tests/test_new_classes.py"),
    Mutant(
        "_model.py",
        "np.concatenate([-columns, columns], axis=-1)",
        "np.concatenate([columns, columns], axis=-1)",
        "tests/test_classifier.py",
    ),
    Mutant("_model.py", "self.average[:] = other.average", "self.average = other.average.copy()", "tests/test_faults.py"),
    Mutant("_objective.py", "(2 if self.n_classes == 2 else 1)", "1", "tests/test_objective.py"),
    Mutant("_objective.py", "value += 0.5 * l2", "value += l2", "tests/test_objective.py"),
    Mutant("_objective.py", "self.scale, dtype=np.float64))  # whose", "self.scale))  # whose", "tests/test_torture.py"),
    Mutant("_certificate.py", "SHARE_OF_STEP = 1e-3", "SHARE_OF_STEP = 1.0", "tests/test_objective.py -k inexact"),
    Mutant("_certificate.py", "LARGEST_LOSS, SMALL_LOSS = 0.9", "LARGEST_LOSS, SMALL_LOSS = 1e9", "tests/test_objective.py"),
    Mutant("_certificate.py", "* min(1.0, 0.5 / (1 - largest_loss))", "", "tests/test_objective.py"),
    Mutant("_certificate.py", "gradient = gradient + product", "", "tests/test_objective.py"),
    Mutant(
        "_certificate.py",
        "divergence = max(0.0, step @ missing)",
        "divergence = 0 * max(0.0, step @ missing)",
        "tests/test_objective.py",
    ),
    # _inference.py
    Mutant("_inference.py", "- parameters.can_shift[:-1] / proba.shape[1])", ")", INFERENCE_TESTS),
    Mutant("_inference.py", "can_shift[:-1] = is_active[:, :-1].all(axis=0)", "", INFERENCE_TESTS),
    Mutant("_inference.py", "objective.shares / np.sqrt(problem.base_weight)", "objective.shares", INFERENCE_TESTS),
    Mutant("_validation.py", "rounding, offset=offset).take_positive(), is", "rounding).take_positive(), is", INFERENCE_TESTS),
    Mutant("_inference.py", "if not distance <= LARGEST_DISTANCE:", "if False:", INFERENCE_TESTS),
    Mutant("_inference.py", "gradient.mean(axis=1, keepdims=True), 0)", "0, 0)", INFERENCE_TESTS),
    Mutant("_inference.py", "of_columns[:-1] = -self", "of_columns[:-1] = self", INFERENCE_TESTS),
    Mutant("_inference.py", "estimator.alpha_) / (total_weight if is_lr else 1.0)", "estimator.alpha_)", INFERENCE_TESTS),
    Mutant("_matrix.py", "vectors[0] += unfinished[0]", "pass", INFERENCE_TESTS),
    Mutant("_solver.py", "with held_interrupt():  # an", "if True:  # an", "tests/test_faults.py"),
    Mutant("_explicit.py", "progressive_loss[:] = progressive_loss_before", "pass", "tests/test_progressive.py"),
    Mutant("_explicit.py", "self.eta0 /= ADAPTIVE_FACTOR", "self.eta0 *= ADAPTIVE_FACTOR", "tests/test_solver.py"),
    Mutant("_explicit.py", "t = 1 + np.append(scalars.weight, seen[:-1])", "t = seen", "tests/test_schedule.py"),
    Mutant("_solver.py", "        undo()\n", "", "tests/test_faults.py -k room"),
    Mutant("_stream.py", "ROUNDINGS = 100", "ROUNDINGS = 1e30", "tests/test_new_classes.py -k mean"),
    Mutant("_solver.py", "method.restore(best_model)", "pass", "tests/test_solver.py"),
    Mutant(
        "_solver.py",
        "if value > self.best - self.tol else 0",
        "if value > self.best else 0",
        "tests/test_solver.py tests/test_classifier.py",
    ),
    Mutant(
        "_solver.py",
        "solution.loss_curve += [objective] * n_passes",
        "solution.loss_curve += [objective]",
        "tests/test_callbacks.py",
    ),
    Mutant("_point_saga.py", "self.curvature = self._largest_curvature()", "self.curvature = None", "tests/test_faults.py"),
    Mutant(
        "_stream.py",
        "moments, scalars = self.moments.copy(), self.scalars.copy()",
        "moments, scalars = self.moments, self.scalars",
        "tests/test_faults.py",
    ),
    Mutant("_stream.py", "self.scalars.n_rows == 0 and not", "not", "tests/test_torture.py -k stream_of_zeros"),
    Mutant(
        "_point_saga.py",
        "average_weight=weight**4 / 4,",
        "average_weight=weight**3 / 3,",
        "tests/test_streaming.py -k clock",
    ),
    Mutant("_point_saga.py", "averaged = self.table is not None or", "averaged =", "tests/test_optimum.py"),
    Mutant("_point_saga.py", "weights[self._is_zero(here.weights)] = 0", "pass", "tests/test_zeros.py"),
    Mutant("_point_saga.py", "TRIGGER = 0.1", "TRIGGER = 1e9", "tests/test_optimum.py tests/test_callbacks.py"),
    Mutant(
        "_point_saga.py",
        "model.weights[:] = self.iterates.here(True, self.coordinates)[0]",
        "model.weights[:] = self.iterates.here(False, self.coordinates)[0]",
        "tests/test_optimum.py",
    ),
    Mutant("_coordinates.py", "SMALLEST_SCALE_OF_PENALTY = 1e-2", "SMALLEST_SCALE_OF_PENALTY = 1e-12", "tests/test_torture.py"),
    Mutant("_coordinates.py", "part_square + part * np.square(mean - pivot)", "part_square", "tests/test_merge.py"),
    Mutant("_newton.py", "SUFFICIENT = 1e-4", "SUFFICIENT = 2.0", "tests/test_newton.py"),
    Mutant("_objective.py", "diagonal[:-1] += self.objective.l2\n", "pass\n", "tests/test_newton.py"),
    Mutant("_objective.py", "of_penalty = self.l2 * weights", "of_penalty = 0 * weights", "tests/test_objective.py"),
    Mutant("_quasi_newton.py", "np.sqrt(dot(step, step) * dot(change, change))", "np.inf", "tests/test_starts.py"),
    Mutant("_quasi_newton.py", "direction += (share - dot(", "direction += (dot(", "tests/test_starts.py"),
    Mutant("_starts.py", "ROWS_PER_CLASS / rarest", "0", "tests/test_starts.py"),
    Mutant("_starts.py", "np.square(self.factors)[:, None]", "self.factors[:, None]", "tests/test_starts.py"),
    Mutant(
        "_starts.py",
        "gram[np.diag_indices_from(gram)] += JITTER",
        "gram[np.diag_indices_from(gram)] += 0.1",
        "tests/test_starts.py",
    ),
    Mutant("_minimise.py", "(0.5 if is_margin else 1.0)", "1.0", "tests/test_starts.py"),
    Mutant("_validation.py", "if len(X.indptr) != X.shape[0] + 1:", "if False:", "tests/test_border.py -k something_else"),
    Mutant("_validation.py", "if not np.isfinite(X.data).all():", "if False:", "tests/test_border.py -k overflow"),
    Mutant(
        "_validation.py", "flags.c_contiguous and flags.aligned", "flags.c_contiguous", "tests/test_border.py -k plain_memory"
    ),
    Mutant("_validation.py", "positive = self.sample_weight > 0", "positive = self.sample_weight >= 0", "tests/test_weights.py"),
    Mutant("_validation.py", "if (weight > LARGEST_WEIGHT).any():", "if False:", "tests/test_torture.py -k refused"),
    Mutant("_validation.py", "occur.sum() * counts", "len(counts) * counts", "tests/test_weights.py tests/test_streaming.py"),
    Mutant(
        "_classifier.py",
        "with held_interrupt(), unchanged_on_error(self):",
        "with unchanged_on_error(self):",
        "tests/test_faults.py",
    ),
    Mutant("_classifier.py", "self.attributes.update(self.before)", "pass", "tests/test_classifier.py"),
    Mutant(
        "_classifier.py",
        "return expit(scores)",
        "p = expit(scores[:, 1])\n            return np.column_stack([1 - p, p])",
        "tests/test_classifier.py",
    ),
    # what a stream remembers
    Mutant(
        "_stream.py", "scalars.drift_log_odds = scalars.step_log_odds = 0.0", "pass", "tests/test_streaming.py -k container_may"
    ),
    Mutant(
        "_stream.py",
        "sums[name] = max(float(weighted_sum(remembered, factors)), least)",
        "sums[name] = float(weighted_sum(remembered, factors))",
        "tests/test_forgetting.py",
    ),
    Mutant("_stream.py", "getattr(one, name) / getattr(one, unit)", "getattr(one, name)", "tests/test_forgetting.py"),
    Mutant("_stream.py", "shared.append((self.features.average_updated_at, slice(None)))", "pass", "tests/test_forgetting.py"),
    # coefficients that are no numbers, zeros or the same for all classes
    Mutant("_classifier.py", "raw_prediction(*self", "0 * raw_prediction(*self", "tests/test_classifier.py"),
    Mutant("_classifier.py", "raw_prediction(*self", "np.nan * raw_prediction(*self", "tests/test_classifier.py"),
    Mutant(
        "_coordinates.py",
        "= rows.T, np.clip(",
        "= np.nan * rows.T, np.clip(",
        "tests/test_torture.py -k any_scale",
    ),
    Mutant(
        "_coordinates.py",
        "= rows.T, np.clip(",
        "= 0 * rows.T, np.clip(",
        "tests/test_streaming.py",
    ),
    Mutant(
        "_coordinates.py",
        "= rows.T, np.clip(",
        "= 0 * rows.T + 1, np.clip(",
        "tests/test_merge.py",
    ),
    Mutant("_matrix.py", "        if model.is_finite():", "        if True:", "tests/test_torture.py -k no_numbers_show"),
    Mutant("_matrix.py", "scores[overflowed] = np.nan", "pass", "tests/test_torture.py -k no_numbers_show"),
    Mutant("_stream.py", "if self._is_safe(problem, settings):", "if True:", "tests/test_torture.py -k leads_out"),
    Mutant("_coordinates.py", "np.max([moments.rounding", "0 * np.max([moments.rounding", AUTOMATIC_TESTS + " -k roundings"),
    Mutant("_coordinates.py", "(active_deviation > 0 if centre else True)", "True", "tests/test_torture.py -k up_to_rounding"),
    Mutant("_matrix.py", "X.nnz * MUCH_MORE > X.shape[1]:", "True:", "tests/test_streaming.py -k few_sparse_rows"),
    Mutant("_classifier.py", "copied._stream = self._stream.copy()", "pass", "tests/test_persistence.py -k checkpoint"),
    Mutant("_classifier.py", "return float(average) - 1 if", "return float(average) if", "tests/test_classifier.py -k averaging"),
    Mutant("_classifier.py", "1 if deviation is None else deviation", "1", "tests/test_classifier.py -k importances"),
    Mutant(
        "_state.py", "if isinstance(value, np.memmap) else value", "if False else value", "tests/test_persistence.py -k mapped"
    ),
    Mutant("_state.py", "view.flags.writeable = False", "pass", "tests/test_classifier.py -k in_place"),
    Mutant("_validation.py", "(expected and array.shape != expected)", "False", "tests/test_classifier.py -k are_none"),
    Mutant("_solver.py", "weight * LIGHT < n_samples", "False", "tests/test_ecosystem.py -k weights"),
    Mutant("_interrupt.py", "return True\n        frame", "return False\n        frame", "tests/test_ecosystem.py -k ctrl_c"),
    Mutant("onnx.py", "np.array([0.5 if", "np.array([1.0 if", "tests/test_handover.py -k onnx"),
    Mutant("_interrupt.py", "if self.arrived:", "if False:", "tests/test_faults.py"),
    Mutant("_schedule.py", "t**power_t", "t", "tests/test_schedule.py"),
    Mutant("_priors.py", "shift[1:] - shift[:1]) / 2", "shift[1:] - shift[:1])", "tests/test_priors.py -k move"),
    Mutant("_priors.py", "(counts + pseudo_counts) / total", "counts / len(proba)", "tests/test_priors.py -k posterior"),
    Mutant("_priors.py", "if not known.all():", "if False:", "tests/test_priors.py -k without_rows"),
    Mutant("_stream.py", "moments=self.moments.copy(), prior", "prior", "tests/test_priors.py -k does_not_change"),
    Mutant("_stream.py", "prior_counts=prior * self.weight", "prior_counts=prior", "tests/test_priors.py -k goes_on_as_if"),
    Mutant("_classifier.py", "stream, prior_counts=None)", "stream)", "tests/test_priors.py -k known"),
    Mutant("_certificate.py", "objective.penalty.alpha == 0 or ", "", "tests/test_objective.py -k certified"),
    Mutant("_solver.py", "loss := method.training_loss())", "loss := 0.0)", "tests/test_classifier.py -k worse"),
    # coefficients of streams, of merge, of what is handed over, of fit
    *poisoned(
        "_stream.py", "return coordinates.to_original(", "weights", ", intercept", "tests/test_streaming.py -k container_may"
    ),
    *poisoned(
        "_stream.py",
        "return coordinates.to_original(weights, ",
        "intercept",
        ", self.m",
        "tests/test_streaming.py -k container_may",
    ),
    *poisoned("_merge.py", "model.set_softmax_coef(", "rows", ", intercept", "tests/test_merge.py"),
    *poisoned("_merge.py", "return start + ", "result", "\n", "tests/test_merge.py"),
    *poisoned("_logistic_regression.py", "else np.array(", "coef", ', order="C")', "tests/test_handover.py"),
    *poisoned("_logistic_regression.py", "lr.intercept_ = np.array(", "intercept", ")", "tests/test_handover.py"),
    *poisoned("_logistic_regression.py", "Model.from_public(", "coef", " * coef.dtype", "tests/test_handover.py"),
    *(
        Mutant("_solver.py", "    return solution\n", f"    method.model().{change}\n    return solution\n", tests)
        for tests in ("tests/test_optimum.py", "tests/test_solver.py")
        for change in ("weights[:] = np.nan", "weights[:] = 0", "weights[:] = 1", "intercept[:] = 0")
    ),
]


# they come before the path
WITHOUT_EDITABLE_INSTALLS = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "Mesonpy" not in type(finder).__name__]
"""


def copied(folder):
    """The repository in `folder`, and a place in it from which tests import the package."""
    for name in (
        "sklearn_softmax",
        "tests",
        "meson.build",
        "meson.options",
        "pyproject.toml",
        "docs",
        "README.md",
        "CHANGELOG.md",
    ):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "_build"))
        else:
            shutil.copy(source, folder / name)
    site = folder / "site"
    site.mkdir()
    (site / "sklearn_softmax").symlink_to(folder / "sklearn_softmax", target_is_directory=True)
    information = site / "sklearn_softmax-0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: sklearn_softmax\nVersion: 0\n")
    (site / "sitecustomize.py").write_text(WITHOUT_EDITABLE_INSTALLS)
    return site


def compile_kernels(folder):
    """The baseline's kernels, next to the package's Python files. The first time all, later what has changed."""
    build = folder / "build"
    if not build.exists():
        options = ["-Dinstruction_sets=", "-Doptimization=1", "-Ddebug=false"]
        subprocess.run(["meson", "setup", build, folder, *options], check=True, capture_output=True)
    subprocess.run(["ninja", "-C", build], check=True, capture_output=True)
    (library,) = (build / "sklearn_softmax" / "kernels").glob("kernels.*so")
    shutil.copy(library, folder / "sklearn_softmax" / library.name)


def passes(folder, site, tests):
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", "CI": "true", "OMP_NUM_THREADS": "1"}
    pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests.split()]
    return subprocess.run(pytest, cwd=folder, env=environment, capture_output=True).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", action="store_true", help="mistakes in kernels, which have to be compiled, not in Python")
    parser.add_argument("--only", default="", help="those whose file or line contains this")
    parser.add_argument("--library", help="compiled kernels to use for mistakes in Python, instead of compiling them")
    options = parser.parse_args()
    mutants = [mutant for mutant in (KERNELS if options.kernels else PYTHON) if options.only in mutant.file + mutant.before]
    survivors = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = copied(folder)
        if options.library:
            shutil.copy(options.library, folder / "sklearn_softmax")
        else:
            compile_kernels(folder)
        for mutant in mutants:
            file = mutant.path(folder / "sklearn_softmax")
            text = file.read_text()
            if text.count(mutant.before) != 1:
                raise SystemExit(f"{mutant.file}: {mutant.before!r} stands {text.count(mutant.before)} times in it, not once")
            file.write_text(text.replace(mutant.before, mutant.after))
            if options.kernels:
                compile_kernels(folder)
            survives = passes(folder, site, mutant.tests)
            survivors += [mutant] * survives
            print("SURVIVES" if survives else "killed  ", mutant.file, repr(mutant.before), "->", repr(mutant.after), flush=True)
            file.write_text(text)
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} killed")
    raise SystemExit(bool(survivors))


if __name__ == "__main__":
    main()
