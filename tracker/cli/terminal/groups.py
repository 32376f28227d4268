"""Groups of commands."""

from __future__ import annotations

import click

from tvm_farm.protos.program.commands import Group
from tvm_farm.tracker.cli.terminal.program import ProgramGroup
from tvm_farm.tracker.client.errors import FarmError, missing_part

__all__ = ["LazyGroup", "ListingGroup"]


class LazyGroup(ProgramGroup):
    """A group that says what an installation lacks which has its commands' names alone, as a board's has."""

    def run(self, ctx: click.Context) -> object:
        try:
            return super().run(ctx)
        except ModuleNotFoundError as error:
            raise FarmError(missing_part(error)) from error


class ListingGroup(Group):
    """A group that lists when no command is named: ``farm devices --json`` is ``farm devices list --json``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        listing = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        if listing and not ctx.resilient_parsing:  # a shell that completes wants to know of every command
            args = ["list", *args]
        return super().parse_args(ctx, args)
