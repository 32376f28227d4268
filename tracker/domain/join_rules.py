"""What an agent may join with."""

from __future__ import annotations

from tvm_farm.protos.join import Join
from tvm_farm.protos.version import __version__
from tvm_farm.tracker.domain.compatibility import check_protocol, check_release, check_tvm
from tvm_farm.tracker.domain.device_class import AUTOMATIC_LABELS
from tvm_farm.tracker.domain.errors import InvalidRequest
from tvm_farm.tracker.domain.machine import is_plausible

__all__ = ["check_join"]


def check_join(join: Join) -> None:
    """Raises VersionMismatch or InvalidRequest, one sentence that says what to change."""
    check_protocol(join.protocol_version, "agent")
    check_release(join.fingerprint.agent_version, __version__)
    check_tvm(join.runner.tvm_version, "agent", join.fingerprint.hostname)
    if not join.device_id:
        raise InvalidRequest("the agent sent no device id: upgrade the agent")
    if join.machine and not is_plausible(join.machine):
        raise InvalidRequest(f"the agent on {join.fingerprint.hostname} tells of no machine: upgrade the agent")
    if taken := sorted(set(join.labels) & set(AUTOMATIC_LABELS)):
        raise InvalidRequest(f"the label '{taken[0]}' is set by the tracker: start the agent without it")
