"""Arguments of every kind: an error that names the argument, or it works."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from stored import SETTINGS, row
from torch import nn

import smoothbound as sb
from smoothbound import adapters, conformal, figures, store
from smoothbound._display import rounding
from smoothbound.analysis import calibration, comparison, concentration, evaluation, logs
from smoothbound.analysis.evaluation import Bounds, Evaluation, StoredSketches
from smoothbound.bounds import _band as band
from smoothbound.bounds._method import Method
from smoothbound.data import _loading as data
from smoothbound.data._loading import load
from smoothbound.errors import CheckpointError, DataError, ModelError, StoreError
from smoothbound.models import checkpoint
from smoothbound.noise import _lattice as lattice
from smoothbound.noise._noise import Noise
from smoothbound.recommend import _adaptive as adaptive_runs
from smoothbound.recommend import _forecast as forecast
from smoothbound.recommend import _pilots as pilots
from smoothbound.recommend import _recommendation as recommend
from smoothbound.recommend import _statistics as statistics
from smoothbound.report import _write as report
from smoothbound.scores import _files as score_files
from smoothbound.smoothing import _run as runs
from smoothbound.smoothing._classifier import SmoothedClassifier
from smoothbound.train import _loop as train
from smoothbound.train import _recipes as recipes


class Silent:
    """Something that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def closed() -> TextIO:
    with Path(__file__).open(encoding="utf-8") as file:
        return file


ODD: list[Any] = [
    *(None, True, -1, 0, 1.5, 1 + 2j, 10**400, -(10**400), float("nan"), float("inf")),
    *("", "x\x1b[31m", "7", b"7", [], [[1], [1, 2]], [1.0, [2.0]], {}, set()),
    *(Silent(), object(), np.array([1, 2]), np.array("a"), np.datetime64("2020")),
    *(np.ma.masked_array([0.5], mask=[1]), np.empty(0), np.array(0.5), closed()),
    torch.tensor([0.1], requires_grad=True),
]


class BadPath:
    """Says that it is a path, and is none."""

    def __fspath__(self) -> str:
        raise ZeroDivisionError


NET, X = nn.Linear(4, 3), torch.zeros(2, 4)
MADE = ("sigma", "measure", "outputs", "device", "batch_size", "precision", "channels_last")
MADE += ("compile", "cutoff", "check_rows", "select", "threads", "model")
CERTIFIED = ("x", "n0", "n", "alpha", "radii", "thresholds", "seed", "noise", "grid", "index")
CERTIFIED += ("bound", "band", "n_bins", "pilot", "sides", "backend", "threads", "adaptive")
CERTIFIED += ("radius_precision", "strictness", "budget", "progress", "classes")
PREDICTED = ("x", "n", "alpha", "seed", "noise", "grid", "index")
FURTHER = ("x", "certificate", "n", "radii", "thresholds", "radius_precision", "alpha")
FURTHER += ("budget", "backend", "progress")
DRAWN = ("x", "n0", "n", "seed", "index", "first_draw", "noise", "grid")


def make(**options: Any) -> None:
    given = {"model": NET, "sigma": 0.5} | options
    SmoothedClassifier(given.pop("model"), given.pop("sigma"), **given)


def certify(**options: Any) -> None:
    SmoothedClassifier(NET, 0.5).certify(**({"x": X, "n": 100, "n0": 5} | options))


def predict(**options: Any) -> None:
    SmoothedClassifier(NET, 0.5).predict(**({"x": X, "n": 100} | options))


def votes(**options: Any) -> None:
    SmoothedClassifier(NET, 0.5).votes(**({"x": X, "n": 20} | options))


def draw(**options: Any) -> None:
    SmoothedClassifier(NET, 0.5).draw(**({"x": X[0], "n": 100, "n0": 5} | options))


def certify_further(**options: Any) -> None:
    smoothed = SmoothedClassifier(NET, 0.5)
    asked = {"n": 100, "n0": 5, "thresholds": [0.1], "adaptive": True}
    given = {"x": X, "certificate": smoothed.certify(X, **asked), "n": 200} | options
    smoothed.certify_further(**given)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        *((make, name) for name in MADE),
        *((certify, name) for name in CERTIFIED),
        *((predict, name) for name in PREDICTED),
        *((votes, name) for name in PREDICTED if name != "alpha"),
        *((certify_further, name) for name in FURTHER),
        *((draw, name) for name in DRAWN),
    ],
)
def test_an_odd_argument_is_named_or_works(call: Any, name: str) -> None:
    for value in ODD:
        said = refusal(call, name, value)
        # An x of a shape that the model does not take fails in the model.
        assert said is None or name in said or (name == "x" and "the model raised" in said)
        assert said is None or len(said) < 600


