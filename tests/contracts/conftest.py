"""The stores that the contract's tests run over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tvm_farm.tracker.store import Store, open_store, sqlite_url

Open = Callable[[], Store]


def _of_file(path: Path) -> Iterator[Open]:
    """Opened again, it is the same one after a restart of the tracker."""
    stores: list[Store] = []

    def open_again() -> Store:
        if stores:
            stores[-1].close()
        stores.append(open_store(sqlite_url(path)))
        return stores[-1]

    yield open_again
    if stores:
        stores[-1].close()


def _of_memory() -> Iterator[Open]:
    """It knows no restart."""
    store = open_store("memory:")
    yield lambda: store
    store.close()


@pytest.fixture(params=["sqlite", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the store; opened again, it still has all that was kept."""
    yield from _of_file(tmp_path / "tracker.db") if request.param == "sqlite" else _of_memory()


@pytest.fixture
def store(opened: Open) -> Store:
    return opened()
