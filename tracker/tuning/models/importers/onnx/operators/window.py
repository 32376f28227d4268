"""Windows that slide over the space of a tensor [n, c, space...]: kernels, strides, padding, what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused

__all__ = ["Window", "spread", "window_of"]


@dataclass(frozen=True)
class Window:
    """One axis. ``before``: padding in front; ``after``: behind, as much as the last window needs, at least 0."""

    given: int
    kernel: int
    stride: int
    dilation: int
    before: int
    #: Padding behind that the file asks for: what a larger ``after`` adds is no padding to an average.
    declared: int
    wanted: int

    @property
    def after(self) -> int:
        return max(0, (self.wanted - 1) * self.stride + self.reach - self.given - self.before)

    @property
    def reach(self) -> int:
        """Length that the kernel spans."""
        return (self.kernel - 1) * self.dilation + 1


def window_of(node: Node, kernel: Sequence[int] | None = None) -> list[Window]:
    """The windows of a convolution or a pool over input 0, an axis of its space each.

    ``kernel``: sizes where they are not an attribute. Output sizes as ONNX writes them, ``ceil_mode`` and ``auto_pad``
    included (AveragePool-22; a window that would start behind the padding is left out).
    """
    space = node.shape(0)[2:]
    sizes = list(kernel if kernel is not None else node.attribute("kernel_shape", ()))
    if not space or len(sizes) != len(space):
        raise Refused(f"its kernel {sizes} does not fit its input {list(node.shape(0))}")
    strides, dilations = spread(node, "strides", 1), spread(node, "dilations", 1)
    pads = list(node.attribute("pads") or [0] * (2 * len(space)))
    if len(pads) != 2 * len(space) or min(pads) < 0:
        raise Refused(f"its pads {pads} are not two of 0 or more for each axis of space")
    auto = node.attribute("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise Refused(f"ONNX has no auto_pad {auto}")
    found = []
    for axis, given in enumerate(space):
        stride, reach = strides[axis], (sizes[axis] - 1) * dilations[axis] + 1
        if auto.startswith("SAME"):
            wanted = -(-given // stride)
            total = max(0, (wanted - 1) * stride + reach - given)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            after = total - before
        else:
            before, after = (0, 0) if auto == "VALID" else (pads[axis], pads[axis + len(space)])
            room = given + before + after - reach
            ceil = bool(node.attribute("ceil_mode", 0))
            wanted = (-(-room // stride) if ceil else room // stride) + 1
            if ceil and (wanted - 1) * stride >= given + before:
                wanted -= 1
        if wanted < 0:
            raise Refused(f"its kernel is larger than its padded input {list(node.shape(0))}")
        found.append(Window(given, sizes[axis], stride, dilations[axis], before, after, wanted))
    return found


def spread(node: Node, name: str, default: int) -> list[int]:
    """A list attribute with a number for each axis of space."""
    count = len(node.shape(0)) - 2
    values = list(node.attribute(name) or [default] * count)
    if len(values) != count:
        raise Refused(f"its {name} {values} do not fit its input {list(node.shape(0))}")
    return values
