"""The counts of one input: the table, its entries of 16 bits and its bytes say the same."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from smoothbound.classes._arguments import MAX_BINS, default_edges
from smoothbound.classes._rows import ClassRows

COUNTS = st.one_of(
    st.just(0), st.sampled_from([1, 65_535, 65_536, 131_072, 2**32 - 1]), st.integers(0, 2**32 - 1)
)


@st.composite
def tables(draw):
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    return draw(arrays.arrays(np.int64, shape, elements=COUNTS))


def slow_entries(table):
    return [
        (k, j, half)
        for k, row in enumerate(table.tolist())
        for j, count in enumerate(row)
        if count
        for half in [count % 2**16, *([count // 2**16] if count >= 2**16 else [])]
    ]


@settings(max_examples=100)
@given(tables())
def test_a_table_comes_back(table):
    rows = ClassRows.of_table(table)
    which = np.repeat(np.arange(len(table)), rows.lengths)
    entries = zip(which.tolist(), rows.columns.tolist(), rows.counts.tolist(), strict=True)
    assert list(entries) == slow_entries(table)
    rows.check(*table.shape)
    assert rows.table(table.shape[1]).tolist() == table.tolist()
    again = ClassRows.unpack(rows.pack())
    assert again.table(table.shape[1]).tolist() == table.tolist()
    assert rows.nbytes == 2 * len(table) + 4 * len(slow_entries(table))


def test_bytes_that_no_table_makes_are_refused():
    table = [[1, 0, 70_000], [0, 2, 2]]
    packed = ClassRows.of_table(np.array(table)).pack()
    for i in range(len(packed)):
        for bit in range(8):
            damaged = bytearray(packed)
            damaged[i] ^= 1 << bit
            with suppress(ValueError):  # or the bit is one of those that fill the last byte
                rows = ClassRows.unpack(bytes(damaged))
                assert (rows.n_model_classes, rows.table(3).tolist()) == (2, table)
    for length in range(len(packed)):
        with pytest.raises(ValueError, match=r"."):
            ClassRows.unpack(packed[:length])
    with pytest.raises(ValueError, match="more than memory"):
        ClassRows.unpack(b"\xff" * 8)


@pytest.mark.parametrize(
    ("lengths", "columns", "counts", "message"),
    [
        ([1], [0], [1], "1 classes"),
        ([1, 1], [0], [1], "do not add up"),
        ([1, 1], [0, 3], [1, 1], "a column is 3"),
        ([2, 0], [1, 0], [1, 1], "do not ascend"),
        ([3, 0], [1, 1, 1], [1, 1, 1], "do not ascend"),
        ([1, 1], [1, 1], [1, 0], "an entry is 0"),
        ([2, 0], [1, 1], [1, 0], "an entry is 0"),
    ],
)
def test_entries_that_no_table_makes_are_refused(lengths, columns, counts, message):
    rows = ClassRows(2, *(np.array(part, np.uint16) for part in (lengths, columns, counts)))
    with pytest.raises(ValueError, match=message):
        rows.check(2, 3)


def test_the_default_edges_are_float32_and_ascend():
    edges = default_edges()
    assert (np.diff(edges) > 0).all()
    assert np.array_equal(edges, edges.astype(np.float32))
    assert edges.size - 1 <= MAX_BINS
    # The columns are numbered in 16 bits, and a class has at most two entries a column.
    assert 2 * (2 * (MAX_BINS + 1)) < 2**16
