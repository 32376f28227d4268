"""QEMU's two conversations in JSON: its monitor, and the agent inside the machine that runs commands there.

QMP and the guest agent's protocol: https://www.qemu.org/docs/master/interop/qmp-spec.html and …/qemu-ga-ref.html.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from emulation.host import EmulationError

__all__ = ["GuestAgent", "Monitor"]

_POLL_S = 0.05


class _Channel:
    """One call after another over a socket of QEMU."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise EmulationError(f"the machine's {path.name} does not answer: {error.strerror}") from error
        self._lines = self._socket.makefile("rb")

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._socket.close()

    def call(self, command: str, **arguments: Any) -> Any:
        """What ``command`` returns. Raises EmulationError with QEMU's reason, or where it is gone or silent."""
        self._send(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = self._answer()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise EmulationError(f"{command}: {answer['error']['desc']}")

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data + b"\n")
        except OSError as error:
            raise EmulationError(f"the machine is off: {error.strerror}") from error

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except TimeoutError:
            raise EmulationError("the machine does not answer") from None
        except OSError as error:
            raise EmulationError(f"the machine is off: {error.strerror}") from error
        if not line:
            raise EmulationError("the machine is off")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Monitor(_Channel):
    """QEMU itself."""

    def __init__(self, path: Path, timeout_s: float = 60) -> None:
        super().__init__(path)
        self._socket.settimeout(timeout_s)
        self._answer()
        self.call("qmp_capabilities")


class GuestAgent(_Channel):
    """Runs commands as root inside the machine, without its network."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        """Waits until the machine answers, for ``timeout_s`` at most."""
        super().__init__(path)
        deadline_s = time.monotonic() + timeout_s
        number = 0
        while True:
            number += 1
            self._socket.settimeout(5)
            # 0xFF makes an agent that was in the middle of a line begin anew, and comes before its answer.
            sync = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
            self._send(b"\xff" + json.dumps(sync).encode())
            with contextlib.suppress(EmulationError):
                if self._synchronous(number):
                    break
                raise EmulationError("the machine is off")
            if time.monotonic() > deadline_s:
                raise EmulationError(
                    f"the machine runs no commands after {timeout_s:.0f} s: its console's log may tell why"
                )
            self._lines = self._socket.makefile("rb")  # one whose read has timed out reads no more
        self._socket.settimeout(60)

    def _synchronous(self, number: int) -> bool:
        while True:
            try:
                line = self._lines.readline()
            except OSError:
                raise EmulationError("the machine does not answer") from None
            if not line:
                return False
            with contextlib.suppress(ValueError):
                if json.loads(line.rpartition(b"\xff")[2]).get("return") == number:
                    return True

    def run(self, *argv: str, stdin: str = "", timeout_s: float) -> subprocess.CompletedProcess[str]:
        """``argv`` to its end. Raises EmulationError where it lasts longer than ``timeout_s``."""
        asked = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
        if stdin:
            asked["input-data"] = base64.b64encode(stdin.encode()).decode()
        number = self.call("guest-exec", **asked)["pid"]
        deadline_s = time.monotonic() + timeout_s
        while not (state := self.call("guest-exec-status", pid=number))["exited"]:
            if time.monotonic() > deadline_s:
                raise EmulationError(f"`{' '.join(argv)}` on the machine has not ended after {timeout_s:.0f} s")
            time.sleep(_POLL_S)
        out, err = (base64.b64decode(state.get(name, "")).decode(errors="replace") for name in ("out-data", "err-data"))
        code = state.get("exitcode", -state.get("signal", 0))
        return subprocess.CompletedProcess(argv, code, out, err)
