"""What cannot be written ends a command in one sentence; a reader that has gone ends it without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.farm_command import environment
from tests.support.onnx_like import onnx_like
from tests.support.records import make_job
from tests.support.stand_in_farm import StandInFarm

PROGRAMS = {
    "farm": "from tvm_farm.tracker.cli import farm; farm(prog_name='farm')",
    "tracker": "from tvm_farm.tracker.cli import tracker; tracker(prog_name='tracker')",
    "agent": "from tvm_farm.agent.cli import main; main(prog_name='agent')",
}
COMMANDS = [
    ["farm", "--version"],
    ["farm", "--help"],
    ["farm", "tune", "--help"],
    ["farm", "jobs"],
    ["farm", "devices", "--json"],
    ["tracker", "--version"],
    ["tracker", "start", "--help"],
    ["tracker", "status"],
    ["agent", "--version"],
    ["agent", "doctor", "--json"],
]


@pytest.fixture(scope="module")
def address():
    with StandInFarm() as control:
        control.put_job(make_job("small-ab2cde"))
        yield control.address


def run(
    command: list[str], address: str, output: int, unbuffered: str, state: Path
) -> subprocess.CompletedProcess[str]:
    doctor = {"TVMFARM_AGENT_DOCTOR_TRACKER": address, "TVMFARM_AGENT_DOCTOR_STATE_DIR": str(state)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAMS[command[0]], *command[1:]],
        env=environment(TVMFARM_TRACKER=address, PYTHONUNBUFFERED=unbuffered, **doctor),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_full_disk_is_one_sentence(command, unbuffered, address, tmp_path):
    with open("/dev/full", "w") as full:
        ended = run(command, address, full.fileno(), unbuffered, tmp_path)
    assert (ended.returncode, ended.stderr) == (1, "Error: The output cannot be written: No space left on device.\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_reader_that_has_gone_is_silence(command, unbuffered, address, tmp_path):
    read, write = os.pipe()
    os.close(read)
    try:
        ended = run(command, address, write, unbuffered, tmp_path)
    finally:
        os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_locale_without_the_letters_ends_no_command(encoding: str, address: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAMS["farm"], "jobs", "show", "small"],
        env=environment(TVMFARM_TRACKER=address, PYTHONIOENCODING=encoding),
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ("finished   —" if encoding == "utf-8" else "finished   ?") in ended.stdout.decode(encoding)


def test_bytes_that_are_no_text_are_one_sentence(address: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAMS["farm"], "jobs", "show", b"small\xff"],
        env=environment(TVMFARM_TRACKER=address),
        capture_output=True,
        check=False,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (2, "Error: 'small\\udcff' is no text in UTF-8: write it otherwise.\n")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_ends_no_command(command: list[str], closed: str, address: str, tmp_path: Path) -> None:
    doctor = {"TVMFARM_AGENT_DOCTOR_TRACKER": address, "TVMFARM_AGENT_DOCTOR_STATE_DIR": str(tmp_path)}
    number = {"stdout": 1, "stderr": 2}[closed]
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {number}>&-', "sh", sys.executable, "-c", PROGRAMS[command[0]], *command[1:]],
        env=environment(TVMFARM_TRACKER=address, **doctor),
        capture_output=True,
        check=False,
        text=True,
    )
    assert ended.returncode == 0 or "doctor" in command, ended.stderr
    assert "Traceback" not in ended.stderr
    assert bool(ended.stdout) is (closed == "stderr")


TOO_LONG = "x" * 300


@pytest.mark.parametrize(
    "command",
    [
        ["bench", TOO_LONG, "--pool", "arm64"],
        ["compile", "net.onnx", "--pool", "arm64", "-o", TOO_LONG],
        ["jobs", "watch", "small", "-o", TOO_LONG],
        ["records", "export", TOO_LONG],
        ["records", "import", TOO_LONG],
        ["records", "merge", TOO_LONG],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_file_that_the_system_refuses_is_one_sentence(command: list[str], address: str, tmp_path: Path) -> None:
    """Root, who runs tests in a container, may read everything: the name stands for a folder of another user."""
    (tmp_path / "net.onnx").write_bytes(onnx_like(100))
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAMS["farm"], *command],
        env=environment(TVMFARM_TRACKER=address),
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert TOO_LONG in ended.stderr
    assert "File name too long" in ended.stderr
