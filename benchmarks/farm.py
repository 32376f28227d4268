"""The farm's side: a tracker and agents of this distribution, on this machine."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

import psutil

from tvm_farm.tracker.cli.terminal.child import Child
from tvm_farm.tracker.client.errors import TrackerUnreachable
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.domain import Device, DeviceState

__all__ = ["Farm"]

_START_TIMEOUT_S = 120.0


class LocalFarm:
    """A context: a tracker on a free port of 127.0.0.1, without mDNS, and ``agents`` that have joined it.

    ``workers`` tuning workers run beside it; ``workers_ready`` waits until they have TVM loaded.
    All state lies under ``folder``. Everything has ended when the context is left.
    """

    def __init__(self, folder: Path, *, agents: int = 1, workers: int = 0, agent_options: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self._agent_options = agent_options
        self._wanted = agents
        self._workers = workers
        self._running = ExitStack()
        self.agents: list[Child] = []

    def __enter__(self) -> LocalFarm:
        try:
            self._start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _start(self) -> None:
        state = self.folder / "tracker"
        options = ["--host", "127.0.0.1", "--port", "0", "--metrics-port", "0", "--no-mdns", "--farm", "bench"]
        options += ["--workers", str(self._workers), "--state", str(state)]
        self.tracker = self._running.enter_context(Child("tracker", ["start", *options], self.folder / "tracker.log"))
        endpoint = state / "endpoint.json"
        self._wait(endpoint.exists, "the tracker serves")
        self.address = str(json.loads(endpoint.read_text(encoding="utf-8"))["address"])
        self.client = self._running.enter_context(Farm(Link(self.address)))
        for _ in range(self._wanted):
            self.add_agent()
        self.wait_for_devices(self._wanted)

    def add_agent(self, *options: str) -> Child:
        name = f"board{len(self.agents)}"
        arguments = ["start", "--tracker", self.address, "--name", name, "--state", str(self.folder / name)]
        arguments += [*self._agent_options, *options]
        agent = self._running.enter_context(Child("agent", arguments, self.folder / f"{name}.log"))
        self.agents.append(agent)
        return agent

    def devices(self) -> list[Device]:
        return [device for device in self.client.devices.list() if device.state is not DeviceState.LOST]

    def wait_for_devices(self, count: int) -> None:
        """Until ``count`` devices have joined. Raises FarmError when a process ended, TimeoutError after 2 minutes."""

        def joined() -> bool:
            try:
                return len(self.devices()) >= count
            except TrackerUnreachable:
                return False

        self._wait(joined, f"{count} devices joined")

    def workers_ready(self) -> None:
        """Until every tuning worker has connected and has loaded TVM: nothing below the tracker works any more."""
        self._wait(lambda: self.client.status().workers_connected >= self._workers, "the tuning workers connected")
        self._wait(self._still, "the tuning workers loaded TVM")

    def _still(self) -> bool:
        before_s = _cpu_s(self.tracker.pid)
        time.sleep(1.0)
        return _cpu_s(self.tracker.pid) - before_s < 0.05

    def command(self, *arguments: str) -> list[str]:
        """The ``farm`` command line with these ``arguments`` for this farm."""
        run = "import sys; sys.argv[0] = 'farm'; from tvm_farm.tracker.cli import farm; farm()"
        return [sys.executable, "-c", run, "--tracker", self.address, *arguments]

    def _wait(self, true: object, what: str) -> None:
        assert callable(true)
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not true():
            for child in (self.tracker, *self.agents):
                child.check()
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not after {_START_TIMEOUT_S:.0f} s: {what}; the logs are in {self.folder}")
            time.sleep(0.02)


def _cpu_s(pid: int) -> float:
    """CPU seconds that all descendants of ``pid`` have used."""
    total_s = 0.0
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total_s += times.user + times.system
    return total_s
