"""``farm status`` and ``tracker status``: is the farm there, and what is it doing."""

from __future__ import annotations

import click

from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.options import json_option

__all__ = ["status", "tracker_status"]

_HELP = """Show what the farm has and does.

\b
Example:
  {program} status --tracker lab-server:9195
"""


def _command(program: str) -> click.Command:
    return click.command("status", help=_HELP.format(program=program))(json_option(connection_options()(_show)))


def _show(as_json: bool, connection: Connection) -> None:
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


status, tracker_status = _command("farm"), _command("tracker")
