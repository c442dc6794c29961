"""A noise level for each input of a sketch of classes, and the ball on which it is constant."""

import copy
import json
import pickle
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothbound import ClassSketch

IDS = [2, 5, 9]
SIGMA = [0.25, 0.5, 0.25]
RADII = (0.0, 0.1, 0.4)
SCORES = np.random.default_rng(0).dirichlet([6.0, 2.0, 0.5], size=(3, 400)).astype(np.float32)
REACH = [0.05, np.inf, 0.2]


def counted(sigma=SIGMA, scores=SCORES, index=IDS, **options):
    return ClassSketch.from_scores(scores, sigma=sigma, index=index, edges=64, **options)


def assert_rows_are_alone(together, sketch, sigma, reach, **asked):
    """Each row has the bits of the certificate of its input alone, at one noise level."""
    for i, index in enumerate(sketch.index.tolist()):
        alone = ClassSketch(
            [sketch._rows[i]],
            index=[index],
            draws=sketch.draws[sketch.draws[:, 0] == index],
            classes=sketch.classes,
            edges=sketch.edges,
            sigma=sigma[i],
            displacement=sketch.displacement,
        ).certify(**asked, constant_within=reach[i])
        for part in [part.name for part in fields(together)]:
            mine, own = getattr(together, part), getattr(alone, part)
            if part not in ("settings", "sigma", "constant_within"):
                assert (mine is None) == (own is None)
                if mine is not None:
                    np.testing.assert_array_equal(mine[[i]], own, err_msg=part)
        np.testing.assert_array_equal(
            together.margin(over=sketch.classes)[[i]], alone.margin(over=sketch.classes)
        )


