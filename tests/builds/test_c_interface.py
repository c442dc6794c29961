"""The C interface, called through ctypes as any language would."""

import ctypes
from ctypes import POINTER, Structure, byref, c_char, c_double, c_int32, c_size_t, c_ssize_t

import numpy as np
import pytest

import smoothbound as sb

OK, BAD_ARGUMENT, BAD_OPTION, BAD_OUTPUT, BAD_SCORE = range(5)
LOWER, UPPER = 0, 1
BOUNDS = {"mean": 0, "cdf": 1, "tangent": 2, "joint": 3}
MEANS = {None: 0, "hoeffding": 1, "bernstein": 2, "betting": 3}
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
        ("mean", c_int32),
        ("reserved", c_int32),
        ("n_pilot", ctypes.c_uint64),
        ("order", c_int32),
        ("reserved_2", c_int32),
        ("seed", ctypes.c_uint64),
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
        ("first_input", ctypes.c_uint64),
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
def library(request, builds):
    """The installed shared library, by itself and on top of a shared core."""
    prefix = builds.installed if request.param == "static core" else builds.shared
    (path,) = prefix.rglob("libsmoothbound_c.so")
    library = ctypes.CDLL(str(path))
    library.smoothbound_version.restype = ctypes.c_char_p
    library.smoothbound_plan_create.argtypes = [POINTER(Options), c_size_t, *[ctypes.c_void_p] * 2]
    library.smoothbound_plan_certify.argtypes = [ctypes.c_void_p] * 4
    library.smoothbound_plan_destroy.argtypes = [ctypes.c_void_p]
    handle, size, any_pointer = ctypes.c_void_p, c_size_t, ctypes.c_void_p
    for name, *types in [
        ("create", POINTER(c_double), size, size, any_pointer, any_pointer),
        ("add", handle, any_pointer, c_int32, any_pointer),
        ("add_counts", handle, any_pointer, size, size, any_pointer),
        ("merge", handle, handle, any_pointer),
        ("counts", handle, any_pointer, size, any_pointer),
        ("certify", handle, any_pointer, any_pointer, any_pointer),
        ("n_draws", handle),
        ("n_cells", handle),
        ("destroy", handle),
    ]:
        getattr(library, f"smoothbound_sketch_{name}").argtypes = types
    for name in ("n_draws", "n_cells"):
        getattr(library, f"smoothbound_sketch_{name}").restype = size
    number, count = c_double, ctypes.c_uint64
    for name, *types in [
        ("record_create", number, number, c_int32, any_pointer, any_pointer),
        ("record_guess", handle, any_pointer, any_pointer),
        ("record_add", handle, any_pointer, any_pointer),
        ("record_save", handle, any_pointer, size, any_pointer, any_pointer),
        ("record_load", any_pointer, size, any_pointer, any_pointer),
        ("record_destroy", handle),
        ("question_create", handle, number, number, number, count, any_pointer, any_pointer),
        ("question_advance", handle, handle, number, any_pointer, any_pointer),
        ("question_log_wealth", handle),
        ("question_destroy", handle),
    ]:
        getattr(library, f"smoothbound_{name}").argtypes = types
    library.smoothbound_question_log_wealth.restype = number
    return library


def view_of(scores, first_input=0):
    return sized(
        Scores,
        scores.ctypes.data,
        *scores.shape,
        *scores.strides,
        scores.dtype.itemsize,
        0,
        first_input,
    )


def certify(
    library,
    scores,
    failure=None,
    radii=(0.0, 0.25),
    thresholds=(0.5,),
    sketch=None,
    first_input=0,
    **fields,
):
    """Certify an array of any layout, or a sketch of it; returns (status, bounds, radius)."""
    radii, thresholds = np.array(radii, float), np.array(thresholds, float)
    options = Options()
    library.smoothbound_options_init(byref(options), c_size_t(ctypes.sizeof(options)))
    options.sigma, options.band = 0.25, DKW
    options.radii, options.n_radii = pointer(radii), radii.size
    options.thresholds, options.n_thresholds = pointer(thresholds), thresholds.size
    for name, value in fields.items():
        setattr(options, name, value)
    bounds = np.zeros((len(scores), radii.size))
    radius = np.zeros((len(scores), thresholds.size))
    out = sized(Certificates, pointer(bounds), bounds.size, pointer(radius), radius.size)
    failure = None if failure is None else byref(failure)
    if sketch is None:
        view = view_of(scores, first_input)
        status = library.smoothbound_certify(byref(view), byref(options), byref(out), failure)
    else:
        status = library.smoothbound_sketch_certify(sketch, byref(options), byref(out), failure)
    return status, bounds, radius


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("bound", BOUNDS)
def test_the_same_certificates_as_from_python(library, dtype, bound):
    scores = np.random.default_rng(1).beta(8, 1, size=(4, 600)).astype(dtype)
    band = "dkw" if bound == "cdf" else None  # the others have none to choose
    expected = sb.certify_scores(
        scores, sigma=0.25, radii=[0, 0.25], thresholds=[0.5], bound=bound, band=band
    )
    for layout in (scores, np.asfortranarray(scores), scores[::-1][::-1], scores.copy()):
        status, bounds, radius = certify(library, layout, bound=BOUNDS[bound])
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


