"""Options that several commands share, and the conversion of their text to values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from smoothbound._display.console import note, say
from smoothbound._utils import checks
from smoothbound._utils.radii import default_radii
from smoothbound.backends._names import BANDS, BOUNDS
from smoothbound.bounds._method import Method
from smoothbound.classes._arguments import Names, checked_names
from smoothbound.data._specs import SPECS

if TYPE_CHECKING:
    from smoothbound.data._loading import Dataset

__all__ = [
    "Alpha",
    "Band",
    "Data",
    "NBins",
    "Radii",
    "Sigma",
    "Thresholds",
    "checked_alpha",
    "classes_of",
    "default_radii",
    "indices_of",
    "introduce",
    "look_at",
    "methods",
    "note",
]

Data = Annotated[
    str,
    typer.Option(
        help=f"Data set: {SPECS}. The DIR of images has a folder for each class. The FILE of npz "
        "has the arrays images (uint8, or float32 in [0, 1], of shape (n, channels, height, "
        "width)) and labels (whole numbers from 0, of shape (n,)).",
        show_default=False,
    ),
]
Sigma = Annotated[
    float,
    typer.Option(
        help="Standard deviation of the noise, in the units of the input before normalisation.",
        show_default=False,
    ),
]


def checked_alpha(alpha: float) -> float:
    if remark := checks.remark_on_alpha(alpha):
        note(remark)
    return alpha


Alpha = Annotated[
    float,
    typer.Option(
        callback=checked_alpha,
        help="Failure probability of each stated certificate. It holds only if alpha, the bound, "
        "the band, the numbers of draws and the seed are fixed before any result is seen: the "
        "best of 20 runs is false up to 20 times as often (docs/choices.md).",
    ),
]
Radii = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBERS",
        help="Radii in the units of the input, separated by commas, such as 0,0.25,0.5. By "
        "default from 0 to 4 sigma in steps of sigma / 4, and the multiples of 0.25 among them.",
        show_default=False,
    ),
]
Thresholds = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBERS",
        help="Thresholds for which to find the certified radius, separated by commas.",
        show_default="the middle of the range",
    ),
]
Band = Annotated[
    str | None,
    typer.Option(
        help=f"Confidence band of the bound 'cdf': {' or '.join(BANDS)}.", show_default="ell"
    ),
]
NBins = Annotated[
    int | None,
    typer.Option(
        help="Number of equal-count bins of the bound 'cdf'; the paper takes 10000.",
        show_default="every draw is a knot",
    ),
]


def numbers(option: str, text: str) -> list[float]:
    """Read numbers separated by commas or blanks; return them sorted and without repetition.

    Raises
    ------
    ValueError
        If a part of the text is not a number, or the text is empty.

    Examples
    --------
    >>> numbers("--radii", "0.5, 0,0.25 .5")
    [0.0, 0.25, 0.5]
    """
    try:
        values = {float(part) for part in text.replace(",", " ").split()}
    except ValueError:
        values = set()
    if not values:
        raise ValueError(
            f"{option} must be numbers separated by commas, such as 0,0.25,0.5; got {text!r}"
        )
    return sorted(values)


def indices_of(text: str) -> list[int]:
    """Read positions separated by commas or blanks, from the text or from a file that it names.

    Raises
    ------
    ValueError
        If the text is neither the name of a file nor whole numbers.

    Examples
    --------
    >>> indices_of("0,20 40")
    [0, 20, 40]
    """
    try:
        content = Path(text).read_text() if Path(text).is_file() else text
        values = [int(part) for part in content.replace(",", " ").split()]
    except (OSError, ValueError):
        values = []
    if not values:
        raise ValueError(
            "--indices must be whole numbers separated by commas, such as 0,20,40, or a text file "
            f"of them; got {text!r}"
        )
    return values


def classes_of(text: str) -> Names:
    """Read the classes of --classes.

    Raises
    ------
    ValueError
        If the text is neither "all" nor whole numbers.

    Examples
    --------
    >>> classes_of("all"), classes_of("0,3 5")
    ('all', (0, 3, 5))
    """
    try:
        values = "all" if text == "all" else [int(part) for part in text.replace(",", " ").split()]
        return checked_names("--classes", values)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"--classes must be all, or numbers of classes, each once, such as 0,3,5; got {text!r}"
        ) from error


def methods(bounds: list[str], bands: list[str], n_bins: int | None) -> tuple[Method, ...]:
    """Return a method for each bound and each of its bands, with the strongest last.

    Examples
    --------
    >>> [method.name for method in methods(["cdf", "mean", "cdf"], ["ell", "dkw"], None)]
    ['mean', 'cdf_dkw', 'cdf_ell']
    """
    made = {
        Method("cdf", checks.choice("band", band, BANDS), n_bins)
        if checks.choice("bound", bound, BOUNDS) == "cdf"
        else Method(bound)  # type: ignore[arg-type]
        for bound in bounds
        for band in bands
    }
    return tuple(sorted(made, key=_strength))


def introduce(dataset: Dataset) -> None:
    """Print to stderr a line about the data, and whether images are missing."""
    say(f"data: {dataset.summary()}", Console(stderr=True))
    if dataset.published not in (None, len(dataset)):
        note(
            f"{dataset.name} ({dataset.split}) has {len(dataset)} images here, and "
            f"{dataset.published} as published: positions, and so --skip and --indices, may mean "
            "other images"
        )


def look_at(dataset: Dataset, rows: Iterable[int]) -> None:
    """Check the headers of image files before a run, which would stop at a wrong one.

    Raises
    ------
    DataError
        If a file is not an image, or has another size or mode. The error names the file.
    """
    from smoothbound.data._encoded import EncodedImages

    if isinstance(dataset.images, EncodedImages):
        for row in rows:
            dataset.images.check(int(row))


def _strength(method: Method) -> tuple[int, int]:
    return BOUNDS.index(method.bound), BANDS.index(method.band) if method.band else 0