@settings(max_examples=25)
@given(data=st.data())
def test_each_input_is_certified_as_alone_at_its_level(data):
    n = data.draw(st.integers(1, 4))
    levels = st.sampled_from([0.1, 0.25, 0.3, 1.0])
    sigma = data.draw(st.lists(levels, min_size=n, max_size=n))
    distances = st.sampled_from([0.0, 0.05, 0.1, 0.2, 3.0, np.inf])
    reach = data.draw(st.lists(distances, min_size=n, max_size=n))
    strength = data.draw(st.lists(st.sampled_from([0.3, 2.0, 30.0]), min_size=3, max_size=3))
    classes = data.draw(st.sampled_from(["all", [2, 0]]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    scores = rng.dirichlet(strength, size=(n, data.draw(st.sampled_from([40, 300]))))
    sketch = counted(sigma, scores, np.arange(n) * 3, classes=classes)
    band = data.draw(st.sampled_from(["ell", "dkw"]))
    asked = {"radii": RADII, "alpha": 0.05, "band": band}
    together = sketch.certify(**asked, constant_within=reach)
    np.testing.assert_array_equal(together.sigma, sigma)
    assert together.settings.sigma == min(sigma)
    assert_rows_are_alone(together, sketch, sigma, reach, **asked)


def test_the_lattice_point_of_an_input_is_allowed_for():
    near = counted()
    sketch = ClassSketch(
        near._rows,
        index=IDS,
        draws=near.draws,
        classes=near.classes,
        edges=near.edges,
        sigma=SIGMA,
        displacement=0.01,
    )
    together = sketch.certify(radii=RADII)
    assert (together.class_radius < near.certify().class_radius).all()
    assert_rows_are_alone(together, sketch, SIGMA, [np.inf] * 3, radii=RADII)


def test_nothing_is_certified_beyond_the_ball():
    free, held = counted().certify(radii=RADII), counted(constant_within=REACH).certify(radii=RADII)
    reach, beyond = np.array(REACH), np.array(RADII) > np.array(REACH)[:, None]
    assert (free.top_radius > reach).any()
    assert (free.class_radius > reach).any()
    np.testing.assert_array_equal(held.top_radius, np.minimum(free.top_radius, reach))
    np.testing.assert_array_equal(held.class_radius, np.minimum(free.class_radius, reach))
    np.testing.assert_array_equal(held.lower, np.where(beyond[:, None], 0.0, free.lower))
    np.testing.assert_array_equal(held.upper, np.where(beyond[:, None], 1.0, free.upper))
    assert (held.margin()[beyond] < -1.0).all()
    np.testing.assert_array_equal(held.margin()[~beyond], free.margin()[~beyond])
    np.testing.assert_array_equal(held.constant_within, reach)
    assert free.constant_within is None
    assert "sigma from 0.25 to 0.5, alpha" in repr(held)
    stated = counted().certify(radii=RADII, constant_within=REACH)
    np.testing.assert_array_equal(stated.lower, held.lower)
    np.testing.assert_array_equal(stated.top_radius, held.top_radius)
    one = counted(0.25, constant_within=0.05).certify()
    assert (one.sigma, one.top_radius.max()) == (None, 0.05)


def test_the_ball_matters():
    """The noise is 1 here and 0.01 from a jump on: the radii are false beyond it without a ball.

    The first class has the score 1 outside (0.99, 1.1). The input is 0.9, and sigma jumps at 1.
    """
    rng = np.random.default_rng(0)

    def scores(x, sigma):
        seen = x + sigma * rng.normal(size=(1, 4000))
        second = (seen > 0.99) & (seen < 1.1)
        return np.stack([1.0 - second, second], axis=2)

    free = ClassSketch.from_scores(scores(0.9, 1.0), sigma=[1.0]).certify()
    held = ClassSketch.from_scores(scores(0.9, 1.0), sigma=[1.0], constant_within=[0.1]).certify()
    there = ClassSketch.from_scores(scores(1.05, 0.01), sigma=[0.01])
    assert there.votes[0, 1] == 4000
    assert free.top.tolist() == held.top.tolist() == [0]
    assert free.top_radius[0] > 0.15  # false: it reaches 1.05
    assert held.top_radius[0] == held.class_radius[0] == 0.1


def test_levels_may_be_stated_when_certified():
    sketch = counted(None)
    assert sketch.sigma is None
    made, known = sketch.certify(sigma=SIGMA, radii=RADII), counted().certify(radii=RADII)
    np.testing.assert_array_equal(made.lower, known.lower)
    np.testing.assert_array_equal(counted().certify(sigma=SIGMA).sigma, SIGMA)
    with pytest.raises(ValueError, match="sigma must be given"):
        sketch.certify()


def test_parts_keep_the_levels_and_the_ball():
    whole = counted(constant_within=REACH)
    early = counted(scores=SCORES[:, :100], constant_within=REACH)
    late = counted(SIGMA[1:], SCORES[1:, 100:], IDS[1:], first_draw=100, constant_within=REACH[1:])
    one = counted(SIGMA[:1], SCORES[:1, 100:], IDS[:1], first_draw=100, constant_within=REACH[:1])
    assert early + late + one == whole
    assert one + (late + early) == whole
    assert whole.select([5, 9]).sigma.tolist() == [0.5, 0.25]
    assert whole.select([5, 9]).constant_within.tolist() == [np.inf, 0.2]
    assert whole.select([5]).constant_within is None
    assert whole.select([5]) == counted(0.5, SCORES[1:2], [5])
    others = counted(0.5, SCORES[:1], [7])  # one level and no limit
    both = whole + others
    assert both.sigma.tolist() == [0.25, 0.5, 0.5, 0.25]
    assert both.constant_within.tolist() == [0.05, np.inf, np.inf, 0.2]
    assert both.select([7]) == others
    assert both.select(IDS) == whole
    assert whole != counted()
    assert whole != counted([0.25, 0.5, 0.5], constant_within=REACH)
    assert counted([0.5] * 3) == counted(0.5)


@pytest.mark.parametrize(
    ("change", "need"),
    [
        ({"sigma": [0.25, 0.25, 0.25]}, "levels sigma of input 5 differ: 0.5 and 0.25"),
        ({"sigma": 0.25}, "levels sigma of input 5 differ: 0.5 and 0.25"),
        ({"sigma": None}, "levels sigma differ: .* and None"),
        ({"constant_within": [0.05, 1.0, 0.2]}, "constant_within of input 5 is inf in one and 1"),
        ({"constant_within": None}, "constant_within of input 2 is 0.05 in one and inf in the"),
    ],
)
def test_parts_that_contradict_each_other_do_not_merge(change, need):
    other = counted(**{"sigma": SIGMA, "constant_within": REACH, "first_draw": 400} | change)
    with pytest.raises(ValueError, match=f"cannot merge these sketches: .*{need}"):
        counted(constant_within=REACH) + other


@pytest.mark.parametrize(
    ("options", "kind", "need"),
    [
        ({"sigma": [0.5]}, ValueError, "sigma must have one number for each of the 3 inputs"),
        ({"sigma": [0.5, 0.5, 0.0]}, ValueError, r"got sigma\[2\] = 0"),
        ({"sigma": np.ones((3, 1))}, TypeError, "sigma must be numbers in one dimension"),
        ({"constant_within": [0.1]}, ValueError, "constant_within must have one number for each"),
        ({"constant_within": -0.1}, ValueError, "constant_within must be at least 0"),
        ({"constant_within": np.nan}, ValueError, "constant_within must be at least 0"),
    ],
)
def test_refuses(options, kind, need):
    with pytest.raises(kind, match=need):
        counted(**options)
    with pytest.raises(kind, match=need):
        counted(None).certify(**{"sigma": 0.5} | options)


def test_other_values_than_those_of_the_draws_are_refused():
    sketch = counted(constant_within=REACH)
    with pytest.raises(ValueError, match=r"that of the draws of input 5, 0\.5, got 0\.25"):
        sketch.certify(sigma=0.25)
    with pytest.raises(ValueError, match=r"that of the draws of input 9, 0\.25, got 1\.0"):
        sketch.certify(sigma=[0.25, 0.5, 1.0])
    with pytest.raises(ValueError, match=r"equal that of the sketch, 0\.05 in row 0, got 0\.1"):
        sketch.certify(constant_within=[0.1, np.inf, 0.2])
    sketch.certify(sigma=SIGMA, constant_within=REACH)
    with pytest.raises(ValueError, match="does not record that limit: certify all classes"):
        sketch.sketch_of(0)
    one = counted().sketch_of(0)
    np.testing.assert_array_equal(one.sigma, SIGMA)


def test_files_keep_both(tmp_path):
    pytest.importorskip("pyarrow")
    sketch = counted(constant_within=REACH)
    sketch.save(tmp_path / "a.parquet")
    again = ClassSketch.load(tmp_path / "a.parquet")
    assert again == sketch
    assert again.sigma.tolist() == SIGMA
    assert again.constant_within.tolist() == REACH


def test_older_files_have_one_level_and_no_ball(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    from smoothbound._files import sealed

    path = tmp_path / "a.parquet"
    counted(0.5).save(path)
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"smoothbound"]) | {"format": 1}
    del about["constant_within"]
    sealed.write_table(table.replace_schema_metadata({b"smoothbound": json.dumps(about)}), path)
    assert ClassSketch.load(path) == counted(0.5)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))]
)
def test_a_copy_is_equal_and_takes_no_writes_either(copied):
    sketch = ClassSketch.from_scores(
        np.full((2, 50, 2), 0.5), sigma=[0.25, 0.5], constant_within=[0.1, np.inf]
    )
    made = copied(sketch)
    assert made == sketch
    for name in ("index", "classes", "edges", "draws", "constant_within", "sigma"):
        assert not getattr(made, name).flags.writeable
