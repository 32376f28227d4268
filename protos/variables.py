"""The variables of the environment that stand for options."""

from __future__ import annotations

import copy

import click

__all__ = ["name_by_options"]


def name_by_options(program: click.Group, prefix: str) -> None:
    """Gives each option of all commands of ``program`` the variable PREFIX_COMMAND_OPTION.

    click by itself names a variable by the parameter, ``state_dir`` of ``--state``; that one still counts, after it.
    The program gets copies of its commands: another program may have the same ones, under another prefix.
    """
    for name, command in program.commands.items():
        inner = f"{prefix}_{_words(name)}"
        program.commands[name] = command = copy.copy(command)
        command.params = [_named(parameter, inner) for parameter in command.params]
        if isinstance(command, click.Group):
            command.commands = dict(command.commands)
            name_by_options(command, inner)


def _named(parameter: click.Parameter, prefix: str) -> click.Parameter:
    option = _words(max(parameter.opts, key=len))
    if not isinstance(parameter, click.Option) or parameter.envvar or option == (parameter.name or "").upper():
        return parameter
    parameter = copy.copy(parameter)
    parameter.envvar = f"{prefix}_{option}"
    return parameter


def _words(name: str) -> str:
    return name.lstrip("-").replace("-", "_").upper()
