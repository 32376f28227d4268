"""``tracker worker``: one more tuning worker."""

from __future__ import annotations

import os
import socket

import click

from tvm_farm.protos.program.interrupts import held_back
from tvm_farm.tracker.cli.terminal.parsing import ADDRESS

__all__ = ["worker"]


@click.command()
@click.option("--tracker", "address", type=ADDRESS, required=True, help="Tracker to work for.")
@click.option("--builders", default=None, type=click.IntRange(1), help="Builder processes.  [default: one a CPU]")
@click.option("--worker-id", default=None, metavar="ID", help="Name of this worker.  [default: host and pid]")
def worker(address: str, builders: int | None, worker_id: str | None) -> None:
    """Run one more tuning worker here, for a tracker here or elsewhere.

    \b
    Example:
      tracker worker --tracker lab-server:9195
    """
    from tvm_farm.tracker.app import worker_command

    command = worker_command(address, worker_id or f"{socket.gethostname()}-{os.getpid()}", builders)
    with held_back():  # until the worker answers it
        os.execv(command[0], command)