SCORES = np.linspace(0.5, 1.0, 300)[None]


def counted() -> sb.ScoreSketch:
    sketch = sb.ScoreSketch(edges=64, sigma=0.5)
    sketch.update(SCORES)
    return sketch


CERTIFICATE = sb.certify_scores(SCORES, sigma=0.5, radii=[0.0, 0.1], thresholds=[0.5])
BOUNDS = Bounds(Method("cdf", "dkw"), np.array([[0.9, 0.6], [0.8, 0.3]]), np.array([[0.6], [0.2]]))
EVALUATION = Evaluation(
    name="own",
    measure="score",
    score_range=(0.0, 1.0),
    radii=np.array([0.0, 0.5]),
    index=np.array([0, 4]),
    label=np.array([1, 1]),
    predicted=np.array([1, -1]),
    bounds=(BOUNDS,),
    thresholds=np.array([0.5]),
    class_radius=np.array([0.1, 0.2]),
    alpha=0.01,
    scores=StoredSketches.from_sketch(counted()),
)
PILOT = pilots.Pilot("own", counted(), np.arange(1), np.zeros(1, np.int64), np.zeros(1, np.int64))
PILOTS = {field.name: getattr(PILOT, field.name) for field in fields(PILOT)}
ONE_INPUT = replace(SETTINGS, max_inputs=1, n_inputs=1)
CLASSIFIER = SmoothedClassifier(nn.Flatten(), SETTINGS.sigma)
NOISE = Noise("lattice", 0.5)
DIGITS = load("digits")
DECIDE = sb.anytime.Decide(0.5, 0.1)
ANYTIME = sb.anytime.AnytimeTest(DECIDE, sigma=0.5)
SPREADS = concentration.Spreads(np.arange(2), np.array([0.1, 0.2]), np.array([0.1, 0.1]))
LABELLED = np.random.default_rng(0).random((40, 60, 3))
AX = Figure().subplots()
DRAWN_ON: dict[str, Any] = {"ax": AX, "evaluation": EVALUATION}
SIDE_BY_SIDE: dict[str, Any] = {"evaluations": [EVALUATION, EVALUATION], "threshold": 0.5}
OPTIMIZER = torch.optim.SGD(NET.parameters(), 0.1)


def trained(**given: Any) -> None:
    options = {"dataset": DIGITS, "arch": "digits_cnn", "sigma": 0.5, "epochs": 1} | given
    train.train(options.pop("dataset"), options.pop("arch"), **options)


def updated(**given: Any) -> None:
    sb.ScoreSketch([7], edges=8).update(**given)


def run(**given: Any) -> None:
    """Run into a folder that holds something else, where a run goes no further."""
    Path("full").mkdir(exist_ok=True)
    Path("full", "a").touch()
    runs.run(**given)


