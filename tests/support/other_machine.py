"""Another machine as far as an agent can tell: its own boot and CPU serial, in a mount namespace of this host."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from pathlib import Path

__all__ = ["MISSING", "other_machine"]

_BOOT, _CPUINFO = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/cpuinfo")


def _missing() -> str:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "only root may put files of another machine over those of /proc (with unshare, of util-linux)"
    tried = ["unshare", "--mount", "mount", "--bind", "/proc/version", str(_BOOT)]
    if subprocess.run(tried, capture_output=True, check=False).returncode:
        return "this root may not mount (a container without CAP_SYS_ADMIN?)"
    return ""


#: Why there can be none here, "" where there can.
MISSING = _missing()


def other_machine(folder: Path, serial: str) -> list[str]:
    """What to put before a command line for it to run on a machine of this ``serial``, booted now."""
    folder.mkdir()
    (folder / "boot_id").write_text(f"{uuid.uuid4()}\n")
    (folder / "cpuinfo").write_text(f"{_CPUINFO.read_text()}\nSerial\t\t: {serial}\n")
    mounts = f"mount --bind {folder}/boot_id {_BOOT} && mount --bind {folder}/cpuinfo {_CPUINFO}"
    return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
