"""Functions of tensors as PyTorch programs, in the forms that an importer may overlook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as f
from torch import nn

__all__ = ["CASES", "REFUSED"]

#: A function or module, and the shapes of its inputs.
CASES: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {}
#: The same, and what the refusal says.
REFUSED: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]], str]] = {}
_IMAGE = (2, 4, 9, 11)


def case(name: str, compute: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
    assert name not in CASES, name
    CASES[name] = (compute, list(shapes) or [(3, 5)])


def refuse(name: str, told: str, compute: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
    REFUSED[name] = (compute, list(shapes) or [(3, 5)], told)


def elementwise() -> None:
    for name in (
        "abs", "ceil", "cos", "erf", "exp", "expm1", "floor", "neg", "reciprocal", "round", "sigmoid", "sign", "sin",
        "sinh", "square", "tan", "tanh", "trunc", "atan", "asinh",
    ):  # fmt: skip
        case(name, getattr(torch, name))
    for name in ("log", "log1p", "log2", "log10", "rsqrt", "sqrt"):
        case(name, lambda x, name=name: getattr(torch, name)(x.abs() + 0.1))
    for name in (
        "celu", "elu", "hardsigmoid", "hardswish", "leaky_relu", "relu", "relu6", "selu", "silu", "softplus",
        "softsign", "mish", "logsigmoid", "hardtanh", "softshrink", "hardshrink", "tanhshrink",
    ):  # fmt: skip
        case(name, getattr(f, name))
    case("elu-alpha", lambda x: f.elu(x, 0.3))
    case("leaky_relu-slope", lambda x: f.leaky_relu(x, 0.3))
    case("softplus-beta", lambda x: f.softplus(x, beta=2.0, threshold=3.0))
    case("gelu", f.gelu)
    case("gelu-tanh", lambda x: f.gelu(x, approximate="tanh"))
    case("clamp", lambda x: x.clamp(-0.3, 0.4))
    case("clamp-min", lambda x: x.clamp(min=0.1))
    case("round-decimals", lambda x: torch.round(x * 50, decimals=1))
    case("prelu", nn.PReLU(4), _IMAGE)
    case("glu", lambda x: f.glu(x, dim=1), (3, 6))
    case("threshold", lambda x: f.threshold(x, 0.1, 20.0))


def pairs() -> None:
    both = (2, 3, 4), (3, 1)
    for name in ("add", "sub", "mul", "div", "maximum", "minimum", "atan2"):
        case(name, getattr(torch, name), *both)
    case("add-alpha", lambda x, y: torch.add(x, y, alpha=2.5), *both)
    case("sub-alpha", lambda x, y: torch.sub(x, y, alpha=0.5), *both)
    case("rsub", lambda x: 3.0 - x)
    case("div-floor", lambda x, y: torch.div(x, y.abs() + 0.3, rounding_mode="floor"), *both)
    case("div-trunc", lambda x, y: torch.div(x * 9, y.abs() + 0.3, rounding_mode="trunc"), *both)
    case("remainder", lambda x: torch.remainder(x * 9, 2.0))
    case("fmod", lambda x: torch.fmod(x * 9, 2.0))
    case("pow", lambda x, y: (x.abs() + 0.2) ** y, *both)
    case("pow-scalar", lambda x: x**3)
    case("where", lambda x, y: torch.where(x > y, x, y * 2), *both)
    case("lerp", lambda x, y: torch.lerp(x, y, 0.3), (3, 4), (3, 4))
    case("addcmul", lambda x, y: torch.addcmul(x, x, y, value=0.5), (3, 4), (3, 4))
    case("masked_fill", lambda x: x.masked_fill(x > 0, -1.5))
    case("compare", lambda x, y: ((x > y).float(), (x <= y).to(torch.int32)), *both)
    case("logaddexp", torch.logaddexp, *both)


def products() -> None:
    case("linear", nn.Linear(7, 5), (2, 3, 7))
    case("linear-no-bias", nn.Linear(7, 5, bias=False), (3, 7))
    case("matmul", torch.matmul, (2, 3, 4), (4, 5))
    case("matmul-vector", torch.matmul, (3, 4), (4,))
    case("bmm", torch.bmm, (2, 3, 4), (2, 4, 5))
    case("addmm", lambda x, y, z: torch.addmm(x, y, z, beta=0.5, alpha=2.0), (3, 5), (3, 4), (4, 5))
    case("baddbmm", lambda x, y, z: torch.baddbmm(x, y, z, beta=0.5, alpha=2.0), (2, 3, 5), (2, 3, 4), (2, 4, 5))
    case("einsum", lambda x, y: torch.einsum("bij,bkj->bik", x, y), (2, 3, 4), (2, 5, 4))
    case("conv1d", nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2), (2, 4, 15))
    case("conv2d", nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), _IMAGE)
    case("conv2d-same", nn.Conv2d(4, 6, 4, padding="same"), _IMAGE)
    case("conv2d-groups", nn.Conv2d(4, 8, 3, groups=2, bias=False), _IMAGE)
    case("conv2d-depthwise", nn.Conv2d(4, 8, 3, groups=4), _IMAGE)
    case("conv2d-reflect", nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), _IMAGE)
    case("conv3d", nn.Conv3d(2, 3, 3, stride=2, padding=1), (1, 2, 5, 6, 7))
    case("conv_transpose1d", nn.ConvTranspose1d(4, 6, 3, stride=2, output_padding=1), (2, 4, 7))
    case("conv_transpose2d", nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1), _IMAGE)
    case("conv_transpose2d-groups", nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), _IMAGE)
    case("conv_transpose2d-dilated", nn.ConvTranspose2d(4, 6, 3, dilation=2), _IMAGE)
    case("attention", f.scaled_dot_product_attention, (1, 2, 5, 8), (1, 2, 7, 8), (1, 2, 7, 8))
    case("attention-causal", lambda q: f.scaled_dot_product_attention(q, q, q, is_causal=True), (1, 2, 5, 8))
    case("attention-scale", lambda q: f.scaled_dot_product_attention(q, q, q, scale=0.2), (1, 2, 5, 8))
    heads = nn.MultiheadAttention(8, 2, batch_first=True)
    case("multihead", lambda x: heads(x, x, x, need_weights=False)[0], (2, 5, 8))
    lstm, gru, table = nn.LSTM(5, 6, batch_first=True), nn.GRU(5, 6), nn.Embedding(9, 4)
    case("lstm", lambda x: lstm(x)[0], (2, 4, 5))
    case("gru", lambda x: gru(x)[0], (4, 2, 5))
    case("embedding", lambda x: table((x.abs() * 3).long().clamp(max=8)), (2, 5))


def windows() -> None:
    case("max_pool2d", nn.MaxPool2d(3, stride=2, padding=1), _IMAGE)
    case("max_pool2d-ceil", nn.MaxPool2d(3, stride=2, ceil_mode=True), (1, 2, 8, 10))
    case("max_pool2d-dilated", nn.MaxPool2d(2, stride=1, dilation=2), _IMAGE)
    case("max_pool1d", nn.MaxPool1d(3), (2, 4, 10))
    case("avg_pool2d", nn.AvgPool2d(3, stride=2, padding=1), _IMAGE)
    case("avg_pool2d-inside", nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False), _IMAGE)
    case("avg_pool2d-ceil", nn.AvgPool2d(3, stride=2, ceil_mode=True), (1, 2, 8, 10))
    case("avg_pool1d", nn.AvgPool1d(3, padding=1), (2, 4, 10))
    case("adaptive_avg_pool2d", nn.AdaptiveAvgPool2d(1), _IMAGE)
    case("adaptive_avg_pool2d-uneven", nn.AdaptiveAvgPool2d((4, 3)), _IMAGE)
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        case(f"upsample-{mode}", lambda x, mode=mode: f.interpolate(x, scale_factor=2, mode=mode), _IMAGE)
        case(f"upsample-{mode}-size", lambda x, mode=mode: f.interpolate(x, size=(7, 15), mode=mode), _IMAGE)
        case(f"upsample-{mode}-third", lambda x, mode=mode: f.interpolate(x, scale_factor=1.7, mode=mode), _IMAGE)
    for mode in ("bilinear", "bicubic"):
        case(f"corners-{mode}", lambda x, m=mode: f.interpolate(x, size=(5, 20), mode=m, align_corners=True), _IMAGE)
    case("grid_sample", lambda x, y: f.grid_sample(x, y.tanh(), align_corners=False), _IMAGE, (2, 5, 6, 2))
    case("grid_sample-corners", lambda x, y: f.grid_sample(x, y.tanh(), align_corners=True), _IMAGE, (2, 5, 6, 2))
    for mode in ("constant", "reflect", "replicate", "circular"):
        case(f"pad-{mode}", lambda x, mode=mode: f.pad(x, (2, 1, 0, 3), mode=mode), _IMAGE)
    case("pad-value", lambda x: f.pad(x, (1, 0), value=2.5), (3, 4))
    case("pad-negative", lambda x: f.pad(x, (-1, 2)), (3, 4))
    case("pixel_shuffle", nn.PixelShuffle(2), _IMAGE)
    case("pixel_unshuffle", nn.PixelUnshuffle(2), (1, 2, 4, 6))


def weighing() -> None:
    case("batch_norm", nn.BatchNorm2d(4), _IMAGE)
    case("layer_norm", nn.LayerNorm(5, eps=1e-3), (2, 3, 5))
    case("layer_norm-two", nn.LayerNorm((3, 5), elementwise_affine=False), (2, 3, 5))
    case("group_norm", nn.GroupNorm(2, 4, eps=1e-3), _IMAGE)
    case("instance_norm", nn.InstanceNorm2d(4), _IMAGE)
    case("rms_norm", nn.RMSNorm(5), (2, 3, 5))
    case("normalize", lambda x: f.normalize(x, dim=1))
    case("softmax", lambda x: x.softmax(1), (2, 3, 4))
    case("log_softmax", lambda x: x.log_softmax(-1), (2, 3, 4))
    for name in ("mean", "sum", "amax", "amin"):
        case(name, lambda x, name=name: getattr(torch, name)(x, dim=(0, 2), keepdim=True), (2, 3, 4))
    case("sum-all", torch.sum, (2, 3, 4))
    case("prod", lambda x: x.prod(1), (2, 3, 4))
    case("max-dim", lambda x: tuple(x.max(1)), (2, 3, 4))
    case("min-dim", lambda x: tuple(x.min(1)), (2, 3, 4))
    case("var", lambda x: x.var(1), (2, 3, 4))
    case("var-biased", lambda x: x.var(1, correction=0, keepdim=True), (2, 3, 4))
    case("std", lambda x: x.std((1, 2)), (2, 3, 4))
    case("norm", lambda x: torch.linalg.vector_norm(x, dim=1), (2, 3, 4))
    case("argmax", lambda x: x.argmax(1), (2, 3, 4))
    case("argmin-all", lambda x: x.argmin(), (2, 3, 4))
    case("any", lambda x: ((x > 1).any(1), (x > -2).all(1)), (2, 3, 4))
    case("cumsum", lambda x: x.cumsum(1), (2, 3, 4))
    case("cumprod", lambda x: x.cumprod(-1), (2, 3, 4))
    case("topk", lambda x: tuple(x.topk(2, dim=1)), (2, 5, 4))
    case("topk-smallest", lambda x: tuple(x.topk(2, dim=-1, largest=False)), (2, 5))
    case("sort", lambda x: tuple(x.sort(1, descending=True)), (2, 5))
    case("median", lambda x: tuple(x.median(1)), (2, 5))


def moving() -> None:
    case("reshape", lambda x: x.reshape(4, -1), (2, 6))
    case("permute", lambda x: x.permute(2, 0, 1).contiguous(), (2, 3, 4))
    case("flatten", nn.Flatten(), (2, 3, 4))
    case("squeeze", lambda x: (x.squeeze(), x.unsqueeze(0)), (1, 3, 1))
    case("cat", lambda x, y: torch.cat([x, y, x], -1), (2, 3), (2, 4))
    case("stack", lambda x: torch.stack([x, x * 2], 1), (2, 3))
    case("split", lambda x: x.split([1, 3, 2], 1), (2, 6))
    case("chunk", lambda x: x.chunk(4, 1), (2, 6))
    case("unbind", lambda x: x.unbind(1), (2, 3))
    case("slice", lambda x: x[:, 1:-1:2, -2:], (2, 7, 4))
    case("select", lambda x: x[:, -1], (2, 7, 4))
    case("index-list", lambda x: x[:, [2, 0, 2]], (2, 7, 4))
    case("index-two", lambda x: x[[0, 1], [3, 2]], (2, 7, 4))
    case("index-assigned", _assigned, (4, 5))
    case("gather", lambda x: torch.gather(x, 1, torch.tensor([[0, 2, 1], [1, 1, 0]])), (2, 3))
    case("scatter", lambda x: torch.zeros(2, 4).scatter(1, torch.tensor([[0, 2, 1], [1, 3, 0]]), x), (2, 3))
    case("index_select", lambda x: x.index_select(1, torch.tensor([2, 0])), (2, 3))
    case("flip", lambda x: x.flip((0, 2)), (2, 3, 4))
    case("roll", lambda x: x.roll((1, -2), (0, 1)), (3, 5))
    case("expand", lambda x: x.expand(4, 3, -1), (3, 1))
    case("repeat", lambda x: x.repeat(2, 1, 3), (3, 2))
    case("repeat_interleave", lambda x: x.repeat_interleave(3, dim=1), (3, 2))
    case("tril", lambda x: (x.tril(1), x.triu(-1)), (4, 4))
    case("arange", lambda x: x + torch.arange(5))
    case(
        "meshgrid", lambda x: [x[0] * g for g in torch.meshgrid(torch.arange(3), torch.arange(4), indexing="ij")], (2,)
    )
    case("dtypes", lambda x: (x.to(torch.int64), x.half(), (x > 0), x.to(torch.int8)))
    case("full", lambda x: torch.full_like(x, 2.5) + torch.ones(3, 1) + torch.zeros_like(x))
    case("bucketize", lambda x: torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0])))
    case("one_hot", lambda x: f.one_hot((x.abs() * 2).long().clamp(max=4), 5))
    case("diagonal", lambda x: x.diagonal(1), (4, 5))


def refused() -> None:
    neither = ": neither the farm nor TVM can import this operator."
    refuse("max_pool2d-indices", "getitem", lambda x: f.max_pool2d(x, 2, return_indices=True), _IMAGE)
    refuse("avg_pool2d", "overlooks its argument divisor_override", nn.AvgPool2d(2, divisor_override=3), _IMAGE)
    refuse("adaptive_max_pool2d", f"(aten.adaptive_max_pool2d.default){neither}", nn.AdaptiveMaxPool2d(1), _IMAGE)
    smaller = {"size": (4, 5), "mode": "bilinear", "antialias": True}
    antialias = f"(aten._upsample_bilinear2d_aa.default){neither}"
    refuse("antialias", antialias, lambda x: f.interpolate(x, **smaller), _IMAGE)
    refuse("unfold", "(aten.index.Tensor): TVM", nn.Unfold(3, padding=1, stride=2), _IMAGE)
    rows, five = (torch.tensor([1, 2]),), torch.tensor(5.0)
    refuse("index_put", "(aten.index_put.default): TVM", lambda x: torch.index_put(x, rows, five), (4, 3))
    places = torch.tensor([[0, 2, 1], [1, 1, 0]])
    added = f"(aten.scatter_add.default){neither}"
    refuse("scatter_add", added, lambda x: torch.zeros(2, 3).scatter_add(1, places, x), (2, 3))
    refuse("as_strided", "(aten.as_strided.default): TVM", lambda x: x.as_strided((2, 3), (2, 1), 1))
    refuse("dropout", "(aten.native_dropout.default): it draws random", lambda x: f.dropout(x, training=True))


def _assigned(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[1:3, ::2] = 0.5
    y[0] += 2
    return y


for _family in (elementwise, pairs, products, windows, weighing, moving, refused):
    _family()
