"""``agent install-service``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tvm_farm.agent.commands.ending import end_with
from tvm_farm.agent.commands.start import settings_of, start
from tvm_farm.agent.errors import SettingsError

__all__ = ["install_service"]


@click.command("install-service", context_settings={"ignore_unknown_options": True})
@click.option("--print", "only_print", is_flag=True, help="Show the unit, and change nothing.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF START]...")
def install_service(only_print: bool, options: tuple[str, ...]) -> None:
    """Have systemd run `agent start`, now and at every boot.

    Makes the unprivileged user tvm-farm, who holds the state in /var/lib/tvm-farm, and a unit for each
    device: this machine, or the one that --via names. Run it as root, from an environment outside of any
    home. Run again with other options, it replaces the unit. It says what it did and how to undo it.

    \b
    Examples:
      sudo /opt/tvm-farm/bin/agent install-service
      sudo /opt/tvm-farm/bin/agent install-service --tracker farm.local:9195 --label rack=3
      agent install-service --print
    """
    from tvm_farm.agent.service.unit import Service, install

    # With the names of --help that it has below the program: click makes the option once.
    names = click.get_current_context().help_option_names
    chosen = start.make_context("agent start", list(options), help_option_names=names).params

    def work() -> int:
        if chosen["state_dir"] is not None:
            raise SettingsError("the service keeps its state in /var/lib/tvm-farm: leave out --state")
        del chosen["log_level"], chosen["log_format"]
        service = Service.of(settings_of(**chosen), options, Path(sys.executable))
        if only_print:
            click.echo(service.text, nl=False)
            return 0
        for line in install(service):
            click.echo(line)
        click.echo("to undo it, as root:")
        for command in service.undo:
            click.echo(f"  {command}")
        return 0

    end_with(work)
