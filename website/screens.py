"""The page of the screens: what commands show, as tests keep it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["screens_page"]


def screens_page(root: Path) -> str:
    """Each screen of 80 columns in docs/screens of the checkout at ``root``."""
    screens = sorted((root / "docs" / "screens").glob("*-80.txt"))
    return "\n\n".join(f"```text\n{screen.read_text(encoding='utf-8').rstrip()}\n```" for screen in screens)
