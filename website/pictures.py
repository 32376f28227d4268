"""``python -m website.pictures``: the drawings of the pages in docs/ as SVG files, which the site shows.

A drawing is a mermaid block, which code hosts draw themselves; the site draws nothing and loads nothing for it. Needs
npm, which fetches mermaid's program, and a chromium, which that one draws with.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from website.markdown import blocks
from website.pages import picture_of

__all__ = ["drawings"]

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
_MERMAID = "@mermaid-js/mermaid-cli@11.12.0"
_LOOKS = {"theme": "neutral", "htmlLabels": False, "flowchart": {"htmlLabels": False}, "fontFamily": "sans-serif"}


def drawings(root: Path) -> dict[str, str]:
    """The pictures that docs/ asks for, each with its drawing."""
    pages = [path.read_text(encoding="utf-8") for path in sorted((root / "docs").rglob("*.md"))]
    return {
        picture_of(block.text): block.text for page in pages for block in blocks(page) if block.language == "mermaid"
    }


def main() -> None:
    """Draws what has no picture yet, and removes pictures that no page asks for."""
    wanted = drawings(ROOT)
    for path in PICTURES.glob("*.svg"):
        if path.name not in wanted:
            path.unlink()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or shutil.which("npx") is None:
        raise SystemExit("pictures: npx and chromium must be installed")
    for name, drawing in wanted.items():
        if not (PICTURES / name).exists():
            _draw(drawing, PICTURES / name, chromium)
            print(f"drew {name}", file=sys.stderr)


def _draw(drawing: str, target: Path, chromium: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, looks, browser = (Path(folder, name) for name in ("drawing.mmd", "looks.json", "browser.json"))
        source.write_text(drawing, encoding="utf-8")
        looks.write_text(json.dumps(_LOOKS))
        browser.write_text(json.dumps({"executablePath": chromium, "args": ["--no-sandbox"]}))
        command = ("mmdc", "-q", "-p", browser, "-c", looks, "-b", "white", "-i", source, "-o", target)
        # The browser is the one that is here: none is fetched.
        environ = {**os.environ, "PUPPETEER_SKIP_DOWNLOAD": "1"}
        subprocess.run(["npx", "--yes", "-p", _MERMAID, *map(str, command)], check=True, env=environ)


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    main()
