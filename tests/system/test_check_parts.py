"""What a check counts, held against counts by hand, and its two kernels against numpy."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm
from tvm import relax, te

from tvm_farm.tracker.domain import Workload
from tvm_farm.tracker.tuning.checking.activations import activation_peak
from tvm_farm.tracker.tuning.checking.peak_kernels import arithmetic_kernel, memory_kernel
from tvm_farm.tracker.tuning.checking.traffic import bytes_touched, largest_dtype
from tvm_farm.tracker.tuning.models.graph import ExtractedTask, arguments_of, lower

pytestmark = pytest.mark.system

HOST = tvm.target.Target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3", "num-cores": 2})


def task(*tensors: te.Tensor) -> ExtractedTask:
    module = tvm.IRModule({"main": te.create_prim_func(list(tensors))})
    return ExtractedTask("t", 1, module, Workload("k", "t", ""))


def looked_up() -> ExtractedTask:
    table, at = te.placeholder((1000, 16), "float32", "table"), te.placeholder((5,), "int64", "at")
    return task(table, at, te.compute((5, 16), lambda i, j: table[at[i], j], "out"))


def every_other() -> ExtractedTask:
    data = te.placeholder((64, 8), "float16", "data")
    return task(data, te.compute((32, 8), lambda i, j: data[2 * i, j], "out"))


def product() -> ExtractedTask:
    a, b, k = te.placeholder((4, 32), "int8", "a"), te.placeholder((32, 48), "int8", "b"), te.reduce_axis((0, 32), "k")
    wide = te.compute((4, 48), lambda i, j: te.sum(a[i, k].astype("int32") * b[k, j].astype("int32"), k), "c")
    return task(a, b, wide)


def through_a_padded_copy() -> ExtractedTask:
    data = te.placeholder((8, 8), "float32", "data")
    padded = te.compute((10, 10), lambda i, j: te.if_then_else(te.all(i < 8, j < 8), data[i, j], 0.0), "padded")
    return task(data, te.compute((8, 8), lambda i, j: padded[i + 1, j + 1] + padded[i, j], "out"))


@pytest.mark.parametrize(
    ("made", "touched", "dtype"),
    [
        (looked_up, 4 * 5 * 16 + 8 * 5 + 4 * 5 * 16, "float32"),
        (every_other, 2 * 32 * 8 * 2, "float16"),
        (product, 4 * 32 + 32 * 48 + 4 * 4 * 48, "int8"),
        (through_a_padded_copy, 4 * 64 + 4 * 64, "float32"),
    ],
)
def test_bytes_touched(made, touched, dtype) -> None:
    assert (bytes_touched(made()), largest_dtype(made())) == (touched, dtype)


def lowered(build) -> object:
    """``build(emit, x)`` on an input of 1,024 float32; what it returns is the output."""
    builder, x = relax.BlockBuilder(), relax.Var("x", relax.TensorType((32, 32), "float32"))
    with builder.function("main", [x], attrs={"num_input": 1}):
        with builder.dataflow():
            result = builder.emit_output(build(builder.emit, x))
        builder.emit_func_output(result)
    return lower(builder.finalize(), HOST)


def chain(emit, x):
    for _ in range(3):
        x = emit(relax.op.matmul(x, relax.const(np.eye(32, dtype=np.float32))))
    return x


def remembered(emit, x):
    """Its first product is read again at the end."""
    first = emit(relax.op.matmul(x, x))
    return emit(relax.op.matmul(first, chain(emit, first)))


def viewed(emit, x):
    """A reshape is another name for the same memory."""
    flat = emit(relax.op.reshape(chain(emit, x), (16, 64)))
    return emit(relax.op.matmul(flat, relax.const(np.ones((64, 1), np.float32))))


def in_parts(emit, x):
    whole = emit(relax.op.split(chain(emit, x), 2))
    return emit(relax.op.matmul(emit(relax.TupleGetItem(whole, 0)), emit(relax.op.permute_dims(x))))


UNIT = 4 * 32 * 32


@pytest.mark.parametrize(
    ("build", "most"),
    [
        (chain, 3 * UNIT),  # the input, what is read, what is made
        (remembered, 4 * UNIT),
        (viewed, 3 * UNIT),
        (in_parts, 3 * UNIT),
    ],
)
def test_activation_memory(build, most) -> None:
    model = lowered(build)
    found = activation_peak(model)
    assert found.bytes_alive == most
    assert found.at in {variable.name_hint for variable in model.module.get_global_vars()}


def run(kernel):
    library = tvm.tirx.build(kernel.module, target=tvm.target.Target("llvm"))
    random = np.random.default_rng(0)
    arrays = [random.random(argument.shape).astype(np.float32) for argument in arguments_of(kernel.module)]
    tensors = [tvm.runtime.tensor(array) for array in arrays]
    library["main"](*tensors)
    return arrays, tensors[-1].numpy()


def test_the_memory_kernel_moves_what_it_says() -> None:
    kernel = memory_kernel(tvm.target.Target("llvm"))
    (first, second, _), out = run(kernel)
    assert kernel.work == first.nbytes + second.nbytes + out.nbytes
    np.testing.assert_allclose(out, first + 3 * second, rtol=1e-6)


def test_the_arithmetic_kernel_computes_what_it_says() -> None:
    kernel = arithmetic_kernel(HOST)
    (start, factor, _), out = run(kernel)
    lanes = factor.shape[0]
    held = start.reshape(start.shape[0], -1, lanes).astype(np.float64)
    steps = round(kernel.work / (2 * start.size))
    for _ in range(steps):
        for at in range(held.shape[1]):
            held[:, at] += held[:, (at + 1) % held.shape[1]] * (factor * np.float32(1e-4))
    assert kernel.work == 2 * start.size * steps
    np.testing.assert_allclose(out.reshape(held.shape), held, rtol=1e-2)
    assert np.abs(held / start.reshape(held.shape) - 1).max() > 0.1  # steps left out would be seen


@pytest.mark.parametrize(
    "target",
    [
        {"mtriple": "x86_64-linux-gnu", "mcpu": "znver4"},
        {"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72", "mattr": ["+neon"]},
        {"mtriple": "armv7l-linux-gnueabihf", "mcpu": "cortex-a9", "mattr": ["-neon"], "mfloat-abi": "hard"},
        {
            "mtriple": "riscv64-linux-gnu",
            "mcpu": "generic-rv64",
            "mattr": ["+m", "+a", "+f", "+d", "+c"],
            "mabi": "lp64d",
        },
    ],
    ids=lambda target: target["mtriple"],
)
def test_both_are_compiled_for(target) -> None:
    made = tvm.target.Target({"kind": "llvm", **target})
    for kernel in (arithmetic_kernel(made), memory_kernel(made)):
        assert tvm.tirx.build(kernel.module, target=made).inspect_source("asm")
