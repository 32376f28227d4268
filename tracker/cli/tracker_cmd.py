"""The ``tracker`` command: the farm's centre and its tuning workers."""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path

import click
import platformdirs

from tvm_farm.protos.discovery import DEFAULT_PORT
from tvm_farm.protos.variables import name_by_options
from tvm_farm.protos.version import __version__
from tvm_farm.tracker.cli.server.runtime import runtime
from tvm_farm.tracker.cli.server.status import tracker_status
from tvm_farm.tracker.cli.terminal.parsing import ADDRESS, DURATION_OR_NEVER, FARM_NAME
from tvm_farm.tracker.cli.terminal.program import ProgramGroup

__all__ = ["tracker"]

_FOLDER = platformdirs.user_state_path("tvm-farm") / "tracker"


@click.group(
    cls=ProgramGroup,
    context_settings={
        "auto_envvar_prefix": "TVMFARM_TRACKER",
        "show_default": True,
        "help_option_names": ["-h", "--help"],
    },
)
@click.version_option(__version__, prog_name="tracker")
def tracker() -> None:
    """Run the centre of a farm.

    Every option can be set as TVMFARM_TRACKER_<COMMAND>_<OPTION> in the environment.
    """


@tracker.command()
@click.option("--host", default="::", help="Address to listen on; :: is all of this host, IPv4 and IPv6.")
@click.option("--port", default=DEFAULT_PORT, type=click.IntRange(0, 65535), help="Port for gRPC; 0 takes a free one.")
@click.option(
    "--metrics-port", default=9196, type=click.IntRange(0, 65535), help="Port for Prometheus; 0 takes a free one."
)
@click.option(
    "--farm", default=None, type=FARM_NAME, metavar="NAME", help="Name of this farm.  [default: this host's name]"
)
@click.option(
    "--state", default=_FOLDER, type=click.Path(file_okay=False, path_type=Path), help="Folder for all that is kept."
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
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")

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


@tracker.command()
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
    os.execv(command[0], command)


tracker.add_command(runtime)
tracker.add_command(tracker_status)

name_by_options(tracker, "TVMFARM_TRACKER")
