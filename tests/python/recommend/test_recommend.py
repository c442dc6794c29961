"""Recommendations: counts by their definition, a choice by its rule, a command that runs."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reported import SETTINGS
from scipy.special import expit, ndtri
from scipy.stats import binomtest
from typer.testing import CliRunner, Result

from smoothbound import ScoreSketch, store
from smoothbound.cli._app import app
from smoothbound.cli._commands.of_results.recommend import next_command
from smoothbound.errors import StoreError
from smoothbound.noise._record import NoiseRecord
from smoothbound.recommend._forecast import forecast
from smoothbound.recommend._pilots import Pilot, of_results, read
from smoothbound.recommend._recommendation import _choose, draw_counts, recommend
from smoothbound.recommend._statistics import share_interval

N = 12  # inputs of a made-up pilot


def made(
    sigma: float = 0.25,
    *,
    name: str | None = None,
    draws: int = 400,
    height: float = 2.5,
    index: np.ndarray | None = None,
    measure: str = "score",
    score_range: tuple[float, float] = (0.0, 1.0),
    **fields: Any,
) -> Pilot:
    """Make a pilot whose scores are lower, on the whole, for a larger sigma."""
    index = np.arange(N) if index is None else index
    rng = np.random.default_rng(int(1000 * sigma))
    mu = height - 2 * sigma + np.linspace(-2, 2, N)[index % N, None]
    scores = expit(mu + rng.standard_normal((len(index), draws)))
    order = np.argsort(index)
    sketch = ScoreSketch(index[order], measure=measure, score_range=score_range, sigma=sigma)
    sketch.update(scores[order])
    given = {"label": index % 3, "selected": index % 3} | fields
    return Pilot(name or f"pilot-{sigma}", sketch, index, **given)


def by_definition(pilot: Pilot, i: int, n: int, threshold: float, radius: float) -> bool:
    """Ask for one input alone whether it would be certified."""
    row = int(np.flatnonzero(pilot.index == i)[0])
    lower = forecast(pilot.sketch, n, radii=[0, radius], index=[i]).lower[0]
    kept = pilot.cutoff is None or lower[0] > pilot.cutoff
    return bool(pilot.selected[row] == pilot.label[row] and kept and lower[1] > threshold)


@pytest.mark.parametrize("cutoff", [None, 0.5, 0.8])
def test_certified_is_what_its_definition_says(cutoff: float | None) -> None:
    wrong = np.where(np.arange(N) % 4 == 0, 9, np.arange(N) % 3)
    pilots = [
        made(0.5, cutoff=cutoff, index=np.random.default_rng(0).permutation(N + 3)),
        made(0.25, cutoff=cutoff, selected=wrong),
    ]
    advice = recommend(pilots, threshold=0.6, radius=0.2, max_draws=3000)
    assert [pilot.sigma for pilot in advice.pilots] == [0.25, 0.5]
    assert advice.index.tolist() == list(range(N))
    assert advice.draws == (20, 50, 100, 200, 500, 1000, 2000, 3000)
    for pilot, certified in zip(advice.pilots, advice.certified, strict=True):
        for n, row in zip(advice.draws, certified, strict=True):
            assert row.tolist() == [by_definition(pilot, i, n, 0.6, 0.2) for i in range(N)]
    np.testing.assert_array_equal(advice.counts, advice.certified.sum(axis=2))
    assert advice.total == N
    best = int(advice.counts[:, -1].argmax())
    assert advice.counts[best, -1] > advice.counts[1 - best, -1] > 0
    assert (advice.place, advice.sigma) == (best, [0.25, 0.5][best])
    assert advice.pilot is pilots[1 - best]
    assert advice.count >= 0.95 * advice.counts[best, -1]


@pytest.mark.parametrize(
    ("counts", "share", "chosen"),
    [
        ([[0, 3, 9, 10], [0, 4, 8, 9]], 0.95, (0, 3)),
        ([[0, 3, 9, 10], [0, 4, 8, 9]], 0.9, (0, 2)),
        ([[0, 3, 9, 10], [0, 10, 9, 10]], 1.0, (1, 1)),  # equal: fewer draws
        ([[0, 3, 10, 10], [0, 3, 10, 10]], 1.0, (0, 2)),  # equal: the smaller sigma
        ([[0, 0, 0, 0], [0, 0, 0, 1]], 0.1, (1, 3)),
        ([[0, 0, 0, 0], [0, 0, 0, 0]], 0.1, None),
        ([[0, 57, 59, 60]], 0.95, (0, 1)),  # 0.95 * 60 is 57, whatever binary makes of it
    ],
)
def test_the_choice(counts: list[list[int]], share: float, chosen: Any) -> None:
    assert _choose(np.array(counts), [0.25, 0.5], share) == chosen


def test_sigma_grows_with_the_radius() -> None:
    advice = [
        recommend([made(s, height=4) for s in (0.12, 0.25, 0.5, 1.0)], threshold=0.7, radius=r)
        for r in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
    ]
    sigmas = [one.sigma for one in advice]
    assert all(sigma is not None for sigma in sigmas)
    assert sigmas == sorted(sigmas)  # type: ignore[type-var]
    assert len(set(sigmas)) >= 3
    for one, two in pairwise(advice):  # the rule says what was asked next
        assert one.rule[1:] == two.rule[:2]
    assert [radius for radius, _ in advice[0].rule] == [0.025, 0.05, 0.1]


def test_inputs_without_draws_or_class_are_not_certified() -> None:
    plain = recommend([made()], threshold=0.6, radius=0.1)
    failed = made(selected=np.where(np.arange(N) == 11, -1, np.arange(N) % 3))
    without = replace(failed, sketch=made(index=np.arange(N - 1)).sketch)
    some = recommend([without], threshold=0.6, radius=0.1)
    assert plain.certified[0, -1, 11]
    assert not some.certified[..., 11].any()
    np.testing.assert_array_equal(some.certified[..., :11], plain.certified[..., :11])
    assert some.pilots[0].n_draws == 400


def test_nothing_certified_is_an_answer() -> None:
    advice = recommend([made(0.25), made(0.5)], threshold=0.9, radius=2.0)
    assert (advice.sigma, advice.n, advice.pilot, advice.runner_up, advice.count) == (
        None,
        None,
        None,
        None,
        0,
    )
    assert (advice.furthest < 2).all()
    assert (advice.highest < 0.9).all()
    for scale in (0.999, 1.001):
        reach = scale * advice.furthest.max()
        again = recommend([made(0.25), made(0.5)], threshold=0.9, radius=reach)
        assert (again.sigma is None) == (scale > 1)
    lost = recommend([made(selected=np.full(N, 9))], threshold=0.9, radius=0.1)
    assert np.isnan([lost.furthest, lost.highest]).all()


def test_the_runner_up() -> None:
    pilots = [made(0.25, name="a"), made(0.25, name="b", height=1.0), made(0.5, height=-3.0)]
    advice = recommend(pilots, threshold=0.6, radius=0.05)
    second = advice.runner_up
    assert second is not None
    assert (advice.place, second.place, second.won) == (0, 1, 0)
    assert second.lost == advice.counts[0, -1] - advice.counts[1, -1]
    assert second.significant == (binomtest(second.lost, second.lost).pvalue < 0.05)
    same = recommend([made(0.25), made(0.25, name="again")], threshold=0.6, radius=0.05).runner_up
    assert same is not None
    assert same[1:] == (0, 0, False)
    assert recommend([made()], threshold=0.6, radius=0.05).runner_up is None


def test_the_numbers_of_draws() -> None:
    assert draw_counts(0.5, 14) == (14,)
    assert draw_counts(0.5, 100, band="dkw") == (20, 50, 100)
    assert draw_counts(0.0, 1000, score_range=(-1, 1)) == (20, 50, 100, 200, 500, 1000)
    with pytest.raises(ValueError, match=r"max_draws must lie in 1113 \.\. 10000000, got 1000"):
        draw_counts(0.99, 1000)


def test_old_names_work_and_warn() -> None:
    with pytest.warns(DeprecationWarning, match="max_n is now called max_draws"):
        advice = recommend([made()], threshold=0.6, radius=0.1, max_n=1000)  # type: ignore[call-arg]
    assert advice.draws[-1] == 1000
    with pytest.warns(DeprecationWarning, match="rival is now called runner_up"):
        assert advice.rival is None
    classes = np.arange(N) % 3
    with pytest.warns(DeprecationWarning, match="predicted is now called selected"):
        pilot = Pilot("old", made().sketch, np.arange(N), classes, predicted=classes)  # type: ignore[call-arg]
    with pytest.warns(DeprecationWarning, match="predicted is now called selected"):
        assert pilot.predicted is pilot.selected


@pytest.mark.parametrize(("count", "total"), [(0, 7), (7, 7), (31, 50), (1, 1)])
def test_the_interval_is_wilsons(count: int, total: int) -> None:
    share, z = count / total, ndtri(0.975)
    for end in share_interval(count, total):  # where the score test is just at its level
        assert (share - end) ** 2 == pytest.approx(z**2 * end * (1 - end) / total, abs=1e-12)


@pytest.mark.parametrize(
    ("pilots", "arguments", "message"),
    [
        ([], {}, "at least one results folder"),
        ([made(data="digits"), made(0.5, data="cifar10")], {}, "images differ: digits"),
        ([made(), made(0.5, measure="margin")], {}, "measures differ: score"),
        ([made(), made(0.5, score_range=(0, 2))], {}, "ranges of the measure differ"),
        ([made(), made(0.5, index=np.arange(N, 2 * N))], {}, "inputs in common"),
        ([made(), made(0.5, label=np.arange(N))], {}, "different labels for input 3"),
        ([made()], {"threshold": 1.0}, "threshold must lie strictly inside"),
        ([made()], {"radius": -0.1}, "radius must be finite and >= 0"),
        ([made()], {"band": "none"}, "band must be one of"),
        ([made()], {"alpha": 0.0}, "alpha must lie strictly"),
        ([made()], {"max_draws": 5}, "max_draws must lie in 19"),
        ([made()], {"share": 0.0}, r"share must lie in \(0, 1\], got 0.0"),
        ([made()], {"share": 1.1}, r"share must lie in \(0, 1\], got 1.1"),
    ],
)
def test_arguments_are_checked(pilots: list[Pilot], arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recommend(pilots, **{"threshold": 0.6, "radius": 0.1, **arguments})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label": np.zeros(3, np.int64)}, "label of p needs shape"),
        ({"index": np.zeros(N, np.int64)}, "index of p must name"),
        ({"n0": -1}, "n0 must be at least 0"),
        ({"sketch": ScoreSketch(N)}, "sketch of p must record the sigma"),
    ],
)
def test_pilots_are_checked(fields: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(made(name="p"), **fields)


# --- results folders and the command ----------------------------------------------------------


def smoothbound(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def pilots(digits_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, and a pilot with each of two sigmas, in folders of these names."""
    folder = tmp_path_factory.mktemp("pilots")
    shutil.copy(digits_network, folder)
    for sigma, *more in ((0.25, "--max-inputs", 12), (0.5,)):
        run = smoothbound(
            "certify", "--data", "digits", "--checkpoint", folder / "model.pt", "--sigma", sigma,
            "--out", folder / str(sigma), "--skip", 20, "--n", 400, "--n0", 20, "--seed", 3, *more,
        )  # fmt: skip
        assert run.exit_code == 0, run.output
    return folder


