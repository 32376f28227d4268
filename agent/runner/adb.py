"""A device behind ``adb``, Android's debug bridge."""

from __future__ import annotations

import re

from tvm_farm.agent.runner.contract import RunnerError
from tvm_farm.agent.runner.shell import ShellTransport
from tvm_farm.agent.runner.transport import DeviceAwayError

__all__ = ["AdbTransport"]


# A name that begins with a hyphen would be an option of the program that it is given to.
_SERIAL = re.compile(r"[^\s-]\S*")


class AdbTransport(ShellTransport):
    """``serial`` as ``adb devices`` lists it."""

    forms = ("adb:SERIAL",)

    @classmethod
    def named(cls, rest: str, owner: str) -> AdbTransport | None:
        return cls(rest, owner) if _SERIAL.fullmatch(rest) else None

    def __init__(self, serial: str, owner: str) -> None:
        super().__init__(f"adb:{serial}", owner)
        self._serial = serial

    def _command(self, script: str) -> list[str]:
        # No terminal in between (-T): it would change bytes, and mix the two outputs.
        return ["adb", "-s", self._serial, "shell", "-T", script]

    def _fault(self, said: str) -> RunnerError:
        words = said.splitlines()[-1].strip() if said else "the connection was lost"
        if "unauthorized" in said:
            return RunnerError(f"{self.name} does not trust this host: unlock it and allow USB debugging")
        if "-T" in words or "shell_v2" in words:
            return RunnerError(f"{self.name} is too old: its shell cannot carry bytes unchanged (Android 7 can)")
        return DeviceAwayError(f"{self.name} cannot be reached: {words}")
