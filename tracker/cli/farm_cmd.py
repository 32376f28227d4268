"""The ``farm`` command: what a person does with the farm."""

from __future__ import annotations

import logging

import click

from tvm_farm.protos.version import __version__
from tvm_farm.tracker.cli.terminal.connection import Connection, connection_options
from tvm_farm.tracker.cli.terminal.groups import LazyGroup
from tvm_farm.tracker.client.errors import EXIT_CODES

__all__ = ["farm"]

_EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODES.items())


@click.group(
    cls=LazyGroup,
    lazy={
        "tune": "tvm_farm.tracker.cli.jobs.tune:tune",
        "compile": "tvm_farm.tracker.cli.jobs.tune:compile_model",
        "check": "tvm_farm.tracker.cli.jobs.check:check",
        "bench": "tvm_farm.tracker.cli.packages.bench:bench",
        "jobs": "tvm_farm.tracker.cli.jobs.commands:jobs",
        "tasks": "tvm_farm.tracker.cli.jobs.tasks:tasks",
        "devices": "tvm_farm.tracker.cli.boards.devices:devices",
        "lease": "tvm_farm.tracker.cli.boards.orders:lease",
        "drain": "tvm_farm.tracker.cli.boards.orders:drain",
        "resume": "tvm_farm.tracker.cli.boards.orders:resume",
        "pools": "tvm_farm.tracker.cli.boards.pools:pools",
        "records": "tvm_farm.tracker.cli.records.commands:records",
        "status": "tvm_farm.tracker.cli.server.status:status",
        "use": "tvm_farm.tracker.cli.server.use:use",
        "demo": "tvm_farm.tracker.cli.server.demo:demo",
        "completion": "tvm_farm.protos.program.completion:farm",
    },
    context_settings={"max_content_width": 100},
    epilog=_EPILOG,
)
@click.version_option(__version__, prog_name="farm")
@connection_options()
@click.pass_context
def farm(ctx: click.Context, connection: Connection) -> None:
    """Make a model faster on the boards it will run on.

    \b
    Example: tune a network on every 64-bit ARM board of the farm for half an hour
      farm tune resnet50.onnx --pool arm64 --budget 30m
    """
    # What it warns of, an interface that sends nothing, is for a log: a person hears whether a tracker was found.
    logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
    ctx.obj = connection
