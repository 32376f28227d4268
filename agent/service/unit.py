"""The agent as a service of systemd: its unit, and the installation of that."""

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

from tvm_farm.agent.errors import AgentError, SettingsError
from tvm_farm.agent.settings import Settings

__all__ = ["USER", "Service", "install", "service_state"]

USER = "tvm-farm"
_UNITS = Path("/etc/systemd/system")
_BOOTED = Path("/run/systemd/system")
_STATE = Path("/var/lib/tvm-farm")
_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))

_UNIT = """\
[Unit]
Description=TVM Farm agent{of}
# After no target of the network: the agent looks for its network itself, for as long as it takes, and
# network-online.target comes late on many boards, or never.
# A board may wait for its network, or its farm, for as long as it takes.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
# Python and gRPC take a slow card their time to load. From then on an event loop that hangs is ended and begun anew.
TimeoutStartSec=300
WatchdogSec=90
ExecStart={command}
User={user}
Group={user}
{groups}StateDirectory={state_name}
StateDirectoryMode=0700
Environment=HOME={state}
Slice=tvmfarm.slice
Restart=always
RestartSec=10
# The agent alone is told to stop: it finishes the kernel at hand and gives the rest back.
KillMode=mixed
TimeoutStopSec=120
# A kernel that the system kills for its memory is a measurement like any other.
OOMPolicy=continue
# The kernel is the first to go: its process raises its own to 1000.
OOMScoreAdjust=-500
LimitMEMLOCK=infinity
# Left out, since kernels and their timing may need what they forbid: MemoryDenyWriteExecute, PrivateDevices,
# ProtectClock (which forbids all devices but one), RestrictRealtime, SystemCallFilter.
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

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Service:
    """A unit, to be installed."""

    #: The name of the unit's file.
    name: str
    text: str
    #: The commands that take the unit out again, and what it leaves.
    undo: tuple[str, str]

    @classmethod
    def of(cls, settings: Settings, options: Sequence[str], python: Path) -> Service:
        """The service that runs ``agent start`` with ``options``; ``settings`` are the same as values.

        ``python`` is the interpreter whose packages hold the agent. Raises SettingsError where a service that has a
        user of its own could not work so.
        """
        folders = {"--runtime": settings.runtime_dir, "--libc": settings.libc_dir}
        named = {f"{option} names a folder": path for option, path in folders.items()}
        for what, path in {f"{python} runs this agent": python, **named}.items():
            if path is not None and any(home in path.parents for home in _HOMES):
                raise SettingsError(
                    f"{what} that is in somebody's home, which a service does not read: put it elsewhere, "
                    "for instance into a virtual environment in /opt/tvm-farm"
                )
        for option, path in folders.items():
            if path is not None and not path.is_absolute():
                raise SettingsError(
                    f"a service works in no folder of yours: give {option} with its whole path from / on"
                )
        state = service_state(settings.via)
        name = f"tvm-farm-{state.name}.service"
        command = [str(python), "-m", "tvm_farm.agent", "start", "--state", str(state), *options]
        text = _UNIT.format(
            of=f", for {settings.via}" if settings.via else "",
            command=" ".join(map(_quote, command)),
            user=USER,
            # Debian's rules for devices on USB give telephones to this group.
            groups="SupplementaryGroups=plugdev\n" if settings.via.startswith("adb:") else "",
            state_name=_STATE.name,
            state=_STATE,
        )
        return cls(
            name,
            text,
            (
                f"systemctl disable --now {shlex.quote(name)} && rm {shlex.quote(str(_UNITS / name))}",
                f"userdel {USER} && rm -r {_STATE}",
            ),
        )


def service_state(via: str) -> Path:
    """The state folder of the service that serves ``via``."""
    device = re.sub(r"[^\w.]+", "-", via).strip("-")
    return _STATE / (f"agent-{device}" if device else "agent")


def install(service: Service, units: Path = _UNITS, booted: Path = _BOOTED) -> list[str]:
    """Install the service and start it; a line for each thing done.

    Raises AgentError, which says what to do; where systemd does not run, before anything is done.
    """
    if os.geteuid() != 0:
        raise AgentError("a service is installed by root: run this with sudo; --print only shows the unit")
    for program in ("systemctl", "useradd"):
        if shutil.which(program) is None:
            raise AgentError(f"there is no {program} here: --print shows the unit, for whatever starts services here")
    if not booted.is_dir():  # sd_booted(3)
        raise AgentError(
            "systemd does not run here, as in a container: --print shows the unit, for whatever starts services here"
        )
    done = []
    _verify(service)
    try:
        pwd.getpwnam(USER)
    except KeyError:
        _run("useradd", "--system", "--user-group", "--home-dir", str(_STATE), "--shell", "/usr/sbin/nologin", USER)
        done.append(f"made the user {USER}, who owns nothing but {_STATE}")
    path = units / service.name
    again = path.exists()
    try:
        path.write_text(service.text)
    except OSError as error:
        raise AgentError(f"{path} cannot be written: {error.strerror}") from error
    done.append(f"wrote {path}{' anew' if again else ''}")
    _run("systemctl", "daemon-reload")
    _run("systemctl", "enable", service.name)
    _run("systemctl", "restart", service.name)
    done.append(f"started {service.name}, now and at every boot: journalctl -u {service.name.removesuffix('.service')}")
    return done


def _verify(service: Service) -> None:
    """Have systemd judge the unit before it is written, where systemd can. Raises AgentError."""
    if shutil.which("systemd-analyze") is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / service.name
        path.write_text(service.text)
        _run("systemd-analyze", "verify", str(path))


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if ended.returncode:
        said = (ended.stderr or ended.stdout).strip()
        raise AgentError(f"`{shlex.join(command)}` failed: {said or f'exit status {ended.returncode}'}")


def _quote(argument: str) -> str:
    """An argument as systemd.service(5) reads it: quotes, specifiers and variables mean themselves."""
    text = argument.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w@%+=:,./$-]+", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