def test_the_command_explains_itself() -> None:
    result = smoothbound("recommend", "--help")
    assert result.exit_code == 0
    for words in ("PILOTS", "--threshold", "--radius", "--max-draws", "exit status is 0"):
        assert words in " ".join(result.output.split())


def test_a_results_folder_becomes_a_pilot(pilots: Path) -> None:
    (pilot,) = read([pilots / "0.25"])
    results = store.load(pilots / "0.25")
    assert (pilot.name, pilot.sigma, pilot.n_draws) == (str(pilots / "0.25"), 0.25, 400)
    assert (pilot.cutoff, pilot.n0, pilot.data) == (0.5, 20, "digits, test split")
    assert pilot.index.tolist() == list(range(0, 240, 20))
    np.testing.assert_array_equal(pilot.label, results.array("label"))
    np.testing.assert_array_equal(pilot.selected, results.array("selected"))
    assert pilot.seconds_per_draw == pytest.approx(results.array("seconds").sum() / 12 / 420)
    # with as many draws, what the run itself found, but for the width of a cell of the sketch
    found = forecast(pilot.sketch, 400, radii=results.settings.radii).lower
    exact = results.array("lower_cdf_ell")
    assert (found <= exact + 1e-12).all()
    assert (found >= exact - 1 / 4096 - 1e-12).all()


