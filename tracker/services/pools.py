"""The pools of the farm: names for the devices that bear given labels."""

from __future__ import annotations

from collections.abc import Mapping

from tvm_farm.protos.names import parse_name
from tvm_farm.protos.suggestions import did_you_mean
from tvm_farm.tracker.domain import BUILT_IN_POOLS, Pool, matches
from tvm_farm.tracker.domain.errors import InvalidRequest, NotFound
from tvm_farm.tracker.services.store_thread import StoreThread

__all__ = ["Pools"]


class Pools:
    """Those that are built in, and those that people made. Who is in them is not known here."""

    def __init__(self, store: StoreThread) -> None:
        self._thread = store
        self._store = store.store
        self._named: dict[str, Pool] = {pool.name: pool for pool in BUILT_IN_POOLS}

    async def load(self) -> None:
        """Take up what the store holds."""
        for pool in await self._thread.run(self._store.pools.all):
            self._named[pool.name] = pool

    def names(self) -> list[str]:
        return sorted(self._named)

    def named(self, name: str) -> Pool:
        """Raises NotFound, which lists the pools that exist."""
        pool = self._named.get(name)
        if pool is None:
            existing, meant = ", ".join(self.names()), did_you_mean(name, self._named)
            raise NotFound(f"there is no pool '{name}': this farm has {existing}{meant and '.' + meant}")
        return pool

    def of(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """The names of the pools that a device with ``labels`` is in."""
        return tuple(name for name in self.names() if matches(self._named[name].selector, labels))

    async def put(self, name: str, selector: Mapping[str, str]) -> None:
        """Make or change a pool. Raises InvalidRequest for a bad name, an empty selector or a built-in pool."""
        if name not in self._named:  # one of before this rule may be changed
            try:
                parse_name(name, "a pool")
            except ValueError as e:
                raise InvalidRequest(str(e)) from e
        if not selector:
            raise InvalidRequest(f"pool '{name}' needs a selector, such as board=raspberry-pi-4")
        if name in self._named and self._named[name].built_in:
            raise InvalidRequest(f"the pool '{name}' is built in and cannot be changed")
        pool = Pool(name, dict(selector))
        await self._thread.run(self._store.pools.put, pool)
        self._named[name] = pool

    async def delete(self, name: str) -> None:
        """Raises NotFound, or InvalidRequest for a built-in pool."""
        if self.named(name).built_in:
            raise InvalidRequest(f"the pool '{name}' is built in and cannot be deleted")
        await self._thread.run(self._store.pools.delete, name)
        self._named.pop(name, None)
