"""``farm devices forget``: boards that will not come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.boards.upgrade import chosen
from tvm_farm.tracker.cli.terminal.completing import device_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.client.errors import BadInput, FarmError

if TYPE_CHECKING:
    from tvm_farm.tracker.domain import Device

__all__ = ["forget"]


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=device_names)
@connection_options()
def forget(names: tuple[str, ...], connection: Connection) -> None:
    """Take devices that are lost or stopped out of the farm. NAME may be a pattern, as 'pi-*'.

    With a device go its drain, its labels by hand and what else is ordered of it. What it measured stays in
    the log, with its name and its class. One that is connected is refused: stop its agent first. One that
    joins again is a new device of the same id.

    The tracker does the same by itself where nothing is ordered of a device, see `tracker start
    --forget-lost-after`.

    \b
    Examples:
      farm devices forget rpi4-3
      farm devices forget 'old-*'
    """
    refused = {}
    with connection.open() as client:
        found = chosen(client.devices.list(), names)
        for device in found:
            try:
                click.echo(_forgotten(client.devices.forget(device.id)))
            except BadInput as error:
                refused[device.name] = error.message
    if refused:
        kind = BadInput if len(refused) == len(found) else FarmError
        raise kind(" ".join(refused.values()))


def _forgotten(device: Device) -> str:
    """What is gone, and how to read what stays."""
    gone = ["its drain"] if device.drain else []
    gone += [f"{device.lease.user}'s lease"] if device.lease else []
    gone += [f"its labels {' '.join(f'{key}={value}' for key, value in sorted(device.hand_labels.items()))}"] * bool(
        device.hand_labels
    )
    gone += ["the upgrade that was ordered"] if device.upgrade and not device.upgrade.failure else []
    also = f", and {', '.join(gone)} with it" if gone else ""
    return f"{device.name} is forgotten{also}. What it measured stays: farm records query --device {device.name}"
