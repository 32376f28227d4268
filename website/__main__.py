"""``python -m website``: the pages of this checkout in build/pages, ready for the site's generator."""

from __future__ import annotations

from pathlib import Path

from website.commands import commands_page, settings_page
from website.metrics import metrics_table
from website.pages import write
from website.python import python_page
from website.screens import screens_page
from website.wire import descriptors, wire_page

ROOT = Path(__file__).parents[1]

if __name__ == "__main__":
    write(
        ROOT,
        ROOT / "build" / "pages",
        {
            "commands": commands_page,
            "python": python_page,
            "screens": lambda: screens_page(ROOT),
            "metrics": metrics_table,
            "settings": settings_page,
            "wire": lambda: wire_page(descriptors(ROOT)),
        },
    )
