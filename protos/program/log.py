"""The log of a program on its standard error, in one form for all: for people, for systemd's journal, for machines.

A line is an event. What others said may be in it, so control characters are escaped; a traceback follows in lines of
its own, each behind a bar that no event begins with.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import datetime, timezone

import click

__all__ = ["FIELDS", "format_option", "is_journal", "is_json", "log_to_stderr", "to_journal"]

#: What an event may be of, given as ``extra`` to the logger: a field of its own in JSON.
FIELDS = ("device", "job", "trial", "worker")
#: For the processes that a program starts, too.
_VARIABLE = "TVMFARM_LOG_FORMAT"
#: Priorities of syslog(3) as sd-daemon(3) writes them.
_PRIORITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BAR = "  | "

format_option = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    envvar=_VARIABLE,
    default="text",
    show_default=True,
    help="How the log is written: text, a line an event, or json, an object a line: time, level, logger, message, "
    "traceback where there is one, and of what it is: device, job, trial, worker.",
)


def log_to_stderr(level: str, log_format: str | None = None, **fields: str) -> None:
    """Send the log to standard error, from ``level`` on.

    ``log_format``: "text" or "json", for all that this process starts too; None: as the process was started itself.
    ``fields``: some of FIELDS that all of its events have.
    """
    if log_format == "json":
        os.environ[_VARIABLE] = log_format
    elif log_format is not None:
        os.environ.pop(_VARIABLE, None)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(os.environ.get(_VARIABLE, ""), fields))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def is_json(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether ``log_to_stderr`` was told so."""
    return environ.get(_VARIABLE) == "json"


def _formatter(log_format: str, fields: Mapping[str, str]) -> logging.Formatter:
    kind = _Json if log_format == "json" else _Journal if is_journal() else _Text
    return kind(fields)


class _Form(logging.Formatter):
    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__()
        self._fields = fields

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        own = {name: getattr(record, name, self._fields.get(name)) for name in FIELDS}
        return {name: str(value) for name, value in own.items() if value}

    def traceback(self, record: logging.LogRecord) -> str:
        """That of the error at hand, or the one that another process told of."""
        own = self.formatException(record.exc_info) if record.exc_info and record.exc_info[0] else ""
        return "\n".join(filter(None, [own, str(getattr(record, "traceback", "") or "")]))

    def lines(self, record: logging.LogRecord) -> list[str]:
        message = record.getMessage()
        if (job := self._fields.get("job")) and job not in message:
            message = f"job {job}: {message}"
        return [_escaped(message), *(_BAR + _escaped(line) for line in self.traceback(record).splitlines())]


class _Text(_Form):
    def format(self, record: logging.LogRecord) -> str:
        first, *more = self.lines(record)
        begin = f"{self.formatTime(record)} {record.levelname:<7} {record.name.removeprefix('tvm_farm.')}: "
        return "\n".join([begin + first, *more])


class _Journal(_Form):
    """The journal has times of its own."""

    def format(self, record: logging.LogRecord) -> str:
        return to_journal(record.levelname, "\n".join(self.lines(record)))


class _Json(_Form):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        event = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name.removeprefix("tvm_farm."),
            "message": record.getMessage(),
            **self.fields(record),
        }
        if traceback := self.traceback(record):
            event["traceback"] = traceback
        return json.dumps(event)


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


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
