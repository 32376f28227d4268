"""Words, each kept once and named by a number, and jobs by theirs."""

from __future__ import annotations

import sqlite3

__all__ = ["Words"]

_WORDS = 100_000


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
