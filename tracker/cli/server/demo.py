"""``farm demo``: a whole farm on this machine, for one model."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from tvm_farm.tracker.cli.terminal.options import OPTIONS
from tvm_farm.tracker.cli.terminal.parsing import DURATION
from tvm_farm.tracker.cli.terminal.signals import ignored, raised_as_interrupt
from tvm_farm.tracker.client.errors import BadInput, FarmError, Interrupted, TrackerUnreachable

if TYPE_CHECKING:
    from tvm_farm.tracker.cli.terminal.child import Child
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.domain import Device, JobGroup

    class Started(AbstractContextManager[object], Protocol):
        """An agent, or a board with one, until the ``with`` ends."""

        def check(self) -> None:
            """Raises FarmError when it has ended."""

    #: Starts an agent that joins the tracker at an address, and may use a folder until the demo ends.
    StartAgent = Callable[[str, Path], Started]

__all__ = ["DEMO_OPTIONS", "demo", "demonstrate", "model_option", "output_option"]

#: A demo has no --force.
DEMO_OPTIONS = replace(OPTIONS, anyway="empty it")
#: No mDNS: this farm is nobody else's business.
_PRIVATE = ("--host", "127.0.0.1", "--no-mdns")

#: As far as this system has them.
_STOPPING = tuple(signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_START_TIMEOUT_S = 60.0

model_option = click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A model of your own: ONNX, TFLite or .pt2. [default: SqueezeNet of the onnx package, with random weights]",
)
output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    default="demo-package",
    show_default=True,
    help="Where the package goes.",
)


@click.command()
@model_option
@click.option("--budget", type=DURATION, default="2m", show_default=True, help="Time to tune for.")
@output_option
def demo(model: Path | None, budget: float, output: Path) -> None:
    """Start a farm on this machine, tune a model on it, stop it.

    A tracker and one agent run in a throw-away folder on a free port; the package stays. On
    Ctrl-C everything is stopped.

    \b
    Example:
      farm demo --budget 1m
    """
    from tvm_farm.tracker.cli.jobs.conclusion import conclude

    import_module("platformdirs")  # of the tracker, which an installation for a desk lacks: told before all else
    conclude(demonstrate(model, budget, output, _agent_here))


def demonstrate(
    model: Path | None, budget_s: float, output: Path, start_agent: StartAgent, reached: Sequence[str] = _PRIVATE
) -> JobGroup:
    """``farm demo`` up to its closing line, on the device of ``start_agent``, which is called once the tracker serves.

    ``reached``: options of ``tracker start`` that say where it is reached. Raises what ``farm tune`` does, and
    Interrupted for a signal, after everything was stopped.
    """
    from tvm_farm.tracker.client.artifacts import file_digest
    from tvm_farm.tracker.client.packages.owned import Owner
    from tvm_farm.tracker.client.packages.package import check_destination

    check_destination(output, force=False, names=DEMO_OPTIONS)
    with raised_as_interrupt(*_STOPPING), _state_folder() as state:
        try:
            file = _model(model, state)
            check_destination(output, False, Owner(file.stem, file_digest(file)[0]), DEMO_OPTIONS)
            return _tuned(file, state, budget_s, output, start_agent, reached)
        except (KeyboardInterrupt, Interrupted):
            raise Interrupted("\nInterrupted: stopped the farm and threw its state away.") from None


def _tuned(
    model: Path, state: Path, budget_s: float, output: Path, start_agent: StartAgent, reached: Sequence[str]
) -> JobGroup:
    """Start a farm, tune on it, stop it."""
    running = ExitStack()
    try:
        client, device = _start(state, running, start_agent, reached)
        return _tune(client, device, model, budget_s, output)
    finally:
        # A second Ctrl-C would leave a tracker behind.
        with ignored(*_STOPPING):
            click.echo("Stopping the farm …", err=True)
            running.close()


def _start(state: Path, running: ExitStack, start_agent: StartAgent, reached: Sequence[str]) -> tuple[Farm, Device]:
    """A tracker and an agent that has joined it; ``running`` stops them, the agent first."""
    from tvm_farm.tracker.cli.terminal.child import Child
    from tvm_farm.tracker.client.farm import Farm

    click.echo(f"Starting a farm on this machine, its state in {state}")
    click.echo("Starting the tracker …", err=True)
    folder = state / "tracker"
    options = [*reached, "--port", "0", "--metrics-port", "0", "--farm", "demo"]
    tracker = running.enter_context(
        Child("tracker", ["start", *options, "--state", str(folder)], state / "tracker.log")
    )
    address = _address(folder / "endpoint.json", tracker)
    click.echo(f"The tracker serves at {address}; its worker loads TVM meanwhile. Starting the agent …", err=True)
    agent = start_agent(address, state)
    running.enter_context(agent)
    client = running.enter_context(Farm(address))
    return client, _first_device(client, [tracker, agent])


def _agent_here(address: str, state: Path) -> Child:
    from tvm_farm.tracker.cli.terminal.child import Child

    options = ["--tracker", address, "--state", str(state / "agent")]
    return Child("agent", ["start", *options], state / "agent.log")


def _address(endpoint: Path, tracker: Child) -> str:
    """Where the tracker serves: it says so in ``endpoint``, a file that appears whole."""
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while not endpoint.exists():
        tracker.check()
        if time.monotonic() > deadline_s:
            raise FarmError(f"The tracker does not serve after {_START_TIMEOUT_S:.0f} s.")
        time.sleep(0.05)
    return str(json.loads(endpoint.read_text(encoding="utf-8"))["address"])


def _first_device(client: Farm, children: Sequence[Started]) -> Device:
    from tvm_farm.tracker.domain import DeviceState

    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        for child in children:
            child.check()
        try:
            joined = [device for device in client.devices.list() if device.state is not DeviceState.LOST]
        except TrackerUnreachable:
            joined = []
        if joined:
            return joined[0]
        time.sleep(0.1)
    raise FarmError(
        f"No device joined the tracker within {_START_TIMEOUT_S:.0f} s: its log and the agent's may tell why."
    )


def _tune(client: Farm, device: Device, model: Path, budget_s: float, output: Path) -> JobGroup:
    from tvm_farm.tracker.cli.jobs.conclusion import Folder, finish
    from tvm_farm.tracker.cli.terminal.formats import plural

    built_in = [pool.name for pool in client.devices.pools() if pool.built_in and device.name in pool.devices]
    pool = (built_in or list(device.pools))[0]
    board = device.fingerprint
    click.echo(f"Device {device.name} joined: {board.board_model}, {plural(board.cores, 'CPU')}, pool {pool}")
    command = [
        "farm",
        "tune",
        model.name,
        "--pool",
        pool,
        "--budget",
        _as_typed(budget_s),
        "-o",
        str(output),
    ]
    click.echo(f"$ {shlex.join(command)}")
    click.echo("The first job of a farm begins some 15 s later than others: its worker loads TVM.", err=True)
    return finish(client.tune(model, pool=pool, budget=budget_s), Folder(output), as_json=False)


def _as_typed(seconds: float) -> str:
    for unit, scale in (("h", 3600), ("m", 60)):
        if seconds % scale == 0:
            return f"{seconds / scale:g}{unit}"
    return f"{seconds:g}s"


def _model(chosen: Path | None, state: Path) -> Path:
    """The file to tune: ``chosen``, else SqueezeNet as the onnx package carries it, with random weights."""
    from tvm_farm.tracker.client.asking.external_data import external_files
    from tvm_farm.tracker.client.asking.subject import check_file

    if chosen is not None:
        check_file(chosen)
        external_files(chosen)  # what is no model is refused before a farm is started
        return chosen
    path = state / "squeezenet.onnx"
    click.echo("Making SqueezeNet with random weights …", err=True)
    # A process of its own: the farm command itself loads neither numpy nor onnx.
    command = [sys.executable, "-m", "tvm_farm.tracker.tuning.models.light", "light_squeezenet", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BadInput(
            "The onnx package here brings no SqueezeNet: install 'tvm-farm[tracker]', or name a --model. "
            f"({done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no reason given'})"
        )
    return path


@contextmanager
def _state_folder() -> Iterator[Path]:
    """A new folder; thrown away at the end, unless the demo failed: then its logs are wanted."""
    folder = Path(tempfile.mkdtemp(prefix="tvm-farm-demo-"))
    try:
        yield folder
    except (Interrupted, BadInput):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        click.echo(f"The logs are in {folder}", err=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
