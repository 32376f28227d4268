"""``agent doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tvm_farm.agent.commands import options
from tvm_farm.agent.commands.ending import end_with
from tvm_farm.agent.settings import Settings, default_state_dir

__all__ = ["doctor"]

_EXIT_CODES = """\b
Exit codes:
  0  no check failed
  1  a check failed
  2  an option cannot be used as given
"""


@click.command(epilog=_EXIT_CODES)
@options.tracker
@options.farm
@options.via
@options.state
@options.runtime
@options.libc
@options.mode
@options.threads
@options.cluster
@options.interface
@click.option("--json", "as_json", is_flag=True, help="One JSON object: passed, checks [name, verdict, said, remedy].")
def doctor(state_dir: Path | None, tracker: str | None, via: str, as_json: bool, **rest: Any) -> None:
    """Check what a join needs, and name what is missing.

    Give it those of these options that `agent start` gets.

    \b
    Examples:
      agent doctor
      agent doctor --tracker farm.local:9195 --json
      agent doctor --via ssh:root@router.local
    """
    from tvm_farm.agent.doctor.report import report

    def work() -> int:
        folder = state_dir or default_state_dir(via=via)
        return report(Settings(state_dir=folder, tracker=tracker or "", via=via, **rest), as_json)

    end_with(work)
