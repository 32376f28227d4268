"""The agent on a machine, by the line in docs/boards.md, as a service of its systemd."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from emulation.host import EmulationError
from emulation.machines.card import CACHE, make_boot
from emulation.machines.kinds import Kind
from emulation.machines.machine import Machine, Snapshot
from emulation.made_once import made_once
from emulation.preparation import make_wheel

__all__ = ["INSTALL", "InstalledMachine", "installed"]

#: What a person types on the board, in a folder with the wheel: the line of docs/boards.md.
INSTALL = (
    "sudo sh -c 'apt-get install -y python3-venv && python3 -m venv /opt/tvm-farm && "
    "/opt/tvm-farm/bin/pip install ./tvm_farm-*.whl && /opt/tvm-farm/bin/agent install-service'"
)
_TIMEOUT_S = 600.0
_KEPT_S = 24 * 3600


def installed(kind: Kind, say: Callable[[str], None]) -> Snapshot:
    """A machine of ``kind`` that runs this checkout's agent as its service, without a network.

    Kept in ``build/machines``; made, in 3 minutes, where it is not there for this very wheel. Raises EmulationError.
    """
    boot = make_boot(kind, say)
    with tempfile.TemporaryDirectory(prefix="tvm-farm-wheel-") as scratch:
        wheel = make_wheel(Path(scratch))
        digest = hashlib.sha256(f"{boot.folder.name}\n{INSTALL}\n".encode() + wheel.read_bytes()).hexdigest()[:8]

        def make(folder: Path) -> None:
            # Of other wheels, 1 GB each; another test may work with one of today.
            for old in CACHE.glob(f"{kind.name}-agent-????????"):
                if time.time() - old.stat().st_mtime > _KEPT_S:
                    shutil.rmtree(old)
            say(f"Booting a {kind.title} and installing the agent on it, once.")
            card = folder / "card.raw"
            boot.card_with({f"/home/pi/{wheel.name}": wheel}, card)
            with Machine(boot, folder / "work", card=card) as machine:
                machine.power_on()
                machine.wait_for_boot()
                machine.shell(f"cd /home/pi && {INSTALL}", _TIMEOUT_S)
                machine.freeze(folder)
            shutil.rmtree(folder / "work")

        return Snapshot(boot, made_once(CACHE / f"{kind.name}-agent-{digest}", make))


class InstalledMachine:
    """A machine that is powered on and gets the agent as a person brings it there; powered off in the end.

    ``say`` hears each line that is typed. Raises EmulationError.
    """

    def __init__(self, machine: Machine, wheel: Path, say: Callable[[str], None]) -> None:
        self._machine = machine
        title = machine.boot.kind.title
        say(f"Powering on a {title}; its console is {machine.console}")
        machine.power_on()
        try:
            machine.wait_for_boot()
            self._type(say, f"$ scp {wheel.name} pi@{machine.address()}:", machine.scp(wheel))
            self._type(say, f"pi$ {INSTALL}", machine.ssh(INSTALL))
        except BaseException:
            machine.__exit__(None, None, None)
            raise

    def _type(self, say: Callable[[str], None], shown: str, command: list[str]) -> None:
        say(shown)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False, timeout=_TIMEOUT_S)
        if done.returncode != 0:
            raise EmulationError("what the machine wrote above says why")

    def __enter__(self) -> InstalledMachine:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self._machine.power_off()
        finally:
            self._machine.__exit__(None, None, None)

    def check(self) -> None:
        """Nothing to say: a machine does not end by itself."""
