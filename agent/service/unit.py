"""The agent as a service of systemd."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tvm_farm.agent.errors import AgentError, SettingsError
from tvm_farm.agent.settings import Settings
from tvm_farm.protos.program.service import CONFINED, ServiceError, Unit, command_line, in_a_home
from tvm_farm.protos.program.service import install as bring_in

__all__ = ["USER", "Service", "install", "service_state"]

USER = "tvm-farm"
_STATE = Path("/var/lib/tvm-farm")

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
{confined}
[Install]
WantedBy=multi-user.target
"""


class Service(Unit):
    """The unit of an agent."""

    @classmethod
    def of(cls, settings: Settings, options: Sequence[str], python: Path) -> Service:
        """The service that runs ``agent start`` with ``options``; ``settings`` are the same as values.

        ``python`` is the interpreter whose packages hold the agent. Raises SettingsError where a service that has a
        user of its own could not work so.
        """
        folders = {"--runtime": settings.runtime_dir, "--libc": settings.libc_dir}
        named = {f"{option} names a folder": path for option, path in folders.items()}
        for what, path in {f"{python} runs this agent": python, **named}.items():
            if path is not None and in_a_home(path):
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
            command=command_line(command),
            confined=CONFINED,
            user=USER,
            # Debian's rules for devices on USB give telephones to this group.
            groups="SupplementaryGroups=plugdev\n" if settings.via.startswith("adb:") else "",
            state_name=_STATE.name,
            state=_STATE,
        )
        return cls(name, text, USER, _STATE)


def service_state(via: str) -> Path:
    """The state folder of the service that serves ``via``."""
    device = re.sub(r"[^\w.]+", "-", via).strip("-")
    return _STATE / (f"agent-{device}" if device else "agent")


def install(service: Service, *places: Path) -> list[str]:
    """As protos/program/service.py has it. Raises AgentError."""
    try:
        return bring_in(service, *places)
    except ServiceError as error:
        raise AgentError(str(error)) from error
