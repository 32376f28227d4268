"""Which changes of a board part its timings from those of others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tvm_farm.agent.board.arm_cores import _CORES
from tvm_farm.protos.device import CpuCluster, Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.runtime import Runtime
from tvm_farm.tracker.domain import BUILT_IN_POOLS, Device, matches
from tvm_farm.tracker.domain.device_class import (
    _NAMES_OF_SEVERAL_PARTS,
    ClassMove,
    automatic_labels,
    class_moves,
    device_class,
    former_class,
    is_renamed,
    with_runtime,
)

PI = Fingerprint(
    arch="aarch64",
    board_model="Raspberry Pi 4 Model B Rev 1.4",
    hostname="pi-1",
    clusters=(CpuCluster((0, 1, 2, 3), "0x41", "0xd08", "Cortex-A72", governor="performance"),),
)
FULL = RunnerInfo(RunnerMode.FULL, 1, "0.27.0.post1", "0.1.14", 4, ("llvm",))


def test_it_reads_like_the_board() -> None:
    expected = "raspberry-pi-4-model-b-rev-1.4-4xcortex-a72-performance-full-4t-tvm0.27.0.post1"
    assert device_class(PI, FULL) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"board_model": "Raspberry Pi 5"},
        {"clusters": (replace(PI.clusters[0], cpus=(0, 1)),)},
        {"clusters": (replace(PI.clusters[0], name="Cortex-A76"),)},
        {"clusters": (replace(PI.clusters[0], governor="ondemand"),)},
        {"clusters": (*PI.clusters, replace(PI.clusters[0], cpus=(4,)))},
    ],
)
def test_another_board_is_another_class(change: dict[str, Any]) -> None:
    assert device_class(replace(PI, **change), FULL) != device_class(PI, FULL)


def _cores(*clusters: CpuCluster) -> str:
    return device_class(replace(PI, clusters=clusters), FULL)


def test_unlike_parts_of_one_name_are_unlike_classes() -> None:
    gold = CpuCluster((2, 3), "0x51", "0x205", "Kryo", 408_000, 2_150_400, "performance")
    silver = CpuCluster((0, 1), "0x51", "0x201", "Kryo", 408_000, 1_593_600, "performance")
    assert _cores(gold) != _cores(silver)
    haswell, skylake = (
        CpuCluster((0,), "GenuineIntel", part, "Intel Xeon CPU @ 2.20GHz") for part in ("6/63/0", "6/85/3")
    )
    assert _cores(haswell) != _cores(skylake)


def test_a_clock_by_which_chips_of_one_kind_are_sorted_is_none_of_the_class() -> None:
    big = CpuCluster((4, 5, 6, 7), "0x41", "0xd0b", "Cortex-A76", 408_000, 2_352_000, "performance")
    slower = replace(big, cpus=(6, 7), max_khz=2_304_000)
    assert _cores(replace(big, cpus=(4, 5)), slower) == _cores(big)
    assert "-4xcortex-a76-performance-" in _cores(big)
    assert _cores(replace(big, governor="ondemand")) != _cores(big)


@pytest.mark.parametrize(
    ("name", "part", "core"),
    [
        ("AMD EPYC", "25/17/1", "2xamd-epyc-25-17-1"),
        ("QEMU Virtual CPU version 2.5+", "6/13/3", "2xqemu-virtual-cpu-version-2.5-6-13-3"),
        ("Intel(R) N100", "6/190/0", "2xintel-r-n100"),
        ("AMD Ryzen 7 5800X 8-Core Processor", "25/33/0", "2xamd-ryzen-7-5800x-8-core-processor"),
    ],
)
def test_the_name_of_an_x86_cpu_is_enough_where_it_has_a_number(name: str, part: str, core: str) -> None:
    assert f"-{core}-full-" in _cores(CpuCluster((0, 1), "AuthenticAMD", part, name))


def test_each_name_that_several_parts_have_is_known_for_it() -> None:
    shared = {name for name, count in Counter(_CORES.values()).items() if count > 1}
    assert shared == _NAMES_OF_SEVERAL_PARTS


@pytest.mark.parametrize(
    "change", [{"mode": RunnerMode.MICRO}, {"threads": 2}, {"tvm_version": "0.28.0"}, {"tvm_version": ""}]
)
def test_another_runner_is_another_class(change: dict[str, Any]) -> None:
    assert device_class(PI, replace(FULL, **change)) != device_class(PI, FULL)


@pytest.mark.parametrize("change", [{"hostname": "pi-2"}, {"kernel": "6.6"}, {"memory_bytes": 1}, {"os": "Debian"}])
def test_what_does_not_change_timings_keeps_the_class(change: dict[str, Any]) -> None:
    assert device_class(replace(PI, **change), FULL) == device_class(PI, FULL)


def test_nothing_known_still_has_a_name() -> None:
    assert device_class(Fingerprint(), RunnerInfo(mode=RunnerMode.MICRO)) == "unknown-board-micro-0t"


@pytest.mark.parametrize(
    ("arch", "mode", "pools"),
    [
        ("aarch64", RunnerMode.FULL, {"arm64"}),
        ("aarch64", RunnerMode.MICRO, {"arm64"}),
        ("x86_64", RunnerMode.FULL, {"x86_64"}),
        ("armv7l", RunnerMode.MICRO, {"armv7"}),
        ("riscv64", RunnerMode.MICRO, {"riscv64"}),
        ("x86_64", RunnerMode.SYNTHETIC, {"synthetic"}),
    ],
)
def test_built_in_pools(arch: str, mode: RunnerMode, pools: set[str]) -> None:
    labels = automatic_labels("n", replace(PI, arch=arch), replace(FULL, mode=mode), "c")
    assert {pool.name for pool in BUILT_IN_POOLS if matches(pool.selector, labels)} == pools


@pytest.mark.parametrize(
    ("selector", "labels", "belongs"),
    [
        ({"rack": "1"}, {"rack": "1", "runner": "full"}, True),
        ({"rack": "1"}, {"rack": "2", "runner": "full"}, False),
        ({"rack": "1", "board": "x"}, {"rack": "1", "runner": "full"}, False),
        ({"rack": "1"}, {"rack": "1", "runner": "synthetic"}, False),
        ({"rack": "1", "runner": "synthetic"}, {"rack": "1", "runner": "synthetic"}, True),
    ],
)
def test_selectors(selector: dict[str, str], labels: dict[str, str], belongs: bool) -> None:
    assert matches(selector, labels) is belongs


def test_a_board_whose_runtime_came_is_in_the_class_that_it_joins_with() -> None:
    micro = RunnerInfo(RunnerMode.MICRO, 1, "", "", 4, ("llvm",), full_mode_missing="it is on its way")
    board = Device(id="1", name="pi", fingerprint=PI, runner=micro, device_class=device_class(PI, micro))
    soon = with_runtime(board, Runtime("aarch64", "glibc 2.27", "0.27.0.post1", "0.1.14"))
    assert soon.device_class == device_class(PI, FULL) != board.device_class
    assert soon.runner.mode is RunnerMode.FULL
    assert soon.id == board.id


GOLD = CpuCluster((2, 3), "0x51", "0x205", "Kryo", 408_000, 2_150_400, "performance")
SILVER = CpuCluster((0, 1), "0x51", "0x201", "Kryo", 408_000, 1_593_600, "performance")
BIG = CpuCluster((4, 5), "0x41", "0xd0b", "Cortex-A76", 408_000, 2_352_000, "performance")


def _before(device_id: str, *clusters: CpuCluster) -> tuple[Device, str]:
    """A board as a farm of version 0.1 kept it, and its class now."""
    board, runner = replace(PI, board_model="Board", clusters=clusters), replace(FULL, threads=2)
    kept = Device(device_id, device_id, board, runner, device_class=former_class(board, runner))
    return kept, device_class(board, runner)


def test_records_of_a_class_with_another_name_go_with_it() -> None:
    rock = _before("rock", BIG, replace(BIG, cpus=(6, 7), max_khz=2_304_000))
    old, now = "board-2xcortex-a76-2xcortex-a76-performance-", "board-4xcortex-a76-performance-"
    assert rock[0].device_class == f"{old}full-2t-tvm0.27.0.post1"
    recorded = [f"{old}{tail}" for tail in ("full-2t-tvm0.26.0", "micro-2t", "on-demand")] + ["other-micro-2t"]
    assert class_moves([rock, _before("pi", BIG)], recorded) == [
        ClassMove(f"{old}full-2t-tvm0.26.0", f"{now}full-2t-tvm0.26.0"),
        ClassMove(f"{old}micro-2t", f"{now}micro-2t"),
    ]


def test_boards_that_are_of_two_classes_now_take_their_own_records_along() -> None:
    gold, silver = _before("gold", GOLD), _before("silver", SILVER)
    old = gold[0].device_class
    assert (old, silver[0].device_class) == (old, old)
    assert class_moves([gold, silver], [old]) == [
        ClassMove(old, gold[1], "gold"),
        ClassMove(old, silver[1], "silver"),
    ]


def test_a_board_whose_cores_got_a_name_is_the_same_board() -> None:
    unnamed = replace(GOLD, name="Qualcomm part 0x205")
    assert is_renamed(replace(PI, clusters=(unnamed,)), replace(PI, clusters=(GOLD,)))
    first = replace(PI, board_model=unnamed.name, clusters=(unnamed,))
    assert is_renamed(first, replace(PI, board_model=GOLD.name, clusters=(GOLD,)))
    assert not is_renamed(replace(PI, clusters=(GOLD,)), replace(PI, clusters=(GOLD,)))
    assert not is_renamed(replace(PI, clusters=(unnamed,)), replace(PI, clusters=(replace(GOLD, cpus=(2,)),)))
    assert not is_renamed(replace(PI, clusters=(unnamed,)), replace(PI, clusters=(replace(GOLD, governor="x"),)))
    assert not is_renamed(replace(PI, clusters=(SILVER,)), replace(PI, clusters=(GOLD,)))
