"""The engines that a job may ask for: the one list that tracker, command line and tuning read."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ABOUT",
    "ANSOR",
    "AUTO",
    "AUTOTVM",
    "DEFAULT_TUNER",
    "ENGINES",
    "FAMILIES",
    "TUNERS",
    "Family",
    "takes_templates",
]


@dataclass(frozen=True)
class Family:
    """Engines of one module of tracker/tuning/engines, which has this name and makes them (see registry there)."""

    name: str
    #: What proposes its schedules, in a word or two.
    about: str
    #: Strategies, of which one stands behind the name: ``autotvm-xgb``. Without one it is the first.
    variants: tuple[str, ...] = ()
    #: Its spaces are spanned by templates.
    templates: bool = False


#: Chooses one of the others for each task.
AUTO = "auto"
ANSOR = "ansor"
AUTOTVM = "autotvm"
#: What searches the knobs of a template.
TUNERS = ("xgb", "ga", "random", "gridsearch")
FAMILIES = (Family(ANSOR, "by rules"), Family(AUTOTVM, "by templates with knobs", TUNERS, templates=True))
ENGINES = (
    AUTO,
    *(name for each in FAMILIES for name in (each.name, *(f"{each.name}-{variant}" for variant in each.variants))),
)
DEFAULT_TUNER = ANSOR
#: For who chooses one.
ABOUT = ", ".join(f"{each.name} {each.about}" for each in FAMILIES)


def takes_templates(engine: str) -> bool:
    """Whether it searches spaces that templates span."""
    family = engine.partition("-")[0]
    return engine == AUTO or any(each.templates for each in FAMILIES if each.name == family)
