"""Who asks."""

from __future__ import annotations

import getpass

from tvm_farm.protos.names import parse_given_name
from tvm_farm.tracker.client.errors import BadInput

__all__ = ["user_name"]


def user_name() -> str:
    """As the system calls who runs this process; "" where it has no name for them. Raises BadInput for an odd one."""
    try:
        return parse_given_name(getpass.getuser(), "a user's name")
    except (KeyError, OSError):  # a container's user without a name
        return ""
    except ValueError as error:
        raise BadInput(f"LOGNAME: {error}.") from None
