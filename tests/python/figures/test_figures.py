from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from smoothbound import figures
from smoothbound.analysis.concentration import spreads
from smoothbound.analysis.evaluation import Bounds, Evaluation, StoredSketches
from smoothbound.analysis.knots import KnotChoices
from smoothbound.analysis.logs import read_log, with_class_radius
from smoothbound.bounds._method import Method
from smoothbound.sketch._score_sketch import ScoreSketch

DATA = Path(__file__).parents[1] / "support" / "logs"


@pytest.fixture
def ax() -> Axes:
    figure = Figure()
    FigureCanvasAgg(figure)
    return figure.subplots()


@pytest.fixture
def log() -> Evaluation:
    log = read_log(DATA / "kumar2020_excerpt.tsv")
    return with_class_radius(log, DATA / "cohen2019_excerpt.tsv")


@pytest.fixture
def own() -> Evaluation:
    lower = np.array([[0.9, 0.6], [0.8, 0.3], [0.9, 0.9]])
    return Evaluation(
        name="own",
        measure="score",
        score_range=(0.0, 1.0),
        radii=np.array([0.0, 0.5]),
        index=np.array([3, 4, 5]),
        label=np.array([1, 1, 1]),
        predicted=np.array([1, 1, -1]),
        bounds=(Bounds(Method("cdf", "dkw"), lower, np.array([[0.6], [0.2], [math.nan]])),),
        thresholds=np.array([0.5]),
    )


def test_accuracy_vs_radius_is_conservative_and_marked(ax: Axes, log: Evaluation) -> None:
    assert figures.certified_accuracy_vs_radius(ax, log, 0.5) is ax
    one, two = ax.get_lines()
    assert [one.get_label(), two.get_label()] == ["Theorem 1", "Theorem 2 (dkw)"]
    assert two.get_drawstyle() == "steps-pre"  # the value of the larger radius
    assert two.get_marker() == "o"
    assert one.get_color() != two.get_color()
    assert one.get_linestyle() != two.get_linestyle()
    accuracy = np.asarray(two.get_ydata())
    np.testing.assert_allclose(accuracy[:3], [100 * k / 30 for k in (25, 19, 9)])
    assert accuracy[-1] == 0
    assert np.count_nonzero(accuracy == 0) == 1  # no tail of zeros
    assert "units of the input" in ax.get_xlabel()
    assert ax.get_ylabel() == "certified accuracy (%)"
    assert ax.get_title("left") == "score > 0.5" or ax.get_title() == "score > 0.5"


def test_certified_radii_are_drawn_without_markers(ax: Axes, own: Evaluation) -> None:
    figures.certified_accuracy_vs_radius(ax, own, 0.5)
    (line,) = ax.get_lines()
    assert np.asarray(line.get_xdata()).tolist() == [0.0, 0.2, 0.6, 0.6]
    assert np.asarray(line.get_ydata())[-1] == 0  # nothing is certified beyond: no curve in the air
    assert line.get_marker() == ""


def test_one_radius_alone_gives_a_line_and_not_a_dot(ax: Axes, own: Evaluation) -> None:
    bounds = tuple(replace(one, lower=one.lower[:, 1:], radius=None) for one in own.bounds)
    decided = replace(own, radii=own.radii[1:], bounds=bounds, adaptive=True)
    for drawn in (
        figures.certified_accuracy_vs_radius(ax, decided, 0.5),
        figures.certified_confidence(ax, decided, 3),
    ):
        line = drawn.get_lines()[-1]
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert x.tolist() == [0.0, 0.5]
        assert y[0] == y[1] > 0
        assert line.get_drawstyle() == "steps-pre"
        assert line.get_markevery() == slice(1, None)  # the mark stands where it was computed


def test_thresholds_that_adaptive_draws_do_not_tell_are_not_drawn(
    ax: Axes, own: Evaluation
) -> None:
    figures.certified_accuracy_vs_radius(ax, replace(own, adaptive=True), 0.7)
    assert not ax.get_lines()


def test_accuracy_vs_threshold_covers_the_range(ax: Axes, log: Evaluation) -> None:
    figures.certified_accuracy_vs_threshold(ax, log, 0.25)
    assert all(line.get_drawstyle() == "steps-post" for line in ax.get_lines())
    assert ax.get_xlim() == (0.0, 1.0)
    assert ax.get_xlabel() == "threshold c of the score"
    with pytest.raises(ValueError, match=r"no bound at 0\.3"):
        figures.certified_accuracy_vs_threshold(ax, log, 0.3)


