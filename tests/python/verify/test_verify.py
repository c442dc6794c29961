"""Every certificate of a folder is computed again, and what does not hold is found."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scored
from scored import DECIDE, FIND, FIXED, changed, make, moved
from typer.testing import CliRunner

from smoothbound import store
from smoothbound.anytime import AnytimeTest
from smoothbound.backends import reference
from smoothbound.bounds import _band as bands
from smoothbound.bounds._method import Method
from smoothbound.cli._app import app
from smoothbound.errors import StoreError
from smoothbound.store._settings import RunSettings
from smoothbound.store._table import packed_counts
from smoothbound.verify import Verification, recertify_results, verify_results

Rows = list[dict[str, Any]]

MARGIN = dataclasses.replace(
    FIXED, measure="margin", score_range=(-1.0, 1.0), cutoff=0.0, thresholds=(0.0, 0.5)
)
VOTE = dataclasses.replace(FIXED, measure="vote")
BINS = dataclasses.replace(FIXED, methods=(Method("cdf", "dkw", 90), Method("cdf", "ell", 90)))
RUNS = {
    "score": FIXED,
    "margin": MARGIN,
    "vote": VOTE,
    "bins": BINS,
    "few bins": dataclasses.replace(BINS, methods=(Method("cdf", "ell", 7),)),
    "moved": moved(FIXED, 0.01),
    "decide": DECIDE,
    "decide, moved": moved(DECIDE, 0.01),
    "find": FIND,
    "no cut-off": dataclasses.replace(FIXED, cutoff=None),
}


def margins(rng: np.random.Generator, index: int, n: int) -> scored.Scores:
    return 2 * scored.scores_of(rng, index, n) - 1


def votes(rng: np.random.Generator, index: int, n: int) -> scored.Scores:
    return (rng.uniform(size=n) < (index + 1) / 8).astype(np.float32)


def extremes(rng: np.random.Generator, index: int, n: int) -> scored.Scores:
    """Make scores at ends, edges and one place, and ties."""
    kinds = [
        np.ones(n),
        np.zeros(n),
        np.full(n, 0.75),
        np.full(n, 0.7501),
        rng.choice([0.0, 0.25, 0.9, 1.0], n),
        rng.choice(np.linspace(0.0, 1.0, 4097), n),
        np.sort(rng.beta(20, 1, n)),
        np.where(rng.uniform(size=n) < 0.99, 1.0, rng.uniform(size=n)),
    ]
    return kinds[index].astype(np.float32)


MAKERS = {"margin": margins, "vote": votes}


def made(tmp_path: Path, settings: RunSettings) -> Path:
    return make(tmp_path / "run", settings, MAKERS.get(settings.measure, scored.scores_of))


# --- honest folders ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_the_certificates_of_a_run_hold(tmp_path: Path, name: str) -> None:
    settings = RUNS[name]
    found = verify_results(made(tmp_path, settings))
    assert [str(one) for one in found.findings] == []
    assert found.holds
    assert found.complete
    assert found.n_inputs == 8
    of_methods = {f"{kind}_{m.name}" for m in settings.methods for kind in ("lower", "radius")}
    assert set(found.tallies) == of_methods | {"class_radius"}
    for kind, tally in found.tallies.items():
        grid = {"lower": settings.radii, "radius": settings.thresholds}.get(kind.split("_")[0], "1")
        assert tally.total == 8 * len(grid)
    a, b = settings.score_range
    by_distribution = [tally for kind, tally in found.tallies.items() if "cdf" in kind]
    assert all(tally.widest <= (b - a) / 4096 for tally in by_distribution)


@pytest.mark.parametrize("settings", [FIXED, BINS], ids=["score", "bins"])
def test_scores_at_edges_at_ends_and_with_ties(tmp_path: Path, settings: RunSettings) -> None:
    settings = dataclasses.replace(settings, methods=settings.methods[:2], cutoff=None)
    found = verify_results(make(tmp_path / "run", settings, extremes))
    assert [str(one) for one in found.findings] == []


def test_votes_and_states_are_proved_without_a_cell(tmp_path: Path) -> None:
    for name in ("vote", "decide", "find"):
        found = verify_results(made(tmp_path / name, RUNS[name]))
        assert all(tally.within == 0 for tally in found.tallies.values())
        assert sum(tally.proved for tally in found.tallies.values()) > 8


def test_the_reference_counts_as_it_counts_draws() -> None:
    """What is proved and allowed is Theorem 2 of scores at the edges, counted draw by draw."""
    from smoothbound.verify._counts import CountsVerifier, _Scores

    rng = np.random.default_rng(5)
    scores = rng.beta(5, 2, 1000)
    edges = np.linspace(0, 1, 4097)
    place = np.searchsorted(edges, scores, side="right") - 1
    counts = np.zeros(8193, np.uint32)
    np.add.at(counts, 2 * place + 1, 1)
    for method in (Method("cdf", "dkw"), Method("cdf", "ell"), Method("cdf", "ell", 90)):
        settings = dataclasses.replace(FIXED, methods=(method,))
        verifier = CountsVerifier(settings, Verification())
        bounds = verifier._by_distribution(method, _Scores(edges, counts))
        level = None
        if method.band == "ell":
            level = bands.level_of(1000, 0.001, method.n_bins or 0)
        r = np.array([0.0, 0.5, 1.0])
        up = [
            reference.lower_cdf(edges[place + 1], one, 0.001, n_bins=method.n_bins, level=level)
            for one in r
        ]
        np.testing.assert_allclose(bounds.allowed(r), up, rtol=0, atol=1e-14)
        exact = [
            reference.lower_cdf(scores, one, 0.001, n_bins=method.n_bins, level=level) for one in r
        ]
        assert (bounds.least(r) <= exact).all()
        assert (exact <= bounds.allowed(r)).all()
        if method.n_bins is None:
            down = [reference.lower_cdf(edges[place], one, 0.001, level=level) for one in r]
            np.testing.assert_allclose(bounds.proved(r), down, rtol=0, atol=1e-14)
            assert bounds.least is bounds.proved


# --- forged folders ---------------------------------------------------------------------------


def raise_to(column: str, place: int, gain: float) -> Callable[[dict[str, Any]], None]:
    def change(row: dict[str, Any]) -> None:
        row[column][place] += gain

    return change


def set_to(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda row: row.update(values)


def of_version_1(row: dict[str, Any]) -> None:
    row["state"] = row["state"][:4] + b"\1" + row["state"][5:]


def counts_moved(by: int, share: float) -> Callable[[dict[str, Any]], None]:
    """Move draws of each cell by some cells."""

    def change(row: dict[str, Any]) -> None:
        counts = packed_counts.unpack(row["sketch"], 8193)
        taken = np.ceil(counts * share).astype(np.uint32)
        moved_counts = np.zeros_like(counts)
        for cell in np.flatnonzero(taken):
            moved_counts[min(max(cell + by, 0), 8192)] += taken[cell]
        row["sketch"] = packed_counts.pack(counts - taken + moved_counts)

    return change


def one_draw_more(row: dict[str, Any]) -> None:
    counts = packed_counts.unpack(row["sketch"], 8193)
    counts[8000] += 1
    row["sketch"] = packed_counts.pack(counts)


FORGED = [
    ("score", 6, raise_to("radius_mean", 0, 0.0625), "radius_mean at c = 0.5"),
    ("score", 6, raise_to("radius_cdf_dkw", 0, 0.0625), "radius_cdf_dkw at c = 0.5"),
    ("score", 6, raise_to("radius_cdf_ell", 1, 0.0625), "radius_cdf_ell at c = 0.7"),
    ("score", 6, raise_to("radius_cdf_ell", 1, -0.01), "radius_cdf_ell at c = 0.7"),
    ("score", 6, raise_to("radius_cdf_ell", 0, float("nan")), "radius_cdf_ell at c = 0.5"),
    ("score", 6, raise_to("lower_mean", 2, 1e-9), "lower_mean at R = 0.125"),
    ("score", 6, raise_to("lower_cdf_ell", 2, 1 / 4096), "lower_cdf_ell at R = 0.125"),
    ("score", 6, raise_to("lower_cdf_dkw", 0, -1 / 4096), "lower_cdf_dkw at R = 0"),
    ("score", 6, set_to(top_count=300), "top_count"),
    ("score", 6, set_to(mean_score=0.9), "mean_score"),
    ("score", 6, set_to(class_radius=0.7), "class_radius"),
    ("score", 6, set_to(class_radius=float("nan")), "class_radius"),
    ("score", 0, set_to(status="certified", predicted=1), "status"),
    ("score", 6, set_to(status="abstained", predicted=-1), "status"),
    ("score", 6, set_to(sketch=b"no counts"), "sketch is damaged"),
    ("score", 6, set_to(n_draws=999), "sketch counts 1000 draws"),
    ("score", 6, one_draw_more, "sketch counts 1001 draws"),
    ("score", 6, counts_moved(-4, 1.0), "lower_cdf_ell at R = 0 is"),
    ("score", 6, counts_moved(4, 1.0), "lower_cdf_ell at R = 0 is"),
    ("score", 6, counts_moved(-2000, 0.02), "lower_cdf_ell at R = 0 is"),
    ("vote", 6, raise_to("lower_cdf_ell", 0, 1e-9), "lower_cdf_ell at R = 0"),
    ("vote", 6, raise_to("lower_cdf_dkw", 3, 1e-9), "lower_cdf_dkw at R = 0.25"),
    ("vote", 6, raise_to("radius_cdf_ell", 0, 1e-9), "radius_cdf_ell at c = 0.5"),
    ("vote", 6, set_to(top_count=901), "top_count"),
    ("vote", 6, counts_moved(-8192, 0.001), "lower_cdf_ell at R = 0 is"),
    ("margin", 6, raise_to("lower_mean", 0, 1e-9), "lower_mean at R = 0"),
    ("margin", 6, set_to(top_count=900), "top_count"),
    ("bins", 6, raise_to("lower_cdf_ell", 1, 0.02), "lower_cdf_ell at R = 0.0625"),
    ("moved", 6, raise_to("radius_cdf_ell", 0, 0.0625), "radius_cdf_ell at c = 0.5"),
    ("decide", 6, raise_to("lower_anytime", 0, 1e-9), "lower_anytime at R = 0"),
    ("decide", 6, raise_to("radius_anytime", 0, 0.125), "radius_anytime at c = 0.5"),
    ("decide", 0, raise_to("lower_anytime", 1, 0.5), "lower_anytime at R = 0.125"),
    ("decide", 0, set_to(status="certified", predicted=1), "status"),
    ("decide", 6, set_to(n_draws=77), "state has other number of draws"),
    ("decide", 6, set_to(state=b"SBAT"), "state is damaged"),
    ("decide", 6, of_version_1, "state has version 1, and this release reads version 2"),
    ("decide", 6, set_to(class_radius=0.9), "class_radius"),
    ("decide", 6, set_to(top_count=900), "top_count"),
    ("find", 6, raise_to("radius_anytime", 0, 0.05), "radius_anytime at c = 0.5"),
    ("find", 6, raise_to("lower_anytime", 0, 1e-9), "lower_anytime at R = 0"),
]


@pytest.mark.parametrize(
    ("name", "index", "change", "where"),
    FORGED,
    ids=[f"{name}-{i}-{where}" for i, (name, _, _, where) in enumerate(FORGED)],
)
def test_a_number_that_was_changed_is_found(
    tmp_path: Path, name: str, index: int, change: Callable[[dict[str, Any]], None], where: str
) -> None:
    folder = made(tmp_path, RUNS[name])
    changed(folder, lambda rows: change(rows[index]))
    found = verify_results(folder)
    assert not found.holds
    assert found.n_wrong_inputs == 1
    assert {one.index for one in found.findings} == {index}
    assert any(f"{one}".startswith(f"input {index}: {where}") for one in found.findings), (
        found.findings
    )


@pytest.mark.parametrize("name", ["score", "vote", "from counts"])
def test_a_billionth_is_found_where_what_was_kept_determines_the_bound(
    tmp_path: Path, name: str
) -> None:
    """Theorem 1 follows from the mean; Theorem 2 from votes, and from counts after recertify."""
    settings = RUNS.get(name, FIXED)
    folder = made(tmp_path, settings)
    if name == "from counts":
        recertify_results(folder, tmp_path / "again", bands=["dkw", "ell"])
        folder = tmp_path / "again"
    methods = settings.methods[:1] if name == "score" else store.load(folder).settings.methods
    for method in methods:
        column = f"lower_{method.name}"
        for by, holds in ((1e-9, False), (-1e-9, True)):  # the second time it is moved back

            def moved(rows: Rows, column: str = column, by: float = by) -> None:
                rows[6][column][2] += by

            found = verify_results(changed(folder, moved))
            assert found.holds == holds
            assert all(f"{column} at R = 0.125 is " in str(one) for one in found.findings)


@pytest.mark.parametrize("name", ["score", "bins", "few bins", "moved", "margin"])
def test_a_confidence_a_billionth_above_what_the_counts_allow_is_found(
    tmp_path: Path, name: str
) -> None:
    """The counts of cells decide up to the bound of scores at the upper edges of their cells."""
    settings = RUNS[name]
    folder = made(tmp_path, settings)
    a, b = settings.score_range
    edges = np.linspace(a, b, 4097)
    rows = store.load(folder).table.to_pylist()
    counts = packed_counts.unpack(rows[6]["sketch"], 8193)
    at = np.append(edges[:1], np.repeat(edges[1:], 2))  # every cell at its upper edge
    scores = np.repeat(at, counts)
    method = settings.methods[-1]
    level = bands.level_of(1000, 0.001, method.n_bins or 0) if method.band == "ell" else None
    r = (settings.radii[2] + 2 * settings.displacement) / settings.sigma
    most = reference.lower_cdf(scores, r, 0.001, (a, b), method.n_bins, level)
    assert most > rows[6][f"lower_{method.name}"][2]

    def stated(x: float) -> Callable[[Rows], None]:
        return lambda rows: rows[6][f"lower_{method.name}"].__setitem__(2, x)

    assert verify_results(changed(folder, stated(most - 1e-12))).holds
    found = verify_results(changed(folder, stated(most + 1e-9)))
    (finding,) = found.findings
    assert str(finding).startswith(f"input 6: lower_{method.name} at R = 0.125 is ")
    assert "what was kept allows at most" in finding.words


def test_states_of_other_inputs_and_of_other_questions_are_found(tmp_path: Path) -> None:
    folder = made(tmp_path, DECIDE)

    def swapped(rows: Rows) -> None:
        rows[6]["state"], rows[1]["state"] = rows[1]["state"], rows[6]["state"]
        rows[6]["n_draws"], rows[1]["n_draws"] = rows[1]["n_draws"], rows[6]["n_draws"]

    found = verify_results(changed(folder, swapped))
    assert any(one.index == 6 and one.column.startswith("lower_anytime") for one in found.findings)
    for options, said in (
        ({"alpha": 0.01}, "other alpha"),
        ({"sigma": 0.3}, "other sigma"),
        ({"measure": "margin"}, "other measure"),
        ({"displacement": 0.001}, "other displacement"),
    ):
        before = AnytimeTest.from_bytes(store.load(folder).table["state"][5].as_py())
        settings = {
            name: getattr(before, name)
            for name in ("sigma", "alpha", "score_range", "measure", "displacement")
        }
        other = AnytimeTest(list(before.questions), **(settings | options)).to_bytes()
        found = verify_results(
            changed(folder, lambda rows, other=other: rows[5].update(state=other))
        )
        assert any(one.index == 5 and said in one.words for one in found.findings)


def test_a_claim_that_the_draws_do_not_prove_is_found_though_the_core_would_certify_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers of the core alone do not count."""
    from smoothbound.backends import reference_anytime
    from smoothbound.verify import _states

    monkeypatch.setattr(reference_anytime, "wealth_of_blocks", lambda *_, **__: iter([]))
    monkeypatch.setattr(_states, "_wealth_of_run", lambda *_: iter([0.0]))
    found = verify_results(made(tmp_path, DECIDE))
    assert found.n_wrong_inputs >= 4


