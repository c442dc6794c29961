"""TF32 is off unless it is asked for, whichever of torch's switches the caller has used before."""

from __future__ import annotations

import pytest
import torch
from forks import run_code
from torch import nn

from smoothbound.sampling._model.running_model import RunningModel

NEWER = hasattr(torch.backends.cudnn, "conv")  # torch 2.9
# In a process of its own, because the switches belong to the process.
CODE = """
import warnings

import torch
from smoothbound._utils.devices import tensor_float

matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
warnings.simplefilter("error")


def newer():
    if not hasattr(cudnn, "conv"):
        return []
    return [owner.fp32_precision for owner in (matmul, cudnn.conv, cudnn.rnn)]


def older():
    return [matmul.allow_tf32, cudnn.allow_tf32, torch.get_float32_matmul_precision()]


{prepare}
before = newer()
readable = {readable} and older()
for allowed in (False, True, False):
    with tensor_float(allowed):
        assert set(newer()) <= {{"tf32" if allowed else "ieee"}}, newer()
        assert older() == [allowed, allowed, "high" if allowed else "highest"], older()
    assert newer() == before, newer()
    assert readable == ({readable} and older())
print("restored")
"""


@pytest.mark.parametrize(
    ("prepare", "readable"),
    [
        ("", True),
        ("torch.set_float32_matmul_precision('medium')", True),
        ("cudnn.allow_tf32 = False", True),
        ("torch.backends.fp32_precision = 'tf32'", False),
        ("cudnn.conv.fp32_precision = 'ieee'; matmul.fp32_precision = 'tf32'", False),
    ],
)
def test_both_sets_of_switches_are_set_and_restored(prepare: str, readable: bool) -> None:
    if not readable and not NEWER:
        pytest.skip("needs the switches of torch 2.9")
    code = CODE.format(prepare=prepare, readable=readable)
    assert run_code(code) == "restored\n"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("convolves", [True, False])
def test_tf32_changes_the_result_on_a_gpu_only_where_it_is_asked_for(convolves: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 64, 3) if convolves else nn.Linear(512, 512)
    x = torch.randn((64, 64, 16, 16) if convolves else (512, 512))
    exact = layer.double()(x.double()).detach()
    layer.float()

    def error(precision: str) -> float:
        model = RunningModel(layer, device="cuda", precision=precision)  # type: ignore[arg-type]
        with model.running():
            return float((model(x.cuda()).cpu() - exact).abs().max() / exact.abs().max())

    assert error("float32") < 5e-5
    if torch.cuda.get_device_capability() >= (8, 0):
        assert 5e-5 < error("tf32") < 1e-2
