"""``tracker runtime``: what boards without TVM get from the tracker."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.groups import ListingGroup
from tvm_farm.tracker.cli.terminal.options import json_option

if TYPE_CHECKING:
    from tvm_farm.tracker.domain import Device

__all__ = ["runtime"]

_ALIASES = {"arm64": "aarch64", "amd64": "x86_64"}


def _arch(ctx: click.Context, param: click.Parameter, value: str) -> str:
    return _ALIASES.get(value, value)


@click.group(cls=ListingGroup)
def runtime() -> None:
    """List TVM's runtimes that boards can have, or add one.

    A board that lacks it gets it when it joins. Boards like the tracker's own host need no `add`.
    """


@runtime.command()
@click.argument("arch", type=click.Choice(["aarch64", "x86_64", *_ALIASES]), callback=_arch, metavar="ARCH")
@click.option(
    "--wheel",
    "wheels",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A wheel that is here already; give both, apache-tvm's and apache-tvm-ffi's. Default: pip downloads them.",
)
@connection_options()
def add(arch: str, wheels: tuple[Path, ...], connection: Connection) -> None:
    """Give boards of ARCH (aarch64 or x86_64) TVM's runtime.

    Sends it to a running tracker, from any host that reaches one. Downloads 100 MB of wheels and sends the 7 MB of
    libraries in them; an interrupted `add` changes nothing.

    \b
    Examples:
      tracker runtime add aarch64
      tracker runtime add aarch64 --wheel apache_tvm-….whl --wheel …ffi-….whl
    """
    from tvm_farm.tracker.cli.server.wheels import PINNED, download, unpack
    from tvm_farm.tracker.cli.terminal.formats import size
    from tvm_farm.tracker.cli.terminal.signals import raised_as_interrupt
    from tvm_farm.tracker.domain import Runtime, RuntimeLibrary

    with (
        connection.open() as client,
        raised_as_interrupt(signal.SIGTERM),
        tempfile.TemporaryDirectory(prefix="tvm-farm-runtime-") as folder,
    ):
        unpacked = unpack(wheels or download(arch, Path(folder)), arch, Path(folder))
        libraries = []
        for file in unpacked.files:
            libraries.append(RuntimeLibrary(file.name, client.artifacts.put(file)))
            click.echo(f"{file.name:<24} {size(libraries[-1].artifact.size)} sent", err=True)
        tvm, tvm_ffi = PINNED.values()
        added = client.devices.put_runtime(Runtime(arch, unpacked.libc, tvm, tvm_ffi, tuple(libraries)))
        waiting = [device.name for device in client.devices.list() if _waits(device, arch)]
    click.echo(f"TVM {added.tvm_version} for {arch} boards with {added.libc} or later: they get it when they join.")
    if waiting:
        click.echo(f"In micro mode until their agents start again: {', '.join(waiting)}.", err=True)


@runtime.command("list")
@json_option
@connection_options()
def list_runtimes(as_json: bool, connection: Connection) -> None:
    """List the runtimes that boards can have.

    \b
    Example:
      tracker runtime list
    """
    from tvm_farm.tracker.cli.terminal.formats import clock, size
    from tvm_farm.tracker.cli.terminal.output import console, print_json, table

    with connection.open() as client:
        found = client.devices.runtimes()
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("Boards without TVM run in micro mode. Give them its runtime: tracker runtime add aarch64", err=True)
        return
    rows = []
    for each in found:
        source = f"added {clock(each.added_unix_s)}" if each.added_unix_s else "the tracker's own packages"
        versions = (each.tvm_version, each.tvm_ffi_version)
        rows.append((each.arch, *versions, f"{each.libc} or later", size(each.size), source))
    console().print(
        table(["boards", "TVM", "tvm_ffi", "with", ">size", "from~"], rows, spare=("with", "size", "tvm_ffi"))
    )


def _waits(device: Device, arch: str) -> bool:
    from tvm_farm.tracker.domain import DeviceState

    there = device.state is not DeviceState.LOST and device.fingerprint.arch == arch
    return there and bool(device.runner.full_mode_missing)
