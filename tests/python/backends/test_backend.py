"""What is imported when, and what takes over where the extension or torch is missing."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from forks import run_code

import smoothbound as sb
from smoothbound._numba._means import joint, tangent
from smoothbound.backends import reference_joint
from smoothbound.bounds import _band


def run(code, **environment):
    """Run code in a fresh interpreter; returns what it printed."""
    import os

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


CERTIFY = """
scores = np.random.default_rng(0).beta(8, 1, size=(2, 500))
cert = sb.certify_scores(scores, sigma=1.0, radii=[0.5], thresholds=[0.5])
print(cert.settings.backend, *cert.lower[:, 0].tolist(), *cert.radius[:, 0].tolist())
"""


def test_import_takes_neither_torch_nor_numba_nor_matplotlib():
    code = "import sys, numpy as np, smoothbound as sb" + CERTIFY
    heavy = "print(*(m for m in ('torch', 'numba', 'matplotlib', 'pandas') if m in sys.modules))"
    assert len(run(code + heavy)) == 5


def test_works_without_torch():
    block = "import sys; sys.modules['torch'] = None; import numpy as np, smoothbound as sb"
    assert len(run(block + CERTIFY)) == 5


def test_numba_takes_over_without_the_extension():
    block = (
        "import sys; sys.modules['smoothbound._core'] = None; import numpy as np, smoothbound as sb"
    )
    code = block + CERTIFY + "info = sb.build_info(); print(info['extension'], info['tier'])"
    backend, *numbers, extension, tier = run(code)
    assert (backend, extension, tier) == ("numba", "False", "None")
    if sb.build_info()["extension"]:
        core, *expected = run("import numpy as np, smoothbound as sb" + CERTIFY)
        assert core == "cpp"
        assert [float(x) for x in numbers] == pytest.approx([float(x) for x in expected], abs=2e-9)


def test_asking_for_the_missing_core_says_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "smoothbound._core", None)
    with pytest.raises(ValueError, match="backend='cpp' needs the compiled extension"):
        sb.certify_scores([[0.5] * 50], sigma=1.0, backend="cpp")


# Rows of every length, type and layout that has a path of its own; the bits of all certificates.
CERTIFY_ALL = """
import hashlib
digest = hashlib.sha256()
for m in (50, 100, 1000, 5000, 60_000):
    scores = np.random.default_rng(m).beta(8, 1, size=(3, m))
    scores[1] = np.round(scores[1], 2)
    scores[2, ::3] = 1.0
    for dtype in (np.float16, np.float32, np.float64):
        narrow = scores.astype(dtype)
        for array in (narrow, narrow[:, ::2], narrow[:, ::-1]):
            for options in (
                {"bound": "mean"}, {"band": "dkw"}, {"band": "dkw", "n_bins": max(1, m // 20)},
                {"bound": "tangent"}, {"bound": "joint"}, {"band": "dkw", "sides": "upper"},
            ):
                upper = "sides" in options
                cert = sb.certify_scores(
                    array, sigma=0.5, alpha=0.05, radii=[0, 0.3, 1], threads=2,
                    thresholds=[] if upper else [0.1], **options,
                )
                digest.update((cert.upper if upper else cert.lower).tobytes())
                digest.update(b"" if upper else cert.radius.tobytes())
print(digest.hexdigest(), sb.build_info()["tier"])
"""


def test_every_tier_gives_the_same_bits_for_rows_of_every_kind():
    if not sb.build_info()["extension"]:
        pytest.skip("no C++ core")
    code = "import numpy as np, smoothbound as sb" + CERTIFY_ALL
    tiers = ("baseline", "avx2", "avx512")
    digests = {run_code(code, SMOOTHBOUND_TIER=tier).split()[0] for tier in tiers}
    assert len(digests) == 1


@pytest.mark.parametrize("tier", ["baseline", "avx2", "avx512"])
def test_every_tier_gives_the_same_bits(tier):
    if not sb.build_info()["extension"]:
        pytest.skip("no C++ core")
    code = "import numpy as np, smoothbound as sb" + CERTIFY + "print(sb.build_info()['tier'])"
    *capped, used = run_code(code, SMOOTHBOUND_TIER=tier).split()
    *best, _ = run_code(code).split()
    order = ["baseline", "avx2", "avx512"]
    assert order.index(used) <= order.index(tier)
    assert capped == best


def test_unknown_names():
    with pytest.raises(AttributeError, match="no attribute 'certify_score'"):
        _ = sb.certify_score
    assert {"certify_scores", "SmoothedClassifier", "__version__"} <= set(dir(sb))


def test_first_calls_from_threads_all_get_their_certificates():
    code = """
import threading
import numpy as np
import smoothbound as sb
scores, start, done = np.random.default_rng(0).random((2, 500)), threading.Barrier(8), []
def work():
    start.wait()
    done.append(sb.certify_scores(scores, sigma=0.5, radii=[0], backend="numba"))
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(done))
"""
    assert run(code) == ["8"]


METHODS = ["mean", "cdf", "tangent", "joint"]


@pytest.mark.parametrize("bound", METHODS)
def test_a_caller_may_tell_numpy_to_raise(backend, bound):
    scores = np.random.default_rng(0).random((2, 6000))
    options = {"sigma": 0.5, "radii": [0, 40.0], "bound": bound, "backend": backend}
    if bound == "cdf":
        options["n_bins"] = 77
    expected = sb.certify_scores(scores, alpha=0.0123, **options).lower
    _band._kept_level.cache_clear()
    for threads in (1, 2):
        with np.errstate(all="raise"):
            lower = sb.certify_scores(scores, alpha=0.0123, threads=threads, **options).lower
            sketch = sb.ScoreSketch(edges=65)
            sketch.update(scores[:1])
            sketch.certify(sigma=0.5, radii=[0, 40.0], backend=backend)
        np.testing.assert_array_equal(lower, expected)


def test_numba_compiles_where_nothing_can_be_written(tmp_path, monkeypatch):
    """No folder is found for the compiled code: neither beside the module nor of the user."""
    from numba.core import caching

    from smoothbound._numba.jit import jit

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert jit(lambda x: x + 1)(2) == 3


def core_constants(*names):
    """The numbers of the core's files, by name."""
    folder = Path(__file__).parents[3] / "cpp" / "src"
    source = "".join((folder / name).read_text() for name in names)

    def number(text):
        over, _, under = text.partition("/")
        parts = [part.strip() for part in (over, under or "1")]
        top, bottom = (float.fromhex(p) if p.startswith("0x") else float(p) for p in parts)
        return top / bottom

    found = re.findall(r"constexpr (?:double|int|std::size_t) (\w+) = ([-\w./ ]+);", source)
    return {name: number(text) for name, text in found}


@pytest.mark.parametrize(
    ("module", "names", "count"),
    [(tangent, ("tangent.cpp", "tangents.cpp"), 10), (joint, ("joint.cpp",), 12)],
)
def test_numba_has_the_constants_of_the_core(module, names, count):
    core = core_constants(*names)
    ours = {name: getattr(module, f"_{name.upper()}", None) for name in core}
    ours["z_limit"] = module.Z_LIMIT
    assert core == ours
    assert len(core) == count


def test_numba_and_the_reference_have_the_radii_of_the_joint_bound():
    header = Path(__file__).parents[3] / "cpp/include/smoothbound/detail/joint.hpp"
    (radii,) = re.findall(r"joint_radii = \{([^}]+)\}", header.read_text())
    assert tuple(map(float, radii.split(","))) == joint.JOINT_RADII == reference_joint.RADII