def test_the_recommended_command_certifies_what_was_forecast(pilots: Path, tmp_path: Path) -> None:
    folders = [pilots / "0.5", pilots / "0.25"]
    question = {"threshold": 0.6, "radius": 0.1}
    options = ("--threshold", 0.6, "--radius", 0.1, "--max-draws", 2000)
    result = smoothbound("recommend", *folders, *options)
    assert result.exit_code == 0, result.output
    advice = recommend(read(folders), **question, max_draws=2000)  # type: ignore[arg-type]
    assert advice.total == 12
    assert advice.sigma == 0.25
    assert advice.n is not None
    said = " ".join(result.output.split())
    assert "% of 12 inputs: correct, and score above 0.6 within R = 0.1" in said
    assert f"σ = 0.25 with n = {advice.n}: {advice.count} of 12 inputs forecast certified" in said
    assert f"n + n0 = {advice.n + 20} draws an input, " in said
    assert f"{advice.n + 20:,} 000 for every thousand".replace(",", " ") in said
    assert "Next comes σ = 0.5" in said
    assert "A forecast, not a certificate: the 400 draws" in said

    *_, command = result.output.strip().splitlines()
    assert "--seed 4" in command  # not the draws that decided what is asked
    assert "DIR" not in command  # it runs as it is: the network was found by its hash
    program, *words = shlex.split(command)
    assert program == "smoothbound"
    words[words.index("--out") + 1] = str(tmp_path / "results")
    run = smoothbound(*words, "--skip", 20, "--max-inputs", 12)
    assert run.exit_code == 0, run.output
    results = store.load(tmp_path / "results")
    assert (results.settings.n, results.settings.n0) == (advice.n, 20)
    assert [method.name for method in results.settings.methods] == ["cdf_ell"]
    right = results.array("predicted") == results.array("label")
    came = int((right & (results.array("lower_cdf_ell")[:, 0] > 0.6)).sum())
    assert abs(came - advice.count) <= 2