def test_class_radius_states_its_correlation(ax: Axes, log: Evaluation) -> None:
    from scipy import stats

    figures.score_vs_class_radius(ax, log)
    correct, wrong = ax.get_lines()
    assert (correct.get_label(), wrong.get_label()) == ("correct class (25)", "wrong class (2)")
    x = np.concatenate([correct.get_xdata(), wrong.get_xdata()])
    y = np.concatenate([correct.get_ydata(), wrong.get_ydata()])
    pearson, spearman = stats.pearsonr(x, y)[0], stats.spearmanr(x, y)[0]
    expected = f"Pearson {pearson:.2f}, Spearman {spearman:.2f}"
    assert ax.get_title("left") + ax.get_title() == expected


def test_class_radius_needs_class_radii_and_radius_zero(ax: Axes, log: Evaluation) -> None:
    with pytest.raises(ValueError, match="no class radii"):
        figures.score_vs_class_radius(ax, replace(log, class_radius=None))
    late = tuple(replace(one, lower=one.lower[:, 1:]) for one in log.bounds)
    with pytest.raises(ValueError, match="no bound at 0"):
        figures.score_vs_class_radius(ax, replace(log, radii=log.radii[1:], bounds=late))


def test_confidence_joins_the_certified_radius(ax: Axes, own: Evaluation) -> None:
    figures.certified_confidence(ax, own, 3, [0.5])
    curve = ax.get_lines()[0]
    assert np.asarray(curve.get_xdata()).tolist() == [0.0, 0.5, 0.6]
    assert np.asarray(curve.get_ydata()).tolist() == [0.9, 0.6, 0.5]
    assert [text.get_text() for text in ax.texts] == ["c = 0.5"]


def test_confidence_steps_never_rise(ax: Axes, own: Evaluation) -> None:
    figures.certified_confidence(ax, own, 4, [0.5])  # radius 0.2 inside the grid
    curve = ax.get_lines()[0]
    assert np.asarray(curve.get_ydata()).tolist() == [0.8, 0.5, 0.3]
    figures.certified_confidence(ax, own, 5, [0.5])  # abstained, no certified radius
    assert "abstained" in ax.get_title("left") + ax.get_title()
    with pytest.raises(ValueError, match="no input 6"):
        figures.certified_confidence(ax, own, 6)


def test_confidence_of_an_input_without_label_names_no_class(ax: Axes, own: Evaluation) -> None:
    figures.certified_confidence(ax, replace(own, labelled=False), 3)
    assert ax.get_title("left") + ax.get_title() == "input 3"


def test_known_methods_keep_their_look(ax: Axes, own: Evaluation, log: Evaluation) -> None:
    figures.certified_accuracy_vs_radius(ax, own, 0.5)
    figures.certified_accuracy_vs_radius(ax, log, 0.5)
    alone, _, beside = ax.get_lines()
    assert alone.get_color() == beside.get_color()


def test_compared_evaluations_differ_in_look_and_name(ax: Axes, log: Evaluation) -> None:
    other = replace(log, name="other", bounds=log.bounds[:1])
    figures.compared_by_radius(ax, [log, other], 0.5)
    one, two = ax.get_lines()
    assert one.get_label() == "kumar2020_excerpt, Theorem 2 (dkw)"
    assert two.get_label() == "other, Theorem 1"
    assert one.get_color() != two.get_color()
    assert one.get_drawstyle() == "steps-pre"
    assert np.asarray(one.get_ydata())[1] == pytest.approx(100 * 19 / 30)


def test_best_by_radius_fills_what_the_best_certifies(ax: Axes, log: Evaluation) -> None:
    two, one = log, replace(log, name="other", bounds=log.bounds[:1])
    figures.best_by_radius(ax, [one, two], 0.5)
    heights = [np.asarray(patch.get_data().values) for patch in ax.patches]
    filled = np.nan_to_num(np.stack(heights)).max(axis=0)
    both = [e.counts(e.bounds[-1], [0.5])[:, 0] for e in (one, two)]
    reached = np.max(both, axis=0)
    np.testing.assert_allclose(filled, 100 * reached / 30)
    shown_once = np.isfinite(np.stack(heights)).sum(axis=0)
    assert shown_once.tolist() == (reached > 0).astype(int).tolist()


@pytest.fixture
def counted(own: Evaluation) -> Evaluation:
    rows = np.random.default_rng(3).beta(20, 1, size=(3, 4000)).astype(np.float32)
    sketch = ScoreSketch(own.index, sigma=0.25)
    sketch.update(rows)
    return replace(own, scores=StoredSketches.from_sketch(sketch), alpha=0.001)


