"""The first lines of a process that runs the farm's code: a script, ``launched.py FOLDER ARGUMENTS OF AGENT…``.

The script belongs to the installed agent, and imports that agent's part before the path leads to FOLDER.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # The folder of a script is the first on the path, where the installed agent's is wanted.
    here = Path(__file__).absolute().parent
    sys.path[:] = [str(here.parents[2]), *(each for each in sys.path if each != str(here))]
    from tvm_farm.agent.upgrade.trial import run

    run(Path(sys.argv[1]), sys.argv[2:])
