"""The example of the page on templates, as its reader would copy it."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["PAGE", "example"]

PAGE = Path(__file__).parents[2] / "tracker" / "tuning" / "engines" / "autotvm" / "README.md"


def example(name: str) -> str:
    """The Python of the block that begins with the comment ``# NAME``."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    [found] = [block for block in blocks if block.startswith(f"# {name}\n")]
    return found
