"""Which inputs of a run belong to which shard."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smoothbound._utils import checks

__all__ = ["Shard", "checked"]


@dataclass(frozen=True)
class Shard:
    """One of the equal parts of a run, the `index`-th of `count`.

    The k-th of the selected inputs belongs to the shard ``k % count``, both counted from 0. So the
    shards of data that are sorted by class are alike in cost.

    Parameters
    ----------
    index : int
        From 0 to `count` - 1.
    count : int
        Number of shards of the run.

    Raises
    ------
    TypeError, ValueError
        If a number is not whole or out of its range.

    Examples
    --------
    >>> shard = Shard.parse("1/4")
    >>> shard, shard.name
    (Shard(index=1, count=4), '1-of-4')
    >>> shard.of(range(0, 100, 10))
    range(10, 100, 40)
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        count = checks.count("count", self.count)
        checks.count("index", self.index, 0, count - 1)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read a shard that is written as ``i/n``.

        Raises
        ------
        ValueError
            If the text is not of this form.
        """
        found = re.fullmatch(r"([0-9]{1,10})/([0-9]{1,10})", text)
        if found is None:
            raise ValueError(
                "shard must be i/n with i from 0 to n - 1, such as 0/8, or auto; got "
                f"{checks.shown(text)}"
            )
        index, count = int(found[1]), int(found[2])
        if not index < count:
            last = f"i from 0 to {count - 1}" if count else "n at least 1"
            raise ValueError(f"shard must be i/n with {last}, got {text}")
        return cls(index, count)

    @property
    def name(self) -> str:
        """The shard as the beginning of the name of a folder."""
        return f"{self.index}-of-{self.count}"

    def of(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Return the inputs of the shard, which are those at its places among all."""
        return inputs[self.index :: self.count]

    def size(self, n_inputs: int) -> int:
        """Return how many of so many inputs belong to the shard."""
        return len(self.of(range(n_inputs)))


def checked(name: str, value: Any) -> Shard:
    """Return a shard that JSON holds as an object."""
    if isinstance(value, Shard):
        return value
    if not isinstance(value, dict) or set(value) != {"index", "count"}:
        raise TypeError(f"{name} must have an index and a count, got {checks.shown(value)}")
    return Shard(**value)
