"""The step from one version of the agent to another, in one process: whoever holds the process holds it still."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tvm_farm.agent.errors import UpgradeError
from tvm_farm.agent.files.state_folder import open_state
from tvm_farm.agent.upgrade.choice import Choice, ChoiceFile, dropped, started
from tvm_farm.agent.upgrade.folder import code_folder, is_whole
from tvm_farm.protos.version import __version__

__all__ = [
    "farm_before",
    "has_joined",
    "installation",
    "launch",
    "launched_digest",
    "remember_farm",
    "remember_joined",
    "restart",
]

log = logging.getLogger("agent")

#: Where this code is installed. Not resolved: in a checkout a link leads to it.
_SITE = Path(__file__).absolute().parents[3]

#: Set while the farm's code runs: the command that started the installed agent, as JSON, and the digest of the code.
#: Whoever looks here first launches nothing twice.
_BACK, _DIGEST = "TVMFARM_AGENT_LAUNCHED_BY", "TVMFARM_AGENT_LAUNCHED"
#: The farm that was joined. Stays from one version to the next, and ends with the process.
_FARM = "TVMFARM_AGENT_FARM_BEFORE"
#: The digest of the code that a tracker accepted in this process, also while no disk takes that word. The installed
#: agent reads it.
_JOINED = "TVMFARM_AGENT_JOINED"


def launched_digest() -> str:
    """The digest of the wheel whose code this process runs; "": the installed agent's code."""
    return os.environ.get(_DIGEST, "")


def remember_joined(digest: str) -> None:
    """A tracker accepted the Join of ``digest``, the code of this process."""
    os.environ[_JOINED] = digest


def has_joined(digest: str) -> bool:
    """Whether ``digest`` has joined in this process."""
    return bool(digest) and os.environ.get(_JOINED) == digest


def remember_farm(farm: str) -> None:
    """Have the next version in this process join the same farm, where several are heard."""
    os.environ[_FARM] = farm


def farm_before() -> str:
    """The farm that this process was in with the version before; "": none."""
    return os.environ.get(_FARM, "")


def installation(site: Path = _SITE) -> str:
    """Which agent is installed in ``site``: its version and, where installers keep a RECORD there, which time.

    A wheel of the same version that is installed again, also the same wheel, is another installation. RECORD: PyPA,
    "Recording installed projects".
    """
    records = sorted(site.glob("tvm_farm-*.dist-info/RECORD"))
    told = hashlib.sha256()
    for record in records:
        with contextlib.suppress(OSError):  # another agent is being installed just now
            told.update(f"{record.stat().st_mtime_ns}\0".encode() + record.read_bytes())
    return f"{__version__} {told.hexdigest()[:16]}" if records else __version__


def launch(state: Path, arguments: Sequence[str]) -> None:
    """Run the code that is chosen in the state folder ``state`` in place of this code, with the same ``arguments``.

    Returns where the installed agent is to run, and in a process that was launched. Raises what ``open_state`` raises.
    """
    choices = ChoiceFile(code_folder(state))
    if launched_digest() or not choices.read().digest:
        return
    with open_state(state):  # a second agent with this folder counts as no start, and is told as ever
        try:
            choice = _choose(choices)
        except OSError as error:
            log.warning("%s cannot be written (%s): the installed agent runs", choices.folder, error.strerror)
            return
    if not choice.digest:
        return
    log.info("running version %s of the agent, which the farm sent", choice.version)
    script, folder = Path(__file__).with_name("launched.py"), choices.folder / choice.digest
    os.environ[_BACK], os.environ[_DIGEST] = json.dumps(_command()), choice.digest
    try:
        _become([sys.executable, str(script), str(folder), *arguments])
    except UpgradeError as error:
        reason = str(error)
        _forget_launch()
        log.warning("the installed agent runs: %s", reason)
        with contextlib.suppress(OSError):  # the next start tries the same again
            choices.update(lambda c: dropped(c, reason))


def _choose(choices: ChoiceFile) -> Choice:
    """The code that is to run now, with its files judged. Raises OSError."""

    def start(choice: Choice) -> Choice:
        # Whoever has installed another agent since wants that one.
        return started(choice) if choice.installed == installation() else Choice()

    before = choices.read()
    choice = choices.update(start)
    if not choice.installed:
        log.info(
            "version %s is installed: it runs, and not %s, which the farm sent before", __version__, before.version
        )
    while choice.digest and not is_whole(choices.folder / choice.digest):
        choice = choices.update(lambda c: dropped(c, "its files on this board are damaged"))
    if choice.failure and choice.failed_version != before.failed_version:
        log.warning("version %s of the agent does not stand: %s", choice.failed_version, choice.failure)
    return choice


def restart() -> NoReturn:
    """Start the installed agent again, as it was started. It launches the code that is chosen then.

    Raises UpgradeError where that is not possible.
    """
    command = json.loads(os.environ[_BACK]) if _BACK in os.environ else _command()
    _forget_launch()
    _become(command)


def _forget_launch() -> None:
    for name in (_BACK, _DIGEST, _JOINED):
        os.environ.pop(name, None)


def _command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]


def _become(command: list[str]) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by who started us
            stream.flush()
    try:
        os.execv(command[0], command)
    except OSError as error:
        raise UpgradeError(f"{command[0]} cannot be started again: {error.strerror}") from error
