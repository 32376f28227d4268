"""The pages of the repository: what they link to is there, and the site has all of them."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import pytest

from tvm_farm.protos.version import __version__
from website.commands import commands_page, settings_page
from website.markdown import anchors, relinked
from website.pages import places, site_text
from website.pictures import drawings
from website.wire import descriptors, wire_page

ROOT = Path(__file__).parents[2]
#: Folders that hold no page of the project.
OTHERS = {"build", "dist", "demo-package"}


def pages() -> list[str]:
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [each for each in folders if each[0] != "." and each not in OTHERS]
        found += [os.path.relpath(Path(folder, name), ROOT) for name in names if name.endswith(".md")]
    return sorted(found)


@cache
def anchors_of(page: str) -> set[str]:
    if page not in places(ROOT):
        return anchors((ROOT / page).read_text(encoding="utf-8"))
    generated = {
        "commands": commands_page(),
        "metrics": "",
        "python": "",
        "screens": "",
        "settings": settings_page(),
        "wire": wire_page(descriptors(ROOT)) if page.endswith("wire.md") else "",
    }
    return anchors(site_text(ROOT, page, generated))


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_somewhere(page: str) -> None:
    lost = []

    def look(text: str, target: str, picture: bool) -> None:
        path, _, anchor = target.partition("#")
        if ":" in target:
            return
        file = os.path.normpath(Path(page).parent / path) if path else page
        if not (ROOT / file).exists() or (anchor and file.endswith(".md") and anchor not in anchors_of(file)):
            lost.append(target)

    relinked((ROOT / page).read_text(encoding="utf-8"), look)
    assert lost == []


def test_the_site_has_every_page() -> None:
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    assert sorted(re.findall(r"- (?:[^:\n]+: )?(\S+\.md)$", nav, re.MULTILINE)) == sorted(set(places(ROOT).values()))
    assert set(pages()) == set(places(ROOT))


def test_every_drawing_of_the_docs_has_its_picture() -> None:
    pictures = {path.name for path in (ROOT / "docs" / "pictures").iterdir()}
    assert pictures == set(drawings(ROOT)), "run `make pictures`"


def test_the_readme_is_a_front_door() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.encode()) <= 8192
    shown = re.findall(r"^\w*\$ (\w+ \w+)", readme, re.MULTILINE)
    assert shown[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("page", [page for page in pages() if page != "CHANGELOG.md"])
def test_wheels_are_named_by_todays_version(page: str) -> None:
    named = set(re.findall(r"tvm_farm-(\d[\w.]*?)-py3", (ROOT / page).read_text(encoding="utf-8")))
    assert named <= {__version__}


def test_the_changelog_tells_of_todays_version() -> None:
    assert f"\n## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
