"""Every TFLite operator that is imported on quantized tensors, in the forms that differ."""

from __future__ import annotations

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from tests.support.tflite_case import ACT, RELU, RELU6, Cases, In, Known, ints, whole, x
from tests.support.tflite_models import SAME, VALID, Quantized

__all__ = ["NEAR_CASES", "QUANTIZED_CASES"]

QUANTIZED_CASES = Cases()
case = QUANTIZED_CASES.case
_random = np.random.default_rng(21)


def q(scale: float, zero: int, *shape: int, dtype: str = "int8") -> In:
    info = np.iinfo(dtype)
    return In(_random.integers(info.min, info.max + 1, shape).astype(dtype), Quantized(scale, zero))


def by_channel(*shape: int, axis: int = 0) -> Known:
    """int8 weights with a scale for every slice along ``axis``."""
    scales = _random.uniform(0.002, 0.02, shape[axis])
    return Known(whole(-127, 128, *shape, dtype="int8"), Quantized(list(scales), 0, axis))


def bias(count: int) -> Known:
    return Known(whole(-9000, 9000, count), Quantized(0.001))


def quantized_elementwise() -> None:
    for operator, scale, zero in (
        ("LOGISTIC", 1 / 256, -128), ("TANH", 1 / 128, 0), ("RELU", 0.04, -128), ("RELU6", 6 / 255, -128),
        ("ABS", 0.05, -5), ("HARD_SWISH", 0.04, -100), ("RELU_N1_TO_1", 1 / 127, 0),
    ):  # fmt: skip
        case(operator, [q(0.05, 3, 2, 40)], dtype="int8", quantized=Quantized(scale, zero))
    leaky = schema.LeakyReluOptionsT(alpha=0.1)
    case("LEAKY_RELU", [q(0.05, 3, 2, 40)], leaky, dtype="int8", quantized=Quantized(0.03, -7))
    case("RELU_0_TO_1", [q(0.05, 3, 2, 40)], dtype="int8", quantized=Quantized(1 / 255, -128))
    case("ELU", [q(0.05, 3, 2, 40)], dtype="int8", quantized=Quantized(0.04, -100))
    case("EXP", [q(0.02, 3, 2, 40)], dtype="int8", quantized=Quantized(0.05, -128), version=2)
    case("GELU", [q(0.05, 3, 2, 40)], schema.GeluOptionsT(), dtype="int8", quantized=Quantized(0.04, -100), version=2)
    for operator, version in (("LOG", 2), ("RSQRT", 2)):
        positive = q(0.05, -128, 2, 40)
        positive.values[positive.values == -128] = 5
        case(operator, [positive], dtype="int8", quantized=Quantized(0.03, -20), version=version)
    case("LOGISTIC", [q(0.05, 120, 2, 40, dtype="uint8")], name="uint8", dtype="uint8", quantized=Quantized(1 / 256, 0))
    case("QUANTIZE", [x(3, 50)], dtype="int8", quantized=Quantized(0.037, 5))
    halves = In(np.float32([0.25, -0.25, 0.75, -0.75, 1e9, -1e9, 0.24999999]))
    case("QUANTIZE", [halves], name="halves", dtype="int8", quantized=Quantized(0.5, 3))
    case("QUANTIZE", [x(3, 50)], name="uint8", dtype="uint8", quantized=Quantized(0.037, 128))
    case("QUANTIZE", [q(0.05, 3, 3, 90)], name="again", dtype="int8", quantized=Quantized(0.037, 5))
    case("QUANTIZE", [q(0.05, 3, 3, 90)], name="to-uint8", dtype="uint8", quantized=Quantized(0.05, 131), version=2)
    case("DEQUANTIZE", [q(0.037, 5, 3, 50)], name="int8", version=2)
    case("DEQUANTIZE", [q(0.037, 130, 3, 50, dtype="uint8")], name="uint8")


