"""Further draws for a certificate: up to a larger n, or for questions that are added after a look.

A certificate keeps the state of each input. Only what is new has to be stated; the rest is taken
from the certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from smoothbound._files.checksum import digest
from smoothbound._utils import checks
from smoothbound.anytime._job.budget import Budget
from smoothbound.anytime._job.earlier import Earlier
from smoothbound.anytime._job.job import Plan
from smoothbound.anytime._record import FollowedRun
from smoothbound.backends._names import Backend
from smoothbound.bounds._method import Method
from smoothbound.bounds._request import Request
from smoothbound.noise._streams import MAX_DRAWS
from smoothbound.sampling._jobs import Failure
from smoothbound.sampling._model.inputs import tensor_of
from smoothbound.sampling._sampler import SamplerRecord
from smoothbound.smoothing._certificate import SmoothedCertificate, SmoothedSettings, one_level
from smoothbound.smoothing._one_input.anytime_draws import AnytimeProcedure
from smoothbound.smoothing._one_input.kept_state import earlier_of, followed_run
from smoothbound.smoothing._one_input.questions import AdaptiveDraws
from smoothbound.smoothing._one_input.result import InputResult, MethodBounds, failed_input

__all__ = ["Further", "after_failure", "columns_of", "digests_of"]

_NUMBERS = (
    "predicted",
    "selected",
    "class_radius",
    "n_selection",
    "n_draws",
    "top_count",
    "mean_score",
)
_TEXTS = ("status", "reason", "state", "class_counts")


@dataclass(frozen=True)
class Further:
    """The purpose of further draws for a certificate.

    Attributes
    ----------
    certificate : SmoothedCertificate
    request : Request
    rules : AdaptiveDraws
    n : int
        Largest number of draws of an input, including those of the certificate if they count.
    follows : FollowedRun or None
        The draws of the certificate if the questions are new, and otherwise the draws that the
        certificate itself followed.
    later : bool
        Whether the questions are new, so that only later draws count.
    """

    certificate: SmoothedCertificate
    request: Request
    rules: AdaptiveDraws
    n: int
    follows: FollowedRun | None
    later: bool

    @classmethod
    def of(
        cls,
        certificate: object,
        *,
        n: int | None,
        radii: ArrayLike | None,
        thresholds: ArrayLike | None,
        radius_precision: float | None,
        alpha: float | None,
        budget: Budget | None,
    ) -> Further:
        """Combine the new arguments with the request of the certificate.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type or is out of range, the certificate does not hold
            adaptive draws with their states, or no argument asks for further draws.
        """
        known = one_level(checks.instance("certificate", certificate, SmoothedCertificate))
        of, adaptive = known.settings, known.settings.adaptive
        if adaptive is None or (known.n_draws.any() and not any(known.state)):
            raise ValueError(
                "certificate must be one of certify(adaptive=True), whose draws can go on: this "
                "one has a fixed number of draws, which may not grow after a look at its results"
            )
        later = any(one is not None for one in (radii, thresholds, radius_precision, alpha))
        n = of.n if n is None else checks.count("n", n, 1, MAX_DRAWS)
        if not later and (n < of.n or (n == of.n and "budget" not in known.status)):
            raise ValueError(
                f"n must be larger than the n = {of.n} of the certificate to go on with its "
                f"questions, got {n}; to ask other questions, on later draws, state thresholds, "
                "radii, radius_precision or alpha"
            )
        if radii is None and radius_precision is None:
            asked, precision = of.radii, adaptive.precision
        else:
            asked = tuple(checks.radii("radii", [0.0] if radii is None else radii).tolist())
            precision = radius_precision
        request = Request(
            sigma=of.sigma,
            alpha=of.alpha if alpha is None else alpha,
            score_range=of.score_range,
            radii=asked,
            thresholds=of.thresholds
            if thresholds is None
            else checks.floats("thresholds", thresholds),
            method=Method("anytime"),
            order="drawn",
        )
        rules = AdaptiveDraws(
            radius_precision=precision,
            strictness=Plan.strictness if adaptive.strictness is None else adaptive.strictness,
            budget=budget,
        )
        follows = followed_run(of) if later else adaptive.follows
        return cls(known, request, rules, n, follows, later)

    @property
    def settings(self) -> SmoothedSettings:
        """The settings of the certificate."""
        return self.certificate.settings

    def require_same_model(
        self, sigma: float, measure: str, cutoff: float | None, how: SamplerRecord
    ) -> None:
        """Refuse a classifier that is not the certified one.

        Raises
        ------
        ValueError
            If the classifier differs. The error names the differences.
        """
        of = self.settings
        now = {"sigma": sigma, "measure": measure, "cutoff": cutoff, **vars(how)}
        if differences := [
            f"{name} was {getattr(of, name)!r}, and is {value!r}"
            for name, value in now.items()
            if getattr(of, name) != value
        ]:
            raise ValueError(
                f"certificate must be one of this classifier with its present settings: "
                f"{'; '.join(differences)}"
            )

    def require_same_inputs(self, x: NDArray[np.floating] | Tensor) -> None:
        """Refuse inputs that are not, one by one, those of the certificate.

        Raises
        ------
        ValueError
            If their number differs, or one of them differs.
        """
        total = len(self.certificate)
        if len(x) != total:
            raise ValueError(f"x must hold the {total} inputs of the certificate, got {len(x)}")
        for i, (before, now) in enumerate(zip(self.certificate.digest, digests_of(x), strict=True)):
            if before and before != now:
                raise ValueError(
                    f"x[{i}] must be the input of row {i} of the certificate, got another one: "
                    "draws of two inputs certify neither of them; pass the same inputs in the same "
                    "order, or choose rows of the certificate, as in certificate[[2, 0]]"
                )

    def procedure(self, displacement: float, backend: Backend | None) -> AnytimeProcedure:
        """Return the procedure for further draws of each input."""
        return AnytimeProcedure.of(
            self.request,
            self.rules,
            n=self.n,
            cutoff=self.settings.cutoff,
            measure=self.settings.measure,
            displacement=displacement,
            backend=backend,
            follows=self.follows,
        )

    def starts(self, procedure: AnytimeProcedure) -> dict[int, tuple[Earlier | None, int]]:
        """Return the rows to draw further, each with its earlier job and its votes so far."""
        found: dict[int, tuple[Earlier | None, int]] = {}
        for i in range(len(self.certificate)):
            row = self._row(i)
            if row["status"] == "failed":  # it has no selected class
                continue
            if self.later:
                found[i] = procedure.following(row), 0
            elif (self.n > self.settings.n or row["status"] == "budget") and procedure.goes_on(row):
                found[i] = earlier_of(row), row["top_count"]
        return found

    def result(self, i: int, drawn: InputResult | None) -> InputResult:
        """Return the result of an input, with or without further draws.

        Without further draws, or if they failed, the result is that of the certificate. For new
        questions an input without a class has no bounds.
        """
        known, row = self.certificate, self._row(i)
        if self.later and drawn is None:
            failure = Failure("before", row["reason"].removeprefix("failed: "))
            return failed_input(failure, [self.request], len(self.request.radii))
        if drawn is not None and (self.later or drawn.status != "failed" or not row["state"]):
            return drawn
        if drawn is not None:
            row["reason"] = after_failure(row["reason"], drawn.reason)
        assert known.lower is not None  # adaptive draws are about the lower side
        assert known.radius is not None
        return InputResult(**row, bounds=(MethodBounds(known.lower[i], None, known.radius[i]),))

    def _row(self, i: int) -> dict[str, Any]:
        numbers = {name: getattr(self.certificate, name)[i].item() for name in _NUMBERS}
        return numbers | {name: getattr(self.certificate, name)[i] for name in _TEXTS}


def after_failure(reason: str, failure: str) -> str:
    """Return the reason of an input that keeps its result because further draws failed."""
    return f"{reason}; further draws {failure}"


def digests_of(x: NDArray[np.floating] | Tensor) -> tuple[bytes, ...]:
    """Return the digest of each input, which depends only on its shape and its values."""
    kind = str(tuple(x.shape[1:])).encode()
    rows = (tensor_of(x[i, ...]).to("cpu", torch.float64).contiguous() for i in range(len(x)))
    return tuple(digest(kind, row.numpy().tobytes()) for row in rows)


def columns_of(results: Sequence[InputResult]) -> dict[str, Any]:
    """Return the results of the inputs as the arrays and tuples of a certificate, by name."""
    arrays = {name: np.array([getattr(one, name) for one in results]) for name in _NUMBERS}
    texts = {name: tuple(getattr(one, name) for one in results) for name in _TEXTS}
    bounds = {
        name: None
        if getattr(results[0].bounds[0], name) is None
        else np.stack([getattr(one.bounds[0], name) for one in results])
        for name in ("lower", "upper", "radius")
    }
    return arrays | texts | bounds
