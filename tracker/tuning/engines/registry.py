"""Where engines come from: each family of the domain's list is a module beside this one, with a ``Maker``."""

from __future__ import annotations

from importlib import import_module

from tvm_farm.tracker.domain.engine import AUTO, ENGINES, FAMILIES
from tvm_farm.tracker.tuning.engines.base import Maker, Setting
from tvm_farm.tracker.tuning.errors import InputError

__all__ = ["check", "maker"]

# All at once, whichever a job asks for: it is forked from a process that has loaded this.
_MODULES = {family.name: import_module(f"{__package__}.{family.name}") for family in FAMILIES}


def check(engine: str) -> None:
    """Raises InputError for a name that is no engine's."""
    if engine not in ENGINES:
        raise InputError(f"there is no engine '{engine}': this farm has {', '.join(ENGINES)}")


def maker(engine: str, setting: Setting) -> Maker:
    """What makes ``engine`` for the tasks of one job. Raises InputError for a name that is no engine's.

    ``auto`` is none by itself: see choice.
    """
    check(engine)
    assert engine != AUTO
    family, _, variant = engine.partition("-")
    made: Maker = _MODULES[family].Maker(setting, variant)
    return made
