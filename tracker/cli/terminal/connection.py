"""Options that say which tracker a command talks to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from tvm_farm.tracker.client.connection import Connection

__all__ = ["Connection", "connection_options"]

F = TypeVar("F", bound=Callable[..., Any])


def connection_options() -> Callable[[F], F]:
    """Options that find the tracker; the command gets ``connection: Connection``.

    An option of the command beats one of the group around it, and that one the environment.
    """

    def decorate(command: F) -> F:
        @click.option(
            "--tracker",
            metavar="HOST:PORT",
            help="The tracker's address [env: TVMFARM_TRACKER]. Default: that of `farm use`, else heard by mDNS.",
        )
        @click.option(
            "--farm",
            "farm_name",
            metavar="NAME",
            help="Which farm, where several answer [env: TVMFARM_FARM].",
        )
        @click.option(
            "--mdns-interface",
            metavar="IP|NAME",
            help="Listen for mDNS on this network interface alone [env: TVMFARM_MDNS_INTERFACE].",
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
