"""Tables on screens that are too narrow for them."""

from __future__ import annotations

import io

import pytest

from tvm_farm.tracker.cli.terminal.output import console, table


def test_no_number_is_cut_where_a_table_is_wider_than_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = io.StringIO()
    console(out).print(
        table(["job", "model*", ">trials", "took"], [["a-job-with-a-long-id", "m" * 30, "29", "1m 00s"]])
    )
    assert out.getvalue().splitlines()[1].split() == ["a-job-with-a-long-id", "m" * 11 + "…", "29", "1m", "00s"]


@pytest.mark.parametrize("width", ["20", "44", "45", "46", "60"])
def test_no_column_is_left_out_for_want_of_room(
    width: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    state = "idle, its disk is read-only, has a clone"
    console().print(table(["device*", "state", "pools*"], [["pi-3", state, "arm64"]]))
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["device", "state", "pools"]
    assert row.split("  ") == ["pi-3", "", state, "arm64"]
