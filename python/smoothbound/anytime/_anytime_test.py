"""The anytime test: questions about one input, answered while its draws come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._utils import checks
from smoothbound.anytime import _state as states
from smoothbound.anytime._chain import Answer, Chain
from smoothbound.anytime._questions import KINDS, Question
from smoothbound.anytime._sample_size import first_look_from, last_look, look_after
from smoothbound.anytime._setting import Estimate, Setting, Source
from smoothbound.backends import _select as backends
from smoothbound.backends._names import Backend, Side, Sides
from smoothbound.noise._streams import MAX_DRAWS
from smoothbound.sampling._jobs import Draws
from smoothbound.scores._arrays import outside_range

__all__ = ["MOST_DRAWS", "AnytimeTest"]

MOST_DRAWS = 2**28
"""How many draws a test takes, at most: as the core (draw_record.hpp)."""


@dataclass(frozen=True)
class _Asked:
    """A question, its alpha for all sides together, and the chains that answer it, one a side."""

    question: Question
    alpha: float
    first_draw: int
    chains: tuple[Chain, ...]


class AnytimeTest:
    """A test of questions about the confidence of one input, which may be read at any time.

    Let Z be the score of a draw, G its survival function, and psi_r(p) = Phi(Phi^-1(p) - r) with
    r = R / sigma. The claim "the confidence is above c within R" is tested against
    a + integral of psi_r(G) <= c. Before each draw a function v and a stake s are chosen from
    earlier draws, such that E v(Z) <= m under this hypothesis. Its wealth, the product of
    (1 + s v(Z)) / (1 + s m) over the draws, is then a non-negative supermartingale, and exceeds
    1 / alpha at any time with probability at most alpha (Ville). So a claim is certified when its
    wealth reaches 1 / alpha, and drawing may stop at any time and for any reason: what is certified
    then holds at alpha. docs/anytime.md has the proofs.

    A radius is sought on the grid of the multiples of the precision, and so is a confidence. The
    answer is the last point of the grid such that all points up to it are certified, at the same
    alpha. Each answer holds at its alpha by itself.

    Parameters
    ----------
    questions : Decide, FindRadius or FindConfidence, or a list of them
        What to find out, before there are draws. `ask` puts further questions later.
    sigma : float
        Noise level, > 0, in the units of the model's input before normalisation.
    alpha : float
        Failure probability of each answer. With ``side="both"`` each side has half of it.
    score_range : (float, float)
        Range [a, b] of the confidence measure.
    measure : str
        Name of the confidence measure.
    side : {"lower", "upper", "both"}
        Whether to show that the confidence is above a threshold (the radius within which it is,
        the greatest such threshold), that it is below, or both.
    guess : array-like of float, shape (k,)
        Scores that serve as the first guess of the distribution and for nothing else, such as those
        of the draws that selected the class; none by default. Do not pass them to `update` too.
    first_draw : int, default 0
        Number of the first draw. Draws with smaller numbers were made before, and may have led to
        the questions; see `follow_up`.
    displacement : float, default 0
        Distance, at most, between the input and the lattice point that is drawn around, in the
        units of the input; every certificate allows for it (`smoothbound.noise._displaced`).
    backend : {"cpp", "numba"}, optional
        By default the C++ core, or numba where the core is missing.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of the kind or in the range stated above.

    Notes
    -----
    The test looks at fixed numbers of draws: each up to 64, then each larger than the one before by
    1/32. The answers are the same however the draws are cut into calls.

    References
    ----------
    Ville, "Étude critique de la notion de collectif", 1939. Waudby-Smith and Ramdas, "Estimating
    means of bounded random variables by betting", JRSS B 86, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from smoothbound.anytime import Decide, FindRadius
    >>> rng = np.random.default_rng(0)
    >>> test = AnytimeTest(
    ...     [Decide(0.5, radius=0.25), FindRadius(0.5, precision=0.05)],
    ...     sigma=0.25,
    ...     guess=rng.beta(20, 1, size=10),
    ... )
    >>> while not test.answers[0].certified:
    ...     test.update(rng.beta(20, 1, size=10))
    >>> decided, found = test.answers
    >>> decided.n_draws, found.radius
    (50, 0.25)
    """

    def __init__(
        self,
        questions: Question | Sequence[Question],
        *,
        sigma: float,
        alpha: float = 1e-3,
        score_range: tuple[float, float] = (0.0, 1.0),
        measure: str = "score",
        side: Sides = "lower",
        guess: ArrayLike = (),
        first_draw: int = 0,
        displacement: float = 0.0,
        backend: Backend | None = None,
    ) -> None:
        setting = Setting(
            sigma=sigma,
            score_range=score_range,
            measure=measure,
            side=side,
            displacement=displacement,
        )
        first_draw = checks.count("first_draw", first_draw, 0, MAX_DRAWS)
        self._begin(setting, checks.alpha("alpha", alpha), backends.resolve(backend), first_draw)
        first_guess = self._row("guess", guess)
        for record in self._records:
            if record.guess(first_guess) >= 0:
                raise outside_range(first_guess[0], setting.score_range, name="guess")
        self._asked += [self._ask(one, self.alpha) for one in setting.asked(questions)]

    def _begin(self, setting: Setting, alpha: float, backend: Backend, first_draw: int) -> None:
        """Become a test without draws and questions."""
        self.alpha, self.backend, self.first_draw = alpha, backend, first_draw
        self._setting, self._source = setting, Source()
        self._core = backends.load(backend)
        self._records = [setting.record(self._core, side) for side in setting.sides]
        self._asked: list[_Asked] = []
        self._lock = RLock()

    # Contents

    @property
    def questions(self) -> tuple[Question, ...]:
        """All questions, in the order in which they were asked."""
        return tuple(asked.question for asked in self._asked)

    @property
    def sigma(self) -> float:
        """Noise level of the draws."""
        return self._setting.sigma

    @property
    def score_range(self) -> tuple[float, float]:
        """The range (a, b) of the scores."""
        return self._setting.score_range

    @property
    def measure(self) -> str:
        """Name of the confidence measure."""
        return self._setting.measure

    @property
    def side(self) -> Sides:
        """The side on which claims are made."""
        return self._setting.side

    @property
    def displacement(self) -> float:
        """Distance, at most, between the input and the point that is drawn around."""
        return self._setting.displacement

    @property
    def n_draws(self) -> int:
        """Number of draws so far."""
        return int(self._records[-1].n_draws)

    @property
    def next_draw(self) -> int:
        """Number of the next draw, `first_draw` + `n_draws`."""
        return self.first_draw + self.n_draws

    @property
    def records(self) -> tuple[Any, ...]:
        """The draws as they are kept, one `DrawRecord` for each side; they must not be changed."""
        return tuple(self._records)

    @property
    def n_guess(self) -> int:
        """Number of scores that served as the first guess."""
        return int(self._records[-1].n_guess)

    @property
    def next_look(self) -> int:
        """Number of draws at which the answers may change next."""
        return look_after(last_look(self.n_draws))

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.questions))
        return (
            f"AnytimeTest([{shown}], sigma={self.sigma:g}, alpha={self.alpha:g}, "
            f"score_range={self.score_range}, measure={self.measure!r}, side={self.side!r}) "
            f"after {self.n_draws} draws"
            + (f" from number {self.first_draw} on" if self.first_draw else "")
        )

    # Draws

    def update(self, scores: Draws | ArrayLike, *, first_draw: int | None = None) -> None:
        """Take the scores of further draws, as many as there are.

        Parameters
        ----------
        scores : array-like of float16, float32 or float64, shape (k,), or Draws
            In the order of drawing, which must not depend on their values. `Draws` of a sampler
            carry their numbers with them, and what they are draws of.
        first_draw : int, optional
            Number of the first of them; by default `next_draw`, which says that they are the draws
            after those before. With another number the draws are refused: some were passed before,
            or some were left out.

        Raises
        ------
        TypeError, ValueError
            If the scores are not such, one of them is NaN or outside the range, they are not the
            next draws, or they are draws of something else. Then nothing is taken.
        """
        with self._lock:
            source = self._source
            if isinstance(scores, Draws):
                self._setting.refuse_others(scores)
                source = source.joined(scores)
                if first_draw not in (None, scores.first_draw):
                    raise ValueError(
                        f"first_draw must be {scores.first_draw}, the number that the draws carry, "
                        f"or left out; got {checks.shown(first_draw)}"
                    )
                first_draw = scores.first_draw
                scores = scores.scores
            row = self._row("scores", scores)
            self._refuse_numbers(first_draw, row.size)
            for record in self._records:
                if record.add(row) >= 0:
                    raise outside_range(row[0], self.score_range)
            self._source = source

    def _row(self, name: str, scores: ArrayLike) -> NDArray[Any]:
        """Return scores as one row of floats, shape (1, k)."""
        row = checks.array(name, scores)
        if row.ndim != 1 or row.dtype.type not in (np.float16, np.float32, np.float64):
            raise TypeError(
                f"{name} must be one row of float16, float32 or float64, got shape {row.shape} of "
                f"{row.dtype}"
            )
        return row[None].astype(row.dtype.newbyteorder("="), copy=False)

    def _refuse_numbers(self, first_draw: int | None, n: int) -> None:
        """Refuse draws that are not the next ones, or too many."""
        self._refuse_interrupted()
        due = self.next_draw
        first = due if first_draw is None else checks.count("first_draw", first_draw, 0)
        if first < due:
            raise ValueError(
                f"first_draw must be {due}, the number of the next draw, got {first}: a draw "
                "must be passed once only; pass the draws that are new"
            )
        if first > due:
            raise ValueError(
                f"first_draw must be {due}, the number of the next draw, got {first}: no draw "
                "may be left out; pass those before first"
            )
        if n > MOST_DRAWS - self.n_draws:
            total = self.n_draws + n
            raise ValueError(f"scores must be at most {MOST_DRAWS} draws in all, got {total}")

    def _refuse_interrupted(self) -> None:
        """Refuse to go on where one side has draws that the other lacks."""
        if len({record.n_draws for record in self._records}) > 1:
            raise ValueError(
                "the test was interrupted while it took draws, and cannot go on; begin a new one, "
                "or go on from a saved state"
            )

    # Questions and answers

    def ask(self, question: Question, *, alpha: float | None = None) -> None:
        """Put a further question.

        Only the draws after the present look count for it, because its choice may depend on those
        before; they serve as its first guess. Its answer holds at an alpha of its own: all answers
        together hold at the sum of the alphas. It is judged at the looks of this test. After many
        draws they are far apart, and `follow_up` answers easy questions sooner.

        Parameters
        ----------
        question : Decide, FindRadius or FindConfidence
        alpha : float, optional
            Failure probability of its answer; by default that of the test.

        Raises
        ------
        TypeError, ValueError
            If the question is not such, or outside its range. Then nothing is changed.
        """
        with self._lock:
            level = self.alpha if alpha is None else checks.alpha("alpha", alpha)
            self._asked.append(self._ask(self._setting.question("question", question), level))

    def _ask(self, question: Question, alpha: float, n_draws: int | None = None) -> _Asked:
        """Begin the chains of a question that is asked after a number of draws, by default now."""
        place, first_draw = first_look_from(self.n_draws if n_draws is None else n_draws)
        level = self._setting.share(alpha)
        chains = tuple(
            self._setting.chain(self._core, question, side, level, place)
            for side in self._setting.sides
        )
        return _Asked(question, alpha, first_draw, chains)

    def follow_up(
        self,
        questions: Question | Sequence[Question],
        *,
        alpha: float | None = None,
        side: Sides | None = None,
    ) -> AnytimeTest:
        """Begin a test of other questions, on the draws after those so far.

        The questions may depend on all draws so far, which serve as the first guess of the new test
        and for nothing else. This test stays as it is and may go on, too. An answer of this test
        and one of the new test hold together with probability at least 1 minus the sum of their
        alphas.

        Parameters
        ----------
        questions : Decide, FindRadius or FindConfidence, or a list of them
        alpha : float, optional
            Failure probability of each answer; by default that of this test.
        side : {"lower", "upper", "both"}, optional
            The side of the new test; by default that of this test.

        Returns
        -------
        AnytimeTest
            Its `first_draw` is the `next_draw` of this test.

        Raises
        ------
        TypeError, ValueError
            If a question is not such, or outside its range.

        Examples
        --------
        >>> import numpy as np
        >>> from smoothbound.anytime import Decide
        >>> test = AnytimeTest(Decide(0.5, radius=0.5), sigma=0.25)
        >>> test.update(np.full(100, 0.8))
        >>> later = test.follow_up(Decide(0.6, radius=0.0), alpha=0.01)
        >>> later.update(np.full(100, 0.8), first_draw=100)
        >>> later.answers[0].certified, later.answers[0].first_draw
        (True, 100)
        """
        with self._lock:
            self._refuse_interrupted()
            setting = asdict(self._setting) | ({} if side is None else {"side": side})
            made = AnytimeTest(
                questions,
                **setting,
                alpha=self.alpha if alpha is None else alpha,
                guess=self._setting.scores_like(self._core, self._records[0]),
                first_draw=self.next_draw,
                backend=self.backend,
            )
            made._source = self._source
        return made

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The answers so far, one to each question, in the order in which they were asked.

        With ``side="both"`` there are two answers to each, the lower side before the upper.
        Reading them takes the draws since the last reading into account.
        """
        with self._lock:
            return tuple(
                self._answer(asked, side, record, chain)
                for asked in self._asked
                for side, record, chain in zip(
                    self._setting.sides, self._records, asked.chains, strict=True
                )
            )

    def estimate(self, i: int, side: Side | None = None) -> Estimate:
        """Estimate what can be shown of the claim that question `i` tests now.

        The distribution is that of the scores so far, with the first guess. Nothing is certified.

        Parameters
        ----------
        i : int
            Place of the question in `questions`.
        side : {"lower", "upper"}, optional
            The side of the claim; by default that of the test, and the lower one of both.

        Returns
        -------
        Estimate
            In units of the range of the scores.

        Raises
        ------
        TypeError, ValueError
            If there is no such question, all its claims are certified, or the test is not about the
            side.
        """
        sides = self._setting.sides
        place = sides.index(sides[0] if side is None else checks.choice("side", side, sides))
        with self._lock:
            i = checks.count("i", i, 0, len(self._asked) - 1)
            asked, record = self._asked[i], self._records[place]
            claim = asked.chains[place].claim
            if claim is None:
                raise ValueError(f"i must be a question with an open claim, got {i}")
            return self._setting.estimate(self._core, record, claim)

    def _answer(self, asked: _Asked, side: Any, record: Any, chain: Chain) -> Answer:
        chain.advance(record)
        return Answer.of(asked.question, side, self.first_draw + asked.first_draw, chain)

    # States

    def to_bytes(self) -> bytes:
        """Return the state of the test: its questions and the records of its draws.

        A test that `from_bytes` makes of it goes on as this one would. The size grows with the
        logarithm of the number of draws: 85 kB after 100 000 spread scores.
        """
        with self._lock:
            self._refuse_interrupted()
            about = {
                **asdict(self._setting),
                "alpha": self.alpha,
                "first_draw": self.first_draw,
                "source": asdict(self._source),
                "asked": [
                    {
                        "kind": type(asked.question).__name__,
                        "question": asdict(asked.question),
                        "alpha": asked.alpha,
                        "first_draw": asked.first_draw,
                    }
                    for asked in self._asked
                ],
            }
            return states.pack(about, [record.to_bytes() for record in self._records])

    @classmethod
    def from_bytes(cls, state: bytes, *, backend: Backend | None = None) -> AnytimeTest:
        """Make the test that `to_bytes` wrote.

        Parameters
        ----------
        state : bytes
        backend : {"cpp", "numba"}, optional
            By default the C++ core, or numba where the core is missing.

        Raises
        ------
        TypeError, ValueError
            If the state is not such, is damaged, or contradicts itself.

        Examples
        --------
        >>> import numpy as np
        >>> from smoothbound.anytime import Decide
        >>> test = AnytimeTest(Decide(0.5, radius=0.25), sigma=0.25)
        >>> test.update(np.full(40, 0.9))
        >>> later = AnytimeTest.from_bytes(test.to_bytes())
        >>> later.update(np.full(40, 0.9), first_draw=40)
        >>> later.answers[0].certified
        True
        """
        about, records = states.unpack(state)
        test = cls.__new__(cls)
        try:
            test._take_state(about, records, backends.resolve(backend))
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"state contradicts itself: {error}") from error
        return test

    def _take_state(self, about: dict[str, Any], records: list[bytes], backend: Backend) -> None:
        asked, source = about.pop("asked"), Source(**about.pop("source"))
        alpha = checks.alpha("alpha", about.pop("alpha"))
        first_draw = checks.count("first_draw", about.pop("first_draw", 0), 0, MAX_DRAWS)
        self._begin(Setting(**about), alpha, backend, first_draw)
        new, self._records = self._records, [self._core.record_from_bytes(one) for one in records]
        kinds = [[(one.a, one.b, one.side) for one in some] for some in (new, self._records)]
        if kinds[0] != kinds[1]:
            raise ValueError("its records are those of another side or another range of scores")
        if len({(record.n_draws, record.n_guess) for record in self._records}) > 1:
            raise ValueError("its records are those of different draws")
        self._source = source
        self._asked += [self._asked_before(**one) for one in asked]

    def _asked_before(
        self, kind: str, question: dict[str, Any], alpha: float, first_draw: int
    ) -> _Asked:
        """Return a question of a state."""
        checked = self._setting.question("question", KINDS[kind](**question))
        first = checks.count("first_draw", first_draw, 0, first_look_from(self.n_draws)[1])
        asked = self._ask(checked, checks.alpha("alpha", alpha), first)
        if asked.first_draw != first:
            raise ValueError(f"first_draw must be a look, got {first}")
        return asked

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_bytes, (self.to_bytes(), self.backend)


def _from_bytes(state: bytes, backend: Backend) -> AnytimeTest:
    return AnytimeTest.from_bytes(state, backend=backend)
