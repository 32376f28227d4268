"""The one place where an implementation of the store is chosen, by a URL.

- ``sqlite:///state/tracker.db``: a file, named by its whole path, as it is.
- ``memory:``: nothing that outlives the process.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from tvm_farm.tracker.domain.errors import StoreUnknown
from tvm_farm.tracker.store.base import OtherLog, Store
from tvm_farm.tracker.store.memory import MemoryStore
from tvm_farm.tracker.store.sqlite import SqliteStore, open_other

__all__ = ["open_other_log", "open_store", "sqlite_url"]

#: How a URL of each kind of store is written.
_SQLITE = "sqlite:///state/tracker.db"
_MEMORY = "memory:"


def open_store(url: str) -> Store:
    """Raises StoreUnknown for a URL of no kind of store; StoreTooNew, StateFolderUnusable or StoreFull where it cannot
    be opened.
    """
    if url == _MEMORY:
        return MemoryStore()
    return SqliteStore(_path(url, (_SQLITE, _MEMORY)))


def open_other_log(url: str) -> AbstractContextManager[OtherLog]:
    """Another tracker's store, which may be running, opened to be read.

    Raises StoreUnknown for a URL of no kind of store that outlives its tracker, InvalidRequest for what is no store or
    one of a newer version.
    """
    return open_other(_path(url, (_SQLITE,)))


def sqlite_url(path: Path) -> str:
    """Names the file ``path``, or for ``open_other_log`` the state folder that it is in."""
    return f"sqlite://{path.absolute()}"


def _path(url: str, known: Iterable[str]) -> Path:
    scheme, separator, path = url.partition("://")
    if scheme != "sqlite" or not separator:
        raise StoreUnknown(f"there is no store '{url}': write {' or '.join(known)}")
    if not Path(path).is_absolute():
        raise StoreUnknown(f"the store '{url}' names no file: write its whole path, as in {_SQLITE}")
    return Path(path)
