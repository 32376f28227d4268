"""``tracker start``: the farm's centre."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tvm_farm.protos.discovery import DEFAULT_PORT
from tvm_farm.protos.program.log import format_option, log_to_stderr
from tvm_farm.tracker.cli.terminal.parsing import DURATION_OR_NEVER, FARM_NAME

__all__ = ["default_state", "start"]


def default_state() -> Path:
    """The state folder where nobody names one: ``$XDG_STATE_HOME/tvm-farm/tracker``.

    Raises click.UsageError for a user without a home folder.
    """
    import platformdirs

    try:
        return platformdirs.user_state_path("tvm-farm") / "tracker"
    except RuntimeError:
        raise click.UsageError("This user has no home folder: name one for the tracker with --state.") from None


@click.command()
@click.option("--host", default="::", help="Address to listen on; :: is all of this host, IPv4 and IPv6.")
@click.option("--port", default=DEFAULT_PORT, type=click.IntRange(0, 65535), help="Port for gRPC; 0 takes a free one.")
@click.option(
    "--metrics-port", default=9196, type=click.IntRange(0, 65535), help="Port for Prometheus; 0 takes a free one."
)
@click.option(
    "--farm", default=None, type=FARM_NAME, metavar="NAME", help="Name of this farm.  [default: this host's name]"
)
@click.option(
    "--state",
    default=default_state,
    show_default="~/.local/state/tvm-farm/tracker",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for all that is kept.",
)
@click.option("--workers", default=1, type=click.IntRange(0), help="Tuning workers on this host.")
@click.option(
    "--forget-lost-after",
    "forget_lost_after_s",
    default="90d",
    type=DURATION_OR_NEVER,
    help="Take a device out of the farm that was not heard for so long, unless it is drained, labelled by hand or to "
    "be upgraded; what it measured stays in the log. never: only people do, with `farm devices forget`.",
)
@click.option("--no-mdns", is_flag=True, help="Do not announce this tracker in the network.")
@click.option("--mdns-interface", default=None, metavar="IP|NAME", help="Announce on this network interface alone.")
@click.option(
    "--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]), help="Least level told."
)
@format_option
def start(
    host: str,
    port: int,
    metrics_port: int,
    farm: str | None,
    state: Path,
    workers: int,
    forget_lost_after_s: float,
    no_mdns: bool,
    mdns_interface: str | None,
    log_level: str,
    log_format: str,
) -> None:
    """Serve a farm until stopped.

    Writes endpoint.json into the state folder as soon as it serves.

    \b
    Example:
      tracker start --farm lab --workers 2
    """
    # Before gRPC starts. With its newer listener several threads take turns at the sockets: an eighth more CPU for each
    # measurement under a thousand boards, and three times as often the event loop loses its CPU.
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
    import uvloop

    from tvm_farm.tracker.app import Endpoint, Settings, default_farm, run
    from tvm_farm.tracker.domain.errors import CannotStart, StoreFull

    if no_mdns and mdns_interface:
        raise click.UsageError("--mdns-interface says where to announce and --no-mdns not to: leave one of them out.")
    log_to_stderr(log_level, log_format)

    def serving(endpoint: Endpoint) -> None:
        click.echo(f"farm {endpoint.farm} at {', '.join(endpoint.addresses)}; metrics at {endpoint.metrics}")
        sys.stdout.flush()

    settings = Settings(
        host=host,
        port=port,
        metrics_port=metrics_port,
        farm=farm or default_farm(),
        state=state,
        workers=workers,
        forget_lost_after_s=forget_lost_after_s,
        mdns=not no_mdns,
        interface=mdns_interface,
    )
    try:
        uvloop.run(run(settings, serving))
    except (CannotStart, StoreFull) as e:
        raise click.ClickException(f"{e}.") from e
