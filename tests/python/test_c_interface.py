"""The C interface, called through ctypes as any language would."""

import ctypes
from ctypes import POINTER, Structure, byref, c_char, c_double, c_int32, c_size_t, c_ssize_t

import numpy as np
import pytest

import smoothbound as sb

OK, BAD_ARGUMENT, BAD_OPTION, BAD_OUTPUT, BAD_SCORE = range(5)
LOWER, UPPER = 0, 1
MEAN, CDF = 0, 1
DKW, ELL = 0, 1


class Options(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("n_bins", c_size_t),
        ("sigma", c_double),
        ("alpha", c_double),
        ("a", c_double),
        ("b", c_double),
        ("side", c_int32),
        ("bound", c_int32),
        ("band", c_int32),
        ("threads", c_int32),
        ("radii", POINTER(c_double)),
        ("n_radii", c_size_t),
        ("thresholds", POINTER(c_double)),
        ("n_thresholds", c_size_t),
    ]


class Scores(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("data", ctypes.c_void_p),
        ("n_inputs", c_size_t),
        ("n_draws", c_size_t),
        ("input_stride", c_ssize_t),
        ("draw_stride", c_ssize_t),
        ("type", c_int32),
        ("reserved", c_int32),
    ]


class Certificates(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("bounds", POINTER(c_double)),
        ("n_bounds", c_size_t),
        ("radius", POINTER(c_double)),
        ("n_radius", c_size_t),
    ]


class Failure(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("input", c_size_t),
        ("draw", c_size_t),
        ("status", c_int32),
        ("message", c_char * 252),
    ]


def sized(structure, *values):
    """Make a structure that knows its size."""
    return structure(ctypes.sizeof(structure), *values)


def pointer(array):
    return array.ctypes.data_as(POINTER(c_double))


@pytest.fixture(scope="module", params=["static core", "shared core"])
def library(request, native):
    """The installed shared library, by itself and on top of a shared core."""
    prefix = native.prefix if request.param == "static core" else native.shared
    (path,) = prefix.rglob("libsmoothbound_c.so")
    library = ctypes.CDLL(str(path))
    library.smoothbound_version.restype = ctypes.c_char_p
    library.smoothbound_plan_create.argtypes = [POINTER(Options), c_size_t, *[ctypes.c_void_p] * 2]
    library.smoothbound_plan_certify.argtypes = [ctypes.c_void_p] * 4
    library.smoothbound_plan_destroy.argtypes = [ctypes.c_void_p]
    return library


def certify(library, scores, failure=None, radii=(0.0, 0.25), thresholds=(0.5,), **fields):
    """Certify an array of any layout; returns (status, bounds, radius)."""
    radii, thresholds = np.array(radii, float), np.array(thresholds, float)
    options = Options()
    library.smoothbound_options_init(byref(options), c_size_t(ctypes.sizeof(options)))
    options.sigma, options.band = 0.25, DKW
    options.radii, options.n_radii = pointer(radii), radii.size
    options.thresholds, options.n_thresholds = pointer(thresholds), thresholds.size
    for name, value in fields.items():
        setattr(options, name, value)
    view = sized(
        Scores, scores.ctypes.data, *scores.shape, *scores.strides, scores.dtype.itemsize, 0
    )
    bounds = np.zeros((len(scores), radii.size))
    radius = np.zeros((len(scores), thresholds.size))
    out = sized(Certificates, pointer(bounds), bounds.size, pointer(radius), radius.size)
    failure = None if failure is None else byref(failure)
    status = library.smoothbound_certify(byref(view), byref(options), byref(out), failure)
    return status, bounds, radius


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("bound", ["mean", "cdf"])
def test_the_same_certificates_as_from_python(library, dtype, bound):
    scores = np.random.default_rng(1).beta(8, 1, size=(4, 600)).astype(dtype)
    expected = sb.certify_scores(
        scores, sigma=0.25, radii=[0, 0.25], thresholds=[0.5], bound=bound, band="dkw"
    )
    for layout in (scores, np.asfortranarray(scores), scores[::-1][::-1], scores.copy()):
        status, bounds, radius = certify(library, layout, bound=MEAN if bound == "mean" else CDF)
        assert status == OK
        if expected.settings.backend == "cpp":
            np.testing.assert_array_equal(bounds, expected.lower)
            np.testing.assert_array_equal(radius, expected.radius)
        np.testing.assert_allclose(bounds, expected.lower, atol=1e-10)


@pytest.mark.parametrize(("code", "band"), [(DKW, "dkw"), (ELL, "ell")])
def test_every_option(library, code, band):
    margins = np.random.default_rng(2).uniform(-0.5, 1, size=(2, 500))[:, ::2]
    status, bounds, _ = certify(
        library, margins, radii=[0.1], thresholds=[], a=-1, side=UPPER, n_bins=100, alpha=0.01,
        threads=2, band=code,
    )  # fmt: skip
    assert status == OK
    expected = sb.certify_scores(
        margins, sigma=0.25, radii=[0.1], score_range=(-1, 1), sides="upper", n_bins=100,
        alpha=0.01, bound="cdf", band=band,
    )  # fmt: skip
    np.testing.assert_allclose(bounds, expected.upper, atol=1e-10)


def test_failures_in_words(library):
    failure = sized(Failure)
    scores = np.full((2, 50), 0.5)
    assert certify(library, scores, failure, alpha=2.0)[0] == failure.status == BAD_OPTION
    assert failure.message == b"alpha must lie strictly between 0 and 1, got 2"
    assert certify(library, scores, failure, bound=7)[0] == BAD_OPTION
    assert failure.message.startswith(b"bound must be one of its codes")
    scores[1, 3] = np.nan
    assert certify(library, scores, failure)[0] == BAD_SCORE
    assert (failure.input, failure.draw) == (1, 3)
    assert failure.message.startswith(b"scores[1, 3] must be a number in the range [a, b], got ")
    assert certify(library, scores, struct_size=8)[0] == BAD_ARGUMENT


def test_a_plan_serves_many_calls(library):
    rng = np.random.default_rng(3)
    radii = np.array([0.0, 0.25])
    options = Options()
    library.smoothbound_options_init(byref(options), c_size_t(ctypes.sizeof(options)))
    options.sigma, options.band = 0.25, DKW
    options.radii, options.n_radii = pointer(radii), 2
    plan = ctypes.c_void_p()
    assert library.smoothbound_plan_create(options, 300, byref(plan), None) == OK
    radii[:] = np.nan  # the plan has its own
    for _ in range(3):
        scores = rng.beta(8, 1, size=(2, 300))
        bounds = np.zeros((2, 2))
        view = sized(Scores, scores.ctypes.data, *scores.shape, *scores.strides, 8, 0)
        out = sized(Certificates, pointer(bounds), 4, None, 0)
        assert library.smoothbound_plan_certify(plan, byref(view), byref(out), None) == OK
        _, expected, _ = certify(library, scores, thresholds=[])
        np.testing.assert_array_equal(bounds, expected)
    library.smoothbound_plan_destroy(plan)


def test_version(library):
    assert library.smoothbound_version().decode() == sb.__version__
