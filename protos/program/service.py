"""A program as a service of systemd, whichever it is: a user of its own, its unit brought in, what undoes it."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CONFINED", "ServiceError", "Unit", "command_line", "in_a_home", "install"]

_UNITS = Path("/etc/systemd/system")
#: A folder where systemd runs: sd_booted(3).
_BOOTED = Path("/run/systemd/system")
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))


#: What no service of a farm needs, for its [Service]: the rights of other users, the system's files and settings.
CONFINED = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
PrivateTmp=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictSUIDSGID=yes
"""


class ServiceError(Exception):
    """What a person has to mend before a service can be: a clause that says what to do."""


@dataclass(frozen=True)
class Unit:
    """A unit, to be installed, and the unprivileged user that it runs as."""

    #: The name of its file.
    name: str
    text: str
    user: str
    #: All that the user owns.
    home: Path

    @property
    def undo(self) -> tuple[str, str]:
        """The commands that take the unit out again, and what it leaves."""
        return (
            f"systemctl disable --now {shlex.quote(self.name)} && rm {shlex.quote(str(_UNITS / self.name))}",
            f"userdel {self.user} && rm -r {self.home}",
        )


def in_a_home(path: Path) -> bool:
    """Whether a service could not read ``path``."""
    return any(home in path.parents for home in _HOMES)


def command_line(command: Sequence[str]) -> str:
    """As systemd.service(5) reads it."""
    return " ".join(map(_quote, command))


def install(unit: Unit, units: Path = _UNITS, booted: Path = _BOOTED) -> list[str]:
    """Install the unit and start it; a line for each thing done.

    Raises ServiceError, which says what to do; where systemd does not run, before anything is done.
    """
    if os.geteuid() != 0:
        raise ServiceError("a service is installed by root: run this with sudo; --print only shows the unit")
    for program in ("systemctl", "useradd"):
        if shutil.which(program) is None:
            raise ServiceError(f"there is no {program} here: --print shows the unit, for whatever starts services here")
    if not booted.is_dir():  # sd_booted(3)
        raise ServiceError(
            "systemd does not run here, as in a container: --print shows the unit, for whatever starts services here"
        )
    done = []
    _verify(unit)
    try:
        pwd.getpwnam(unit.user)
    except KeyError:
        home = ("--home-dir", str(unit.home), "--shell", "/usr/sbin/nologin")
        _run("useradd", "--system", "--user-group", *home, unit.user)
        done.append(f"made the user {unit.user}, who owns nothing but {unit.home}")
    path = units / unit.name
    again = path.exists()
    try:
        path.write_text(unit.text)
    except OSError as error:
        raise ServiceError(f"{path} cannot be written: {error.strerror}") from error
    done.append(f"wrote {path}{' anew' if again else ''}")
    _run("systemctl", "daemon-reload")
    _run("systemctl", "enable", unit.name)
    _run("systemctl", "restart", unit.name)
    done.append(f"started {unit.name}, now and at every boot: journalctl -u {unit.name.removesuffix('.service')}")
    return done


def _verify(unit: Unit) -> None:
    """Have systemd judge the unit before it is written, where systemd can. Raises ServiceError."""
    if shutil.which("systemd-analyze") is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / unit.name
        path.write_text(unit.text)
        _run("systemd-analyze", "verify", str(path))


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if ended.returncode:
        said = (ended.stderr or ended.stdout).strip()
        raise ServiceError(f"`{shlex.join(command)}` failed: {said or f'exit status {ended.returncode}'}")


def _quote(argument: str) -> str:
    """An argument as systemd.service(5) reads it: quotes, specifiers and variables mean themselves."""
    text = argument.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@%+=:,./$-]+", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
