"""certify_scores as a user calls it: what it takes, what it returns, what it refuses."""

import json

import numpy as np
import pytest

import smoothbound as sb
from smoothbound.bounds import _certify as engine

GOOD = np.random.default_rng(0).beta(8, 1, size=(3, 500))


def refuse(match, kind=ValueError, scores=GOOD, **options):
    options = {"sigma": 0.25, **options}
    with pytest.raises(kind, match=match):
        sb.certify_scores(scores, **options)


def with_value(value, at=(1, 7)):
    scores = GOOD.copy()
    scores[at] = value
    return scores


@pytest.mark.parametrize("backend", ["cpp", "numba"])
@pytest.mark.parametrize("bound", ["mean", "cdf", "tangent", "joint"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.0000001, -0.1])
def test_bad_scores_are_found(backend, bound, value):
    refuse(rf"scores\[1, 7\] = {value}", scores=with_value(value), backend=backend, bound=bound)


def test_the_first_bad_row_is_named_whatever_the_threads():
    scores = np.random.default_rng(0).uniform(size=(40, 2000))
    scores[[33, 12, 39], 5] = 2.0
    refuse(r"scores\[12, 5\] = 2.0", scores=scores, threads=4)


@pytest.mark.parametrize(
    ("scores", "kind", "match"),
    [
        (GOOD[0], ValueError, r"pass scores\[None, :\]"),
        (GOOD[:, :0], ValueError, "at least one draw"),
        (np.array([["a", "b"]]), TypeError, "float16, float32 or float64, got <U1"),
        (np.array([[None, 1.0]]), TypeError, "got object"),
        (np.ones((2, 50), dtype=int), TypeError, "got int64"),
        (np.ones((2, 50), dtype=bool), TypeError, "got bool"),
        (np.ones((2, 50), dtype=complex), TypeError, "got complex128"),
        ([[0.5, 0.5], [0.5]], TypeError, "rectangular"),
        (None, TypeError, "got object"),
    ],
)
def test_bad_arrays(scores, kind, match):
    refuse(match, kind, scores)


@pytest.mark.parametrize(
    ("options", "kind", "match"),
    [
        ({"sigma": 0}, ValueError, "sigma must be positive and finite, got 0"),
        ({"sigma": -1.0}, ValueError, "sigma"),
        ({"sigma": np.nan}, ValueError, "sigma"),
        ({"sigma": "0.25"}, TypeError, "sigma must be a number"),
        ({"alpha": 0.0}, ValueError, "alpha must lie strictly between 0 and 1"),
        ({"alpha": 1}, ValueError, "alpha"),
        ({"alpha": float("nan")}, ValueError, "alpha"),
        ({"radii": [0.1, -0.5]}, ValueError, r"radii\[1\] = -0.5"),
        ({"radii": [np.nan]}, ValueError, r"radii\[0\] = nan"),
        ({"radii": [np.inf]}, ValueError, r"radii\[0\] = inf"),
        ({"radii": ["x"]}, TypeError, "radii must be numbers"),
        ({"thresholds": [0.5, 1.0]}, ValueError, r"thresholds\[1\] = 1.0"),
        ({"thresholds": [-0.1]}, ValueError, r"thresholds\[0\] = -0.1"),
        ({"thresholds": [np.nan]}, ValueError, r"thresholds\[0\] = nan"),
        ({"score_range": (1, 0)}, ValueError, "a < b"),
        ({"score_range": (0, np.inf)}, ValueError, "finite"),
        ({"score_range": 1.0}, TypeError, "pair"),
        ({"bound": "cfd"}, ValueError, "bound must be one of .*; got 'cfd'"),
        ({"band": "none"}, ValueError, "band must be one of"),
        ({"sides": "left"}, ValueError, "sides must be one of"),
        ({"backend": "cuda"}, ValueError, "backend must be one of"),
        ({"n_bins": 0}, ValueError, "n_bins must be at least 1, got 0"),
        ({"n_bins": 10.0}, TypeError, "n_bins must be a whole number"),
        ({"threads": 0}, ValueError, "threads must be at least 1"),
    ],
)
def test_bad_options(options, kind, match):
    refuse(match, kind, **options)


