"""A verification module of VERONA that verifies the smoothed classifier of a network."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from ada_verona.database.verification_context import VerificationContext
from ada_verona.database.verification_result import CompleteVerificationData, VerificationResult
from ada_verona.verification_module.property_generator.one2any_property_generator import (
    One2AnyPropertyGenerator,
)
from ada_verona.verification_module.verification_module import VerificationModule
from torch import Tensor, nn

from smoothbound._files.digests import state_digest
from smoothbound._utils import checks
from smoothbound.errors import ModelError
from smoothbound.harness._toolboxes._row_keys import row_keys
from smoothbound.smoothing._certificate import SmoothedCertificate
from smoothbound.smoothing._classifier import SmoothedClassifier

__all__ = ["SmoothedVerificationModule"]


class SmoothedVerificationModule(VerificationModule):  # type: ignore[misc]
    """Verify the smoothed classifier of a network within an epsilon of VERONA.

    The statements are about the smoothed classifier, which returns the class that the network
    returns most often under noise, and not about the network itself. A single certificate of a data
    point, at one alpha, answers the questions about all values of epsilon.

    VERONA's epsilon is in the maximum norm. A smoothed classifier is certified in the l2 norm: an
    epsilon is certified if the radius is above epsilon times the square root of the number of
    pixels. The certified values are therefore small compared to those of modules for the maximum
    norm.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise, > 0, in the units of the data points.
    n0, n : int
        `n0` draws select the class, and `n` draws certify it.
    alpha : float, default 0.001
        Largest probability, for each data point, that any answer about it is false.
    grid, seed
        As for `SmoothedClassifier.certify`.

    Attributes
    ----------
    name : str
        The name with sigma, alpha and n. VERONA writes it with each result, and has no other place
        for these numbers.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    References
    ----------
    Cohen, Rosenfeld, Kolter, "Certified Adversarial Robustness via Randomized Smoothing",
    ICML 2019.
    """

    def __init__(
        self,
        sigma: float,
        *,
        n0: int = 100,
        n: int = 10_000,
        alpha: float = 1e-3,
        grid: int | None = None,
        seed: int = 0,
    ) -> None:
        self.sigma = checks.positive("sigma", sigma)
        self._asked: dict[str, Any] = {
            "n0": checks.count("n0", n0),
            "n": checks.count("n", n),
            "alpha": checks.alpha("alpha", alpha),
            "grid": grid,
            "seed": seed,
        }
        self.name = f"smoothbound [sigma={sigma:g}, alpha={alpha:g}, n={n}]"
        self._last: tuple[Any, tuple[bytes, str], SmoothedCertificate] | None = None

    def verify(
        self, verification_context: VerificationContext, epsilon: float
    ) -> CompleteVerificationData:
        """Verify that no perturbation up to epsilon changes the class of the smoothed classifier.

        Parameters
        ----------
        verification_context : VerificationContext
            The network and the data point, with a ``One2AnyPropertyGenerator``.
        epsilon : float
            Largest change of a pixel, >= 0.

        Returns
        -------
        CompleteVerificationData
            UNSAT if the class is certified to be the label. SAT if another class is certified at
            the data point itself. TIMEOUT if neither is certified; ``err`` states the reason, and
            more draws may certify one. ERR if the network failed; ``err`` describes the failure.

        Raises
        ------
        TypeError, ValueError
            If epsilon is negative, the property is a different one, or the label of the data point
            is not a whole number >= 0.
        """
        epsilon = checks.non_negative("epsilon", epsilon)
        asked = verification_context.property_generator
        if not isinstance(asked, One2AnyPropertyGenerator):
            raise ValueError(
                "property_generator must be a One2AnyPropertyGenerator, got "
                f"{type(asked).__name__}: the certificate is that no other class wins"
            )
        start = time.perf_counter()
        point, labels = verification_context.data_point, None
        label = point.label.item() if isinstance(point.label, Tensor) else point.label
        label = checks.count("label of the data point", label, 0)
        try:
            cert = self._certificate(verification_context)
        except ModelError as error:
            result, why = VerificationResult.ERROR, str(error)
        else:
            result, why = _answer(cert, label, _l2(epsilon, point.data.numel()))
            labels = cert.selected
        return CompleteVerificationData(
            result=result,
            took=time.perf_counter() - start,
            obtained_labels=labels,
            err=why,
            stdout=self.name,
        )

    def _certificate(self, context: VerificationContext) -> SmoothedCertificate:
        """Certify the data point once for all values of epsilon."""
        network, rows = context.network, context.data_point.data.detach().cpu().numpy()[None]
        model = _AnyBatch(network.load_pytorch_model(), network.get_input_shape()).eval()
        content = rows.tobytes(), state_digest(model.state_dict())  # weights may have changed
        if self._last is not None and self._last[0] is network and self._last[1] == content:
            return self._last[2]
        smoothed = SmoothedClassifier(model, self.sigma, measure="vote", outputs="raw")
        cert = smoothed.certify(rows, index=row_keys(rows), **self._asked)
        self._last = (network, content, cert)
        return cert


def _answer(cert: SmoothedCertificate, label: int, needed: float) -> tuple[VerificationResult, str]:
    """Return the result for an l2 distance, and the reason if it is not UNSAT."""
    selected, radius = int(cert.selected[0]), float(cert.class_radius[0])
    if not radius > 0.0:  # NaN: no class is certified
        return VerificationResult.TIMEOUT, cert.reason[0] or "the classifier abstains"
    if selected != label:
        return VerificationResult.SAT, f"the smoothed classifier has the class {selected}"
    if radius > needed:
        return VerificationResult.UNSAT, ""
    return (
        VerificationResult.TIMEOUT,
        f"the certified l2 radius {radius:.6g} is not above {needed:.6g}",
    )


def _l2(epsilon: float, n_pixels: int) -> float:
    """Return the largest l2 norm of a change by at most epsilon in each pixel, rounded up."""
    return float(np.nextafter(epsilon * math.sqrt(n_pixels) * (1.0 + 1e-15), np.inf))


class _AnyBatch(nn.Module):
    """A network of VERONA for batches of any size; the wrapper of VERONA has a fixed size."""

    def __init__(self, model: nn.Module, input_shape: Any) -> None:
        super().__init__()
        self.model = getattr(model, "torch_model", model)
        self.shape = tuple(int(size) for size in input_shape)[1:]

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of the model."""
        found: Tensor = self.model(x.reshape(len(x), *self.shape))
        if found.ndim != 2 or found.shape[1] < 2:
            raise ValueError(
                f"the network must return at least 2 classes, got shape {tuple(found.shape)}"
            )
        return found
