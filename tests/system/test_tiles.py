"""Products of bytes whose rows are not packed: what the CPU's dot products would read as one piece is none.

numpy is the judge.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm
from tvm import te

from tvm_farm.tracker.tuning.engines.space import Space

pytestmark = pytest.mark.system

CASCADELAKE = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "cascadelake", "num-cores": 2}
CORTEX_A76 = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a76", "num-cores": 4}
ROWS, COLUMNS, DEPTH = 8, 32, 64


def product(data: str, depth: int = DEPTH) -> tvm.ir.IRModule:
    """[rows, k] of ``data`` by the rows of int8 [columns, k]. A ``depth`` of 4 is what a dot product takes at once."""
    a, b = te.placeholder((ROWS, depth), data, "a"), te.placeholder((COLUMNS, depth), "int8", "b")
    k = te.reduce_axis((0, depth), "k")
    c = te.compute((ROWS, COLUMNS), lambda i, j: te.sum(a[i, k].astype("int32") * b[j, k].astype("int32"), axis=k), "c")
    return tvm.ir.IRModule({"main": te.create_prim_func([a, b, c])})


def tensorized(module: tvm.ir.IRModule, target: dict[str, object]) -> bool:
    space = Space(module, tvm.target.Target(target), "product", 1)
    assert len(space)
    return any("auto_tensorize" in str(design) for design in space._designs)


@pytest.mark.parametrize(("target", "data"), [(CASCADELAKE, "uint8"), (CORTEX_A76, "int8")])
def test_a_tile_with_gaps_is_not_given_to_an_intrinsic(target: dict[str, object], data: str) -> None:
    assert not tensorized(product(data), target)
    assert tensorized(product(data, depth=4), target), "its rows lie one behind the other"


@pytest.mark.skipif(
    not Path("/proc/cpuinfo").exists() or "avx512_vnni" not in Path("/proc/cpuinfo").read_text().split(),
    reason="this CPU has no dot products of VNNI",
)
def test_every_schedule_is_exact() -> None:
    random = np.random.default_rng(4)
    a = random.integers(0, 256, (ROWS, DEPTH)).astype(np.uint8)
    b = random.integers(-128, 128, (COLUMNS, DEPTH)).astype(np.int8)
    target = tvm.target.Target(CASCADELAKE)
    space = Space(product("uint8"), target, "product", 1)
    drawn = [schedule for seed in range(12) if (schedule := space.sample(Random(seed))) is not None]
    assert len(drawn) >= 6
    for schedule in drawn:
        c = tvm.runtime.tensor(np.zeros((ROWS, COLUMNS), np.int32))
        tvm.compile(schedule.mod, target)["main"](tvm.runtime.tensor(a), tvm.runtime.tensor(b), c)
        np.testing.assert_array_equal(c.numpy(), a.astype(np.int32) @ b.astype(np.int32).T)
