"""The kernels for CUDA, without a GPU: interpreted on the CPU, and compiled for one."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None, reason="needs triton, which is for Linux"
    ),
]


def run(code: str, **extra: str) -> str:
    """Run in a process of its own: Triton reads TRITON_INTERPRET when it is imported."""
    env = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env | extra, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


INTERPRETED = """
import torch
from smoothbound.noise import _torch as _noise_torch, _triton as _noise_triton
from smoothbound.noise._lattice import fine_lattice, lattice

_noise_triton.try_out(torch.device("cpu"))
seed, grids = 2**63 + 12345, (lattice(1.0, 255), fine_lattice(0.3))

def check(dtype):
    draw = torch.Generator().manual_seed(0)
    for size in (3, 9, 2100):  # of the last, each row takes two programs
        key = [torch.randint(0, most, (2,), generator=draw) for most in (2, 2**31, 2**32, 2)]
        key = _noise_torch.Key(*key)
        whole = torch.randint(0, 256, (2, size), generator=draw, dtype=torch.int32)
        real = torch.rand(2, size, generator=draw, dtype=dtype)
        one, two = torch.empty(2, size, dtype=dtype), torch.empty(2, size, dtype=dtype)
        for grid, points in zip(grids, (whole, whole * 1_000_003)):  # beyond what float32 holds
            for module, out in ((_noise_torch, one), (_noise_triton, two)):
                module.add_lattice(points, key, out, lattice=grid, seed=seed)
            assert torch.equal(one, two), (size, dtype)
        for module, out in ((_noise_torch, one), (_noise_triton, two)):
            module.add_gaussian(real, key, out, sigma=0.25, seed=seed)
        assert torch.equal(one, two), (size, dtype)
    print(dtype, "equal")

for dtype in (torch.float32, torch.float64):
    check(dtype)
"""

COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from smoothbound.noise import _triton as _noise_triton

def compile(dtype, capability, seed):
    key = dict.fromkeys(("rows", "indices", "draws", "streams"), "*i64")
    sizes = dict.fromkeys(("size", "chunks"), "i32") | {"seed": seed}
    table = {"high": "*i32", "low": "*i64", "largest": "i32", "steps": f"*{dtype}"}
    real = dict.fromkeys(("points", "out", "scale"), f"*{dtype}")
    for kernel, types, constants in (
        (_noise_triton._lattice, table | {"points": "*i32", "out": f"*{dtype}"}, {"BITS": 10}),
        (_noise_triton._gaussian, real, {}),
    ):
        constants |= {"WIDTH": 256}
        types |= key | sizes | dict.fromkeys(constants, "constexpr")
        source = ASTSource(fn=kernel, signature=types, constexprs=constants)
        target = GPUTarget("cuda", capability, 32)
        print(triton.compile(source, target=target, options=_noise_triton.EXACT).asm["ptx"])

compile("fp32", 80, "u64")
print("---")
compile("fp64", 80, "u64")
print("---")
compile("fp32", 90, "i32")  # a seed below 2^31, on an H100
"""


def test_interpreted_kernels_make_the_bits_of_torch() -> None:
    said = run(INTERPRETED, TRITON_INTERPRET="1")
    assert said.splitlines() == ["torch.float32 equal", "torch.float64 equal"]


def test_compiled_kernels_fuse_nothing_and_approximate_nothing() -> None:
    for bits, code in zip((32, 64, 32), run(COMPILED).split("---\n"), strict=True):
        operations = set(
            re.findall(r"^\s+((?:fma|div|sqrt|rcp|mul|add|sub)\.\S*f(?:32|64))", code, re.M)
        )
        assert {f"div.rn.f{bits}", "sqrt.rn.f32", "mul.rn.f32", "add.rn.f32"} <= operations
        assert all(
            re.fullmatch(r"(div|sqrt|mul|add|sub)\.rn\.f(32|64)", word) for word in operations
        )
