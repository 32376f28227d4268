"""``farm devices``: the boards and how they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.boards.forget import forget
from tvm_farm.tracker.cli.boards.upgrade import upgrade
from tvm_farm.tracker.cli.terminal.completing import device_names, pool_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.groups import ListingGroup
from tvm_farm.tracker.cli.terminal.options import json_option
from tvm_farm.tracker.cli.terminal.parsing import LABEL_CHANGE
from tvm_farm.tracker.client.errors import BadInput

if TYPE_CHECKING:
    from tvm_farm.protos.device import CpuCluster, Telemetry
    from tvm_farm.tracker.domain import Device, Upgrade

__all__ = ["devices"]


@click.group(cls=ListingGroup)
def devices() -> None:
    """List devices, show, label, upgrade or forget one."""


devices.add_command(upgrade)
devices.add_command(forget)


@devices.command("list")
@click.option("--pool", default="", shell_complete=pool_names, help="Only the devices of this pool.")
@json_option
@connection_options()
def list_devices(pool: str, as_json: bool, connection: Connection) -> None:
    """List devices with what they do now.

    \b
    Example:
      farm devices --pool arm64
    """
    from tvm_farm.tracker.cli.terminal.formats import UNKNOWN, ago, count, percent
    from tvm_farm.tracker.cli.terminal.output import console, print_json, table
    from tvm_farm.tracker.domain import DeviceState

    with connection.open() as client:
        found = client.devices.list(pool)
        release = client.release_of_tracker
    if as_json:
        print_json(found)
        return
    if not found:
        where = f"Pool {pool} has no device" if pool else "The farm has no device yet"
        click.echo(f"{where}. Start one on a board: agent start", err=True)
        return
    now_s = client.now_s()
    rows: list[tuple[str, ...]] = []
    for device in found:
        # What a lost one felt, it need not feel now.
        there = device.state is not DeviceState.LOST
        degrees = device.telemetry.temperature_c if device.telemetry and there else None
        row = (
            device.name,
            _state(device),
            _orders(device, now_s),
            device.fingerprint.board_model or device.fingerprint.arch,
            str(device.fingerprint.cores or UNKNOWN),
            ", ".join(device.pools),
            percent(device.utilisation) if there else UNKNOWN,
            UNKNOWN if degrees is None else f"{degrees:.0f} °C",
            count(device.measured),
            ago(device.last_heard_unix_s, now_s),
            _agent(device),
        )
        rows.append(row)
    columns = ["device", "state~", "order~", "board*", ">cores", "pools~", ">busy", ">temp", ">measured", "heard"]
    columns.append("agent")  # its end tells how far an upgrade is
    if all(_agent(device) == release for device in found):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    if not any(_orders(device, now_s) for device in found):
        columns, rows = [*columns[:2], *columns[3:]], [(*row[:2], *row[3:]) for row in rows]
    spare = ("cores", "measured", "temp", "board", "agent", "heard", "busy", "pools")
    console().print(table(columns, rows, spare=spare))


@devices.command("show")
@click.argument("name", shell_complete=device_names)
@json_option
@connection_options()
def show_device(name: str, as_json: bool, connection: Connection) -> None:
    """Show all that is known of one device.

    NAME may be its id, or an unambiguous start of either.

    \b
    Example:
      farm devices show rpi4-3
    """
    from tvm_farm.tracker.cli.terminal.formats import ago, clock, count, percent, plural, size
    from tvm_farm.tracker.cli.terminal.output import console, facts, print_json
    from tvm_farm.tracker.domain.machine import machine_name

    with connection.open() as client:
        device = one_device(client.devices.list(), name)
    if as_json:
        print_json(device)
        return
    board, runner, now_s = device.fingerprint, device.runner, client.now_s()
    mode = runner.mode.value
    versions = [f"TVM {runner.tvm_version}"] if runner.tvm_version else []
    versions += [f"tvm_ffi {runner.tvm_ffi_version}"] if runner.tvm_ffi_version else []
    screen = console()
    screen.print(
        facts(
            [
                ("device", device.name),
                ("id", device.id),
                (
                    "state",
                    f"{_state(device)}, heard {ago(device.last_heard_unix_s, now_s)}",
                ),
                ("health", _health(device)),
                ("clone", _clone(device, now_s)),
                ("disturbed", _disturbed(device)),
                ("lease", _lease(device, now_s)),
                ("drained", _drain(device, now_s)),
                ("joined", clock(device.joined_unix_s)),
                ("pools", ", ".join(device.pools)),
                ("labels", _labels(device.labels)),
                ("set by hand", _labels(device.hand_labels)),
                (
                    "work",
                    f"{plural(device.held, 'measurement')} held, {count(device.measured)} answered, "
                    f"{percent(device.utilisation)} busy",
                ),
                ("board", board.board_model),
                ("host", machine_name(board.hostname, device.machine)),
                *((f"cpus {_span(cluster.cpus)}", _cluster(cluster)) for cluster in board.clusters),
                ("features", " ".join(board.cpu_features)),
                ("memory", size(board.memory_bytes)),
                ("system", ", ".join(filter(None, (board.os, board.kernel, board.libc)))),
                ("agent", f"{board.agent_version} on Python {board.python_version}{_from_farm(device)}"),
                ("upgrade", _upgrade(device)),
                ("runner", ", ".join([f"{mode} mode", plural(runner.threads, "thread"), *versions])),
                ("no full mode", runner.full_mode_missing),
                ("class", device.device_class),
                ("target", device.target),
                ("derived", device.target_origin),
                ("telemetry", _telemetry(device.telemetry, now_s)),
            ]
        ),
        soft_wrap=False,
    )


@devices.command("label")
@click.argument("name", shell_complete=device_names)
@click.argument("changes", nargs=-1, required=True, type=LABEL_CHANGE)
@json_option
@connection_options()
def label_device(name: str, changes: tuple[tuple[str, str | None], ...], as_json: bool, connection: Connection) -> None:
    """Set labels of a device with KEY=VALUE, remove them with KEY-.

    They stand over those that its agent gives, and stay until they are removed. Pools follow at
    once, running jobs with them.

    
    Example:
      farm devices label rpi4-3 room=cold rack-
    """
    from tvm_farm.tracker.cli.terminal.output import print_json

    if len(dict(changes)) < len(changes):
        raise BadInput("One label is given twice: a device bears one value of a label.")
    put = {key: value for key, value in changes if value is not None}
    remove = [key for key, value in changes if value is None]
    with connection.open() as client:
        device = client.devices.label(one_device(client.devices.list(), name).id, put, remove)
    if as_json:
        print_json(device)
        return
    click.echo(f"{device.name}: {_labels(device.hand_labels) or 'no label set by hand'}")
    click.echo(f"In {', '.join(device.pools) or 'no pool'}.")


def one_device(found: Sequence[Device], name: str) -> Device:
    """The device called ``name``: by name, by id, then by the start of either. Raises BadInput."""
    exact = [device for device in found if name in (device.name, device.id)]
    near = exact or [device for device in found if device.name.startswith(name) or device.id.startswith(name)]
    if len(near) == 1:
        return near[0]
    if near:
        raise BadInput(f"{name} may be any of {', '.join(sorted(device.name for device in near))}: write more of it.")
    known = ", ".join(sorted(device.name for device in found)) or "none"
    raise BadInput(f"There is no device {name}. The farm has: {known}.")


def _labels(labels: dict[str, str]) -> str:
    return "  ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _state(device: Device) -> str:
    """With what is on its way to the device meanwhile, and what a person has to mend."""
    from tvm_farm.tracker.cli.terminal.formats import percent
    from tvm_farm.tracker.domain import DeviceState

    told = ["stopped" if device.stopped else device.state.value]
    if device.telemetry and device.state is not DeviceState.LOST:
        share = device.telemetry.runtime_share
        told += [] if share is None else [f"runtime {percent(share)}"]
        told += [device.telemetry.disk_fault] if device.telemetry.disk_fault else []
    told += ["has a clone"] if device.clone else []
    told += ["shares CPUs"] if device.shares_cpus_with else []
    return ", ".join(told)


def _health(device: Device) -> str:
    if not device.ailing:
        return ""
    fault = device.telemetry is not None and device.telemetry.disk_fault
    what = "no trial is sent there until it is mended" if fault else "others of its class come first"
    return f"{device.ailing}; {what}"


def _orders(device: Device, now_s: float) -> str:
    """Why not everybody's work runs on it: "drained: new fan", "ada's for 25m 03s"."""
    from tvm_farm.tracker.cli.terminal.formats import duration

    orders = []
    if device.drain:
        orders.append(f"drained: {device.drain.reason}" if device.drain.reason else "drained")
    if device.lease:
        orders.append(f"{device.lease.user}'s for {duration(device.lease.until_unix_s - now_s)}")
    return ", ".join(orders)


