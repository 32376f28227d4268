"""One whole machine under QEMU: powered on, off, cut off its power, frozen and taken up again."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from emulation.host import EmulationError
from emulation.machines.card import Boot
from emulation.machines.channel import GuestAgent, Monitor
from emulation.machines.switch import Switch

__all__ = ["Machine", "Snapshot"]

_BOOT_TIMEOUT_S = 400.0
_FREEZE_TRIES = 10


#: Done to each adapter that is or will be there.
_SHAPE_NOW = """\
mkdir -p /run/udev/rules.d
printf 'ACTION=="add", SUBSYSTEM=="net", KERNEL!="lo|ifb*", RUN+="/run/shape %%k"\\n' >/run/udev/rules.d/70-shape.rules
udevadm control --reload
modprobe ifb numifbs=1
for each in /sys/class/net/*; do
  case $each in */lo | */ifb*) ;; *) /run/shape "${each##*/}" || exit ;; esac
done"""


def _shaping(netem: tuple[str, ...]) -> str:
    """A program that does so to the adapter that it is called with. What comes in passes by a device of its own."""
    lines = ["#!/bin/sh", "PATH=/usr/sbin:/usr/bin:/sbin:/bin; wire=$1; exec 2>>/run/shape.log; set -x"]
    lines += ["tc qdisc del dev $wire root", "tc qdisc del dev $wire ingress", "tc qdisc del dev ifb0 root"]
    if netem:
        words = shlex.join(netem)
        lines += ["set -e", "ip link set ifb0 up", f"tc qdisc add dev ifb0 root netem limit 10000 {words}"]
        lines += ["tc qdisc add dev $wire ingress"]
        lines += ["tc filter add dev $wire parent ffff: matchall action mirred egress redirect dev ifb0"]
        lines += [f"tc qdisc add dev $wire root netem limit 10000 {words}"]
    return "\n".join([*lines, "exit 0", ""])


@dataclass(frozen=True)
class Snapshot:
    """A machine that was stopped while it ran, without its network: what its card and its memory held."""

    boot: Boot
    folder: Path

    @property
    def card(self) -> Path:
        return self.folder / "card.qcow2"

    @property
    def memory(self) -> Path:
        return self.folder / "memory"


class Machine:
    """A machine of its own under ``folder``: its card there, and ``console.log``, which holds all that it ever said.

    ``source``: what its card begins as, and where it is a Snapshot, what it does when it is first powered on. ``card``:
    another one to begin as. ``number`` tells machines on one network apart. Leaving the ``with`` cuts its power.
    """

    def __init__(
        self,
        source: Boot | Snapshot,
        folder: Path,
        switch: Switch | None = None,
        number: int = 1,
        *,
        card: Path | None = None,
    ) -> None:
        self.boot = source if isinstance(source, Boot) else source.boot
        self._snapshot = source if isinstance(source, Snapshot) else None
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self.card = self.folder / "card.qcow2"
        self.console = self.folder / "console.log"
        self.mac = f"b8:27:eb:00:00:{number:02x}"
        self.switch = switch
        self.tap = switch.tap() if switch else ""
        self.process: subprocess.Popen[bytes] | None = None
        # A socket's path may have 107 characters.
        self._sockets = tempfile.TemporaryDirectory(prefix="tvm-farm-machine-")
        self._agent: GuestAgent | None = None
        self._backing, self._format = (card or source.card), "qcow2" if isinstance(source, Snapshot) else "raw"
        if not self.card.exists():
            backing = ("-b", str(self._backing), "-F", self._format)
            _run("qemu-img", "create", "-q", "-f", "qcow2", *backing, str(self.card))

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut_power()
        self._sockets.cleanup()

    def power_on(self, *options: str, plug: bool = True) -> None:
        """Start it, with further ``options`` for QEMU. It boots, or goes on where its snapshot was taken.

        ``plug``: with its network, else it has none until ``plug``; returns then before it has booted, which ``run``
        waits for.
        """
        resumed, self._snapshot = self._snapshot, None
        for left in Path(self._sockets.name).iterdir():  # by one whose power was cut
            left.unlink()
        boot = self.boot
        command = [*(self.switch.enter if self.switch else ()), "qemu-system-aarch64"]
        words = {"card": self.card, "console": self.console, "commands": self._socket("commands")}
        command += [each.format(**words) for each in boot.kind.qemu]
        command += ["-kernel", str(boot.kernel), "-initrd", str(boot.initrd), "-append", boot.kind.append]
        if boot.device_tree:
            command += ["-dtb", str(boot.device_tree)]
        command += ["-nic", "none", "-display", "none", "-monitor", "none"]
        command += ["-qmp", f"unix:{self._socket('monitor')},server=on,wait=off"]
        if self.switch:
            command += ["-netdev", f"tap,id=wire,ifname={self.tap},script=no,downscript=no"]
        if resumed:
            command += ["-incoming", f"exec:cat {shlex.quote(str(resumed.memory))}"]
        with self.console.open("ab") as log:
            self.process = subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        with self._ended_told(), self._monitor() as monitor:
            if resumed:
                while monitor.call("query-status")["status"] == "inmigrate":
                    time.sleep(0.05)
                monitor.call("cont")
        if self.switch and plug:
            # QEMU's USB may lose what is put in while the kernel looks for it.
            self.run("/bin/true")
            self.plug()

    @contextlib.contextmanager
    def _ended_told(self) -> Iterator[None]:
        """Where QEMU has ended, that it did and what it said last is the error."""
        assert self.process is not None
        try:
            yield
        except EmulationError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
                last = self.console.read_text(errors="replace").strip().splitlines()[-1:]
                raise EmulationError(f"QEMU ended at once: {''.join(last)}") from None
            raise

    def plug(self) -> None:
        """Put the adapter of its network in. Taken out, QEMU 7.2 would end: ``Switch.cut`` does as well."""
        with self._monitor() as monitor:
            monitor.call("device_add", id="adapter", netdev="wire", mac=self.mac, **self.boot.kind.network)

    def slow_card(self, bytes_per_s: int) -> None:
        """Its card takes and gives so much and no more; 0: as fast as it can."""
        unlimited = dict.fromkeys(("bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
        with self._monitor() as monitor:
            name = next(each["device"] for each in monitor.call("query-block") if "inserted" in each)
            monitor.call("block_set_io_throttle", device=name, bps=bytes_per_s, **unlimited)

    def shape_link(self, *netem: str) -> None:
        """What comes and goes by the adapter is subject to ``netem`` (tc-netem(8)): one there now, or once it is there.

        Until the machine is off, or ``shape_link()``. The kernel inside does it: that of this host may not know how.
        """
        self.run("/bin/sh", "-c", f"cat >/run/shape && chmod 755 /run/shape && {_SHAPE_NOW}", stdin=_shaping(netem))

    def run(self, *argv: str, stdin: str = "", timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """A command as root there, without its network; waits for it to boot. Raises EmulationError."""
        if self._agent is None:
            self._agent = GuestAgent(self._socket("commands"), _BOOT_TIMEOUT_S)
        try:
            return self._agent.run(*argv, stdin=stdin, timeout_s=timeout_s)
        except EmulationError:
            self._hang_up()
            raise

    def shell(self, script: str, timeout_s: float = 120) -> str:
        """What ``script`` of its shell prints. Raises EmulationError where it fails."""
        done = self.run("/bin/sh", "-c", script, timeout_s=timeout_s)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise EmulationError(f"on the machine `{script.strip()}` ended with {done.returncode}: {said}")
        return done.stdout

    def wait_for_boot(self) -> None:
        """Until each of its services has started. Raises EmulationError where one failed."""
        state = self.run("/bin/systemctl", "is-system-running", "--wait", timeout_s=_BOOT_TIMEOUT_S).stdout.strip()
        if state != "running":
            failed = self.run("/bin/systemctl", "--failed", "--plain", "--no-legend").stdout.strip()
            raise EmulationError(f"the machine booted and is {state}: {failed}")

    def address(self, timeout_s: float = 120) -> str:
        """Its address on the switch, once it has asked for one."""
        assert self.switch is not None
        return self.switch.wait_for_lease(self.mac, timeout_s)

    def ssh(self, *argv: str) -> list[str]:
        """What runs ``argv`` there by ssh, as user ``pi``."""
        return [*self._ssh("ssh"), f"pi@{self.address()}", *argv]

    def scp(self, path: Path, to: str = "") -> list[str]:
        """What brings a file there, into the home of user ``pi``."""
        return [*self._ssh("scp"), "-q", str(path), f"pi@{self.address()}:{to}"]

    def _ssh(self, program: str) -> list[str]:
        assert self.switch is not None
        options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        options += ["-o", "LogLevel=ERROR", "-i", str(self.boot.key)]
        return [*self.switch.enter, program, *options]

    def cut_power(self) -> None:
        """At once: nothing that it holds in memory is written, and all that its card took is there.

        A card has no cache that could be flushed, so QEMU's own must not be lost: a killed QEMU is a card that forgets.
        """
        self._hang_up()
        if self.process is not None:
            with contextlib.suppress(EmulationError), self._monitor() as monitor:
                monitor.call("stop")
                monitor.call("quit")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
            self.process.wait()
            self.process = None

    def power_off(self, timeout_s: float = 120) -> None:
        """As a person does it: services stop, files are written. Raises EmulationError where it goes on."""
        assert self.process is not None
        with contextlib.suppress(EmulationError):
            self.run("/bin/systemctl", "poweroff", "--no-block")
        self._hang_up()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise EmulationError(
                f"the machine is not off after {timeout_s:.0f} s; {self.console} may tell why"
            ) from None
        self.process = None

    def reboot(self) -> None:
        """As a person does it; returns once it runs commands again."""
        before = self._boot_id()
        self.run("/bin/systemctl", "reboot", "--no-block")
        deadline_s = time.monotonic() + _BOOT_TIMEOUT_S
        while self._boot_id() in ("", before):
            if time.monotonic() > deadline_s:
                raise EmulationError(f"the machine did not boot again; see {self.console}")
            time.sleep(1)

    def _boot_id(self) -> str:
        """ "" where it does not answer."""
        try:
            return self.run("/bin/cat", "/proc/sys/kernel/random/boot_id").stdout
        except EmulationError:
            return ""

    def freeze(self, folder: Path) -> Snapshot:
        """Stop it for good; others begin where it stopped. It may have no network: an adapter cannot be taken along.

        QEMU 7.2 forgets an interrupt of this machine's timers that is on its way, and that processor then waits for
        ever: whether one did is tried, and the moment chosen again. Raises EmulationError.
        """
        assert self.switch is None
        assert self.process is not None
        folder.mkdir(parents=True, exist_ok=True)
        snapshot = Snapshot(self.boot, folder.resolve())
        for _ in range(_FREEZE_TRIES):
            self.shell("sync; sleep 1")
            self._hang_up()
            with self._monitor() as monitor:
                monitor.call("stop")
                monitor.call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
                monitor.call("migrate", uri=f"exec:cat >{shlex.quote(str(snapshot.memory))}")
                while (state := monitor.call("query-migrate"))["status"] not in ("completed", "failed"):
                    time.sleep(0.05)
                if state["status"] == "failed":
                    raise EmulationError(f"the machine cannot be frozen: {state.get('error-desc')}")
                snapshot.card.symlink_to(self.card)
                whole = _goes_on(snapshot)
                snapshot.card.unlink()
                monitor.call("quit" if whole else "cont")
            if whole:
                self.process.wait(60)
                self.process = None
                shutil.move(self.card, snapshot.card)
                # By its way from here: a folder that is made once takes its name at the end.
                backing = os.path.relpath(self._backing, snapshot.folder)
                _run("qemu-img", "rebase", "-u", "-b", backing, "-F", self._format, str(snapshot.card))
                return snapshot
        raise EmulationError(f"in {_FREEZE_TRIES} tries no machine that was taken up again went on")

    def _monitor(self) -> Monitor:
        assert self.process is not None
        path = self._socket("monitor")
        while not path.exists():
            if self.process.poll() is not None:
                raise EmulationError("the machine is off")
            time.sleep(0.02)
        return Monitor(path)

    def _hang_up(self) -> None:
        if self._agent is not None:
            self._agent.__exit__(None, None, None)
            self._agent = None

    def _socket(self, name: str) -> Path:
        return Path(self._sockets.name) / name


def _goes_on(snapshot: Snapshot) -> bool:
    """Whether each processor of a machine that begins there still has its timer."""
    with tempfile.TemporaryDirectory(prefix="tvm-farm-trial-") as folder, Machine(snapshot, Path(folder)) as trial:
        trial.power_on()
        try:
            trial.shell("for each in $(seq 0 $(($(nproc) - 1))); do taskset -c $each sleep 0.2; done", timeout_s=10)
        except EmulationError:
            return False
    return True


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EmulationError(f"`{command[0]}` failed: {done.stderr.strip()}")
