"""The choice of the agent's code that starts next on this board, in a file that a power cut leaves whole, old or new.

The installed agent always starts first and looks here. The code that is chosen runs under
``agent/upgrade/launched.py``, which is the installed agent's and catches code that falls. A new version is *on trial*
until a tracker has accepted its Join. The version falls, and the code before runs again, when it ends with an error,
when it ends STARTS times without a word, or when it has not joined though the tracker can be reached
(agent/upgrade/trial.py). That no tracker can be reached is nobody's fault and ends no trial.

The file, and the calls of ``ChoiceFile``, stand between versions of the agent: they change additively alone.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from tvm_farm.agent.files.durable import write_durably

__all__ = [
    "STARTS",
    "Choice",
    "ChoiceFile",
    "dropped",
    "fell",
    "joined",
    "ordered",
    "spared",
    "started",
]

#: How often a version on trial may be started and end without a word, as by a crash of its process or a power cut.
STARTS = 3


@dataclass(frozen=True)
class Choice:
    """Which code runs. A digest names the wheel that the code came in; "" is the installed agent."""

    digest: str = ""
    version: str = ""
    #: No tracker has accepted a Join of this code yet.
    trial: bool = False
    #: How often the code was started on trial and did not say how it ended.
    starts: int = 0
    #: The code before, which runs again where this code does not stand.
    previous: str = ""
    previous_version: str = ""
    #: Id of the order that brought the code.
    upgrade_id: str = ""
    #: The agent that was installed at that time (launch.py). One installed since is somebody's newer word.
    installed: str = ""
    #: Trackers (host:port) that the code before was joined to: while they answer, this code can join.
    trackers: tuple[str, ...] = ()
    #: The last order whose code did not stand, its version, and why.
    failed_upgrade: str = ""
    failed_version: str = ""
    failure: str = ""


def ordered(
    choice: Choice, upgrade_id: str, digest: str, version: str, installed: str, trackers: tuple[str, ...]
) -> Choice:
    """The code of ``digest``, which is here and whole, starts next, on trial."""
    stands = not choice.trial
    return Choice(
        digest=digest,
        version=version,
        trial=True,
        previous=choice.digest if stands else choice.previous,
        previous_version=choice.version if stands else choice.previous_version,
        upgrade_id=upgrade_id,
        installed=installed,
        trackers=trackers,
    )


def started(choice: Choice) -> Choice:
    """The installed agent is about to run the code. A start too many of code on trial is its fall."""
    if not choice.trial:
        return choice
    if choice.starts >= STARTS:
        return fell(choice, choice.digest, f"it ended {choice.starts} times before it joined, without a word")
    return replace(choice, starts=choice.starts + 1)


def spared(choice: Choice, digest: str) -> Choice:
    """The start of ``digest`` does not count: the agent was asked to stop, or could not have joined."""
    return replace(choice, starts=0) if choice.trial and choice.digest == digest else choice


def joined(choice: Choice, digest: str) -> Choice:
    """A tracker accepted the Join of ``digest``."""
    if not choice.trial or choice.digest != digest:
        return choice
    return replace(choice, trial=False, starts=0, trackers=())


def fell(choice: Choice, digest: str, reason: str) -> Choice:
    """``digest`` did not stand, for ``reason``; nothing changes where it is not on trial (any more)."""
    return dropped(choice, reason) if choice.trial and choice.digest == digest else choice


def dropped(choice: Choice, reason: str) -> Choice:
    """The code before runs again, whether the chosen code was on trial or not."""
    return Choice(
        digest=choice.previous,
        version=choice.previous_version,
        installed=choice.installed,
        failed_upgrade=choice.upgrade_id,
        failed_version=choice.version,
        failure=reason,
    )


class ChoiceFile:
    """The choice in ``folder``, which lies in an agent's state folder. Used by several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "chosen.json"

    def read(self) -> Choice:
        """The choice; the installed agent where there is none, or where the file cannot be read."""
        try:
            plain = json.loads(self._path.read_text())
            return _choice_of(plain)
        except (OSError, ValueError, TypeError):
            return Choice()

    def update(self, change: Callable[[Choice], Choice]) -> Choice:
        """The choice after ``change``, on the disk when this returns. Raises OSError; then nothing is changed."""
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.read()
            after = change(before)
            if after != before:
                write_durably(self._path, json.dumps(asdict(after)).encode())
            return after
        finally:
            os.close(lock)


def _choice_of(plain: object) -> Choice:
    """The choice in ``plain``, without fields of a later version. Raises TypeError for what is no choice."""
    if not isinstance(plain, dict):
        raise TypeError("no object")
    known = {field.name: plain[field.name] for field in fields(Choice) if field.name in plain}
    known["trackers"] = tuple(map(str, known.get("trackers", ())))
    like = Choice()
    if any(type(value) is not type(getattr(like, name)) for name, value in known.items()):
        raise TypeError("a field of another kind")
    return Choice(**known)
