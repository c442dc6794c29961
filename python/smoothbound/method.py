"""The ways to turn scores into a certificate: a bound, its band and its knots."""

from __future__ import annotations

from dataclasses import dataclass

from smoothbound import checks

__all__ = ["BANDS", "BOUNDS", "Method"]

BOUNDS = ("mean", "cdf")
BANDS = ("dkw", "ell")


@dataclass(frozen=True)
class Method:
    """One way to turn the scores of an input into a certificate.

    Parameters
    ----------
    bound : {"mean", "cdf"}
        Theorem 1 or Theorem 2 of Kumar et al. 2020.
    band : {"dkw", "ell"} or None
        Confidence band of the survival function; None where the bound uses none ("mean").
    n_bins : int or None
        Number of equal-count bins, that is of knots; None makes every draw a knot.

    Raises
    ------
    ValueError
        If a name is unknown, or `n_bins` is not positive.

    Examples
    --------
    >>> Method("cdf", "dkw").name, Method("mean").label
    ('cdf_dkw', 'Theorem 1')
    """

    bound: str
    band: str | None = None
    n_bins: int | None = None

    def __post_init__(self) -> None:
        checks.choice("bound", self.bound, BOUNDS)
        if self.bound == "mean":
            if self.band is not None or self.n_bins is not None:
                raise ValueError(
                    "bound='mean' (Theorem 1) uses the mean alone: it takes no band and no "
                    f"n_bins, got band={self.band!r}, n_bins={self.n_bins!r}"
                )
            return
        checks.choice("band", self.band, BANDS)
        if self.n_bins is not None:
            checks.count("n_bins", self.n_bins)

    @classmethod
    def of(cls, bound: str, band: str | None, n_bins: int | None) -> Method:
        """Drop the band and the bins where the bound has no use for them."""
        checks.choice("bound", bound, BOUNDS)
        return cls("mean") if bound == "mean" else cls(bound, band, n_bins)

    @property
    def name(self) -> str:
        """Identifier for columns and files, such as ``"cdf_dkw"``."""
        return self.bound if self.band is None else f"{self.bound}_{self.band}"

    @property
    def label(self) -> str:
        """Words for figures and tables, such as ``"Theorem 2 (dkw)"``."""
        return "Theorem 1" if self.bound == "mean" else f"Theorem 2 ({self.band})"
