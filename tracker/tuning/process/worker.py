"""A tuning worker: waits for jobs and runs each in a process of its own.

    python -m tvm_farm.tracker.tuning.process.worker [--tracker HOST:PORT] --worker-id ID [--builders N]

The worker itself never loads TVM. A fork server does, once, while no job is waiting; from it a
process is forked that stands by, with builders of its own, until there is a job. The next one stands
by as soon as that job runs. A job that takes its process down costs that process; the worker reports
it and the tracker starts the job again from its records.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import multiprocessing
import os
import platform
import queue
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NoReturn

from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.program.interrupts import let_through
from tvm_farm.protos.program.log import log_to_stderr
from tvm_farm.protos.version import __version__
from tvm_farm.tracker.client.connection import Connection as FarmConnection
from tvm_farm.tracker.client.errors import BadInput, FarmError
from tvm_farm.tracker.client.farm import Farm
from tvm_farm.tracker.client.link import Link
from tvm_farm.tracker.client.work import Order, Refused, Said
from tvm_farm.tracker.domain import (
    CancelJob,
    FinishedSeen,
    Job,
    JobFinished,
    JobProgress,
    StartJob,
    WorkerAlive,
    WorkerHello,
)
from tvm_farm.tracker.tuning.process.fork_server import clear, end_fork_server, folder_prefix, start_fork_server, sweep

__all__ = ["Worker", "main"]

log = logging.getLogger("tvm_farm.tracker.tuning.process.worker")  # __name__ is "__main__" where it is the program

ALIVE_EVERY_S = 5.0
_MAX_BACKOFF_S = 5.0
_FORKSERVER = multiprocessing.get_context("forkserver")


class _StandBy:
    """A process that waits for a job, the pipe to it, and its folder for temporary files.

    The constructor returns when the process is forked: after the fork server has loaded TVM. Soon after
    it is ``warm`` and calls ``on_warm`` from a thread of its own.
    """

    def __init__(self, builders: int, on_warm: Callable[[], None]) -> None:
        self.warm = False
        self.folder = Path(tempfile.mkdtemp(prefix=folder_prefix(os.getpid())))
        self.pipe, theirs = _FORKSERVER.Pipe()
        self.process: ForkServerProcess = _FORKSERVER.Process(
            target=_stand_by, args=(builders, theirs, str(self.folder)), name="stand-by"
        )
        self.process.start()
        theirs.close()
        #: What it says of its job, then None when it is gone.
        self.said: queue.SimpleQueue[JobProgress | JobFinished | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(on_warm,), name="stand-by", daemon=True).start()

    def end(self, within_s: float = 0.0) -> None:
        """Wait for the process, then kill it. Its builders die with it and the tracker drops its trials."""
        self.process.join(within_s)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listen(self, on_warm: Callable[[], None]) -> None:
        while True:
            try:
                said = self.pipe.recv()
            except (EOFError, OSError):
                self.said.put(None)
                return
            if isinstance(said, WorkerAlive):
                self.warm = True
                on_warm()
            else:
                self.said.put(said)


class _RunningJob:
    """One job in the process that stood by for it."""

    def __init__(self, address: str, job: Job, process: _StandBy, calls: queue.SimpleQueue[Said | _RunningJob]) -> None:
        self.id = job.id
        self._standby = process
        # Where it died this moment, its pipe's end says so below.
        with contextlib.suppress(OSError):
            process.pipe.send((address, job))
        #: Told once by the process, sent again on every new stream: the tasks and the job's end.
        self.tasks: JobProgress | None = None
        self.finished: JobFinished | None = None
        #: How the process ended without a word; the job is then given back.
        self.died = ""
        self.calls = calls
        threading.Thread(target=self._relay, name=f"relay-{job.id}", daemon=True).start()

    def end(self, within_s: float = 0.0) -> None:
        """See _StandBy."""
        self._standby.end(within_s)

    def _relay(self) -> None:
        while (said := self._standby.said.get()) is not None:
            if isinstance(said, JobFinished):
                self.finished = said
            elif said.tasks:
                self.tasks = said
            self.calls.put(said)
        self._standby.process.join()
        if self.finished is None:
            code = self._standby.process.exitcode or 0
            self.died = f"signal {-code}" if code < 0 else f"exit status {code}"
            self.calls.put(self)


def _stand_by(builders: int, pipe: Connection, folder: str) -> None:
    from tvm_farm.tracker.tuning.process.job_process import stand_by

    stand_by(builders, pipe, Path(folder))


class Worker:
    """One worker's life on its tracker."""

    def __init__(self, connection: FarmConnection, worker_id: str, builders: int) -> None:
        self._connection = connection
        self._address = connection.tracker or ""
        self._id = worker_id
        self._builders = builders
        self._calls: queue.SimpleQueue[Said | _RunningJob] = queue.SimpleQueue()
        self._job: _RunningJob | None = None
        self._forker = ThreadPoolExecutor(1, "fork")
        self._next: Future[_StandBy] = Future()
        self._next = self._fork()

    def run(self) -> int:
        """Serve until the tracker refuses this worker, or a person has to choose one; returns exit code 1."""
        failures = 0
        while True:
            try:
                with Farm(Link(self._found())) as tracker:
                    for order in tracker.work.orders(self._messages()):
                        failures = 0
                        if isinstance(order, Refused):
                            log.error("the tracker at %s refused this worker: %s", self._address, order.reason)
                            return 1
                        self._obey(order)
            except FarmError as error:
                if isinstance(error, BadInput) and not self._address:
                    log.error("%s", error)  # several farms answer: waiting makes them no fewer
                    return 1
                log.warning("the tracker is away, trying again: %s", error)
            failures += 1
            time.sleep(min(_MAX_BACKOFF_S, 0.2 * 2 ** min(failures, 8)) * random.uniform(0.5, 1.0))

    def _found(self) -> str:
        """The tracker's address, where it was heard just now if nobody named it. Raises FarmError."""
        if self._connection.tracker:
            return self._address
        with self._connection.open() as heard:
            if heard.address != self._address:
                log.info("found farm %s at %s by mDNS", farm := heard.status().farm, heard.address)
                # Another one that appears later changes nothing.
                self._connection = replace(self._connection, farm=farm)
            self._address = heard.address
        return self._address

    def stop(self) -> None:
        """End the job at hand; the tracker gives it to another worker."""
        for process in (self._job, self._standing_by()):
            if process is not None:
                process.end()

    def _fork(self) -> Future[_StandBy]:
        """The next process to stand by."""
        forked = self._forker.submit(_StandBy, self._builders, lambda: self._calls.put(self._alive()))
        forked.add_done_callback(lambda _: self._calls.put(self._alive()))
        return forked

    def _standing_by(self) -> _StandBy | None:
        """None while it is being forked, or where that failed."""
        forked = self._next
        return forked.result() if forked.done() and forked.exception() is None else None

    def _alive(self) -> WorkerAlive:
        """That this worker is, and whether a process waits for the next job."""
        process = self._standing_by()
        warm = process is not None and process.warm and process.process.is_alive()
        return WorkerAlive(warm)

    def _take(self) -> _StandBy:
        """The process that stands by; another one begins to."""
        forked, self._next = self._next, self._fork()
        if (error := forked.exception()) is not None:  # of a full disk, say, which need not be full any more
            log.error("no process could stand by (%s); trying again", error)
            forked, self._next = self._next, self._fork()
        process = forked.result()
        if process.process.is_alive():
            return process
        log.error("the process that stood by ended with exit code %s; starting another", process.process.exitcode)
        process.end()
        return self._take()

    def _messages(self) -> Iterator[Said]:
        """What this worker says on one stream: hello, then whatever its job reports, and that it is alive."""
        calls = self._calls = queue.SimpleQueue()
        if self._job is not None:
            # From here on a death is told on this stream; an earlier one is seen just below.
            self._job.calls = calls
            if self._job.died:
                self._give_back(self._job)
        job = self._job
        yield WorkerHello(
            worker_id=self._id,
            host=platform.node(),
            pid=os.getpid(),
            versions={"farm": __version__, "tvm": version("apache-tvm"), "python": platform.python_version()},
            running_job=job.id if job else "",
            protocol_version=PROTOCOL_VERSION,
        )
        yield self._alive()
        if job is not None:
            yield from (said for said in (job.tasks, job.finished) if said is not None)
        while True:
            try:
                message = calls.get(timeout=ALIVE_EVERY_S)
            except queue.Empty:
                message = self._alive()
            if calls is not self._calls:
                return
            if not isinstance(message, _RunningJob):
                yield message
            elif message is self._job:
                self._give_back(message)
                # The next stream says that nothing runs here, and the tracker starts the job again from its records.
                return

    def _give_back(self, job: _RunningJob) -> None:
        log.error("the process of job %s ended by %s; giving the job back", job.id, job.died, extra={"job": job.id})
        job.end()
        self._job = None

    def _obey(self, order: Order) -> None:
        match order:
            case StartJob(job):
                if self._job is not None:
                    log.warning("job %s was sent while %s runs; the newer one wins", job.id, self._job.id)
                    self._job.end()
                where = f" on pool {job.spec.pool}" if job.spec.pool else ""
                told = f"{job.spec.kind.value} of {job.spec.model_name}{where}"
                log.info("job %s: %s", job.id, told, extra={"job": job.id})
                self._job = _RunningJob(self._address, job, self._take(), self._calls)
                self._calls.put(self._alive())
            case CancelJob(job_id) if self._job is not None and self._job.id == job_id:
                log.info("job %s is cancelled", job_id, extra={"job": job_id})
                ended, self._job = self._job, None
                ended.end()
            case FinishedSeen(job_id) if self._job is not None and self._job.id == job_id:
                ended, self._job = self._job, None
                ended.end(within_s=10)


