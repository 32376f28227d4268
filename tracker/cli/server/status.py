"""``farm status``: is the farm there, and what is it doing."""

from __future__ import annotations

import click

from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import json_option

__all__ = ["status"]


@click.command()
@json_option
@connection_options()
def status(as_json: bool, connection: Connection) -> None:
    """Show what the farm has and does.

    \b
    Example:
      farm status --tracker lab-server:9195
    """
    from tvm_farm.tracker.cli.terminal.formats import count
    from tvm_farm.tracker.cli.terminal.output import console, facts, print_json

    with connection.open() as client:
        now = client.status()
    if as_json:
        print_json(now)
        return
    console().print(
        facts(
            [
                ("farm", now.farm),
                ("tracker", f"{client.address}, version {now.version}"),
                ("devices", f"{count(now.devices_connected)} connected"),
                ("workers", f"{count(now.workers_connected)} connected, {count(now.workers_warm)} warm"),
                ("jobs", f"{count(now.jobs_running)} running, {count(now.jobs_queued)} queued"),
            ]
        )
    )
