"""``agent``: what a person or a service supervisor starts on a board."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from tvm_farm.agent.errors import AgentError, SettingsError
from tvm_farm.agent.runner import SyntheticModel
from tvm_farm.agent.service.journal import is_journal, log_to_stderr, to_journal
from tvm_farm.agent.settings import Settings, default_state_dir
from tvm_farm.protos.address import parse_address
from tvm_farm.protos.labels import parse_labels
from tvm_farm.protos.output import watched_output
from tvm_farm.protos.version import __version__

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


def _address(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else parse_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _labels(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    try:
        return parse_labels(values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


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


_tracker = click.option(
    "--tracker", callback=_address, metavar="HOST:PORT", help="The tracker's address. Default: found by mDNS."
)
_farm = click.option("--farm", default="", metavar="NAME", help="Which farm to join, where several are heard by mDNS.")
_state = click.option(
    "--state",
    "state_dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for this device's identity, its artifact cache and TVM's runtime; one agent each. "
    "Default: $XDG_STATE_HOME/tvm-farm/agent, or ~/.local/state/tvm-farm/agent; with --via one a device.",
)
_runtime = click.option(
    "--runtime",
    "runtime_dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Folder that holds libtvm_ffi.so and libtvm_runtime.so, with --via for the device. Default: this Python's "
    "packages where they are of the farm's version, else what the tracker sends; with --via none.",
)
_mode = click.option(
    "--mode",
    type=click.Choice(["auto", "full", "micro"]),
    default="auto",
    show_default=True,
    help="full: kernels run with TVM's own runtime, whole models too. micro: with the runner alone, kernels only. "
    "auto: full where TVM's runtime is here or the tracker has it for this board.",
)
_threads = click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Threads a parallel kernel gets. Default: one a CPU that this process may use.",
)
_cluster = click.option(
    "--cluster",
    default="",
    metavar="KIND",
    help="On a board of unlike cores, as big.LITTLE has, serve those of one kind alone: a72. Default: each kind is a "
    "device of its own, and one at a time executes.",
)
_via = click.option(
    "--via",
    default="",
    metavar="WAY",
    help="Run kernels on a device behind this machine, which needs a shell and nothing else: ssh:USER@HOST[:PORT], or "
    "adb:SERIAL. Default: this machine is the device.",
)
_libc = click.option(
    "--libc",
    "libc_dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="With --via, for a device that lacks glibc 2.28 or later, as Android and OpenWrt do: a folder with the one of "
    "its architecture, which is brought there. Debian's libc6-arm64-cross has it in /usr/aarch64-linux-gnu/lib.",
)
_interface = click.option(
    "--mdns-interface", metavar="IP", help="Listen for mDNS only on the network interface with this address."
)


@main.command(epilog=_EXIT_CODES)
@_tracker
@_farm
@_via
@click.option(
    "--name",
    metavar="NAME",
    help="The device's name in the farm; where cores of unlike kinds are devices of their own, NAME-KIND. Default: its "
    "host name.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    callback=_labels,
    metavar="KEY=VALUE",
    help="A label for pools to select by; may be repeated.",
)
@_state
@click.option(
    "--runner",
    type=click.Choice(["native", "synthetic"]),
    default="native",
    show_default=True,
    help="native: runs kernels. synthetic: runs nothing, answers from a model of a device; for tests and load.",
)
@click.option(
    "--synthetic-mean-ms",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="With --runner synthetic: a kernel's mean time. Default: 10.",
)
@click.option(
    "--synthetic-noise",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    help="With --runner synthetic: by how much the repeats of a trial differ. Default: 0.02.",
)
@click.option(
    "--synthetic-crash-share",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="With --runner synthetic: share of all kernels that crash. Default: 0.",
)
@click.option(
    "--synthetic-timeout-share",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="With --runner synthetic: share of all kernels that hang. Default: 0.",
)
@click.option(
    "--synthetic-seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="With --runner synthetic: which device to model. Default: 0.",
)
@_runtime
@_libc
@_mode
@_threads
@_cluster
@click.option(
    "--prefetch",
    type=click.IntRange(0, 64),
    default=2,
    show_default=True,
    metavar="N",
    help="Trials to hold beside the one running, with their files on the way; seven times as many of a few ms each.",
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
    "--no-upgrade",
    is_flag=True,
    help="Run the agent that is installed here, and refuse those that `farm devices upgrade` sends. Without it whoever "
    "reaches the tracker can send one, as whoever reaches it can have kernels run here.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="How much to write to standard error.",
)
def start(log_level: str, **chosen: Any) -> None:
    """Join a farm and measure kernels for it until told to stop.

    Finds the tracker by mDNS, or takes its address. Loses and regains it without help. SIGTERM or
    Ctrl-C finishes the kernel at hand, gives the rest back and ends.

    \b
    Examples:
      agent start
      agent start --tracker farm.local:9195 --label rack=3 --label cooling=fan
      agent start --via ssh:root@router.local --name router
    """
    log_to_stderr(log_level.upper())
    logging.getLogger("zeroconf").addFilter(_without_traceback)
    from tvm_farm.agent.start import start_agent
    from tvm_farm.agent.upgrade.launch import launch

    def work() -> int:
        settings = _settings(**chosen)
        if not settings.no_upgrade:
            launch(settings.state_dir, sys.argv[1:])
        return start_agent(settings)

    _end_with(work)


def _settings(
    *, state_dir: Path | None, tracker: str | None, name: str | None, via: str, cache_mb: int, **rest: Any
) -> Settings:
    """The options of ``start`` as values. Raises SettingsError."""
    return Settings(
        state_dir=state_dir or default_state_dir(via=via),
        tracker=tracker or "",
        name=name or "",
        via=via,
        synthetic=_synthetic(rest),
        cache_bytes=cache_mb << 20,
        **rest,
    )


@main.command("install-service", context_settings={"ignore_unknown_options": True})
@click.option("--print", "only_print", is_flag=True, help="Show the unit, and change nothing.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF START]...")
def install_service(only_print: bool, options: tuple[str, ...]) -> None:
    """Have systemd run `agent start` with the given options, now and at every boot.

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

    chosen = start.make_context("agent start", list(options)).params

    def work() -> int:
        if chosen["state_dir"] is not None:
            raise SettingsError("the service keeps its state in /var/lib/tvm-farm: leave out --state")
        chosen.pop("log_level")
        service = Service.of(_settings(**chosen), options, Path(sys.executable))
        if only_print:
            click.echo(service.text, nl=False)
            return 0
        for line in install(service):
            click.echo(line)
        click.echo("to undo it, as root:")
        for command in service.undo:
            click.echo(f"  {command}")
        return 0

    _end_with(work)


