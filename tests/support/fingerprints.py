"""Boards as their agents describe them, and the target options that they must get."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tvm_farm.protos.device import CpuCluster, Fingerprint

__all__ = ["AARCH64_FEATURES", "BOARDS", "ZEN4_FEATURES", "board"]

ZEN4_FEATURES = {
    *("abm", "avx", "avx2", "avx512_bf16", "avx512_bitalg", "avx512_vbmi2", "avx512_vnni", "avx512bw", "avx512cd"),
    *("avx512dq", "avx512f", "avx512ifma", "avx512vbmi", "avx512vl", "bmi1", "bmi2", "cx16", "f16c", "fma", "gfni"),
    *("movbe", "popcnt", "sse4_1", "sse4_2", "sse4a", "ssse3", "vaes"),
}
AARCH64_FEATURES = {"fp", "asimd", "evtstrm", "crc32", "cpuid"}


def board(arch: str, implementer: str, part: str, features: set[str], name: str = "", cpus: int = 4) -> Fingerprint:
    """A board with one cluster."""
    cluster = CpuCluster(tuple(range(cpus)), implementer, part, name)
    return Fingerprint(
        arch=arch, board_model="Board", hostname="h", clusters=(cluster,), cpu_features=tuple(sorted(features))
    )


_RK3399 = Fingerprint(
    arch="aarch64",
    board_model="ROCK Pi 4",
    clusters=(
        CpuCluster((0, 1, 2, 3), "0x41", "0xd03", "Cortex-A53", 408_000, 1_416_000, "performance"),
        CpuCluster((4, 5), "0x41", "0xd08", "Cortex-A72", 408_000, 1_800_000, "performance"),
    ),
    cpu_features=tuple(AARCH64_FEATURES),
)
_GOLDMONT = {"cx16", "movbe", "popcnt", "sse4_1", "sse4_2", "ssse3"}
_ARM64 = {"mtriple": "aarch64-linux-gnu"}
_ARMV7 = {"mtriple": "armv7l-linux-gnueabihf", "mfloat-abi": "hard"}
_X86 = {"mtriple": "x86_64-linux-gnu"}
_RISCV = {
    "mtriple": "riscv64-linux-gnu",
    "mcpu": "generic-rv64",
    "mattr": ["+m", "+a", "+f", "+d", "+c"],
    "mabi": "lp64d",
}

#: name -> (fingerprint, expected options besides kind and num-cores)
BOARDS: dict[str, tuple[Fingerprint, dict[str, Any]]] = {
    "raspberry pi 3": (
        board("aarch64", "0x41", "0xd03", AARCH64_FEATURES),
        {**_ARM64, "mcpu": "cortex-a53", "mattr": ["+neon"]},
    ),
    "raspberry pi 4": (
        board("aarch64", "0x41", "0xd08", AARCH64_FEATURES),
        {**_ARM64, "mcpu": "cortex-a72", "mattr": ["+neon"]},
    ),
    "raspberry pi 5": (
        board("aarch64", "0x41", "0xd0b", AARCH64_FEATURES | {"asimddp", "asimdhp"}),
        {**_ARM64, "mcpu": "cortex-a76", "mattr": ["+neon", "+dotprod", "+fullfp16"]},
    ),
    "rk3399": (_RK3399, {**_ARM64, "mcpu": "cortex-a72", "mattr": ["+neon"]}),
    "rk3399, its A72 cluster": (
        replace(_RK3399, clusters=_RK3399.clusters[1:]),
        {**_ARM64, "mcpu": "cortex-a72", "mattr": ["+neon"]},
    ),
    "rk3399, its A53 cluster": (
        replace(_RK3399, clusters=_RK3399.clusters[:1]),
        {**_ARM64, "mcpu": "cortex-a53", "mattr": ["+neon"]},
    ),
    "raspberry pi 4, 32-bit": (
        board("armv7l", "0x41", "0xd08", {"half", "neon", "vfpv4"}),
        {"mtriple": "armv7l-linux-gnueabihf", "mcpu": "cortex-a72", "mattr": ["+neon"], "mfloat-abi": "hard"},
    ),
    "jetson nano": (
        board("aarch64", "0x41", "0xd07", AARCH64_FEATURES),
        {**_ARM64, "mcpu": "cortex-a57", "mattr": ["+neon"]},
    ),
    "jetson xavier": (
        board("aarch64", "0x4e", "0x004", AARCH64_FEATURES | {"asimdhp"}),
        {**_ARM64, "mcpu": "carmel", "mattr": ["+neon", "+fullfp16"]},
    ),
    "jetson orin": (
        board("aarch64", "0x41", "0xd42", AARCH64_FEATURES | {"asimddp", "asimdhp"}),
        {**_ARM64, "mcpu": "cortex-a78ae", "mattr": ["+neon", "+dotprod", "+fullfp16"]},
    ),
    "graviton 2": (
        board("aarch64", "0x41", "0xd0c", AARCH64_FEATURES | {"asimddp", "asimdhp"}),
        {**_ARM64, "mcpu": "neoverse-n1", "mattr": ["+neon", "+dotprod", "+fullfp16"]},
    ),
    "graviton 4": (
        board("aarch64", "0x41", "0xd4f", AARCH64_FEATURES | {"asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2"}),
        {
            **_ARM64,
            "mcpu": "neoverse-v2",
            "mattr": ["+neon", "+dotprod", "+fullfp16", "+i8mm", "+bf16", "+sve", "+sve2"],
        },
    ),
    "apple m1 pro, its fast cores": (
        board("aarch64", "0x61", "0x025", AARCH64_FEATURES | {"asimddp", "asimdhp"}),
        {**_ARM64, "mcpu": "apple-a14", "mattr": ["+neon", "+dotprod", "+fullfp16"]},
    ),
    "apple m2 max, its slow cores": (
        board("aarch64", "0x61", "0x038", AARCH64_FEATURES | {"asimddp", "asimdhp", "i8mm", "bf16"}),
        {**_ARM64, "mcpu": "apple-a15", "mattr": ["+neon", "+dotprod", "+fullfp16", "+i8mm", "+bf16"]},
    ),
    "apple m3 max, its fast cores": (
        board("aarch64", "0x61", "0x049", AARCH64_FEATURES),
        {**_ARM64, "mcpu": "apple-a16", "mattr": ["+neon"]},
    ),
    "snapdragon 820, its fast cores": (
        board("aarch64", "0x51", "0x205", AARCH64_FEATURES),
        {**_ARM64, "mcpu": "kryo", "mattr": ["+neon"]},
    ),
    "apple m1 in a 32-bit program": (
        board("armv7l", "0x61", "0x022", {"neon"}),
        {"mtriple": "armv7l-linux-gnueabihf", "mcpu": "generic", "mattr": ["+neon"], "mfloat-abi": "hard"},
    ),
    "graviton 3": (
        board("aarch64", "0x41", "0xd40", AARCH64_FEATURES | {"asimddp", "asimdhp", "i8mm", "bf16", "sve"}),
        {**_ARM64, "mcpu": "neoverse-v1", "mattr": ["+neon", "+dotprod", "+fullfp16", "+i8mm", "+bf16", "+sve"]},
    ),
    "unknown arm": (
        board("aarch64", "0x41", "0xfff", AARCH64_FEATURES),
        {**_ARM64, "mcpu": "generic", "mattr": ["+neon"]},
    ),
    "32-bit arm": (
        board("armv7l", "0x41", "0xc09", {"neon", "vfpv3"}),
        {"mtriple": "armv7l-linux-gnueabihf", "mcpu": "cortex-a9", "mattr": ["+neon"], "mfloat-abi": "hard"},
    ),
    "sama5d3": (
        board("armv7l", "0x41", "0xc05", {"vfp", "vfpv3", "vfpv3d16", "vfpv4"}),
        {**_ARMV7, "mcpu": "cortex-a5", "mattr": ["-neon", "-d32"]},
    ),
    "armada 370": (
        board("armv7l", "0x56", "0x581", {"vfp", "vfpv3", "vfpv3d16"}),
        {**_ARMV7, "mcpu": "generic", "mattr": ["-neon", "-d32"]},
    ),
    "tegra 2, a kernel that lists neither": (
        board("armv7l", "0x41", "0xc09", {"vfp", "vfpv3"}),
        {**_ARMV7, "mcpu": "cortex-a9", "mattr": ["-neon", "-d32"]},
    ),
    "32 double registers without NEON": (
        board("armv7l", "0x41", "0xc09", {"vfp", "vfpv3", "vfpd32"}),
        {**_ARMV7, "mcpu": "cortex-a9", "mattr": ["-neon"]},
    ),
    "riscv": (board("riscv64", "", "", set()), _RISCV),
    "epyc": (board("x86_64", "AuthenticAMD", "25/17/1", ZEN4_FEATURES), {**_X86, "mcpu": "znver4"}),
    "skylake": (
        board("x86_64", "GenuineIntel", "6/85/4", ZEN4_FEATURES),
        {**_X86, "mcpu": "skylake-avx512"},
    ),
    "cascadelake": (board("x86_64", "GenuineIntel", "6/85/7", ZEN4_FEATURES), {**_X86, "mcpu": "cascadelake"}),
    "haswell": (board("x86_64", "GenuineIntel", "6/63/2", ZEN4_FEATURES), {**_X86, "mcpu": "haswell"}),
    "icelake server": (board("x86_64", "GenuineIntel", "6/106/6", ZEN4_FEATURES), {**_X86, "mcpu": "icelake-server"}),
    "n100": (
        board("x86_64", "GenuineIntel", "6/190/0", ZEN4_FEATURES | {"avx_vnni"}),
        {**_X86, "mcpu": "gracemont"},
    ),
    "j4125": (board("x86_64", "GenuineIntel", "6/122/8", _GOLDMONT), {**_X86, "mcpu": "goldmont-plus"}),
    "zen 5": (
        board("x86_64", "AuthenticAMD", "26/2/1", ZEN4_FEATURES | {"avx512_vp2intersect", "avx_vnni"}),
        {**_X86, "mcpu": "znver5"},
    ),
    "unknown x86": (board("x86_64", "CentaurHauls", "7/59/0", ZEN4_FEATURES), {**_X86, "mcpu": "x86-64-v4"}),
    "no number": (board("x86_64", "", "", {"sse2"}), {**_X86, "mcpu": "x86-64"}),
}
