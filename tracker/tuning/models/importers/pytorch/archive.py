"""Whether an archive holds a program, and only what can be read without running what its author wrote.

``torch.export.load`` of PyTorch 2.13 runs code out of a file in these ways (torch/export/pt2_archive/_package.py,
torch/_export/serde/serialize.py): it unpickles weights and constants that say so, objects, and sample inputs where
reading them as mere tensors fails; it loads compiled models; it evaluates symbolic sizes as Python; it resolves the
target of a node to whatever in ``torch`` bears its name, which then is called; and trees of inputs import modules.
So an archive is looked through before: what needs one of these is refused.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tvm_farm.tracker.tuning.errors import InputError

__all__ = ["check_content", "check_kind", "tensor_files"]

_EXPORT = "torch.export.save(torch.export.export(model, inputs), 'model.pt2')"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_PROGRAM = "models/model.json"
#: Numbers, names of symbols, and functions of them that PyTorch itself writes.
_SIZE = re.compile(
    r"(?:\d+|[su]\d+|'[su]\d+'|[-+*/(), <>=&|~]|"
    r"\b(?:Symbol|Integer|Rational|Add|Mul|Pow|Max|Min|Mod|FloorDiv|CeilDiv|PythonMod|ModularIndexing|Eq|Ne|Le|Lt|Ge|Gt|"
    r"And|Or|Not|int_oo|oo|positive|nonnegative|integer|True|False)\b)*"
)
_TARGET = re.compile(r"torch\.ops\.(?:aten|prims)\.\w+(?:\.\w+)?|torch\.sym_\w+|math\.\w+|_operator\.\w+")
#: Of the standard library's operators those that call or import nothing.
_HARMLESS = {
    "add", "and_", "eq", "floordiv", "ge", "getitem", "gt", "le", "lt", "mod", "mul", "ne", "neg", "not_", "or_", "pos",
    "pow", "sub", "truediv",
}  # fmt: skip
_MOST_JSON = 1 << 28


def check_kind(path: Path, name: str) -> None:
    """Raises InputError, which says what the archive is, where it is no exported program of today's layout."""
    files = _files(path, name)
    if "archive_format" in files and _PROGRAM in files:
        return
    if "serialized_exported_program.json" in files:
        raise InputError(f"{name} was exported by PyTorch 2.7 or older; do it again with a newer one: {_EXPORT}.")
    if any(file.startswith("code/") for file in files):
        raise InputError(f"{name} holds TorchScript; the farm takes exported programs: {_EXPORT}.")
    if "data.pkl" in files:
        raise InputError(f"{name} was written by torch.save: it is no program. Export the model: {_EXPORT}.")
    raise InputError(f"{name} is a zip archive that holds no model; of PyTorch the farm takes {_EXPORT}.")


def check_content(path: Path, name: str) -> None:
    """Raises InputError where loading the archive would run more of it than PyTorch's own operators."""
    files = _files(path, name)
    if compiled := next((file for file in files if file.startswith("data/aotinductor")), ""):
        raise InputError(f"{name} holds a compiled model ({compiled}): export it without compiling it.")
    if others := [file for file in files if file.startswith("models/") and file != _PROGRAM]:
        raise InputError(f"{name} holds several programs ({others[0]}); the farm takes one.")
    for config in (each for each in _CONFIGS if each in files):
        for tensor, entry in _object(_json(path, files[config], name).get("config")).items():
            place = str(_object(entry).get("path_name"))
            if _object(entry).get("use_pickle") or not place.startswith(("weight_", "tensor_")):
                raise InputError(f"{name}: {tensor} is pickled in it, and unpickling runs what its author wrote.")
    program = _json(path, files[_PROGRAM], name)
    for key, value in _walked(program):
        if key == "expr_str" and not (isinstance(value, str) and _SIZE.fullmatch(value)):
            raise InputError(f"{name}: a size in it is no arithmetic: {str(value)[:80]!r}.")
        if key == "range_constraints" and not all(_SIZE.fullmatch(symbol) for symbol in _object(value)):
            raise InputError(f"{name}: a range in it is of no size.")
        if key in ("in_spec", "out_spec") and "default_factory" in str(value):
            raise InputError(f"{name}: its inputs or outputs are dictionaries with a default of their author's own.")
        if key == "nodes" and isinstance(value, list):
            for node in value:
                _check_target(str(_object(node).get("target")), name)


def tensor_files(path: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of what must hold mere tensors: who loads them says so."""
    files = _files(path, name)
    with zipfile.ZipFile(path) as archive:
        for file in sorted(files):
            if file.endswith(".pt"):
                yield file, archive.read(files[file])


def _check_target(target: str, name: str) -> None:
    known = _TARGET.fullmatch(target)
    if not known or (target.startswith("_operator.") and target.partition(".")[2] not in _HARMLESS):
        raise InputError(f"{name}: it calls {target[:80]}, which is none of PyTorch's own operators (aten).")


def _files(path: Path, name: str) -> dict[str, str]:
    """Names in the archive by what they are below its one folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{name} is a damaged archive: {error}.") from error
    return {each.partition("/")[2] if "/" in each else each: each for each in names}


def _json(path: Path, member: str, name: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(member).file_size > _MOST_JSON:
                raise InputError(f"{name} is damaged: {member} is too large.")
            return _object(json.loads(archive.read(member)))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RecursionError) as error:
        raise InputError(f"{name} is damaged: {member} cannot be read: {error}.") from error


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _walked(root: object) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at whatever depth."""
    left = [root]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            yield from each.items()
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)
