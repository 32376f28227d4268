"""Every TFLite operator that is imported, on numbers as they are, in the forms that differ."""

from __future__ import annotations

import ai_edge_litert.schema_py_generated as schema
import numpy as np

from tests.support.tflite_case import ACT, RELU, RELU6, RELU_N1_TO_1, Cases, In, ints, normal, whole, x
from tests.support.tflite_models import SAME, VALID

__all__ = ["CASES"]

CASES = Cases()
case = CASES.case


def elementwise() -> None:
    for operator in (
        "ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "HARD_SWISH", "LOGISTIC", "NEG", "RELU", "RELU6", "RELU_0_TO_1",
        "RELU_N1_TO_1", "SIGN", "SIN", "SQUARE", "TANH",
    ):  # fmt: skip
        case(operator, [x(2, 5, 3)])
    case("ROUND", [In(np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999997, 3.7], np.float32))])
    case("ELU", [In(np.float32([-1e-4, -1e-7, 1e-7, -20.0, -0.0]))], name="near-zero")
    for operator in ("LOG", "RSQRT", "SQRT"):
        case(operator, [In(np.abs(normal(3, 7)) + np.float32(0.01))])
    case("GELU", [x(4, 9)], schema.GeluOptionsT(approximate=False), "exact")
    case("GELU", [x(4, 9)], schema.GeluOptionsT(approximate=True), "approximate")
    case("LEAKY_RELU", [x(4, 9)], schema.LeakyReluOptionsT(alpha=0.3))
    case("PRELU", [x(2, 4, 4, 3), normal(1, 1, 3)])
    case("LOGICAL_NOT", [In(whole(0, 2, 3, 4, dtype="bool"))], dtype="bool")
    for operator in ("ABS", "NEG", "SIGN"):
        case(operator, [In(whole(-9, 9, 11))], name="int32", dtype="int32")


def pairs() -> None:
    for operator, options in (
        ("ADD", schema.AddOptionsT),
        ("SUB", schema.SubOptionsT),
        ("MUL", schema.MulOptionsT),
        ("DIV", schema.DivOptionsT),
    ):
        case(operator, [x(2, 3, 4), x(3, 1)], options())
        for kind in (RELU, RELU_N1_TO_1, RELU6):
            case(operator, [x(2, 3, 4), normal(4)], options(**{ACT: kind}), f"act{kind}")
        case(operator, [In(whole(-40, 40, 3, 5)), In(whole(1, 9, 3, 5))], options(), "int32", dtype="int32")
        case(operator, [In(whole(-40, 40, 3, 5)), In(-whole(1, 9, 5))], options(), "int32-negative", dtype="int32")
    for operator in ("MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"):
        case(operator, [x(2, 3, 4), x(3, 1)])
        case(operator, [In(whole(-9, 9, 4)), In(whole(-9, 9, 4))], name="int32", dtype="int32")
    case("ATAN2", [x(3, 4), x(3, 4)])
    case("POW", [In(np.abs(normal(2, 3)) + np.float32(0.1)), x(2, 3)])
    for operator in ("FLOOR_DIV", "FLOOR_MOD"):
        case(operator, [In(whole(-40, 40, 24)), In(whole(1, 9, 24))], name="int32", dtype="int32")
        case(operator, [In(whole(-40, 40, 24)), In(-whole(1, 9, 24))], name="negative", dtype="int32")
    case("FLOOR_DIV", [x(4, 6), x(4, 6)])
    for operator in ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL"):
        case(operator, [In(whole(0, 3, 4, 5)), In(whole(0, 3, 5))], name="int32", dtype="bool")
        case(operator, [x(4, 5), x(5)], dtype="bool")
    for operator in ("LOGICAL_AND", "LOGICAL_OR"):
        case(operator, [In(whole(0, 2, 4, 5, dtype="bool")), In(whole(0, 2, 5, dtype="bool"))], dtype="bool")
    case("BITWISE_XOR", [In(whole(-99, 99, 7)), In(whole(-99, 99, 7))], dtype="int32")
    case("ADD_N", [x(3, 4), x(3, 4), x(3, 4)])
    condition = In(whole(0, 2, 3, 4, dtype="bool"))
    case("SELECT", [condition, x(3, 4), x(3, 4)])
    case("SELECT", [In(whole(0, 2, 3, dtype="bool")), x(3, 4), x(3, 4)], name="slices")
    case("SELECT_V2", [condition, x(1, 4), x(3, 1)])
    for source, target in (("float32", "int32"), ("int32", "float32"), ("bool", "float32"), ("float32", "bool")):
        values = normal(9) * 3 if source == "float32" else whole(-9 if source == "int32" else 0, 2, 9, dtype=source)
        case("CAST", [In(values)], name=f"{source}-{target}", dtype=target)
    case("CAST", [In(whole(-9, 9, 5, dtype="int64"))], name="int64-int32", dtype="int32")
    case("DEQUANTIZE", [In(normal(7).astype(np.float16))])


