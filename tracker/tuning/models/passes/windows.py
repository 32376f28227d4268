"""Windows of convolutions in TE: the image with its padding, places in it, the size of what comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import te, topi

__all__ = ["Sizes", "at", "image", "padded"]

Sizes = Sequence[int]


def padded(data: te.Tensor, padding: Sizes, value: float = 0.0) -> te.Tensor:
    """``data`` [n, c, h, w, ...] with ``padding`` (top, left, bottom, right) of ``value`` around its image."""
    if not any(padding):
        return data
    rest = [0] * (len(data.shape) - 4)
    before, after = [0, 0, padding[0], padding[1], *rest], [0, 0, padding[2], padding[3], *rest]
    return topi.nn.pad(data, before, after, value, name="pad")


def image(data: te.Tensor, kernel: Sizes, strides: Sizes, dilation: Sizes) -> list[int]:
    """Height and width of what a convolution over ``data``, already padded, gives."""
    sizes = [int(size) for size in data.shape[2:4]]
    return [(sizes[i] - (kernel[i] - 1) * dilation[i] - 1) // strides[i] + 1 for i in range(2)]


def at(strides: Sizes, dilation: Sizes) -> Callable[..., tuple[Any, Any]]:
    """Where row ``h`` and column ``w`` of the result meet ``kh`` and ``kw`` of the kernel."""
    return lambda h, w, kh, kw: (h * strides[0] + kh * dilation[0], w * strides[1] + kw * dilation[1])
