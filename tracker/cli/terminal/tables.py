"""Tables that fit their screen: what does not fit is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

__all__ = ["Facts", "Grid"]

#: What may be cut or broken keeps so many letters.
_NARROWEST = 20
_BETWEEN = 2
#: A terminal would obey them: they come in names and errors from elsewhere.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class _Column:
    name: str
    cells: tuple[str, ...]
    right: bool
    cut: bool
    broken: bool

    @property
    def widest(self) -> int:
        return max((cell_len(line) for text in (self.name, *self.cells) for line in text.split("\n")), default=0)

    @property
    def least(self) -> int:
        """It can be so narrow."""
        return min(self.widest, max(_NARROWEST, cell_len(self.name))) if self.cut or self.broken else self.widest


class Grid:
    """See ``output.table``."""

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        styles: Sequence[str],
        spare: Sequence[str],
        brief: bool,
    ) -> None:
        cells = [[_clean(cell) for cell in row] for row in rows]
        self._columns = [
            _Column(
                name=_clean(re.sub(r"^>|[*~]$", "", name)),
                cells=tuple(row[at] for row in cells),
                right=name.startswith(">"),
                cut=name.endswith("*"),
                broken=name.endswith("~"),
            )
            for at, name in enumerate(columns)
        ]
        self._styles = [*styles, *[""] * len(rows)][: len(rows)]
        self._spare = spare
        self._brief = brief

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, hidden = list(self._columns), []
        for name in self._spare:
            if _least(shown) <= options.max_width:
                break
            hidden += [column for column in shown if column.name == name]
            shown = [column for column in shown if column.name != name]
        if _least(shown) > options.max_width:
            yield from self._records()
            return
        yield from _lines(console, options, _side_by_side(shown, self._styles))
        if hidden:
            note = Table.grid()
            note.add_column(style="dim")
            note.add_row(Text(self._told([column.name for column in self._columns if column in hidden])))
            yield from _lines(console, options, note)

    def _told(self, hidden: Sequence[str]) -> str:
        whole = sum(column.least + _BETWEEN for column in self._columns) - _BETWEEN
        told = f"Not shown: {', '.join(hidden)}"
        return told if self._brief else f"{told}; seen on a screen of {whole} columns, or with `| less -S`."

    def _records(self) -> RenderResult:
        """Each row by itself, a line a column."""
        for at, style in enumerate(self._styles):
            if at:
                yield Text()
            yield Facts([(column.name, column.cells[at]) for column in self._columns], style)


class Facts:
    """See ``output.facts``. ``style``: of the values."""

    def __init__(self, rows: Sequence[tuple[str, str]], style: str = "") -> None:
        self._rows = [(_clean(name), _clean(value)) for name, value in rows]
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        names = max((cell_len(name) for name, _ in self._rows), default=0)
        grid = Table.grid(padding=(0, _BETWEEN, 0, 0))
        # rich would take from the values what a long name wants.
        grid.add_column(style="bold", overflow="fold", max_width=min(names, max(1, options.max_width - _BETWEEN) // 2))
        grid.add_column(style=self._style, overflow="fold")
        for name, value in self._rows:
            grid.add_row(Text(name), Text(value))
        return _lines(console, options, grid)


def _least(columns: Sequence[_Column]) -> int:
    return sum(column.least + _BETWEEN for column in columns) - _BETWEEN


def _side_by_side(columns: Sequence[_Column], styles: Sequence[str]) -> Table:
    grid = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _BETWEEN, 0, 0))
    for column in columns:
        grid.add_column(
            Text(column.name),
            justify="right" if column.right else "left",
            # rich narrows only columns that may wrap: the cells themselves say whether they do.
            no_wrap=not (column.cut or column.broken),
            overflow="fold",
            min_width=column.least,
        )
    for at, style in enumerate(styles):
        cells = [
            Text(c.cells[at]) if c.broken else Text(c.cells[at], no_wrap=True, overflow="ellipsis") for c in columns
        ]
        grid.add_row(*cells, style=style)
    return grid


def _lines(console: Console, options: ConsoleOptions, grid: Table) -> Iterator[Segment]:
    """``grid`` without the blanks at the ends of its lines."""
    for line in Segment.split_lines(console.render(grid, options)):
        yield from _stripped(line)
        yield Segment.line()


def _stripped(line: Iterable[Segment]) -> list[Segment]:
    kept = list(line)
    while kept and not kept[-1].text.rstrip(" "):
        kept.pop()
    if kept:
        kept[-1] = Segment(kept[-1].text.rstrip(" "), kept[-1].style, kept[-1].control)
    return kept


def _clean(text: str) -> str:
    return _CONTROL.sub(" ", text)
