"""The example of docs/examples: robust sets cover digits under attack, and the others do not."""

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "conformal_digits.py"


@pytest.mark.slow
def test_the_attack_breaks_sets_that_are_not_robust(one_thread, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    found = runpy.run_path(str(EXAMPLE))["main"](epochs=6, n_draws=150)
    assert capsys.readouterr().out.count("covered") == len(found)
    robust = [covered for name, (covered, _) in found.items() if name != "not robust"]
    assert min(robust) > 0.9 > found["not robust"][0]
    assert max(size for _, size in found.values()) < 5
