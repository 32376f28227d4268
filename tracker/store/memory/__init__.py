"""The store in memory: all of the contract but SQL, and nothing of it on a disk."""

from tvm_farm.tracker.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
