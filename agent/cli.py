"""``agent``: what a person or a service supervisor starts on a board."""

from __future__ import annotations

import os
from typing import Any

import click

from tvm_farm.agent.commands.doctor import doctor
from tvm_farm.agent.commands.install_service import install_service
from tvm_farm.agent.commands.new_identity import new_identity
from tvm_farm.agent.commands.start import start
from tvm_farm.protos.output import watched_output
from tvm_farm.protos.variables import name_by_options
from tvm_farm.protos.version import __version__

__all__ = ["main"]


class _Program(click.Group):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with watched_output():
            return super().__call__(*args, **kwargs)


@click.group(
    cls=_Program, context_settings={"auto_envvar_prefix": "TVMFARM_AGENT", "help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="agent")
def main() -> None:
    """Lend this board to a TVM farm.

    Every option can also be set in the environment: `agent start --farm lab` is
    TVMFARM_AGENT_START_FARM=lab.
    """
    # gRPC's own notes on every lost connection say less than the agent's. Read when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


for command in (doctor, install_service, new_identity, start):
    main.add_command(command)
name_by_options(main, "TVMFARM_AGENT")
