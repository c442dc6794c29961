"""The compiled core called directly, with any arguments: an error or a result, never a crash."""

import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import smoothbound as sb

pytestmark = pytest.mark.skipif(not sb.build_info()["extension"], reason="no C++ core")

# Random calls of everything that the module has, mostly wrong in one argument.
FUZZ = """
import faulthandler, random, sys
import numpy as np
from smoothbound import _core

faulthandler.enable()
rng = random.Random(int(sys.argv[1]))
draw = np.random.default_rng(int(sys.argv[1]))
odd = [None, True, -1, 0, 1, 2, 7, 2**31, 2**32, 2**63, 2**64, -2**70, 0.5, -0.0, float("nan"),
       float("inf"), 1e-320, 1e308, "", "lower", "ell", "betting", b"x", [], [0.5], [[0.5]], (), {},
       object(), [None], ["a"], np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0)), np.ones((2, 3, 4)),
       np.array(0.5), np.full((3, 5), np.nan), np.ones((4, 9), np.int32), np.ones(3, ">f8"),
       np.ones((2, 50), ">f4"), np.ones((2, 50), np.longdouble), np.ones((2, 50), complex),
       np.ones(3, object), np.array(["a"]), np.ones((50, 50), "f4")[::-3, ::2],
       np.broadcast_to(np.float32(0.5), (1000, 50)), np.ma.masked_array([0.5], [True])]
row = lambda: draw.uniform(size=(rng.choice([0, 1, 3]), rng.choice([50, 50, 50, 49, 0]))).astype(
    rng.choice(["f2", "f4", "f8"]))
number = lambda: np.sort(draw.uniform(size=rng.choice([0, 1, 5, 40])))
band = lambda: _core.ConfidenceBand("dkw", 50, 0.1, rng.choice([0, 7]), 0.0)
whole = lambda n: draw.integers(0, 2, n).astype(np.int64)
made_as = {"Plan": lambda: made(), "ConfidenceBand": lambda: band(),
           "ScoreCounter": lambda: _core.ScoreCounter(np.linspace(0, 1, 5)),
           "Curve": lambda: curve(),
           "AimedBets": lambda: _core.AimedBets(0.1),
           "JointBound": lambda: _core.JointBound(0.1, np.ones(3), np.ones(9)),
           "TangentBound": lambda: _core.TangentBound("betting", 0.1, np.ones(3), np.ones(9))}


def bare(name):
    kind = type(made_as[name]())
    return rng.choice([kind, kind.__new__, kind.__base__.__new__])(kind)


def plan():
    bound = rng.choice(["mean", "cdf", "tangent", "joint"])
    return _core.Plan, dict(
        n_draws=50, sigma=1.0, alpha=0.1, a=0.0, b=1.0, side="lower", bound=bound,
        band=band() if bound == "cdf" else None, mean="betting", n_pilot=5, order="unknown",
        seed=0, radii=[0.0, 1.0], thresholds=[0.5], threads=rng.choice([1, 3]))


def made():
    call, keywords = plan()
    return call(**keywords)


def of_curve():
    return _core.Curve, dict(
        kind=rng.choice(["gaussian", "l1-uniform", "l1-laplace", "ablation", "table"]), pixels=9,
        kept=2, radii=[0.5, 1.0], p=[0.0, 0.5, 1.0],
        values=np.array([[0.0, 0.3, 0.8], [0.0, 0.2, 0.7]]))


def curve():
    call, keywords = of_curve()
    return call(**keywords)


def levels():
    edges = np.linspace(0, 1, 5)
    cells = np.zeros((2, 9), np.uint32)
    cells[:, 3] = 50
    keywords = dict(
        statistic=rng.choice(["probability", "quantile"]), levels=np.array([0.25, 0.5]), sigma=1.0,
        alpha=0.1, side="lower", radii=np.array([0.0, 0.5]), thresholds=np.array([0.5]), threads=1,
        curve=rng.choice([None, curve(), curve()]))
    if rng.random() < 0.5:
        return _core.bound_levels, keywords | dict(scores=row(), a=0.0, b=1.0)
    return _core.bound_level_counts, keywords | dict(edges=edges, counts=cells, n_draws=50)


def noise(name):
    kind = rng.choice(["f4", "f8"])
    points = np.zeros((2, 6), np.int32 if name == "add" else kind)
    call = getattr(_core.LatticeNoise(np.arange(5, dtype=np.int32), np.arange(5, dtype=np.uint64),
                                      255), name) if name == "add" else _core.add_gaussian
    n = rng.choice([0, 3])
    keywords = dict(points=points, rows=whole(n), indices=whole(n), draws=whole(n),
                    streams=whole(n), out=np.zeros((n, 6), kind), seed=1, threads=1)
    return call, keywords if name == "add" else keywords | {"sigma": 1.0}


def counts():
    edges = np.linspace(0, 1, 5)
    cells = np.zeros((2, 9), np.uint32)
    cells[:, 3] = 50
    return _core.bound_counts, dict(
        edges=edges, counts=cells, sigma=1.0, alpha=0.1, side="lower", band=band(),
        radii=np.array([0.0]), thresholds=np.array([0.5]), threads=1)


calls = [
    plan, plan, counts, levels, levels, of_curve,
    lambda: (curve().lower, dict(p=0.5, q=0.5, r=0.5)),
    lambda: (bare("Curve").lower, dict(p=0.5, q=0.5, r=0.5)),
    lambda: noise("add"), lambda: noise("gauss"),
    lambda: (made().certify, dict(scores=row(), first_row=0)),
    lambda: (bare("Plan").certify, dict(scores=row())),
    lambda: (bare("ConfidenceBand").quantile, dict(count=3)),
    lambda: (bare("TangentBound"), dict(r=1.0)),
    lambda: (bare("AimedBets"), dict(draws=number())), lambda: (_core.AimedBets, dict(alpha=0.1)),
    lambda: (_core.AimedBets(0.1), dict(draws=number())),
    lambda: (bare("ScoreCounter").count, dict(scores=row(), counts=np.zeros((3, 9), np.uint32),
                                              threads=1)),
    lambda: (_core.ScoreCounter(np.linspace(0, 1, 5)).count,
             dict(scores=row(), counts=np.zeros((3, 9), np.uint32), threads=1)),
    lambda: (_core.ScoreCounter, dict(edges=number())),
    lambda: (_core.ConfidenceBand, dict(kind="ell", n_draws=50, alpha=0.1, n_bins=3, level=0.01)),
    lambda: (band().quantile, dict(count=3)),
    lambda: (_core.JointBound, dict(alpha=0.1, pilot=number(), draws=number())),
    lambda: (bare("JointBound"), dict(r=1.0)),
    lambda: (_core.JointBound(0.1, np.ones(3) / 2, np.ones(9) / 2), dict(r=1.0)),
    lambda: (_core.JointBound(0.1, np.ones(3) / 2, np.ones(9) / 2).certified_radius,
             dict(target=0.1)),
    lambda: (_core.TangentBound, dict(mean="betting", alpha=0.1, pilot=number(), draws=number())),
    lambda: (_core.TangentBound("bernstein", 0.1, np.ones(3) / 2, np.ones(9) / 2), dict(r=1.0)),
    lambda: (_core.TangentBound("betting", 0.1, np.ones(3) / 2, np.ones(9) / 2).certified_radius,
             dict(target=0.1)),
    lambda: (_core.ell_level, dict(n_draws=50, alpha=0.1, n_bins=3, two_sided=False)),
    lambda: (_core.ell_failure, dict(n_draws=50, level=0.01, n_bins=3, two_sided=False)),
    lambda: (_core.stay_probability, dict(
        n_draws=50, lower_ranks=[1, 2], lower=np.array([0.01, 0.02]), upper_ranks=[50],
        upper=np.array([0.99]))),
    lambda: (_core.cdf, dict(z=number())), lambda: (_core.quantile, dict(p=number())),
    lambda: (_core.LatticeNoise, dict(high=np.arange(5, dtype=np.int32),
                                      low=np.arange(5, dtype=np.uint64), steps=255)),
]
LARGE = {"n_draws"}  # a band of 2^32 draws is no crash, but takes memory and hours
done = 0
for _ in range(3000):
    try:
        call, keywords = rng.choice(calls)()
    except TypeError:  # an object that nothing made
        continue
    for name in rng.sample(sorted(keywords), min(len(keywords), rng.choice([0, 1, 1, 1, 2]))):
        value = rng.choice(odd)
        if name in LARGE and isinstance(value, int) and value > 100 and value < 2**32:
            continue
        keywords[name] = value
    print(call, keywords, file=sys.stderr)  # the last line tells what crashed
    try:
        call(**keywords)
        done += 1
    except (TypeError, ValueError, OverflowError, MemoryError, IndexError, RuntimeError):
        pass
assert done > 300
"""


