"""A target as another program writes it, and as this farm spells it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["farm_target", "plain_target", "what_differs"]

#: How the farm spells targets leaves out what TVM fills in by itself.
_DERIVED = ("tag", "keys")
#: What a script leaves out that compiles for the machine on which it runs.
_OF_THE_MACHINE = ("mtriple", "mattr", "mfloat-abi", "mabi", "num-cores")


def plain_target(target: Mapping[str, Any]) -> str:
    """The JSON of a target without what TVM fills in, its names in order: equal where the target is."""
    return json.dumps(_plain(target), sort_keys=True)


def farm_target(target: Mapping[str, Any], known: Sequence[str], own: Sequence[str] = ()) -> str:
    """The JSON of ``target`` as the farm spells it: one of ``known`` where it is the same.

    ``own``: the targets of the class on which it was measured. What ``target`` says nothing of is as there.
    """
    plain = plain_target(target)
    for text in (*own, *known):
        if plain_target(json.loads(text)) == plain:
            return text
    completed = [_completed(_plain(target), json.loads(text)) for text in own]
    for text, fields in zip(own, completed, strict=True):
        if fields == json.loads(text):
            return text
    return json.dumps(completed[0] if completed else _plain(target))


def what_differs(target: str, own: str) -> str | None:
    """What ``farm compile --target`` has to be given for ``target`` on a board whose own is ``own``, as JSON.

    None where no board of that target runs it.
    """
    wanted, theirs = json.loads(target), json.loads(own)
    if wanted.get("kind") != theirs.get("kind") or _arch(wanted) != _arch(theirs):
        return None
    changed = {name: value for name, value in wanted.items() if theirs.get(name) != value}
    return json.dumps({**changed, **{name: None for name in theirs if name not in wanted}})


def _plain(target: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in target.items() if name not in _DERIVED}


def _completed(fields: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """``fields`` with what they leave out as in ``own``, and in its order."""
    if fields.get("kind") != own.get("kind") or _arch(fields) not in ("", _arch(own)):
        return fields
    merged = {**{name: own[name] for name in _OF_THE_MACHINE if name in own}, **fields}
    if "mtriple" in own:  # x86_64-unknown-linux-gnu is the same machine
        merged["mtriple"] = own["mtriple"]
    return {name: merged[name] for name in {**own, **merged} if name in merged}


def _arch(target: Mapping[str, Any]) -> str:
    return str(target.get("mtriple", "")).partition("-")[0]
