"""Reports of certificates under other noises: what they say of the noise and of the radius."""

import csv
import re

import numpy as np
import pytest

import smoothbound as sb
from smoothbound import curves
from smoothbound.report import write_report

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.usefixtures("plainly_drawn")

SCORES = np.random.default_rng(0).beta(9, 1, size=(40, 800))
GRID = np.linspace(0, 1, 51)
TABLE = curves.Tabulated([1.0, 2.0], GRID, [np.maximum(GRID - loss, 0) for loss in (0.1, 0.2)])

CASES = {
    "l1-laplace": (
        "σ, R",
        "The scale of Laplace's noise and the ℓ₁ radius",
        "ℓ₁ radius R (units of the input)",
        "σ = 0.5",
    ),
    "l1-uniform": ("σ, R", "Half the width", "ℓ₁ radius R (units of the input)", "σ = 0.5"),
    "ablation-3-of-50": ("R", "The number of changed pixels", "changed pixels R", None),
    TABLE: (
        "R",
        "The radius, in the distance of a table",
        "radius R (distance of the table)",
        None,
    ),
}


def certified(folder, curve, name="cert", **options):
    sigma = 0.5 if curves.curve(curve).has_scale else None
    path = folder / f"{name}.parquet"
    options = {"radii": [0, 1, 2], "thresholds": [0.5]} | options
    sb.certify_scores(SCORES, sigma=sigma, curve=curve, **options).save(path)
    return path


def texts_of_figures(folder):
    """Return the words of all figures, which an SVG has as comments beside the outlines."""
    return " ".join(
        " ".join(re.findall(r"<!-- (.*?) -->", path.read_text())) for path in folder.glob("*.svg")
    )


@pytest.mark.parametrize("curve", CASES, ids=lambda one: one if isinstance(one, str) else "table")
def test_a_report_names_the_noise_and_its_radius(curve, tmp_path):
    term, meaning, axis, sigma = CASES[curve]
    out = tmp_path / "report"
    write_report([certified(tmp_path, curve)], out)
    text = (out / "report.md").read_text()
    assert f"- **{term}**: {meaning}" in text
    assert f"40 inputs, noise {curves.curve(curve).name}, {sigma or 'α'}" in text
    for word in ("ℓ₂", "standard deviation", "Gaussian"):
        assert word not in text
    if sigma is None:
        assert "σ =" not in text
    with (out / "certified_accuracy.csv").open() as file:
        assert {row["noise"] for row in csv.DictReader(file)} == {curves.curve(curve).name}
    drawn = texts_of_figures(out)
    assert axis in drawn
    assert "ℓ₂" not in drawn


@pytest.mark.parametrize("statistic", ["probability", "quantile"])
def test_levels_under_another_noise(statistic, tmp_path):
    path = certified(
        tmp_path, "l1-laplace", statistic=statistic, levels=[0.5], radii=[0, 0.25],
        score_range=(0, 1),
    )  # fmt: skip
    write_report([path], tmp_path / "report")
    assert "ℓ₁ radius R (units of the input)" in texts_of_figures(tmp_path / "report")


def test_noises_of_one_distance_stand_side_by_side(tmp_path):
    inputs = [certified(tmp_path, name, name) for name in ("l1-laplace", "l1-uniform")]
    write_report(inputs, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Side by side: score" in text
    assert "- **σ, R of l1-laplace**: The scale" in text
    assert "- **σ, R of l1-uniform**: Half the width" in text
    assert "choose by other draws and certify only with that choice" in text
    assert "A larger σ lowers" not in text  # the two are not of one kind
    assert "ℓ₂" not in texts_of_figures(tmp_path / "report")


def test_radii_in_different_distances_are_refused(tmp_path):
    other = curves.Tabulated([1.0, 2.0], GRID, [GRID / 2, GRID / 3])
    several = ["gaussian", "l1-laplace", "ablation-3-of-50", TABLE, other]
    paths = [certified(tmp_path, curve, f"c{i}") for i, curve in enumerate(several)]
    for i, first in enumerate(paths):
        for second in paths[i + 1 :]:
            with pytest.raises(ValueError, match="inputs must have radii in the same distance"):
                write_report([first, second], tmp_path / "report")
    assert not (tmp_path / "report").exists()
