"""A farm of somebody else on this machine while the tests run: no test may hear it, join it or be joined by it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tests.support.whole_farm import ENVIRON
from tvm_farm.protos.farm.v1 import jobs_pb2

__all__ = ["ForeignFarm"]

#: How its agents find it: one by its name, one joins whatever it hears, one asks on and on for what nobody is.
_AGENTS = {"foreign-board": "--farm={farm}", "foreign-stray": "", "foreign-searcher": "--farm=nobodys"}


class ForeignFarm:
    """A tracker that announces itself on every interface, and agents that listen for one.

    ``pluginmanager.register(ForeignFarm(folder))``: there until pytest ends, which fails where the farm had a visitor.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: The test under which its tracker ended, "" while it runs.
        self._ended = ""
        self._agents: list[subprocess.Popen[bytes]] = []
        folder.mkdir()
        self._farm = f"foreign-{os.getpid()}"  # others on this machine may run tests beside one of theirs
        self._tracker = TrackerProcess(folder / "tracker", "--farm", self._farm, reached=())
        try:
            for name, option in _AGENTS.items():
                self._agent(name, *filter(None, [option.format(farm=self._farm)]))
            wait_until(lambda: f"joined farm {self._farm}" in self._said("foreign-board"), "foreign board", 30)
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

    def _said(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text()

    def visitors(self) -> list[str]:
        """Devices and jobs that are not its own; the test that ended it."""
        if self._ended:
            return [f"{self._ended} ended its tracker, which said {self._tracker.output()[-500:]}"]
        jobs = self._tracker.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest()).jobs
        others = [f"device {device.name}" for device in self._tracker.devices() if device.name not in _AGENTS]
        joined = {farm for name in _AGENTS for farm in re.findall(r"joined farm ([^;\s]+)", self._said(name))}
        strayed = [f"its agents, of farm {farm}," for farm in joined - {self._farm}]
        return [*others, *(f"job {job.id}" for job in jobs), *strayed]

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
