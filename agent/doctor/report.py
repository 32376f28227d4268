"""The report of ``agent doctor``: line by line for people as things are found, or whole for programs."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import click

from tvm_farm.agent.doctor.check import Check, Verdict
from tvm_farm.agent.doctor.examination import examine
from tvm_farm.agent.settings import Settings

__all__ = ["report"]

_MARKS = {Verdict.OK: ("✓", "green"), Verdict.HINT: ("!", "yellow"), Verdict.FAILED: ("✗", "red")}


def report(settings: Settings, as_json: bool) -> int:
    """Examine, and print what is found. Returns the exit code: 1 where a check failed."""
    checks = asyncio.run(_examined(settings, quiet=as_json))
    failed = [check.name for check in checks if check.verdict is Verdict.FAILED]
    if as_json:
        answer = {"passed": not failed, "checks": [dataclasses.asdict(check) for check in checks]}
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        click.echo(f"failed: {', '.join(failed)}" if failed else "this board can join")
    return 1 if failed else 0


async def _examined(settings: Settings, *, quiet: bool) -> list[Check]:
    checks = []
    async for check in examine(settings):
        checks.append(check)
        if not quiet:
            mark, colour = _MARKS[check.verdict]
            click.echo(f"{click.style(mark, fg=colour)} {check.name}: {check.said}")
            if check.remedy:
                click.echo(f"    {check.remedy}")
    return checks
