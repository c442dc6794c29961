"""What adaptive sampling saves, what it costs, and how often it errs.

    python benchmarks/studies/adaptive.py coverage    # violations at a loose alpha, at the boundary
    python benchmarks/studies/adaptive.py power       # certified and draws, against fixed n
    python benchmarks/studies/adaptive.py choices     # which stages, split of alpha, futility
    python benchmarks/studies/adaptive.py real --checkpoint ckpt.pt --data cifar10:DIR --scores DIR

`real` draws n scores of each image once, keeps them in the folder as float32 .npy, one file an
image, and replays the stages on them: the draws that a live run would see.  Killed and started
again, it draws only what is missing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

import smoothbound as sb
from smoothbound import adaptive
from smoothbound._files.atomic import atomic_write
from tightness import DISTRIBUTIONS, population

Vector = NDArray[Any]
ALPHA = 1e-3


def replay(plan: adaptive.Plan, scores: Vector) -> adaptive.Answer:
    """Feed recorded scores, in the order in which they were drawn."""
    job, at = plan.start(), 0
    while wanted := job.remaining:
        job.update(scores[at : at + wanted])
        at += wanted
    assert job.answer is not None
    return job.answer


class Tally(NamedTuple):
    """Of some inputs: how many were certified, and the mean number of draws."""

    certified: float
    draws: float


def tally(plan: adaptive.Plan, rows: Vector) -> Tally:
    answers = [replay(plan, row) for row in rows]
    certified = sum(answer.certified for answer in answers)
    return Tally(certified, float(np.mean([answer.n_draws for answer in answers])))


@contextmanager
def choice(**constants: float) -> Iterator[None]:
    """Replace constants of the module for a while."""
    with patch.dict(vars(adaptive), {f"_{name.upper()}": at for name, at in constants.items()}):
        yield


def make(c: float, radius: float, sigma: float, n: int, **options: Any) -> adaptive.Plan:
    question = adaptive.Decide(c, radius)
    return adaptive.plan(question, **{"sigma": sigma, "alpha": ALPHA, "n_max": n} | options)


def fixed(rows: Vector, c: float, radius: float, sigma: float, **options: Any) -> float:
    """Count the inputs that all their draws certify at (c, R)."""
    cert = sb.certify_scores(rows, sigma=sigma, alpha=ALPHA, radii=[radius], **options)
    assert cert.lower is not None
    return float((cert.lower[:, 0] > c).sum())


PAPER: dict[str, Any] = {"bound": "cdf", "band": "dkw", "n_bins": 10_000}
TIGHTEST: dict[str, Any] = {"bound": "tangent"}

# coverage --------------------------------------------------------------------------------------

Sampler = Callable[[np.random.Generator, int], Vector]


def two_points(p: float) -> Sampler:
    """Return a sampler of the scores 1, with probability p, and 0."""
    return lambda rng, m: (rng.uniform(size=m) < p).astype(np.float64)


def boundaries() -> Iterator[tuple[str, Sampler, float, float]]:
    """Yield distributions with a threshold c and the radius / sigma whose worst case is just c."""
    for p, c in ((0.9, 0.6), (0.99, 0.8)):
        yield f"1 or 0, P(1) = {p:g}", two_points(p), c, float(ndtri(p) - ndtri(c))
    for name, (sample, survival, thresholds) in DISTRIBUTIONS.items():
        if survival is not None:
            for c in thresholds:
                if (limit := population(survival, c)) < 2.0:  # beyond it few draws certify nothing
                    yield name, sample, c, limit


def coverage(args: argparse.Namespace) -> None:
    """Count false answers where the claim is false by nothing: the hardest case."""
    alpha, n = args.alpha, args.n or 4000
    print(f"alpha = {alpha:g}, n_max = {n}, {args.repeats} repetitions\n")
    print("| scores | c | R/σ | bound | false decisions | draws | false radii | draws |")
    print("|---|---|---|---|---|---|---|---|")
    for name, sample, c, limit in boundaries():
        radius = limit + 1e-6  # outweighs the error of the quadrature
        for bound in ("tangent", "cdf"):
            options = {"sigma": 1.0, "alpha": alpha, "n_max": n, "bound": bound}
            questions = adaptive.Decide(c, radius), adaptive.FindRadius(c, 0.1)
            cells = []
            for question in questions:
                plan = adaptive.plan(question, **options)
                rng = np.random.default_rng([7, len(name)])
                answers = [replay(plan, sample(rng, n)) for _ in range(args.repeats)]
                false = np.mean([answer.radius >= radius for answer in answers])  # NaN is below
                draws = np.mean([answer.n_draws for answer in answers])
                cells.append(f"{100 * false:.2f} % | {draws:.0f}")
            print(f"| {name} | {c:g} | {limit:.3f} | {bound} | {' | '.join(cells)} |", flush=True)


# power -----------------------------------------------------------------------------------------


def power(args: argparse.Namespace) -> None:
    """Compare at the radius that the paper's method certifies in half of the repetitions.

    And at the radius that the tightest method certifies in four of five: there futility costs most.
    """
    n, repeats = args.n or 100_000, args.repeats
    print(f"percent certified, and draws; n = {n}, {repeats} repetitions\n")
    print("| scores | c | R/σ | dkw, n | tangent, n | stages to n | adaptive | draws | saved |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, sample, c, _ in boundaries():
        rng = np.random.default_rng([8, len(name)])
        rows = np.stack([sample(rng, n) for _ in range(repeats)])
        for method, share in ((PAPER, 0.5), (TIGHTEST, 0.2)):
            radius = reached(rows, c, share, **method)
            with choice(futility_errors=np.inf):
                patient = tally(make(c, radius, 1.0, n), rows)
            quick = tally(make(c, radius, 1.0, n), rows)
            counts = (
                fixed(rows, c, radius, 1.0, **PAPER),
                fixed(rows, c, radius, 1.0, **TIGHTEST),
                patient.certified,
                quick.certified,
            )
            cells = " | ".join(f"{100 * count / repeats:.0f}" for count in counts)
            saved = f"{quick.draws:.0f} | {n / quick.draws:.1f}"
            print(f"| {name} | {c:g} | {radius:.3f} | {cells} | {saved} |", flush=True)


# choices ---------------------------------------------------------------------------------------

CHOICES: dict[str, tuple[dict[str, float], dict[str, Any]]] = {
    "as shipped": ({}, {}),
    "growth 1.5": ({"growth": 1.5}, {}),
    "growth 3.16": ({"growth": 10**0.5}, {}),
    "growth 10": ({"growth": 10.0}, {}),
    "from 100 draws": ({"smallest": 100}, {}),
    "from 500 draws": ({"smallest": 500}, {}),
    "from 1000 draws": ({"smallest": 1000}, {}),
    "from 3000 draws": ({"smallest": 3000}, {}),
    "equal levels": ({"level_power": 0.0}, {}),
    "levels as the root of the draws": ({"level_power": 0.5}, {}),
    "futility at 1 error": ({"futility_errors": 1.0}, {}),
    "futility at 2 errors": ({"futility_errors": 2.0}, {}),
    "futility at 3 errors": ({"futility_errors": 3.0}, {}),
    "no futility": ({"futility_errors": np.inf}, {}),
    "Theorem 2, ell, 1000 bins": ({}, {"bound": "cdf"}),
    "Theorem 2, ell, every draw": ({}, {"bound": "cdf", "n_bins": None}),
}


def inputs(count: int, n: int) -> Iterator[Vector]:
    """Make inputs from hopeless to saturated: logistic(mu + s N), mu and s spread evenly."""
    rng = np.random.default_rng(20)
    for _ in range(count):
        mu, s = rng.uniform(-1, 7), rng.choice([0.5, 1.0, 1.5, 2.5])
        yield expit(mu + s * rng.standard_normal(n)).astype(np.float32)


Case = tuple[Vector, float, float]  # the scores of some inputs, a threshold c, and a radius R


def choices(args: argparse.Namespace) -> None:
    """Compare on a mixture of inputs, and on borderline ones: certified by n draws in 4 of 5."""
    n = args.n or 100_000
    rows = np.stack(list(inputs(args.inputs, n)))
    claims = ((0.5, 0.5), (0.5, 1.0), (0.5, 2.0), (0.8, 0.5), (0.8, 1.0))
    print_choices({f"c = {c:g}, R = {r:g}": (rows, c, r) for c, r in claims}, sigma=1.0)
    print()
    borderline: dict[str, Case] = {}
    for name, sample, c, _ in boundaries():
        rng = np.random.default_rng([9, len(name)])
        rows = np.stack([sample(rng, n // 5) for _ in range(args.inputs)])
        radius = reached(rows, c, 0.2, **TIGHTEST)
        borderline[f"{name}, c = {c:g}, R = {radius:.3f}"] = rows, c, radius
    print_choices(borderline, sigma=1.0)


def reached(rows: Vector, c: float, share: float, **options: Any) -> float:
    """Return the radius / sigma below which the certified radius of a share of the inputs lies."""
    found = sb.certify_scores(rows, sigma=1.0, alpha=ALPHA, thresholds=[c], **options).radius
    assert found is not None
    return float(np.quantile(np.nan_to_num(found), share))


def print_choices(cases: dict[str, Case], *, sigma: float) -> None:
    """Print how many inputs each choice certifies, and its mean number of draws, in each case."""
    print(f"| choice | {' | '.join(cases)} | all |\n|---|{'---|' * (len(cases) + 1)}")
    for name, method in (("dkw, all draws", PAPER), ("tangent, all draws", TIGHTEST)):
        cells = [
            Tally(fixed(rows, c, radius, sigma, **method), rows.shape[1])
            for rows, c, radius in cases.values()
        ]
        print_cells(name, cells)
    for name, (constants, options) in CHOICES.items():
        with choice(**constants):
            cells = [
                tally(make(c, radius, sigma, rows.shape[1], **options), rows)
                for rows, c, radius in cases.values()
            ]
        print_cells(name, cells)


def print_cells(name: str, cells: list[Tally]) -> None:
    whole = Tally(sum(c.certified for c in cells), float(np.mean([c.draws for c in cells])))
    words = " | ".join(f"{cell.certified:.0f}, {cell.draws:.0f}" for cell in [*cells, whole])
    print(f"| {name} | {words} |", flush=True)


# real ------------------------------------------------------------------------------------------

CLAIMS = [(0.5, 0.0), (0.5, 0.25), (0.5, 0.5), (0.5, 0.75), (0.7, 0.25), (0.8, 0.25), (0.9, 0.25)]


def real(args: argparse.Namespace) -> None:
    n = args.n or 100_000
    rows = np.stack(list(recorded(args, n)))
    print(f"{len(rows)} images, sigma = {args.sigma:g}, n = {n}, alpha = {ALPHA:g}\n")
    print("| c | R | dkw, n | ell, n | tangent, n | stages to n | adaptive | draws | saved |")
    print("|---|---|---|---|---|---|---|---|---|")
    for c, radius in CLAIMS:
        with choice(futility_errors=np.inf):
            patient = tally(make(c, radius, args.sigma, n), rows)
        quick = tally(make(c, radius, args.sigma, n), rows)
        methods: list[dict[str, Any]] = [PAPER, {"bound": "cdf"}, TIGHTEST]
        counts = [fixed(rows, c, radius, args.sigma, **method) for method in methods]
        counts += [patient.certified, quick.certified]
        cells = " | ".join(f"{count:.0f}" for count in counts)
        print(f"| {c:g} | {radius:g} | {cells} | {quick.draws:.0f} | {n / quick.draws:.1f} |")
    print("\n| c | precision/σ | mean R: dkw, n | tangent, n | adaptive | draws | saved |")
    print("|---|---|---|---|---|---|---|")
    for c in (0.5, 0.8):
        for precision in (0.2, 0.1, 0.05):
            print(radius_row(rows, c, precision, args.sigma), flush=True)
    if args.choices:
        print()
        cases = {f"c = {c:g}, R = {r:g}": (rows, c, r) for c, r in CLAIMS}
        print_choices(cases, sigma=args.sigma)


def radius_row(rows: Vector, c: float, precision: float, sigma: float) -> str:
    """Compare mean certified radii; one that is not certified at all counts as 0."""
    n = rows.shape[1]
    common: dict[str, Any] = {"sigma": sigma, "alpha": ALPHA}
    whole = [sb.certify_scores(rows, thresholds=[c], **common, **m) for m in (PAPER, TIGHTEST)]
    plan = adaptive.plan(adaptive.FindRadius(c, precision), n_max=n, **common)
    answers = [replay(plan, row) for row in rows]
    radii = [cert.radius for cert in whole] + [[answer.radius for answer in answers]]
    cells = " | ".join(f"{np.nan_to_num(np.array(r, float)).mean():.4f}" for r in radii)
    draws = np.mean([answer.n_draws for answer in answers])
    return f"| {c:g} | {precision:g} | {cells} | {draws:.0f} | {n / draws:.1f} |"


def recorded(args: argparse.Namespace, n: int) -> Iterator[Vector]:
    """Yield the scores of each image, drawn and kept where the folder does not have them."""
    from smoothbound.data._loading import load
    from smoothbound.models import checkpoint

    model, _ = checkpoint.load(args.checkpoint)
    images = load(args.data, "test")
    settings = {
        "sigma": args.sigma,
        "n": n,
        "bf16": args.bf16,
        "size": args.checkpoint.stat().st_size,
    }
    check_settings(args.scores, settings)

    precision = "bfloat16" if args.bf16 else "float32"
    smoothed = sb.SmoothedClassifier(model, args.sigma, precision=precision, channels_last=True)
    for index in images.select(args.skip, args.inputs).tolist():
        path = args.scores / f"{index}.npy"
        if not path.exists():
            draws = smoothed.draw(images[index][0], n=n, index=index, grid=images.grid)
            with atomic_write(path) as file:
                np.save(file, draws.scores)
            print(f"image {index}: mean score {draws.scores.mean():.3f}", flush=True)
        yield np.load(path, allow_pickle=False)


def check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder whose scores were drawn otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    if not path.exists():
        path.write_text(json.dumps(settings))
    if json.loads(path.read_text()) != settings:
        raise SystemExit(f"{folder} holds scores drawn with {path.read_text()}, not {settings}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.set_defaults(n=None)
    commands = parser.add_subparsers(required=True)
    for run, repeats in ((coverage, 4000), (power, 60), (choices, None), (real, None)):
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        command.add_argument("--n", type=int, help="most draws of an input")
        if repeats:
            command.add_argument("--repeats", type=int, default=repeats)
        else:
            command.add_argument("--inputs", type=int, default=150)
        if run is coverage:
            command.add_argument("--alpha", type=float, default=0.1)
        if run is real:
            command.add_argument("--checkpoint", type=Path, required=True)
            command.add_argument("--data", required=True, help="cifar10:DIR")
            command.add_argument("--scores", type=Path, required=True, help="folder to keep them")
            command.add_argument("--sigma", type=float, default=0.25)
            command.add_argument("--skip", type=int, default=20)
            command.add_argument("--bf16", action="store_true", help="run the network in bfloat16")
            command.add_argument("--choices", action="store_true", help="compare the choices too")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