def test_none_of_these(pilots: Path) -> None:
    folders = (pilots / "0.25", pilots / "0.5")
    result = smoothbound(
        "recommend", *folders, "--threshold", 0.9, "--radius", 2, "--max-draws", 2000
    )
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "None of these: no input is forecast to be certified above 0.9 within R = 2" in said
    assert "What would do with these: a radius below" in said
    assert "smoothbound certify" not in said


def test_two_pilots_of_one_sigma_keep_their_names(pilots: Path, tmp_path: Path) -> None:
    (tmp_path / "other").symlink_to(pilots / "0.25")
    result = smoothbound(
        "recommend", pilots / "0.25", tmp_path / "other", "--threshold", 0.6, "--radius", 0
    )
    assert result.exit_code == 0, result.output
    assert f"{pilots / '0.25'}, σ = 0.25 with n" in " ".join(result.output.split())
    assert "0 inputs only the first certifies, 0 only the second, too few" in result.output
    assert "σ should grow" not in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--threshold", 1], "threshold must lie strictly inside"),
        (["--radius", -1], "radius must be finite"),
        (["--band", "wide"], "band must be one of"),
        (["--alpha", 2], "alpha must lie strictly"),
        (["--max-draws", 10], "--max-draws must lie in 19"),
        (["--share", 2], "share must lie in (0, 1]"),
    ],
)
def test_the_command_refuses(pilots: Path, options: list[Any], said: str) -> None:
    usual = {"--threshold": 0.6, "--radius": 0.1} | {options[0]: options[1]}
    words = [word for pair in usual.items() for word in pair]
    result = smoothbound("recommend", pilots / "0.25", *words)
    assert result.exit_code == 2
    assert result.output.startswith("error: ")
    assert said in result.output