def test_distribution_holds_every_draw(ax: Axes, counted: Evaluation) -> None:
    figures.score_distribution(ax, counted, 4)
    (bars,) = ax.patches
    assert np.sum(bars.get_data().values) == pytest.approx(100)
    mean = float(ax.get_lines()[0].get_xdata()[0])
    assert mean == pytest.approx(20 / 21, abs=0.005)
    with pytest.raises(ValueError, match="no counted scores"):
        figures.score_distribution(ax, replace(counted, scores=None), 4)


def test_bands_lie_below_the_draws_and_are_those_of_the_bounds(
    ax: Axes, counted: Evaluation
) -> None:
    from scipy.special import ndtr

    figures.survival_function(ax, counted, 5)
    draws, dkw, ell = (np.asarray(line.get_ydata()) for line in ax.get_lines())
    assert [line.get_label() for line in ax.get_lines()] == [
        "share of the draws", "band dkw", "band ell",
    ]  # fmt: skip
    assert (dkw[1:] <= draws[1:]).all()
    assert (ell[1:] <= draws[1:]).all()
    epsilon = math.sqrt(math.log(1000) / (2 * 4000))
    np.testing.assert_allclose(ndtr(dkw), np.maximum(ndtr(draws) - epsilon, 0), atol=1e-12)
    # The area under the band is the certified confidence at R = 0.
    lower = counted.sketch(np.array([5])).certify(radii=[0.0]).lower
    assert lower is not None
    assert np.mean(ndtr(ell)[1:]) == pytest.approx(float(lower[0, 0]), abs=1e-9)
    with pytest.raises(ValueError, match="alpha of own is not known"):
        figures.survival_function(ax, replace(counted, alpha=None), 5)


def test_choice_of_knots_draws_each_choice(ax: Axes) -> None:
    found = KnotChoices(0.25, "dkw", (4, 8), (0.3, 0.5), (0.4, 0.6), 0.7, 12)
    figures.choice_of_knots(ax, found)
    count, width, every = ax.get_lines()
    assert np.asarray(count.get_ydata()).tolist() == [0.3, 0.5]
    assert np.asarray(width.get_ydata()).tolist() == [0.4, 0.6]
    assert every.get_ydata()[0] == 0.7
    assert "R = 0.25" in ax.get_title("left") + ax.get_title()


def test_spread_and_radius_of_score_and_margin(ax: Axes, counted: Evaluation) -> None:
    rows = np.random.default_rng(4).beta(20, 1, size=(3, 4000)) * 2 - 1
    sketch = ScoreSketch(counted.index, score_range=(-1.0, 1.0), measure="margin")
    sketch.update(rows)
    stored = StoredSketches.from_sketch(sketch)
    margin = replace(counted, measure="margin", score_range=(-1.0, 1.0), scores=stored)
    found = spreads(counted, margin)
    assert found is not None
    figures.score_vs_margin_spread(ax, found)
    points, diagonal = ax.get_lines()
    np.testing.assert_array_equal(points.get_xdata(), found.score)
    np.testing.assert_allclose(points.get_xdata(), points.get_ydata(), rtol=0.1)
    assert np.asarray(diagonal.get_ydata()).tolist() == [0, 0.5]
    assert spreads(counted, replace(margin, scores=None)) is None


def test_score_and_margin_at_the_same_place_of_their_ranges(ax: Axes, own: Evaluation) -> None:
    margin = replace(own, measure="margin", score_range=(-1.0, 1.0))
    figures.score_and_margin_by_radius(ax, own, margin, 0.75)
    assert ax.get_title("left") + ax.get_title() == "score > 0.75, margin > 0.5"
    score_line, margin_line = ax.get_lines()
    assert score_line.get_label().startswith("score, ")
    # of the two that are not abstained from: 0.9 and 0.8 at R = 0, 0.6 and 0.3 at R = 0.5
    np.testing.assert_allclose(score_line.get_ydata(), [200 / 3, 0])
    assert margin_line.get_drawstyle() == "steps-pre"  # its threshold has certified radii
    np.testing.assert_allclose(margin_line.get_ydata(), [200 / 3, 200 / 3, 100 / 3, 0])


def test_calibration_is_drawn_at_the_larger_radius(ax: Axes) -> None:
    radii, lower, upper = np.array([0.0, 0.5]), np.array([0.1, 0.0]), np.array([0.2, 0.6])
    figures.certified_calibration(ax, radii, lower, upper, "Brier score")
    most, least = ax.get_lines()
    assert most.get_drawstyle() == least.get_drawstyle() == "steps-pre"
    assert np.asarray(most.get_ydata()).tolist() == [0.2, 0.6]
    assert ax.get_ylabel() == "Brier score"
