"""A model that fails on some inputs: they are named, and the others are certified all the same."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stopped_runs import contents, stopped_after
from torch import Tensor, nn
from typer.testing import CliRunner

from smoothbound import store
from smoothbound.cli._app import app
from smoothbound.errors import ModelError
from smoothbound.measures import custom
from smoothbound.models import checkpoint
from smoothbound.sampling._jobs import Draws, Failure, FixedJob, Input
from smoothbound.sampling._sampler import Sampler
from smoothbound.smoothing._classifier import SmoothedClassifier

SIGMA = 0.5
GOOD, RAISES, NAN, MEMORY, RANGE = range(5)
WHY = {
    RAISES: "failed: the model raised RuntimeError on a batch of shape",
    NAN: "failed: the model returned NaN or infinity",
    MEMORY: "failed: the model raised MemoryError",
    RANGE: "failed: measure 'own' has the range [0.0, 1.0], and",
}


def model(x: Tensor) -> Tensor:
    """Fails on the rows whose first number says so."""
    kind = (x[:, 0] / 100).round()
    if (kind == RAISES).any():
        raise RuntimeError("cannot look at this")
    if (kind == MEMORY).any():
        raise MemoryError("no room")
    logits = torch.stack([x[:, 1], -x[:, 1]], dim=1)
    return logits.masked_fill((kind == NAN)[:, None], torch.nan) + 1000 * (kind == RANGE)[:, None]


# On the rows of kind RANGE the logits are shifted by 1000, which a softmax does not show.
OWN = custom(lambda out, y: out[:, 0].sigmoid() + (out[:, 0] > 500), (0.0, 1.0), name="own")


def inputs(*kinds: int) -> np.ndarray:
    return np.array([[100 * kind, 0.3 * i] for i, kind in enumerate(kinds)], np.float32)


@pytest.mark.parametrize("size", [1, 16, 100, 1000])
def test_failed_inputs_are_named_and_the_others_certified(size: int) -> None:
    kinds = [GOOD, RAISES, GOOD, NAN, NAN, GOOD, RANGE, MEMORY, GOOD, RAISES]
    smoothed = SmoothedClassifier(
        model, SIGMA, measure=OWN, outputs="raw", batch_size=size, cutoff=0.2
    )
    x, options = inputs(*kinds), {"n0": 5, "n": 60, "radii": [0.1], "thresholds": [0.4]}
    cert = smoothed.certify(x, **options)
    good = [i for i, kind in enumerate(kinds) if kind == GOOD]
    alone = smoothed.certify(x[good], index=good, **options)
    for name in ("lower", "radius", "predicted", "class_radius", "mean_score", "n_draws"):
        np.testing.assert_array_equal(getattr(cert, name)[good], getattr(alone, name))
    for i, kind in enumerate(kinds):
        if kind == GOOD:
            assert not cert.reason[i].startswith("failed")
            continue
        assert cert.reason[i].startswith(WHY[kind])
        assert cert.predicted[i] == -1
        assert cert.n_draws[i] == 0
        numbers = [*cert.lower[i], *cert.radius[i], cert.class_radius[i], cert.mean_score[i]]
        assert np.isnan(numbers).all()


def test_upper_bounds_of_failed_inputs() -> None:
    cert = SmoothedClassifier(model, SIGMA).certify(inputs(GOOD, NAN), n=50, sides="upper")
    assert cert.predicted.tolist()[1] == -1
    assert cert.reason[1].startswith(WHY[NAN])
    assert np.isnan(cert.upper[1]).all()
    assert np.isfinite(cert.upper[0]).all()


@pytest.mark.parametrize("kind", [RAISES, NAN, MEMORY])
@pytest.mark.parametrize("total", [1, 3, 8, 20])
def test_a_model_that_fails_on_all_inputs_alike_is_at_fault_itself(kind: int, total: int) -> None:
    with pytest.raises(ModelError, match=WHY[kind].removeprefix("failed: ")) as caught:
        SmoothedClassifier(model, SIGMA, batch_size=100).certify(inputs(*[kind] * total), n=50)
    raised = {RAISES: RuntimeError, MEMORY: MemoryError, NAN: type(None)}[kind]
    assert isinstance(caught.value.__cause__, raised)


def test_inputs_that_fail_in_different_ways_are_reported_one_by_one() -> None:
    cert = SmoothedClassifier(model, SIGMA).certify(inputs(NAN, RAISES), n=50)
    assert [why.startswith(WHY[k]) for k, why in zip((NAN, RAISES), cert.reason, strict=True)]
    assert cert.predicted.tolist() == [-1, -1]


def test_an_input_may_fail_when_others_have_finished_and_in_its_last_draw() -> None:
    calls = count()

    def late(x: Tensor) -> Tensor:
        logits = x.clone()
        if next(calls) == 10:
            logits[3] = torch.nan  # draw 103 of all
        return logits

    sampler = Sampler(late, SIGMA, batch_size=10)
    queue = [Input(inputs(GOOD)[0], i, FixedJob(47)) for i in range(4)]  # 52 draws each
    outcomes = [o for _, o in sampler.sample(queue, n0=5, noise=sampler.noise())]
    assert [type(outcome) for outcome in outcomes] == [Draws, Failure, Draws, Draws]


class SpeechlessError(Exception):
    """Cannot say what is wrong."""

    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            SpeechlessError(),
            r"raised SpeechlessError .*: \(a message that cannot be shown: ZeroDivisionError",
        ),
        (ValueError("long" * 10_000), r"longlong\.\.\. \(40000 characters\); x of shape"),
    ],
)
def test_whatever_a_model_raises_is_told(error: BaseException, words: str) -> None:
    def broken(x: Tensor) -> Tensor:
        raise error

    with pytest.raises(ModelError, match=words):
        SmoothedClassifier(broken, SIGMA).certify(inputs(GOOD), n0=5, n=60)


def test_a_measure_that_raises_is_named() -> None:
    def picky(p: Tensor, y: Tensor) -> Tensor:
        raise KeyError("nothing here")

    with pytest.raises(ModelError, match="measure 'picky' raised KeyError"):
        Sampler(model, SIGMA, measure=custom(picky, (0.0, 1.0), name="picky")).draw(
            inputs(GOOD)[0], n0=2, n=3
        )


@pytest.mark.parametrize("error", [MemoryError, torch.cuda.OutOfMemoryError])
def test_memory_that_holds_fewer_rows_is_made_do_with(error: type[Exception]) -> None:
    seen: list[int] = []

    def large(x: Tensor) -> Tensor:
        seen.append(len(x))
        if len(x) > 30:
            raise error("no room")
        return model(x)

    x = inputs(GOOD)[0]
    with pytest.warns(RuntimeWarning, match="100: from now on they go through .* 25 rows at a tim"):
        draws = Sampler(large, SIGMA, batch_size=100).draw(x, n0=10, n=290)
    assert seen == [100, 50, *[25] * 4, *[25] * 4, *[25] * 8]  # the second time to compare rows
    plain = Sampler(model, SIGMA, batch_size=25).draw(x, n0=10, n=290)
    assert draws.selected == plain.selected
    np.testing.assert_array_equal(draws.scores, plain.scores)


def test_one_greedy_input_does_not_make_the_batches_of_others_smaller() -> None:
    sizes: list[int] = []

    def watched(x: Tensor) -> Tensor:
        logits = model(x)
        sizes.append(len(x))
        return logits

    cert = SmoothedClassifier(watched, SIGMA, batch_size=50).certify(
        inputs(GOOD, MEMORY, GOOD), n=100
    )
    assert [why.startswith("failed") for why in cert.reason] == [False, True, False]
    assert set(sizes) == {50}


# --- the command line -------------------------------------------------------------------------

LEVELS = [0, 0, 255, 0, 120, 0, 255]  # of pixels: black images, white ones and a grey one


class Fussy(nn.Module):
    """Raises at white images, and returns NaN for grey ones."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        level = x.flatten(1).mean(dim=1)  # the noise moves it by 0.03
        if (level > 0.75).any():
            raise RuntimeError("caf\udce9 is too bright")  # a name that is no text
        logits: Tensor = self.network(x)
        return logits.masked_fill((level > 0.25)[:, None], torch.nan)


