"""`smoothbound bounds`: certificates for scores that are already there."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smoothbound.cli.options import (
    Alpha,
    Band,
    NBins,
    Radii,
    Sigma,
    Thresholds,
    default_radii,
    numbers,
)
from smoothbound.errors import StoreError
from smoothbound.method import BOUNDS

if TYPE_CHECKING:
    from smoothbound.certificate import Certificate

__all__ = ["bounds"]


def bounds(
    scores: Annotated[
        Path,
        typer.Argument(
            metavar="SCORES",
            help="A .npy file of shape (inputs, draws), an .npz file with such an array, or a "
            ".parquet, .arrow, .arrows or .feather file with a column of lists.",
            show_default=False,
        ),
    ],
    sigma: Sigma,
    out: Annotated[Path, typer.Option(help="Parquet file to write.", show_default=False)],
    score_range: Annotated[
        tuple[float, float], typer.Option(help="Range of the scores.", metavar="A B")
    ] = (0.0, 1.0),
    alpha: Alpha = 1e-3,
    radii: Radii = None,
    thresholds: Thresholds = None,
    bound: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(BOUNDS)}: 'mean' is Theorem 1 of Kumar et al. 2020, 'cdf' "
            "Theorem 2, 'tangent' the tightest at one radius at a time."
        ),
    ] = "cdf",
    band: Band = "ell",
    n_bins: NBins = None,
    sides: Annotated[
        str, typer.Option(help="lower, upper, or both with alpha split between them.")
    ] = "lower",
    key: Annotated[
        str | None,
        typer.Option(help="Name of the array or column, if there are several.", show_default=False),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="cpp or numba.", show_default="cpp where it was built"),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Number of threads.", show_default="all cores")
    ] = None,
) -> None:
    """Certify scores that you already have: one row of bounds for each row of scores.

    The scores are read, certified and written a few rows at a time, so a file can be larger than
    memory. The settings stand in the metadata of the result.
    """
    import pyarrow.parquet as pq

    from smoothbound.engine import certify_scores
    from smoothbound.progress import progress
    from smoothbound.replacing import replacing
    from smoothbound.score_files import open_scores

    if out.exists():
        raise StoreError(f"{out} exists; delete it or choose another --out")
    file = open_scores(scores, key)
    a, b = score_range
    settings: dict[str, Any] = {
        "sigma": sigma,
        "alpha": alpha,
        "score_range": score_range,
        "radii": default_radii(sigma) if radii is None else numbers("--radii", radii),
        "thresholds": [(a + b) / 2] if thresholds is None else numbers("--thresholds", thresholds),
        "bound": bound,
        "band": band,
        "n_bins": n_bins,
        "sides": sides,
        "backend": backend,
        "threads": threads,
    }

    def certificates() -> Iterator[Certificate]:
        row = 0
        for chunk in file.chunks:
            try:
                yield certify_scores(chunk, **settings)
            except ValueError as error:
                if not row:
                    raise
                raise ValueError(f"in the rows of {scores} counted from {row}: {error}") from error
            row += len(chunk)

    tables = (certificate.to_arrow() for certificate in certificates())
    first = next(tables)
    with (
        replacing(out) as target,
        # Hardly any number occurs twice: a dictionary would only cost time.
        pq.ParquetWriter(target, first.schema, compression="lz4", use_dictionary=False) as writer,
        progress("inputs certified", file.n_inputs) as advance,
        ThreadPoolExecutor(1) as pool,  # writes while the next rows are certified
    ):
        written = pool.submit(writer.write_table, first)
        advance(len(first))
        for table in tables:
            written.result()
            written = pool.submit(writer.write_table, table)
            advance(len(table))
        written.result()
    typer.echo(f"{out}: {file.n_inputs} inputs, {file.n_draws} draws each")
