"""From object files to a shared library for any target, on this host, with no compiler installed.

``ziglang`` carries LLD and so links for every architecture that LLVM knows; ``ld.lld -shared``
takes about 20 ms where a compiler driver takes seconds.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import ziglang

__all__ = ["LinkError", "link"]

_ZIG = Path(ziglang.__file__).parent / "zig"


class LinkError(Exception):
    """The linker refused: its own message."""


def link(library: Path, objects: Sequence[Path]) -> None:
    """Write the shared ``library`` from ``objects``, which name their architecture themselves.

    Undefined symbols stay undefined: whoever loads the library (TVM's runtime, the runner)
    provides them. Raises LinkError, and OSError where it is this host that cannot link.
    """
    command = [_ZIG, "ld.lld", "-shared", "--strip-debug", "-o", library, *objects]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode < 0:
        raise OSError(f"the linker died of signal {-done.returncode}")
    if done.returncode != 0:
        raise LinkError(f"linking {library.name} failed: {done.stderr.strip() or f'exit status {done.returncode}'}")
