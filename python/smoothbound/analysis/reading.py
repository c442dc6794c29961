"""Evaluations read from results folders, certificates and published logs, each with its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timezone
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._display.interval import product
from smoothbound._display.printable import file_stem, printable
from smoothbound._display.rounding import ceil_significant, exact, percent
from smoothbound._utils import checks
from smoothbound._utils.checks import SUM_TOLERANCE
from smoothbound.analysis import logs
from smoothbound.analysis._stored import MOST_IN_MEMORY, StoredEvaluation, in_memory
from smoothbound.analysis.evaluation import WITHOUT_DRAWS, Bounds, Evaluation
from smoothbound.anytime._record import AdaptiveRecord
from smoothbound.bounds._certificate import Certificate
from smoothbound.bounds._certificate_files import parts_in
from smoothbound.bounds._levels.certificate import LevelCertificate
from smoothbound.bounds._request import Settings
from smoothbound.curves._named import GAUSSIAN
from smoothbound.errors import DataError, StoreError
from smoothbound.noise._kinds import Kind
from smoothbound.noise._record import NoiseRecord
from smoothbound.store._commands import certify_command
from smoothbound.store._results import JOURNAL, RESULTS, Results, as_array
from smoothbound.store._settings import RunSettings
from smoothbound.store._shards.parts import parts_of
from smoothbound.store._stored import StoredResults, of_memory, open_folder

_SELECTED = {"score": "mean score", "votes": "votes"}

__all__ = [
    "describe_draws",
    "describe_false",
    "describe_family",
    "describe_unreachable",
    "evaluate",
    "of_certificate",
    "of_levels",
    "read",
]


def read(inputs: Sequence[str | Path], class_radius: Sequence[str | Path] = ()) -> list[Evaluation]:
    """Read results folders and logs, each under a name of its own; see `write_report`."""
    paths = checks.paths("inputs", inputs)
    class_radius = checks.paths("class_radius", class_radius)
    is_log = [
        path.suffix == ".tsv" or (path.suffix != ".parquet" and path.exists() and not path.is_dir())
        for path in paths
    ]
    if not paths:
        raise ValueError("inputs must name at least one results folder or log, got none")
    if len(class_radius) not in (0, sum(is_log)):
        raise ValueError(
            "class_radius must name one file for each log among the inputs, in their order: "
            f"got {len(class_radius)} for {sum(is_log)} logs"
        )
    joins = iter(class_radius)
    evaluations: list[Evaluation] = []
    for path, log in zip(paths, is_log, strict=True):
        if log:
            one = _read_log(path)
            join = next(joins, None)
            found = [one if join is None else logs.with_class_radius(one, join)]
        elif (path.suffix == ".parquet" and path.is_file()) or parts_in(path):
            found = _of_certificates(Certificate.load(path), path.stem)
        else:
            found = [evaluate(open_folder(path), path.resolve().name or "results")]
        for one in found:
            one = one.changed(origin=(*one.origin, f"Results of {_day(path)}."))
            evaluations.append(one.changed(name=_free_name(one.name, evaluations)))
    return evaluations


def _free_name(name: str, evaluations: Sequence[Evaluation]) -> str:
    """Return a name whose files are not those of another evaluation."""
    taken, name = {file_stem(other.name) for other in evaluations}, printable(name)
    names = chain([name], (f"{name}-{k}" for k in count(2)))
    return next(free for free in names if file_stem(free) not in taken)


def _of_certificates(certificate: Certificate, name: str) -> list[Evaluation]:
    if isinstance(certificate, LevelCertificate):
        return of_levels(certificate, name)
    return [of_certificate(certificate, name)]


def of_levels(certificate: LevelCertificate, name: str) -> list[Evaluation]:
    """Make an evaluation of each level of certified probabilities or quantiles, without labels.

    Parameters
    ----------
    certificate : LevelCertificate
        With lower bounds. Where scores have no range, figures are about the range of the finite
        bounds on the quantile.
    name : str
        Its name; that of an evaluation has the level, too.

    Returns
    -------
    list of Evaluation
        What is measured is the probability or the quantile.

    Raises
    ------
    StoreError
        If there are no lower bounds, or none is finite although scores have no range.
    """
    return [
        of_certificate(certificate, f"{name}-{exact(level)}", place)
        for place, level in enumerate(certificate.settings.levels)
    ]


_MARGIN = 0.05  # of the width of an axis, beyond the least and the greatest bound


def _axis_of(
    lower: NDArray[np.float64], score_range: tuple[float, float], name: str
) -> tuple[float, float] | None:
    """Return a range around all finite bounds if the range of the scores is infinite."""
    if np.isfinite(score_range).all():
        return None
    finite = lower[np.isfinite(lower)]
    if not finite.size:
        raise StoreError(
            f"{name} has no finite bound, so that a report knows no axis for it: certify with more "
            "draws, or at smaller radii"
        )
    least, most = float(finite.min()), float(finite.max())
    margin = _MARGIN * (most - least) or max(_MARGIN * abs(most), _MARGIN)
    a, b = np.clip((least - margin, most + margin), *score_range).tolist()
    return a, b


def _measure_of(settings: Settings, place: int | None) -> str:
    """Return the name of what a certificate bounds, or what it bounds at one of its levels."""
    measure = printable(getattr(settings, "measure", "score"))
    if place is None:
        return measure
    level = exact(settings.levels[place])
    if settings.statistic == "probability":
        return f"P({measure} ≥ {level})"
    return f"{level}-quantile of the {measure}"


def of_certificate(certificate: Certificate, name: str, place: int | None = None) -> Evaluation:
    """Make an evaluation of certificates without labels, such as those of ``bounds``.

    Every input that is not abstained from counts as correct.

    Parameters
    ----------
    certificate : Certificate
        With lower bounds.
    name : str
        Its name in figures, tables and files.
    place : int, optional
        Which of the levels of a `LevelCertificate`.

    Returns
    -------
    Evaluation

    Raises
    ------
    StoreError
        If it has no lower bounds, or none at any radius.
    """
    settings = certificate.settings
    if certificate.lower is None or not certificate.lower.size:
        raise StoreError(
            f"{name} has no lower bounds to report on: certify the lower side, or both, at a radius"
        )
    own = {part.name: getattr(certificate, part.name) for part in fields(certificate)}
    index = own.get("index", np.arange(len(certificate)))
    classes = own.get("predicted", own.get("selected", np.zeros(len(certificate), np.int64)))
    radii, columns = np.unique(np.asarray(settings.radii), return_index=True)
    here: Any = slice(None) if place is None else (slice(None), place)
    noise = getattr(settings, "noise", NoiseRecord())
    adaptive = getattr(settings, "adaptive", None)
    limits = certificate.limits_of("lower", settings)
    lower = certificate.lower[here]
    radius = None if certificate.radius is None else certificate.radius[here]
    if _decided(adaptive) or settings.statistic == "quantile":
        radius = None  # that of a quantile says "at least", and a report says "above"
    return Evaluation(
        name=name,
        measure=_measure_of(settings, place),
        score_range=limits,
        sigma=settings.sigma if certificate.sigma is None and settings.curve.has_scale else None,
        curve=settings.curve,
        radii=radii,
        index=np.array(index),
        label=np.array(classes),
        predicted=np.array(classes),
        labelled=False,
        bounds=(
            Bounds(
                settings.method,
                lower[:, columns],
                radius,
            ),
        ),
        thresholds=np.asarray(settings.thresholds),
        notes=(
            f"{len(certificate)} inputs, {_noise_of(certificate)}, "
            f"α = {exact(settings.alpha)}, "
            f"{'' if adaptive is None else 'at most '}{settings.n} draws of each.",
            *_noise_caveat(noise.kind, getattr(settings, "displacement", 0.0)),
            "**No labels**: whether a class is the true one is not known, and every input counts "
            "as correct that is not abstained from.",
        ),
        alpha=settings.alpha_lower,
        adaptive=adaptive is not None,
        origin=(printable(f"Made with smoothbound {settings.version} ({settings.backend})."),),
        axis=_axis_of(lower, limits, name),
    )


def _noise_of(certificate: Certificate) -> str:
    """Name the noise, unless it is Gaussian, and its level, if it has one."""
    curve, level = certificate.settings.curve, certificate.noise_levels("σ")
    if curve == GAUSSIAN:
        return level
    return f"noise {curve.name}" + (f", {level}" if curve.has_scale else "")


def _read_log(path: Path) -> Evaluation:
    try:
        return logs.read_log(path)
    except DataError as error:
        if path.suffix == ".tsv":
            raise
        raise DataError(
            f"{path} is neither a results folder nor a log: {error}. A report reads results "
            "folders of certify, .parquet files that bounds wrote, and logs of Kumar et al. 2020; "
            "to report on scores, certify them with `smoothbound bounds SCORES --out OUT.parquet`"
        ) from error


def evaluate(results: Results | StoredResults, name: str) -> Evaluation:
    """Make an evaluation of a results folder.

    Parameters
    ----------
    results : Results or StoredResults
        A finished or unfinished run. Stored results must stay open as long as the evaluation is
        used. Those of many inputs stay on the disk, and are read anew for each statistic.
    name : str
        Its name in figures, tables and files.

    Returns
    -------
    Evaluation

    Raises
    ------
    StoreError
        If no input is finished yet.
    """
    settings = results.settings
    if not len(results):
        raise StoreError(f"{name} has no finished input yet")
    adaptive, shown = settings.adaptive, exact(settings.sigma)
    fields = {
        "name": name,
        "measure": settings.measure,
        "score_range": settings.score_range,
        "sigma": settings.sigma,
        "radii": np.unique(np.asarray(settings.radii)),
        "thresholds": np.asarray(settings.thresholds),
        "notes": tuple(map(printable, _notes(results))),
        "alpha": settings.alpha,
        "adaptive": adaptive is not None,
        "correct_only": adaptive is not None and adaptive.correct_only,
        "data": f"{settings.data}, {settings.split}",
        "network": f"{settings.arch}, {settings.checkpoint_sha256}",
        "title": printable(f"{settings.arch} on {settings.data}, {settings.measure}, σ = {shown}"),
        "origin": tuple(map(printable, _origin(settings))),
        "sum_error": SUM_TOLERANCE if settings.outputs == "probabilities" else Evaluation.sum_error,
    }
    stored = of_memory(results) if isinstance(results, Results) else results
    make = StoredEvaluation if len(results) > MOST_IN_MEMORY else in_memory
    return make(stored, fields, searched=not _decided(adaptive))


def _decided(adaptive: AdaptiveRecord | None) -> bool:
    """Say whether the run looked for no radius; the bounds then have the whole answer."""
    return adaptive is not None and adaptive.asked == "Decide"


def describe_draws(results: Results | StoredResults) -> str:
    """Say how many adaptive draws were made, and how many draws this saved.

    A draw of an input that failed is not counted.
    """
    n, count = results.settings.n, len(results)
    total = results.totals.n_draws
    selection = results.totals.n_selection / count
    saved = f"{percent(n * count - total, n * count)} % saved"
    ended = results.stopped_by_budget
    stopped = f"; the budget ended {ended} of {count} inputs" if ended else ""
    return (
        f"on average {total / count:.0f} of at most {n} an input ({saved}{stopped}), beside "
        f"{selection:.0f} that selected its class"
    )


def describe_unreachable(results: Results | StoredResults) -> tuple[str, ...]:
    """Say for how many inputs each radius is certified to be out of reach; empty if not asked."""
    settings = results.settings
    if not settings.both_answers:
        return ()
    name = f"unreachable_{settings.methods[-1].name}"
    stored = of_memory(results) if isinstance(results, Results) else results
    radii = np.asarray(settings.radii)
    counts = np.zeros((len(settings.thresholds), len(radii)), np.int64)
    for part in stored.batches([name]):
        counts += (as_array(part[name])[:, :, None] <= radii).sum(axis=0)
    return tuple(
        f"Certified no at c = {exact(c)}: by this theorem no number of draws certifies "
        + ", ".join(
            f"R = {exact(radius)} for {count} of {len(results)} inputs"
            for radius, count in zip(radii.tolist(), row.tolist(), strict=True)
        )
        + "."
        for c, row in zip(settings.thresholds, counts, strict=True)
    )


def describe_family(results: Results | StoredResults, *, of: str = "α") -> str:
    """Say which run the questions follow, and at which level both hold; empty if they follow none.

    Parameters
    ----------
    results : Results or StoredResults
    of : str
        The name of alpha.
    """
    settings = results.settings
    follows = None if settings.adaptive is None else settings.adaptive.follows
    if follows is None:
        return ""
    least, most = results.totals.first_draws
    levels = " + ".join(map(exact, (*follows.alphas, settings.alpha)))
    which = follows.name or "earlier draws"
    return (
        f"These questions were added after {which} (its settings have the fingerprint "
        f"{follows.fingerprint[:8]}); they are a family of their own at {of} = "
        f"{exact(settings.alpha)}, on later draws alone (the first has a number from "
        f"{least} to {most}). For an input, one certificate of each family hold "
        f"together with probability at least 1 - ({levels})."
    )


def describe_false(evaluation: Evaluation, *, of: str = "α") -> str:
    """Say how many inputs are expected to have a false certificate; empty if alpha is not known.

    Each input has a false certificate with probability at most alpha, so that the expected number
    is at most the product of both. Methods whose bounds hold at all radii and thresholds at once
    have one certificate an input, the others one for each radius and threshold.

    Parameters
    ----------
    evaluation : Evaluation
    of : str
        The name of alpha.
    """
    alpha, total = evaluation.alpha, evaluation.n_inputs
    if alpha is None:
        return ""
    together = [one.method.label for one in evaluation.bounds if one.method.holds_at_all_radii]
    single = [one.method.label for one in evaluation.bounds if not one.method.holds_at_all_radii]
    scopes = [
        f"for {_listed(labels)} at {where}"
        for labels, where in (
            (together, "all radii and thresholds together"),
            (single, "each radius and threshold"),
        )
        if labels
    ]
    return (
        f"By one method, at most {total} × {of} = {product(total, alpha)} of the {total} inputs "
        f"are expected to have a false certificate: {'; '.join(scopes)}. These are among the "
        "certified inputs."
    )


def _listed(words: list[str]) -> str:
    """Join words by commas, and the last one by "and"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _origin(settings: RunSettings) -> tuple[str, ...]:
    """Say how to make the results again: by which versions and which command."""
    count = settings.threads
    threads = "" if count is None else f", by {count} thread{'' if count == 1 else 's'}"
    versions = ", ".join(f"{name} {version}" for name, version in settings.versions.items())
    return (
        f"Made with {versions}, on {settings.device}, in batches of {settings.batch_size}"
        f"{threads}; seed {settings.seed}.",
        f"{certify_command(settings, 'results')}"
        f"{', and then smoothbound recertify results' if settings.from_counts else ''}.",
    )


