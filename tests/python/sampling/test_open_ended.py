"""Jobs that may end at any draw: their guess, draws ahead of them, and no trace of the batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from smoothbound.anytime import Decide, FindRadius, Plan
from smoothbound.measures import BUILT_IN, Measure, custom
from smoothbound.noise._noise import Noise
from smoothbound.noise._streams import Stream
from smoothbound.sampling._in_flight import CLEAR_LEAD
from smoothbound.sampling._jobs import Draws, Failure, FixedJob, Input
from smoothbound.sampling._sampler import Sampler

SIGMA = 1.0
GINI = custom(lambda p, y: p.square().sum(dim=1) + 0 * y, (0.0, 1.0), name="gini")
GROWTH = 4  # it asks for 1 draw, and then for a fourth of those that it has


class UntilSum:
    """Ends at the first look at which the sum of the scores reaches a level."""

    def __init__(self, level: float, most: int) -> None:
        self.level, self.most = level, most
        self.taken, self.sum, self.look = 0, 0.0, 1
        self.guess: tuple[int, NDArray[np.float32]] | None = None

    @property
    def remaining(self) -> int:
        return 0 if self.sum >= self.level else min(self.look, self.most) - self.taken

    @property
    def most_remaining(self) -> int:
        return self.most - self.taken

    def begin(self, selected: int, scores: NDArray[np.float32]) -> None:
        assert self.taken == 0
        self.guess = selected, scores

    def update(self, scores: NDArray[np.float32]) -> None:
        assert len(scores) == self.remaining
        self.taken += len(scores)
        self.sum += float(scores.sum(dtype=np.float64))
        if self.taken == self.look:
            self.look += 1 + self.look // GROWTH


def line(x: Tensor) -> Tensor:
    """Three classes, of which the first is on top where x0 > 0 and the second elsewhere."""
    return torch.stack([3 * x[:, 0], -3 * x[:, 0], x[:, 1] - 3], dim=1)


def points(*x0: float) -> list[NDArray[np.float32]]:
    return [np.array([value, 0.0], np.float32) for value in x0]


def outputs_of(x: NDArray[np.float32], index: int, stream: Stream, n: int) -> Tensor:
    """The probabilities of the first n draws of an input, one draw at a time."""
    noise, out = Noise("lattice", SIGMA), torch.empty(n, 2)
    point = noise.point(torch.tensor(x))[None]
    for i in range(n):
        key = (torch.tensor([number]) for number in (0, index, i, stream))
        noise.add(point, *key, out[i : i + 1])
    return line(out).softmax(dim=1)


def sampled(
    xs: list[NDArray[np.float32]],
    model: Callable[[Tensor], Tensor] = line,
    *,
    level: float = 12.0,
    batch_size: int = 32,
    early: bool = True,
    check_rows: bool = True,
    **options: Any,
) -> list[tuple[UntilSum, Draws | Failure]]:
    """Draw inputs by jobs of their own, in their order."""
    sampler = Sampler(model, SIGMA, batch_size=batch_size, check_rows=check_rows, **options)
    queue = [Input(x, i, UntilSum(level, 200)) for i, x in enumerate(xs)]
    found = {
        item.index: (item.job, outcome)
        for item, outcome in sampler.sample(
            queue, n0=40, noise=sampler.noise(), early_selection=early, known_good=True
        )
    }
    return [found[i] for i in range(len(xs))]  # type: ignore[misc]


X0 = (2.0, 1.0, 0.6, 0.3, -0.2, -0.5, -1.5)


@pytest.mark.parametrize("measure", [*BUILT_IN, GINI], ids=lambda measure: measure.name)
@pytest.mark.parametrize("early", [True, False])
def test_a_job_begins_with_the_scores_of_its_class_in_the_selection_draws(
    measure: Measure, early: bool
) -> None:
    found = sampled(points(*X0), measure=measure, early=early)
    for index, (x, (job, draws)) in enumerate(zip(points(*X0), found, strict=True)):
        assert isinstance(draws, Draws)
        assert job.guess is not None
        selected, scores = job.guess
        assert selected == draws.selected
        outputs = outputs_of(x, index, Stream.SELECTION, draws.n0)
        expected = measure.function(outputs, torch.full((draws.n0,), selected))
        np.testing.assert_allclose(scores, expected, atol=1e-6)
        assert draws.n0 == 40 or early
        votes = torch.bincount(outputs.argmax(dim=1), minlength=3).sort().values
        assert draws.n0 == 40 or votes[-1] - votes[-2] == CLEAR_LEAD
    assert min(draws.n0 for _, draws in found) == (10 if early else 40)  # type: ignore[union-attr]


@pytest.mark.parametrize("batch_size", [1, 3, 17, 64, 500])
@pytest.mark.parametrize("early", [True, False])
def test_results_do_not_depend_on_the_batches(batch_size: int, early: bool) -> None:
    # Votes have the same bits in every batch.
    whole = sampled(points(*X0), measure="vote", early=early)
    cut = sampled(points(*X0), measure="vote", early=early, batch_size=batch_size)
    alone = [sampled(points(*X0[: i + 1]), measure="vote", early=early)[i] for i in range(len(X0))]
    for (job, draws), *others in zip(whole, cut, alone, strict=True):
        assert isinstance(draws, Draws)
        assert len(draws.scores) == job.taken
        assert job.sum >= 12 or job.taken == 200
        for other_job, other in others:
            assert isinstance(other, Draws)
            np.testing.assert_array_equal(other.scores, draws.scores)
            assert (other.n0, other.selected) == (draws.n0, draws.selected)
            assert other.top_count == draws.top_count == draws.scores.sum()
            assert other_job.guess is not None
            assert job.guess is not None
            np.testing.assert_array_equal(other_job.guess[1], job.guess[1])


def test_one_input_takes_few_batches() -> None:
    sizes = []

    def counted(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return line(x)

    ((job, draws),) = sampled(points(4.0), counted, check_rows=False)
    assert isinstance(draws, Draws)
    assert job.taken == len(draws.scores) < 32
    assert sizes == [32, 32]  # the selection, and all that it asks for one after the other


def test_all_draws_are_work_and_those_taken_alone_count() -> None:
    sampler = Sampler(line, SIGMA, batch_size=50)
    work: list[int] = []
    job = UntilSum(12.0, 200)
    ((_, draws),) = sampler.sample(
        [Input(points(2.0)[0], 0, job)],
        n0=40,
        noise=sampler.noise(),
        early_selection=True,
        advance=work.append,
    )
    assert isinstance(draws, Draws)
    assert sum(work) == draws.n0 + 50 > draws.n0 + len(draws.scores)


def far_draw(x: NDArray[np.float32], beyond: int) -> float:
    """A value of x0 that no draw of an input exceeds before a number, and some draw after it."""
    noise, out = Noise("lattice", SIGMA), torch.empty(150, 2)
    point = noise.point(torch.tensor(x))[None]
    key = [torch.zeros(150, dtype=torch.int64) for _ in range(4)]
    key[2], key[3] = torch.arange(150), torch.full((150,), int(Stream.ESTIMATION))
    noise.add(point, *key, out)
    most, later = out[:beyond, 0].max(), out[beyond:, 0].max()
    selection = torch.empty(40, 2)
    key = [each[:40] for each in key[:3]] + [torch.full((40,), int(Stream.SELECTION))]
    noise.add(point, *key, selection)
    most = torch.maximum(most, selection[:, 0].max())
    assert most < later
    return float(most + later) / 2


@pytest.mark.parametrize("how", ["nan", "raises"])
def test_a_draw_ahead_on_which_the_model_fails_is_no_failure_of_the_input(how: str) -> None:
    x = points(-1.0)
    ((_, plain),) = sampled(x, batch_size=1)
    assert isinstance(plain, Draws)
    limit = far_draw(x[0], len(plain.scores))

    def failing(batch: Tensor) -> Tensor:
        far = batch[:, 0] > limit
        if how == "raises" and far.any():
            raise RuntimeError("too far")
        return torch.where(far[:, None], torch.nan, line(batch))

    ((_, draws),) = sampled(x, failing, batch_size=200)
    assert isinstance(draws, Draws)
    np.testing.assert_allclose(draws.scores, plain.scores, atol=1e-6)
    ((_, failed),) = sampled(x, failing, batch_size=200, level=1000.0)  # it wants that draw
    assert isinstance(failed, Failure)
    assert ("NaN" if how == "nan" else "too far") in failed.reason


def test_a_guess_outside_the_range_is_a_failure() -> None:
    wrong = custom(lambda p, y: 2 * p[:, 0], (0.0, 1.0), name="twice")
    ((_, failed),) = sampled(points(4.0), measure=wrong)
    assert isinstance(failed, Failure)
    assert "measure 'twice' has the range [0.0, 1.0], and 10 of 10 values" in failed.reason
    assert "at selection draw 0" in failed.reason


@pytest.mark.parametrize("measure", ["score", "vote"])
def test_an_early_end_changes_no_estimation_draw(measure: str) -> None:
    sampler = Sampler(line, SIGMA, measure=measure, batch_size=32)
    x = points(4.0)[0]
    whole = sampler.draw(x, n0=60, n=100)
    early = sampler.draw(x, n0=60, n=100, early_selection=True)
    assert (whole.n0, early.n0) == (60, 10)
    np.testing.assert_allclose(early.scores, whole.scores, atol=1e-6)
    assert early.top_count == whole.top_count


def test_the_number_of_slots_does_not_depend_on_n0_where_few_draws_are_asked_for() -> None:
    sampler = Sampler(line, SIGMA, batch_size=40)
    inputs = (Input(points(2.0)[0], i, FixedJob(3)) for i in range(200))
    found = list(sampler.sample(inputs, n0=40, noise=sampler.noise(), early_selection=True))
    assert all(isinstance(draws, Draws) and len(draws.scores) == 3 for _, draws in found)
    assert {draws.n0 for _, draws in found} <= set(range(10, 41))  # type: ignore[union-attr]


# --- the jobs of the anytime test ----------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [7, 100])
def test_the_answers_are_those_of_the_same_draws_fed_by_hand(batch_size: int) -> None:
    sampler = Sampler(line, SIGMA, measure="vote", batch_size=batch_size)
    questions = Decide(0.5, 0.2), FindRadius(0.5, 0.1)
    plan = Plan(questions=questions, sigma=SIGMA, measure="vote", n=1000)
    inputs = [Input(x, i, plan.start()) for i, x in enumerate(points(*X0))]
    found = sampler.sample(inputs, n0=40, noise=sampler.noise(), early_selection=True)
    for item, draws in found:
        assert isinstance(draws, Draws)
        alone = sampler.draw(item.x, n0=40, n=1000, index=item.index, early_selection=True)
        n_draws = len(draws.scores)
        assert (draws.n0, draws.selected) == (alone.n0, alone.selected)
        np.testing.assert_array_equal(draws.scores, alone.scores[:n_draws])
        outputs = outputs_of(points(*X0)[item.index], item.index, Stream.SELECTION, draws.n0)
        test = plan.test((outputs.argmax(dim=1) == draws.selected).numpy().astype(np.float32))
        test.update(alone.scores[:n_draws])
        assert isinstance(item.job, type(plan.start()))
        assert item.job.test.answers == test.answers
        assert item.job.test.n_draws == test.n_draws == n_draws


def test_false_certificates_are_no_more_frequent_than_alpha() -> None:
    # Class 0 is on top with probability Phi(x0), so that its radius is x0, and no more.
    def two(x: Tensor) -> Tensor:
        return torch.stack([x[:, 0], -x[:, 0]], dim=1)

    radius, alpha, repetitions = 0.3, 0.2, 400
    sampler = Sampler(two, SIGMA, measure="vote", batch_size=1000)
    plan = Plan(questions=(Decide(0.5, radius),), sigma=SIGMA, measure="vote", alpha=alpha, n=300)
    queue = [Input(x, i, plan.start()) for i, x in enumerate(points(*[radius] * repetitions))]
    found = list(sampler.sample(queue, n0=100, noise=sampler.noise(), early_selection=True))
    false = sum(item.job.test.answers[0].certified for item, _ in found)  # type: ignore[attr-defined]
    assert 0 < false <= stats.binom.ppf(1 - 1e-6, repetitions, alpha)
    assert all(isinstance(draws, Draws) for _, draws in found)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("batch_size", [10, 300])
def test_cuda_agrees_with_the_cpu(batch_size: int) -> None:
    here = sampled(points(*X0), measure="vote")
    there = sampled(points(*X0), measure="vote", device="cuda", batch_size=batch_size)
    for (job, draws), (other_job, other) in zip(here, there, strict=True):
        assert isinstance(draws, Draws)
        assert isinstance(other, Draws)
        np.testing.assert_array_equal(other.scores, draws.scores)
        assert (other.n0, other.selected) == (draws.n0, draws.selected)
        assert job.guess is not None
        assert other_job.guess is not None
        np.testing.assert_array_equal(other_job.guess[1], job.guess[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_outputs_that_are_kept_outlive_a_cuda_graph() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Softmax(dim=1))
    options: dict[str, Any] = {"model": model, "outputs": "probabilities", "device": "cuda"}
    plain = sampled(points(*X0), **options)
    graphs = sampled(points(*X0), compile="reduce-overhead", **options)
    for (job, _), (other_job, _) in zip(plain, graphs, strict=True):
        assert job.guess is not None
        assert other_job.guess is not None
        np.testing.assert_allclose(other_job.guess[1], job.guess[1], atol=1e-5)
