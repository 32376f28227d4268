"""Templates with named knobs, as AutoTVM had them, on TVM's schedules. See README.md beside this file."""

from tvm_farm.tracker.tuning.engines.autotvm.anchor import Anchor, Axis, Pattern
from tvm_farm.tracker.tuning.engines.autotvm.config import Config
from tvm_farm.tracker.tuning.engines.autotvm.errors import NoTemplate, TemplateError
from tvm_farm.tracker.tuning.engines.autotvm.maker import Maker
from tvm_farm.tracker.tuning.engines.autotvm.template import Template, load_templates, template

__all__ = [
    "Anchor",
    "Axis",
    "Config",
    "Maker",
    "NoTemplate",
    "Pattern",
    "Template",
    "TemplateError",
    "load_templates",
    "template",
]
