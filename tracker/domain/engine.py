"""Names of the engines that a job may ask for: the one list that tracker, command line and tuning read."""

from __future__ import annotations

__all__ = ["ANSOR", "AUTO", "AUTOTVM", "ENGINES", "TUNERS", "takes_templates"]

#: Chooses one of the others for each task.
AUTO = "auto"
#: Rules span its spaces.
ANSOR = "ansor"
#: Templates with named knobs span its spaces; without a tuner's name behind it, the first of TUNERS.
AUTOTVM = "autotvm"
#: What searches the knobs: ``autotvm-xgb`` and so on.
TUNERS = ("xgb", "ga", "random", "gridsearch")
ENGINES = (AUTO, ANSOR, AUTOTVM, *(f"{AUTOTVM}-{tuner}" for tuner in TUNERS))


def takes_templates(engine: str) -> bool:
    """Whether it searches spaces that templates span."""
    return engine == AUTO or engine.partition("-")[0] == AUTOTVM