def test_the_bets_of_the_run_decide_where_those_of_the_reference_are_less_lucky(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smoothbound.backends import reference_anytime

    monkeypatch.setattr(reference_anytime, "wealth_of_blocks", lambda *_, **__: iter([]))
    for name in ("decide", "find"):
        found = verify_results(made(tmp_path / name, RUNS[name]))
        assert [str(one) for one in found.findings] == []
        assert sum(tally.proved for tally in found.tallies.values()) > 0
        assert not any(tally.unknown for tally in found.tallies.values())


def test_a_number_of_an_input_that_failed_is_found(tmp_path: Path) -> None:
    def maker(rng: np.random.Generator, index: int, n: int) -> scored.Scores:
        return scored.scores_of(rng, index, n if index != 3 else 0)

    folder = make(tmp_path / "run", FIXED, maker)
    assert verify_results(folder).holds
    found = verify_results(
        changed(folder, lambda rows: rows[3].update(lower_mean=[0.1, 0.0, 0.0, 0.0]))
    )
    assert [str(one) for one in found.findings] == [
        "input 3: lower_mean is stated, and the input failed"
    ]


def test_the_first_findings_are_named_and_all_are_counted(tmp_path: Path) -> None:
    folder = made(tmp_path, VOTE)

    def change(rows: Rows) -> None:
        for row, method in itertools.product(rows[1:], ("cdf_ell", "cdf_dkw")):
            row[f"lower_{method}"] = [x + 1e-6 for x in row[f"lower_{method}"]]

    found = verify_results(changed(folder, change))
    assert found.n_wrong_inputs == 7
    assert found.n_findings > len(found.findings) == 20
    assert [one.index for one in found.findings] == sorted(one.index for one in found.findings)


# --- what cannot be verified ------------------------------------------------------------------


def test_what_rests_on_more_than_counts_is_named(tmp_path: Path) -> None:
    settings = dataclasses.replace(
        FIXED,
        methods=(
            Method("mean", mean="betting"),
            Method("mean", mean="bernstein"),
            Method("cdf", "ell"),
            Method("tangent"),
            Method("joint"),
        ),
    )
    found = verify_results(made(tmp_path, settings))
    assert found.holds
    assert not found.complete
    assert found.reasons == {
        "Theorem 1 (betting) depends on the order of the draws, which counts do not keep": 48,
        "Theorem 1 (bernstein) depends on the variance of the scores, which counts of cells only "
        "bound": 48,
        "tangent rests on which draws were the first ones, and counts keep no order": 48,
        "joint rests on which draws were the first ones, and counts keep no order": 48,
    }
    assert found.tallies["lower_cdf_ell"].unknown == 0


@pytest.mark.parametrize("name", ["score", "decide"])
def test_a_folder_without_what_was_drawn_says_so(tmp_path: Path, name: str) -> None:
    folder = made(tmp_path, RUNS[name])
    changed(folder, lambda rows: [row.update(sketch=b"", state=b"") for row in rows])
    found = verify_results(folder)
    assert found.holds
    assert not found.complete
    (reason,) = found.reasons
    assert (
        reason
        == {
            "score": "no counted scores were kept",
            "decide": "no state of the draws was kept",
        }[name]
    )


def test_a_band_that_fails_more_often_than_stated_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made(tmp_path, FIXED)
    level = bands.level_of(1000, 0.001, 0)
    monkeypatch.setattr(bands, "level_of", lambda *_: 1.01 * level)
    with pytest.raises(StoreError, match=r"band of cdf_ell fails with probability 0\.00100"):
        verify_results(folder)


def test_folders_that_hold_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no results folder"):
        verify_results(tmp_path / "none")
    with (
        store.Writer(tmp_path / "empty", FIXED),
        pytest.raises(StoreError, match="has no finished input yet"),
    ):
        verify_results(tmp_path / "empty")


# --- the command ------------------------------------------------------------------------------


def test_the_exit_status_says_whether_all_hold(tmp_path: Path) -> None:
    folder = made(tmp_path, VOTE)
    done = CliRunner().invoke(app, ["verify", str(folder)])
    assert done.exit_code == 0, done.output
    assert "No certificate of 8 inputs is above what was kept." in done.stdout
    changed(folder, lambda rows: raise_to("radius_cdf_ell", 0, 0.0625)(rows[7]))
    done = CliRunner().invoke(app, ["verify", str(folder)])
    assert done.exit_code == 1
    assert "input 7: radius_cdf_ell at c = 0.5 is" in done.stdout
    assert "1 numbers of 1 of 8 inputs do not hold." in done.stdout
    other = made(tmp_path / "other", dataclasses.replace(FIXED, methods=(Method("tangent"),)))
    done = CliRunner().invoke(app, ["verify", str(other)])
    assert done.exit_code == 4
    assert "48 certificates cannot be verified: tangent rests on which" in done.stderr
    path = folder / "results.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    assert CliRunner().invoke(app, ["verify", str(folder)]).exit_code == 2


def test_an_unfinished_run_is_verified_as_far_as_it_is(tmp_path: Path) -> None:
    folder = made(tmp_path, VOTE)
    rows = store.load(folder).table.to_pylist()
    with store.Writer(tmp_path / "part", VOTE) as writer:
        for row in rows[:5]:
            writer.append(row)
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "part")])
    assert done.exit_code == 0, done.output
    assert "the run is not finished: 5 of 8 inputs" in done.stderr
