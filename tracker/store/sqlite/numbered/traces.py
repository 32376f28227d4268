"""Traces, each kept once for its workload and named by a number."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from tvm_farm.tracker.store.sqlite.numbered.packing import digest, pack, unpack
from tvm_farm.tracker.store.sqlite.row_batches import flat, parts, places

__all__ = ["Traces"]

_BASES = 2_000
# CROSS: with another order of the two SQLite reads the whole index.
_NUMBERS = """WITH k (workload, digest) AS (VALUES {}) SELECT t.workload, t.digest, number
    FROM k CROSS JOIN traces t ON t.workload = k.workload AND t.digest = k.digest"""
_INSERT = "INSERT INTO traces (workload, digest, base, packed) VALUES {}"


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
                self._insert([row], numbers)
            else:
                rows[key] = row
        self._insert(list(rows.values()), numbers)
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

    def _insert(self, rows: list[list[Any]], numbers: dict[tuple[int, bytes], int]) -> None:
        """Adds the numbers that they have from now on to ``numbers``."""
        for some in parts(rows):
            last = self._db.execute(_INSERT.format(places(some)), flat(some)).lastrowid
            assert last is not None
            # SQLite gives the rows of a statement consecutive numbers. RETURNING would be a step for each of them.
            for number, (workload, key, *_) in enumerate(some, last - len(some) + 1):
                numbers[workload, key] = number

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