@pytest.mark.parametrize(
    ("bound", "mean"),
    [("mean", "hoeffding"), ("mean", "bernstein"), ("mean", "betting"), ("tangent", "bernstein")],
)
def test_the_ways_to_bound_a_mean(library, bound, mean):
    scores = np.random.default_rng(4).beta(8, 1, size=(3, 800))
    expected = sb.certify_scores(
        scores, sigma=0.25, radii=[0, 0.25], thresholds=[0.5], bound=bound, mean=mean, pilot=0.25
    )
    status, bounds, radius = certify(
        library, scores, bound=BOUNDS[bound], mean=MEANS[mean], n_pilot=200
    )
    assert status == OK
    if expected.settings.backend == "cpp":
        np.testing.assert_array_equal(bounds, expected.lower)
        np.testing.assert_array_equal(radius, expected.radius)
    np.testing.assert_allclose(bounds, expected.lower, atol=1e-5)


def test_the_order_of_the_draws(library):
    scores = np.sort(np.random.default_rng(4).beta(8, 1, size=(3, 800)), axis=1)
    options = {"sigma": 0.25, "radii": [0, 0.25], "thresholds": [0.5], "bound": "tangent"}
    for order, code in (("unknown", 0), ("drawn", 1)):
        for seed, first in [(0, 0), (2**64 - 1, 2**40)]:
            expected = sb.certify_scores(
                scores, **options, order=order, seed=seed, first_row=first, backend="cpp"
            )
            status, bounds, radius = certify(
                library, scores, bound=BOUNDS["tangent"], order=code, seed=seed, first_input=first
            )
            assert status == OK
            np.testing.assert_array_equal(bounds, expected.lower)
            np.testing.assert_array_equal(radius, expected.radius)
    failure = sized(Failure)
    assert certify(library, scores, failure, order=2)[0] == BAD_OPTION
    assert failure.message.startswith(b"order must be one of its codes")


def test_programs_of_the_first_version(library):
    # Their options end before `mean`; what follows in memory is their own.
    scores = np.random.default_rng(5).beta(8, 1, size=(2, 300))
    with_pilot = Options.order.offset  # where those end that know of pilots, not of orders
    for order in (0, 77):
        old = certify(library, scores, bound=BOUNDS["tangent"], struct_size=with_pilot, order=order)
        np.testing.assert_array_equal(old[1], certify(library, scores, bound=BOUNDS["tangent"])[1])
    for bound in ("mean", "cdf"):
        now = certify(library, scores, bound=BOUNDS[bound])
        then = certify(
            library, scores, bound=BOUNDS[bound], struct_size=Options.mean.offset, mean=77,
            reserved=77, n_pilot=10**9,
        )  # fmt: skip
        assert now[0] == then[0] == OK
        np.testing.assert_array_equal(now[1], then[1])
        np.testing.assert_array_equal(now[2], then[2])
    assert certify(library, scores, struct_size=Options.mean.offset - 8)[0] == BAD_ARGUMENT


def make_sketch(library, edges, n_inputs):
    sketch = ctypes.c_void_p()
    create = library.smoothbound_sketch_create
    assert create(pointer(edges), edges.size, n_inputs, byref(sketch), None) == OK
    return sketch


