"""A command of click as a whole process, which ends with it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NoReturn

import click

from tvm_farm.protos.output import watched_output
from tvm_farm.protos.suggestions import did_you_mean
from tvm_farm.protos.variables import named_by_options

__all__ = ["EXIT_INTERRUPTED", "Group", "Program", "ProgramGroup"]

EXIT_INTERRUPTED = 130


class Program(click.Command):
    """Called, it runs and the process ends with its exit code; ``main`` and CliRunner run it within a process.

    The interpreter is not taken down: gRPC's daemon threads would be stopped wherever they are, one of them in the lock
    of a call perhaps, and what then lets go of that call (an error's traceback has it) waits for that lock for ever.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        _leave(self.exit_code(*args, **kwargs))

    def exit_code(self, *args: Any, **kwargs: Any) -> int:
        """The command in a process that goes on."""
        try:
            with watched_output():
                self.main(*args, **kwargs)
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 1
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        return 0

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _interruptible():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _interruptible():
            return super().invoke(ctx)


class Group(click.Group):
    """A group that knows what a misspelt command may have meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not ctx.resilient_parsing and name[:1].isalnum() and self.get_command(ctx, name) is None:
            meant = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"No such command '{name}'.{meant}", ctx)
        return super().resolve_command(ctx, args)


class ProgramGroup(Program, Group):
    """The same of a group of commands, which are imported when they are asked for: ``lazy`` has "module:attribute" by
    name. -h asks for help in each of them. With ``variables`` each option has the variable VARIABLES_COMMAND_OPTION.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str], variables: str = "", **kwargs: Any) -> None:
        settings = {"help_option_names": ["-h", "--help"], **(kwargs.pop("context_settings", None) or {})}
        if variables:
            settings["auto_envvar_prefix"] = variables
        super().__init__(*args, context_settings=settings, **kwargs)
        self._lazy = dict(lazy)
        self._variables = variables

    def invoke(self, ctx: click.Context) -> Any:
        # gRPC's own notes on every lost connection say less than ours. Read when it is imported.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order given."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return None
        module, attribute = self._lazy[cmd_name].split(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        if not self._variables:
            return command
        return named_by_options(command, f"{self._variables}_{cmd_name.replace('-', '_').upper()}")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C that nobody else has answered ends the command in one word."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nInterrupted.", err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None


def _leave(code: int) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed by who started us
            stream.flush()
    os._exit(code)