def moving() -> None:
    case("RESHAPE", [x(2, 6), ints(3, -1)])
    case("RESHAPE", [x(2, 6)], schema.ReshapeOptionsT(newShape=[4, 3]), "by-option")
    case("SQUEEZE", [x(2, 1, 3, 1)], schema.SqueezeOptionsT(squeezeDims=[1]))
    case("SQUEEZE", [x(2, 1, 3, 1)], schema.SqueezeOptionsT(), "all")
    case("EXPAND_DIMS", [x(2, 3), ints(-1)])
    case("TRANSPOSE", [x(2, 3, 4, 5), ints(0, 3, 1, 2)])
    case("CONCATENATION", [x(2, 3), normal(2, 2), x(2, 1)], schema.ConcatenationOptionsT(axis=-1))
    case("PACK", [x(2, 3), x(2, 3)], schema.PackOptionsT(axis=1, valuesCount=2))
    case("PACK", [x(2, 3), x(2, 3)], schema.PackOptionsT(axis=-1, valuesCount=2), "last")
    case("UNPACK", [x(2, 3, 4)], schema.UnpackOptionsT(axis=1, num=3), dtype=["float32"] * 3)
    case("UNPACK", [x(2, 1)], schema.UnpackOptionsT(axis=-1, num=1), "one", dtype=["float32"])
    case("SPLIT", [ints(1), x(2, 6)], schema.SplitOptionsT(numSplits=3), dtype=["float32"] * 3)
    case("SPLIT", [ints(-1), x(2, 6)], schema.SplitOptionsT(numSplits=1), "one", dtype=["float32"])
    case("SPLIT_V", [x(2, 6), ints(1, 3, -1), ints(1)], schema.SplitVOptionsT(numSplits=3), dtype=["float32"] * 3)
    case("SLICE", [x(4, 6), ints(1, 2), ints(2, -1)])
    limits = ints(0, 1, 0), ints(4, 6, 5)
    case("STRIDED_SLICE", [x(4, 6, 5), *limits, ints(2, 1, 3)], schema.StridedSliceOptionsT())
    for name, start, end, step, masks in (
        ("masks", (1, 1, 1), (2, 2, 2), (1, 2, 1), {"beginMask": 2, "endMask": 5}),
        ("backwards", (3, 4, 0), (0, -7, 5), (-1, -2, 1), {}),
        ("backwards-all", (0, 0, 0), (0, 0, 0), (-1, 1, -2), {"beginMask": 7, "endMask": 7}),
        ("negative", (-3, -4, -1), (-1, 6, 5), (1, 1, 1), {}),
        ("shrink", (1, -1, 0), (2, 0, 5), (1, 1, 1), {"shrinkAxisMask": 3}),
        ("short", (1,), (3,), (1,), {}),
        ("beyond", (-9, 2, 0), (99, 99, 99), (1, 1, 1), {}),
        ("ellipsis", (0, 0, 1), (0, 0, 3), (1, 1, 1), {"ellipsisMask": 2, "newAxisMask": 1}),
        ("new-axis", (1, 0, 1), (3, 0, 4), (1, 1, 1), {"newAxisMask": 2}),
        ("ellipsis-first", (0, 1), (0, 3), (1, 1), {"ellipsisMask": 1}),
    ):
        options = schema.StridedSliceOptionsT(**masks)
        case("STRIDED_SLICE", [x(4, 6, 5), ints(*start), ints(*end), ints(*step)], options, name)
    case("TILE", [x(2, 3), ints(2, 3)])
    case("BROADCAST_TO", [x(3, 1), ints(2, 3, 4)], version=2)
    case("FILL", [ints(2, 3), In(np.float32(1.5))])
    case("REVERSE_V2", [x(2, 3, 4), ints(1)])
    case("PAD", [x(2, 3), np.array([[1, 0], [2, 1]], np.int32)])
    case("PADV2", [x(2, 3), np.array([[0, 1], [2, 1]], np.int64), np.float32(-3)])
    case("PAD", [In(whole(-9, 9, 2, 3)), np.array([[1, 0], [2, 1]], np.int32)], name="int32", dtype="int32")
    for mode in (0, 1):
        options = schema.MirrorPadOptionsT(mode=mode)
        case("MIRROR_PAD", [x(2, 4, 5), np.array([[0, 0], [2, 1], [1, 3]], np.int32)], options, f"mode{mode}")
    case("SPACE_TO_DEPTH", [x(1, 4, 6, 3)], schema.SpaceToDepthOptionsT(blockSize=2))
    case("DEPTH_TO_SPACE", [x(1, 2, 3, 12)], schema.DepthToSpaceOptionsT(blockSize=2))
    case("SPACE_TO_BATCH_ND", [x(2, 4, 5, 3), ints(2, 3), np.array([[1, 1], [0, 1]], np.int32)])
    case("SPACE_TO_BATCH_ND", [x(2, 4, 3), ints(2), np.array([[2, 0]], np.int32)], name="rank3")
    case("BATCH_TO_SPACE_ND", [x(12, 2, 3, 3), ints(2, 3), np.array([[1, 0], [0, 2]], np.int32)])
    case("BATCH_TO_SPACE_ND", [x(4, 3, 2), ints(2), np.array([[1, 1]], np.int32)], name="rank3")


