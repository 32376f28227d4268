"""What commands print: tables for people, ``--json`` for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any

import click
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from tvm_farm.tracker.documents.value import jsonable

__all__ = ["console", "facts", "print_json", "print_json_array", "table"]

_PIPE_WIDTH = 200  # a file has no width: wide enough that no cell is cut
_NARROWEST = 12


class _WholeTables(Console):
    """A table wider than the screen goes out whole and the terminal breaks its lines: "29" cut to "2" would lie."""

    def print(self, *objects: Any, **options: Any) -> None:
        if any(isinstance(each, Table) for each in objects):
            options.setdefault("crop", False)
        super().print(*objects, **options)


class _Columns(Table):
    """Each of its columns has its least width at least: rich leaves out one that it finds no room for."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        between = self.padding[1] * (len(self.columns) - 1)
        least = sum(column.min_width or 0 for column in self.columns) + between
        return super().__rich_console__(console, options.update(max_width=max(options.max_width, least)))


def console(file: IO[str] | None = None) -> Console:
    """A console on ``file`` (standard output by default). Colour and width follow the terminal, if it is one."""
    stream = file or sys.stdout
    fixed = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return _WholeTables(file=stream, width=fixed, highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    click.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=False))


def print_json_array(values: Iterable[Any]) -> None:
    """One array, written as its items arrive: a million records need no memory for a million."""
    empty = True
    for value in values:
        click.echo(("[\n" if empty else ",\n") + json.dumps(jsonable(value), ensure_ascii=False), nl=False)
        empty = False
    click.echo("[]" if empty else "\n]")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> Table:
    """``rows`` under ``columns``. ">trials" is right-aligned; "name*" gives way where the terminal is narrow.

    ``styles`` has a style for each row, or is empty.
    """
    grid = _Columns(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for position, column in enumerate(columns):
        name = column.strip(">*")
        widest = max(map(cell_len, [name, *(row[position] for row in rows)]))
        grid.add_column(
            name,
            justify="right" if column.startswith(">") else "left",
            # rich narrows only columns that may wrap: the cells themselves say that they do not.
            no_wrap=not column.endswith("*"),
            min_width=min(widest, _NARROWEST) if column.endswith("*") else widest,
        )
    for position, row in enumerate(rows):
        grid.add_row(
            *(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row), style=styles[position] if styles else None
        )
    return grid


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Names beside values, one a line; a long value wraps. Rows with an empty value are left out."""
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        if value:
            grid.add_row(name, Text(value))
    return grid
