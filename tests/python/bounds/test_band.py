"""The equal-local-levels band: its calibration, its coverage, and how calibrations are kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

import smoothbound as sb
from smoothbound import build_info
from smoothbound.backends import reference
from smoothbound.bounds import _band as bands
from smoothbound.bounds._band import local_level

needs_core = pytest.mark.skipif(not build_info()["extension"], reason="tests the C++ core")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SMOOTHBOUND_CACHE_DIR", str(tmp_path))
    bands._kept_level.cache_clear()
    yield tmp_path
    bands._kept_level.cache_clear()


@needs_core
@pytest.mark.parametrize(
    ("m", "level", "top"),
    [
        (1_000, 1.43162e-5, 0.9889079),
        (10_000, 1.39110e-5, 0.9988823),
        (100_000, 1.38692e-5, 0.9998881),
    ],
)
def test_known_values(cache, m, level, top):
    # Calibrated with an independent program, for 1000 equally spaced ranks, alpha = 0.001.
    found = local_level(m, n_bins=1000)
    assert found == pytest.approx(level, rel=4e-6)
    assert found ** (1 / m) == pytest.approx(top, abs=6e-8)


@needs_core
@given(
    st.integers(2, 60),
    st.floats(1e-6, 0.2),
    st.one_of(st.none(), st.integers(1, 60)),
    st.booleans(),
)
def test_the_core_agrees_with_the_reference(m, level, n_bins, two_sided):
    core = bands.backends.load("cpp")
    ranks, bounds = reference.ell_bounds(m, level, n_bins)
    lower = np.full(m, np.nan)
    lower[ranks - 1] = bounds
    upper = 1.0 - lower[::-1] if two_sided else np.full(m, np.nan)
    upper_ranks = np.flatnonzero(~np.isnan(upper)) + 1
    found = core.stay_probability(
        m, ranks.tolist(), bounds, upper_ranks.tolist(), upper[upper_ranks - 1]
    )
    assert found == pytest.approx(reference.stay_probability(m, lower, upper), abs=1e-11)


@needs_core
def test_blocks_agree_with_going_from_bound_to_bound():
    # m large enough for the core to take far counts in blocks, and small enough for the reference
    m, level = 20_000, 1e-5
    ranks, bounds = reference.ell_bounds(m, level)
    found = bands.backends.load("cpp").stay_probability(m, ranks.tolist(), bounds, [], np.empty(0))
    expected = reference.stay_probability(m, bounds)
    assert found <= expected + 1e-13
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("m", "lower"), [(1, [0.3]), (2, [0.1, 0.4]), (3, [0.1, 0.2, 0.5])])
def test_the_reference_agrees_with_integrals(m, lower):
    """P(V_(k) >= a_k for all k) by hand: m! times the integral over a_k <= v_1 <= ... <= v_m."""
    volume = np.polynomial.Polynomial([1.0])
    for a in lower:  # the integral from a to v of the volume so far
        antiderivative = volume.integ()
        volume = antiderivative - antiderivative(a)
    exact = volume(1.0) * np.prod(np.arange(1, m + 1))
    assert reference.stay_probability(m, np.array(lower)) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("n_bins", [None, 20])
def test_simulated_coverage(two_sided, n_bins):
    m, alpha, repeats = 200, 0.05, 20_000
    level = local_level(m, alpha=alpha, n_bins=n_bins, two_sided=two_sided)
    ranks, bounds = reference.ell_bounds(m, level, n_bins)
    order = np.sort(np.random.default_rng(1).uniform(size=(repeats, m)), axis=1)
    failed = (order[:, ranks - 1] < bounds).any(axis=1)
    if two_sided:
        failed |= (order[:, m - ranks] > 1 - bounds).any(axis=1)
    # exactly alpha: within four standard errors on both sides
    assert failed.mean() == pytest.approx(alpha, abs=4 * np.sqrt(alpha / repeats))


@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("m", [1, 3, 5, 12])
def test_the_levels_of_a_few_draws_cover_at_any_alpha(m, alpha):
    """With few draws and a large alpha levels reach 1/2, and quantiles exceed it."""
    level = local_level(m, alpha=alpha)
    _, bounds = reference.ell_bounds(m, level)
    covered = reference.stay_probability(m, bounds)
    assert covered >= 1 - alpha - 1e-12
    if level < 0.499:  # the largest level that is used is 1/2
        assert covered <= 1 - alpha + 1e-4 * alpha
    else:
        assert level == pytest.approx(0.5, rel=1e-8)
        assert alpha >= 0.5
    scores = np.full((1, m), 0.9)
    both = [
        sb.certify_scores(scores, sigma=1.0, alpha=alpha, backend=name).lower
        for name in ("cpp", "numba")
        if name == "numba" or build_info()["extension"]
    ]
    np.testing.assert_allclose(both, both[0][None].repeat(len(both), 0), rtol=1e-9)
    assert both[0][0, 0] == pytest.approx(0.9 * bounds[-1], rel=1e-9)


def test_levels_of_the_backends_agree():
    level = local_level(3000, n_bins=200)
    made = [
        bands.backends.load(name).ConfidenceBand("ell", 3000, 1e-3, 200, level)
        for name in ("cpp", "numba")
        if name == "numba" or build_info()["extension"]
    ]
    ranks, bounds = reference.ell_bounds(3000, level, 200)
    for one in made:
        found = ndtr([one.quantile(int(rank)) for rank in ranks])
        np.testing.assert_allclose(found, bounds, rtol=1e-11)
        assert (found <= bounds * (1 + 1e-13)).all()
        # Between ranks the next lower one counts; below the least nothing is known.
        assert one.quantile(int(ranks[5] + 3)) == one.quantile(int(ranks[5]))
        assert one.quantile(int(ranks[0] - 1)) == -np.inf


@needs_core
def test_a_kept_level_is_read_back_and_checked(cache):
    first = local_level(6000, n_bins=50)
    (path,) = cache.glob("*.json")
    assert not list(cache.glob(".*"))

    def read_again():
        bands._kept_level.cache_clear()
        return local_level(6000, n_bins=50)

    entry = json.loads(path.read_text())
    key = path.name.removesuffix(".json")

    def planted(level):
        return json.dumps({"level": level.hex(), "checksum": bands._checksum(key, level.hex())})

    # An entry that is whole and has the coverage is believed ...
    path.write_text(planted(first * (1 - 1e-6)))
    assert read_again() == first * (1 - 1e-6)
    # ... and one that is not or has not is calibrated again.
    for damage in (
        "",
        "{",
        "[]",
        json.dumps(entry | {"level": (2 * first).hex()}),
        json.dumps({"level": "x", "checksum": 0}),
        planted(0.5),
        planted(first * (1 + 1e-6)),  # the checksum is right, the band would be wrong
        planted(first / 2),
        planted(-first),
        planted(float("nan")),
        '{"level": ' + "[" * 5000,
        json.dumps({"level": "0x1p99999", "checksum": bands._checksum(path.stem, "0x1p99999")}),
    ):
        path.write_text(damage)
        assert read_again() == first
        assert json.loads(path.read_text()) == entry


@needs_core
def test_processes_may_calibrate_at_once(tmp_path):
    code = "from smoothbound.bounds._band import local_level; print(local_level(20_000).hex())"
    environment = {**os.environ, "SMOOTHBOUND_CACHE_DIR": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
        for _ in range(3)
    ]
    printed = {process.communicate()[0] for process in running}
    assert len(printed) == 1
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


@needs_core
def test_a_cache_that_cannot_be_written_is_done_without(cache, monkeypatch):
    monkeypatch.setenv("SMOOTHBOUND_CACHE_DIR", "/dev/null/nowhere")
    assert local_level(6000, n_bins=50) > 0


@pytest.mark.parametrize(
    ("options", "match"),
    [({"n": 0}, "n must be at least 1"), ({"alpha": 0.0}, "alpha"), ({"n_bins": 0}, "n_bins")],
)
def test_bad_arguments(options, match):
    with pytest.raises(ValueError, match=match):
        local_level(**({"n": 100} | options))


def test_a_calibration_that_takes_too_long_is_refused_with_what_would_do():
    with pytest.raises(
        ValueError, match=r"200000000 draws and every draw a knot takes about \d+ min"
    ):
        bands.level_of(200_000_000, 1e-3, 0)
    with pytest.raises(ValueError, match="use n_bins=1234 or less, band='dkw' or fewer"):
        bands.level_of(47_427_000, 1e-3, 0)
    assert bands.seconds_to_calibrate(1_000_000) < 60


def test_a_long_calibration_is_announced(caplog, monkeypatch):
    monkeypatch.setattr(bands, "_calibrated", lambda *_: 1e-5)
    monkeypatch.setattr(bands, "_cache_directory", lambda: None)
    with caplog.at_level("WARNING", "smoothbound"):
        assert local_level(5_000_001) == 1e-5
    assert "takes about 150 seconds" in caplog.text or "minutes to calibrate" in caplog.text


@pytest.mark.parametrize("failing", [KeyError("uid"), RuntimeError("no home"), OSError("none")])
def test_users_without_a_home_or_a_name_calibrate_anew(monkeypatch, failing):
    def raises(_):
        raise failing

    monkeypatch.delenv("SMOOTHBOUND_CACHE_DIR", raising=False)
    monkeypatch.setattr(bands, "user_cache_path", raises)
    assert bands._cache_directory() is None
    monkeypatch.setattr(bands, "user_cache_path", lambda _: Path("~/.cache/smoothbound"))
    assert bands._cache_directory() is None  # no folder of the name ~ where the program runs
    assert local_level(6001, n_bins=7) > 0


def test_bands_in_memory_are_bounded_by_their_size():
    from smoothbound._utils.kept import kept

    made = []

    @kept(most=10, size=lambda n: n)
    def numbers(n):
        made.append(n)
        return object()

    one = numbers(4)
    assert numbers(4) is one
    numbers(11)  # too large to keep
    assert numbers(4) is one
    numbers(7)  # 4 + 7 are too many: the one used longest ago goes
    assert numbers(4) is not one
    assert made == [4, 11, 7, 4]


@pytest.mark.parametrize("alpha", [1e-300, 1e-250, 1e-100, 1e-9, 0.3])
@pytest.mark.parametrize("m", [1, 2, 20, 1000])
def test_every_level_is_a_quantile_rounded_down(backend, m, alpha):
    mpmath = pytest.importorskip("mpmath")
    level = bands.level_of(m, alpha, 0)
    band = bands.confidence_band(backend, "ell", m, alpha, 0)
    with mpmath.workdps(40):
        for k in {1, min(2, m), (m + 1) // 2, m - m // 50, m}:
            p = mpmath.ncdf(band.quantile(k))
            tail = mpmath.betainc(k, m - k + 1, 0, p, regularized=True)
            assert 0.005 * level <= tail <= level