def quantized_pairs() -> None:
    for operator, options in (("ADD", schema.AddOptionsT), ("SUB", schema.SubOptionsT), ("MUL", schema.MulOptionsT)):
        for kind in (0, RELU, RELU6):
            terms = [q(0.05, 3, 4, 30), q(0.021, -12, 4, 30)]
            case(operator, terms, options(**{ACT: kind}), f"act{kind}", dtype="int8", quantized=Quantized(0.06, 1))
        wide = [q(0.05, 3, 2, 3, 30), q(0.8, -12, 3, 1)]
        case(operator, wide, options(), "broadcast", dtype="int8", quantized=Quantized(0.3, 1))
        old = [q(0.05, 130, 4, 30, dtype="uint8"), q(0.021, 100, 4, 30, dtype="uint8")]
        case(operator, old, options(), "uint8", dtype="uint8", quantized=Quantized(0.06, 120))
    slopes = Known(whole(-127, 128, 1, 1, 5, dtype="int8"), Quantized(0.01, 3))
    case("PRELU", [q(0.05, 3, 1, 4, 4, 5), slopes], dtype="int8", quantized=Quantized(0.06, -3))
    for operator in ("MAXIMUM", "MINIMUM"):
        case(operator, [q(0.05, 3, 4, 9), q(0.05, 3, 9)], dtype="int8", quantized=Quantized(0.05, 3), version=2)


