"""The ``tracker`` command: the farm's centre and its tuning workers."""

from __future__ import annotations

import click

from tvm_farm.protos.version import __version__
from tvm_farm.tracker.cli.terminal.groups import LazyGroup

__all__ = ["tracker"]


@click.group(
    cls=LazyGroup,
    lazy={
        "start": "tvm_farm.tracker.cli.server.start:start",
        "worker": "tvm_farm.tracker.cli.server.worker:worker",
        "install-service": "tvm_farm.tracker.cli.server.install_service:install_service",
        "status": "tvm_farm.tracker.cli.server.status:tracker_status",
        "runtime": "tvm_farm.tracker.cli.server.runtime:runtime",
        "completion": "tvm_farm.protos.program.completion:tracker",
    },
    variables="TVMFARM_TRACKER",
    context_settings={"show_default": True},
)
@click.version_option(__version__, prog_name="tracker")
def tracker() -> None:
    """Run the centre of a farm.

    Every option can be set as TVMFARM_TRACKER_<COMMAND>_<OPTION> in the environment.
    """