def test_too_few_draws_are_refused_with_the_number_that_would_do():
    dkw = {"band": "dkw"}
    refuse("n = 3 draws are too few .* at least n = 4 are needed", scores=GOOD[:, :3], **dkw)
    high = {"scores": GOOD[:, :90], "thresholds": [0.5, 0.9]}
    refuse("above the threshold 0.9.* at least n = 346 are needed", **high, **dkw)
    refuse("above the threshold 0.9.* at least n = 99 are needed", **high, bound="cdf")
    refuse("above the threshold 0.9.* at least n = 92 are needed", **high, order="drawn")
    transposed = "are needed; these scores are 9 inputs with 3 draws each; if each .* transpose"
    refuse(transposed, scores=np.ones((9, 3)), thresholds=[0.5])


@pytest.mark.parametrize(
    ("score", "match"),
    [
        (97.5, "= 97.5; divide percent by 100, or state the range"),
        (101.0, "= 101.0; state the range"),
    ],
)
def test_percent_are_told_from_other_ranges(score, match):
    refuse(match, scores=np.full((1, 500), score))


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    ("bound", "band"),
    [("mean", None), ("cdf", "dkw"), ("cdf", "ell"), ("joint", None), (None, None)],
)
def test_required_draws_is_the_least_number_that_can_certify(threshold, bound, band):
    n = sb.required_draws(threshold, bound=bound, band=band)
    options = {"sigma": 1.0, "bound": bound, "band": band}
    enough = sb.certify_scores(np.ones((1, n)), **options)
    assert enough.lower[0, 0] > threshold
    if n > 5:
        fewer = sb.certify_scores(np.ones((1, n - 1)), **options)
        assert fewer.lower[0, 0] <= threshold


