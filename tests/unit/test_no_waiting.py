"""Unit tests wait for nothing: a clock is given, an event is awaited, a process that lasts is tests/integration's."""

from __future__ import annotations

import re
from pathlib import Path

UNIT = Path(__file__).parent


def test_no_unit_test_sleeps() -> None:
    files = [path for path in UNIT.rglob("*.py") if path != Path(__file__)]
    assert len(files) > 100
    found = [
        f"{path.relative_to(UNIT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\b(sleep\((?!0\))|wait_until\()", line)
    ]
    assert found == []
