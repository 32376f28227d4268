"""The agent's own code by the tracker's word: fetched, checked, tried, kept or given up.

The installed agent stays what it is, and always starts first. Wheels that the farm sends are unpacked into the state
folder, ``code/DIGEST/``; ``choice`` says which of them runs, ``launch`` runs it, ``trial`` catches it when it falls.
"""
