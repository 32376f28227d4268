"""Installations that lack packages: a folder on the path whose packages cannot be imported hides the installed ones."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["OF_CLIENT", "OF_TRACKER", "without"]

_ROOT = Path(__file__).parents[2]
#: What is imported otherwise than it is installed.
_MODULES = {"apache-tvm": "tvm", "apache-tvm-ffi": "tvm_ffi", "xgboost-cpu": "xgboost"}


def _extra(name: str) -> set[str]:
    """Modules that an extra of pyproject.toml brings, those of others not counted."""
    [listed] = re.findall(rf"^{name} = \[(.*?)\]$", (_ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    packages = re.findall(r'"([A-Za-z][\w-]*)(?=[>="; ])', listed)
    return {_MODULES.get(package, package.replace("-", "_")) for package in packages if package != "tvm-farm"}


#: Modules that the extras bring.
OF_CLIENT, OF_TRACKER = _extra("client"), _extra("tracker") | {"torch"}


def without(folder: Path, modules: set[str]) -> str:
    """PYTHONPATH of this checkout in an installation that lacks ``modules``."""
    for module in modules:
        (folder / module).mkdir(parents=True, exist_ok=True)
        error = f"raise ModuleNotFoundError(\"No module named '{module}'\", name={module!r})\n"
        (folder / module / "__init__.py").write_text(error)
    return f"{folder}:{_ROOT}"
