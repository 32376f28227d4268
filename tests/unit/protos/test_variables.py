"""Variables are named by options, in both programs: what their --help says of all."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from tvm_farm.agent.cli import main as agent
from tvm_farm.protos.variables import named_by_options
from tvm_farm.tracker.cli.tracker_cmd import tracker


@click.group(context_settings={"auto_envvar_prefix": "LAB"})
def lab() -> None:
    pass


@lab.command("add-board")
@click.option("--state", "-s", "state_dir", default="here")
@click.option("--quick", "is_quick", is_flag=True)
@click.option("--label", "labels", multiple=True)
def add_board(state_dir: str, is_quick: bool, labels: tuple[str, ...]) -> None:
    click.echo(f"{state_dir} {is_quick} {labels}")


lab = named_by_options(lab, "LAB")  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("environ", "arguments", "said"),
    [
        ({}, [], "here False ()"),
        ({"LAB_ADD_BOARD_STATE": "there", "LAB_ADD_BOARD_QUICK": "1"}, [], "there True ()"),
        ({"LAB_ADD_BOARD_LABEL": "a b"}, [], "here False ('a', 'b')"),
        ({"LAB_ADD_BOARD_STATE_DIR": "there"}, [], "there False ()"),
        ({"LAB_ADD_BOARD_STATE_DIR": "there", "LAB_ADD_BOARD_STATE": "first"}, [], "first False ()"),
        ({"LAB_ADD_BOARD_STATE": "there"}, ["-s", "named"], "named False ()"),
    ],
)
def test_a_variable_stands_for_its_option(environ: dict[str, str], arguments: list[str], said: str) -> None:
    done = CliRunner(env=environ).invoke(lab, ["add-board", *arguments])
    assert done.output.strip() == said


def test_a_command_of_two_programs_has_the_variables_of_each() -> None:
    other = click.Group("other", {"add-board": add_board}, context_settings={"auto_envvar_prefix": "OTHER"})
    done = CliRunner(env={"LAB_ADD_BOARD_STATE": "there"}).invoke(other, ["add-board"])
    assert done.output.startswith("here ")


def options(command: click.Command, prefix: str) -> Iterator[tuple[click.Option, str]]:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.expose_value:
            flag = max(parameter.opts, key=len).lstrip("-").replace("-", "_").upper()
            yield parameter, f"{prefix}_{flag}"
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from options(inner, f"{prefix}_{name.replace('-', '_').upper()}")


@pytest.mark.parametrize(("program", "prefix"), [(agent, "TVMFARM_AGENT"), (tracker, "TVMFARM_TRACKER")])
def test_every_option_of_a_program_has_its_variable(program: click.Group, prefix: str) -> None:
    named = list(options(program, prefix))
    assert len(named) > 10
    for option, variable in named:
        by_click = f"{variable.rpartition(option.name.upper())[0]}{option.name.upper()}" if option.name else ""
        assert variable in (option.envvar, by_click), variable
