"""What each command prints on screens of 40, 80 and 200 columns, and in a pipe."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest
from click.testing import CliRunner

from tests.support.farm_command import FarmTerminal, farm
from tests.support.seen_farm import RUNNING, SHOWN, seen_farm
from tvm_farm.tracker.cli import farm as farm_program
from tvm_farm.tracker.cli import tracker as tracker_program
from tvm_farm.tracker.cli.terminal.tables import Grid

COMMANDS = [(farm_program, words) for words in SHOWN] + [(tracker_program, ("runtime", "list"))]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with seen_farm(tmp_path_factory.mktemp("seen")) as address:
        yield address


@pytest.fixture
def headings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of each table that is made."""
    names: list[str] = []
    make = Grid.__init__

    def spied(self: Grid, columns: Sequence[str], *rest: object) -> None:
        names.extend(column.strip(">*~") for column in columns)
        make(self, columns, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Grid, "__init__", spied)
    return names


@pytest.mark.parametrize("columns", [40, 80, 200, None])
@pytest.mark.parametrize(("program", "words"), COMMANDS, ids=[" ".join(words) for _, words in COMMANDS])
def test_nothing_is_dropped_without_a_word(
    seen: str, headings: list[str], program: object, words: Sequence[str], columns: int | None
) -> None:
    env = {**dict.fromkeys(os.environ), **os.environ, "COLUMNS": str(columns) if columns else None}
    done = CliRunner(env=env).invoke(program, [*words, "--tracker", seen])  # type: ignore[arg-type]
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert columns or all(line == line.rstrip() for line in lines)
    # The closing line of a report stands alone, for those who look for it.
    tabled = [line for line in lines if " -> " not in line and "= Sample" not in line]
    assert columns is None or max(map(len, tabled)) <= columns
    said = " ".join(done.stdout.split())
    for name in headings:
        assert name in said, done.stdout


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal(seen: str, columns: int) -> None:
    for words, whole in ((("jobs",), RUNNING), (("devices",), "pi-4-lab-bench-1")):
        with FarmTerminal(*words, "--tracker", seen, columns=columns) as terminal:
            assert terminal.await_exit() == 0
            assert max(map(len, terminal.text.splitlines())) <= columns
            assert whole in terminal.text


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_running_job_fits_its_terminal(seen: str, columns: int) -> None:
    with FarmTerminal("jobs", "watch", RUNNING, "--tracker", seen, columns=columns, rows=24) as terminal:
        terminal.await_text("estimated model latency")
        terminal.await_text("softmax|more")
        terminal.press_ctrl_c()
        assert terminal.await_exit() == 130
        screen = terminal.text
    assert ("Not shown: weight" in screen) == (columns == 40)


def test_a_pipe_gets_whole_rows(seen: str) -> None:
    lines = farm("devices", "--tracker", seen).stdout.splitlines()
    assert len(lines) == 4
    assert all(line == line.rstrip() for line in lines)
