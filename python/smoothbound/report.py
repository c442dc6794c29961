"""Figures and tables of results folders and of published logs, written into one folder."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from smoothbound import checks, comparison, logs, page, store
from smoothbound.errors import DataError, StoreError
from smoothbound.evaluation import Bounds, Evaluation, Floats, Ints, percent
from smoothbound.replacing import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["drawn", "evaluate", "read", "table_rows", "write_report"]

DEFINITION = (
    "Certified accuracy is the share of all inputs whose predicted class is the true one, not "
    "abstained, and whose confidence is certified to stay strictly above c everywhere within "
    "radius R. Printed shares are rounded down."
)
_FRACTIONS = (0.5, 0.7, 0.9)  # thresholds shown by default, as fractions of the range
_PANELS = 3  # at most, side by side
_DPI = 200


def write_report(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    class_radius: Sequence[str | Path] = (),
    thresholds: Sequence[float] = (),
    radii: Sequence[float] = (),
    example: int | None = None,
    compare: bool = False,
) -> list[Path]:
    """Write figures (PNG and SVG), a table (CSV) and a page that holds both (HTML and Markdown).

    Parameters
    ----------
    inputs : sequence of str or Path
        Results folders, and logs of Kumar et al. 2020 (``.tsv``).
    out : str or Path
        Folder to write to; made if need be. Files of an earlier report are replaced.
    class_radius : sequence of str or Path
        Logs of class radii (Cohen et al. 2019), one for each log among `inputs`, in their order;
        a results folder has its own class radii.
    thresholds : sequence of float
        Thresholds c to show, inside the range of every measure. By default 0.5, 0.7 and 0.9 of
        the range, and those that the run was asked for.
    radii : sequence of float
        Radii R of the figure over the threshold, in the units of the input, out of those that
        were certified. By default up to three that tell the most. The table has all.
    example : int, optional
        Index of the input whose certified confidence is drawn. By default the correct input of
        median confidence.
    compare : bool
        Show the inputs side by side only, and no figures of each one. Inputs of the same images
        and measure are put side by side in any case.

    Returns
    -------
    list of Path
        The files written, the page first.

    Raises
    ------
    StoreError
        If a results folder cannot be read, or `out` cannot be written.
    DataError
        If a log cannot be read or does not fit.
    ValueError
        If there is nothing to report on or to compare, or an argument does not fit an input.
    """
    evaluations = read(inputs, class_radius)
    rows: list[dict[str, object]] = []
    text = [f"# Certified confidence\n\n{DEFINITION}\n"]
    sections: list[page.Section] = []
    files: dict[str, bytes] = dict.fromkeys(
        ("report.html", "report.md", "certified_accuracy.csv"), b""
    )
    headline = _headline(evaluations, thresholds)
    missing = _missing(evaluations)
    text.append(f"{_markdown_rows(headline)}\n\n{missing}\n")
    groups = comparison.side_by_side(evaluations)
    if compare and not groups:
        raise ValueError(
            "--compare needs two inputs or more of the same images and measure, got "
            + ", ".join(f"{one.name} ({one.measure})" for one in evaluations)
        )
    parts = [_comparison(group, thresholds, number) for number, group in enumerate(groups, 1)]
    for one in evaluations:
        shown = _thresholds(one, thresholds)
        rows += table_rows(one, shown)
        if not compare:
            parts.append(_alone(one, shown, list(_figures(one, shown, radii, example))))
    for number, part in enumerate(parts):
        for figure in part.figures:
            files[f"{figure.stem}.png"] = figure.png
            files[f"{figure.stem}.svg"] = figure.svg
        sections.append(_page_section(part, number))
        text.append(_markdown_section(part))
    files["report.html"] = page.render(DEFINITION, headline, missing, sections).encode()
    files["report.md"] = "\n".join(text).encode()
    files["certified_accuracy.csv"] = _csv(rows).encode()
    return _write(Path(out), files)


def _write(out: Path, files: dict[str, bytes]) -> list[Path]:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write to {out}: {error.strerror}") from error
    for name, content in files.items():
        with replacing(out / name) as file:
            file.write(content)
    return [out / name for name in files]


# ---------------------------------------------------------------------------------------------
# Reading


def read(inputs: Sequence[str | Path], class_radius: Sequence[str | Path] = ()) -> list[Evaluation]:
    """Read results folders and logs, each under a name of its own; see `write_report`."""
    if isinstance(inputs, str | Path) or isinstance(class_radius, str | Path):
        raise TypeError("inputs and class_radius must be sequences of paths, got a single path")
    paths = [Path(path) for path in inputs]
    is_log = [path.suffix == ".tsv" for path in paths]
    if not paths:
        raise ValueError("inputs must name at least one results folder or log, got none")
    if len(class_radius) not in (0, sum(is_log)):
        raise ValueError(
            "class_radius must name one file for each .tsv log among the inputs, in their order: "
            f"got {len(class_radius)} for {sum(is_log)} logs"
        )
    joins = iter(class_radius)
    evaluations: list[Evaluation] = []
    for path, log in zip(paths, is_log, strict=True):
        if log:
            one = logs.read_log(path)
            join = next(joins, None)
            one = one if join is None else logs.with_class_radius(one, join)
        elif path.is_file():
            raise DataError(f"{path} is neither a results folder nor a .tsv log")
        else:
            one = evaluate(store.load(path), path.resolve().name or "results")
        taken = {other.name for other in evaluations}
        names = (one.name if k == 1 else f"{one.name}-{k}" for k in range(1, len(paths) + 1))
        evaluations.append(replace(one, name=next(name for name in names if name not in taken)))
    return evaluations


def evaluate(results: store.Results, name: str) -> Evaluation:
    """Take what a report needs from a results folder.

    Parameters
    ----------
    results : store.Results
        A finished or unfinished run.
    name : str
        What figures, tables and files call it.

    Returns
    -------
    Evaluation

    Raises
    ------
    StoreError
        If no input is finished yet.
    """
    settings = results.settings
    if not len(results.table):
        raise StoreError(f"{name} has no finished input yet")
    radii, columns = np.unique(np.asarray(settings.radii), return_index=True)
    return Evaluation(
        name=name,
        measure=settings.measure,
        score_range=settings.score_range,
        sigma=settings.sigma,
        radii=radii,
        index=results.array("index"),
        label=results.array("label"),
        predicted=results.array("predicted"),
        bounds=tuple(
            Bounds(
                method,
                results.array(f"lower_{method.name}")[:, columns],
                results.array(f"radius_{method.name}"),
            )
            for method in settings.methods
        ),
        thresholds=np.asarray(settings.thresholds),
        class_radius=results.array("class_radius"),
        notes=_notes(results),
    )


def drawn(results: store.Results) -> str:
    """Say how many adaptive draws were made, and how many that saved.

    A draw of an input that failed is not counted.
    """
    n, count = results.settings.n, len(results.table)
    total = int(results.array("n_draws").sum())
    saved = f"{percent(n * count - total, n * count)} % saved"
    unpaid = f"; the budget ended {results.unpaid} of {count} inputs" if results.unpaid else ""
    return f"on average {total / count:.0f} of at most {n} an input ({saved}{unpaid})"


def _notes(results: store.Results) -> tuple[str, ...]:
    settings = results.settings
    bins = [f"{m.label}: {m.n_bins} bins." for m in settings.methods if m.n_bins is not None]
    n = settings.n
    draws = f"{n} draws" if settings.adaptive is None else f"adaptive draws, {drawn(results)},"
    notes = [
        f"{settings.arch} ({settings.checkpoint}) on {settings.data}, {settings.split} split.",
        f"σ = {settings.sigma:g}, α = {settings.alpha:g}, {draws} to bound the "
        f"{settings.measure} and {settings.n0} others to select the class.",
        *bins,
    ]
    if settings.adaptive is not None:
        notes.append(
            f"Drawing stopped once the question about c = {settings.thresholds[0]:g} was answered: "
            f"shares at other thresholds are lower than {n} draws of each input would give."
        )
    if results.failed:
        notes.append(
            f"**Failed inputs**: the model failed on {results.failed} of {len(results.table)}; "
            "they count as not certified."
        )
    if not results.complete:
        notes.append(
            f"**Unfinished run**: {len(results.table)} of {settings.n_inputs} inputs; every share "
            "is of these."
        )
    return tuple(notes)


# ---------------------------------------------------------------------------------------------
# Choosing what to show


def _thresholds(evaluation: Evaluation, asked: Sequence[float]) -> list[float]:
    a, b = evaluation.score_range
    default = [round(a + (b - a) * fraction, 12) for fraction in _FRACTIONS]
    values = list(asked) or [*default, *evaluation.thresholds]
    try:
        checked = checks.thresholds("thresholds", values, evaluation.score_range)
    except ValueError as error:
        raise ValueError(f"{evaluation.name}: {error}") from None
    return [float(c) for c in np.unique(checked)]


def _radii(evaluation: Evaluation, threshold: float) -> list[float]:
    """Spread up to three radii over those at which one input in twenty is still certified."""
    counts = evaluation.counts(evaluation.bounds[-1], [threshold])[:, 0]
    last = int((20 * counts >= len(evaluation.index)).sum()) - 1
    columns = {round(last * k / _PANELS) for k in range(1, _PANELS + 1)} if last > 0 else {0}
    return [float(evaluation.radii[column]) for column in sorted(columns)]


# ---------------------------------------------------------------------------------------------
# Parts of the report and their figures


@dataclass(frozen=True)
class _Part:
    """What the report says of one evaluation, or of several; `table` has its header first."""

    name: str
    notes: Sequence[str]
    figures: Sequence[_Figure]
    table: Sequence[Sequence[str]]
    total: int


@dataclass(frozen=True)
class _Figure:
    stem: str
    caption: str
    png: bytes = field(repr=False)
    svg: bytes = field(repr=False)


def _alone(
    evaluation: Evaluation, thresholds: Sequence[float], figures: Sequence[_Figure]
) -> _Part:
    table = _accuracy_table(evaluation, thresholds)
    return _Part(evaluation.name, evaluation.notes, figures, table, len(evaluation.index))


def _comparison(group: Sequence[Evaluation], asked: Sequence[float], number: int) -> _Part:
    """Put evaluations of the same inputs and measure side by side, each by its last method."""
    from smoothbound import figures

    first = group[0]
    thresholds = _thresholds(first, asked)
    title = f"Side by side: {first.measure}"
    accuracy = (
        f"Certified accuracy of {len(first.index)} inputs against the radius. Markers are what was "
        "computed; between two stands the value of the larger radius."
    )
    best = "The largest certified accuracy at each radius. " + " ".join(
        _best(group, c) for c in thresholds
    )
    drawn = [
        _Figure(
            f"{stem}_{number}",
            caption,
            *_drawn(
                title, caption, [partial(f, evaluations=group, threshold=c) for c in thresholds]
            ),
        )
        for stem, caption, f in (
            ("side_by_side", accuracy, figures.compared_by_radius),
            ("best_by_radius", best, figures.best_by_radius),
        )
    ]
    notes = (
        f"The {len(first.index)} inputs that all have, each by its last method: "
        + ", ".join(f"{one.name} ({one.bounds[-1].method.label})" for one in group)
        + ".",
        *_rule(group, thresholds),
    )
    return _Part(title, notes, drawn, _comparison_table(group, thresholds), len(first.index))


def _best(group: Sequence[Evaluation], threshold: float) -> str:
    """Say up to which radius each evaluation certifies most."""
    reach = comparison.best_by_radius(group, threshold)
    stretches = [
        f"{group[place].name} up to R = {_floor(float(reach.radius[steps][-1]))}"
        for place, steps in reach.runs()
    ]
    return f"Best at c = {threshold:g}: {', then '.join(stretches) or 'none'}."


def _rule(group: Sequence[Evaluation], thresholds: Sequence[float]) -> Iterator[str]:
    """Say whether the best sigma grows with the radius, as it should, where sigma is known."""
    if len({one.sigma for one in group} - {None}) < 2 or any(one.sigma is None for one in group):
        return
    best = [
        [group[place].sigma or 0.0 for place, _ in comparison.best_by_radius(group, c).runs()]
        for c in thresholds
    ]
    yield (
        "A larger σ costs confidence nearby and reaches further: σ should grow with the radius"
        + (
            ", as it does here at every threshold shown."
            if all(sigmas == sorted(sigmas) for sigmas in best)
            else "; here the best σ does not always, so look at the figure of the best."
        )
    )


def _floor(radius: float) -> str:
    """Print a radius to three decimals, rounded down."""
    return f"{np.floor(1000 * radius + 1e-9) / 1000:g}"


def _figures(
    evaluation: Evaluation,
    thresholds: Sequence[float],
    radii: Sequence[float],
    example: int | None,
) -> Iterator[_Figure]:
    from smoothbound import figures

    def draw(what: str, caption: str, panels: Sequence[Callable[[Axes], Axes]]) -> _Figure:
        return _Figure(
            f"{evaluation.name}_{what}", caption, *_drawn(evaluation.name, caption, panels)
        )

    yield draw(
        "accuracy_vs_radius",
        f"Certified accuracy against the radius, for the {evaluation.measure} to stay above each "
        f"threshold. {_reading(evaluation, thresholds)}",
        [
            partial(figures.certified_accuracy_vs_radius, evaluation=evaluation, threshold=c)
            for c in thresholds
        ],
    )
    yield draw(
        "accuracy_vs_threshold",
        "Certified accuracy against the threshold, at each radius. Exact at every threshold.",
        [
            partial(figures.certified_accuracy_vs_threshold, evaluation=evaluation, radius=r)
            for r in radii or _radii(evaluation, thresholds[0])
        ],
    )
    if evaluation.class_radius is not None and evaluation.radii[0] == 0:
        yield draw(
            "score_vs_class_radius",
            f"Certified {evaluation.measure} at R = 0 by {evaluation.bounds[-1].method.label} "
            "against the certified radius of the class (Cohen et al. 2019). "
            f"{_ceiling(evaluation)}",
            [partial(figures.score_vs_class_radius, evaluation=evaluation)],
        )
    index = evaluation.typical() if example is None else example
    if index is not None:
        chosen = "the correct input of median confidence" if example is None else "as asked for"
        yield draw(
            "confidence",
            f"Certified confidence of input {index} ({chosen}) over the radius. Markers are what "
            "was computed; between two, the bound of the larger radius is drawn.",
            [
                partial(
                    figures.certified_confidence,
                    evaluation=evaluation,
                    index=index,
                    thresholds=thresholds,
                )
            ],
        )


def _reading(evaluation: Evaluation, thresholds: Sequence[float]) -> str:
    """Say where the curves over the radius come from."""
    grid = (
        "{} drawn from the bounds at the marked radii; between two of them stands the value of the "
        "larger one, which is all that is certified there."
    )
    exact = [f"{c:g}" for c in thresholds if c in evaluation.thresholds]
    if not exact or any(one.radius is None for one in evaluation.bounds):
        return grid.format("The curves are")
    text = f"At c = {', '.join(exact)}, the certified radius of every input is drawn."
    return text if len(exact) == len(thresholds) else f"{text} {grid.format('The others are')}"


def _ceiling(evaluation: Evaluation) -> str:
    assert evaluation.class_radius is not None
    radius = evaluation.class_radius[evaluation.paired]
    ties = int((radius == radius.max(initial=0.0)).sum())
    text = f"{len(radius)} inputs have both."
    if ties > 1:
        text += f" {ties} share the largest class radius, beyond which the draws did not reach."
    return text


def _drawn(
    title: str, caption: str, panels: Sequence[Callable[[Axes], Axes]]
) -> tuple[bytes, bytes]:
    """Return the panels as PNG, and as SVG on a transparent ground."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    from smoothbound.figures import STYLE

    n_columns = min(len(panels), _PANELS)
    n_rows = -(-len(panels) // n_columns)
    with mpl.rc_context(STYLE):
        size = (max(2.3 * n_columns, 3.4), 0.6 + (2.4 if n_columns == 1 else 1.9) * n_rows)
        figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).ravel()
        for place, (ax, draw) in enumerate(zip(axes, panels, strict=False)):
            draw(ax)
            if place % n_columns:
                ax.set_ylabel("")
        right = max(ax.get_xlim()[1] for ax in axes[: len(panels)])
        for ax in axes[: len(panels)]:
            ax.set_xlim(right=right)
        for ax in axes[len(panels) :]:
            ax.remove()
        handles, labels = axes[0].get_legend_handles_labels()
        width = 60 if len(panels) == 1 else 100  # letters that there is room for
        columns = max(1, min(3, width // (6 + max(map(len, labels)))))
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)
        figure.suptitle(title, parse_math=False)
        drawn, packed, vector = io.BytesIO(), io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, format="png")
        with mpl.rc_context({"svg.hashsalt": "smoothbound"}):  # the same file each time
            about = {"Date": None, "Description": caption}
            figure.savefig(vector, format="svg", transparent=True, metadata=about)
    info = PngInfo()
    info.add_itxt("Description", caption)
    image = Image.open(drawn).convert("RGB").quantize(256)  # a third of the bytes, same look
    image.save(packed, "PNG", dpi=(_DPI, _DPI), pnginfo=info, optimize=True)
    return packed.getvalue(), vector.getvalue()


