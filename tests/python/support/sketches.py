"""What the tests of sketches share."""

import numpy as np
from hypothesis import strategies as st

from smoothbound import ScoreSketch


def slow_counts(scores, edges):
    scores = np.asarray(scores, dtype=np.float64)
    counts = []
    for j, edge in enumerate(edges):
        counts.append(int(np.count_nonzero(scores == edge)))
        if j + 1 < len(edges):
            counts.append(int(np.count_nonzero((scores > edge) & (scores < edges[j + 1]))))
    return counts


edge_lists = st.one_of(
    st.sampled_from([1, 2, 7, 16, 1000]),
    st.lists(st.floats(0, 1), max_size=30).map(lambda x: sorted({0.0, 1.0, *(abs(v) for v in x)})),
)


@st.composite
def sketched(draw):
    """Edges, and scores that often lie on or beside them."""
    edges = draw(edge_lists)
    at = ScoreSketch(edges=edges).edges
    near = np.concatenate([at, np.nextafter(at, -1), np.nextafter(at, 2)]).clip(0, 1)
    element = st.one_of(st.floats(0, 1), st.sampled_from(near.tolist()))
    scores = np.array(draw(st.lists(element, min_size=6, max_size=80)))
    kind = draw(st.sampled_from(["float16", "float32", "float64"]))
    return edges, scores.astype(kind)


@st.composite
def parts_of_draws(draw):
    """Three sketches of different draws of some of the same inputs."""
    seed = draw(st.integers(0, 1000))
    scores = np.random.default_rng(seed).choice([0.0, 0.1, 0.25, 0.7, 1.0], (4, 60))
    owner = np.random.default_rng(seed + 1).integers(0, draw(st.integers(1, 4)), (4, 6))
    sketches = []
    for part in range(3):
        inputs = np.flatnonzero(draw(st.lists(st.booleans(), min_size=4, max_size=4)))
        inputs = inputs if inputs.size else np.array([part])
        sketch = ScoreSketch(inputs, edges=8, selected=inputs + 3)
        for i in inputs:
            for block in np.flatnonzero(owner[i] == part):
                at = slice(10 * block, 10 * block + 10)
                sketch.update(scores[i : i + 1, at], index=[i], first_draw=10 * block)
        sketches.append(sketch)
    return sketches


def bits(sketch):
    arrays = (sketch.index, sketch.selected, sketch.draws, sketch.counts, sketch.edges)
    return [(array.dtype, array.shape, array.tobytes()) for array in arrays]


def filled(first=0, n=10, **arguments):
    sketch = ScoreSketch(**{"index": [1, 5], **arguments})
    a, b = sketch.score_range
    sketch.update(np.full((2, n), (a + b) / 2), first_draw=first)
    return sketch