def test_a_sketch_of_parts_is_the_sketch_of_all(library):
    rng = np.random.default_rng(6)
    edges = np.linspace(-1, 1, 129)
    scores = np.round(rng.uniform(-0.5, 1, size=(3, 1000)), 2)
    whole, left, right = (make_sketch(library, edges, 3) for _ in range(3))
    for sketch, part in [(whole, scores), (left, scores[:, :400]), (right, scores[:, 400:])]:
        assert library.smoothbound_sketch_add(sketch, byref(view_of(part)), 2, None) == OK
    assert library.smoothbound_sketch_merge(left, right, None) == OK
    assert library.smoothbound_sketch_n_draws(left) == 1000
    n_cells = library.smoothbound_sketch_n_cells(left)
    assert n_cells == 2 * 128 + 1
    counts = np.zeros((2, 3, n_cells), np.uint32)
    for sketch, to in zip((whole, left), counts, strict=True):
        assert library.smoothbound_sketch_counts(sketch, to.ctypes.data, to.size, None) == OK
    np.testing.assert_array_equal(*counts)
    below = np.array([[(row < edge).sum() for edge in edges] for row in scores])
    np.testing.assert_array_equal(np.cumsum(counts[0], axis=1)[:, 1:-1:2], below[:, 1:])

    copy = make_sketch(library, edges, 3)
    restore = library.smoothbound_sketch_add_counts
    assert restore(copy, counts.ctypes.data, counts[0].size, 1000, None) == OK
    expected = sb.certify_scores(
        scores, sigma=0.25, radii=[0, 0.25], thresholds=[0.5], score_range=(-1, 1), band="dkw"
    )
    for sketch in (whole, left, copy):
        status, bounds, radius = certify(library, scores, sketch=sketch, a=-1)
        assert status == OK
        assert (bounds <= expected.lower + 1e-12).all()
        assert (bounds >= expected.lower - 2 / 128).all()
        assert not (radius > expected.radius + 1e-12).any()

    failure = sized(Failure)
    assert library.smoothbound_sketch_merge(left, left, byref(failure)) == BAD_ARGUMENT
    assert failure.message == b"other must be another sketch: no draw counts twice"
    assert certify(library, scores, failure, sketch=whole)[0] == BAD_OPTION
    assert failure.message == b"a must be an edge, got 0"
    for sketch in (whole, left, right, copy):
        library.smoothbound_sketch_destroy(sketch)


def test_a_question_is_shown_as_from_python(library):
    scores = np.random.default_rng(8).beta(8, 1, size=(1, 1000)).astype(np.float32)
    record, question = ctypes.c_void_p(), ctypes.c_void_p()
    assert library.smoothbound_record_create(0.0, 1.0, LOWER, byref(record), None) == OK
    guess, draws = view_of(scores[:, :10]), view_of(scores[:, 10:])
    assert library.smoothbound_record_guess(record, byref(guess), None) == OK
    assert library.smoothbound_record_add(record, byref(draws), None) == OK
    create = library.smoothbound_question_create
    assert create(record, 0.7, 0.125, 0.25, 0, byref(question), None) == OK
    found = ctypes.c_uint64()
    advance = library.smoothbound_question_advance
    assert advance(question, record, 1e-3, byref(found), None) == OK
    test = sb.anytime.AnytimeTest(
        sb.anytime.Decide(0.7, 0.125), sigma=0.25, alpha=1e-3, guess=scores[0, :10], backend="cpp"
    )
    test.update(scores[0, 10:])
    assert found.value == test.answers[0].n_draws > 0
    expected = pytest.approx(test.answers[0].log_wealth, rel=1e-12)  # r is rounded once more
    assert library.smoothbound_question_log_wealth(question) == expected

    size = c_size_t()
    assert library.smoothbound_record_save(record, None, 0, byref(size), None) == OK
    state = ctypes.create_string_buffer(size.value)
    assert library.smoothbound_record_save(record, state, size, byref(size), None) == OK
    loaded = ctypes.c_void_p()
    assert library.smoothbound_record_load(state, size, byref(loaded), None) == OK
    state[30] = 77
    failure, none = sized(Failure), ctypes.c_void_p()
    load = library.smoothbound_record_load
    assert load(state, size, byref(none), byref(failure)) == BAD_OPTION
    assert none.value is None
    assert failure.message.startswith(b"state must be whole")
    for one in (record, loaded):
        library.smoothbound_record_destroy(one)
    library.smoothbound_question_destroy(question)


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
        view = sized(Scores, scores.ctypes.data, *scores.shape, *scores.strides, 8, 0, 0)
        out = sized(Certificates, pointer(bounds), 4, None, 0)
        assert library.smoothbound_plan_certify(plan, byref(view), byref(out), None) == OK
        _, expected, _ = certify(library, scores, thresholds=[])
        np.testing.assert_array_equal(bounds, expected)
    library.smoothbound_plan_destroy(plan)


def test_version(library):
    assert library.smoothbound_version().decode() == sb.__version__
