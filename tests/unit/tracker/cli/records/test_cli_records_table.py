"""Records and rows of SQL as a terminal has room for them."""

from __future__ import annotations

import pytest

from tests.support.records import make_record
from tvm_farm.tracker.cli.records.table import print_answer, print_records
from tvm_farm.tracker.domain import SqlAnswer

RECORD = make_record("t1", workload="0123456789abcdef", workload_name="fused_conv2d17_add9_relu9", job_id="net-1")


@pytest.mark.parametrize(
    ("columns", "names", "told"),
    [
        (
            80,
            ["name", "latency", "outcome", "device", "engine", "job", "measured"],
            ["Not shown: workload; seen on a screen of 96 columns, or with `| less -S`."],
        ),
        (160, ["workload", "name", "latency", "outcome", "device", "engine", "job", "measured"], []),
    ],
)
def test_a_narrow_terminal_shows_fewer_columns_and_those_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int, names: list[str], told: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_records([RECORD], 2e9)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == told
    assert lines[0].split() == names
    assert "fused_conv2d17_add9" in lines[1]
    assert lines[1].rstrip().endswith("ago")
    assert max(map(len, lines)) <= columns


ANSWER = SqlAnswer(
    ("name", "count", "share", "stored_s", "none", "raw"),
    (("a\nb", 3, 0.123456789, 1795270366.89, None, b"\x00\x01"), ("c", 12, 2.0, 0.0, None, b"")),
)


def test_a_table_of_an_answer(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_answer(ANSWER, as_json=False)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "name  count     share      stored_s  none  raw",
        "a b       3  0.123457  1795270366.9        (2 bytes)",
        "c        12         2             0        (0 bytes)",
    ]


def test_what_has_no_room_stands_row_by_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    print_answer(ANSWER, as_json=False)
    assert capsys.readouterr().out.splitlines()[:4] == [
        "name      a b",
        "count     3",
        "share     0.123457",
        "stored_s  1795270366.9",
    ]
