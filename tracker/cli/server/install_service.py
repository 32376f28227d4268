"""``tracker install-service``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.client.errors import BadInput, FarmError

if TYPE_CHECKING:
    from tvm_farm.protos.program.service import Unit

__all__ = ["install_service", "unit_of"]

USER = "tvm-farm-tracker"
_HOME = Path("/var/lib") / USER

_UNIT = """\
[Unit]
Description=TVM Farm tracker
# After no target of the network: the tracker follows its host's addresses itself.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
User={user}
Group={user}
StateDirectory={user}
StateDirectoryMode=0700
UMask=0077
Environment=HOME={home}
Restart=always
RestartSec=10
# The tracker alone is told to stop: it ends its tuning workers, whose jobs go on from their records.
KillMode=mixed
TimeoutStopSec=60
# A tuning worker that the system kills for its memory is started again by the tracker.
OOMPolicy=continue
# Left out, since TVM loads what it has compiled: MemoryDenyWriteExecute, SystemCallFilter.
{confined}PrivateDevices=yes
ProtectClock=yes
RestrictRealtime=yes

[Install]
WantedBy=multi-user.target
"""


@click.command("install-service", context_settings={"ignore_unknown_options": True})
@click.option("--print", "only_print", is_flag=True, help="Show the unit, and change nothing.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF START]...")
def install_service(only_print: bool, options: tuple[str, ...]) -> None:
    """Have systemd run `tracker start`, now and at every boot.

    Makes the unprivileged user tvm-farm-tracker, who holds the state in /var/lib/tvm-farm-tracker. Run it as root, from
    an environment outside of any home. Run again with other options, it replaces the unit. It says what it did and how
    to undo it.

    \b
    Examples:
      sudo /opt/tvm-farm/bin/tracker install-service --farm lab
      tracker install-service --print --workers 2
    """
    from tvm_farm.protos.program.service import ServiceError, install
    from tvm_farm.tracker.cli.server.start import start

    # With the names of --help that it has below the program: click makes the option once.
    names = click.get_current_context().help_option_names
    context = start.make_context("tracker start", list(options), help_option_names=names)
    if context.get_parameter_source("state") is not click.core.ParameterSource.DEFAULT:
        raise BadInput(f"The service keeps its state in {_HOME}: leave out --state.")
    unit = unit_of(options, Path(sys.executable))
    if only_print:
        click.echo(unit.text, nl=False)
        return
    try:
        for line in install(unit):
            click.echo(line)
    except ServiceError as error:
        said = str(error)
        raise FarmError(f"{said[:1].upper()}{said[1:]}.") from None
    click.echo("to undo it, as root:")
    for command in unit.undo:
        click.echo(f"  {command}")


def unit_of(options: tuple[str, ...], python: Path) -> Unit:
    """The unit that runs ``tracker start`` with ``options`` by the interpreter ``python``. Raises BadInput where a
    service could not read that.
    """
    from tvm_farm.protos.program.service import CONFINED, Unit, command_line, in_a_home

    if in_a_home(python):
        raise BadInput(
            f"{python} runs this tracker and is in somebody's home, which a service does not read: put it elsewhere, "
            "for instance into a virtual environment in /opt/tvm-farm."
        )
    command = [str(python), "-m", "tvm_farm.tracker", "start", "--state", str(_HOME / "state"), *options]
    text = _UNIT.format(confined=CONFINED, command=command_line(command), user=USER, home=_HOME)
    return Unit(f"{USER}.service", text, USER, _HOME)
