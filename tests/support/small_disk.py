"""Disks of a few megabytes that fill up, become read-only, or fail, while the test goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType

__all__ = ["FailingDisk", "SmallDisk", "missing"]


def missing(failing: bool = False) -> str:
    """Why there can be no such disk here; "" where there can."""
    if os.geteuid() != 0:
        return "a small file system to fill needs the right to mount one"
    needed = ("losetup", "mkfs.ext4") if failing else ()
    if lacks := [program for program in needed if shutil.which(program) is None]:
        return f"{lacks[0]} is not installed (Debian: {'mount' if lacks[0] == 'losetup' else 'e2fsprogs'})"
    tried = ["losetup", "--find"] if failing else ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(tried, capture_output=True, check=False).returncode:
        return "this root may not mount, or has no loop device (a container without CAP_SYS_ADMIN?)"
    return ""


class SmallDisk:
    """``with SmallDisk(folder, megabytes) as disk``: a file system at ``folder``, in memory."""

    def __init__(self, folder: Path, megabytes: int = 3) -> None:
        self.folder = folder
        self._megabytes = megabytes
        self._ballast = folder / "ballast"

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir()
        self._mount()
        return self

    def _mount(self) -> None:
        _run("mount", "-t", "tmpfs", "-o", f"size={self._megabytes}m", "tmpfs", str(self.folder))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _run("umount", "--lazy", str(self.folder))

    def fill(self, leave: int = 0) -> None:
        """Until ``leave`` bytes are free."""
        room = os.statvfs(self.folder)
        with self._ballast.open("ab") as file:
            file.write(bytes(max(0, room.f_bavail * room.f_frsize - leave)))

    def free(self) -> None:
        """What ``fill`` took."""
        self._ballast.unlink()

    def set_read_only(self, read_only: bool) -> None:
        """Only while no file is open for writing."""
        _run("mount", "-o", f"remount,{'ro' if read_only else 'rw'}", str(self.folder))


class FailingDisk(SmallDisk):
    """An ext4 on a loop device, whose blocks behind the first few can be taken away: EIO, and no word before that.

    ``cut``: it begins with what has reached that other one, and no more, as after a power cut.
    """

    def __init__(self, folder: Path, megabytes: int = 16, cut: FailingDisk | None = None) -> None:
        super().__init__(folder, megabytes)
        self._cut = cut

    def _mount(self) -> None:
        self._image = self.folder.with_suffix(".img")
        self._size = self._megabytes << 20
        if self._cut is not None:
            shutil.copyfile(self._cut._image, self._image)
        else:
            with self._image.open("wb") as image:
                image.truncate(self._size)
            _run("mkfs.ext4", "-q", "-F", str(self._image))
        self._loop = _run("losetup", "--find", "--show", str(self._image)).strip()
        try:
            _run("mount", "-o", "errors=remount-ro", self._loop, str(self.folder))
        except BaseException:
            _run("losetup", "--detach", self._loop)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        _run("losetup", "--detach", self._loop)

    def find_fault(self) -> None:
        """The kernel finds the file system inconsistent: it is read-only from now on, whatever is open."""
        Path(f"/sys/fs/ext4/{Path(self._loop).name}/trigger_fs_error").write_text("a test")

    def set_failing(self, failing: bool) -> None:
        os.truncate(self._image, 300 << 10 if failing else self._size)
        _run("losetup", "--set-capacity", self._loop)


def _run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}: {ended.stderr}"
    return ended.stdout
