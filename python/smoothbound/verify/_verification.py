"""The result of a verification: counts of certificates by outcome, and the first wrong ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Finding", "Tally", "Verification"]

_MOST_FINDINGS = 20


@dataclass(frozen=True)
class Finding:
    """A certificate or another number of an input that does not hold.

    Attributes
    ----------
    index : int
        Index of the input.
    column : str
        Column of the number, with the radius or the threshold: ``"lower_mean at R = 0.25"``.
    words : str
        The reason why it does not hold, with the numbers.
    """

    index: int
    column: str
    words: str

    def __str__(self) -> str:
        return f"input {self.index}: {self.column} {self.words}"


@dataclass
class Tally:
    """Numbers of certificates of one kind by outcome.

    Attributes
    ----------
    proved : int
        Certificates that the stored data prove.
    within : int
        Certificates above the bound that the counts prove, but not above the bound that they allow,
        because a count does not determine where in its cell a score lies.
    widest : float
        Largest difference between one of these and the bound that the counts prove.
    wrong : int
        Certificates that do not hold.
    unknown : int
        Certificates that cannot be computed from the stored data.
    """

    proved: int = 0
    within: int = 0
    widest: float = 0.0
    wrong: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """Number of certificates."""
        return self.proved + self.within + self.wrong + self.unknown


@dataclass
class Verification:
    """The result of `verify_results`.

    Attributes
    ----------
    n_inputs : int
        Number of inputs that were verified.
    tallies : dict of str to Tally
        Numbers for each kind of certificate, such as ``"lower_cdf_ell"``.
    findings : list of Finding
        The first numbers that do not hold, in the order of the inputs.
    n_findings : int
        Number of numbers that do not hold.
    n_wrong_inputs : int
        Number of inputs with such a number.
    reasons : Counter
        Reasons why certificates cannot be verified, with the number of certificates for each.
    """

    n_inputs: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    n_findings: int = 0
    n_wrong_inputs: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def holds(self) -> bool:
        """Whether all certificates that could be verified hold."""
        return self.n_findings == 0

    @property
    def complete(self) -> bool:
        """Whether every certificate could be verified."""
        return not self.reasons.total()

    def tally(self, kind: str) -> Tally:
        """Return the counts of a kind of certificates."""
        return self.tallies.setdefault(kind, Tally())

    def cannot(self, kind: str, count: int, reason: str) -> None:
        """Count certificates that cannot be verified."""
        self.tally(kind).unknown += count
        self.reasons[reason] += count

    def found(self, findings: list[Finding]) -> None:
        """Add the findings of one input."""
        self.n_findings += len(findings)
        self.n_wrong_inputs += bool(findings)
        self.findings += findings[: _MOST_FINDINGS - len(self.findings)]
