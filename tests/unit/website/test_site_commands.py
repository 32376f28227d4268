"""The pages of commands and settings, from click's own knowledge."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from website import commands
from website.commands import commands_page, settings_page


@click.group(context_settings={"auto_envvar_prefix": "LAB"}, epilog="\b\nExit codes:\n  0  it worked")
def lab() -> None:
    """Keep boards."""


@lab.command()
@click.argument("board")
@click.option("--way", type=click.Choice(["ssh", "adb"]), default="ssh", show_default=True, help="How.")
@click.option("--state", "state_dir", default=Path.home() / "lab", show_default=True, help="Where *all* is | kept.")
@click.option("--tracker", help="Which [env: LAB_TRACKER].")
@click.option("--secret", hidden=True, help="For tests.")
@click.version_option("1")
def add(**_: object) -> None:
    """Add BOARD.

    Text that goes
    on.

    \b
    Example:
      lab add rpi4
    """


@pytest.fixture(autouse=True)
def _own_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PROGRAMS", {"lab": lab})


def test_a_command_is_told_whole() -> None:
    page = commands_page()
    assert "| [`lab add`](#lab-add) | Add BOARD. |" in page
    assert "Text that goes on.\n\nExample:\n\n```text\nlab add rpi4\n```" in page
    assert "| `--way WORD` | How. \\[default: ssh\\] WORD is `ssh` or `adb`. |" in page
    assert "Where \\*all\\* is \\| kept. \\[default: ~/lab\\]" in page
    assert "Exit codes:\n\n```text\n0  it worked\n```" in page
    assert "--secret" not in page


def test_each_variable_stands_for_its_option() -> None:
    rows = settings_page().splitlines()[2:]
    assert rows == [
        f"| `{variable}` | [`lab add {option}`](cli.md#lab-add) |"
        for variable, option in (
            ("LAB_ADD_WAY", "--way"),
            ("LAB_ADD_STATE_DIR", "--state"),
            ("LAB_TRACKER", "--tracker"),
            ("LAB_ADD_TRACKER", "--tracker"),
        )
    ]