def _day(path: Path) -> str:
    """Return the day, by universal time, on which an input was last written."""
    files = [path] if path.is_file() else [path / RESULTS, path / JOURNAL]
    files += [part / name for part in parts_of(path) for name in (RESULTS, JOURNAL)]
    files += parts_in(path)
    last = max(file.stat().st_mtime for file in files if file.exists())
    return datetime.fromtimestamp(last, tz=timezone.utc).strftime("%Y-%m-%d")


def _noise_caveat(kind: Kind | None, displacement: float) -> tuple[str, ...]:
    """Say what floating-point noise does not promise, and how far inputs were moved to a grid."""
    if kind == "gaussian":
        return (
            "**Floating-point noise**: its samples are not exactly Gaussian, and a network can be "
            "made that tells them from exact ones, so these certificates are not proven. "
            "Certify with lattice noise for a proof (docs/noise.md).",
        )
    if not displacement:
        return ()
    return (
        f"Inputs were moved to the nearest point of a lattice, by at most d = "
        f"{ceil_significant(displacement)}; every stated radius is 2d smaller than the one "
        "certified there.",
    )


def _notes(results: Results | StoredResults) -> tuple[str, ...]:
    settings = results.settings
    n = settings.n
    draws, others = f"{n} draws", f"on {settings.n0} others, "
    if settings.adaptive is not None:
        draws, others = f"adaptive draws, {describe_draws(results)},", ""
    cutoff = settings.cutoff
    split = "" if settings.split == "all" else f", {settings.split} split"
    notes = [
        f"{settings.arch} ({settings.checkpoint}) on {settings.data}{split}: "
        f"{settings.n_inputs} inputs{f', one in {settings.skip}' if settings.skip > 1 else ''}.",
        f"σ = {exact(settings.sigma)}, α = {exact(settings.alpha)}, {draws} to bound the "
        f"{settings.measure}; the class is selected {others}by its "
        f"{_SELECTED[settings.select]}; "
        f"{settings.noise.kind} noise, {settings.precision}.",
        *_noise_caveat(settings.noise.kind, settings.displacement),
        "Never abstains."
        if cutoff is None
        else f"Abstains where the {settings.measure} certified at R = 0 is not above "
        f"{exact(cutoff)}.",
    ]
    if settings.from_counts:
        notes.append(
            "Certified again from the counted scores alone: at most the width of a cell, 1/4096 of "
            "the range, below the certificates of the scores."
        )
    if settings.adaptive is not None:
        notes.append(
            f"Drawing stopped once the questions about c = "
            f"{', '.join(map(exact, settings.thresholds))} were answered or seemed out of reach: "
            f"shares at other thresholds are lower than {n} draws of each input would give, and "
            "more inputs are abstained from."
        )
        if settings.adaptive.correct_only:
            notes.append(
                f"**Certified accuracy alone**: {WITHOUT_DRAWS}, so that abstention, mean "
                "confidence and calibration are not known."
            )
    if unreachable := describe_unreachable(results):
        notes += unreachable
        notes.append(
            f"Each of the two answers to a question holds at α / 2 = {exact(settings.alpha / 2)}. "
            "That a radius is out of reach does not say that the class changes within it."
        )
    if family := describe_family(results):
        notes.append(family)
    if results.failed:
        notes.append(
            f"**Failed inputs**: the model failed on {results.failed} of {len(results)}; "
            "they count as not certified."
        )
    if not results.complete:
        notes.append(
            f"**Unfinished run**: {len(results)} of {settings.n_inputs} inputs; every share "
            "is of these."
        )
    return tuple(notes)
