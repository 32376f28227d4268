"""Pages on their way into the site: their places, links, drawings and generated parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from website.pages import BESIDE_THE_CODE, picture_of, places, site_text, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (*BESIDE_THE_CODE, "docs/index.md", "docs/design/words.md", "firmware-notes/README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# A page\n")
    for folder in ("docs/pictures", "docs/screens", "benchmarks/plots", "examples"):
        (tmp_path / folder).mkdir()
    (tmp_path / "benchmarks/plots/noise.png").write_bytes(b"a picture")
    return tmp_path


def text_of(root: Path, page: str, text: str) -> str:
    (root / page).write_text(text)
    return site_text(root, page, {"settings": "a table"})


@pytest.mark.parametrize(
    ("page", "text", "shown"),
    [
        ("docs/index.md", "[w](design/words.md#job)", "[w](design/words.md#job)"),
        ("docs/index.md", "[b](../benchmarks/README.md#noise)", "[b](benchmarks/index.md#noise)"),
        ("docs/index.md", "[`app`](../tracker/app.py)", "`app`"),
        ("docs/design/words.md", "[n](../../firmware-notes/README.md)", "[n](../firmware-notes/index.md)"),
        ("tracker/store/README.md", "[q](../../docs/index.md#ask)", "[q](../index.md#ask)"),
        ("CONTRIBUTING.md", "[r](README.md) [l](LICENSE)", "[r](index.md) l"),
        ("docs/index.md", "[x](https://tvm.apache.org) [y](#here)", "[x](https://tvm.apache.org) [y](#here)"),
        ("docs/design/words.md", "[s](../screens/jobs-80.txt)", "[s](../screens/jobs-80.txt)"),
        ("benchmarks/README.md", "![n](plots/noise.png)", "![n](plots/noise.png)"),
        ("docs/index.md", "<!-- generated: settings -->\nhere none\n<!-- end of generated -->", "a table"),
    ],
)
def test_text_is_changed_for_the_site(root: Path, page: str, text: str, shown: str) -> None:
    assert text_of(root, page, text) == shown


def test_a_drawing_becomes_its_picture_where_there_is_one(root: Path) -> None:
    drawing = "```mermaid\nflowchart LR\n```\n"
    assert text_of(root, "docs/design/words.md", drawing) == drawing
    name = picture_of("flowchart LR\n")
    (root / "docs/pictures" / name).write_text("<svg/>")
    assert text_of(root, "docs/design/words.md", drawing) == f"![Drawing](../pictures/{name})\n"


def test_all_pages_and_pictures_are_written(root: Path) -> None:
    site = root / "build" / "pages"
    site.mkdir(parents=True)
    (site / "old.md").write_text("of another time")
    write(root, site, {})
    written = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert written == {*places(root).values(), "site.css", "benchmarks/plots/noise.png"}
