"""What a group of records adds to counters."""

from __future__ import annotations

import pytest

from tests.support.records import make_record
from tvm_farm.tracker.domain import Outcome, Record
from tvm_farm.tracker.store.counts import RecordCounts, TaskCount

HERE = {"job_id": "net-1", "task_id": "net-1/0"}
UNTUNED = {"engine": "untuned", "trace": "", **HERE}


@pytest.mark.parametrize(
    ("records", "counts"),
    [
        ([], RecordCounts()),
        ([make_record("t", (0.5,), **HERE)], RecordCounts({"net-1/0": TaskCount(1, 0, 0.5)}, {"net-1": (1, 0)})),
        ([make_record("t", (), **HERE)], RecordCounts({"net-1/0": TaskCount(1, 1, None)}, {"net-1": (1, 0)})),
        (
            [make_record("t", (0.5,), **HERE), make_record("u", (0.3, 0.2, 0.9), copied_from="v", **HERE)],
            RecordCounts({"net-1/0": TaskCount(2, 0, 0.3)}, {"net-1": (2, 1)}),
        ),
        ([make_record("t", (0.9, 0.7), **UNTUNED)], RecordCounts(untuned_s={"net-1/0": 0.8})),
        ([make_record("t", (), outcome=Outcome.RUN_TIMEOUT, **UNTUNED)], RecordCounts()),
    ],
)
def test_counts(records: list[Record], counts: RecordCounts) -> None:
    found = RecordCounts()
    for record in records:
        found.add(record, record.median_s)
    assert found == counts
