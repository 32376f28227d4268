"""Which versions of the farm's parts work together. What is refused is told which side to change."""

from __future__ import annotations

import re

from tvm_farm.protos.discovery import PROTOCOL_VERSION
from tvm_farm.tracker.domain.errors import VersionMismatch
from tvm_farm.tracker.domain.runtime import TVM_FFI_VERSION, TVM_VERSION

__all__ = ["OLDEST_PROTOCOL", "check_protocol", "check_release", "check_tvm", "is_this_tvm"]

#: Peers with an older version of the messages are refused.
OLDEST_PROTOCOL = 2


def check_protocol(version: int, side: str) -> None:
    """Raises VersionMismatch, naming the side to change, when ``version`` of ``side`` is not served here."""
    if OLDEST_PROTOCOL <= version <= PROTOCOL_VERSION:
        return
    spoken = f"protocol version {version}, this tracker {OLDEST_PROTOCOL} to {PROTOCOL_VERSION}"
    newer = version > PROTOCOL_VERSION
    raise VersionMismatch(f"the {side} speaks {spoken}: upgrade the {'tracker' if newer else side}")


def check_release(agent: str, tracker: str) -> None:
    """Raises VersionMismatch when the two releases are more than one minor version apart.

    A farm is upgraded board by board: what an agent of the release before says is understood, and no more is tested.
    A version that is no number ("": the agent does not say) is left to the protocol's.
    """
    ours, theirs = _numbers(tracker), _numbers(agent)
    if not ours or not theirs or (ours[0] == theirs[0] and abs(ours[1] - theirs[1]) <= 1):
        return
    side = "agent" if theirs[:2] < ours[:2] else "tracker"
    raise VersionMismatch(
        f"the agent is of release {agent} and this tracker of {tracker}, which work together up to one minor version "
        f"apart: upgrade the {side}"
    )


def check_tvm(version: str, side: str, host: str) -> None:
    """Raises VersionMismatch when TVM ``version`` of the agent or worker on ``host`` is not the farm's.

    A post-release is the same code packaged anew. "" is not known: libraries that came as bare files.
    """
    if not version or _numbers(version) == _numbers(TVM_VERSION):
        return
    remedy = f"`pip install apache-tvm=={TVM_VERSION} apache-tvm-ffi=={TVM_FFI_VERSION}` there"
    if side == "agent":
        remedy += ", or upgrade that agent: it then takes the runtime from this tracker"
    raise VersionMismatch(f"the {side} on {host} has TVM {version} and this farm works with {TVM_VERSION}: {remedy}")


def is_this_tvm(version: str) -> bool:
    """Whether TVM ``version`` is the one that the farm works with, packaged as it may be; also where it is not told."""
    return not _numbers(version) or _numbers(version) == _numbers(TVM_VERSION)


def _numbers(version: str) -> tuple[int, ...]:
    """(0, 27, 0) of "0.27.0.post1"; empty where there are not at least two numbers."""
    found = re.match(r"\d+(\.\d+)+", version)
    return tuple(map(int, found[0].split("."))) if found else ()
