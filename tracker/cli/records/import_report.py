"""What the records of another program are good for here, as sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tvm_farm.tracker.cli.terminal.formats import count, plural
from tvm_farm.tracker.domain.compatibility import is_this_tvm
from tvm_farm.tracker.domain.runtime import TVM_VERSION
from tvm_farm.tracker.logs.targets import what_differs

__all__ = ["what_for"]

#: So many other targets are named.
_NAMED = 3


def what_for(imported: Counter[tuple[str, str]], own: Sequence[str], device_class: str) -> list[str]:
    """``imported``: how many records of each target (JSON) and version of TVM. ``own``: the targets of the class.

    ``device_class`` "": nobody said on which class they were measured.
    """
    said, fit = [], Counter[str]()
    of_others = Counter[str]()
    for (target, version), number in imported.items():
        if is_this_tvm(version):
            fit[target] += number
        else:
            of_others[version] += number
    for version, number in sorted(of_others.items()):
        said.append(
            f"{plural(number, 'record')} of TVM {version}: no job can use {'it' if number == 1 else 'them'}. "
            f"TVM {TVM_VERSION} names the same workload otherwise, by another structural hash."
        )
    if not fit:
        return said
    if not device_class:
        return [
            *said,
            "Searches of the same workloads begin with the fastest of them. `farm compile` leaves them alone: were "
            "they measured on a board of this farm, say so with --class.",
            _APPLIES,
        ]
    if not own or any(target in own for target in fit):
        said.append("`farm compile` and `farm tune` take them for measurements of that class.")
    others = [target for target in fit if own and target not in own]
    said += [_of_other_target(target, fit[target], own[0]) for target in others[:_NAMED]]
    if left := others[_NAMED:]:
        said.append(f"{count(sum(fit[target] for target in left))} more are for {plural(len(left), 'other target')}.")
    return [*said, _APPLIES]


_APPLIES = "Whether a trace applies turns out when a job tries it; one that does not is passed over."


def _of_other_target(target: str, number: int, own: str) -> str:
    is_for = f"{plural(number, 'record')} {'is' if number == 1 else 'are'} for another target than the class's own"
    differs = what_differs(target, own)
    if differs is None:
        return f"{is_for}, {target}: no board of that class runs it."
    return f"{is_for}: `farm compile` and `farm tune` use {'it' if number == 1 else 'them'} with --target '{differs}'."
