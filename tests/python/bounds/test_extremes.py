"""The ends of what floating-point numbers can hold: a right certificate or an error in words."""

import numpy as np
import pytest

import smoothbound as sb

METHODS = [
    {"bound": "mean"},
    {"bound": "mean", "mean": "bernstein"},
    {"bound": "mean", "mean": "betting"},
    {"bound": "tangent"},
    {"bound": "joint"},
    {"bound": "tangent", "mean": "bernstein"},
    {"bound": "cdf", "band": "dkw"},
    {"bound": "cdf", "band": "ell"},
    {"bound": "cdf", "band": "ell", "n_bins": 37},
]


def rows():
    rng = np.random.default_rng(0)
    return np.concatenate(
        [rng.beta(8, 1, (2, 400)), rng.integers(0, 5, (2, 400)) / 4, np.ones((1, 400))]
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("exponent", [1023, 1000, 900, -900, -996])
def test_scores_scaled_by_a_power_of_two_have_scaled_bounds(backend, method, exponent):
    options = {"sigma": 1.0, "radii": [0, 0.3, 2], "backend": backend, **method}
    width = float(np.ldexp(1.0, exponent))
    scaled = {**options, "score_range": (0.0, width)}
    for side in ("lower", "upper"):
        expected = getattr(sb.certify_scores(rows(), sides=side, **options), side)
        found = getattr(sb.certify_scores(rows() * width, sides=side, **scaled), side)
        np.testing.assert_allclose(np.ldexp(found, -exponent), expected, rtol=0, atol=1e-10)
    expected = sb.certify_scores(rows(), thresholds=[0.5], **options).radius
    found = sb.certify_scores(rows() * width, thresholds=[width / 2], **scaled).radius
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_the_widest_range_takes_scores_of_every_type(backend, method, dtype):
    scores = rows().astype(dtype)
    options = {"sigma": 1.0, "radii": [0.3], "backend": backend, **method}
    cert = sb.certify_scores(-scores, score_range=(-1e308, 7e307), sides="both", **options)
    assert (cert.lower <= -scores.mean(axis=1, keepdims=True, dtype=float)).all()
    assert (cert.upper >= 0).all()
    bad = scores.copy()
    bad[3, 7] = np.nan
    with pytest.raises(ValueError, match=r"got scores\[3, 7\] = nan"):
        sb.certify_scores(bad, score_range=(-1e308, 7e307), **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("alpha", [1e-300, 1e-100, 1e-15])
def test_tiny_alphas_are_computed_with(backend, method, alpha):
    n = 3000
    options = {"sigma": 1.0, "radii": [0.0], "backend": backend, "sides": "both", **method}
    cert = sb.certify_scores(np.full((1, n), 1.0), alpha=alpha, **options)
    exact = (alpha / 2) ** (1 / n)  # Clopper-Pearson, which no method can pass
    assert 0 < cert.lower[0, 0] <= exact
    assert cert.upper[0, 0] == 1
    assert sb.certify_scores(np.zeros((1, n)), alpha=alpha, **options).upper[0, 0] >= 1 - exact


@pytest.mark.parametrize("alpha", [9e-301, 1e-310, 5e-324])
def test_alphas_below_what_numbers_hold_are_refused(backend, alpha):
    for method in METHODS:
        with pytest.raises(ValueError, match="alpha must be at least 1e-300"):
            sb.certify_scores(np.ones((1, 50)), sigma=1, alpha=alpha, backend=backend, **method)
    for call in (
        lambda: sb.required_draws(0.5, alpha=alpha),
        lambda: sb.bounds.local_level(50, alpha=alpha),
    ):
        with pytest.raises(ValueError, match="alpha must be at least 1e-300"):
            call()


def test_ranges_narrower_than_numbers_hold_are_refused():
    with pytest.raises(ValueError, match="score_range must be at least 1e-300 wide"):
        sb.certify_scores(np.zeros((1, 50)), sigma=1, score_range=(0, 1e-301))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sigma", [5e-324, 1e-300, 1e300, 1.7e308])
def test_extreme_sigmas_never_gain(backend, method, sigma):
    options = {"backend": backend, "radii": [0.0, 5e-324, 1e-300, 1.0, 1e300, 1.7e308], **method}
    cert = sb.certify_scores(rows(), sigma=sigma, thresholds=[0.5], **options)
    plain = sb.certify_scores(rows(), sigma=1.0, radii=[0.0], backend=backend, **method)
    assert (np.diff(cert.lower, axis=1) <= 0).all()
    np.testing.assert_array_equal(cert.lower[:, 0], plain.lower[:, 0])
    units = sb.certify_scores(rows(), sigma=1.0, thresholds=[0.5], backend=backend, **method).radius
    with np.errstate(over="ignore"):
        assert (
            np.nan_to_num(cert.radius) <= np.nan_to_num(units * (1 + 1e-15) * sigma, posinf=np.inf)
        ).all()
    assert (cert.lower[:, -1] < 1e-12).all() == (sigma < 1e301)


@pytest.mark.parametrize("threads", [0, -1, 1025, 2**31, 2**64, 10**400])
def test_impossible_numbers_of_threads_are_refused(backend, threads):
    with pytest.raises(ValueError, match="threads must be at"):
        sb.certify_scores(np.ones((2, 50)), sigma=1.0, threads=threads, backend=backend)


ODD = [
    None, "x", b"x", 10**400, -(10**400), np.nan, np.inf, -1, 2**70, [[1], [1, 2]], [1, [2]],
    object(), {}, {1}, 1j, np.ones((2, 2)), np.array(["a"]), np.datetime64("2020"), [10**400],
    ["a"], [None], [1j], np.ma.masked_array([0.5], [True]), len, True, (0, 1, 2), np.float16(0.3),
]  # fmt: skip
NAMES = [
    "sigma",
    "alpha",
    "score_range",
    "radii",
    "thresholds",
    "bound",
    "band",
    "n_bins",
    "mean",
    "pilot",
    "sides",
    "order",
    "seed",
    "first_row",
    "backend",
    "threads",
]


def tensors():
    torch = pytest.importorskip("torch")
    return [
        torch.tensor([0.0, 0.1], requires_grad=True),
        torch.zeros(1, device="meta"),
        torch.eye(2).to_sparse(),
    ]


def named_in_every_error(name, call):
    """Call with every odd value; each ends in a result or in an error that names the argument."""
    for value in [*ODD, *tensors()]:
        try:
            call(value)
        except (TypeError, ValueError) as error:
            assert name in str(error).split(",")[0], f"{name} = {value!r}: {error}"  # noqa: PT017


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bound", ["cdf", "tangent"])
def test_errors_of_odd_arguments_name_them(name, bound):
    scores = np.random.default_rng(0).random((2, 200))
    named_in_every_error(
        name,
        lambda value: sb.certify_scores(scores, **{"sigma": 1.0, "bound": bound, name: value}),
    )


@pytest.mark.parametrize("name", ["threshold", "alpha", "score_range", "bound", "mean", "pilot"])
def test_errors_of_odd_arguments_of_required_draws_name_them(name):
    named_in_every_error(name, lambda value: sb.required_draws(**{"threshold": 0.5, name: value}))


@pytest.mark.parametrize("name", ["n", "alpha", "n_bins"])
def test_errors_of_odd_arguments_of_local_level_name_them(name):
    named_in_every_error(name, lambda value: sb.bounds.local_level(**{"n": 50, name: value}))


def test_a_threshold_next_to_the_end_is_refused_at_once() -> None:
    """The band that would be needed takes hours to calibrate, or cannot be made."""
    need = "n = 10 draws are too few to certify any input above the threshold 0.9.* at least n = "
    for threshold, least in ((1 - 1e-6, 6_907_752), (1 - 1e-9, 6_907_755_471)):
        with pytest.raises(ValueError, match=f"{need}{least} are needed"):
            sb.certify_scores(np.ones((1, 10)), sigma=1.0, thresholds=[threshold], band="ell")
    with pytest.raises(ValueError, match=r"more than 4294967295 draws are needed .* above 0.9"):
        sb.required_draws(1 - 1e-15, band="ell")
