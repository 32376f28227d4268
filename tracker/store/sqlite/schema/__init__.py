"""Tables and views of the file, and how an older one becomes a present one."""

from tvm_farm.tracker.store.sqlite.schema.migrations import VERSION, keep_shapes, migrations

__all__ = ["VERSION", "keep_shapes", "migrations"]
