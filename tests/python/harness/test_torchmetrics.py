"""Metrics of torchmetrics: the means of the certificates, by the rules of that library."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchmetrics = pytest.importorskip("torchmetrics")

import ranks  # noqa: E402
from forks import run  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor  # noqa: E402
from two_classes import SIGMA, inputs, model  # noqa: E402

import smoothbound as sb  # noqa: E402
from smoothbound.harness import (  # noqa: E402
    CertifiedAccuracy,
    CertifiedConfidence,
    CertifiedRadius,
)
from smoothbound.harness._torchmetrics._fixed_point import (  # noqa: E402
    UNITS,
    float32_below,
    mean_of_rows,
    whole_units,
)

X0 = (1.5, 0.6, 0.02, -0.8, -2.0)  # the third is abstained from
TARGET = torch.tensor([0, 0, 0, 0, 1])  # the fourth is of class 1
RADII = (0.1, 0.4)
THRESHOLDS = (0.5, 0.7)
KINDS = [
    lambda **options: CertifiedAccuracy(SIGMA, RADII, **options),
    lambda **options: CertifiedAccuracy(SIGMA, 0.1, 0.7, **options),
    lambda **options: CertifiedConfidence(SIGMA, RADII, **options),
    lambda **options: CertifiedRadius(SIGMA, THRESHOLDS, **options),
]


@pytest.fixture(scope="module")
def cert() -> sb.SmoothedCertificate:
    smoothed = sb.SmoothedClassifier(model, SIGMA)
    return smoothed.certify(inputs(*X0), n=2000, radii=RADII, thresholds=THRESHOLDS, index=range(5))


@pytest.fixture(scope="module")
def draws() -> Tensor:
    """Return probabilities of three classes: 7 inputs, 400 draws each."""
    made = torch.Generator().manual_seed(3)
    logits = torch.randn((7, 400, 3), generator=made)
    logits[range(7), :, [0, 1, 2, 0, 1, 2, 0]] += torch.arange(7.0)[:, None]
    return logits.softmax(dim=2)


LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 1])


# --- the numbers ----------------------------------------------------------------------------------


def test_the_metrics_are_the_means_of_the_certificate(cert: sb.SmoothedCertificate) -> None:
    right = cert.predicted == TARGET.numpy()
    assert right.tolist() == [True, True, False, False, True]
    accuracy, at_one, confidence, radius = (make() for make in KINDS)
    for metric in (accuracy, at_one, confidence, radius):
        metric.update(cert, TARGET)
    expected = (right[:, None] & (cert.lower > 0.5)).mean(axis=0)
    np.testing.assert_allclose(accuracy.compute(), expected, rtol=1e-6)
    assert at_one.compute().shape == ()
    assert at_one.compute() == pytest.approx((right & (cert.lower[:, 0] > 0.7)).mean(), rel=1e-6)
    expected = np.where(right[:, None], cert.lower, 0.0).mean(axis=0)
    np.testing.assert_allclose(confidence.compute(), expected, rtol=1e-6)
    assert (confidence.compute().double().numpy() <= expected).all()  # rounded down
    expected = np.where(right[:, None], np.nan_to_num(cert.radius), 0.0).mean(axis=0)
    np.testing.assert_allclose(radius.compute(), expected, rtol=1e-6)
    assert (radius.compute().double().numpy() <= expected).all()


def test_draws_count_like_their_certificate(cert: sb.SmoothedCertificate) -> None:
    smoothed = sb.SmoothedClassifier(model, SIGMA)
    drawn = [smoothed.draw(x, n=2000, index=i) for i, x in enumerate(inputs(*X0))]
    for make in KINDS:
        by_draws, by_certificate = make(), make()
        by_draws.update(drawn, TARGET)
        by_certificate.update(cert, TARGET)
        torch.testing.assert_close(by_draws.compute(), by_certificate.compute(), rtol=0, atol=0)
    alone = KINDS[0]()
    for one, label in zip(drawn, TARGET, strict=True):
        alone.update(one, label)
    by_draws = KINDS[0]()
    by_draws.update(drawn, TARGET)
    assert alone.compute().tolist() == by_draws.compute().tolist()


@pytest.mark.parametrize("measure", ["score", "margin", "vote"])
def test_probabilities_are_certified_as_their_scores(draws: Tensor, measure: str) -> None:
    n0 = 60
    mean, votes = draws[:, :n0].mean(dim=1), draws[:, :n0].argmax(dim=2).mode(dim=1).values
    selected = votes if measure == "vote" else mean.argmax(dim=1)
    rest = draws[:, n0:].double()
    own = rest[range(7), :, selected]
    others = rest.scatter(2, selected[:, None, None].expand(7, 340, 1), -1.0).amax(dim=2)
    scores = {"score": own, "margin": own - others, "vote": (own > others).double()}[measure]
    asked = sb.measures.measure(measure)
    expected = sb.certify_scores(
        scores.float(),
        sigma=0.25,
        score_range=asked.score_range,
        radii=[0, 0.05],
        order="drawn",
        **({"bound": "mean", "mean": "betting"} if measure == "vote" else {}),
    ).lower
    right = (selected == LABELS).numpy() & (expected[:, 0] > asked.cutoff)
    assert 1 < right.sum() < 7
    metric = CertifiedConfidence(0.25, 0.05, measure=measure, n0=n0)
    metric.update(draws, LABELS)
    least = asked.score_range[0]
    mean = np.where(right, expected[:, 1], least).mean()
    assert float(metric.compute()) == pytest.approx(mean, abs=1e-6)


def test_the_vote_gives_the_average_certified_radius(draws: Tensor) -> None:
    metric = CertifiedRadius(0.25, measure="vote")
    metric.update(draws, LABELS)
    right = draws.argmax(dim=2)[:, 100:] == LABELS[:, None]
    upper = sb.smoothing.class_radius(right.sum(dim=1).numpy(), 300, sigma=0.25, alpha=1e-3)
    mean = np.nan_to_num(upper).mean()
    assert 0.9 * mean < float(metric.compute()) <= mean  # a band is looser than one binomial bound


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=9),
)
def test_means_are_exact_and_rounded_down(terms: list[tuple[float, int]]) -> None:
    values = np.array([value for value, _ in terms])
    counts = np.array([count for _, count in terms])
    sums = (whole_units(values) * counts)[:, None]
    means = mean_of_rows(sums, counts)
    if not counts.any():
        assert means is None
        return
    (mean,) = means
    exact = sum(Fraction(v) for v, c in terms if c) / int((counts > 0).sum())
    assert exact - Fraction(1, UNITS) < mean <= exact
    assert (
        mean >= Fraction(float(float32_below(mean))) > mean * (1 - Fraction(1, 2**22)) - UNITS**-1
    )


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(7)), st.integers(1, 6))
def test_order_and_batches_do_not_change_a_bit(order: list[int], cut: int) -> None:
    made = torch.Generator().manual_seed(5)
    draws = torch.randn((7, 300, 2), generator=made).add(torch.tensor([1.0, 0.0])).softmax(dim=2)
    target = torch.zeros(7, dtype=torch.int64)
    at_once, in_parts = CertifiedConfidence(0.25, [0, 0.1]), CertifiedConfidence(0.25, [0, 0.1])
    at_once.update(draws, target)
    for part in (order[:cut], order[cut:]):
        in_parts.update(draws[part], target[part])
    assert at_once.compute().tolist() == in_parts.compute().tolist()


# --- the rules of torchmetrics -------------------------------------------------------------------


@pytest.mark.parametrize("make", KINDS)
def test_a_metric_is_one_of_torchmetrics(make: Any, cert: sb.SmoothedCertificate) -> None:
    metric = make()
    assert isinstance(metric, torchmetrics.Metric)
    assert type(metric).full_state_update is False
    assert type(metric).higher_is_better is True
    assert type(metric).is_differentiable is False
    assert metric.state_dict() == {}
    assert all(state.dtype == torch.int64 for state in metric.metric_state.values())
    shapes = {name: state.shape for name, state in metric.metric_state.items()}
    # forward is update and compute of the batch, and adds to the whole
    first, second = metric(cert[:2], TARGET[:2]), metric(cert[2:], TARGET[2:])
    for part, value in ((slice(2), first), (slice(2, 5), second)):
        alone = make()
        alone.update(cert[part], TARGET[part])
        assert torch.equal(alone.compute(), value)
    whole = make()
    whole.update(cert, TARGET)
    assert torch.equal(whole.compute(), metric.compute())
    assert {name: state.shape for name, state in metric.metric_state.items()} == shapes
    for copied in (pickle.loads(pickle.dumps(metric)), metric.clone()):
        assert torch.equal(copied.compute(), metric.compute())
        copied.update(cert[:1], TARGET[:1])  # its states are its own
        assert copied.update_count == metric.update_count + 1
    assert len({hash(metric), hash(metric.clone()), hash(make())}) == 3
    metric.reset()
    assert not metric.update_called
    assert not any(state.any() for state in metric.metric_state.values())
    one, two = make(), make()
    one.update(cert[:2], TARGET[:2])
    two.update(cert[2:], TARGET[2:])
    one.merge_state(two)
    assert torch.equal(one.compute(), whole.compute())


def test_arguments_of_torchmetrics_are_passed_on() -> None:
    assert CertifiedAccuracy(0.25, sync_on_compute=False).sync_on_compute is False
    with pytest.raises(ValueError, match="Unexpected keyword arguments: `radios`"):
        CertifiedRadius(0.25, radios=1)


def test_metrics_of_other_settings_share_no_state_in_a_collection(draws: Tensor) -> None:
    """torchmetrics shares the states of metrics that were equal after the first batch."""
    wrong = (LABELS + 1) % 3  # every metric is 0 in the first batch
    collection = torchmetrics.MetricCollection(
        {
            "near": CertifiedAccuracy(0.25, 0.01),
            "far": CertifiedAccuracy(0.25, 0.6),
            "surer": CertifiedAccuracy(0.25, 0.01, 0.8),
            "radius": CertifiedRadius(0.25),
            "again": CertifiedAccuracy(0.25, 0.01),
            "by fewer": CertifiedAccuracy(0.25, 0.01, n0=20),
        }
    )
    collection.update(draws, wrong)
    collection.update(draws, LABELS)
    found = {name: float(value) for name, value in collection.compute().items()}
    for name, metric in collection.items():
        alone = metric.clone()
        alone.reset()
        alone.update(draws, wrong)
        alone.update(draws, LABELS)
        assert found[name] == float(alone.compute())
    assert len({found["near"], found["far"], found["surer"]}) == 3
    assert found["near"] == found["again"]
    assert len(collection.compute_groups) == 5  # the equal two share theirs


@pytest.mark.parametrize("n_inputs", [None, 7])
def test_two_processes_with_uneven_shares_find_what_one_finds(
    tmp_path: Path, draws: Tensor, n_inputs: int | None
) -> None:
    torch.save((draws, LABELS), tmp_path / "draws.pt")
    alone = ranks.metrics()
    alone.update(draws, LABELS)
    expected = " ".join(str(value.tolist()) for value in alone.compute().values())
    told = (str(tmp_path / "meeting"), str(tmp_path / "draws.pt"), n_inputs)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda rank: run(ranks.uneven, rank, *told), range(2)))
    for one in done:
        assert one.returncode == 0, one.stderr
        assert one.stdout.strip() == expected


def test_processes_with_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        meeting = str(tmp_path / "meeting")
        done = list(pool.map(lambda rank: run(ranks.other_alpha, rank, meeting), range(2)))
    for one in done:
        assert "only if they have the same alpha: give the metric equal" in one.stdout, one.stderr


def test_processes_with_states_of_other_shapes_are_refused_by_name(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        meeting = str(tmp_path / "meeting")
        done = list(pool.map(lambda rank: run(ranks.other_shapes, rank, meeting), range(2)))
    for one in done:
        assert "only if they have the same n_inputs and the same radius: give" in one.stdout, (
            one.stderr
        )


def test_merged_states_of_other_settings_are_refused_by_name(draws: Tensor) -> None:
    one = CertifiedAccuracy(0.25, 0.1)
    one.update(draws, LABELS)
    for words, other in {
        "the same radius:": CertifiedAccuracy(0.25, 0.2),
        "the same sigma:": CertifiedAccuracy(0.5, 0.1),
        "the same threshold:": CertifiedAccuracy(0.25, 0.1, 0.6),
        "the same measure and the same threshold:": CertifiedAccuracy(0.25, 0.1, measure="margin"),
        "the same n0:": CertifiedAccuracy(0.25, 0.1, n0=50),
    }.items():
        other.update(draws, LABELS)
        merged = one.clone()
        merged.merge_state(other)
        with pytest.raises(ValueError, match=words):
            merged.compute()
    single = CertifiedAccuracy(0.25, 0.1, n_inputs=1)  # of the shape of one without n_inputs
    single.update(draws[:1], LABELS[:1], torch.tensor([0]))
    single.merge_state(one)
    with pytest.raises(ValueError, match="the same n_inputs:"):
        single.compute()


def test_states_of_other_shapes_are_not_merged(draws: Tensor) -> None:
    one = CertifiedAccuracy(0.25, 0.1)
    one.update(draws, LABELS)
    before = one.compute()
    for words, other in {
        "the same radius:": CertifiedAccuracy(0.25, [0.1, 0.2]),
        "the same n_inputs:": CertifiedAccuracy(0.25, 0.1, n_inputs=7),
        "the same n_inputs and the same radius:": CertifiedAccuracy(0.25, [0, 0.1], n_inputs=9),
    }.items():
        other.update(draws, LABELS, torch.arange(7))
        for incoming in (other, other.metric_state):
            with pytest.raises(ValueError, match=words):
                one.merge_state(incoming)
    with pytest.raises(ValueError, match="Expected incoming state to be"):
        one.merge_state(3)
    one.merge_state(one.clone())
    assert one.compute() == before
    radius = CertifiedRadius(0.25)
    with pytest.raises(ValueError, match="the same threshold:"):
        radius.merge_state(CertifiedRadius(0.25, [0.5, 0.6]))


def test_the_states_stay_whole_numbers(draws: Tensor) -> None:
    metric = CertifiedConfidence(0.25).set_dtype(torch.float16).half()
    metric.update(draws, LABELS)
    assert all(state.dtype == torch.int64 for state in metric.metric_state.values())
    plain = CertifiedConfidence(0.25)
    plain.update(draws, LABELS)
    assert torch.equal(metric.compute(), plain.compute())


def test_inputs_that_come_twice_count_once(draws: Tensor) -> None:
    once = CertifiedConfidence(0.25, [0, 0.1])
    once.update(draws, LABELS)
    twice = CertifiedConfidence(0.25, [0, 0.1], n_inputs=9)  # two of them never come
    order = torch.tensor([6, 0, 1, 2, 0, 3, 4, 5, 0])
    for part in order.split(4):
        twice.update(draws[part], LABELS[part], index=part)
    assert once.compute().tolist() == twice.compute().tolist()


def test_nothing_is_no_number(draws: Tensor) -> None:
    metric = CertifiedAccuracy(0.25, [0, 0.1])
    with pytest.warns(UserWarning, match="called before the ``update`` method"):
        assert torch.isnan(metric.compute()).all()


def test_a_metric_is_drawn(draws: Tensor) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    ax = figure.Figure().subplots()
    metric = CertifiedConfidence(0.25, [0.1, 0, 0.2])
    metric.update(draws, LABELS)
    metric.plot(ax=ax)
    (line,) = ax.get_lines()
    np.testing.assert_allclose(line.get_xdata(), [0, 0.1, 0.2])
    np.testing.assert_allclose(line.get_ydata(), metric.compute()[[1, 0, 2]])
    assert line.get_drawstyle() == "steps-pre"  # not more than is certified
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("radius", "CertifiedConfidence")
    ax = figure.Figure().subplots()
    metric.plot([metric.compute(), metric.compute()], ax=ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["radius 0.1", "radius 0", "radius 0.2"]
    for val in (torch.zeros(4), [torch.zeros(2)]):
        with pytest.raises(ValueError, match="val must have one number for each radius, 3, got"):
            metric.plot(val, ax=ax)
    single = CertifiedRadius(0.25)
    single.update(draws, LABELS)
    ax = figure.Figure().subplots()
    single.plot([single.compute(), single.compute()], ax=ax)
    assert ax.get_lines()


# --- refusals -----------------------------------------------------------------------------------


def test_preds_about_something_else_are_refused_by_name(
    cert: sb.SmoothedCertificate, draws: Tensor
) -> None:
    smoothed = sb.SmoothedClassifier(model, SIGMA)
    one = smoothed.draw(inputs(1.0)[0], n=200)
    label = torch.tensor([0])
    upper = smoothed.certify(inputs(1.0), n=200, sides="upper")
    wide, narrow = (sb.custom(lambda p, _: p[:, 0], (0.0, b), name="own") for b in (2.0, 1.0))
    of_wide = sb.SmoothedClassifier(model, SIGMA, measure=wide).certify(inputs(1.0), n=200)
    for words, metric, preds in (
        ("must have the sigma 0.3 of this metric, got 0.5", CertifiedAccuracy(0.3), cert[:1]),
        ("must have the sigma 0.3", CertifiedAccuracy(0.3), one),
        ("the measure 'margin'", CertifiedAccuracy(SIGMA, measure="margin"), cert[:1]),
        ("the measure 'vote'", CertifiedRadius(SIGMA, measure="vote"), [one]),
        ("the alpha 0.01 of this metric, got 0.001", CertifiedAccuracy(SIGMA, alpha=0.01), cert),
        ("the radii 0.2, got 0.1, 0.4", CertifiedAccuracy(SIGMA, [0.1, 0.2]), cert[:1]),
        ("the thresholds 0.6, got 0.5, 0.7", CertifiedRadius(SIGMA, 0.6), cert[:1]),
        (
            r"the score_range \(0.0, 1.0\) of the measure 'own' of this metric, got \(0.0, 2.0\)",
            CertifiedConfidence(SIGMA, measure=narrow),
            of_wide,
        ),
        ("from below, got sides='upper'", CertifiedAccuracy(SIGMA), upper),
        ("more draws of each input than n0 = 400", CertifiedAccuracy(0.25, n0=400), draws),
        ("take the softmax of logits first", CertifiedAccuracy(0.25), draws * 2),
        (r"of shape \(n_inputs, n_draws, n_classes\)", CertifiedAccuracy(0.25), draws[0]),
        ("preds must be a SmoothedCertificate", CertifiedAccuracy(0.25), []),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            metric.update(preds, label)
        assert not metric.sums.any()


def test_targets_and_indices_of_another_kind_are_refused(
    cert: sb.SmoothedCertificate, draws: Tensor
) -> None:
    for target in (LABELS[:6], LABELS[None], LABELS.float()):
        with pytest.raises(ValueError, match="target must be 7 whole numbers"):
            CertifiedAccuracy(0.25).update(draws, target)
    for words, n_inputs, index in (
        ("index must be stated for n_inputs = 9", 9, None),
        ("index must be 7 whole numbers", 9, torch.arange(6)),
        ("index must lie between 0 and n_inputs - 1 = 5, got 0 to 6", 6, torch.arange(7)),
    ):
        with pytest.raises(ValueError, match=words):
            CertifiedAccuracy(0.25, n_inputs=n_inputs).update(draws, LABELS, index)
    known = CertifiedAccuracy(SIGMA, 0.1, n_inputs=5)
    known.update(cert, TARGET)  # the certificate tells the index
    with pytest.raises(ValueError, match="index must be that of the draws"):
        known.update(cert, TARGET, torch.arange(5).flip(0))


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        *((kind, "sigma", -1.0) for kind in (CertifiedAccuracy, CertifiedRadius)),
        *((CertifiedAccuracy, "radius", value) for value in (-1.0, "a", None, [[0.1]], [])),
        *((CertifiedConfidence, "radius", value) for value in (-1.0, "a", None, [[0.1]], [])),
        *((CertifiedRadius, "threshold", value) for value in (0.0, 1.0, "a", [[0.1]], [])),
        *((CertifiedAccuracy, "threshold", value) for value in (0.0, 1.0, "a", [0.5])),
        *((CertifiedAccuracy, "alpha", value) for value in (0.0, 1, "a")),
        *((CertifiedAccuracy, "n0", value) for value in (0, 1.5, "a")),
        *((CertifiedAccuracy, "n_inputs", value) for value in (0, 1.5, "a")),
        *((CertifiedAccuracy, "measure", value) for value in (0, "scores")),
    ],
)
def test_an_odd_argument_is_named(kind: Any, name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=name):
        kind(**({"sigma": 0.25} | {name: value}))


def test_a_measure_without_a_cut_off_needs_a_threshold() -> None:
    own = sb.custom(lambda p, _: p[:, 0], (0.0, 1.0), name="first")
    with pytest.raises(ValueError, match="threshold must be stated for the measure 'first'"):
        CertifiedAccuracy(0.25, measure=own)
    assert CertifiedAccuracy(0.25, 0.1, 0.6, measure=own).higher_is_better
