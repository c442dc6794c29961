"""The certificate of a smoothed classifier: the results of many inputs, and their settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smoothbound._utils.renamed import formerly
from smoothbound.bounds._certificate import Certificate
from smoothbound.bounds._request import DrawnSettings, Settings
from smoothbound.store._sampling_settings import SAMPLING_CHECKS, SamplingSettings, check_fields

if TYPE_CHECKING:
    import pyarrow as pa

    from smoothbound.classes._class_sketch import ClassSketch
    from smoothbound.store._table.schema import Status

__all__ = ["SmoothedCertificate", "SmoothedSettings", "one_level"]


@dataclass(frozen=True, kw_only=True)
class SmoothedSettings(SamplingSettings, DrawnSettings):
    """Settings of a certificate: the request, its computation, and the sampling of the draws.

    The attributes are those of `Settings` and of `SamplingSettings`. With adaptive draws `n` is the
    largest number of draws of an input. If each input has a noise level of its own, `sigma` is the
    least of them, and `noise` has no sigma and no steps, and it has the largest displacement.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self, SAMPLING_CHECKS)

    def _plain(self) -> dict[str, Any]:
        return super()._plain() | self._records()


@dataclass(frozen=True, eq=False, repr=False)
class SmoothedCertificate(Certificate):
    """Certified confidence of the selected class of many inputs.

    The attributes are those below, and `lower`, `upper` and `radius` of a `Certificate` for the
    selected class. Each number holds by itself with probability at least 1 - alpha over the draws.
    The confidence and the class radius of one input are two certificates.

    Attributes
    ----------
    settings : SmoothedSettings
    selected : ndarray of int64, shape (n_inputs,)
        The class that the selection draws chose. It is certified even if the classifier abstains.
        -1 if no draw was made or sampling failed.
    index : ndarray of int64, shape (n_inputs,)
        Index of each input, which determines its noise.
    predicted : ndarray of int64, shape (n_inputs,)
        The selected class, or -1 if the classifier abstains or sampling failed.
    status : tuple of str
        The outcome of each input. "certified": the input has a class. "abstained": its certified
        confidence at R = 0 is not above the cut-off. "failed": the model raised an exception, ran
        out of memory or returned unexpected outputs, and the numbers of the input are NaN or 0.
        "budget": the budget ended its adaptive draws; the input has a class if its draws certify
        one.
    reason : tuple of str
        An explanation of the status with the numbers of the input; empty for an input that was
        certified by a fixed number of draws.
    class_radius : ndarray of float64, shape (n_inputs,)
        Radius within which the majority vote stays the selected class (Cohen et al. 2019), in the
        units of sigma; NaN if no radius could be certified.
    n_selection, n_draws : ndarray of int64, shape (n_inputs,)
        Number of selection draws and of estimation draws.
    top_count : ndarray of int64, shape (n_inputs,)
        Number of estimation draws in which the selected class had the largest output; -1 if it
        comes from an older file without it.
    mean_score : ndarray of float64, shape (n_inputs,)
        Mean score of the estimation draws. It is an estimate, not a certificate.
    state : tuple of bytes
        State of the `smoothbound.anytime.AnytimeTest` of each input, from which
        `SmoothedClassifier.certify_further` continues its draws; empty if the number of draws was
        fixed or sampling failed. Data frames leave it out.
    digest : tuple of bytes
        Digest of each input, which further draws compare with the input; empty if the number of
        draws was fixed, or if it comes from an older file without it. Data frames leave it out.
    class_counts : tuple of bytes
        Packed counts of all classes, from which `class_sketch` makes a sketch; empty if classes
        were not counted or sampling failed. Data frames leave them out.
    """

    settings_class: ClassVar[type[Settings]] = SmoothedSettings

    settings: SmoothedSettings
    index: NDArray[np.int64]
    predicted: NDArray[np.int64]
    status: tuple[Status, ...]
    reason: tuple[str, ...]
    class_radius: NDArray[np.float64]
    n_selection: NDArray[np.int64]
    n_draws: NDArray[np.int64]
    top_count: NDArray[np.int64]
    mean_score: NDArray[np.float64]
    selected: NDArray[np.int64]
    state: tuple[bytes, ...]
    digest: tuple[bytes, ...]
    class_counts: tuple[bytes, ...]

    example = formerly("example", "index")

    _own_columns: ClassVar[tuple[str, ...]] = (
        "index",
        "selected",
        "predicted",
        "status",
        "reason",
        "class_radius",
        "n_selection",
        "n_draws",
        "top_count",
        "mean_score",
        "state",
        "digest",
        "class_counts",
    )
    _in_files_only: ClassVar[tuple[str, ...]] = ("state", "digest", "class_counts")

    def class_sketch(self) -> ClassSketch:
        """Return the counts of all classes, which ``certify(..., classes=...)`` made.

        The counts come from the draws that certify the selected class. The inputs are in the order
        of their index, without those that failed. The sketch has the noise level of each input and
        `constant_within`. For draws without a `grid`, its certificates allow for the largest
        displacement of an input from its lattice point, ``settings.displacement``.

        Raises
        ------
        ValueError
            If no classes were counted, or every input failed.
        """
        from smoothbound.classes._kept import kept_sketch

        return kept_sketch(
            self.class_counts,
            self.index,
            self.n_draws,
            self.settings,
            self.sigma,
            self.constant_within,
        )

    @classmethod
    def upgraded(cls, table: pa.Table, settings: Settings) -> pa.Table:
        """Return the table of a file with the columns of this version."""
        import pyarrow as pa

        from smoothbound.store._table.schema import with_selection, with_status

        assert isinstance(settings, SmoothedSettings)
        made = with_selection(with_status(super().upgraded(table, settings)), settings.n0)
        for name, value in (
            ("top_count", -1),
            ("class_counts", b""),
            ("state", b""),
            ("digest", b""),
        ):
            if name not in made.column_names:
                made = made.append_column(name, pa.array([value] * len(made)))
        return made


def one_level(certificate: SmoothedCertificate) -> SmoothedCertificate:
    """Return the certificate of inputs with one noise level, with this level in its settings.

    Raises
    ------
    ValueError
        If the inputs have several noise levels.
    """
    if certificate.sigma is None:
        return certificate
    levels = np.unique(certificate.sigma)
    if levels.size > 1:
        raise ValueError(
            f"the inputs must have one noise level for this, got {levels.size}: choose the inputs "
            f"of one level, as in certificate[certificate.sigma == {float(levels[0])!r}]"
        )
    settings = certificate.settings
    if levels.size:
        settings = replace(settings, sigma=float(levels[0]))
    return replace(certificate, settings=settings, sigma=None)
