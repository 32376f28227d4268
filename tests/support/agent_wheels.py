"""Wheels of this project as it is, of other versions, and of agents that do not stand; and installations of them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["built", "changed", "installed"]

_ROOT = Path(__file__).parents[2]


def built(folder: Path) -> Path:
    """The project's own wheel, as `make wheel` makes it."""
    _pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(_ROOT))
    [wheel] = folder.glob("tvm_farm-*.whl")
    return wheel


def installed(wheel: Path, folder: Path) -> Path:
    """``wheel`` without what it requires, which this Python has, under ``folder``."""
    _pip("install", "-q", "--no-deps", "--no-index", "--no-compile", "--target", str(folder), str(wheel))
    return folder


def changed(
    wheel: Path,
    folder: Path,
    version: str,
    texts: Mapping[str, tuple[str, str]] | None = None,
    more: Mapping[str, bytes] | None = None,
) -> Path:
    """``wheel`` as one of ``version``. ``texts``: what is to be replaced in a file, and by what; ``more`` files."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"tvm_farm-{version}-py3-none-any.whl"
    wanted = dict(texts or {})
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        [info] = {name.partition("/")[0] for name in source.namelist() if ".dist-info/" in name}
        old = info.removesuffix(".dist-info").rpartition("-")[2]
        for name in ("METADATA", "protos/version.py"):
            wanted.setdefault(name, (old, version))
        for member in source.infolist():
            data = source.read(member)
            key = member.filename.removeprefix(f"{info}/")
            if key in wanted:
                before, after = (text.encode() for text in wanted.pop(key))
                assert before in data, f"{key} has no {before!r}"
                data = data.replace(before, after, 1)
            member.filename = member.filename.replace(info, f"tvm_farm-{version}.dist-info")
            out.writestr(member, data)
        for name, data in (more or {}).items():
            out.writestr(name, data)
    assert not wanted, f"the wheel has no {', '.join(wanted)}"
    return target


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
