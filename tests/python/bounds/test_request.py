"""What is asked of scores: checked when it is made, and shared out between the sides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import smoothbound as sb
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request

CDF = Request(sigma=0.25, method=Method("cdf", "ell"), thresholds=(0.5, 0.9), alpha=0.01)


def test_each_side_has_its_share_of_alpha_and_the_lower_one_the_thresholds() -> None:
    assert CDF.share("lower") == ("lower", 0.01, (0.5, 0.9))
    assert CDF.share("upper") is None
    both = replace(CDF, sides="both")
    assert both.share("lower") == ("lower", 0.005, (0.5, 0.9))
    assert both.share("upper") == ("upper", 0.005, ())
    assert replace(CDF, sides="upper").share("upper") == ("upper", 0.01, ())


@pytest.mark.parametrize(
    "change",
    [
        {"sigma": 0.0},
        {"alpha": 1.0},
        {"score_range": (0.6, 1.0)},
        {"radii": (-1.0,)},
        {"thresholds": (1.0,)},
        {"pilot": 1.0},
        {"sides": "left"},
        {"order": "sorted"},
        {"order_seed": -1},
    ],
)
def test_a_request_is_checked_whenever_it_is_made(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        replace(CDF, **change)


def test_the_settings_of_a_certificate_are_the_request_that_was_made() -> None:
    scores = np.full((1, 500), 0.75)
    made = sb.certify_scores(
        scores, sigma=0.25, alpha=0.01, thresholds=[0.5], sides="both", bound="cdf"
    ).settings
    asked = replace(CDF, thresholds=(0.5,), sides="both")
    assert Request(**{name: getattr(made, name) for name in vars(asked)}) == asked
