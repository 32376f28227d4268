"""The variables of the environment that stand for options."""

from __future__ import annotations

import copy

import click

__all__ = ["named_by_options"]


def named_by_options(command: click.Command, prefix: str) -> click.Command:
    """A copy of ``command`` whose options have the variables PREFIX_OPTION, and those of its commands the like.

    click by itself names a variable by the parameter, ``state_dir`` of ``--state``; that one still counts, after it.
    """
    command = copy.copy(command)
    command.params = [_named(parameter, prefix) for parameter in command.params]
    if isinstance(command, click.Group):
        inner = command.commands.items()
        command.commands = {name: named_by_options(each, f"{prefix}_{_words(name)}") for name, each in inner}
    return command


def _named(parameter: click.Parameter, prefix: str) -> click.Parameter:
    option = _words(max(parameter.opts, key=len))
    if not isinstance(parameter, click.Option) or parameter.envvar or option == (parameter.name or "").upper():
        return parameter
    parameter = copy.copy(parameter)
    parameter.envvar = f"{prefix}_{option}"
    return parameter


def _words(name: str) -> str:
    return name.lstrip("-").replace("-", "_").upper()
