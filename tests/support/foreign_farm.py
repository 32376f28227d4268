"""A farm of somebody else on this machine while the tests run: no test may hear it, join it or be joined by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tests.support.whole_farm import ENVIRON
from tvm_farm.protos.farm.v1 import jobs_pb2

__all__ = ["ForeignFarm"]

_BOARD = "foreign-board"


class ForeignFarm:
    """A tracker that announces itself on every interface, a board that found it, and one that searches on and on.

    ``pluginmanager.register(ForeignFarm(folder))``: there until pytest ends, which fails where the farm had a visitor.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: The test under which its tracker ended, "" while it runs.
        self._ended = ""
        self._agents: list[subprocess.Popen[bytes]] = []
        folder.mkdir()
        self._tracker = TrackerProcess(folder / "tracker", "--farm", "foreign", reached=())
        try:
            self._agent(_BOARD)
            self._agent("foreign-searcher", "--farm", "nobodys")
            log = folder / f"{_BOARD}.log"
            wait_until(lambda: "joined farm foreign" in log.read_text(), "board of the foreign farm", 30)
        except BaseException:
            self.pytest_unconfigure()
            raise

    def _agent(self, name: str, *options: str) -> None:
        command = [sys.executable, "-m", "tvm_farm.agent", "start", "--name", name, "--runner", "synthetic", *options]
        with (self._folder / f"{name}.log").open("wb") as log:
            self._agents.append(
                subprocess.Popen(
                    [*command, "--state", str(self._folder / name)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=ENVIRON,
                )
            )

    def visitors(self) -> list[str]:
        """Devices and jobs that are not its own; the test that ended it."""
        if self._ended:
            return [f"{self._ended} ended its tracker, which said {self._tracker.output()[-500:]}"]
        jobs = self._tracker.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest()).jobs
        others = [f"device {device.name}" for device in self._tracker.devices() if device.name != _BOARD]
        joined = (self._folder / f"{_BOARD}.log").read_text().count("joined farm")
        strayed = (self._folder / "foreign-searcher.log").read_text().count("joined farm")
        return [*others, *(f"job {job.id}" for job in jobs), *(["its boards joined others"] * (joined + strayed > 1))]

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        if not self._ended and self._tracker.process.poll() is not None:
            self._ended = nodeid

    def pytest_report_header(self) -> str:
        return f"beside a foreign farm at {self._tracker.address}"

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if visitors := self.visitors():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            print(f"\nFAILED the foreign farm had visitors: {', '.join(visitors)}")

    def pytest_unconfigure(self) -> None:
        for agent in self._agents:
            agent.terminate()
            agent.wait(timeout=30)
        self._tracker.stop()
