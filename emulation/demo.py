"""``make demo POOL=arm64``: the farm's demo on a 64-bit ARM board that is emulated here."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from emulation.host import EmulationError, install, missing_here
from emulation.preparation import prepare
from tracker.cli.child import Child
from tracker.cli.demo import demonstrate, model_option, output_option
from tracker.cli.package import check_destination
from tracker.cli.parsing import DURATION
from tracker.cli.program import Program
from tracker.cli.signals import raised_as_interrupt
from tracker.cli.tune import check_model, conclude
from tracker.client.errors import FarmError, Interrupted

__all__ = ["main"]

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@model_option
@click.option("--budget", type=DURATION, default="1m", show_default=True, help="Time to tune for.")
@output_option
def main(model: Path | None, budget: float, output: Path) -> None:
    """Start a farm with an emulated 64-bit ARM board, tune a model on it, stop it.

    What it needs it installs with apt, as root or by sudo, and says so first. The board has a Debian of
    its own, kept in build/, and the agent's packages; no compiler, no TVM.

    \b
    Example:
      python -m emulation --budget 1m
    """
    check_destination(output, force=False)
    if model is not None:
        check_model(model, ())
    with raised_as_interrupt(*_STOPPING), tempfile.TemporaryDirectory(prefix="tvm-farm-arm64-") as folder:
        try:
            if packages := missing_here().packages:
                install(packages, _say)
            board = prepare(Path(folder), _say)
        except EmulationError as error:
            raise FarmError(str(error)) from None
        except KeyboardInterrupt:
            raise Interrupted("\nInterrupted.") from None

        def start_agent(address: str, state: Path) -> Child:
            _add_runtime(address)
            arguments = ["start", "--name", "emulated", "--tracker", address]
            return Child("agent", arguments, state / "agent.log", board.agent())

        job = demonstrate(model, budget, output, start_agent)
    click.echo("The board is emulated: its answers are an ARM board's, its times tell nothing of one.")
    conclude(job)


def _add_runtime(address: str) -> None:
    command = ["tracker", "runtime", "add", "aarch64"]
    click.echo(f"$ {' '.join(command)}")
    start = "import sys; sys.argv[0] = 'tracker'; from tracker.cli import tracker; tracker()"
    done = subprocess.run(
        [sys.executable, "-c", start, *command[1:], "--tracker", address], stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        raise FarmError("The tracker has no runtime for the board: what was written above says why.")


def _say(line: str) -> None:
    click.echo(line, err=True)
