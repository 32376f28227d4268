"""Which boards have comparable timings, and the labels that every board bears."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tvm_farm.protos.device import CpuCluster, Fingerprint, RunnerInfo, RunnerMode
from tvm_farm.protos.runtime import Runtime
from tvm_farm.tracker.domain.device import Device

__all__ = [
    "AUTOMATIC_LABELS",
    "ClassMove",
    "automatic_labels",
    "class_moves",
    "device_class",
    "former_class",
    "is_renamed",
    "with_runtime",
]

#: Names of ARM cores that agents give to several unlike parts.
_NAMES_OF_SEVERAL_PARTS = {"Cortex-A17", "Kryo", "ThunderX2"}
_X86_MAKERS = {"GenuineIntel", "AuthenticAMD", "HygonGenuine", "CentaurHauls"}

#: The end of a class: see _tail.
_TAIL = re.compile(r"(full|micro|synthetic)-\d+t(-tvm[a-z0-9.-]+)?")

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
    return _joined(fingerprint, runner, _cores(fingerprint.clusters))


def former_class(fingerprint: Fingerprint, runner: RunnerInfo) -> str:
    """As ``device_class`` was before version 0.2, each cluster by its name: in scripts and packages of then."""
    return _joined(fingerprint, runner, [f"{len(c.cpus)}x{_name(c)}" for c in fingerprint.clusters])


def _joined(fingerprint: Fingerprint, runner: RunnerInfo, cores: Sequence[str]) -> str:
    governors = sorted({slug(cluster.governor) for cluster in fingerprint.clusters if cluster.governor})
    board = slug(fingerprint.board_model) or "unknown-board"
    return "-".join([board, *cores, *governors, _tail(fingerprint, runner)])


def _tail(fingerprint: Fingerprint, runner: RunnerInfo) -> str:
    """What a class has of the runner, at its end."""
    version = f"-tvm{slug(runner.tvm_version)}" if runner.tvm_version else ""
    return f"{runner.mode.value}-{runner.threads or fingerprint.cores}t{version}"


@dataclass(frozen=True)
class ClassMove:
    """A class of records that has another name now, for those of the device ``device_id``; "": for all of them."""

    before: str
    after: str
    device_id: str = ""


def class_moves(
    devices: Sequence[tuple[Device, str]], recorded: Collection[str], *, apart: bool = False
) -> list[ClassMove]:
    """Which records go on in another class, since classes are named otherwise.

    ``devices``: each as it was kept, and its class now, with the same runner. ``recorded``: the classes of the log.
    Those of the same boards with another runner are moved too. Boards of one class that are of several now take their
    own records along, all boards with ``apart``.
    """
    heads: dict[str, dict[str, list[str]]] = {}
    for device, now in devices:
        tail = _tail(device.fingerprint, device.runner)
        if device.device_class.endswith(f"-{tail}") and now.endswith(f"-{tail}"):
            afters = heads.setdefault(device.device_class.removesuffix(tail), {})
            afters.setdefault(now.removesuffix(tail), []).append(device.id)
    moves = []
    for before, afters in heads.items():
        tails = [each[len(before) :] for each in recorded if each.startswith(before)]
        for tail in filter(_TAIL.fullmatch, tails):
            for after, ids in afters.items():
                movers = ids if apart or len(afters) > 1 else [""]
                moves += [ClassMove(before + tail, after + tail, each) for each in movers if after != before]
    return moves


def is_renamed(before: Fingerprint, now: Fingerprint) -> bool:
    """Whether a board calls its cores otherwise, and is the same in all that its class is made of."""
    names = {(c.implementer, c.part): c.name for c in now.clusters}
    known = {(c.implementer, c.part): c.name for c in before.clusters}
    model = now.board_model if before.board_model in known.values() else before.board_model
    clusters = tuple(replace(c, name=names.get((c.implementer, c.part), "?")) for c in before.clusters)
    runner = RunnerInfo(RunnerMode.MICRO)
    as_now = device_class(replace(before, board_model=model, clusters=clusters), runner)
    return names != known and as_now == device_class(now, runner)


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
    name = _name(cluster)
    if not cluster.name or not cluster.part:
        return name
    if cluster.name in _NAMES_OF_SEVERAL_PARTS or (cluster.implementer in _X86_MAKERS and not _tells_model(cluster)):
        return f"{name}-{slug(cluster.part)}"
    return name


def _name(cluster: CpuCluster) -> str:
    return slug(cluster.name) or slug(f"{cluster.implementer} {cluster.part}") or "cpu"


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
