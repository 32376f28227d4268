"""``agent install-service``: the unit, as systemd judges it, and what is run to bring it in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tvm_farm.agent.cli import main
from tvm_farm.agent.errors import AgentError, SettingsError
from tvm_farm.agent.service.unit import Service, install
from tvm_farm.agent.settings import Settings

PYTHON = Path("/opt/tvm-farm/bin/python")


def service(*options: str, python: Path = PYTHON, **chosen: Any) -> Service:
    return Service.of(Settings(state_dir=Path("/nowhere"), **chosen), options, python)


def line(unit: Service, key: str) -> str:
    [found] = [line for line in unit.text.splitlines() if line.startswith(f"{key}=")]
    return found.partition("=")[2]


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ((), ""),
        (("--tracker", "farm.local:9195"), " --tracker farm.local:9195"),
        (("--label", "rack=3"), " --label rack=3"),
        (("--name", "a board"), ' --name "a board"'),
        (("--name", 'the "one"'), ' --name "the \\"one\\""'),
        (("--name", "back\\slash"), ' --name "back\\\\slash"'),
        (("--name", "100%"), " --name 100%%"),
        (("--name", "$HOME"), " --name $$HOME"),
        (("--name", "it's"), ' --name "it\'s"'),
        (("--name", ""), ' --name ""'),
        (("--name", ";"), ' --name ";"'),
    ],
)
def test_options_mean_themselves(options: tuple[str, ...], written: str) -> None:
    command = line(service(*options), "ExecStart")
    assert command == f"/opt/tvm-farm/bin/python -m tvm_farm.agent start --state /var/lib/tvm-farm/agent{written}"


def test_every_device_has_a_unit_of_its_own() -> None:
    units = [service(via=via) for via in ("", "ssh:pi@board", "ssh:pi@board:2222", "adb:0A1B")]
    assert [unit.name for unit in units] == [
        "tvm-farm-agent.service",
        "tvm-farm-agent-ssh-pi-board.service",
        "tvm-farm-agent-ssh-pi-board-2222.service",
        "tvm-farm-agent-adb-0A1B.service",
    ]
    states = [line(unit, "ExecStart").split()[-1] for unit in units]
    assert len(set(states)) == 4
    assert all(state.startswith("/var/lib/tvm-farm/") for state in states)
    assert line(units[3], "SupplementaryGroups") == "plugdev"


@pytest.mark.parametrize(
    ("chosen", "python", "said"),
    [
        ({}, Path("/home/pi/venv/bin/python"), "a virtual environment in /opt/tvm-farm"),
        ({}, Path("/root/venv/bin/python"), "in somebody's home"),
        ({"runtime_dir": Path("/home/pi/tvm")}, PYTHON, "--runtime names a folder .* in somebody's home"),
        ({"runtime_dir": Path("tvm")}, PYTHON, "--runtime with its whole path"),
    ],
)
def test_what_the_services_user_could_not_read_is_refused(chosen: dict[str, Any], python: Path, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        service(python=python, **chosen)


def test_it_starts_beside_the_network_is_watched_and_outlives_its_kernels() -> None:
    unit = service()
    assert (line(unit, "Type"), line(unit, "NotifyAccess")) == ("notify", "main")
    assert int(line(unit, "WatchdogSec")) > 0
    assert int(line(unit, "OOMScoreAdjust")) < 0
    assert not re.search("^(After|Wants|Requires)=", unit.text, re.MULTILINE)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian: systemd)"
)
@pytest.mark.parametrize("via", ["", "adb:0A1B"])
def test_systemd_finds_no_fault_with_it(tmp_path: Path, via: str) -> None:
    unit = service("--name", 'a "strange" 100% $name', python=Path("/bin/sh"), via=via)
    path = tmp_path / unit.name
    path.write_text(unit.text)
    judged = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")
    path.write_text(unit.text.replace("Restart=always", "Restart=sometimes"))
    judged = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert "sometimes" in judged.stderr


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was run of the programs that change a system: stand-ins that write their command lines here."""
    programs, said = tmp_path / "bin", tmp_path / "said"
    programs.mkdir()
    said.touch()
    for name in ("systemctl", "useradd", "systemd-analyze"):
        program = programs / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $*" >> {said}\n[ ! -e {tmp_path}/fail-{name} ] || {{ echo no >&2; exit 1; }}\n'
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return said


def test_it_is_verified_written_and_started(said: Path, tmp_path: Path) -> None:
    unit = service("--tracker", "farm:1")
    units = tmp_path / "units"
    units.mkdir()
    told = "\n".join(install(unit, units, tmp_path))
    assert (units / unit.name).read_text() == unit.text
    ran = said.read_text().splitlines()
    assert ran[0].startswith("systemd-analyze verify ")
    assert ran[1].startswith("useradd --system ")
    assert ran[1].endswith(" tvm-farm")
    assert ran[2:] == [f"systemctl {each}" for each in ("daemon-reload", f"enable {unit.name}", f"restart {unit.name}")]
    assert "made the user tvm-farm" in told
    assert f"wrote {units / unit.name}" in told
    assert "anew" in "\n".join(install(unit, units, tmp_path))


@pytest.mark.parametrize("program", ["systemd-analyze", "useradd", "systemctl"])
def test_what_fails_is_told_in_its_words(said: Path, tmp_path: Path, program: str) -> None:
    (tmp_path / f"fail-{program}").touch()
    with pytest.raises(AgentError, match=rf"`{program} .*` failed: no"):
        install(service(), tmp_path, tmp_path)
    assert (tmp_path / service().name).exists() == (program == "systemctl")


def test_only_root_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(AgentError, match="run this with sudo"):
        install(service())


def test_the_command_prints_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/tvm-farm/bin/python")
    for options in (["--print", "--farm", "lab"], ["--farm", "lab", "--print"]):
        ended = CliRunner().invoke(main, ["install-service", *options])
        assert ended.exit_code == 0, ended.output
        assert "ExecStart=/opt/tvm-farm/bin/python -m tvm_farm.agent start" in ended.output
        assert "--farm lab\n" in ended.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--state", "/tmp"], "leave out --state"),
        (["--nonsense"], "No such option"),
        (["--tracker", "farm:1", "--farm", "lab"], "leave out --farm"),
        (["stray"], "unexpected extra argument"),
    ],
)
def test_options_that_start_would_refuse_are_refused_now(options: list[str], said: str) -> None:
    ended = CliRunner().invoke(main, ["install-service", "--print", *options])
    assert ended.exit_code == 2
    assert said in ended.output


def test_nothing_is_done_where_systemd_does_not_run(said: Path, tmp_path: Path) -> None:
    units = tmp_path / "units"
    units.mkdir()
    with pytest.raises(AgentError, match=r"^systemd does not run here, as in a container: --print shows the unit"):
        install(service(), units, tmp_path / "run/systemd/system")
    assert (said.read_text(), list(units.iterdir())) == ("", [])
