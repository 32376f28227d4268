"""Standard output of a command that may be full or gone: a full disk is one sentence, a closed pipe is silence."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

__all__ = ["watched_output"]


@contextmanager
def watched_output() -> Iterator[None]:
    """To stand around a command of click as a process runs it: ``sys.stdout`` is another one from here on.

    Where it cannot be written, whoever writes gets a ClickException that says why; of a pipe whose reader has gone
    BrokenPipeError, which click ends with 1 and without a word.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for as long as the process
    stream = sys.stdout
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False)),
        stream.encoding,
        # Few letters are better than a traceback: of µs, — and ✓ an old locale has none.
        stream.errors if codecs.lookup(stream.encoding).name == "utf-8" else "replace",
        line_buffering=True,
    )
    yield


class _Output(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            # What is left in buffers must go somewhere when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if error.errno == errno.EPIPE:
                raise
            raise click.ClickException(f"The output cannot be written: {error.strerror}.") from None
