"""``tracker worker``: one more tuning worker."""

from __future__ import annotations

import os
import socket

import click

from tvm_farm.protos.program.interrupts import held_back
from tvm_farm.protos.program.log import format_option
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options

__all__ = ["worker"]


@click.command()
@click.option("--builders", default=None, type=click.IntRange(1), help="Builder processes.  [default: one a CPU]")
@click.option("--worker-id", default=None, metavar="ID", help="Name of this worker.  [default: host and pid]")
@format_option
@connection_options()
def worker(connection: Connection, builders: int | None, worker_id: str | None, log_format: str) -> None:
    """Run a tuning worker, for a tracker here or elsewhere.

    It hears its tracker by mDNS, or takes its address, and finds it again where it was away.

    \b
    Examples:
      tracker worker
      tracker worker --tracker lab-server:9195
    """
    from tvm_farm.tracker.app import worker_command

    chosen = connection.or_current().checked()
    name = worker_id or f"{socket.gethostname()}-{os.getpid()}"
    command = worker_command(
        chosen.tracker or "", name, builders, farm=chosen.farm or "", interface=chosen.interface or ""
    )
    command += ["--log-format", log_format]
    with held_back():  # until the worker answers it
        os.execv(command[0], command)
