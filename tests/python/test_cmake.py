"""The core without Python: built, tested, installed, and used by another program both ways."""

import numpy as np
import pytest

import smoothbound as sb

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


def test_the_example_says_what_is_wrong(native, embedding):
    for program in ("embed", "embed_c"):
        message = native.run(embedding / program, "4", input="0.5 0.5 1.5 0.5", fails=True)
        place = "scores[0, 2] must be a number in the range [a, b], got 1.5"
        assert message.strip() == f"{program}: {place}"


def test_what_is_installed(native):
    names = {path.name for path in native.prefix.rglob("*") if path.is_file()}
    headers = {path.name for path in (native.root / "cpp/include/smoothbound").iterdir()}
    assert headers <= names
    assert {"libsmoothbound.a", "smoothboundConfig.cmake", "smoothboundTargets.cmake"} <= names
    shared = {path.name for path in native.shared.rglob("*")}
    assert {"libsmoothbound.so", "libsmoothbound_c.so"} <= shared
