"""How what can be chosen is called by who chooses: arguments of a call, or options of a command."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ARGUMENTS", "Names"]


@dataclass(frozen=True)
class Names:
    """Each is a name that stands in sentences of errors. The defaults are those of a script."""

    pool: str = "pool="
    budget: str = "budget="
    trials: str = "trials="
    tuner: str = "tuner="
    templates: str = "templates="
    shapes: str = "shapes="
    fix: str = "fix="
    parameters: str = "parameters="
    inputs: str = "inputs="
    target: str = "target="
    seed: str = "seed="
    priority: str = "priority="
    #: How a parameter of an operator is set.
    one_parameter: str = 'parameters={"NAME": VALUE}'
    #: How another folder is named, and how a package goes among what is in one.
    other_folder: str = "Name another folder"
    anyway: str = "say force=True"


ARGUMENTS = Names()
