"""Wheels of an agent, and what only looks like one: each is refused in a clause before anything of it is used."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import pytest

from tests.support.agent_wheels import METADATA, SMALL, small
from tvm_farm.protos import wheel as module
from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.protos.wheel import AgentWheel, read_agent_wheel, unpack_agent_wheel

SOUND = AgentWheel("0.2.0", PROTOCOL_VERSION, ("click>=8.1", "numpy; extra == 'tracker'"), ">=3.10")


def add(path: Path, name: str, data: bytes = b"x", mode: int = 0) -> Path:
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, data)
    return path


def test_a_sound_one(tmp_path: Path) -> None:
    path = small(tmp_path / "w.whl")
    add(path, "tvm_farm/agent/runner", b"\x7fELF", stat.S_IFREG | 0o755)
    add(path, "tvm_farm/agent/more/", b"", stat.S_IFDIR | 0o777)
    assert read_agent_wheel(path) == SOUND
    assert unpack_agent_wheel(path, tmp_path / "code") == SOUND
    unpacked = {p.relative_to(tmp_path / "code").as_posix() for p in (tmp_path / "code").rglob("*") if p.is_file()}
    assert unpacked == {"tvm_farm/agent/runner", *(name for name in SMALL if not name.startswith("tvm_farm/tracker/"))}
    assert (tmp_path / "code" / "tvm_farm/protos/version.py").read_text() == SMALL["tvm_farm/protos/version.py"]
    modes = {
        name: stat.S_IMODE((tmp_path / "code" / name).stat().st_mode)
        for name in ("tvm_farm/agent/runner", "tvm_farm/agent/cli.py")
    }
    assert modes == {"tvm_farm/agent/runner": 0o755, "tvm_farm/agent/cli.py": 0o644}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tvm_farm-0.2.0.dist-info/METADATA": None}, "it has not one METADATA"),
        ({"other-1.0.dist-info/METADATA": METADATA}, "it has not one METADATA"),
        (
            {"tvm_farm-0.2.0.dist-info/METADATA": METADATA.replace("tvm-farm", "numpy")},
            "it is a wheel of numpy and not of tvm-farm",
        ),
        (
            {"tvm_farm/agent/cli.py": None},
            "it has no tvm_farm/agent/cli.py: tvm-farm 0.2.0 cannot be an upgrade by the farm",
        ),
        ({"tvm_farm/agent/upgrade/choice.py": None}, "it has no tvm_farm/agent/upgrade/choice.py"),
        (
            {"tvm_farm/protos/version.py": '__version__ = "0.3.0"\n'},
            "its METADATA says version 0.2.0 and its code 0.3.0",
        ),
        ({"tvm_farm/protos/version.py": "__version__ = open('/etc/passwd')\n"}, "says version 0.2.0 and its code None"),
        ({"tvm_farm/protos/discovery.py": "PROTOCOL_VERSION = 'two'\n"}, "it says no protocol version"),
        ({"tvm_farm/protos/discovery.py": "PROTOCOL_VERSION = True\n"}, "it says no protocol version"),
        ({"tvm_farm/protos/discovery.py": "PROTOCOL_VERSION = -1\n"}, "it says no protocol version"),
        ({"tvm_farm/protos/discovery.py": f"PROTOCOL_VERSION = 0x{'f' * 20000}\n"}, "it says no protocol version"),
        ({"tvm_farm/protos/discovery.py": "PROTOCOL_VERSION = (\n"}, "it is damaged"),
        ({"tvm_farm/protos/discovery.py": "x" * (1 << 20) + "x"}, "its tvm_farm/protos/discovery.py is too large"),
        ({"tvm_farm-0.2.0.dist-info/METADATA": METADATA.replace("0.2.0", "../0.2.0")}, "which is none"),
    ],
)
def test_what_it_says_of_itself(changes: dict[str, str | None], said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        read_agent_wheel(small(tmp_path / "w.whl", **changes))


@pytest.mark.parametrize(
    ("name", "mode", "said"),
    [
        ("/etc/cron.d/x", 0, "a name that leads out of its folder"),
        ("tvm_farm/agent/../../x", 0, "a name that leads out of its folder"),
        ("..", 0, "a name that leads out of its folder"),
        ("agent//x", 0, "a name that leads out of its folder"),
        ("./tvm_farm/agent/x", 0, "a name that leads out of its folder"),
        ("agent\\x", 0, "no name of a file"),
        ("agent/x\n", 0, "no name of a file"),
        ("agent/x\0.py", 0, "no name of a file"),
        ("tvm_farm/agent/link", stat.S_IFLNK | 0o777, "a link or a device"),
        ("tvm_farm/agent/pipe", stat.S_IFIFO | 0o600, "a link or a device"),
        ("tvm_farm/agent/zero", stat.S_IFCHR | 0o600, "a link or a device"),
        ("tvm_farm/agent/cli.py", 0, "there twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_lead_elsewhere(name: str, mode: int, said: str, tmp_path: Path) -> None:
    path = add(small(tmp_path / "w.whl"), name.replace("\0", "N"), mode=mode)
    if "\0" in name:
        path.write_bytes(path.read_bytes().replace(name.replace("\0", "N").encode(), name.encode()))
    with pytest.raises(ValueError, match=said):
        unpack_agent_wheel(path, tmp_path / "code")
    assert not (tmp_path / "code").exists()


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = add(small(tmp_path / "w.whl"), "tvm_farm/agent/zeros", b"")
    with zipfile.ZipFile(tmp_path / "w.whl", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tvm_farm/agent/many", bytes(65 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ValueError, match=r"it has 65\.0 MiB unpacked, and a wheel of the agent at most 64\.0 MiB"):
        read_agent_wheel(path)
    monkeypatch.setattr(module, "_MAX_FILES", 5)
    with pytest.raises(ValueError, match="entries, and a wheel of the agent at most 5"):
        read_agent_wheel(path)
    monkeypatch.setattr(module, "MAX_WHEEL_BYTES", 1000)
    with pytest.raises(ValueError, match="and a wheel of the agent at most"):
        read_agent_wheel(path)


def test_bytes_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "w.whl"
    with pytest.raises(FileNotFoundError):
        read_agent_wheel(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="it is no wheel"):
        read_agent_wheel(path)
    whole = small(path, **{"tvm_farm/agent/noise": os.urandom(4096).hex()}).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="it is no wheel"):
        read_agent_wheel(path)
    place = whole.index(b"tvm_farm/agent/noise") + 1000
    path.write_bytes(whole[:place] + bytes(8) + whole[place + 8 :])
    with pytest.raises(ValueError, match="it is damaged"):
        read_agent_wheel(path)


def test_every_byte_may_be_wrong(tmp_path: Path) -> None:
    """Whatever is in the place of a byte, it is read as it was, or refused by a ValueError and nothing else."""
    path = small(tmp_path / "w.whl")
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            found = read_agent_wheel(path)
        except ValueError:
            continue
        assert found == SOUND
