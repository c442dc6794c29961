"""What the anytime test needs, on draws of real images: against fixed n, stages, and the limit.

    python benchmarks/studies/anytime.py train --data cifar10:DIR --network net.pt
    python benchmarks/studies/anytime.py record --data cifar10:DIR --network net.pt --scores DIR
    python benchmarks/studies/anytime.py decide --scores DIR [--figure draws.png]
    python benchmarks/studies/anytime.py votes --scores DIR
    python benchmarks/studies/anytime.py strictness --scores DIR

`record` keeps 100 100 draws of each image in the order of drawing. Killed and started again, it
draws only what is missing. The other commands replay them: the draws that a live run would see.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, ndtr, rel_entr
from scipy.stats import beta

import smoothbound as sb
from limits import least_draws
from small_cifar import EPOCHS, record, recorded, train
from smoothbound.anytime import Decide, Plan
from stages import Claim, Ended
from stages import decide as decide_in_stages

Vector = NDArray[Any]

ALPHA, N = 1e-3, 100_000
N_SELECTION = 100  # draws of those methods whose selection does not end early
CLEAR_LEAD = 10  # of the selected class, at which the selection of the anytime test ends
MOST_LIMIT = 50_000  # draws; inputs whose limit is higher are not compared with it
SLOWEST, GRACE = 1.25, 20  # the goal: so many times the limit, and so many draws
THRESHOLDS, RADII = (0.5, 0.7, 0.8, 0.9), (0.0, 1.0, 2.0, 3.0)  # radii in sigma
FIXED: dict[str, dict[str, Any]] = {
    "dkw": {"bound": "cdf", "band": "dkw", "n_bins": 10_000},
    "ell": {"bound": "cdf", "band": "ell"},
    "tangent": {"bound": "tangent"},
}


class Inputs:
    """The recorded draws of all inputs; a row is negative where another class was on top."""

    def __init__(self, folder: Path) -> None:
        self.signed = np.stack(list(recorded(folder)))
        self.scores = np.abs(self.signed)
        self.n_selected = [selection_ends(row) for row in self.signed]

    def __len__(self) -> int:
        return len(self.signed)

    @cache  # noqa: B019
    def fixed(self, method: str) -> Vector:
        """Return the lower bounds at all radii by n draws, in rows."""
        found = sb.certify_scores(
            self.scores[:, N_SELECTION:],
            sigma=1.0,
            alpha=ALPHA,
            radii=RADII,
            order="drawn",
            **FIXED[method],
        )
        assert found.lower is not None
        return found.lower


def selection_ends(row: Vector) -> int:
    """Return how many draws select the class, all others counted as one rival."""
    lead = np.cumsum(np.where(row[:N_SELECTION] > 0, 1, -1))
    clear = np.flatnonzero(lead >= CLEAR_LEAD)
    return int(clear[0]) + 1 if clear.size else N_SELECTION


def replay(plan: Plan, row: Vector, n_selected: int) -> Ended:
    """Return how the drawing of an input ends; the selection draws are counted."""
    job, at = plan.start(), n_selected
    job.begin(0, row[:at])
    while wanted := job.remaining:
        job.update(row[at : at + wanted])
        at += wanted
    return Ended(job.test.answers[0].certified, at)


def anytime(inputs: Inputs, rows: Vector, c: float, r: float, **options: Any) -> list[Ended]:
    """Decide all inputs by the anytime test."""
    plan = Plan(questions=(Decide(c, r),), sigma=1.0, alpha=ALPHA, n=N, **options)
    return [replay(plan, row, n) for row, n in zip(rows, inputs.n_selected, strict=True)]


def staged(rows: Vector, c: float, r: float) -> list[Ended]:
    """Decide all inputs in stages."""
    claim = Claim(c, r, ALPHA, N)
    ended = (decide_in_stages(row[N_SELECTION:], claim) for row in rows)
    return [Ended(certified, N_SELECTION + n_draws) for certified, n_draws in ended]


@dataclass(frozen=True)
class Case:
    """A threshold and a radius, and how many draws each input takes."""

    inputs: Inputs
    c: float
    r: float

    @cached_property
    def limits(self) -> Vector:
        rows = self.inputs.scores
        return np.array([least_draws(row, self.c, self.r, ALPHA) for row in rows])

    @cached_property
    def compared(self) -> NDArray[np.bool_]:
        """Which inputs are compared with their limit."""
        return self.limits <= MOST_LIMIT

    @cached_property
    def stages(self) -> list[Ended]:
        return staged(self.inputs.scores, self.c, self.r)

    @cache  # noqa: B019
    def anytime(self, strictness: float | None = None) -> list[Ended]:
        options = {} if strictness is None else {"strictness": strictness}
        return anytime(self.inputs, self.inputs.scores, self.c, self.r, **options)

    def fixed(self, method: str) -> int:
        """Count the inputs that n draws certify."""
        return int((self.inputs.fixed(method)[:, RADII.index(self.r)] > self.c).sum())

    @property
    def name(self) -> str:
        """The first cells of its row."""
        return f"| {self.c:g} | {self.r:g} |"


def cases(inputs: Inputs) -> Iterator[Case]:
    """Yield the cases in which any input can be certified."""
    for c in THRESHOLDS:
        for r in RADII:
            case = Case(inputs, c, r)
            if case.compared.any():
                yield case


def n_certified(ended: list[Ended]) -> int:
    return sum(one.certified for one in ended)


def total(ended: list[Ended]) -> int:
    return sum(one.n_draws for one in ended)


def to_certificate(ended: list[Ended]) -> Vector:
    """Return the draws of each input, n where it is not certified."""
    return np.array([float(one.n_draws if one.certified else N) for one in ended])


# decide ----------------------------------------------------------------------------------------


def decide(args: argparse.Namespace) -> None:
    """Print how many inputs each method certifies, and their draws; draw the figure."""
    all_cases = list(cases(Inputs(args.scores)))
    print(f"{len(all_cases[0].inputs)} images, n = {N}, alpha = {ALPHA:g}\n")
    print_certified(all_cases)
    print_draws(all_cases)
    print_bill(all_cases)
    if args.figure:
        draw(all_cases, args.figure)


def print_certified(all_cases: list[Case]) -> None:
    print("| c | R/σ | dkw, n | ell, n | tangent, n | stages | anytime |")
    print("|---|---|---|---|---|---|---|")
    sums = np.zeros(5, int)
    for case in all_cases:
        counts = [*map(case.fixed, FIXED), *map(n_certified, (case.stages, case.anytime()))]
        sums += counts
        print(case.name, " | ".join(map(str, counts)), "|", flush=True)
    print("| all | |", " | ".join(map(str, sums)), "|\n")


def print_draws(all_cases: list[Case]) -> None:
    """Compare with the limit; an input that is not certified counts as n."""
    print(
        "| c | R/σ | inputs | limit | stages | anytime | goal | limit | stages | anytime | goal |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for case in all_cases:
        at = case.compared
        cells = [f"{at.sum()}"]
        for middle in (np.median, np.mean):
            limit = middle(case.limits[at])
            stages, anytime = (
                middle(to_certificate(ended)[at]) for ended in (case.stages, case.anytime())
            )
            most = SLOWEST * limit + GRACE
            cells += [f"{limit:.0f}", f"{stages:.0f}", f"{anytime:.0f}", verdict(anytime, most)]
        print(case.name, " | ".join(cells), "|", flush=True)
    print()


def verdict(value: float, most: float) -> str:
    """Return the goal, and whether it is met."""
    return f"{most:.0f}" if value <= most else f"**{most:.0f}, missed**"


def print_bill(all_cases: list[Case]) -> None:
    """Compare all draws of all inputs, those that are not certified included."""
    columns = "not certified | draws of each | stages | all draws | of certified | stages | ratio"
    print(f"| c | R/σ | {columns} |\n{'|---' * 9}|")
    sums = np.zeros(3, int)
    for case in all_cases:
        missing = [
            [one.n_draws for one in ended if not one.certified]
            for ended in (case.anytime(), case.stages)
        ]
        certified = [one for one in case.anytime() if one.certified]
        counts = np.array([*map(total, (case.anytime(), certified, case.stages))])
        sums += counts
        cells = [len(missing[0]), *(f"{np.mean(draws or [0]):.0f}" for draws in missing)]
        print(case.name, " | ".join(map(str, cells)), bill(counts))
    print("| all | | | | ", bill(sums))


def bill(counts: NDArray[np.int_]) -> str:
    """Return the last cells of a row: draws of all, of the certified, and in stages; the ratio."""
    return f"| {' | '.join(map(str, counts))} | {counts[0] / counts[2]:.2f} |"


def draw(all_cases: list[Case], path: Path) -> None:
    """Draw the draws of each certified input against its limit."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.8), layout="constrained")
    styles: dict[str, tuple[Callable[[Case], list[Ended]], str, str]] = {
        "x": (lambda case: case.stages, "#d95f02", "in stages"),
        "o": (lambda case: case.anytime(), "#1b6ca8", "anytime"),
    }
    for marker, (ended, colour, _) in styles.items():
        points = [
            (limit, one.n_draws)
            for case in all_cases
            for limit, one in zip(case.limits, ended(case), strict=True)
            if one.certified
        ]
        axes.scatter(*np.transpose(points), s=10, c=colour, marker=marker, lw=0.7, alpha=0.6)
    axes.axhline(N + N_SELECTION, color="#666666", linewidth=1)
    axes.plot([8, N], [8, N], color="black", linewidth=1)
    axes.set(xscale="log", yscale="log", xlim=(8, 2 * N), ylim=(8, 2 * N))
    axes.set(xlabel="least mean number of draws of any test, ln(1/α) / KL_inf")
    axes.set(ylabel="draws until certified, selection included")
    axes.text(10, 1.1 * N, "a fixed number")
    axes.text(10, 570, styles["x"][2], color=styles["x"][1])
    axes.text(9, 60, styles["o"][2], color=styles["o"][1])
    axes.text(20, 13, "the limit")
    figure.savefig(path, dpi=110)


