"""The table of certified accuracy for a paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from smoothbound._display.printable import printable
from smoothbound._display.rounding import exact
from smoothbound.analysis.evaluation import Evaluation
from smoothbound.analysis.reading import evaluate
from smoothbound.report._defaults import radii_to_tell, thresholds_of
from smoothbound.report._tables import share_with_interval
from smoothbound.store._stored import StoredResults

__all__ = ["latex_table", "latex_text"]

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def latex_text(text: str) -> str:
    r"""Write a text so that LaTeX prints it and obeys none of it.

    Examples
    --------
    >>> print(latex_text(r"50 % of a_b \input{x}"))
    50 \% of a\_b \textbackslash{}input\{x\}
    """
    return "".join(_ESCAPED.get(character, character) for character in printable(text))


def latex_table(
    stored: StoredResults,
    thresholds: Sequence[float],
    advance: Callable[[int], object],
) -> Iterator[bytes]:
    """Yield the table with a row for each radius and a column for each threshold and method."""
    evaluation = evaluate(stored, stored.name)
    text = _table(evaluation, thresholds_of(evaluation, thresholds))
    advance(len(stored))
    yield text.encode()


def _table(evaluation: Evaluation, thresholds: Sequence[float]) -> str:
    total, methods = evaluation.n_inputs, evaluation.bounds
    radii = radii_to_tell(evaluation, thresholds[0])
    columns = [(c, one.method.label) for c in thresholds for one in methods]
    counts = [evaluation.counts_at(one, c, radii) for c in thresholds for one in methods]
    over = [
        rf"\multicolumn{{{len(list(group))}}}{{c}}{{$c = {exact(c)}$}}"
        for c, group in groupby(c for c, _ in columns)
    ]
    rules = [
        rf"\cmidrule(lr){{{2 + len(methods) * k}-{1 + len(methods) * (k + 1)}}}"
        for k in range(len(thresholds))
    ]
    body = [
        " & ".join([exact(radius), *(_cell(count[i], total) for count in counts)]) + r" \\"
        for i, radius in enumerate(radii)
    ]
    return "\n".join(
        [
            f"% Certified accuracy in percent, rounded down, of {total} inputs. The share is of "
            "inputs that are",
            f"% classified correctly without abstention, and whose {_comment(evaluation.measure)} "
            "is certified to stay above c",
            "% everywhere within the l2 radius R. In parentheses: its 95 % interval over inputs "
            "(Clopper-Pearson),",
            "% rounded outward. Needs \\usepackage{booktabs}.",
            *(f"% {_comment(line)}" for line in (*evaluation.notes, *evaluation.origin)),
            rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
            r"\toprule",
            f" & {' & '.join(over)} \\\\",
            "".join(rules),
            f"$R$ & {' & '.join(latex_text(label) for _, label in columns)} \\\\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _cell(count: int, total: int) -> str:
    return share_with_interval(int(count), total).replace("–", "--")


def _comment(text: str) -> str:
    """Write a text on one line, because a comment ends with it."""
    return printable(text)
