"""TVM's tensor intrinsics, which schedules name: those of CPUs at once, those of GPUs when a target needs them.

``tvm.s_tir.tensor_intrin`` registers all of them as soon as any is imported, by parsing their
definitions: 10 s, nine tenths of it for CUDA. No board of a farm without a GPU should wait for that.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import tvm
import tvm.s_tir

from tvm_farm.tracker.tuning.building.dot_intrinsics import register_dot_products

__all__ = ["register_intrinsics"]

_PACKAGE = "tvm.s_tir.tensor_intrin"
_OF_CPUS = ("arm_cpu", "hexagon", "riscv_cpu", "x86")
_KINDS_OF_CPUS = {"llvm", "c", "hexagon"}


def register_intrinsics(target: tvm.target.Target | None = None) -> None:
    """Register what schedules for ``target`` may name; without one, what those for any CPU may."""
    if _PACKAGE not in sys.modules:
        # A package of this name without the __init__ that imports everything; TVM itself imports it for its effect.
        package = ModuleType(_PACKAGE)
        package.__path__ = [f"{tvm.s_tir.__path__[0]}/tensor_intrin"]
        sys.modules[_PACKAGE] = package
        for name in _OF_CPUS:
            importlib.import_module(f"{_PACKAGE}.{name}")
        register_dot_products()
    whole = hasattr(sys.modules[_PACKAGE], "__file__")
    if target is not None and str(target.kind.name) not in _KINDS_OF_CPUS and not whole:
        del sys.modules[_PACKAGE]
        importlib.import_module(_PACKAGE)  # the modules that are loaded already do not register twice
