"""A tuning worker: waits for jobs and runs each in a process of its own.

    python -m tracker.tuning.worker --tracker HOST:PORT --worker-id ID [--builders N]

The worker itself never loads TVM. A fork server does, once, while no job is waiting; every job's
process is forked from it with TVM in memory and starts at once. A job that takes its process down
costs that process; the worker reports it and the tracker starts the job again from its records.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import platform
import queue
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import grpc
import psutil

from protos.convert import from_message
from protos.discovery import PROTOCOL_VERSION
from protos.farm.v1 import control_pb2
from protos.farm.v1.control_pb2_grpc import ControlStub
from protos.version import __version__
from tracker.client.farm_client import open_channel
from tracker.domain import Job
from tracker.tuning.messages import to_worker_message

__all__ = ["Worker", "main"]

log = logging.getLogger(__name__)

ALIVE_EVERY_S = 5.0
_MAX_BACKOFF_S = 5.0
_FORKSERVER = multiprocessing.get_context("forkserver")


class _RunningJob:
    """One job's process, the pipe it reports on, and its folder for temporary files."""

    def __init__(self, address: str, job: Job, builders: int, calls: queue.SimpleQueue[Any]) -> None:
        self.id = job.id
        self.folder = Path(tempfile.mkdtemp(prefix=_folder_prefix(os.getpid())))
        self._pipe, theirs = _FORKSERVER.Pipe()
        self.process: ForkServerProcess = _FORKSERVER.Process(
            target=_run_session, args=(address, job, builders, theirs, str(self.folder)), name=f"job-{job.id}"
        )
        self.process.start()
        theirs.close()
        #: Told once by the process, sent again on every new stream: the tasks and the job's end.
        self.tasks: Any = None
        self.finished: Any = None
        #: How the process ended without a word; the job is then given back.
        self.died = ""
        self.calls = calls
        threading.Thread(target=self._relay, name=f"relay-{job.id}", daemon=True).start()

    def end(self, within_s: float = 0.0) -> None:
        """Wait for the process, then kill it. Its builders die with it and the tracker drops its trials."""
        self.process.join(within_s)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _relay(self) -> None:
        while True:
            try:
                message = to_worker_message(self.id, self._pipe.recv())
            except (EOFError, OSError):
                break
            if message.WhichOneof("message") == "finished":
                self.finished = message
            elif message.progress.tasks:
                self.tasks = message
            self.calls.put(message)
        self.process.join()
        if self.finished is None:
            code = self.process.exitcode or 0
            self.died = f"signal {-code}" if code < 0 else f"exit status {code}"
            self.calls.put(self)


def _run_session(address: str, job: Job, builders: int, pipe: Connection, folder: str) -> None:
    from tracker.tuning.session import run_session

    run_session(address, job, builders, pipe, Path(folder))


def _folder_prefix(pid: int) -> str:
    return f"tvm-farm-worker-{pid}-"


def _sweep() -> None:
    """Remove what workers left behind that were killed."""
    for folder in Path(tempfile.gettempdir()).glob("tvm-farm-worker-*"):
        owner = folder.name.split("-")[3]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


class Worker:
    """One worker's life on its tracker."""

    def __init__(self, address: str, worker_id: str, builders: int) -> None:
        self._address = address
        self._id = worker_id
        self._builders = builders
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._job: _RunningJob | None = None

    def run(self) -> int:
        """Serve until the tracker refuses this worker; returns exit code 1."""
        failures = 0
        channel = open_channel(self._address)
        while True:
            try:
                for order in ControlStub(channel).Work(self._messages()):
                    failures = 0
                    if order.WhichOneof("message") == "refused":
                        log.error("the tracker at %s refused this worker: %s", self._address, order.refused)
                        return 1
                    self._obey(order)
            except grpc.RpcError as error:
                log.warning("the tracker at %s is away (%s); trying again", self._address, error.code().name)
            failures += 1
            time.sleep(min(_MAX_BACKOFF_S, 0.2 * 2 ** min(failures, 8)) * random.uniform(0.5, 1.0))

    def stop(self) -> None:
        """End the job at hand; the tracker gives it to another worker."""
        if self._job is not None:
            self._job.end()

    def _messages(self) -> Iterator[Any]:
        """What this worker says on one stream: hello, then whatever its job reports, and that it is alive."""
        calls = self._calls = queue.SimpleQueue()
        if self._job is not None:
            # From here on a death is told on this stream; an earlier one is seen just below.
            self._job.calls = calls
            if self._job.died:
                self._give_back(self._job)
        job = self._job
        hello = control_pb2.WorkerHello(
            worker_id=self._id,
            host=platform.node(),
            pid=os.getpid(),
            versions={"farm": __version__, "tvm": version("apache-tvm"), "python": platform.python_version()},
            running_job=job.id if job else "",
            protocol_version=PROTOCOL_VERSION,
        )
        yield control_pb2.WorkerMessage(hello=hello)
        if job is not None:
            yield from (message for message in (job.tasks, job.finished) if message is not None)
        while True:
            try:
                message = calls.get(timeout=ALIVE_EVERY_S)
            except queue.Empty:
                message = control_pb2.WorkerMessage(alive=control_pb2.WorkerAlive())
            if calls is not self._calls:
                return
            if not isinstance(message, _RunningJob):
                yield message
            elif message is self._job:
                self._give_back(message)
                # The next stream says that nothing runs here, and the tracker starts the job again from its records.
                return

    def _give_back(self, job: _RunningJob) -> None:
        log.error("the process of job %s ended by %s; giving the job back", job.id, job.died)
        job.end()
        self._job = None

    def _obey(self, order: Any) -> None:
        kind = order.WhichOneof("message")
        if kind == "start":
            job = from_message(Job, order.start)
            if self._job is not None:
                log.warning("job %s was sent while %s runs; the newer one wins", job.id, self._job.id)
                self._job.end()
            log.info("job %s: %s on pool %s", job.id, job.spec.model_name, job.spec.pool)
            self._job = _RunningJob(self._address, job, self._builders, self._calls)
        elif kind == "cancel" and self._job is not None and self._job.id == order.cancel:
            log.info("job %s is cancelled", order.cancel)
            ended, self._job = self._job, None
            ended.end()
        elif kind == "finished_seen" and self._job is not None and self._job.id == order.finished_seen:
            ended, self._job = self._job, None
            ended.end(within_s=10)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tracker.tuning.worker", description="A tuning worker of a tracker."
    )
    parser.add_argument("--tracker", required=True, metavar="HOST:PORT")
    parser.add_argument("--worker-id", required=True)
    parser.add_argument(
        "--builders", type=int, default=len(os.sched_getaffinity(0)), help="builder processes a job (default: CPUs)"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    _FORKSERVER.set_forkserver_preload(["tracker.tuning.session"])
    worker = Worker(options.tracker, options.worker_id, options.builders)

    def leave(*_: object) -> None:
        worker.stop()
        # gRPC's threads would hold an ordinary exit up until their calls time out.
        os._exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    _sweep()
    # Starting the server imports TVM now, while nobody waits for it.
    forkserver.ensure_running()
    return worker.run()


if __name__ == "__main__":
    sys.exit(main())
