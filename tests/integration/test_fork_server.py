"""A worker's fork server, wherever temporary files are to go: its socket's path has few bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.whole_farm import ENVIRON
from tvm_farm.tracker.tuning.process import fork_server

PROGRAM = """
import multiprocessing, sys
from tvm_farm.tracker.tuning.process.fork_server import start_fork_server

folder = start_fork_server(())
process = multiprocessing.get_context("forkserver").Process(target=print, args=("forked",), kwargs={"flush": True})
process.start()
process.join()
print(folder)
sys.exit(process.exitcode)
"""


@pytest.mark.parametrize("length", [30, 75, 150])
def test_a_process_is_forked_however_long_tmpdir_is(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        temporary = Path(short, "t" * (length - len(short) - 1))
        temporary.mkdir()
        command, environ = [sys.executable, "-c", PROGRAM], {**ENVIRON, "TMPDIR": str(temporary)}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        forked, folder = done.stdout.splitlines()
        assert forked == "forked"
        assert Path(folder).parent == (temporary if length == 30 else Path("/tmp"))
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        fork_server.sweep()
        assert not Path(folder).exists(), "its owner has ended"


def test_where_no_folder_is_short_enough_the_variable_to_change_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("t" * 90)))
    monkeypatch.setattr(fork_server, "_SHORT", ("/none",))
    with pytest.raises(
        OSError, match=r"TMPDIR=/\S+ has \d+ of the \d\d that leaves; none can be made in /none \(No such"
    ):
        fork_server.start_fork_server(())


def test_what_a_living_worker_has_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (os.getpid(), ended.pid):
        tempfile.mkdtemp(prefix=fork_server.folder_prefix(pid))
    fork_server.sweep()
    assert [path.name.split("-")[3] for path in tmp_path.iterdir()] == [str(os.getpid())]
