"""The core without Python: built, tested, installed, and used by another program both ways."""

import numpy as np
import pytest

import smoothbound as sb

pytestmark = pytest.mark.slow

SCORES = np.random.default_rng(0).beta(8, 1, size=(3, 1000))


@pytest.fixture(scope="module", params=["installed", "subdirectory", "installed shared"])
def embedding(request, native, tmp_path_factory):
    """The example program, built against each kind of library in each of the two ways."""
    if request.param == "subdirectory":
        return native.subdirectory
    prefix = native.shared if request.param == "installed shared" else native.prefix
    build = tmp_path_factory.mktemp("embed")
    native.run("cmake", f"-S{native.example}", f"-B{build}", f"-DCMAKE_PREFIX_PATH={prefix}")
    native.run("cmake", "--build", build)
    return build


@pytest.mark.parametrize("program", ["embed", "embed_c"])
def test_the_example_certifies(native, embedding, program):
    text = " ".join(str(score) for score in SCORES.ravel())
    printed = native.run(embedding / program, "1000", input=text)
    numbers = np.array([[float(word) for word in line.split()] for line in printed.splitlines()])
    cert = sb.certify_scores(SCORES, sigma=0.25, radii=[0, 0.25], thresholds=[0.5], bound="cdf")
    expected = np.hstack([cert.lower, cert.radius])
    if cert.settings.backend == "cpp":
        np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_allclose(numbers, expected, atol=1e-10)


def test_the_example_bounds_by_tangents_and_sketches(native, embedding):
    text = " ".join(str(score) for score in SCORES[0])
    exact, tangent, sketch = (
        [float(word) for word in native.run(embedding / program, *words, input=text).split()]
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


def test_the_example_draws_until_the_confidence_is_certified(native, embedding):
    text = " ".join(str(score) for score in SCORES[0])
    test = sb.anytime.AnytimeTest(sb.anytime.Decide(0.5, 0.25), sigma=0.25)
    test.update(SCORES[0])
    n_draws = int(native.run(embedding / "anytime_c", input=text))
    assert n_draws == test.answers[0].n_draws > 0
    assert int(native.run(embedding / "anytime_c", input="0.9 0.9")) == 0


def test_the_example_says_what_is_wrong(native, embedding):
    for program in ("embed", "embed_c"):
        message = native.run(embedding / program, "4", input="0.5 0.5 1.5 0.5", fails=True)
        place = "scores[0, 2] must be a number in the range [a, b], got 1.5"
        assert message.strip() == f"{program}: {place}"
    message = native.run(embedding / "sketch_c", input="0.5 0.5 1.5 0.5", fails=True)
    assert message.strip() == f"sketch_c: {place}"


def test_what_is_installed(native):
    names = {path.name for path in native.prefix.rglob("*") if path.is_file()}
    headers = {path.name for path in (native.root / "cpp/include/smoothbound").rglob("*.h*")}
    assert headers <= names
    assert {"libsmoothbound.a", "smoothboundConfig.cmake", "smoothboundTargets.cmake"} <= names
    shared = {path.name for path in native.shared.rglob("*")}
    assert {"libsmoothbound.so", "libsmoothbound_c.so"} <= shared
