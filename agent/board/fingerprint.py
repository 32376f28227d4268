"""The fingerprint of a board, read from /proc, /sys, the device tree, DMI and os-release. No process is started."""

from __future__ import annotations

import os
import platform
import re
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tvm_farm.agent.board.arm_cores import core_name
from tvm_farm.protos.device import CpuCluster, Fingerprint
from tvm_farm.protos.version import __version__

__all__ = [
    "System",
    "normalise_arch",
    "parse_cpuinfo",
    "read_board_model",
    "read_clusters",
    "read_features",
    "read_fingerprint",
]

_FIELD = re.compile(r"^([^:\n]*\S)\s*:[ \t]*(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class System:
    """What a board's files do not tell."""

    #: As ``uname -m``.
    machine: str
    #: The size of the pointers of the board's programs.
    pointer_bits: int
    hostname: str
    #: As ``uname -r``.
    kernel: str
    #: The C library with its version, "glibc 2.36"; "" where unknown.
    libc: str

    @classmethod
    def here(cls) -> System:
        libc = " ".join(platform.libc_ver()).strip()
        return cls(platform.machine(), struct.calcsize("P") * 8, socket.gethostname(), platform.release(), libc)


def read_fingerprint(
    *, root: Path = Path("/"), affinity: Iterable[int] | None = None, system: System | None = None
) -> Fingerprint:
    """The fingerprint of a board, by default this one. ``affinity``: the CPUs that count, by default this process's.

    For another board ``root`` holds its files, and ``system`` is what it says of itself.
    """
    system = system or System.here()
    cpus = sorted(os.sched_getaffinity(0) if affinity is None else affinity)
    blocks = parse_cpuinfo(_text(root / "proc/cpuinfo"))
    clusters = read_clusters(blocks, cpus, root / "sys")
    return Fingerprint(
        arch=normalise_arch(system.machine, system.pointer_bits),
        board_model=read_board_model(root) or (clusters[0].name if clusters else ""),
        hostname=system.hostname,
        clusters=clusters,
        cpu_features=read_features(blocks),
        memory_bytes=read_memory_bytes(_text(root / "proc/meminfo")),
        os=read_os_name(root),
        kernel=system.kernel,
        libc=system.libc,
        python_version=platform.python_version(),
        agent_version=__version__,
    )


def normalise_arch(machine: str, pointer_bits: int) -> str:
    """The farm's name of the instruction set of a board's programs, which may not be the kernel's.

    ``machine`` is as ``uname -m``. A 32-bit userland on a 64-bit ARM kernel is armv7l: its libraries cannot be 64-bit.
    """
    machine = machine.lower()
    if machine in ("aarch64", "arm64", "armv8l", "armv8b"):
        return "aarch64" if pointer_bits == 64 else "armv7l"
    if machine in ("x86_64", "amd64"):
        return "x86_64" if pointer_bits == 64 else "i686"
    if machine in ("i386", "i486", "i586", "i686"):
        return "i686"
    return "armv7l" if machine.startswith("armv7") else machine


def parse_cpuinfo(text: str) -> list[dict[str, str]]:
    """The blocks of /proc/cpuinfo: one for each CPU, and with 32-bit ARM a last one for the whole board."""
    return [dict(_FIELD.findall(block)) for block in re.split(r"\n\s*\n", text) if block.strip()]


def read_clusters(blocks: list[dict[str, str]], cpus: Iterable[int], sys: Path) -> tuple[CpuCluster, ...]:
    """The clusters of ``cpus``, by their first CPU. CPUs of a cluster are alike in part, clocks and governor."""
    by_cpu = {int(block["processor"]): block for block in blocks if block.get("processor", "").isdigit()}
    shared: dict[str, str] = {}
    for block in blocks:  # one kernel writes MIDR fields once for all CPUs, another for each
        shared = {**shared, **block}
    alike: dict[CpuCluster, list[int]] = {}
    for cpu in cpus:
        block = by_cpu.get(cpu, {})
        kind = _kind({**shared, **block})
        freq = sys / f"devices/system/cpu/cpu{cpu}/cpufreq"
        cluster = CpuCluster(
            implementer=kind[0],
            part=kind[1],
            name=kind[2],
            min_khz=_khz(freq / "cpuinfo_min_freq"),
            max_khz=_khz(freq / "cpuinfo_max_freq"),
            governor=_text(freq / "scaling_governor"),
        )
        alike.setdefault(cluster, []).append(cpu)
    return tuple(
        CpuCluster(tuple(numbers), c.implementer, c.part, c.name, c.min_khz, c.max_khz, c.governor)
        for c, numbers in alike.items()
    )


def _kind(block: Mapping[str, str]) -> tuple[str, str, str]:
    """(implementer, part, name) of one CPU."""
    if "CPU implementer" in block:
        implementer, part = block["CPU implementer"], block.get("CPU part", "")
        return implementer, part, core_name(implementer, part)
    if "vendor_id" in block:
        part = "/".join(block.get(key, "?") for key in ("cpu family", "model", "stepping"))
        return block["vendor_id"], part, " ".join(block.get("model name", "").split())
    if "isa" in block:  # riscv: Documentation/arch/riscv/uabi.rst
        return block.get("mvendorid", ""), block.get("marchid", ""), block.get("uarch", "")
    return "", "", block.get("model name", block.get("cpu model", ""))


def read_features(blocks: list[dict[str, str]]) -> tuple[str, ...]:
    """Features that every listed CPU has, sorted: flags (x86), Features (ARM), extensions of isa (riscv)."""
    sets = []
    for block in blocks:
        if "flags" in block:
            sets.append(set(block["flags"].split()))
        elif "Features" in block:
            sets.append(set(block["Features"].split()))
        elif "isa" in block:
            sets.append(_riscv_extensions(block["isa"]))
    return tuple(sorted(set.intersection(*sets))) if sets else ()


def _riscv_extensions(isa: str) -> set[str]:
    """ "rv64imafdc_zba" as {"i", "m", "a", "f", "d", "c", "zba"}."""
    single, *multi = re.sub(r"^rv(32|64|128)", "", isa.strip().lower()).split("_")
    letters = re.match(r"[a-y]*", single)
    return set(letters[0] if letters else "") | set(multi)


def read_board_model(root: Path) -> str:
    """The device tree's model, else the DMI vendor and product; "" where neither says anything useful."""
    for tree in ("proc/device-tree/model", "sys/firmware/devicetree/base/model"):
        if model := _text(root / tree):
            return model
    dmi = root / "sys/class/dmi/id"
    vendor, product = _text(dmi / "sys_vendor"), _text(dmi / "product_name")
    useless = ("", "to be filled by o.e.m.", "system product name", "default string", "system manufacturer")
    words = [text for text in (vendor, product) if text.lower() not in useless]
    if len(words) == 2 and product.lower().startswith(vendor.lower()):
        return product
    return " ".join(words)


def read_memory_bytes(meminfo: str) -> int:
    """MemTotal of /proc/meminfo in bytes, 0 where it is missing."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def read_os_name(root: Path) -> str:
    """PRETTY_NAME of os-release, "" where there is none."""
    text = _text(root / "etc/os-release") or _text(root / "usr/lib/os-release")
    found = re.search(r"^PRETTY_NAME=(.*)$", text, re.MULTILINE)
    return found[1].strip("\"'") if found else ""


def _khz(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdigit() else 0


def _text(path: Path) -> str:
    """A file's text without the padding that device trees and sysfs add; "" where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip("\0\n\t ")
    except OSError:
        return ""
