"""The shard that a scheduler names by environment variables."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from smoothbound._utils import checks
from smoothbound.store._shards.shard import Shard

__all__ = ["shard_of_environment"]

_SLURM = "SLURM_ARRAY_TASK_"
_STATE = "state --shard i/n instead"


def shard_of_environment(variables: Mapping[str, str] | None = None) -> Shard:
    """Return the shard that the scheduler of this process names.

    Array jobs of SLURM set SLURM_ARRAY_TASK_ID, with _COUNT, or _MIN and _MAX, or all of them.
    Indexed Jobs of Kubernetes set JOB_COMPLETION_INDEX; JOB_COMPLETION_COUNT has to be added to
    their manifest. torchrun and other launchers set RANK and WORLD_SIZE.

    Parameters
    ----------
    variables : mapping, optional
        By default the environment of this process.

    Raises
    ------
    ValueError
        If a variable is empty, missing or no number, or if two variables contradict each other. The
        error names them.

    Examples
    --------
    >>> shard_of_environment({"RANK": "3", "WORLD_SIZE": "8"})
    Shard(index=3, count=8)
    >>> array = {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_MIN": "1"}
    >>> shard_of_environment(array | {"SLURM_ARRAY_TASK_MAX": "8"})
    Shard(index=3, count=8)
    """
    known = os.environ if variables is None else variables
    found = {
        words: shard for words, read in _SCHEDULERS.items() if (shard := read(known)) is not None
    }
    if not found:
        raise ValueError(
            "shard auto needs the variables of a scheduler, and none is set: "
            f"{'; '.join(_SCHEDULERS)}. Outside of a scheduler, {_STATE}"
        )
    if len(set(found.values())) > 1:
        said = "; ".join(f"{words} say {shard}" for words, shard in found.items())
        raise ValueError(
            f"shard auto finds two schedulers that contradict each other: {said}; {_STATE}"
        )
    return next(iter(found.values()))


def _slurm(known: Mapping[str, str]) -> Shard | None:
    names = [_SLURM + word for word in ("ID", "COUNT", "MIN", "MAX")]
    values = [_number(known, name) for name in names]
    task, count, least, most = values
    if all(one is None for one in values):
        return None
    if task is None:
        raise _missing(names[0], known, names)
    if count is None and (least is None or most is None):
        raise _missing(f"{names[1]} (or both {names[2]} and {names[3]})", known, names)
    if least is None or most is None:
        assert count is not None
        return _shard(task, count, names[0], names[1])
    step = _number(known, f"{_SLURM}STEP") or 1
    tasks = range(least, most + 1, step)
    if (count is not None and count != len(tasks)) or task not in tasks:
        raise ValueError(
            f"shard auto finds {_listed(known, [*names, f'{_SLURM}STEP'])}, which are not those of "
            "an array of equal steps, such as --array=0-7. To run some shards of an array again, "
            f"{_STATE}: --shard ${names[0]}/8"
        )
    return Shard(tasks.index(task), len(tasks))


def _pair(index: str, count: str, advice: str = "") -> Callable[[Mapping[str, str]], Shard | None]:
    """Return a reader of two variables."""

    def read(known: Mapping[str, str]) -> Shard | None:
        i, n = _number(known, index), _number(known, count)
        if i is None and n is None:
            return None
        if i is None or n is None:
            raise _missing(index if i is None else count, known, [index, count], advice)
        return _shard(i, n, index, count)

    return read


def _shard(index: int, count: int, *names: str) -> Shard:
    if index >= count:
        raise ValueError(
            f"shard auto finds {names[0]} = {index} and {names[1]} = {count}: the first must be "
            f"from 0 to {count - 1}; {_STATE}"
        )
    return Shard(index, count)


def _number(known: Mapping[str, str], name: str) -> int | None:
    """Return the value of a variable; None if it is not set."""
    text = known.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        found = f"shard auto finds {name} = {checks.shown(text)}"
        raise ValueError(f"{found}, which must be a whole number; {_STATE}")
    return int(text)


def _missing(name: str, known: Mapping[str, str], names: list[str], advice: str = "") -> ValueError:
    return ValueError(
        f"shard auto finds {_listed(known, names)}, but not {name}{advice}; or {_STATE}"
    )


def _listed(known: Mapping[str, str], names: list[str]) -> str:
    return ", ".join(f"{name} = {known[name]}" for name in names if name in known)


_SCHEDULERS: dict[str, Callable[[Mapping[str, str]], Shard | None]] = {
    "SLURM_ARRAY_TASK_ID with _COUNT or _MIN and _MAX": _slurm,
    "JOB_COMPLETION_INDEX with JOB_COMPLETION_COUNT": _pair(
        "JOB_COMPLETION_INDEX",
        "JOB_COMPLETION_COUNT",
        ": add it to the manifest, with the value of completions",
    ),
    "RANK with WORLD_SIZE": _pair("RANK", "WORLD_SIZE"),
}