def test_pilots_need_draws_that_were_counted(pilots: Path, tmp_path: Path) -> None:
    adaptive = smoothbound(
        "certify", "--checkpoint", pilots / "model.pt", "--data", "digits", "--sigma", 0.25,
        "--out", tmp_path / "adaptive", "--max-inputs", 1, "--n", 500, "--n0", 20, "--adaptive",
        "--radii", 0.1, "--thresholds", 0.6,
    )  # fmt: skip
    assert adaptive.exit_code == 0, adaptive.output
    with pytest.raises(StoreError, match="adaptive cannot be a pilot: adaptive draws"):
        read([tmp_path / "adaptive"])
    with (
        store.Writer(tmp_path / "run", SETTINGS),
        pytest.raises(StoreError, match="run has no finished input yet"),
    ):
        of_results(store.load(tmp_path / "run"), "run")
    with pytest.raises(TypeError, match="folders must be a list of paths, got"):
        read(pilots)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "--checkpoint DIR/digits.pt --arch digits_cnn --data digits --sigma 0.5"),
        ({"data": "cifar10", "split": "train"}, "--data cifar10:DIR"),
        ({"data": "cifar10", "split": "train"}, "--split=train"),
        ({"data": "npz:my photos.npz", "split": "all"}, "--data 'npz:DIR/my photos.npz'"),
        ({"arch": "mine:make", "checkpoint": "mine:make"}, "certify --model mine:make --data"),
        ({"arch": "mine:make"}, "--checkpoint DIR/digits.pt --model mine:make"),
        ({"measure": "margin", "score_range": (-1.0, 1.0), "cutoff": 0.0}, "--measure=margin"),
        ({"cutoff": None}, "--cutoff=-inf"),
        ({"cutoff": 0.7}, "--cutoff=0.7"),
        ({"n0": 50}, "--n0=50"),
        ({"precision": "bfloat16", "channels_last": True}, "--precision=bfloat16"),
        ({"channels_last": True}, "--channels-last --out results/0.5"),
        ({"compile": "default"}, "--compile=default"),
    ],
)
def test_the_next_command(change: dict[str, Any], words: str) -> None:
    settings = replace(SETTINGS, **({"noise": NoiseRecord(kind="lattice")} | change))
    advice = recommend([made(0.5)], threshold=0.6, radius=0.1, alpha=0.01)
    command = next_command(advice, settings, seed=8)
    assert words in command
    assert f"--n {advice.n} --radii 0.1 --thresholds=0.6 --bound cdf --band ell" in command
    assert "--seed 8 --alpha=0.01" in command
    assert ("--cutoff" in command) == (settings.cutoff in (None, 0.7))
    assert ("--split" in command) == (settings.split == "train")
    assert "gaussian" not in command
    assert "--noise=gaussian" in next_command(advice, SETTINGS, seed=8)


def test_the_next_command_takes_folders_and_an_empty_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "0.5").mkdir(parents=True)
    advice = recommend([made(0.5)], threshold=0.6, radius=0.1, alpha=0.01)
    settings = replace(SETTINGS, data="cifar10")
    command = next_command(advice, settings, 8, data="cifar10:/my data", checkpoint=Path("a/b.pt"))
    assert "--data 'cifar10:/my data'" in command
    assert "--checkpoint a/b.pt" in command
    assert command.endswith("--out results/0.5-2")
