"""``agent``: what a person or a service supervisor starts on a board."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from agent import __version__
from agent.errors import AgentError
from agent.settings import Settings, default_state_dir, parse_address, parse_labels

__all__ = ["main"]

_EXIT_CODES = """\b
Exit codes:
  0    stopped as asked (SIGTERM or Ctrl-C), or every check passed
  1    something failed; the last line says what
  2    an option cannot be used as given
  3    the tracker refuses this agent
  4    several farms answer: choose one with --farm
  5    another agent works with the same --state folder
  6    the runner is missing or cannot be started
  130  a second signal: left at once, without finishing the kernel at hand
"""


class _Address(click.ParamType[str]):
    name = "HOST:PORT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return parse_address(value)
        except AgentError as error:
            self.fail(str(error), param, ctx)


@click.group(context_settings={"auto_envvar_prefix": "TVMFARM_AGENT", "help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agent")
def main() -> None:
    """Lend this board to a TVM farm.

    Every option can also be set in the environment: `agent start --farm lab` is
    TVMFARM_AGENT_START_FARM=lab.
    """


_tracker = click.option(
    "--tracker", type=_Address(), metavar="HOST:PORT", help="The tracker's address. Default: found by mDNS."
)
_farm = click.option("--farm", default="", metavar="NAME", help="Which farm to join, where several are heard by mDNS.")
_state = click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for this device's identity and its artifact cache; one agent each. "
    "Default: $XDG_STATE_HOME/tvm-farm/agent, or ~/.local/state/tvm-farm/agent.",
)
_runtime = click.option(
    "--runtime",
    "runtime_dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Folder that holds libtvm_ffi.so and libtvm_runtime.so. Default: looked for in this Python's packages.",
)
_mode = click.option(
    "--mode",
    type=click.Choice(["auto", "full", "micro"]),
    default="auto",
    show_default=True,
    help="full: kernels run with TVM's own runtime, whole models too. micro: with the runner alone, kernels only. "
    "auto: full where TVM's runtime is found.",
)
_threads = click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Threads a parallel kernel gets. Default: one a CPU that this process may use.",
)
_interface = click.option(
    "--mdns-interface", metavar="IP", help="Listen for mDNS only on the network interface with this address."
)


@main.command(epilog=_EXIT_CODES)
@_tracker
@_farm
@click.option("--name", metavar="NAME", help="This device's name in the farm. Default: the host's name.")
@click.option(
    "--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label for pools to select by; may be repeated."
)
@_state
@click.option(
    "--runner",
    type=click.Choice(["native", "synthetic"]),
    default="native",
    show_default=True,
    help="native: runs kernels. synthetic: runs nothing, answers from a model of a device; for tests and load.",
)
@_runtime
@_mode
@_threads
@click.option(
    "--prefetch",
    type=click.IntRange(0, 64),
    default=2,
    show_default=True,
    metavar="N",
    help="Trials to hold beside the one running, with their files on the way.",
)
@click.option(
    "--cache-mb",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    metavar="MB",
    help="Room for artifacts on this board's disk.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve Prometheus metrics of this agent there (0: any free port, which is printed).",
)
@_interface
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="How much to write to standard error.",
)
def start(
    state_dir: Path | None, tracker: str | None, name: str | None, cache_mb: int, log_level: str, **rest: Any
) -> None:
    """Join a farm and measure kernels for it until told to stop.

    Finds the tracker by mDNS, or takes its address. Loses and regains it without help. SIGTERM or
    Ctrl-C finishes the kernel at hand, gives the rest back and ends.

    \b
    Examples:
      agent start
      agent start --tracker farm.local:9195 --label rack=3 --label cooling=fan
    """
    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(message)s", force=True
    )
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # its notes on every lost connection say less than ours
    from agent.start import start_agent

    _end_with(
        lambda: start_agent(
            Settings(
                state_dir=state_dir or default_state_dir(),
                tracker=tracker or "",
                cache_bytes=cache_mb << 20,
                labels=parse_labels(rest.pop("labels")),
                name=name or socket.gethostname(),
                **rest,
            )
        )
    )


def _end_with(work: Callable[[], int]) -> None:
    """Exit with what ``work`` returns, or with a fault's own code after its sentence."""
    try:
        code = work()
    except AgentError as error:
        click.echo(f"agent: {error}", err=True)
        code = error.exit_code
    sys.exit(code)
