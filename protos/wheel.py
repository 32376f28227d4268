"""A wheel of this project, judged before any of it is used: by the tracker that takes it in, by the board that runs it.

What a wheel is: packaging.python.org, "Binary distribution format". The modules that read one are imported by the call:
a board needs them once in its life, and ``email`` alone is 3 MB.
"""

from __future__ import annotations

import ast
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_farm.protos import quantities

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

__all__ = ["MAX_WHEEL_BYTES", "AgentWheel", "read_agent_wheel", "unpack_agent_wheel"]

#: The project's own is of 1 MB, unpacked of 3 MB in 500 files.
MAX_WHEEL_BYTES = 32 << 20
_MAX_UNPACKED_BYTES = 64 << 20
_MAX_FILES = 4000
_MAX_TEXT_BYTES = 1 << 20
#: As many as a Join can tell of: it has 32 bits for it.
_PROTOCOL_VERSIONS = 1 << 32
#: What the start of an agent, and its upgrade, are in any version that can be one.
_VERSION, _DISCOVERY = "tvm_farm/protos/version.py", "tvm_farm/protos/discovery.py"
_NEEDED = (
    "tvm_farm/__init__.py",
    "tvm_farm/agent/__init__.py",
    "tvm_farm/agent/cli.py",
    "tvm_farm/agent/upgrade/choice.py",
    _VERSION,
    _DISCOVERY,
)


@dataclass(frozen=True)
class AgentWheel:
    """What a wheel says of itself. ``requires``: its Requires-Dist, ``python``: its Requires-Python."""

    version: str
    protocol_version: int
    requires: tuple[str, ...]
    python: str


def read_agent_wheel(path: Path) -> AgentWheel:
    """What the wheel at ``path`` is, once all of it was read and found sound.

    Raises ValueError, a clause that says what is wrong with it: no wheel, damaged, of another project, too large, with
    names that lead out of its folder. Raises OSError where it cannot be read.
    """
    with _opened(path) as archive:
        return _read(archive)


def unpack_agent_wheel(path: Path, folder: Path) -> AgentWheel:
    """Write what a board needs of it under ``folder``, which is new: all but the tracker.

    Raises as ``read_agent_wheel``, before it writes any.
    """
    with _opened(path) as archive:
        wheel = _read(archive)
        for member in archive.infolist():
            if member.filename.startswith("tvm_farm/tracker/"):
                continue
            target = folder / member.filename
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))
            # Whom the files are for, the user of the agent alone decides: of the modes in it only this one counts.
            target.chmod(0o755 if member.external_attr >> 16 & stat.S_IXUSR else 0o644)
        return wheel


def _opened(path: Path) -> ZipFile:
    from zipfile import ZipFile

    if (size := path.stat().st_size) > MAX_WHEEL_BYTES:
        raise ValueError(
            f"it has {quantities.size(size)}, and a wheel of the agent at most {quantities.size(MAX_WHEEL_BYTES)}"
        )
    try:
        return ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - zipfile raises many kinds for bytes that are damaged
        raise ValueError(f"it is no wheel ({error})") from None


def _read(archive: ZipFile) -> AgentWheel:
    members = archive.infolist()
    _check_sizes(members)
    names: set[str] = set()
    for member in members:
        if (found := _unwanted(member)) or member.filename in names:
            raise ValueError(f"its entry {member.filename[:80]!r} is {found or 'there twice'}")
        names.add(member.filename)
    infos = [name for name in names if name.count("/") == 1 and name.endswith(".dist-info/METADATA")]
    if len(infos) != 1:
        raise ValueError("it is no wheel: it has not one METADATA")
    try:
        about = _about(_text(archive, infos[0]))
        if about.project != "tvm-farm":
            raise ValueError(f"it is a wheel of {about.project[:80] or 'nothing'} and not of tvm-farm")
        if missing := [name for name in _NEEDED if name not in names]:
            raise ValueError(f"it has no {missing[0]}: tvm-farm {about.version[:40]} cannot be an upgrade by the farm")
        version = _assigned(_text(archive, _VERSION), "__version__")
        protocol = _assigned(_text(archive, _DISCOVERY), "PROTOCOL_VERSION")
        if damaged := archive.testzip():
            raise ValueError(f"it is damaged at {damaged}: build or fetch it again")
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001 - zipfile and zlib raise many kinds for bytes that are damaged
        raise ValueError(f"it is damaged ({error}): build or fetch it again") from None
    if not re.fullmatch(r"\d+(\.\d+)+[\w.+-]{0,40}", about.version):
        raise ValueError(f"its METADATA says version {about.version[:40]!r}, which is none")
    if version != about.version:
        raise ValueError(f"its METADATA says version {about.version[:40]} and its code {str(version)[:40]}")
    if type(protocol) is not int or not 0 < protocol < _PROTOCOL_VERSIONS:
        raise ValueError("it says no protocol version")
    return AgentWheel(about.version, protocol, about.requires, about.python)


def _check_sizes(members: list[ZipInfo]) -> None:
    if len(members) > _MAX_FILES:
        raise ValueError(f"it has {len(members)} entries, and a wheel of the agent at most {_MAX_FILES}")
    unpacked = sum(member.file_size for member in members)
    if unpacked > _MAX_UNPACKED_BYTES:
        raise ValueError(
            f"it has {quantities.size(unpacked)} unpacked, and a wheel of the agent at most "
            f"{quantities.size(_MAX_UNPACKED_BYTES)}"
        )


def _unwanted(member: ZipInfo) -> str:
    """What keeps an entry from being a file or folder below the wheel's own; "" where nothing does."""
    name = member.filename
    if name != member.orig_filename or "\\" in name or not name.isprintable():
        return "no name of a file"
    if name.startswith("/") or any(part in ("", ".", "..") for part in name.removesuffix("/").split("/")):
        return "a name that leads out of its folder"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR and not member.is_dir()):
        return "a link or a device"
    return "encrypted" if member.flag_bits & 1 else ""


@dataclass(frozen=True)
class _About:
    project: str
    version: str
    requires: tuple[str, ...]
    python: str


def _about(metadata: str) -> _About:
    import email

    read = email.message_from_string(metadata.partition("\n\n")[0])
    requires = tuple(str(each) for each in read.get_all("Requires-Dist", []))
    project = str(read["Name"] or "").lower().replace("_", "-")
    return _About(project, str(read["Version"] or ""), requires, str(read["Requires-Python"] or ""))


def _text(archive: ZipFile, name: str) -> str:
    if archive.getinfo(name).file_size > _MAX_TEXT_BYTES:
        raise ValueError(f"its {name} is too large")
    return archive.read(name).decode()


def _assigned(source: str, name: str) -> object:
    """The constant that a module's source assigns to ``name``, which nobody runs for it; None where it does not."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return node.value.value if isinstance(node.value, ast.Constant) else None
    return None
