"""Questions about many inputs whose scores are all there."""

import numpy as np
import pytest
from scipy.special import expit

from smoothbound.anytime import (
    AnytimeTest,
    Decide,
    FindConfidence,
    FindRadius,
    answer_scores,
    required_draws,
)
from smoothbound.anytime import _rows as rows

SIGMA = 0.25
QUESTIONS = [Decide(0.5, SIGMA), FindRadius(0.5, 0.1), FindConfidence(SIGMA, 0.05)]


def scores_of(n_inputs, n_draws, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    centres = np.linspace(0, 5, n_inputs)[:, None]
    return expit(centres + 1.5 * rng.standard_normal((n_inputs, n_draws))).astype(dtype)


@pytest.mark.parametrize("side", ["lower", "upper", "both"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_each_row_is_answered_as_a_test_answers_it(side, dtype):
    scores = scores_of(5, 600, dtype=dtype)
    found = answer_scores(scores, QUESTIONS, sigma=SIGMA, side=side, order="drawn", n_guess=12)
    assert len(found) == 5
    for i, row in enumerate(scores):
        test = AnytimeTest(QUESTIONS, sigma=SIGMA, side=side, guess=row[:12])
        test.update(row[12:])
        for j, answer in enumerate(test.answers):
            assert (found.questions[j], found.sides[j]) == (answer.question, answer.side)
            assert found.certified[i, j] == answer.certified
            assert found.n_draws[i, j] == (answer.n_draws + 12 if answer.certified else 0)
            np.testing.assert_equal(found.radius[i, j], answer.radius)
            np.testing.assert_equal(found.confidence[i, j], answer.confidence)
    assert found.alpha == test.answers[0].alpha
    assert found.certified.any()


def test_parts_threads_and_blocks_make_no_difference(monkeypatch):
    scores = scores_of(7, 300)
    whole = answer_scores(scores, QUESTIONS, sigma=SIGMA, seed=5, threads=1)
    monkeypatch.setattr(rows, "_MOST_CELLS", 40)
    blocks = answer_scores(scores, QUESTIONS, sigma=SIGMA, seed=5, threads=3)
    later = answer_scores(scores[3:], QUESTIONS, sigma=SIGMA, seed=5, first_row=3)
    for name in ("certified", "radius", "confidence", "n_draws"):
        np.testing.assert_array_equal(getattr(blocks, name), getattr(whole, name))
        np.testing.assert_array_equal(getattr(later, name), getattr(whole, name)[3:])


def test_both_backends_give_the_same_answers(backend):
    scores = scores_of(4, 300, dtype="float32")
    options = {"sigma": SIGMA, "seed": 2, "first_row": 5, "side": "both", "n_guess": 20}
    coarse = [QUESTIONS[0], FindRadius(0.5, 0.5), FindConfidence(SIGMA, 0.3)]
    found = answer_scores(scores, coarse, backend=backend, **options)
    expected = answer_scores(scores, coarse, **options)
    np.testing.assert_array_equal(found.n_draws, expected.n_draws)
    np.testing.assert_array_equal(found.radius, expected.radius)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    assert found.certified.any()
    scores[2, 7] = 2.0
    with pytest.raises(ValueError, match=r"got scores\[2, 7\] = 2.0"):
        answer_scores(scores, coarse, backend=backend, **options)


def test_no_inputs_get_no_answers():
    found = answer_scores(np.empty((0, 300)), QUESTIONS, sigma=SIGMA)
    assert found.certified.shape == found.radius.shape == (0, 3)


def test_sorted_rows_are_permuted_by_a_key():
    """The claim is false by nothing. Used from the highest score on, every row would show it."""
    rng, n_rows, alpha = np.random.default_rng(3), 400, 0.1
    votes = np.sort(rng.random((n_rows, 400)) < 0.7, axis=1)[:, ::-1].astype(np.float32)
    options = {"sigma": SIGMA, "alpha": alpha, "n_guess": 0}
    assert answer_scores(votes, Decide(0.7, 0.0), order="drawn", **options).certified.all()
    false = answer_scores(votes, Decide(0.7, 0.0), seed=8, **options).certified.mean()
    assert 0 < false < alpha + 3 * np.sqrt(alpha * (1 - alpha) / n_rows)


def test_too_few_draws_say_how_many_would_do():
    question = Decide(0.5, radius=0.5)
    least = required_draws(question, sigma=SIGMA)
    with pytest.raises(ValueError, match=f"n = 90 draws are too few .* at least n = {least} are"):
        answer_scores(np.ones((1, 100)), question, sigma=SIGMA)
    (enough,) = answer_scores(np.ones((1, least + 10)), question, sigma=SIGMA).n_draws
    assert enough == [least + 10]
    with pytest.raises(ValueError, match=r"even if every score were -1; more than \d+ are needed"):
        answer_scores(
            np.ones((1, 100)),
            Decide(0.5, 11.0),
            sigma=SIGMA,
            score_range=(-1.0, 1.0),
            side="upper",
        )


def test_the_draws_that_are_required_are_hardly_more_than_any_test_needs():
    """With P(1) just below Phi(r) all n draws are 1 with probability Phi(r)^n."""
    assert required_draws(Decide(0.5, 0.0), sigma=SIGMA, alpha=0.5**10) in (11, 12)
    with pytest.raises(ValueError, match="question needs more than 16777216 draws"):
        required_draws(Decide(0.5, 7.0 * SIGMA), sigma=SIGMA)
    assert required_draws(Decide(0.5, 0.0), sigma=SIGMA, side="both") > required_draws(
        Decide(0.5, 0.0), sigma=SIGMA
    )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"scores": [[0.5, *[np.nan] * 89]] * 2}, r"got scores\[0, 1\] = nan"),
        ({"scores": [[0.5] * 90, [0.5] * 89 + [2.0]]}, r"got scores\[1, 89\] = 2.0"),
        ({"scores": [0.5]}, r"scores must have the shape \(n_inputs, n_draws\)"),
        ({"questions": []}, "questions must be"),
        ({"questions": [Decide(2.0, 0.1)]}, "threshold must lie strictly inside"),
        ({"n_guess": 91}, "n_guess must be at most 90"),
        ({"order": "sorted"}, "order must be one of"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"first_row": -1}, "first_row must be at least 0"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"side": "left"}, "side must be one of"),
    ],
)
def test_a_wrong_argument_is_named(options, match):
    given = {"scores": np.full((2, 90), 0.5), "questions": Decide(0.5, 0.0), "sigma": SIGMA}
    given |= options
    with pytest.raises((TypeError, ValueError), match=match):
        answer_scores(
            given.pop("scores"), given.pop("questions"), n_guess=given.pop("n_guess", 0), **given
        )
