"""Words and traces, each kept once and named by a number, and jobs by theirs."""

from __future__ import annotations

import itertools
import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from tvm_farm.tracker.store.packing import digest, pack, unpack
from tvm_farm.tracker.store.together import flat, parts, places

__all__ = ["Traces", "Words"]

_WORDS = 100_000
_BASES = 2_000
# CROSS: with another order of the two SQLite reads the whole index.
_NUMBERS = """WITH k (workload, digest) AS (VALUES {}) SELECT t.workload, t.digest, number
    FROM k CROSS JOIN traces t ON t.workload = k.workload AND t.digest = k.digest"""


class Words:
    """What many records repeat: keys, names, targets, plans. ``forget`` after a write was rolled back."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._numbers: dict[str, int] = {}
        self._words: dict[int, str] = {}
        self._job_numbers: dict[str, int] = {}
        self._job_ids: dict[int, str] = {}

    def forget(self) -> None:
        for known in (self._numbers, self._words, self._job_numbers, self._job_ids):
            known.clear()

    def job_number(self, job_id: str) -> int | None:
        """None where there is no such job."""
        known = self._job_numbers.get(job_id)
        if known is None:
            row = self._db.execute("SELECT number FROM jobs WHERE id = ?", [job_id]).fetchone()
            if row is None:
                return None
            known = self._job_numbers[job_id] = row[0]
        return known

    def job_id(self, number: int) -> str:
        known = self._job_ids.get(number)
        if known is None:
            row = self._db.execute("SELECT id FROM jobs WHERE number = ?", [number]).fetchone()
            known = self._job_ids[number] = row[0]
        return known

    def kept(self, word: str) -> int:
        """The number of ``word``, which has one from now on."""
        number = self._numbers.get(word) or self.number(word)
        if number is None:
            number = self._db.execute("INSERT INTO words (word) VALUES (?)", [word]).lastrowid
            assert number is not None
            self._remember(word, number)
        return number

    def number(self, word: str) -> int | None:
        """None where no record ever had it."""
        known = self._numbers.get(word)
        if known is None:
            row = self._db.execute("SELECT number FROM words WHERE word = ?", [word]).fetchone()
            if row is None:
                return None
            known = self._remember(word, row[0])
        return known

    def _remember(self, word: str, number: int) -> int:
        if len(self._numbers) >= _WORDS:
            self._numbers.clear()
        self._numbers[word] = number
        return number

    def word(self, number: int) -> str:
        known = self._words.get(number)
        if known is None:
            if len(self._words) >= _WORDS:
                self._words.clear()
            row = self._db.execute("SELECT word FROM words WHERE number = ?", [number]).fetchone()
            known = self._words[number] = row[0]
        return known


class Traces:
    """A workload's traces, each kept once. ``forget`` after a write was rolled back."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._bases: OrderedDict[int, tuple[int, str]] = OrderedDict()
        self._texts: OrderedDict[int, str] = OrderedDict()

    def forget(self) -> None:
        self._bases.clear()
        self._texts.clear()

    def kept(self, traces: Sequence[tuple[int, str]]) -> list[int]:
        """The number of each of ``traces``, a workload's number and a text, which has one from now on."""
        keys = [(workload, digest(text)) for workload, text in traces]
        numbers = self._numbers(list(dict.fromkeys(keys)))
        rows: dict[tuple[int, bytes], list[Any]] = {}
        for key, (workload, text) in zip(keys, traces, strict=True):
            if key in numbers or key in rows:
                continue
            base = self._base(workload)
            row = [*key, base[0] if base else None, pack(text, base[1] if base else None)]
            if base is None:
                # The next one of this workload builds on it.
                numbers[key] = self._next_number()
                self._insert([[numbers[key], *row]])
            else:
                rows[key] = row
        if rows:
            numbers.update(zip(rows, itertools.count(self._next_number())))
            self._insert([[numbers[key], *row] for key, row in rows.items()])
        return [numbers[key] for key in keys]

    def numbers(self, traces: Sequence[tuple[int, str]]) -> list[int | None]:
        """The number of each of ``traces``, as in ``kept``; None where no record ever had it."""
        keys = [(workload, digest(text)) for workload, text in traces]
        known = self._numbers(list(dict.fromkeys(keys)))
        return [known.get(key) for key in keys]

    def _numbers(self, keys: list[tuple[int, bytes]]) -> dict[tuple[int, bytes], int]:
        """Those that have one."""
        numbers = {}
        for some in parts(keys):
            for workload, key, number in self._db.execute(_NUMBERS.format(places(some)), flat(some)):
                numbers[workload, key] = number
        return numbers

    def _next_number(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM traces").fetchone()[0])

    def _insert(self, rows: list[list[Any]]) -> None:
        for some in parts(rows):
            sql = f"INSERT INTO traces (number, workload, digest, base, packed) VALUES {places(some)}"
            self._db.execute(sql, flat(some))

    def text(self, number: int) -> str:
        row = self._db.execute("SELECT base, packed FROM traces WHERE number = ?", [number]).fetchone()
        base, packed = row
        return unpack(packed, None if base is None else self._base_text(base))

    def _base(self, workload: int) -> tuple[int, str] | None:
        known = self._bases.get(workload)
        if known is None:
            row = self._db.execute(
                "SELECT number, packed FROM traces WHERE workload = ? AND base IS NULL", [workload]
            ).fetchone()
            if row is None:
                return None
            known = self._bases[workload] = (row[0], unpack(row[1], None))
            if len(self._bases) > _BASES:
                self._bases.popitem(last=False)
        else:
            self._bases.move_to_end(workload)
        return known

    def _base_text(self, number: int) -> str:
        known = self._texts.get(number)
        if known is None:
            row = self._db.execute("SELECT packed FROM traces WHERE number = ?", [number]).fetchone()
            known = self._texts[number] = unpack(row[0], None)
            if len(self._texts) > _BASES:
                self._texts.popitem(last=False)
        else:
            self._texts.move_to_end(number)
        return known
