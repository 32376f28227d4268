"""tests/support/leaks.py and own_home.py: what a test leaves behind fails it by name, and nobody's home is touched."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

TESTS = """
import os, socket, subprocess, sys, tempfile, threading
from pathlib import Path
import pytest

kept = []

def test_thread():
    thread = threading.Thread(target=threading.Event().wait, name="pump", daemon=True)
    thread.start()

def test_process():
    kept.append(subprocess.Popen(["cat", "--", "-"], stdin=subprocess.PIPE))

def test_socket():
    server = socket.create_server(("127.0.0.1", 0))
    kept.append(server)
    print("port", server.getsockname()[1])

def test_file(tmp_path):
    kept.append((tmp_path / "log").open("w"))

def test_temporary():
    Path(tempfile.gettempdir(), "scratch").mkdir()

def test_state():
    state = Path.home() / ".local/state/tvm-farm"
    state.mkdir(parents=True)

def test_environment():
    os.environ["TVMFARM_TRACKER"] = "elsewhere:1"

def test_that_cleans_up(tmp_path, monkeypatch):
    monkeypatch.setenv("TVMFARM_FARM", "lab")
    thread = threading.Thread(target=lambda: None)
    thread.start()
    with socket.create_server(("127.0.0.1", 0)), (tmp_path / "log").open("w"):
        subprocess.run(["true"], check=True)
    thread.join()
    assert "TVMFARM_TRACKER" not in os.environ
"""

OF_A_MODULE = """
import subprocess, threading
import pytest

@pytest.fixture(scope="module")
def shared():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    yield
    done.set()
    thread.join()

def test_uses_it(shared):
    pass

def test_leaves_an_orphan(shared):
    # It reads a pipe that nobody closes before the end of this pytest.
    subprocess.run(["sh", "-c", "cat <&3 >/dev/null 2>&1 & exec true"], pass_fds=[3], check=True)
"""

SURROUNDINGS = """
import os, tempfile
from pathlib import Path
from tvm_farm.agent.settings import default_state_dir
from tvm_farm.tracker.cli.server.start import default_state

def test_them():
    assert not [name for name in os.environ if name.startswith("TVMFARM_") or name == "NOTIFY_SOCKET"]
    mine = Path(tempfile.gettempdir()).parent
    for path in (Path.home(), default_state_dir(), default_state()):
        assert path.is_relative_to(mine)
"""

CONFTEST = """
from tests.support import leaks
leaks._PATIENCE_S = 0.2
"""


def run(folder: Path, tests: str, **environ: str) -> str:
    """What a pytest of its own says of ``tests``."""
    (folder / "test_those.py").write_text(tests)
    (folder / "conftest.py").write_text(CONFTEST)
    read, write = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--basetemp", folder / "base", folder],
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environ},
            cwd=folder,
            preexec_fn=lambda: os.dup2(read, 3),
            pass_fds=[3],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(read)
        os.close(write)
    return done.stdout


def left_behind(said: str) -> dict[str, str]:
    """The thing of most notice that is told of each test."""
    errors = re.findall(r"ERROR at teardown of test_(\w+) _+\nleft behind by [^:]+:\n((?:  .*\n)+)", said)
    # A process brings its pipe along.
    return {name: next(line.strip() for line in lines.splitlines() if "pipe:" not in line) for name, lines in errors}


def test_what_a_test_leaves_is_named(tmp_path: Path) -> None:
    said = run(tmp_path, TESTS)
    print(said)
    [port] = re.findall(r"port (\d+)\n", said)
    left = left_behind(said)
    assert left["thread"] == "thread pump"
    assert re.fullmatch(r"process \d+ \(sleeping\): cat -- -", left["process"])
    assert re.fullmatch(rf"socket socket:\[\d+\] listen 127\.0\.0\.1:{port}", left["socket"])
    assert left["file"] == f"open file {tmp_path}/base/test_file0/log"
    assert re.fullmatch(r"file \S+/tmp/scratch", left["temporary"])
    assert re.fullmatch(r"file \S+/home/\.local", left["state"])
    assert left["environment"] == "environment variable TVMFARM_TRACKER"
    assert "8 passed, 7 errors" in said


def test_what_tests_share_is_for_the_module_to_end(tmp_path: Path) -> None:
    said = run(tmp_path, OF_A_MODULE)
    assert re.fullmatch(r"process \d+ \(sleeping\): cat", left_behind(said)["leaves_an_orphan"]), said
    assert "2 passed, 1 error" in said


def test_nobodys_farm_is_seen(tmp_path: Path) -> None:
    environ = {"TVMFARM_TRACKER": "lab:1", "TVMFARM_AGENT_START_FARM": "lab", "NOTIFY_SOCKET": "/run/notify"}
    state = tmp_path / "state"
    said = run(tmp_path, SURROUNDINGS, HOME=str(tmp_path / "home"), XDG_STATE_HOME=str(state), **environ)
    assert "1 passed" in said, said
    assert not state.exists()
    assert not (tmp_path / "home").exists()
