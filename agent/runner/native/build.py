"""Builds the runner for every board: as hatchling's build hook, or by hand with ``python build.py [ARCH …]``.

One compiler, ``ziglang``, makes all of them on any host, so the wheel that carries them is for any platform.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # by hand: hatchling is in a build's own environment, seldom in a developer's
    BuildHookInterface = object

__all__ = ["TARGETS", "RunnerBuildHook", "build"]

HERE = Path(__file__).resolve().parent
PROGRAM = "tvm-farm-runner"
#: The tiny kernel by which `agent doctor` shows that kernels run: a board has no compiler to make one.
PROBE = "probe-kernel.so"

#: The names that ``platform.machine()`` gives, and what zig calls them. glibc 2.28 is Debian 10's; riscv64 began later.
TARGETS = {
    "x86_64": ("x86_64-linux-gnu.2.28",),
    "aarch64": ("aarch64-linux-gnu.2.28",),
    "armv7l": ("arm-linux-gnueabihf.2.28",),
    "riscv64": ("riscv64-linux-gnu",),
}

_FLAGS = ("-std=gnu11", "-O2", "-s", "-Wall", "-Wextra", "-Werror")
# Kernels import functions of libm without naming it, and two of the runner's own: all must be there to be found.
_LINK = ("-rdynamic", "-Wl,--no-as-needed", "-lm", "-ldl", "-lpthread")
_PROBE_LINK = ("-shared", "-fPIC", "-nostdlib")


class RunnerBuildHook(BuildHookInterface):  # type: ignore[misc]  # it bears no types
    """Puts the programs into a wheel; an editable install runs them where they were built."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        programs = build()
        if version == "editable":
            return
        for arch, program in programs.items():
            for product in (program, program.with_name(PROBE)):
                build_data["force_include"][str(product)] = f"tvm_farm/agent/runner/native/bin/{arch}/{product.name}"


def build(arches: tuple[str, ...] = tuple(TARGETS)) -> dict[str, Path]:
    """The program of each architecture, made anew only where its sources, flags or compiler have changed.

    Raises subprocess.CalledProcessError with the compiler's words on standard error.
    """
    with ThreadPoolExecutor() as pool:
        return dict(zip(arches, pool.map(_build_one, arches), strict=True))


def _build_one(arch: str) -> Path:
    folder = HERE / "bin" / arch
    _make(folder / PROBE, arch, [HERE / "probe" / "kernel.c"], _PROBE_LINK)
    return _make(folder / PROGRAM, arch, sorted(HERE.glob("*.c")), _LINK)


def _make(product: Path, arch: str, sources: list[Path], link: tuple[str, ...]) -> Path:
    stamp = product.with_name(f"{product.name}.built-from")
    command = [
        *(sys.executable, "-m", "ziglang", "cc", "-target", *TARGETS[arch], *_FLAGS),
        f"-I{_headers()}",
        *(str(path.relative_to(HERE)) for path in sources),
        *link,
    ]
    digest = _digest(command[1:], sources)
    if product.is_file() and stamp.is_file() and stamp.read_text() == digest:
        return product
    product.parent.mkdir(parents=True, exist_ok=True)
    unfinished = product.with_name(f"{product.name}.new")
    subprocess.run([*command, "-o", str(unfinished)], cwd=HERE, check=True)
    unfinished.replace(product)
    stamp.write_text(digest)
    return product


def _headers() -> Path:
    spec = importlib.util.find_spec("tvm_ffi")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("building the runner needs TVM's C headers: install apache-tvm-ffi")
    return Path(spec.submodule_search_locations[0], "include")


def _digest(command: list[str], sources: list[Path]) -> str:
    """Of all that decides what is built, but for where this Python's packages happen to lie."""
    found = hashlib.sha256()
    for distribution in ("ziglang", "apache-tvm-ffi"):
        found.update(importlib.metadata.version(distribution).encode())
    found.update("\0".join(part for part in command if not part.startswith("-I")).encode())
    for path in sorted([*sources, *HERE.glob("*.h")]):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(TARGETS)
    if unknown:
        raise SystemExit(f"no such architecture: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    for built in build(tuple(sys.argv[1:]) or tuple(TARGETS)).values():
        print(f"{built} ({built.stat().st_size} bytes)")
