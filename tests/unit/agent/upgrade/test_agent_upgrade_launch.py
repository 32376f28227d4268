"""What a process becomes: the commands that it would be replaced by, which nobody runs here."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tvm_farm.agent.errors import StateInUseError, UpgradeError
from tvm_farm.agent.files.state_folder import open_state
from tvm_farm.agent.upgrade import launch as module
from tvm_farm.agent.upgrade.choice import Choice, ChoiceFile
from tvm_farm.agent.upgrade.folder import code_folder, write_digest
from tvm_farm.agent.upgrade.launch import farm_before, installation, launch, launched_digest, remember_farm, restart
from tvm_farm.protos.version import __version__

DIGEST, BEFORE = "a" * 64, "b" * 64
CHOSEN = Choice(
    DIGEST, "9.9", trial=True, previous=BEFORE, previous_version="9.8", upgrade_id="u1", installed=installation()
)


class Become(Exception):
    """What execv would do, and with which environment."""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with two versions in it, of a process that is to end as Become."""

    def execv(program: str, arguments: list[str]) -> None:
        raise Become(program, arguments, {key: value for key, value in os.environ.items() if "LAUNCHED" in key})

    monkeypatch.setattr(module.os, "execv", execv)
    monkeypatch.setattr(sys, "orig_argv", ["python3", "-m", "tvm_farm.agent", "start", "--name", "pi"])
    for name in ("TVMFARM_AGENT_LAUNCHED", "TVMFARM_AGENT_LAUNCHED_BY", "TVMFARM_AGENT_FARM_BEFORE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for digest in (DIGEST, BEFORE):
        (code_folder(tmp_path) / digest / "agent").mkdir(parents=True)
        (code_folder(tmp_path) / digest / "agent" / "cli.py").touch()
        write_digest(code_folder(tmp_path) / digest)
    return tmp_path


def choose(state: Path, choice: Choice) -> ChoiceFile:
    file = ChoiceFile(code_folder(state))
    file.update(lambda _: choice)
    return file


def launched(state: Path) -> str:
    """The digest of what is launched; "" where launch returns, and the installed one goes on."""
    try:
        launch(state, ["start", "--name", "pi"])
    except Become as become:
        program, arguments, environ = become.args
        assert program == arguments[0] == sys.executable
        assert Path(arguments[1]) == Path(module.__file__).with_name("launched.py")
        assert arguments[3:] == ["start", "--name", "pi"]
        folder = Path(arguments[2])
        assert folder.parent == code_folder(state)
        assert environ["TVMFARM_AGENT_LAUNCHED"] == folder.name
        back = [sys.executable, "-m", "tvm_farm.agent", "start", "--name", "pi"]
        assert json.loads(environ["TVMFARM_AGENT_LAUNCHED_BY"]) == back
        return folder.name
    return ""


def test_nothing_is_chosen(state: Path, tmp_path: Path) -> None:
    assert launched(state) == ""
    assert launched(tmp_path / "new") == ""
    assert not (tmp_path / "new").exists()


def test_one_on_trial_is_counted(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = choose(state, CHOSEN)
    assert launched(state) == DIGEST
    assert file.read().starts == 1
    assert launched_digest() == DIGEST
    assert launched(state) == ""  # what was launched launches nothing
    with pytest.raises(Become) as become:
        restart()
    assert become.value.args == (sys.executable, [sys.executable, "-m", "tvm_farm.agent", "start", "--name", "pi"], {})


def test_one_start_too_many(state: Path) -> None:
    file = choose(state, Choice(**{**vars(CHOSEN), "starts": 3}))
    assert launched(state) == BEFORE
    assert file.read().failure == "it ended 3 times before it joined, without a word"


def test_damaged_files_are_not_run(state: Path) -> None:
    file = choose(state, CHOSEN)
    (code_folder(state) / DIGEST / "agent" / "cli.py").write_text("half")
    assert launched(state) == BEFORE
    (code_folder(state) / BEFORE / "agent" / "cli.py").unlink()
    for name in ("TVMFARM_AGENT_LAUNCHED", "TVMFARM_AGENT_LAUNCHED_BY"):
        del os.environ[name]
    assert launched(state) == ""
    assert (file.read().digest, file.read().failure) == ("", "its files on this board are damaged")


def test_another_one_that_was_installed_runs(state: Path) -> None:
    file = choose(state, Choice(**{**vars(CHOSEN), "installed": "0.0.1"}))
    assert launched(state) == ""
    assert file.read() == Choice()


def test_which_agent_is_installed(tmp_path: Path) -> None:
    """The version alone where no installer has written; else another one after every installation."""
    assert installation(tmp_path) == __version__
    record = tmp_path / f"tvm_farm-{__version__}.dist-info" / "RECORD"
    record.parent.mkdir()
    told = []
    for content, at_ns in (("a", 1), ("b", 1), ("b", 2)):
        record.write_text(content)
        os.utime(record, ns=(at_ns, at_ns))
        told.append(installation(tmp_path))
        assert told[-1] == installation(tmp_path)
    assert len(set(told)) == len(told)
    assert all(each.split()[0] == __version__ for each in told)


def test_another_agent_with_the_folder_is_not_counted(state: Path) -> None:
    file = choose(state, CHOSEN)
    with open_state(state), pytest.raises(StateInUseError):
        launch(state, [])
    assert file.read() == CHOSEN


def test_a_folder_that_cannot_be_written(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(state, CHOSEN)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ChoiceFile, "update", full)
    assert launched(state) == ""


def test_a_program_that_cannot_be_started(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = choose(state, CHOSEN)

    def execv(program: str, arguments: list[str]) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.os, "execv", execv)
    assert launched(state) == ""
    assert launched_digest() == ""
    said = f"{sys.executable} cannot be started again: Permission denied"
    assert (file.read().digest, file.read().failure) == (BEFORE, said)
    with pytest.raises(UpgradeError, match="cannot be started again"):
        restart()


def test_the_farm_before(state: Path) -> None:
    assert farm_before() == ""
    remember_farm("lab")
    with pytest.raises(Become):
        restart()
    assert farm_before() == "lab"
