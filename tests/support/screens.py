"""Writes what commands show on screens of 40, 80 and 200 columns: ``python -m tests.support.screens docs/screens``.

The boards, jobs and times are those of ``seen_farm``. The screen of a job that runs is taken by tmux.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.farm_command import FarmTerminal, environment, farm_command
from tests.support.seen_farm import RUNNING, seen_farm

__all__ = ["write_screens"]

_WIDTHS = (40, 80, 200)
_ROWS = 24
_STILL = {"devices": ["devices"], "jobs": ["jobs"], "pools": ["pools"], "records": ["records", "query", "--limit", "8"]}


def write_screens(folder: Path) -> None:
    """A file a screen in ``folder``: NAME-COLUMNS.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, seen_farm(Path(scratch)) as address:
        for columns in _WIDTHS:
            for name, words in _STILL.items():
                _write(folder, name, columns, " ".join(words), _still(words, address, columns))
            _write(folder, "watch", columns, f"jobs watch {RUNNING}", _moving(address, columns, Path(scratch)))


def _write(folder: Path, name: str, columns: int, command: str, screen: str) -> None:
    lines = [f"$ farm {command}", *(line.rstrip() for line in screen.splitlines())]
    (folder / f"{name}-{columns}.txt").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _still(words: list[str], address: str, columns: int) -> str:
    with FarmTerminal(*words, "--tracker", address, columns=columns, rows=_ROWS) as terminal:
        terminal.await_exit()
        return terminal.text


def _moving(address: str, columns: int, scratch: Path) -> str:
    tmux = ["tmux", "-S", str(scratch / "tmux")]
    command = shlex.join(farm_command("jobs", "watch", RUNNING, "--tracker", address))
    size = ["-x", str(columns), "-y", str(_ROWS)]
    env = {**environment(), "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8")}
    subprocess.run([*tmux, "-f", "/dev/null", "new-session", "-d", *size, command], env=env, check=True)
    try:
        for _ in range(100):
            time.sleep(0.1)
            taken = subprocess.run([*tmux, "capture-pane", "-p"], env=env, capture_output=True, text=True, check=True)
            if "estimated" in taken.stdout:
                return taken.stdout
        raise AssertionError(f"the job was never shown, but:\n{taken.stdout}")
    finally:
        subprocess.run([*tmux, "kill-server"], env=env, check=False)


if __name__ == "__main__":
    write_screens(Path(sys.argv[1]))
