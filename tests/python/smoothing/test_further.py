"""The draws of a certificate go on: for more draws, or for questions that come after a look."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from torch import Tensor
from two_classes import SIGMA, exact, inputs, model

from smoothbound import SmoothedCertificate
from smoothbound._files import sealed
from smoothbound.anytime import AnytimeTest, Budget
from smoothbound.smoothing._classifier import SmoothedClassifier

NOT_FINITE = "the model returned NaN or infinity"
X0 = (3.0, 2.0, 1.0, 0.6, 0.3, 0.02)
ASKED = {"radii": [0.0, 0.4], "thresholds": [0.6, 0.8], "adaptive": True, "seed": 3}


def classifier(base: Any = model, **options: Any) -> SmoothedClassifier:
    return SmoothedClassifier(base, SIGMA, **{"batch_size": 100, **options})


@pytest.fixture(scope="module")
def first() -> SmoothedCertificate:
    return classifier(exact).certify(inputs(*X0), n=300, **ASKED)


def bits(cert: SmoothedCertificate) -> str:
    return repr([getattr(cert, name) for name in vars(cert) if name != "settings"])


def test_more_draws_are_those_that_there_would_have_been(first: SmoothedCertificate) -> None:
    smoothed, x = classifier(exact), inputs(*X0)
    more = smoothed.certify_further(x, first, n=3000)
    assert more.settings.n == 3000
    assert replace(more.settings, n=300) == first.settings
    grown = more.n_draws > first.n_draws
    assert 0 < grown.sum() < len(X0)
    for i in np.flatnonzero(~grown):
        assert bits(more[i]) == bits(first[i])
    whole = smoothed.certify(x, n=3000, **{**ASKED, "strictness": 1e9})
    for i in np.flatnonzero(grown):
        assert (more.lower[i] >= first.lower[i]).all()
        draws = smoothed.draw(
            x[i], n=int(more.n_draws[i]), n0=100, seed=3, index=i, early_selection=True
        )
        assert more.mean_score[i] == pytest.approx(draws.mean, abs=1e-9)
        assert more.top_count[i] == draws.top_count
        assert more.n_draws[i] <= whole.n_draws[i]
    stepwise = smoothed.certify_further(x, smoothed.certify_further(x, first, n=1000), n=3000)
    drawn_on = stepwise.n_draws == more.n_draws
    assert drawn_on.any()
    for i in np.flatnonzero(drawn_on):
        np.testing.assert_array_equal(stepwise.lower[i], more.lower[i])


def test_other_questions_count_later_draws_alone(first: SmoothedCertificate) -> None:
    smoothed, x = classifier(exact), inputs(*X0)
    later = smoothed.certify_further(x, first, thresholds=[0.7], radii=[0.2], alpha=0.01)
    assert (later.settings.thresholds, later.settings.radii) == ((0.7,), (0.2,))
    assert (later.settings.alpha, later.settings.n) == (0.01, 300)
    assert later.settings.adaptive is not None
    follows = later.settings.adaptive.follows
    assert follows is not None
    assert follows.alphas == (0.001,)
    np.testing.assert_array_equal(later.selected, first.selected)
    assert (later.lower[:, 0] <= ndtr((np.array(X0) - 0.2) / SIGMA)).all()
    assert (later.lower[:3, 0] > 0.7).all()
    for i in range(len(X0)):
        n, k = int(first.n_draws[i]), int(later.n_draws[i])
        draws = smoothed.draw(
            x[i], n=k, n0=100, seed=3, index=i, first_draw=n, early_selection=True
        )
        state = AnytimeTest.from_bytes(later.state[i])
        again = AnytimeTest.from_bytes(first.state[i]).follow_up(state.questions, alpha=0.01)
        again.update(draws.scores, first_draw=n)
        assert again.to_bytes() == later.state[i]
        assert later.mean_score[i] == pytest.approx(draws.mean, abs=1e-9)

    third = smoothed.certify_further(x, later, radius_precision=0.1)
    assert third.settings.adaptive is not None
    assert third.settings.adaptive.follows is not None
    assert third.settings.adaptive.follows.alphas == (0.001, 0.01)
    assert third.settings.radii == (0.0,)
    drawn = [AnytimeTest.from_bytes(state).first_draw for state in third.state]
    np.testing.assert_array_equal(drawn, first.n_draws + later.n_draws)
    further = smoothed.certify_further(x, later, n=3000)
    assert further.settings.adaptive is not None
    assert further.settings.adaptive.follows == follows


def test_a_certificate_of_a_file_goes_on(first: SmoothedCertificate, tmp_path: Path) -> None:
    first.save(tmp_path / "first.parquet")
    read = SmoothedCertificate.load(tmp_path / "first.parquet")
    assert read == first
    smoothed, x = classifier(exact), inputs(*X0)
    one, other = (smoothed.certify_further(x, cert, n=1000) for cert in (first, read))
    assert one == other
    assert "state" not in first.to_pandas()
    assert "state" not in repr(first)


def test_some_inputs_alone_go_on_as_they_would_with_the_others(first: SmoothedCertificate) -> None:
    smoothed, x = classifier(exact), inputs(*X0)
    whole = smoothed.certify_further(x, first, n=3000)
    some = smoothed.certify_further(x[[4, 2]], first[[4, 2]], n=3000)
    assert bits(some) == bits(whole[[4, 2]])


def test_inputs_that_a_budget_ended_go_on_with_as_many_draws() -> None:
    smoothed, x = classifier(exact), inputs(*X0)
    short = smoothed.certify(x, n=1000, budget=Budget(draws=200), **ASKED)
    assert "budget" in short.status
    whole = smoothed.certify(x, n=1000, **ASKED)
    more = smoothed.certify_further(x, short, n=1000)
    assert "budget" not in more.status
    np.testing.assert_array_equal(more.lower, whole.lower)
    still = smoothed.certify_further(x, short, budget=Budget(draws=50))
    assert still.n_draws.sum() == short.n_draws.sum() + 50


def test_an_input_that_fails_keeps_what_it_had(first: SmoothedCertificate) -> None:
    smoothed, x = classifier(exact), inputs(*X0)
    x[4, 1] = 1000.0
    cert = smoothed.certify(x, n=300, **ASKED)
    assert bits(replace(cert, digest=first.digest)) == bits(first)

    def fragile(x: Tensor) -> Tensor:
        out = exact(x)
        out[(x[:, 1] > 100) & (x[:, 0] > 1.2)] = torch.nan  # seldom, so that the class is selected
        return out

    more = classifier(fragile, check_rows=False).certify_further(x, cert, n=3000)
    assert more.reason[4].startswith(f"{cert.reason[4]}; further draws failed: {NOT_FINITE}")
    assert bits(replace(more[4], reason=cert[4].reason)) == bits(cert[4])
    assert (more.n_draws > cert.n_draws).any()


def test_an_input_without_a_class_has_nothing_to_say_to_other_questions() -> None:
    def fragile(x: Tensor) -> Tensor:
        out = model(x)
        out[x[:, 1] > 100] = torch.nan
        return out

    x = inputs(3.0, 3.0, 3.0)
    x[1, 1] = 1000.0
    smoothed = classifier(fragile)
    cert = smoothed.certify(x, n=500, radii=[0.0], thresholds=[0.5], adaptive=True)
    assert cert.status[1] == "failed"
    later = smoothed.certify_further(x, cert, thresholds=[0.6])
    assert later.status == ("certified", "failed", "certified")
    assert later.reason[1] == cert.reason[1]
    assert smoothed.certify_further(x, cert, n=1000).status[1] == "failed"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": None}, "n must be larger than the n = 300 .* state thresholds, radii"),
        ({"n": 200}, "n must be larger"),
        ({"n": 0, "alpha": 0.1}, "n must be at least 1"),
        ({"alpha": 2.0}, "alpha must"),
        ({"thresholds": []}, "adaptive draws answer questions about thresholds"),
        ({"radius_precision": 0.0}, "radius_precision must"),
        ({"n": 3, "alpha": 0.1}, "n = 3 draws are too few"),
        ({"certificate": None}, "certificate must be a SmoothedCertificate"),
        ({"x": inputs(1.0)}, "x must hold the 6 inputs of the certificate, got 1"),
        ({"x": inputs(2.0, 3.0, *X0[2:])}, r"x\[0\] must be the input of row 0 .* another one"),
        ({"x": inputs(2.0, 3.0, *X0[2:]), "radii": [0.1]}, r"x\[0\] must be the input of row 0"),
        ({"smoothed": SmoothedClassifier(exact, 1.0)}, "sigma was 0.5, and is 1.0"),
        ({"smoothed": classifier(exact, measure="margin")}, "measure was 'score', and is 'margin'"),
        ({"smoothed": classifier(exact, batch_size=7)}, "batch_size was 100, and is 7"),
        ({"smoothed": classifier(exact, cutoff=0.4)}, "cutoff was 0.5, and is 0.4"),
        ({"smoothed": classifier(lambda x: -exact(x))}, "select class 1 now, but selected"),
        ({"smoothed": classifier(lambda x: exact(x) / 500)}, r"is 0\.\S+ on average now, but was"),
        (
            {"smoothed": classifier(lambda x: exact(x) / 500), "alpha": 0.01},
            r"score of the selection draws is 0\.\S+ on average now, but was 1 before",
        ),
    ],
)
def test_what_does_not_go_on_is_refused(
    first: SmoothedCertificate, changes: dict[str, Any], message: str
) -> None:
    options = {"x": inputs(*X0), "certificate": first, "smoothed": classifier(exact), "n": 900}
    options |= changes
    smoothed, x, cert = (options.pop(name) for name in ("smoothed", "x", "certificate"))
    with pytest.raises((ValueError, TypeError), match=message):
        smoothed.certify_further(x, cert, **options)


def test_the_same_inputs_go_on_in_whatever_form(first: SmoothedCertificate) -> None:
    smoothed, x = classifier(exact), inputs(*X0)
    expected = smoothed.certify_further(x, first, n=1000)
    assert smoothed.certify_further(torch.from_numpy(x), first, n=1000) == expected
    forward = np.asfortranarray(x)
    assert smoothed.certify_further(forward, first, n=1000) == expected
    assert smoothed.certify_further(x, expected, n=2000).digest == first.digest


def test_other_inputs_are_not_told_apart_by_a_file_without_digests(
    first: SmoothedCertificate, tmp_path: Path
) -> None:
    sealed.write_table(first.to_arrow().drop_columns(["digest"]), tmp_path / "older.parquet")
    read = SmoothedCertificate.load(tmp_path / "older.parquet")
    assert read == replace(first, digest=(b"",) * len(first))
    assert len(classifier(exact).certify_further(inputs(*X0), read, n=1000)) == len(X0)


def test_another_number_of_selection_draws_is_refused(first: SmoothedCertificate) -> None:
    cert = replace(first, n_selection=first.n_selection + 2)
    with pytest.raises(ValueError, match="but 20 selected it before: the input"):
        classifier(exact).certify_further(inputs(*X0), cert, n=900)


def test_a_fixed_number_of_draws_does_not_grow() -> None:
    smoothed = classifier()
    cert = smoothed.certify(inputs(1.0), n=500)
    assert cert.digest == (b"",)
    with pytest.raises(ValueError, match="may not grow after a look at its results"):
        smoothed.certify_further(inputs(1.0), cert, n=1000)
