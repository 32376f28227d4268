"""Who asks."""

from __future__ import annotations

import getpass

__all__ = ["user_name"]


def user_name() -> str:
    """As the system calls who runs this process; "" where it has no name for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""
