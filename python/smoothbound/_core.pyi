from collections.abc import Sequence
from typing import Any

from numpy import float64
from numpy.typing import NDArray

def cdf(z: NDArray[float64]) -> NDArray[float64]: ...
def quantile(p: NDArray[float64]) -> NDArray[float64]: ...
def tier() -> str: ...
def certifier(
    n_draws: int,
    *,
    sigma: float,
    alpha: float,
    a: float,
    b: float,
    side: str,
    bound: str,
    band: str,
    n_bins: int,
    radii: Sequence[float],
    thresholds: Sequence[float],
    threads: int,
) -> Certifier: ...

class Certifier:
    def __call__(self, scores: NDArray[Any]) -> tuple[NDArray[float64], NDArray[float64], int]: ...