# ---------------------------------------------------------------------------------------------
# Tables and the page


def table_rows(evaluation: Evaluation, thresholds: Sequence[float]) -> list[dict[str, object]]:
    """Certified accuracy at every radius, threshold and method, as the rows of a table.

    The share in percent is rounded down; the two counts give it exactly.

    Examples
    --------
    >>> from smoothbound.method import Method
    >>> three = Evaluation(
    ...     name="three", measure="score", score_range=(0.0, 1.0), radii=np.array([0.25]),
    ...     index=np.arange(3), label=np.array([0, 1, 2]), predicted=np.array([0, 1, -1]),
    ...     bounds=(Bounds(Method("mean"), np.array([[.9], [.8], [.1]])),))
    >>> [row] = table_rows(three, [0.5])
    >>> row["certified"], row["inputs"], row["certified_percent"]
    (2, 3, '66.6')
    """
    total = len(evaluation.index)
    rows: list[dict[str, object]] = []
    for bounds in evaluation.bounds:
        counts = evaluation.counts(bounds, thresholds)
        for i, radius in enumerate(evaluation.radii):
            for j, threshold in enumerate(thresholds):
                rows.append(
                    {
                        "name": evaluation.name,
                        "measure": evaluation.measure,
                        "method": bounds.method.name,
                        "radius": float(radius),
                        "threshold": float(threshold),
                        "inputs": total,
                        "certified": int(counts[i, j]),
                        "certified_percent": percent(counts[i, j], total),
                    }
                )
    return rows


