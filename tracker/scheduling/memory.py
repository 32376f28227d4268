"""Whether a trial has room on a board. Sizes in bytes."""

from __future__ import annotations

from collections.abc import Iterable

from tvm_farm.protos import quantities

__all__ = ["SHARE", "fits", "no_room"]

#: Of the free memory that a trial may take. The rest is for what nobody can know before: scratch memory, a model's
#: intermediate results, and what else the board does meanwhile.
SHARE = 0.8


def fits(need: int, free: int | None) -> bool:
    """Whether a trial that needs so much may run where so much is ``free``; None: the board does not tell, and may."""
    return free is None or need <= SHARE * free


def no_room(need: int, boards: Iterable[tuple[str, int | None, int]]) -> tuple[str, bool]:
    """Why a trial fits on none of ``boards``, and whether it never will; ("", False) where it fits on one, or on none
    because there is none.

    Each board: its name, its free memory (None: it does not tell), all of its memory (0: it does not tell).
    """
    known = []
    for name, free, total in boards:
        if free is None or fits(need, free):
            return "", False
        known.append((free, total, name))
    if not known:
        return "", False
    free, total, name = max(known)
    of = f" of {quantities.size(total)}" if total else ""
    never = all(total and not fits(need, total) for _, total, _ in known)
    return (
        f"its tensors and files take {quantities.size(need)}; {name} has the most memory free of the boards that it "
        f"may run on, {quantities.size(free)}{of}, and a trial gets {SHARE:.0%} of that"
    ), never
