"""The agent's own code by the tracker's word: fetched, checked, tried, kept or given up.

The installed agent stays what it is, and is what starts. Wheels that the farm sends are unpacked into the state folder,
``code/DIGEST/``; ``choice`` says which of them runs, ``launch`` runs it, ``trial`` catches it. The modules are imported
by name: what is launched has a path of its own, and none of this but ``choice`` and ``trial`` is loaded before.
"""
