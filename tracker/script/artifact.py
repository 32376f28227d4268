"""Files that builders hand to runners: a shared library, or the objects for one."""

from __future__ import annotations

import functools
import tarfile
import tempfile
from pathlib import Path

from tvm_farm.tracker.client.errors import BadInput
from tvm_farm.tracker.tuning.building.toolchain import LinkError, link

__all__ = ["library_of", "write_library"]


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tvm-farm-built-", ignore_cleanup_errors=True)


def write_library(library: bytes) -> str:
    """The path of a new file with ``library``, in a folder of its own, which MetaSchedule removes after use.

    What it leaves is removed with the process.
    """
    path = Path(tempfile.mkdtemp(dir=_folder().name), "kernel.so")
    path.write_bytes(library)
    return str(path)


def library_of(path: str) -> bytes:
    """The shared library that boards load: FarmBuilder's file as it is, LocalBuilder's archive of objects linked.

    Raises BadInput for a file of another builder, and OSError.
    """
    suffix = Path(path).suffix
    if suffix == ".so":
        return Path(path).read_bytes()
    if suffix != ".tar":
        raise BadInput(f"FarmRunner runs what FarmBuilder or LocalBuilder's default export built, not {path}.")
    with tempfile.TemporaryDirectory(prefix="tvm-farm-link-") as folder, tarfile.open(path) as archive:
        objects = []
        for number, member in enumerate(archive.getmembers()):
            content = archive.extractfile(member) if member.name.endswith(".o") else None
            if content is None:
                raise BadInput(f"FarmRunner cannot link {member.name} of {path}: boards take object files alone.")
            objects.append(Path(folder, f"{number}.o"))
            objects[-1].write_bytes(content.read())
        library = Path(folder, "kernel.so")
        try:
            link(library, objects)
        except LinkError as error:
            raise BadInput(f"{path}: {error}") from error
        return library.read_bytes()
