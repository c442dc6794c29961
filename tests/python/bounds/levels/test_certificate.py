"""The certificate of levels: arguments, shapes, files, tables and figures."""

import numpy as np
import pytest

import smoothbound as sb
from smoothbound.errors import StoreError

SCORES = np.random.default_rng(0).normal(size=(3, 500))
OPTIONS = {"sigma": 0.5, "radii": [0.0, 0.25], "sides": "both"}


def certify(**options):
    return sb.certify_scores(SCORES, **OPTIONS | options)


@pytest.fixture(params=["probability", "quantile"])
def made(request):
    return certify(statistic=request.param, levels=[0.25, 0.5], thresholds=[0.1, 0.2, 0.3])


def test_shapes_and_rows(made):
    assert isinstance(made, sb.LevelCertificate)
    assert made.lower.shape == made.upper.shape == (3, 2, 2)
    assert made.radius.shape == (3, 2, 3)
    assert len(made[1:]) == 2
    np.testing.assert_array_equal(made[1].lower, made.lower[1:2])
    assert made[[0, 1, 2]] == made


def test_files_keep_it(made, tmp_path):
    made.save(tmp_path / "made.parquet")
    assert sb.LevelCertificate.load(tmp_path / "made.parquet") == made
    assert sb.Certificate.load(tmp_path / "made.parquet") == made
    table = made.to_arrow()
    np.testing.assert_array_equal(table["lower"].to_pylist(), made.lower)
    none = certify(statistic="quantile", levels=[0.5], radii=[], thresholds=[0.0], sides="lower")
    none.save(tmp_path / "none.parquet")
    assert sb.Certificate.load(tmp_path / "none.parquet") == none
    half = certify(statistic="quantile", levels=[0.5], score_range=(-50, np.inf))
    assert '"score_range": [-50.0, null]' in half.settings.to_json()
    assert type(half.settings).from_json(half.settings.to_json()) == half.settings


def test_a_mean_certificate_is_no_level_certificate(tmp_path):
    sb.certify_scores(np.full((2, 100), 0.9), sigma=1).save(tmp_path / "mean.parquet")
    with pytest.raises(StoreError, match="holds a Certificate, not a LevelCertificate"):
        sb.LevelCertificate.load(tmp_path / "mean.parquet")


def test_a_file_with_impossible_numbers_is_refused(tmp_path):
    import pyarrow as pa

    from smoothbound._files.sealed import write_table

    made = certify(statistic="probability", levels=[0.5], sides="lower")
    table = made.to_arrow()
    for bad in ([[[0.1, 1.5]]] * 3, [[[0.1]]] * 3, [[[0.1, 0.2], [0.1, 0.2]]] * 3):
        kind = pa.list_(pa.list_(pa.float64(), len(bad[0][0])), len(bad[0]))
        other = table.set_column(0, "lower", pa.array(bad, kind))
        write_table(other.replace_schema_metadata(table.schema.metadata), tmp_path / "bad.parquet")
        with pytest.raises(StoreError, match="lower must"):
            sb.Certificate.load(tmp_path / "bad.parquet")


def test_tables_name_level_and_radius(made):
    frame = made.to_pandas()
    assert list(frame)[:5] == [
        "lower@0.25@0", "lower@0.25@0.25", "lower@0.5@0", "lower@0.5@0.25", "upper@0.25@0",
    ]  # fmt: skip
    np.testing.assert_array_equal(frame["upper@0.5@0.25"], made.upper[:, 1, 1])
    np.testing.assert_array_equal(frame["radius@0.25@0.3"], made.radius[:, 0, 2])
    assert made.settings.quantity in repr(made)
    assert "Clopper-Pearson, n = 500" in repr(made)


