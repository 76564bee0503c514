"""What the documentation says is true: examples run, docstrings are complete and agree with signatures."""

import ast
import copy
import doctest
import importlib
import inspect
import os
import re
import runpy
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType

import joblib
import numpy as np
import pytest
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV

import sklearn_softmax
from sklearn_softmax import SoftmaxSGDClassifier, SoftmaxSGDClassifierCV

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]
# what the examples of a page import beside the package and what it stands on; scikit-learn < 1.9 has no callbacks
NEEDED = {
    "handover.md": ("onnxruntime", "shap", "skl2onnx", "skops.io"),
    "tabular.md": ("pandas",),
    "tools.md": ("sklearn.callback",),
}
OF_OTHERS = [pytest.mark.filterwarnings(f"ignore::{category}") for category in ("DeprecationWarning", "FutureWarning")]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))
OWN_METHODS = sorted(
    name
    for name, member in vars(SoftmaxSGDClassifier).items()
    if isinstance(member, (FunctionType, classmethod)) and not name.startswith("_")
)
DISPLAYS_OF_PATHS = ("PathScoreDisplay", "RegularizationPathDisplay")
PUBLIC = [
    "CoefficientDisplay",
    "CoefficientDisplay.from_inference",
    "CoefficientDisplay.plot",
    "InferenceResult",
    "InferenceResult.coef_table",
    "InferenceResult.predict_proba",
    "InferenceResult.sample",
    "InferenceResult.wald_test",
    "LossCurveDisplay",
    "LossCurveDisplay.from_estimator",
    "LossCurveDisplay.plot",
    "SoftmaxSGDClassifier",
    *(f"SoftmaxSGDClassifier.{name}" for name in OWN_METHODS),
    *(f"{name}{method}" for name in DISPLAYS_OF_PATHS for method in ("", ".from_estimator", ".plot")),
    *(f"SoftmaxSGDClassifierCV{method}" for method in ("", ".fit", ".from_logistic_regression", ".get_metadata_routing")),
    "fit_batches",
    "inference",
    "merge",
    "softmax_path",
]
if find_spec("distributed"):  # with the extra "dask"
    importlib.import_module("sklearn_softmax.dask")
    PUBLIC += [f"dask.DaskSoftmaxSGDClassifier{name}" for name in ("", ".fit", ".predict", ".predict_proba", ".to_local")]
# what a cluster of Dask leaves to the garbage collector
ignores_unclosed = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
ALLOWED = {
    "ES01": "a summary that says all needs no extended one",
    "EX01": "the class has the example",
    "RT02": "returned values are named, as scikit-learn does",
    "SA01": "the class has the references",
    "SS05": "takes nouns such as Probabilities for verbs",
}


@ignores_unclosed
@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.name, marks=OF_OTHERS if page.name in NEEDED else ()) for page in PAGES]
)
def test_page(page):
    for module in NEEDED.get(page.name, ()):
        pytest.importorskip(module)
    assert doctest.testfile(str(page), module_relative=False).failed == 0


def messages(folder):
    """The strings of the code, with `...` for what is computed."""
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_messages_on_the_page_of_errors_are_those_of_the_code():
    page = (ROOT / "docs" / "guide" / "errors.md").read_text(encoding="utf-8")
    said = re.findall(r"^\*\*`(.+)`\*\*(?! \((?:scikit-learn|Python|NumPy)\))", page, re.MULTILINE)
    ours = "\n".join(messages(ROOT / "sklearn_softmax"))
    assert len(said) > 20
    assert [text for text in said if text not in ours] == []


def test_code_of_pages_fits_72_columns():
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    code = [
        line
        for page in pages
        for line in re.findall(r"^(?:>>>|\.\.\.) .*?(?=  # doctest:|$)", page.read_text("utf-8"), re.MULTILINE)
    ]
    assert [line for line in code if len(line) > 72] == []


def test_every_line_of_the_cheat_sheet_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib").use("agg")
    monkeypatch.chdir(tmp_path)
    X, y = load_wine(return_X_y=True)
    names = {
        **vars(sklearn_softmax),
        "np": np,
        "copy": copy,
        "joblib": joblib,
        "GridSearchCV": GridSearchCV,
        "X": X,
        "y": y,
        "C": 1,
    }
    sheet = (ROOT / "docs" / "guide" / "cheatsheet.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| .* \| `(.+)` \|$", sheet, re.MULTILINE)
    assert len(lines) > 30
    for line in lines:
        exec(line, names)


