"""Arguments of every kind: an error that names the argument, or it works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import smoothbound as sb
from smoothbound import adaptive, calibration, checks, forecast, store
from smoothbound.data import load
from smoothbound.errors import ModelError, StoreError
from smoothbound.smoothed import SmoothedClassifier


class Silent:
    """Something that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


ODD: list[Any] = [
    *(None, True, -1, 0, 1.5, 1 + 2j, 10**400, -(10**400), float("nan"), float("inf")),
    *("", "x\x1b[31m", "7", b"7", [], [[1], [1, 2]], [1.0, [2.0]], {}, set()),
    *(Silent(), object(), np.array([1, 2]), np.array("a"), np.datetime64("2020")),
    np.ma.masked_array([0.5], mask=[1]),
    torch.tensor([0.1], requires_grad=True),
]


class BadPath:
    """Says that it is a path, and is none."""

    def __fspath__(self) -> str:
        raise ZeroDivisionError


NET, X = nn.Linear(4, 3), torch.zeros(2, 4)
MADE = ("sigma", "measure", "outputs", "device", "batch_size", "precision", "channels_last")
MADE += ("compile", "cutoff", "check_rows", "select", "threads", "model")
CERTIFIED = ("x", "n0", "n", "alpha", "radii", "thresholds", "seed", "noise", "grid", "examples")
CERTIFIED += ("bound", "band", "n_bins", "pilot", "sides", "backend", "threads", "adaptive")
CERTIFIED += ("radius_precision", "budget", "progress")
DRAWN = ("x", "n0", "n", "seed", "example", "first_draw", "noise", "grid")


def make(**options: Any) -> None:
    given = {"model": NET, "sigma": 0.5} | options
    SmoothedClassifier(given.pop("model"), given.pop("sigma"), **given)


def certify(**options: Any) -> None:
    SmoothedClassifier(NET, 0.5).certify(**({"x": X, "n": 100, "n0": 5} | options))


def draw(**options: Any) -> None:
    SmoothedClassifier(NET, 0.5).draw(**({"x": X[0], "n": 100, "n0": 5} | options))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        *((make, name) for name in MADE),
        *((certify, name) for name in CERTIFIED),
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


CALLS: list[tuple[Any, dict[str, Any]]] = [
    (adaptive.ask, {"radii": [0.25], "thresholds": [0.5]}),
    (adaptive.plan, {"question": adaptive.Decide(0.5, 0.1), "sigma": 0.5, "displacement": 0.0}),
    (calibration.brier, {"confidence": [0.5], "right": [True]}),
    (calibration.certified, {"lower": [[0.5]], "upper": [[0.75]], "right": [True]}),
    (sb.class_radius.class_radius, {"top_count": [90], "n": 100, "sigma": 0.5, "alpha": 0.01}),
    (sb.class_radius.clopper_pearson_lower, {"successes": [90], "n": 100, "alpha": 0.01}),
    (forecast.forecast, {"sketch": counted(), "n": 1000, "inputs": [0], "band": "dkw"}),
    (sb.gaussian.cdf, {"z": [0.0]}),
    (sb.gaussian.quantile, {"p": [0.5]}),
    (sb.knots.choices, {"sketch": counted(), "radius": 0.1, "n_bins": (4, 8)}),
    (store.load, {"folder": "missing"}),
    (sb.measures.custom, {"function": len, "score_range": (0.0, 1.0), "name": "own"}),
    (load("digits").select, {"indices": [0]}),
    (counted().save, {"path": "missing.csv"}),
]


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
        except StoreError:  # of a file that is not there
            said = name if name in ("path", "folder") else ""
        assert said is None or name in said, checks.shown(value)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda k: sb.class_radius.class_radius(k, 100, sigma=0.5, alpha=0.01), "top_count"),
        (lambda k: sb.class_radius.clopper_pearson_lower(k, 100, 0.01), "successes"),
        (lambda k: calibration.brier(k * 0.01, [True, True]), "confidence"),
        (lambda k: calibration.ece([0.5, 0.5], k > 1), "right"),
        (lambda k: forecast.forecast(counted(), 1000, inputs=k), "inputs"),
        (lambda k: adaptive.plan(adaptive.Decide(0.5, 0.1), sigma=0.5).start().feed(k), "scores"),
    ],
)
def test_a_masked_array_is_nowhere_taken_without_its_mask(call: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must not be masked"):
        call(np.ma.masked_array([99, 3], mask=[True, False]))


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