def test_what_is_kept_from_call_to_call_depends_on_every_option(monkeypatch):
    varied = [
        {},
        {"sigma": 0.5},
        {"alpha": 0.01},
        {"score_range": (-1.0, 1.0)},
        {"radii": [0.2]},
        {"thresholds": [0.6]},
        {"bound": "mean"},
        {"n_bins": 50},
        {"sides": "both"},
        {"sides": "upper"},
        {"backend": "numba"},
    ]

    def all_numbers():
        options = {"sigma": 0.25, "radii": [0, 0.1], "thresholds": [0.5]}
        return [sb.certify_scores(GOOD, **{**options, **one}) for one in varied]

    with monkeypatch.context() as nothing_kept:
        nothing_kept.setattr(engine, "_plans", engine._plans.__wrapped__)
        fresh = all_numbers()
    kept = all_numbers() + all_numbers()
    for first, second in zip(fresh + fresh, kept, strict=True):
        assert first.settings == second.settings
        for name in ("lower", "upper", "radius"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert len({cert.settings for cert in fresh}) == len(varied)


def test_what_was_taken_before_does_not_excuse_a_bad_argument():
    sb.certify_scores(GOOD, sigma=1.0, radii=[1.0], n_bins=1)
    refuse("sigma must be a number", TypeError, sigma=True)
    refuse("radii must be numbers", TypeError, sigma=1.0, radii=[True])
    refuse("n_bins must be a whole number", TypeError, sigma=1.0, radii=[1.0], n_bins=True)


def test_shapes_and_defaults():
    cert = sb.certify_scores(GOOD, sigma=0.25)
    assert cert.lower.shape == (3, 1)
    assert cert.upper is None
    assert cert.radius.shape == (3, 0)
    assert sb.certify_scores(GOOD[:0], sigma=0.25, radii=[0, 1]).lower.shape == (0, 2)
    assert sb.certify_scores(GOOD, sigma=0.25, radii=[]).lower.shape == (3, 0)
    assert sb.certify_scores(GOOD, sigma=0.25, sides="upper").radius is None


def test_takes_lists_tensors_and_dlpack():
    torch = pytest.importorskip("torch")
    expected = sb.certify_scores(GOOD, sigma=1.0).lower
    for scores in (GOOD.tolist(), torch.from_numpy(GOOD), torch.from_numpy(GOOD).requires_grad_()):
        np.testing.assert_array_equal(sb.certify_scores(scores, sigma=1.0).lower, expected)

    class OnlyDlpack:
        def __dlpack__(self, **options):
            return GOOD.__dlpack__(**options)

        def __dlpack_device__(self):
            return GOOD.__dlpack_device__()

    np.testing.assert_array_equal(sb.certify_scores(OnlyDlpack(), sigma=1.0).lower, expected)


def test_bfloat16_is_widened_exactly():
    torch = pytest.importorskip("torch")
    scores = torch.from_numpy(GOOD).to(torch.bfloat16)
    expected = sb.certify_scores(scores.double().numpy(), sigma=1.0).lower
    np.testing.assert_array_equal(sb.certify_scores(scores, sigma=1.0).lower, expected)


def test_other_byte_order():
    swapped = GOOD.astype(GOOD.dtype.newbyteorder())
    expected = sb.certify_scores(GOOD, sigma=1.0).lower
    np.testing.assert_array_equal(sb.certify_scores(swapped, sigma=1.0).lower, expected)


def test_tables():
    cert = sb.certify_scores(
        GOOD, sigma=0.25, radii=[0, 0.5], thresholds=[0.5], sides="both", n_bins=100
    )
    table = cert.to_arrow()
    assert table.column_names == ["lower", "upper", "radius"]
    np.testing.assert_array_equal(np.array(table["lower"].to_pylist()), cert.lower)
    settings = json.loads(table.schema.metadata[b"smoothbound"])
    assert settings["sigma"] == 0.25
    assert settings["method"] == {
        "bound": "cdf",
        "band": "ell",
        "n_bins": 100,
        "mean": None,
    }
    assert settings["alpha_lower"] == 0.0005
    pytest.importorskip("pandas")
    frame = cert.to_pandas()
    assert list(frame) == ["lower@0", "lower@0.5", "upper@0", "upper@0.5", "radius@0.5"]
    np.testing.assert_array_equal(frame["radius@0.5"], cert.radius[:, 0])


@pytest.mark.parametrize(
    ("scores", "hint"),
    [
        (
            [-0.1, -2.0, -np.inf],
            r"if these are log-probabilities, pass np.exp\(scores\); otherwise",
        ),
        ([-0.1, -2.0, -0.5], r"pass np.exp\(scores\); otherwise state the range"),
        ([0.1, -2.0, 0.5], r"= -2.0; state the range of the measure in score_range"),
        ([0.5, -np.inf, 2.0], "takes infinite scores for statistic='quantile' and 'probability'"),
        ([-0.5, np.nan, -2.0], "the model or the data is at fault"),
    ],
)
def test_scores_outside_the_range_are_told_apart_from_logarithms(scores, hint):
    order = np.argsort(~np.isnan(scores))  # NaN first, because the first bad score is named
    refuse(hint, scores=np.tile(np.array(scores)[order], (1, 100)))


@pytest.mark.parametrize("backend", ["cpp", "numba"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_range_is_not_rounded_to_the_type_of_the_scores(backend, dtype):
    scores = np.full((2, 500), 0.2, dtype)
    scores[1, 3] = np.nextafter(np.dtype(dtype).type(-0.3), np.dtype(dtype).type(-1))
    assert float(scores[1, 3]) < -0.3
    refuse(r"got scores\[1, 3\]", scores=scores, score_range=(-0.3, 1.0), backend=backend)
