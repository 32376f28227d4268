"""The farms that a person uses, by name: a file of settings, one of which is current."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tvm_farm.protos.address import parse_address
from tvm_farm.protos.folders import own_folder
from tvm_farm.tracker.client.errors import BadInput, FarmError

__all__ = ["Context", "Contexts", "contexts_file"]


@dataclass(frozen=True)
class Context:
    """How one farm's tracker is found; "": not said."""

    #: ``host:port``.
    tracker: str = ""
    #: The farm's name in mDNS.
    farm: str = ""
    #: The network interface to listen for mDNS on, by its name or an address.
    mdns_interface: str = ""
    #: What a later version wrote, kept as it is.
    further: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contexts:
    """All contexts, and the name of the current one; None: none is."""

    named: Mapping[str, Context] = field(default_factory=dict)
    current: str | None = None

    @classmethod
    def load(cls, path: Path | None = None) -> Contexts:
        """Those of ``path``, by default the person's own; none where there is no file. Raises BadInput, which says what
        is wrong with the file.
        """
        try:
            path = path or contexts_file()
            return _parsed(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, RecursionError) as error:
            why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            raise BadInput(
                f"{path} cannot be read ({why}). Mend it, or remove it and make its contexts anew with `farm use`."
            ) from None

    def save(self, path: Path | None = None) -> None:
        """Write them whole or not at all, for this user alone. Raises FarmError."""
        document = {"current": self.current, "contexts": {name: _document(each) for name, each in self.named.items()}}
        try:
            path = path or contexts_file()
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=path.parent, prefix=".contexts-", delete=False
            ) as file:
                try:
                    file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                    os.replace(file.name, path)
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            raise FarmError(f"{path or 'The file of contexts'} cannot be written: {error.strerror}.") from None


def contexts_file(environ: Mapping[str, str] = os.environ) -> Path:
    """``$XDG_CONFIG_HOME/tvm-farm/contexts.json``, by the XDG base directory specification.

    Raises FileNotFoundError for a user without a home folder.
    """
    return own_folder("XDG_CONFIG_HOME", ".config", environ) / "tvm-farm" / "contexts.json"


def _parsed(document: Any) -> Contexts:
    """Raises ValueError, whose text is a clause."""
    if not isinstance(document, dict) or not isinstance(document.get("contexts", {}), dict):
        raise ValueError('it is no object with "contexts", an object by name')
    named = {name: _context(name, fields) for name, fields in document.get("contexts", {}).items()}
    current = document.get("current")
    if current is not None and current not in list(named):
        raise ValueError(f'"current" is {json.dumps(current)}, which is none of its contexts')
    return Contexts(named, current)


def _context(name: str, fields: Any) -> Context:
    if not isinstance(fields, dict):
        raise ValueError(f"context {name} is no object")
    known = {key: fields.get(key) or "" for key in ("tracker", "farm", "mdns_interface")}
    if odd := [key for key, value in known.items() if not isinstance(value, str)]:
        raise ValueError(f'"{odd[0]}" of context {name} is no text')
    try:
        tracker = parse_address(known["tracker"]) if known["tracker"] else ""
    except ValueError as error:
        raise ValueError(f"context {name}: {error}") from None
    further = {key: value for key, value in fields.items() if key not in known}
    return Context(tracker, known["farm"], known["mdns_interface"], further)


def _document(context: Context) -> dict[str, Any]:
    known = {"tracker": context.tracker, "farm": context.farm, "mdns_interface": context.mdns_interface}
    return {**{key: value for key, value in known.items() if value}, **context.further}
