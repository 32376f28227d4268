"""Labels as people write them: what a device bears and what a pool selects by."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["parse_label", "parse_labels"]

_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?")
# Longer than a key: a device class, which a pool may select by, names each cluster of a board.
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._/-]{0,253}[A-Za-z0-9])?)?")


def parse_label(text: str) -> tuple[str, str]:
    """``key=value`` as a pair; the value may be empty. Raises ValueError, whose text is a clause."""
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
        raise ValueError(
            f"{text!r} is not a label: give KEY=VALUE of letters, digits, '.', '_', '/' and '-', "
            "for example rack=3 or owner=ada"
        )
    return key, value


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """Several labels. Raises ValueError for what is none, and for a key given twice."""
    labels: dict[str, str] = {}
    for text in texts:
        key, value = parse_label(text)
        if key in labels:
            raise ValueError(f"label {key!r} is given twice")
        labels[key] = value
    return labels