# strictness ------------------------------------------------------------------------------------


def strictness(args: argparse.Namespace) -> None:
    """Print what giving up sooner or later costs."""
    all_cases = list(cases(Inputs(args.scores)))
    print("| strictness | certified | all draws | to the stages | worst row | goals missed |")
    print("|---|---|---|---|---|---|")
    in_stages = np.array([total(case.stages) for case in all_cases])
    for z in args.values:
        ended = [case.anytime(z) for case in all_cases]
        counts = np.array([total(one) for one in ended])
        missed = sum(misses(case, one) for case, one in zip(all_cases, ended, strict=True))
        shares = counts / in_stages
        print(
            f"| {z:g} | {sum(map(n_certified, ended))} | {counts.sum()} "
            f"| {counts.sum() / in_stages.sum():.2f} | {shares.max():.2f} | {missed} |",
            flush=True,
        )


def misses(case: Case, ended: list[Ended]) -> int:
    """Count the goals of draws, for median and mean, that are missed."""
    at = case.compared
    draws = to_certificate(ended)[at]
    return sum(
        bool(middle(draws) > SLOWEST * middle(case.limits[at]) + GRACE)
        for middle in (np.median, np.mean)
    )


# votes -----------------------------------------------------------------------------------------

ROUNDS = (100, 1_000, 10_000, N)


