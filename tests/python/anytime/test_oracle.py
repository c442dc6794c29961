"""The anytime test compared with the slow reference, over kinds of scores, sides and questions."""

import numpy as np
import pytest
from scipy.special import expit

from smoothbound.backends import _select as backends
from smoothbound.backends import reference_anytime as reference

N = 500
KINDS = {
    "logistic": lambda rng, n: expit(4 + 1.5 * rng.standard_normal(n)),
    "saturated": lambda rng, n: expit(9 + rng.standard_normal(n)),
    "beta": lambda rng, n: rng.beta(3, 1.5, n),
    "votes": lambda rng, n: (rng.uniform(size=n) < 0.95).astype(float),
    "constant": lambda rng, n: np.full(n, 0.9999),
    "places": lambda rng, n: rng.choice(reference.PLACES, n),
    "spoiled": lambda rng, n: np.where(rng.uniform(size=n) < 0.9, 1.0, rng.uniform(size=n)),
}
QUESTIONS = [(0.5, 0.0), (0.3, 1.0), (0.8, 0.5), (0.5, 2.5), (0.02, 4.0), (0.2, 0.2), (0.97, 0.01)]
ALPHA = 1e-3
TOLERANCE = {"cpp": 1e-9, "numba": 1e-8}  # by which rounding to the safe side lowers log wealth


def play(backend, scores, guess, question, score_range=(0.0, 1.0), side="lower"):
    """Return the bet that serves from every look on, and the wealth there."""
    module = backends.load(backend)
    record = module.DrawRecord(*score_range, side)
    assert record.guess(guess[None]) == -1
    process = module.EProcess(*question)
    last, bets, logs = 0, [], []
    for n in reference.looks(len(scores)):
        assert record.add(scores[None, last:n]) == -1
        process.advance(record, 1e-302)
        bets.append(reference.Bet(*question, process.z, process.stake, reference.KNOTS))
        logs.append(process.log_wealth)
        last = n
    return bets, np.array(logs)


def wealth_of(bets, draws):
    """The logarithm of the wealth at every look, of these bets."""
    ends = reference.looks(len(draws))
    steps = [
        bet.log_factor(draws[start:end].sum(axis=0))
        for bet, start, end in zip(bets[:-1], ends[:-1], ends[1:], strict=True)
    ]
    return np.cumsum([0.0, *steps])


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_wealth_is_that_of_its_bets_and_the_bets_are_the_best(backend, kind, question):
    rng = np.random.default_rng([len(kind), int(10 * question[1])])
    n_guess = int(rng.choice([0, 1, 10, 100]))
    scores = KINDS[kind](rng, N + n_guess)
    guess, scores = scores[:n_guess], scores[n_guess:]
    bets, logs = play(backend, scores, guess, question)
    masses, guessed = reference.masses(scores), reference.masses(guess)
    exact = wealth_of(bets, masses)
    assert (logs <= exact).all()
    np.testing.assert_allclose(logs, exact, rtol=0, atol=TOLERANCE[backend])
    own = np.array([log for _, log, _ in reference.wealth(masses, guessed, *question)])
    assert np.median(abs(logs - own)) < 1e-3
    assert abs(logs - own).max() < 0.1  # where a stake of 0 is as good as another


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_both_backends_make_the_same_bets(kind, question):
    pytest.importorskip("smoothbound._core")
    rng = np.random.default_rng([17, len(kind)])
    guess, scores = KINDS[kind](rng, 10), KINDS[kind](rng, N)
    core, own = (play(backend, scores, guess, question)[1] for backend in ("cpp", "numba"))
    # A last step of the search for the stake may be left out by one, and moves it little.
    np.testing.assert_allclose(core, own, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (-1.0, 1.0), (-3.0, 0.5), (0.0, 2.0**-10)])
@pytest.mark.parametrize("side", ["lower", "upper"])
def test_scores_of_any_type_range_and_side(backend, dtype, a, b, side):
    rng = np.random.default_rng(5)
    u = KINDS["spoiled"](rng, N + 10)
    u[::7] = 0.5  # ties on knots
    wide = a + (b - a) * (u if side == "lower" else 1 - u)
    scores = np.clip(wide, a, b).astype(dtype)
    guess, scores = scores[:10], scores[10:]
    bets, logs = play(backend, scores, guess, (0.5, 0.5), (a, b), side)
    masses = reference.masses(scores, (a, b), side)
    assert logs[-1] > 50
    np.testing.assert_allclose(logs, wealth_of(bets, masses), rtol=0, atol=TOLERANCE[backend])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_looks_are_crossed(backend, kind):
    module = backends.load(backend)
    crossed = 0
    for seed, question in enumerate(QUESTIONS):
        rng = np.random.default_rng([11, seed])
        guess, scores = KINDS[kind](rng, 10), KINDS[kind](rng, N)
        record = module.DrawRecord(0.0, 1.0, "lower")
        record.guess(guess[None])
        record.add(scores[None])
        masses, guessed = reference.masses(scores), reference.masses(guess)
        for first in (0, 30):
            found = module.EProcess(*question, first).advance(record, ALPHA)
            assert found == reference.crossing(masses, guessed, *question, ALPHA, first)
            crossed += found > 0
    assert crossed >= 2


def test_knots_and_places():
    knots = reference.KNOTS
    assert (knots == backends.load("cpp").anytime_knots).all()
    assert (np.diff(reference.PLACES) > 0).all()
    assert (knots + knots[::-1] == 1).all()
    rows = reference.masses(reference.PLACES)
    assert (rows.sum(axis=1) == 1).all()
    # A place inside the range is rounded down to the one before, because shares are rounded down.
    means = rows @ knots
    assert (means[1:-1] == reference.PLACES[:-2]).all()
    assert means[0] == 0
    assert means[-1] == 1


def test_a_score_beside_a_place_has_the_masses_of_the_place_below(backend):
    """No rounding carries a score past a place: with r = 0, one draw changes the wealth by it."""
    places = reference.PLACES[1 : -1 : 149 if backend == "cpp" else 1409]
    for scores in (np.nextafter(places, 0.0), places, np.nextafter(places, 1.0)):
        for score in scores:
            draws = np.full(2, score)
            bets, logs = play(backend, draws, np.full(10, 0.9), (0.5, 0.0))
            assert logs[-1] <= wealth_of(bets, reference.masses(draws))[-1]


def test_a_bet_is_fair_where_the_null_hypothesis_holds():
    """E v <= m for every distribution whose functional is at most the target, and = m for one."""
    rng = np.random.default_rng(3)
    n = len(reference.KNOTS)
    p = rng.dirichlet(np.full(n, 0.1))
    state = reference.best_bet(p, 0.1, 1.0)
    for _ in range(40):
        state = reference.best_bet(p, 0.1, 1.0, state)
    assert reference.functional(state.worst, 1.0) == pytest.approx(0.1, abs=1e-9)
    assert state.worst @ state.bet.values == pytest.approx(state.bet.null_mean, abs=1e-9)
    for _ in range(200):
        other = rng.dirichlet(np.full(n, rng.choice([0.01, 0.1, 1.0])))
        bet = reference.Bet(
            reference.functional(other, 1.0), 1.0, state.bet.z, 1.0, reference.KNOTS
        )
        assert other @ bet.values <= bet.null_mean + 1e-12
