"""Names of the farm for a shell that completes a command: what the tracker has, where it answers at once."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from tvm_farm.tracker.client.connection import Connection

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tvm_farm.tracker.client.farm import Farm

__all__ = ["class_names", "context_names", "device_names", "job_names", "pool_names"]

#: A person waits at the prompt: no name after that long, and no word why.
_WITHIN_S = 1.0
#: Of that, to hear a tracker by mDNS.
_HEARD_S = 0.6
_JOBS = 30

#: What click calls: the names that begin with what is there, each with a word about it.
Completing = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]
Names = Iterable[tuple[str, str]]


def _of_farm(names: Callable[[Farm], Names]) -> Completing:
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _items(_asked(_connection(ctx), names), incomplete)

    return complete


def _devices(client: Farm) -> Names:
    return [(device.name, device.state.value) for device in client.devices.list()]


def _classes(client: Farm) -> Names:
    return sorted({(device.device_class, "") for device in client.devices.list() if device.device_class})


def _pools(client: Farm) -> Names:
    return [(pool.name, ", ".join(pool.devices[:4])) for pool in client.devices.pools()]


def _jobs(client: Farm) -> Names:
    return [(job.id, f"{job.state.value} {job.spec.model_name}") for job in client.jobs.list(None, _JOBS)]


device_names, class_names, pool_names, job_names = map(_of_farm, (_devices, _classes, _pools, _jobs))


def context_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from tvm_farm.tracker.client.contexts import Contexts
    from tvm_farm.tracker.client.errors import FarmError

    try:
        named = Contexts.load().named
    except FarmError:
        return []
    return _items([(name, each.tracker or "by mDNS") for name, each in named.items()], incomplete)


def _items(names: Names, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name, help=about or None) for name, about in names if name.startswith(incomplete)]


def _connection(ctx: click.Context) -> Connection:
    """What the options say so far, those of the command before those of the groups around it."""
    connection, at = Connection(), ctx
    while at is not None:
        connection = connection.over(Connection(*map(at.params.get, ("tracker", "farm_name", "mdns_interface"))))
        at = at.parent  # type: ignore[assignment]
    return connection.over(Connection.of_environment())


def _asked(connection: Connection, names: Callable[[Farm], Names]) -> Names:
    """What ``names`` finds within the time; nothing, without a word, where no tracker answers."""
    logging.disable()
    os.environ["GRPC_VERBOSITY"] = "NONE"
    found: list[Names] = []

    def ask() -> None:
        try:
            with _near(connection).open() as client:
                found.append(names(client))
        except Exception:  # noqa: BLE001, S110 - there is nobody to tell at a prompt
            pass

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_WITHIN_S)
    return found[0] if found else []


def _near(connection: Connection) -> Connection:
    """The same with a tracker's address, where the only one is heard soon."""
    from tvm_farm.protos.discovery import browse

    connection = connection.or_current()
    if connection.tracker:
        return connection
    heard = browse(_HEARD_S, settle_s=_HEARD_S / 2, farm=connection.farm, interface=connection.interface)
    named = [tracker for tracker in heard if connection.farm in (None, tracker.farm)]
    return replace(connection, tracker=named[0].address) if len(named) == 1 else connection
