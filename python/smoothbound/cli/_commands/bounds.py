"""`smoothbound bounds`: certificates from files of scores."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from smoothbound._display.console import say
from smoothbound._display.rounding import ceil_significant, floor_significant
from smoothbound._files.checksum import digest
from smoothbound._utils import checks
from smoothbound.backends import _select as backends
from smoothbound.backends._names import BACKENDS, BANDS, BOUNDS, ORDERS, SIDES, STATISTICS
from smoothbound.cli._commands._per_row import PerRow, least_and_largest, one_or_each
from smoothbound.cli._options import (
    Alpha,
    Band,
    NBins,
    Radii,
    Thresholds,
    default_radii,
    numbers,
)
from smoothbound.cli._run_options import shard_of
from smoothbound.curves._named import NAMES as CURVES
from smoothbound.curves._named import curve as curve_of
from smoothbound.curves._tabulated import Tabulated
from smoothbound.errors import StoreError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from smoothbound.bounds._certificate import Certificate
    from smoothbound.curves._curve import Curve
    from smoothbound.scores._score_file import ScoreFile, Scores
    from smoothbound.store._shards.shard import Shard

__all__ = ["bounds"]

_DRAWS, _MACHINE, _SHARDS = "The scores", "How it runs", "Runs in shards"
_CURVE = (
    f"Noise of the draws: one of {', '.join(CURVES)}, with numbers for K and D; or a .json or "
    ".npz file with the radii, the p and the values of a curve. Radii are l2 distances for the "
    "Gaussian, l1 distances for the next two, numbers of changed pixels for ablation, and "
    "distances in the units of the file for a file. Ablation and a file take no --sigma "
    "(docs/other-noises.md)."
)


def bounds(
    scores: Annotated[
        list[Path],
        typer.Argument(
            metavar="SCORES...",
            help="A .npy file of shape (inputs, draws); an .npz file with such an array under any "
            "name; a .parquet, .arrow, .arrows or .feather file with a column of lists; or a .csv "
            "file with a line for each input. Other columns, such as ids, are kept. In a .csv file "
            "with a header, columns whose names are one word and a number (s0, s1, ...) are "
            "scores; without a header, all columns are. Several files, or a folder of Parquet "
            "files, are one table, with the file of each row in the column 'file'.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="File to write: .parquet, with the settings in its metadata; or .csv, with the "
            "settings in a second file, whose name has .json appended. With --shard, a folder.",
            show_default=False,
        ),
    ],
    sigma: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER(S) or FILE",
            help="Noise level in the units of the model's input before normalisation; required "
            "unless --curve has no scale. For a noise level of each row: numbers separated by "
            "commas, or a .npy, .txt or .csv file of them. A row is then certified only where "
            "sigma is constant around its input: state --constant-within (docs/other-noises.md).",
            show_default=False,
        ),
    ] = None,
    score_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Range of the scores.",
            metavar="A B",
            show_default="0 1; for --statistic probability or quantile none",
            rich_help_panel=_DRAWS,
        ),
    ] = None,
    constant_within: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER(S) or FILE",
            help="Radius within which sigma is constant around each input: one for all rows, or "
            "one for each row like --sigma. Nothing is certified beyond it. Leaving it out "
            "states that sigma is constant within every certified radius.",
            show_default=False,
            rich_help_panel=_DRAWS,
        ),
    ] = None,
    alpha: Alpha = 1e-3,
    radii: Radii = None,
    thresholds: Thresholds = None,
    bound: Annotated[
        str | None,
        typer.Option(
            help=f"One of {', '.join(BOUNDS)}: 'mean' is Theorem 1 of Kumar et al. 2020, 'cdf' "
            "is Theorem 2, 'tangent' is usually the tightest at a single radius, 'joint' at all "
            "at once. The default is joint with --order drawn, and cdf otherwise. It is also "
            "cdf with few draws, with another --curve, or if --band or --n-bins is stated.",
            show_default=False,
        ),
    ] = None,
    band: Band = None,
    n_bins: NBins = None,
    curve: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help=_CURVE,
            rich_help_panel=_DRAWS,
        ),
    ] = "gaussian",
    sides: Annotated[
        str, typer.Option(help="lower, upper, or both with alpha split between them.")
    ] = "lower",
    statistic: Annotated[
        str,
        typer.Option(
            help="The quantity to bound: the 'mean' of the scores, the 'probability' of a score "
            "of at least each of --levels, or a 'quantile' at each of --levels, such as 0.5 for "
            "the median."
        ),
    ] = "mean",
    levels: Annotated[
        str | None,
        typer.Option(
            help="Levels of --statistic probability or quantile, such as 0.05,0.5.",
            show_default=False,
        ),
    ] = None,
    order: Annotated[
        str,
        typer.Option(
            help="For 'tangent' and 'joint': 'unknown' permutes the draws of each row first, "
            "because they may be sorted; 'drawn' keeps an order that does not depend on their "
            "values.",
            rich_help_panel=_DRAWS,
        ),
    ] = "unknown",
    seed: Annotated[
        int,
        typer.Option(
            help="Key of that permutation. Fix it before you see the scores.",
            rich_help_panel=_DRAWS,
        ),
    ] = 0,
    key: Annotated[
        str | None,
        typer.Option(
            help="Name of the array or column, or of the columns of a .csv file without their "
            "numbers, if there are several.",
            show_default=False,
            rich_help_panel=_DRAWS,
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help="cpp or numba.", show_default="cpp if it was built", rich_help_panel=_MACHINE
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Number of threads.", show_default="all cores", rich_help_panel=_MACHINE),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Certify the I-th of N equal parts of the rows, from 0 to N - 1, into a file in "
            "the folder --out, which is one table once all parts are there. auto takes I and N "
            "from the scheduler.",
            show_default=False,
            rich_help_panel=_SHARDS,
        ),
    ] = None,
) -> None:
    """Certify files of scores: one row of bounds for each row of scores.

    The scores are read, certified and written a few rows at a time, so a file can be larger than
    memory.
    """
    from smoothbound.bounds._levels.arguments import default_range
    from smoothbound.bounds._method import Method
    from smoothbound.bounds._request import Request
    from smoothbound.bounds._sample_size import default_method
    from smoothbound.scores._files import open_scores
    from smoothbound.scores._score_file import between, without_categories

    target = _Target.of(out, None if shard is None else shard_of(shard))
    what = checks.choice("statistic", statistic, STATISTICS)
    ends = default_range(what) if score_range is None else score_range
    noise = _noise_of(curve)
    levels_of_rows = one_or_each("--sigma", sigma)
    reach = one_or_each("--constant-within", constant_within)
    scale, largest = least_and_largest(noise, levels_of_rows)
    grid = _usual_radii(noise, largest) if radii is None else numbers("--radii", radii)
    middle = [sum(ends) / 2] if what == "mean" else []
    side = checks.choice("sides", sides, SIDES)
    kept = checks.choice("order", order, ORDERS)
    stated = Method.for_statistic(
        what,
        None if bound is None else checks.choice("bound", bound, BOUNDS),
        None if band is None else checks.choice("band", band, BANDS),
        n_bins,
    )
    file = open_scores(scores[0] if len(scores) == 1 else scores, key)
    method = stated or default_method(
        file.n_draws, alpha=alpha, order=kept, sides=side, curve=noise
    )
    request = Request(
        sigma=scale,
        curve=noise,
        alpha=alpha,
        score_range=ends,
        radii=tuple(grid),
        thresholds=tuple(middle if thresholds is None else numbers("--thresholds", thresholds)),
        method=method,
        statistic=what,
        levels=() if levels is None else tuple(numbers("--levels", levels)),
        sides=side,
        order=kept,
        order_seed=seed,
    )
    chosen = None if backend is None else checks.choice("backend", backend, BACKENDS)
    implementation = backends.resolve(chosen)
    per_row = PerRow.of(levels_of_rows, reach, file.n_inputs)
    rows, head = target.rows(file.n_inputs), next(file.chunks)
    table = {
        "n_inputs": file.n_inputs,
        "n_draws": file.n_draws,
        "columns": {one.name: str(one.type) for one in without_categories(file.ids[:0]).schema},
        "digest of the first row": digest(head[0].tobytes()).hex(),
        **per_row.digests,
    }
    chunks = between(rows, chain([head], file.chunks))
    first = next(chunks)
    named = str(scores[0]) if len(scores) == 1 else f"{len(scores)} places"
    say(_understood(named, file, first), Console(stderr=True))
    certify = per_row.certifier(request, implementation, threads)
    certificates = _certificates(named, file, rows.start, chain([first], chunks), certify)
    made = next(certificates)
    if target.is_done(made, table):
        say(f"{target.path}: finished earlier, and not changed")
        return
    of_table = None if target.shard is None else table
    _write(target.path, file, rows, chain([made], certificates), of_table)
    say(f"{target.path}: {len(rows)} inputs, {file.n_draws} draws each")


def _noise_of(curve: str) -> Curve:
    """Return the curve of a name or of a file."""
    if curve.lower().endswith((".json", ".npz")):
        return Tabulated.load(curve)
    if Path(curve).suffix:
        raise ValueError(
            f"--curve must be a name, a .json file or an .npz file, got {curve!r}; Tabulated.save "
            "writes such files"
        )
    return curve_of(curve)


def _usual_radii(curve: Curve, sigma: float) -> list[float]:
    """Return the default radii."""
    if isinstance(curve, Tabulated):
        return sorted({0.0, *curve.radii})
    return default_radii(sigma) if curve.has_scale else [float(n) for n in range(17)]


@dataclass(frozen=True)
class _Target:
    """The file to write, and its shard if it does not hold all rows."""

    path: Path
    shard: Shard | None

    @classmethod
    def of(cls, out: Path, shard: Shard | None) -> _Target:
        """Return the target of --out and --shard; refuse to replace a file."""
        from smoothbound.bounds import _certificate_files as files

        if shard is None:
            beside = [files.settings_beside(out)] if out.suffix.lower() == ".csv" else []
            for path in (out, *beside):
                if path.exists():
                    raise StoreError(f"{path} exists; delete it or choose another --out")
            files.require_kind(out)
            return cls(out, None)
        if out.suffix.lower() in files.KINDS or (out.exists() and not out.is_dir()):
            raise StoreError(f"--out must be a folder with --shard, got {out}")
        return cls(files.part_file(out, shard.index, shard.count), shard)

    def rows(self, n_inputs: int) -> range:
        """Return the rows to certify."""
        from smoothbound.bounds._certificate_files import rows_of_part

        if self.shard is None:
            return range(n_inputs)
        if self.shard.count > n_inputs:
            raise ValueError(
                f"--shard {self.shard} is of more shards than the {n_inputs} rows of the scores"
            )
        return rows_of_part(self.shard.index, self.shard.count, n_inputs)

    def is_done(self, certificate: Certificate, scores: dict[str, object]) -> bool:
        """Return whether the shard is finished; check the other shards and make their folder."""
        from smoothbound.bounds import _certificate_files as files

        if self.shard is None:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.require_same_run(self.path.parent, certificate.settings, self.shard.count, scores)
        is_there = self.path.exists()
        if is_there:
            files.require_whole_part(self.path)
        return is_there


def _certificates(
    named: str,
    file: ScoreFile,
    begin: int,
    chunks: Iterable[Scores],
    certify: Callable[..., Certificate],
) -> Iterator[Certificate]:
    row = begin
    for chunk in chunks:
        try:
            yield certify(chunk, first_row=row)
        except ValueError as error:
            if not row and not file.parts:  # the error has the row numbers of the file
                raise
            where = f"{named} counted from {row}{_begins_in(file, row, len(chunk))}"
            raise ValueError(f"in the rows of {where}: {error}") from error
        row += len(chunk)


def _begins_in(file: ScoreFile, row: int, count: int) -> str:
    """Return the names of the files of some rows, if there are several files."""
    starts = [start for start, _ in file.parts]
    here = file.parts[max(bisect_right(starts, row) - 1, 0) : bisect_right(starts, row + count - 1)]
    if not here:
        return ""
    (start, first), (_, last) = here[0], here[-1]
    through = "" if first == last else f" to {last}"
    return f" (row {row - start} of {first}{through})"


def _write(
    out: Path,
    file: ScoreFile,
    rows: range,
    certificates: Iterable[Certificate],
    of_table: dict[str, object] | None,
) -> None:
    """Write certificates with the ids of the file, each while the next one is computed."""
    from smoothbound._display.progress import progress
    from smoothbound.bounds._certificate_files import writing
    from smoothbound.scores._score_file import without_categories

    with (
        writing(out, of_table) as write,
        progress("inputs certified", len(rows)) as advance,
        ThreadPoolExecutor(1) as pool,
    ):
        row = rows.start
        written: Future[None] | None = None
        for certificate in certificates:
            if written is not None:
                written.result()
            ids = without_categories(file.ids[row : row + len(certificate)])
            written = pool.submit(write, ids, certificate)
            row += len(certificate)
            advance(len(certificate))
        if written is not None:
            written.result()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name or "a column without a name" for name in names)


def _understood(scores: str, file: ScoreFile, chunk: Scores) -> str:
    """Return a text about how a file was read, so that mistakes show before the work."""
    rows = "all" if len(chunk) == file.n_inputs else f"the first {len(chunk)}"
    low, high = floor_significant(chunk.min(), 4), ceil_significant(chunk.max(), 4)
    columns = {"kept": file.ids.column_names, "left out": file.left_out}
    beside = "".join(f"; {done}: {_listed(names)}" for done, names in columns.items() if names)
    files = f" ({len(file.parts)} files)" if file.parts else ""
    return (
        f"{scores}{files}: {file.n_inputs} inputs x {file.n_draws} draws of {file.dtype}, "
        f"{rows} in [{low}, {high}]{beside}"
    )