def votes(args: argparse.Namespace) -> None:
    """Compare the draws that certify the radius of the class, for which only votes count."""
    inputs = Inputs(args.scores)
    rows = (inputs.signed > 0).astype(np.float32)
    print("| R | inputs | | limit | rounds | betting | anytime | to rounds | to betting |")
    print("|---|---|---|---|---|---|---|---|---|")
    for radius in (0.25, 0.5, 0.75):
        r = radius / args.sigma
        limits = np.array([vote_limit(float(row.mean()), r) for row in rows])
        at = limits <= MOST_LIMIT
        ended = [
            rival(in_rounds, inputs, rows, r),
            rival(by_betting, inputs, rows, r),
            anytime(inputs, rows, 0.5, r, measure="vote"),
        ]
        draws = [to_certificate(one)[at] for one in ended]
        for middle in (np.median, np.mean):
            limit, *values = map(middle, (limits[at], *draws))
            ratios = (values[-1] / value for value in values[:-1])
            cells = [f"{radius:g}", f"{at.sum()}", middle.__name__]
            cells += [f"{value:.0f}" for value in (limit, *values)]
            cells += [f"{ratio:.2f}" for ratio in ratios]
            print("|", " | ".join(cells), "|", flush=True)


def vote_limit(p: float, r: float) -> float:
    """Return ln(1/alpha) / KL_inf: the claim is P(vote) > Phi(r)."""
    least = float(ndtr(r))
    if p <= least:
        return math.inf
    return math.log(1 / ALPHA) / float(rel_entr(p, least) + rel_entr(1 - p, 1 - least))


