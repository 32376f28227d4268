"""tests/conftest.py: what CI makes of a skipped system test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.mark.system
@pytest.mark.skipif(True, reason="no emulator")
def test_marked(): pass

@pytest.mark.system
def test_in_words(): pytest.skip("no cable")

@pytest.mark.system
def test_that_runs(): pass

@pytest.mark.skipif(True, reason="another system")
def test_of_one_part(): pass
"""


@pytest.mark.parametrize(
    ("ci", "outcomes", "reasons"),
    [
        ("", "1 passed, 3 skipped", ["no emulator", "no cable"]),
        (
            "true",
            "1 failed, 1 passed, 1 skipped, 1 error",
            ["is a failure: no cable", "is a failure: no emulator"],
        ),
    ],
    ids=["by hand", "in CI"],
)
def test_a_skipped_system_test_fails_in_ci_and_says_why(
    tmp_path: Path, ci: str, outcomes: str, reasons: list[str]
) -> None:
    (tmp_path / "test_those.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = system\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-rs", str(tmp_path)],
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    print(done.stdout)
    assert outcomes in done.stdout
    for reason in reasons:
        assert reason in done.stdout