@pytest.mark.parametrize("seed", range(4))
def test_random_calls_end_in_a_result_or_an_error(seed):
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(seed)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", ["threads", "sigma", "radii", "n_pilot", "seed", "mean"])
def test_arguments_that_do_not_convert_are_refused_beside_a_band(name):
    from smoothbound import _core

    keywords = {
        "sigma": 1.0, "alpha": 0.1, "a": 0.0, "b": 1.0, "side": "lower", "bound": "cdf",
        "band": _core.ConfidenceBand("dkw", 50, 0.1, 0, 0.0), "mean": "betting", "n_pilot": 5,
        "order": "unknown", "seed": 0, "radii": [0.0], "thresholds": [], "threads": 1,
    }  # fmt: skip
    for _ in range(20):
        with pytest.raises(TypeError):
            _core.Plan(50, **{**keywords, name: object()})
    with pytest.raises(TypeError):
        _core.Plan(50, **{**keywords, "threads": 2**31})


def test_a_curve_that_is_none_is_refused():
    from smoothbound import _core

    table = {"kind": "table", "radii": [0.5], "p": [0.0, 1.0], "values": np.array([0.0, 0.5])}
    assert _core.Curve(**table).lower(1.0, 0.0, 0.5) == 0.5
    for wrong in ({"values": np.zeros(0)}, {"p": [1.0, 0.0]}, {"values": np.array([0.0, 1.5])}):
        with pytest.raises(ValueError, match=r"curve\.(values|p) must"):
            _core.Curve(**table | wrong)
    with pytest.raises(ValueError, match=r"curve\.kept must be at least 1"):
        _core.Curve("ablation", pixels=3, kept=4)
    with pytest.raises(ValueError, match=r"radii must be at most the last of curve\.radii"):
        _core.Curve(**table).lower(1.0, 0.0, 0.6)
    with pytest.raises(ValueError, match="r must be at least 0"):
        _core.Curve(**table).lower(1.0, 0.0, -0.5)


