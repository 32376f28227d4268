"""``farm pools``: named selections of devices."""

from __future__ import annotations

import click

from tvm_farm.tracker.cli.terminal.completing import pool_names
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.groups import ListingGroup
from tvm_farm.tracker.cli.terminal.options import json_option
from tvm_farm.tracker.cli.terminal.parsing import LABEL, POOL_NAME
from tvm_farm.tracker.client.errors import BadInput

__all__ = ["pools"]


@click.group(cls=ListingGroup)
def pools() -> None:
    """List pools, make one from labels, delete one.

    Every farm has a pool for each architecture, and the pool synthetic: devices of `agent start --runner synthetic`,
    which run nothing and answer from a model of a board. They are for trying a farm out and for putting load on it, and
    are in no pool that does not ask for runner=synthetic.
    """


@pools.command("list")
@json_option
@connection_options()
def list_pools(as_json: bool, connection: Connection) -> None:
    """List pools and their devices. Synthetic are those that only model a board, see `farm pools -h`.

    \b
    Example:
      farm pools
    """
    from tvm_farm.tracker.cli.terminal.output import console, print_json, table

    with connection.open() as client:
        found = client.devices.pools()
    if as_json:
        print_json(found)
        return
    rows = []
    for pool in found:
        selector = " ".join(f"{key}={value}" for key, value in sorted(pool.selector.items()))
        devices = ", ".join(pool.devices)
        rows.append((pool.name, f"{pool.connected} of {len(pool.devices)}", devices, selector))
    console().print(table(["pool", ">connected", "devices~", "selector~"], rows))


@pools.command("create")
@click.argument("name", type=POOL_NAME)
@click.option(
    "--selector",
    "labels",
    type=LABEL,
    multiple=True,
    required=True,
    help="A label its devices bear; several: all of them.",
)
@json_option
@connection_options()
def create_pool(name: str, labels: tuple[tuple[str, str], ...], as_json: bool, connection: Connection) -> None:
    """Make a pool of the devices with the given labels, now and later.

    A pool of that name gets the new selector, and the jobs that run on it follow at once.

    \b
    Example:
      farm pools create cold-rpi4 --selector board=rpi4 --selector room=cold
    """
    from tvm_farm.tracker.cli.terminal.formats import plural
    from tvm_farm.tracker.cli.terminal.output import print_json

    selector = dict(labels)
    if len(selector) < len(labels):
        raise BadInput("--selector names one label twice: a device bears one value of a label.")
    with connection.open() as client:
        pool = client.devices.put_pool(name, selector)
    if as_json:
        print_json(pool)
    else:
        click.echo(f"Pool {pool.name}: {plural(len(pool.devices), 'device')}, {pool.connected} connected.")


@pools.command("delete")
@click.argument("name", shell_complete=pool_names)
@connection_options()
def delete_pool(name: str, connection: Connection) -> None:
    """Delete pool NAME; its devices stay in the farm.

    \b
    Example:
      farm pools delete cold-rpi4
    """
    with connection.open() as client:
        client.devices.delete_pool(name)
    click.echo(f"Pool {name} deleted.")
