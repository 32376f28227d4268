"""The layers, held by import-linter: ``[tool.importlinter]`` in pyproject.toml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )


def test_no_import_breaks_a_rule() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert ", 0 broken." in done.stdout


def test_a_wrong_import_is_named(tmp_path: Path) -> None:
    for name in ("agent", "tracker", "protos", "tvm_farm", "emulation", "website"):
        shutil.copytree(
            ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("bin", "__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "agent" / "clock.py").open("a") as file:
        file.write("\nfrom tvm_farm.tracker import app\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout
    assert "agent and tracker share only tvm_farm.protos BROKEN" in done.stdout
    assert "tvm_farm.agent.clock -> tvm_farm.tracker.app" in done.stdout
