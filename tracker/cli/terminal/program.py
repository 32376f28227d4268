"""A command as a whole process, which ends with it."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

from tvm_farm.protos.output import watched_output

__all__ = ["Program", "ProgramGroup"]


class Program(click.Command):
    """Called, it runs and the process ends with its exit code; ``main`` and CliRunner run it within a process.

    The interpreter is not taken down: gRPC's daemon threads would be stopped wherever they are, one of them in the lock
    of a call perhaps, and what then lets go of that call (an error's traceback has it) waits for that lock for ever.
    """

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
