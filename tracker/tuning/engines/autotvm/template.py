"""Templates: how they are registered, which one a task gets, and how a person's own are loaded."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType

import tvm
from tvm.s_tir import Schedule

from tvm_farm.tracker.tuning.engines.autotvm.anchor import Anchor, Axis, Pattern
from tvm_farm.tracker.tuning.engines.autotvm.config import Config
from tvm_farm.tracker.tuning.engines.autotvm.errors import TemplateError, line_of
from tvm_farm.tracker.tuning.engines.autotvm.hardware import kinds_of
from tvm_farm.tracker.tuning.foreign_code import ends_in_time

__all__ = ["Apply", "Match", "Template", "best_match", "load_templates", "registered", "template"]

Apply = Callable[[Schedule, Config], None]
#: What a pattern asks for beyond any function.
_STRUCTURE = 1000


@dataclass(frozen=True)
class Match:
    """A template for a task, with the axis of each letter of its pattern; of a function s0, s1, ... and r0, r1, ..."""

    template: Template
    anchor: Anchor
    axes: Mapping[str, Axis]
    specificity: int


@dataclass(frozen=True)
class Template:
    """``apply`` schedules a task; see ``template``. ``file``: where it was loaded from, "" for the farm's own."""

    name: str
    targets: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    accepts: Callable[[Anchor], bool] | None
    specificity: int
    apply: Apply
    file: str = ""

    def match(self, anchor: Anchor, target: tvm.target.Target) -> Match | None:
        """Raises TemplateError where a person's own function for it fails."""
        if not kinds_of(target) & set(self.targets):
            return None
        for pattern in self.patterns:
            axes = pattern.match(anchor)
            if axes is not None and self._accepted(anchor):
                return Match(self, anchor, axes, _STRUCTURE + pattern.specificity)
        if not self.patterns and self._accepted(anchor):
            counted = (("s", anchor.spatial), ("r", anchor.reduction))
            axes = {f"{letter}{number}": axis for letter, group in counted for number, axis in enumerate(group)}
            return Match(self, anchor, axes, self.specificity)
        return None

    def _accepted(self, anchor: Anchor) -> bool:
        if self.accepts is None:
            return True
        try:
            return bool(self.accepts(anchor))
        except Exception as error:
            raise TemplateError(
                f"{self.where(error)}: the match of template {self.name} failed: {type(error).__name__}: {error}"
            ) from error

    def where(self, error: BaseException) -> str:
        """File and line that ``error`` came from, or the template's name."""
        return line_of(error, self.file) if self.file else f"template {self.name}"


_registered: list[Template] = []
_loading: ContextVar[list[Template]] = ContextVar("loading", default=_registered)
_file: ContextVar[str] = ContextVar("file", default="")


def template(
    name: str,
    *,
    targets: Sequence[str] = ("cpu",),
    matches: str | Sequence[str] | Callable[[Anchor], bool],
    where: Callable[[Anchor], bool] | None = None,
    specificity: int = 0,
) -> Callable[[Apply], Apply]:
    """Register the decorated ``(schedule, cfg) -> None`` for the tasks that ``matches`` describes.

    ``matches``: a pattern of the anchor block (see ``anchor``) or several, or a function of the anchor. ``where``: a
    condition on top of a pattern. ``targets``: names of which the task's target has one, see ``kinds_of``. The most
    specific match wins: more axes and indices, a pattern before a function, among functions the higher
    ``specificity``, and of equals the one registered last. Raises TemplateError.
    """
    if not name or any(c in ";= " for c in name):
        raise TemplateError(f"'{name}' is no name for a template: it must not be empty or hold spaces, ; or =")
    if isinstance(targets, str) or not targets:
        raise TemplateError(f'template {name}: targets is a list of names, such as ("cpu",)')
    if callable(matches) and where is not None:
        raise TemplateError(f"template {name}: where is for patterns; its function can ask for more itself")
    if not callable(matches) and specificity:
        raise TemplateError(f"template {name}: specificity is for functions; a pattern's is how much it asks for")
    patterns: tuple[Pattern, ...] = ()
    if not callable(matches):
        patterns = tuple(Pattern(text) for text in ([matches] if isinstance(matches, str) else matches))
    accepts = matches if callable(matches) else where
    into, file = _loading.get(), _file.get()

    def register(apply: Apply) -> Apply:
        if any(each.name == name for each in into):
            raise TemplateError(f"there are two templates {name}: give one another name")
        into.append(Template(name, tuple(targets), patterns, accepts, specificity, apply, file))
        return apply

    return register


def registered() -> tuple[Template, ...]:
    """The farm's own."""
    from tvm_farm.tracker.tuning.engines.autotvm import templates  # noqa: F401 - importing them registers them

    return tuple(_registered)


def best_match(templates: Sequence[Template], anchor: Anchor, target: tvm.target.Target) -> Match | None:
    """The most specific; of equals the last of ``templates``."""
    found = [match for each in templates if (match := each.match(anchor, target)) is not None]
    return max(reversed(found), key=lambda match: match.specificity, default=None)


def load_templates(source: str, name: str) -> list[Template]:
    """The templates that ``source``, a person's Python file called ``name``, registers.

    Runs it. Raises TemplateError, one sentence with the file and the line, where it is no Python, fails, or registers
    none.
    """
    # Dataclasses look their module up there.
    module = ModuleType(f"templates_of_{name}")
    module.__file__ = name
    sys.modules[module.__name__] = module
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    with _collecting(name) as found:
        try:
            with ends_in_time():
                exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
        except SyntaxError as error:
            raise TemplateError(f"{error.filename}:{error.lineno}: {error.msg}") from error
        except TemplateError as error:
            raise TemplateError(f"{line_of(error, name)}: {error}") from error
        except (Exception, SystemExit) as error:
            raise TemplateError(f"{line_of(error, name)}: {type(error).__name__}: {error}") from error
    if not found:
        raise TemplateError(f"{name} registers no template: decorate a function with @template(...)")
    return found


@contextmanager
def _collecting(file: str) -> Iterator[list[Template]]:
    found: list[Template] = []
    tokens = _loading.set(found), _file.set(file)
    try:
        yield found
    finally:
        _loading.reset(tokens[0])
        _file.reset(tokens[1])
