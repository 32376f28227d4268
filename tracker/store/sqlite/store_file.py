"""The open file: its connection, what is known of its numbers, and the guards around writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from tvm_farm.tracker.domain.errors import StateFolderUnusable, StoreFull
from tvm_farm.tracker.store.sqlite.numbered import ImportSources, Traces, Words
from tvm_farm.tracker.store.sqlite.opening import opened_to_read, opened_to_write

__all__ = ["StoreFile"]


class StoreFile:
    """One thread uses it. ``read_only`` and ``lasting``, and what is raised: see SqliteStore."""

    def __init__(self, path: Path, *, read_only: bool = False, lasting: bool = True) -> None:
        self.path = path
        try:
            with self._with_room():
                self.db: Database = opened_to_read(path) if read_only else opened_to_write(path, lasting)
            self.words = Words(self.db.conn)
            self.traces = Traces(self.db.conn)
            self.sources = ImportSources(self.db.conn)
        except sqlite3.Error as e:
            raise StateFolderUnusable(f"the store {path} cannot be opened: {e}") from e

    def close(self) -> None:
        self.db.close()

    def checkpoint(self) -> None:
        with self._with_room():
            self.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What is done within happens as a whole or not at all. Raises StoreFull."""
        with self._with_room(), self.db.atomic():
            yield

    @contextmanager
    def recording(self) -> Iterator[None]:
        """``writing`` of what may be given numbers of words, traces and sources."""
        try:
            with self.writing():
                yield
        except BaseException:
            # Numbers that were given in what is rolled back are given again.
            self.words.forget()
            self.traces.forget()
            self.sources.forget()
            raise

    def shrink(self, pages: int) -> None:
        """Give at most so many free pages back to the disk. Raises StoreFull."""
        with self._with_room():
            # A page is a step of it, and its rows have no columns: execute() takes one step alone.
            self.db.conn.executescript(f"PRAGMA incremental_vacuum({pages})")

    def known_job(self, job_id: str, what: str) -> int:
        """The number of a job. Raises ValueError, of ``what`` that names it, where there is none."""
        number = self.words.job_number(job_id)
        if number is None:
            raise ValueError(f"{what} names job {job_id}, which is not stored")
        return number

    @contextmanager
    def _with_room(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as e:
            # A file size limit of the system reads as an I/O error, a full disk by its own name.
            if "full" in str(e) or "disk I/O error" in str(e):
                raise StoreFull(f"the disk that holds {self.path} is full ({e}): free some space") from e
            raise
