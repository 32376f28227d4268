"""The target of a job as TVM's compiler takes it, or a sentence why it does not."""

from __future__ import annotations

import tvm
from tvm.target import codegen

from tvm_farm.tracker.tuning.errors import InputError

__all__ = ["compiler_target"]


def compiler_target(target_json: str) -> tvm.target.Target:
    """Raises InputError for fields that TVM, and names that LLVM, does not know: those it would do without."""
    try:
        target = tvm.target.Target(target_json)
    except Exception as error:
        reason = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "no reason given")
        raise InputError(f"TVM {tvm.__version__} does not take the target {target_json}: {reason}") from error
    if target.kind.name != "llvm":
        return target
    mcpu, triple = str(target.attrs.get("mcpu", "")), str(target.attrs.get("mtriple", ""))
    if mcpu and mcpu not in map(str, codegen.llvm_get_cpu_archlist(target)):
        raise InputError(f"the target's mcpu {mcpu} is none that LLVM knows for {triple}: name another with --target")
    for attribute in map(str, target.attrs.get("mattr", ())):
        if attribute.startswith("+") and not codegen.llvm_cpu_has_features(attribute[1:], target):
            raise InputError(
                f"the target's mattr {attribute} is none that LLVM knows for {triple}: leave it out of --target"
            )
    return target
