from collections.abc import Sequence
from typing import Any

from numpy import bool_, float64, int32, int64, uint32, uint64
from numpy.typing import NDArray

def cdf(z: NDArray[float64]) -> NDArray[float64]: ...
def quantile(p: NDArray[float64]) -> NDArray[float64]: ...
def tier() -> str: ...
def ell_level(n_draws: int, alpha: float, n_bins: int, two_sided: bool) -> float: ...
def ell_failure(n_draws: int, level: float, n_bins: int, two_sided: bool) -> float: ...
def stay_probability(
    n_draws: int,
    lower_ranks: list[int],
    lower: NDArray[float64],
    upper_ranks: list[int],
    upper: NDArray[float64],
) -> float: ...

class ConfidenceBand:
    def __init__(
        self, kind: str, n_draws: int, alpha: float, n_bins: int, level: float
    ) -> None: ...
    def quantile(self, count: int) -> float: ...

class TangentBound:
    knots: NDArray[float64]
    z: NDArray[float64]
    stake: float
    def __init__(
        self, mean: str, alpha: float, pilot: NDArray[float64], draws: NDArray[float64]
    ) -> None: ...
    def __call__(self, r: float) -> float: ...
    def certified_radius(self, target: float) -> float: ...

class JointBound:
    choices: tuple[
        NDArray[float64],
        list[NDArray[float64]],
        NDArray[float64],
        NDArray[float64],
        NDArray[float64],
    ]
    def __init__(self, alpha: float, pilot: NDArray[float64], draws: NDArray[float64]) -> None: ...
    def __call__(self, r: float) -> float: ...
    def certified_radius(self, target: float) -> float: ...

class AimedBets:
    lines: NDArray[float64]
    scales: NDArray[float64]
    def __init__(self, alpha: float) -> None: ...
    def __call__(self, draws: NDArray[float64]) -> float: ...

anytime_knots: NDArray[float64]

class DrawRecord:
    a: float
    b: float
    side: str
    n_draws: int
    n_guess: int
    n_looks: int
    looks: NDArray[uint64]
    guessed: NDArray[uint64]
    between_looks: NDArray[uint32]
    since_last_look: NDArray[uint64]
    def __init__(self, a: float, b: float, side: str) -> None: ...
    def guess(self, scores: NDArray[Any]) -> int: ...
    def add(self, scores: NDArray[Any]) -> int: ...
    def to_bytes(self) -> bytes: ...

def record_from_bytes(state: bytes) -> DrawRecord: ...

class EProcess:
    log_wealth: float
    highest: float
    growth: float
    stake: float
    null_mean: float
    z: NDArray[float64]
    weights: NDArray[float64]
    def __init__(self, target: float, r: float, first: int = 0) -> None: ...
    def advance(self, record: DrawRecord, alpha: float) -> int: ...

def estimate_functional(record: DrawRecord, r: float) -> tuple[float, float]: ...
def test_rows(
    scores: NDArray[Any],
    *,
    targets: NDArray[float64],
    r: NDArray[float64],
    chained: NDArray[bool_],
    alpha: float,
    a: float,
    b: float,
    side: str,
    n_guess: int,
    order: str,
    seed: int,
    first_row: int,
    threads: int,
) -> tuple[NDArray[uint64], int]: ...

class Plan:
    def __init__(
        self,
        n_draws: int,
        *,
        sigma: float,
        alpha: float,
        a: float,
        b: float,
        side: str,
        bound: str,
        band: ConfidenceBand | None,
        mean: str,
        n_pilot: int,
        order: str,
        seed: int,
        radii: Sequence[float],
        thresholds: Sequence[float],
        threads: int,
        curve: Curve | None = None,
    ) -> None: ...
    def certify(
        self, scores: NDArray[Any], first_row: int = 0
    ) -> tuple[NDArray[float64], NDArray[float64], int]: ...

class Curve:
    def __init__(
        self,
        kind: str,
        pixels: int = 0,
        kept: int = 0,
        radii: Sequence[float] = (),
        p: Sequence[float] = (),
        values: NDArray[float64] = ...,
    ) -> None: ...
    def lower(self, p: float, q: float, r: float) -> float: ...

class ScoreCounter:
    def __init__(self, edges: NDArray[float64]) -> None: ...
    def count(self, scores: NDArray[Any], counts: NDArray[uint32], threads: int) -> int: ...

def bound_counts(
    edges: NDArray[float64],
    counts: NDArray[uint32],
    *,
    sigma: float,
    alpha: float,
    side: str,
    band: ConfidenceBand,
    radii: NDArray[float64],
    thresholds: NDArray[float64],
    threads: int,
    curve: Curve | None = None,
) -> tuple[NDArray[float64], NDArray[float64]]: ...
def bound_levels(
    scores: NDArray[Any],
    *,
    statistic: str,
    levels: NDArray[float64],
    sigma: float,
    alpha: float,
    a: float,
    b: float,
    side: str,
    radii: NDArray[float64],
    thresholds: NDArray[float64],
    threads: int,
    curve: Curve | None = None,
) -> tuple[NDArray[float64], NDArray[float64], int]: ...
def bound_level_counts(
    edges: NDArray[float64],
    counts: NDArray[uint32],
    n_draws: int,
    *,
    statistic: str,
    levels: NDArray[float64],
    sigma: float,
    alpha: float,
    side: str,
    radii: NDArray[float64],
    thresholds: NDArray[float64],
    threads: int,
    curve: Curve | None = None,
) -> tuple[NDArray[float64], NDArray[float64]]: ...
def binomial_quantile(k: int, n_draws: int, alpha: float) -> float: ...

class LatticeNoise:
    def __init__(self, high: NDArray[int32], low: NDArray[uint64], steps: float) -> None: ...
    def add(
        self,
        points: NDArray[int32],
        rows: NDArray[int64],
        indices: NDArray[int64],
        draws: NDArray[int64],
        streams: NDArray[int64],
        out: NDArray[Any],
        *,
        seed: int,
        threads: int,
    ) -> None: ...

def add_gaussian(
    points: NDArray[Any],
    rows: NDArray[int64],
    indices: NDArray[int64],
    draws: NDArray[int64],
    streams: NDArray[int64],
    out: NDArray[Any],
    *,
    sigma: float,
    seed: int,
    threads: int,
) -> None: ...
