"""The requirements of a wheel, against the packages that are installed here.

Only requirements as the project's own wheels write them are read: names, and versions of numbers. Others are refused
rather than guessed. ``packaging`` reads all kinds, but is not among a board's packages, and pip's copy is nobody's to
use.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable
from importlib import metadata

__all__ = ["installed_version", "lacking"]

_LINE = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*\(?([^;()]*)\)?\s*(?:;(.*))?")
_CLAUSE = re.compile(r"\s*(~=|==|!=|<=|>=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?\s*")
_VERSION = re.compile(r"v?(?:0!)?(\d+(?:\.\d+)*)[-_.]?(a|alpha|b|beta|c|rc|dev|pre|preview)?(post)?.*", re.IGNORECASE)
#: Of an extra: none of those is a board's.
_EXTRA = re.compile(r"""\bextra\s*==\s*['"]""")


def installed_version(name: str) -> str:
    """The version of the package ``name`` that is installed; "" where none is."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def lacking(
    requires: Iterable[str],
    python: str,
    installed: Callable[[str], str] = installed_version,
    here: str = platform.python_version(),
) -> str:
    """What a wheel with these Requires-Dist and this Requires-Python lacks here, a clause; "" where nothing."""
    if (fits := _fits(here, python)) is not True:
        return f"it needs Python {python} and this board has {here}" if fits is False else _unread(f"Python {python}")
    for line in requires:
        read = _LINE.fullmatch(line)
        if read is not None and read[3] and _EXTRA.search(read[3]):
            continue
        if read is None or read[3]:
            return _unread(line)
        name, wanted = read[1], read[2].strip()
        if not (has := installed(name)):
            return f"it needs {name}{wanted}, which is not installed on this board: install it there with pip"
        if (fits := _fits(has, wanted)) is None:
            return _unread(line)
        if not fits:
            return f"it needs {name}{wanted} and this board has {name} {has}: upgrade that there with pip"
    return ""


def _unread(what: str) -> str:
    return f"it needs '{what.strip()[:80]}', which this agent cannot judge: upgrade it by hand, with pip"


def _fits(version: str, wanted: str) -> bool | None:
    """Whether ``version`` is within the comma-separated ``wanted``; None where one of them is not understood."""
    has = _VERSION.fullmatch(version)
    clauses = [_CLAUSE.fullmatch(each) for each in wanted.split(",") if each.strip()]
    if has is None:
        return None
    for clause in clauses:
        if clause is None or (clause[3] and clause[1] not in ("==", "!=")):
            return None
        if not _holds(has, clause[1], _numbers(clause[2]), bool(clause[3])):
            return False
    return True


def _holds(has: re.Match[str], operator: str, bound: tuple[int, ...], any_after: bool) -> bool:
    numbers = _numbers(has[1])
    width = max(len(numbers), len(bound))
    padded, bound_padded = _wide(numbers, width), _wide(bound, width)
    # A pre-release stands before its release, a post-release behind: neither is equal to it.
    rank = (padded, -1 if has[2] else 1 if has[3] else 0)
    least = (bound_padded, 0)
    if operator == "~=":
        return rank >= least and padded[: len(bound) - 1] == bound[:-1]
    if operator in ("==", "!="):
        same = padded[: len(bound)] == bound if any_after else rank == least
        return same if operator == "==" else not same
    # A post-release is not "greater" than its release (PEP 440), nor is a pre-release less than it.
    if operator == ">":
        return padded > bound_padded
    if operator == "<":
        return padded < bound_padded
    return rank >= least if operator == ">=" else rank <= least


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _wide(numbers: tuple[int, ...], width: int) -> tuple[int, ...]:
    return numbers + (0,) * (width - len(numbers))
