"""The devices that a board is made of. Each kind of unlike cores is one, with timings of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tvm_farm.agent.board.arm_cores import nameless
from tvm_farm.agent.errors import SettingsError
from tvm_farm.protos.device import CpuCluster, Fingerprint

__all__ = ["Part", "parts_of"]


@dataclass(frozen=True)
class Part:
    """A device: a whole board, or one kind of its cores."""

    #: The board's fingerprint, with the clusters of this device's cores alone.
    fingerprint: Fingerprint
    #: The kind of the cores, "a72"; "": the whole board.
    name: str = ""
    #: The CPUs to run on; empty: the whole board.
    cpus: tuple[int, ...] = ()
    #: What an agent calls these cores whose table does not know them, "arm-part-0xd99".
    former_name: str = ""


def parts_of(fingerprint: Fingerprint, wanted: str = "") -> tuple[Part, ...]:
    """The devices of a board: the whole board, or one for each kind of its cores, the strongest first.

    Cores of one MIDR part are one kind, whatever their clocks: a runner takes the fast ones by itself. ``wanted``: the
    name of the kind to serve alone; "": all. Raises SettingsError where there is no kind of that name.
    """
    kinds: dict[tuple[str, str], list[CpuCluster]] = {}
    for cluster in fingerprint.clusters:
        kinds.setdefault((cluster.implementer, cluster.part), []).append(cluster)
    alike = sorted(kinds.values(), key=lambda clusters: -max(cluster.max_khz for cluster in clusters))
    if len(alike) < 2 and not wanted:
        return (Part(fingerprint),)
    parts = {name: _part(fingerprint, name, clusters) for name, clusters in _named(alike).items()}
    if not wanted:
        return tuple(parts.values())
    former = {part.former_name: part for part in parts.values()}
    if wanted not in {**parts, **former}:
        has = f"its cores are {' and '.join(parts)}" if parts else "its cores do not tell their kind"
        raise SettingsError(f"this board has no cores of the kind {wanted!r}: {has}")
    return (parts.get(wanted) or former[wanted],)


def _named(alike: list[list[CpuCluster]]) -> Mapping[str, list[CpuCluster]]:
    """Each kind of cores by a short name: "a72" for Cortex-A72."""
    named: dict[str, list[CpuCluster]] = {}
    for clusters in alike:
        first = clusters[0]
        name = _short(first.name or f"{first.implementer} {first.part}")
        named[name if name not in named else f"{name}-{len(named) + 1}"] = clusters
    return named


def _part(fingerprint: Fingerprint, name: str, clusters: list[CpuCluster]) -> Part:
    cpus = tuple(sorted(cpu for cluster in clusters for cpu in cluster.cpus))
    former = _short(nameless(clusters[0].implementer, clusters[0].part))
    return Part(replace(fingerprint, clusters=tuple(clusters)), name, cpus, former)


def _short(core: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", core.lower().removeprefix("cortex-")).strip("-") or "cpu"
