"""The tracker: whether this board finds one, reaches it, and fits it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence

from tvm_farm.agent.board.fingerprint import read_fingerprint
from tvm_farm.agent.doctor.check import Check, Verdict
from tvm_farm.agent.errors import LinkLostError, SeveralTrackersError
from tvm_farm.agent.link.discovery import choose
from tvm_farm.agent.link.questions import ask_runtime, ask_status
from tvm_farm.agent.settings import Settings
from tvm_farm.protos import quantities
from tvm_farm.protos.address import split_address
from tvm_farm.protos.discovery import PROTOCOL_VERSION, FoundTracker, browse_async
from tvm_farm.protos.runtime import RuntimeOffer, RuntimeRequest

__all__ = ["check_tracker"]

_LISTEN_S = 3.0
_CONNECT_S = 3.0


async def check_tracker(settings: Settings, offers: list[RuntimeOffer]) -> AsyncIterator[Check]:
    """Look for a tracker and ask it. What it has for this board's full mode is added to ``offers``."""
    if settings.tracker:
        addresses: Sequence[str] = [settings.tracker]
    else:
        check, found = await _mdns(settings)
        yield check
        if found is None:
            return
        addresses = found.addresses
    ports = await asyncio.gather(*map(_port, addresses))
    reached = [address for address, check in zip(addresses, ports, strict=True) if check.verdict is Verdict.OK]
    for check in ports:
        # A host announces all of its networks, and one that is reached is enough.
        yield check if check.verdict is Verdict.OK or not reached else Check(check.name, Verdict.HINT, check.said)
    answers: list[Check] = []
    for address in reached:
        check = await _answer(address)
        if check not in answers:  # a tracker that has several addresses is one tracker
            answers.append(check)
            yield check
        if check.verdict is Verdict.OK and settings.takes_runtime and not offers:
            yield await _offer(address, offers)


async def _mdns(settings: Settings) -> tuple[Check, FoundTracker | None]:
    remedy = (
        "start one with `tracker start` in this network; mDNS does not cross routers, VLANs or a container's network, "
        "and a firewall must let UDP 5353 pass: where it cannot, give the address with --tracker HOST:PORT"
    )
    try:
        heard = await browse_async(_LISTEN_S, farm=settings.farm or None, interface=settings.mdns_interface)
        found = choose(heard, settings.farm)
    except SeveralTrackersError as error:
        return Check("mDNS", Verdict.FAILED, str(error), "run `agent doctor --farm NAME`"), None
    except OSError as error:
        return Check("mDNS", Verdict.FAILED, f"mDNS is not possible here: {error.strerror or error}", remedy), None
    if found is None:
        wanted = f"no tracker of farm {settings.farm}" if settings.farm else "no tracker"
        others = f"; heard: {', '.join(tracker.farm for tracker in heard)}" if heard else ""
        return Check("mDNS", Verdict.FAILED, f"{wanted} heard in {_LISTEN_S:.0f} s{others}", remedy), None
    said = f"heard farm {found.farm} at {', '.join(found.addresses)}"
    return Check("mDNS", Verdict.OK, said), found


async def _port(address: str) -> Check:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(*split_address(address)), _CONNECT_S)
    except asyncio.TimeoutError:
        remedy = "the host does not answer: is it on, is a firewall in between?"
        return Check("tracker port", Verdict.FAILED, f"no answer from {address} in {_CONNECT_S:.0f} s", remedy)
    except OSError as error:
        remedy = "is the tracker running there (`tracker start`), and is the port right?"
        return Check("tracker port", Verdict.FAILED, f"{address}: {_cause(error)}", remedy)
    writer.close()
    return Check("tracker port", Verdict.OK, f"{address} accepts connections")


def _cause(error: OSError) -> str:
    # asyncio replaces the system's words by "Connect call failed"; name look-ups have numbers below zero.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)


async def _answer(address: str) -> Check:
    try:
        status = await ask_status(address)
    except ConnectionError as error:
        remedy = "something else listens on this port: check --tracker"
        return Check("tracker", Verdict.FAILED, f"{address} does not answer as a tracker: {error}", remedy)
    said = f"farm {status.farm}, version {status.version}, protocol {status.protocol_version}"
    if status.protocol_version != PROTOCOL_VERSION:
        older = "this agent" if status.protocol_version > PROTOCOL_VERSION else "the tracker"
        return Check(
            "tracker", Verdict.FAILED, f"{said}; this agent speaks protocol {PROTOCOL_VERSION}", f"upgrade {older}"
        )
    return Check("tracker", Verdict.OK, said)


async def _offer(address: str, offers: list[RuntimeOffer]) -> Check:
    fingerprint = read_fingerprint()
    remedy = "kernels run here all the same; whole models need the runtime"
    try:
        offer = await ask_runtime(address, RuntimeRequest(fingerprint.arch, fingerprint.libc))
    except LinkLostError as error:
        return Check("runtime", Verdict.FAILED, f"{address} did not answer: {error}", "ask again")
    if offer is None:
        return Check("runtime", Verdict.HINT, "the tracker is older and sends no TVM runtime", "upgrade the tracker")
    offers.append(offer)
    if offer.runtime is None:
        return Check("runtime", Verdict.HINT, offer.reason, remedy)
    size = quantities.size(offer.runtime.size)
    said = f"the tracker has TVM {offer.runtime.tvm_version} for {offer.runtime.arch} with {offer.runtime.libc}, {size}"
    return Check("runtime", Verdict.OK, said)
