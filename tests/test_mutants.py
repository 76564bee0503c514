"""The table of mutants, whose lines have to follow the code."""

import pytest
from mutants import KERNELS, PACKAGE, PYTHON


@pytest.mark.parametrize("mutants", [PYTHON, KERNELS], ids=["python", "kernels"])
def test_the_line_of_each_mutant_stands_once_in_its_file(mutants):
    texts = {mutant.file: mutant.path(PACKAGE).read_text(encoding="utf-8") for mutant in mutants}
    others = [(mutant.file, mutant.before) for mutant in mutants if texts[mutant.file].count(mutant.before) != 1]
    assert not others
    assert not [mutant for mutant in mutants if mutant.before == mutant.after]
