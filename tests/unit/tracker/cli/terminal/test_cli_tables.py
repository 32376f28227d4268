"""Tables on screens of every width, and in pipes: nothing leaves them without a word."""

from __future__ import annotations

import re

import pytest

from tvm_farm.tracker.cli.terminal.output import console, facts, table

COLUMNS = ["job", "kind", "model*", "error~", ">trials", "took"]
ROWS = [
    ["squeezenet-ab2c", "tune", "squeezenet1.1-with-a-long-name", "its worker died of a signal", "1,204", "1h 02m"],
    ["net-ab2d", "compile", "net", "", "0", "—"],
]
SPARE = ("kind", "took")


def printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int | None, thing: object
) -> list[str]:
    monkeypatch.delenv("COLUMNS", raising=False)
    if width:
        monkeypatch.setenv("COLUMNS", str(width))
    console().print(thing)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [*range(12, 120), 200])
def test_every_column_shows_or_is_named_and_no_line_is_too_long(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(capsys, monkeypatch, width, table(COLUMNS, ROWS, spare=SPARE))
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    if width >= 20:  # a name of six letters takes half of it
        for name in ("job", "kind", "model", "error", "trials", "took"):
            assert any(re.search(rf"\b{name}\b", line) for line in lines), name


def test_columns_give_way_in_order_and_ids_and_numbers_stay_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = table(COLUMNS, ROWS, spare=SPARE)
    assert printed(capsys, monkeypatch, 98, grid)[1] == (
        "squeezenet-ab2c  tune     squeezenet1.1-with-a-long-…  its worker died of a signal   1,204  1h 02m"
    )
    assert printed(capsys, monkeypatch, 78, grid) == [
        "job              model                  error                   trials  took",
        "squeezenet-ab2c  squeezenet1.1-with-a…  its worker died of a     1,204  1h 02m",
        "                                        signal",
        "net-ab2d         net                                                 0  —",
        "Not shown: kind; seen on a screen of 84 columns, or with `| less -S`.",
    ]
    assert printed(capsys, monkeypatch, 70, table(COLUMNS, ROWS, spare=SPARE, brief=True))[-1] == (
        "Not shown: kind, took"
    )


def test_what_does_not_fit_without_them_either_stands_row_by_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(capsys, monkeypatch, 40, table(COLUMNS, ROWS, spare=SPARE)) == [
        "job     squeezenet-ab2c",
        "kind    tune",
        "model   squeezenet1.1-with-a-long-name",
        "error   its worker died of a signal",
        "trials  1,204",
        "took    1h 02m",
        "",
        "job     net-ab2d",
        "kind    compile",
        "model   net",
        "error",
        "trials  0",
        "took    —",
    ]


def test_a_pipe_gets_each_row_on_one_line_however_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "x" * 20_000
    lines = printed(capsys, monkeypatch, None, table(["name*", "note~"], [["a", long], ["b", ""]]))
    assert lines == ["name  note", f"a     {long}", "b"]
    assert printed(capsys, monkeypatch, None, facts([("name", long), ("note", "")])) == [f"name  {long}"]


@pytest.mark.parametrize("columns", ["0", "1", "", "none"])
def test_a_width_that_is_none_drops_nothing(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    console().print(table(["job", "state"], [["net-1", "idle"]]))
    assert capsys.readouterr().out.splitlines() == ["job    state", "net-1  idle"]


def test_a_screen_is_not_led_by_what_it_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [["\x1b[31mred", "[bold]a[/]"]]
    assert printed(capsys, monkeypatch, 80, table(["a", "[b]"], cells)) == ["a         [b]", " [31mred  [bold]a[/]"]
    assert printed(capsys, monkeypatch, 80, facts([("a", "\x1b]0;title\x07")])) == ["a   ]0;title"]
