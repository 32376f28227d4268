"""A stand-in for ``adb`` and the device behind it: commands run in a root folder of their own, and programs of another
architecture under its emulator, which the kernel calls by itself (binfmt_misc of a user namespace)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.board_trees import MARS, RASPBERRY_PI_4, grow

__all__ = ["ARMV7", "RISCV64", "Architecture", "Phone"]


@dataclass(frozen=True)
class Architecture:
    """``files`` is what a board of that kind says of itself, ``package`` Debian's C library for it."""

    machine: str
    emulator: str
    libc: str
    package: str
    files: Mapping[str, str]

    @property
    def missing(self) -> str:
        """Why it cannot be emulated here, "" where it can."""
        if not Path(f"/usr/lib/binfmt.d/{self.emulator}.conf").exists():
            return "qemu is not installed (Debian: qemu-user-static)"
        if not Path(self.libc).is_dir():
            return f"no C library for {self.machine} is installed (Debian: {self.package})"
        mount = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "binfmt_misc", "none", "/mnt"]
        if shutil.which("unshare") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
            return "this kernel lets no user namespace have emulators of its own"
        return ""


ARMV7 = Architecture("armv7l", "qemu-arm", "/usr/arm-linux-gnueabihf", "libc6-armhf-cross", RASPBERRY_PI_4)
RISCV64 = Architecture("riscv64", "qemu-riscv64", "/usr/riscv64-linux-gnu", "libc6-riscv64-cross", MARS)

_SERIAL = "0123456789ABCDEF"

#: What adb does with a command, and as it says when it cannot. The device's root: this system's programs, its own rest.
_ADB = """\
#!/bin/sh
[ "$1 $2 $3 $4 $#" = "-s {serial} shell -T 5" ] || {{ echo "adb: usage: $*" >&2; exit 1; }}
[ -e {folder}/plugged ] || {{ echo "adb: device '{serial}' not found" >&2; exit 1; }}
exec unshare --user --map-root-user --mount sh {folder}/enter "$5"
"""

_ENTER = """\
set -e
mount -t binfmt_misc none /mnt
cat /usr/lib/binfmt.d/{emulator}.conf > /mnt/register
cd {folder}/root
mount --rbind /usr usr
mount --rbind /proc proc
mount --rbind /dev dev
mount --bind {folder}/files/proc/cpuinfo proc/cpuinfo
ln -sf {getconf} bin/getconf
exec env -i PATH=/bin:/usr/bin HOME=/ QEMU_LD_PREFIX={libc} /usr/sbin/chroot . /usr/bin/sh -c "$1"
"""

_UNAME = """\
#!/usr/bin/sh
case $1 in -m) echo {machine} ;; -n) echo localhost ;; *) exec /usr/bin/uname "$1" ;; esac
"""


class Phone:
    """A device of ``architecture`` under ``folder``; ``path`` has its ``adb`` before all else. ``has_libc``: glibc."""

    via = f"adb:{_SERIAL}"

    def __init__(self, folder: Path, architecture: Architecture, has_libc: bool = True) -> None:
        self.root = folder / "root"
        self._plugged = folder / "plugged"
        for name in ("bin", "data/local/tmp", "dev", "etc", "proc", "usr"):
            (self.root / name).mkdir(parents=True)
        for name in ("lib", "lib64"):
            (self.root / name).symlink_to(f"usr/{name}")
        grow(self.root, {name: text for name, text in architecture.files.items() if not name.startswith("proc/")})
        grow(folder, {"files/proc/cpuinfo": architecture.files["proc/cpuinfo"]})
        if model := architecture.files.get("proc/device-tree/model"):
            grow(self.root, {"sys/firmware/devicetree/base/model": model})
        uname = self.root / "bin" / "uname"
        uname.write_text(_UNAME.format(machine=architecture.machine))
        uname.chmod(0o755)
        programs = folder / "bin"
        programs.mkdir()
        (programs / "adb").write_text(_ADB.format(serial=_SERIAL, folder=folder))
        (programs / "adb").chmod(0o755)
        (folder / "enter").write_text(
            _ENTER.format(
                folder=folder,
                emulator=architecture.emulator,
                libc=architecture.libc if has_libc else "/nowhere",
                getconf="/usr/bin/getconf" if has_libc else "/usr/bin/false",
            )
        )
        self.path = f"{programs}:{os.environ['PATH']}"
        self.plug()

    def plug(self) -> None:
        self._plugged.touch()

    def unplug(self) -> None:
        """Its power goes with it."""
        self._plugged.unlink()
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def processes(self) -> list[psutil.Process]:
        """All that runs on the device."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{process.pid}/root") == str(self.root):
                    found.append(process)
        return found
