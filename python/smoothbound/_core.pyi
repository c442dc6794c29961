from typing import Any

from numpy import float64
from numpy.typing import NDArray

def cdf(z: NDArray[float64]) -> NDArray[float64]: ...
def quantile(p: NDArray[float64]) -> NDArray[float64]: ...
def tier() -> str: ...
def certify(
    scores: NDArray[Any],
    *,
    sigma: float,
    alpha: float,
    a: float,
    b: float,
    side: str,
    bound: str,
    band: str,
    mean: str,
    n_pilot: int,
    n_bins: int,
    radii: NDArray[float64],
    thresholds: NDArray[float64],
    threads: int,
) -> tuple[NDArray[float64], NDArray[float64], int]: ...
