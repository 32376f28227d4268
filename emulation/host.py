"""What this host needs before it can be a 64-bit ARM board, and how it comes to it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "EMULATOR",
    "ENTER",
    "EmulationError",
    "Missing",
    "install",
    "missing_here",
    "programs_missing",
    "registered",
]

EMULATOR = "qemu-aarch64-static"
#: Root of a namespace of one's own, which may mount what it likes and changes nothing of the host's.
ENTER = ("unshare", "--user", "--map-root-user", "--mount")

_PROGRAMS = {
    "debootstrap": "debootstrap",
    EMULATOR: "qemu-user-static",
    "dpkg-deb": "dpkg",
    "unshare": "util-linux",
}
#: Where programs lie that only root has use for, and that a user's PATH leaves out.
_SYSTEM_PATH = "/usr/sbin:/sbin"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_OWN_BINFMT = ("mount", "-t", "binfmt_misc", "none", "/mnt")


class EmulationError(Exception):
    """The emulated board cannot be made; one sentence that says what to do."""


@dataclass(frozen=True)
class Missing:
    """What lacks: Debian packages, or, where none would help, a ``reason``. False where nothing does."""

    packages: tuple[str, ...] = ()
    reason: str = ""

    def __bool__(self) -> bool:
        return bool(self.packages or self.reason)

    def __str__(self) -> str:
        if self.packages:
            return f"not installed: {' '.join(self.packages)} (`apt-get install` as root)"
        return self.reason


def missing_here() -> Missing:
    """Why no 64-bit ARM board can be emulated on this host."""
    if missing := programs_missing(_PROGRAMS):
        return missing
    if _fails(*ENTER, "true"):
        return Missing(
            reason="this user may have no user namespace (kernel.unprivileged_userns_clone, AppArmor): be root"
        )
    if not registered() and _fails(*ENTER, *_OWN_BINFMT):
        return Missing(
            reason="the kernel does not start ARM programs: it has no binfmt_misc entry qemu-aarch64 with flag F, and "
            "lets no user namespace have one of its own, as Linux 6.7 and later do"
        )
    return Missing()


def programs_missing(programs: Mapping[str, str]) -> Missing:
    """Which of ``programs`` this host lacks, as the Debian packages that bring them, and Debian's keys with them."""
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
    packages = [package for program, package in programs.items() if shutil.which(program, path=path) is None]
    if not _KEYRING.exists():
        packages.append("debian-archive-keyring")
    return Missing(tuple(packages))


def registered(emulator: str = "qemu-aarch64") -> bool:
    """Whether the whole host starts ARM programs by QEMU, those of another root folder too (flag F)."""
    try:
        lines = (_BINFMT / emulator).read_text().splitlines()
    except OSError:
        return False
    return "enabled" in lines and any(line.startswith("flags:") and "F" in line for line in lines)


def install(packages: tuple[str, ...], say: Callable[[str], None]) -> None:
    """Install Debian ``packages`` with apt, after telling ``say`` so. Raises EmulationError."""
    apt = ["apt-get", "-o", "Dpkg::Use-Pty=0"]
    command = [*apt, "install", "-q", "-y", "--no-install-recommends", *packages]
    by_hand = f"Install them by hand: apt-get install {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise EmulationError(f"This host has no apt, and lacks {', '.join(packages)}. {by_hand}")
    root = os.geteuid() == 0
    if not root and shutil.which("sudo") is None:
        raise EmulationError(f"apt needs root, and there is no sudo here. {by_hand}")
    say(f"Installing with apt{'' if root else ', as root by sudo'}: {' '.join(packages)}")
    prefix = ["env", "DEBIAN_FRONTEND=noninteractive"]
    for step in ([*apt, "update", "-q"], command):
        done = subprocess.run([*([] if root else ["sudo"]), *prefix, *step], stdout=2, check=False)
        if done.returncode != 0:
            raise EmulationError(f"apt failed; what it wrote above says why. {by_hand}")


def _fails(*command: str) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode != 0