def test_changelog_begins_with_this_version():
    heading = re.search(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heading[1] == sklearn_softmax.__version__


def parameters_of(name):
    """The parameters of a public function or class, or of its method."""
    member = sklearn_softmax
    for part in name.split("."):
        member = getattr(member, part)
    return set(inspect.signature(member).parameters) if callable(member) else set()


def test_every_public_name_is_in_the_api_reference():
    listed = re.findall(r"^(?:   |\.\. data:: )(\w+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(sklearn_softmax.__all__)


def test_parameters_lead_to_a_page_that_names_them():
    pages = runpy.run_path(str(ROOT / "docs" / "parameter_pages.py"))
    parameters = {name for public in (*sklearn_softmax.__all__, "SoftmaxSGDClassifier.fit") for name in parameters_of(public)}
    assert set(pages["PAGES"]) <= parameters
    for parameter, page in pages["PAGES"].items():
        assert re.search(rf"\b{parameter}\b", (ROOT / "docs" / "guide" / f"{page}.md").read_text("utf-8")), (parameter, page)
    docstring = inspect.getdoc(SoftmaxSGDClassifier).split("\n")
    linked = pages["with_links"](docstring)
    without_links = "\n".join(line for line in linked if not line.startswith("    Guide: :doc:"))
    assert re.sub("\n+", "\n", without_links) == re.sub("\n+", "\n", "\n".join(docstring))
    assert linked[linked.index("l1_ratio : float, default=0.0") - 2] == "    Guide: :doc:`/guide/objective`."
    assert len(linked) - len(docstring) >= len(set(pages["PAGES"]) & parameters_of("SoftmaxSGDClassifier"))


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_outside_of_the_pages_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)|(?:src|srcset)=\"([^\"]+)\"", text)
    assert [target for pair in targets if not (ROOT / (target := pair[0] or pair[1])).exists()] == []


def test_the_recipe_for_conda_has_this_version_and_these_packages():
    recipe = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    assert f'version: "{sklearn_softmax.__version__}"' in recipe
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = project["project"]["dependencies"] + [f"python{project['project']['requires-python']}"]
    needed += project["build-system"]["requires"]
    assert [name for name in needed if f"- {name.replace('>=', ' >=')}\n" not in recipe] == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_readme_has_an_example():
    assert doctest.DocTestParser().get_examples((ROOT / "README.md").read_text(encoding="utf-8"))


@ignores_unclosed
@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_examples(name):
    thing = sklearn_softmax
    for part in name.split("."):
        thing = getattr(thing, part)
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder(recurse=False).find(thing, name, globs={}):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_complete(name):
    errors = validate(f"sklearn_softmax.{name}")["errors"]
    assert [error for error in errors if error[0] not in ALLOWED] == []


@pytest.mark.parametrize("estimator", [SoftmaxSGDClassifier, SoftmaxSGDClassifierCV])
def test_documented_defaults_are_those_of_the_signature(estimator):
    documented = {parameter.name: parameter.type for parameter in ClassDoc(estimator)["Parameters"]}
    signature = inspect.signature(estimator).parameters
    assert list(documented) == list(signature)
    for name, parameter in signature.items():
        default = re.search(r"default=(.+)$", documented[name])
        assert default, name
        assert ast.literal_eval(default[1]) == parameter.default, name


@pytest.mark.parametrize("engine", ["pyspark", "ray"])
def test_recipe_of_another_engine_learns(engine, tmp_path):
    pytest.importorskip(engine, reason=f"{engine} is not installed: only one job of CI has it")
    script = ROOT / "docs" / "examples" / "distributed" / {"pyspark": "with_spark.py", "ray": "with_ray.py"}[engine]
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    losses = [float(loss) for loss in re.findall(r"^round \d: log loss of new rows (\d\.\d+)$", done.stdout, re.MULTILINE)]
    assert len(losses) == 5
    assert losses[-1] < losses[0] < 1


@pytest.fixture(scope="module")
def fonts():
    """Matplotlib looks for fonts when it is used for the first time on a machine, and says so on stderr."""
    importlib.import_module("matplotlib.font_manager")


@pytest.mark.slow
@pytest.mark.usefixtures("fonts")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_runs_without_warnings(example, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.strip()
    if example.name == "digits.py":
        check_digits(done.stdout)


def check_digits(output):
    line = re.compile(r"^(\S.*?) +(\d+\.\d{3}) +(\d\.\d{3}) +(\d+\.\d{2})$", re.MULTILINE)
    rows = {name: (float(loss), float(accuracy)) for name, loss, accuracy, _ in line.findall(output)}
    assert len(rows) == 5
    assert all(accuracy > 0.85 for _, accuracy in rows.values())
    assert rows["SoftmaxSGDClassifier, raw"][0] < rows["SGDClassifier(log_loss), scaled"][0]
