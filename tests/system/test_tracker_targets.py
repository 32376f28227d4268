"""TVM and its LLVM take every target that the tracker derives."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.fingerprints import BOARDS
from tvm_farm.tracker.domain import target as table
from tvm_farm.tracker.domain.target import derive_target

tvm = pytest.importorskip("tvm")
pytestmark = pytest.mark.system


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_tvm_makes_a_target_of_it(name: str) -> None:
    derived = derive_target(BOARDS[name][0], threads=3)
    target = tvm.target.Target(json.loads(derived.target))
    assert target.kind.name == "llvm"
    assert int(target.attrs["num-cores"]) == 3
    assert str(target.attrs["mcpu"]) == json.loads(derived.target)["mcpu"]


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_llvm_knows_every_attribute(name: str) -> None:
    derived = json.loads(derive_target(BOARDS[name][0], threads=3).target)
    target = tvm.target.Target(derived)
    for attribute in derived.get("mattr", ()):
        has_it = tvm.target.codegen.llvm_cpu_has_features(attribute[1:], target)
        assert has_it == attribute.startswith("+"), attribute


@pytest.mark.parametrize(
    ("triple", "names"),
    [
        ("x86_64-linux-gnu", {*table._X86_NEEDS, *(name for name, _ in table._PSABI), "x86-64"}),
        ("aarch64-linux-gnu", {n for n in table._ARM_PARTS.values() if n not in table.ARMV7_PARTS} | {"generic"}),
        ("armv7l-linux-gnueabihf", table.ARMV7_PARTS | table.ARMV8_PARTS_IN_32_BIT | {"generic"}),
        ("riscv64-linux-gnu", {"generic-rv64"}),
    ],
)
def test_llvm_knows_every_cpu_of_the_table(triple: str, names: set[str]) -> None:
    known = tvm.target.codegen.llvm_get_cpu_archlist(tvm.target.Target({"kind": "llvm", "mtriple": triple}))
    assert names <= set(map(str, known))


@pytest.mark.parametrize(("name", "most"), [("sama5d3", 15), ("armada 370", 15), ("32-bit arm", 31)])
def test_a_kernel_uses_the_double_registers_that_the_board_has(name: str, most: int) -> None:
    target = tvm.target.Target(json.loads(derive_target(BOARDS[name][0], threads=1).target))
    k = tvm.te.reduce_axis((0, 8))
    a, b = tvm.te.placeholder((4, 8), "float64"), tvm.te.placeholder((8, 8), "float64")
    c = tvm.te.compute((4, 8), lambda i, j: tvm.te.sum(a[i, k] * b[k, j], axis=k), name="C")
    schedule = tvm.s_tir.Schedule(tvm.te.create_prim_func([a, b, c]))
    i, j, k = schedule.get_loops(schedule.get_sblock("C"))
    schedule.reorder(k, i, j)
    for loop in (i, j, k):
        schedule.unroll(loop)
    assembly = tvm.compile(schedule.mod, target=target).mod.inspect_source("s")
    assert max(int(number) for number in re.findall(r"[ {]d(\d+)\b", assembly)) == most
