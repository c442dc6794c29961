"""The anytime test: questions about one input that are answered while the draws are made."""

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
"""The largest number of draws of a test, as in the core (draw_record.hpp)."""


@dataclass(frozen=True)
class _Asked:
    """A question, its alpha for all sides together, and the chains that answer it, one per side."""

    question: Question
    alpha: float
    first_draw: int
    chains: tuple[Chain, ...]


class AnytimeTest:
    """Test questions about the confidence of one input, with answers that may be read at any time.

    Let Z be the score of a draw, G its survival function, and psi_r(p) = Phi(Phi^-1(p) - r) with r
    = R / sigma. The claim "the confidence is above c within R" is tested against a + integral of
    psi_r(G) <= c. Before each draw a function v and a stake s are chosen from earlier draws, such
    that E v(Z) <= m under this hypothesis. The wealth of the test is the product of (1 + s v(Z)) /
    (1 + s m) over the draws. Under the hypothesis it is a non-negative supermartingale, so the
    probability that it ever reaches 1 / alpha is at most alpha (Ville). A claim is certified when
    its wealth reaches 1 / alpha. Drawing may stop at any time and for any reason, and the
    certificates still hold at alpha. docs/anytime.md has the proofs.

    Radii and confidences are searched on the grid of the multiples of the precision. The answer is
    the last point of the grid such that all points up to it are certified at the same alpha. Each
    answer holds at its alpha by itself.

    Parameters
    ----------
    questions : Decide, FindRadius or FindConfidence, or a list of them
        The questions, which are fixed before the first draw. `ask` adds questions later.
    sigma : float
        Noise level, > 0, in the units of the model's input before normalisation.
    alpha : float
        Failure probability of each answer. With ``side="both"`` each side has half of it.
    score_range : (float, float)
        Range [a, b] of the confidence measure.
    measure : str
        Name of the confidence measure.
    side : {"lower", "upper", "both"}
        The side of the claims: "lower" shows that the confidence is above a threshold (and finds
        the radius within which it is, or the greatest such threshold), "upper" shows that it is
        below one, and "both" tests both claims.
    guess : array-like of float, shape (k,)
        Scores that serve only as the first guess of the distribution, such as those of the draws
        that selected the class; none by default. Do not pass them to `update` as well.
    first_draw : int, default 0
        Number of the first draw. Draws with smaller numbers were made earlier, and the questions
        may depend on them; see `follow_up`.
    displacement : float, default 0
        Largest distance between the input and the lattice point around which draws are made, in the
        units of the input. Every certificate allows for it (docs/noise.md).
    backend : {"cpp", "numba"}, optional
        The implementation to use: by default the C++ core, or numba if the core is missing.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is outside the range stated above.

    Notes
    -----
    The test looks at its wealth at fixed numbers of draws: at every number up to 64, and then at
    numbers that grow by 1/32 each. The answers do not depend on how the draws are divided into
    calls of `update`.

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
        """Set the attributes of a test without draws and questions."""
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
        """Largest distance between the input and the point around which draws are made."""
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
        """The draws, as one `DrawRecord` for each side. They must not be changed."""
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
        """Add the scores of further draws, in any number.

        Parameters
        ----------
        scores : array-like of float16, float32 or float64, shape (k,), or Draws
            Scores in the order of drawing, or in another order that does not depend on their
            values. `Draws` from a sampler carry their numbers, and the input, seed, class and noise
            that they belong to.
        first_draw : int, optional
            Number of the first of these draws; by default `next_draw`. Any other number is refused,
            because then some draws were passed before, or some were left out.

        Raises
        ------
        TypeError, ValueError
            If the scores have the wrong type or shape, one of them is NaN or outside the range,
            they are not the next draws, or they are draws of another input, class or noise. Then no
            draw is added.
        """
        with self._lock:
            source = self._source
            if isinstance(scores, Draws):
                self._setting.refuse_others(scores)
                source = source.joined(scores)
                if first_draw not in (None, scores.first_draw):
                    raise ValueError(
                        f"first_draw must be {scores.first_draw}, the number of the draws, "
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
                f"first_draw must be {due}, the number of the next draw, got {first}: each draw "
                "must be passed only once; pass only the new draws"
            )
        if first > due:
            raise ValueError(
                f"first_draw must be {due}, the number of the next draw, got {first}: no draws "
                "may be left out; pass the draws before these first"
            )
        if n > MOST_DRAWS - self.n_draws:
            total = self.n_draws + n
            raise ValueError(f"scores must be at most {MOST_DRAWS} draws in all, got {total}")

    def _refuse_interrupted(self) -> None:
        """Refuse to go on if one side has draws that the other lacks."""
        if len({record.n_draws for record in self._records}) > 1:
            raise ValueError(
                "the test was interrupted while it added draws, and cannot go on; begin a new one, "
                "or go on from a saved state"
            )

    # Questions and answers

    def ask(self, question: Question, *, alpha: float | None = None) -> None:
        """Add a further question.

        Only the draws after the present look count for this question, because its choice may depend
        on the earlier ones, which serve as its first guess. Its answer holds at an alpha of its
        own, and all answers together hold at the sum of the alphas. The question is answered at the
        looks of this test. After many draws the looks are far apart, and `follow_up` answers easy
        questions sooner.

        Parameters
        ----------
        question : Decide, FindRadius or FindConfidence
        alpha : float, optional
            Failure probability of the answer; by default that of the test.

        Raises
        ------
        TypeError, ValueError
            If the question has the wrong type or is out of range. Then the test is not changed.
        """
        with self._lock:
            level = self.alpha if alpha is None else checks.alpha("alpha", alpha)
            self._asked.append(self._ask(self._setting.question("question", question), level))

    def _ask(self, question: Question, alpha: float, n_draws: int | None = None) -> _Asked:
        """Begin the chains of a question that is asked after `n_draws` draws, by default now."""
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
        """Begin a test of other questions on later draws.

        The questions may depend on all draws so far, which serve only as the first guess of the new
        test. This test does not change and may go on. An answer of this test and one of the new
        test hold together with probability at least 1 minus the sum of their alphas.

        Parameters
        ----------
        questions : Decide, FindRadius or FindConfidence, or a list of them
        alpha : float, optional
            Failure probability of each answer; by default that of this test.
        side : {"lower", "upper", "both"}, optional
            Side of the new test; by default that of this test.

        Returns
        -------
        AnytimeTest
            Its `first_draw` is the `next_draw` of this test.

        Raises
        ------
        TypeError, ValueError
            If a question has the wrong type or is out of range.

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
                alpha=self.alpha if alpha is None else checks.alpha("alpha", alpha),
                guess=self._setting.scores_like(self._core, self._records[0]),
                first_draw=self.next_draw,
                backend=self.backend,
            )
            made._source = self._source
        return made

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The answers so far, one for each question, in the order of the questions.

        With ``side="both"`` each question has two answers, the lower side before the upper. Reading
        the answers takes into account the draws that were added since the last reading.
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
        """Estimate how far the claim that question `i` tests now can be shown.

        The estimate uses the distribution of the scores so far and of the first guess. It certifies
        nothing.

        Parameters
        ----------
        i : int
            Index of the question in `questions`.
        side : {"lower", "upper"}, optional
            The side of the claim. By default it is the side of the test, or "lower" if the test has
            both.

        Returns
        -------
        Estimate
            In units of the range of the scores.

        Raises
        ------
        TypeError, ValueError
            If the question does not exist, all its claims are certified, or the test does not have
            the side.
        """
        sides = self._setting.sides
        place = sides.index(sides[0] if side is None else checks.choice("side", side, sides))
        with self._lock:
            i = checks.count("i", i, 0, len(self._asked) - 1)
            asked, record = self._asked[i], self._records[place]
            claim = asked.chains[place].claim
            if claim is None:
                raise ValueError(f"i must be the index of a question with an open claim, got {i}")
            return self._setting.estimate(self._core, record, claim)

    def _answer(self, asked: _Asked, side: Any, record: Any, chain: Chain) -> Answer:
        chain.advance(record)
        return Answer.of(asked.question, side, self.first_draw + asked.first_draw, chain)

    # States

    def to_bytes(self) -> bytes:
        """Return the state of the test: its questions and the records of its draws.

        A test that `from_bytes` restores goes on exactly as this one would. The size grows with the
        logarithm of the number of draws: it is 85 kB after 100 000 spread scores.
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
        """Restore a test from the bytes of `to_bytes`.

        Parameters
        ----------
        state : bytes
        backend : {"cpp", "numba"}, optional
            The implementation to use: by default the C++ core, or numba if the core is missing.

        Raises
        ------
        TypeError, ValueError
            If the state was not written by `to_bytes`, is damaged, or is inconsistent.

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
            raise ValueError(f"state is inconsistent: {error}") from error
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
        """Restore a question of a state."""
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
