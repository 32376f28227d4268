"""What a Markdown page has in it: links, headings, blocks of code."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Block", "anchors", "blocks", "relinked", "table"]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w+-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```[ ]*$", re.M | re.S)
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.S)
#: [text](target), also of a picture; the text may hold code.
_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>(?:[^\[\]`]|`[^`\n]*`)*)\]\((?P<target>[^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    language: str
    text: str
    #: Where it begins and ends in the page.
    start: int
    end: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of ``page``, in their order."""
    return [Block(found["language"], found["text"], *found.span()) for found in _FENCE.finditer(page)]


def relinked(page: str, change: Callable[[str, str, bool], str | None]) -> str:
    """``page`` with each link outside of code as ``change`` of its text, its target and whether it is a picture tells.

    None leaves a link as it is.
    """
    code = [(block.start, block.end) for block in blocks(page)]
    code += [found.span() for found in _CODE.finditer(page) if not _within(found.start(), code)]

    def put(link: re.Match[str]) -> str:
        if _within(link.start(), code):
            return link[0]
        changed = change(link["text"], link["target"], bool(link["picture"]))
        return link[0] if changed is None else changed

    return _LINK.sub(put, page)


def anchors(page: str) -> set[str]:
    """What a link to ``page`` may name after ``#``: the slugs of its headings, as code hosts make them."""
    for block in reversed(blocks(page)):
        page = page[: block.start] + page[block.end :]
    found: set[str] = set()
    for heading in _HEADING.findall(page):
        slug = base = _slug(_LINK.sub(lambda link: link["text"], heading))
        count = 0
        while slug in found:
            count += 1
            slug = f"{base}-{count}"
        found.add(slug)
    return found


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table, its cells one line each and free to hold what would end a cell."""
    lines = [header, tuple("---" for _ in header), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _within(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)
