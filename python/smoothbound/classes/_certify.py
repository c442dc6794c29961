"""Joint certificates of all classes, with alpha split over all bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothbound._display.axes import require_axes
from smoothbound._display.bound_curves import draw_bounds
from smoothbound._display.rounding import exact, exact_levels
from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.backends._names import Backend, Band, Side
from smoothbound.bounds._per_input import ended
from smoothbound.classes._arguments import Names, checked_names
from smoothbound.classes._votes import radius_of_two, vote_bounds
from smoothbound.noise._displaced import inward
from smoothbound.noise._record import NoiseRecord
from smoothbound.sketch._certify import bound_counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "ClassCertificate",
    "ClassSettings",
    "certify_tables",
    "largest",
    "share_of_alpha",
    "within",
]

Floats = NDArray[np.float64]

_FARTHEST = 16.0  # in units of sigma; 2^32 draws at an alpha above 1e-300 give no bound there
_PARTS, _ROUNDS = 16, 5  # 16^5 steps of 1.5e-5 sigma


@dataclass(frozen=True, kw_only=True)
class ClassSettings:
    """Settings of the certificates of all classes.

    Attributes
    ----------
    alpha : float
        Largest probability that any of the bounds on the scores of an input is false. The bounds on
        its votes are another family with this alpha.
    n_bounds : int
        Number of bounds of a family: a lower and an upper one for each class.
    alpha_each : float
        Failure probability of each bound, alpha / n_bounds.
    radii : tuple of float
    band : {"dkw", "ell"}
    sigma : float
        If each input has a noise level of its own, the least of them.
    n : int
        Smallest number of draws of an input.
    classes : tuple of int
    n_model_classes : int
    n_edges : int
    displacement : float
    noise : NoiseRecord
    backend : {"cpp", "numba"}
    version : str
    """

    alpha: float
    n_bounds: int
    alpha_each: float
    radii: tuple[float, ...]
    band: Band
    sigma: float
    n: int
    classes: tuple[int, ...]
    n_model_classes: int
    n_edges: int
    displacement: float
    noise: NoiseRecord
    backend: Backend
    version: str

    @property
    def is_complete(self) -> bool:
        """Whether every class of the model is bounded."""
        return len(self.classes) == self.n_model_classes


@dataclass(frozen=True, eq=False, repr=False)
class ClassCertificate:
    """Bounds on the scores and votes of all classes that hold at once, with their consequences.

    With probability at least 1 - alpha, all bounds on the scores of an input hold: for all classes,
    both sides, and all radii. Everything that is computed from them holds with the same
    probability, such as the margin of any two classes, even if they are chosen after a look at the
    bounds. The bounds on the votes are a second family, which also holds with probability at least
    1 - alpha.

    Attributes
    ----------
    settings : ClassSettings
    index, n_draws : ndarray of int64, shape (n_inputs,)
        Ids of the inputs, and their numbers of draws.
    lower, upper : ndarray of float64, shape (n_inputs, n_classes, n_radii)
        Lower and upper bounds on the average score of the class at every point within the radius.
    top : ndarray of int64, shape (n_inputs,)
        The class with the largest certified score at R = 0 among the bounded classes.
    top_radius : ndarray of float64, shape (n_inputs,), or None
        Radius within which the average score of this class is certified to be the largest; NaN if
        it is not at R = 0. None if not all classes of the model are bounded.
    vote_lower, vote_upper : ndarray of float64, shape (n_inputs, n_classes)
        Bounds of Clopper and Pearson on the probability that the class has the largest output.
    voted : ndarray of int64, shape (n_inputs,)
        The class with the most votes among the bounded classes.
    class_radius : ndarray of float64, shape (n_inputs,), or None
        Radius within which the majority vote stays this class (Cohen et al. 2019, Theorem 1, with
        bounds on p_A and p_B); NaN if no radius is certified. None if not all classes of the model
        are bounded.
    sigma : ndarray of float64, shape (n_inputs,), or None
        Noise level of each input. None if all inputs have the noise level ``settings.sigma``.
    constant_within : ndarray of float64, shape (n_inputs,), or None
        Distance from each input within which sigma is constant. Certified radii are capped at it,
        and bounds at larger radii are 0 and 1. None if none was stated.
    """

    settings: ClassSettings
    index: NDArray[np.int64]
    n_draws: NDArray[np.int64]
    lower: Floats
    upper: Floats
    top: NDArray[np.int64]
    top_radius: Floats | None
    vote_lower: Floats
    vote_upper: Floats
    voted: NDArray[np.int64]
    class_radius: Floats | None
    sigma: Floats | None = None
    constant_within: Floats | None = None

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.index)

    def __repr__(self) -> str:
        of = self.settings
        caveat = f"; {of.noise.brief_caveat}" if of.noise.brief_caveat else ""
        return (
            f"ClassCertificate({len(self)} inputs, {len(of.classes)} of {of.n_model_classes} "
            f"classes, band={of.band!r}, n = {of.n}, "
            f"{exact_levels('sigma', of.sigma, self.sigma)}, alpha = {exact(of.alpha)} over "
            f"{of.n_bounds} bounds{caveat})"
        )

    def margin(
        self, classes: ArrayLike | None = None, *, over: Literal["all"] | ArrayLike = "all"
    ) -> Floats:
        """Bound the margin of a class from below: its average score minus the largest other one.

        The bound is the lower bound of the class minus the largest upper bound of the other
        classes, rounded down.

        Parameters
        ----------
        classes : array-like of int, shape (n_inputs,), optional
            The class of each input; by default `top`.
        over : "all" or array-like of int, default "all"
            The other classes; the class of the input itself is left out. "all" stands for all
            classes of the model, which must all be bounded.

        Returns
        -------
        ndarray of float64, shape (n_inputs, n_radii)

        Raises
        ------
        TypeError, ValueError
            If a class is not among those of the certificate, or an input has no other class.
        """
        columns = self._columns_of(self.top if classes is None else classes)
        rows, among = np.arange(len(self)), self._columns_over(over)
        is_other = np.zeros(self.upper.shape[:2], bool)
        is_other[:, among] = True
        is_other[rows, columns] = False
        if not is_other.any(axis=1).all():
            raise ValueError(
                "over must name a class besides that of each input, got "
                f"{checks.shown([self.settings.classes[k] for k in among])}"
            )
        most = np.where(is_other[:, :, None], self.upper, -np.inf).max(axis=1)
        return np.asarray(np.nextafter(self.lower[rows, columns] - most, -np.inf))

    def columns(self, labels: ArrayLike) -> NDArray[np.int64]:
        """Return the columns of `lower` and `upper` for labels.

        Parameters
        ----------
        labels : array-like of int
            Classes of the model, or -1.

        Returns
        -------
        ndarray of int64, of the shape of the labels
            The columns; -1 if a label is -1 or a class that is not bounded.

        Raises
        ------
        TypeError, ValueError
            If the labels are not whole numbers, or the model lacks one of the classes.
        """
        wanted, total = checks.array("labels", labels), self.settings.n_model_classes
        if wanted.dtype.kind not in "iu":
            raise TypeError(f"labels must be whole numbers, got {checks.shown(labels)}")
        if ((wanted < -1) | (wanted >= total)).any():
            raise ValueError(
                f"labels must be among the {total} classes of the model, 0 to {total - 1}, or -1; "
                f"got {checks.shown(labels)}"
            )
        of_class = np.full(total + 1, -1)  # the last entry is for the label -1
        of_class[np.array(self.settings.classes)] = np.arange(len(self.settings.classes))
        return np.asarray(of_class[wanted.astype(np.int64)])

    def plot(self, row: int = 0, ax: Axes | None = None, classes: ArrayLike | None = None) -> Axes:
        """Draw the bounds on the scores of an input over the radius, for some classes.

        Lower bounds are solid, and upper bounds are dashed. ``cert.plot().legend()`` shows the
        names of the classes.

        Parameters
        ----------
        row : int, default 0
            Row of the input, from 0 to n_inputs - 1.
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; by default new ones of pyplot.
        classes : array-like of int, optional
            The classes; by default the three with the largest upper bounds at the first radius.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        TypeError, ValueError
            If the input or a class does not exist.
        """
        row, known = checks.count("row", row, 0, len(self) - 1), self.settings.classes
        if classes is None:
            columns = np.argsort(-self.upper[row, :, 0], kind="stable")[:3]
        else:
            columns = self._named("classes", checked_names("classes", classes))
        if ax is None:
            with name_the_extra():
                from matplotlib import pyplot

            ax = pyplot.figure().subplots()
        require_axes(ax)
        bounds = self.lower[row, columns], self.upper[row, columns]
        draw_bounds(ax, self.settings.radii, *bounds, [known[k] for k in columns], what="class")
        ax.set(ylabel="certified score", ylim=(0.0, 1.0))
        return ax

    def _columns_over(self, over: Literal["all"] | ArrayLike) -> NDArray[np.int64]:
        """Return the columns of the other classes for `margin`."""
        names, of = checked_names("over", over), self.settings
        if names != "all":
            return self._named("over", names)
        if not of.is_complete:
            raise ValueError(
                f"over must name classes, because {len(of.classes)} of {of.n_model_classes} "
                "classes of the model are bounded, and the margin over the other classes is not "
                f"known; pass over={list(of.classes)}, or count all classes"
            )
        return np.arange(len(of.classes))

    def _named(self, argument: str, names: Names) -> NDArray[np.int64]:
        """Return the columns of some classes."""
        known = self.settings.classes
        if names == "all" or not {*names} <= {*known}:
            raise ValueError(
                f"{argument} must be among those of the certificate, got {checks.shown(names)}"
            )
        return np.array([known.index(one) for one in names])

    def _columns_of(self, classes: ArrayLike) -> NDArray[np.int64]:
        """Return the columns of classes, one for each input."""
        wanted = checks.array("classes", classes)
        if wanted.shape != (len(self),) or wanted.dtype.kind not in "iu":
            raise TypeError(
                f"classes must be a whole number for each of the {len(self)} inputs, got "
                f"{checks.shown(classes)}"
            )
        same = wanted[:, None] == np.array(self.settings.classes)
        if not same.any(axis=1).all():
            raise ValueError(
                "classes must be among those of the certificate, got "
                f"{wanted[~same.any(axis=1)][0]}"
            )
        return np.asarray(same.argmax(axis=1))


def share_of_alpha(alpha: float, n_bounds: int) -> float:
    """Return alpha / n_bounds, rounded down."""
    return float(np.nextafter(alpha / n_bounds, 0.0))


def certify_tables(
    tables: Iterable[NDArray[np.int64]],
    settings: ClassSettings,
    edges: Floats,
    index: NDArray[np.int64],
    n_draws: NDArray[np.int64],
    *,
    sigma: Floats,
    threads: int,
) -> ClassCertificate:
    """Certify inputs at their noise levels from the tables of their counts and votes."""
    columns = np.array(settings.classes)
    votes, made = [], []
    for table, n, level in zip(tables, n_draws.tolist(), sigma.tolist(), strict=True):
        votes.append(table[:, -1])
        own = replace(settings, sigma=level)
        one = _Counted(own, edges, table[:, :-1].astype(np.uint32), n, threads)
        top = one.top()
        lower, upper = (
            one.bounds(side, settings.radii, slice(None)) for side in ("lower", "upper")
        )
        made.append((lower, upper, top, one.top_radius(top) if settings.is_complete else np.nan))
    lowers, uppers, tops, radii = (np.stack(part) for part in zip(*made, strict=True))
    low, high = vote_bounds(np.stack(votes), n_draws, settings.alpha_each)
    voted = np.stack(votes).argmax(axis=1)
    class_radius = inward(radius_of_two(low, high, voted, sigma), settings.displacement)
    complete = settings.is_complete
    return ClassCertificate(
        settings=settings,
        index=index,
        n_draws=n_draws,
        lower=lowers,
        upper=uppers,
        top=columns[tops],
        top_radius=radii if complete else None,
        vote_lower=low,
        vote_upper=high,
        voted=columns[voted],
        class_radius=class_radius if complete else None,
    )


def within(certificate: ClassCertificate, constant_within: Floats) -> ClassCertificate:
    """Restrict a certificate to the balls around the inputs on which sigma is constant."""
    radii = certificate.settings.radii
    top, voted = certificate.top_radius, certificate.class_radius
    return replace(
        certificate,
        lower=ended(certificate.lower, 0.0, radii, constant_within),
        upper=ended(certificate.upper, 1.0, radii, constant_within),
        top_radius=None if top is None else np.minimum(top, constant_within),
        class_radius=None if voted is None else np.minimum(voted, constant_within),
        constant_within=constant_within,
    )


@dataclass(frozen=True)
class _Counted:
    """The counts of all classes of one input, with the settings of their bounds.

    Attributes
    ----------
    settings : ClassSettings
    edges : ndarray of float64, shape (n_edges,)
    counts : ndarray of uint32, shape (n_classes, n_cells)
    n : int
        Number of draws.
    threads : int
    """

    settings: ClassSettings
    edges: Floats
    counts: NDArray[np.uint32]
    n: int
    threads: int

    def bounds(self, side: Side, radii: ArrayLike, rows: NDArray[np.int64] | slice) -> Floats:
        """Bound the average scores of some classes, shape (n_rows, n_radii)."""
        of, counts = self.settings, self.counts[rows]
        made, _ = bound_counts(
            self.edges,
            of.backend,
            of.band,
            counts,
            np.full(len(counts), self.n),
            displacement=of.displacement,
            side=side,
            sigma=of.sigma,
            alpha=of.alpha_each,
            radii=radii,
            thresholds=(),
            threads=self.threads,
        )
        return made

    def top(self) -> int:
        """Return the row of the class with the largest lower bound at R = 0."""
        return int(self.bounds("lower", [0.0], slice(None))[:, 0].argmax())

    def top_radius(self, top: int) -> float:
        """Return the radius within which a class is certified to have the largest average score."""
        others = np.delete(np.arange(len(self.counts)), top)

        def stays(radii: Floats, rivals: NDArray[np.int64]) -> NDArray[np.bool_]:
            least = self.bounds("lower", radii, np.array([top]))[0]
            most = self.bounds("upper", radii, rivals).max(axis=0)
            return np.asarray(least > most)

        if not len(others):
            return float("inf")
        for rivals in (self._strongest(others), others):
            radius = largest(lambda radii: stays(radii, rivals), _FARTHEST * self.settings.sigma)  # noqa: B023
            if np.isnan(radius) or stays(np.array([radius]), others)[0]:
                return radius
        return float("nan")

    def _strongest(self, others: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return one strong class, and the classes whose upper bounds may exceed its bounds.

        If one class has at most as many draws above every edge as another, its upper bounds are at
        most those of the other.
        """
        above = np.cumsum(self.counts[others, ::-1].astype(np.int64), axis=1)
        strongest = int(above.sum(axis=1).argmax())
        beyond: NDArray[np.bool_] = (above > above[strongest]).any(axis=1)
        beyond[strongest] = True
        return np.asarray(others[beyond])


def largest(holds: Callable[[Floats], NDArray[np.bool_]], most: float) -> float:
    """Return the largest radius found at which a condition holds; NaN if it fails at 0.

    Parameters
    ----------
    holds : callable
        Takes an array of radii and returns whether the condition holds at each. The search assumes
        that it fails at all radii beyond one at which it fails.
    most : float
        The largest radius of the search.

    Examples
    --------
    >>> round(largest(lambda radii: radii <= 0.3, 1.0), 5), largest(lambda radii: radii < 0, 1.0)
    (0.3, nan)
    """
    low, high = 0.0, most
    for _ in range(_ROUNDS):
        radii = np.linspace(low, high, _PARTS + 1)
        held = holds(radii)
        if not held[0]:  # only in the first round
            return float("nan")
        last = int(np.logical_and.accumulate(held).sum()) - 1
        if last == _PARTS:
            return float(radii[-1])
        low, high = float(radii[last]), float(radii[last + 1])
    return low
