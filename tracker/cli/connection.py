"""Which tracker a command talks to: a named address, else the one heard by mDNS."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from protos.address import is_ipv4, parse_address
from tracker.client.errors import BadInput, TrackerUnreachable

if TYPE_CHECKING:
    from tracker.client.farm_client import FarmClient

__all__ = ["Connection", "connection_options"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Connection:
    """How the tracker is found. ``interface`` is an IP address of this host to listen for mDNS on."""

    tracker: str | None = None
    farm: str | None = None
    interface: str | None = None

    @classmethod
    def of_environment(cls, environ: Mapping[str, str] = os.environ) -> Connection:
        return cls(*(environ.get(f"TVMFARM_{name}") for name in ("TRACKER", "FARM", "MDNS_INTERFACE")))

    def over(self, outer: Connection) -> Connection:
        """These settings, the missing and empty ones taken from ``outer``."""
        return Connection(
            self.tracker or outer.tracker or None,
            self.farm or outer.farm or None,
            self.interface or outer.interface or None,
        )

    def address(self) -> str:
        """``host:port``. Raises BadInput or TrackerUnreachable."""
        from protos.discovery import browse

        if self.tracker:
            try:
                return parse_address(self.tracker)
            except ValueError as error:
                raise BadInput(f"--tracker: {error}.") from None
        if self.interface and not is_ipv4(self.interface):
            raise BadInput(f"--mdns-interface: {self.interface!r} is not an IPv4 address of this host.")
        try:
            found = browse(farm=self.farm, interface=self.interface)
        except OSError as error:
            raise TrackerUnreachable(
                f"Cannot listen for a tracker by mDNS here ({error}). Name it: --tracker HOST:PORT."
            ) from None
        named = [tracker for tracker in found if self.farm in (None, tracker.farm)]
        if len(named) == 1:
            return named[0].address
        heard = ", ".join(f"{tracker.farm} at {tracker.address}" for tracker in named or found)
        if named:
            raise BadInput(f"Several farms answer here: {heard}. Choose one with --farm NAME or --tracker HOST:PORT.")
        if found:
            raise TrackerUnreachable(f"No farm named {self.farm} answers; heard: {heard}.")
        raise TrackerUnreachable(
            "No tracker heard by mDNS within 3 s. Start one with `tracker start`, "
            "or name it with --tracker HOST:PORT (or TVMFARM_TRACKER) if it lives in another network."
        )

    def open(self) -> FarmClient:
        """A client of a tracker that has answered, speaks our protocol and is the farm that was asked for."""
        from tracker.client.farm_client import FarmClient

        client = FarmClient(self.address())
        try:
            status = client.status()
            if self.farm and status.farm != self.farm:
                raise BadInput(f"The tracker at {client.address} is the farm {status.farm}, not {self.farm}.")
        except BaseException:
            client.close()
            raise
        return client


def connection_options() -> Callable[[F], F]:
    """Options that find the tracker; the command gets ``connection: Connection``.

    An option of the command beats one of the group around it, and that one the environment.
    """

    def decorate(command: F) -> F:
        @click.option(
            "--tracker",
            metavar="HOST:PORT",
            help="The tracker's address [env: TVMFARM_TRACKER]. Default: heard by mDNS.",
        )
        @click.option(
            "--farm",
            "farm_name",
            metavar="NAME",
            help="Which farm, where several answer [env: TVMFARM_FARM].",
        )
        @click.option(
            "--mdns-interface",
            metavar="IP",
            help="Listen for mDNS on this address of ours alone [env: TVMFARM_MDNS_INTERFACE].",
        )
        @functools.wraps(command)
        def wrapper(
            *args: Any, tracker: str | None, farm_name: str | None, mdns_interface: str | None, **kwargs: Any
        ) -> Any:
            outer = click.get_current_context().obj or Connection.of_environment()
            connection = Connection(tracker, farm_name, mdns_interface).over(outer)
            return command(*args, connection=connection, **kwargs)

        return wrapper  # type: ignore[return-value]

    return decorate
