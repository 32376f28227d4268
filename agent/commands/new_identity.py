"""``agent new-identity``."""

from __future__ import annotations

from pathlib import Path

import click

from tvm_farm.agent.commands import options
from tvm_farm.agent.commands.ending import end_with
from tvm_farm.agent.settings import default_state_dir

__all__ = ["new_identity"]


@click.command("new-identity")
@options.via
@options.state
def new_identity(via: str, state_dir: Path | None) -> None:
    """Give a board with a cloned disk an identity of its own.

    From its next join on it has another device id; an agent that runs needs no restart. Its cache and
    TVM's runtime stay. Without --state: the folder of the service where there is one, else that of
    `agent start`.

    \b
    Examples:
      sudo agent new-identity
      agent new-identity --state DIR
    """
    from tvm_farm.agent.files.identity import renew_identities
    from tvm_farm.agent.service.unit import service_state

    def work() -> int:
        folders = [state_dir] if state_dir else [service_state(via), default_state_dir(via=via)]
        for old, new in renew_identities(folders):
            click.echo(f"device {old or 'without id'} is {new} from its next join on")
        return 0

    end_with(work)
