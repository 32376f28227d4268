"""The farm's own converters, a module a family. Each registers what it has when it is imported, and all are."""

import importlib
import pkgutil

for _family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_family.name}")