def looking_up() -> None:
    case("GATHER", [x(5, 4), In(whole(0, 5, 2, 3))], schema.GatherOptionsT(axis=0))
    case("GATHER", [x(5, 4), In(whole(0, 4, 3, dtype="int64"))], schema.GatherOptionsT(axis=-1), "last")
    case("GATHER", [normal(5, 4), In(np.int32(3))], schema.GatherOptionsT(axis=0), "one")
    case("GATHER", [x(2, 5, 4), In(whole(0, 5, 2, 3))], schema.GatherOptionsT(axis=1, batchDims=1), "together")
    case("GATHER", [x(2, 3, 4), In(whole(0, 4, 2, 2))], schema.GatherOptionsT(axis=2, batchDims=1), "together-last")
    case("EMBEDDING_LOOKUP", [In(whole(0, 7, 4)), normal(7, 5)])
    case("GATHER_ND", [x(3, 4, 5), In(whole(0, 3, 2, 6, 2))])
    case(
        "ONE_HOT", [In(ints(0, 2, 5, -1, 1)), ints(4)[0], np.float32(2), np.float32(-1)], schema.OneHotOptionsT(axis=-1)
    )
    case(
        "ONE_HOT",
        [In(whole(0, 3, 2, 3)), ints(4)[0], np.float32(2), np.float32(-1)],
        schema.OneHotOptionsT(axis=1),
        "axis1",
    )
    case("TOPK_V2", [x(3, 9), ints(4)[0]], schema.TopKV2OptionsT(), dtype=["float32", "int32"])
    for operator, options in (("ARG_MAX", schema.ArgMaxOptionsT), ("ARG_MIN", schema.ArgMinOptionsT)):
        case(operator, [x(3, 9, 2), ints(1)[0]], options(outputType=schema.TensorType.INT32), dtype="int32")
        tied = In(np.float32([[3, 1, 3, 1], [2, 2, 2, 2]]))
        case(operator, [tied, ints(-1)[0]], options(outputType=schema.TensorType.INT64), "tied", dtype="int64")
    for exclusive in (False, True):
        for backwards in (False, True):
            options = schema.CumsumOptionsT(exclusive=exclusive, reverse=backwards)
            case("CUMSUM", [x(3, 5), ints(1)[0]], options, f"{int(exclusive)}{int(backwards)}")
    options = schema.ReverseSequenceOptionsT(seqDim=1, batchDim=0)
    case("REVERSE_SEQUENCE", [x(3, 5, 2), In(ints(5, 1, 3))], options)
    case("SCATTER_ND", [np.array([[4], [1]], np.int32), x(2, 3), ints(6, 3)])
    case("SCATTER_ND", [np.array([[0, 1], [2, 0]], np.int32), x(2), ints(3, 2)], name="elements")


