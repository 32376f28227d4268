"""What many rows have in common, kept once and named by a number."""

from tvm_farm.tracker.store.sqlite.numbered.import_sources import ImportSources
from tvm_farm.tracker.store.sqlite.numbered.packing import digest, pack, pack_secs, unpack, unpack_secs
from tvm_farm.tracker.store.sqlite.numbered.traces import Traces
from tvm_farm.tracker.store.sqlite.numbered.words import Words

__all__ = ["ImportSources", "Traces", "Words", "digest", "pack", "pack_secs", "unpack", "unpack_secs"]
