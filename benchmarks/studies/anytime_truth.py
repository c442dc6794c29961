"""How often the anytime test certifies a claim that is false by nothing, the hardest case.

    python benchmarks/studies/anytime_truth.py     # some five minutes on one core

Scores come from finite distributions, for which Theorem 2's functional at r = R / sigma is known.
It is the threshold c, so that the claim "the confidence at R is above c" is just false. The columns
have the percentage of repetitions in which it is certified when the draws stop

- `ever`: at the best of all times within 2000 draws, such as at the highest wealth;
- `random`: at a time that is drawn evenly from 1 to 2000;
- `estimate`: when the mean score, from 100 draws on, looks best, which is known only at the end;
- `budget`: when other inputs have used up the budget (a geometric time, 300 draws on average);
- `on`: after 300 draws, or 300 more as long as the mean of the last 300 is above the true one;

and, with the best of all times,

- `radius`: the percentage of certified radii, of a grid of 8, that reach R;
- `confidence`: the percentage of certified confidences, of a grid of 8, that reach c;
- `later`: the claim is asked after 100 draws, and only if their mean is above the true one.

None may exceed alpha by more than chance. The last line has the greatest excess in standard
deviations of a binomial count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri
from scipy.stats import beta

from smoothbound import _core
from smoothbound.backends import reference_anytime as reference

Vector = NDArray[np.float64]

ALPHAS = (0.1, 0.3)
REPEATS, DRAWS, GUESS, SOME, SEEN, GRID = 1000, 2000, 10, 300, 100, 8
QUANTILES = (np.arange(400) + 0.5) / 400


class Setting(NamedTuple):
    """A distribution of scores in [0, 1] and r; the scores are scaled to a range or reflected."""

    name: str
    shares: Vector
    p: Vector
    r: float
    a: float = 0.0
    b: float = 1.0
    side: str = "lower"
    dtype: str = "float64"

    @property
    def target(self) -> float:
        return self.functional(self.r)

    def functional(self, r: float) -> float:
        knots = np.unique(np.concatenate([[0.0, 1.0], self.shares]))
        masses = np.zeros(len(knots))
        np.add.at(masses, np.searchsorted(knots, self.shares), self.p)
        return reference.functional(masses, r, knots)

    def draw(self, rng: np.random.Generator) -> tuple[Vector, NDArray[Any]]:
        """Return the shares that were drawn, the first guess included, and the scores."""
        shares = rng.choice(self.shares, (REPEATS, GUESS + DRAWS), p=self.p)
        width = self.b - self.a
        scores = self.a + width * shares if self.side == "lower" else self.b - width * shares
        return shares[:, GUESS:], scores.astype(self.dtype)


def even(name: str, shares: Vector, r: float, **options: Any) -> Setting:
    """Return a setting whose scores are equally likely."""
    return Setting(name, shares, np.full(len(shares), 1 / len(shares)), r, **options)


def points(name: str, shares: dict[float, float], r: float, **options: Any) -> Setting:
    """Return a setting with a few scores and their probabilities."""
    return Setting(name, np.array(list(shares)), np.array(list(shares.values())), r, **options)


def settings() -> Iterator[Setting]:
    for p, r in ((0.5, 0.0), (0.9, 1.0), (0.99, 0.5), (0.999, 2.0)):
        yield points(f"votes, {p:g}", {1.0: p, 0.0: 1 - p}, r)
    yield points("0.3 or 0.9", {0.9: 0.8, 0.3: 0.2}, 0.7)
    yield points("0 or 0.5", {0.5: 0.95, 0.0: 0.05}, 0.3)
    yield points("0.7, always", {0.7: 1.0}, 1.0)
    yield points("1, seldom 0", {1.0: 0.995, 0.0: 0.005}, 0.0)
    knots = reference.KNOTS[[60, 120, 180, 210, 218]]
    yield even("on knots", knots, 0.5)
    yield even("below knots", np.nextafter(knots, 0.0), 0.5)
    yield even("above knots", np.nextafter(knots[:-1], 1.0), 0.5)
    yield even("on and beside places", reference.PLACES[[9000, 9001, 40_000, 55_000]], 0.3)
    yield even("saturated, logistic(7 + N)", expit(7 + ndtri(QUANTILES)), 1.0)
    yield even("saturated, 1 - 10^-(4 to 7)", 1 - 10.0 ** -(4 + 3 * QUANTILES), 0.5)
    yield points("0.9999, seldom 0", {0.9999: 0.98, 0.0: 0.02}, 0.5)
    yield even("spread, Beta(3, 1.5)", beta(3, 1.5).ppf(QUANTILES), 0.5)
    yield even("spread, Beta(3, 1.5)", beta(3, 1.5).ppf(QUANTILES), 2.0)
    yield even("spread, even", QUANTILES, 0.0)
    yield even("spread, Beta(0.5, 0.5)", beta(0.5, 0.5).ppf(QUANTILES), 0.5)
    yield even("logistic(4 + 1.5 N)", expit(4 + 1.5 * ndtri(QUANTILES)), 1.0)
    margin = (1 + np.tanh(1 + ndtri(QUANTILES))) / 2
    yield even("margin, -1 to 1", margin, 0.5, a=-1.0, b=1.0)
    yield even("margin, upper side", margin, 0.5, a=-1.0, b=1.0, side="upper")
    halves = np.linspace(0.5, 1.0, 64).astype(np.float16).astype(np.float64)
    yield even("float16", halves, 1.0, dtype="float16")
    yield even("small, 10^-(0 to 6)", 10.0 ** -(6 * QUANTILES), 0.2)


def crossings(scores: NDArray[Any], setting: Setting, alpha: float, claims: Vector) -> Vector:
    """Return when each claim (target, r) of a chain was shown, inf where it was not."""
    targets, r = np.ascontiguousarray(claims.T)
    shown, bad = _core.test_rows(
        scores,
        targets=targets,
        r=r,
        chained=np.arange(len(r)) > 0,
        alpha=alpha,
        a=setting.a,
        b=setting.b,
        side=setting.side,
        n_guess=GUESS,
        order="drawn",
        seed=0,
        first_row=0,
        threads=1,
    )
    assert bad < 0
    return np.where(shown > 0, shown, np.inf)


def stops(setting: Setting, shares: Vector, rng: np.random.Generator) -> dict[str, Vector]:
    """Return the numbers of draws at which each rule stops."""
    means = np.cumsum(shares, axis=1) / np.arange(1, DRAWS + 1)
    truth = float(setting.shares @ setting.p)
    parts = shares[:, : DRAWS // SOME * SOME].reshape(REPEATS, -1, SOME).mean(axis=2) > truth
    goes_on = np.argmin(np.append(parts, np.zeros((REPEATS, 1), bool), axis=1), axis=1)
    return {
        "ever": np.full(REPEATS, DRAWS),
        "random": rng.integers(1, DRAWS + 1, REPEATS),
        "estimate": SEEN + np.argmax(means[:, SEEN - 1 :], axis=1),
        "budget": np.minimum(rng.geometric(1 / SOME, REPEATS), DRAWS),
        "on": SOME * np.minimum(1 + goes_on, DRAWS // SOME),
    }


def radii(setting: Setting) -> Vector:
    """Return claims at radii that end with r: only the last is false."""
    return np.array([(setting.target, setting.r * j / GRID) for j in range(1, GRID + 1)])


def confidences(setting: Setting) -> Vector:
    """Return claims of confidences that end with c: only the last is false."""
    return np.array([(setting.target * j / GRID, setting.r) for j in range(1, GRID + 1)])


def asked_later(setting: Setting, shares: Vector, scores: NDArray[Any], alpha: float) -> Vector:
    """Return where the claim was asked, because the first draws looked good, and was shown."""
    first = next(i for i, n in enumerate(reference.looks(DRAWS)) if n >= SEEN)
    found = np.zeros(REPEATS, bool)
    looks_good = shares[:, :SEEN].mean(axis=1) > setting.shares @ setting.p
    for i in np.flatnonzero(looks_good):
        record = _core.DrawRecord(setting.a, setting.b, setting.side)
        record.guess(scores[i : i + 1, :GUESS])
        record.add(scores[i : i + 1, GUESS:])
        found[i] = _core.EProcess(setting.target, setting.r, first).advance(record, alpha) > 0
    return found


def rates(setting: Setting, alpha: float, rng: np.random.Generator) -> dict[str, float]:
    """Return how often the claim is certified, by each rule."""
    shares, scores = setting.draw(rng)
    claim = np.array([(setting.target, setting.r)])
    shown = crossings(scores, setting, alpha, claim)[:, 0]
    found = {name: np.mean(shown <= at) for name, at in stops(setting, shares, rng).items()}
    chains: dict[str, Callable[[Setting], Vector]] = {"radius": radii, "confidence": confidences}
    for name, claims in chains.items():
        found[name] = np.mean(
            np.isfinite(crossings(scores, setting, alpha, claims(setting))[:, -1])
        )
    found["later"] = np.mean(asked_later(setting, shares, scores, alpha))
    return {name: float(rate) for name, rate in found.items()}


def main() -> None:
    worst = -math.inf
    rng = np.random.default_rng(12)
    for alpha in ALPHAS:
        print(f"\nalpha = {alpha:g}, {REPEATS} repetitions, percent\n")
        names: list[str] = []
        for setting in settings():
            found = rates(setting, alpha, rng)
            if not names:
                names = list(found)
                print(
                    f"| scores | R/σ | c | {' | '.join(names)} |\n|---|{'---|' * (len(names) + 2)}"
                )
            cells = " | ".join(f"{100 * rate:.1f}" for rate in found.values())
            print(
                f"| {setting.name} | {setting.r:g} | {setting.target:.4f} | {cells} |", flush=True
            )
            excess = max(found.values()) - alpha
            worst = max(worst, excess / math.sqrt(alpha * (1 - alpha) / REPEATS))
    print(f"\ngreatest excess over alpha: {worst:.1f} standard deviations")


if __name__ == "__main__":
    main()
