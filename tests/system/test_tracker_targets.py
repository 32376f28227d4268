"""TVM and its LLVM take every target that the tracker derives."""

from __future__ import annotations

import json

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
