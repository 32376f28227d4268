"""What a board is, from files of real boards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.board_trees import MARS, RASPBERRY_PI_4, ROC_RK3399, X86_SERVER, grow
from tvm_farm.agent.board.arm_cores import core_name
from tvm_farm.agent.board.fingerprint import (
    System,
    normalise_arch,
    parse_cpuinfo,
    read_board_model,
    read_clusters,
    read_features,
    read_fingerprint,
)
from tvm_farm.protos.device import CpuCluster


@pytest.mark.parametrize(
    ("machine", "bits", "arch"),
    [
        ("x86_64", 64, "x86_64"),
        ("AMD64", 64, "x86_64"),
        ("x86_64", 32, "i686"),
        ("aarch64", 64, "aarch64"),
        ("arm64", 64, "aarch64"),
        ("aarch64", 32, "armv7l"),
        ("armv8l", 32, "armv7l"),
        ("armv7l", 32, "armv7l"),
        ("armv6l", 32, "armv6l"),
        ("riscv64", 64, "riscv64"),
    ],
)
def test_arch_is_that_of_the_programs(machine: str, bits: int, arch: str) -> None:
    assert normalise_arch(machine, bits) == arch


def test_raspberry_pi(tmp_path: Path) -> None:
    board = read_fingerprint(root=grow(tmp_path, RASPBERRY_PI_4), affinity=range(4))
    assert board.board_model == "Raspberry Pi 4 Model B Rev 1.4"
    assert board.clusters == (CpuCluster((0, 1, 2, 3), "0x41", "0xd08", "Cortex-A72", 600_000, 1_500_000, "ondemand"),)
    assert board.cores == 4
    assert {"neon", "vfpv4", "crc32"} < set(board.cpu_features)
    assert list(board.cpu_features) == sorted(board.cpu_features)
    assert board.memory_bytes == 3884368 * 1024
    assert board.os == "Raspbian GNU/Linux 12 (bookworm)"


def test_another_board_speaks_for_itself(tmp_path: Path) -> None:
    far = System("aarch64", 32, "far", "6.1.0-rpi", "musl")
    board = read_fingerprint(root=grow(tmp_path, RASPBERRY_PI_4), affinity=(2,), system=far)
    assert (board.arch, board.hostname, board.kernel, board.libc) == ("armv7l", "far", "6.1.0-rpi", "musl")
    assert [cluster.cpus for cluster in board.clusters] == [(2,)]


def test_big_little_makes_two_clusters(tmp_path: Path) -> None:
    board = read_fingerprint(root=grow(tmp_path, ROC_RK3399), affinity=range(6))
    assert [(c.cpus, c.name, c.max_khz, c.governor) for c in board.clusters] == [
        ((0, 1, 2, 3), "Cortex-A53", 1_416_000, "schedutil"),
        ((4, 5), "Cortex-A72", 1_800_000, "performance"),
    ]
    assert board.board_model == "Firefly ROC-RK3399-PC Board"
    assert board.os == "Armbian 24.2 bookworm"


def test_only_the_cpus_of_the_affinity_mask_count(tmp_path: Path) -> None:
    board = read_fingerprint(root=grow(tmp_path, ROC_RK3399), affinity={5, 4})
    assert [(c.cpus, c.name) for c in board.clusters] == [((4, 5), "Cortex-A72")]


def test_the_mask_of_this_process_is_the_default(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    one = min(before)
    os.sched_setaffinity(0, {one})
    try:
        assert [c.cpus for c in read_fingerprint().clusters] == [(one,)]
    finally:
        os.sched_setaffinity(0, before)


def test_riscv(tmp_path: Path) -> None:
    board = read_fingerprint(root=grow(tmp_path, MARS), affinity=range(4))
    assert board.clusters == (CpuCluster((0, 1, 2, 3), "0x489", "0x8000000000000007", "sifive,u74-mc"),)
    assert set(board.cpu_features) == {
        *"imafdc", "zicntr", "zicsr", "zifencei", "zihpm", "zca", "zcd", "zba", "zbb",
    }  # fmt: skip


def test_x86(tmp_path: Path) -> None:
    board = read_fingerprint(root=grow(tmp_path, X86_SERVER), affinity=range(2))
    assert board.board_model == "Supermicro AS -1114S-WN10RT"
    assert board.clusters == (CpuCluster((0, 1), "AuthenticAMD", "25/17/1", "AMD EPYC"),)
    assert board.cpu_features == ("avx2", "avx512f", "fma", "fpu", "sse2")


def test_midr_fields_written_once_for_all_cpus() -> None:
    """Kernels before 3.8 did so."""
    text = (
        "Processor\t: ARMv7 Processor rev 4 (v7l)\nprocessor\t: 0\n\nprocessor\t: 1\n\n"
        "Features\t: swp half\nCPU implementer\t: 0x41\nCPU part\t: 0xc07\n\nHardware\t: sun8i\n"
    )
    blocks = parse_cpuinfo(text)
    assert [(c.cpus, c.name) for c in read_clusters(blocks, [0, 1], Path("/none"))] == [((0, 1), "Cortex-A7")]
    assert read_features(blocks) == ("half", "swp")


def test_features_are_those_that_every_cpu_has() -> None:
    blocks = parse_cpuinfo("processor: 0\nFeatures: fp asimd sve\n\nprocessor: 1\nFeatures: fp asimd\n")
    assert read_features(blocks) == ("asimd", "fp")


def test_a_board_that_says_nothing(tmp_path: Path) -> None:
    board = read_fingerprint(root=tmp_path, affinity={0})
    assert board.board_model == ""
    assert board.clusters == (CpuCluster((0,)),)
    assert board.memory_bytes == 0


@pytest.mark.parametrize(
    ("vendor", "product", "model"),
    [
        ("LENOVO", "20XW", "LENOVO 20XW"),
        ("Dell", "Dell XPS 13", "Dell XPS 13"),
        ("System manufacturer", "System Product Name", ""),
        ("", "KVM", "KVM"),
    ],
)
def test_dmi(tmp_path: Path, vendor: str, product: str, model: str) -> None:
    files = {"sys/class/dmi/id/sys_vendor": vendor + "\n", "sys/class/dmi/id/product_name": product + "\n"}
    assert read_board_model(grow(tmp_path, files)) == model


@pytest.mark.parametrize(
    ("implementer", "part", "name"),
    [
        ("0x41", "0xd0b", "Cortex-A76"),
        ("0x41", "0xd40", "Neoverse-V1"),
        ("0x41", "0xfff", "ARM part 0xfff"),
        ("0xc0", "0xac3", "Ampere-1"),
        ("0x99", "0x001", "0x99 part 0x001"),
        ("", "", ""),
    ],
)
def test_arm_parts(implementer: str, part: str, name: str) -> None:
    assert core_name(implementer, part) == name
