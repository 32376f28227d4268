"""Wheels of this project as it is, of other versions, and of agents that do not stand; and installations of them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tvm_farm.protos.discovery import PROTOCOL_VERSION

__all__ = ["METADATA", "SMALL", "built", "changed", "installed", "small"]

_ROOT = Path(__file__).parents[2]

METADATA = """\
Metadata-Version: 2.5
Name: tvm-farm
Version: 0.2.0
Requires-Python: >=3.10
Requires-Dist: click>=8.1
Requires-Dist: numpy; extra == 'tracker'

Requires-Dist: nothing
"""
SMALL: Mapping[str, str | None] = {
    "tvm_farm/__init__.py": "",
    "tvm_farm/agent/__init__.py": "",
    "tvm_farm/agent/cli.py": "def main(): ...\n",
    "tvm_farm/agent/upgrade/choice.py": "",
    "tvm_farm/protos/version.py": '"""Which."""\n__all__ = ["__version__"]\n__version__ = "0.2.0"\n',
    "tvm_farm/protos/discovery.py": f"#: Of the messages.\nPROTOCOL_VERSION = {PROTOCOL_VERSION}\n",
    "tvm_farm/tracker/app.py": "print('not for boards')\n",
    "tvm_farm-0.2.0.dist-info/METADATA": METADATA,
}


def built(folder: Path) -> Path:
    """The project's own wheel, as `make wheel` makes it."""
    _pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(_ROOT))
    [wheel] = folder.glob("tvm_farm-*.whl")
    return wheel


def installed(wheel: Path, folder: Path) -> Path:
    """``wheel`` without what it requires, which this Python has, under ``folder``."""
    _pip("install", "-q", "--no-deps", "--no-index", "--no-compile", "--target", str(folder), str(wheel))
    return folder


def changed(wheel: Path, folder: Path, version: str, *edits: tuple[str, str, str]) -> Path:
    """``wheel`` as one of ``version``, without the tracker. ``edits``: a file, what is replaced in it, and by what."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"tvm_farm-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        [info] = {name.partition("/")[0] for name in source.namelist() if ".dist-info/" in name}
        old = info.removesuffix(".dist-info").rpartition("-")[2]
        edits += (("METADATA", f"Version: {old}", f"Version: {version}"), ("tvm_farm/protos/version.py", old, version))
        assert {name for name, _, _ in edits} <= {name.removeprefix(f"{info}/") for name in source.namelist()}, edits
        for member in source.infolist():
            data = source.read(member)
            for name, before, after in edits:
                if name == member.filename.removeprefix(f"{info}/"):
                    assert before.encode() in data, f"{name} has no {before!r}"
                    data = data.replace(before.encode(), after.encode(), 1)
            member.filename = member.filename.replace(info, f"tvm_farm-{version}.dist-info")
            if not member.filename.startswith("tvm_farm/tracker/"):
                out.writestr(member, data)
    return target


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def small(path: Path, **changes: str | None) -> Path:
    """A wheel of SMALL, an agent only to look at; ``changes`` replace a file by name, None leaves it out."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**SMALL, **changes}.items():
            if text is not None:
                archive.writestr(name, text)
    return path
