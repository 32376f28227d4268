"""``agent start``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tvm_farm.agent.commands import options
from tvm_farm.agent.commands.ending import EXIT_CODES, end_with
from tvm_farm.agent.errors import SettingsError
from tvm_farm.agent.runner import SyntheticModel
from tvm_farm.agent.settings import Settings, default_state_dir
from tvm_farm.protos.labels import parse_labels
from tvm_farm.protos.program.log import format_option, log_to_stderr

__all__ = ["settings_of", "start"]


def _labels(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    try:
        return parse_labels(values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(epilog=EXIT_CODES)
@options.tracker
@options.farm
@options.via
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
@options.state
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
@options.runtime
@options.libc
@options.mode
@options.threads
@options.cluster
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
    metavar="N",
    help="Room for artifacts on this board's disk, in MiB.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve Prometheus metrics of this agent there (0: any free port, which is printed).",
)
@options.interface
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
@format_option
def start(log_level: str, log_format: str, **chosen: Any) -> None:
    """Join a farm, and measure kernels for it until stopped.

    Finds the tracker by mDNS, or takes its address. Loses and regains it without help. SIGTERM or
    Ctrl-C finishes the kernel at hand, gives the rest back and ends.

    \b
    Examples:
      agent start
      agent start --tracker farm.local:9195 --label rack=3 --label cooling=fan
      agent start --via ssh:root@router.local --name router
    """
    log_to_stderr(log_level, log_format)
    from tvm_farm.agent.start import start_agent
    from tvm_farm.agent.upgrade.launch import launch

    def work() -> int:
        settings = settings_of(**chosen)
        if not settings.no_upgrade:
            launch(settings.state_dir, sys.argv[1:])
        return start_agent(settings)

    end_with(work)


def settings_of(
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