def main(arguments: list[str] | None = None) -> NoReturn:
    parser = argparse.ArgumentParser(
        prog="python -m tvm_farm.tracker.tuning.process.worker", description="A tuning worker of a tracker."
    )
    parser.add_argument("--tracker", metavar="HOST:PORT", help="default: heard by mDNS")
    parser.add_argument("--farm", metavar="NAME", help="which farm, where several are heard")
    parser.add_argument("--mdns-interface", metavar="IP|NAME", help="the network interface to listen on")
    parser.add_argument("--worker-id", required=True)
    parser.add_argument(
        "--builders", type=int, default=len(os.sched_getaffinity(0)), help="builder processes a job (default: CPUs)"
    )
    parser.add_argument("--log-format", choices=["text", "json"])
    options = parser.parse_args(arguments)
    log_to_stderr("info", options.log_format, worker=options.worker_id)
    connection = FarmConnection(options.tracker, options.farm, options.mdns_interface)
    worker: Worker | None = None

    def leave(code: int) -> NoReturn:
        if worker is not None:
            worker.stop()
        end_fork_server()
        clear()
        # gRPC's threads would hold an ordinary exit up until their calls time out, and a process that waits for a
        # job would until it got one.
        os._exit(code)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave(0))
    let_through()
    sweep()
    try:
        start_fork_server(["tvm_farm.tracker.tuning.process.preload"])
    except OSError as error:
        log.error("%s", error)
        leave(1)
    worker = Worker(connection, options.worker_id, options.builders)
    try:
        code = worker.run()
    except Exception:
        log.exception("this worker cannot go on")
        code = 1
    leave(code)


if __name__ == "__main__":
    main()
