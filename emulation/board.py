"""One emulated board: a Debian tree shared with others, and folders of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from emulation.debian import DebianTree
from emulation.host import EMULATOR, ENTER, EmulationError, registered

__all__ = ["EmulatedBoard"]

_MODEL = "QEMU user emulation"
#: The CPU of a Raspberry Pi 4. QEMU refuses instructions that it lacks, so a wrong target fails here as it would there.
_QEMU_CPU = "cortex-a72"
_CPUINFO = """\
processor\t: {}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
#: Of a little-endian ELF program for EM_AARCH64, executable or position-independent; F: QEMU is opened here and now, so
#: that it is found from the board's root folder.
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"

_ENTER = """\
set -e
cd {root}
{register}
mount --rbind /dev dev
mount --rbind /proc proc
mount --bind {folder}/cpuinfo proc/cpuinfo
mount --bind {folder}/sys sys
mount --bind {folder}/packages opt
mount --bind {folder}/home root
mount -t tmpfs none tmp
exec env -i HOME=/root PATH=/usr/bin:/bin LANG=C.UTF-8 PYTHONPATH=/opt PYTHONUNBUFFERED=1 QEMU_CPU={cpu} {chroot} . "$@"
"""
_REGISTER = """\
mount -t binfmt_misc none mnt
printf %s {entry} > mnt/register"""


class EmulatedBoard:
    """A board of its own under ``folder``, with a Cortex-A72 for each CPU of this host.

    ``home`` is what it keeps: there, ``/root``. Its network is that of the process which runs its commands.
    """

    def __init__(self, tree: DebianTree, folder: Path) -> None:
        self._tree = tree
        self._folder = folder.resolve()
        self.home = self._folder / "home"
        for name in ("home", "packages", "sys/firmware/devicetree/base", "sys/devices/system/cpu"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        count = max(os.sched_getaffinity(0)) + 1
        (self._folder / "cpuinfo").write_text("".join(_CPUINFO.format(cpu) for cpu in range(count)))
        (self._folder / "sys/firmware/devicetree/base/model").write_text(f"{_MODEL}\0")
        for name in ("online", "possible", "present"):
            (self._folder / "sys/devices/system/cpu" / name).write_text(f"0-{count - 1}\n")
        entry = f":qemu-aarch64:M::{_MAGIC}:{_MASK}:{_found(EMULATOR)}:F"
        register = "" if registered() else _REGISTER.format(entry=shlex.quote(entry))
        words = {"root": self._tree.root.resolve(), "folder": self._folder, "chroot": _found("chroot")}
        quoted = {name: shlex.quote(str(word)) for name, word in words.items()}
        (self._folder / "enter").write_text(_ENTER.format(register=register, cpu=_QEMU_CPU, **quoted))

    def install(self, *requirements: str, constraints: Path, into: str = "packages") -> None:
        """Put distributions for this board's architecture, with what they depend on, into a folder of its own.

        By default where the board's Python looks for them. By this Python's pip, which runs here and fetches there:
        the board has none. Raises EmulationError.
        """
        command = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "-q",
            "--no-input",
            "--upgrade",
        ]
        command += ["--target", str(self._folder / into), "--only-binary=:all:", "--implementation", "cp"]
        command += ["--python-version", self._tree.python_version, "--no-compile", "-c", str(constraints)]
        for platform in ("manylinux_2_28_aarch64", "manylinux2014_aarch64"):
            command += ["--platform", platform]
        done = subprocess.run(
            [*command, *requirements], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            names = ", ".join(Path(each).name for each in requirements)
            raise EmulationError(f"pip could not install {names} for the emulated board: {done.stderr.strip()}")

    def packages(self) -> list[str]:
        """The distributions installed, by name."""
        folders = (self._folder / "packages").glob("*.dist-info")
        return sorted(folder.name.partition("-")[0].lower() for folder in folders)

    def command(self, *argv: str) -> list[str]:
        """What to run on this host for the board to run ``argv``: one process all the way, which takes its signals."""
        return [*ENTER, "sh", str(self._folder / "enter"), *argv]

    def agent(self, *arguments: str) -> list[str]:
        """``command`` of the board's agent."""
        return self.command("/usr/bin/python3", "-m", "tvm_farm.agent", *arguments)


def _found(program: str) -> str:
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise EmulationError(f"{program} is not installed")
    return path