def test_a_plan_keeps_its_band():
    from smoothbound import _core

    def made():
        return _core.Plan(
            2000, sigma=1.0, alpha=0.1, a=0.0, b=1.0, side="lower", bound="cdf",
            band=_core.ConfidenceBand("dkw", 2000, 0.1, 0, 0.0), mean="betting", n_pilot=0,
            order="drawn", seed=0, radii=[0.0], thresholds=[], threads=1,
        )  # fmt: skip

    plans = [made() for _ in range(20)]
    scores = np.random.default_rng(0).uniform(size=(1, 2000))
    expected = sb.certify_scores(scores, sigma=1.0, alpha=0.1, band="dkw").lower
    for one in plans:
        np.testing.assert_array_equal(one.certify(scores)[0], expected)


def test_a_calibration_hears_ctrl_c():
    from smoothbound import _core

    start = time.monotonic()
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        _core.ell_level(30_000_000, 1e-3, 0, two_sided=False)
    assert time.monotonic() - start < 60  # of some ten minutes


def test_a_long_call_hears_ctrl_c():
    row = np.random.default_rng(0).uniform(size=1000).astype("f4")
    scores = np.broadcast_to(row, (1_000_000, 1000))
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        sb.certify_scores(scores, sigma=1.0, bound="tangent", thresholds=[0.1])


def test_a_process_ends_while_a_daemon_thread_is_certifying():
    code = """
import threading, time
import numpy as np, smoothbound as sb
scores = np.random.default_rng(0).random((8, 20000))
started = threading.Event()
def work():
    while True:
        sb.certify_scores(scores, sigma=0.5, radii=[0, 0.2], threads=1)
        started.set()
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
started.wait()
"""
    for _ in range(4):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_lattice_points_that_noise_could_carry_out_of_int32_are_refused() -> None:
    from smoothbound import _core

    noise = _core.LatticeNoise(np.array([0, 1], np.int32), np.zeros(2, np.uint64), 1.0)
    keys = [np.zeros(1, np.int64)] * 4
    out = np.empty((1, 2), np.float32)
    most = 2**31 - 1 - 2  # two thresholds: noise of two steps at most
    for far in (most, -most):
        noise.add(np.array([[0, far]], np.int32), *keys, out, seed=0, threads=1)
        assert abs(out[0, 1] - far) <= 2**8  # the spacing of float32 there
    for far in (most + 1, -most - 1, -(2**31)):
        with pytest.raises(ValueError, match=r"points must stay below 2\^31 with the largest"):
            noise.add(np.array([[0, far]], np.int32), *keys, out, seed=0, threads=1)
        # A point that no row names may hold anything.
        noise.add(np.array([[0, 0], [0, far]], np.int32), *keys, out, seed=0, threads=1)


def test_a_lattice_has_fewer_than_2_24_thresholds() -> None:
    from smoothbound import _core

    high, low = np.zeros(2**24, np.int32), np.zeros(2**24, np.uint64)
    _core.LatticeNoise(high[1:], low[1:], 1.0)
    with pytest.raises(ValueError, match=r"high and low must hold fewer than 2\^24 thresholds"):
        _core.LatticeNoise(high, low, 1.0)
