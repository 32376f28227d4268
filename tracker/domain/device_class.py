"""Which boards have comparable timings, and the labels that every board bears."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tvm_farm.protos.device import CpuCluster, Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.runtime import Runtime
from tvm_farm.tracker.domain.device import Device

__all__ = ["AUTOMATIC_LABELS", "automatic_labels", "device_class", "with_runtime"]

#: Names of ARM cores that agents give to several unlike parts.
_NAMES_OF_SEVERAL_PARTS = {"Cortex-A17", "Kryo", "ThunderX2"}
_X86_MAKERS = {"GenuineIntel", "AuthenticAMD", "HygonGenuine", "CentaurHauls"}

#: Labels that the tracker sets; an agent may not.
AUTOMATIC_LABELS = ("arch", "board", "device_class", "hostname", "name", "runner")


def slug(text: str) -> str:
    """``text`` in lower case with every run of other than letters, digits and dots as one dash."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def device_class(fingerprint: Fingerprint, runner: RunnerInfo) -> str:
    """A name that two boards share when the same kernel may be timed on either.

    Built of the board's model, its CPUs (count of each part), their governor, the runner's mode and threads, and TVM's
    version where its runtime does the timing. Changes when any of them does. A highest clock is none of them: chips of
    one kind are sorted by it, and differ by a few percent.
    """
    parts = [slug(fingerprint.board_model) or "unknown-board"]
    parts += _cores(fingerprint.clusters)
    parts += sorted({slug(cluster.governor) for cluster in fingerprint.clusters if cluster.governor})
    parts.append(runner.mode.value)
    parts.append(f"{runner.threads or fingerprint.cores}t")
    if runner.tvm_version:
        parts.append(f"tvm{slug(runner.tvm_version)}")
    return "-".join(parts)


def with_runtime(device: Device, runtime: Runtime) -> Device:
    """``device`` in full mode with ``runtime``, as it will join once it has it."""
    runner = replace(
        device.runner,
        mode=RunnerMode.FULL,
        full_mode_missing="",
        tvm_version=runtime.tvm_version,
        tvm_ffi_version=runtime.tvm_ffi_version,
    )
    return replace(device, runner=runner, device_class=device_class(device.fingerprint, runner))


def _cores(clusters: Sequence[CpuCluster]) -> list[str]:
    """How many cores of each part, in the order of the clusters: "4xcortex-a76"."""
    count: Counter[str] = Counter()
    for cluster in clusters:
        count[_core(cluster)] += len(cluster.cpus)
    return [f"{number}x{core}" for core, number in count.items()]


def _core(cluster: CpuCluster) -> str:
    """The part of a cluster's cores, by its name where that name is one part's alone."""
    number = slug(f"{cluster.implementer} {cluster.part}")
    name = slug(cluster.name)
    if not name or not number:
        return name or number or "cpu"
    if cluster.name in _NAMES_OF_SEVERAL_PARTS or (cluster.implementer in _X86_MAKERS and not _tells_model(cluster)):
        return f"{name}-{slug(cluster.part)}"
    return name


def _tells_model(cluster: CpuCluster) -> bool:
    """Whether an x86 CPU's name has a model's number: that of a virtual machine is often "AMD EPYC" on any of them."""
    return bool(re.search(r"\d{3}", cluster.name.partition("@")[0]))


def automatic_labels(name: str, fingerprint: Fingerprint, runner: RunnerInfo, board_class: str) -> dict[str, str]:
    """The labels of AUTOMATIC_LABELS with this board's values."""
    return {
        "arch": fingerprint.arch,
        "board": slug(fingerprint.board_model),
        "device_class": board_class,
        "hostname": fingerprint.hostname,
        "name": name,
        "runner": runner.mode.value,
    }
