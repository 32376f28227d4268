"""Whether a file can be a model, and which files beside an ONNX file hold weights of it.

A desk has no ``onnx``: the few fields that name them are read off the protobuf's bytes (onnx/onnx.proto), and weights
inside the file are stepped over.
"""

from __future__ import annotations

import mmap
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tvm_farm.tracker.client.errors import BadInput

__all__ = ["external_files"]

# Field numbers of ModelProto, GraphProto, FunctionProto, NodeProto, AttributeProto, TensorProto and
# StringStringEntryProto.
_GRAPH, _FUNCTION = 7, 25
_NODE, _INITIALIZER = 1, 5
_FUNCTION_NODE = 7
_ATTRIBUTE = 5
_TENSORS, _SUBGRAPHS = (5, 10), (6, 11)
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_KEY, _VALUE = 1, 2
_LENGTH_DELIMITED = 2
#: A value of TensorProto.data_location. What else names a file names one that was read before the model was saved.
_EXTERNAL = 1
#: Messages within messages are 100 at most for protobuf's parsers, and a graph is the third of each three.
_DEEPEST = 33

_TAKEN = "ONNX, TFLite, PyTorch's exported .pt2"


def external_files(model: Path) -> tuple[str, ...]:
    """Names, relative to the folder of ``model``, sorted; none of a model of another format.

    Raises BadInput for what is no model, or one that is cut off; for a name that leaves the folder, or of a file that
    is not there.
    """
    with model.open("rb") as file:
        head = file.read(8)
    if head[4:8] == b"TFL3":
        return ()
    if head.startswith(b"PK\x03\x04"):
        if not zipfile.is_zipfile(model):
            raise BadInput(
                f"{model} is damaged: it begins as a zip archive, as a .pt2 file is, and does not end as one."
            )
        return ()
    if not head:
        raise BadInput(f"{model} is empty.")
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = memoryview(content)
        try:
            graphs = list(_fields(view, _GRAPH))
            found = [name for graph in graphs for name in _locations(graph)]
            found += [name for function in _fields(view, _FUNCTION) for name in _of_nodes(function, _FUNCTION_NODE)]
            names = sorted(set(found))
            holds = any(len(graph) for graph in graphs)
            fault = "" if holds else f"no model that the farm takes ({_TAKEN}): as ONNX it holds no operators"
        except (ValueError, IndexError):
            names, fault = [], f"damaged, or no model that the farm takes ({_TAKEN})"
        finally:
            # Slices of it must be gone before the file can be unmapped.
            graphs = []
            view.release()
    if fault:
        raise BadInput(f"{model} is {fault}.")
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise BadInput(f"{model} keeps weights in {name!r}, which is outside of its folder.")
        # Path.is_file raises at names that are too long for a file.
        if not os.path.isfile(model.parent / name):
            raise BadInput(f"{model} keeps weights in {model.parent / name}, and there is no such file.")
    return tuple(names)


def _locations(graph: memoryview, depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError("graphs within graphs, more than any parser takes")
    for tensor in _fields(graph, _INITIALIZER):
        yield from _location(tensor)
    yield from _of_nodes(graph, _NODE, depth)


def _of_nodes(body: memoryview, nodes: int, depth: int = 0) -> Iterator[str]:
    """``nodes``: the field of ``body``, a graph or a function, that holds them."""
    for node in _fields(body, nodes):
        for attribute in _fields(node, _ATTRIBUTE):
            for tensor in _fields(attribute, *_TENSORS):
                yield from _location(tensor)
            for inner in _fields(attribute, *_SUBGRAPHS):
                yield from _locations(inner, depth + 1)


def _location(tensor: memoryview) -> Iterator[str]:
    if dict(_entries(tensor)).get(_DATA_LOCATION) != _EXTERNAL:
        return
    for entry in _fields(tensor, _EXTERNAL_DATA):
        key, value = (next(_fields(entry, number), memoryview(b"")) for number in (_KEY, _VALUE))
        if bytes(key) == b"location":
            yield bytes(value).decode()


def _fields(message: memoryview, *wanted: int) -> Iterator[memoryview]:
    """The length-delimited fields of ``message`` with one of those numbers. Raises as ``_entries``."""
    for number, value in _entries(message):
        if number in wanted and isinstance(value, memoryview):
            yield value


def _entries(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """The fields of ``message`` by their numbers, those of fixed size left out.

    Raises ValueError, IndexError at foreign bytes.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if not tag >> 3:
            raise ValueError("there is no field 0")
        if kind == _LENGTH_DELIMITED:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise ValueError("a field ends behind its message")
            yield tag >> 3, message[at : at + size]
            at += size
        elif kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"there is no wire type {kind} in such a file")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