@main.command("new-identity")
@_via
@_state
def new_identity(via: str, state_dir: Path | None) -> None:
    """Make this board a device of its own, where its disk was cloned from another one's.

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

    _end_with(work)


def _synthetic(options: dict[str, Any]) -> SyntheticModel | None:
    """Take the --synthetic-* options out of ``options``; None when none was given. Raises SettingsError."""
    names = {"mean_ms": "mean_s", "noise": "noise", "crash_share": "crash_share", "timeout_share": "timeout_share"}
    given = {key: options.pop(f"synthetic_{name}") for name, key in {**names, "seed": "seed"}.items()}
    given = {key: value for key, value in given.items() if value is not None}
    if "mean_s" in given:
        given["mean_s"] /= 1e3
    try:
        return SyntheticModel(**given) if given else None
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _without_traceback(record: logging.LogRecord) -> bool:
    """zeroconf shows one for a cable that is out; its sentence says enough."""
    record.exc_info = None
    return True


@main.command(epilog=_EXIT_CODES)
@_tracker
@_farm
@_via
@_state
@_runtime
@_libc
@_mode
@_threads
@_cluster
@_interface
@click.option("--json", "as_json", is_flag=True, help="One JSON object: passed, checks [name, verdict, said, remedy].")
def doctor(state_dir: Path | None, tracker: str | None, via: str, as_json: bool, **rest: Any) -> None:
    """Check what a join needs, and name what is missing.

    Give it those of these options that `agent start` gets. Exits with 0 when no check failed, else with 1.

    \b
    Examples:
      agent doctor
      agent doctor --tracker farm.local:9195 --json
      agent doctor --via ssh:root@router.local
    """
    from tvm_farm.agent.doctor.report import report

    folder = state_dir or default_state_dir(via=via)
    _end_with(lambda: report(Settings(state_dir=folder, tracker=tracker or "", via=via, **rest), as_json))


def _end_with(work: Callable[[], int]) -> None:
    """Exit with what ``work`` returns, or with a fault's own code after its sentence."""
    try:
        code = work()
    except AgentError as error:
        click.echo(to_journal("ERROR", str(error)) if is_journal() else f"agent: {error}", err=True)
        code = error.exit_code
    sys.exit(code)
