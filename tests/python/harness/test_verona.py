"""The verification module for VERONA, with its own search for the largest epsilon."""

from __future__ import annotations

import math
import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
if find_spec("ada_verona") is None:
    pytest.skip("needs ada-verona, which is for Python 3.10", allow_module_level=True)

from torch import Tensor, nn  # noqa: E402

# VERONA adds rows to its table in a way that pandas will not allow.
pytestmark = pytest.mark.filterwarnings("ignore:Setting an item of incompatible dtype")
SIGMA = 0.5
PAGE = Path(__file__).parents[3] / "docs/howto/harness/verona.md"


class FirstPixel(nn.Module):
    """Two classes; the first where the first pixel is positive. The radius of x is |x0|."""

    def forward(self, x: Tensor) -> Tensor:
        first = x.flatten(1)[:, 0]
        return torch.stack([first, -first], dim=1)


@pytest.fixture(scope="module")
def verona(torchvision: Any) -> Any:
    """VERONA, which converts networks of ONNX with torchvision."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ada_verona
    return ada_verona


@pytest.fixture
def module(verona: Any) -> Any:
    """Our module."""
    from smoothbound.harness import SmoothedVerificationModule

    return lambda **given: SmoothedVerificationModule(SIGMA, **{"n": 5000} | given)


@pytest.fixture
def context(verona: Any, tmp_path: Path) -> Any:
    """Return the context of one point: four pixels, of which the first decides."""

    def made(x0: float, label: int = 0, net: Any = None, generator: Any = None) -> Any:
        point = verona.DataPoint("0", label, torch.tensor([x0, 7.0, 7.0, 7.0]).reshape(1, 2, 2))
        return verona.VerificationContext(
            verona.PyTorchNetwork(net or FirstPixel(), (1, 1, 2, 2), "first"),
            point,
            tmp_path,
            generator or verona.One2AnyPropertyGenerator(2),
        )

    return made


def test_unsat_only_within_the_radius_of_the_truth(module: Any, context: Any) -> None:
    ours, at = module(), context(1.0)
    results = {
        epsilon: ours.verify(at, epsilon).result for epsilon in np.linspace(0.0, 1.0, 41).tolist()
    }
    certified = [epsilon for epsilon, result in results.items() if result == "UNSAT"]
    assert max(certified) <= 1.0 / 2  # the l2 radius over the root of four pixels
    assert max(certified) > 0.35
    assert [result for result in results.values() if result != "UNSAT"] == ["TIMEOUT"] * (
        41 - len(certified)
    )


def test_a_wrong_class_is_sat_and_an_unknown_one_times_out(module: Any, context: Any) -> None:
    wrong = module().verify(context(1.0, label=1), 0.0)
    assert wrong.result == "SAT"
    assert wrong.obtained_labels.tolist() == [0]
    assert wrong.err == "the smoothed classifier has the class 0"
    unknown = module().verify(context(0.0), 0.0)
    assert unknown.result == "TIMEOUT"
    assert unknown.err


def test_veronas_search_finds_the_largest_epsilon(
    verona: Any, module: Any, context: Any, tmp_path: Path
) -> None:
    epsilons = [i / 100 for i in range(1, 81)]
    ours = module()
    search = verona.BinarySearchEpsilonValueEstimator(epsilons, ours)
    found = search.compute_epsilon_value(context(1.0))
    assert 0.35 < found.epsilon <= 0.5
    saved = (tmp_path / "epsilons_df.csv").read_text(encoding="utf-8")
    assert "smoothbound [sigma=0.5, alpha=0.001, n=5000]" in saved


def test_one_certificate_answers_for_all_epsilons(module: Any, context: Any) -> None:
    calls = []

    class Counted(FirstPixel):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(len(x))
            return super().forward(x)

    ours, at = module(), context(1.0, net=Counted())
    ours.verify(at, 0.1)
    drawn = sum(calls)
    ours.verify(at, 0.2)
    assert sum(calls) == drawn >= 5100
    ours.verify(context(0.5, net=Counted()), 0.2)
    assert sum(calls) > drawn


def test_a_network_whose_weights_changed_is_certified_again(module: Any, context: Any) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    net[1].weight.data = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]])
    ours, at = module(), context(1.0, net=net)
    assert ours.verify(at, 0.1).result == "UNSAT"
    net[1].weight.data *= -1
    assert ours.verify(at, 0.1).result == "SAT"


def test_the_l2_norm_of_an_epsilon_is_rounded_up(verona: Any) -> None:
    from smoothbound.harness._toolboxes._verona import _l2

    for epsilon, n in [(0.1, 3), (1 / 255, 3072), (0.3, 784), (0.0, 5)]:
        assert _l2(epsilon, n) > epsilon * math.sqrt(n)
        assert _l2(epsilon, n) == pytest.approx(epsilon * math.sqrt(n), rel=1e-14, abs=1e-300)


def test_a_network_that_fails_is_an_error(module: Any, context: Any) -> None:
    class Fails(FirstPixel):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("out of order")

    found = module().verify(context(1.0, net=Fails()), 0.1)
    assert found.result == "ERR"
    assert "out of order" in found.err
    one = module().verify(context(1.0, net=nn.Sequential(nn.Flatten(), nn.Linear(4, 1))), 0.1)
    assert one.result == "ERR"
    assert "at least 2 classes, got shape" in one.err


def test_other_properties_and_epsilons_are_refused(verona: Any, module: Any, context: Any) -> None:
    other = verona.One2OnePropertyGenerator(target_class=1)
    with pytest.raises(ValueError, match="must be a One2AnyPropertyGenerator, got One2One"):
        module().verify(context(1.0, generator=other), 0.1)
    with pytest.raises(ValueError, match="epsilon"):
        module().verify(context(1.0), -0.1)
    for label in (0.7, "0", -1):
        with pytest.raises((TypeError, ValueError), match="label of the data point must be"):
            module().verify(context(1.0, label=label), 0.1)
    assert module().verify(context(1.0, label=torch.tensor(0)), 0.1).result == "UNSAT"
    with pytest.raises(ValueError, match="alpha"):
        module(alpha=0.0)


def test_the_page_runs_as_it_stands(
    verona: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], names)  # type: ignore[index]
    assert 0.0 < names["found"].epsilon < 0.1
