"""The base of every room: errors, files, digests, keyed randomness, parameters, records.

Every room may import this one. It knows no model, no stage and no other room.
"""
