"""The folders of whoever runs a program, by the XDG base directory specification."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

__all__ = ["own_folder"]


def own_folder(variable: str, below_home: str, environ: Mapping[str, str]) -> Path:
    """The folder that ``variable`` names, or ``below_home`` in the home folder.

    Raises FileNotFoundError, with what to do, for a user who has neither, as in a container that runs as any number.
    """
    base = environ.get(variable, "")
    if base.startswith("/"):
        return Path(base)
    try:
        return Path.home() / below_home
    except RuntimeError:
        raise FileNotFoundError(errno.ENOENT, f"this user has no home folder: set HOME, or {variable}") from None
