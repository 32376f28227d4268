"""The agent's files on the board: whole after a power cut, and within what its disk takes."""