CALLS: list[tuple[Any, dict[str, Any]]] = [
    (adapters.jax, {"device": "cpu", "function": len, "dtype": "float32"}),
    (adapters.numpy, {"function": len, "dtype": "float32"}),
    (adapters.sklearn, {"estimator": None}),
    (adapters.onnx, {"session": None}),
    (adapters.exported, {"program": None}),
    (
        sb.anytime.Plan,
        {
            **{"questions": (DECIDE,), "aside": (), "sigma": 0.5, "alpha": 0.01, "n": 1000},
            **{"score_range": (0.0, 1.0), "measure": "score", "strictness": 2.0},
            **{"displacement": 0.0, "backend": None},
        },
    ),
    (sb.anytime.Budget, {"draws": 10, "seconds": 1.0}),
    (
        sb.anytime.AnytimeTest,
        {
            **{"questions": DECIDE, "sigma": 0.5, "alpha": 0.01, "score_range": (0.0, 1.0)},
            **{"measure": "score", "side": "both", "guess": SCORES[0], "displacement": 0.0},
            "backend": None,
        },
    ),
    (
        sb.anytime.answer_scores,
        {
            **{"scores": SCORES, "questions": DECIDE, "sigma": 0.5, "alpha": 0.01, "seed": 0},
            **{"score_range": (0.0, 1.0), "side": "lower", "n_guess": 10, "order": "drawn"},
            **{"first_row": 0, "displacement": 0.0, "backend": None, "threads": 1},
        },
    ),
    (
        sb.anytime.required_draws,
        {
            **{"question": DECIDE, "sigma": 0.5, "alpha": 0.01, "score_range": (0.0, 1.0)},
            **{"side": "lower", "n_guess": 10, "displacement": 0.0, "backend": None},
        },
    ),
    (sb.anytime.AnytimeTest.from_bytes, {"state": ANYTIME.to_bytes(), "backend": None}),
    (ANYTIME.update, {"scores": SCORES[0], "first_draw": None}),
    (ANYTIME.ask, {"question": DECIDE, "alpha": 0.01}),
    (sb.scores.as_scores, {"scores": SCORES}),
    (band.level_of, {"n": 10, "alpha": 0.1, "n_bins": 5}),
    (band.local_level, {"n": 10, "alpha": 0.1, "n_bins": None, "two_sided": False}),
    (band.seconds_to_calibrate, {"n": 10, "n_bins": 0}),
    (calibration.brier, {"confidence": [0.5], "right": [True]}),
    (calibration.certified, {"lower": [[0.5]], "upper": [[0.75]], "right": [True]}),
    (CERTIFICATE.plot, {"ax": AX, "inputs": [0]}),
    (CERTIFICATE.save, {"path": "missing.csv"}),
    (sb.Certificate.load, {"path": "missing.parquet"}),
    (
        sb.certify_scores,
        {
            **{"scores": SCORES, "sigma": 0.5, "radii": [0.1], "thresholds": [0.5], "alpha": 0.01},
            **{"score_range": (0.0, 1.0), "bound": "cdf", "band": "dkw", "n_bins": None},
            **{"mean": None, "pilot": 0.1, "sides": "lower", "order": "drawn", "seed": 0},
            **{"backend": None, "threads": 1},
        },
    ),
    (
        sb.tightest_bound,
        {
            **{"n_draws": 100, "alpha": 0.01, "radii": [0.1], "thresholds": [0.5]},
            **{"sides": "lower", "pilot": 0.1},
        },
    ),
    (sb.required_draws, {"threshold": 0.5, "alpha": 0.01, "score_range": (0, 1), "band": "dkw"}),
    (checkpoint.load, {"path": "missing.pt", "device": "cpu", "arch": None, "state_dict": None}),
    (checkpoint.restore, {"path": "missing.pt", "model": NET, "optimizer": OPTIMIZER}),
    (
        checkpoint.save,
        {
            **{"path": "made.pt", "model": NET, "arch": "digits_cnn", "epoch": 1},
            **{"optimizer": OPTIMIZER, "training": {}, "history": []},
        },
    ),
    (sb.smoothing.class_radius, {"top_count": [90], "n": 100, "sigma": 0.5, "alpha": 0.01}),
    (sb.smoothing.majority_class, {"counts": [90, 2], "alpha": 0.01}),
    (sb.smoothing.clopper_pearson_lower, {"successes": [90], "n": 100, "alpha": 0.01}),
    (
        conformal.BinCP,
        {
            **{"radius": 0.1, "sigma": 0.5, "confidence_level": 0.9, "perturbations": "all"},
            **{"probability": 0.8, "conformity_score": "lac", "curve": "gaussian"},
        },
    ),
    (
        conformal.RCP1,
        {
            **{"radius": 0.1, "sigma": 0.5, "confidence_level": 0.9, "conformity_score": "lac"},
            "curve": "gaussian",
        },
    ),
    (
        conformal.CAS,
        {
            **{"radius": 0.1, "sigma": 0.5, "confidence_level": 0.9, "conformity_score": "lac"},
            **{"score_range": (0.0, 1.0), "band": "ell", "curve": "gaussian"},
        },
    ),
    (
        lambda **given: conformal.BinCP(radius=0.1, sigma=0.5).calibrate(**given),
        {"scores": LABELLED, "labels": np.arange(40) % 3},
    ),
    (
        conformal.BinCP(radius=0.1, sigma=0.5).calibrate(LABELLED, np.arange(40) % 3).predict_set,
        {"scores": LABELLED / 2},
    ),
    (conformal.coverage, {"sets": np.eye(3) > 0, "labels": [0, 1, 2]}),
    (conformal.mean_set_size, {"sets": np.eye(3) > 0}),
    (comparison.best_by_radius, SIDE_BY_SIDE),
    (comparison.on_common_inputs, {"evaluations": [EVALUATION]}),
    (comparison.side_by_side, {"evaluations": [EVALUATION]}),
    (concentration.pairs, {"evaluations": [EVALUATION]}),
    (concentration.relative_spread, {"sketch": counted()}),
    (concentration.spreads, {"score": EVALUATION, "margin": EVALUATION}),
    (DIGITS.select, {"skip": 1, "max_inputs": 2, "indices": [0]}),
    (data.load, {"spec": "digits", "split": "test"}),
    (data.unit_scale, {"images": torch.zeros(2)}),
    (EVALUATION.sketch, {"index": [0]}),
    (lambda index: list(EVALUATION.sketches(index)), {"index": [0]}),
    (EVALUATION.threshold_at, {"fraction": 0.5}),
    (EVALUATION.counts, {"bounds": BOUNDS, "thresholds": [0.5]}),
    (EVALUATION.column, {"radius": 0.5}),
    (EVALUATION.row, {"index": 4}),
    (EVALUATION.select, {"index": [4]}),
    (EVALUATION.tells, {"threshold": 0.5}),
    (EVALUATION.reach, {"bounds": BOUNDS, "threshold": 0.5}),
    (EVALUATION.by_radius, {"bounds": BOUNDS, "threshold": 0.5}),
    (EVALUATION.by_threshold, {"bounds": BOUNDS, "radius": 0.5}),
    (EVALUATION.counts_at, {"bounds": BOUNDS, "threshold": 0.5, "radii": [0.1]}),
    (Evaluation, {field.name: getattr(EVALUATION, field.name) for field in fields(EVALUATION)}),
    (Bounds, {"method": Method("mean"), "lower": [[0.5]], "radius": None}),
    (StoredSketches.from_sketch, {"sketch": counted()}),
    (evaluation.correlation, {"x": np.arange(4.0), "y": np.arange(4.0)}),
    (rounding.percent, {"count": 1, "total": 2}),
    (evaluation.share, {"count": 1, "total": 2}),
    (figures.best_by_radius, {"ax": AX, **SIDE_BY_SIDE}),
    (figures.compared_by_radius, {"ax": AX, **SIDE_BY_SIDE}),
    (figures.certified_accuracy_vs_radius, {**DRAWN_ON, "threshold": 0.5}),
    (figures.certified_accuracy_vs_threshold, {**DRAWN_ON, "radius": 0.5}),
    (
        figures.certified_calibration,
        {"ax": AX, "radii": [0], "lower": [0], "upper": [1], "error": ""},
    ),
    (figures.certified_confidence, {**DRAWN_ON, "index": 4, "thresholds": [0.5]}),
    (figures.certified_inputs, {"ax": AX, "certificate": CERTIFICATE}),
    (figures.choice_of_knots, {"ax": AX, "found": None}),
    (
        figures.score_and_margin_by_radius,
        {"ax": AX, "score": EVALUATION, "margin": EVALUATION, "fraction": 0.5},
    ),
    (figures.score_distribution, {**DRAWN_ON, "index": 0}),
    (figures.score_vs_class_radius, DRAWN_ON),
    (figures.score_vs_margin_spread, {"ax": AX, "found": SPREADS}),
    (figures.survival_function, {**DRAWN_ON, "index": 0, "bands": ["dkw"]}),
    (forecast.forecast, {"sketch": counted(), "n": 1000, "index": [0], "band": "dkw"}),
    (sb.backends.gaussian.cdf, {"z": [0.0]}),
    (sb.backends.gaussian.quantile, {"p": [0.5]}),
    (sb.analysis.knots.choices, {"sketch": counted(), "radius": 0.1, "n_bins": (4, 8)}),
    (lattice.fine_lattice, {"sigma": 0.25}),
    (lattice.lattice, {"sigma": 0.25, "levels": 255}),
    (logs.read_log, {"path": "missing"}),
    (logs.with_class_radius, {"evaluation": EVALUATION, "path": "missing"}),
    (sb.measures.custom, {"function": len, "score_range": (0.0, 1.0), "name": "own"}),
    (sb.measures.measure, {"spec": "score"}),
    (Method, {"bound": "cdf", "band": "dkw", "n_bins": None, "mean": None}),
    (sb.models.build, {"arch": "digits_cnn", "num_classes": 10}),
    (sb.models.from_factory, {"name": "missing:missing"}),
    (Noise, {"kind": "lattice", "sigma": 0.5, "seed": 0, "grid": None, "device": "cpu"}),
    (NOISE.point, {"x": torch.zeros(2)}),
    (NOISE.common_grid, {"x": torch.zeros(2)}),
    (NOISE.displacement, {"elements": 3}),
    (NOISE.describe, {"elements": 3}),
    (pilots.common_inputs, {"pilots": [PILOT]}),
    (pilots.of_results, {"results": None}),
    (pilots.Pilot, PILOTS),
    (pilots.positions, {"pilot": PILOT, "index": [0]}),
    (pilots.read, {"folders": ["missing"]}),
    (
        recommend.recommend,
        {
            **{"pilots": [PILOT], "threshold": 0.7, "radius": 0.5, "band": "dkw", "alpha": 0.01},
            **{"max_draws": 100, "share": 0.9, "backend": None, "threads": 1},
        },
    ),
    (
        adaptive_runs.recommend_adaptive,
        {
            **{"pilots": [PILOT], "thresholds": [0.5], "radii": [0.0], "max_draws": 10**5},
            **{"alpha": 0.01, "n_runs": 1, "seed": 0, "backend": None},
        },
    ),
    (recommend.draw_counts, {"threshold": 0.7, "max_draws": 100, "alpha": 0.01, "band": "dkw"}),
    (statistics.share_interval, {"count": 1, "total": 2}),
    (
        report.write_report,
        {
            **{"inputs": ["missing"], "out": "out", "class_radius": [], "thresholds": [0.5]},
            **{"radii": [0.5], "index": 0, "compare": False},
        },
    ),
    (rounding.exact, {"x": 0.5}),
    (rounding.floor_decimal, {"x": 0.5, "digits": 3}),
    (rounding.ceil_decimal, {"x": 0.5, "digits": 3}),
    (rounding.floor_significant, {"x": 0.5, "digits": 3}),
    (rounding.ceil_significant, {"x": 0.5, "digits": 3}),
    (rounding.floored, {"x": 0.5, "digits": 3}),
    (
        run,
        {
            **{"folder": "full", "settings": ONE_INPUT, "smoothed": CLASSIFIER, "dataset": DIGITS},
            **{"adaptive": None, "resume": False, "salvage": False},
        },
    ),
    (score_files.open_scores, {"path": "missing.npy", "key": None}),
    (
        sb.ScoreSketch,
        {
            **{"index": [0], "edges": 8, "score_range": (0.0, 1.0), "sigma": 0.5},
            **{"selected": [1], "measure": "score"},
        },
    ),
    (updated, {"scores": SCORES, "index": [7], "first_draw": 0, "backend": None, "threads": 1}),
    (counted().coarsen, {"kept": [0, 64]}),
    (counted().select, {"index": [0]}),
    (counted().save, {"path": "missing.csv"}),
    (sb.ScoreSketch.load, {"path": "missing.parquet"}),
    (counted().certify, {"sigma": 0.5, "radii": [0.1], "thresholds": [0.5], "alpha": 0.01}),
    (store.load, {"folder": "missing"}),
    (store.status, {"folder": "missing"}),
    (store.merge, {"folders": ["missing"], "out": "full"}),
    (store.Shard, {"index": 1, "count": 2}),
    (recipes.best_device, {"device": "cpu"}),
    (recipes.best_precision, {"recipe": "fast", "device": torch.device("cpu")}),
    (recipes.best_threads, {"arch": "digits_cnn", "batch_size": 10}),
    (train.steps_per_epoch, {"dataset": DIGITS, "batch_size": 10}),
    (
        trained,
        {
            **{"dataset": DIGITS, "arch": "digits_cnn", "sigma": 0.5, "recipe": "fast"},
            **{"epochs": 1, "batch_size": 500, "lr": 0.1, "precision": "float32", "threads": 1},
            **{"seed": 0, "device": "cpu", "resume": None, "on_step": None, "on_epoch": None},
        },
    ),
]
# Arguments of a call that a user makes by another name, which is what the error says.
ALSO = {"radius": ("radii",), "spec": ("measure", "data"), "kind": ("noise",), "name": ("model",)}
# An array of two numbers is a range, and then the threshold lies outside it.
# The index of two inputs needs two classes.
# The error of a stream of scores is not the library's.
ALSO |= {"score_range": ("threshold",), "index": ("selected",)}
ALSO |= {"scores": ("I/O operation on closed file",)}


