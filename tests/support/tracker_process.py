"""A real ``tracker start`` process in a folder of its own, on free ports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import psutil

from tests.support.cable import Cable
from tests.support.calls import Calls
from tests.support.waiting import wait_until
from tvm_farm.protos.farm.v1 import artifacts_pb2, devices_pb2

__all__ = ["TrackerProcess"]

OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]


class TrackerProcess:
    """Started by the constructor, ready when it returns. ``kill`` is kill -9; ``start`` starts it again.

    Reached by this host alone, and announced to nobody, unless ``reached`` says else. With ``cable`` it runs on the
    near host of that one, and is announced to the far one.
    """

    def __init__(
        self,
        state: Path,
        *options: str,
        workers: int = 0,
        reached: Sequence[str] = ("--no-mdns", "--host", "127.0.0.1"),
        cable: Cable | None = None,
        before: str = "",
    ) -> None:
        self.state = state
        self._cable = cable
        reached = ["--mdns-interface", cable.near] if cable else reached
        self.options = [*reached, "--workers", str(workers), *options]
        self.path = os.pathsep.join(filter(None, [before, str(Path(__file__).parents[2])]))
        self.port = 0
        self.metrics_port = 0
        self.start()

    def start(self) -> None:
        """On the ports that it had before, so that those who knew it find it."""
        ports = ["--port", str(self.port), "--metrics-port", str(self.metrics_port)]
        start = [sys.executable, "-c", "from tvm_farm.tracker.cli import tracker; tracker()", "start"]
        command = [*start, "--state", str(self.state), *ports, *self.options]
        self.log = (self.state.parent / f"{self.state.name}.log").open("ab")
        self.process = subprocess.Popen(
            self._cable.at_near(*command) if self._cable else command,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": self.path},
        )
        wait_until(self._serves, "serving tracker")
        if self._cable:
            here = {name: self.endpoint[name].replace("127.0.0.1", self._cable.near) for name in ("address", "metrics")}
            self.endpoint.update(here)
        self.address: str = self.endpoint["address"]
        self.port = int(self.address.rpartition(":")[2])
        self.metrics_port = int(self.endpoint["metrics"].rpartition(":")[2].partition("/")[0])
        self.channel = grpc.insecure_channel(self.address, options=OPTIONS)
        self.calls = Calls(self.channel)

    def _serves(self) -> bool:
        assert self.process.poll() is None, self.output()
        try:
            self.endpoint: dict[str, Any] = json.loads((self.state / "endpoint.json").read_text())
        except FileNotFoundError:
            return False
        return bool(self.endpoint["pid"] == self.process.pid)

    def output(self) -> str:
        return Path(self.log.name).read_text()

    def devices(self, pool: str = "") -> list[Any]:
        return list(self.calls.devices.ListDevices(devices_pb2.ListDevicesRequest(pool=pool)).devices)

    def upload(self, data: bytes) -> Any:
        return self.calls.artifacts.PutArtifact(iter([artifacts_pb2.ArtifactUpload(data=data)]))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def stop(self) -> int:
        """Graceful; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self._ended()
        return self.process.returncode

    def _ended(self) -> None:
        self.process.wait(timeout=30)
        self.channel.close()
        self.log.close()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)