def rival(
    rule: Callable[[Vector, float], int | None], inputs: Inputs, rows: Vector, r: float
) -> list[Ended]:
    """Decide all inputs by another rule, with the selection draws of the anytime test."""
    ended = []
    for row, n in zip(rows, inputs.n_selected, strict=True):
        found = rule(row[n : n + N], float(ndtr(r)))
        ended.append(Ended(found is not None, n + (found or N)))
    return ended


def in_rounds(row: Vector, least: float) -> int | None:
    """Return when the share of votes is shown to be above `least`, in rounds; None: never.

    As Horváth et al. (2022): Clopper and Pearson's bound, each round at its share of alpha. There a
    round counts its own draws alone; here it counts all so far, which takes fewer.
    """
    for n in ROUNDS:
        count = int(row[:n].sum())
        if beta.ppf(ALPHA / len(ROUNDS), count, n - count + 1) > least:
            return n
    return None


def by_betting(row: Vector, least: float) -> int | None:
    """Return when a betting confidence sequence is above `least`; None: never.

    As Voráček (2024): the wealth of all bets at once, mixed by Jeffreys's Beta(1/2, 1/2), judged
    after each draw.
    """
    n = np.arange(1, row.size + 1)
    count = np.cumsum(row, dtype=np.float64)
    mixed = betaln(count + 0.5, n - count + 0.5) - betaln(0.5, 0.5)
    wealth = mixed - count * math.log(least) - (n - count) * math.log1p(-least)
    shown = np.flatnonzero((wealth >= math.log(1 / ALPHA)) & (count > least * n))
    return int(shown[0]) + 1 if shown.size else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for run in (train, record, decide, votes, strictness):
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument("--sigma", type=float, default=0.25)
        if run in (train, record):
            command.add_argument("--data", required=True)
            command.add_argument("--network", type=Path, required=True)
        if run is not train:
            command.add_argument("--scores", type=Path, required=True)
        if run is train:
            command.add_argument("--epochs", type=int, default=EPOCHS)
        if run is record:
            command.add_argument("--inputs", type=int, default=100)
            command.add_argument("--skip", type=int, default=66)
        if run is decide:
            command.add_argument("--figure", type=Path)
        if run is strictness:
            command.add_argument(
                "--values", type=float, nargs="+", default=[0.0, 0.125, 0.25, 0.5, 1.0]
            )
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
