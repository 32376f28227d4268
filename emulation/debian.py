"""A Debian for 64-bit ARM in a folder: unpacked, never booted, made once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emulation.host import ENTER, EmulationError
from emulation.made_once import made_once

__all__ = ["DebianTree", "make_tree"]

_SUITE = "bookworm"
_PYTHON = "3.11"  # of that suite
#: Debian's minimum and Python: no compiler, no pip.
_OPTIONS = ("--arch=arm64", "--foreign", "--variant=minbase", "--include=python3")
#: A user namespace may make no device nodes, as in a container of lxc, and has one user's files alone.
_CONFINED = ("env", "container=lxc", "TAR_OPTIONS=--no-same-owner")


@dataclass(frozen=True)
class DebianTree:
    """``root`` is a whole system's root folder; many boards share it, none writes there."""

    root: Path
    python_version: str = _PYTHON


def make_tree(cache: Path, say: Callable[[str], None]) -> DebianTree:
    """The tree under ``cache``; made, by download, where it is not there: 250 MB, half a minute. Needs no root.

    Another process that makes it at the same time is waited for. Raises EmulationError.
    """
    recipe = hashlib.sha256(" ".join([*_CONFINED, *_OPTIONS]).encode()).hexdigest()[:8]
    root = cache / f"debian-{_SUITE}-arm64-{recipe}"

    def make(fresh: Path) -> None:
        say(f"Unpacking a Debian for 64-bit ARM into {root}: 250 MB on disk, once.")
        _bootstrap(fresh, cache / "debootstrap.log")

    return DebianTree(made_once(root, make))


def _bootstrap(root: Path, log: Path) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    command = [*ENTER, *_CONFINED, "debootstrap", *_OPTIONS, _SUITE, str(root)]
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PATH": path},
            check=False,
        )
    if done.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise EmulationError(f"debootstrap failed ({''.join(last)}); {log} has all it said")
    # Its second stage would run every package's scripts under emulation; what never boots needs none of it.
    archives = root / "var" / "cache" / "apt" / "archives"
    for package in sorted(archives.glob("*.deb")):
        command = ["dpkg-deb", "-x", str(package), str(root)]
        unpacked = subprocess.run(command, capture_output=True, text=True, check=False)
        if unpacked.returncode != 0:
            raise EmulationError(f"{package.name} cannot be unpacked: {unpacked.stderr.strip()}")
    shutil.rmtree(archives)
    for name in ("dev", "mnt", "opt", "proc", "root", "sys", "tmp"):  # where a board mounts what is its own
        (root / name).mkdir(exist_ok=True)
