"""How far a long command is, on a terminal; a pipe is told the end alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["Counted", "counting"]


class Counted(Protocol):
    def __call__(self, done: int) -> None:
        """So many are done of all."""


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Counted]:
    """A line on standard error that grows with what is done; ``total`` None where nobody knows."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tvm_farm.tracker.cli.terminal.output import console

    screen = console(sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)
