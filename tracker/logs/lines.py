"""Lines of a log file, compressed or not, each with its number."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

__all__ = ["BadLine", "numbered_lines"]

#: No line of a log is longer: what is, is no log.
MAX_LINE_BYTES = 64 << 20
_GZIP = b"\x1f\x8b"


class BadLine(ValueError):
    """What is wrong with one line: a clause for a person."""


def numbered_lines(path: Path) -> Iterator[tuple[int, str | BadLine]]:
    """The lines that are not blank, from 1, without their ends; what cannot be read of one as a BadLine.

    A file that ends in the middle of its compressed data gives what comes before. Raises OSError.
    """
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        yield from _lines(cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file)


def _lines(file: BinaryIO) -> Iterator[tuple[int, str | BadLine]]:
    number = 0
    while True:
        number += 1
        try:
            data = file.readline(MAX_LINE_BYTES)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield number, BadLine(f"the compressed file is damaged from here on ({error})")
            return
        if not data:
            return
        if len(data) == MAX_LINE_BYTES:
            yield number, BadLine(f"it is longer than {MAX_LINE_BYTES >> 20} MiB")
            return
        if not data.strip():
            continue
        try:
            yield number, data.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield number, BadLine(f"it is not UTF-8 ({error.reason} at byte {error.start})")
