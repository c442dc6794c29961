"""Counts of all classes made while the model draws: those of the same draws, counted one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import smoothbound as sb
from smoothbound import ScoreSketch, SmoothedClassifier
from smoothbound.classes import _device_counts
from smoothbound.classes._arguments import default_edges
from smoothbound.classes._device_counts import ClassCounter
from smoothbound.errors import ModelError
from smoothbound.sampling._batches import Batches
from smoothbound.sketch._draws.device_counts import CellFinder

WEIGHTS = torch.tensor([[3.0, -1.0], [0.5, 2.0], [-2.0, 0.0], [0.0, 0.1]])
X = torch.tensor([[0.5, -0.2], [0.0, 0.4], [-0.7, 0.1]])


def model(x):
    # A product by hand, whose bits do not depend on the number of rows.
    return (x.unsqueeze(1) * WEIGHTS.to(x.device)).sum(dim=2)


def smoothed(**options):
    return SmoothedClassifier(model, 0.5, **{"batch_size": 64} | options)


def counted(classes="all", *, x=X, n=300, n0=20, **options):
    cert = smoothed(**options).certify(x, n=n, n0=n0, seed=3, classes=classes)
    return cert.class_sketch()


def of_class(k):
    return sb.custom(lambda p, y: p[:, k], (0.0, 1.0), name=f"class {k}")


def test_counts_are_those_of_each_class_drawn_alone():
    sketch = counted()
    assert sketch.n_draws.tolist() == [300] * 3
    for k in range(4):
        for i in range(3):
            draws = smoothed(measure=of_class(k), select="score").draw(
                X[i], n=300, n0=20, seed=3, index=i
            )
            one = ScoreSketch([i], edges=sketch.edges)
            one.update(draws.scores[None])
            assert np.array_equal(sketch.counts(i, k), one.counts[0]), (i, k)
    votes = smoothed().votes(X, n=300, seed=3)
    assert np.array_equal(sketch.votes, np.pad(votes, ((0, 0), (0, 4 - votes.shape[1]))))


@pytest.mark.parametrize("batch_size", [1, 7, 320, 1000])
def test_counts_do_not_depend_on_the_batches(batch_size):
    assert counted(batch_size=batch_size) == counted()


def test_counts_do_not_depend_on_the_other_inputs():
    both = counted()
    one = smoothed().certify(X[1:2], n=300, n0=20, seed=3, classes="all", index=[1])
    assert one.class_sketch() == both.select([1])


@settings(max_examples=25, deadline=None)
@given(
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    batch_size=st.integers(2, 150),
    n=st.integers(20, 150),
    n0=st.integers(1, 30),
    room=st.integers(1, 200),
    classes=st.one_of(st.just("all"), st.lists(st.integers(0, 3), min_size=1, unique=True)),
    on_device=st.booleans(),
)
@pytest.mark.filterwarnings("ignore:out of memory")
def test_counts_are_those_of_all_scores_kept(dtype, batch_size, n, n0, room, classes, on_device):
    def short_of_memory(x):
        if len(x) > room:
            raise torch.cuda.OutOfMemoryError
        return model(x).to(dtype)

    kept, sent = {}, Batches._sent

    def keeping(self, segments, record, outputs):
        for one in segments:
            if one.stream.name == "ESTIMATION":
                own = torch.cat([outputs[one.rows].float(), record[1:2, one.rows].float().T], dim=1)
                kept.setdefault(one.input.item.index, []).append(own)
        return sent(self, segments, record, outputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batches, "_sent", keeping)
        if on_device:  # the way of other devices, here on the CPU
            finder = CellFinder(torch.device("cpu"), default_edges())
            patch.setattr(
                _device_counts,
                "_HostTable",
                lambda _, *of: _device_counts._DeviceTable(finder, *of),
            )
        made = SmoothedClassifier(short_of_memory, 0.5, batch_size=batch_size)
        sketch = made.certify(X, n=n, n0=n0, alpha=0.2, classes=classes).class_sketch()
    rows = torch.stack([torch.cat(kept[i]) for i in range(3)])
    assert rows.shape == (3, n, 5)
    plain = sb.ClassSketch.from_scores(rows[:, :, :4], classes=classes)
    assert [sketch.counts(i).tolist() for i in range(3)] == [
        plain.counts(i).tolist() for i in range(3)
    ]
    votes = [np.bincount(own[:, 4].long(), minlength=4)[sketch.classes] for own in rows]
    assert np.array_equal(sketch.votes, votes)


def test_some_classes_are_those_among_all():
    every, some = counted(), counted([3, 0])
    assert some.classes.tolist() == [3, 0]
    assert some.n_model_classes == 4
    assert np.array_equal(some.votes, every.votes[:, [3, 0]])
    for i in range(3):
        assert np.array_equal(some.counts(i), every.counts(i)[[3, 0]])


def test_the_certificate_of_the_selected_class_stays_the_same():
    options = {"n": 300, "n0": 20, "radii": [0.0, 0.1], "thresholds": [0.4]}
    one, other = (smoothed().certify(X, **options, classes=c) for c in (None, "all"))
    assert np.array_equal(one.lower, other.lower)
    assert np.array_equal(one.radius, other.radius, equal_nan=True)
    assert np.array_equal(other.class_sketch().votes[[0, 1, 2], other.selected], other.top_count)


def test_probabilities_and_other_measures_count_scores():
    wanted = counted()
    probable = SmoothedClassifier(
        lambda x: model(x).softmax(dim=1), 0.5, outputs="probabilities", batch_size=64
    )
    made = probable.certify(X, n=300, n0=20, seed=3, classes="all").class_sketch()
    # torch's softmax rounds in another way, so that a score near an edge may change its cell.
    assert np.abs(made.at_least(0.5) - wanted.at_least(0.5)).max() <= 1
    assert np.array_equal(made.votes, wanted.votes)
    assert counted(measure="margin") == wanted
    assert counted(measure="vote") == wanted


def test_an_input_that_fails_is_left_out():
    def fails(x):
        out = model(x)
        return torch.where((x[:, :1] > 50), torch.nan, out)

    x = torch.cat([X[:1], torch.full((1, 2), 100.0), X[2:]])
    cert = SmoothedClassifier(fails, 0.5, batch_size=64).certify(
        x, n=300, n0=20, seed=3, classes="all"
    )
    assert cert.status[1] == "failed"
    assert cert.class_counts[1] == b""
    assert cert.class_sketch() == counted().select([0, 2])


def test_certificates_keep_the_counts_in_their_file(tmp_path):
    cert = smoothed().certify(X, n=300, n0=20, classes=[2, 1])
    cert.save(tmp_path / "a.parquet")
    again = sb.Certificate.load(tmp_path / "a.parquet")
    assert again == cert
    assert again.settings.classes == (2, 1)
    assert again.class_sketch() == cert.class_sketch()
    assert again[1:].class_sketch() == cert.class_sketch().select([1, 2])
    assert "class_counts" not in cert.to_pandas().columns


def test_inputs_in_another_order_have_their_own_counts():
    cert = smoothed().certify(X.flip(0), n=300, n0=20, seed=3, classes="all", index=[2, 1, 0])
    assert cert.class_sketch() == counted()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": [4]}, "classes must be among the 4 classes of the model, 0 to 3, got 4"),
        ({"classes": [0, 0]}, "classes must name each class once"),
        ({"classes": "every"}, "classes must be 'all' or numbers"),
        ({"index": [5, 1, 5]}, "index must name each input once .* got 5 more than once"),
        (
            {"adaptive": True, "thresholds": [0.5]},
            "classes must be left out with adaptive draws: the scores decide",
        ),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        smoothed().certify(X, **{"classes": "all", "n": 300, "n0": 20} | change)


def test_raw_outputs_are_no_scores():
    raw = smoothed(outputs="raw", measure=sb.custom(lambda p, y: p[:, 0].sigmoid(), (0, 1)))
    with pytest.raises(ValueError, match="classes must be left out with outputs='raw'"):
        raw.certify(X, n=300, classes="all")


def test_a_certificate_without_counts_says_so():
    cert = smoothed().certify(X, n=300, n0=20)
    with pytest.raises(ValueError, match="certify with classes"):
        cert.class_sketch()
    with pytest.raises(ModelError):
        SmoothedClassifier(lambda x: model(x) * torch.nan, 0.5).certify(X, n=300, classes="all")


@pytest.mark.parametrize("classes", ["all", (3, 0)])
def test_tables_of_the_host_and_of_devices_are_alike(classes, monkeypatch):
    edges = default_edges()
    at = edges.astype(np.float32)
    near = np.concatenate([at, np.nextafter(at, -1), np.nextafter(at, 2)]).clip(0, 1)
    scores = torch.from_numpy(np.resize(near, (near.size // 4 + 1, 4)))
    scores = torch.cat([scores, torch.rand(500, 4, generator=torch.Generator().manual_seed(0))])
    tables = []
    for limit, finder in ((None, None), (2**20, CellFinder), (7, CellFinder)):
        counter = ClassCounter(torch.device("cpu"), classes, edges)
        if finder is not None:
            monkeypatch.setattr(_device_counts, "_HostTable", _device_counts._DeviceTable)
            monkeypatch.setattr(_device_counts, "_AT_ONCE", limit)
            counter._counts = finder(torch.device("cpu"), edges)
        counter.add(5, scores[:100], scores[:100].argmax(dim=1))
        counter.add(5, scores[100:], scores[100:].argmax(dim=1))
        tables.append(counter.take(5))
    assert torch.equal(tables[0], tables[1])
    assert torch.equal(tables[0], tables[2])
