"""The programs of docs/examples about levels, whose truth has a closed form."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, norm

EXAMPLES = Path(__file__).parents[4] / "docs" / "examples"


def load(name):
    return runpy.run_path(str(EXAMPLES / name))


def check(lower, upper, exact_lower, exact_upper, slack):
    assert (lower <= exact_lower).all()
    assert (upper >= exact_upper).all()
    assert (exact_lower - lower < slack).all()
    assert (upper - exact_upper < slack).all()


def test_the_median_of_a_regressor():
    pytest.importorskip("sklearn")
    example, rng = load("regressor.py"), np.random.default_rng(1)
    model, inputs = example["fit"](rng), rng.normal(size=(3, 3))
    cert = example["certify"](model, inputs, rng)
    # A linear prediction is normal under noise, with its median at the prediction, and moves by
    # at most R |coef|.
    middle = model.predict(inputs)[:, None]
    reach = np.array(example["RADII"]) * np.linalg.norm(model.coef_)
    check(cert.lower[:, 0], cert.upper[:, 0], middle - reach, middle + reach, 0.15)


def test_the_box_of_a_detector():
    example, rng = load("detector_box.py"), np.random.default_rng(2)
    image = rng.uniform(size=(8, 8))
    lower, upper = example["certify"](image, rng)
    middle = example["detect"](image).T
    lengths = np.linalg.norm(example["FILTERS"] / 8.0, axis=1, keepdims=True)
    reach = np.array(example["RADII"]) * lengths
    check(lower, upper, middle - reach, middle + reach, 0.02)


def test_the_return_of_a_policy():
    example, rng = load("policy_returns.py"), np.random.default_rng(3)
    still = example["returns"](np.zeros((1, example["STEPS"])))
    length = float(np.linalg.norm(example["returns"](np.eye(example["STEPS"])) - still))
    reach, spread = np.array(example["RADII"]) * length, example["SIGMA"] * length
    cert = example["certify"](rng, statistic="quantile", levels=[0.3, 0.5], sides="both")
    center = still + spread * norm.ppf([[0.3], [0.5]])
    check(cert.lower[0], cert.upper[0], center - reach, center + reach, 0.05)
    chance = example["certify"](rng, statistic="probability", levels=[4.2], sides="both")
    exact = [norm.sf(4.2, still + sign * reach, spread) for sign in (-1, 1)]
    check(chance.lower[0, 0], chance.upper[0, 0], *exact, 0.03)


@pytest.mark.parametrize("q", [0.5, 0.2])
def test_adaptive_quantiles_are_rarely_false_and_often_found(q):
    example, rng = load("adaptive_quantile.py"), np.random.default_rng(4)
    x = np.array([1.0, 0.5, -0.5])
    exact = example["exact_quantile"](x, q)
    levels = [exact - 1.0, exact - 0.4, exact + 1e-9]  # the last one is false by nothing

    def draw(n):
        return (x + rng.normal(0.0, example["SIGMA"], size=(n, 3))) @ example["WEIGHTS"]

    found = [example["find_quantile"](draw, levels, q, alpha=0.2, most=500)[0] for _ in range(300)]
    assert found.count(levels[2]) <= binom.ppf(1 - 1e-4, 300, 0.2)
    assert found.count(levels[2]) > 0.02 * 300  # the test could fail
    assert found.count(None) + found.count(levels[0]) < 0.1 * 300


NAMES = ["regressor.py", "detector_box.py", "policy_returns.py", "adaptive_quantile.py"]


@pytest.mark.parametrize("name", NAMES)
def test_the_programs_run(name):
    if name == "regressor.py":
        pytest.importorskip("sklearn")
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "within 0.25" in done.stdout or "within 0.1" in done.stdout
