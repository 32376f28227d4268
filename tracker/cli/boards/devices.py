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
    from tvm_farm.tracker.domain import Device

__all__ = ["devices", "one_device"]


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
    from tvm_farm.tracker.cli.boards import words
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
            words.state(device),
            words.orders(device, now_s),
            device.fingerprint.board_model or device.fingerprint.arch,
            str(device.fingerprint.cores or UNKNOWN),
            ", ".join(device.pools),
            percent(device.utilisation) if there else UNKNOWN,
            UNKNOWN if degrees is None else f"{degrees:.0f} °C",
            count(device.measured),
            ago(device.last_heard_unix_s, now_s),
            words.agent(device),
        )
        rows.append(row)
    columns = ["device", "state~", "order~", "board*", ">cores", "pools~", ">busy", ">temp", ">measured", "heard"]
    columns.append("agent")  # its end tells how far an upgrade is
    if all(words.agent(device) == release for device in found):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    if not any(words.orders(device, now_s) for device in found):
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
    from tvm_farm.tracker.cli.boards import words
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
                    f"{words.state(device)}, heard {ago(device.last_heard_unix_s, now_s)}",
                ),
                ("health", words.health(device)),
                ("clone", words.clone(device, now_s)),
                ("disturbed", words.disturbed(device)),
                ("lease", words.lease(device, now_s)),
                ("drained", words.drain(device, now_s)),
                ("joined", clock(device.joined_unix_s)),
                ("pools", ", ".join(device.pools)),
                ("labels", words.labels(device.labels)),
                ("set by hand", words.labels(device.hand_labels)),
                (
                    "work",
                    f"{plural(device.held, 'measurement')} held, {count(device.measured)} answered, "
                    f"{percent(device.utilisation)} busy",
                ),
                ("board", board.board_model),
                ("host", machine_name(board.hostname, device.machine)),
                *((f"cpus {words.span(cluster.cpus)}", words.cluster(cluster)) for cluster in board.clusters),
                ("features", " ".join(board.cpu_features)),
                ("memory", size(board.memory_bytes)),
                ("system", ", ".join(filter(None, (board.os, board.kernel, board.libc)))),
                ("agent", f"{board.agent_version} on Python {board.python_version}{words.from_farm(device)}"),
                ("upgrade", words.upgrade(device)),
                ("runner", ", ".join([f"{mode} mode", plural(runner.threads, "thread"), *versions])),
                ("no full mode", runner.full_mode_missing),
                ("class", device.device_class),
                ("target", device.target),
                ("derived", device.target_origin),
                ("telemetry", words.telemetry(device.telemetry, now_s)),
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
    from tvm_farm.tracker.cli.boards import words
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
    click.echo(f"{device.name}: {words.labels(device.hand_labels) or 'no label set by hand'}")
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
