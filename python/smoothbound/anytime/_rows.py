"""Questions about many inputs, answered from arrays of all their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound.anytime._questions import Question
from smoothbound.anytime._sample_size import require_draws
from smoothbound.anytime._setting import Setting
from smoothbound.backends import _select as backends
from smoothbound.backends._names import ORDERS, Backend, Order, Side, Sides
from smoothbound.scores._arrays import as_scores, outside_range

__all__ = ["ScoreAnswers", "answer_scores"]

_MOST_CELLS = 2**22  # inputs times claims in one call
_MAX_SEED = 2**64 - 1


@dataclass(frozen=True)
class ScoreAnswers:
    """Answers about many inputs: a row for each input, a column for each question.

    With ``side="both"`` each question has two columns, the lower side before the upper.

    Attributes
    ----------
    questions : tuple of Decide, FindRadius or FindConfidence
        The question of each column.
    sides : tuple of {"lower", "upper"}
        The side of each column.
    alpha : float
        Failure probability of each answer.
    certified : ndarray of bool
    radius, confidence : ndarray of float64
        The certificates, as in `Answer`: the confidence is strictly above `confidence` (on the
        upper side, below it) at all points within `radius`. NaN if there is no certificate.
    n_draws : ndarray of int64
        Number of draws, including those of the guess, when each certificate was reached; 0 if there
        is none.
    """

    questions: tuple[Question, ...]
    sides: tuple[Side, ...]
    alpha: float
    certified: NDArray[np.bool_]
    radius: NDArray[np.float64]
    confidence: NDArray[np.float64]
    n_draws: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.certified)


def answer_scores(
    scores: Any,
    questions: Question | Sequence[Question],
    *,
    sigma: float,
    alpha: float = 1e-3,
    score_range: tuple[float, float] = (0.0, 1.0),
    side: Sides = "lower",
    n_guess: int = 10,
    order: Order = "unknown",
    seed: int = 0,
    first_row: int = 0,
    displacement: float = 0.0,
    backend: Backend | None = None,
    threads: int | None = None,
) -> ScoreAnswers:
    """Answer questions about many inputs from the scores of all their draws.

    Each row is tested draw by draw, as in `AnytimeTest`.

    Parameters
    ----------
    scores : array of float16, float32 or float64, shape (n_inputs, n_draws)
        The scores, as in `smoothbound.certify_scores`.
    questions : Decide, FindRadius or FindConfidence, or a list of them
    sigma, alpha, score_range, side, displacement
        As in `AnytimeTest`.
    n_guess : int
        Number of draws of each row that serve as the first guess and are not tested. They are the
        first ones in the `order`.
    order : {"unknown", "drawn"}
        Order in which the draws are used. "unknown" means that a row may be sorted or arranged by
        value, so all its positions are permuted first. "drawn" means that the row is in the order
        of drawing, or in another order that does not depend on the values, and the order is kept.
    seed : int
        Key of the permutation, together with the number of the row; from 0 to 2^64 - 1. `alpha` is
        then a probability over the draws and the key, so fix the seed before you see the scores.
    first_row : int
        Number of the first row. State it if you pass the rows in parts.
    backend : {"cpp", "numba"}, optional
        The implementation to use: by default the C++ core, or numba if the core is missing.
    threads : int, optional
        Number of threads, from 1 to 1024. By default it depends on the work and the machine. The
        result does not depend on it.

    Returns
    -------
    ScoreAnswers

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above, a score is NaN or
        outside `score_range`, or there are too few draws to certify anything.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothbound.anytime import Decide, FindRadius
    >>> scores = np.random.default_rng(0).beta(20, 1, size=(2, 1000))
    >>> answers = answer_scores(scores, [Decide(0.5, 0.25), FindRadius(0.5, 0.1)], sigma=0.25)
    >>> answers.certified.tolist(), bool((answers.n_draws[:, 0] < 100).all())
    ([[True, True], [True, True]], True)
    """
    setting = Setting(sigma=sigma, score_range=score_range, side=side, displacement=displacement)
    asked = setting.asked(questions)
    alpha = checks.alpha("alpha", alpha)
    order = checks.choice("order", order, ORDERS)
    seed = checks.count("seed", seed, 0, _MAX_SEED)
    first_row = checks.count("first_row", first_row, 0, 2**63 - 1)
    backend = backends.resolve(backend)
    rows = as_scores(scores)
    n_guess = checks.count("n_guess", n_guess, 0, rows.shape[1])
    threads = backends.choose_threads(threads, rows.size)
    for question in asked:
        require_draws(rows.shape[1] - n_guess, question, setting, alpha, n_guess, backend)
    answered = [
        _answered(
            rows,
            question,
            setting,
            one,
            backend=backend,
            alpha=setting.share(alpha),
            n_guess=n_guess,
            order=order,
            seed=seed,
            first_row=first_row,
            threads=threads,
        )
        for question in asked
        for one in setting.sides
    ]
    n_draws, confidence, radius = (np.stack(part, axis=1) for part in zip(*answered, strict=True))
    return ScoreAnswers(
        questions=tuple(question for question in asked for _ in setting.sides),
        sides=setting.sides * len(asked),
        alpha=setting.share(alpha),
        certified=n_draws > 0,
        radius=radius,
        confidence=confidence,
        n_draws=n_draws,
    )


def _answered(
    rows: NDArray[Any],
    question: Question,
    setting: Setting,
    side: Side,
    *,
    backend: Backend,
    first_row: int,
    **options: Any,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the number of draws, the confidence and the radius of the answer for each row."""
    a, b = setting.score_range
    claims = list(setting.claims(question, side))
    targets, r = np.array([setting.scaled(claim, side) for claim in claims]).T
    test_rows = backends.load(backend).test_rows
    size = max(1, _MOST_CELLS // len(claims))
    n_shown, n_draws = [], []
    for i in range(0, max(1, len(rows)), size):
        shown, bad = test_rows(
            rows[i : i + size],
            targets=targets,
            r=r,
            chained=np.arange(len(claims)) > 0,
            a=a,
            b=b,
            side=side,
            first_row=first_row + i,
            **options,
        )
        if bad >= 0:
            raise outside_range(rows[i + bad], setting.score_range, i=i + bad)
        n_shown.append(np.count_nonzero(shown, axis=1))
        n_draws.append(shown.max(axis=1, initial=0).astype(np.int64))
    place, reached = np.concatenate(n_shown), np.concatenate(n_draws)
    confidence, radius = np.array([(np.nan, np.nan), *claims])[place].T
    return np.where(place > 0, reached + options["n_guess"], 0), confidence, radius
