"""What a person who wrote a template is told."""

from __future__ import annotations

from tvm_farm.tracker.tuning.engines.base import NotSearched
from tvm_farm.tracker.tuning.errors import InputError

__all__ = ["InvalidPoint", "NoTemplate", "TemplateError", "line_of"]


class TemplateError(InputError):
    """A template cannot be used: one sentence, with its file and line where they are known."""


class NoTemplate(NotSearched):
    """No template matches a task."""


class InvalidPoint(Exception):
    """One point of a space gives no valid schedule: why."""


def line_of(error: BaseException, file: str) -> str:
    """``file:line`` of the deepest call in ``file`` that ``error`` passed through; ``file`` where it passed none."""
    line, traceback = 0, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == file:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return f"{file}:{line}" if line else file