@pytest.fixture
def command(digits_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    images = np.broadcast_to(np.array(LEVELS, np.uint8)[:, None, None, None], (7, 1, 8, 8))
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(7))
    load = checkpoint.load

    def fussy(*arguments: Any, **options: Any) -> Any:
        network, info = load(*arguments, **options)
        return Fussy(network), info

    monkeypatch.setattr(checkpoint, "load", fussy)
    return [
        "certify", "--checkpoint", str(digits_network), "--data", f"npz:{tmp_path / 'data.npz'}",
        "--sigma", "0.25", "--n", "200", "--n0", "10",
        "--no-channels-last",  # because a measured format may differ from run to run
        "--out", str(tmp_path / "results"),
    ]  # fmt: skip


def test_a_run_with_failed_inputs_ends_with_status_3(command: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 3, result.output
    assert "3 inputs failed" in result.output
    results = store.load(tmp_path / "results")
    assert results.complete
    assert results.failed == 3
    reasons = results.array("reason").tolist()
    assert reasons[2].startswith("failed: the model raised RuntimeError")
    assert reasons[2].endswith(r"caf\udce9 is too bright")
    assert reasons[4].startswith(WHY[NAN])
    failed = [status == "failed" for status in results.array("status")]
    assert failed == [level > 0 for level in LEVELS]
    assert "input 2 failed: the model raised RuntimeError" in " ".join(result.output.split())
    assert results.array("predicted")[[2, 4]].tolist() == [-1, -1]
    for method in results.settings.methods:
        nan = np.isnan(results.array(f"lower_{method.name}")).all(axis=1)
        assert nan.tolist() == [level > 0 for level in LEVELS]
    again = CliRunner().invoke(app, [*command, "--resume"])
    assert again.exit_code == 3
    report = CliRunner().invoke(
        app, ["report", str(tmp_path / "results"), "--out", str(tmp_path / "report")]
    )
    assert report.exit_code == 0, report.output
    page = (tmp_path / "report" / "report.md").read_text()
    assert "the model failed on 3 of 7" in page


def test_a_run_that_was_stopped_before_a_failing_input_ends_as_it_would_have(
    command: list[str], tmp_path: Path
) -> None:
    with stopped_after(6):
        assert CliRunner().invoke(app, command).exit_code == 130
    assert CliRunner().invoke(app, [*command, "--resume"]).exit_code == 3
    whole = [*command[:-1], str(tmp_path / "whole")]
    assert CliRunner().invoke(app, whole).exit_code == 3
    assert contents(tmp_path / "results") == contents(tmp_path / "whole")


def test_a_model_that_always_fails_ends_with_status_2(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fussy, "forward", lambda self, x: x.flatten(1) * torch.nan)
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "error: the model returned NaN" in result.output
    assert not (tmp_path / "results").exists()
