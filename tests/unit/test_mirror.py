"""The folders of tests/unit are those of the product: a module's tests lie where the module does."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "tests" / "unit"
#: Farms that tests share: what is tested through one imports no more than that.
FARMS = {"tests.support.orders_farm", "tests.support.fleet_farm"}

FILES = sorted(path for path in UNIT.rglob("*.py") if path.parent != UNIT)


def imported(path: Path) -> set[str]:
    """Modules that ``path`` imports, and those whose names it imports from a package."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(UNIT)))
def test_a_file_lies_where_a_module_lies_that_it_imports(path: Path) -> None:
    folder = path.parent.relative_to(UNIT)
    assert (ROOT / folder / "__init__.py").is_file(), f"{path.name}: there is no package {folder}"
    package = ".".join(folder.parts)
    own = {package, *(f"{package}.{module.stem}" for module in (ROOT / folder).glob("*.py"))}
    names = {name.removeprefix("tvm_farm.") for name in imported(path)}
    assert names & (own | FARMS), (
        f"{path.name} imports no module of {folder}: it belongs beside the tests of what it imports"
    )
