"""The pages of the site: where each lies, and its text with its links, its drawings and what is generated put in."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from website.markdown import blocks, relinked

__all__ = ["BESIDE_THE_CODE", "picture_of", "places", "site_text", "write"]

#: Pages that lie beside what they tell of, by their folder or file, and where the site has them.
BESIDE_THE_CODE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks/index.md",
    "tracker/store/README.md": "design/store.md",
    "tracker/tuning/engines/autotvm/README.md": "templates.md",
}
#: Folders of files that pages show or link to, and where the site has them.
_FILES = {
    "docs/pictures": "pictures",
    "docs/screens": "screens",
    "benchmarks/plots": "benchmarks/plots",
    "examples": "examples",
}
#: What stands in a page for a generated part; between the two, what a reader of the checkout has in its place.
_GENERATED = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end of generated -->", re.S)


def places(root: Path) -> dict[str, str]:
    """Each page of the checkout at ``root`` and its place in the site, both relative. README.md is index.md there."""
    found = dict(BESIDE_THE_CODE)
    for folder, into in (("docs", PurePosixPath()), ("firmware-notes", PurePosixPath("firmware-notes"))):
        for page in sorted((root / folder).rglob("*.md")):
            name = PurePosixPath(page.relative_to(root / folder).as_posix())
            found[page.relative_to(root).as_posix()] = str(into / name.with_name(name.name.replace("README", "index")))
    return found


def picture_of(drawing: str) -> str:
    """The file in docs/pictures that shows ``drawing``, the text of a mermaid block."""
    return f"{hashlib.sha256(drawing.encode()).hexdigest()[:12]}.svg"


def site_text(root: Path, page: str, generated: Mapping[str, str]) -> str:
    """``page`` as the site has it. A link to a file that the site lacks becomes its text alone.

    A drawing whose picture is in docs/pictures becomes that picture; another stays the text that it is.
    """
    where, text = places(root), (root / page).read_text(encoding="utf-8")
    here = PurePosixPath(where[page]).parent
    for block in reversed(blocks(text)):
        name = picture_of(block.text)
        if block.language == "mermaid" and (root / "docs" / "pictures" / name).is_file():
            text = f"{text[: block.start]}![Drawing]({_relative(f'pictures/{name}', here)}){text[block.end :]}"
    drawn = {_relative(f"pictures/{path.name}", here) for path in (root / "docs" / "pictures").glob("*.svg")}

    def change(words: str, target: str, picture: bool) -> str | None:
        path, _, anchor = target.partition("#")
        if not path or ":" in target or path in drawn:
            return None
        file = os.path.normpath(PurePosixPath(page).parent / path)
        into = where.get(file) or _file_place(file)
        if not into:
            return words
        return f"{'!' if picture else ''}[{words}]({_relative(into, here)}{'#' + anchor if anchor else ''})"

    return _GENERATED.sub(lambda found: generated[found[1]], relinked(text, change))


def write(root: Path, folder: Path, generate: Mapping[str, Callable[[], str]]) -> None:
    """All pages and pictures into ``folder``, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    generated = {name: make() for name, make in generate.items()}
    for page, place in places(root).items():
        if page != "README.md":
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(site_text(root, page, generated), encoding="utf-8")
    shutil.copy(Path(__file__).with_name("site.css"), folder)
    for files, into in _FILES.items():
        shutil.copytree(root / files, folder / into, ignore=shutil.ignore_patterns("__*__*"))


def _file_place(file: str) -> str:
    folder, name = os.path.split(file)
    return f"{_FILES[folder]}/{name}" if folder in _FILES else ""


def _relative(place: str, folder: PurePosixPath) -> str:
    return PurePosixPath(os.path.relpath(place, folder)).as_posix()