def test_plots_draw_each_level(made):
    from matplotlib.figure import Figure

    ax = made.plot(Figure().subplots())
    assert len(ax.lines) == 3 * 2 * 2
    label = ax.lines[0].get_label()
    assert label == "input 0, level 0.25"
    np.testing.assert_array_equal(ax.lines[2].get_ydata(), made.lower[0, 1])
    assert made.settings.quantity in ax.get_ylabel()
    assert (ax.get_ylim() == (0.0, 1.0)) == (made.settings.statistic == "probability")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistic": "median"}, "statistic must be one of 'mean', 'probability', 'quantile'"),
        ({"levels": [0.5]}, "levels must be empty for statistic='mean'"),
        ({"statistic": "quantile"}, "levels must hold at least one level"),
        (
            {"statistic": "quantile", "levels": [0.5, 1.0]},
            r"strictly between 0 and 1 .* levels\[1\]",
        ),
        ({"statistic": "probability", "levels": [np.inf]}, r"levels must be finite .* levels\[0\]"),
        (
            {"statistic": "probability", "levels": [1], "thresholds": [1.0]},
            r"thresholds of probabilities .* thresholds\[0\] = 1",
        ),
        (
            {"statistic": "quantile", "levels": [0.5], "thresholds": [9], "score_range": (-9, 9)},
            "strictly inside the range",
        ),
        ({"statistic": "quantile", "levels": [0.5], "score_range": (1, 1)}, "a < b"),
        ({"statistic": "quantile", "levels": [0.5], "bound": "tangent"}, "leave them out"),
        ({"statistic": "quantile", "levels": [0.5], "score_range": (-1, 1)}, r"within score_range"),
        ({"statistic": "probability", "levels": [0.5], "sigma": 0}, "sigma must be positive"),
    ],
)
def test_bad_arguments_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        certify(**options)


def test_nan_is_refused_and_infinity_is_not(backend):
    scores = SCORES.copy()
    scores[1, 7] = -np.inf
    options = {"statistic": "quantile", "levels": [0.5], "backend": backend} | OPTIONS
    sb.certify_scores(scores, **options)
    scores[1, 7] = np.nan
    with pytest.raises(ValueError, match=r"scores\[1, 7\] = nan"):
        sb.certify_scores(scores, **options)
    for dtype in (np.float16, np.float32):
        with pytest.raises(ValueError, match=r"scores\[1, 7\] = nan"):
            sb.certify_scores(scores.astype(dtype), **options)


@pytest.mark.parametrize("statistic", ["probability", "quantile"])
@pytest.mark.parametrize("sides", ["lower", "both"])
def test_too_few_draws_name_the_number_that_is_enough(backend, statistic, sides):
    level, threshold = (0.0, 0.9) if statistic == "probability" else (0.2, 0.0)
    options = {
        "sigma": 0.5,
        "radii": [0.5] if statistic == "quantile" else [0.0],
        "statistic": statistic,
        "levels": [level],
        "thresholds": [threshold] if statistic == "probability" else [],
        "sides": sides,
        "backend": backend,
    }
    with pytest.raises(ValueError, match=r"at least n = (\d+) are needed") as failed:
        sb.certify_scores(np.ones((1, 5)), **options)
    enough = int(str(failed.value).split("at least n = ")[1].split()[0])
    made = sb.certify_scores(np.ones((1, enough)), **options)
    certified = made.radius if statistic == "probability" else made.lower
    assert np.isfinite(certified).all()
    with pytest.raises(ValueError, match=f"n = {enough - 1} draws are too few"):
        sb.certify_scores(np.ones((1, enough - 1)), **options)


def test_no_number_of_draws_is_enough_for_a_radius_too_far():
    with pytest.raises(ValueError, match=r"no number of draws below 2\^32 is enough"):
        certify(statistic="quantile", levels=[0.5], radii=[10.0])


def test_a_radius_beyond_the_draws_has_the_end_of_the_range():
    options = {"statistic": "quantile", "levels": [0.5], "radii": [0.0, 5.0]}
    made = certify(**options)
    assert made.lower[0, 0, 1] == -np.inf
    assert made.upper[0, 0, 1] == np.inf
    made = certify(score_range=(-100, 100), **options)
    assert (made.lower[0, 0, 1], made.upper[0, 0, 1]) == (-100, 100)
