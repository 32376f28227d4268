"""Which boards have comparable timings, and the labels that every board bears."""

from __future__ import annotations

import re
from dataclasses import replace

from tvm_farm.protos.device import CpuCluster, Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.runtime import Runtime
from tvm_farm.tracker.domain.device import Device

__all__ = ["AUTOMATIC_LABELS", "automatic_labels", "device_class", "with_runtime"]

#: Labels that the tracker sets; an agent may not.
AUTOMATIC_LABELS = ("arch", "board", "device_class", "hostname", "name", "runner")


def slug(text: str) -> str:
    """``text`` in lower case with every run of other than letters, digits and dots as one dash."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def device_class(fingerprint: Fingerprint, runner: RunnerInfo) -> str:
    """A name that two boards share when the same kernel may be timed on either.

    Built of the board's model, its CPUs (count and part of each cluster), their governor, the runner's mode and
    threads, and TVM's version where its runtime does the timing. Changes when any of them does.
    """
    parts = [slug(fingerprint.board_model) or "unknown-board"]
    parts += [_cluster(cluster) for cluster in fingerprint.clusters]
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


def _cluster(cluster: CpuCluster) -> str:
    part = slug(cluster.name) or slug(f"{cluster.implementer} {cluster.part}") or "cpu"
    return f"{len(cluster.cpus)}x{part}"


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