def _agent(device: Device) -> str:
    """Its version, and the one that it is to have: "0.1.0, 0.2.0 at 40 %"."""
    from tvm_farm.tracker.cli.terminal.formats import UNKNOWN

    version, upgrade = device.fingerprint.agent_version or UNKNOWN, device.upgrade
    if upgrade is None:
        return version
    return f"{version}, {upgrade.version} {'failed' if upgrade.failure else _far(upgrade)}"


def _from_farm(device: Device) -> str:
    return f", sent by the farm as {device.code.digest[:12]}…" if device.code and device.code.digest else ""


def _upgrade(device: Device) -> str:
    """How far one is, why the last one failed, or why there can be none."""
    upgrade = device.upgrade
    if upgrade is not None:
        return f"to {upgrade.version} {f'failed: {upgrade.failure}' if upgrade.failure else _far(upgrade)}"
    if device.code is None:
        return "by hand alone: its agent is too old for one by the farm"
    return f"none: {device.code.refuses}" if device.code.refuses else ""


def _far(upgrade: Upgrade) -> str:
    from tvm_farm.tracker.cli.terminal.formats import percent

    if upgrade.restarting:
        return "restarting"
    return "ordered" if upgrade.share is None else f"at {percent(upgrade.share)}"


def _clone(device: Device, now_s: float) -> str:
    from tvm_farm.tracker.cli.terminal.formats import ago
    from tvm_farm.tracker.domain.machine import machine_name

    if device.clone is None:
        return ""
    there = machine_name(device.clone.hostname, device.clone.machine)
    seen = ago(device.clone.seen_unix_s, now_s)
    return f"{there} says that it is this device, too, last {seen}, and is refused: run `agent new-identity` on it"


