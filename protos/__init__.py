"""The wire contract, all that agents and trackers share.

``farm/v1`` holds the messages and their stubs, ``device`` and ``measurement`` the same as plain
values, ``convert`` carries one into the other, ``discovery`` is how a tracker is found.
"""
