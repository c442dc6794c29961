"""The state of the draws of an input in results, from which draws are continued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smoothbound._files.checksum import digest
from smoothbound.anytime._anytime_test import AnytimeTest
from smoothbound.anytime._job.earlier import Earlier
from smoothbound.anytime._job.job import Job
from smoothbound.anytime._record import FollowedRun
from smoothbound.backends._names import Backend

if TYPE_CHECKING:
    from smoothbound.smoothing._certificate import SmoothedSettings
    from smoothbound.store._settings import RunSettings
    from smoothbound.store._table.schema import Status

__all__ = ["earlier_of", "followed_run", "kept_test", "state_of"]


def state_of(job: Job, selected: int, status: Status) -> bytes:
    """Return the state from which an input is continued; empty if its class is not selected."""
    if selected == -1:
        return b""
    return job.to_bytes() if status == "stopped" else job.test.to_bytes()


def earlier_of(row: Mapping[str, Any]) -> Earlier | None:
    """Return the job that the input of a row of the results continues; None if it has none."""
    test, selected, n_selection = kept_test(row), row["selected"], row["n_selection"]
    if test is None:
        return None
    if row["status"] == "stopped":
        return Earlier.from_bytes(row["state"], selected, n_selection)
    return Earlier.finished(selected, n_selection, test, row["mean_score"])


def kept_test(row: Mapping[str, Any], backend: Backend | None = None) -> AnytimeTest | None:
    """Return the test of a row of the results, with all its draws; None if it has none.

    Raises
    ------
    ValueError
        If the state is damaged or belongs to other draws.
    """
    whose = f"the state of input {row['index']}" if "index" in row else "a state"
    state, stopped = row["state"], row["status"] == "stopped"
    try:
        if not state:
            test = None
        elif stopped:
            test = Earlier.from_bytes(state, row["selected"], row["n_selection"]).test
        else:
            test = AnytimeTest.from_bytes(state, backend=backend)
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot go on with {whose}: {error}") from error
    n_draws = 0 if test is None else test.n_draws
    if n_draws != row["n_draws"]:
        raise ValueError(
            f"cannot go on with {whose}: it holds {n_draws} draws, but its row states "
            f"{row['n_draws']}; restore the results from a copy"
        )
    return test


def followed_run(settings: RunSettings | SmoothedSettings, name: str = "") -> FollowedRun:
    """Return the record of a run for later questions: its settings and the runs that it follows."""
    assert settings.adaptive is not None
    before = settings.adaptive.follows
    return FollowedRun(
        name=name,
        fingerprint=digest(settings.to_json().encode()).hex(),
        alphas=(*(() if before is None else before.alphas), settings.alpha),
    )
