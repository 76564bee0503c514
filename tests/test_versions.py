"""Which kernels run, and who says so."""

import os
import subprocess
import sys

import pytest

import sklearn_softmax
from sklearn_softmax import kernels

another_process = pytest.mark.slow  # which imports scikit-learn
VARIABLE = "SKLEARN_SOFTMAX_INSTRUCTION_SET"


def imported_with(value):
    code = "import sklearn_softmax; sklearn_softmax.show_versions()"
    environment = {**os.environ, VARIABLE: value}
    return subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, timeout=60)


def test_what_dir_shows_is_public():
    shown = set(dir(sklearn_softmax))
    assert shown - {"dask", "onnx"} == set(sklearn_softmax.__all__) and all(hasattr(sklearn_softmax, name) for name in shown)


def test_show_versions_names_the_instruction_set_in_use(capsys):
    sklearn_softmax.show_versions()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"sklearn_softmax {sklearn_softmax.__version__}"
    assert lines[-1].startswith(f"kernels: {kernels.instruction_set_in_use()} (available: ")


@another_process
@pytest.mark.parametrize("name", kernels.available_instruction_sets())
def test_the_environment_variable_forces_an_instruction_set(name):
    done = imported_with(name)
    assert done.returncode == 0, done.stderr
    assert f"kernels: {name} " in done.stdout


@another_process
def test_an_instruction_set_that_is_not_there_is_refused_with_the_choices():
    done = imported_with("vax")
    assert done.returncode != 0
    assert f"{VARIABLE}='vax'" in done.stderr and "baseline" in done.stderr


@another_process
def test_an_empty_variable_is_none():
    assert f"kernels: {kernels.available_instruction_sets()[0]} " in imported_with("").stdout
