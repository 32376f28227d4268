"""``farm lease``, ``farm drain`` and ``farm resume``: a device kept for a person, or out of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.boards.devices import one_device
from tvm_farm.tracker.cli.terminal.completing import device_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import json_option
from tvm_farm.tracker.cli.terminal.parsing import DURATION
from tvm_farm.tracker.client.errors import BadInput

if TYPE_CHECKING:
    from tvm_farm.tracker.domain import Device

__all__ = ["drain", "lease", "resume"]


@click.command()
@click.argument("device", shell_complete=device_names)
@click.option("--for", "for_s", type=DURATION, help="How long: 30m, 2h, 1h30m; at most 7 days.")
@click.option("--release", is_flag=True, help="Give it back before its time.")
@json_option
@connection_options()
def lease(device: str, for_s: float | None, release: bool, as_json: bool, connection: Connection) -> None:
    """Keep DEVICE for yourself: it runs nobody else's jobs.

    What it holds it finishes first. The same command again renews the lease; when its time is over,
    the device is back in the farm by itself.

    \b
    Examples:
      farm lease rpi4-3 --for 30m
      farm lease rpi4-3 --release
    """
    from tvm_farm.tracker.cli.terminal.formats import clock, duration
    from tvm_farm.tracker.client.user import user_name

    if release == (for_s is not None):
        raise BadInput("Say either how long, with --for 30m, or --release.")
    user = user_name()
    if not user:
        raise BadInput("This user has no name, and a lease needs one: set LOGNAME.")
    with connection.open() as client:
        found = one_device(client.devices.list(), device)
        after = client.devices.release(found.id, user) if for_s is None else client.devices.lease(found.id, user, for_s)
    if for_s is None:
        _say(after, as_json, f"{after.name} is back in the farm.")
        return
    assert after.lease is not None, "the tracker answers with the lease"
    until_s = after.lease.until_unix_s
    said = f"{after.name} is yours until {clock(until_s)}, for {duration(until_s - client.now_s())}."
    _say(after, as_json, said, _held(after), _drain_remains(after))


@click.command()
@click.argument("device", shell_complete=device_names)
@click.option("--reason", default="", metavar="TEXT", help="Shown in `farm devices`: why, or by when it is back.")
@json_option
@connection_options()
def drain(device: str, reason: str, as_json: bool, connection: Connection) -> None:
    """Give DEVICE no new work until `farm resume`. A new start of it, or of the tracker, changes nothing.

    What it holds it finishes.

    \b
    Example:
      farm drain rpi4-3 --reason "new fan on Friday"
    """
    from tvm_farm.tracker.client.user import user_name

    with connection.open() as client:
        after = client.devices.drain(one_device(client.devices.list(), device).id, user_name(), reason)
    _say(after, as_json, f"{after.name} takes no new work until `farm resume {after.name}`.", _held(after))


@click.command()
@click.argument("device", shell_complete=device_names)
@json_option
@connection_options()
def resume(device: str, as_json: bool, connection: Connection) -> None:
    """Give DEVICE work again after `farm drain`.

    \b
    Example:
      farm resume rpi4-3
    """
    with connection.open() as client:
        after = client.devices.resume(one_device(client.devices.list(), device).id)
    whose = f" of {after.lease.user} alone" if after.lease else ""
    away = {"lost": " as soon as its agent connects", "draining": " as soon as its agent starts again"}
    when = away.get(after.state.value, "")
    _say(after, as_json, f"{after.name} takes work{whose} again{when}.")


def _say(device: Device, as_json: bool, *sentences: str) -> None:
    from tvm_farm.tracker.cli.terminal.output import print_json

    if as_json:
        print_json(device)
    else:
        click.echo(" ".join(filter(None, sentences)))


def _held(device: Device) -> str:
    from tvm_farm.tracker.cli.terminal.formats import plural

    return f"It finishes {plural(device.held, 'measurement')} that it holds." if device.held else ""


def _drain_remains(device: Device) -> str:
    return f"It is drained: nor do your jobs run on it before `farm resume {device.name}`." if device.drain else ""
