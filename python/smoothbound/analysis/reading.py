"""Evaluations from results folders, certificates and published logs, each with a name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import chain, count
from pathlib import Path

from smoothbound._display.printable import file_stem, printable
from smoothbound._utils import checks
from smoothbound.analysis import logs
from smoothbound.analysis._sources.certificates import of_certificate, of_levels
from smoothbound.analysis._sources.results import evaluate
from smoothbound.analysis._sources.sentences import (
    describe_draws,
    describe_false,
    describe_family,
    describe_unreachable,
)
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.bounds._certificate import Certificate
from smoothbound.bounds._certificate_files import parts_in
from smoothbound.bounds._levels.certificate import LevelCertificate
from smoothbound.errors import DataError
from smoothbound.store._folder import JOURNAL, RESULTS
from smoothbound.store._shards.parts import parts_of
from smoothbound.store._stored import open_folder

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
    """Return a name whose files do not clash with those of another evaluation."""
    taken, name = {file_stem(other.name) for other in evaluations}, printable(name)
    names = chain([name], (f"{name}-{k}" for k in count(2)))
    return next(free for free in names if file_stem(free) not in taken)


def _of_certificates(certificate: Certificate, name: str) -> list[Evaluation]:
    if isinstance(certificate, LevelCertificate):
        return of_levels(certificate, name)
    return [of_certificate(certificate, name)]


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


def _day(path: Path) -> str:
    """Return the day, in universal time, on which an input was last written."""
    files = [path] if path.is_file() else [path / RESULTS, path / JOURNAL]
    files += [part / name for part in parts_of(path) for name in (RESULTS, JOURNAL)]
    files += parts_in(path)
    last = max(file.stat().st_mtime for file in files if file.exists())
    return datetime.fromtimestamp(last, tz=timezone.utc).strftime("%Y-%m-%d")
