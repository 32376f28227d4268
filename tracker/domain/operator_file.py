"""An operator as people name it, ``op.py:my_matmul``, and what a Python file binds, without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tvm_farm.tracker.domain.errors import InvalidRequest

__all__ = ["Definition", "OperatorName", "definitions", "parse_operator"]

_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_OPERATOR = re.compile(r"(?P<path>.*\.py):(?P<name>[^/:]*)", re.DOTALL)


@dataclass(frozen=True)
class OperatorName:
    """``name`` in the Python file at ``path``."""

    path: str
    name: str


@dataclass(frozen=True)
class Definition:
    """Where a name gets its value: a line of its file. ``imported``: from elsewhere."""

    line: int
    imported: bool = False


def parse_operator(text: str) -> OperatorName | None:
    """``op.py:my_matmul``; None for anything that has no ``.py:`` before a last name. Raises InvalidRequest where the
    name is none that Python could bind.
    """
    match = _OPERATOR.fullmatch(text)
    if match is None:
        return None
    if not match["name"].isidentifier():
        raise InvalidRequest(
            f"{text} names no operator: write {match['path']}:NAME, the name of a function in that file"
        )
    return OperatorName(match["path"], match["name"])


def definitions(source: bytes, file: str) -> dict[str, Definition] | None:
    """The names that a Python file binds at its top level, each where it is first; None where it imports ``*``: then
    only running it would tell.

    ``file`` is its name for messages. Raises InvalidRequest for what is no Python.
    """
    try:
        tree = ast.parse(source, file)
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise InvalidRequest(f"{file}{line}: {error.msg}") from None
    except ValueError as error:  # a zero byte
        raise InvalidRequest(f"{file} is no Python file: {error}") from None
    found: dict[str, Definition] = {}
    for name, definition in _bound(tree.body):
        if name == "*":
            return None
        found.setdefault(name, definition)
    return found


def _bound(statements: Sequence[ast.stmt]) -> Iterator[tuple[str, Definition]]:
    for statement in statements:
        if isinstance(statement, _DEFINITION):
            yield statement.name, Definition(statement.lineno)
            continue
        # Whatever stands inside an ``if`` or a ``try``, too: better one name too many than one missed.
        for node in ast.walk(statement):
            if isinstance(node, _DEFINITION):
                yield node.name, Definition(node.lineno)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    yield alias.asname or alias.name.split(".")[0], Definition(node.lineno, imported=True)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id, Definition(node.lineno)
