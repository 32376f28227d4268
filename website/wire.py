"""The page of the wire: services and messages with the comments of their .proto files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)
from grpc_tools import protoc

from website.markdown import table

__all__ = ["descriptors", "wire_page"]

#: The numbers of what a descriptor holds, by which its comments are found.
_MESSAGES, _ENUMS, _SERVICES = (FileDescriptorProto.DESCRIPTOR.fields_by_name[name].number for name in (
    "message_type", "enum_type", "service"))  # fmt: skip
_METHODS = ServiceDescriptorProto.DESCRIPTOR.fields_by_name["method"].number
_FIELDS, _NESTED, _NESTED_ENUMS = (DescriptorProto.DESCRIPTOR.fields_by_name[name].number for name in (
    "field", "nested_type", "enum_type"))  # fmt: skip
_VALUES = EnumDescriptorProto.DESCRIPTOR.fields_by_name["value"].number

_Comments = dict[tuple[int, ...], str]


def descriptors(root: Path) -> list[FileDescriptorProto]:
    """The .proto files of the checkout at ``root`` as protoc reads them, with their comments.

    Raises ValueError where protoc does not take them; it tells why on standard error.
    """
    sources = sorted(str(path.relative_to(root)) for path in root.glob("tvm_farm/protos/farm/v1/*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "wire.pb")
        options = [f"-I{root}", f"-I{files('grpc_tools') / '_proto'}", "--include_source_info", f"-o{out}"]
        if protoc.main(["protoc", *options, *sources]) != 0:
            raise ValueError("protoc does not take the .proto files")
        return list(FileDescriptorSet.FromString(out.read_bytes()).file)


def wire_page(protos: list[FileDescriptorProto]) -> str:
    """A section a file: its services first, then its messages and enums."""
    return "\n\n".join(part for proto in protos for part in _file(proto))


def _file(proto: FileDescriptorProto) -> Iterator[str]:
    comments: _Comments = {
        tuple(each.path): "\n".join(
            text for text in (*each.leading_detached_comments, each.leading_comments, each.trailing_comments) if text
        )
        for each in proto.source_code_info.location
    }
    yield f"## {Path(proto.name).name}"
    for number, service in enumerate(proto.service):
        place = (_SERVICES, number)
        yield f"### {service.name} (service)"
        yield from _said(comments, place)
        rows = [
            (
                f"`{method.name}`",
                _way(method.client_streaming, method.input_type),
                _way(method.server_streaming, method.output_type),
                _escaped(comments.get((*place, _METHODS, index), "")),
            )
            for index, method in enumerate(service.method)
        ]
        yield table(("method", "takes", "gives", ""), rows)
    for number, message in enumerate(proto.message_type):
        yield from _message(message, comments, (_MESSAGES, number), "")
    for number, enum in enumerate(proto.enum_type):
        yield from _enum(enum, comments, (_ENUMS, number), "")


def _message(message: DescriptorProto, comments: _Comments, place: tuple[int, ...], within: str) -> Iterator[str]:
    name = f"{within}{message.name}"
    yield f"### {name}"
    yield from _said(comments, place)
    maps = {each.name: each for each in message.nested_type if each.options.map_entry}
    rows = [
        (str(field.number), f"`{field.name}`", _type(field, maps), _escaped(comments.get((*place, _FIELDS, index), "")))
        for index, field in enumerate(message.field)
    ]
    yield table(("", "field", "type", ""), rows) if rows else "It has no fields."
    for index, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _message(nested, comments, (*place, _NESTED, index), f"{name}.")
    for index, enum in enumerate(message.enum_type):
        yield from _enum(enum, comments, (*place, _NESTED_ENUMS, index), f"{name}.")


def _enum(enum: EnumDescriptorProto, comments: _Comments, place: tuple[int, ...], within: str) -> Iterator[str]:
    yield f"### {within}{enum.name} (enum)"
    yield from _said(comments, place)
    rows = [
        (str(value.number), f"`{value.name}`", _escaped(comments.get((*place, _VALUES, index), "")))
        for index, value in enumerate(enum.value)
    ]
    yield table(("", "value", ""), rows)


def _said(comments: _Comments, place: tuple[int, ...]) -> Iterator[str]:
    if comments.get(place):
        yield _escaped(comments[place])


def _type(field: FieldDescriptorProto, maps: dict[str, DescriptorProto]) -> str:
    name = field.type_name.rpartition(".")[2]
    if name in maps:
        key, value = maps[name].field
        return f"map of {_type(key, {})} to {_type(value, {})}"
    kind = f"`{name}`" if name else f"`{FieldDescriptorProto.Type.Name(field.type).removeprefix('TYPE_').lower()}`"
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {kind}"
    return f"optional {kind}" if field.proto3_optional else kind


def _way(streams: bool, type_name: str) -> str:
    name = f"`{type_name.rpartition('.')[2]}`"
    return f"stream of {name}" if streams else name


def _escaped(comment: str) -> str:
    """A comment's words as a paragraph, with what Markdown would read as its own."""
    text = " ".join(comment.split())
    return "".join("\\" + letter if letter in "\\`*_{}[]<>#|" and letter != "|" else letter for letter in text)
