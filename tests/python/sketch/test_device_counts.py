"""Scores that torch holds are counted exactly, on the device where they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from sketches import sketched, slow_counts

from smoothbound import ScoreSketch


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_tensors(dtype):
    torch = pytest.importorskip("torch")
    scores = torch.rand((2, 700), generator=torch.Generator().manual_seed(0))
    scores = scores.to(getattr(torch, dtype))
    one, other = ScoreSketch(2), ScoreSketch(2)
    one.update(scores)
    other.update(scores.double().numpy())
    assert one == other


@pytest.fixture(scope="class")
def elsewhere():
    """Torch, where tensors on the CPU are treated as those of a device."""
    torch = pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "smoothbound.sketch._arguments.is_elsewhere", lambda x: isinstance(x, torch.Tensor)
        )
        yield torch


@settings(max_examples=40)
@given(case=sketched())
def test_counts_on_a_device_are_exact(elsewhere, case):
    edges, scores = case
    sketch = ScoreSketch(edges=edges)
    sketch.update(elsewhere.from_numpy(scores[None, :]))
    assert sketch.counts[0].tolist() == slow_counts(scores, sketch.edges)


def test_counts_come_back_when_needed(elsewhere):
    scores = np.random.default_rng(0).uniform(-1, 1, (3, 900)).astype("f4")
    here, there = (ScoreSketch([2, 5, 6], score_range=(-1, 1)) for _ in range(2))
    here.update(scores)
    there.update(elsewhere.from_numpy(scores[:, :300]))
    there.update(elsewhere.from_numpy(scores[1:, 300:]).bfloat16()[:, ::2], index=[5, 6])
    assert not there._content.counts.any()
    assert there.n_draws.tolist() == [300, 600, 600]
    assert there.counts.sum(axis=1).tolist() == [300, 600, 600]
    there = ScoreSketch([2, 5, 6], score_range=(-1, 1))
    there.update(iter(elsewhere.from_numpy(scores).split(250, dim=1)))
    assert here == there


def test_a_bad_score_shows_later_and_spoils_the_sketch(elsewhere):
    sketch = ScoreSketch([4, 7])
    scores = elsewhere.full((2, 100), 0.5)
    sketch.update(scores)
    for bad in (elsewhere.nan, 1.5, -0.1):
        spoiled = scores.clone()
        spoiled[1, 30] = bad
        sketch = ScoreSketch([4, 7])
        sketch.update(scores)
        sketch.update(spoiled)
        sketch.update(scores)
        with pytest.raises(ValueError, match=r"draw 130 of input 7, counted on .* begin a new"):
            sketch.certify(sigma=1)
        with pytest.raises(ValueError, match="draw 130 of input 7"):
            sketch.update(scores)


def test_scores_of_a_device_that_come_again_show_later_and_spoil_the_sketch(elsewhere):
    scores = elsewhere.rand((6, 200), generator=elsewhere.Generator().manual_seed(0))
    further = elsewhere.rand((6, 200), generator=elsewhere.Generator().manual_seed(1))
    for again in (scores.clone(), scores[:, :100], scores.numpy()):
        sketch = ScoreSketch(6)
        sketch.update(scores)
        sketch.update(further)
        sketch.update(again)
        with pytest.raises(ValueError, match=r"of other draws .*draws \d+ to \d+, counted on cpu"):
            sketch.certify(sigma=1)
        with pytest.raises(ValueError, match="begin a new sketch"):
            sketch.update(further)
    sketch = ScoreSketch(6)
    for first_draw in (0, 200):  # who numbers draws knows better
        sketch.update(scores, first_draw=first_draw)
    for _ in range(2):
        sketch.update(elsewhere.ones((6, 100)))
    assert sketch.counts.sum(axis=1).tolist() == [600] * 6


def test_draws_are_recorded_at_once(elsewhere):
    sketch = ScoreSketch()
    scores = elsewhere.full((1, 100), 0.5)
    sketch.update(scores)
    with pytest.raises(ValueError, match="overlap"):
        sketch.update(scores, first_draw=99)
    with pytest.raises(ValueError, match="shape"):
        sketch.update(scores[0])
    with pytest.raises(TypeError, match="floats"):
        sketch.update(scores.long())


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_scores_on_a_gpu_are_counted_there():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA")
    scores = torch.rand((3, 50_000), device="cuda")
    here, there = ScoreSketch(3), ScoreSketch(3)
    here.update(scores.cpu())
    torch.cuda.set_sync_debug_mode("error")
    try:
        there.update(scores)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert here == there
