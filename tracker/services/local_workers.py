"""Tuning workers on the tracker's own host: started, watched, adopted after a crash of the tracker, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

__all__ = ["LocalWorkers"]

log = logging.getLogger(__name__)

_POLL_S = 0.5
_BACKOFF_S = (1.0, 30.0)
#: A worker that lived this long had no trouble starting.
_HEALTHY_S = 60.0
_STOP_S = 10.0
_LOG_BYTES = 8 << 20


@dataclass(frozen=True)
class _Known:
    """A worker process as ``workers.json`` remembers it: a pid alone may be someone else's by now."""

    worker_id: str
    pid: int
    create_time: float
    address: str


class LocalWorkers:
    """``count`` processes of ``command(worker_id)``, which must connect to ``address`` by themselves."""

    def __init__(self, state: Path, count: int, address: str, command: Callable[[str], Sequence[str]]) -> None:
        self._file = state / "workers.json"
        self._logs = state / "logs"
        self._ids = [f"local-{n}" for n in range(1, count + 1)]
        self._address = address
        self._command = command
        self._running: dict[str, _Known] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._unrotated: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Adopt living workers of a tracker that died here, end those that cannot serve this one, start the rest."""
        self._logs.mkdir(exist_ok=True)
        for known in self._remembered():
            process = _alive(known)
            if process is None:
                continue
            if self._serves(known, process):
                log.info("worker %s (pid %d) is adopted", known.worker_id, known.pid, extra={"worker": known.worker_id})
                self._running[known.worker_id] = known
            else:
                log.info(
                    "worker %s (pid %d) of an earlier tracker is ended",
                    known.worker_id,
                    known.pid,
                    extra={"worker": known.worker_id},
                )
                await asyncio.to_thread(_end, [process])
        self._remember()
        self._tasks = [asyncio.ensure_future(self._supervise(worker_id)) for worker_id in self._ids]

    def _serves(self, known: _Known, process: psutil.Process) -> bool:
        """Whether it finds this tracker and is what this one would start: another version may not understand it."""
        if known.address != self._address or known.worker_id not in self._ids:
            return False
        try:
            return process.cmdline() == list(self._command(known.worker_id))
        except psutil.Error:
            return False

    async def stop(self) -> None:
        """End every worker, with its builders."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        processes = [p for p in map(_alive, self._running.values()) if p is not None]
        await asyncio.to_thread(_end, processes)
        for child in self._children.values():
            child.poll()
        self._running.clear()
        self._remember()

    async def _supervise(self, worker_id: str) -> None:
        while True:
            try:
                await self._keep_running(worker_id)
            except Exception:
                # Without it a worker that ends would not be missed by anyone.
                log.exception("worker %s could not be watched; it is again in %.0f s", worker_id, _BACKOFF_S[0])
                await asyncio.sleep(_BACKOFF_S[0])

    async def _keep_running(self, worker_id: str) -> None:
        loop, backoff_s = asyncio.get_running_loop(), _BACKOFF_S[0]
        while True:
            began = loop.time()
            if worker_id not in self._running:
                try:
                    self._spawn(worker_id)
                except OSError as e:
                    log.error("worker %s cannot be started: %s", worker_id, e, extra={"worker": worker_id})
            while (known := self._running.get(worker_id)) and self._lives(known):
                self._rotate(worker_id)
                await asyncio.sleep(_POLL_S)
            self._running.pop(worker_id, None)
            if loop.time() - began > _HEALTHY_S:
                backoff_s = _BACKOFF_S[0]
            child = self._children.pop(worker_id, None)
            code = f"with exit code {child.returncode}" if child else "by itself"
            log.error(
                "worker %s ended %s; started again in %.0f s; its log is %s", worker_id, code, backoff_s,
                self._logs / f"{worker_id}.log",
            )  # fmt: skip
            await asyncio.sleep(backoff_s)
            backoff_s = min(_BACKOFF_S[1], 2 * backoff_s)

    def _lives(self, known: _Known) -> bool:
        child = self._children.get(known.worker_id)
        return child.poll() is None if child is not None else _alive(known) is not None

    def _spawn(self, worker_id: str) -> None:
        # The worker writes to the file itself, not to a pipe of ours: it outlives a killed tracker.
        with (self._logs / f"{worker_id}.log").open("ab") as output:
            child = subprocess.Popen(
                list(self._command(worker_id)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children[worker_id] = child
        create_time = psutil.Process(child.pid).create_time()
        self._running[worker_id] = _Known(worker_id, child.pid, create_time, self._address)
        self._remember()
        log.info("worker %s started (pid %d)", worker_id, child.pid, extra={"worker": worker_id})

    def _rotate(self, worker_id: str) -> None:
        path = self._logs / f"{worker_id}.log"
        try:
            if path.exists() and path.stat().st_size > _LOG_BYTES:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)
        except OSError as e:
            if worker_id not in self._unrotated:
                log.error("%s cannot be rotated and grows (%s); it is tried again", path, e)
            self._unrotated.add(worker_id)
        else:
            self._unrotated.discard(worker_id)

    def _remembered(self) -> list[_Known]:
        try:
            return [_Known(**entry) for entry in json.loads(self._file.read_text())]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError) as e:
            log.warning("%s cannot be read (%s): workers of an earlier tracker are not adopted", self._file, e)
            return []

    def _remember(self) -> None:
        temporary = self._file.with_suffix(".new")
        try:
            temporary.write_text(json.dumps([asdict(known) for known in self._running.values()]))
            os.replace(temporary, self._file)
        except OSError as e:
            log.error(
                "%s cannot be written (%s): after a crash of the tracker its workers are not found", self._file, e
            )


def _alive(known: _Known) -> psutil.Process | None:
    try:
        process = psutil.Process(known.pid)
        same = abs(process.create_time() - known.create_time) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same else None


def _end(processes: list[psutil.Process]) -> None:
    """Ask, wait, then kill: each process and what it started."""
    families: list[psutil.Process] = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            families += process.children(recursive=True)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
    psutil.wait_procs(processes, timeout=_STOP_S)
    for process in [*processes, *families]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs([*processes, *families], timeout=_STOP_S)
