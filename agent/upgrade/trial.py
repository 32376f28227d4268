"""A version of the agent from the farm at work, and what becomes of the board when that version falls.

This code is the installed agent's, and runs the version in question: an error that reaches this code is that version's
fall. A thread looks whether a version on trial joins. What neither sees, the end of the process by a signal, is counted
at the next start (agent/upgrade/choice.py), which systemd, or a person, makes.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tvm_farm.agent.errors import UpgradeError, at_fault
from tvm_farm.agent.upgrade.choice import Choice, ChoiceFile, dropped, fell, joined, spared
from tvm_farm.agent.upgrade.launch import has_joined, restart

__all__ = ["run"]

_LOOK_EVERY_S = 5.0
#: The time to join a tracker that answers. With --mode full TVM's runtime may have to come before the Join.
_JOIN_WITHIN_S = 300.0
_CONNECT_WITHIN_S = 5.0
_SILENT = f"it did not join within {_JOIN_WITHIN_S:.0f} s, though the tracker could be reached"


def run(folder: Path, arguments: Sequence[str]) -> NoReturn:
    """Run the agent of ``folder`` in place of the installed one; end as it ends, or become what ran before it."""
    choices, digest = ChoiceFile(folder.parent), folder.name
    if choices.read().trial:
        threading.Thread(target=_watch, args=(choices, digest), name="trial", daemon=True).start()
    _put_first(folder)
    code, reason, loaded = _run_agent(arguments)
    try:
        if not loaded:
            # Also a version that has joined before: the packages that it needs may have been changed since.
            choice = choices.update(lambda c: dropped(c, reason) if c.digest == digest else c)
        elif has_joined(digest):
            choice = choices.update(lambda c: joined(c, digest))
        elif reason or at_fault(code):
            said = reason or f"it ended with exit code {code} before it joined"
            choice = choices.update(lambda c: fell(c, digest, said))
        else:
            choice = choices.update(lambda c: spared(c, digest))
    except OSError as error:
        print(f"agent: {choices.folder} cannot be written: {error.strerror}", file=sys.stderr)
    else:
        _go_back_unless(choice, digest)
    sys.exit(code)


def _put_first(folder: Path) -> None:
    """Import the agent from ``folder`` from now on, and its packages from where the installed agent has them."""
    sys.path[0] = str(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tvm_farm"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    # A power cut leaves half of a compiled file, and the digest of the folder knows of none.
    sys.dont_write_bytecode = True
    # Until the agent takes it, Ctrl-C ends the process, as SIGTERM does: as an exception it would be the code's fault.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run_agent(arguments: Sequence[str]) -> tuple[int, str, bool]:
    """The exit code, the reason where the agent raised what no agent raises, and whether it could be loaded."""
    loaded = False
    try:
        main = importlib.import_module("tvm_farm.agent.cli").main
        loaded = True
        return main.exit_code(list(arguments), prog_name="agent"), "", loaded
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None), "", loaded
    except BaseException as error:  # noqa: BLE001 - code that was never tried here may raise anything
        traceback.print_exc()
        what = "fails" if loaded else "cannot be loaded here"
        return 1, f"it {what}, with {type(error).__name__}: {str(error)[:200]}", loaded


def _watch(choices: ChoiceFile, digest: str) -> None:
    reached_s = 0.0
    while True:
        time.sleep(_LOOK_EVERY_S)
        choice = choices.read()
        if not choice.trial or choice.digest != digest or has_joined(digest):
            return
        # A disk that takes no word now may take it later.
        with contextlib.suppress(OSError):
            if not any(map(_answers, choice.trackers)):
                choices.update(lambda c: spared(c, digest))
                continue
            reached_s += _LOOK_EVERY_S
            if reached_s >= _JOIN_WITHIN_S:
                _go_back_unless(choices.update(lambda c: fell(c, digest, _SILENT)), digest)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_WITHIN_S).close()
    except (OSError, ValueError):
        return False
    return True


def _go_back_unless(choice: Choice, digest: str) -> None:
    """Start the agent that is chosen, unless that is ``digest``."""
    if choice.digest == digest:
        return
    before = f"version {choice.version}" if choice.digest else "the installed one"
    print(f"agent: {choice.failure or 'another version was chosen'}; {before} runs again", file=sys.stderr)
    try:
        restart()
    except UpgradeError as error:
        print(f"agent: {error}", file=sys.stderr, flush=True)
        os._exit(error.exit_code)  # from any thread; whoever starts it again starts what is chosen
