"""The agent's log: with times for people, or with priorities for systemd's journal, which has times of its own."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping

__all__ = ["is_journal", "log_to_stderr", "to_journal"]

#: Priorities of syslog(3) as sd-daemon(3) writes them.
_PRIORITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}


class _JournalFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return to_journal(record.levelname, super().format(record))


def log_to_stderr(level: str) -> None:
    """Send the log to standard error, in the form that suits who reads it there."""
    handler = logging.StreamHandler(sys.stderr)
    if is_journal():
        handler.setFormatter(_JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def to_journal(level: str, text: str) -> str:
    """``text`` with its priority before each line: the journal takes lines one by one."""
    priority = _PRIORITIES.get(level, 6)
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))


def is_journal(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether standard error leads to the journal: $JOURNAL_STREAM is inherited by whoever writes elsewhere, too."""
    stream = environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(2)
    except OSError:  # closed
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"
