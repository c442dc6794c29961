"""A sketch knows the numbers, class, noise and level of its draws, or is told; it never guesses."""

from dataclasses import replace

import numpy as np
import pytest

from smoothbound import ScoreSketch
from smoothbound.sampling._sampler import Sampler


def test_draws_of_a_sampler_count_once_under_their_numbers():
    torch = pytest.importorskip("torch")
    sampler = Sampler(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
    x = np.array([0.4], np.float32)
    draws = sampler.draw(x, n0=10, n=300, index=7)
    more = sampler.draw(x, n0=10, n=200, index=7, first_draw=draws.next_draw)
    about = {"displacement": draws.displacement, "sigma": 0.5, "noise": "lattice"}
    sketch = ScoreSketch([3, 7], selected=[0, draws.selected], **about)
    sketch.update(draws)
    for again in (draws, sampler.draw(x, n0=10, n=300, index=7), iter([draws])):
        with pytest.raises(
            ValueError, match="for input 7, the draws 0 to 299 and 0 to 299 overlap"
        ):
            sketch.update(again)
    sketch.update(more)
    assert sketch.n_draws.tolist() == [0, 500]
    whole = ScoreSketch([3, 7], selected=[0, draws.selected], **about)
    whole.update((draws + more).scores[None], index=[7])
    assert sketch == whole
    for wrong, said in (
        (ScoreSketch([3, 7], sigma=0.5), "displacement"),
        (ScoreSketch([7], selected=[1 - draws.selected], **about), "scores must be of class"),
        (ScoreSketch([3], **about), "index must be among"),
    ):
        with pytest.raises(ValueError, match=said):
            wrong.update(draws)
        assert not wrong.n_draws.any()
    other = ScoreSketch([3], **about)
    other.update(draws, index=[3])
    assert other.n_draws.tolist() == [300]


def sampled(sigma=0.5, measure="score", at=0.02, **options):
    torch = pytest.importorskip("torch")
    sampler = Sampler(lambda x: torch.cat([x, -x], dim=1), sigma=sigma, measure=measure)
    return sampler.draw(np.array([at], np.float32), n0=3, n=200, **options)


def test_draws_of_another_class_noise_level_or_measure_do_not_mix():
    drawn = [sampled(seed=seed) for seed in range(20)]
    assert {draws.selected for draws in drawn} == {0, 1}  # near the border of the classes
    first = drawn[0]
    sketch = ScoreSketch(displacement=first.displacement)
    sketch.update(first)
    assert (sketch.selected.tolist(), sketch.sigma) == ([first.selected], 0.5)
    for k, draws in enumerate(drawn[1:], 1):
        if draws.selected == first.selected:
            sketch.update(draws, first_draw=200 * k)
        else:
            with pytest.raises(
                ValueError, match=f"of class {first.selected}, like those of the sk"
            ):
                sketch.update(draws, first_draw=200 * k)
    same = sum(draws.selected == first.selected for draws in drawn)
    assert sketch.n_draws.tolist() == [200 * same]
    with pytest.raises(ValueError, match=r"of sigma = 0\.5, like those of the sketch"):
        sketch.update(sampled(sigma=0.25, first_draw=10_000))
    margin = ScoreSketch(score_range=(-1, 1), measure="margin", displacement=first.displacement)
    with pytest.raises(ValueError, match="of the measure 'margin' of the sketch, got draws of 'sc"):
        margin.update(first)
    assert (margin.n_draws.tolist(), margin.sigma) == ([0], None)
    margin.update(sampled(measure="margin"))
    with pytest.raises(ValueError, match="must have the same measure"):
        first + sampled(measure="margin", first_draw=200)


def test_draws_of_another_kind_of_noise_do_not_mix():
    lattice, gaussian = sampled(at=9.0), sampled(at=9.0, noise="gaussian", first_draw=200)
    sketch = ScoreSketch(displacement=lattice.displacement)
    sketch.update(lattice)
    assert (sketch.noise, ScoreSketch().noise) == ("lattice", None)
    with pytest.raises(ValueError, match="must be of noise = 'lattice', like those of the sketch"):
        sketch.update(gaussian)
    with pytest.raises(ValueError, match="must have the same noise, got lattice and gaussian"):
        replace(lattice, displacement=0.0) + gaussian
    floating = ScoreSketch()
    floating.update(gaussian)
    assert floating.noise == "gaussian"
    assert "gaussian noise" in repr(floating)


@pytest.mark.parametrize(
    ("name", "value"), [("selected", [1]), ("sigma", 0.5), ("noise", "lattice")]
)
def test_what_a_sketch_was_not_told_is_stated_and_not_guessed(name, value):
    told, drawn = ScoreSketch(**{name: value}), sampled(at=9.0, first_draw=200)
    told.update(np.full((1, 100), 0.5), first_draw=100)
    sketch = ScoreSketch(displacement=drawn.displacement)
    sketch.update(np.full((1, 100), 0.25))
    others = {"selected": [drawn.selected], "sigma": 0.5, "noise": "lattice"}
    others.pop(name)
    sketch.state(**others)
    with pytest.raises(ValueError, match=rf"was not stated; .* call state\({name}=...\)"):
        sketch.update(drawn)
    plain = ScoreSketch()
    plain.update(np.full((1, 100), 0.25))
    for one, two in ((plain, told), (told, plain)):
        with pytest.raises(ValueError, match=rf"differ: .*call state\({name}=...\)"):
            one + two
    plain.state(**{name: value})
    assert (plain + told).n_draws.tolist() == [200]
    sketch.state(**{name: [drawn.selected] if name == "selected" else value})
    sketch.update(drawn)
    assert sketch.n_draws.tolist() == [300]


def test_what_a_sketch_was_told_is_not_changed():
    sketch = ScoreSketch([1, 5], selected=[3, -1], sigma=0.5, noise="lattice")
    sketch.state(selected=[-1, 4])
    assert sketch.selected.tolist() == [3, 4]
    for changed, said in (
        ({"selected": [3, 5]}, "selected of input 5 must be 4, as stated before, got 5"),
        ({"sigma": 0.25}, "sigma must be 0.5, as stated"),
        ({"noise": "gaussian", "selected": [3, 4]}, "noise must be 'lattice'"),
    ):
        with pytest.raises(ValueError, match=said):
            sketch.state(**changed)
        assert (sketch.selected.tolist(), sketch.sigma, sketch.noise) == ([3, 4], 0.5, "lattice")


def test_draws_of_a_sampler_do_not_count_again_under_other_numbers():
    draws = sampled()
    for update in (
        lambda sketch: sketch.update(draws, first_draw=200),
        lambda sketch: sketch.update(iter([draws, draws]), first_draw=200),
    ):
        sketch = ScoreSketch(displacement=draws.displacement)
        sketch.update(draws)
        with pytest.raises(ValueError, match="scores must be of other draws"):
            update(sketch)
        assert sketch.n_draws.tolist() == [200]
