"""The core without Python: installed, and used by another program in each way."""

from pathlib import Path

import numpy as np
import pytest

import smoothbound as sb

ROOT = Path(__file__).parents[2]

SCORES = np.random.default_rng(0).beta(8, 1, size=(3, 1000))


@pytest.fixture(scope="module", params=["installed", "subdirectory", "installed_shared"])
def example(request, builds):
    """The example programs, built against each kind of library in each of the two ways."""
    return builds.example(request.param)


@pytest.mark.parametrize("program", ["embed", "embed_c"])
def test_the_example_certifies(builds, example, program):
    text = " ".join(str(score) for score in SCORES.ravel())
    printed = builds.run(example / program, "1000", input=text)
    numbers = np.array([[float(word) for word in line.split()] for line in printed.splitlines()])
    cert = sb.certify_scores(SCORES, sigma=0.25, radii=[0, 0.25], thresholds=[0.5], bound="cdf")
    expected = np.hstack([cert.lower, cert.radius])
    if cert.settings.backend == "cpp":
        np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_allclose(numbers, expected, atol=1e-10)


def test_the_example_bounds_by_tangents_and_sketches(builds, example):
    text = " ".join(str(score) for score in SCORES[0])
    exact, tangent, sketch = (
        [float(word) for word in builds.run(example / program, *words, input=text).split()]
        for program, *words in [
            ("embed_c", "1000"),
            ("embed_c", "1000", "tangent"),
            ("sketch_c",),
        ]
    )
    cert = sb.certify_scores(
        SCORES[:1], sigma=0.25, radii=[0, 0.25], thresholds=[0.5], bound="tangent"
    )
    np.testing.assert_allclose(tangent, [*cert.lower[0], *cert.radius[0]], atol=1e-3)
    assert 0 <= exact[0] - sketch[0] <= 1 / 1024
    assert 0 <= exact[1] - sketch[1] <= 1 / 1024
    assert 0 <= exact[2] - sketch[2] <= 0.01


def test_the_example_draws_until_the_confidence_is_certified(builds, example):
    text = " ".join(str(score) for score in SCORES[0])
    test = sb.anytime.AnytimeTest(sb.anytime.Decide(0.5, 0.25), sigma=0.25)
    test.update(SCORES[0])
    n_draws = int(builds.run(example / "anytime_c", input=text))
    assert n_draws == test.answers[0].n_draws > 0
    assert int(builds.run(example / "anytime_c", input="0.9 0.9")) == 0


def test_the_example_says_what_is_wrong(builds, example):
    for program in ("embed", "embed_c"):
        message = builds.run(example / program, "4", input="0.5 0.5 1.5 0.5", fails=True)
        place = "scores[0, 2] must be a number in the range [a, b], got 1.5"
        assert message.strip() == f"{program}: {place}"
    message = builds.run(example / "sketch_c", input="0.5 0.5 1.5 0.5", fails=True)
    assert message.strip() == f"sketch_c: {place}"


def test_what_is_installed(builds):
    names = {path.name for path in builds.installed.rglob("*") if path.is_file()}
    headers = {path.name for path in (ROOT / "cpp/include/smoothbound").rglob("*.h*")}
    assert headers <= names
    assert {"libsmoothbound.a", "smoothboundConfig.cmake", "smoothboundTargets.cmake"} <= names
    shared = {path.name for path in builds.shared.rglob("*")}
    assert {"libsmoothbound.so", "libsmoothbound_c.so"} <= shared