def _disturbed(device: Device) -> str:
    if not device.shares_cpus_with:
        return ""
    others = " and ".join(device.shares_cpus_with)
    if len(device.shares_cpus_with) > 1:
        return f"{others} measure on the same CPUs, each with an agent of its own: no timing is right, stop all but one"
    return (
        f"{others} measures on the same CPUs with an agent of its own: no timing of either is right, stop one of them"
    )


def _lease(device: Device, now_s: float) -> str:
    from tvm_farm.tracker.cli.terminal.formats import clock, duration

    if device.lease is None:
        return ""
    until_s = device.lease.until_unix_s
    return f"{device.lease.user}'s until {clock(until_s)}, for {duration(until_s - now_s)}"


def _drain(device: Device, now_s: float) -> str:
    from tvm_farm.tracker.cli.terminal.formats import ago

    if device.drain is None:
        return ""
    said = f"{ago(device.drain.since_unix_s, now_s)} by {device.drain.user or 'someone'}"
    return f"{said}: {device.drain.reason}" if device.drain.reason else said


def _span(cpus: tuple[int, ...]) -> str:
    """ "0-3,6" of (0, 1, 2, 3, 6)."""
    runs: list[list[int]] = []
    for cpu in cpus:
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _cluster(cluster: CpuCluster) -> str:
    parts = [cluster.name or f"{cluster.implementer} {cluster.part}".strip()]
    if cluster.max_khz:
        low = f"{cluster.min_khz / 1e6:.2f}-" if cluster.min_khz else ""
        parts.append(f"{low}{cluster.max_khz / 1e6:.2f} GHz")
    if cluster.governor:
        parts.append(f"governor {cluster.governor}")
    return ", ".join(parts)


def _telemetry(telemetry: Telemetry | None, now_s: float) -> str:
    from tvm_farm.tracker.cli.terminal.formats import ago, readings

    return "" if telemetry is None else ", ".join([*readings(telemetry), ago(telemetry.at_unix_s, now_s)])
