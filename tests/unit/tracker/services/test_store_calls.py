"""A service gives the store's methods to its thread: one that it called itself would hold up the event loop."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tvm_farm.tracker import services

MODULES = sorted(Path(next(iter(services.__path__))).glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_service_calls_the_store_itself(module: Path) -> None:
    called = [node.func for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call)]
    assert [ast.unparse(each) for each in called if ast.unparse(each).startswith("self._store.")] == []
