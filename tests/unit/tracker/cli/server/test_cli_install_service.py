"""``tracker install-service``: the unit, as systemd judges it, and what is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tvm_farm.tracker.cli import tracker
from tvm_farm.tracker.cli.server.install_service import unit_of
from tvm_farm.tracker.client.errors import BadInput

PYTHON = Path("/opt/tvm-farm/bin/python")


def test_it_runs_the_tracker_with_the_options_as_a_user_of_its_own() -> None:
    unit = unit_of(("--farm", "my lab", "--workers", "2"), PYTHON)
    assert unit.name == "tvm-farm-tracker.service"
    lines = unit.text.splitlines()
    command = '-m tvm_farm.tracker start --state /var/lib/tvm-farm-tracker/state --farm "my lab" --workers 2'
    assert f"ExecStart={PYTHON} {command}" in lines
    assert {"User=tvm-farm-tracker", "StateDirectory=tvm-farm-tracker", "ProtectSystem=strict"} <= set(lines)
    assert unit.undo[1] == "userdel tvm-farm-tracker && rm -r /var/lib/tvm-farm-tracker"


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: systemd)"
)
def test_systemd_finds_no_fault_with_it(tmp_path: Path) -> None:
    unit = unit_of(("--farm", 'a "strange" 100% $name'), Path("/bin/sh"))
    path = tmp_path / unit.name
    path.write_text(unit.text)
    judged = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")


def run(*options: str) -> tuple[int, str]:
    done = CliRunner().invoke(tracker, ["install-service", *options])
    return done.exit_code, done.output


def test_it_is_shown_and_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(PYTHON))
    assert run("--print", "--farm", "lab") == (0, unit_of(("--farm", "lab"), PYTHON).text)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--state", "/srv"], 2, "leave out --state"),
        (["--port", "many"], 2, "'many' is not a valid integer range"),
        (["--nonsense"], 2, "No such option '--nonsense'"),
        ([], 1, "A service is installed by root: run this with sudo; --print only shows the unit."),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    options: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(PYTHON))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    exit_code, output = run(*options)
    assert (exit_code, said in output) == (code, True), output


def test_a_python_in_a_home_is_refused() -> None:
    with pytest.raises(BadInput, match="in somebody's home"):
        unit_of((), Path("/home/ada/venv/bin/python"))
