"""PyTorch runs the program as it was exported, operator by operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from tvm_farm.tracker.tuning.errors import JudgeError
from tvm_farm.tracker.tuning.models.importers.pytorch.program import Flat, Program, as_array, as_tensor
from tvm_farm.tracker.tuning.models.importers.wording import sentence

__all__ = ["PytorchJudge"]


class PytorchJudge:
    """See ``Judge``. ``inner``: nodes of the decomposed program by the names that their values go by."""

    name = f"PyTorch {torch.__version__}"

    def __init__(self, program: Program, inner: Mapping[str, Any]) -> None:
        self._program = program
        self._inner = inner

    def answers(self, inputs: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        """See ``Judge``."""
        given = [as_tensor(value) for value in inputs]
        try:
            outputs = dict(zip(self._program.outputs, Flat(self._program.original)(*given), strict=True))
            if left := [name for name in names if name not in outputs]:
                outputs |= self._within(given, left)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise JudgeError(f"{self.name} cannot run it: {sentence(error)}.") from error
        return [as_array(outputs[name]) for name in names]

    def _within(self, given: Sequence[torch.Tensor], names: Sequence[str]) -> dict[str, torch.Tensor]:
        if missing := next((name for name in names if name not in self._inner), None):
            raise JudgeError(f"{self.name} knows no value {missing} in it.")
        wanted = {self._inner[name]: name for name in names}
        found: dict[str, torch.Tensor] = {}

        class Noting(torch.fx.Interpreter):  # type: ignore[misc]
            def run_node(self, n: Any) -> Any:
                value = super().run_node(n)
                if n in wanted:
                    found[wanted[n]] = value
                return value

        Flat(self._program.static, Noting)(*given)
        return found