def quantized_windows() -> None:
    for padding, kind, stride, size in ((SAME, 0, 2, 3), (VALID, RELU, 1, 2), (SAME, RELU6, 1, 4)):
        options = schema.Pool2DOptionsT(
            padding=padding, strideH=stride, strideW=2, filterHeight=size, filterWidth=3, **{ACT: kind}
        )
        for operator in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            for dtype, zero in (("int8", -20), ("uint8", 100)):
                pooled = [q(0.04, zero, 1, 7, 8, 3, dtype=dtype)]
                name = f"{dtype}{padding}{kind}{stride}"
                case(operator, pooled, options, name, dtype=dtype, quantized=Quantized(0.04, zero), version=2)
    for padding, stride, dilation, kind in ((SAME, 1, 1, 0), (SAME, 2, 1, RELU6), (VALID, 1, 2, RELU)):
        shape = {"padding": padding, "strideH": stride, "strideW": stride, "dilationHFactor": dilation,
                 "dilationWFactor": dilation}  # fmt: skip
        name = f"{padding}{stride}{dilation}{kind}"
        given = {"dtype": "int8", "quantized": Quantized(0.11, -30), "version": 3}
        options = schema.Conv2DOptionsT(**shape, **{ACT: kind})
        case("CONV_2D", [q(0.04, 7, 1, 8, 9, 4), by_channel(5, 3, 3, 4), bias(5)], options, name, **given)
        for many in (1, 2):
            options = schema.DepthwiseConv2DOptionsT(**shape, depthMultiplier=many, **{ACT: kind})
            terms = [q(0.04, 7, 1, 8, 9, 4), by_channel(1, 3, 3, 4 * many, axis=3), bias(4 * many)]
            case("DEPTHWISE_CONV_2D", terms, options, f"{name}-{many}", **given)
    shape = {"padding": SAME, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    old = {"dtype": "uint8", "quantized": Quantized(0.3, 120)}
    weights = Known(whole(0, 256, 5, 3, 3, 4, dtype="uint8"), Quantized(0.011, 131))
    terms = [q(0.04, 110, 1, 6, 6, 4, dtype="uint8"), weights, bias(5)]
    case("CONV_2D", terms, schema.Conv2DOptionsT(**shape), "uint8", **old)
    weights = Known(whole(0, 256, 1, 3, 3, 4, dtype="uint8"), Quantized(0.011, 131))
    terms = [q(0.04, 110, 1, 6, 6, 4, dtype="uint8"), weights, bias(4)]
    case("DEPTHWISE_CONV_2D", terms, schema.DepthwiseConv2DOptionsT(**shape, depthMultiplier=1), "uint8", **old)
    # A factor above 1 is shifted to the left.
    terms = [q(0.4, 7, 1, 6, 6, 4), by_channel(5, 1, 1, 4), bias(5)]
    given = {"dtype": "int8", "quantized": Quantized(0.002, -30), "version": 3}
    case("CONV_2D", terms, schema.Conv2DOptionsT(**shape), "left", **given)
    for padding, stride, height in ((SAME, 2, 8), (VALID, 2, 9), (SAME, 1, 4)):
        options = schema.TransposeConvOptionsT(padding=padding, strideH=stride, strideW=stride)
        terms = [ints(1, height, height, 5), by_channel(5, 3, 3, 4), q(0.04, 7, 1, 4, 4, 4), bias(5)]
        case(
            "TRANSPOSE_CONV",
            terms,
            options,
            f"{padding}{stride}",
            dtype="int8",
            quantized=Quantized(0.11, -30),
            version=3,
        )
    for kind in (0, RELU6):
        weights = Known(whole(-127, 128, 6, 20, dtype="int8"), Quantized(0.01))
        terms = [q(0.04, 7, 3, 20), weights, bias(6)]
        options = schema.FullyConnectedOptionsT(**{ACT: kind})
        given = {"dtype": "int8", "quantized": Quantized(0.1, -30), "version": 4}
        case("FULLY_CONNECTED", terms, options, f"act{kind}", **given)
    terms = [q(0.04, 7, 3, 20), by_channel(6, 20), bias(6)]
    case("FULLY_CONNECTED", terms, schema.FullyConnectedOptionsT(), "by-channel", **(given | {"version": 5}))
    weights = Known(whole(0, 256, 6, 20, dtype="uint8"), Quantized(0.01, 131))
    terms = [q(0.04, 110, 3, 20, dtype="uint8"), weights, bias(6)]
    given = {"dtype": "uint8", "quantized": Quantized(0.1, 99)}
    case("FULLY_CONNECTED", terms, schema.FullyConnectedOptionsT(), "uint8", **given)


def quantized_rest() -> None:
    """What is moved keeps its meaning; resized images and means are computed anew."""
    same = {"dtype": "int8", "quantized": Quantized(0.05, 3)}
    x8 = lambda *shape: q(0.05, 3, *shape)  # noqa: E731
    both = same | {"dtype": ["int8"] * 2}
    case("RESHAPE", [x8(2, 6), ints(3, 4)], **same)
    case("TRANSPOSE", [x8(2, 3, 4), ints(2, 0, 1)], **same, version=2)
    case("CONCATENATION", [x8(2, 3), x8(2, 5)], schema.ConcatenationOptionsT(axis=1), **same, version=2)
    case("PAD", [x8(2, 3), np.array([[1, 0], [2, 1]], np.int32)], **same, version=2)
    value = Known(np.int8(-9), Quantized(0.05, 3))
    case("PADV2", [x8(2, 3), np.array([[1, 0], [2, 1]], np.int32), value], **same, version=2)
    case(
        "MIRROR_PAD",
        [x8(2, 3), np.array([[1, 0], [2, 1]], np.int32)],
        schema.MirrorPadOptionsT(mode=0),
        **same,
        version=2,
    )
    case("SLICE", [x8(4, 6), ints(1, 2), ints(2, 3)], **same, version=2)
    limits = ints(0, 1), ints(4, 6), ints(2, 1)
    case("STRIDED_SLICE", [x8(4, 6), *limits], schema.StridedSliceOptionsT(), **same, version=2)
    case(
        "SPLIT",
        [ints(1), x8(2, 6)],
        schema.SplitOptionsT(numSplits=2),
        dtype=["int8"] * 2,
        quantized=Quantized(0.05, 3),
        version=2,
    )
    case("PACK", [x8(2, 3), x8(2, 3)], schema.PackOptionsT(axis=1, valuesCount=2), **same, version=2)
    case("SPACE_TO_BATCH_ND", [x8(1, 4, 4, 2), ints(2, 2), np.array([[1, 1], [0, 0]], np.int32)], **same, version=2)
    case("BATCH_TO_SPACE_ND", [x8(4, 2, 2, 2), ints(2, 2), np.array([[1, 1], [0, 0]], np.int32)], **same, version=2)
    case("SQUEEZE", [x8(2, 1, 3)], schema.SqueezeOptionsT(), **same, version=2)
    case("EXPAND_DIMS", [x8(2, 3), ints(1)], **same)
    case("UNPACK", [x8(2, 3)], schema.UnpackOptionsT(axis=0, num=2), **both, version=2)
    case("SPLIT_V", [x8(2, 6), ints(1, 5), ints(1)], schema.SplitVOptionsT(numSplits=2), **both, version=2)
    case("TILE", [x8(2, 3), ints(2, 1)], **same, version=3)
    case("BROADCAST_TO", [x8(3, 1), ints(2, 3, 4)], **same, version=2)
    case("FILL", [ints(2, 3), x8()], **same, version=3)
    case("REVERSE_V2", [x8(2, 3), ints(1)], **same, version=2)
    case("GATHER_ND", [x8(3, 4), In(whole(0, 3, 5, 2))], **same, version=2)
    case("REDUCE_MIN", [x8(2, 3, 4), ints(2)], schema.ReducerOptionsT(keepDims=True), **same, version=2)
    to_int64 = schema.ArgMinOptionsT(outputType=schema.TensorType.INT64)
    case("ARG_MIN", [x8(2, 9), ints(1)[0]], to_int64, "int8", dtype="int64", version=2)
    case("SPACE_TO_DEPTH", [x8(1, 4, 6, 2)], schema.SpaceToDepthOptionsT(blockSize=2), **same)
    case("DEPTH_TO_SPACE", [x8(1, 2, 3, 8)], schema.DepthToSpaceOptionsT(blockSize=2), **same)
    case("GATHER", [x8(5, 4), In(whole(0, 5, 3))], schema.GatherOptionsT(axis=0), **same, version=2)
    case("REDUCE_MAX", [x8(2, 3, 4), ints(1)], schema.ReducerOptionsT(), **same, version=2)
    case(
        "ARG_MAX",
        [x8(2, 9), ints(1)[0]],
        schema.ArgMaxOptionsT(outputType=schema.TensorType.INT32),
        "int8",
        dtype="int32",
        version=2,
    )
    for axes, scale in (((1, 2), 0.05), ((1, 2), 0.021), ((0, 3), 0.3), ((2,), 0.05)):
        options = schema.ReducerOptionsT(keepDims=scale == 0.3)
        given = {"dtype": "int8", "quantized": Quantized(scale, 3), "version": 2}
        case("MEAN", [x8(2, 7, 5, 9), ints(*axes)], options, f"{len(axes)}{axes[0]}{scale}", **given)
    for mode in ({}, {"alignCorners": True}, {"halfPixelCenters": True}):
        for height, width in ((7, 11), (2, 3)):
            size, name = ints(height, width), f"{height}{''.join(mode)}"
            version = 3 if "halfPixelCenters" in mode else 2
            options = schema.ResizeBilinearOptionsT(**mode)
            case("RESIZE_BILINEAR", [x8(1, 5, 5, 3), size], options, name, **same, version=version)
            options = schema.ResizeNearestNeighborOptionsT(**mode)
            case("RESIZE_NEAREST_NEIGHBOR", [x8(1, 5, 5, 3), size], options, name, **same, version=version)


for _family in (quantized_elementwise, quantized_pairs, quantized_windows, quantized_rest):
    _family()

#: Those that LiteRT's kernel may be one step away from.
NEAR_CASES = Cases()
for _dtype, _zero, _last in (("int8", 3, -128), ("uint8", 120, 0)):
    for _beta in (1.0, 0.6):
        NEAR_CASES.case(
            "SOFTMAX",
            [q(0.06, _zero, 12, 30, dtype=_dtype)],
            schema.SoftmaxOptionsT(beta=_beta),
            f"{_dtype}{_beta}",
            dtype=_dtype,
            quantized=Quantized(1 / 256, _last),
            version=2,
        )
