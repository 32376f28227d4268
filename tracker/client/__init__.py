"""The tracker as programs see it: ``farm`` calls it, ``errors`` is what can go wrong.

The command line, the tuning worker and anybody's own script use the same client. Nothing is imported here, since
``farm --help`` should not pay for gRPC.
"""
