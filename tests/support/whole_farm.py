"""A whole farm on this machine: a real tracker with a tuning worker, and real agents with native runners."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.support.cable import Cable
from tests.support.tracker_process import TrackerProcess
from tests.support.waiting import wait_until
from tvm_farm.protos.convert import from_message
from tvm_farm.protos.farm.v1 import devices_pb2, job_pb2, jobs_pb2, record_pb2
from tvm_farm.tracker.domain import Job, Record, RecordFilter

__all__ = ["ENVIRON", "AgentOfFarm", "WholeFarm"]

_ROOT = Path(__file__).parents[2]
ENVIRON = {**os.environ, "PYTHONPATH": str(_ROOT)}


class AgentOfFarm:
    """An ``agent start`` process in a state folder of its own. ``module``: what is run as ``agent``."""

    module = "tvm_farm.agent"

    def __init__(self, state: Path, address: str, *options: str, **environ: str) -> None:
        self.state = state
        self.address = address
        self.options = options
        #: Of its own: one that is killed leaves there what it had.
        self._temporary = tempfile.TemporaryDirectory(prefix="agent-", ignore_cleanup_errors=True)
        self.environ = {**ENVIRON, "TMPDIR": self._temporary.name, **environ}
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", self.module, "start", "--tracker", self.address, "--state", str(self.state)]
        with self.state.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--name", self.state.name, *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environ,
            )

    def runners(self) -> list[psutil.Process]:
        """The runner processes, and whatever they forked."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=20)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def close(self) -> None:
        """Killed, where it still runs."""
        self.kill()
        self._temporary.cleanup()


class WholeFarm:
    """Tracker and agents under ``folder``. Everything it started has ended after ``close``.

    ``before``: a folder whose modules the tracker and its workers find before the project's.
    """

    def __init__(
        self, folder: Path, *agents: str, workers: int = 1, cable: Cable | None = None, before: str = ""
    ) -> None:
        self.folder = folder
        self.tracker = TrackerProcess(folder / "tracker", workers=workers, cable=cable, before=before)
        self.agents: list[AgentOfFarm] = []
        for name in agents:
            self.add_agent(name)
        self.wait_for_devices(len(agents))

    def add_agent(self, name: str, *options: str, **environ: str) -> AgentOfFarm:
        agent = AgentOfFarm(self.folder / name, self.tracker.address, *options, **environ)
        self.agents.append(agent)
        return agent

    def wait_for_devices(self, count: int) -> None:
        lost = devices_pb2.ListDevicesRequest()

        def connected() -> bool:
            devices = self.tracker.calls.devices.ListDevices(lost).devices
            return sum(1 for device in devices if device.state in (1, 2)) == count

        wait_until(connected, f"{count} connected devices", 60)

    def farm(self, *arguments: str, timeout_s: float = 400) -> subprocess.CompletedProcess[str]:
        """Run the ``farm`` command to its end."""
        process = self.start_farm(*arguments)
        out, err = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start_farm(self, *arguments: str) -> subprocess.Popen[str]:
        return self._start("farm", "--tracker", self.tracker.address, *arguments)

    def add_runtime(self, arch: str) -> subprocess.CompletedProcess[str]:
        """``tracker runtime add``, to its end."""
        process = self._start("tracker", "runtime", "add", arch, "--tracker", self.tracker.address)
        out, err = process.communicate(timeout=200)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def _start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", f"from tvm_farm.tracker.cli import {command}; {command}()", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRON,
            cwd=self.folder,
        )

    def jobs(self, state: job_pb2.JobState.ValueType = job_pb2.JOB_STATE_UNSPECIFIED) -> list[Job]:
        answer = self.tracker.calls.jobs.ListJobs(jobs_pb2.ListJobsRequest(state=state))
        return [from_message(Job, job) for job in answer.jobs]

    def job(self, job_id: str) -> Job:
        return from_message(Job, self.tracker.calls.jobs.GetJob(jobs_pb2.GetJobRequest(id=job_id)))

    def records(self, **wanted: str) -> list[Record]:
        from tvm_farm.protos.convert import to_message

        request = to_message(record_pb2.RecordFilter, RecordFilter(**wanted))
        return [from_message(Record, record) for record in self._records(request)]

    def _records(self, request: object) -> Iterator[object]:
        return self.tracker.calls.log.QueryRecords(request)

    def worker_log(self) -> str:
        return "\n".join(path.read_text() for path in sorted((self.tracker.state / "logs").glob("*")))

    def close(self) -> None:
        for agent in self.agents:
            agent.close()
        if self.tracker.process.poll() is None:
            self.tracker.stop()
