"""Operators that no tensor program can stand for, each with its reason."""

from __future__ import annotations

from typing import NoReturn

from tvm_farm.tracker.tuning.models.importers.onnx.evaluate import RANDOM
from tvm_farm.tracker.tuning.models.importers.onnx.node import Node, Refused, converter


@converter(*sorted(RANDOM - {"Dropout"}))
def random(_: Node) -> NoReturn:
    raise Refused("it draws random numbers: no two runs give the same, so that nothing can judge the answers")


@converter("TfIdfVectorizer")
def ngrams(_: Node) -> NoReturn:
    raise Refused("it looks n-grams up in a list, which is no work on tensors: give the model the counts")
