"""Inputs whose noise has a level of their own, in shared batches."""

import numpy as np
import pytest
import torch

from smoothbound.errors import ModelError
from smoothbound.noise import Noise
from smoothbound.sampling._jobs import Draws, FixedJob, Input
from smoothbound.sampling._sampler import Sampler

LEVELS = [0.25, 0.5, 0.5, 0.125, 0.25, 1.0, 0.3]


def network(x):
    return torch.cat([x, -x], dim=1)


def inputs(rng, sampler, noise, n=40):
    x = rng.integers(0, 256, size=(len(LEVELS), 3)).astype(np.float32) / np.float32(255)
    own = [noise.at(level) for level in LEVELS]
    return x, [Input(x[i], i + 5, FixedJob(n), noise=own[i]) for i in range(len(x))]


KINDS = pytest.mark.parametrize("how", [{"grid": 255}, {}, {"kind": "gaussian"}], ids=str)


@KINDS
@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_draws_are_those_of_the_input_at_its_level_alone(how, batch_size):
    _compare_with_each_alone(how, batch_size=batch_size)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@KINDS
def test_draws_on_a_gpu_are_those_of_the_input_at_its_level_alone(how):
    _compare_with_each_alone(how, batch_size=64, device="cuda")


def _compare_with_each_alone(how, **options):
    sampler = Sampler(network, 0.5, **options)
    noise = sampler.noise(how.get("kind"), seed=9, grid=how.get("grid"))
    x, items = inputs(np.random.default_rng(0), sampler, noise)
    outcomes = dict(sampler.sample(items, n0=10, noise=noise))
    assert len(outcomes) == len(LEVELS)
    for i, (item, level) in enumerate(zip(items, LEVELS, strict=True)):
        alone = Sampler(network, level, **options).draw(
            x[i], n0=10, n=40, seed=9, index=i + 5, noise=how.get("kind"), grid=how.get("grid")
        )
        np.testing.assert_array_equal(outcomes[item].scores, alone.scores)
        assert outcomes[item].selected == alone.selected
        assert outcomes[item].top_count == alone.top_count


def test_batches_hold_inputs_of_several_levels():
    calls = []

    def counting(x):
        calls.append(len(x))
        return network(x)

    sampler = Sampler(counting, 0.5, batch_size=70, check_rows=False)
    noise = sampler.noise(seed=9, grid=255)
    _, items = inputs(np.random.default_rng(0), sampler, noise)
    assert len(list(sampler.sample(items, n0=10, noise=noise))) == 7
    assert calls == [70] * 5  # 7 inputs of 50 draws


def test_a_model_that_mixes_rows_is_found_at_every_level():
    sampler = Sampler(lambda x: network(x - x.mean(dim=0)), 0.5, batch_size=16)
    noise = sampler.noise(seed=9, grid=255)
    _, items = inputs(np.random.default_rng(0), sampler, noise)
    with pytest.raises(ModelError, match="depend on the other rows"):
        list(sampler.sample(items, n0=10, noise=noise))


def test_an_input_that_fails_leaves_those_of_other_levels_alone():
    def failing(x):
        if bool((x > 2.5).any()):
            raise RuntimeError("too large")
        return network(x)

    sampler = Sampler(failing, 0.1, batch_size=64)
    noise = sampler.noise(seed=1)
    items = [
        Input(np.array([0.0], np.float32), 0, FixedJob(30), noise=noise),
        Input(np.array([3.0], np.float32), 1, FixedJob(30), noise=noise.at(0.05)),
        Input(np.array([0.5], np.float32), 2, FixedJob(30), noise=noise.at(0.2)),
    ]
    outcomes = dict(sampler.sample(items, n0=10, noise=noise, known_good=True))
    assert [isinstance(outcomes[item], Draws) for item in items] == [True, False, True]


def test_noise_of_another_kind_is_refused():
    sampler = Sampler(network, 0.5)
    other = Noise("gaussian", 0.5)
    items = [Input(np.zeros(3, np.float32), 0, FixedJob(5), noise=other)]
    items.insert(0, Input(np.zeros(3, np.float32), 1, FixedJob(5)))
    with pytest.raises(TypeError, match="points must be as point"):
        list(sampler.sample(items, n0=10, noise=sampler.noise()))