def weighing() -> None:
    case("SOFTMAX", [x(3, 7)], schema.SoftmaxOptionsT(beta=1.0))
    case("SOFTMAX", [x(2, 3, 4, 5)], schema.SoftmaxOptionsT(beta=0.5), "beta")
    case("LOG_SOFTMAX", [x(3, 7)], schema.LogSoftmaxOptionsT())
    case("L2_NORMALIZATION", [x(2, 3, 4, 5)], schema.L2NormOptionsT())
    case("L2_NORMALIZATION", [In(np.zeros((1, 1, 1, 5), np.float32))], schema.L2NormOptionsT(), "zeros")
    for operator in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"):
        case(operator, [x(2, 3, 4, 5), ints(1, 2)], schema.ReducerOptionsT(keepDims=True), "keep")
        case(operator, [x(2, 3, 4), ints(-1)], schema.ReducerOptionsT(keepDims=False))
        case(operator, [x(2, 3, 4), ints(0, 1, 2)], schema.ReducerOptionsT(keepDims=False), "all")
        if operator != "MEAN":
            case(operator, [In(whole(-4, 5, 2, 4)), ints(1)], schema.ReducerOptionsT(), "int32", dtype="int32")
    for operator in ("REDUCE_ANY", "REDUCE_ALL"):
        flags = In(whole(0, 2, 6, 2, dtype="bool"))
        case(operator, [flags, ints(1)], schema.ReducerOptionsT(keepDims=False), dtype="bool")
    for mode in ({}, {"alignCorners": True}, {"halfPixelCenters": True}):
        told = "".join(mode)
        for height, width in ((7, 11), (2, 3), (10, 10)):
            size, name = ints(height, width), f"{height}x{width}{told}"
            case("RESIZE_BILINEAR", [x(1, 5, 5, 3), size], schema.ResizeBilinearOptionsT(**mode), name)
            case("RESIZE_NEAREST_NEIGHBOR", [x(1, 5, 5, 3), size], schema.ResizeNearestNeighborOptionsT(**mode), name)
    case("RESIZE_BILINEAR", [x(1, 5, 5, 2), ints(1, 1)], schema.ResizeBilinearOptionsT(alignCorners=True), "one")
    both = {"alignCorners": True, "halfPixelCenters": True}
    case("RESIZE_NEAREST_NEIGHBOR", [x(1, 4, 6, 2), ints(9, 5)], schema.ResizeNearestNeighborOptionsT(**both), "both")


