"""A command as a whole process, which ends with it."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

from tvm_farm.protos.output import watched_output
from tvm_farm.tracker.client.errors import FarmError, Interrupted

__all__ = ["Program", "ProgramGroup"]


class _Told(click.ClickException):
    """A FarmError as click shows and exits with it."""

    def __init__(self, error: FarmError) -> None:
        super().__init__(error.message)
        self.exit_code = error.exit_code  # type: ignore[misc]
        self._error = error

    def show(self, file: object = None) -> None:
        if isinstance(self._error, Interrupted):  # without "Error:": being interrupted is none
            click.echo(self.message, err=True)
        else:
            super().show()


class Program(click.Command):
    """Called, it runs and the process ends with its exit code; ``main`` and CliRunner run it within a process.

    The interpreter is not taken down: gRPC's daemon threads would be stopped wherever they are, one of them in the lock
    of a call perhaps, and what then lets go of that call (an error's traceback has it) waits for that lock for ever.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return self.run(ctx)
        except FarmError as error:
            raise _Told(error) from error

    def run(self, ctx: click.Context) -> Any:
        """What the command does. A FarmError that it raises is told as its message, and ends with its exit code."""
        return super().invoke(ctx)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        try:
            with watched_output():
                super().__call__(*args, **kwargs)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # closed by who started us
                stream.flush()
        os._exit(code)


class ProgramGroup(Program, click.Group):
    """The same of a group of commands."""
