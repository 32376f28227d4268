"""What commands print: tables for people, ``--json`` for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click
from rich.console import Console

from tvm_farm.tracker.cli.terminal.tables import Facts, Grid
from tvm_farm.tracker.documents.value import jsonable

__all__ = ["console", "facts", "print_json", "print_json_array", "table"]

#: A pipe has no width: no line breaks there and no cell is cut.
_PIPE_WIDTH = 1 << 30
_LEAST_WIDTH = 12


def console(file: IO[str] | None = None) -> Console:
    """A console on ``file`` (standard output by default). Colour and width follow the terminal, if it is one."""
    stream = file or sys.stdout
    asked = os.environ.get("COLUMNS", "")
    # Of none and of a few columns rich would make lines without a letter.
    fixed = max(int(asked), _LEAST_WIDTH) if asked.isdecimal() and int(asked) else None
    if fixed is None and not stream.isatty():
        fixed = _PIPE_WIDTH
    return Console(file=stream, width=fixed, highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    click.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=False))


def print_json_array(values: Iterable[Any]) -> None:
    """One array, written as its items arrive: a million records need no memory for a million."""
    empty = True
    for value in values:
        click.echo(("[\n" if empty else ",\n") + json.dumps(jsonable(value), ensure_ascii=False), nl=False)
        empty = False
    click.echo("[]" if empty else "\n]")


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    styles: Sequence[str] = (),
    *,
    spare: Sequence[str] = (),
    brief: bool = False,
) -> Grid:
    """``rows`` under ``columns``. ">trials" is right-aligned; "model*" is cut and "devices~" broken into lines where
    the screen is narrow. The others, ids among them, stay whole.

    ``spare``: columns that leave a screen that is still too narrow, in this order; a line under the table names them.
    Where the rest does not fit either, each row stands by itself, a line a column. ``styles`` has a style for each
    row, or is empty. ``brief``: that line does not say how they are seen, as of a table that moves.
    """
    return Grid(columns, rows, styles, spare, brief)


def facts(rows: Iterable[tuple[str, str]]) -> Facts:
    """Names beside values, one a line; a long value wraps. Rows with an empty value are left out."""
    return Facts([(name, value) for name, value in rows if value])
