"""The base of every room: errors, files, digests, keyed randomness, parameters, records.

Knows no model, no stage and no other room.
"""
