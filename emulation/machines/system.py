"""A Debian for another architecture that boots: unpacked by this host's own tools, configured under emulation."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from emulation.host import EmulationError, registered

__all__ = ["SUITE", "as_root", "make_system"]

SUITE = "bookworm"
_PACKAGES = (
    *("python3", "python3-venv", "systemd", "systemd-sysv", "dbus", "udev", "kmod", "iproute2", "procps", "sudo"),
    *("openssh-server", "qemu-guest-agent"),
)
#: Of arm64 alone, whose kernel runs 32-bit programs too.
_KERNEL = ("linux-image-arm64", "busybox-static")
#: Would make an initial RAM disk for the kernel under emulation, for minutes.
_WITHOUT = ("initramfs-tools", "initramfs-tools-core", "klibc-utils", "libklibc", "linux-base")
_ARMS = {
    "arm64": ("aarch64", r"\x02\x01\x01", r"\xb7\x00"),
    "armhf": ("arm", r"\x01\x01\x01", r"\x28\x00"),
}

#: Waits until its user namespace has its ids, then becomes what it was asked to be.
_WAIT = 'read _ && exec "$@"'

_SCRIPT = r"""
set -eu
cd "$1"; arch=$2; suite=$3; include=$4; exclude=$5; entry=$6
# The packages' scripts run in their own root folder, where this host's TMPDIR is not.
export TMPDIR=/tmp
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
if [ -n "$entry" ]; then
  mount -t binfmt_misc none /mnt
  printf %s "$entry" >/mnt/register
fi
# A user namespace makes no device nodes: as in a container of lxc, this host's are used.
container=lxc debootstrap --arch="$arch" --foreign --variant=minbase --include="$include" --exclude="$exclude" \
  "$suite" root
root=$PWD/root; archives=$root/var/cache/apt/archives
for package in "$archives"/linux-image-6*.deb; do
  [ -e "$package" ] || continue
  dpkg-deb -x "$package" kernel
  depmod -b kernel "$(ls kernel/lib/modules)"
done
# What was downloaded though it was left out: debootstrap takes it for a dependency again.
rm -f "$archives"/linux-*.deb "$archives"/initramfs-tools*.deb "$archives"/*klibc*.deb
rm -rf "$root/debootstrap"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
printf '%s\n' "$arch" >"$root/var/lib/dpkg/arch"
: >"$root/var/lib/dpkg/status"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"  # starts no service
chmod 755 "$root/usr/sbin/policy-rc.d"
ldconfig -r "$root"
# This host's dpkg unpacks, which takes minutes under emulation; the packages' own scripts run in their root folder.
install="dpkg --root=$root --force-unsafe-io --force-depends --force-confold --force-overwrite"
ln -sf mawk "$root/usr/bin/awk"
$install --install "$archives"/base-passwd_*.deb
$install --install "$archives"/base-files_*.deb
ln -sf /usr/share/zoneinfo/UTC "$root/etc/localtime"
$install --install "$archives"/dpkg_*.deb "$archives"/libc6_*.deb "$archives"/perl-base_*.deb
rm "$root/usr/bin/awk"
$install --install "$archives"/mawk_*.deb
$install --unpack "$archives"/*.deb
chroot "$root" dpkg --configure -a --force-unsafe-io --force-confold
rm -f "$root/usr/sbin/policy-rc.d" "$archives"/*.deb
chroot "$root" useradd --create-home --shell /bin/bash --groups sudo pi
"""


def make_system(arch: str, folder: Path) -> None:
    """``folder/root`` becomes the root folder of a Debian of ``arch``, and ``folder/kernel`` its kernel if it has one.

    Downloads 110 MB; 2 minutes on 2 cores. Needs root. Raises EmulationError.
    """
    include = ",".join((*_PACKAGES, *(_KERNEL if arch == "arm64" else ())))
    name, word, machine = _ARMS[arch]
    emulator = shutil.which(f"qemu-{name}-static", path=f"{os.environ.get('PATH', '')}:/usr/bin")
    if emulator is None:
        raise EmulationError(f"qemu-{name}-static is not installed")
    magic = rf"\x7fELF{word}\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00{machine}"
    mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    entry = "" if registered(f"qemu-{name}") else f":qemu-{name}:M::{magic}:{mask}:{emulator}:F"
    as_root(_SCRIPT, str(folder), arch, SUITE, include, ",".join(_WITHOUT), entry, log=folder / "log")


def as_root(script: str, *arguments: str, log: Path) -> None:
    """Run a shell ``script`` as root of a namespace with all of this host's users, whose mounts are its own.

    There programs of another architecture can be made to run without a change of this host's kernel. Raises
    EmulationError with the last line of ``log``, which gets all that it says.
    """
    command = ["unshare", "--user", "--mount", "--pid", "--fork", "--kill-child"]
    with log.open("wb") as output:
        started = subprocess.Popen(
            [*command, "sh", "-c", _WAIT, "sh", "sh", "-c", script, "sh", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
        assert started.stdin is not None
        _give_ids(started)
        started.communicate(b"\n")
    if started.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise EmulationError(f"a Debian to boot could not be made ({''.join(last)}); {log} has all it said")


def _give_ids(process: subprocess.Popen[bytes]) -> None:
    """All ids of this host, once the process has its own user namespace."""
    ours = os.readlink("/proc/self/ns/user")
    while process.poll() is None and os.readlink(f"/proc/{process.pid}/ns/user") == ours:
        os.sched_yield()
    for each in ("uid", "gid"):
        try:
            Path(f"/proc/{process.pid}/{each}_map").write_text("0 0 4294967295\n")
        except OSError as error:
            process.kill()
            process.wait()
            raise EmulationError(
                f"this root may give a user namespace no users ({error.strerror}), as root of a container may not"
            ) from error
