"""How far a run is, in words: what is decided, what is open, and about how long it takes."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from smoothbound._display.outlook import Outlook, about


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_said_of_a_time_that_is_not_known() -> None:
    clock = Clock()
    outlook = Outlook(1300, 60, clock=clock)
    assert outlook.text() == "4 % decided, 1 240 inputs open"
    outlook.begin("a", lambda: (50.0, 100.0))
    clock.now = 100.0
    assert math.isnan(outlook.seconds_left())  # nothing has ended
    outlook.end("a", 100)
    assert outlook.text() == "4 % decided, 1 239 inputs open, about 34 h"
    quick = Outlook(2, clock=clock)
    quick.begin("a", lambda: (0.0, 1.0))
    clock.now += 0.5
    quick.end("a", 10)
    assert quick.text() == "50 % decided, 1 input open"


def test_the_forecast_is_that_of_inputs_that_are_drawn_and_of_others_like_them() -> None:
    clock = Clock()
    outlook = Outlook(10, clock=clock)
    for key in range(4):
        outlook.begin(key, lambda: (100.0, 300.0))
    clock.now = 60.0
    outlook.end(0, 200)
    # 500 draws in 60 s; 3 x 300 to come, and six inputs of (500 + 900) / 4.
    assert outlook.seconds_left() == pytest.approx((900 + 6 * 350) * 60 / 500)
    assert outlook.text() == "10 % decided, 9 inputs open, about 6 min"


@pytest.mark.parametrize(
    ("limits", "seconds"), [((250.0, math.inf), 30.0), ((math.inf, 12.0), 12.0), ((0.0, 0.0), 0.0)]
)
def test_a_budget_ends_a_run_sooner(limits: tuple[float, float], seconds: float) -> None:
    clock = Clock()
    outlook = Outlook(10, limits=lambda: limits, clock=clock)
    for key in range(4):
        outlook.begin(key, lambda: (100.0, 300.0))
    clock.now = 60.0
    outlook.end(0, 200)
    assert outlook.seconds_left() == pytest.approx(seconds)


def test_numbers_are_sane_throughout_a_run() -> None:
    clock, rng = Clock(), np.random.default_rng(0)
    needed = rng.geometric(0.001, size=300) + 10.0
    taken = np.zeros(300)
    outlook, waiting = Outlook(300, clock=clock), list(range(300))
    drawn: list[int] = []
    texts, errors = [], []
    while waiting or drawn:
        while waiting and len(drawn) < 20:
            drawn.append(key := waiting.pop(0))
            outlook.begin(key, lambda key=key: (taken[key], needed[key] - taken[key]))
        clock.now += 1.0
        for key in list(drawn):
            taken[key] = min(needed[key], taken[key] + 25)
            if taken[key] == needed[key]:
                drawn.remove(key)
                outlook.end(key, int(needed[key]))
        texts.append(outlook.text())
        left = outlook.seconds_left()
        if not math.isnan(left):
            errors.append(abs(left - (needed.sum() - taken.sum()) / 500) / (needed.sum() / 500))
    assert texts[-1] == "100 % decided, 0 inputs open"
    assert max(errors[20:]) < 0.25
    shares = [int(text.split()[0]) for text in texts]
    assert shares == sorted(shares)
    known = re.compile(r"\d+ % decided, \d+ inputs? open(, about [\d.]+ (s|min|h|days))?")
    assert all(map(known.fullmatch, texts))


def test_durations_have_few_digits() -> None:
    for seconds in np.geomspace(1e-3, 1e7, 200):
        number, unit = about(float(seconds)).removeprefix("about ").split()
        length = {"s": 1.0, "min": 60.0, "h": 3600.0, "days": 86400.0}[unit]
        assert len(number.replace(".", "")) <= 3
        assert float(number) * length == pytest.approx(seconds, rel=0.35, abs=10.0)
