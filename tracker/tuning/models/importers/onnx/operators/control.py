"""Branches and loops, as far as they are known: what is left has none."""

from __future__ import annotations

from tvm import relax

from tracker.tuning.models.importers.onnx.node import Node, Refused, Value, as_expression, converter, dtype_of, shape_of


@converter("If")
def branch(node: Node) -> list[Value]:
    """A known condition leaves its branch. Else both are computed and the answer is chosen."""
    condition = node.known(0)
    if condition is not None:
        return node.subgraph(node.attribute("then_branch" if condition.reshape(-1)[0] else "else_branch"))
    yes, no = (node.subgraph(node.attribute(name)) for name in ("then_branch", "else_branch"))
    return [_chosen(node, a, b) for a, b in zip(yes, no, strict=True)]


def _chosen(node: Node, yes: Value, no: Value) -> Value:
    if (shape_of(yes), dtype_of(yes)) != (shape_of(no), dtype_of(no)):
        raise Refused(
            f"its branches give {dtype_of(yes)}{list(shape_of(yes))} and {dtype_of(no)}{list(shape_of(no))}, and which "
            "one hangs on the values of the model's inputs"
        )
    condition = node.tensor(0)
    if len(node.shape(0)) == 1 and len(shape_of(yes)) == 0:
        condition = node.emit(relax.op.squeeze(condition))
    return node.emit(relax.op.where(condition, as_expression(yes), as_expression(no)))
