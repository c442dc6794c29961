"""Pilots: short runs, usually one for each sigma, for planning a longer run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils import checks
from smoothbound._utils.renamed import formerly, renamed
from smoothbound.errors import StoreError
from smoothbound.sketch._score_sketch import ScoreSketch
from smoothbound.store import _stored as store
from smoothbound.store._results import Results

__all__ = ["Pilot", "common_inputs", "of_results", "positions", "read"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pilot:
    """The counted scores of some labelled inputs under noise of one sigma.

    Parameters
    ----------
    name : str
        Its name in messages and tables.
    sketch : ScoreSketch
        Counts of the draws, with their sigma. An input that is not in it, or has no draws, counts
        as not certified.
    index, label : ndarray of int64, shape (n_inputs,)
        Position of each input in the data set, which is also its id in the sketch, and its true
        class.
    selected : ndarray of int64, shape (n_inputs,)
        The selected class, whose scores the sketch counts; -1 if it is not known.
    cutoff : float, optional
        The classifier abstains if the certified confidence at R = 0 is not above this.
    n0 : int
        Number of draws of each input that selected its class; they are not in the sketch.
    data : str
        A description of the images. Pilots of different images cannot be compared.
    seconds_per_draw : float, optional
        Time of one draw, if it is known.
    top_count : ndarray of int64, shape (n_inputs,), optional
        Number of draws in which the selected class had the largest output, if it is known.

    Raises
    ------
    ValueError
        If there are no inputs, shapes disagree, or the sketch does not record its sigma.
    """

    name: str
    sketch: ScoreSketch
    index: Ints
    label: Ints
    selected: Ints
    cutoff: float | None = None
    n0: int = 100
    data: str = ""
    seconds_per_draw: float | None = None
    top_count: Ints | None = None

    def __post_init__(self) -> None:
        checks.count("n0", self.n0, 0)
        checks.instance("sketch", self.sketch, ScoreSketch)
        arrays = ["index", "label", "selected"] + ["top_count"] * (self.top_count is not None)
        for name in arrays:
            object.__setattr__(self, name, checks.positions(name, getattr(self, name)))
        if not isinstance(self.sketch.sigma, float):
            raise ValueError(
                f"the sketch of {self.name} must record the sigma of its draws, one for all inputs"
            )
        shape = self.index.shape
        if len(shape) != 1 or not shape[0] or np.unique(self.index).size != shape[0]:
            raise ValueError(f"index of {self.name} must name one or more inputs, each once")
        for what in arrays[1:]:
            if (got := getattr(self, what).shape) != shape:
                raise ValueError(
                    f"{what} of {self.name} needs shape {shape}, that of index; got {got}"
                )

    @property
    def sigma(self) -> float:
        """Noise level of the draws, in the units of the input."""
        assert isinstance(self.sketch.sigma, float)
        return self.sketch.sigma

    @property
    def n_draws(self) -> int:
        """The smallest number of draws of an input that has draws."""
        drawn = self.sketch.n_draws
        return int(drawn[drawn > 0].min()) if drawn.any() else 0

    m = formerly("m", "n_draws")
    predicted = formerly("predicted", "selected")


# A dataclass generates its __init__, so the old keyword is added afterwards.
Pilot.__init__ = renamed(predicted="selected")(Pilot.__init__)  # type: ignore[method-assign]


def read(folders: Sequence[str | Path]) -> list[Pilot]:
    """Read results folders of `smoothbound certify`, finished or not, in the given order.

    Parameters
    ----------
    folders : sequence of str or Path

    Returns
    -------
    list of Pilot
        The pilots, each with the name of its folder as it was given.

    Raises
    ------
    TypeError
        If `folders` is not a sequence of paths.
    StoreError
        If a folder cannot be read, has no finished input, or holds adaptive draws.
    """
    paths = checks.paths("folders", folders)
    return [of_results(store.load(folder), str(folder)) for folder in paths]


def of_results(results: Results, name: str) -> Pilot:
    """Make a pilot from a results folder.

    Parameters
    ----------
    results : Results
        A run with a fixed number of draws.
    name : str
        Its name in messages and tables.

    Returns
    -------
    Pilot

    Raises
    ------
    StoreError
        If no input is finished, or the folder holds no sketch.
    """
    settings = checks.instance("results", results, Results).settings
    if not len(results.table):
        raise StoreError(f"{name} has no finished input yet")
    try:
        sketch = results.sketch()
    except StoreError as error:
        raise StoreError(f"{name} cannot be a pilot: {error}") from error
    return Pilot(
        name=name,
        sketch=sketch,
        index=results.array("index"),
        label=results.array("label"),
        selected=results.array("selected"),
        cutoff=settings.cutoff,
        n0=settings.n0,
        data=f"{settings.data}, {settings.split} split",
        seconds_per_draw=_seconds_per_draw(results),
        top_count=results.array("top_count"),
    )


def _seconds_per_draw(results: Results) -> float | None:
    n = results.array("n_draws")
    drawn = n > 0
    if not drawn.any():
        return None
    draws = int(n.sum()) + results.settings.n0 * int(drawn.sum())
    return float(results.array("seconds")[drawn].sum()) / draws


def common_inputs(pilots: Sequence[Pilot]) -> tuple[Ints, Ints]:
    """Find the inputs that all pilots have, because only shares of the same inputs are comparable.

    Parameters
    ----------
    pilots : sequence of Pilot

    Returns
    -------
    index, label : ndarray of int64, shape (n_inputs,)
        Positions of the inputs in the data set, ascending, and their true classes.

    Raises
    ------
    ValueError
        If there is no pilot, or the pilots differ in measure or images or have no common input.
    """
    checks.items("pilots", pilots, Pilot)
    if not pilots:
        raise ValueError("pilots must name at least one results folder, got none")
    first = pilots[0]
    for one in pilots[1:]:
        for what, mine, theirs in (
            ("images", first.data, one.data),
            ("measures", first.sketch.measure, one.sketch.measure),
            ("ranges of the measure", first.sketch.score_range, one.sketch.score_range),
        ):
            if mine != theirs:
                raise ValueError(
                    f"pilots must be of the same images and measure; the {what} differ: "
                    f"{mine} ({first.name}) and {theirs} ({one.name})"
                )
    common = reduce(np.intersect1d, (one.index for one in pilots))
    if not common.size:
        raise ValueError(
            "pilots must have inputs in common, got none that all have; certify the same inputs "
            "with each sigma"
        )
    labels = [one.label[positions(one, common)] for one in pilots]
    for one, label in zip(pilots, labels, strict=True):
        if (label != labels[0]).any():
            i = common[int(np.argmax(label != labels[0]))]
            raise ValueError(
                f"pilots must be of the same images; {first.name} and {one.name} have different "
                f"labels for input {i}"
            )
    return common, labels[0]


def positions(pilot: Pilot, index: Ints) -> Ints:
    """Return the positions of these inputs in a pilot.

    Raises
    ------
    ValueError
        If the pilot lacks one of them.
    """
    checks.instance("pilot", pilot, Pilot)
    index = checks.positions("index", index)
    if missing := np.setdiff1d(index, pilot.index).tolist():
        raise ValueError(f"index must name inputs of {pilot.name}, which has no input {missing[0]}")
    order = np.argsort(pilot.index)
    return np.asarray(order[np.searchsorted(pilot.index, index, sorter=order)], np.int64)