def windows() -> None:
    for padding, kind, stride, size in ((SAME, 0, 2, 3), (VALID, RELU, 1, 2), (SAME, RELU6, 3, 2), (SAME, 0, 1, 4)):
        options = schema.Pool2DOptionsT(
            padding=padding, strideH=stride, strideW=2, filterHeight=size, filterWidth=3, **{ACT: kind}
        )
        for operator in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"):
            case(operator, [x(1, 7, 8, 3)], options, f"{padding}{kind}{stride}{size}")
    for padding, stride, dilation, kind in (
        (SAME, 1, 1, 0),
        (SAME, 2, 1, RELU),
        (VALID, 1, 2, RELU6),
        (SAME, 1, 2, 0),
    ):
        shape = {"padding": padding, "strideH": stride, "strideW": stride, "dilationHFactor": dilation,
                 "dilationWFactor": dilation}  # fmt: skip
        name = f"{padding}{stride}{dilation}{kind}"
        options = schema.Conv2DOptionsT(**shape, **{ACT: kind})
        case("CONV_2D", [x(2, 8, 9, 4), normal(5, 3, 2, 4), normal(5)], options, name)
        for multiplier in (1, 2):
            options = schema.DepthwiseConv2DOptionsT(**shape, depthMultiplier=multiplier, **{ACT: kind})
            weights = normal(1, 3, 3, 4 * multiplier), normal(4 * multiplier)
            case("DEPTHWISE_CONV_2D", [x(1, 8, 9, 4), *weights], options, f"{name}-{multiplier}")
    options = schema.Conv2DOptionsT(padding=SAME, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    case("CONV_2D", [x(1, 6, 6, 4), normal(6, 3, 3, 2), normal(6)], options, "groups")
    case("CONV_2D", [x(1, 4, 4, 2), x(3, 3, 3, 2), x(3)], options, "weights-given")
    options = schema.DepthwiseConv2DOptionsT(
        padding=SAME, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1, depthMultiplier=5
    )
    case("DEPTHWISE_CONV_2D", [x(1, 6, 6, 1), normal(1, 3, 3, 5), normal(5)], options, "one-channel")
    for padding, stride, height, kernel in (
        (SAME, 2, 8, 3), (VALID, 2, 9, 3), (SAME, 1, 4, 3), (SAME, 2, 7, 3), (VALID, 3, 12, 3), (SAME, 2, 8, 2),
    ):  # fmt: skip
        options = schema.TransposeConvOptionsT(padding=padding, strideH=stride, strideW=stride)
        size, name = ints(1, height, height, 5), f"{padding}{stride}{height}{kernel}"
        case("TRANSPOSE_CONV", [size, normal(5, kernel, kernel, 3), x(1, 4, 4, 3), normal(5)], options, name)
    options = schema.FullyConnectedOptionsT(**{ACT: RELU})
    case("FULLY_CONNECTED", [x(3, 8), normal(5, 8), normal(5)], options)
    case("FULLY_CONNECTED", [x(2, 3, 4), normal(5, 12), None], schema.FullyConnectedOptionsT(), "flattened")
    case("FULLY_CONNECTED", [x(2, 3, 4), normal(5, 4)], schema.FullyConnectedOptionsT(keepNumDims=True), "kept")
    case("FULLY_CONNECTED", [x(2, 4), x(5, 4)], schema.FullyConnectedOptionsT(), "weights-given")
    case("BATCH_MATMUL", [x(2, 3, 4), x(2, 4, 5)], schema.BatchMatMulOptionsT())
    case("BATCH_MATMUL", [x(2, 4, 3), x(5, 4)], schema.BatchMatMulOptionsT(adjX=True, adjY=True), "turned")


def by_tvm() -> None:
    """What TVM's own converters are trusted with."""
    for name, padding, kind, change in (
        ("same", SAME, 0, {}),
        ("valid", VALID, RELU, {"strideH": 2}),
        ("dilated", VALID, 0, {"dilationHFactor": 2, "dilationWFactor": 2}),
    ):
        shape = {"strideD": 1, "strideH": 1, "strideW": 1, "dilationDFactor": 1, "dilationHFactor": 1,
                 "dilationWFactor": 1}  # fmt: skip
        options = schema.Conv3DOptionsT(padding=padding, **{ACT: kind}, **(shape | change))
        case("CONV_3D", [x(1, 5, 6, 7, 3), normal(2, 3, 3, 3, 4), normal(4)], options, name)
    case("RIGHT_SHIFT", [In(whole(-99, 99, 12)), In(whole(0, 5, 12))], dtype="int32")
    case("SEGMENT_SUM", [x(5, 3), ints(0, 0, 1, 2, 2)], schema.SegmentSumOptionsT())
    for kind in ("SUM", "MAX", "MIN", "PROD"):
        case(f"UNSORTED_SEGMENT_{kind}", [x(5, 3), ints(0, 2, 1, 2, 0), ints(3)[0]])
    case("FAKE_QUANT", [x(6, 5)], schema.FakeQuantOptionsT(min=-2, max=3.1, numBits=8))
    case("DILATE", [x(3, 3), ints(2, 3), np.float32(0.5)])


for _family in (elementwise, pairs, moving, looking_up, weighing, windows, by_tvm):
    _family()
