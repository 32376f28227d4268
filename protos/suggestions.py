"""What a person may have meant by a word that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["did_you_mean", "no_such"]

_SHOWN = 3


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known words like ``word`` as a question to put behind a sentence, after a space; "" where none is like it."""
    from difflib import get_close_matches  # not by whom every word is known

    by_letters = {name.lower(): name for name in known}
    found = [by_letters[match] for match in get_close_matches(word.lower(), by_letters, _SHOWN)]
    quoted = [f"'{name}'" for name in found]
    return f" Did you mean {' or '.join(quoted)}?" if found else ""


def no_such(kind: str, name: str, known: Iterable[str]) -> str:
    """The clause that there is no ``kind`` of this name, and where a known name is like it a question more."""
    meant = did_you_mean(name, known)
    return f"there is no {kind} '{name}'{meant and '.' + meant}"
