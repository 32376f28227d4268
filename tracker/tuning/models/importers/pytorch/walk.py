"""TVM's importer of exported programs, watched: every node's answer is held against what PyTorch says it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import tvm
from tvm import relax
from tvm.relax.frontend.torch.exported_program_translator import ExportedProgramImporter

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.blocks import end_function
from tvm_farm.tracker.tuning.models.importers.pytorch.operators import CONVERTERS
from tvm_farm.tracker.tuning.models.importers.pytorch.watched import WatchedNode
from tvm_farm.tracker.tuning.models.importers.values import Refused
from tvm_farm.tracker.tuning.models.importers.wording import sentence

__all__ = ["inner_values", "translated"]

#: Wrong in TVM 0.27: tests/system/importers/test_torch.py holds the others against PyTorch.
DISTRUSTED = frozenset({"_upsample_bilinear2d_aa.default"})
_RANDOM = ("bernoulli", "dropout", "exponential", "multinomial", "normal", "rand", "uniform")


def translated(program: Any, wanted: Sequence[Any] | None, name: str) -> tvm.ir.IRModule:
    """``program``, static and decomposed, as a Relax module; its outputs are those of the nodes ``wanted``, if given.

    Raises InputError, which names the node that stopped it.
    """
    importer = _Importer(program, wanted, name)
    try:
        return importer.from_exported_program(program, False, True, False, None)
    except InputError:  # of a node: the importer was in its one function
        end_function(importer.block_builder)
        raise


def inner_values(program: Any, taken: Sequence[str]) -> dict[str, Any]:
    """Nodes of ``program`` that give one tensor, by a name for each that is not among ``taken``."""
    found = {}
    for node in program.graph.nodes:
        if node.op == "call_function" and isinstance(node.meta.get("val"), torch.Tensor):
            found[f"{node.name}#" if node.name in taken else node.name] = node
    return found


class _Importer(ExportedProgramImporter):  # type: ignore[misc]
    def __init__(self, program: Any, wanted: Sequence[Any] | None, name: str) -> None:
        super().__init__()
        self._program = program
        self._wanted = wanted
        self._name = name

    def _check_unsupported_func_type(self, nodes: Sequence[Any]) -> None:
        """Each node is asked about when its turn comes, by name."""

    def _translate_fx_graph(
        self, graph_module: Any, nodes: Sequence[Any], inputs_vars: Mapping[str, Any], custom_ops: Any = None
    ) -> tuple[relax.Expr, ...]:
        outputs: Any = ()
        for node in nodes:
            if node.op == "placeholder":
                self.env[node] = inputs_vars[node.name]
            elif node.op == "call_function":
                self.env[node] = self._converted(node)
            elif node.op == "output":
                outputs = self.retrieve_args(node)[0]
            else:
                raise InputError(f"{self._name}: node {node.name}: the farm cannot import a {node.op} of a program.")
        if self._wanted is not None:
            outputs = [self.env[node] for node in self._wanted]
        return self._flatten_output_args(outputs)  # type: ignore[no-any-return]

    def _converted(self, node: Any) -> Any:
        operator = str(node.target)
        try:
            known = node.target.__name__
            if any(known.startswith(each) or f"_{each}" in known for each in _RANDOM):
                raise Refused("it draws random numbers, so that nothing can judge the answers")
            watched = WatchedNode(node)
            if own := CONVERTERS.get(known):
                value = own(self, watched)
            elif known in self.convert_map and known not in DISTRUSTED:
                value = self.convert_map[known](watched)
            else:
                raise Refused("neither the farm nor TVM can import this operator")
            if overlooked := watched.overlooked():
                raise Refused(f"TVM {tvm.__version__} overlooks its argument {overlooked}")
            _check(value, node.meta.get("val"))
            return value
        except Refused as error:
            raise InputError(f"{self._name}: node {node.name} ({operator}): {error}.") from error
        except Exception as error:  # TVM's converters and passes raise whatever they meet
            reason = f"TVM {tvm.__version__} cannot import it: {sentence(error)}"
            raise InputError(f"{self._name}: node {node.name} ({operator}): {reason}.") from error


def _check(value: Any, declared: Any) -> None:
    """Raises Refused where ``value`` is not of the shape and dtype that PyTorch found."""
    if not isinstance(declared, torch.Tensor):
        return
    if not isinstance(value, relax.Expr) or not isinstance(value.ty, relax.TensorType):
        raise Refused("TVM makes no tensor of it")
    shape = tuple(int(size) for size in value.ty.shape) if value.ty.shape is not None else None
    wanted = (str(declared.dtype)[len("torch.") :], tuple(int(size) for size in declared.shape))
    if (str(value.ty.dtype), shape) != wanted:
        raise Refused(
            f"TVM {tvm.__version__} gives {value.ty.dtype}{list(shape or ())} where PyTorch says "
            f"{wanted[0]}{list(wanted[1])}"
        )
