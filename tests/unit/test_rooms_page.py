"""The page of the rooms: every room is on it, and what its recipes name is where they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "tracker" / "README.md").read_text()
ROWS = dict(re.findall(r"^\| (an? [^|]+) \| ([^|]+) \|", PAGE, re.MULTILINE))
#: `path` (`Name`, `Name`)
FILE = re.compile(r"`((?:protos|agent|tracker)/[\w/.]+\.\w+)`(?: \(((?:`\w+`(?:, )?)+)\))?")


def test_every_room_is_told() -> None:
    told = set(re.findall(r"^\| `([\w.]+)/?` \|", PAGE, re.MULTILINE))
    folders = {path.parent.name for path in (ROOT / "tracker").glob("*/__init__.py")}
    assert told == folders | {"app.py"}


@pytest.mark.parametrize("change", ROWS)
def test_a_recipe_names_what_there_is(change: str) -> None:
    named = [(path, names) for path, names in FILE.findall(ROWS[change]) if "NAME" not in path]
    assert named or "`base.py`" in ROWS[change]
    for path, names in named:
        source = (ROOT / path).read_text()
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^(?:class |def |enum |message )?{name}\b", source, re.MULTILINE), f"{name} in {path}"


def test_the_changes_that_people_make_are_there() -> None:
    assert len(ROWS) == 8
