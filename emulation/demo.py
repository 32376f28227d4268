"""``make demo POOL=arm64`` and ``POOL=rpi3``: the farm's demo on a board, or a whole machine, that is emulated here."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from emulation.host import EmulationError, install, missing_here
from emulation.machines import (
    KINDS,
    InstalledMachine,
    Machine,
    make_boot,
    missing_for_machines,
    own_network,
)
from emulation.preparation import make_wheel, prepare
from tvm_farm.tracker.cli.jobs.conclusion import conclude
from tvm_farm.tracker.cli.server.demo import DEMO_OPTIONS, demonstrate, model_option, output_option
from tvm_farm.tracker.cli.server.wheels import download
from tvm_farm.tracker.cli.terminal.child import Child
from tvm_farm.tracker.cli.terminal.parsing import DURATION
from tvm_farm.tracker.cli.terminal.program import Program
from tvm_farm.tracker.cli.terminal.signals import raised_as_interrupt
from tvm_farm.tracker.client.asking.subject import check_file
from tvm_farm.tracker.client.errors import FarmError, Interrupted
from tvm_farm.tracker.client.packages.package import check_destination
from tvm_farm.tracker.domain import JobGroup

__all__ = ["main"]

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--pool",
    type=click.Choice(["arm64", "rpi3", "virt"]),
    default="arm64",
    show_default=True,
    help="arm64: an agent with a Debian of its own. rpi3: a whole Raspberry Pi 3 that boots from its card. virt: a "
    "whole machine of no kind.",
)
@model_option
@click.option("--budget", type=DURATION, default="1m", show_default=True, help="Time to tune for.")
@output_option
def main(pool: str, model: Path | None, budget: float, output: Path) -> None:
    """Start a farm with an emulated 64-bit ARM board, tune a model on it, stop it.

    What it needs it installs with apt, as root or by sudo, and says so first. The board has a Debian of
    its own, kept in build/, and the agent's packages; no compiler, no TVM.

    \b
    Examples:
      python -m emulation --budget 1m
      python -m emulation --pool rpi3
    """
    check_destination(output, force=False, names=DEMO_OPTIONS)
    if model is not None:
        check_file(model)
    with raised_as_interrupt(*_STOPPING), tempfile.TemporaryDirectory(prefix="tvm-farm-emulation-") as folder:
        try:
            jobs = (_on_board if pool == "arm64" else _on_machine)(pool, Path(folder), model, budget, output)
        except EmulationError as error:
            raise FarmError(str(error)) from None
        except KeyboardInterrupt:
            raise Interrupted("\nInterrupted.") from None
    click.echo("The board is emulated: its answers are an ARM board's, its times tell nothing of one.")
    conclude(jobs)


def _on_board(pool: str, folder: Path, model: Path | None, budget_s: float, output: Path) -> JobGroup:
    if packages := missing_here().packages:
        install(packages, _say)
    board = prepare(folder, _say)

    def start_agent(address: str, state: Path) -> Child:
        _add_runtime(address)
        arguments = ["start", "--name", "emulated", "--tracker", address]
        return Child("agent", arguments, state / "agent.log", board.agent())

    return demonstrate(model, budget_s, output, start_agent)


def _on_machine(pool: str, folder: Path, model: Path | None, budget_s: float, output: Path) -> JobGroup:
    if packages := missing_for_machines().packages:
        install(packages, _say)
    boot = make_boot(KINDS[pool], _say)
    wheel = make_wheel(folder)
    # From the machine's network nothing else is reached.
    (folder / "runtime").mkdir()
    runtime = download("aarch64", folder / "runtime")
    with own_network() as switch:

        def start_agent(address: str, state: Path) -> InstalledMachine:
            _add_runtime(address, runtime)
            return InstalledMachine(Machine(boot, folder / "machine", switch), wheel, _say)

        return demonstrate(model, budget_s, output, start_agent, ["--mdns-interface", str(switch.address.ip)])


def _add_runtime(address: str, wheels: Sequence[Path] = ()) -> None:
    command = ["tracker", "runtime", "add", "aarch64", *(word for path in wheels for word in ("--wheel", str(path)))]
    click.echo(f"$ {' '.join(command)}")
    start = "import sys; sys.argv[0] = 'tracker'; from tvm_farm.tracker.cli import tracker; tracker()"
    done = subprocess.run(
        [sys.executable, "-c", start, *command[1:], "--tracker", address], stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode != 0:
        raise FarmError("The tracker has no runtime for the board: what was written above says why.")


def _say(line: str) -> None:
    click.echo(line, err=True)
