"""Calls in a thread of their own: in order, all of them, and their errors heard of."""

from __future__ import annotations

import threading
import time

import pytest

from smoothbound.smoothing._background import in_background


def test_calls_are_made_in_order_in_one_other_thread() -> None:
    seen: list[tuple[int, int]] = []
    with in_background(lambda i: seen.append((i, threading.get_ident())), waiting=3) as ask:
        for i in range(50):
            ask(i)
    assert [i for i, _ in seen] == list(range(50))
    (thread,) = {thread for _, thread in seen}
    assert thread != threading.get_ident()


def test_no_more_calls_wait_than_allowed() -> None:
    done: list[int] = []

    def slowly(i: int) -> None:
        time.sleep(0.002)
        done.append(i)

    with in_background(slowly, waiting=3) as ask:
        for i in range(20):
            ask(i)
            assert i + 1 - len(done) <= 3


def ask_four(seen: list[int]) -> None:
    def call(i: int) -> None:
        seen.append(i)
        if i == 1:
            raise ValueError("the second")

    with in_background(call) as ask:
        for i in range(4):
            ask(i)


def test_an_error_is_raised_to_who_asked() -> None:
    seen: list[int] = []
    with pytest.raises(ValueError, match="the second"):
        ask_four(seen)
    assert seen[:2] == [0, 1]


def ask_and_fail(seen: list[int]) -> None:
    with in_background(seen.append) as ask:
        ask(1)
        ask(2)
        raise KeyError


def test_what_was_asked_for_is_done_when_the_caller_fails() -> None:
    seen: list[int] = []
    with pytest.raises(KeyError):
        ask_and_fail(seen)
    assert seen == [1, 2]
