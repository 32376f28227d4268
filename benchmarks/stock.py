"""Stock TVM's side: its own tracker, server, builder and runner, with their defaults.

Started as TVM's documentation says: ``python -m tvm.exec.rpc_tracker`` and
``python -m tvm.exec.rpc_server --tracker … --key …``. Two things are set: the address (127.0.0.1), and
TVM_NUM_THREADS, so that its kernels run with as many threads as the farm's.

A quick run gives no figures and may have a busy machine. So its stock TVM has time: 300 s for a candidate where the
defaults are 30 to build it and 10 to measure it, which an import of TVM alone can take. And its processes load the
tensor intrinsics of CPUs without those of GPUs, which take 10 s of CPU time in each.
"""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

__all__ = ["KEY", "StockFarm", "StockProcess", "load_intrinsics", "quick_builder", "require_compiler", "rpc_config"]

KEY = "bench"
_START_TIMEOUT_S = 120.0
_QUICK_LIMIT_S = 300


def require_compiler() -> None:
    """Stock TVM links each candidate with ``cc``. Raises RuntimeError, in one sentence, where there is none."""
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        raise RuntimeError(
            "Stock TVM links its kernels with a C compiler and this machine has none: install one (Debian: apt install "
            "gcc libc6-dev) and run the benchmark again. The farm itself needs none."
        )


def rpc_config(port: int, *, quick: bool) -> Any:
    """RPCRunner's way to the tracker on ``port``."""
    from tvm.s_tir import meta_schedule as ms

    config = ms.runner.RPCConfig(tracker_host="127.0.0.1", tracker_port=port, tracker_key=KEY)
    return config._replace(session_timeout_sec=_QUICK_LIMIT_S) if quick else config


def quick_builder() -> Any:
    """LocalBuilder for a quick run: one worker, since each reads TVM's intrinsics anew."""
    from tvm.s_tir import meta_schedule as ms

    return ms.builder.LocalBuilder(
        max_workers=1, timeout_sec=_QUICK_LIMIT_S, initializer=functools.partial(load_intrinsics, quick=True)
    )


def load_intrinsics(*, quick: bool) -> None:
    """Register the tensor intrinsics that schedules name, as TVM does where it needs them."""
    if quick:
        from tvm_farm.tracker.tuning.building.intrinsics import register_intrinsics

        register_intrinsics()
    else:
        importlib.import_module("tvm.s_tir.tensor_intrin")


class StockProcess:
    """A Python of stock TVM's in a session of its own, its output in ``log``; ended with all its children."""

    def __init__(self, arguments: Sequence[str], log: Path, threads: int) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=Path(__file__).parents[1],
                env={**os.environ, "TVM_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> StockProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ended(self) -> bool:
        """True when it ended well. Raises RuntimeError, with the last it wrote, when it failed."""
        code = self._process.poll()
        if code is None:
            return False
        if code != 0:
            words = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
            raise RuntimeError(f"stock TVM's process ended with exit code {code}. It wrote last:\n{words}")
        return True

    def stop(self) -> None:
        """Kill it with all its children, wherever they went: TVM's tracker and server start sessions of their own."""
        left = []
        with suppress(psutil.NoSuchProcess):
            left = psutil.Process(self._process.pid).children(recursive=True)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for child in left:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.wait()
        _wait_ended(left)


class StockFarm:
    """A context: TVM's RPC tracker and ``servers`` RPC servers that have registered with it."""

    def __init__(self, folder: Path, *, threads: int, quick: bool, servers: int = 1) -> None:
        self.folder = folder
        self.threads = threads
        self.quick = quick
        self.port = 0
        self.servers: list[StockProcess] = []
        self._wanted = servers
        self._running = ExitStack()

    def __enter__(self) -> StockFarm:
        require_compiler()
        self.folder.mkdir(parents=True, exist_ok=True)
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
        self.port = free_port()
        self.tracker = self._run("tracker", "tvm.exec.rpc_tracker", self.port)
        self._wait(self._tracker_answers, "stock TVM's tracker answers")
        register = ["--tracker", f"127.0.0.1:{self.port}", "--key", KEY]
        for number in range(self._wanted):
            self.servers.append(self._run(f"server{number}", "tvm.exec.rpc_server", free_port(), *register))
        self._wait(lambda: self.registered() >= self._wanted, f"{self._wanted} stock servers registered")

    def _run(self, name: str, module: str, port: int, *options: str) -> StockProcess:
        # Without an end to match, ports beyond its own range of 9090 to 9199 are refused.
        address = ["--host", "127.0.0.1", "--port", str(port), "--port-end", str(port + 1)]
        process = StockProcess(["-m", module, *address, *options], self.folder / f"{name}.log", self.threads)
        return self._running.enter_context(process)

    def _tracker_answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
            return True
        return False

    def registered(self) -> int:
        """Servers that wait for a client, by the tracker's own summary."""
        from tvm import rpc

        queues = rpc.connect_tracker("127.0.0.1", self.port).summary()["queue_info"]
        return int(queues.get(KEY, {}).get("free", 0))

    def rpc_config(self) -> Any:
        return rpc_config(self.port, quick=self.quick)

    def _wait(self, true: object, what: str) -> None:
        assert callable(true)
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not true():
            for process in (self.tracker, *self.servers):
                process.ended()
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not after {_START_TIMEOUT_S:.0f} s: {what}")
            time.sleep(0.05)


def _wait_ended(processes: Sequence[psutil.Process], timeout_s: float = 10.0) -> None:
    """Until each has ended. psutil.wait_procs waits for those too that the benchmarks' own process reaps last."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s and any(map(_runs, processes)):
        time.sleep(0.02)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
