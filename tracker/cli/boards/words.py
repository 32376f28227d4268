"""What is told of a device, a line each; "" where there is nothing to tell."""

from __future__ import annotations

from tvm_farm.protos.device import CpuCluster, Telemetry
from tvm_farm.protos.upgrade import Upgrade
from tvm_farm.tracker.cli.terminal.formats import UNKNOWN, ago, clock, duration, percent, readings
from tvm_farm.tracker.domain import Device, DeviceState
from tvm_farm.tracker.domain.machine import machine_name

__all__ = [
    "agent",
    "clone",
    "cluster",
    "disturbed",
    "drain",
    "from_farm",
    "health",
    "labels",
    "lease",
    "orders",
    "span",
    "state",
    "telemetry",
    "upgrade",
]


def labels(of: dict[str, str]) -> str:
    return "  ".join(f"{key}={value}" for key, value in sorted(of.items()))


def state(device: Device) -> str:
    """With what is on its way to the device meanwhile, and what a person has to mend."""
    told = ["stopped" if device.stopped else device.state.value]
    if device.telemetry and device.state is not DeviceState.LOST:
        share = device.telemetry.runtime_share
        told += [] if share is None else [f"runtime {percent(share)}"]
        told += [device.telemetry.disk_fault] if device.telemetry.disk_fault else []
    told += ["has a clone"] if device.clone else []
    told += ["shares CPUs"] if device.shares_cpus_with else []
    return ", ".join(told)


def health(device: Device) -> str:
    if not device.ailing:
        return ""
    fault = device.telemetry is not None and device.telemetry.disk_fault
    what = "no trial is sent there until it is mended" if fault else "others of its class come first"
    return f"{device.ailing}; {what}"


def orders(device: Device, now_s: float) -> str:
    """Why not everybody's work runs on it: "drained: new fan", "ada's for 25m 03s"."""
    orders = []
    if device.drain:
        orders.append(f"drained: {device.drain.reason}" if device.drain.reason else "drained")
    if device.lease:
        orders.append(f"{device.lease.user}'s for {duration(device.lease.until_unix_s - now_s)}")
    return ", ".join(orders)


def agent(device: Device) -> str:
    """Its version, and the one that it is to have: "0.1.0, 0.2.0 at 40 %"."""
    version, upgrade = device.fingerprint.agent_version or UNKNOWN, device.upgrade
    if upgrade is None:
        return version
    return f"{version}, {upgrade.version} {'failed' if upgrade.failure else _far(upgrade)}"


def from_farm(device: Device) -> str:
    return f", sent by the farm as {device.code.digest[:12]}…" if device.code and device.code.digest else ""


def upgrade(device: Device) -> str:
    """How far one is, why the last one failed, or why there can be none."""
    upgrade = device.upgrade
    if upgrade is not None:
        return f"to {upgrade.version} {f'failed: {upgrade.failure}' if upgrade.failure else _far(upgrade)}"
    if device.code is None:
        return "by hand alone: its agent is too old for one by the farm"
    return f"none: {device.code.refuses}" if device.code.refuses else ""


def _far(upgrade: Upgrade) -> str:
    if upgrade.restarting:
        return "restarting"
    return "ordered" if upgrade.share is None else f"at {percent(upgrade.share)}"


def clone(device: Device, now_s: float) -> str:
    if device.clone is None:
        return ""
    there = machine_name(device.clone.hostname, device.clone.machine)
    seen = ago(device.clone.seen_unix_s, now_s)
    return f"{there} says that it is this device, too, last {seen}, and is refused: run `agent new-identity` on it"


def disturbed(device: Device) -> str:
    if not device.shares_cpus_with:
        return ""
    others = " and ".join(device.shares_cpus_with)
    if len(device.shares_cpus_with) > 1:
        return f"{others} measure on the same CPUs, each with an agent of its own: no timing is right, stop all but one"
    return (
        f"{others} measures on the same CPUs with an agent of its own: no timing of either is right, stop one of them"
    )


def lease(device: Device, now_s: float) -> str:
    if device.lease is None:
        return ""
    until_s = device.lease.until_unix_s
    return f"{device.lease.user}'s until {clock(until_s)}, for {duration(until_s - now_s)}"


def drain(device: Device, now_s: float) -> str:
    if device.drain is None:
        return ""
    said = f"{ago(device.drain.since_unix_s, now_s)} by {device.drain.user or 'someone'}"
    return f"{said}: {device.drain.reason}" if device.drain.reason else said


def span(cpus: tuple[int, ...]) -> str:
    """ "0-3,6" of (0, 1, 2, 3, 6)."""
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def cluster(cluster: CpuCluster) -> str:
    parts = [cluster.name or f"{cluster.implementer} {cluster.part}".strip()]
    if cluster.max_khz:
        low = f"{cluster.min_khz / 1e6:.2f}-" if cluster.min_khz else ""
        parts.append(f"{low}{cluster.max_khz / 1e6:.2f} GHz")
    if cluster.governor:
        parts.append(f"governor {cluster.governor}")
    return ", ".join(parts)


def telemetry(telemetry: Telemetry | None, now_s: float) -> str:
    return "" if telemetry is None else ", ".join([*readings(telemetry), ago(telemetry.at_unix_s, now_s)])