@pytest.mark.parametrize(
    ("call", "given", "name"),
    [
        pytest.param(call, given, name, id=f"{call.__qualname__}-{name}")
        for call, given in CALLS
        for name in given
    ],
)
def test_an_odd_argument_of_a_function_is_named_or_works(
    call: Any, given: dict[str, Any], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for value in [*ODD, BadPath()]:
        said = None
        try:
            call(**(given | {name: value}))
        except (TypeError, ValueError) as error:
            said = str(error)
        except (StoreError, CheckpointError, DataError, ModelError):
            pass  # of a file that is not there
        assert said is None or any(word in said for word in (name, *ALSO.get(name, ()))), said
        assert said is None or len(said) < 600


def test_an_unknown_column_of_results_is_named(tmp_path: Path) -> None:
    with store.Writer(tmp_path, SETTINGS) as writer:
        writer.append(row(0))
    results = store.load(tmp_path)
    for value in [*ODD, "sigma"]:
        with pytest.raises(ValueError, match="name must be one of 'index', 'label'"):
            results.array(value)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda k: sb.smoothing.class_radius(k, 100, sigma=0.5, alpha=0.01), "top_count"),
        (lambda k: sb.smoothing.clopper_pearson_lower(k, 100, 0.01), "successes"),
        (lambda k: calibration.brier(k * 0.01, [True, True]), "confidence"),
        (lambda k: calibration.ece([0.5, 0.5], k > 1), "right"),
        (lambda k: forecast.forecast(counted(), 1000, index=k), "index"),
        (lambda k: sb.anytime.AnytimeTest(DECIDE, sigma=0.5).update(k), "scores"),
    ],
)
def test_a_masked_array_is_nowhere_taken_without_its_mask(call: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must not be masked"):
        call(np.ma.masked_array([99, 3], mask=[True, False]))


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (lambda k: sb.certify_scores(SCORES, sigma=0.5, radii=k), "radii[1]"),
        (lambda k: sb.certify_scores(SCORES, sigma=0.5, thresholds=k), "thresholds[1]"),
        (lambda k: sb.certify_scores(np.tile(SCORES, (2, 1)), sigma=k), "sigma[1]"),
        (lambda k: sb.certify_scores([k], sigma=0.5), "scores[0][1]"),
        (lambda k: sb.ScoreSketch(edges=k, score_range=(0.5, 1.0)), "edges[1]"),
        (lambda k: sb.ScoreSketch([int(2 * k[0]), k[1]]), "index[1]"),
        (lambda k: sb.ScoreSketch(2, sigma=k), "sigma[1]"),
        (lambda k: sb.ClassSketch.from_scores([[k]], sigma=0.5), "scores[0][0][1]"),
        (lambda k: sb.curves.curve("gaussian").lower(k, radius=0.5), "p[1]"),
        (lambda k: sb.curves.Tabulated([1.0], [0.5, 1.0], [k]), "values[0][1]"),
        (lambda k: calibration.brier(k, [True, True]), "confidence[1]"),
        (lambda k: replace(SETTINGS, radii=tuple(k)), "radii[1]"),
        (lambda k: sb.anytime.AnytimeTest(DECIDE, sigma=0.5).update(k), "scores[1]"),
    ],
)
@pytest.mark.parametrize("true", [True, np.True_, np.array(True)])
def test_a_boolean_among_numbers_is_nowhere_taken_for_one(
    call: Any, place: str, true: object
) -> None:
    with pytest.raises(TypeError, match=re.escape(f"must be numbers, got {place} = ")):
        call([0.5, true])


def refusal(call: Any, name: str, value: object) -> str | None:
    """What an error of the right kind says; None if it works."""
    try:
        call(**{name: value})
    except (TypeError, ValueError, ModelError) as error:
        return str(error)
    return None


def test_a_classifier_shows_what_it_is() -> None:
    shown = repr(SmoothedClassifier(NET, 0.5, batch_size=16))
    assert shown.startswith("SmoothedClassifier(Linear, sigma=0.5, measure='score'")
    assert "batch_size=16" in shown
