"""Methods that turn scores into certificates: a bound with its band and knots, or its mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

from smoothbound._utils import checks
from smoothbound.backends._names import (
    BANDS,
    JOINT_BAND_SHARE,
    MEANS,
    METHOD_BOUNDS,
    STATISTICS,
    Band,
    Mean,
    MethodBound,
    Statistic,
)

__all__ = ["Method", "pilot_draws"]


@dataclass(frozen=True)
class Method:
    """A method to turn the scores of an input into a certificate.

    Parameters
    ----------
    bound : {"mean", "cdf", "tangent", "joint", "anytime", "binomial"}
        "mean" is Theorem 1 and "cdf" is Theorem 2 of Kumar et al. 2020. "tangent" is the tangent
        bound (docs/tangent.md), and "joint" is the joint bound (docs/joint.md). "anytime" is the
        test of draws that may stop at any time (docs/anytime.md), which takes no array of scores.
        "binomial" bounds a probability from a count, for probabilities and quantiles
        (docs/levels.md).
    band : {"dkw", "ell"} or None
        Confidence band of the survival function; None if the bound uses none.
    n_bins : int or None
        Number of equal-count bins. With None every draw is a knot.
    mean : {"hoeffding", "bernstein", "betting"} or None
        How a mean is bounded. None means the default: Hoeffding's inequality for "mean", and
        betting for "tangent" and "joint". "cdf" bounds no mean.

    Raises
    ------
    ValueError
        If a name is unknown, or `n_bins` is not positive.

    Examples
    --------
    >>> Method("cdf", "dkw").name, Method("mean").label, Method("tangent").mean
    ('cdf_dkw', 'Theorem 1', 'betting')
    """

    bound: MethodBound
    band: Band | None = None
    n_bins: int | None = None
    mean: Mean | None = None

    def __post_init__(self) -> None:
        checks.choice("bound", self.bound, METHOD_BOUNDS)
        means = MEANS[self.bound]
        if self.mean is None and means:
            object.__setattr__(self, "mean", means[0])
        if self.mean is not None and not (isinstance(self.mean, str) and self.mean in means):
            raise ValueError(
                f"bound={self.bound!r} takes mean="
                + (
                    " or ".join(repr(mean) for mean in means)
                    if means
                    else "None: it bounds no mean"
                )
                + f"; got {checks.shown(self.mean)}"
            )
        if self.bound != "cdf":
            if self.band is not None or self.n_bins is not None:
                raise ValueError(
                    f"band and n_bins are for bound='cdf': leave them out for bound="
                    f"{self.bound!r}, got band={checks.shown(self.band)}, "
                    f"n_bins={checks.shown(self.n_bins)}"
                )
            return
        checks.choice("band", self.band, BANDS)
        if self.n_bins is not None:
            checks.count("n_bins", self.n_bins)

    @classmethod
    def of(
        cls,
        bound: MethodBound | None,
        band: Band | None = None,
        n_bins: int | None = None,
        mean: Mean | None = None,
    ) -> Method | None:
        """Return the method that the arguments state; None if they state nothing.

        A band or bins without a bound imply the bound "cdf", whose band is "ell" by default.
        """
        if bound is not None:
            checks.choice("bound", bound, METHOD_BOUNDS)
        if bound is None and mean is not None:
            raise ValueError(
                "mean is for bound='mean', 'tangent' or 'joint': state the bound too, got "
                f"mean={checks.shown(mean)} without one"
            )
        if bound is None and band is None and n_bins is None:
            return None
        if bound in (None, "cdf"):
            return cls("cdf", "ell" if band is None else band, n_bins, mean)
        return cls(bound, band, n_bins, mean)

    @classmethod
    def for_statistic(
        cls,
        statistic: Statistic,
        bound: MethodBound | None = None,
        band: Band | None = None,
        n_bins: int | None = None,
        mean: Mean | None = None,
    ) -> Method | None:
        """Return "binomial" for levels, and for a mean the method that is stated, if any.

        Raises
        ------
        ValueError
            If a method for a mean is stated for a probability or a quantile.
        """
        if checks.choice("statistic", statistic, STATISTICS) == "mean":
            return cls.of(bound, band, n_bins, mean)
        if any(one is not None for one in (bound, band, n_bins, mean)):
            raise ValueError(
                "bound, band, n_bins and mean are for statistic='mean': leave them out for "
                f"{statistic=}, got bound={checks.shown(bound)}, band={checks.shown(band)}, "
                f"n_bins={checks.shown(n_bins)}, mean={checks.shown(mean)}"
            )
        return cls("binomial")

    def band_of(self, alpha: float) -> tuple[Band, float] | None:
        """Return the band that the bound uses with its share of alpha; None if it uses none."""
        if self.bound == "joint":
            return "ell", alpha * JOINT_BAND_SHARE
        return None if self.band is None else (self.band, alpha)

    @property
    def splits_pilot(self) -> bool:
        """Whether pilot draws choose stakes and tangents, and the other draws give the bound."""
        return self.bound in ("tangent", "joint")

    @property
    def uses_order(self) -> bool:
        """Whether the bound depends on the order of the draws."""
        return self.splits_pilot or self.mean == "betting"

    @property
    def holds_at_all_radii(self) -> bool:
        """Whether the bounds of one input hold at all radii at once, and not only one by one."""
        return self.bound in ("mean", "cdf", "joint")

    def n_pilot(self, n_draws: int, pilot: float) -> int:
        """Return the number of pilot draws, which come first; 0 for a method without a pilot."""
        return pilot_draws(n_draws, pilot) if self.splits_pilot else 0

    @property
    def name(self) -> str:
        """The identifier for columns and files, such as ``"cdf_dkw"``."""
        if self.band is not None:
            return f"{self.bound}_{self.band}"
        is_default = self.mean in (None, *MEANS[self.bound][:1])
        return self.bound if is_default else f"{self.bound}_{self.mean}"

    @property
    def description(self) -> str:
        """The method in words, for a report.

        Examples
        --------
        >>> Method("cdf", "dkw", 10_000).description
        "Theorem 2 of Kumar et al. 2020, with the paper's band (DKW) and 10000 equal-count bins"
        """
        if self.bound == "cdf":
            band = {"dkw": "the paper's band (DKW)", "ell": "the band of equal local levels"}
            knots = f"{self.n_bins} equal-count bins" if self.n_bins else "every draw a knot"
            return f"Theorem 2 of Kumar et al. 2020, with {band[self.band or '']} and {knots}"
        if self.bound == "anytime":
            return "a test of each claim that may stop at any time (docs/anytime.md)"
        if self.bound == "binomial":
            return "one binary certificate, from the bound of Clopper and Pearson on a count"
        if self.bound == "joint":
            return "tangents to Theorem 2 at five radii and a band, for all radii (docs/joint.md)"
        mean = {
            "hoeffding": "Hoeffding's inequality",
            "bernstein": "an empirical Bernstein bound",
            "betting": "betting",
        }[self.mean or ""]
        if self.bound == "mean":
            return f"Theorem 1 of Kumar et al. 2020, with a mean bounded by {mean}"
        return f"a tangent to Theorem 2 at each single radius, with a mean bounded by {mean}"

    @property
    def label(self) -> str:
        """The name for figures and tables, such as ``"Theorem 2 (dkw)"``."""
        if self.bound == "cdf":
            return f"Theorem 2 ({self.band})"
        if self.bound == "binomial":
            return "Clopper-Pearson"
        if self.bound in ("joint", "anytime"):
            return self.bound
        words = "Theorem 1" if self.bound == "mean" else "tangent"
        return words if self.mean == MEANS[self.bound][0] else f"{words} ({self.mean})"


def pilot_draws(n_draws: int, pilot: float) -> int:
    """Return the number of pilot draws: the share `pilot` of all, rounded down, and at least 1."""
    return max(1, math.floor(n_draws * pilot))
