"""Traces have the numbers that their table gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tvm_farm.tracker.store.sqlite.store_file import StoreFile


@pytest.fixture
def file(tmp_path: Path) -> Iterator[StoreFile]:
    file = StoreFile(tmp_path / "tracker.db")
    yield file
    file.close()


def test_each_text_is_read_back_by_the_number_that_it_was_given(file: StoreFile) -> None:
    workloads = [file.words.kept(key) for key in ("w0", "w1")]
    # More than one statement takes, some of them twice.
    told = [(workloads[n % 2], f"[[{n % 150}],[]]") for n in range(300)]
    numbers = file.traces.kept(told)
    assert [file.traces.text(number) for number in numbers] == [text for _, text in told]
    assert len(set(numbers)) == 150
    assert file.traces.numbers(told) == numbers
    assert file.traces.numbers([(workloads[0], "unknown")]) == [None]


def test_numbers_go_on_behind_those_that_were_removed(file: StoreFile) -> None:
    workload = file.words.kept("w0")
    first = file.traces.kept([(workload, f"[{n}]") for n in range(5)])
    file.db.conn.execute("DELETE FROM traces WHERE number IN (?, ?)", first[2:4])
    then = file.traces.kept([(workload, f"[{n}]") for n in range(8)])
    assert [file.traces.text(number) for number in then] == [f"[{n}]" for n in range(8)]
    assert len(set(then)) == 8
