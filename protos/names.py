"""What people may call things: devices, farms and pools; and words of theirs that are shown in a line."""

from __future__ import annotations

import re

__all__ = ["nearest_name", "parse_farm_name", "parse_given_name", "parse_line", "parse_name"]

_LONGEST = 63
# A value of a label as well, by which a pool may select the device: see labels.py.
_NAME = re.compile(rf"[A-Za-z0-9]([A-Za-z0-9._-]{{0,{_LONGEST - 2}}}[A-Za-z0-9])?")


def parse_name(text: str, of: str) -> str:
    """The name of a thing, such as "a pool". Raises ValueError, whose text is a clause that says how to write one."""
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text!r} cannot name {of}: give 1 to {_LONGEST} letters, digits, '.', '_' and '-', with a letter or a "
            "digit at both ends"
        )
    return text


def parse_farm_name(text: str) -> str:
    """As ``parse_name``, for what mDNS is to announce: without dots."""
    if "." in parse_name(text, "a farm"):
        raise ValueError(f"{text!r} cannot name a farm: a name in mDNS has no dots")
    return text


def nearest_name(text: str, otherwise: str) -> str:
    """A name made of ``text`` with a dash for each run of what no name has; ``otherwise`` where nothing is left."""
    dashed = re.sub(r"[^A-Za-z0-9._]+", "-", text) if not _NAME.fullmatch(text) else text
    return dashed.strip("-._")[:_LONGEST].rstrip("-._") or otherwise


def parse_line(text: str, of: str, longest: int = 200) -> str:
    """Words of a person that are shown in a line; "" are some. Raises ValueError, whose text is a clause."""
    if len(text) > longest:
        raise ValueError(f"{text[:20]!r}… is too long for {of}: give {longest} characters at most")
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"{text!r} cannot be {of}: give characters that can be printed, and no space around them")
    return text


def parse_given_name(text: str, of: str, longest: int = 200) -> str:
    """A name that was given elsewhere, such as a user's or a file's: a line that no command takes for an option.

    Raises ValueError, whose text is a clause.
    """
    if text.startswith("-"):
        raise ValueError(f"{text!r} cannot be {of}: it begins with a dash, as an option does")
    return parse_line(text, of, longest)
