"""``agent``: what a person or a service supervisor starts on a board."""

from __future__ import annotations

from tvm_farm.protos.program.interrupts import ended_by_interrupt

with ended_by_interrupt():
    import click

    from tvm_farm.protos.program.commands import ProgramGroup
    from tvm_farm.protos.version import __version__

__all__ = ["main"]


@click.group(
    cls=ProgramGroup,
    lazy={
        "start": "tvm_farm.agent.commands.start:start",
        "doctor": "tvm_farm.agent.commands.doctor:doctor",
        "install-service": "tvm_farm.agent.commands.install_service:install_service",
        "new-identity": "tvm_farm.agent.commands.new_identity:new_identity",
        "completion": "tvm_farm.protos.program.completion:agent",
    },
    variables="TVMFARM_AGENT",
)
@click.version_option(__version__, prog_name="agent")
def main() -> None:
    """Lend this board to a TVM farm.

    Every option can also be set in the environment: `agent start --farm lab` is
    TVMFARM_AGENT_START_FARM=lab.
    """
