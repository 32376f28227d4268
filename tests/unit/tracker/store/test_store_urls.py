"""A store is chosen by its URL, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_farm.tracker.domain.errors import InvalidRequest, StoreUnknown
from tvm_farm.tracker.store import open_other_log, open_store, sqlite_url
from tvm_farm.tracker.store.memory import MemoryStore
from tvm_farm.tracker.store.sqlite import SqliteStore


@pytest.mark.parametrize("name", ["tracker.db", "a b%20c?d#e:.db"])
def test_a_file_is_named_as_it_is(tmp_path: Path, name: str) -> None:
    store = open_store(f"sqlite://{tmp_path}/{name}")
    assert isinstance(store, SqliteStore)
    store.close()
    assert (tmp_path / name).is_file()
    with open_other_log(f"sqlite://{tmp_path}/{name}") as log:
        assert log.records.count() == 0


def test_a_url_of_a_relative_path_is_of_the_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_url(Path("state")) == f"sqlite://{tmp_path}/state"


def test_stores_in_memory_are_each_their_own() -> None:
    first, second = open_store("memory:"), open_store("memory:")
    assert isinstance(first, MemoryStore)
    assert first is not second


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "there is no store '': write sqlite:///state/tracker.db or memory:"),
        ("/state/tracker.db", "there is no store '/state/tracker.db': write sqlite:///state/tracker.db or memory:"),
        ("postgres://host/farm", "there is no store 'postgres://host/farm': write sqlite:///"),
        ("memory:mine", "there is no store 'memory:mine': write sqlite:///"),
        ("sqlite:tracker.db", "there is no store 'sqlite:tracker.db': write sqlite:///"),
        (
            "sqlite://tracker.db",
            "the store 'sqlite://tracker.db' names no file: write its whole path, as in sqlite:///",
        ),
    ],
)
def test_what_is_no_store_is_told(url: str, said: str) -> None:
    with pytest.raises(StoreUnknown) as refused:
        open_store(url)
    assert str(refused.value).startswith(said)


def test_a_log_that_is_taken_over_outlives_its_tracker(tmp_path: Path) -> None:
    with pytest.raises(StoreUnknown, match=r"'memory:': write sqlite:///state/tracker.db$"):
        open_other_log("memory:")
    with pytest.raises(InvalidRequest, match="cannot be read"), open_other_log(sqlite_url(tmp_path / "none.db")):
        pass
