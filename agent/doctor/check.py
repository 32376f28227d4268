"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Check", "Verdict"]


class Verdict(str, Enum):
    OK = "ok"
    #: Works, and could be better.
    HINT = "hint"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """What was looked at, and what was found."""

    name: str
    verdict: Verdict
    said: str
    #: What to do; "" where nothing is to be done.
    remedy: str = ""
