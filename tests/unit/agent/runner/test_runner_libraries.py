"""Where the runner and TVM's runtime are looked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tvm_farm.agent.runner import RunnerError, RuntimeLibraries, find_runner, find_runtime
from tvm_farm.agent.runner.libraries import runner_arch


@pytest.mark.parametrize(
    ("machine", "pointer_bytes", "arch"),
    [
        ("x86_64", 8, "x86_64"),
        ("AMD64", 8, "x86_64"),
        ("aarch64", 8, "aarch64"),
        ("arm64", 8, "aarch64"),
        ("aarch64", 4, "armv7l"),
        ("armv8l", 4, "armv7l"),
        ("armv7l", 4, "armv7l"),
        ("riscv64", 8, "riscv64"),
    ],
)
def test_the_runner_of_a_machine(machine: str, pointer_bytes: int, arch: str) -> None:
    assert runner_arch(machine, pointer_bytes) == arch


@pytest.mark.parametrize("arch", ["x86_64", "aarch64", "armv7l", "riscv64"])
def test_every_board_has_its_runner(arch: str) -> None:
    program = find_runner(arch).read_bytes()
    machine = {"x86_64": 62, "aarch64": 183, "armv7l": 40, "riscv64": 243}[arch]
    assert program[:4] == b"\x7fELF"
    assert int.from_bytes(program[18:20], "little") == machine
    assert 10_000 < len(program) < 65_536


def test_a_board_without_a_runner_is_told_which_there_are() -> None:
    with pytest.raises(RunnerError, match=r"no runner for sparc64: .* aarch64, armv7l, riscv64, x86_64"):
        find_runner("sparc64")


def test_a_folder_with_the_runtime(tmp_path: Path) -> None:
    assert find_runtime(tmp_path) is None
    ffi, runtime = tmp_path / "libtvm_ffi.so", tmp_path / "libtvm_runtime.so"
    ffi.touch()
    assert find_runtime(tmp_path) is None
    runtime.touch()
    assert find_runtime(tmp_path) == RuntimeLibraries(ffi, runtime)
    extra = tmp_path / "libtvm_runtime_extra.so"
    extra.touch()
    assert find_runtime(tmp_path) == RuntimeLibraries(ffi, runtime, extra)


def test_the_installed_runtime_is_found_without_importing_it() -> None:
    imported = set(sys.modules)
    found = find_runtime()
    assert found is not None
    assert found.ffi.is_file()
    assert found.runtime.is_file()
    assert (found.tvm_version, found.tvm_ffi_version) == ("0.27.0.post1", "0.1.14.post1")
    assert not {name for name in set(sys.modules) - imported if name.split(".")[0] in {"tvm", "tvm_ffi"}}
