"""What a certificate is like in the hand: its table, its frame, its text, its parts."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import smoothbound as sb
from smoothbound._files import sealed
from smoothbound.errors import StoreError

SCORES = np.random.default_rng(0).beta(5, 2, (4, 500))
GOOD = sb.certify_scores(SCORES[:1], sigma=0.25, alpha=0.1, radii=[0, 0.1], thresholds=[0.5])


def test_columns_of_a_frame_are_named_by_all_digits_and_never_merge() -> None:
    pytest.importorskip("pandas")
    cert = sb.certify_scores(
        SCORES,
        sigma=0.25,
        radii=[0.0308642, 0.030864197530864196, 1 / 3, 1 / 3],
        thresholds=[0.1234567, 0.12345671],
    )
    frame = cert.to_pandas()
    assert list(frame) == [
        "lower@0.0308642",
        "lower@0.030864197530864196",
        "lower@0.3333333333333333",
        "lower@0.3333333333333333",
        "radius@0.1234567",
        "radius@0.12345671",
    ]
    np.testing.assert_array_equal(frame.to_numpy(), np.hstack([cert.lower, cert.radius]))


@pytest.fixture(scope="module", params=["scores", "both sides", "sketch", "smoothed", "adaptive"])
def cert(request: pytest.FixtureRequest) -> sb.Certificate:
    """Return a certificate of four inputs, of each class."""
    options: dict[str, Any] = {"radii": [0, 0.1], "thresholds": [0.5, 0.9]}
    if request.param == "scores":
        return sb.certify_scores(SCORES, sigma=0.25, alpha=0.1, **options)
    if request.param == "both sides":
        return sb.certify_scores(SCORES, sigma=0.25, alpha=0.1, sides="both", **options)
    if request.param == "sketch":
        sketch = sb.ScoreSketch([1, 3, 4, 1_000_000], sigma=0.25)
        sketch.update(SCORES, first_draw=0)
        return sketch.certify(alpha=0.1, **options)
    torch = pytest.importorskip("torch")
    smoothed = sb.SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
    x = torch.tensor([[3.0], [-2.0], [0.01], [1.0]])
    if request.param == "adaptive":
        return smoothed.certify(x, n=500, radii=[0.1], thresholds=[0.5], adaptive=True)
    return smoothed.certify(x, n=500, alpha=0.1, **options)


def parts(cert: sb.Certificate) -> dict[str, Any]:
    return {name: getattr(cert, name) for name in vars(cert) if name != "settings"}


def test_inputs_are_chosen_as_rows_of_an_array_are(cert: sb.Certificate) -> None:
    assert len(cert) == 4
    chosen: list[tuple[Any, list[int]]] = [
        (1, [1]),
        (-1, [3]),
        (slice(1, 3), [1, 2]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        ([2, 0, 0], [2, 0, 0]),
        (np.array([True, False, False, True]), [0, 3]),
        (np.zeros(4, bool), []),
    ]
    for which, rows in chosen:
        some = cert[which]
        assert type(some) is type(cert)
        assert some.settings is cert.settings
        assert len(some) == len(rows)
        for name, values in parts(cert).items():
            if values is None:
                assert getattr(some, name) is None
            else:
                np.testing.assert_array_equal(getattr(some, name), np.asarray(values)[rows])
    assert [len(one) for one in cert] == [1, 1, 1, 1]
    with pytest.raises(IndexError):
        cert[4]
    with pytest.raises(IndexError, match="one dimension, got an index with 2"):
        cert[np.array([[0, 1]])]


def test_certificates_are_equal_if_all_is_the_same(cert: sb.Certificate) -> None:
    copy = cert[:]
    assert cert == copy
    assert not (cert != copy)  # noqa: SIM202
    assert cert != cert[:3]
    assert cert != cert[[0, 1, 3, 2]]
    assert cert != "a certificate"
    lower = cert.lower.copy()
    lower[0, 0] = np.nextafter(lower[0, 0], -1)
    assert cert != replace(cert, lower=lower)
    assert cert != replace(cert, settings=replace(cert.settings, sigma=1.0))
    with pytest.raises(TypeError, match="unhashable"):
        hash(cert)


def test_a_certificate_of_many_inputs_prints_in_a_few_lines(cert: sb.Certificate) -> None:
    many = cert[np.tile([0, 1, 2, 3], 125)]
    text = repr(many)
    assert len(text) < 1500
    assert len(text.splitlines()) <= 10
    first = text.splitlines()[0]
    assert first.startswith(f"{type(cert).__name__} of 500 inputs")
    assert "alpha = 0." in first
    assert "... 494 more inputs" in text
    assert "lower@0" in text
    assert repr(cert[:0])


@pytest.mark.parametrize(("alpha", "remarked"), [(0.95, True), (0.5, True), (0.05, False)])
def test_an_alpha_that_looks_like_a_confidence_is_remarked(alpha: float, remarked: bool) -> None:
    cert = sb.certify_scores(SCORES, sigma=0.25, alpha=alpha)
    sketch = sb.ScoreSketch(len(SCORES))
    sketch.update(SCORES)
    remark = "alpha is the probability that a certificate is false; for a confidence of 95 % take"
    for one in (cert, sketch.certify(sigma=0.25, alpha=alpha)):
        assert (remark in repr(one)) is remarked
        assert (remark in one._repr_html_()) is remarked


def test_a_class_that_was_not_told_is_not_printed_as_abstained() -> None:
    sketch = sb.ScoreSketch(2)
    sketch.update(SCORES[:2])
    assert "selected" not in repr(sketch.certify(sigma=0.25)).splitlines()[1]
    told = sb.ScoreSketch(2, selected=[3, 7])
    told.update(SCORES[:2])
    assert "selected" in repr(told.certify(sigma=0.25)).splitlines()[1]


def test_what_is_printed_is_on_the_safe_side() -> None:
    lower, upper = np.array([[0.99996]]), np.array([[0.00012341]])
    made = sb.certify_scores(SCORES[:1], sigma=0.25, sides="both", thresholds=[0.5])
    cert = sb.Certificate(made.settings, lower, upper, np.array([[0.123456]]))
    _, names, cells = repr(cert).splitlines()
    assert names.split() == ["lower@0", "upper@0", "radius@0.5"]
    assert cells.split() == ["0.9999", "0.0001235", "0.1234"]


def test_html_of_a_certificate_holds_no_markup_of_others(cert: sb.Certificate) -> None:
    html = cert._repr_html_()
    assert html.count("<tr>") == 5
    assert "<th>lower@0" in html
    torch = pytest.importorskip("torch")
    measure = sb.custom(lambda out, _: out[:, 0], (0.0, 1.0), name="<script>\x1b")
    smoothed = sb.SmoothedClassifier(
        lambda x: torch.full((len(x), 1), 0.5), 1.0, measure=measure, outputs="raw"
    )
    cert = smoothed.certify(torch.zeros(1, 1), n=100, alpha=0.1)
    assert "<script>" not in cert._repr_html_()
    assert "&lt;script&gt;\\x1b" in cert._repr_html_()
    assert "\x1b" not in repr(cert)


# --- files ------------------------------------------------------------------------------------


def test_a_certificate_is_read_as_it_was_saved(cert: sb.Certificate, tmp_path: Path) -> None:
    path = tmp_path / "sigma=0.25" / "cert.parquet"
    cert.save(path)
    read = sb.Certificate.load(path)
    assert type(read) is type(cert)
    assert read == cert
    for name, values in parts(cert).items():
        assert type(getattr(read, name)) is type(values)
        assert getattr(getattr(read, name), "dtype", None) == getattr(values, "dtype", None)
    assert type(cert).load(path) == cert
    if type(cert) is sb.Certificate:
        with pytest.raises(StoreError, match="holds a Certificate, not a SketchCertificate"):
            sb.SketchCertificate.load(path)
    cert[:2].save(path)
    assert sb.Certificate.load(path) == cert[:2]


def test_the_class_that_a_file_names_is_loaded_when_it_is_read(tmp_path: Path) -> None:
    sketch = sb.ScoreSketch(4, sigma=0.25)
    sketch.update(SCORES)
    path = tmp_path / "cert.parquet"
    sketch.certify(alpha=0.1).save(path)
    code = f"import smoothbound as sb; print(type(sb.Certificate.load({str(path)!r})).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "SketchCertificate\n"


@pytest.mark.parametrize("name", ["", "Sketch", "ScoreSketch", "os", "NoCertificate", "__dict__"])
def test_a_file_that_names_another_class_is_refused(name: str, tmp_path: Path) -> None:
    table = GOOD.to_arrow()
    metadata = {**table.schema.metadata, b"smoothbound class": name.encode()}
    sealed.write_table(table.replace_schema_metadata(metadata), tmp_path / "c.parquet")
    with pytest.raises(StoreError, match=f"there is no class '{name}' of certificates"):
        sb.Certificate.load(tmp_path / "c.parquet")


@pytest.mark.parametrize("cert", ["sketch", "smoothed", "adaptive"], indirect=True)
def test_files_open_whose_columns_have_their_old_names(
    cert: sb.Certificate, tmp_path: Path
) -> None:
    former = {
        "SketchCertificate": {"index": "inputs", "selected": "predicted"},
        "SmoothedCertificate": {"index": "example"},
    }
    names = former[type(cert).__name__]
    old = names["index"]
    table = cert.to_arrow()
    settings = json.loads(table.schema.metadata[b"smoothbound"])
    if old == "inputs":
        assert settings.pop("noise") == {}
    metadata = table.schema.metadata | {b"smoothbound": json.dumps(settings).encode()}
    table = table.rename_columns([names.get(name, name) for name in table.column_names])
    sealed.write_table(table.replace_schema_metadata(metadata), tmp_path / "cert.parquet")
    read: Any = sb.Certificate.load(tmp_path / "cert.parquet")
    assert read == cert
    with pytest.warns(DeprecationWarning, match=f"{old} is now called index"):
        assert getattr(read, old) is read.index


def test_one_side_and_no_thresholds_come_back(tmp_path: Path) -> None:
    for options in ({"sides": "upper"}, {"thresholds": []}, {"radii": [], "thresholds": [0.5]}):
        cert = sb.certify_scores(SCORES, sigma=0.25, alpha=0.1, **options)
        cert.save(tmp_path / "cert.parquet")
        assert sb.Certificate.load(tmp_path / "cert.parquet") == cert
    with pytest.raises(ValueError, match="neither radii nor thresholds"):
        sb.certify_scores(SCORES, sigma=0.25, alpha=0.1, radii=[]).save(tmp_path / "c.parquet")


@pytest.mark.parametrize("name", ["cert.csv", "cert", "cert.pq", ".parquet"])
def test_a_file_is_what_its_ending_says(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path must end in .parquet, got .*to_csv"):
        GOOD.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [None, 1, b"cert.parquet", object()])
def test_what_is_no_path_is_named(path: Any) -> None:
    with pytest.raises(TypeError, match="path must be a str or a Path, got"):
        GOOD.save(path)
    with pytest.raises(TypeError, match="path must be a str or a Path, got"):
        sb.Certificate.load(path)


def test_every_flipped_bit_of_a_saved_certificate_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cert.parquet"
    cert = sb.certify_scores(SCORES[:1], sigma=0.25, alpha=0.1, thresholds=[0.5])
    cert.save(path)
    content = path.read_bytes()
    damaged = bytearray(content)
    monkeypatch.setattr(sealed, "read_plain", lambda _: bytes(damaged))  # nothing is written
    for bit in range(8 * len(content)):
        damaged[bit // 8] ^= 1 << bit % 8
        assert loaded_or_none(path) in (None, cert)
        damaged[bit // 8] ^= 1 << bit % 8
    assert damaged == content


def test_a_certificate_whose_seal_is_damaged_too_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cert.parquet"
    sb.certify_scores(SCORES[:1], sigma=0.25, alpha=0.1, thresholds=[0.5]).save(path)
    whole = path.read_bytes()
    seal = whole.index(b"SBSEAL01")
    settings = whole.index(b'"sigma": 0.25')
    for position in range(seal, seal + 8):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        damaged[settings + 9] ^= 2  # sigma is 2.25
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="its checksum is gone"):
            sb.Certificate.load(path)


def loaded_or_none(path: Path) -> sb.Certificate | None:
    try:
        return sb.Certificate.load(path)
    except StoreError as error:
        assert str(path) in str(error)  # noqa: PT017
        return None


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("alpha", -1),
        ("alpha", "0.1"),
        ("sigma", 0),
        ("alpha_lower", 2),
        ("score_range", [0, 0]),
        ("score_range", None),
        ("radii", [-1, 0]),
        ("radii", [[0]]),
        ("radii", [0]),
        ("thresholds", [7]),
        ("method", {"bound": "cfd"}),
        ("method", []),
        ("sides", "left"),
        ("n", "500"),
        ("n", 0),
        ("n_pilot", -1),
        ("backend", 3),
        ("order", None),
        ("order_seed", True),
        ("unknown", 1),
        ("n", None),
    ],
)
def test_settings_are_checked_when_they_are_read(
    setting: str, value: object, tmp_path: Path
) -> None:
    table = GOOD.to_arrow()
    settings = json.loads(table.schema.metadata[b"smoothbound"]) | {setting: value}
    write(tmp_path / "c.parquet", table, json.dumps(settings))
    with pytest.raises(StoreError, match=r"c.parquet holds no valid certificate: .*"):
        sb.Certificate.load(tmp_path / "c.parquet")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("measure", 3), ("noise", "lattice"), ("batch_size", 0.5), ("cutoff", "0.5"), ("n0", True),
     ("channels_last", 1), ("adaptive", []), ("compile", {})],
)  # fmt: skip
def test_settings_of_draws_are_checked_too(setting: str, value: object, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    smoothed = sb.SmoothedClassifier(lambda x: torch.cat([x, -x], dim=1), sigma=0.5)
    table = smoothed.certify(torch.tensor([[3.001]]), n=100, alpha=0.1).to_arrow()
    settings = json.loads(table.schema.metadata[b"smoothbound"]) | {setting: value}
    metadata = {**table.schema.metadata, b"smoothbound": json.dumps(settings).encode()}
    sealed.write_table(table.replace_schema_metadata(metadata), tmp_path / "c.parquet")
    with pytest.raises(StoreError, match=rf"holds no valid certificate: {setting} must be"):
        sb.Certificate.load(tmp_path / "c.parquet")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", "9" * 5000, "[" * 100_000, '"x"'])
def test_settings_that_are_none(text: str, tmp_path: Path) -> None:
    write(tmp_path / "c.parquet", GOOD.to_arrow(), text)
    with pytest.raises(StoreError, match=r"c.parquet holds no valid certificate"):
        sb.Certificate.load(tmp_path / "c.parquet")


@pytest.mark.parametrize(
    "change",
    [
        {"lower": pa.array([[7.0, 0.5]])},
        {"lower": pa.array([[0.5]])},
        {"lower": pa.array([[0.5, None]])},
        {"lower": pa.array([None], pa.list_(pa.float64()))},
        {"lower": pa.array(["0.5"])},
        {"lower": pa.array([[0, 1]])},
        {"radius": pa.array([[-0.1]])},
        {"radius": None},
    ],
)
def test_numbers_are_checked_when_they_are_read(
    change: dict[str, pa.Array | None], tmp_path: Path
) -> None:
    table = GOOD.to_arrow()
    columns = {name: table[name] for name in table.column_names} | change
    changed = pa.table({name: column for name, column in columns.items() if column is not None})
    write(tmp_path / "c.parquet", changed, table.schema.metadata[b"smoothbound"].decode())
    with pytest.raises(StoreError, match=r"c.parquet holds no valid certificate"):
        sb.Certificate.load(tmp_path / "c.parquet")


def test_what_bounds_wrote_before_there_were_classes_and_seals_is_read(tmp_path: Path) -> None:
    table = GOOD.to_arrow()
    settings = json.loads(table.schema.metadata[b"smoothbound"])
    del settings["order"], settings["order_seed"]
    write(tmp_path / "b.parquet", table, json.dumps(settings))
    read = sb.Certificate.load(tmp_path / "b.parquet")
    np.testing.assert_array_equal(read.lower, GOOD.lower)
    assert read.settings.order == "drawn"


@pytest.mark.parametrize("pilot", [0.1, 0.3])
def test_a_file_without_the_share_of_pilot_draws_has_their_number(
    pilot: float, tmp_path: Path
) -> None:
    cert = sb.certify_scores(SCORES, sigma=0.25, alpha=0.1, bound="tangent", pilot=pilot)
    table = cert.to_arrow()
    settings = json.loads(table.schema.metadata[b"smoothbound"])
    assert settings.pop("pilot") == pilot
    write(tmp_path / "c.parquet", table, json.dumps(settings))
    assert sb.Certificate.load(tmp_path / "c.parquet") == cert


def test_shares_of_alpha_that_contradict_the_sides_are_refused(tmp_path: Path) -> None:
    table = GOOD.to_arrow()
    settings = json.loads(table.schema.metadata[b"smoothbound"]) | {"sides": "both"}
    write(tmp_path / "c.parquet", table, json.dumps(settings))
    with pytest.raises(StoreError, match=r"alpha_lower must be 0.05 by alpha and sides, got 0.1"):
        sb.Certificate.load(tmp_path / "c.parquet")


def write(path: Path, table: pa.Table, settings: str) -> None:
    sealed.write_table(table.replace_schema_metadata({b"smoothbound": settings.encode()}), path)


# --- figure -----------------------------------------------------------------------------------


def test_plot_draws_what_is_certified(cert: sb.Certificate) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    ax = cert.plot(figure.Figure().subplots(), inputs=[0, 1])
    radii = list(cert.settings.radii)
    labelled = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    assert len(labelled) == 2
    for row, line in enumerate(labelled):
        known = np.isfinite(cert.lower[row])
        np.testing.assert_array_equal(line.get_xdata(), np.asarray(radii)[known])
        np.testing.assert_array_equal(line.get_ydata(), cert.lower[row][known])
        assert line.get_drawstyle() == "steps-pre"


@pytest.mark.parametrize("inputs", [4, "x", [0.5], [[0], [1, 2]], 10**400, [], object(), True])
def test_inputs_that_are_none_of_the_certificate_are_named(inputs: Any) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="inputs must be rows of the certificate, from 0 to 0"):
        GOOD.plot(inputs=inputs)


def test_plot_makes_axes_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(pyplot, "show", lambda: None)
    assert len(sb.certify_scores(SCORES, sigma=0.25, radii=[0, 0.1]).plot().get_lines()) == 4
    pyplot.close("all")
    with pytest.raises(ValueError, match="no radii"):
        sb.certify_scores(SCORES, sigma=0.25, radii=[]).plot()
    pyplot.close("all")
