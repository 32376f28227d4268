"""What can stop a tuning job. Each message is one sentence for the person who started it."""

__all__ = ["FarmFailure", "InputError", "JudgeError", "SessionOver", "TuningError", "printable"]

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def printable(text: str) -> str:
    """``text`` with its control characters written out: names in a file may hold what moves a terminal's cursor."""
    return text.translate(_ESCAPES)


class TuningError(Exception):
    """A job cannot go on."""

    def __str__(self) -> str:
        return "\n".join(map(printable, super().__str__().split("\n")))


class InputError(TuningError):
    """What was submitted is at fault: the file, its shapes, an operator, an option."""


class FarmFailure(TuningError):
    """The farm is at fault: no device answered, a measurement could not be placed."""


class JudgeError(TuningError):
    """The reference implementation of a format cannot run the original file."""


class SessionOver(Exception):
    """This process cannot go on with the job, another can, from the job's records: nothing is wrong with the job."""
