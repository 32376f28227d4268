"""Every command's help holds an example, and every example is a command that could be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from tvm_farm.agent.cli import main as agent
from tvm_farm.tracker.cli import farm, tracker
from tvm_farm.tracker.services import jobs

PROGRAMS = {"agent": agent, "farm": farm, "tracker": tracker}


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, f"{path} {name}")


ALL = [pair for name, program in PROGRAMS.items() for pair in commands(program, name)]


def examples(command: click.Command) -> list[str]:
    _, _, shown = (command.help or "").partition("Example")
    return re.findall(r"^ +((?:agent|farm|tracker)\b.*)$", shown, re.MULTILINE)


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_examples(path: str, command: click.Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examples(command) or isinstance(command, click.Group)
    parsed: list[str] = []
    monkeypatch.setattr(click.Command, "invoke", lambda self, context: parsed.append(context.command_path))
    for example in examples(command):
        program, *words = shlex.split(re.split(" >>? ", example)[0])
        result = CliRunner().invoke(PROGRAMS[program], words, prog_name=program)
        assert result.exit_code == 0, f"{example}: {result.output}"
        # A group lists when it is given no command, and the example of the listing may be that.
        assert parsed[-1].startswith(path), f"{example} is no example of {path}"


def test_a_number_is_refused_that_the_wire_has_no_room_for() -> None:
    params = [param for _, command in commands(farm, "farm") for param in command.params]
    whole = [param for param in params if isinstance(param.type, click.IntRange)]
    assert len(whole) > 8
    for param in whole:
        with pytest.raises(click.BadParameter):
            param.type.convert(str(2**40), param, None)


@pytest.mark.parametrize(("path", "command"), [each for each in ALL if isinstance(each[1], click.Group)])
def test_no_summary_of_a_command_is_cut_on_a_screen_of_80_columns(path: str, command: click.Command) -> None:
    context = click.Context(command, info_name=path, terminal_width=80, max_content_width=80)
    assert "..." not in command.get_help(context).partition("Commands:")[2]


def test_job_ids_in_examples_look_like_job_ids() -> None:
    ids = [word for _, command in ALL for e in examples(command) for word in re.findall(r"\w+-ab2c\w*", e)]
    assert len(ids) == 10
    for job_id in ids:
        stem, _, letters = job_id.rpartition("-")
        assert jobs._new_id(stem).startswith(f"{stem}-")
        assert set(letters) <= set(jobs._LETTERS)