def _csv(rows: list[dict[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown_section(part: _Part) -> str:
    lines = [f"## {part.name}", "", " ".join(part.notes), ""]
    for figure in part.figures:
        lines += [
            f"![{figure.stem.replace('_', ' ')}]({quote(figure.stem)}.png)",
            "",
            figure.caption,
            "",
        ]
    return "\n".join([*lines, _markdown_table(part), ""])


def _accuracy_table(evaluation: Evaluation, thresholds: Sequence[float]) -> list[list[str]]:
    """One row per radius, one column per threshold and method, in percent."""
    columns = [
        (f"{one.method.label}, c = {c:g}", evaluation.counts(one, [c])[:, 0])
        for c in thresholds
        for one in evaluation.bounds
    ]
    return _percent_table(evaluation.radii, columns, len(evaluation.index))


def _percent_table(
    radii: Sequence[float] | Floats, columns: Sequence[tuple[str, Ints]], total: int
) -> list[list[str]]:
    return [
        ["R", *(title for title, _ in columns)],
        *(
            [f"{radius:g}", *(percent(counts[i], total) for _, counts in columns)]
            for i, radius in enumerate(radii)
        ),
    ]


def _headline(evaluations: Sequence[Evaluation], asked: Sequence[float]) -> list[list[str]]:
    """Certified accuracy of every method at up to three radii, at the first threshold of each."""
    radii = _radii(evaluations[0], _thresholds(evaluations[0], asked)[0])
    rows = [["input", "method", "c", *(f"R = {radius:g}" for radius in radii)]]
    for one in evaluations:
        threshold = _thresholds(one, asked)[0]
        for bounds in one.bounds:
            counts = one.counts_at(bounds, threshold, radii)
            shares = [percent(count, len(one.index)) for count in counts]
            rows.append([one.name, bounds.method.label, f"{threshold:g}", *shares])
    return rows


def _missing(evaluations: Sequence[Evaluation]) -> str:
    """Name the figures that the inputs cannot give, and what would."""
    lacks = {
        "curves from the certified radius of every input (certify --thresholds)": any(
            bounds.radius is None for one in evaluations for bounds in one.bounds
        ),
        "score against class radius (for a log: --class-radius)": any(
            one.class_radius is None for one in evaluations
        ),
        "score against class radius (certify with 0 among --radii)": any(
            one.class_radius is not None and one.radii[0] != 0 for one in evaluations
        ),
        "inputs side by side and the best σ for each radius (give results of the same images and "
        "measure, by several σ)": not comparison.side_by_side(evaluations),
    }
    absent = "; ".join(what for what, lacking in lacks.items() if lacking)
    return f"Not shown for want of data: {absent}." if absent else "Every figure is shown."


def _comparison_table(group: Sequence[Evaluation], thresholds: Sequence[float]) -> list[list[str]]:
    """One row per radius of any evaluation, one column per threshold and evaluation."""
    radii = reduce(np.union1d, (one.radii for one in group))
    columns = [
        (f"{one.name}, c = {c:g}", one.counts_at(one.bounds[-1], c, radii))
        for c in thresholds
        for one in group
    ]
    return _percent_table(radii, columns, len(group[0].index))


def _page_section(part: _Part, number: int) -> page.Section:
    shown = [
        page.Figure(
            page.inline(figure.svg.decode(), figure.caption, f"f{number}-{k}"), figure.caption
        )
        for k, figure in enumerate(part.figures)
    ]
    notes = [note.replace("**", "") for note in part.notes]  # Markdown's emphasis
    return page.Section(part.name, notes, shown, part.table, part.total)


def _markdown_table(part: _Part) -> str:
    rows = _markdown_rows(part.table)
    return f"Certified accuracy of the {part.total} inputs, in percent:\n\n{rows}"


def _markdown_rows(table: Sequence[Sequence[str]]) -> str:
    head, *rows = table
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---:"] * len(head), *rows])
