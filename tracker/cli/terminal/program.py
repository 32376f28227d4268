"""A command as a whole process, which tells its FarmErrors and ends."""

from __future__ import annotations

import os
from typing import Any

import click

from tvm_farm.protos.program import commands
from tvm_farm.tracker.client.errors import BadInput, FarmError, Interrupted, unknown

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


class _Telling(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return self.run(ctx)
        except FarmError as error:
            raise _Told(error) from error
        except UnicodeEncodeError as error:
            if error.reason != "surrogates not allowed":
                raise
            # What the system gave us for bytes of the command line that are no text: a tracker takes text alone.
            raise _Told(BadInput(f"{error.object!r} is no text in UTF-8: write it otherwise.")) from error
        except ValueError as error:
            from tvm_farm.protos.convert import UnknownValue  # with all of protobuf, which -h is not to wait for

            if not isinstance(error, UnknownValue):
                raise
            raise _Told(FarmError(f"The tracker is newer. {unknown(error)}")) from error
        except OSError as error:
            if error.filename is None:
                raise
            # A file that the command line names; who opens it may say more of it.
            raise _Told(BadInput(f"{os.fsdecode(error.filename)}: {error.strerror}.")) from error

    def run(self, ctx: click.Context) -> Any:
        """What the command does. A FarmError that it raises is told as its message, and ends with its exit code."""
        return super().invoke(ctx)


class Program(_Telling, commands.Program):
    """See there."""


class ProgramGroup(_Telling, commands.ProgramGroup):
    """See there."""
