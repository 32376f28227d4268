"""Which shape an input gets: what the file declares, what a person fixes, and what is left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tvm_farm.tracker.tuning.errors import InputError

__all__ = ["fixed_shape"]


def fixed_shape(
    model: str, name: str, declared: Sequence[int | str] | None, shapes: Mapping[str, Sequence[int]]
) -> tuple[int, ...]:
    """Static shape of input ``name``.

    ``declared``: sizes as the file has them; names and sizes below 1 are open. None: the file does not even tell how
    many there are. ``shapes``: by an input's name all its sizes, by a dimension's name its one size.

    Raises InputError where a dimension stays open, or what is asked for contradicts the file.
    """
    sizes = None if declared is None else [_size(each, shapes) for each in declared]
    text = "" if declared is None else ",".join(_told(each) for each in declared)
    given = shapes.get(name)
    if given is None:
        if sizes is None:
            raise InputError(f"{model}: input {name} has no shape in the file; fix it with --shape {name}=….")
        if None in sizes:
            raise InputError(f"{model}: input {name} has open dimensions {_still_open(name, declared or (), sizes)}")
        return tuple(size for size in sizes if size is not None)
    if sizes is not None and (
        len(given) != len(sizes) or any(s not in (None, g) for s, g in zip(sizes, given, strict=True))
    ):
        wanted = ",".join(map(str, given))
        raise InputError(f"{model}: input {name} is ({text}) in the file; --shape {name}={wanted} differs.")
    if any(size < 0 for size in given):
        raise InputError(f"{model}: input {name} has a dimension that is negative: {tuple(given)}.")
    return tuple(int(size) for size in given)


def _still_open(name: str, declared: Sequence[int | str], sizes: Sequence[int | None]) -> str:
    """What is known of the sizes, and how a person tells the rest: all of them, or each open one by its name."""
    known = ",".join(_told(each) if size is None else str(size) for each, size in zip(declared, sizes, strict=True))
    wanted = ",".join("…" if size is None else str(size) for size in sizes)
    open_ones = dict.fromkeys(_told(each) for each, size in zip(declared, sizes, strict=True) if size is None)
    by_name = "" if "?" in open_ones else " or " + " ".join(f"--shape {each}=…" for each in open_ones)
    return f"({known}); fix it with --shape {name}={wanted}{by_name}."


def _size(declared: int | str, shapes: Mapping[str, Sequence[int]]) -> int | None:
    if isinstance(declared, int) and declared > 0:
        return declared
    named = shapes.get(declared) if isinstance(declared, str) and declared else None
    return int(named[0]) if named and len(named) == 1 else None


def _told(declared: int | str) -> str:
    return "?" if declared in ("", 0) or (isinstance(declared, int) and declared < 0) else str(declared)
