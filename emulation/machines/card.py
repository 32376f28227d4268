"""What a machine boots: kernel, device tree, initial RAM disk and the card with its Debian."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from emulation.host import EmulationError, Missing, programs_missing
from emulation.machines.kinds import Kind
from emulation.machines.system import as_root, make_system
from emulation.made_once import made_once

__all__ = ["CACHE", "Boot", "make_boot", "missing_for_machines", "modules_in_order"]

_ROOT = Path(__file__).resolve().parents[2]
CACHE = _ROOT / "build" / "machines"
_CONSTRAINTS = _ROOT / "constraints.txt"
_CARD_SIZE = "2G"  # QEMU wants a power of two
_WHEEL_PLATFORMS = {
    "arm64": ("manylinux_2_28_aarch64", "manylinux2014_aarch64"),
    "armhf": ("manylinux_2_31_armv7l", "linux_armv7l"),
}
_PROGRAMS = {
    "cpio": "cpio",
    "debootstrap": "debootstrap",
    "depmod": "kmod",
    "dnsmasq": "dnsmasq-base",
    "dpkg-deb": "dpkg",
    "fdtput": "device-tree-compiler",
    "ip": "iproute2",
    "mke2fs": "e2fsprogs",
    "qemu-aarch64-static": "qemu-user-static",
    "qemu-img": "qemu-utils",
    "qemu-system-aarch64": "qemu-system-arm",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
}

#: The network of whatever wire is plugged in. Two boards from one card have one machine-id: the address follows the
#: adapter, as it does with Raspberry Pi OS.
_NETWORK = """\
[Match]
Name=e* usb*

[Network]
DHCP=ipv4

[DHCPv4]
ClientIdentifier=mac
"""
#: Commands that need no network. Where the machine has a port of its own for them the package's unit does it.
_COMMANDS = """\
[Unit]
Description=Commands by the serial port
ConditionFirmware=device-tree-compatible(raspberrypi,3-model-b)

[Service]
ExecStartPre=/bin/stty -F /dev/ttyAMA0 raw -echo
ExecStart=/usr/sbin/qemu-ga -m isa-serial -p /dev/ttyAMA0
Restart=always
OOMScoreAdjust=-1000

[Install]
WantedBy=multi-user.target
"""
#: The packages index is beyond the emulated network: what it would give lies on the card.
_PIP = """\
[global]
no-index = true
find-links = /opt/wheels
disable-pip-version-check = true
"""
_UNWANTED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    "e2scrub_reap.service",
)
_INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod /modules/$module; done
tries=0
while [ $tries -lt 300 ]; do
  for card in /dev/mmcblk0 /dev/mmcblk1 /dev/vda; do
    [ -e $card ] && /bin/busybox mount -t ext4 $card /new && exec /bin/busybox switch_root /new /sbin/init
  done
  /bin/busybox sleep 0.2
  tries=$((tries + 1))
done
exec /bin/busybox sh
"""
_PACK = r"""
set -eu
cd "$1"
cp -a --reflink=auto "$2" root
cp -RP files/. root/
depmod -b root "$3"
mkdir -p root/etc/systemd/system/multi-user.target.wants
for unit in systemd-networkd.service systemd-timesyncd.service serial-commands.service; do
  for folder in /lib/systemd/system /etc/systemd/system; do
    [ -e "root$folder/$unit" ] && ln -sf "$folder/$unit" root/etc/systemd/system/multi-user.target.wants/
  done
done
for unit in $4; do ln -sf /dev/null "root/etc/systemd/system/$unit"; done
chown -R 1000:1000 root/home/pi  # the first user there is
chmod -R go= root/home/pi/.ssh
mke2fs -q -t ext4 -d root card.img "$5"
rm -rf root files
"""


@dataclass(frozen=True)
class Boot:
    """What QEMU is given to boot a machine of ``kind``; nobody writes into it.

    ``card`` is a raw disk of one ext4; ``key`` opens ssh for its user ``pi``, who may become root by sudo.
    """

    kind: Kind
    folder: Path

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd.gz"

    @property
    def device_tree(self) -> Path | None:
        return self.folder / "board.dtb" if self.kind.device_tree else None

    @property
    def card(self) -> Path:
        return self.folder / "card.img"

    @property
    def key(self) -> Path:
        return self.folder / "key"

    def card_with(self, files: Mapping[str, Path], to: Path) -> None:
        """Copy the card to ``to``, with further files at their paths there."""
        _run("cp", "--sparse=always", "--reflink=auto", str(self.card), str(to))
        for path, source in files.items():
            _run("debugfs", "-w", "-R", f"write {source} {path}", str(to))


def missing_for_machines() -> Missing:
    """Why no whole machine can be emulated on this host."""
    if missing := programs_missing(_PROGRAMS):
        return missing
    if os.geteuid() != 0:
        return Missing(reason="its card and its network are made by root")
    return Missing()


