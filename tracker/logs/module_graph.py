"""What the JSON of an IRModule (``tvm.ir.save_json``) says of it, read without TVM.

The graph of ffi's ToJSONGraph: ``{"root_index": n, "nodes": [{"type": …, "data": …}], "metadata": {…}}``, where data
refers to other nodes by their numbers.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["ModuleGraph", "OtherForm"]

_MAX_NAME = 60


class OtherForm(ValueError):
    """A module as another version of TVM wrote it. The text is a clause that names the version where it is told."""


class ModuleGraph:
    """Raises OtherForm for what an older version of TVM wrote, ValueError for what is no such JSON at all."""

    def __init__(self, text: str) -> None:
        try:
            graph = json.loads(text)
        except RecursionError as error:
            raise ValueError(str(error)) from None
        if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), list) or "root_index" not in graph:
            raise OtherForm(_other_form(graph))
        self._nodes: list[Any] = graph["nodes"]
        if not any(isinstance(node, dict) and node.get("type") == "ir.IRModule" for node in self._nodes):
            raise ValueError("it holds no IRModule")
        metadata = graph.get("metadata")
        self.tvm_version = str(metadata.get("tvm_version", "")) if isinstance(metadata, dict) else ""

    def name(self) -> str:
        """For people: the names of its blocks, in their order."""
        found = [self._text(data["name_hint"]) for data in self._all("s_tir.SBlock")]
        return "_".join(dict.fromkeys(name for name in found if name != "root"))[:_MAX_NAME] or "main"

    def arguments(self) -> list[tuple[str, list[int]]] | None:
        """dtype and shape of each argument of its only function; None where that is not plain to see."""
        functions = self._all("tirx.PrimFunc")
        if len(functions) != 1:
            return None
        try:
            return [self._argument(number) for number in self._data(functions[0]["params"])]
        except (KeyError, IndexError, TypeError, ValueError):
            return None

    def _argument(self, number: int) -> tuple[str, list[int]]:
        buffer = self._data(self._data(number)["ty"])
        shape = [int(self._data(self._data(size)["value"])) for size in self._data(buffer["shape"])]
        return str(self._data(buffer["dtype"])["dtype"]), shape

    def _all(self, kind: str) -> list[dict[str, Any]]:
        return [node["data"] for node in self._nodes if isinstance(node, dict) and node.get("type") == kind]

    def _data(self, number: int) -> Any:
        return self._nodes[number]["data"]

    def _text(self, number: int) -> str:
        text = self._data(number)
        return text if isinstance(text, str) else ""


def _other_form(graph: Any) -> str:
    attributes = graph.get("attrs") if isinstance(graph, dict) else None
    version = attributes.get("tvm_version") if isinstance(attributes, dict) else None
    who = f"TVM {version}" if isinstance(version, str) and version.isprintable() and version else "an older TVM"
    return f"its module is of {who}, which wrote modules in another form than the TVM of this farm reads"
