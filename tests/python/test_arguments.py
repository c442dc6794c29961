"""Arguments of every kind: an error that names the argument, or it works."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from smoothbound.errors import ModelError
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
