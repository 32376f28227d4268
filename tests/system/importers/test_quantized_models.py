"""Whole models in the QDQ form: computed in integers, and equal to ONNX Runtime up to one quantum of their outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest

from tests.support.imported import one_node, runtime_answers
from tests.support.onnx_bytes import load_onnx
from tests.support.quantized_networks import MODELS, made, steps

tvm = pytest.importorskip("tvm")

from tvm import relax  # noqa: E402

from tvm_farm.tracker.tuning.engines.space import Space  # noqa: E402
from tvm_farm.tracker.tuning.models.graph import lower, tasks_of  # noqa: E402

pytestmark = pytest.mark.system
PLAIN = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2", "num-cores": 2}
VNNI = {**PLAIN, "mcpu": "cascadelake"}
ARM = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a76", "num-cores": 4}


def lowered(model: onnx.ModelProto, target: dict[str, object], as_written: bool = False) -> object:
    return lower(load_onnx(model.SerializeToString(), {}, "m").module, tvm.target.Target(target), as_written=as_written)


def run(model: onnx.ModelProto, target: dict[str, object], x: np.ndarray, as_written: bool = False) -> np.ndarray:
    made = lowered(model, target, as_written)
    machine = relax.VirtualMachine(relax.build(made.module, tvm.target.Target(target)), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(x), *made.params.values()).numpy()


@pytest.mark.parametrize("layout", ["as_written", "blocked", "dots"])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("name", MODELS)
def test_answers_are_onnx_runtimes_up_to_one_quantum(name: str, dtype: str, layout: str) -> None:
    if layout == "dots" and not _has("avx512bw"):
        pytest.skip("this CPU has no AVX-512")
    model = made(name, dtype)
    x = np.random.default_rng(3).standard_normal((1, 3, 16, 16)).astype(np.float32)
    target = {**PLAIN, "mcpu": "skylake-avx512"} if layout == "dots" else PLAIN
    found, (wanted,) = run(model, target, x, layout == "as_written"), runtime_answers(model, [x])
    assert found.shape == wanted.shape
    assert len(np.unique(wanted)) > 8  # the answer says something
    apart = np.rint(np.abs(found - wanted) / steps(model))
    assert apart.max() <= 1
    assert (apart > 0).mean() <= 0.01


def test_one_scale_for_all_weights() -> None:
    model = made("mobile", "uint8", per_channel=False)
    x = np.random.default_rng(4).standard_normal((1, 3, 16, 16)).astype(np.float32)
    found, (wanted,) = run(model, PLAIN, x), runtime_answers(model, [x])
    assert np.rint(np.abs(found - wanted) / steps(model)).max() <= 1


def _has(flag: str) -> bool:
    return Path("/proc/cpuinfo").exists() and f" {flag}" in Path("/proc/cpuinfo").read_text()


def products(module: object) -> Iterator[str]:
    """Texts of the kernels that multiply and sum."""
    for variable, kernel in module.functions.items():
        if isinstance(kernel, tvm.tirx.PrimFunc) and re.search(r"conv|matmul", variable.name_hint):
            yield kernel.script()


@pytest.mark.parametrize("as_written", [True, False])
@pytest.mark.parametrize("name", ["mobile", "moves", "attention"])
def test_no_product_of_reals_is_left(name: str, as_written: bool) -> None:
    found = list(products(lowered(made(name, "uint8"), VNNI, as_written).module))
    assert len(found) >= 2
    for text in found:
        sums = re.findall(r'T\.(?:alloc_buffer|sblock_alloc_buffer|Buffer)\([^)]*\)?[^"]*"(\w+)"', text)
        assert "int32" in sums, text
        assert not re.search(r"= (\w+)\[[^\]]*\] \+ \w+\[[^\]]*\] \* \w+\[[^\]]*\]$", text, re.M), (
            text
        )  # a sum of reals


@pytest.mark.parametrize(("target", "intrinsic"), [(VNNI, "dot_16x4_vnni"), (ARM, "dot_4x4_i8i8s32_sdot")])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_schedules_use_the_targets_dot_products(target: dict[str, object], intrinsic: str, dtype: str) -> None:
    tasks = tasks_of(lowered(made("mobile", dtype), target), tvm.target.Target(target))
    dense = [task for task in tasks if "conv" in task.name and "iq" in task.workload.module]
    assert len(dense) >= 2
    for task in dense[:2]:
        space = Space(task.module, tvm.target.Target(target), task.name, 1)
        assert any(intrinsic in str(design) for design in space._designs), task.name


@pytest.mark.parametrize(("mcpu", "flag"), [("cascadelake", "avx512_vnni"), ("skylake-avx512", "avx512bw")])
def test_dot_products_of_the_largest_bytes_are_exact(mcpu: str, flag: str) -> None:
    if not _has(flag):
        pytest.skip(f"this CPU has no {flag}")
    target = tvm.target.Target({**PLAIN, "mcpu": mcpu})
    data = np.full((8, 64), 255, np.uint8)
    weight = np.where(np.arange(32) % 2, -128, 127).astype(np.int8) * np.ones((64, 1), np.int8)
    made = lowered(one_node("MatMulInteger", [data], {1: weight}, opset=10), {**PLAIN, "mcpu": mcpu})
    [task] = tasks_of(made, target)
    space, packed = Space(task.module, target, task.name, 1), next(iter(made.params.values()))
    tensorized = 0
    for seed in range(12):
        schedule = space.sample(Random(seed))
        if schedule is None or "call_llvm_pure_intrin" not in schedule.mod.script():
            continue
        tensorized += 1
        result = tvm.runtime.tensor(np.zeros((8, 32), np.int32))
        tvm.compile(schedule.mod, target)["main"](tvm.runtime.tensor(data), packed, result)
        np.testing.assert_array_equal(result.numpy(), data.astype(np.int32) @ weight.astype(np.int32))
    assert tensorized
