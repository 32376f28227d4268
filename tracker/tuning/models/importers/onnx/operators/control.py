"""Branches, as far as they are known: what is left has none. Loops are in ``loops.py``."""

from __future__ import annotations

from tvm import relax

from tvm_farm.tracker.tuning.errors import InputError
from tvm_farm.tracker.tuning.models.importers.onnx.node import (
    Node,
    Refused,
    Value,
    as_expression,
    converter,
    dtype_of,
    shape_of,
)

__all__ = ["chosen"]


@converter("If")
def branch(node: Node) -> list[Value]:
    """A known condition leaves its branch. Else both are computed and the answer is chosen."""
    condition = node.known(0)
    if condition is not None:
        return node.subgraph(node.attribute("then_branch" if condition.reshape(-1)[0] else "else_branch"))
    yes, no = (_either(node, name) for name in ("then_branch", "else_branch"))
    found = [chosen(node, node.tensor(0), a, b) for a, b in zip(yes, no, strict=True)]
    node.note(
        "both of its branches are computed, since which one is taken depends on the values of the model's inputs",
        node.tensor(0),
    )
    return found


def _either(node: Node, name: str) -> list[Value]:
    try:
        return node.subgraph(node.attribute(name))
    except InputError as error:
        inner = str(error).partition(": ")[2].rstrip(".")
        why = f"which branch it takes depends on the values of the model's inputs, and its {name} cannot be imported"
        raise Refused(f"{why}: {inner}", node.tensor(0)) from error


def chosen(node: Node, condition: relax.Expr, yes: Value, no: Value) -> Value:
    """``yes`` where ``condition``, a bool of one element, holds, else ``no``. Raises Refused where they are unlike."""
    if (shape_of(yes), dtype_of(yes)) != (shape_of(no), dtype_of(no)):
        raise Refused(
            f"it gives {dtype_of(yes)}{list(shape_of(yes))} or {dtype_of(no)}{list(shape_of(no))}, and which one hangs "
            "on the values of the model's inputs",
            condition,
        )
    if yes is no:
        return yes
    if len(shape_of(condition)) == 1 and len(shape_of(yes)) == 0:
        condition = node.emit(relax.op.squeeze(condition))
    return node.emit(relax.op.where(condition, as_expression(yes), as_expression(no)))
