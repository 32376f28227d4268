"""What holds for every command of the three programs."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from tvm_farm.agent.cli import main as agent
from tvm_farm.protos.program.commands import ProgramGroup
from tvm_farm.tracker.cli import farm, tracker

PROGRAMS: dict[str, ProgramGroup] = {"agent": agent, "farm": farm, "tracker": tracker}  # type: ignore[dict-item]


def paths(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from paths(inner, (*path, name))


ALL = [path for name, program in PROGRAMS.items() for path in paths(program, (name,))]


def said(*words: str) -> tuple[int, str]:
    program, *arguments = words
    done = CliRunner().invoke(PROGRAMS[program], arguments, prog_name=program)
    return done.exit_code, done.output


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_each_has_both_ways_to_its_help(path: tuple[str, ...]) -> None:
    code, short = said(*path, "-h")
    assert (code, short.split("\n")[0].startswith(f"Usage: {' '.join(path)} ")) == (0, True)
    assert said(*path, "--help") == (code, short)
    assert "-h, --help" in short


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_tells_its_version(program: str) -> None:
    code, told = said(program, "--version")
    assert (code, told.startswith(f"{program}, version ")) == (0, True)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("farm", "tnue"), "No such command 'tnue'. Did you mean 'tune'?"),
        (("farm", "jobs", "wacth"), "No such command 'wacth'. Did you mean 'watch'?"),
        (("farm", "records", "qurey"), "No such command 'qurey'. Did you mean 'query'?"),
        (("farm", "jobs", "--stat"), "Did you mean '--state'?"),
        (("tracker", "runtime", "ad"), "No such command 'ad'. Did you mean 'add'?"),
        (("tracker", "strat"), "No such command 'strat'. Did you mean 'start'"),
        (("agent", "docter"), "No such command 'docter'. Did you mean 'doctor'?"),
        (("agent", "fly"), "No such command 'fly'.\n"),
    ],
)
def test_a_misspelt_word_is_answered_with_what_it_may_have_meant(words: tuple[str, ...], meant: str) -> None:
    code, told = said(*words)
    assert (code, meant in told.replace("(Possible options: --state)", "Did you mean '--state'?")) == (2, True), told
