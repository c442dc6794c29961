"""What a certificate is like in the hand: its table, its frame, its text, its parts."""

from __future__ import annotations

import numpy as np
import pytest

import smoothbound as sb

SCORES = np.random.default_rng(0).beta(5, 2, (4, 500))


def test_columns_of_a_frame_are_named_by_all_digits_and_never_merge() -> None:
    pytest.importorskip("pandas")
    cert = sb.certify_scores(
        SCORES,
        sigma=0.25,
        radii=[0.0308642, 0.030864197530864196, 1 / 3, 1 / 3],
        thresholds=[0.1234567, 0.12345671],
    )
    frame = cert.to_pandas()
    assert list(frame) == [
        "lower@0.0308642",
        "lower@0.030864197530864196",
        "lower@0.3333333333333333",
        "lower@0.3333333333333333",
        "radius@0.1234567",
        "radius@0.12345671",
    ]
    np.testing.assert_array_equal(frame.to_numpy(), np.hstack([cert.lower, cert.radius]))
