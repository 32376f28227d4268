"""``farm devices upgrade``: the agents of boards, by the tracker's word."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.terminal.completing import device_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.parsing import DURATION
from tvm_farm.tracker.client.errors import BadInput, ConnectionLost, FarmError, Interrupted

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import Device, Upgrade

__all__ = ["progress", "upgrade"]

_LOOK_EVERY_S = 0.5


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=device_names)
@click.option("--wheel", type=click.Path(path_type=Path), metavar="FILE", help="The wheel that they are to run.")
@click.option("--cancel", is_flag=True, help="Take back what was ordered and is not done.")
@click.option("--detach", is_flag=True, help="Order it and return; `farm devices` tells how far it is.")
@click.option(
    "--wait",
    "wait_s",
    type=DURATION,
    default="20m",
    show_default=True,
    help="Watch for so long; what was ordered stands.",
)
@connection_options()
def upgrade(
    names: tuple[str, ...], wheel: Path | None, cancel: bool, detach: bool, wait_s: float, connection: Connection
) -> None:
    """Have devices run the agent of another wheel. NAME may be a pattern, as 'pi-*'.

    Each fetches the wheel, checks it, finishes the kernel at hand, starts again with it, and goes back to
    the agent that it ran where the new one does not join. What is installed on the board is not changed,
    and what the wheel requires must be installed there. A device that is lost is upgraded when it is back.

    Whoever reaches the tracker can send code to its boards in this way, as whoever reaches it can have
    kernels run on them; `agent start --no-upgrade` refuses it.

    \b
    Examples:
      farm devices upgrade 'pi-*' --wheel dist/tvm_farm-0.2.0-py3-none-any.whl
      farm devices upgrade pi-3 --cancel
    """
    if cancel == (wheel is not None):
        raise BadInput("Say either which agent, with --wheel FILE, or --cancel.")
    with connection.open() as client:
        devices = chosen(client.devices.list(), names)
        if wheel is None:
            for device in devices:
                click.echo(f"{client.devices.upgrade(device.id, '', '').name}: no upgrade is ordered.")
        else:
            _upgrade(client, devices, wheel, detach=detach, wait_s=wait_s)


def chosen(found: Sequence[Device], names: Sequence[str]) -> list[Device]:
    """The devices that ``names`` name, each once, in the order of ``found``. Raises BadInput where one names none."""
    from tvm_farm.tracker.cli.boards.devices import one_device

    wanted = set()
    for name in names:
        if any(mark in name for mark in "*?["):
            matching = {device.id for device in found if fnmatchcase(device.name, name)}
            if not matching:
                known = ", ".join(sorted(device.name for device in found)) or "none"
                raise BadInput(f"No device is called {name}. The farm has: {known}.")
            wanted |= matching
        else:
            wanted.add(one_device(found, name).id)
    return [device for device in found if device.id in wanted]


def _upgrade(client: Farm, devices: list[Device], wheel: Path, *, detach: bool, wait_s: float) -> None:
    from tvm_farm.protos.wheel import read_agent_wheel
    from tvm_farm.tracker.client.user import user_name
    from tvm_farm.tracker.domain import DeviceState

    try:
        version = read_agent_wheel(wheel).version
        digest = client.artifacts.put(wheel).digest
    except OSError as error:
        raise BadInput(f"{wheel} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise BadInput(f"{wheel} cannot be sent to boards: {error}.") from None
    ordered, refused = [], {}
    for device in devices:
        try:
            after = client.devices.upgrade(device.id, user_name(), digest)
        except BadInput as error:
            refused[device.name] = error.message
            continue
        ordered.append(after)
        lost = ", as soon as it is back: it is lost" if after.state is DeviceState.LOST else ""
        runs = device.fingerprint.agent_version or "an unknown version"
        click.echo(f"{device.name}: {runs} -> {_name(version, digest, runs)}{lost}", err=True)
    if refused and not ordered and len(set(refused.values())) == 1:
        raise BadInput(next(iter(refused.values())))
    for name, reason in refused.items():
        click.echo(f"{name}: {reason}", err=True)
    if detach:
        _raise_for(refused, [], version)
        return
    away = [device.name for device in ordered if device.state is DeviceState.LOST]
    watched = [device for device in ordered if device.state is not DeviceState.LOST]
    failed = _follow(client, watched, version, digest, wait_s)
    _raise_for({**refused, **failed}, away, version)


def _follow(client: Farm, ordered: list[Device], version: str, digest: str, wait_s: float) -> dict[str, str]:
    """Say how far they are, until each runs the wheel or does not; why not, by device."""
    from tvm_farm.tracker.cli.terminal.signals import raised_as_interrupt

    orders = {device.id: device.upgrade for device in ordered}
    last: dict[str, str] = {}
    failed: dict[str, str] = {}
    until_s = time.monotonic() + wait_s
    gone = False
    try:
        with raised_as_interrupt(signal.SIGTERM):
            while orders:
                try:
                    found = [device for device in client.devices.list() if device.id in orders]
                except ConnectionLost:
                    if not gone:
                        click.echo("The tracker does not answer: waiting for it.", err=True)
                    gone, found = True, []
                gone = gone and not found
                for device in found:
                    told, over, well = progress(device, orders[device.id], version, digest)
                    if told != last.get(device.id):
                        click.echo(f"{device.name}: {told}", err=not (over and well))
                        last[device.id] = told
                    if over:
                        del orders[device.id]
                        if not well:
                            failed[device.name] = told
                if orders and time.monotonic() > until_s:
                    names = {device.id: device.name for device in ordered}
                    return {**failed, **{names[id_]: "it has not come so far yet" for id_ in orders}}
                if orders:
                    time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        raise Interrupted(
            "\nNo longer watching; what was ordered stands.\nSee how far it is:  farm devices\n"
            "Take it back:       farm devices upgrade NAME… --cancel"
        ) from None
    return failed


def progress(device: Device, order: Upgrade | None, version: str, digest: str) -> tuple[str, bool, bool]:
    """How far ``device`` is with ``order``, in words; whether that is over; whether it went well."""
    from tvm_farm.tracker.domain import DeviceState

    there = device.state is not DeviceState.LOST
    runs = device.fingerprint.agent_version or "an unknown version"
    now = device.upgrade
    if device.code is not None and device.code.digest == digest and now is None:
        return (f"joined with {version}", True, True) if there else ("lost, after it had joined", False, False)
    if now is None or order is None or now.id != order.id:
        return "the order was taken back, or another one came", True, False
    if now.failure:
        again = " again" if device.code is not None and device.code.failed_upgrade == now.id else ""
        return f"upgrade to {now.version} failed: {now.failure}; it runs {runs}{again}", True, False
    if now.restarting:
        return "restarting", False, False
    if not there:
        return "lost; the upgrade waits until it is back", False, False
    if now.share is None:
        return "ordered", False, False
    return f"fetching, {int(10 * now.share) * 10} %", False, False


def _name(version: str, digest: str, runs: str) -> str:
    """The wheel, told from what runs there."""
    return version if version != runs else f"{version} of {digest[:8]}…"


def _raise_for(failed: dict[str, str], away: list[str], version: str) -> None:
    """Raises FarmError, unless all went well."""
    told = []
    if failed:
        told.append(f"Not upgraded to {version}: {', '.join(failed)}; what stands above says why.")
    if away:
        told.append(f"Lost, and upgraded when they are back: {', '.join(away)}. Take it back with --cancel.")
    if told:
        raise FarmError(" ".join(told))
