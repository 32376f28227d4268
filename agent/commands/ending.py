"""How a command of ``agent`` ends: with an exit code, and a sentence where something failed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import click

from tvm_farm.agent.errors import AgentError
from tvm_farm.protos.program.log import is_journal, is_json, to_journal

__all__ = ["EXIT_CODES", "end_with"]

#: The end of the help of `agent start`.
EXIT_CODES = """\b
Exit codes:
  0    stopped as asked (SIGTERM or Ctrl-C)
  1    something failed; the last line says what
  2    an option cannot be used as given
  3    the tracker refuses this agent
  4    several farms answer: choose one with --farm
  5    another agent works with the same --state folder
  6    the runner is missing or cannot be started
  130  a second signal: left at once, without finishing the kernel at hand
"""


def end_with(work: Callable[[], int]) -> None:
    """Exit with what ``work`` returns, or with a fault's own code after its sentence."""
    try:
        code = work()
    except AgentError as error:
        if is_json():
            logging.getLogger("agent").error("%s", error)
        else:
            click.echo(to_journal("ERROR", str(error)) if is_journal() else f"agent: {error}", err=True)
        code = error.exit_code
    sys.exit(code)
