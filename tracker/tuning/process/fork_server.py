"""The process that a worker's jobs are forked from, and the folder of its socket."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import psutil

from tvm_farm.protos.program.interrupts import held_back

__all__ = ["clear", "end_fork_server", "folder_prefix", "start_fork_server", "sweep"]

#: unix(7): what a Unix socket's path may have on Linux is 107 bytes; macOS takes the fewest, 103.
_PATH_BYTES = 103
_SOCKET = "/pymp-12345678/listener-12345678"  # what multiprocessing adds
_PREFIX = "tvm-farm-worker-"
#: Where the folder of the socket is made if TMPDIR is too long for it.
_SHORT = ("/tmp", "/var/tmp")
#: Nothing holds up a killed process but a disk that does not answer.
_ENDS_WITHIN_S = 5.0


def folder_prefix(pid: int) -> str:
    """The start of the names of a worker's temporary folders."""
    return f"{_PREFIX}{pid}-"


def start_fork_server(preload: Sequence[str]) -> Path:
    """Start multiprocessing's fork server, which imports ``preload``; returns the folder of its socket.

    For the main thread, once and before others are started. The folder is its caller's to remove. It is in TMPDIR, or
    where a socket's path would be too long there, in /tmp or /var/tmp. Raises OSError that says so where it can be in
    none of them.

    Ctrl-C reaches all of a terminal's processes: the server and all that is forked from it are this process's to end.
    """
    forkserver.set_forkserver_preload(list(preload))
    usual = tempfile.gettempdir()
    folder = tempfile.tempdir = _made(usual)
    try:
        resource_tracker.ensure_running()  # the server would, and let through what is held back
        with held_back():
            forkserver.ensure_running()
    finally:
        tempfile.tempdir = usual
    return Path(folder)


def end_fork_server() -> None:
    """Kill the server and all that was forked from it: while it reads TVM it would outlive this process for seconds.

    When this returns they have ended, and none puts another file into their folder.
    """
    ended = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if any("multiprocessing.forkserver" in word for word in child.cmdline()):
                ended += [*child.children(recursive=True), child]
    for process in ended:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(ended, _ENDS_WITHIN_S)


def sweep() -> None:
    """Remove what workers left behind that were killed."""
    for owner, folder in _folders():
        if not psutil.pid_exists(owner):
            shutil.rmtree(folder, ignore_errors=True)


def clear() -> None:
    """Remove the folders of this worker."""
    for owner, folder in _folders():
        if owner == os.getpid():
            shutil.rmtree(folder, ignore_errors=True)


def _folders() -> Iterator[tuple[int, Path]]:
    """Those of all workers here, and whose each is."""
    for place in {tempfile.gettempdir(), *_SHORT}:
        for folder in Path(place).glob(f"{_PREFIX}*"):
            owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
            if owner.isdigit():
                yield int(owner), folder


def _made(usual: str) -> str:
    prefix = folder_prefix(os.getpid())
    longest = _PATH_BYTES - len(f"/{prefix}12345678{_SOCKET}")
    places = [place for place in (usual, *_SHORT) if len(os.fsencode(place)) <= longest]
    failed = ""
    for place in places:
        try:
            return tempfile.mkdtemp(prefix=prefix, dir=place)
        except OSError as error:
            failed += f"; none can be made in {place} ({error.strerror})"
    raise OSError(
        f"this worker needs a folder for a socket, whose path may have {_PATH_BYTES} bytes: TMPDIR={usual} has "
        f"{len(os.fsencode(usual))} of the {longest} that leaves{failed}. Give it a shorter TMPDIR"
    )
