"""Which tracker a program talks to: a named address, else that of the current context, else the one heard by mDNS."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from tvm_farm.protos.address import is_interface, parse_address
from tvm_farm.protos.blocking import blocking
from tvm_farm.protos.reaching import WITHIN_S, first_reached
from tvm_farm.tracker.client.contexts import Context, Contexts
from tvm_farm.tracker.client.errors import BadInput, FarmError, TrackerUnreachable

if TYPE_CHECKING:
    from tvm_farm.tracker.client.farm import Farm
    from tvm_farm.tracker.client.link import Link

__all__ = ["Connection", "ScriptConnection"]


@dataclass(frozen=True)
class Connection:
    """How the tracker is found. ``interface``: the network interface to listen for mDNS on, by its name or an address.

    ``named``, ``chosen``: how a person names a tracker and a farm here, for sentences; ``asked``, ``listened``: what
    was said of a tracker and an interface.
    """

    tracker: str | None = None
    farm: str | None = None
    interface: str | None = None
    #: The context of `farm use` that these settings are of.
    context: str | None = None

    named: ClassVar[str] = "--tracker HOST:PORT"
    chosen: ClassVar[str] = "--farm NAME"
    asked: ClassVar[str] = "--tracker"
    listened: ClassVar[str] = "--mdns-interface"

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ) -> Connection:
        return cls(*(environ.get(f"TVMFARM_{name}") for name in ("TRACKER", "FARM", "MDNS_INTERFACE")))

    def over(self, outer: Connection) -> Connection:
        """These settings, the missing and empty ones taken from ``outer``."""
        return type(self)(
            self.tracker or outer.tracker or None,
            self.farm or outer.farm or None,
            self.interface or outer.interface or None,
        )

    def or_current(self) -> Connection:
        """These settings where they name a tracker or a farm, else over those of the current context. Raises BadInput
        for a file of contexts that cannot be read.
        """
        if self.tracker or self.farm:
            return self
        contexts = Contexts.load()
        if contexts.current is None:
            return self
        return replace(self.over(self._of(contexts.named[contexts.current])), context=contexts.current)

    @classmethod
    def _of(cls, context: Context) -> Connection:
        return cls(context.tracker, context.farm, context.mdns_interface)

    def checked(self) -> Connection:
        """The same with its tracker as ``host:port``. Raises BadInput for what is no address and no interface."""
        if self.tracker:
            try:
                return replace(self, tracker=parse_address(self.tracker))
            except ValueError as error:
                raise BadInput(f"{self.asked}: {error}.") from None
        if self.interface and not is_interface(self.interface):
            raise BadInput(f"{self.listened}: {self.interface!r} is no IP address and no interface of this host.")
        return self

    def found(self) -> tuple[Sequence[str], str | None]:
        """Where the tracker may be, each ``host:port``, and the farm's name where one is known.

        Raises BadInput or TrackerUnreachable.
        """
        from tvm_farm.protos.discovery import browse

        if not (self.tracker or self.farm) and (current := self.or_current()) != self:
            return current.found()
        if (chosen := self.checked()).tracker:
            return [chosen.tracker], self.farm
        try:
            found = browse(farm=self.farm, interface=self.interface)
        except OSError as error:
            raise TrackerUnreachable(
                f"Cannot listen for a tracker by mDNS here: {error.strerror or error}. Name it: {self.named}."
            ) from None
        named = [tracker for tracker in found if self.farm in (None, tracker.farm)]
        if len(named) == 1:
            return named[0].addresses, named[0].farm
        heard = ", ".join(f"{tracker.farm} at {tracker.address}" for tracker in named or found)
        if named:
            raise BadInput(f"Several farms answer here: {heard}. Choose one with {self.chosen} or {self.named}.")
        if found:
            raise TrackerUnreachable(f"No farm named {self.farm} answers; heard: {heard}.")
        raise TrackerUnreachable(
            "No tracker heard by mDNS within 3 s. Start one with `tracker start`, "
            f"or name it with {self.named} (or TVMFARM_TRACKER) if it lives in another network."
        )

    def open(self) -> Farm:
        """A farm whose tracker has answered, see ``link``."""
        from tvm_farm.tracker.client.farm import Farm

        return Farm(self.link())

    def link(self) -> Link:
        """One to a tracker that has answered, speaks our protocol and is the farm that was asked for."""
        if (current := self.or_current()) != self:
            return current.link()
        addresses, farm = self.found()
        left = list(addresses)
        failed: list[FarmError] = []
        # A host announces all of its networks: some are not ours, or have addresses of ours, where another farm may be.
        while left and (reached := left[0] if len(addresses) == 1 else blocking(first_reached(left))):
            left.remove(reached)
            try:
                return self._linked(reached, farm)
            except FarmError as error:
                failed.append(error)
        if not failed:
            raise TrackerUnreachable(
                f"The farm {farm} was heard, and none of its addresses answers within {WITHIN_S:.0f} s: "
                f"{', '.join(addresses)}. Is a firewall in between?"
            )
        raise next((error for error in failed if not isinstance(error, TrackerUnreachable)), failed[0])

    def _linked(self, address: str, farm: str | None) -> Link:
        from tvm_farm.tracker.client.link import Link

        of_context = f"; this one is of the context {self.context}, see `farm use`"
        link = Link(address, self.named + (of_context if self.context else ""))
        try:
            status = link.status()
            if farm and status.farm != farm:
                raise BadInput(f"The tracker at {link.address} is the farm {status.farm}, not {farm}.")
        except BaseException:
            link.close()
            raise
        return link


class ScriptConnection(Connection):
    """As a person's own script names its tracker."""

    named: ClassVar[str] = 'Farm("HOST:PORT")'
    chosen: ClassVar[str] = 'Farm("NAME")'
    asked: ClassVar[str] = "tracker"
    listened: ClassVar[str] = "TVMFARM_MDNS_INTERFACE"

    @classmethod
    def to(cls, tracker: str | None) -> ScriptConnection:
        """``HOST:PORT``, a host by its name with a dot or its address, or a name: of a context of `farm use`, else of a
        farm that is heard by mDNS.

        None and "" mean what the environment says, else the current context, else the one farm that is heard.
        """
        outer = cls.of_environment()
        if not tracker:
            return cls().over(outer)  # type: ignore[return-value]
        if tracker == "localhost" or any(mark in tracker for mark in ".:["):
            return cls(tracker)
        if (context := Contexts.load().named.get(tracker)) is not None:
            return cls._of(context).over(cls(interface=outer.interface))  # type: ignore[return-value]
        return cls(farm=tracker, interface=outer.interface)
