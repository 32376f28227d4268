"""What a test leaves behind fails it: threads, processes, sockets, open files, files on disk, the environment.

Looked for after each test; after each module alone where its tests share something. What is on its way out is waited
for, so only what leaks costs time.
"""

from __future__ import annotations

import gc
import os
import re
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.support.own_home import MARK, OwnHome

__all__ = ["ALLOWED", "Allowed", "Held", "LeakCheck"]

_PATIENCE_S = 5.0
_PYTESTS_OWN = "PYTEST_CURRENT_TEST"
_BEFORE = pytest.StashKey["Held"]()


class Allowed(NamedTuple):
    #: What it is called in a report, as a regular expression.
    name: str
    why: str


#: Everything that may outlive a test.
ALLOWED = (
    Allowed("environment variable GRPC_VERBOSITY", "a command says it for its process; CliRunner runs it in this one"),
    Allowed(r"open file anon_inode:\[event(fd|poll)\]", "gRPC makes its pollers when first needed and keeps them"),
    Allowed(r"file \S+/tmp/\.ses", "onnxruntime's telemetry numbers its sessions there"),
    Allowed(r"file \S+/tmp/tvm-farm-kernels-\w+", "what tests.support.kernels compiled serves all tests of a run"),
    Allowed(r"open file \S+/tvm\.s_tir\.meta_schedule\.\S+\.log", "MetaSchedule's loggers keep their files"),
    Allowed(r"file \S+/tmp/tvm-farm-built-\w+", "TVM keeps a tune's builder, and what it built, to the end"),
)


@dataclass(frozen=True)
class Held:
    """What this process has at a moment."""

    threads: frozenset[threading.Thread]
    #: Children; with ``deep`` all that this process started, whoever their parent is by now.
    processes: frozenset[psutil.Process]
    #: File descriptors and what they are open on.
    descriptors: frozenset[tuple[int, str]]
    files: frozenset[Path]
    environ: dict[str, str]

    @classmethod
    def now(cls, home: OwnHome, *, deep: bool) -> Held:
        environ = {name: value for name, value in os.environ.items() if name != _PYTESTS_OWN}
        return cls(
            frozenset(threading.enumerate()),
            frozenset(_all_started() if deep else _children()),
            frozenset(_descriptors()),
            frozenset(home.files()),
            environ,
        )

    def beyond(self, before: Held) -> list[str]:
        """Names of what was not there ``before`` and is not allowed."""
        names = [
            *(f"thread {thread.name}" for thread in self.threads - before.threads if thread.is_alive()),
            *(_process_name(process) for process in self.processes - before.processes),
            *_descriptor_names(self.descriptors - before.descriptors),
            *(f"file {path}" for path in self.files - before.files),
            *(
                f"environment variable {name}"
                for name in {*self.environ, *before.environ}
                if self.environ.get(name) != before.environ.get(name)
            ),
        ]
        return sorted(name for name in names if not any(re.fullmatch(each.name, name) for each in ALLOWED))


def _children() -> list[psutil.Process]:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []  # a single call, where psutil reads of every process
    return psutil.Process().children()


def _all_started() -> Iterator[psutil.Process]:
    yield from psutil.Process().children(recursive=True)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARK) == str(os.getpid()):
                yield process


def _process_name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"process {process.pid} ({process.status()}): {' '.join(process.cmdline()) or process.name()}"
    return f"process {process.pid}"


def _descriptors() -> Iterator[tuple[int, str]]:
    folder = f"/proc/{os.getpid()}/fd"
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        with suppress(OSError):  # the listing's own
            yield int(name), os.readlink(f"{folder}/{name}")


def _descriptor_names(descriptors: frozenset[tuple[int, str]]) -> Iterator[str]:
    if not descriptors:
        return
    sockets = {each.fd: each for each in psutil.Process().net_connections("all")}
    for number, target in descriptors:
        if (found := sockets.get(number)) is None:
            yield f"open file {target}"
            continue
        here, there = (":".join(map(str, end)) if isinstance(end, tuple) else end for end in (found.laddr, found.raddr))
        yield f"socket {target} {found.status.lower()} {here}{there and f' to {there}'}"


class LeakCheck:
    """``pluginmanager.register(LeakCheck(home))``."""

    def __init__(self, home: OwnHome) -> None:
        self._home = home
        self._module: Path | None = None
        self._before_module: Held | None = None
        #: Names that a test of the module was failed for.
        self._told: set[str] = set()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        if item.path != self._module:
            self._module, self._before_module, self._told = item.path, Held.now(self._home, deep=True), set()
        item.stash[_BEFORE] = Held.now(self._home, deep=False)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
        try:
            return (yield)
        finally:
            if isinstance(item, pytest.Function):
                item.funcargs.clear()  # what its fixtures gave is nobody's any more
            if not _shares(item):
                self._fail_for("this test", item.stash[_BEFORE], deep=False)
            if nextitem is None or nextitem.path != item.path:
                assert self._before_module is not None
                self._fail_for("the tests of this module", self._before_module, deep=True)

    def _fail_for(self, whom: str, before: Held, *, deep: bool) -> None:
        if left := self._left(before, deep=deep):
            self._told.update(left)
            pytest.fail("\n  ".join((f"left behind by {whom}:", *left)), pytrace=False)

    def _left(self, before: Held, *, deep: bool) -> list[str]:
        def look() -> list[str]:
            return [name for name in Held.now(self._home, deep=deep).beyond(before) if name not in self._told]

        if not look():
            return []
        gc.collect()
        deadline = time.monotonic() + _PATIENCE_S
        while (left := look()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for name in {*os.environ, *before.environ} - {_PYTESTS_OWN}:
            if name in before.environ:
                os.environ[name] = before.environ[name]
            else:
                del os.environ[name]
        return left


def _shares(item: pytest.Item) -> bool:
    """Whether it uses a fixture that other tests of its module use too."""
    known = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return any(each[-1].baseid and each[-1].scope != "function" for each in known.values())
