"""The file of ``farm use``, and what goes before it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tvm_farm.tracker.client.connection import Connection, ScriptConnection
from tvm_farm.tracker.client.contexts import Context, Contexts
from tvm_farm.tracker.client.errors import BadInput, FarmError

LAB = Context("lab-server:9195", "", "10.0.0.2")
HALL = Context(farm="hall")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "tvm-farm" / "contexts.json"


def test_what_is_saved_is_read(path: Path) -> None:
    assert Contexts.load() == Contexts()
    kept = Contexts({"lab": LAB, "hall": HALL}, "hall")
    kept.save()
    assert Contexts.load() == kept
    assert os.listdir(path.parent) == ["contexts.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_user_without_a_home_has_no_contexts_and_is_told_where_they_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert Contexts.load() == Contexts()
    with pytest.raises(FarmError, match="this user has no home folder: set HOME, or XDG_CONFIG_HOME"):
        Contexts({"lab": LAB}, "lab").save()


def test_what_a_later_version_wrote_is_kept(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"current": "lab", "contexts": {"lab": {"tracker": "lab", "token": "secret"}}}')
    contexts = Contexts.load()
    assert contexts.named["lab"].tracker == "lab:9195"
    contexts.save()
    assert json.loads(path.read_text())["contexts"]["lab"]["token"] == "secret"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        pytest.param("[" * 100_000, "maximum recursion depth", id="nested without end"),
        ("[]", 'it is no object with "contexts"'),
        ('{"contexts": []}', 'it is no object with "contexts"'),
        ('{"contexts": {"lab": 3}}', "context lab is no object"),
        ('{"contexts": {"lab": {"farm": 3}}}', '"farm" of context lab is no text'),
        ('{"contexts": {"lab": {"tracker": "http://lab"}}}', "context lab: 'http://lab' is not an address"),
        ('{"current": "lab"}', '"current" is "lab", which is none of its contexts'),
        ('{"current": ["lab"], "contexts": {}}', '"current" is ["lab"], which is none of its contexts'),
        (b"\xff", "'utf-8' codec can't decode"),
    ],
)
def test_a_broken_file_is_one_sentence(path: Path, text: str | bytes, why: str) -> None:
    path.parent.mkdir()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput) as raised:
        Contexts.load()
    assert str(raised.value).startswith(f"{path} cannot be read ({why}")
    assert "farm use" in str(raised.value)


def test_a_file_without_end_is_one_sentence(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("[" * 100_000)
    with pytest.raises(BadInput, match="maximum recursion depth exceeded"):
        Contexts.load()


def test_a_folder_that_takes_no_file_is_one_sentence(path: Path) -> None:
    path.parent.write_text("no folder")
    with pytest.raises(FarmError, match="cannot be written"):
        Contexts().save()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (Connection(), Connection("lab-server:9195", None, "10.0.0.2", "lab")),
        (Connection(interface="10.0.0.9"), Connection("lab-server:9195", None, "10.0.0.9", "lab")),
        (Connection("other:1"), Connection("other:1")),
        (Connection(farm="hall"), Connection(farm="hall")),
    ],
)
def test_whoever_names_a_tracker_or_a_farm_goes_before_the_context(
    path: Path, given: Connection, found: Connection
) -> None:
    Contexts({"lab": LAB}, "lab").save()
    assert given.or_current() == found


def test_without_a_current_context_nothing_is_added(path: Path) -> None:
    Contexts({"lab": LAB}).save()
    assert Connection().or_current() == Connection()


def test_a_script_may_name_a_context(path: Path) -> None:
    Contexts({"lab": LAB, "hall": HALL}, "hall").save()
    assert ScriptConnection.to("lab") == ScriptConnection("lab-server:9195", None, "10.0.0.2")
    assert ScriptConnection.to("cellar") == ScriptConnection(farm="cellar")
    assert ScriptConnection.to(None).or_current() == ScriptConnection(farm="hall", context="hall")
