"""Click groups of the ``farm`` command: commands loaded when used, listings as the default."""

from __future__ import annotations

from importlib import import_module

import click

from tvm_farm.tracker.cli.terminal.program import ProgramGroup
from tvm_farm.tracker.client.errors import FarmError, Interrupted, missing_part

__all__ = ["LazyGroup", "ListingGroup"]


class LazyGroup(ProgramGroup):
    """A group whose commands are named as "module:attribute" and imported when asked for, in the order given."""

    def __init__(self, *args: object, lazy: dict[str, str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return None
        module, attribute = self._lazy[cmd_name].split(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def run(self, ctx: click.Context) -> object:
        try:
            return super().run(ctx)
        except KeyboardInterrupt:
            raise Interrupted("\nInterrupted.") from None
        except ModuleNotFoundError as error:
            # A board's installation has this command's name and not what it needs.
            raise FarmError(missing_part(error)) from error


class ListingGroup(click.Group):
    """A group that lists when no command is named: ``farm devices --json`` is ``farm devices list --json``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)
