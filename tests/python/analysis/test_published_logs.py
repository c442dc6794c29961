"""Our Theorem 1 against the authors' logs: each column follows from the one at R = 0.

The logs print three digits, so a bound at R = 0 is known to half a unit of its third digit; the
shifted bound must lie between those of the two ends, up to its own rounding.
"""

from pathlib import Path

import numpy as np

import smoothbound as sb
from smoothbound.backends import gaussian

EXCERPT = Path(__file__).parents[1] / "support" / "logs" / "kumar2020_excerpt.tsv"
SIGMA = 0.25
RADII = np.array([0.25, 0.5, 0.75, 1.0, 1.25, 1.5])


def half_unit(x):
    """Half a unit of the third digit of x."""
    return 0.5 * 10.0 ** (np.floor(np.log10(np.maximum(x, 1e-300))) - 2)


def read():
    lines = [x for x in EXCERPT.read_text().splitlines() if not x.startswith("#")]
    names = lines[0].split("\t")
    columns = ["exp_00", *(f"exp_{round(100 * r)}" for r in RADII)]
    rows = [dict(zip(names, line.split("\t"), strict=True)) for line in lines[1:]]
    return np.array([[float(row[c]) for c in columns] for row in rows if row["predict"] != "-1"])


def scores_with_mean_bound(target):
    """Draws 0 and 1 whose Theorem 1 bound at R = 0 is within 1 / m of the target."""
    m = 1_000_000
    deviation = np.sqrt(np.log(1 / 1e-3) / (2 * m))
    ones = np.round(m * (np.asarray(target) + deviation)).astype(int)
    return (np.arange(m) < ones[:, None]).astype(np.float16)


def test_theorem_1_columns_follow_from_the_first():
    published = read()
    assert len(published) >= 15
    start, rest = published[:, :1], published[:, 1:]
    for sign in (-1, 1):
        end = start + sign * half_unit(start)
        shifted = gaussian.cdf(gaussian.quantile(end) - RADII / SIGMA)
        assert (sign * (shifted + sign * half_unit(rest) - rest) >= 0).all()


def test_the_engine_reproduces_them():
    published = read()[:4]
    scores = scores_with_mean_bound(published[:, 0])
    cert = sb.certify_scores(scores, sigma=SIGMA, bound="mean", radii=[0, *RADII])
    np.testing.assert_allclose(cert.lower[:, 0], published[:, 0], atol=2e-6)
    # a digit of exp_00 moves the shifted bounds by up to a few percent of themselves
    np.testing.assert_allclose(cert.lower[:, 1:3], published[:, 1:3], rtol=0.02)
