"""The options of `certify` in groups: the inputs, their draws, and the question about each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from smoothbound._utils import checks
from smoothbound.backends._names import BANDS
from smoothbound.bounds._method import Method
from smoothbound.classes._arguments import Names
from smoothbound.cli._options import (
    classes_of,
    default_radii,
    indices_of,
    introduce,
    look_at,
    methods,
    numbers,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from smoothbound.data._dataset import Dataset
    from smoothbound.noise._noise import Noise
    from smoothbound.smoothing._classifier import SmoothedClassifier
    from smoothbound.smoothing._one_input.questions import AdaptiveDraws
    from smoothbound.store._shards.shard import Shard

__all__ = ["DrawOptions", "Inputs", "Question", "shard_of"]

_BOUNDS = ["mean", "cdf"]  # the default, which is that of the paper


@dataclass(frozen=True)
class Inputs:
    """The options of the inputs to certify, as they were typed."""

    data: str
    split: str
    skip: int
    max_inputs: int | None
    indices: str | None

    @cached_property
    def positions(self) -> list[int] | None:
        """The requested positions; None for all."""
        return None if self.indices is None else indices_of(self.indices)

    def load(self, *, look: bool = True) -> tuple[Dataset, NDArray[np.int64]]:
        """Return the data set and the positions of the inputs to certify.

        With `look`, a line about the data is printed, and the image files are checked, so that a
        file that cannot be read is an error now and not after hours.
        """
        from smoothbound.data._loading import load

        dataset = load(self.data, self.split)
        if look:
            introduce(dataset)
        selected = dataset.select(self.skip, self.max_inputs, self.positions)
        if look:
            look_at(dataset, selected)
        return dataset, selected


def shard_of(text: str) -> Shard:
    """Return the shard of --shard."""
    from smoothbound.store._shards.environment import shard_of_environment
    from smoothbound.store._shards.shard import Shard

    return shard_of_environment() if text == "auto" else Shard.parse(text)


@dataclass(frozen=True)
class DrawOptions:
    """The options of the draws of each input, as they were typed."""

    n: int
    n0: int
    seed: int
    noise: str | None
    classes: str | None = None

    @cached_property
    def names(self) -> Names | None:
        """The classes to count besides the selected one; None if there are none."""
        return None if self.classes is None else classes_of(self.classes)

    def check(self, *, adaptive: bool) -> None:
        """Refuse classes that are not numbers, or that adaptive draws cannot count."""
        if self.names is not None and adaptive:
            raise ValueError(
                "--classes must be left out with --adaptive: the scores decide how many draws "
                "there are, and bounds from counts hold for a number fixed before the first draw"
            )

    def noise_of(self, smoothed: SmoothedClassifier, dataset: Dataset) -> Noise:
        """Return the noise of a run. Lattice noise uses the grid of the data, if they have one."""
        return smoothed.sampler.noise(
            self.noise,  # type: ignore[arg-type]
            seed=self.seed,
            grid=None if self.noise == "gaussian" else dataset.grid,
        )


@dataclass(frozen=True)
class Question:
    """The options of the question about each input, as they were typed."""

    sigma: float
    alpha: float
    radii: str | None
    thresholds: str | None
    bound: list[str] | None
    band: list[str] | None
    n_bins: int | None
    adaptive: bool
    radius_precision: float | None
    strictness: float | None
    correct_only: bool
    both_answers: bool
    budget_draws: int | None
    budget_seconds: float | None

    def check(self) -> None:
        """Refuse inconsistent options before anything is loaded.

        Raises
        ------
        ValueError, TypeError
            If options of adaptive draws are given without --adaptive, --adaptive is given without a
            question, or a limit is out of range.
        """
        limits = (self.radius_precision, self.strictness, self.budget_draws, self.budget_seconds)
        flags = (self.correct_only, self.both_answers, *(one is not None for one in limits))
        if not self.adaptive and any(flags):
            raise ValueError(
                "--radius-precision, --strictness, --budget-draws, --budget-seconds, "
                "--correct-only and --both-answers need --adaptive"
            )
        if self.adaptive and self.radii is None and self.radius_precision is None:
            raise ValueError(
                "--adaptive answers questions about each input: state --radii 0,0.25 and "
                "--thresholds 0.5,0.7 (is the confidence above each threshold within each "
                "radius?), --radius-precision 0.05 (up to which radius is it?), or both"
            )
        if self.adaptive and (self.bound or self.band or self.n_bins):
            raise ValueError(
                "--bound, --band and --n-bins must be left out with --adaptive, whose draws have a "
                "test of their own (docs/anytime.md)"
            )
        if self.budget_draws is not None:
            checks.count("budget_draws", self.budget_draws)
        if self.budget_seconds is not None:
            checks.positive("budget_seconds", self.budget_seconds)
        self.rules()

    def grids(self, score_range: tuple[float, float]) -> tuple[list[float], list[float]]:
        """Return the radii and the thresholds for a measure with a range."""
        if self.radii is not None:
            radii = numbers("--radii", self.radii)
        else:
            radii = [0.0] if self.radius_precision is not None else default_radii(self.sigma)
        if self.thresholds is None:
            return radii, [sum(score_range) / 2]
        return radii, numbers("--thresholds", self.thresholds)

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods, the strongest last."""
        if self.adaptive:
            return (Method("anytime"),)
        return methods(self.bound or _BOUNDS, self.band or list(BANDS), self.n_bins)

    def rules(self) -> AdaptiveDraws | None:
        """Return the rules of adaptive draws; None for a fixed number."""
        from smoothbound.anytime._job.budget import Budget
        from smoothbound.smoothing._one_input.questions import AdaptiveDraws

        if not self.adaptive:
            return None
        return AdaptiveDraws(
            radius_precision=self.radius_precision,
            strictness=AdaptiveDraws.strictness if self.strictness is None else self.strictness,
            correct_only=self.correct_only,
            both_answers=self.both_answers,
            budget=Budget(draws=self.budget_draws, seconds=self.budget_seconds),
        )