def make_boot(kind: Kind, say: Callable[[str], None]) -> Boot:
    """What ``kind`` boots, kept in ``build/machines``; made where it is not there: 3 minutes, 2.2 GB while it works.

    Needs root then. Raises EmulationError.
    """
    if missing := missing_for_machines():
        raise EmulationError(f"No {kind.title} can be emulated here: {missing}")
    recipe = hashlib.sha256(repr(kind).encode())
    for source in (Path(__file__), Path(__file__).parent / "system.py", _CONSTRAINTS):
        recipe.update(source.read_bytes())

    def make(folder: Path) -> None:
        say(f"Making the card of a {kind.title}: 0.7 GB in {CACHE}, once.")
        kernel, system = _system("arm64", say), _system(kind.userland, say)
        _make(kind, folder, kernel, system)

    return Boot(kind, made_once(CACHE / f"{kind.name}-{recipe.hexdigest()[:8]}", make))


def _system(arch: str, say: Callable[[str], None]) -> Path:
    recipe = hashlib.sha256((Path(__file__).parent / "system.py").read_bytes()).hexdigest()[:8]

    def make(folder: Path) -> None:
        say(f"Unpacking and configuring a Debian for {arch}: 0.6 GB in {CACHE}, once; some minutes.")
        make_system(arch, folder)

    return made_once(CACHE / f"debian-{arch}-{recipe}", make)


def _make(kind: Kind, folder: Path, kernel: Path, system: Path) -> None:
    [image] = (kernel / "kernel" / "boot").glob("vmlinuz-*")
    version = image.name.removeprefix("vmlinuz-")
    modules = kernel / "kernel" / "lib" / "modules" / version
    shutil.copy(image, folder / "vmlinuz")
    _make_initrd(kind, folder / "initrd", modules, kernel / "root" / "bin" / "busybox")
    if kind.device_tree:
        [trees] = (kernel / "kernel" / "usr" / "lib").glob("linux-image-*")
        shutil.copy(trees / kind.device_tree, folder / "board.dtb")
        for change in kind.changes:
            _run("fdtput", *(str(folder / "board.dtb") if each == "{file}" else each for each in change))
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / "key"))
    _write_files(kind, folder / "files", modules, (folder / "key.pub").read_text())
    _fetch_wheels(kind.userland, folder / "files" / "opt" / "wheels")
    as_root(_PACK, str(folder), str(system / "root"), version, " ".join(_UNWANTED), _CARD_SIZE, log=folder / "log")


def _write_files(kind: Kind, files: Path, modules: Path, public_key: str) -> None:
    """What this machine's Debian has beyond its packages, as a tree to be laid over it."""
    name = kind.name if kind.name.startswith("virt") else "raspberrypi"
    texts = {
        "etc/hostname": f"{name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {name}\n",
        "etc/modules-load.d/machine.conf": "".join(f"{each}\n" for each in kind.modules),
        "etc/modprobe.d/machine.conf": "".join(f"blacklist {each}\n" for each in kind.without),
        "etc/systemd/network/wire.network": _NETWORK,
        "etc/systemd/system/serial-commands.service": _COMMANDS,
        "etc/sudoers.d/pi": "pi ALL=(ALL) NOPASSWD: ALL\n",
        "etc/pip.conf": _PIP,
        "home/pi/.ssh/authorized_keys": public_key,
    }
    for path, text in texts.items():
        (files / path).parent.mkdir(parents=True, exist_ok=True)
        (files / path).write_text(text)
    shutil.copytree(modules, files / "usr" / "lib" / "modules" / modules.name, symlinks=True)


def _make_initrd(kind: Kind, tree: Path, modules: Path, busybox: Path) -> None:
    for name in ("bin", "dev", "modules", "new", "proc"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin" / "busybox")
    order = list(dict.fromkeys(modules_in_order(modules, (*kind.card_modules, "ext4", "crc32c_generic"))))
    for path in order:
        shutil.copy(modules / path, tree / "modules" / Path(path).name)
    init = tree / "init"
    init.write_text(_INIT.format(modules=" ".join(Path(path).name for path in order)))
    init.chmod(0o755)
    pack = f"cd '{tree}' && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 >'{tree.with_suffix('.gz')}'"
    _run("sh", "-c", pack)
    shutil.rmtree(tree)


def modules_in_order(modules: Path, names: tuple[str, ...]) -> Iterator[str]:
    """The files of modules in the order in which the kernel takes them, from what depmod wrote."""
    needs: dict[str, tuple[str, list[str]]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, others = line.partition(":")
        needs[Path(file).name.partition(".")[0].replace("_", "-")] = (file, others.split())
    for name in names:
        if found := needs.get(name.replace("_", "-")):  # else it is a part of the kernel
            file, before = found
            yield from reversed(before)
            yield file


def _fetch_wheels(arch: str, folder: Path) -> None:
    """What the agent's wheel depends on, by this host's pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-input"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11", "-c", str(_CONSTRAINTS)]
    for platform in _WHEEL_PLATFORMS[arch]:
        command += ["--platform", platform]
    _run(*command, "-d", str(folder), *_requirements())


def _requirements() -> list[str]:
    """The base distribution's, as its metadata in this Python has them."""
    from importlib.metadata import requires

    return [each.partition(";")[0].strip() for each in requires("tvm-farm") or [] if "extra ==" not in each]


def _run(*command: str) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )
    if done.returncode != 0:
        raise EmulationError(f"`{' '.join(command[:4])} …` failed: {(done.stderr or done.stdout).strip()}")
