"""Figures and tables of results folders and of published logs, written into one folder."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from smoothbound._display.printable import markdown, printable
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound._utils.renamed import renamed
from smoothbound.analysis import comparison, concentration
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.analysis.reading import describe_false, read
from smoothbound.bounds._method import Method
from smoothbound.curves._tabulated import Tabulated
from smoothbound.report import _folder as folder
from smoothbound.report import _page as page
from smoothbound.report._defaults import thresholds_of
from smoothbound.report._parts import Part, markdown_section, page_section
from smoothbound.report._sections.measures import score_and_margin
from smoothbound.report._sections.side_by_side import side_by_side
from smoothbound.report._sections.single import single
from smoothbound.report._tables import csv_of, markdown_rows, table_rows
from smoothbound.report._tables import headline as headline_of

__all__ = ["DEFINITION", "read", "write_report"]

_EXPLAINED = (
    (
        "draw",
        "A noisy copy of an input, and its score. Some draws of an input select its class, and "
        "others bound the confidence in this class.",
    ),
    (
        "abstain",
        "To state no class, because the confidence at R = 0 is not certified above a cut-off.",
    ),
    (
        "Theorems 1 and 2",
        "Theorem 1 uses the mean of the scores of an input. Theorem 2 uses their "
        "distribution, and certifies more.",
    ),
    (
        "c",
        "The threshold. The confidence is the mean over the noise "
        "of the score, which is the softmax value of the class, or of the margin, which is its "
        "lead over the best other class.",
    ),
    (
        "band, knot",
        "A band is a lower bound, computed from the draws, on the share of scores above each "
        "level. Theorem 2 uses it at levels called knots.",
    ),
    (
        "α",
        "Each stated certificate fails with probability at most α over the draws; a share counts "
        "one certificate for each input.",
    ),
    (
        "95 % interval",
        "The interval of Clopper and Pearson for the certified accuracy on the population of "
        "which the inputs are a random sample. It is rounded outward and holds at each radius "
        "and threshold by itself. It concerns the choice of the inputs, and α concerns the "
        "draws. Results on the same inputs share this choice, so their differences are more "
        "certain than the intervals suggest.",
    ),
)

PAPER = (
    "This page states how confident a smoothed classifier provably remains if an input changes "
    "by up to a radius. The proofs are statistical: they use noisy copies of each input. The "
    "method is that of Kumar, Levine, Feizi, Goldstein: Certifying Confidence via Randomized "
    "Smoothing, NeurIPS 2020."
)

DEFINITION = (
    "The share of all inputs whose predicted class is the true one, without "
    "abstention, and whose confidence is certified to stay strictly above c everywhere within "
    "radius R. Printed shares are rounded down."
)


@renamed(example="index")
@name_the_extra()
def write_report(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    class_radius: Sequence[str | Path] = (),
    thresholds: Sequence[float] = (),
    radii: Sequence[float] = (),
    index: int | None = None,
    compare: bool = False,
) -> list[Path]:
    """Write figures (PNG and SVG), tables (CSV) and a page with both (HTML and Markdown).

    Parameters
    ----------
    inputs : sequence of str or Path
        Results folders, files of certificates (``.parquet``), which have no labels, and logs of
        Kumar et al. 2020 (``.tsv``). Their radii must be in the same distance.
    out : str or Path
        Folder to write to; it is made if it does not exist. An earlier report is replaced.
    class_radius : sequence of str or Path
        Logs of class radii (Cohen et al. 2019), one for each log among `inputs`, in the same order.
        A results folder has class radii of its own.
    thresholds : sequence of float
        Thresholds c to show, inside the range of every measure. By default 0.5, 0.7 and 0.9 of the
        range, and the thresholds of the run.
    radii : sequence of float
        Radii R of the figure over the threshold, in the units of the input or those of another
        curve, among the certified radii. By default up to three, evenly spread. The table has all
        radii.
    index : int, optional
        Position in the data set of the input whose certified confidence is drawn. By default the
        correct input of median confidence.
    compare : bool
        Whether to show only the comparison of the results, without the figures of each one. Results
        on the same images are always compared.

    Returns
    -------
    list of Path
        The files that were written, the page first.

    Raises
    ------
    StoreError
        If a results folder cannot be read, or `out` cannot be written.
    DataError
        If a log cannot be read, or does not match the other log.
    TypeError, ValueError
        If an argument has the wrong type or does not fit an input, or there is nothing to report or
        to compare.
    """
    checks.path("out", out)
    thresholds, radii = (
        checks.vector(name, values).tolist()
        for name, values in (("thresholds", thresholds), ("radii", radii))
    )
    if index is not None:
        checks.count("index", index, 0)
    checks.flag("compare", compare)
    evaluations = read(inputs, class_radius)
    _require_one_distance(evaluations)
    if index is not None and not compare:
        _check_index(evaluations, index)
    groups = comparison.side_by_side(evaluations)
    pairs = concentration.pairs(evaluations)
    if compare and not (groups or pairs):
        raise ValueError(
            "--compare needs two inputs or more of the same images, by one measure or by score and "
            "margin of one network and sigma; got "
            + ", ".join(f"{one.name} ({one.measure})" for one in evaluations)
        )
    parts = [side_by_side(group, thresholds, number) for number, group in enumerate(groups, 1)]
    for number, (score, margin) in enumerate(pairs, 1):
        parts.append(score_and_margin(score, margin, number))
    rows: list[dict[str, object]] = []
    for one in evaluations:
        shown = thresholds_of(one, thresholds)
        rows += table_rows(one, shown)
        if not compare:
            parts.append(single(one, shown, radii, index))
    headline = headline_of(evaluations, thresholds)
    missing = _missing(parts, bool(pairs), bool(groups))
    sections = [page_section(part, number) for number, part in enumerate(parts)]
    about, made = _about(evaluations), _made(evaluations, _command(inputs, class_radius))
    text = _markdown(about, headline, missing, parts, made)
    html = page.render(PAPER, about, headline, missing, sections, made)
    files = {
        "report.html": html.encode(),
        "report.md": text.encode(),
        "certified_accuracy.csv": csv_of(rows).encode(),
    }
    return folder.write(Path(out), files | _figure_files(parts))


def _figure_files(parts: Sequence[Part]) -> dict[str, bytes]:
    """Return the files of all figures, and of the tables with their numbers."""
    files: dict[str, bytes] = {}
    tables: dict[str, list[Mapping[str, object]]] = {}
    for figure in (figure for part in parts for figure in part.figures):
        files[f"{figure.stem}.png"] = figure.png
        files[f"{figure.stem}.svg"] = figure.svg
        if figure.rows:
            tables.setdefault(figure.table, []).extend(figure.rows)
    return files | {f"{table}.csv": csv_of(numbers).encode() for table, numbers in tables.items()}


def _check_index(evaluations: Sequence[Evaluation], index: int) -> None:
    """Refuse an input that one of the results does not hold, before anything is drawn."""
    for one in evaluations:
        try:
            one.require(index)
        except ValueError as error:
            words = str(error).removeprefix("index: ")
            raise ValueError(f"index must be that of an input: {words}") from None


def _markdown(
    about: Sequence[tuple[str, str]],
    headline: Sequence[Sequence[str]],
    missing: str,
    parts: Sequence[Part],
    made: Sequence[tuple[str, str]],
) -> str:
    """Write the report in Markdown; the arguments are those of `page.render`."""
    text = [
        "# Certified confidence\n",
        f"{markdown(PAPER)}\n",
        f"{markdown_rows(headline)}\n",
        *map(_line, about),
        f"\n{markdown(missing)}\n",
        *map(markdown_section, parts),
        "## How this was made\n",
        *map(_line, made),
        "",
    ]
    return "\n".join(text)


def _line(entry: tuple[str, str]) -> str:
    """Write a term and its explanation as an item of a list in Markdown."""
    term, words = entry
    return f"- **{markdown(term)}**: {markdown(words)}"


def _command(inputs: Sequence[str | Path], class_radius: Sequence[str | Path]) -> str:
    """Write the command of the report, for a shell in the folder of the inputs."""
    words = [
        "smoothbound",
        "report",
        *(_argument(Path(path).name or ".") for path in inputs),
        *(word for path in class_radius for word in ("--class-radius", Path(path).name)),
    ]
    return printable(shlex.join([*words, "--out", "report"]))


def _argument(name: str) -> str:
    """Return a name that no program takes for an option."""
    return f"./{name}" if name.startswith("-") else name


def _made(evaluations: Sequence[Evaluation], command: str) -> list[tuple[str, str]]:
    """Return how and when each of the results was made, and the command that wrote the page."""
    return [
        *((one.name, " ".join(one.origin)) for one in evaluations),
        ("This report", f"Written by smoothbound {version('smoothbound')}: {command}"),
    ]


def _term(method: Method, methods: Collection[Method]) -> str:
    """Return the label of a method, with its bins if another method has the same label."""
    unique = sum(other.label == method.label for other in methods) == 1
    return (
        method.label if unique or method.n_bins is None else f"{method.label}, {method.n_bins} bins"
    )


def _about(evaluations: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """Explain each input, each method, and the numbers of the tables."""
    methods = {bounds.method for one in evaluations for bounds in one.bounds}
    return [
        *(
            (one.name, " ".join(filter(None, [*one.notes, describe_false(one), *_classes(one)])))
            for one in evaluations
        ),
        *sorted((_term(method, methods), f"{method.description}.") for method in methods),
        ("Certified accuracy", DEFINITION),
        *_EXPLAINED,
        *_radii(evaluations),
    ]


def _radii(evaluations: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """Explain sigma and the radius of each noise."""
    noises = list(dict.fromkeys(one.curve for one in evaluations))
    return [
        (
            ("σ, R" if noise.has_scale else "R") + (f" of {noise.name}" if noises[1:] else ""),
            noise.meaning,
        )
        for noise in noises
    ]


def _require_one_distance(evaluations: Sequence[Evaluation]) -> None:
    """Refuse inputs whose radii cannot be in one table or on one axis."""
    first = evaluations[0]
    for one in evaluations:
        alike = one.curve.distance == first.curve.distance
        if alike and (one.curve == first.curve or not isinstance(one.curve, Tabulated)):
            continue
        raise ValueError(
            "inputs must have radii in the same distance, got "
            f"{first.curve.distance} of {first.curve.name} ({first.name}) and "
            f"{one.curve.distance} of {one.curve.name} ({one.name}); report on each separately"
        )


def _classes(one: Evaluation) -> list[str]:
    """Return how many inputs have the true class, and on how many the classifier abstains."""
    if not one.labelled:
        return []
    words = f"{one.n_correct} of the {one.n_inputs} inputs have the true class"
    if one.correct_only:  # inputs with a wrong class have no draws, so abstention is not known
        return [f"{words}."]
    return [f"{words}, and the classifier abstains on {one.n_abstained}."]


def _missing(parts: Sequence[Part], pairs: bool, groups: bool) -> str:
    """Return a text about the figures that the inputs do not allow, and the inputs that would."""
    names: dict[str, list[str]] = {}
    for part in parts:
        for what in part.absent:
            names.setdefault(what, []).append(part.name)
    absent = [f"{what}: {', '.join(of)}" for what, of in names.items()]
    if not pairs:
        absent.append(
            "score against margin (give results of one network and σ on the same images by both)"
        )
    if not groups:
        absent.append(
            "inputs side by side and the best σ for each radius (give results of the same images "
            "and measure, by several σ)"
        )
    return (
        f"Not shown, because these results lack the data: {'; '.join(absent)}."
        if absent
        else "Every figure is shown."
    )
