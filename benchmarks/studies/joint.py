"""What the joint bound gains, how its choices were made, and how often it is wrong.

    python benchmarks/studies/joint.py gains         # tables of docs/joint.md
    python benchmarks/studies/joint.py radii
    python benchmarks/studies/joint.py votes
    python benchmarks/studies/joint.py coverage
    python benchmarks/studies/joint.py figure docs/figures/joint.png

`gains` has the mean certified radius against that of Theorem 2 with the band `ell`, for the
distributions and thresholds of tightness.py, at alpha = 0.001. `radii` has the same for other radii
of the tangents, by the numba backend. `votes` has the radii of scores that are 0 or 1. `coverage`
counts inputs with any false number, of all radii and thresholds together, at alpha = 0.1. Draws are
seeded, so that the tables repeat themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, ndtr, ndtri
from scipy.stats import beta

import smoothbound as sb
from smoothbound._numba._means import joint
from tightness import DISTRIBUTIONS, mean_radius

Vector = NDArray[np.float64]

LADDERS = (
    (0.0, 0.6, 1.5, 3.3),
    (0.0, 0.4, 0.9, 1.8, 3.3),
    (0.0, 0.25, 0.6, 1.2, 2.2, 3.6),
    (0.0, 0.2, 0.4, 0.7, 1.1, 1.6, 2.3, 3.3),
    (0.4, 0.9, 1.8, 3.3),
)


def gain(m: int, repeats: int, options: dict[str, Any], against: dict[str, Any]) -> str:
    """Return the mean gain of the radius in percent, and its least and greatest, as a cell."""
    gains = []
    for name, (sample, _, thresholds) in DISTRIBUTIONS.items():
        rng = np.random.default_rng([m, len(name)])
        rows = np.stack([sample(rng, m) for _ in range(repeats)])
        for c in thresholds:
            before = mean_radius(rows, c, against)
            gains.append(100 * (mean_radius(rows, c, options) / before - 1))
    return f"{np.mean(gains):+.1f} ({min(gains):+.1f} to {max(gains):+.1f})"


def gains() -> None:
    methods: dict[str, dict[str, Any]] = {
        f"joint, pilot {share:.0%}": {"bound": "joint", "pilot": share}
        for share in (0.05, 0.1, 0.15, 0.2)
    }
    methods["tangent"] = {"bound": "tangent"}
    print("| draws | " + " | ".join(methods) + " |\n|---|" + "---|" * len(methods))
    for m, repeats in ((200, 32), (500, 16), (1_000, 16), (10_000, 8), (100_000, 4)):
        cells = [gain(m, repeats, options, {"bound": "cdf"}) for options in methods.values()]
        print(f"| {m:,} | ".replace(",", " ") + " | ".join(cells) + " |", flush=True)


def radii() -> None:
    print("| radii of the tangents | 1 000 draws | 10 000 draws |\n|---|---|---|")
    for ladder in LADDERS:
        joint.JOINT_RADII = ladder  # type: ignore[assignment]
        numba = {"bound": "joint", "backend": "numba"}
        cells = [gain(m, 4, numba, {"bound": "cdf"}) for m in (1_000, 10_000)]
        print("| " + ", ".join(f"{r:g}" for r in ladder) + " | " + " | ".join(cells) + " |")


def votes() -> None:
    methods: tuple[dict[str, Any], ...] = (
        {"bound": "cdf"},
        {"bound": "joint"},
        {"bound": "mean", "mean": "betting"},
    )
    print("| draws | P(1) | `ell` | joint | betting |\n|---|---|---|---|---|")
    for m in (100, 1_000, 10_000, 100_000):
        for p in (0.9, 0.99, 0.999):
            rows = np.float32(np.random.default_rng(m).uniform(size=(64, m)) < p)
            radii = [mean_radius(rows, 0.5, options) for options in methods]
            cells = " | ".join(f"{r:.3f}" for r in radii)
            print(f"| {m:,} | {p:g} | {cells} |".replace(",", " "), flush=True)


S = (np.arange(4000) + 0.5) / 4000
KNOWN: dict[str, tuple[Callable[..., Vector], Callable[[float], float]]] = {
    "uniform": (
        lambda rng, size: rng.uniform(size=size),
        lambda r: float(ndtr(ndtri(1 - S) - r).mean()),
    ),
    "Beta(8, 1)": (
        lambda rng, size: rng.beta(8, 1, size),
        lambda r: float(ndtr(ndtri(beta.sf(S, 8, 1)) - r).mean()),
    ),
    "0 or 1, P(1) = 0.9": (
        lambda rng, size: (rng.uniform(size=size) < 0.9) * 1.0,
        lambda r: float(ndtr(ndtri(0.9) - r)),
    ),
}


def radius_of(truth_at: Callable[[float], float], threshold: float) -> float:
    return float(brentq(lambda r: truth_at(r) - threshold, 0.0, 9.0))


def coverage() -> None:
    grid, thresholds, rows = np.linspace(0, 4, 17), (0.2, 0.4), 4_000
    print("| scores | draws | any radius or threshold | R = 0 alone | R = 2 σ alone |")
    print("|---|---|---|---|---|")
    for name, (draw, truth_at) in KNOWN.items():
        truth = np.array([truth_at(r) for r in grid])
        farthest = [radius_of(truth_at, c) for c in thresholds]
        for n in (60, 300, 1000):
            scores = draw(np.random.default_rng(n), (rows, n))
            cert = sb.certify_scores(
                scores, sigma=1.0, alpha=0.1, radii=grid, thresholds=thresholds, bound="joint"
            )
            wrong = cert.lower > truth  # type: ignore[operator]
            radius = np.nan_to_num(cert.radius, nan=-1.0)  # type: ignore[call-overload]
            any_wrong = wrong.any(axis=1) | (radius >= farthest).any(axis=1)
            cells = [f"{x.mean():.4f}" for x in (any_wrong, wrong[:, 0], wrong[:, 8])]
            print(f"| {name} | {n} | " + " | ".join(cells) + " |", flush=True)


def figure(path: str) -> None:
    import matplotlib.pyplot as plt

    n, r = 1000, np.linspace(0, 3, 61)
    rows = expit(4 + 1.5 * np.random.default_rng(0).standard_normal((64, n)))
    _, survival, _ = DISTRIBUTIONS["logistic(4 + 1.5 N)"]
    assert survival is not None
    at = (np.arange(20_000) + 0.5) / 20_000
    z = ndtri(np.clip(survival(at), 1e-300, 1 - 1e-16))
    figure, axes = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    axes.plot(r, [ndtr(z - one).mean() for one in r], color="0.6", label="true distribution")
    lines: dict[str, tuple[dict[str, Any], str, str]] = {
        "joint": ({"bound": "joint"}, "#009E73", "-"),
        "Theorem 2 (ell)": ({"band": "ell"}, "#0072B2", "--"),
        "Theorem 2 (dkw), the paper": ({"band": "dkw"}, "#D55E00", ":"),
    }
    for label, (options, colour, style) in lines.items():
        lower = sb.certify_scores(rows, sigma=1.0, radii=r, **options).lower
        assert lower is not None
        axes.plot(r, lower.mean(axis=0), color=colour, linestyle=style, label=label)
    axes.set(xlabel="radius / σ", ylabel="certified confidence", xlim=(0, 3), ylim=(0, 1))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    command, *rest = sys.argv[1:] or ["gains"]
    commands: dict[str, Callable[..., None]] = {
        "gains": gains,
        "radii": radii,
        "votes": votes,
        "coverage": coverage,
        "figure": figure,
    }
    commands[command](*rest)
