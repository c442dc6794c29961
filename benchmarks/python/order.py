"""Print what the permutation of rows of unknown history costs, for benchmarks/README.md.

Run it as `OMP_NUM_THREADS=1 python benchmarks/python/order.py`. One thread; processor time of the
two orders, taken in turns; the least of each.
"""

import time

import numpy as np

import smoothbound as sb

METHODS = {
    "tangent, one radius": {"bound": "tangent", "radii": [0.5]},
    "tangent, one threshold": {"bound": "tangent", "radii": [], "thresholds": [0.5]},
    "mean by betting": {"bound": "mean", "mean": "betting", "radii": [0.5]},
}
ORDERS = ("drawn", "unknown")


def cost(scores: np.ndarray, order: str, options: dict[str, object]) -> float:
    """Return the milliseconds of a row."""
    start = time.process_time()
    sb.certify_scores(scores, sigma=1.0, threads=1, order=order, **options)
    return (time.process_time() - start) / len(scores) * 1e3


def main() -> None:
    """Print the table."""
    print("| method | draws | kept, ms a row | permuted | ratio |\n|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for n, rows in [(1_000, 1000), (10_000, 100), (100_000, 10)]:
        scores = rng.beta(20, 1, size=(rows, n)).astype("f4")
        for name, options in METHODS.items():
            runs = [[cost(scores, order, options) for order in ORDERS] for _ in range(11)]
            kept, permuted = np.min(runs, axis=0)
            print(f"| {name} | {n} | {kept:.3f} | {permuted:.3f} | {permuted / kept:.2f} |")


if __name__ == "__main__":
    main()
