"""The pages of the design: every room is told, and what the recipes name is where they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DESIGN = ROOT / "docs" / "design"
RECIPES = (DESIGN / "recipes.md").read_text()
ROWS = dict(re.findall(r"^\| (an? [^|]+) \| ([^|]+) \|", RECIPES, re.MULTILINE))
#: `path` (`Name`, `Name`)
FILE = re.compile(r"`((?:protos|agent|tracker)/[\w/.]+\.\w+)`(?: \(((?:`\w+`(?:, )?)+)\))?")


def test_every_folder_is_told() -> None:
    _, rest = (DESIGN / "architecture.md").read_text().split("\n## Folders\n")
    rows = re.findall(r"^\| (`[^|]+`) \|", rest.partition("\n## ")[0], re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w[\w-]+)/`", row)}
    made = {"build", "dist", "demo-package"}
    assert told == {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._"} - made


@pytest.mark.parametrize(("part", "modules"), [("tracker", {"app.py"}), ("agent", {"cli.py", "start.py"})])
def test_every_room_is_told(part: str, modules: set[str]) -> None:
    _, rest = (DESIGN / "architecture.md").read_text().split(f"\n## The {part}'s rooms\n")
    rows = re.findall(r"^\| (`[^|]+`) \|", rest.partition("\n## ")[0], re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([\w.]+)/?`", row)}
    folders = {path.parent.name for path in (ROOT / part).glob("*/__init__.py")}
    assert told == folders | modules


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
